"""
Prophesee EVT 2.1 in .raw files: 64-bit words that each hold up to 32 neighbouring events of one row.

Time is as in EVT 2.0: 28 upper and 6 lower bits of microseconds. There are two byte orders: "little" (lower half of a
word first) and "legacy" (upper half first). The header says which; where it does not, the order whose first words
have more known kinds is taken, and noted.

Source: Prophesee's public description of the EVT 2.1 format.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.formats.evt21 import _kernels as kernels
from eventio.prophesee_header import Header, PropheseeSource, make_header, parse_header
from eventio.recording import EventArray, Recording
from eventio.word_pieces import FilePieces
from eventio.word_source import State
from eventio.word_writing import Limits, check_size, encode_blocks

NAME = "evt21"
LEGACY = "evt21-legacy"
TITLE = "Prophesee EVT 2.1 (.raw)"
SUFFIXES = (".raw",)
VERSION = "2.1"
WORD_BYTES = 8
MAX_TIME_US = (1 << 34) - 1
MAX_COORDINATE = 2047
USUAL_SIZES: tuple[tuple[int, int], ...] = ((320, 320), (640, 480), (1280, 720), (2048, 2048))
LIMITS = Limits(
    "EVT 2.1",
    MAX_COORDINATE + 1,
    MAX_TIME_US,
    f"0..{MAX_TIME_US} us, no step back of half of that; shift or sort the times",
    clock_shift=6,
    most_back=kernels.HALF_RANGE,
)
KINDS = {0xA: "external triggers", 0xE: "other words", 0xF: "continued words"}
KNOWN_KINDS = (kernels.OFF, kernels.ON, kernels.TIME_HIGH, *KINDS)
LOOKED_AT_BYTES = WORD_BYTES * 4096


class Evt21Source(PropheseeSource):
    """
    Reader of one EVT 2.1 file.

    Parameters
    ----------
    path : Path
        The file.
    is_legacy : bool, optional
        Whether the upper half of a word comes first, where it is known better than the header says.
    """

    def __init__(self, path: Path, *, is_legacy: bool | None = None) -> None:
        super().__init__(path, USUAL_SIZES, "<u4", 2)
        order = find_order(self.header)
        self.is_order_guessed = is_legacy is None and order is None
        if is_legacy is None:
            is_legacy = order == "legacy" if order is not None else guess_is_legacy(path, self.header)
        self.is_legacy = is_legacy
        if self.is_order_guessed:
            order = "legacy" if self.is_legacy else "little"
            self.conversions = (f"byte order {order!r}, by the look of the words",)

    def expect_events(self) -> int:
        """
        Guess the number of events.

        Returns
        -------
        int
            By those of some words, a quarter more.
        """
        return self.extrapolate(lambda words: int(kernels.count_events(words, self._upper)))

    @property
    def _upper(self) -> int:
        return 0 if self.is_legacy else 1

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
        triggers = self.triggers.events
        n_events, n_triggers = kernels.decode_pieces(pieces.kernel, self._upper, state, room, triggers)
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


def find_order(header: Header) -> str | None:
    """
    Find the byte order in a header.

    Parameters
    ----------
    header : Header
        Of the file.

    Returns
    -------
    str or None
        Such as "little" or "legacy"; None when it is not said.
    """
    for part in header.fields.get("format", "").split(";"):
        key, _, value = part.strip().lower().partition("=")
        if key == "endianness":
            return value
    return header.fields.get("endianness")


def guess_is_legacy(path: Path, header: Header) -> bool:
    """
    Tell the byte order from the first words.

    The right one gives more known kinds, and when equal more words of time, whose lower half is empty.

    Parameters
    ----------
    path : Path
        The file.
    header : Header
        Its header.

    Returns
    -------
    bool
        The upper half comes first; False when both look alike.
    """
    with path.open("rb") as file:
        file.seek(header.n_bytes)
        data = file.read(LOOKED_AT_BYTES)
    words = np.frombuffer(data[: len(data) - len(data) % WORD_BYTES], "<u4").reshape(-1, 2)
    scores = []
    for upper, lower in ((words[:, 0], words[:, 1]), (words[:, 1], words[:, 0])):
        kinds = upper >> 28
        n_times = int(((kinds == kernels.TIME_HIGH) & (lower == 0)).sum())
        scores.append((int(np.isin(kinds, KNOWN_KINDS).sum()), n_times))
    return scores[0] > scores[1]


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
        The header names EVT 2.1.
    """
    return parse_header(head).version == VERSION


def encode(recording: Recording, *, is_legacy: bool = False) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Times in 0..2**34-1 us, a sensor of at most 2048 by 2048 pixels.
    is_legacy : bool
        The upper half of a word comes first.

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
    order = "legacy" if is_legacy else "little"
    name, more = f"EVT21;endianness={order}", (f"endianness {order}",)
    yield make_header(VERSION, name, recording.width, recording.height, more=more)
    high = -1

    def encode_block(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        nonlocal high
        words = np.empty((2 * len(block), 2), np.dtype("<u4"))
        n_words, high = kernels.encode(block, high, 0 if is_legacy else 1, words)
        return words[:n_words]

    yield from encode_blocks(recording.events, encode_block, LIMITS)
