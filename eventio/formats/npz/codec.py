"""
NumPy archives (.npz): four arrays t, x, y and p or alike, one structured array, or one of four columns.

Written are the arrays t (int64, microseconds), x, y (uint16), p (bool), width, height and ticks_per_second, without
compression.
Python objects are refused, never unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio._kernels import copy_field
from eventio.columns import NO_WISH, ROLES, Wish
from eventio.formats.npz.archive import ARRAY_FORMAT, SUFFIX, Archive
from eventio.recording import Recording
from eventio.source import BLOCK_EVENTS
from eventio.table_source import TICKS_NAME, TableSource
from eventio.tables import ArrayInfo

NAME = "npz"
TITLE = "NumPy archives (.npz)"
SUFFIXES = (".npz",)
MAGIC = b"PK\x03\x04"


class NpzSource(TableSource):
    """
    Reader of one .npz file.

    Parameters
    ----------
    path : Path
        The file.
    wish : Wish
        What the caller says about columns and unit.

    Raises
    ------
    FormatError
        It is damaged, holds no events, or it is ambiguous which they are.
    """

    def __init__(self, path: Path, wish: Wish = NO_WISH) -> None:
        super().__init__(path, wish)

    def list_arrays(self) -> dict[str, ArrayInfo]:
        """
        List the arrays of the file.

        Returns
        -------
        dict of str to ArrayInfo
            By name.
        """
        self._archive = Archive(self.path)
        return self._archive.arrays

    def check_table(self) -> None:
        """
        Refuse arrays that promise more than the archive can hold.

        Raises
        ------
        FormatError
            One does.
        """
        for name in self._table.names:
            self._archive.check(name)

    def read_rows(self, name: str, start: int, stop: int, *, axis: int = 0) -> npt.NDArray[Any]:
        """
        Read some rows of an array.

        Parameters
        ----------
        name : str
            Of the array.
        start, stop : int
            The rows, or columns where axis is 1.
        axis : int
            0 or 1.

        Returns
        -------
        ndarray
            The rows.
        """
        read = self._archive.read_columns if axis else self._archive.read_rows
        return read(name, start, stop)


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
        It is a ZIP archive whose first member is an array.
    """
    if not head.startswith(MAGIC) or len(head) < 30:
        return False
    n_name = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + n_name].endswith(SUFFIX.encode())


class Outlet:
    """A file to write to whose bytes are taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes | memoryview] = []

    def write(self, data: Any) -> int:
        """
        Keep bytes until they are taken.

        Parameters
        ----------
        data : bytes-like
            What is written.

        Returns
        -------
        int
            How many bytes.
        """
        piece = memoryview(data).cast("B")
        self._pieces.append(piece)  # no copy: arrays that are written are not changed afterwards
        return len(piece)

    def flush(self) -> None:
        """Do nothing."""

    def take(self) -> Iterator[Any]:
        """
        Take away what was written.

        Yields
        ------
        bytes-like
            Piece by piece.
        """
        pieces, self._pieces = self._pieces, []
        yield from pieces


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Any.

    Yields
    ------
    bytes
        The file, piece by piece.
    """
    outlet = Outlet()
    events = recording.events
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]
        for name in ROLES:
            member = zipfile.ZipInfo(name + SUFFIX)
            with archive.open(member, "w", force_zip64=True) as stream:
                stream.write(make_header(events.dtype[name], (len(events),)))
                for start in range(0, len(events), BLOCK_EVENTS):
                    block = events[name][start : start + BLOCK_EVENTS]
                    values = np.empty(len(block), block.dtype)
                    copy_field(block, values)
                    stream.write(values)
                    yield from outlet.take()
        numbers = {"width": recording.width, "height": recording.height, TICKS_NAME: 1_000_000}
        for name, number in numbers.items():
            archive.writestr(
                zipfile.ZipInfo(name + SUFFIX),
                make_header(np.dtype(np.int64), ()) + np.int64(number).tobytes(),
            )
    yield from outlet.take()


def make_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """
    Write the header of an array.

    Parameters
    ----------
    dtype : dtype
        Of its values.
    shape : tuple of int
        Its sides.

    Returns
    -------
    bytes
        The header.
    """
    room = BytesIO()
    ARRAY_FORMAT.write_array_header_1_0(room, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return room.getvalue()
