"""Events of a recording in continuous time: a list in order of time, with whole microseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuro.errors import InputError

__all__ = ["Events", "LATEST_US", "MOST_SPIKES", "as_time"]

LATEST_US = 2**62  # so that delays can be added
MOST_SPIKES = (
    2**25
)  # of a population in one call: below 4 GB, measured on spikes that double in every microsecond
_INT32_MAX = int(np.iinfo(np.int32).max)


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """Events in order of time: at ``t_us[j]`` the entry ``index[j]`` gets ``value[j]``.

    Simultaneous events act one after another in the order listed, and an entry may have several of them. The
    arrays are copied once, checked once and then read-only.

    Attributes
    ----------
    t_us : int64, shape (n,)
        Time of each event in microseconds, ``0 <= t_us <= 2**62``, non-decreasing.
    index : int32, shape (n,)
        Position in the flattened (channel, row, column) shape.
    value : float32, shape (n,)
        Finite and not zero: 1 for a spike.
    shape : tuple of int
        Shape of the sensor or population, for example ``(2, 34, 34)``.
    duration_us : int or None
        The recording covers the times from 0 up to, and without, this one; None where that is not known. A network
        that fires without input runs until then.

    Raises
    ------
    InputError
        If the arrays differ in length, times go backwards, a number leaves its range, a value is zero, NaN or
        infinite, or an event is not before the end; the message names the first such position.

    Examples
    --------
    >>> events = Events([10, 10, 25], [3, 0, 3], [1.0, 1.0, 1.0], shape=(4,))
    >>> len(events), events.t_us.tolist()
    (3, [10, 10, 25])
    >>> Events([10, 9], [0, 0], [1, 1], shape=(4,))
    Traceback (most recent call last):
    neuro.errors.InputError: Events: times must not go backwards, got t_us[1] = 9 after 10; sort the events by time
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int32]
    value: NDArray[np.float32]
    shape: tuple[int, ...]
    duration_us: int | None

    def __init__(
        self,
        t_us: ArrayLike,
        index: ArrayLike,
        value: ArrayLike,
        shape: tuple[int, ...],
        *,
        duration_us: int | None = None,
    ) -> None:
        shape = _shape(shape)
        size = math.prod(shape)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(
            self, "t_us", _integers("t_us", t_us, LATEST_US + 1, "0 to 2**62").astype(np.int64)
        )
        entries = _integers("index", index, size, f"the {size} entries of {shape}")
        object.__setattr__(self, "index", entries.astype(np.int32))
        object.__setattr__(self, "value", _values(value))
        lengths = (self.t_us.size, self.index.size, self.value.size)
        if len(set(lengths)) != 1:
            raise InputError(f"Events: t_us, index and value must have one length, got {lengths}")
        backwards = self.t_us[1:] < self.t_us[:-1]
        if backwards.any():
            j = int(np.argmax(backwards)) + 1
            raise InputError(
                f"Events: times must not go backwards, got t_us[{j}] = {self.t_us[j]} after {self.t_us[j - 1]}; "
                "sort the events by time"
            )
        object.__setattr__(self, "duration_us", _duration(duration_us, self.t_us))
        for array in (self.t_us, self.index, self.value):
            array.setflags(write=False)

    def __len__(self) -> int:
        return int(self.t_us.size)

    def __repr__(self) -> str:
        span = f", {self.t_us[0]} to {self.t_us[-1]} us" if len(self) else ""
        end = "" if self.duration_us is None else f", duration_us={self.duration_us}"
        return f"Events({len(self)} events{span}, shape={self.shape}{end})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (self.t_us, self.index, self.value, self.shape, self.duration_us)


def _remade(
    t_us: ArrayLike, index: ArrayLike, value: ArrayLike, shape: tuple[int, ...], duration_us: int | None
) -> Events:
    return Events(t_us, index, value, shape, duration_us=duration_us)


def as_time(owner: str, field: str, value: object, *, least: int = 0) -> int:
    """Return a time in whole microseconds.

    Parameters
    ----------
    owner, field : str
        What an error names.
    value : object
        The time.
    least : int
        The smallest that is allowed.

    Returns
    -------
    int
        The time.

    Raises
    ------
    InputError
        If it is not a whole number from `least` to 2**62.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{owner}: {field} must be a whole number of microseconds, got {value!r}")
    if not least <= value <= LATEST_US:
        raise InputError(f"{owner}: {field} must be from {least} to 2**62 us, got {value}")
    return int(value)


def _duration(duration_us: object, t_us: NDArray[np.int64]) -> int | None:
    if duration_us is None:
        return None
    duration = as_time("Events", "duration_us", duration_us)
    if t_us.size and t_us[-1] >= duration:
        j = int(np.searchsorted(t_us, duration))
        raise InputError(
            f"Events: all events must lie before duration_us = {duration}, got t_us[{j}] = {t_us[j]}; "
            "leave the later events out or declare a longer duration"
        )
    return duration


def _shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)):
        raise InputError(f"Events: shape must be a tuple of whole numbers, got {shape!r}")
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise InputError(f"Events: shape must hold whole numbers >= 1, got {size!r}")
    sizes = tuple(int(size) for size in shape)
    if math.prod(sizes) > _INT32_MAX:
        raise InputError(f"Events: shape {sizes} has {math.prod(sizes)} entries, the limit is {_INT32_MAX}")
    return sizes


def _one_axis(field: str, values: ArrayLike, kinds: str, rule: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as err:
        raise InputError(f"Events: {field} must be an array ({err})") from err
    if array.ndim != 1:
        raise InputError(f"Events: {field} must have one axis, got shape {array.shape}")
    if array.size and array.dtype.kind not in kinds:
        raise InputError(f"Events: {field} must hold {rule}, got {array.dtype}")
    return array


def _integers(field: str, values: ArrayLike, stop: int, rule: str) -> NDArray[Any]:
    array = _one_axis(field, values, "iu", "integers")
    if array.size and (array.min() < 0 or array.max() >= stop):
        j = int(np.argmax((array < 0) | (array >= stop)))
        raise InputError(f"Events: {field}[{j}] = {array[j]} must be inside {rule}")
    return array


def _values(values: ArrayLike) -> NDArray[np.float32]:
    array = _one_axis("value", values, "fiub", "real numbers")
    with np.errstate(over="ignore"):
        result: NDArray[np.float32] = np.array(array, dtype=np.float32)
    wrong = ~np.isfinite(result) | (result == 0)
    if wrong.any():
        j = int(np.argmax(wrong))
        raise InputError(
            f"Events: value[{j}] must be finite and not 0 in float32, got {array[j]}; leave the event out"
        )
    if array.dtype.kind not in "iu":
        return result
    changed = (result != array) | (abs(result) > 2.0**53)  # beyond, the comparison itself would round
    if changed.any():
        j = int(np.argmax(changed))
        raise InputError(
            f"Events: value[{j}] is the whole number {array[j]}, which float32 would round; keep it below 2**24"
        )
    return result
