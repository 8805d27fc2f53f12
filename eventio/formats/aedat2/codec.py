"""
AEDAT 2.0 in .aedat files: lines of text, then pairs of 32-bit address and 32-bit time in microseconds.

Both numbers have their highest byte first. The chip decides what an address means, so it must be known. Times
are read as unsigned; one that falls by more than half its range is a wrap (every 71.6 minutes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eventio.errors import FormatError
from eventio.formats.aedat2 import _kernels as kernels
from eventio.formats.aedat2.chips import Chip, find_by_size, find_chip, read_header
from eventio.recording import EVENT_DTYPE, EventArray, Recording
from eventio.source import BLOCK_EVENTS, Findings, read_words

NAME = "aedat2"
TITLE = "AEDAT 2 (.aedat)"
SUFFIXES = (".aedat",)
START = b"#!AER-DAT2"
WORD_BYTES = 8
MAX_TIME_US = (1 << 32) - 1
KINDS = {
    kernels.EXTERNAL: "external inputs",
    kernels.APS: "frame (APS) words",
    kernels.IMU: "inertial (IMU) words",
    kernels.UNKNOWN: "unknown words",
}


class Aedat2Source:
    """
    Reader of one AEDAT 2.0 file.

    Parameters
    ----------
    path : Path
        The file.
    chip : Chip, optional
        The chip, where it is known better than the header says.

    Raises
    ------
    FormatError
        The header names no known chip.
    """

    def __init__(self, path: Path, chip: Chip | None = None) -> None:
        self.path = path
        self.n_header_bytes, name = read_header(path)
        self.chip = chip or find_chip(name, path)
        self.width: int | None = self.chip.width
        self.height: int | None = self.chip.height
        self.usual_sizes: tuple[tuple[int, int], ...] = ((self.chip.width, self.chip.height),)
        self.findings = Findings()

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        chip = self.chip
        conversion = f"x mirrored and y counted from the top, as pixels of a {chip.name}"
        self.findings = Findings(conversions=(conversion,))
        room = np.empty(BLOCK_EVENTS, EVENT_DTYPE)
        state, counts = np.array([-1, 0, 0], np.int64), np.zeros(kernels.N_COUNTS, np.int64)
        pieces = read_words(
            self.path,
            self.findings,
            start=self.n_header_bytes,
            word_bytes=WORD_BYTES,
            n_words=BLOCK_EVENTS,
            unit="an event",
        )
        for piece in pieces:
            words = np.frombuffer(piece, "<u4").reshape(-1, 2)
            if chip.is_davis:
                n_events = kernels.decode_davis(words, (chip.width, chip.height), state, counts, room)
            else:
                n_events = kernels.decode_dvs128(words, state, counts, room)
            if n_events:
                yield room[:n_events]
        for place, kind in KINDS.items():
            self.findings.add_skipped(kind, int(counts[place]))
        self.findings.add_wraps(int(state[2]), kernels.WRAP_US)


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
        The first line names AEDAT 2.
    """
    return head.startswith(START)


def encode(recording: Recording, chip: Chip | None = None) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Times in 0..2**32-1 us, a sensor of the size of a known chip.
    chip : Chip, optional
        The chip to write for; found by the sensor's size when not given.

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        An event does not fit.
    """
    events, size = recording.events, (recording.width, recording.height)
    chip = chip or find_by_size(*size)
    if size != (chip.width, chip.height):
        raise FormatError(
            f"a {size[0]}x{size[1]} sensor is no {chip.name} ({chip.width}x{chip.height}); put the events into a "
            "recording of that size"
        )
    is_bad = (events["t"] < 0) | (events["t"] > MAX_TIME_US)
    steps_far = np.diff(events["t"], prepend=events["t"][:1])
    is_bad |= np.abs(steps_far) > kernels.HALF_WRAP_US
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        raise FormatError(
            f"event {first}: t = {events['t'][first]} does not fit AEDAT 2 (0..{MAX_TIME_US} us, no step of more "
            f"than {kernels.HALF_WRAP_US}); shift the times"
        )
    lines = (
        "#!AER-DAT2.0",
        "# This is a raw AE data file - do not edit",
        "# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event",
        "# Timestamps tick is 1 us",
        f"# AEChip: {chip.aer_name}",
        "#End Of ASCII Header",
    )
    yield "".join(f"{line}\r\n" for line in lines).encode()
    for start in range(0, len(events), BLOCK_EVENTS):
        block = events[start : start + BLOCK_EVENTS]
        words = np.empty((len(block), 2), np.dtype("<u4"))
        kernels.encode(block, size, chip.is_davis, words)
        yield words.tobytes()
