"""
Prophesee EVT 2.0 in .raw files: 32-bit words, time in 28 upper and 6 lower bits of microseconds.

A TIME_HIGH that falls by more than half its range is a wrap; one that falls by less is time running
backwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.formats.evt2 import _kernels as kernels
from eventio.prophesee_header import PropheseeSource, make_header, parse_header
from eventio.recording import EventArray, Recording
from eventio.word_pieces import FilePieces
from eventio.word_source import State
from eventio.word_writing import Limits, check_size, encode_blocks

NAME = "evt2"
TITLE = "Prophesee EVT 2.0 (.raw)"
SUFFIXES = (".raw",)
VERSION = "2.0"
MAX_TIME_US = (1 << 34) - 1
MAX_COORDINATE = 2047
USUAL_SIZES: tuple[tuple[int, int], ...] = ((304, 240), (640, 480), (1280, 720), (2048, 2048))
LIMITS = Limits(
    "EVT 2.0",
    MAX_COORDINATE + 1,
    MAX_TIME_US,
    f"0..{MAX_TIME_US} us, no step back of half of that; shift or sort the times",
    clock_shift=6,
    most_back=kernels.HALF_RANGE,
)
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
        super().__init__(path, USUAL_SIZES, "<u4")

    def first_state(self) -> State:
        """
        Give the state the decoder begins with.

        Returns
        -------
        ndarray
            int64; no time is known.
        """
        state = np.zeros(kernels.N_STATE, np.int64)
        state[kernels.HIGH] = -1
        return state

    def decode(self, pieces: FilePieces, state: State, room: EventArray) -> int:
        """
        Write the events of the next words.

        Parameters
        ----------
        pieces : FilePieces
            The file; what is used is taken.
        state : ndarray
            As `first_state` gives it; changed.
        room : ndarray
            Of PLACED_DTYPE.

        Returns
        -------
        int
            How many.
        """
        n_events, n_triggers = kernels.decode_pieces(pieces.kernel, state, room, self.triggers.events)
        self.triggers.keep(n_triggers, self)
        return int(n_events)

    def conclude(self, state: State) -> None:
        """
        Add what was counted to the findings.

        Parameters
        ----------
        state : ndarray
            At the end of the file.
        """
        self.add_counts(state[kernels.COUNTS :], KINDS)
        self.findings.add_skipped("events before the first time", int(state[kernels.WAITING]))
        self.findings.add_wraps(int(state[kernels.BASE]) // (MAX_TIME_US + 1), MAX_TIME_US + 1)


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
    check_size(recording, LIMITS)
    yield make_header(VERSION, "EVT2", recording.width, recording.height)
    high = -1

    def encode_block(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        nonlocal high
        words = np.empty(2 * len(block), np.dtype("<u4"))
        n_words, high = kernels.encode(block, high, words)
        return words[:n_words]

    yield from encode_blocks(recording.events, encode_block, LIMITS)
