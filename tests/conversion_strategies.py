"""Random quantised networks for the converters."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

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
    TransposedConvolution,
    Upsample,
)


class Chain:
    """Layers that are added one behind the other, with weights drawn so that counts spread over their range."""

    def __init__(self, draw: Any, levels: int, n_negative: int) -> None:
        self.draw, self.levels, self.n_negative = draw, levels, n_negative
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        shape = (draw(st.integers(1, 3)), draw(st.integers(4, 7)), draw(st.integers(4, 7)))
        self.layers: list[Layer] = [InputLayer("x", (), shape)]
        self.shapes: dict[str, tuple[int, ...]] = {"x": shape}

    def add(self, layer: Layer) -> str:
        self.layers.append(layer)
        self.shapes = dict(LayerGraph(tuple(self.layers), (layer.name,)).shapes)
        return layer.name

    def conv(self, name: str, source: str, n: int, *, groups: int = 1, kernel: int = 3) -> str:
        n_in = self.shapes[source][0] // groups
        weight = self.rng.normal(size=(n, n_in, kernel, kernel)) * 1.5 / np.sqrt(n_in * kernel * kernel)
        low, high = (kernel - 1) // 2, kernel // 2
        bias = self.rng.normal(size=n) * 0.2
        return self.add(
            Convolution(name, (source,), weight, bias, padding=(low, high, low, high), groups=groups)
        )

    def enlarge_or_move(self, at: str, kind: str) -> str:
        shape = self.shapes[at]
        if kind == "places":
            index = self.rng.integers(-1, int(np.prod(shape)), shape)
            return self.add(Rearrangement(kind, (at,), index))
        if kind == "transposed":
            weight = self.rng.normal(size=(shape[0], 2, 3, 2)) / np.sqrt(shape[0])
            spread = TransposedConvolution(kind, (at,), weight, np.zeros(2), (2, 1), (1, 0), (1, 0))
            return self.quantise("act3", self.add(spread))
        if kind:
            mode: Any = kind
            return self.quantise("act3", self.conv("conv3", self.add(Upsample(kind, (at,), (2, 1), mode)), 2))
        return at

    def multiply(self, at: str, kind: str) -> str:
        shape = self.shapes[at]
        if kind == "gate":
            mean = self.add(AveragePool("squeeze", (at,), shape[1:], (1, 1)))  # type: ignore[arg-type]
            gate = self.quantise("act4", self.conv("excite", mean, shape[0], kernel=1))
            return self.add(Product(kind, (at, gate)))
        if kind == "square":
            return self.add(Product(kind, (at, at)))
        if kind == "matrices":
            index = np.arange(int(np.prod(shape))).reshape(shape).transpose(0, 2, 1)
            return self.add(MatrixProduct(kind, (at, self.add(Rearrangement("turned", (at,), index)))))
        return at

    def quantise(self, name: str, source: str) -> str:
        n = self.draw(st.sampled_from([1, self.shapes[source][0]]))
        unit = self.rng.uniform(0.5, 2.0, n) / self.levels
        return self.add(Quantizer(name, (source,), unit, self.levels, self.n_negative))


@st.composite
def quantised_networks(
    draw: Any, *, levels: Any = None, signed: bool = False
) -> tuple[LayerGraph, np.ndarray[Any, Any]]:
    """A network with any of: batch norm, pools, grouped layers, a residual, a shuffle, joints, enlarging, products."""
    found = draw(levels if levels is not None else st.integers(1, 9))
    net = Chain(draw, found, draw(st.integers(0, 3)) if signed else 0)
    width = 2 * draw(st.integers(1, 3))
    at = net.conv("conv1", "x", width, kernel=draw(st.integers(1, 3)))
    if draw(st.booleans()):
        at = net.add(Scale("norm", (at,), net.rng.uniform(0.5, 1.5, width), net.rng.normal(size=width) * 0.1))
    pools_early = draw(st.booleans())
    if pools_early:
        at = net.add(MaxPool("early", (at,), (2, 2), (2, 2)))
    at = net.quantise("act1", at)
    if draw(st.booleans()):
        kind = draw(st.sampled_from([MaxPool, AveragePool]))
        at = net.add(kind("pool", (at,), (2, 2), (1, 1), draw(st.sampled_from([(0, 0), (1, 1)]))))
    skip = at
    if draw(st.booleans()):
        at = net.add(Permutation("shuffle", (at,), net.rng.permutation(width).astype(np.int32)))
    at = net.conv("conv2", at, width, groups=draw(st.sampled_from([1, 2, width])))
    if draw(st.booleans()):
        at = net.add(Sum("sum", (at, skip)))
    at = net.quantise("act2", at)
    if draw(st.booleans()):
        at = net.add(Concatenation("cat", (at, skip)))
    at = net.enlarge_or_move(
        at, draw(st.sampled_from(["", "", "nearest", "bilinear", "transposed", "places"]))
    )
    at = net.multiply(at, draw(st.sampled_from(["", "", "gate", "square", "matrices"])))
    if draw(st.booleans()):
        rows, columns = net.shapes[at][1:]
        at = net.add(AveragePool("mean", (at,), (rows, columns), (1, 1)))
    at = net.add(Reshape("flat", (at,), (int(np.prod(net.shapes[at])),)))
    n = net.shapes[at][0]
    net.add(Dense("fc", (at,), net.rng.normal(size=(3, n)) / np.sqrt(n), net.rng.normal(size=3)))
    low = -1.0 if signed and not pools_early else 0.0
    samples = net.rng.uniform(low, 1.0, (draw(st.integers(1, 3)), *net.shapes["x"])).astype(np.float32)
    return LayerGraph(tuple(net.layers), ("fc",)), samples
