"""Convolutions and the pools right behind them, or right before, as one strided convolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.graph import Graph
from neuro.graph.node import Node
from neuro.graph.nodes import SPIKING, Input
from neuro.graph.pooling import AvgPool2d, SumPool2d
from neuro.graph.synapses import Conv2d

__all__ = ["fold_pooling", "fold_spike_pooling", "folded_convolution"]


def fold_pooling(graph: Graph) -> Graph:
    """Return the graph that is run in steps: pools of currents are folded into the convolutions before them.

    A SumPool2d or AvgPool2d without padding is folded if a Conv2d stands before it and feeds nothing else, if it feeds
    another node itself, and if the folded kernel adds no more terms for an input than the convolution alone did.
    The convolution keeps its name; the pool is gone.

    Parameters
    ----------
    graph : Graph
        A clocked graph.

    Returns
    -------
    Graph
        Without a ``weight_grid`` where something was folded (the weights may be on a finer one); otherwise `graph`.

    Notes
    -----
    Error: each weight of a folded kernel is rounded once to float32, from a float64 sum. With a ``weight_grid`` on the
    graph nothing is rounded, and the result equals that of the two nodes.

    Examples
    --------
    >>> from neuro.graph import IF, AvgPool2d, Conv2d, Input, clocked
    >>> nodes = {"in": Input((2, 8, 8)), "conv": Conv2d(np.ones((4, 2, 3, 3)), padding=1), "pool": AvgPool2d(2)}
    >>> edges = [("in", "conv"), ("conv", "pool"), ("pool", "if")]
    >>> folded = fold_pooling(Graph(nodes | {"if": IF(1.0)}, edges, clocked(0.001)))
    >>> folded.order, folded.nodes["conv"].kernel_size, folded.nodes["conv"].stride
    (('in', 'conv', 'if'), (4, 4), (2, 2))
    """
    nodes: dict[str, Node] = dict(graph.nodes)
    renamed: dict[str, str] = {}
    for name in graph.order:
        pool = graph.nodes[name]
        if not isinstance(pool, (SumPool2d, AvgPool2d)) or not graph.successors(name):
            continue
        (before,) = graph.predecessors(name)
        node = graph.nodes[before]
        if isinstance(node, Conv2d) and graph.successors(before) == (name,):
            folded = folded_convolution(node, pool)
            if folded is not None:
                nodes[before] = folded
                renamed[name] = before
                del nodes[name]
    if not renamed:
        return graph
    edges = [(renamed.get(source, source), target) for source, target in graph.edges if target not in renamed]
    return Graph(nodes, edges, graph.execution, metadata=graph.metadata)


def folded_convolution(conv: Conv2d, pool: SumPool2d | AvgPool2d) -> Conv2d | None:
    """Return a convolution that computes `conv` and then `pool`; None where that is not possible or not cheaper.

    Parameters
    ----------
    conv : Conv2d
        The convolution.
    pool : SumPool2d or AvgPool2d
        The pool behind it.

    Returns
    -------
    Conv2d or None
        Kernel ``(p - 1) s + (k - 1) d + 1`` and stride ``s q`` for a kernel k, stride s and dilation d of the
        convolution and windows of p at a distance of q; the weights are sums over the window, divided by its area
        for an average.
    """
    if any(pool.padding):
        return None
    size = [
        (p - 1) * s + (k - 1) * d + 1
        for p, s, k, d in zip(pool.kernel_size, conv.stride, conv.kernel_size, conv.dilation, strict=True)
    ]
    stride = [s * q for s, q in zip(conv.stride, pool.strides, strict=True)]
    if math.prod(size) * math.prod(conv.stride) > math.prod(conv.kernel_size) * math.prod(stride):
        return None
    area = math.prod(pool.kernel_size)
    divisor = area if isinstance(pool, AvgPool2d) else 1
    weight = _pooled_weights(conv, pool, size) / divisor
    bias = None if conv.bias is None else conv.bias.astype(np.float64) * (area / divisor)
    return Conv2d(
        weight.astype(np.float32),
        None if bias is None else bias.astype(np.float32),
        stride=(stride[0], stride[1]),
        padding=conv.padding,
        groups=conv.groups,
    )


def _pooled_weights(conv: Conv2d, pool: SumPool2d | AvgPool2d, size: list[int]) -> NDArray[np.float64]:
    """Return the kernel added up over the positions of a window."""
    weight = np.zeros((*conv.weight.shape[:2], *size))
    (rows, columns), (s_r, s_c), (d_r, d_c) = conv.kernel_size, conv.stride, conv.dilation
    for row in range(pool.kernel_size[0]):
        for column in range(pool.kernel_size[1]):
            at_rows = slice(row * s_r, row * s_r + (rows - 1) * d_r + 1, d_r)
            at_columns = slice(column * s_c, column * s_c + (columns - 1) * d_c + 1, d_c)
            weight[:, :, at_rows, at_columns] += conv.weight
    return weight


def fold_spike_pooling(graph: Graph) -> Graph:
    """Return a graph with the same results in which pools of spikes are part of the convolutions behind them.

    A SumPool2d or AvgPool2d is folded if spikes (of neurons, or an Input with ``max_count=1``) enter it, its windows do
    not overlap, are not padded and cover the frame, and what it hands on goes to one Conv2d without dilation and
    nowhere else: a convolution whose taps are repeated over the window, divided by its area for an average, with the
    stride of both. The convolution keeps its name; the pool, and what could be recorded of it, is gone.

    The engine then adds weights instead of multiplying them with the fractions that a pool hands on, and computes no
    pool; it counts the operations of the folded convolution, one for each spike and tap, where two spikes in a
    window were one input before. That is why `neuro.simulate` leaves the choice to you.

    Parameters
    ----------
    graph : Graph
        A clocked graph with a ``weight_grid``.

    Returns
    -------
    Graph
        With the ``weight_grid`` divided by the area; `graph` itself where nothing is folded.

    Raises
    ------
    GraphError
        If the graph has no ``weight_grid``: then sums are rounded, and the folded ones would differ in last bits.

    Notes
    -----
    Error: none; on a grid all sums are exact (requirement R40 of the specification, which is checked again).

    Examples
    --------
    >>> from neuro.graph import IF, AvgPool2d, Conv2d, Input, clocked
    >>> nodes = {"in": Input((2, 8, 8), 1), "pool": AvgPool2d(2), "conv": Conv2d(np.ones((4, 2, 3, 3)), padding=1)}
    >>> edges = [("in", "pool"), ("pool", "conv"), ("conv", "if")]
    >>> folded = fold_spike_pooling(Graph(nodes | {"if": IF(1.0)}, edges, clocked(0.001), weight_grid=1.0))
    >>> folded.order, folded.nodes["conv"].kernel_size, folded.nodes["conv"].stride, folded.weight_grid
    (('in', 'conv', 'if'), (6, 6), (2, 2), 0.25)
    """
    if graph.weight_grid is None:
        raise GraphError(
            "fold_spike_pooling: the graph has no weight_grid, so sums are rounded and folding would change last bits; "
            "snap the weights to a grid and build the graph with weight_grid"
        )
    nodes: dict[str, Node] = dict(graph.nodes)
    edges = list(graph.edges)
    grid = graph.weight_grid
    for name in graph.order:
        pool, after = graph.nodes[name], graph.successors(name)
        if not isinstance(pool, (SumPool2d, AvgPool2d)) or len(after) != 1:
            continue
        conv, (source,) = graph.nodes[after[0]], graph.predecessors(name)
        if not isinstance(conv, Conv2d) or not _is_foldable(graph, source, pool, conv):
            continue
        area = math.prod(pool.kernel_size) if isinstance(pool, AvgPool2d) else 1
        nodes[after[0]] = _repeated(pool, conv, area)
        del nodes[name]
        edges = [(source if start == name else start, end) for start, end in edges if end != name]
        grid = min(grid, graph.weight_grid / area)
    if len(nodes) == len(graph.nodes):
        return graph
    return Graph(nodes, edges, graph.execution, weight_grid=grid, metadata=graph.metadata)


def _is_foldable(graph: Graph, source: str, pool: SumPool2d | AvgPool2d, conv: Conv2d) -> bool:
    node, size = graph.nodes[source], graph.shapes[source][1:]
    has_spikes = isinstance(node, SPIKING) or (isinstance(node, Input) and node.max_count == 1)
    is_tiled = pool.strides == pool.kernel_size and not any(pool.padding)
    is_whole = all(n % k == 0 for n, k in zip(size, pool.kernel_size, strict=True))
    area = math.prod(pool.kernel_size)
    is_exact = isinstance(pool, SumPool2d) or area & (area - 1) == 0
    return has_spikes and is_tiled and is_whole and is_exact and conv.dilation == (1, 1)


def _repeated(pool: SumPool2d | AvgPool2d, conv: Conv2d, area: int) -> Conv2d:
    """A convolution whose taps see the entries of a window each."""
    rows, columns = pool.kernel_size
    weight = np.repeat(np.repeat(conv.weight, rows, axis=2), columns, axis=3) / np.float32(area)
    return Conv2d(
        weight,
        conv.bias,
        stride=(conv.stride[0] * rows, conv.stride[1] * columns),
        padding=(conv.padding[0] * rows, conv.padding[1] * columns),
        groups=conv.groups,
    )
