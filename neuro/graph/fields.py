"""Checks of single values: what a node may hold, and how a wrong value is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError

FloatArray = NDArray[np.float32]
Parameter = float | FloatArray
Pair = tuple[int, int]


def position_text(position: Sequence[int]) -> str:
    """Return a position as it is written in an index, for example ``[3, 0, 0]``."""
    return "[" + ", ".join(str(int(i)) for i in position) + "]"


def first_position(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the position of the first true entry of a mask that has one."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def as_array(owner: str, field: str, value: object, *, ndim: int | None = None) -> FloatArray:
    """Return a read-only float32 copy; refuse what is not finite. Negative zero becomes zero."""
    try:
        source: NDArray[Any] = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as err:
        raise GraphError(f"{owner}: {field} must be an array of real numbers ({err})") from err
    if source.dtype.kind not in "fiub":
        raise GraphError(f"{owner}: {field} must hold real numbers, got {source.dtype}")
    if ndim is not None and source.ndim != ndim:
        raise GraphError(f"{owner}: {field} must have {ndim} axes, got shape {source.shape}")
    if source.size == 0:
        raise GraphError(f"{owner}: {field} must not be empty, got shape {source.shape}")
    with np.errstate(over="ignore"):
        array: FloatArray = np.array(source, dtype=np.float32, order="C") + np.float32(0)
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = first_position(wrong)
        raise GraphError(
            f"{owner}: {field} must be finite in float32, got {field}{position_text(where)} = {source[where]!s}"
        )
    array.setflags(write=False)
    return array


def as_float(owner: str, field: str, value: object) -> float:
    """Return a Python float that is finite, also in float32. Negative zero becomes zero."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number, np.ndarray)):
        raise GraphError(f"{owner}: {field} must be a number, got {value!r}")
    if isinstance(value, np.ndarray) and value.ndim != 0:
        raise GraphError(f"{owner}: {field} must be a single number, got shape {value.shape}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as err:
        raise GraphError(f"{owner}: {field} must be a real number, got {value!r}") from err
    if not math.isfinite(number) or abs(number) > float(np.finfo(np.float32).max):
        raise GraphError(f"{owner}: {field} must be finite in float32, got {number}")
    return number + 0.0


def as_parameter(owner: str, field: str, value: object) -> Parameter:
    """Return a neuron parameter: a float, or a read-only float32 array."""
    if np.ndim(value) == 0:  # type: ignore[arg-type]
        return as_float(owner, field, value)
    return as_array(owner, field, value)


def as_time_constant(owner: str, field: str, value: object) -> Parameter:
    """Return a time constant in seconds: positive, and so large that 1/tau is finite in float32."""
    parameter = as_parameter(owner, field, value)
    check_positive(owner, field, parameter, unit=" s")
    with np.errstate(over="ignore", divide="ignore"):
        inverse = np.float32(1.0 / np.asarray(parameter, dtype=np.float64))
    if not np.isfinite(inverse).all():
        raise GraphError(f"{owner}: {field} is too small, 1/{field} must be finite in float32")
    return parameter


def check_positive(owner: str, field: str, parameter: Parameter, *, unit: str = "") -> None:
    """Refuse a parameter that is not above zero anywhere, also after rounding to float32."""
    if isinstance(parameter, float):
        if not np.float32(parameter) > 0:
            raise GraphError(f"{owner}: {field} must be > 0{unit}, got {parameter}")
    elif not (parameter > 0).all():
        where = first_position(~(parameter > 0))
        raise GraphError(
            f"{owner}: {field} must be > 0{unit}, got {field}{position_text(where)} = {parameter[where]!s}"
        )


def as_whole(owner: str, field: str, value: object, *, least: int) -> int:
    """Return a whole number that is at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise GraphError(f"{owner}: {field} must be a whole number, got {value!r}")
    if value < least:
        raise GraphError(f"{owner}: {field} must be >= {least}, got {value}")
    return int(value)


def as_pair(owner: str, field: str, value: object, *, least: int) -> Pair:
    """Return (rows, columns); one number stands for both."""
    if isinstance(value, (int, np.integer)):
        number = as_whole(owner, field, value, least=least)
        return number, number
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise GraphError(f"{owner}: {field} must be a whole number or a pair (rows, columns), got {value!r}")
    rows, columns = (as_whole(owner, field, item, least=least) for item in value)
    return rows, columns


def as_choice(owner: str, field: str, value: object, choices: tuple[str, ...]) -> str:
    """Return one of the words allowed for a field."""
    if value not in choices:
        raise GraphError(f"{owner}: {field} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return str(value)
