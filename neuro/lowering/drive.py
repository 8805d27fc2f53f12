"""Constant drive of neurons in continuous execution: what the biases before them bring all the time."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from neuro.graph import Add, AvgPool2d, Concat, Conv2d, Delay, Flatten, Graph, Linear, SumPool2d

__all__ = ["arriving_drive"]

Floats = NDArray[np.float32]
_PASSING = (Add, Concat, Flatten, Delay, SumPool2d, AvgPool2d)


def arriving_drive(graph: Graph, name: str) -> Floats | None:
    """Return the drive of each neuron of a node, in its shape; None where there is none at all."""
    sources = graph.predecessors(name)
    if not any(_has_bias(graph, source, set()) for source in sources):
        return None
    drive = np.zeros(graph.shapes[name], np.float32)
    return reduce(np.add, (_drive(graph, source, ()) for source in sources), drive)


def _has_bias(graph: Graph, name: str, seen: set[str]) -> bool:
    node = graph.nodes[name]
    if isinstance(node, (Linear, Conv2d)):
        return node.bias is not None and bool(node.bias.any())
    if name in seen or not isinstance(node, _PASSING):
        return False
    seen.add(name)
    return any(_has_bias(graph, source, seen) for source in graph.predecessors(name))


def _drive(graph: Graph, name: str, behind: tuple[str, ...]) -> Floats:
    node, shape = graph.nodes[name], graph.shapes[name]
    if isinstance(node, (Linear, Conv2d)) and node.bias is not None:
        return np.broadcast_to(node.bias.reshape(-1, *(1,) * (len(shape) - 1)), shape).copy()
    if name in behind or not isinstance(node, _PASSING):
        return np.zeros(shape, np.float32)
    drives = [_drive(graph, source, (*behind, name)) for source in graph.predecessors(name)]
    if isinstance(node, Add):
        return reduce(np.add, drives)
    if isinstance(node, Concat):
        return np.concatenate(drives)
    if isinstance(node, (Flatten, Delay)):
        return drives[0].reshape(shape)
    assert isinstance(node, (SumPool2d, AvgPool2d))
    return _pooled(node, drives[0], shape)


def _pooled(node: SumPool2d | AvgPool2d, drive: Floats, shape: tuple[int, ...]) -> Floats:
    """Sums of windows, ascending in (row, column), divided by the area for an average."""
    (rows, columns), (down, right) = node.kernel_size, node.strides
    padded = np.pad(
        drive, [(0, 0), *((p, p + k) for p, k in zip(node.padding, node.kernel_size, strict=True))]
    )
    total = np.zeros(shape, np.float32)
    for i, j in np.ndindex(rows, columns):
        total += padded[:, i : i + down * shape[1] : down, j : j + right * shape[2] : right]
    return total / np.float32(rows * columns) if isinstance(node, AvgPool2d) else total
