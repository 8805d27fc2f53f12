"""A quantised network in counts: every quantizer's unit becomes 1, and all factors move into weights.

What a layer hands on is then the number of units, a whole number, and a network is affine maps between whole
numbers, and products of them: the form that all converters start from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analog_bridge.converters.making import Moving, places
from analog_bridge.converters.scaling import ONE, Counts, Sums, mapped, short
from analog_bridge.errors import ConversionError
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Concatenation,
    InputLayer,
    LayerGraph,
    MatrixProduct,
    MaxPool,
    Permutation,
    Product,
    Quantizer,
    Rearrangement,
    Reshape,
)
from analog_bridge.layers.plain import plain_layers

__all__ = ["CountingForm", "InputCode", "counting_form"]

Doubles = NDArray[np.float64]


class InputCode(NamedTuple):
    """How an input is counted.

    Attributes
    ----------
    unit : float
        What a count stands for (1 where the input is not quantised: then it is the values themselves).
    limits : tuple of int, or None
        Smallest and largest count; None where the input is not quantised.
    """

    unit: float = 1.0
    limits: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class CountingForm:
    """A network in counts.

    Attributes
    ----------
    layers : LayerGraph
        Its quantizers have the unit 1; there is no Scale, an average pool is a sum, and what enlarges is a
        Rearrangement and a convolution.
    inputs : dict of str to InputCode
        For each input, how it is counted.
    sent : dict of str to str
        For each quantizer of the original network, the layer that gives its counts.
    units : dict of str to float64 array
        What a count of it stands for, one or one per channel.
    outputs : dict of str to str
        For each output of the original network, the layer that gives its value.
    """

    layers: LayerGraph
    inputs: dict[str, InputCode]
    sent: dict[str, str]
    units: dict[str, Doubles]
    outputs: dict[str, str]

    @property
    def is_counted(self) -> bool:
        """Whether all inputs are quantised."""
        return all(code.limits is not None for code in self.inputs.values())


def counting_form(graph: LayerGraph) -> CountingForm:
    """Return a quantised network in counts.

    Parameters
    ----------
    graph : LayerGraph
        With a Quantizer in the place of each Activation. A Quantizer that alone reads an input says how the input is
        coded.

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
        if isinstance(layer, Activation):
            raise ConversionError(
                f"{layer.label}: is not quantised; quantise the network first (analog_bridge.convert does, with "
                "calibration data)"
            )
    return _Builder(plain_layers(graph)).build()


class _Builder(Sums):
    """Goes through a network and makes the layers of its form in counts."""

    def __init__(self, graph: LayerGraph) -> None:
        super().__init__(graph)
        self.known: dict[str, Counts] = {}
        self.sent: dict[str, str] = {}
        self.units: dict[str, Doubles] = {}
        self.inputs: dict[str, InputCode] = {}

    def build(self) -> CountingForm:
        for entry in self.graph.inputs:
            self.add(replace(entry))
            self._code_input(entry)
        for layer in self.graph.layers:
            if isinstance(layer, Quantizer):
                self.counted(layer.name)
        outputs = {name: self.scaled(name, ONE) for name in self.graph.outputs}
        used = self.used([*outputs.values(), *self.sent.values()])
        layers = LayerGraph(used, tuple(outputs.values()), self.graph.notes)
        return CountingForm(layers, self.inputs, self.sent, self.units, outputs)

    def _code_input(self, entry: InputLayer) -> None:
        """Take a Quantizer that alone reads an input as the coding of the input."""
        self.inputs[entry.name] = InputCode()
        readers = self.graph.consumers[entry.name]
        first = self.graph[readers[0]] if len(readers) == 1 else None
        if isinstance(first, Quantizer) and entry.name not in self.graph.outputs:
            if first.unit.size != 1:
                raise ConversionError(
                    f"{first.label}: quantises the input, so it must have one unit for all channels"
                )
            unit = float(first.unit[0])
            self.inputs[entry.name] = InputCode(unit, (-first.n_negative, first.n_levels))
            self.made[entry.name] = replace(entry, unit=1.0)
            self.known[first.name] = Counts(entry.name, np.full((), unit))
            self.sent[first.name], self.units[first.name] = entry.name, first.unit.astype(np.float64)

    def counted(self, name: str) -> Counts:
        """Return a layer in counts."""
        if name not in self.known:
            layer = self.graph[name]
            if isinstance(layer, InputLayer):
                self.known[name] = Counts(name, ONE)
            elif isinstance(layer, Quantizer):
                self.known[name] = self._quantizer(layer)
            elif isinstance(layer, MaxPool):
                self.known[name] = self._largest(layer)
            elif isinstance(layer, AveragePool):
                self.known[name] = self._average(layer)
            elif isinstance(layer, (Product, MatrixProduct)):
                self.known[name] = self._product(layer)
            elif isinstance(layer, Concatenation):
                self.known[name] = self._concatenated(layer)
            else:
                assert isinstance(layer, (Reshape, Permutation, Rearrangement))
                self.known[name] = self._rearranged(layer)
        return self.known[name]

    def _quantizer(self, layer: Quantizer) -> Counts:
        unit = layer.unit.astype(np.float64)
        scale = unit.reshape(()) if unit.size == 1 else self.fitting(unit, layer.name)
        before, pools = self.graph[layer.inputs[0]], []
        while isinstance(before, MaxPool) and not self.countable[before.name]:
            pools.append(before)  # a maximum of rounded values is the rounded maximum
            before = self.graph[before.inputs[0]]
        source = self.scaled(before.name, 1 / self.fitting(scale, before.name))
        one = np.ones(1, np.float32)
        made = self.add(
            Quantizer(layer.name, (source,), one, layer.n_levels, layer.n_negative, place=layer.place)
        )
        for pool in reversed(pools):
            made = self.add(replace(pool, inputs=(made,)))
        self.sent[layer.name], self.units[layer.name] = made, unit
        return Counts(made, scale)

    def _largest(self, layer: MaxPool) -> Counts:
        found = self.in_order(self.counted(layer.inputs[0]), layer.inputs[0])
        if self.per_channel(found.scale, layer.inputs[0]) is None:
            raise ConversionError(
                f"{layer.label}: the values before it have another unit at every place; pool before they are "
                "rearranged, or give the activation one unit (per_channel=False)"
            )
        return Counts(self.add(replace(layer, inputs=(found.name,))), found.scale)

    def _average(self, layer: AveragePool) -> Counts:
        source = layer.inputs[0]
        found = self.in_order(self.counted(source), source)
        if self.per_channel(found.scale, source) is None:
            found = Counts(self.times(found, found.scale, source), ONE)
        return Counts(self.summed(layer, found.name), short(found.scale / self.areas(layer)))

    def _part(self, name: str) -> Counts:
        """A layer in counts, or as it is where it is no count."""
        if self.countable[name]:
            return self.in_order(self.counted(name), name)
        return Counts(self.scaled(name, ONE), ONE)

    def _product(self, layer: Product | MatrixProduct) -> Counts:
        parts = [self._part(name) for name in layer.inputs]
        shapes = [self.graph.shapes[name] for name in layer.inputs]
        if isinstance(layer, MatrixProduct):  # what is added up must have one unit
            for k, axis in ((0, 2), (1, 1)):
                whole = np.broadcast_to(parts[k].scale, shapes[k])
                if (whole != whole.take([0], axis)).any():
                    parts[k] = Counts(self.times(parts[k], parts[k].scale, layer.inputs[k]), ONE)
            wholes = [np.broadcast_to(part.scale, shape) for part, shape in zip(parts, shapes, strict=True)]
            scale = wholes[0][:, :, :1] * wholes[1][:, :1]
        else:
            scale = np.broadcast_to(parts[0].scale, shapes[0]) * parts[1].scale
        name = self.add(replace(layer, inputs=tuple(part.name for part in parts)))
        return Counts(name, short(np.asarray(scale, np.float64)))

    def _concatenated(self, layer: Concatenation) -> Counts:
        parts = [self.in_order(self.counted(name), name) for name in layer.inputs]
        wholes = [
            np.broadcast_to(part.scale, self.graph.shapes[name])
            for part, name in zip(parts, layer.inputs, strict=True)
        ]
        name = self.add(replace(layer, inputs=tuple(part.name for part in parts)))
        return Counts(name, short(np.concatenate(wholes).astype(np.float64)))

    def _rearranged(self, layer: Moving) -> Counts:
        source = layer.inputs[0]
        found, shape = self.counted(source), self.graph.shapes[source]
        index = places(layer, shape)
        if isinstance(layer, Permutation):
            order = layer.order.astype(np.int64)
            scale = mapped(found.scale, index, shape)
            return Counts(found.name, scale, order if found.order is None else found.order[order])
        found = self.in_order(found, source)
        return Counts(
            self.moved(layer.name, found.name, index, layer.place), mapped(found.scale, index, shape)
        )
