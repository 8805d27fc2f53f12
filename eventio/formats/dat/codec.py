"""
Prophesee .dat files, version 2: lines of text, two bytes for the kind and size of an event, then the events.

An event is a 32-bit time in microseconds and 32 bits of x (14), y (14) and polarity (1 is ON). A time that
falls by more than half its range is a wrap (every 71.6 minutes).

Source: Prophesee's public description of the DAT file format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.errors import FormatError
from eventio.formats.dat import _kernels as kernels
from eventio.prophesee_header import Header, parse_header, read_header
from eventio.recording import EventArray, Recording
from eventio.word_pieces import FilePieces, Layout
from eventio.word_source import State, WordSource
from eventio.word_writing import Limits, check_size, encode_blocks

NAME = "dat"
TITLE = "Prophesee .dat"
SUFFIXES = (".dat",)
EVENT_BYTES = 8
PIXEL_EVENTS = (0x00, 0x0C)
OTHER_EVENTS = {0x01: "grey levels", 0x0E: "external triggers"}
MAX_TIME_US = (1 << 32) - 1
MAX_SIDE = 1 << 14
LIMITS = Limits(
    ".dat",
    MAX_SIDE,
    MAX_TIME_US,
    f"0..{MAX_TIME_US} us, no step back of more than {kernels.HALF_WRAP_US}; shift or sort the times",
    most_back=kernels.HALF_WRAP_US,
)
USUAL_SIZES: tuple[tuple[int, int], ...] = ((120, 100), (304, 240), (640, 480), (1280, 720))


class DatSource(WordSource):
    """
    Reader of one .dat file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        The file is of another version, holds other events, or its header gives an impossible size.
    """

    def __init__(self, path: Path) -> None:
        self.header = read_header(path)
        layout = Layout(self.header.n_bytes + 2, "<u4", 2, unit="an event")
        super().__init__(path, layout, USUAL_SIZES)
        version = self.header.fields.get("version", "2")
        if version != "2":
            raise FormatError(
                f"{path}: is a .dat file of version {version[:20]!r}, and only 2 is read; convert it with its own tools"
            )
        size = find_size(self.header, path)
        if size is not None:
            self.width, self.height = size
        self._check_kind()

    def _check_kind(self) -> None:
        """Refuse events that are no pixel events; a file that ends before it says so is seen while reading."""
        with self.path.open("rb") as file:
            file.seek(self.header.n_bytes)
            kind_and_size = file.read(2)
        if len(kind_and_size) < 2:
            return
        kind, size = kind_and_size
        if kind not in PIXEL_EVENTS or size != EVENT_BYTES:
            what = OTHER_EVENTS.get(kind, "unknown events")
            raise FormatError(
                f"{self.path}: byte {self.header.n_bytes} says events of kind {kind} ({what}) with {size} bytes; "
                f"read are pixel events, kinds 0 and 12 with {EVENT_BYTES} bytes"
            )

    def first_state(self) -> State:
        """
        Give the state the decoder begins with.

        Returns
        -------
        ndarray
            int64; no time is known.
        """
        state = np.zeros(kernels.N_STATE, np.int64)
        state[kernels.RAW_T] = -1
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
        return int(kernels.decode_pieces(pieces.kernel, state, room))

    def conclude(self, state: State) -> None:
        """
        Add what was counted to the findings.

        Parameters
        ----------
        state : ndarray
            At the end of the file.
        """
        if self.n_bytes < self.layout.start:
            at = self.layout.start - 2
            self.findings.truncation = f"the file ends at byte {at}, before the kind of its events"
        self.findings.add_wraps(int(state[kernels.BASE]) // kernels.WRAP_US, kernels.WRAP_US)
        n_odd = int(state[kernels.N_ODD])
        if n_odd:
            self.findings.conversions += (f"unknown bits 29 to 31 of {n_odd} events left out",)


def find_size(header: Header, path: Path) -> tuple[int, int] | None:
    """
    Find the sensor's size in a header.

    Parameters
    ----------
    header : Header
        Of the file.
    path : Path
        The file, for messages.

    Returns
    -------
    tuple of (int, int) or None
        Width and height; None when the header does not say both.

    Raises
    ------
    FormatError
        The header names a size that 14-bit coordinates cannot have.
    """
    texts = [header.fields.get(name) for name in ("width", "height")]
    if None in texts:
        return None
    sides = [int(text) if text and re.fullmatch(r"\d{1,5}", text) else 0 for text in texts]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise FormatError(
            f"{path}: the header gives the sensor's width and height as {texts[0]!r} and {texts[1]!r}, which must be "
            f"whole numbers in 1..{MAX_SIDE}; correct the header"
        )
    return sides[0], sides[1]


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
        The header says that it is a data file, and names no EVT encoding.
    """
    header = parse_header(head)
    is_data = header.fields.get("data", "").lower().startswith("file containing")
    return is_data and header.version is None


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Times in 0..2**32-1 us, a sensor of at most 16384 by 16384 pixels.

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
    lines = ("Data file containing CD events.", "Version 2", f"Height {recording.height}")
    yield "".join(f"% {line}\n" for line in (*lines, f"Width {recording.width}")).encode()
    yield bytes((0x0C, EVENT_BYTES))

    def encode_block(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        words = np.empty((len(block), 2), np.dtype("<u4"))
        kernels.encode(block, words)
        return words

    yield from encode_blocks(recording.events, encode_block, LIMITS)
