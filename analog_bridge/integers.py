"""A network in whole numbers: what it computes when all its values are multiples of powers of two, in int64."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import LayerError
from analog_bridge.evaluation import check_batch
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MatrixProduct,
    MaxPool,
    Permutation,
    Product,
    Quantizer,
    Rearrangement,
    Reshape,
    Scale,
    Sum,
    TransposedConvolution,
    Upsample,
)
from analog_bridge.layers.plain import plain

__all__ = ["Integers", "evaluate_integers", "as_integers"]

Ints = NDArray[np.int64]
# products and sums of whole numbers below it are exact in float64, in any order
_EXACT = 2**53


class Integers(NamedTuple):
    """Whole numbers times a power of two: ``values * 2**exponent``.

    Attributes
    ----------
    values : int64 array
        The whole numbers.
    exponent : int
        Of the power of two.
    """

    values: Ints
    exponent: int

    @property
    def real(self) -> NDArray[np.float64]:
        """The values as float64, without rounding."""
        return np.ldexp(self.values.astype(np.float64), self.exponent)

    def at(self, exponent: int) -> Ints:
        """Return the whole numbers at a smaller exponent."""
        return self.values << (self.exponent - exponent)


def as_integers(values: ArrayLike) -> Integers:
    """Return real numbers as whole numbers times the largest power of two that divides them all.

    Parameters
    ----------
    values : array
        Float32 or float64, finite.

    Returns
    -------
    Integers
        The same values.

    Raises
    ------
    LayerError
        Their range needs more than 53 bits.

    Examples
    --------
    >>> as_integers([0.75, -1.0])
    Integers(values=array([ 3, -4]), exponent=-2)
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.any():
        return Integers(np.zeros(array.shape, np.int64), 0)
    mantissa, exponent = np.frexp(array[array != 0])
    odd = np.ldexp(mantissa, 53).astype(np.int64)
    twos = np.log2(odd & -odd).astype(np.int64)  # how often 2 divides each
    smallest = int((exponent - 53 + twos).min())
    if int(exponent.max()) - smallest > 53:
        raise LayerError(
            f"evaluate_integers: values from 2**{smallest} to 2**{int(exponent.max())} do not share a grid of 53 bits; "
            "use snap_to_grid, and round the data to the grid of the input"
        )
    return Integers(np.ldexp(array, -smallest).astype(np.int64), smallest)


def evaluate_integers(
    layers: LayerGraph, x: ArrayLike | Mapping[str, ArrayLike], *, keep: Collection[str] = ()
) -> dict[str, Integers]:
    """Compute a layer graph in whole numbers: no rounding anywhere.

    All weights, biases, units and data must share a grid per array, as float32 numbers with few bits do (see
    `quantization.snap_to_grid`). Sums are checked against 2**53 and products are taken below it, so that every
    result is exact. A `Quantizer` counts ``clip((2 x + unit) // (2 unit), -n_negative, n_levels)`` in integers.

    Parameters
    ----------
    layers : LayerGraph
        The network.
    x : array, shape ````(n, *shape)````, or dict of arrays
        Data on a grid; multiples of the input's `unit` where it has one.
    keep : collection of str
        Names of layers whose values are returned as well.

    Returns
    -------
    dict of Integers
        Values of the outputs, then of those in `keep`, by name.

    Raises
    ------
    LayerError
        Data or weights do not lie on a grid, a sum could pass 2**53, or a layer has no integer form (an average over
        a window whose area is no power of two, bilinear enlarging by a factor that is none).
    """
    wanted = layers.names_of(keep)
    batch = check_batch(layers, x, owner="evaluate_integers")
    walk = layers.walk(
        lambda entry: _entered(entry, batch[entry.name]),
        lambda layer, inputs: _RULES[type(layer)](layer, inputs),
    )
    found = {layer.name: value for layer, value in walk if layer.name in wanted}
    return {name: found[name] for name in wanted}


def _refuse(layer: Layer, problem: str, remedy: str) -> NoReturn:
    raise LayerError(f"{layer.label}: {problem}; {remedy}")


def _entered(layer: InputLayer, x: NDArray[Any]) -> Integers:
    if layer.unit is not None:
        scaled = np.asarray(x, dtype=np.float64) / layer.unit
        if (scaled != np.floor(scaled)).any():
            _refuse(
                layer,
                f"data are not multiples of its unit {layer.unit}",
                "round them: np.round(x / unit) * unit",
            )
        return Integers(scaled.astype(np.int64), int(math.log2(layer.unit)))
    return as_integers(x)


def _checked(layer: Layer, weights: Ints, x: Ints, bias: int) -> None:
    """Raise if a sum of products could pass 2**53; `weights` (out, ...)."""
    rows = np.abs(weights.reshape(len(weights), -1)).astype(object).sum(1)
    bound = int(rows.max()) * int(np.abs(x).max(initial=0)) + bias
    if bound >= _EXACT:
        _refuse(
            layer, f"a sum could reach {bound:.3g}, more than 2**53", "use fewer bits for weights or data"
        )


def _aligned(parts: Sequence[Integers], layer: Layer) -> tuple[list[Ints], int]:
    exponent = min(part.exponent for part in parts)
    for part in parts:
        largest = int(np.abs(part.values).max(initial=0)) << (part.exponent - exponent)
        if largest >= _EXACT:
            _refuse(layer, f"values of {largest:.3g} grid steps pass 2**53", "use a coarser grid")
    return [part.at(exponent) for part in parts], exponent


def _with_bias(layer: Any, sums: Integers, bias: Integers) -> Integers:
    shape = (1, -1, *[1] * (sums.values.ndim - 2))
    (total, offset), exponent = _aligned([sums, Integers(bias.values.reshape(shape), bias.exponent)], layer)
    return Integers(total + offset, exponent)


def _dense(layer: Dense, inputs: Sequence[Integers]) -> Integers:
    weight, x = as_integers(layer.weight), inputs[0]
    _checked(layer, weight.values, x.values, 0)
    product = (x.values.astype(np.float64) @ weight.values.T.astype(np.float64)).astype(np.int64)
    return _with_bias(layer, Integers(product, x.exponent + weight.exponent), as_integers(layer.bias))


def _windows(x: Ints, layer: Any, kernel: Sequence[int], padding: Sequence[int], fill: int) -> Any:
    """Return every window of a picture, shape (n, C, rows, columns, *kernel)."""
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    dilation = getattr(layer, "dilation", (1, 1))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    found: Any = sliding_window_view(padded, spans, axis=(2, 3))  # type: ignore[call-overload]
    return found[:, :, :: layer.stride[0], :: layer.stride[1], :: dilation[0], :: dilation[1]]


def _convolution(layer: Convolution, inputs: Sequence[Integers]) -> Integers:
    weight, x = as_integers(layer.weight), inputs[0]
    _checked(layer, weight.values, x.values, 0)
    n_out, per_group, *kernel = weight.values.shape
    windows = _windows(x.values, layer, kernel, layer.padding, 0)
    n, _, rows, columns = windows.shape[:4]
    parts = []
    for group in range(layer.groups):
        taken = windows[:, group * per_group : (group + 1) * per_group]
        flat = taken.transpose(0, 2, 3, 1, 4, 5).reshape(n * rows * columns, -1).astype(np.float64)
        size = n_out // layer.groups
        kernels = weight.values[group * size : (group + 1) * size].reshape(size, -1).astype(np.float64)
        parts.append((flat @ kernels.T).astype(np.int64).reshape(n, rows, columns, size))
    sums = np.concatenate(parts, axis=3).transpose(0, 3, 1, 2)
    return _with_bias(layer, Integers(sums, x.exponent + weight.exponent), as_integers(layer.bias))


def _scale(layer: Scale, inputs: Sequence[Integers]) -> Integers:
    factor, x = as_integers(layer.factor), inputs[0]
    _checked(layer, factor.values, x.values, 0)
    shape = (1, -1, *[1] * (x.values.ndim - 2))
    product = Integers(x.values * factor.values.reshape(shape), x.exponent + factor.exponent)
    return _with_bias(layer, product, as_integers(layer.offset))


def _average(layer: AveragePool, inputs: Sequence[Integers]) -> Integers:
    area = math.prod(layer.kernel)
    if area & (area - 1) or (any(layer.padding) and not layer.counts_padding):
        _refuse(layer, f"takes the mean of {area} values or leaves padding out", "use snap_to_grid")
    padding = (layer.padding[0], layer.padding[0], layer.padding[1], layer.padding[1])
    windows = _windows(inputs[0].values, layer, layer.kernel, padding, 0)
    return Integers(windows.sum((4, 5)), inputs[0].exponent - int(math.log2(area)))


def _largest(layer: MaxPool, inputs: Sequence[Integers]) -> Integers:
    padding = (layer.padding[0], layer.padding[0], layer.padding[1], layer.padding[1])
    windows = _windows(inputs[0].values, layer, layer.kernel, padding, np.iinfo(np.int64).min)
    return Integers(windows.max((4, 5)), inputs[0].exponent)


def _enlarged(layer: Upsample | TransposedConvolution, inputs: Sequence[Integers]) -> Integers:
    """Enlarge as `plain` does; bilinear weights are exact where the factors are powers of two."""
    if isinstance(layer, Upsample) and layer.mode == "bilinear" and any(f & (f - 1) for f in layer.factor):
        _refuse(layer, f"enlarges bilinearly by {layer.factor}, not by powers of two", "use snap_to_grid")
    value = inputs[0]
    for part in plain(layer, value.values.shape[1:]):
        value = _RULES[type(part)](part, [value])
    return value


def _rearrangement(layer: Rearrangement, inputs: Sequence[Integers]) -> Integers:
    flat = inputs[0].values.reshape(len(inputs[0].values), -1)
    return Integers(np.where(layer.index < 0, 0, flat[:, layer.index]), inputs[0].exponent)


def _activation(layer: Activation, inputs: Sequence[Integers]) -> Integers:
    x = inputs[0]
    bounds = [as_integers(layer.lower), as_integers(0.0 if layer.upper is None else layer.upper)]
    (values, lower, upper), exponent = _aligned([x, *bounds], layer)
    if layer.slope:
        slope = as_integers(layer.slope)
        steps = Integers(values * slope.values, exponent + slope.exponent)
        (values, upper, below), exponent = _aligned([Integers(values, exponent), bounds[1], steps], layer)
        values = np.where(values < 0, below, values)
    else:
        values = np.maximum(values, lower)
    return Integers(values if layer.upper is None else np.minimum(values, upper), exponent)


def _quantizer(layer: Quantizer, inputs: Sequence[Integers]) -> Integers:
    unit = as_integers(layer.unit)
    shape = (1, -1, *[1] * (inputs[0].values.ndim - 2))
    (x, step), _ = _aligned([inputs[0], Integers(unit.values.reshape(shape), unit.exponent)], layer)
    n = np.clip((2 * x + step) // (2 * step), -layer.n_negative, layer.n_levels)
    return Integers(n * unit.values.reshape(shape), unit.exponent)


def _sum(layer: Sum, inputs: Sequence[Integers]) -> Integers:
    parts, exponent = _aligned(inputs, layer)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return Integers(total, exponent)


def _product(layer: Product, inputs: Sequence[Integers]) -> Integers:
    a, b = inputs
    bound = int(np.abs(a.values).max(initial=0)) * int(np.abs(b.values).max(initial=0))
    if bound >= _EXACT:
        _refuse(layer, f"a product could reach {bound:.3g}, more than 2**53", "use fewer bits")
    return Integers(a.values * b.values, a.exponent + b.exponent)


def _matrix_product(layer: MatrixProduct, inputs: Sequence[Integers]) -> Integers:
    a, b = inputs
    most = np.abs(a.values).astype(object).sum(-1).max(initial=0) * int(np.abs(b.values).max(initial=0))
    if most >= _EXACT:
        _refuse(layer, f"a sum could reach {most:.3g}, more than 2**53", "use fewer bits")
    product = a.values.astype(np.float64) @ b.values.astype(np.float64)
    return Integers(product.astype(np.int64), a.exponent + b.exponent)


def _concatenation(layer: Concatenation, inputs: Sequence[Integers]) -> Integers:
    parts, exponent = _aligned(inputs, layer)
    return Integers(np.concatenate(parts, 1), exponent)


def _reshape(layer: Reshape, inputs: Sequence[Integers]) -> Integers:
    values = inputs[0].values
    return Integers(values.reshape(len(values), *layer.shape), inputs[0].exponent)


_RULES: dict[type[Layer], Callable[[Any, Sequence[Integers]], Integers]] = {
    Convolution: _convolution,
    Dense: _dense,
    Scale: _scale,
    AveragePool: _average,
    MaxPool: _largest,
    Upsample: _enlarged,
    TransposedConvolution: _enlarged,
    Activation: _activation,
    Quantizer: _quantizer,
    Sum: _sum,
    Product: _product,
    MatrixProduct: _matrix_product,
    Concatenation: _concatenation,
    Reshape: _reshape,
    Permutation: lambda layer, inputs: Integers(inputs[0].values[:, layer.order], inputs[0].exponent),
    Rearrangement: _rearrangement,
}
