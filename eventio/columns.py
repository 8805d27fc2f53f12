"""Columns of numbers to events: which column is what, which unit the times have, and what does not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels
from eventio.errors import ArgumentError, FormatError
from eventio.recording import EVENT_DTYPE, EventArray

ROLES = "txyp"
IGNORED = "_"
UNITS = {"s": 6, "ms": 3, "us": 0, "ns": -3}
"""How many places the point of a time moves to the right to give microseconds."""
USUAL_SIZES: tuple[tuple[int, int], ...] = (
    (34, 34),
    (128, 128),
    (240, 180),
    (304, 240),
    (346, 260),
    (640, 480),
    (1280, 720),
    (2048, 2048),
    (65536, 65536),
)
NAMES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "col", "column"),
    "y": ("y", "ys", "row"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on", "sign"),
}
UNIT_WORDS = {
    "second": "s",
    "seconds": "s",
    "sec": "s",
    "s": "s",
    "ms": "ms",
    "us": "us",
    "usec": "us",
    "ns": "ns",
    "nsec": "ns",
    "nanoseconds": "ns",
    "microseconds": "us",
    "milliseconds": "ms",
}
LEAST_RATE_HZ, MOST_RATE_HZ = 0.1, 2e8
"""Events a second that a sensor may plausibly give."""

FEWEST_COARSE = 8
"""How many different times on a coarse grid are no chance."""

GRID_TOLERANCE = 2.0**-50
"""Times a thousand a number of three decimal places is off a whole one by two roundings of 2**-53 each at most."""

TICKS = {1: "s", 1_000: "ms", 1_000_000: "us", 1_000_000_000: "ns"}
"""Units by what `ticks_per_second` says in files of arrays."""


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What the caller says about the columns.

    Attributes
    ----------
    order : str or None
        A letter of "txyp" for each column, "_" for one to leave out; None to find out.
    unit : str or None
        Of the times: "s", "ms", "us" or "ns"; None to find out.
    """

    order: str | None = None
    unit: str | None = None


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class Layout:
    """
    What the columns of a file mean.

    Attributes
    ----------
    order : str
        A letter of "txyp" for each column, "_" for one to leave out.
    unit : str
        Of the times.
    reasons : tuple of str
        What was concluded and not said by the file, for `Metadata.conversions`.
    """

    order: str
    unit: str
    reasons: tuple[str, ...] = ()


def parse_wish(text: str, name: str) -> Wish:
    """
    Read what follows a format's name, such as "xytp-ms".

    Parameters
    ----------
    text : str
        An order of columns, a unit, or both, joined by "-".
    name : str
        The whole name, for the message.

    Returns
    -------
    Wish
        The order and the unit.

    Raises
    ------
    ArgumentError
        A part is neither.

    Examples
    --------
    >>> parse_wish("xytp-ms", "csv-xytp-ms")
    Wish(order='xytp', unit='ms')
    """
    order = unit = None
    for part in text.split("-"):
        if part in UNITS and unit is None:
            unit = part
        elif order is None and is_order(part):
            order = part
        else:
            raise ArgumentError(
                f"there is no format {name!r}: {part!r} must be an order of columns, once each of t, x, y and p "
                "and _ for columns to leave out, such as 'txyp' or 'xy_tp', or a unit of time, one of "
                f"{', '.join(UNITS)}"
            )
    return Wish(order, unit)


def is_order(text: str) -> bool:
    """
    Say whether a text is an order of columns.

    Parameters
    ----------
    text : str
        Such as "txyp".

    Returns
    -------
    bool
        It has each of t, x, y and p once and nothing else but "_".
    """
    return sorted(text.replace(IGNORED, "")) == sorted(ROLES)


def find_role(name: str) -> tuple[str | None, str | None]:
    """
    Find out from its name what a column holds.

    Parameters
    ----------
    name : str
        Such as "Timestamp [us]" or "t_ns" or "polarity".

    Returns
    -------
    tuple of (str or None, str or None)
        A letter of "txyp" and the unit; None where the name does not say.

    Examples
    --------
    >>> find_role("Timestamp [us]"), find_role("pol"), find_role("z")
    (('t', 'us'), ('p', None), (None, None))
    """
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    if not words:
        return None, None
    role = next((role for role, names in NAMES.items() if words[0] in names), None)
    if role is None or any(word not in UNIT_WORDS for word in words[1:]):
        return None, None
    return role, UNIT_WORDS[words[1]] if role == "t" and len(words) > 1 else None


def order_of_names(names: Sequence[str]) -> tuple[str | None, str | None]:
    """
    Find out from their names what the columns hold.

    Parameters
    ----------
    names : sequence of str
        A name for each column.

    Returns
    -------
    tuple of (str or None, str or None)
        The order and the unit of time; None where the names do not say.
    """
    found = [find_role(name) for name in names]
    order = "".join(role or IGNORED for role, _ in found)
    unit = next((unit for _, unit in found if unit), None)
    return (order, unit) if is_order(order) else (None, None)


def guess_layout(
    sample: npt.NDArray[np.float64], *, wish: Wish, order: str | None, unit: str | None
) -> Layout:
    """
    Find out what the columns of a file hold: from the caller, from their names, from the numbers.

    Parameters
    ----------
    sample : ndarray
        float64, shape (n_rows, n_columns): the first rows.
    wish : Wish
        What the caller says.
    order, unit : str or None
        What the names of the columns say.

    Returns
    -------
    Layout
        With the reasons for what only the numbers say.

    Raises
    ------
    FormatError
        More than one order or unit is possible, or none; the message gives the choices.
    """
    reasons: tuple[str, ...] = ()
    order = wish.order or order
    if order is None:
        order = guess_order(sample)
        reasons += (f"columns taken as {', '.join(order)} by their numbers",)
    elif len(order) != sample.shape[1]:
        raise FormatError(f"has {sample.shape[1]} columns, not {len(order)} ({order}); give their order")
    unit = wish.unit or unit
    if unit is None:
        unit = guess_unit(sample[:, order.index("t")])
        reasons += (f"times taken as {unit} by their numbers",)
    if unit != "us":
        reasons += (f"times turned from {unit} into whole microseconds",)
    return Layout(order, unit, reasons)


def guess_order(sample: npt.NDArray[np.float64]) -> str:
    """
    Find out from numbers which of four columns is the time and which the polarity; x comes before y.

    Parameters
    ----------
    sample : ndarray
        float64, shape (n_rows, n_columns): the first rows.

    Returns
    -------
    str
        Such as "txyp".

    Raises
    ------
    FormatError
        Not exactly one order fits.
    """
    n_columns = sample.shape[1]
    if n_columns != 4:
        raise FormatError(
            f"has {n_columns} columns, and which are time, x, y and polarity is not said; give their order, such as "
            "'txyp' or 'xy_tp' with _ for a column to leave out, behind the format's name (format='csv-xy_tp')"
        )
    is_polarity = [set(np.unique(column)) <= {-1.0, 0.0, 1.0} for column in sample.T]
    is_pixel = [
        bool((column >= 0).all() and (column < 65536).all() and (column % 1 == 0).all())
        for column in sample.T
    ]
    has_fractions = [bool((column % 1 != 0).any()) for column in sample.T]
    is_time = [
        fractions or bool((np.diff(column) >= 0).all())
        for fractions, column in zip(has_fractions, sample.T, strict=True)
    ]
    fitting = [
        order
        for order in ("txyp", "xytp", "xypt", "txpy", "ptxy", "pxyt", "tpxy")
        if is_time[order.index("t")]
        and is_polarity[order.index("p")]
        and all(is_pixel[order.index(name)] for name in "xy")
    ]
    if len(fitting) == 1:
        return fitting[0]
    why = f"their numbers fit {', '.join(fitting)}" if fitting else "their numbers fit no usual order"
    raise FormatError(
        f"which columns are time, x, y and polarity is not said, and {why}; give the order behind the format's name, "
        "such as format='csv-txyp' or format='npz-xytp'"
    )


def guess_unit(times: npt.NDArray[np.float64]) -> str:
    """
    Find out from numbers which unit times have: seconds if they have fractions, else microseconds, if plausible.

    Parameters
    ----------
    times : ndarray
        float64, shape (n_rows,): the first times.

    Returns
    -------
    str
        "s" or "us".

    Raises
    ------
    FormatError
        The rate of events would be implausible; the message gives what the rates would be.
    """
    span = float(times.max() - times.min()) if len(times) else 0.0
    unit = "us" if bool((times % 1 == 0).all()) else "s"
    if span == 0.0:
        return unit
    rates = {name: (len(times) - 1) / (span * 10.0 ** (places - 6)) for name, places in UNITS.items()}
    largest = float(np.abs(times).max())
    if is_coarse(times, unit):
        finer = "ns" if unit == "us" else "ms"
        raise FormatError(
            f"the unit of the times is not said: they may be {unit} on a grid of a thousandth or thousand, or {finer} "
            "as a camera counts them; give the unit behind the format's name, such as format='csv-us' or "
            "format='npz-ns'"
        )
    is_epoch = largest * 10.0 ** (UNITS[unit] - 6) > 1e10
    if LEAST_RATE_HZ <= rates[unit] <= MOST_RATE_HZ and not is_epoch:
        return unit
    choices = ", ".join(f"{rate:.3g} events/s in {name}" for name, rate in rates.items())
    raise FormatError(
        f"the unit of the times is not said, and {unit} is not plausible: the first {len(times)} events would come at "
        f"{choices}; give the unit behind the format's name, such as format='csv-ms' or format='npz-ns'"
    )


def is_coarse(times: npt.NDArray[np.float64], unit: str) -> bool:
    """
    Say whether times lie on a grid a thousand times coarser than a camera's microseconds: then they may be finer ones.

    Parameters
    ----------
    times : ndarray
        float64, shape (n_rows,): the first times.
    unit : str
        "s" or "us", as what they are taken.

    Returns
    -------
    bool
        Whole numbers are multiples of 1000, or fractions have three places at most; with some different ones.
    """
    scaled = times / 1000 if unit == "us" else times * 1000
    is_on_grid = np.abs(scaled - np.rint(scaled)) <= GRID_TOLERANCE * np.maximum(np.abs(scaled), 1)
    return bool(is_on_grid.all()) and len(np.unique(times)) >= FEWEST_COARSE


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
