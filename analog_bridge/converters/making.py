"""Layers that are made one by one, with their shapes: the simple ones that conversion puts in."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.layers import (
    AveragePool,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    Permutation,
    Rearrangement,
    Reshape,
)
from analog_bridge.layers.shapes import output_shape

__all__ = ["MadeLayers", "Moving", "places", "rounded"]

Doubles = NDArray[np.float64]
Moving = Reshape | Permutation | Rearrangement

_MOST_SQUARE = 256  # entries of a line up to which a matrix multiplies each by a number


def rounded(values: ArrayLike) -> NDArray[np.float32]:
    """Return double precision as float32."""
    return np.asarray(values, np.float64).astype(np.float32)


def places(layer: Moving, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return where each entry of a layer's output comes from in its input, -1 for nowhere."""
    entries = np.arange(math.prod(shape))
    if isinstance(layer, Reshape):
        return entries.reshape(layer.shape)
    if isinstance(layer, Permutation):
        return entries.reshape(shape)[layer.order]
    return layer.index.astype(np.int64)


class MadeLayers:
    """The layers made so far."""

    def __init__(self) -> None:
        self.made: dict[str, Layer] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def add(self, layer: Layer) -> str:
        if layer.name in self.made:
            layer = replace(layer, name=self.free_name(layer.name))
        self.made[layer.name] = layer
        self.shapes[layer.name] = output_shape(layer, [self.shapes[name] for name in layer.inputs])
        return layer.name

    def free_name(self, name: str) -> str:
        """A name that is not taken: the one asked for, or with a number behind it."""
        found, k = name, 2
        while found in self.made:
            found, k = f"{name}#{k}", k + 1
        return found

    def moved(self, name: str, source: str, index: NDArray[np.int64], place: str = "") -> str:
        """A layer whose entries are those of another at an index, -1 for 0; what was moved before is moved once."""
        while isinstance(layer := self.made[source], (Reshape, Rearrangement)):
            before = places(layer, self.shapes[layer.inputs[0]]).reshape(-1)
            index, source = np.where(index < 0, -1, before[index]), layer.inputs[0]
        is_in_order = index.size == math.prod(self.shapes[source]) and np.array_equal(
            index.reshape(-1), np.arange(index.size)
        )
        if is_in_order and index.shape == self.shapes[source]:
            return source
        if is_in_order:
            return self.add(Reshape(self.free_name(name), (source,), index.shape, place=place))
        return self.add(Rearrangement(self.free_name(name), (source,), index, place=place))

    def used(self, names: Collection[str]) -> tuple[Layer, ...]:
        """The layers made, without those that none of these and no input needs."""
        needed = set(names)
        for layer in reversed(self.made.values()):
            if layer.name in needed:
                needed.update(layer.inputs)
        return tuple(
            layer for layer in self.made.values() if layer.name in needed or isinstance(layer, InputLayer)
        )

    def diagonal(self, name: str, source: str, channels: Doubles, offset: Doubles) -> str:
        """A layer that multiplies each channel by a number and adds one."""
        n = self.channels_of(source)
        factor = np.broadcast_to(channels, (n,))
        bias = rounded(np.broadcast_to(offset, (n,)))
        if len(self.shapes[source]) == 1 and n > _MOST_SQUARE:
            line = self.moved(f"{name}.line", source, np.arange(n).reshape(n, 1, 1))
            return self.moved(f"{name}.flat", self.diagonal(name, line, channels, offset), np.arange(n))
        if len(self.shapes[source]) == 1:
            return self.add(Dense(self.free_name(name), (source,), rounded(np.diag(factor)), bias))
        weight = rounded(factor).reshape(-1, 1, 1, 1)
        return self.add(Convolution(self.free_name(name), (source,), weight, bias, groups=n))

    def entries(self, name: str, source: str, factor: Doubles) -> str:
        """A layer that multiplies each entry of a picture by a number of its own."""
        shape = self.shapes[source]
        line = self.moved(f"{name}.line", source, np.arange(factor.size).reshape(-1, 1, 1))
        scaled = self.diagonal(name, line, factor.reshape(-1), np.zeros(1))
        return self.moved(f"{name}.picture", scaled, np.arange(factor.size).reshape(shape))

    def summed(self, layer: AveragePool, source: str) -> str:
        """The sums over the windows of an average pool, as a convolution with ones."""
        n = self.channels_of(source)
        (p_r, p_c), ones = layer.padding, np.ones((n, 1, *layer.kernel), np.float32)
        return self.add(
            Convolution(
                self.free_name(layer.name),
                (source,),
                ones,
                np.zeros(n, np.float32),
                stride=layer.stride,
                padding=(p_r, p_r, p_c, p_c),
                groups=n,
                place=layer.place,
            )
        )

    def channels_of(self, name: str) -> int:
        return self.shapes[name][0]
