"""The mean of a current from what enters its synapse: a table with one number for each entry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuro.graph import SYNAPSES, AvgPool2d, Conv2d, Flatten, Graph, Linear, SumPool2d

__all__ = ["Doubles", "squeeze_table"]

Doubles = NDArray[np.float64]
_Pair = tuple[int, int]


def squeeze_table(graph: Graph, chain: tuple[str, ...]) -> tuple[Doubles, float]:
    """Return what each input entry of value 1 adds to the sum of all outputs of a chain, and what the biases add.

    Parameters
    ----------
    graph : Graph
        A graph.
    chain : tuple of str
        A Linear or Conv2d and the pools behind it, in order.

    Returns
    -------
    float64, shape of the chain's input
        Sums of weights, in float64.
    float
        The sum of what the biases add.
    """
    constant = 0.0
    share = np.ones(graph.shapes[chain[-1]])  # of each output of the chain so far in the sum
    for name in reversed(chain):
        node, before = graph.nodes[name], graph.shapes[graph.predecessors(name)[0]]
        if isinstance(node, SYNAPSES) and node.bias is not None:
            constant += float(node.bias.astype(np.float64) @ share.reshape(len(node.bias), -1).sum(axis=1))
        if isinstance(node, Flatten):
            share = share.reshape(before)
        elif isinstance(node, Linear):
            share = node.weight.astype(np.float64).T @ share
        elif isinstance(node, Conv2d):
            share = _convolution_share(node, share, before)
        else:
            assert isinstance(node, (SumPool2d, AvgPool2d))
            share = _pool_share(node, share, before)
    return share, constant


def _convolution_share(node: Conv2d, share: Doubles, before: tuple[int, ...]) -> Doubles:
    weight = node.weight.astype(np.float64).reshape(node.groups, -1, *node.weight.shape[1:])
    outputs = share.reshape(node.groups, -1, *share.shape[1:])
    found = np.zeros((node.groups, weight.shape[2], *_padded(before, node.padding)))
    for i, j, window in _windows(node.kernel_size, node.stride, node.dilation, share.shape[1:]):
        found[(..., *window)] += np.einsum("gok,gorc->gkrc", weight[:, :, :, i, j], outputs)
    return _inner(found.reshape(before[0], *found.shape[2:]), node.padding, before)


def _pool_share(node: SumPool2d | AvgPool2d, share: Doubles, before: tuple[int, ...]) -> Doubles:
    area = node.kernel_size[0] * node.kernel_size[1] if isinstance(node, AvgPool2d) else 1
    found = np.zeros((before[0], *_padded(before, node.padding)))
    for _, _, window in _windows(node.kernel_size, node.strides, (1, 1), share.shape[1:]):
        found[(..., *window)] += share / area
    return _inner(found, node.padding, before)


def _padded(shape: tuple[int, ...], padding: _Pair) -> _Pair:
    return shape[1] + 2 * padding[0], shape[2] + 2 * padding[1]


def _inner(padded: Doubles, padding: _Pair, shape: tuple[int, ...]) -> Doubles:
    rows, columns = (slice(p, p + n) for p, n in zip(padding, shape[1:], strict=True))
    return padded[:, rows, columns]


def _windows(
    kernel: _Pair, stride: _Pair, dilation: _Pair, size: tuple[int, ...]
) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """Yield each tap (row, column) and the padded entries that it reads."""
    for i in range(kernel[0]):
        first = i * dilation[0]
        rows = slice(first, first + (size[0] - 1) * stride[0] + 1, stride[0])
        for j in range(kernel[1]):
            first = j * dilation[1]
            yield i, j, (rows, slice(first, first + (size[1] - 1) * stride[1] + 1, stride[1]))
