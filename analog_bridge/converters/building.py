"""From a network in counts to a spiking graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.converters.codes import Code, Rate, SigmaDeltaCode
from analog_bridge.converters.counting import CountingForm
from analog_bridge.converters.making import places, rounded
from analog_bridge.evaluation import apply_layer
from analog_bridge.layers import (
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    MatrixProduct,
    MaxPool,
    Product,
    Quantizer,
    Rearrangement,
    Reshape,
    Sum,
)
from neuro.graph import (
    Add,
    Concat,
    Conv2d,
    Delay,
    Difference,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    Rearrange,
    SumPool2d,
    clocked,
)

__all__ = ["Built", "build_graph"]

Doubles = NDArray[np.float64]

_DT_S = 0.001


@dataclass(frozen=True, eq=False)
class Built:
    """A spiking graph, and where in it the layers are.

    Attributes
    ----------
    graph : Graph
        The graph.
    neurons : dict of str to str
        For each quantizer of the network in counts, its neurons.
    readouts : dict of str to str
        For each output of the network in counts, its readout.
    last_step : int
        The step after which the result is complete (for signed spikes a bound that no network passes).
    """

    graph: Graph
    neurons: dict[str, str]
    readouts: dict[str, str]
    last_step: int


@dataclass(frozen=True, eq=False)
class _Signal:
    """A node, the steps in which it hands something on, and what remains to be divided out.

    ``gain``: a spike stands for 1 / gain counts (rate). ``bias``: what the layer adds to it, channel-first, which the
    neurons behind take up. ``of_input``: nothing but the frames of the input stands before it.
    """

    node: str
    first: int
    last: int
    gain: float
    bias: Doubles
    of_input: bool


def build_graph(form: CountingForm, code: Code, *, lifts: Mapping[str, Doubles] | None = None) -> Built:
    """Return the spiking graph of a network in counts.

    Parameters
    ----------
    form : CountingForm
        The network.
    code : Code
        How spikes carry counts.
    lifts : mapping of str to array, optional
        Powers of two by which the channels of layers and quantizers are multiplied.

    Returns
    -------
    Built
        The graph.

    Raises
    ------
    ConversionError
        A layer has no counterpart in this code.
    """
    return _Builder(form, code, dict(lifts or {})).build()


class _Builder:
    """The nodes made so far."""

    def __init__(self, form: CountingForm, code: Code, lifts: dict[str, Doubles]) -> None:
        self.form, self.code, self.lifts = form, code, lifts
        self.shapes = form.layers.shapes
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []
        self.signals: dict[str, _Signal] = {}
        self.names: dict[str, str] = {}
        self.entry = ""  # with several inputs, the node that hands all of them on

    def build(self) -> Built:
        layers = self.form.layers
        for layer in layers.layers:
            self.signals[layer.name] = self._signal(layer)
        neurons = {
            layer.name: self.names[layer.name] for layer in layers.layers if isinstance(layer, Quantizer)
        }
        readouts, last = {}, 0
        for name in dict.fromkeys(layers.outputs):
            readouts[name], step = self._readout(name)
            last = max(last, step)
        graph = Graph(self.nodes, self.edges, clocked(_DT_S))
        return Built(graph, neurons, readouts, last)

    def _signal(self, layer: Layer) -> _Signal:
        if isinstance(layer, InputLayer):
            return self._input(layer)
        if isinstance(layer, Quantizer):
            return self._quantizer(layer)
        if isinstance(layer, MaxPool):
            return self._pool(layer)
        if isinstance(layer, (Convolution, Dense)):
            return self._affine(layer)
        if isinstance(layer, (Sum, Concatenation)):
            return self._joined(layer)
        if isinstance(layer, (Product, MatrixProduct)):
            return self._product(layer)
        assert isinstance(layer, (Reshape, Rearrangement))
        return self._rearranged(layer)

    def _input(self, layer: InputLayer) -> _Signal:
        inputs = self.form.layers.inputs
        codes = list(self.form.inputs.values())
        limits = [code.limits for code in codes if code.limits is not None]
        is_count = len(limits) == len(codes) and all(least >= 0 for least, _ in limits)
        most = max(most for _, most in limits) if is_count else None
        if len(inputs) == 1:
            node = self._entered(layer.name, Input(layer.shape, most))
        else:  # one Input holds them all, one behind the other
            sizes = [math.prod(one.shape) for one in inputs]
            self.entry = self.entry or self._entered("inputs", Input((sum(sizes),), most))
            first = sum(sizes[: inputs.index(layer)])
            index = np.arange(first, first + math.prod(layer.shape)).reshape(layer.shape)
            node = self._add(layer.name, Rearrange(index), self.entry)
        return _Signal(node, 0, 0, 1.0, np.zeros(()), True)

    def _entered(self, name: str, entry: Input) -> str:
        """The Input, and what sends its changes."""
        node = self._add(name, entry)
        if isinstance(self.code, SigmaDeltaCode):
            node = self._add(f"{name}.change", Difference(), node)
        return node

    def _quantizer(self, layer: Quantizer) -> _Signal:
        found = self._scaled(self.signals[layer.inputs[0]], layer.inputs[0])
        threshold = self._by_channel(self.lifts.get(layer.name, np.ones(1)), layer.name)
        bias = found.bias * threshold
        neuron = self.code.neuron(
            layer, _plain(threshold), _plain(self._short(bias)), found.last, of_input=found.of_input
        )
        node = self._add(layer.name, neuron, found.node)
        last = self.code.last_step(layer, found.last)
        gain = 1.0 / layer.n_levels if isinstance(self.code, Rate) else 1.0
        return _Signal(node, found.last, last, gain, np.zeros(()), False)

    def _pool(self, layer: MaxPool) -> _Signal:
        found = self.signals[layer.inputs[0]]
        node = self.code.pool(layer, found.first, found.last, of_input=found.of_input)
        return replace(found, node=self._add(layer.name, node, found.node))

    def _affine(self, layer: Convolution | Dense) -> _Signal:
        found = self.signals[layer.inputs[0]]
        bias = self._bias(layer, found)
        lift = self.lifts.get(layer.name)
        weight = layer.weight.astype(np.float64) / found.gain
        if lift is not None:
            weight = weight * lift.reshape(-1, *[1] * (weight.ndim - 1))
        own = None
        if isinstance(self.code, Rate):  # the bias comes in every step
            if lift is not None:
                bias = bias * self._by_channel(lift, layer.name)
            own = self._per_channel(layer, bias)
            bias = np.zeros(())
        if isinstance(layer, Dense):
            node: Node = Linear(rounded(weight), own)
        else:
            node = _convolution(layer, weight, own)
        return _Signal(
            self._add(layer.name, node, found.node), found.first, found.last, 1.0, bias, found.of_input
        )

    def _bias(self, layer: Convolution | Dense, found: _Signal) -> Doubles:
        """What the layer hands on when nothing is sent: its bias, and what it makes of the biases before it."""
        if not found.bias.any() or isinstance(self.code, Rate):
            return self._by_channel(layer.bias.astype(np.float64), layer.name)
        import torch

        before = np.broadcast_to(found.bias, self.shapes[layer.inputs[0]])
        value: Doubles = apply_layer(layer, [torch.tensor(before[np.newaxis].copy())]).numpy()[0]
        return value

    def _per_channel(self, layer: Convolution | Dense, bias: Doubles) -> Any:
        values = np.broadcast_to(bias, self.shapes[layer.name]).reshape(len(layer.weight), -1)[:, 0]
        return values if values.any() else None

    def _joined(self, layer: Sum | Concatenation) -> _Signal:
        found = [self.signals[name] for name in layer.inputs]
        is_sum = isinstance(layer, Sum)
        if is_sum or len({one.gain for one in found}) > 1 or any(one.bias.any() for one in found):
            found = [self._scaled(one, name) for one, name in zip(found, layer.inputs, strict=True)]
        found, sources = self._together(found, layer.inputs)
        last = max(one.last for one in found)
        biases = [
            np.broadcast_to(one.bias, self.shapes[name])
            for one, name in zip(found, layer.inputs, strict=True)
        ]
        bias = self._short(sum(biases[1:], start=biases[0]) if is_sum else np.concatenate(biases))
        node = (
            sources[0]
            if len(sources) == 1
            else self._add(layer.name, Add() if is_sum else Concat(), *sources)
        )
        first = min(one.first for one in found)
        return _Signal(node, first, last, found[0].gain, bias, all(one.of_input for one in found))

    def _together(self, found: list[_Signal], names: Sequence[str]) -> tuple[list[_Signal], list[str]]:
        """Signals that end in one step where they must, and a node for each."""
        last = max(one.last for one in found)
        if self.code.needs_alignment:
            found = [self._late(one, name, last) for one, name in zip(found, names, strict=True)]
        sources: list[str] = []
        for one, name in zip(found, names, strict=True):
            sources.append(one.node if one.node not in sources else self._copied(one.node, name))
        return found, sources

    def _product(self, layer: Product | MatrixProduct) -> _Signal:
        found = [self._scaled(self.signals[name], name) for name in layer.inputs]
        found, sources = self._together(found, layer.inputs)
        last = max(one.last for one in found)
        biases = [_plain(one.bias) for one in found]
        node = self._add(layer.name, self.code.product(layer, biases[0], biases[1], last), *sources)
        first, of_input = min(one.first for one in found), all(one.of_input for one in found)
        return _Signal(node, first, last, 1.0, np.zeros(()), of_input)

    def _late(self, signal: _Signal, name: str, last: int) -> _Signal:
        """Delay a signal so that it ends in a step."""
        steps = last - signal.last
        if not steps:
            return signal
        node = self._add(f"{name}.delay", Delay(steps * _DT_S), signal.node)
        return replace(signal, node=node, first=signal.first + steps, last=last)

    def _copied(self, node: str, name: str) -> str:
        """A second edge from the same node: through weights of 1."""
        return self._diagonal(f"{name}.copy", node, name, 1.0)

    def _scaled(self, signal: _Signal, name: str) -> _Signal:
        """Divide by the gain where no weights have done so."""
        if signal.gain == 1.0:
            return signal
        return replace(
            signal, node=self._diagonal(f"{name}.gain", signal.node, name, 1 / signal.gain), gain=1.0
        )

    def _diagonal(self, new: str, node: str, name: str, factor: float) -> str:
        shape = self.shapes[name]
        if len(shape) == 1:
            return self._add(new, Linear(rounded(factor * np.eye(shape[0]))), node)
        return self._add(new, Conv2d(rounded(np.full((shape[0], 1, 1, 1), factor)), groups=shape[0]), node)

    def _rearranged(self, layer: Reshape | Rearrangement) -> _Signal:
        found, before = self.signals[layer.inputs[0]], self.shapes[layer.inputs[0]]
        index = places(layer, before)
        if index.shape == before and (index.reshape(-1) == np.arange(index.size)).all():
            return found
        bias = np.zeros(())
        if found.bias.any():
            bias = np.where(index < 0, 0.0, np.broadcast_to(found.bias, before).reshape(-1)[index])
        node = Flatten() if isinstance(layer, Reshape) and index.ndim == 1 else Rearrange(index)
        return replace(found, node=self._add(layer.name, node, found.node), bias=self._short(bias))

    def _readout(self, name: str) -> tuple[str, int]:
        found = self._scaled(self.signals[name], name)
        node = self.code.readout(_plain(found.bias), found.last)
        return self._add(f"{name}.readout", node, found.node), found.last

    # nodes

    def _add(self, name: str, node: Node, *sources: str) -> str:
        plain = "".join(c if c.isprintable() and c != "/" else "." for c in name)
        plain = plain if plain not in ("", ".", "..") else f"layer {plain}"
        found, k = plain, 2
        while found in self.nodes:
            found, k = f"{plain}#{k}", k + 1
        self.nodes[found] = node
        self.edges += [(source, found) for source in sources]
        self.names.setdefault(name, found)
        return found

    def _by_channel(self, values: Doubles, name: str) -> Doubles:
        if values.size == 1:
            return values.reshape(())
        return values.reshape(-1, *[1] * (len(self.shapes[name]) - 1))

    def _short(self, values: Doubles) -> Doubles:
        """The same values with one for each channel, or one for all, where they do not differ."""
        if values.ndim == 3 and (values == values[:, :1, :1]).all():
            values = values[:, :1, :1]
        first = values.reshape(-1)[0]
        return np.full((), first) if (values == first).all() else np.ascontiguousarray(values)


def _plain(values: Doubles) -> Any:
    """A number, or an array."""
    return float(values) if values.ndim == 0 else values


def _convolution(layer: Convolution, weight: Doubles, bias: Any) -> Node:
    """A Conv2d; a SumPool2d where each window is just added up; padding that differs becomes taps of weight 0."""
    (top, bottom, left, right), (d_r, d_c) = layer.padding, layer.dilation
    is_sum = layer.groups == weight.shape[0] and weight.shape[1] == 1 and (weight == 1).all() and bias is None
    is_even = top == bottom and left == right
    kernel = weight.shape[2:]
    if (
        is_sum
        and is_even
        and (d_r, d_c) == (1, 1)
        and kernel != (1, 1)
        and 2 * top <= kernel[0]
        and 2 * left <= kernel[1]
    ):
        return SumPool2d((kernel[0], kernel[1]), layer.stride, (top, left))
    dilation = layer.dilation
    if not is_even:
        weight, dilation = _spread(weight, layer.dilation), (1, 1)
        around = [(max(0, bottom - top), max(0, top - bottom)), (max(0, right - left), max(0, left - right))]
        weight = np.pad(weight, [(0, 0), (0, 0), *around])
    padding = (max(top, bottom), max(left, right))
    return Conv2d(
        rounded(weight), bias, stride=layer.stride, padding=padding, dilation=dilation, groups=layer.groups
    )


def _spread(weight: Doubles, dilation: tuple[int, int]) -> Doubles:
    """The same kernel with zeros between its taps."""
    rows, columns = ((n - 1) * d + 1 for n, d in zip(weight.shape[2:], dilation, strict=True))
    spread = np.zeros((*weight.shape[:2], rows, columns))
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread
