"""A conventional network as a graph of layers: what :mod:`analog_bridge.ingest` produces and the converters read.

Data have no batch axis here: (channel, row, column) or (N,). One-dimensional layers are two-dimensional ones with one
row, ``(C, 1, L)``. A quantised network is the same graph with a `Quantizer` in the place of each `Activation`.
"""

from __future__ import annotations

from analog_bridge.layers.graph import LayerGraph
from analog_bridge.layers.kinds import (
    Activation,
    AveragePool,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
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
    "MatrixProduct",
    "Concatenation",
    "Reshape",
    "Permutation",
    "Rearrangement",
    "LayerGraph",
]
