"""The weight grid of a converted graph: the guarantee that its sums are exact, where it can be given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analog_bridge.integers import as_integers
from neuro.errors import GraphError
from neuro.graph import PRODUCTS, Conv2d, Graph, Input, Linear

__all__ = ["on_grid"]


def on_grid(graph: Graph) -> Graph:
    """Return a graph of whole weights with its `weight_grid`, so that its file says that its sums are exact.

    Parameters
    ----------
    graph : Graph
        Its weights are whole multiples of powers of two.

    Returns
    -------
    Graph
        With the finest grid of all weights and biases; the graph itself where section 8 of the specification gives no
        bound: inputs that may be negative, products of counts, or changes of counts that may reach 2**24 units.
    """
    nodes = graph.nodes.values()
    if any(
        isinstance(node, PRODUCTS) or (isinstance(node, Input) and node.max_count is None) for node in nodes
    ):
        return graph
    arrays = [node.weight for node in nodes if isinstance(node, (Linear, Conv2d))]
    arrays += [node.bias for node in nodes if isinstance(node, (Linear, Conv2d)) and node.bias is not None]
    grid = min((_grid_of(array) for array in arrays), default=1.0)
    try:
        return Graph(dict(graph.nodes), graph.edges, graph.execution, grid, dict(graph.metadata))
    except GraphError:
        return graph


def _grid_of(values: NDArray[np.float32]) -> float:
    """The largest power of two of which all values are multiples; 1 for zeros."""
    found = as_integers(values)
    return 2.0**found.exponent
