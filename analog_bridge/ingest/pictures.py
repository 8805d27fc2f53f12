"""Operators with windows over rows and columns: convolution, pooling, padding, enlarging, reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.values import Shape, Value, canonical_shape
from analog_bridge.layers import (
    AveragePool,
    Convolution,
    MaxPool,
    TransposedConvolution,
    Upsample,
)

__all__ = [
    "convolution",
    "transposed_convolution",
    "pooled",
    "adaptive_pooled",
    "reduced",
    "padded",
    "resized",
]

Pads = Sequence[tuple[int, int]]
Kind = Literal["max", "mean"]


def _as_image(net: Assembly, value: Value, n_spatial: int) -> str:
    """Return the layer that holds a tensor (channels, [rows,] columns)."""
    _check_rank(net, value, n_spatial)
    arranged = net.arranged(value, tuple(range(n_spatial + 1)))
    return net.reshaped(arranged.layer, canonical_shape(value.shape))


def _check_rank(net: Assembly, value: Value, n_spatial: int) -> None:
    if n_spatial not in {1, 2}:
        net.refuse(
            f"works over {n_spatial} axes", "use layers over one or two axes (2-D frames and 1-D time)"
        )
    if len(value.shape) != n_spatial + 1:
        net.refuse(
            f"needs a tensor with {n_spatial + 1} axes behind the batch axis, got {value.shape}",
            "keep the batch axis and give (batch, channels, [rows,] columns)",
        )


def _value(net: Assembly, layer: str, n_spatial: int) -> Value:
    shape = net.shape_of(layer)
    shape = shape if n_spatial == 2 else (shape[0], shape[2])
    return Value(layer, shape, tuple(range(len(shape))))


def _pair(values: Sequence[int], fill: int) -> tuple[int, int]:
    return (fill, int(values[0])) if len(values) == 1 else (int(values[0]), int(values[1]))


def convolution(
    net: Assembly,
    value: Value,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    *,
    stride: Sequence[int],
    padding: Pads,
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """Return a cross-correlation over one or two axes; `weight` (out, in / groups, *kernel)."""
    n_spatial = weight.ndim - 2
    source = _as_image(net, value, n_spatial)
    weight = weight if n_spatial == 2 else weight[:, :, None]
    rows, columns = (padding[0], padding[1]) if n_spatial == 2 else ((0, 0), padding[0])
    layer = Convolution(
        net.fresh(),
        (source,),
        weight,
        np.zeros(len(weight)) if bias is None else bias,
        stride=_pair(stride, 1),
        padding=(*rows, *columns),
        dilation=_pair(dilation, 1),
        groups=int(groups),
        place=net.place,
    )
    return _value(net, net.add(layer), n_spatial)


def transposed_convolution(
    net: Assembly,
    value: Value,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """Return a transposed convolution over one or two axes; `weight` (in, out / groups, *kernel)."""
    n_spatial = weight.ndim - 2
    source = _as_image(net, value, n_spatial)
    weight = weight if n_spatial == 2 else weight[:, :, None]
    layer = TransposedConvolution(
        net.fresh(),
        (source,),
        weight,
        np.zeros(weight.shape[1] * groups) if bias is None else bias,
        stride=_pair(stride, 1),
        padding=_pair(padding, 0),
        output_padding=_pair(output_padding, 0),
        dilation=_pair(dilation, 1),
        groups=int(groups),
        place=net.place,
    )
    return _value(net, net.add(layer), n_spatial)


def pooled(
    net: Assembly,
    value: Value,
    kind: Kind,
    kernel: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Pads,
    ceil_mode: bool = False,
    counts_padding: bool = True,
) -> Value:
    """Return the largest value or the mean of each window."""
    n_spatial = len(kernel)
    _check_rank(net, value, n_spatial)
    if kind == "max":
        value, padding = _edged(net, value, kernel, stride, padding, ceil_mode)
    source = _as_image(net, value, n_spatial)
    if ceil_mode and kind == "mean":
        for n, k, s, (before, after) in zip(value.shape[1:], kernel, stride, padding, strict=True):
            if (n + before + after - k) % s:
                net.refuse(
                    "ceil_mode lets windows reach past the edge",
                    "choose sizes that the stride divides, or pad first",
                )
    kernel, stride = _pair(kernel, 1), _pair(stride, 1)
    pads = tuple(padding) if n_spatial == 2 else ((0, 0), padding[0])
    name = net.fresh()
    if all(before == after for before, after in pads):
        sides = (pads[0][0], pads[1][0])
        if kind == "max":
            return _value(
                net, net.add(MaxPool(name, (source,), kernel, stride, sides, place=net.place)), n_spatial
            )
        mean = AveragePool(name, (source,), kernel, stride, sides, counts_padding, place=net.place)
        return _value(net, net.add(mean), n_spatial)
    if not counts_padding:
        net.refuse(f"pads unevenly, {pads}, and leaves the padding out", "pad evenly on both sides")
    channels = net.shape_of(source)[0]
    weight = np.full((channels, 1, *kernel), 1 / math.prod(kernel))
    flat = (*pads[0], *pads[1])
    layer = Convolution(
        name, (source,), weight, np.zeros(channels), stride, flat, groups=channels, place=net.place
    )
    return _value(net, net.add(layer), n_spatial)


def _edged(  # noqa: PLR0917
    net: Assembly, value: Value, kernel: Sequence[int], stride: Sequence[int], padding: Pads, ceil_mode: bool
) -> tuple[Value, Pads]:
    """Return a picture whose edge is repeated where a max pooling pads unevenly, and the padding that is left.

    A window that reaches past the edge holds the edge itself, so that a copy of it never wins.
    """
    sides = []
    for n, k, s, (before, after) in zip(value.shape[1:], kernel, stride, padding, strict=True):
        if ceil_mode:
            n_windows = -(-(n + before + after - k) // s) + 1
            n_windows -= (n_windows - 1) * s >= n + before
            after = max((n_windows - 1) * s + k - n - before, after)  # noqa: PLW2901
        sides.append((before, after))
    if all(before == after for before, after in sides):
        return value, sides
    return indexed_padding(net, value, sides, "edge"), [(0, 0)] * len(sides)


def indexed_padding(
    net: Assembly, value: Value, pads: Pads, mode: Literal["edge", "reflect", "wrap"]
) -> Value:
    """Return a tensor with copies of its entries around its last axes, as `numpy.pad` chooses them."""
    first = len(value.shape) - len(pads)
    index = np.arange(value.size).reshape(value.shape)
    return net.gathered(value, np.pad(index, [(0, 0)] * first + list(pads), mode))


def adaptive_pooled(net: Assembly, value: Value, kind: Kind, size: Sequence[int | None]) -> Value:
    """Return pooling to a size: windows from ``floor(i n / m)`` to ``ceil((i + 1) n / m)``."""
    n_spatial = len(size)
    old = value.shape[-n_spatial:]
    new = tuple(n if m is None else int(m) for n, m in zip(old, size, strict=True))
    if all(n % m == 0 for n, m in zip(old, new, strict=True)):
        kernel = [n // m for n, m in zip(old, new, strict=True)]
        return pooled(net, value, kind, kernel, stride=kernel, padding=[(0, 0)] * n_spatial)
    if kind == "max":
        net.refuse(
            f"pools {old} to {new}, which do not divide", "let the size divide the input's, or use a MaxPool"
        )
    matrix: NDArray[Any] = np.ones((1, 1))
    for n, m in zip(old, new, strict=True):
        one = np.zeros((m, n))
        for i in range(m):
            start, stop = i * n // m, -(-(i + 1) * n // m)
            one[i, start:stop] = 1 / (stop - start)
        matrix = np.kron(matrix, one)
    return _positions(net, value, matrix, new)


def _positions(net: Assembly, value: Value, matrix: NDArray[np.float64], size: Shape) -> Value:
    """Return every channel mapped by the same matrix (new places, old places)."""
    n_spatial = len(size)
    spatial = tuple(range(1, n_spatial + 1))
    arranged = net.arranged(value, (*spatial, 0))
    source = net.reshaped(arranged.layer, (matrix.shape[1], 1, value.shape[0]))
    layer = Convolution(
        net.fresh(), (source,), matrix[:, :, None, None], np.zeros(len(matrix)), place=net.place
    )
    return Value(net.add(layer), (value.shape[0], *size), (*spatial, 0))


def reduced(net: Assembly, value: Value, kind: Kind, axes: Sequence[int], keeps_axes: bool) -> Value:
    """Return the largest value or the mean over some axes."""
    over = sorted(set(axes))
    kept = [axis for axis in range(len(value.shape)) if axis not in over]
    if len(value.shape) == 3 and value.axes[0] not in over and net.shape_of(value.layer) == value.stored:
        arranged = value  # windows along rows or columns
        rows, columns = (
            n if axis in over else 1 for n, axis in zip(value.stored[1:], value.axes[1:], strict=True)
        )
        source = value.layer
    else:
        front = [axis for axis in value.axes if axis in kept]
        arranged = net.arranged(value, (*front, *over))
        shape = net.shape_of(arranged.layer)
        n_kept = math.prod(value.shape[axis] for axis in kept)
        if len(shape) != 3 or shape[0] != n_kept:
            shape = (n_kept, 1, value.size // n_kept)
        source = net.reshaped(arranged.layer, shape)
        rows, columns = shape[1], shape[2]
    kernel = (rows, columns)
    pool = MaxPool if kind == "max" else AveragePool
    layer = net.add(pool(net.fresh(), (source,), kernel, kernel, place=net.place))
    new = tuple(1 if axis in over else n for axis, n in enumerate(value.shape))
    found = replace(value, layer=layer, shape=new, axes=arranged.axes)
    return found if keeps_axes else net.view(found, tuple(value.shape[axis] for axis in kept))


def padded(net: Assembly, value: Value, pads: Pads, fill: float = 0.0) -> Value:
    """Return a tensor with zeros around it; `pads` are (before, after) for the last axes."""
    first = len(value.shape) - len(pads)
    for axis, (before, after) in enumerate(pads, first):
        if before < 0 or after < 0:
            kept = range(max(-before, 0), value.shape[axis] - max(-after, 0))
            index = np.arange(value.size).reshape(value.shape).take(list(kept), axis)
            value = net.gathered(value, index)
    grown = [(max(before, 0), max(after, 0)) for before, after in pads]
    if not any(map(any, grown)):
        return value
    if fill != 0:
        net.refuse(f"pads with {fill}", "pad with 0")
    if first < 1 or len(value.shape) not in {2, 3}:
        net.refuse(f"pads the axes of {value.shape} by {pads}", "pad rows and columns only")
    n_spatial = len(value.shape) - 1
    source = _as_image(net, value, n_spatial)
    rows, columns = ([(0, 0)] * (2 - len(grown)) + grown)[-2:]
    channels = value.shape[0]
    layer = Convolution(
        net.fresh(),
        (source,),
        np.ones((channels, 1, 1, 1)),
        np.zeros(channels),
        padding=(*rows, *columns),
        groups=channels,
        place=net.place,
    )
    name = net.add(layer)
    net.mark_padding(name)
    return _value(net, name, n_spatial)


def resized(
    net: Assembly,
    value: Value,
    size: Sequence[int],
    mode: Literal["nearest", "linear"],
    *,
    aligns_corners: bool = False,
) -> Value:
    """Return a picture of another size, by whole factors as an `Upsample`, else as a map between places."""
    n_spatial = len(size)
    old = value.shape[-n_spatial:]
    size = tuple(map(int, size))
    if min(size) < 1:
        net.refuse(f"makes a picture of {size}", "let each side have at least one pixel")
    if size == old:
        return value
    is_whole = all(m % n == 0 for n, m in zip(old, size, strict=True))
    if is_whole and not aligns_corners:
        source = _as_image(net, value, n_spatial)
        factor = _pair([m // n for n, m in zip(old, size, strict=True)], 1)
        word: Literal["nearest", "bilinear"] = "nearest" if mode == "nearest" else "bilinear"
        return _value(
            net, net.add(Upsample(net.fresh(), (source,), factor, word, place=net.place)), n_spatial
        )
    matrix: NDArray[Any] = np.ones((1, 1))
    for n, m in zip(old, size, strict=True):
        matrix = np.kron(matrix, _interpolation(n, m, mode, aligns_corners))
    return _positions(net, value, matrix, size)


def _interpolation(n: int, m: int, mode: str, aligns_corners: bool) -> NDArray[np.float64]:
    """Return the matrix (m, n) of an interpolation along one axis."""
    matrix = np.zeros((m, n))
    places = np.arange(m)
    if mode == "nearest":
        matrix[places, places * n // m] = 1
        return matrix
    if aligns_corners:
        position = places * ((n - 1) / (m - 1)) if m > 1 else np.zeros(1)
    else:
        position = np.maximum((places + 0.5) * (n / m) - 0.5, 0)
    below = np.minimum(np.floor(position).astype(np.int64), n - 1)
    part = position - below
    matrix[places, below] += 1 - part
    matrix[places, np.minimum(below + 1, n - 1)] += part
    return matrix
