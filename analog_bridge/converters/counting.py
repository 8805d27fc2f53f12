"""A quantised network in counts: every quantizer's unit becomes 1, and all factors move into weights.

What a layer hands on is then the number of units, a whole number, and a network is affine maps between whole numbers:
the form that all converters start from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.converters.making import MadeLayers, rounded
from analog_bridge.errors import ConversionError
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MaxPool,
    Permutation,
    Product,
    Quantizer,
    Reshape,
    Scale,
    Sum,
    TransposedConvolution,
    Upsample,
)

__all__ = ["CountingForm", "counting_form"]

Doubles = NDArray[np.float64]

_ONE = np.ones(())
_REFUSED: dict[type[Layer], str] = {
    Activation: "is not quantised; quantise the network first (analog_bridge.convert does, with calibration data)",
    Product: "multiplies two activations, which sums of spikes cannot do exactly; train the network without gates, or "
    "replace the gate by a constant Scale",
    TransposedConvolution: "enlarges its input, which no layer of a spiking graph does; end the network before it",
    Upsample: "enlarges its input, which no layer of a spiking graph does; end the network before it",
}


@dataclass(frozen=True, eq=False)
class CountingForm:
    """A network in counts.

    Attributes
    ----------
    layers : LayerGraph
        Its quantizers have the unit 1; there is no Scale, and an average pool is a sum.
    input_unit : float
        What a count of the input stands for (1 where the input is not quantised: then it is the values themselves).
    input_limits : tuple of int, or None
        Smallest and largest count of the input; None where it is not quantised.
    sent : dict of str to str
        For each quantizer of the original network, the layer that gives its counts.
    units : dict of str to float64 array
        What a count of it stands for, one or one per channel.
    outputs : dict of str to str
        For each output of the original network, the layer that gives its value.
    """

    layers: LayerGraph
    input_unit: float
    input_limits: tuple[int, int] | None
    sent: dict[str, str]
    units: dict[str, Doubles]
    outputs: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Counts:
    """A layer in counts, what a count of each entry stands for, and entries that are still to be chosen."""

    name: str
    scale: Doubles
    order: NDArray[np.int64] | None = None
    is_sent: bool = False


def counting_form(graph: LayerGraph) -> CountingForm:
    """Return a quantised network in counts.

    Parameters
    ----------
    graph : LayerGraph
        With a Quantizer in the place of each Activation, and one input. A Quantizer that alone reads the input
        says how the input is coded.

    Returns
    -------
    CountingForm
        Its layers compute the same counts, up to the rounding of weights to float32.

    Raises
    ------
    ConversionError
        A layer cannot be converted; the message names it, its place and a remedy.
    """
    for layer in graph.layers:
        if type(layer) in _REFUSED:
            raise ConversionError(f"{layer.label}: {_REFUSED[type(layer)]}")
    if len(graph.inputs) != 1:
        names = ", ".join(layer.name for layer in graph.inputs)
        raise ConversionError(
            f"LayerGraph: a spiking graph has one input, the network has {len(graph.inputs)} ({names}); "
            "join them along the channels and split them by a Permutation inside"
        )
    return _Builder(graph).build()


class _Builder(MadeLayers):
    """Goes through a network and makes the layers of its form in counts."""

    def __init__(self, graph: LayerGraph) -> None:
        self.graph = graph
        super().__init__()
        self.known: dict[str, _Counts] = {}
        self.scaled_as: dict[tuple[str, bytes], str] = {}
        self.sent: dict[str, str] = {}
        self.units: dict[str, Doubles] = {}
        self.limits: tuple[int, int] | None = None
        self.input_unit = 1.0
        self.countable: dict[str, bool] = {}
        for layer in graph.layers:
            self.countable[layer.name] = self._is_countable(layer)

    def _is_countable(self, layer: Layer) -> bool:
        if isinstance(layer, (InputLayer, Quantizer)):
            return True
        kinds = (MaxPool, AveragePool, Reshape, Concatenation, Permutation)
        return isinstance(layer, kinds) and all(self.countable[name] for name in layer.inputs)

    def build(self) -> CountingForm:
        (entry,) = self.graph.inputs
        self.add(replace(entry))
        self._code_input(entry)
        for layer in self.graph.layers:
            if isinstance(layer, Quantizer):
                self.counted(layer.name)
        outputs = {name: self.scaled(name, _ONE) for name in self.graph.outputs}
        layers = LayerGraph(tuple(self.made.values()), tuple(outputs.values()), self.graph.notes)
        return CountingForm(layers, self.input_unit, self.limits, self.sent, self.units, outputs)

    def _code_input(self, entry: InputLayer) -> None:
        """Take a Quantizer that alone reads the input as the coding of the input."""
        readers = self.graph.consumers[entry.name]
        first = self.graph[readers[0]] if len(readers) == 1 else None
        if isinstance(first, Quantizer) and entry.name not in self.graph.outputs:
            if first.unit.size != 1:
                raise ConversionError(
                    f"{first.label}: quantises the input, so it must have one unit for all channels"
                )
            self.input_unit, self.limits = float(first.unit[0]), (-first.n_negative, first.n_levels)
            self.made[entry.name] = replace(entry, unit=1.0)
            self.known[first.name] = _Counts(entry.name, np.full((), self.input_unit))
            self.sent[first.name], self.units[first.name] = entry.name, first.unit.astype(np.float64)

    # counts

    def counted(self, name: str) -> _Counts:
        """Return a layer in counts."""
        if name not in self.known:
            layer = self.graph[name]
            if isinstance(layer, InputLayer):
                self.known[name] = _Counts(name, _ONE)
            elif isinstance(layer, Quantizer):
                self.known[name] = self._quantizer(layer)
            elif isinstance(layer, (MaxPool, AveragePool)):
                self.known[name] = self._pool(layer)
            else:
                assert isinstance(layer, (Reshape, Concatenation, Permutation))
                self.known[name] = self._rearranged(layer)
        return self.known[name]

    def _quantizer(self, layer: Quantizer) -> _Counts:
        unit = layer.unit.astype(np.float64)
        scale = unit.reshape(()) if unit.size == 1 else self._by_channel(unit, layer.name)
        before, pools = self.graph[layer.inputs[0]], []
        while isinstance(before, MaxPool) and not self.countable[before.name]:
            pools.append(before)  # a maximum of rounded values is the rounded maximum
            before = self.graph[before.inputs[0]]
        source = self.scaled(before.name, 1 / self._fitting(scale, before.name))
        one = np.ones(1, np.float32)
        made = self.add(
            Quantizer(layer.name, (source,), one, layer.n_levels, layer.n_negative, place=layer.place)
        )
        for pool in reversed(pools):
            made = self.add(replace(pool, inputs=(made,)))
        self.sent[layer.name], self.units[layer.name] = made, unit
        return _Counts(made, scale, is_sent=True)

    def _fitting(self, scale: Doubles, name: str) -> Doubles:
        """A scale per channel, for a layer with the same channels (before a pool)."""
        return scale if scale.ndim == 0 else scale.reshape(-1, *[1] * (len(self.graph.shapes[name]) - 1))

    def _pool(self, layer: MaxPool | AveragePool) -> _Counts:
        found = self._chosen(self.counted(layer.inputs[0]), layer.inputs[0])
        factor = self._per_channel(found.scale, layer.inputs[0])
        if factor is None:
            raise ConversionError(
                f"{layer.label}: the values before it have another unit at every place; pool before they are averaged"
            )
        if isinstance(layer, MaxPool):
            is_input = found.name == self.graph.inputs[0].name
            if (factor <= 0).any() or not (found.is_sent or is_input):
                raise ConversionError(
                    f"{layer.label}: takes the maximum of sums, which is not a count that was sent; put an activation "
                    "before it, or use an average pool"
                )
            name = self.add(replace(layer, inputs=(found.name,)))
            return _Counts(name, found.scale, is_sent=True)
        name = self.summed(layer, found.name)
        return _Counts(name, found.scale / self._areas(layer))

    def _rearranged(self, layer: Reshape | Concatenation | Permutation) -> _Counts:
        parts = [self.counted(name) for name in layer.inputs]
        shape = self.graph.shapes[layer.name]
        if isinstance(layer, Permutation):
            found, order = parts[0], layer.order.astype(np.int64)
            before = self.graph.shapes[layer.inputs[0]]
            scale = found.scale
            if scale.ndim and scale.shape[0] == before[0]:
                scale = scale[order]
            return _Counts(found.name, scale, order if found.order is None else found.order[order])
        parts = [self._chosen(part, name) for part, name in zip(parts, layer.inputs, strict=True)]
        wholes = [
            np.broadcast_to(part.scale, self.graph.shapes[name])
            for part, name in zip(parts, layer.inputs, strict=True)
        ]
        scale = (wholes[0].reshape(shape) if isinstance(layer, Reshape) else np.concatenate(wholes)).astype(
            np.float64
        )
        name = self.add(replace(layer, inputs=tuple(part.name for part in parts)))
        return _Counts(name, _short(scale), is_sent=all(part.is_sent for part in parts))

    def _chosen(self, counts: _Counts, name: str) -> _Counts:
        """Carry out a choice of entries that is still pending: by weights of 0 and 1."""
        if counts.order is None:
            return counts
        matrix = np.zeros((counts.order.size, self.channels_of(counts.name)))
        matrix[np.arange(counts.order.size), counts.order] = 1
        return _Counts(self.mixed(f"{name}.order", counts.name, matrix), counts.scale)

    # sums

    def scaled(self, name: str, factor: Doubles) -> str:
        """Return the layer that gives the value of a layer times a factor (one, or one for each channel or entry)."""
        key = (name, np.broadcast_to(factor, self.graph.shapes[name]).tobytes())
        if key not in self.scaled_as:
            self.scaled_as[key] = self._scaled(self.graph[name], factor)
        return self.scaled_as[key]

    def _scaled(self, layer: Layer, factor: Doubles) -> str:
        if self.countable[layer.name]:
            counts = self.counted(layer.name)
            return self._times(counts, counts.scale * factor, layer.name)
        is_shared = len(self.graph.consumers[layer.name]) > 1 and (factor != 1).any()
        channels = self._per_channel(factor, layer.name)
        if is_shared or (channels is None and not isinstance(layer, (Sum, Reshape, Concatenation))):
            return self._times(_Counts(self.scaled(layer.name, _ONE), _ONE), factor, layer.name)
        if isinstance(layer, (Convolution, Dense)):
            return self._affine(layer, np.ones(1) if channels is None else channels)
        if isinstance(layer, Scale):
            return self._scale(layer, channels)
        if isinstance(layer, Sum):
            return self.add(
                Sum(self.free_name(layer.name), self._scaled_inputs(layer, factor), place=layer.place)
            )
        return self._scaled_shape(layer, factor, channels)

    def _scaled_inputs(self, layer: Layer, factor: Doubles) -> tuple[str, ...]:
        return tuple(self.scaled(name, factor) for name in layer.inputs)

    def _scaled_shape(self, layer: Layer, factor: Doubles, channels: Doubles | None) -> str:
        """Reshape, concatenate, choose or average what is not in counts."""
        source = layer.inputs[0]
        if isinstance(layer, Reshape):
            if factor.ndim:
                whole = np.broadcast_to(factor, self.graph.shapes[layer.name])
                factor = _short(np.ascontiguousarray(whole).reshape(self.graph.shapes[source]))
            return self.add(
                replace(layer, name=self.free_name(layer.name), inputs=(self.scaled(source, factor),))
            )
        if isinstance(layer, Concatenation):
            ends = np.cumsum([0, *(self.graph.shapes[name][0] for name in layer.inputs)])
            whole = np.broadcast_to(factor, self.graph.shapes[layer.name])
            inputs = tuple(
                self.scaled(name, _short(whole[lo:hi]))
                for name, lo, hi in zip(layer.inputs, ends, ends[1:], strict=False)
            )
            return self.add(replace(layer, name=self.free_name(layer.name), inputs=inputs))
        assert channels is not None
        if isinstance(layer, Permutation):
            matrix = np.zeros((layer.order.size, self.graph.shapes[source][0]))
            matrix[np.arange(layer.order.size), layer.order] = channels
            return self.mixed(layer.name, self.scaled(source, _ONE), matrix)
        if isinstance(layer, AveragePool):
            area = self._areas(layer)
            if area.ndim:
                raise ConversionError(
                    f"{layer.label}: leaves padding out of the mean behind a sum; use count_include_pad=True"
                )
            return self.summed(layer, self.scaled(source, self._fitting(_short(factor / area), source)))
        raise ConversionError(
            f"{layer.label}: takes the maximum of sums, which is not a count that was sent; put an activation before "
            "or behind it, or use an average pool"
        )

    def _affine(self, layer: Convolution | Dense, channels: Doubles) -> str:
        source = layer.inputs[0]
        weight = layer.weight.astype(np.float64)
        if self.countable[source]:
            name, weight = self._taken_up(layer, weight, self.counted(source))
        else:
            name = self.scaled(source, _ONE)
        out = np.broadcast_to(channels, (weight.shape[0],))
        weight = weight * out.reshape(-1, *[1] * (weight.ndim - 1))
        fields: dict[str, Any] = {"name": self.free_name(layer.name), "inputs": (name,)}
        return self.add(replace(layer, weight=rounded(weight), bias=rounded(layer.bias * out), **fields))

    def _taken_up(self, layer: Convolution | Dense, weight: Doubles, counts: _Counts) -> tuple[str, Doubles]:
        """Multiply weights by what a count of their input stands for, and sort them as the input is."""
        source = layer.inputs[0]
        groups = layer.groups if isinstance(layer, Convolution) else 1
        scale = self._per_channel(counts.scale, source)
        if scale is None or (counts.order is not None and groups > 1):
            counts = self._chosen(counts, source)
            if scale is None:
                return self._times(counts, counts.scale, source), weight
        n_in = weight.shape[1]
        by_input = np.broadcast_to(scale, (n_in * groups,)).reshape(groups, n_in)
        of_row = np.repeat(by_input, weight.shape[0] // groups, axis=0)
        weight = weight * of_row.reshape(*of_row.shape, *[1] * (weight.ndim - 2))
        if counts.order is not None:
            n_before = self.channels_of(counts.name)
            sorted_weight = np.zeros((weight.shape[0], n_before, *weight.shape[2:]))
            for k, channel in enumerate(counts.order):
                sorted_weight[:, channel] += weight[:, k]
            weight = sorted_weight
        return counts.name, weight

    def _scale(self, layer: Scale, channels: Doubles | None) -> str:
        factor = np.ones(1) if channels is None else channels
        source = layer.inputs[0]
        before = self.graph[source]
        if isinstance(before, (Convolution, Dense)) and self.graph.consumers[source] == (layer.name,):
            own = layer.factor.astype(np.float64)
            weight = before.weight * own.reshape(-1, *[1] * (before.weight.ndim - 1))
            bias = before.bias * own + layer.offset
            return self._affine(replace(before, weight=rounded(weight), bias=rounded(bias)), factor)
        inner, offset = factor * layer.factor, factor * layer.offset
        if self.countable[source]:
            counts = self._chosen(self.counted(source), source)
            scale = self._per_channel(counts.scale, source)
            if scale is not None:
                return self.diagonal(layer.name, counts.name, inner * scale, offset)
        return self.diagonal(layer.name, self.scaled(source, _ONE), inner, offset)

    def _times(self, counts: _Counts, factor: Doubles, name: str) -> str:
        """Multiply a layer by a factor, unless it is 1."""
        channels = self._per_channel(factor, name)
        if channels is None:
            channels = np.broadcast_to(factor, self.graph.shapes[name]).astype(np.float64).reshape(-1)
            if len(self.graph.shapes[name]) > 1:
                raise ConversionError(
                    f"{self.graph[name].label}: its values have another unit at every place; use an average pool with "
                    "count_include_pad=True, or flatten before the next sum"
                )
        if counts.order is not None:
            matrix = np.zeros((counts.order.size, self.channels_of(counts.name)))
            matrix[np.arange(counts.order.size), counts.order] = channels
            return self.mixed(f"{name}.order", counts.name, matrix)
        if (channels == 1).all():
            return counts.name
        return self.diagonal(f"{name}.scale", counts.name, channels, np.zeros(1))

    def _areas(self, layer: AveragePool) -> Doubles:
        """How many entries a window of an average pool has, where padding is left out at each place."""
        area = float(math.prod(layer.kernel))
        if layer.counts_padding or layer.padding == (0, 0):
            return np.full((), area)
        before, behind = self.graph.shapes[layer.inputs[0]], self.graph.shapes[layer.name]
        inside = []
        for k in (0, 1):
            first = np.arange(behind[1 + k]) * layer.stride[k] - layer.padding[k]
            inside.append(np.minimum(first + layer.kernel[k], before[1 + k]) - np.maximum(first, 0))
        return np.broadcast_to(np.outer(*inside), behind).astype(np.float64)

    def _by_channel(self, values: Doubles, name: str) -> Doubles:
        return values.reshape(-1, *[1] * (len(self.graph.shapes[name]) - 1))

    def _per_channel(self, factor: Doubles, name: str) -> Doubles | None:
        """A factor as one number per channel; None where it differs within a channel."""
        shape = self.graph.shapes[name]
        if factor.ndim == 0:
            return factor.reshape(1)
        whole = np.broadcast_to(factor, shape).reshape(shape[0], -1)
        return whole[:, 0].astype(np.float64) if (whole == whole[:, :1]).all() else None


def _short(factor: Doubles) -> Doubles:
    """The same factors as one number, or one for each channel, where they do not differ."""
    if factor.ndim == 3 and (factor == factor[:, :1, :1]).all():
        factor = factor[:, :1, :1]
    first = factor.reshape(-1)[0]
    return np.full((), first) if (factor == first).all() else factor
