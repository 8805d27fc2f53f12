"""
Prophesee EVT 3.0 in .raw files: 16-bit words that each change a part of time, row and column.

Time has 12 upper and 12 lower bits of microseconds. A TIME_HIGH that falls by more than half its range is a
wrap (every 16.8 s); a TIME_LOW that falls while TIME_HIGH stays is time running backwards, as real cameras
send it, and no wrap. A TIME_HIGH that changes sets the lower bits to 0 until the next TIME_LOW. Vectors need
not come as 12, 12 and 8 bits: each word stands for itself. Triggers, padding and continued words are counted
and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.formats.evt3 import _kernels as kernels
from eventio.prophesee_header import PropheseeSource, make_header, parse_header
from eventio.recording import EventArray, Recording
from eventio.word_pieces import FilePieces
from eventio.word_source import State
from eventio.word_writing import Limits, check_size, encode_blocks

NAME = "evt3"
TITLE = "Prophesee EVT 3.0 (.raw)"
SUFFIXES = (".raw",)
VERSION = "3.0"
MAX_TIME_US = (1 << 34) - 1
MAX_COORDINATE = 2047
USUAL_SIZES: tuple[tuple[int, int], ...] = ((320, 320), (640, 480), (1280, 720), (2048, 2048))
LIMITS = Limits(
    "EVT 3.0",
    MAX_COORDINATE + 1,
    MAX_TIME_US,
    f"0..{MAX_TIME_US} us, no step back over a wrap of 24 bits or by half of one; shift or sort the times, or write "
    "EVT 2.0 (format='evt2')",
    clock_shift=12,
    most_back=kernels.HALF_RANGE,
    wrap_shift=24,
)
KINDS = {
    0x7: "continued words",
    0x9: "padding words",
    0xA: "external triggers",
    0xE: "other words",
    0xF: "continued words",
}
LACKS = {
    kernels.WAITING: "events before the first time",
    kernels.ROWLESS: "events before the first row",
    kernels.BASELESS: "events before the first base of a vector",
}


class Evt3Source(PropheseeSource):
    """
    Reader of one EVT 3.0 file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, USUAL_SIZES, "<u2")

    def expect_events(self) -> int:
        """
        Guess the number of events.

        Returns
        -------
        int
            By those of some words, a quarter more.
        """
        return self.extrapolate(lambda words: int(kernels.count_events(words)))

    def first_state(self) -> State:
        """
        Give the state the decoder begins with.

        Returns
        -------
        ndarray
            int64; nothing is known.
        """
        state = np.zeros(kernels.N_STATE, np.int64)
        state[[kernels.HIGH, kernels.ROW, kernels.COLUMN]] = -1
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
        for place, name in LACKS.items():
            self.findings.add_skipped(name, int(state[place]))
        self.findings.add_wraps(int(state[kernels.WRAPS]) // kernels.WRAP_US, kernels.WRAP_US)


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
        The header names EVT 3.0.
    """
    return parse_header(head).version == VERSION


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Times in 0..2**34-1 us, a sensor of at most 2048 by 2048 pixels; time may run backwards only between
        two wraps of the 24-bit time.

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
    yield make_header(VERSION, "EVT3", recording.width, recording.height)
    state = np.full(3, -1, np.int64)

    def encode_block(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        n_hops = int(kernels.count_hops(block, state))
        words = np.empty(4 * len(block) + n_hops + 8, np.dtype("<u2"))
        return words[: kernels.encode(block, state, words)]

    yield from encode_blocks(recording.events, encode_block, LIMITS)
