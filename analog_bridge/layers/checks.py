"""Checks of a layer's values; each stores what it has checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.errors import LayerError


def label(layer: Any) -> str:
    """How a layer is called in messages: ``Convolution 'conv1' (model.py:17)``."""
    place = f" ({layer.place})" if layer.place else ""
    return f"{type(layer).__name__} {layer.name!r}{place}"


def _store(layer: Any, field: str, value: object) -> None:
    object.__setattr__(layer, field, value)


def names(layer: Any) -> None:
    """Check the name and the names of the inputs."""
    if not isinstance(layer.name, str) or not layer.name:
        raise LayerError(f"{label(layer)}: a layer needs a name, text that is not empty")
    inputs = layer.inputs
    if isinstance(inputs, str) or not all(isinstance(name, str) for name in inputs):
        raise LayerError(f"{label(layer)}: inputs must be a tuple of names, got {inputs!r}")
    _store(layer, "inputs", tuple(inputs))


def floats(
    layer: Any, field: str, *, n_axes: int = 1, size: int | None = None, positive: bool = False
) -> None:
    """Store a field as a read-only float32 array after checking its axes, its size and its values."""
    given = np.asarray(getattr(layer, field))
    if given.dtype.kind not in "fiu":
        raise LayerError(f"{label(layer)}: {field} must hold real numbers, got {given.dtype}")
    if given.ndim != n_axes or (size is not None and given.shape != (size,)):
        wanted = f"shape ({size},)" if size is not None else f"{n_axes} axes"
        raise LayerError(f"{label(layer)}: {field} must have {wanted}, got {given.shape}")
    if given.size == 0:
        raise LayerError(f"{label(layer)}: {field} is empty, shape {given.shape}")
    if not np.isfinite(given).all():
        _refuse_entry(layer, field, given, ~np.isfinite(given), "must be finite; is the network trained?")
    with np.errstate(over="ignore"):
        value = np.array(given, dtype=np.float32, order="C")
    if not np.isfinite(value).all():
        _refuse_entry(layer, field, given, ~np.isfinite(value), "is too large for float32")
    if positive and not (value > 0).all():
        _refuse_entry(layer, field, value, ~(value > 0), "must be > 0 (and not vanish in float32)")
    value.flags.writeable = False
    _store(layer, field, value)


def _refuse_entry(layer: Any, field: str, values: NDArray[Any], bad: NDArray[np.bool_], rule: str) -> None:
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    index = ", ".join(map(str, place))
    raise LayerError(f"{label(layer)}: {field}[{index}] = {values[place]} {rule}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(layer: Any, field: str, *, n: int, least: int) -> None:
    """Store a field as a tuple of `n` whole numbers that are at least `least`."""
    value: Sequence[Any] = getattr(layer, field)
    is_right = isinstance(value, Sequence) and len(value) == n and all(map(_is_whole, value))
    if not is_right or min(value) < least:
        raise LayerError(f"{label(layer)}: {field} must be {n} whole numbers >= {least}, got {value!r}")
    _store(layer, field, tuple(map(int, value)))


def count(layer: Any, field: str, *, least: int) -> None:
    """Store a field as a whole number that is at least `least`."""
    value = getattr(layer, field)
    if not _is_whole(value) or value < least:
        raise LayerError(f"{label(layer)}: {field} must be a whole number >= {least}, got {value!r}")
    _store(layer, field, int(value))


def shape(layer: Any, field: str) -> None:
    """Store a shape: one axis or three, each at least 1."""
    value = getattr(layer, field)
    is_right = isinstance(value, Sequence) and len(value) in {1, 3} and all(map(_is_whole, value))
    if not is_right or min(value) < 1:
        raise LayerError(
            f"{label(layer)}: {field} must be (n,) or (channels, rows, columns), each >= 1, got {value!r}"
        )
    _store(layer, field, tuple(map(int, value)))


def groups(layer: Any, n_channels: int) -> None:
    """Check that the groups divide the channels that the first axis of the weight counts."""
    count(layer, "groups", least=1)
    if n_channels % layer.groups:
        raise LayerError(
            f"{label(layer)}: groups = {layer.groups} must divide the {n_channels} channels of {layer.weight.shape}"
        )


def windows(layer: Any) -> None:
    """Check kernel, stride and padding of a pooling layer."""
    whole(layer, "kernel", n=2, least=1)
    whole(layer, "stride", n=2, least=1)
    whole(layer, "padding", n=2, least=0)
    if any(2 * p > k for p, k in zip(layer.padding, layer.kernel, strict=True)):
        raise LayerError(
            f"{label(layer)}: padding {layer.padding} must be at most half of the kernel {layer.kernel}"
        )


def bounds(layer: Any) -> None:
    """Check what an activation does: lower <= 0 < upper, slope finite and below 1."""
    lower, upper, slope = layer.lower, layer.upper, layer.slope
    if not (math.isfinite(lower) and lower <= 0):
        raise LayerError(f"{label(layer)}: lower must be finite and <= 0, got {lower}; shift it by a Scale")
    if upper is not None and not (math.isfinite(upper) and upper > 0):
        raise LayerError(f"{label(layer)}: upper must be finite and > 0, or None, got {upper}")
    if not math.isfinite(slope) or (slope != 0 and lower != 0):
        raise LayerError(
            f"{label(layer)}: slope must be finite, and lower 0 with a slope; got slope = {slope}, lower = {lower}"
        )
    _store(layer, "lower", float(lower))
    _store(layer, "upper", None if upper is None else float(upper))
    _store(layer, "slope", float(slope))


def choice(layer: Any, field: str, allowed: tuple[str, ...]) -> None:
    """Check that a field is one of the words allowed."""
    value = getattr(layer, field)
    if value not in allowed:
        raise LayerError(f"{label(layer)}: {field} must be one of {', '.join(allowed)}, got {value!r}")


def order(layer: Any) -> None:
    """Store the order of a permutation as a read-only int32 array."""
    given = np.asarray(layer.order)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu" or given.min() < 0:
        raise LayerError(
            f"{label(layer)}: order must hold whole numbers >= 0, at least one, got {given.dtype} {given.shape}"
        )
    value = np.array(given, dtype=np.int32)
    value.flags.writeable = False
    _store(layer, "order", value)


def places(layer: Any) -> None:
    """Store the index of a rearrangement as a read-only int32 array."""
    given = np.asarray(layer.index)
    if given.ndim not in (1, 3) or given.size == 0 or given.dtype.kind not in "iu" or given.min() < -1:
        raise LayerError(
            f"{label(layer)}: index must hold whole numbers >= -1, one or three axes, got {given.dtype} {given.shape}"
        )
    value = np.array(given, dtype=np.int32)
    value.flags.writeable = False
    _store(layer, "index", value)


def power_of_two(layer: Any, field: str) -> None:
    """Check that a field is None or a power of two."""
    value = getattr(layer, field)
    if value is not None and not (
        isinstance(value, int | float) and 0 < value < math.inf and math.frexp(value)[0] == 0.5
    ):
        raise LayerError(f"{label(layer)}: {field} must be a power of two, or None, got {value!r}")
