"""Files that hold named arrays: which of them are the events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventio.columns import ROLES, find_role, order_of_names
from eventio.errors import FormatError

MOST_LISTED = 12
MOST_COLUMNS = 8
EVENT_GROUPS = ("events", "cd", "td", "event_data")


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """
    What is known of an array before it is read.

    Attributes
    ----------
    dtype : dtype
        Of its values.
    shape : tuple of int
        Its sides.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        kind = ", ".join(self.dtype.names) if self.dtype.names else str(self.dtype)
        return f"{'x'.join(map(str, self.shape)) or 'one'} of {kind}"


@dataclass(frozen=True, slots=True)
class Table:
    """
    Where the events of a file are.

    Attributes
    ----------
    names : tuple of str
        Four arrays, in the order t, x, y, p, or one array.
    fields : tuple of str
        Fields of a structured array, in the order t, x, y, p; empty for another.
    n_events : int
        How many there are.
    is_transposed : bool
        A plain array holds a row for each column of events.
    unit : str or None
        Of the times, where names say it.
    """

    names: tuple[str, ...]
    n_events: int
    fields: tuple[str, ...] = ()
    is_transposed: bool = False
    unit: str | None = None


def find_table(arrays: Mapping[str, ArrayInfo]) -> tuple[Table, tuple[Table, ...]]:
    """
    Find the events among named arrays.

    Parameters
    ----------
    arrays : mapping of str to ArrayInfo
        All arrays of a file; names may have parts, such as "events/t".

    Returns
    -------
    tuple of (Table, tuple of Table)
        Four arrays named t, x, y and p or alike, one array with such fields, or one of four columns; and others.

    Raises
    ------
    FormatError
        None or several are possible.
    """
    found = find_columns(arrays) or find_structured(arrays) or find_plain(arrays)
    known = [table for table in found if table.names[0].lower().split("/")[0] in EVENT_GROUPS]
    if len(found) == 1 or len(known) == 1:
        chosen = found[0] if len(found) == 1 else known[0]
        return chosen, tuple(table for table in found if table is not chosen)
    listed = "; ".join(f"{name}: {info}" for name, info in list(arrays.items())[:MOST_LISTED])
    more = f"; and {len(arrays) - MOST_LISTED} more" if len(arrays) > MOST_LISTED else ""
    if found:
        choices = " or ".join(" ".join(table.names) for table in found)
        raise FormatError(f"more than one of its arrays may be the events ({choices}); keep one in the file")
    raise FormatError(
        "none of its arrays are events: needed are four of equal length named t, x, y and p or alike, "
        f"one with such fields, or one of four columns; it holds {listed or 'nothing'}{more}"
    )


def find_columns(arrays: Mapping[str, ArrayInfo]) -> list[Table]:
    """
    Find groups of four arrays of equal length whose last parts are named like t, x, y and p.

    Parameters
    ----------
    arrays : mapping of str to ArrayInfo
        All arrays of a file.

    Returns
    -------
    list of Table
        One for each group.
    """
    groups: dict[str, dict[str, tuple[str, str | None]]] = {}
    for name, info in arrays.items():
        group, _, last = name.rpartition("/")
        role, unit = find_role(last)
        if role is None and "_" in last:
            role, unit = find_role(last.partition("_")[2])
            group = f"{group}/{last.partition('_')[0]}"
        is_column = info.dtype.kind in "iufb" and count_rows(info) is not None
        if role is not None and is_column:
            groups.setdefault(group, {}).setdefault(role, (name, unit))
    found = []
    for members in groups.values():
        if set(members) != set(ROLES):
            continue
        names = tuple(members[role][0] for role in ROLES)
        n_events = {count_rows(arrays[name]) for name in names}
        if len(n_events) == 1:
            found.append(Table(names, int(n_events.pop() or 0), unit=members["t"][1]))
    return found


def count_rows(info: ArrayInfo) -> int | None:
    """
    Give the length of an array that is one column.

    Parameters
    ----------
    info : ArrayInfo
        Of the array.

    Returns
    -------
    int or None
        None when it has more than one side above 1, or none.
    """
    if not info.shape or sum(side != 1 for side in info.shape) > 1:
        return None
    return math.prod(info.shape)


def find_structured(arrays: Mapping[str, ArrayInfo]) -> list[Table]:
    """
    Find structured arrays with fields named like t, x, y and p.

    Parameters
    ----------
    arrays : mapping of str to ArrayInfo
        All arrays of a file.

    Returns
    -------
    list of Table
        One for each such array.
    """
    found = []
    for name, info in arrays.items():
        if info.dtype.names is None or len(info.shape) != 1:
            continue
        order, unit = order_of_names(info.dtype.names)
        if order is not None:
            fields = tuple(info.dtype.names[order.index(role)] for role in ROLES)
            found.append(Table((name,), info.shape[0], fields=fields, unit=unit))
    return found


def find_plain(arrays: Mapping[str, ArrayInfo]) -> list[Table]:
    """
    Find arrays of four columns of numbers, or of four rows.

    Parameters
    ----------
    arrays : mapping of str to ArrayInfo
        All arrays of a file.

    Returns
    -------
    list of Table
        One for each such array; only those named "events" where there are some.
    """
    found = []
    for name, info in arrays.items():
        if info.dtype.kind not in "iuf" or len(info.shape) != 2:
            continue
        if 4 <= info.shape[1] <= MOST_COLUMNS and (info.shape[1] < info.shape[0] or info.shape[1] == 4):
            found.append(Table((name,), info.shape[0]))
        elif 4 <= info.shape[0] <= MOST_COLUMNS and info.shape[0] < info.shape[1]:
            found.append(Table((name,), info.shape[1], is_transposed=True))
    named = [table for table in found if "event" in table.names[0].lower()]
    return named or found


def count_bytes(info: ArrayInfo) -> int:
    """
    Give the size of an array's values.

    Parameters
    ----------
    info : ArrayInfo
        Of the array.

    Returns
    -------
    int
        In bytes.
    """
    return math.prod(info.shape) * info.dtype.itemsize
