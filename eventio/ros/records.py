"""Records of bags read one after the other, with their place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from eventio.errors import FormatError
from eventio.ros.compression import MOST_BYTES


class RecordFile:
    """
    A file, or a piece of one, that is read front to back.

    Parameters
    ----------
    file : file
        Open for reading bytes.
    n_bytes : int
        Where it ends.
    what : str
        What messages call it.
    """

    def __init__(self, file: IO[bytes], n_bytes: int, what: str) -> None:
        self._file = file
        self._n_bytes = n_bytes
        self._what = what
        self.at = 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self.at >= self._n_bytes

    def take(self, n_bytes: int) -> bytes:
        """
        Read bytes.

        Parameters
        ----------
        n_bytes : int
            How many.

        Returns
        -------
        bytes
            The bytes.

        Raises
        ------
        FormatError
            There are fewer, or they are absurdly many.
        """
        n_left = self._n_bytes - self.at
        if n_bytes > n_left:
            raise FormatError(
                f"{self._what} ends at byte {self._n_bytes}, within {n_bytes} bytes from byte {self.at}"
            )
        if n_bytes > MOST_BYTES:
            raise FormatError(f"{self._what} promises a record of {n_bytes} bytes at byte {self.at}")
        data = self._file.read(n_bytes)
        self.at += len(data)
        return data

    def skip(self, n_bytes: int) -> None:
        """
        Pass bytes.

        Parameters
        ----------
        n_bytes : int
            How many; at most as many as are left are passed.
        """
        self.at = min(self.at + n_bytes, self._n_bytes)
        self._file.seek(self.at)

    def number(self, n_bytes: int) -> int:
        """
        Read a number, lowest byte first.

        Parameters
        ----------
        n_bytes : int
            Its size.

        Returns
        -------
        int
            The number.
        """
        return int.from_bytes(self.take(n_bytes), "little")


def open_records(path: Path, start: int) -> Iterator[RecordFile]:
    """
    Open a file for records, and close it.

    Parameters
    ----------
    path : Path
        The file.
    start : int
        Byte at which the records begin.

    Yields
    ------
    RecordFile
        Once.
    """
    with path.open("rb") as file:
        records = RecordFile(file, path.stat().st_size, "the file")
        records.skip(start)
        yield records
