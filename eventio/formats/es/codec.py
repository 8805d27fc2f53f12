"""
Event Stream 2 in .es files: of DVS and ATIS cameras, of colour and of generic events.

A header of 20 bytes says the version, the kind of events and the sensor's size (16 bytes and none for generic ones).
Each event holds the time since the one before it; longer times come as overflow bytes. y is counted from the bottom
row. Exposure measurements of an ATIS, colour and generic events have no polarity and are companions: streams of the
names in `KINDS`.

Source: the description published with the Event Stream format.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from eventio.companions import EXPOSURE_DTYPE, StructuredArray
from eventio.errors import FormatError
from eventio.formats.es import _kernels as kernels
from eventio.formats.es.streams import (
    COLOUR_DTYPE,
    DECODED_COLOUR_DTYPE,
    DECODED_EXPOSURE_DTYPE,
    HEAD_DTYPE,
    KINDS,
    gather_generic,
    split_places,
)
from eventio.recording import EventArray
from eventio.source import BLOCK_EVENTS
from eventio.word_pieces import FilePieces, Layout
from eventio.word_source import State, WordSource

NAME = "es"
TITLE = "Event Stream (.es)"
SUFFIXES = (".es",)
START = b"Event Stream"
HEADER_BYTES, GENERIC_HEADER_BYTES = 20, 16
GENERIC, DVS, ATIS, COLOUR = 0, 1, 2, 4
UNIT_BYTES = {GENERIC: 2, DVS: 5, ATIS: 5, COLOUR: 8}


class EsSource(WordSource):
    """
    Reader of one Event Stream file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        The header breaks off, or names a version, kind or size that is not read.
    """

    def __init__(self, path: Path) -> None:
        self.kind, self.sensor = read_header(path)
        n_bytes = HEADER_BYTES if self.sensor else GENERIC_HEADER_BYTES
        layout = Layout(n_bytes, "u1", unit="an event", unit_bytes=UNIT_BYTES[self.kind])
        super().__init__(path, layout, (self.sensor or (1, 1),))
        if self.sensor is not None:
            self.width, self.height = self.sensor
            self.conversions = ("y counted from the top",)
        room = {ATIS: DECODED_EXPOSURE_DTYPE, COLOUR: DECODED_COLOUR_DTYPE}.get(self.kind, HEAD_DTYPE)
        self._others: StructuredArray = np.empty(BLOCK_EVENTS, room)
        self._n_others = 0
        self._generic: list[tuple[StructuredArray, npt.NDArray[np.uint8]]] = []

    def expect_events(self) -> int:
        """
        Say how many events the file can hold at most.

        Returns
        -------
        int
            One in five bytes, or none.
        """
        return super().expect_events() // kernels.EVENT_BYTES if self.kind in (DVS, ATIS) else 0

    def first_state(self) -> State:
        """
        Give the state the decoder begins with.

        Returns
        -------
        ndarray
            int64, at time 0.
        """
        self._n_others = 0
        self._generic = []
        state = np.zeros(kernels.N_STATE, np.int64)
        state[kernels.HEIGHT] = self.sensor[1] if self.sensor else 0
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
        if self.kind == DVS:
            return int(kernels.decode_dvs_pieces(pieces.kernel, state, room))
        words, n_events, n_others = pieces.words, 0, 0
        if self.kind == ATIS:
            n_used, n_events, n_others = kernels.decode_atis(words, state, room, self._others)
        elif self.kind == COLOUR:
            n_used, n_others = kernels.decode_colour(words, state, self._others)
        else:
            n_used, n_others = kernels.decode_generic(words, state, self._others)
        self._n_others += n_others
        if self.keeps_companions and n_others:
            self._keep(self._others[:n_others], words)
        pieces.take(n_used)
        return int(n_events)

    def _keep(self, others: StructuredArray, data: npt.NDArray[np.uint8]) -> None:
        if self.kind == GENERIC:
            self._generic.append((others.copy(), data.copy()))
            return
        dtype = EXPOSURE_DTYPE if self.kind == ATIS else COLOUR_DTYPE
        self.findings.companions.add(KINDS[self.kind], split_places(others, dtype))

    def conclude(self, state: State) -> None:
        """
        Add what was counted to the findings.

        Parameters
        ----------
        state : ndarray
            At the end of the file.
        """
        self.findings.add_skipped("padding bytes", int(state[kernels.PADDING]))
        if self.kind != DVS:
            self.findings.add_skipped(KINDS[self.kind], self._n_others)
        if self._generic:
            self.findings.companions.add(KINDS[GENERIC], gather_generic(self._generic, self.path))


def read_header(path: Path) -> tuple[int, tuple[int, int] | None]:
    """
    Read the header of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tuple of (int, tuple of (int, int) or None)
        The kind of events, and the sensor's width and height where the kind has one.

    Raises
    ------
    FormatError
        It breaks off, or names a version, kind or size that is not read.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if not head.startswith(START) or len(head) < GENERIC_HEADER_BYTES:
        raise FormatError(f"{path}: breaks off at byte {len(head)} within the header of an Event Stream")
    version, kind = ".".join(str(number) for number in head[12:15]), head[15]
    if head[12] != 2:
        raise FormatError(f"{path}: bytes 12 to 14 say Event Stream {version}, and only 2 is read")
    if kind not in UNIT_BYTES:
        raise FormatError(
            f"{path}: byte 15 says kind {kind}, unknown events; read are generic ones (0) and those of a DVS (1), an "
            "ATIS (2) and a colour camera (4)"
        )
    if kind == GENERIC:
        return kind, None
    if len(head) < HEADER_BYTES:
        raise FormatError(f"{path}: breaks off at byte {len(head)} within the header of an Event Stream")
    width, height = int.from_bytes(head[16:18], "little"), int.from_bytes(head[18:20], "little")
    if 0 in (width, height):
        raise FormatError(
            f"{path}: bytes 16 to 19 say a sensor of {width}x{height} pixels; correct the header"
        )
    return kind, (width, height)


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
        It does.
    """
    return head.startswith(START)
