"""Layers that enlarge their input, as entries at other places and plain convolutions: the same values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.layers.graph import LayerGraph
from analog_bridge.layers.kinds import (
    Convolution,
    Layer,
    Rearrangement,
    Shape,
    TransposedConvolution,
    Upsample,
)
from analog_bridge.layers.shapes import output_shape

__all__ = ["plain", "plain_layers"]

Places = NDArray[np.int64]  # along one axis: which entry stands at each place, -1 for none


def plain_layers(graph: LayerGraph) -> LayerGraph:
    """Return the same network without Upsample and TransposedConvolution.

    Parameters
    ----------
    graph : LayerGraph
        Any network.

    Returns
    -------
    LayerGraph
        The network itself if it has none of them.

    Examples
    --------
    >>> from analog_bridge.layers import InputLayer
    >>> x, up = InputLayer("x", (), (1, 2, 2)), Upsample("up", ("x",), (2, 2))
    >>> [type(layer).__name__ for layer in plain_layers(LayerGraph((x, up), ("up",))).layers]
    ['InputLayer', 'Rearrangement']
    """
    if not any(isinstance(layer, (Upsample, TransposedConvolution)) for layer in graph.layers):
        return graph
    found: list[Layer] = []
    for layer in graph.layers:
        found += plain(layer, graph.shapes[layer.inputs[0]] if layer.inputs else ())
    return replace(graph, layers=tuple(found))


def plain(layer: Layer, shape: Shape) -> list[Layer]:
    """Return a layer as layers that keep their input's size, the last one under its name.

    A transposed convolution puts zeros between the entries and convolves. Bilinear enlarging does the same behind a
    frame of repeated entries; its weights are whole multiples of ``1 / (2 factor)`` along each axis.

    Parameters
    ----------
    layer : Layer
        Any layer.
    shape : tuple of int
        Shape of its input.

    Returns
    -------
    list of Layer
        One for an Upsample to the nearest, two for a bilinear one or a TransposedConvolution; else the layer itself.
    """
    if isinstance(layer, TransposedConvolution):
        return _transposed(layer, shape)
    if not isinstance(layer, Upsample):
        return [layer]
    if layer.mode == "nearest":
        axes = [np.repeat(np.arange(n), f) for n, f in zip(shape[1:], layer.factor, strict=True)]
        return [Rearrangement(layer.name, layer.inputs, _index(shape, *axes), place=layer.place)]
    return _bilinear(layer, shape)


def _index(shape: Shape, rows: Places, columns: Places) -> Places:
    """Return the index of a picture whose rows and columns stand at other places."""
    entries = np.arange(shape[0] * shape[1] * shape[2]).reshape(shape)
    found = entries[:, rows][:, :, columns]
    found[:, (rows < 0)[:, np.newaxis] | (columns < 0)] = -1
    return found


def _spread(layer: Layer, shape: Shape, axes: list[Places], convolution: dict[str, Any]) -> list[Layer]:
    """Return zeros between entries, and the convolution of what is there then."""
    spread = f"{layer.name}.spread"
    return [
        Rearrangement(spread, layer.inputs, _index(shape, *axes), place=layer.place),
        Convolution(layer.name, (spread,), place=layer.place, **convolution),
    ]


def _transposed(layer: TransposedConvolution, shape: Shape) -> list[Layer]:
    out = output_shape(layer, [shape])
    axes = []
    for axis in (0, 1):
        reach = layer.dilation[axis] * (layer.weight.shape[2 + axis] - 1)
        place = np.arange(out[1 + axis] + reach) + layer.padding[axis] - reach
        entry, rest = np.divmod(place, layer.stride[axis])
        axes.append(np.where((rest == 0) & (entry >= 0) & (entry < shape[1 + axis]), entry, -1))
    groups = layer.groups
    weight = layer.weight.reshape(groups, -1, *layer.weight.shape[1:])
    weight = weight.swapaxes(1, 2)[..., ::-1, ::-1]
    weight = weight.reshape(out[0], -1, *layer.weight.shape[2:])
    return _spread(
        layer,
        shape,
        axes,
        {"weight": weight, "bias": layer.bias, "dilation": layer.dilation, "groups": groups},
    )


def _bilinear(layer: Upsample, shape: Shape) -> list[Layer]:
    """``y[o] = sum_i tri((o + 1/2) / f - 1/2 - i) x[i]`` along each axis, with ``tri(t) = max(0, 1 - |t|)``."""
    axes, taps = [], []
    for n, factor in zip(shape[1:], layer.factor, strict=True):
        distance = np.arange(-factor, 2 * factor)[::-1]  # from an entry to an output that it reaches
        weight = np.maximum(0, 1 - np.abs(2 * distance + 1 - factor) / (2 * factor))
        distance, weight = distance[weight > 0], weight[weight > 0]
        place = np.arange(n * factor + distance[0] - distance[-1]) - distance[0]
        entry, rest = np.divmod(place, factor)
        axes.append(np.where(rest == 0, np.clip(entry, 0, n - 1), -1))
        taps.append(weight)
    kernel = np.broadcast_to(np.outer(*taps), (shape[0], 1, taps[0].size, taps[1].size))
    return _spread(layer, shape, axes, {"weight": kernel, "bias": np.zeros(shape[0]), "groups": shape[0]})
