"""Weights of few bits, and units and biases on their grid: the network then runs in whole numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.errors import CalibrationError
from analog_bridge.integers import as_integers
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MatrixProduct,
    Product,
    Quantizer,
    Scale,
    TransposedConvolution,
    Upsample,
)
from analog_bridge.layers.plain import plain

__all__ = ["snap_to_grid"]


def snap_to_grid(
    layers: LayerGraph,
    *,
    weight_bits: int = 8,
    per_channel: bool = True,
    unit_bits: int = 3,
    input_unit: float = 2.0**-8,
) -> LayerGraph:
    """Round a quantised network so that it computes in whole numbers, with the same result on every machine.

    Weights become ``k * 2**-e`` with whole ``k`` of `weight_bits` bits and one ``e`` per layer or output channel (the
    one with the smallest squared error); units of the counts ``m * 2**-e`` with ``m`` of `unit_bits` bits (1: powers of
    two, so that a synapse is one int8 weight; 3: within 7 % of what was calibrated); biases multiples of the grid that
    the sums of their layer have. Data must be multiples of `input_unit`. Sums of a layer are then whole multiples of
    one power of two, exact in any order where they fit the number format: `evaluate_integers` (int64) and `evaluate`
    agree bit for bit while sums stay below 2**24 grid steps in float32, 2**53 in float64 (a Product adds up the bits of
    its inputs).

    Parameters
    ----------
    layers : LayerGraph
        A network in counts (see `calibrate`).
    weight_bits : int
        Bits of a weight with its sign, 2 to 16.
    per_channel : bool
        One power of two per output channel instead of one per layer.
    unit_bits : int
        Bits of the mantissa of a unit, 1 to 8.
    input_unit : float
        A power of two; the input's grid (pixels that are ``k / 256``: 2**-8).

    Returns
    -------
    LayerGraph
        The rounded network; its inputs say their unit. An average over a window whose area is no power of two is a
        depthwise convolution there, bilinear enlarging by such a factor zeros between entries and a convolution.

    Raises
    ------
    CalibrationError
        An Activation is left, a layer has no form on a grid, or the bits are out of range.
    """
    if not 2 <= weight_bits <= 16 or not 1 <= unit_bits <= 8:
        raise CalibrationError(
            f"snap_to_grid: weight_bits must be 2 to 16 and unit_bits 1 to 8, got {weight_bits} and {unit_bits}"
        )
    if not 0 < input_unit < math.inf or math.frexp(input_unit)[0] != 0.5:
        raise CalibrationError(f"snap_to_grid: input_unit must be a power of two, got {input_unit}")
    steps: dict[str, int] = {}  # exponent of the grid on which each layer's values lie
    found: list[Layer] = []
    for layer in _countable(layers).layers:
        snapped = _snapped(layer, layers, steps, weight_bits, per_channel, unit_bits, input_unit)
        found.append(snapped)
    return replace(layers, layers=tuple(found))


def _snapped(  # noqa: PLR0917
    layer: Layer,
    layers: LayerGraph,
    steps: dict[str, int],
    weight_bits: int,
    per_channel: bool,
    unit_bits: int,
    input_unit: float,
) -> Layer:
    before = min((steps[name] for name in layer.inputs), default=0)
    if isinstance(layer, InputLayer):
        steps[layer.name] = int(math.log2(input_unit))
        return replace(layer, unit=input_unit)
    if isinstance(layer, AveragePool):
        layer = _as_convolution(layer, layers)
    if isinstance(layer, Convolution | Dense):
        weight = rounded_weights(layer.weight, weight_bits, per_channel)
        steps[layer.name] = _exponent(weight) + before
        return replace(layer, weight=weight, bias=_on_grid(layer.bias, steps[layer.name]))
    if isinstance(layer, Scale):
        factor = rounded_weights(layer.factor[:, None], weight_bits, per_channel)[:, 0]
        steps[layer.name] = _exponent(factor) + before
        return replace(layer, factor=factor, offset=_on_grid(layer.offset, steps[layer.name]))
    if isinstance(layer, Quantizer):
        unit = rounded_units(layer.unit, unit_bits)
        steps[layer.name] = _exponent(unit)
        return replace(layer, unit=unit)
    if isinstance(layer, TransposedConvolution):
        weight = rounded_weights(layer.weight.swapaxes(0, 1), weight_bits, per_channel).swapaxes(0, 1)
        steps[layer.name] = _exponent(weight) + before
        return replace(layer, weight=weight, bias=_on_grid(layer.bias, steps[layer.name]))
    if isinstance(layer, Product | MatrixProduct):
        steps[layer.name] = sum(steps[name] for name in layer.inputs)
        return layer
    if isinstance(layer, Activation):
        raise CalibrationError(f"{layer.label}: has no form in whole numbers; calibrate first")
    if isinstance(layer, Upsample) and layer.mode == "bilinear":
        before -= int(math.log2(4 * math.prod(layer.factor)))
    area = math.prod(layer.kernel) if isinstance(layer, AveragePool) else 1
    steps[layer.name] = before - int(math.log2(area))
    return layer


def _countable(layers: LayerGraph) -> LayerGraph:
    """Return the network with a convolution for bilinear enlarging by factors that are no powers of two."""
    found: list[Layer] = []
    for layer in layers.layers:
        is_rounded = isinstance(layer, Upsample) and layer.mode == "bilinear"
        if isinstance(layer, Upsample) and is_rounded and any(f & (f - 1) for f in layer.factor):
            found += plain(layer, layers.shapes[layer.inputs[0]])
        else:
            found.append(layer)
    return replace(layers, layers=tuple(found))


def rounded_weights(weight: NDArray[Any], bits: int, per_channel: bool) -> NDArray[np.float32]:
    """Return weights (out, ...) as whole numbers of some bits times a power of two.

    Of the power that holds the largest weight and the two below it, the one with the smallest squared error is taken.
    """
    rows = np.asarray(weight, dtype=np.float64).reshape(len(weight), -1)
    groups = rows if per_channel else rows.reshape(1, -1)
    top = 2 ** (bits - 1) - 1
    found = np.zeros_like(groups)
    for i, row in enumerate(groups):
        largest = np.abs(row).max()
        if largest == 0:
            continue
        first = math.ceil(math.log2(largest / top))
        candidates = [
            np.clip(np.floor(row / 2.0**e + 0.5), -top, top) * 2.0**e for e in (first, first - 1, first - 2)
        ]
        found[i] = min(candidates, key=lambda each: float(((each - row) ** 2).sum()))
    return found.reshape(weight.shape).astype(np.float32)


def rounded_units(unit: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Return units rounded to some bits, at least 1."""
    mantissa, exponent = np.frexp(np.asarray(unit, dtype=np.float64))
    return np.ldexp(np.floor(mantissa * 2**bits + 0.5), exponent - bits).astype(np.float32)


def _exponent(values: NDArray[Any]) -> int:
    return as_integers(values).exponent


def _on_grid(values: NDArray[Any], exponent: int) -> NDArray[np.float32]:
    """Return values rounded to multiples of a power of two, or coarser where float32 cannot hold these."""
    wide = np.asarray(values, dtype=np.float64)
    rounded = np.floor(np.ldexp(wide, -exponent) + 0.5)
    return np.ldexp(rounded, exponent).astype(np.float32)


def _as_convolution(layer: AveragePool, layers: LayerGraph) -> Layer:
    """Return a mean over a window whose area is no power of two as a convolution of each channel."""
    area = math.prod(layer.kernel)
    if any(layer.padding) and not layer.counts_padding:
        raise CalibrationError(f"{layer.label}: leaves padding out of the mean; use count_include_pad=True")
    if not area & (area - 1):
        return layer
    channels = layers.shapes[layer.inputs[0]][0]
    (top, left) = layer.padding
    return Convolution(
        layer.name,
        layer.inputs,
        np.full((channels, 1, *layer.kernel), 1 / area),
        np.zeros(channels),
        layer.stride,
        (top, top, left, left),
        groups=channels,
        place=layer.place,
    )
