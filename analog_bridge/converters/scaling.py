"""The value of a layer times a factor, as weights: what stands between two quantizers in a network in counts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.converters.making import MadeLayers, Moving, places, rounded
from analog_bridge.errors import ConversionError
from analog_bridge.layers import (
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
)

__all__ = ["ONE", "Counts", "Sums", "mapped", "short"]

Doubles = NDArray[np.float64]

ONE = np.ones(())
_SENT = (MaxPool, Reshape, Concatenation, Permutation, Rearrangement)


@dataclass(frozen=True, eq=False)
class Counts:
    """A layer in counts, what a count of each entry stands for, and channels that are still to be chosen."""

    name: str
    scale: Doubles
    order: NDArray[np.int64] | None = None


class Sums(MadeLayers, ABC):
    """Makes layers that give sums of counts times factors.

    ``countable``: layers whose values are counts, or sums or products of counts, times what one stands for.
    ``is_sent``: those whose counts are sent by spikes, so that a maximum may be taken.
    """

    def __init__(self, graph: LayerGraph) -> None:
        super().__init__()
        self.graph = graph
        self.scaled_as: dict[tuple[str, bytes], str] = {}
        self.is_sent: dict[str, bool] = {}
        self.countable: dict[str, bool] = {}
        for layer in graph.layers:
            sent = all(self.is_sent[name] for name in layer.inputs)
            self.is_sent[layer.name] = isinstance(layer, (InputLayer, Quantizer)) or (
                isinstance(layer, _SENT) and sent
            )
            moves = isinstance(layer, (AveragePool, Reshape, Concatenation, Permutation, Rearrangement))
            self.countable[layer.name] = (
                self.is_sent[layer.name]
                or isinstance(layer, (Product, MatrixProduct))
                or (moves and all(self.countable[name] for name in layer.inputs))
            )

    @abstractmethod
    def counted(self, name: str) -> Counts:
        """Return a layer in counts."""

    def scaled(self, name: str, factor: Doubles) -> str:
        """Return the layer that gives the value of a layer times a factor (one, or one for each channel or entry)."""
        key = (name, np.broadcast_to(factor, self.graph.shapes[name]).tobytes())
        if key not in self.scaled_as:
            self.scaled_as[key] = self._scaled(self.graph[name], factor)
        return self.scaled_as[key]

    def in_order(self, counts: Counts, name: str) -> Counts:
        """Carry out a choice of channels that is still pending."""
        if counts.order is None:
            return counts
        shape = self.shapes[counts.name]
        index = np.arange(math.prod(shape)).reshape(shape)[counts.order]
        return Counts(self.moved(f"{name}.order", counts.name, index), counts.scale)

    def times(self, counts: Counts, factor: Doubles, name: str) -> str:
        """Multiply a layer by a factor, unless it is 1."""
        source = self.in_order(counts, name).name
        channels = self.per_channel(factor, name)
        if channels is None:
            whole = np.broadcast_to(factor, self.graph.shapes[name]).astype(np.float64)
            return self.entries(f"{name}.scale", source, whole)
        if (channels == 1).all():
            return source
        return self.diagonal(f"{name}.scale", source, channels, np.zeros(1))

    def per_channel(self, factor: Doubles, name: str) -> Doubles | None:
        """A factor as one number per channel; None where it differs within a channel."""
        shape = self.graph.shapes[name]
        if factor.ndim == 0:
            return factor.reshape(1)
        whole = np.broadcast_to(factor, shape).reshape(shape[0], -1)
        return whole[:, 0].astype(np.float64) if (whole == whole[:, :1]).all() else None

    def fitting(self, scale: Doubles, name: str) -> Doubles:
        """A scale per channel, for a layer with the same channels (before a pool)."""
        return scale if scale.ndim == 0 else scale.reshape(-1, *[1] * (len(self.graph.shapes[name]) - 1))

    def areas(self, layer: AveragePool) -> Doubles:
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

    def _scaled(self, layer: Layer, factor: Doubles) -> str:
        if self.countable[layer.name]:
            counts = self.counted(layer.name)
            return self.times(counts, counts.scale * factor, layer.name)
        is_shared = len(self.graph.consumers[layer.name]) > 1 and (factor != 1).any()
        channels = self.per_channel(factor, layer.name)
        passing = (Sum, Concatenation, Reshape, Permutation, Rearrangement)
        if is_shared or (channels is None and not isinstance(layer, passing)):
            return self._behind(layer, factor)
        if isinstance(layer, (Convolution, Dense)):
            return self._affine(layer, np.ones(1) if channels is None else channels)
        if isinstance(layer, Scale):
            return self._scale(layer, channels)
        if isinstance(layer, (Sum, Concatenation)):
            return self._joined(layer, factor)
        if isinstance(layer, (Reshape, Permutation, Rearrangement)):
            return self._moved(layer, factor)
        if isinstance(layer, AveragePool):
            return self._averaged(layer, factor)
        raise ConversionError(
            f"{layer.label}: takes the maximum of sums, which is not a count that was sent; put an activation before "
            "or behind it, or use an average pool"
        )

    def _behind(self, layer: Layer, factor: Doubles) -> str:
        """Multiply behind a layer."""
        return self.times(Counts(self.scaled(layer.name, ONE), ONE), factor, layer.name)

    def _joined(self, layer: Sum | Concatenation, factor: Doubles) -> str:
        names, parts = layer.inputs, [factor] * len(layer.inputs)
        if isinstance(layer, Concatenation):
            ends = np.cumsum([self.graph.shapes[name][0] for name in names[:-1]])
            whole = np.broadcast_to(factor, self.graph.shapes[layer.name])
            parts = [short(part) for part in np.split(whole, ends)]
        inputs = tuple(self.scaled(name, part) for name, part in zip(names, parts, strict=True))
        return self.add(replace(layer, name=self.free_name(layer.name), inputs=inputs))

    def _moved(self, layer: Moving, factor: Doubles) -> str:
        """Entries at other places: the factor goes to where they come from, if it is one for each channel there."""
        source = layer.inputs[0]
        shape = self.graph.shapes[source]
        index = places(layer, shape)
        back = mapped_back(factor, index, shape)
        if back is None or self.per_channel(back, source) is None:
            return self._behind(layer, factor)
        return self.moved(layer.name, self.scaled(source, back), index, layer.place)

    def _averaged(self, layer: AveragePool, factor: Doubles) -> str:
        area, source = self.areas(layer), layer.inputs[0]
        if area.ndim:  # the sums of windows, then each divided by its own number of entries
            summed = self.summed(layer, self.scaled(source, ONE))
            return self.times(Counts(summed, ONE), factor / area, layer.name)
        return self.summed(layer, self.scaled(source, self.fitting(short(factor / area), source)))

    def _affine(self, layer: Convolution | Dense, channels: Doubles) -> str:
        source = layer.inputs[0]
        weight = layer.weight.astype(np.float64)
        if self.countable[source]:
            name, weight = self._taken_up(layer, weight, self.counted(source))
        else:
            name = self.scaled(source, ONE)
        out = np.broadcast_to(channels, (weight.shape[0],))
        weight = weight * out.reshape(-1, *[1] * (weight.ndim - 1))
        fields: dict[str, Any] = {"name": self.free_name(layer.name), "inputs": (name,)}
        return self.add(replace(layer, weight=rounded(weight), bias=rounded(layer.bias * out), **fields))

    def _taken_up(self, layer: Convolution | Dense, weight: Doubles, counts: Counts) -> tuple[str, Doubles]:
        """Multiply weights by what a count of their input stands for, and sort them as the input is."""
        source = layer.inputs[0]
        groups = layer.groups if isinstance(layer, Convolution) else 1
        scale = self.per_channel(counts.scale, source)
        if scale is None:
            return self.times(counts, counts.scale, source), weight
        if groups > 1:
            counts = self.in_order(counts, source)
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
            counts = self.in_order(self.counted(source), source)
            scale = self.per_channel(counts.scale, source)
            if scale is not None:
                return self.diagonal(layer.name, counts.name, inner * scale, offset)
        return self.diagonal(layer.name, self.scaled(source, ONE), inner, offset)


def mapped(scale: Doubles, index: NDArray[np.int64], shape: tuple[int, ...]) -> Doubles:
    """Return what was given for each entry before a rearrangement, for each entry behind it."""
    if scale.ndim == 0:
        return scale
    found = np.broadcast_to(scale, shape).reshape(-1)[index].astype(np.float64)
    return _filled(np.where(index < 0, np.nan, found))


def mapped_back(factor: Doubles, index: NDArray[np.int64], shape: tuple[int, ...]) -> Doubles | None:
    """Return what was given for each entry behind a rearrangement, for each before it; None if entries differ."""
    if factor.ndim == 0:
        return factor
    taken = index.reshape(-1) >= 0
    wanted, source = np.broadcast_to(factor, index.shape).reshape(-1)[taken], index.reshape(-1)[taken]
    found = np.full(math.prod(shape), np.nan)
    found[source] = wanted
    return _filled(found.reshape(shape)) if (found[source] == wanted).all() else None


def _filled(values: Doubles) -> Doubles:
    """Give entries that are not known a value of their channel, or 1."""
    rows = values.reshape(len(values), -1)
    known = ~np.isnan(rows)
    first = np.where(known.any(axis=1), rows[np.arange(len(rows)), known.argmax(axis=1)], 1.0)
    return short(np.where(known, rows, first[:, np.newaxis]).reshape(values.shape))


def short(factor: Doubles) -> Doubles:
    """The same factors as one number, or one for each channel, where they do not differ."""
    if factor.ndim == 3 and (factor == factor[:, :1, :1]).all():
        factor = factor[:, :1, :1]
    first = factor.reshape(-1)[0]
    return np.full((), first) if (factor == first).all() else np.ascontiguousarray(factor)
