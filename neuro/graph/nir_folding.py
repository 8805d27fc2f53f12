"""Factors that NIR keeps apart (r, w_in, Scale) multiplied into the weights beside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.fields import FloatArray
from neuro.graph.nodes import Conv2d, Linear, Node

__all__ = ["fold_into_outputs", "fold_into_inputs"]

Factor = NDArray[np.float64]


def fold_into_outputs(owner: str, node: Node | None, factor: Factor) -> Node:
    """Return a synapse whose outputs (weights and bias) are multiplied by a factor."""
    if isinstance(node, Linear):
        column = np.broadcast_to(factor, (node.weight.shape[0],)) if factor.size == 1 else factor.reshape(-1)
        if column.shape == (node.weight.shape[0],):
            bias = None if node.bias is None else _rounded(node.bias * column)
            return Linear(_rounded(node.weight * column[:, None]), bias)
    elif isinstance(node, Conv2d):
        channels = _per_channel(owner, factor, node.out_channels)
        bias = None if node.bias is None else _rounded(node.bias * channels)
        return _conv2d(node, _rounded(node.weight * channels[:, None, None, None]), bias)
    raise GraphError(f"{owner}: its factor can be folded only into a Linear or Conv2d directly before it")


def fold_into_inputs(owner: str, node: Node | None, factor: Factor) -> Node:
    """Return a synapse whose weights are multiplied by a factor on its inputs."""
    if isinstance(node, Linear):
        row = np.broadcast_to(factor, (node.weight.shape[1],)) if factor.size == 1 else factor.reshape(-1)
        if row.shape == (node.weight.shape[1],):
            return Linear(_rounded(node.weight * row[None, :]), node.bias)
    elif isinstance(node, Conv2d) and (node.groups == 1 or factor.size == 1):
        channels = _per_channel(owner, factor, node.in_channels)
        per_group = channels[: node.weight.shape[1]]
        return _conv2d(node, _rounded(node.weight * per_group[None, :, None, None]), node.bias)
    raise GraphError(
        f"{owner}: its factor can be folded only into a Linear or ungrouped Conv2d directly behind it"
    )


def _rounded(array: NDArray[np.float64]) -> FloatArray:
    return array.astype(np.float32)


def _conv2d(node: Conv2d, weight: FloatArray, bias: FloatArray | None) -> Conv2d:
    return Conv2d(
        weight,
        bias,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )


def _per_channel(owner: str, factor: Factor, n_channels: int) -> Factor:
    if factor.size == 1:
        return np.full(n_channels, factor.reshape(-1)[0])
    if factor.ndim == 3 and factor.shape[0] == n_channels:
        first = factor[:, :1, :1]
        if (factor == first).all():
            return first.reshape(-1)
    raise GraphError(
        f"{owner}: a factor of shape {factor.shape} that differs within a channel cannot be folded"
    )
