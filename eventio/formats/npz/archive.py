"""Arrays in a ZIP archive, read piece by piece: nothing is unpickled, and sizes are checked first."""

from __future__ import annotations

import math
import weakref
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from eventio.errors import FormatError
from eventio.tables import ArrayInfo, count_bytes

SUFFIX = ".npy"
MOST_MEMBERS = 1000
ARRAY_FORMAT: Any = np.lib.format
"""Its functions have no types."""
MOST_GROWTH = 1032
"""Bytes that deflate can make of one."""
SLACK_BYTES = 1 << 16
READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class Archive:
    """
    The arrays of one archive.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        It is no ZIP archive, or promises more than its bytes can hold.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: dict[tuple[str, int], tuple[IO[bytes], int]] = {}
        self._starts: dict[str, int] = {}
        self.arrays: dict[str, ArrayInfo] = {}
        try:
            self._file = zipfile.ZipFile(path)
            members = self._file.infolist()
        except READ_ERRORS as error:
            raise FormatError(
                f"the ZIP archive cannot be read ({error}); it is cut short or damaged"
            ) from error
        weakref.finalize(self, close, self._file, self._streams)
        if len(members) > MOST_MEMBERS:
            raise FormatError(f"holds {len(members)} members; at most {MOST_MEMBERS} are looked at")
        for member in members:
            if member.filename.endswith(SUFFIX):
                self._add(member)

    def _add(self, member: zipfile.ZipInfo) -> None:
        name = member.filename.removesuffix(SUFFIX)
        try:
            with self._file.open(member) as stream:
                info, n_bytes = read_header(stream)
        except READ_ERRORS as error:
            raise FormatError(f"member {name!r} is no array that is read ({error})") from error
        self.arrays[name] = info
        self._starts[name] = n_bytes

    def check(self, name: str) -> None:
        """
        Refuse an array that promises more than the archive can hold.

        Parameters
        ----------
        name : str
            Of the array.

        Raises
        ------
        FormatError
            Its size is not what its header says, or more than compression can save.
        """
        member = self._file.getinfo(name + SUFFIX)
        if member.file_size > MOST_GROWTH * member.compress_size + SLACK_BYTES:
            raise FormatError(
                f"array {name!r} promises {member.file_size} bytes from {member.compress_size}, more than compression "
                "can save; the archive is damaged"
            )
        n_promised, n_held = count_bytes(self.arrays[name]), member.file_size - self._starts[name]
        if n_promised != n_held:
            raise FormatError(f"array {name!r} promises {n_promised} bytes of values and holds {n_held}")

    def read_rows(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """
        Read some rows of an array; fast where they are asked for in order.

        Parameters
        ----------
        name : str
            Of the array.
        start, stop : int
            The rows.

        Returns
        -------
        ndarray
            The rows.
        """
        info = self.arrays[name]
        side = math.prod(info.shape[1:])
        values = self._read(name, 0, start * side, stop * side)
        return values.reshape(-1, *info.shape[1:])

    def read_columns(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """
        Read some columns of an array of few rows; fast where they are asked for in order.

        Parameters
        ----------
        name : str
            Of an array of two sides.
        start, stop : int
            The columns.

        Returns
        -------
        ndarray
            The columns.
        """
        n_rows, side = self.arrays[name].shape
        rows = [self._read(name, row, row * side + start, row * side + stop) for row in range(n_rows)]
        return np.stack(rows)

    def _read(self, name: str, lane: int, start: int, stop: int) -> npt.NDArray[Any]:
        """Read values; each lane of an array remembers where it is."""
        dtype = self.arrays[name].dtype
        try:
            stream, at = self._streams.pop((name, lane), (None, 0))
            if stream is None or at > start:
                stream, at = self._file.open(name + SUFFIX), 0
                skip(stream, self._starts[name])
            skip(stream, (start - at) * dtype.itemsize)
            data = stream.read((stop - start) * dtype.itemsize)
        except READ_ERRORS as error:
            raise FormatError(f"array {name!r} is damaged ({error})") from error
        if len(data) != (stop - start) * dtype.itemsize:
            raise FormatError(f"array {name!r} ends too soon")
        self._streams[name, lane] = (stream, stop)
        return np.frombuffer(data, dtype)


def close(file: zipfile.ZipFile, streams: Mapping[Any, tuple[IO[bytes], int]]) -> None:
    """
    Close an archive and what is open in it.

    Parameters
    ----------
    file : ZipFile
        The archive.
    streams : mapping
        Open members.
    """
    for stream, _ in streams.values():
        stream.close()
    file.close()


def skip(stream: IO[bytes], n_bytes: int) -> None:
    """
    Read bytes and forget them.

    Parameters
    ----------
    stream : file
        What to read from.
    n_bytes : int
        How many.
    """
    while n_bytes > 0:
        data = stream.read(min(n_bytes, 1 << 20))
        if not data:
            return
        n_bytes -= len(data)


def read_header(stream: IO[bytes]) -> tuple[ArrayInfo, int]:
    """
    Read the header of an array.

    Parameters
    ----------
    stream : file
        At the start of the array.

    Returns
    -------
    tuple of (ArrayInfo, int)
        What the array is, and the header's size.

    Raises
    ------
    ValueError
        It is no header, the array holds Python objects, or its values lie column by column.
    """
    version = ARRAY_FORMAT.read_magic(stream)
    read = {(1, 0): ARRAY_FORMAT.read_array_header_1_0, (2, 0): ARRAY_FORMAT.read_array_header_2_0}.get(
        version
    )
    if read is None:
        raise ValueError(f"version {version} of the array format is not read")
    shape, is_fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which could run code and are never read")
    if is_fortran and sum(side != 1 for side in shape) > 1:
        raise ValueError("its values lie column by column; save it with numpy.ascontiguousarray")
    if any(side < 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    return ArrayInfo(dtype, shape), stream.tell()
