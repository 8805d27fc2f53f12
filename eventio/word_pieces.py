"""A file of binary words piece by piece: what its words are like, and the piece that decoders take them from."""

from __future__ import annotations

from dataclasses import dataclass
from io import RawIOBase
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels_files as kernels

PIECE_BYTES = 1 << 16
"""How much of a file a kernel reads at once: it is still in the processor's cache when it is decoded."""
PAGE_BYTES = 4096
"""Where a piece begins in memory: at a multiple, which the system copies to faster."""


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How a file is made of words.

    Attributes
    ----------
    start : int
        Byte at which the words begin.
    dtype : str
        NumPy's name of a number of the file.
    n_numbers : int
        Numbers in a word.
    unit : str
        What to call what the file may break off in, with its article.
    unit_bytes : int
        Its size.
    piece_bytes : int
        How much of the file is read at once.
    """

    start: int
    dtype: str
    n_numbers: int = 1
    unit: str = "a word"
    unit_bytes: int = 0
    piece_bytes: int = PIECE_BYTES

    @property
    def word_bytes(self) -> int:
        """Size of a word."""
        return np.dtype(self.dtype).itemsize * self.n_numbers


class FilePieces:
    """
    The words of a file, of which a piece at a time is in memory.

    Parameters
    ----------
    file : file
        Open for reading, without a buffer of its own.
    layout : Layout
        Of its words.
    start : int
        Byte at which to begin, at a word.
    n_bytes : int
        Byte at which to end; what stands behind is not read.

    Attributes
    ----------
    kernel : Pieces
        The same for kernels, which read on without coming back here.
    """

    def __init__(self, file: RawIOBase, layout: Layout, start: int, n_bytes: int) -> None:
        room = np.empty(layout.piece_bytes + PAGE_BYTES, np.uint8)
        begin = -room.ctypes.data % PAGE_BYTES
        buffer = room[begin : begin + layout.piece_bytes // layout.word_bytes * layout.word_bytes]
        numbers = buffer.view(layout.dtype)
        words = numbers if layout.n_numbers == 1 else numbers.reshape(-1, layout.n_numbers)
        state = np.zeros(kernels.N_PLACES, np.int64)
        state[[kernels.DESCRIPTOR, kernels.POSITION, kernels.N_BYTES]] = file.fileno(), start, n_bytes
        self.kernel = kernels.Pieces(state, buffer, words)
        self._file = file
        self._word_bytes = layout.word_bytes
        self._seen = -1

    @property
    def position(self) -> int:
        """Byte of the file behind what is decoded."""
        return int(self.kernel.state[kernels.POSITION] + self.kernel.state[kernels.N_USED])

    @property
    def words(self) -> npt.NDArray[Any]:
        """The words in memory that are not decoded: numbers, shape (n,) or (n, n_numbers)."""
        used, filled = self.kernel.state[[kernels.N_USED, kernels.N_FILLED]] // self._word_bytes
        return self.kernel.words[used:filled]

    def take(self, n_words: int) -> None:
        """
        Note that words are decoded.

        Parameters
        ----------
        n_words : int
            How many of those that were not.
        """
        self.kernel.state[kernels.N_USED] += n_words * self._word_bytes

    def fill(self) -> bool:
        """
        See to it that there are words to decode, more of them where none was taken since the last time.

        Returns
        -------
        bool
            False at the end of the file.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        self.kernel.state[kernels.N_TAKEN] = 0
        is_stuck, self._seen = self.position == self._seen, self.position
        while is_stuck or not len(self.words):
            if not self._read():
                return False
            is_stuck = False
        return True

    def _read(self) -> int:
        """Move what is not decoded to the front and read on behind it; return how many bytes came."""
        state, buffer = self.kernel.state, self.kernel.buffer
        used, filled = int(state[kernels.N_USED]), int(state[kernels.N_FILLED])
        n_left = filled - used
        buffer[:n_left] = buffer[used:filled].copy()
        position = self.position
        state[[kernels.POSITION, kernels.N_USED, kernels.N_FILLED]] = position, 0, n_left
        n_wanted = min(len(buffer), int(state[kernels.N_BYTES]) - position) - n_left
        if n_wanted <= 0:
            return 0
        self._file.seek(position + n_left)
        n_read = self._file.readinto(buffer.data[n_left : n_left + n_wanted]) or 0
        state[kernels.N_FILLED] += n_read
        return n_read
