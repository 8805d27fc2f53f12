"""Largest value and granularity of what travels along the edges of a chain of nodes."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.errors import GraphError
from neuro.graph import Graph
from neuro.graph.nodes import LI, SPIKING, SYNAPSES, AvgPool2d, Input, SumPool2d


@dataclass(frozen=True)
class Values:
    """Values on an edge: multiples of `grid`, none above `largest`.

    Attributes
    ----------
    largest : float
        Largest absolute value.
    grid : float
        A power of two.
    """

    largest: float
    grid: float


def largest_inputs(graph: Graph) -> dict[str, Values]:
    """Find what the inputs of every Conv2d and Linear of a chain can be.

    Parameters
    ----------
    graph : Graph
        A chain: every node has at most one input.

    Returns
    -------
    dict[str, Values]
        By name of the Conv2d or Linear.

    Raises
    ------
    GraphError
        The values are not on a grid: weights cannot be rounded so that sums are exact.
    """
    found: dict[str, Values] = {}
    values: Values | None = None
    source = ""
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, Input):
            if node.max_count is None:
                raise GraphError("export: snap_weights needs max_count, the largest value of an input entry")
            values = Values(float(node.max_count), 1.0)
        elif isinstance(node, SYNAPSES):
            if values is None:
                raise GraphError(
                    f"node '{name}': its inputs, from '{source}', are neither counts nor spikes on a power-of-two "
                    f"grid, so its sums cannot be made exact; put neurons between them, pool over 2, 4, 8, ... "
                    f"pixels, or export with snap_weights=False"
                )
            found[name] = values
            values = None
        elif isinstance(node, SPIKING):
            values = Values(1.0, 1.0)
        elif isinstance(node, LI):
            values = None
        elif isinstance(node, (SumPool2d, AvgPool2d)) and values is not None:
            values = _pooled(node, values)
        source = name
    return found


def _pooled(node: SumPool2d | AvgPool2d, values: Values) -> Values | None:
    area = node.kernel_size[0] * node.kernel_size[1]
    if isinstance(node, SumPool2d):
        return Values(values.largest * area, values.grid)
    return Values(values.largest, values.grid / area) if area & (area - 1) == 0 else None
