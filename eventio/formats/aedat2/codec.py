"""
AEDAT 2.0 in .aedat files: lines of text, then pairs of 32-bit address and 32-bit time in microseconds.

Both numbers have their highest byte first. The chip decides what an address means, so it must be known. Times
are read as unsigned; one that falls by more than half its range is a wrap (every 71.6 minutes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.errors import FormatError
from eventio.formats.aedat2 import _kernels as kernels
from eventio.formats.aedat2.chips import Chip, find_by_size, find_chip, read_header
from eventio.formats.aedat2.companions import OTHER_DTYPE, OTHER_ROOM, SCALE_NOTE, Assembler
from eventio.recording import EventArray, Recording
from eventio.word_pieces import FilePieces, Layout
from eventio.word_source import State, WordSource
from eventio.word_writing import Limits, check_size, encode_blocks

NAME = "aedat2"
TITLE = "AEDAT 2 (.aedat)"
SUFFIXES = (".aedat",)
START = b"#!AER-DAT2"
MAX_TIME_US = (1 << 32) - 1
LIMITS = Limits(
    "AEDAT 2",
    1024,
    MAX_TIME_US,
    f"0..{MAX_TIME_US} us, no step of more than {kernels.HALF_WRAP_US}; shift the times",
    most_back=kernels.HALF_WRAP_US,
    most_ahead=kernels.HALF_WRAP_US,
)
KINDS = {
    kernels.EXTERNAL: "external inputs",
    kernels.APS: "frame (APS) words",
    kernels.IMU: "inertial (IMU) words",
    kernels.UNKNOWN: "unknown words",
}


class Aedat2Source(WordSource):
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
        n_header_bytes, name = read_header(path)
        self.chip = chip or find_chip(name, path)
        size = self.chip.width, self.chip.height
        super().__init__(path, Layout(n_header_bytes, "<u4", 2, unit="an event"), (size,))
        self.width, self.height = size
        self.address_space = self.chip.address_space
        self.conversions = (self.chip.conversion,)
        self._others = np.empty(0, OTHER_DTYPE)
        self._assembler = Assembler(*size)

    def first_state(self) -> State:
        """
        Give the state the decoder begins with.

        Returns
        -------
        ndarray
            int64; no time is known.
        """
        self._others = np.empty(OTHER_ROOM if self.keeps_companions else 0, OTHER_DTYPE)
        self._assembler = Assembler(self.chip.width, self.chip.height)
        state = np.zeros(kernels.N_STATE, np.int64)
        state[kernels.RAW_T] = -1
        state[[kernels.WIDTH, kernels.HEIGHT]] = self.chip.width, self.chip.height
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
        n_events, n_others = kernels.decode_pieces(pieces.kernel, self.chip.layout, state, room, self._others)
        if n_others:
            self._assembler.add(self._others[:n_others], self.findings.companions, self.chip.layout)
        return int(n_events)

    def conclude(self, state: State) -> None:
        """
        Add what was counted to the findings.

        Parameters
        ----------
        state : ndarray
            At the end of the file.
        """
        for place, kind in KINDS.items():
            self.findings.add_skipped(kind, int(state[kernels.COUNTS + place]))
        self.findings.add_skipped("unfinished frames", self._assembler.n_unfinished)
        if state[kernels.COUNTS + kernels.IMU]:
            self.findings.conversions += (SCALE_NOTE,)
        self.findings.add_wraps(int(state[kernels.N_WRAPS]), kernels.WRAP_US)


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
    size = recording.width, recording.height
    chip = chip or find_by_size(*size)
    if size != (chip.width, chip.height):
        raise FormatError(
            f"a {size[0]}x{size[1]} sensor is no {chip.name} ({chip.width}x{chip.height}); put the events into a "
            "recording of that size"
        )
    check_size(recording, LIMITS)
    lines = (
        "#!AER-DAT2.0",
        "# This is a raw AE data file - do not edit",
        "# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event",
        "# Timestamps tick is 1 us",
        f"# AEChip: {chip.aer_name}",
        "#End Of ASCII Header",
    )
    yield "".join(f"{line}\r\n" for line in lines).encode()
    is_davis = chip.layout == kernels.DAVIS

    def encode_block(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        words = np.empty((len(block), 2), np.dtype("<u4"))
        kernels.encode(block, size, is_davis, words)
        return words

    yield from encode_blocks(recording.events, encode_block, LIMITS)
