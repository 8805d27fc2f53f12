"""
The headerless 40-bit format of N-MNIST and N-Caltech101.

Each event is five bytes: x, y, then one bit of polarity (1 is ON) and 23 bits of time in microseconds,
highest byte first. A word with y = 240 is no event; it adds 8192 us to every later time.

Source: Orchard, Jayawant, Cohen, Thakor, "Converting static image datasets to spiking neuromorphic datasets
using saccades", Front. Neurosci. 9:437, 2015, and the file description published with the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.errors import FormatError
from eventio.formats.nmnist import _kernels as kernels
from eventio.recording import EventArray, Recording
from eventio.word_pieces import FilePieces, Layout
from eventio.word_source import State, WordSource
from eventio.word_writing import encode_blocks

NAME = "nmnist"
TITLE = "headerless 40-bit events (N-MNIST .bin)"
SUFFIXES = (".bin", ".bs2")
WORD_BYTES = 5
MAX_TIME_US = (1 << 23) - 1
USUAL_SIZES: tuple[tuple[int, int], ...] = ((34, 34), (240, 180), (304, 240))


class NmnistSource(WordSource):
    """
    Reader of one headerless 40-bit file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, Layout(0, "u1", WORD_BYTES, unit="an event"), USUAL_SIZES)

    def first_state(self) -> State:
        """
        Give the state the decoder begins with.

        Returns
        -------
        ndarray
            int64.
        """
        return np.zeros(kernels.N_STATE, np.int64)

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
        self.findings.add_skipped("time overflow words", int(state[kernels.N_OVERFLOWS]))


def matches(head: bytes) -> bool:
    """
    Say whether a file starts like this format: never certain, since it has no header.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        Always False; the file's suffix decides.
    """
    del head
    return False


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Times within 0..8388607 us, x within 0..255, y within 0..255 but not 240.

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        An event does not fit into 40 bits.
    """
    events = recording.events
    first = int(kernels.find_misfit(events, MAX_TIME_US))
    if first >= 0:
        t, x, y, _ = events[first].tolist()
        raise FormatError(
            f"event {first}: t = {t}, x = {x}, y = {y} does not fit the 40-bit format (t in 0..{MAX_TIME_US} us, x in "
            f"0..255, y in 0..255 without {kernels.TIME_OVERFLOW_ROW}); shift or crop the events, or write a .raw file"
        )

    def encode_block(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        words = np.empty((len(block), WORD_BYTES), np.uint8)
        kernels.encode(block, words)
        return words

    yield from encode_blocks(events, encode_block)
