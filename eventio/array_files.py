"""What the readers of HDF5 and MATLAB files share: their arrays come from a process of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import ecf
from eventio.child_files import ChildFile
from eventio.columns import NO_WISH, Wish
from eventio.errors import FormatError, MissingPackageError
from eventio.table_source import TableSource
from eventio.tables import ArrayInfo, count_bytes

MOST_GROWTH = 1100
SLACK_BYTES = 1 << 20
PACKED_ROWS = 1 << 16
"""Rows of Prophesee's codec asked for at once: a damaged piece ends what is read."""
MOST_SHARED_BYTES = 1 << 26
"""Room for the rows asked for at once; what is not written to takes no memory."""
BLOCK_ROWS = 1 << 19
"""Rows asked for at once: each answer costs a turn of the other process."""


class ArrayFileSource(TableSource):
    """
    Reader of one HDF5 or MATLAB file.

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

    block_rows = BLOCK_ROWS

    def __init__(self, path: Path, wish: Wish = NO_WISH) -> None:
        self._missing: dict[str, list[int]] = {}
        self._stored: dict[str, int] = {}
        self._is_packed = False
        self.attributes: dict[str, str | int | float] = {}
        super().__init__(path, wish)

    def list_arrays(self) -> dict[str, ArrayInfo]:
        """
        List the arrays of the file.

        Returns
        -------
        dict of str to ArrayInfo
            By name.
        """
        self._n_asked = 0
        self._child = ChildFile(self.path)
        self._shared = self._child.process.memory
        self.attributes = self._child.contents["attributes"]
        arrays = {}
        for name, (kind, shape, missing, n_stored) in self._child.contents["arrays"].items():
            dtype = np.dtype(kind if isinstance(kind, str) else [tuple(field) for field in kind])
            arrays[name] = ArrayInfo(dtype, tuple(shape))
            self._missing[name] = missing
            self._stored[name] = n_stored
        return arrays

    def check_table(self) -> None:
        """
        Refuse events that need a filter that is not at hand, or that are more than is stored.

        Raises
        ------
        FormatError
            The file promises more than its bytes can hold.
        MissingPackageError
            The filter is in a package that is not installed.
        """
        missing = {number for name in self._table.names for number in self._missing[name]}
        if missing == {ecf.FILTER} and self._is_of_prophesee():
            self._is_packed = True
            self.block_rows = PACKED_ROWS
        elif missing:
            raise MissingPackageError(
                f"{self.path}: its events are compressed with HDF5 filter {min(missing)}, which needs the "
                "hdf5plugin package: pip install hdf5plugin"
            )
        n_bytes = sum(count_bytes(self._arrays[name]) for name in self._table.names)
        n_stored = sum(self._stored[name] for name in self._table.names)
        if n_bytes > MOST_GROWTH * n_stored + SLACK_BYTES:
            raise FormatError(
                f"promises {n_bytes} bytes of events and holds {n_stored}, more than compression "
                "can save; the file is damaged"
            )

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
        (rows,) = self._read((name,), start, stop, axis)
        return rows

    def read_together(self, names: tuple[str, ...], start: int, stop: int) -> list[npt.NDArray[Any]]:
        """
        Read the same rows of several arrays.

        Parameters
        ----------
        names : tuple of str
            Of the arrays.
        start, stop : int
            The rows.

        Returns
        -------
        list of ndarray
            The rows of each.
        """
        return self._read(names, start, stop, 0)

    def _is_of_prophesee(self) -> bool:
        """Say whether the events are one array of the four fields that Prophesee's codec knows."""
        info = self._arrays[self._table.names[0]]
        return len(self._table.names) == 1 and info.dtype == ecf.FIELDS and len(info.shape) == 1

    def _read_packed(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Read rows of an array that Prophesee's codec compressed, and decode them here."""
        answer, data = self._child.ask({"pieces": name, "start": start, "stop": stop})
        if answer["filters"] != [ecf.FILTER]:
            raise FormatError(f"filters {answer['filters']} besides Prophesee's codec are not read")
        n_rows, at = int(answer["n_rows"]), 0
        parts: list[npt.NDArray[Any]] = []
        for size, is_plain in zip(answer["sizes"], answer["is_plain"], strict=True):
            piece = data[at : at + size]
            whole = ecf.read_plain(piece, n_rows) if is_plain else ecf.unpack(piece)
            at += size
            first = start // n_rows * n_rows + len(parts) * n_rows
            wanted = whole[max(start - first, 0) : min(stop - first, n_rows)]
            if len(wanted) < min(stop, first + n_rows) - max(start, first):
                raise FormatError(f"a piece holds {len(whole)} events of {n_rows}")
            parts.append(wanted)
        return np.concatenate(parts)

    def _read(self, names: tuple[str, ...], start: int, stop: int, axis: int) -> list[npt.NDArray[Any]]:
        """Ask for rows, and at once for those that will probably be wanted next; good until the next call but one."""
        if self._is_packed and names[0] == self._table.names[0]:
            return [self._read_packed(names[0], start, stop)]
        along = [self._axis_of(name, axis) for name in names]
        asked = self._ask_for(names, along, start, stop, self._n_asked)
        ahead = None
        if stop - start == self.block_rows and stop < self._table.n_events:
            ahead = self._ask_for(
                names, along, stop, min(stop + self.block_rows, self._table.n_events), self._n_asked + 1
            )
        answer, data = self._child.ask(asked, ahead=ahead)
        self._n_asked += 1
        source = self._shared.view(*asked["window"]) if answer["shared"] else data
        rows = []
        at = 0
        for name, cut, size in zip(names, along, answer["sizes"], strict=True):
            info = self._arrays[name]
            values = np.frombuffer(source, info.dtype, size // info.dtype.itemsize, at)
            rows.append(values.reshape(info.shape[0], -1) if cut else values.reshape(-1, *info.shape[1:]))
            at += size
        return rows

    def _ask_for(
        self, names: tuple[str, ...], along: list[int], start: int, stop: int, number: int
    ) -> dict[str, Any]:
        """Make a request; two windows of the shared memory take turns: one is read while the other is filled."""
        n_bytes = 0
        for name, cut in zip(names, along, strict=True):
            info = self._arrays[name]
            side = info.shape[cut] if info.shape else 1
            n_bytes += count_bytes(info) // max(side, 1) * max(0, min(stop, side) - start)
        window = [0, 0]
        if n_bytes <= MOST_SHARED_BYTES:
            window = [number % 2 * MOST_SHARED_BYTES, number % 2 * MOST_SHARED_BYTES + n_bytes]
            self._shared.view(*window)
        parts = list(map(list, zip(names, along, strict=True)))
        return {"read": parts, "start": start, "stop": stop, "window": window}

    def _axis_of(self, name: str, axis: int) -> int:
        """Give the axis to cut: a single row is a column of numbers in MATLAB's terms."""
        shape = self._arrays[name].shape
        return 1 if len(shape) == 2 and shape[0] == 1 else axis
