"""Layers that are made one by one, with their shapes: the simple ones that conversion puts in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.layers import AveragePool, Convolution, Dense, Layer
from analog_bridge.layers.shapes import output_shape

__all__ = ["MadeLayers", "rounded"]

Doubles = NDArray[np.float64]


def rounded(values: ArrayLike) -> NDArray[np.float32]:
    """Return double precision as float32."""
    return np.asarray(values, np.float64).astype(np.float32)


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

    def mixed(self, name: str, source: str, matrix: Doubles) -> str:
        """A layer that mixes channels by a matrix (out, in)."""
        bias = np.zeros(len(matrix), np.float32)
        if len(self.shapes[source]) == 1:
            return self.add(Dense(self.free_name(name), (source,), rounded(matrix), bias))
        weight = rounded(matrix)[:, :, np.newaxis, np.newaxis]
        return self.add(Convolution(self.free_name(name), (source,), weight, bias))

    def diagonal(self, name: str, source: str, channels: Doubles, offset: Doubles) -> str:
        """A layer that multiplies each channel by a number and adds one."""
        n = self.channels_of(source)
        factor = np.broadcast_to(channels, (n,))
        bias = rounded(np.broadcast_to(offset, (n,)))
        if len(self.shapes[source]) == 1:
            return self.add(Dense(self.free_name(name), (source,), rounded(np.diag(factor)), bias))
        weight = rounded(factor).reshape(-1, 1, 1, 1)
        return self.add(Convolution(self.free_name(name), (source,), weight, bias, groups=n))

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
