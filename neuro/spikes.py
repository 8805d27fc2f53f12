"""Spikes (or counts) of one run: a sorted list of non-zero entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuro.errors import InputError

__all__ = ["Spikes"]

_INT32_MAX = int(np.iinfo(np.int32).max)


@dataclass(frozen=True, eq=False, repr=False)
class Spikes:
    """The non-zero entries of a sequence of frames, in order of time.

    Entry ``j`` says that position ``index[j]`` of the flattened frame has ``value[j]`` in step ``step[j]``.
    The arrays are copied once, checked once and then read-only.

    Attributes
    ----------
    step : int32, shape (n,)
        Time step of each entry, ``0 <= step < n_steps``, non-decreasing.
    index : int32, shape (n,)
        Position in the flattened (channel, row, column) shape, strictly increasing within a step.
    value : float32, shape (n,)
        Finite and not zero: 1 for a spike, the number of events for a count.
    n_steps : int
        Number of steps, at least 0.
    shape : tuple of int
        Shape of one frame, for example ``(2, 34, 34)``.

    Raises
    ------
    InputError
        If the arrays differ in length, are not sorted, hold a position twice, leave the range, or hold
        a zero, NaN or infinity; the message names the first such position.

    Examples
    --------
    >>> spikes = Spikes([0, 2], [1, 3], [1.0, 2.0], n_steps=3, shape=(4,))
    >>> len(spikes), spikes.to_dense()[2].tolist()
    (2, [0.0, 0.0, 0.0, 2.0])
    """

    step: NDArray[np.int32]
    index: NDArray[np.int32]
    value: NDArray[np.float32]
    n_steps: int
    shape: tuple[int, ...]

    def __init__(
        self, step: ArrayLike, index: ArrayLike, value: ArrayLike, n_steps: int, shape: tuple[int, ...]
    ) -> None:
        if not isinstance(shape, (tuple, list)):
            raise InputError(f"Spikes: shape must be a tuple of whole numbers, got {shape!r}")
        shape = tuple(_whole("shape", size, 1) for size in shape)
        n_steps = _whole("n_steps", n_steps, 0)
        size = math.prod(shape)
        if size > _INT32_MAX:
            raise InputError(f"Spikes: shape {shape} has {size} entries, the limit is {_INT32_MAX}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "n_steps", n_steps)
        object.__setattr__(self, "step", _integers("step", step, n_steps, f"n_steps = {n_steps}"))
        object.__setattr__(self, "index", _integers("index", index, size, f"the {size} entries of {shape}"))
        object.__setattr__(self, "value", _values(value))
        lengths = (self.step.size, self.index.size, self.value.size)
        if len(set(lengths)) != 1:
            raise InputError(f"Spikes: step, index and value must have one length, got {lengths}")
        _check_order(self.step, self.index, size)

    @classmethod
    def from_dense(cls, array: ArrayLike) -> Self:
        """Take the non-zero entries of a dense array.

        Parameters
        ----------
        array : array_like, shape (n_steps, ...)
            Dense frames; the first axis is time. Stored as float32.

        Returns
        -------
        Spikes
            Its ``to_dense()`` equals the float32 array.

        Raises
        ------
        InputError
            If the array has fewer than two axes, or holds NaN, infinity or something that is no number.

        Examples
        --------
        >>> Spikes.from_dense([[0, 1], [3, 0]]).value.tolist()
        [1.0, 3.0]
        """
        dense = _array("the dense array", array)
        if dense.ndim < 2:
            raise InputError(f"Spikes.from_dense: needs shape (n_steps, ...), got {dense.shape}")
        flat = _as_float32("the dense array", dense).reshape(dense.shape[0], math.prod(dense.shape[1:]))
        step, index = np.nonzero(flat)
        return cls(step, index, flat[step, index], n_steps=dense.shape[0], shape=dense.shape[1:])

    def to_dense(self) -> NDArray[np.float32]:
        """Write the entries into an array of zeros.

        Returns
        -------
        float32, shape ``(n_steps, *shape)``
            The dense frames.
        """
        dense = np.zeros((self.n_steps, math.prod(self.shape)), dtype=np.float32)
        dense[self.step, self.index] = self.value
        return dense.reshape(self.n_steps, *self.shape)

    def __len__(self) -> int:
        return int(self.step.size)

    def __repr__(self) -> str:
        return f"Spikes({len(self)} entries, n_steps={self.n_steps}, shape={self.shape})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Spikes, (self.step, self.index, self.value, self.n_steps, self.shape)


def _whole(field: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"Spikes: {field} must be a whole number >= {least}, got {value!r}")
    return int(value)


def _array(what: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as err:
        raise InputError(f"Spikes: {what} must be an array ({err})") from err


def _integers(field: str, values: ArrayLike, stop: int, rule: str) -> NDArray[np.int32]:
    array = _array(field, values)
    if array.ndim != 1:
        raise InputError(f"Spikes: {field} must have one axis, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"Spikes: {field} must hold integers, got {array.dtype}")
    wrong = (array < 0) | (array >= stop)
    if wrong.any():
        j = int(np.argmax(wrong))
        raise InputError(f"Spikes: {field}[{j}] = {array[j]} must be >= 0 and inside {rule}")
    result = array.astype(np.int32)
    result.setflags(write=False)
    return result


def _as_float32(what: str, array: NDArray[Any]) -> NDArray[np.float32]:
    if array.size and array.dtype.kind not in "fiub":
        raise InputError(f"Spikes: {what} must hold real numbers, got {array.dtype}")
    with np.errstate(over="ignore"):
        result: NDArray[np.float32] = np.array(array, dtype=np.float32, order="C")
    wrong = ~np.isfinite(result)
    if wrong.any():
        position = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), result.shape))
        where = ", ".join(map(str, position))
        raise InputError(f"Spikes: {what} must be finite in float32, got {array[position]} at [{where}]")
    if array.dtype.kind not in "iu":
        return result
    changed = (result != array) | (abs(result) > 2.0**53)  # beyond, the comparison itself would round
    if changed.any():
        position = tuple(int(i) for i in np.unravel_index(int(np.argmax(changed)), result.shape))
        where = ", ".join(map(str, position))
        raise InputError(
            f"Spikes: {what} holds the whole number {array[position]} at [{where}], which float32 would round; "
            "counts must stay below 2**24"
        )
    return result


def _values(values: ArrayLike) -> NDArray[np.float32]:
    array = _array("value", values)
    if array.ndim != 1:
        raise InputError(f"Spikes: value must have one axis, got shape {array.shape}")
    result = _as_float32("value", array)
    if (result == 0).any():
        j = int(np.argmax(result == 0))
        raise InputError(f"Spikes: value[{j}] must not be 0 in float32, got {array[j]}; leave the entry out")
    result.setflags(write=False)
    return result


def _check_order(step: NDArray[np.int32], index: NDArray[np.int32], size: int) -> None:
    key = step.astype(np.int64) * size + index
    wrong = np.diff(key) <= 0
    if wrong.any():
        j = int(np.argmax(wrong)) + 1
        raise InputError(
            f"Spikes: entries must be sorted by (step, index) without repeats: entry {j} is "
            f"({step[j]}, {index[j]}) after ({step[j - 1]}, {index[j - 1]})"
        )
