"""Columns of numbers to events and back: values turned, and the first that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels
from eventio.columns import ROLES, UNITS
from eventio.recording import EVENT_DTYPE, EventArray


def assemble(
    columns: dict[str, npt.NDArray[Any]], unit: str, *, origin: int = 0
) -> tuple[EventArray, str | None]:
    """
    Make events of four columns of numbers of any kind.

    Parameters
    ----------
    columns : dict of str to ndarray
        "t", "x", "y" and "p", shape (n_events,) each.
    unit : str
        Of the times.
    origin : int
        The number of the first column and row: 0, or 1 as in MATLAB.

    Returns
    -------
    tuple of (ndarray, str or None)
        Of EVENT_DTYPE: the events up to the first that does not fit, and why that does not.
    """
    n_events = min(len(column) for column in columns.values())
    if unit == "us" and origin == 0 and is_packed(columns):
        return interleave(columns, n_events)
    checks = [check_time(columns["t"][:n_events], unit)]
    checks += [check_pixel(columns[name][:n_events], name, origin) for name in "xy"]
    checks.append(check_polarity(columns["p"][:n_events]))
    n_good, problem = min(((n, why) for _, n, why in checks), key=lambda found: found[0])
    events = np.empty(n_good, EVENT_DTYPE)
    for name, (values, _, _) in zip(ROLES, checks, strict=True):
        events[name] = values[:n_good]
    return events, problem


def is_packed(columns: dict[str, npt.NDArray[Any]]) -> bool:
    """
    Say whether columns have the kinds of an event's fields.

    Parameters
    ----------
    columns : dict of str to ndarray
        "t", "x", "y" and "p".

    Returns
    -------
    bool
        They have, with a polarity of one byte.
    """
    kinds = {name: column.dtype.str for name, column in columns.items()}
    return kinds["t"] == "<i8" and kinds["x"] == kinds["y"] == "<u2" and kinds["p"] in ("|b1", "|u1")


def interleave(columns: dict[str, npt.NDArray[Any]], n_events: int) -> tuple[EventArray, str | None]:
    """
    Make events of columns of the kinds that `is_packed` names.

    Parameters
    ----------
    columns : dict of str to ndarray
        "t", "x", "y" and "p".
    n_events : int
        How many to take.

    Returns
    -------
    tuple of (ndarray, str or None)
        As `assemble`.
    """
    t, x, y, p = (np.ascontiguousarray(columns[name][:n_events]) for name in ROLES)
    events = np.empty(n_events, EVENT_DTYPE)
    n_good = int(_kernels.interleave(t, x, y, p.view(np.uint8), events))
    if n_good == n_events:
        return events, None
    return events[:n_good], f"p = {p[n_good]} is none of -1, 0 and 1"


def separate(events: EventArray) -> dict[str, npt.NDArray[Any]]:
    """
    Make columns of events: much faster than field by field.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,).

    Returns
    -------
    dict of str to ndarray
        "t", "x", "y" and "p" of the kinds of an event's fields.
    """
    columns = {name: np.empty(len(events), EVENT_DTYPE[name]) for name in ROLES}
    _kernels.separate(events, columns["t"], columns["x"], columns["y"], columns["p"])
    return columns


Checked = tuple[npt.NDArray[Any], int, str | None]


def check_time(values: npt.NDArray[Any], unit: str) -> Checked:
    """
    Turn times into microseconds.

    Parameters
    ----------
    values : ndarray
        Whole numbers or floats.
    unit : str
        Of the times.

    Returns
    -------
    tuple of (ndarray, int, str or None)
        int64; how many are good from the first; why the next is not.
    """
    places = UNITS[unit]
    if values.dtype.kind in "iu":
        limit = (1 << 62) // 10 ** max(places, 0)
        bad = (values > limit) if values.dtype.kind == "u" else (values > limit) | (values < -limit)
        n_good, why = first_bad(bad, values, "t", "is no time")
        whole = values.astype(np.int64)
        if places >= 0:
            return whole * 10**places, n_good, why
        return (whole + 10**-places // 2) // 10**-places, n_good, why
    scaled = values.astype(np.float64) * 10.0**places
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(scaled) < 2.0**62)
        n_good, why = first_bad(bad, values, "t", "is no time")
        return np.rint(np.where(bad, 0, scaled)).astype(np.int64), n_good, why


def check_pixel(values: npt.NDArray[Any], name: str, origin: int) -> Checked:
    """
    Turn coordinates into whole numbers from 0.

    Parameters
    ----------
    values : ndarray
        Whole numbers or floats.
    name : str
        "x" or "y".
    origin : int
        The number of the first column and row.

    Returns
    -------
    tuple of (ndarray, int, str or None)
        uint16; how many are good from the first; why the next is not.
    """
    with np.errstate(invalid="ignore"):
        bad = ~((values >= origin) & (values < 65536 + origin))
        if values.dtype.kind == "f":
            bad |= values % 1 != 0
        n_good, why = first_bad(bad, values, name, f"is no whole number in {origin}..{65535 + origin}")
        return (np.where(bad, origin, values) - origin).astype(np.uint16), n_good, why


def check_polarity(values: npt.NDArray[Any]) -> Checked:
    """
    Turn polarities into booleans: 1 is ON, 0 and -1 are OFF.

    Parameters
    ----------
    values : ndarray
        Booleans, whole numbers or floats.

    Returns
    -------
    tuple of (ndarray, int, str or None)
        bool; how many are good from the first; why the next is not.
    """
    is_on = values == 1
    bad = ~(is_on | (values == 0))
    if values.dtype.kind in "if":
        bad &= values != -1
    n_good, why = first_bad(bad, values, "p", "is none of -1, 0 and 1")
    return is_on, n_good, why


def first_bad(
    bad: npt.NDArray[np.bool_], values: npt.NDArray[Any], name: str, rule: str
) -> tuple[int, str | None]:
    """
    Find the first value that breaks a rule.

    Parameters
    ----------
    bad : ndarray
        bool, shape (n_events,).
    values : ndarray
        Shape (n_events,).
    name : str
        Of the column.
    rule : str
        What is wrong with it.

    Returns
    -------
    tuple of (int, str or None)
        How many are good from the first; why the next is not.
    """
    if not bad.any():
        return len(bad), None
    first = int(np.argmax(bad))
    return first, f"{name} = {values[first]} {rule}"
