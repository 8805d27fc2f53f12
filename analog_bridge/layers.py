"""A conventional network as a graph of layers: what :mod:`analog_bridge.ingest` produces and the converters read.

Data have no batch axis here: (channel, row, column) or (N,). One-dimensional layers are two-dimensional ones with one
row, ``(C, 1, L)``. A quantised network is the same graph with a `Quantizer` in the place of each `Activation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Layer",
    "InputLayer",
    "Convolution",
    "TransposedConvolution",
    "Dense",
    "Scale",
    "AveragePool",
    "MaxPool",
    "Upsample",
    "Activation",
    "Quantizer",
    "Sum",
    "Product",
    "Concatenation",
    "Reshape",
    "Permutation",
    "LayerGraph",
]

Floats = NDArray[np.float32]
Pair = tuple[int, int]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Layer:
    """Base of all layers.

    Attributes
    ----------
    name : str
        Unique in its graph; the name the user knows (``'block1.conv2'``), with ``#2`` behind it where a module is
        used a second time.
    inputs : tuple of str
        Names of the layers whose outputs it reads, in order.
    place : str
        Where it stands in the user's code or file, for messages: ``'model.py:17'`` or ``"ONNX node 'Conv_3'"``.
    """

    name: str
    inputs: tuple[str, ...]
    place: str = field(default="", kw_only=True)


@dataclass(frozen=True, eq=False)
class InputLayer(Layer):
    """An input of the network; `shape` has no batch axis."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Convolution(Layer):
    """Cross-correlation.

    `weight` is (out, in / groups, rows, columns), `bias` (out,), `padding` (top, bottom, left, right).
    """

    weight: Floats
    bias: Floats
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Layer):
    """Transposed convolution, `weight` (in, out / groups, rows, columns), as torch defines it."""

    weight: Floats
    bias: Floats
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """Affine map of a vector: `weight` (out, in), `bias` (out,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class Scale(Layer):
    """``factor * x + offset`` per channel (batch norm that no convolution before it could take up); both (C,)."""

    factor: Floats
    offset: Floats


@dataclass(frozen=True, eq=False)
class AveragePool(Layer):
    """Mean of each window; padding counts as zeros when `counts_padding`, else it is left out of the mean."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    counts_padding: bool = True


@dataclass(frozen=True, eq=False)
class MaxPool(Layer):
    """Largest value of each window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)


@dataclass(frozen=True, eq=False)
class Upsample(Layer):
    """Larger picture by a whole `factor`."""

    factor: Pair
    mode: Literal["nearest", "bilinear"] = "nearest"


@dataclass(frozen=True, eq=False)
class Activation(Layer):
    """``clip(x, lower, upper)``; leaky: `slope` times what is below 0 takes the place of the floor."""

    lower: float = 0.0
    upper: float | None = None
    slope: float = 0.0


@dataclass(frozen=True, eq=False)
class Quantizer(Layer):
    """An activation in whole counts ``n = clip(floor(x / unit + 1/2), -n_negative, n_levels)``, of value ``n * unit``.

    Attributes
    ----------
    unit : float32 array, shape (1,) or (C,)
        Value of one count, > 0: one for the layer or one per channel.
    n_levels : int
        Largest count, >= 1.
    n_negative : int
        Negative counts that are allowed (0: a ReLU).
    """

    unit: Floats
    n_levels: int
    n_negative: int = 0


@dataclass(frozen=True, eq=False)
class Sum(Layer):
    """Sum of its inputs, which have one shape."""


@dataclass(frozen=True, eq=False)
class Product(Layer):
    """Product of two inputs; the second may be (C, 1, 1) (gates of squeeze and excitation)."""


@dataclass(frozen=True, eq=False)
class Concatenation(Layer):
    """Inputs one behind the other along the first axis."""


@dataclass(frozen=True, eq=False)
class Reshape(Layer):
    """The same values in another shape, in row-major order."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Permutation(Layer):
    """``y[k] = x[order[k]]`` along the first axis (channel shuffle)."""

    order: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """Layers in an order in which each comes behind its inputs, and the names of those that are outputs.

    Attributes
    ----------
    layers : tuple of Layer
        In topological order, inputs first.
    outputs : tuple of str
        Names of the layers whose values the network returns.
    """

    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
