"""The nodes without state of the dense reference: sections 4 and 5 of ``docs/graph-spec.md`` in plain NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import (
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Linear,
    MaxPool2d,
    Node,
    Rearrange,
    SparseLinear,
    SumPool2d,
)

__all__ = ["added", "evaluate_node", "sparse_linear", "synapse_steps"]

Floats = NDArray[np.float32]
F = np.float32
_TERM = (..., np.newaxis, np.newaxis)


def evaluate_node(node: Node, inputs: list[Any], shape: tuple[int, ...]) -> Floats:
    """Return the output of a node without state."""
    if isinstance(node, Linear):
        return _linear(node, inputs[0])
    if isinstance(node, Conv2d):
        return _conv2d(node, inputs[0], shape)
    if isinstance(node, (SumPool2d, AvgPool2d, MaxPool2d)):
        return _pool(node, inputs[0], shape)
    if isinstance(node, Concat):  # R21
        return np.concatenate(inputs)
    if isinstance(node, Rearrange):  # R163
        return np.where(node.index < 0, F(0), inputs[0].reshape(-1)[node.index])
    assert isinstance(node, (Add, Delay, Flatten))
    return added(inputs).reshape(shape)  # R21


def added(inputs: list[Any]) -> Floats:
    """R21: the sum from left to right; also of what several inputs hand to neurons (R155)."""
    total: Floats = inputs[0]
    for value in inputs[1:]:
        total = total + value
    return total


def synapse_steps(graph: Graph, node: SparseLinear) -> NDArray[np.int64]:
    """The delay of every synapse in steps."""
    steps = np.rint(np.asarray(node.delay_s, np.float64) / graph.dt_s).astype(np.int64)
    return np.broadcast_to(steps, node.indices.shape)


def sparse_linear(node: SparseLinear, steps: NDArray[np.int64], line: list[Any]) -> Floats:
    """R155: the longest delay first, then ascending entries, of one entry the synapses as they are stored.

    `line`: the inputs, the present one last; None in a cycle, where it is not known yet and no delay is 0.
    """
    total = np.zeros(node.n_out, F)
    rows = np.repeat(np.arange(node.n_out), np.diff(node.indptr))
    for delay in np.unique(steps)[::-1]:
        x = line[-1 - delay]
        for entry in np.flatnonzero(x):
            some = np.flatnonzero((node.indices == entry) & (steps == delay))
            np.add.at(total, rows[some], node.weight[some] * x[entry])
    return total


def _linear(node: Linear, x: Floats) -> Floats:
    """R15 in the order of R17."""
    total = np.zeros(node.weight.shape[0], F) if node.bias is None else node.bias.copy()
    for i in np.flatnonzero(x):
        total += node.weight[:, i] * x[i]
    return total


def _conv2d(node: Conv2d, x: Floats, shape: tuple[int, ...]) -> Floats:
    """R16 in the order of R17; arrays are split into (group, channel of the group, row, column)."""
    _, n_rows, n_columns = shape
    group_in = node.weight.shape[1]
    weight = node.weight.reshape(node.groups, -1, *node.weight.shape[1:])
    total = np.zeros((node.groups, weight.shape[1], n_rows, n_columns), F)
    if node.bias is not None:
        total += node.bias.reshape(node.groups, -1)[_TERM]
    x = x.reshape(node.groups, group_in, *x.shape[1:])
    windows = _taps(
        x,
        kernel=node.kernel_size,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        size=(n_rows, n_columns),
    )
    for i, j, seen in windows:
        for k in range(group_in):
            if seen[:, k].any():
                total += weight[:, :, k, i, j][_TERM] * seen[:, k, np.newaxis]
    return total.reshape(shape)


def _pool(node: SumPool2d | AvgPool2d | MaxPool2d, x: Floats, shape: tuple[int, ...]) -> Floats:
    """R19: sums start at 0, a maximum is that of the window and 0."""
    total = np.zeros(shape, F)
    windows = _taps(
        x,
        kernel=node.kernel_size,
        stride=node.strides,
        padding=node.padding,
        dilation=(1, 1),
        size=shape[1:],
    )
    for _, _, seen in windows:
        total = np.maximum(total, seen) if isinstance(node, MaxPool2d) else total + seen
    if isinstance(node, AvgPool2d):
        total = total / F(node.kernel_size[0] * node.kernel_size[1])
    return total


def _taps(
    x: Floats,
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, ...],
) -> Iterator[tuple[int, int, Floats]]:
    """Yield each tap (row, column) with the entries that it sees, shape (..., output rows, output columns)."""
    around = [(0, 0)] * (x.ndim - 2) + [(padding[0], padding[0]), (padding[1], padding[1])]
    padded = np.pad(x, around)
    for i in range(kernel[0]):
        rows = slice(i * dilation[0], i * dilation[0] + (size[0] - 1) * stride[0] + 1, stride[0])
        for j in range(kernel[1]):
            columns = slice(j * dilation[1], j * dilation[1] + (size[1] - 1) * stride[1] + 1, stride[1])
            yield i, j, padded[..., rows, columns]
