"""Events of named arrays, read block by block: what the readers of such files share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.column_values import assemble
from eventio.columns import (
    NO_WISH,
    ROLES,
    TICKS,
    USUAL_SIZES,
    Layout,
    Wish,
    guess_layout,
    guess_unit,
    reasons_for,
)
from eventio.companions import EXPOSURE_DTYPE, EXPOSURES
from eventio.errors import FormatError
from eventio.recording import MAX_SENSOR_SIDE, EventArray
from eventio.source import BLOCK_EVENTS, Findings
from eventio.tables import ArrayInfo, Table, find_table

SAMPLE_ROWS = 4096
TICKS_NAME = "ticks_per_second"
EXPOSURE_GROUP = "EM"
"""Exposure measurements of an ATIS; 0 in the column of polarities: first threshold, 1: second."""


class TableSource(ABC):
    """
    What the readers of files of named arrays share.

    Parameters
    ----------
    path : Path
        The file.
    wish : Wish
        What the caller says about columns and unit.
    """

    block_rows = BLOCK_EVENTS
    keeps_companions: bool  # there only where the file holds some: others are not read twice for nothing

    def __init__(self, path: Path, wish: Wish = NO_WISH) -> None:
        self.path = path
        self.usual_sizes = USUAL_SIZES
        self.findings = Findings()
        self.width: int | None = None
        self.height: int | None = None
        self.time_offset = 0
        self._origin = 0
        self._place = 0
        try:
            self._arrays = self.list_arrays()
            self._table, self._others = find_table(self._arrays)
            if any(is_of_exposures(table) for table in self._others):
                self.keeps_companions = False
            self.check_table()
            self._layout = self._find_layout(wish)
            self.adjust()
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from error

    @abstractmethod
    def list_arrays(self) -> dict[str, ArrayInfo]:
        """List the arrays of the file."""

    @abstractmethod
    def read_rows(self, name: str, start: int, stop: int, *, axis: int = 0) -> npt.NDArray[Any]:
        """Read some rows of an array, or columns where axis is 1; raise FormatError where they cannot be read."""

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
        return [self.read_rows(name, start, stop) for name in names]

    @abstractmethod
    def check_table(self) -> None:
        """Refuse events that promise more than the file holds, or that need what is not at hand."""

    def adjust(self) -> None:
        """Look for what only this format says, such as an offset of time; by default the sensor's size."""
        self.read_size()

    def read_size(self) -> None:
        """Take the sensor's size from numbers named width and height, at the top or beside the events."""
        group = self._table.names[0].rpartition("/")[0]
        for prefix in ("", f"{group}/"):
            width, height = self.read_number(f"{prefix}width"), self.read_number(f"{prefix}height")
            self.set_size(width, height)

    def known_unit(self) -> str | None:
        """
        Give the unit of times where the file or its layout says it.

        Returns
        -------
        str or None
            What `ticks_per_second` says.
        """
        return TICKS.get(self.read_number(TICKS_NAME) or 0)

    def set_size(self, width: int | None, height: int | None) -> None:
        """
        Take the sensor's size where it is one.

        Parameters
        ----------
        width, height : int or None
            What the file says.
        """
        if (
            width is not None
            and height is not None
            and all(1 <= side <= MAX_SENSOR_SIDE for side in (width, height))
        ):
            self.width, self.height = width, height

    def read_number(self, name: str) -> int | None:
        """
        Read a single whole number.

        Parameters
        ----------
        name : str
            Of the array.

        Returns
        -------
        int or None
            None where there is no such array or it holds something else.
        """
        info = self._arrays.get(name)
        if info is None or info.dtype.kind not in "iu" or math.prod(info.shape) != 1:
            return None
        return int(self.read_rows(name, 0, 1).ravel()[0])

    def _find_layout(self, wish: Wish) -> Layout:
        table = self._table
        n_rows = min(SAMPLE_ROWS, table.n_events)
        if len(table.names) == 1 and not table.fields:
            wish = replace(wish, unit=wish.unit or self.known_unit())
            sample = self._read_plain(0, n_rows).astype(np.float64)
            if not np.isfinite(sample).all():
                raise FormatError(
                    f"the first rows of {table.names[0]} hold values that are no finite numbers"
                )
            return guess_layout(sample, wish=wish, order=None, unit=None)
        unit = wish.unit or table.unit or self.known_unit()
        if unit is not None:
            return Layout(ROLES, unit)
        times = self._read_columns(0, n_rows)["t"].astype(np.float64)
        if not np.isfinite(times).all():
            raise FormatError("the first times are no finite numbers")
        unit = guess_unit(times)
        return Layout(ROLES, unit, reasons_for(unit, is_guessed=True))

    def _read_plain(self, start: int, stop: int) -> npt.NDArray[Any]:
        name, axis = self._table.names[0], int(self._table.is_transposed)
        rows = self.read_rows(name, start, stop, axis=axis)
        return rows.T if axis else rows

    def _read_columns(self, start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        table = self._table
        if table.fields:
            rows = self.read_rows(table.names[0], start, stop)
            return {role: rows[field] for role, field in zip(ROLES, table.fields, strict=True)}
        if len(table.names) == 1:
            rows = self._read_plain(start, stop)
            return {role: rows[:, self._layout.order.index(role)] for role in ROLES}
        columns = self.read_together(table.names, start, stop)
        return {role: column.ravel() for role, column in zip(ROLES, columns, strict=True)}

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).

        Raises
        ------
        FormatError
            The first event does not fit or cannot be read.
        """
        yield from self.blocks_from(0)

    def checkpoint(self) -> int:
        """
        Give the place behind the block handed over last.

        Returns
        -------
        int
            How many events lie before it.
        """
        return self._place

    def blocks_from(self, checkpoint: int) -> Iterator[EventArray]:
        """
        Yield the events behind a checkpoint.

        Parameters
        ----------
        checkpoint : int
            As `checkpoint` gave it.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).

        Raises
        ------
        FormatError
            The first event does not fit or cannot be read.
        """
        self.findings = Findings(conversions=self._layout.reasons)
        if self._origin:
            self.findings.conversions += ("columns and rows counted from 1 in the file",)
        self._note_others()
        for start in range(checkpoint, self._table.n_events, self.block_rows):
            stop = min(start + self.block_rows, self._table.n_events)
            try:
                columns = self._read_columns(start, stop)
            except FormatError as error:
                self._stop_at(start, f"events from {start} on cannot be read: {error}")
                return
            events, problem = assemble(columns, self._layout.unit, origin=self._origin)
            if self.time_offset:
                events["t"] += self.time_offset
            self._place = start + len(events)
            if len(events):
                yield events
            if problem is not None:
                self._stop_at(start + len(events), f"event {start + len(events)}: {problem}")
                return

    def _note_others(self) -> None:
        """Count the events of other tables; exposures are kept where companions are."""
        for table in self._others:
            if is_of_exposures(table):
                self.findings.add_skipped(EXPOSURES, table.n_events)
                if self.keeps_companions:
                    self._keep_exposures(table)
            else:
                group = table.names[0].rpartition("/")[0] or table.names[0]
                self.findings.add_skipped(f"events of {group}", table.n_events)

    def _keep_exposures(self, table: Table) -> None:
        for start in range(0, table.n_events, self.block_rows):
            stop = min(start + self.block_rows, table.n_events)
            try:
                rows = self.read_together(table.names, start, stop)
            except FormatError as error:
                self.findings.truncation = f"{EXPOSURES} from {start} on cannot be read: {error}"
                return
            columns = {role: column.ravel() for role, column in zip(ROLES, rows, strict=True)}
            events, problem = assemble(columns, table.unit or self._layout.unit, origin=self._origin)
            exposures = np.empty(len(events), EXPOSURE_DTYPE)
            for name, role in zip(EXPOSURE_DTYPE.names or (), ROLES, strict=True):
                exposures[name] = events[role]
            exposures["t"] += self.time_offset
            self.findings.companions.add(EXPOSURES, exposures)
            if problem is not None:
                self.findings.truncation = f"{EXPOSURES} from {start + len(events)} on do not fit: {problem}"
                return

    def _stop_at(self, n_events: int, why: str) -> None:
        if n_events == 0:
            raise FormatError(f"{self.path}: {why}")
        self.findings.truncation = why


def is_of_exposures(table: Table) -> bool:
    """
    Say whether the events of a table are exposure measurements of an ATIS.

    Parameters
    ----------
    table : Table
        Beside the events.

    Returns
    -------
    bool
        It is four arrays in a structure or group named EM.
    """
    groups = table.names[0].split("/")[:-1]
    return len(table.names) == len(ROLES) and groups[-1:] == [EXPOSURE_GROUP]
