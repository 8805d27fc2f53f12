"""Columns of numbers: which of them is what, and which unit the times have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.errors import ArgumentError, FormatError

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
        return Layout(order, unit, reasons + reasons_for(unit, is_guessed=True))
    return Layout(order, unit, reasons + reasons_for(unit, is_guessed=False))


def reasons_for(unit: str, *, is_guessed: bool) -> tuple[str, ...]:
    """
    Say what is concluded of a unit, for `Metadata.conversions`.

    Parameters
    ----------
    unit : str
        Of the times.
    is_guessed : bool
        Whether only the numbers say it.

    Returns
    -------
    tuple of str
        A sentence for each conclusion.
    """
    guessed = (f"times taken as {unit} by their numbers",) if is_guessed else ()
    return guessed if unit == "us" else (*guessed, f"times turned from {unit} into whole microseconds")


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
