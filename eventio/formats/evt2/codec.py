"""
Prophesee EVT 2.0 in .raw files: 32-bit words, time in 28 upper and 6 lower bits of microseconds.

A TIME_HIGH that falls by more than half its range is a wrap; one that falls by less is time running
backwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eventio.errors import FormatError
from eventio.formats.evt2 import _kernels as kernels
from eventio.prophesee_header import PropheseeSource, make_header, parse_header
from eventio.recording import EVENT_DTYPE, EventArray, Recording
from eventio.source import BLOCK_EVENTS, Findings, read_words

NAME = "evt2"
TITLE = "Prophesee EVT 2.0 (.raw)"
SUFFIXES = (".raw",)
VERSION = "2.0"
WORD_BYTES = 4
MAX_TIME_US = (1 << 34) - 1
MAX_COORDINATE = 2047
USUAL_SIZES: tuple[tuple[int, int], ...] = ((304, 240), (640, 480), (1280, 720), (2048, 2048))
KINDS = {0xA: "external triggers", 0xE: "other words", 0xF: "continued words"}


class Evt2Source(PropheseeSource):
    """
    Reader of one EVT 2.0 file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, USUAL_SIZES)

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        self.findings = Findings()
        room = np.empty(BLOCK_EVENTS, EVENT_DTYPE)
        state, counts = np.array([-1, 0], np.int64), np.zeros(17, np.int64)
        pieces = read_words(
            self.path,
            self.findings,
            start=self.header.n_bytes,
            word_bytes=WORD_BYTES,
            n_words=BLOCK_EVENTS,
        )
        for piece in pieces:
            n_events = kernels.decode(np.frombuffer(piece, "<u4"), state, counts, room)
            if n_events:
                yield room[:n_events]
        for kind in range(16):
            self.findings.add_skipped(KINDS.get(kind, "unknown words"), int(counts[kind]))
        self.findings.add_skipped("events before the first time", int(counts[kernels.WAITING]))


def matches(head: bytes) -> bool:
    """
    Say whether a file starts like this format.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        The header names EVT 2.0.
    """
    return parse_header(head).version == VERSION


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Times in 0..2**34-1 us, a sensor of at most 2048 by 2048 pixels.

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        An event does not fit.
    """
    events = recording.events
    if max(recording.width, recording.height) > MAX_COORDINATE + 1:
        raise FormatError(
            f"a {recording.width}x{recording.height} sensor does not fit EVT 2.0 (at most 2048x2048)"
        )
    is_bad = (events["t"] < 0) | (events["t"] > MAX_TIME_US)
    is_bad[1:] |= np.diff(events["t"] >> 6) < -kernels.HALF_RANGE
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        raise FormatError(
            f"event {first}: t = {events['t'][first]} does not fit EVT 2.0 (0..{MAX_TIME_US} us, no "
            "step back of half of that); shift or sort the times"
        )
    yield make_header(VERSION, "EVT2", recording.width, recording.height)
    high = -1
    for start in range(0, len(events), BLOCK_EVENTS):
        block = events[start : start + BLOCK_EVENTS]
        words = np.empty(2 * len(block), np.dtype("<u4"))
        n_words, high = kernels.encode(block, high, words)
        yield words[:n_words].tobytes()
