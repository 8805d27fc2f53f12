"""What the host computes behind the chip: readouts that add up weighted spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.errors import UnsupportedNodeError
from neuro.graph import LI, SPIKING, Graph, Input, Node, Readout

__all__ = ["HostReadout", "split_readout"]


@dataclass(frozen=True, eq=False)
class HostReadout:
    """The end of a network that no chip computes: linear nodes and Readouts behind one population.

    Attributes
    ----------
    source : str
        The population whose spikes it takes.
    graph : Graph
        The nodes, behind an Input of that name.
    """

    source: str
    graph: Graph

    def outputs(self, spikes: neuro.Spikes) -> Mapping[str, NDArray[np.float32]]:
        """Return what each Readout gives in each step.

        Parameters
        ----------
        spikes : neuro.Spikes
            Of the population.

        Returns
        -------
        mapping of str to float32 array, shape (n_steps, ...)
            By name of the Readout.
        """
        return neuro.simulate(self.graph, spikes).outputs


def split_readout(graph: Graph) -> tuple[Graph, HostReadout | None]:
    """Take off the Readouts, and the linear nodes that lead to them alone.

    Parameters
    ----------
    graph : Graph
        The network.

    Returns
    -------
    graph : Graph
        What is left for the chip; the same graph if there is no Readout.
    host : HostReadout or None
        What was taken off.

    Raises
    ------
    UnsupportedNodeError
        If Readouts stand behind the Input, or behind several populations.

    Examples
    --------
    >>> from neuro.graph import IF, Linear, clocked
    >>> nodes = {"in": Input(2), "if": IF(), "line": Linear(np.eye(2)), "sum": Readout()}
    >>> edges = [("in", "if"), ("if", "line"), ("line", "sum")]
    >>> rest, host = split_readout(Graph(nodes, edges, clocked(0.001)))
    >>> rest.order, host.source, host.graph.order
    (('in', 'if'), 'if', ('if', 'line', 'sum'))
    """
    readouts = [name for name in graph.order if isinstance(graph.nodes[name], Readout)]
    if not readouts:
        return graph, None
    neurons = (*SPIKING, LI)
    needed = _before(graph, [name for name in graph.order if isinstance(graph.nodes[name], neurons)], ())
    behind = _before(graph, readouts, (*neurons, Input))
    sources = [
        name for name in graph.order if name in behind and isinstance(graph.nodes[name], (*neurons, Input))
    ]
    if len(sources) != 1 or not isinstance(graph.nodes[sources[0]], neurons):
        raise UnsupportedNodeError(
            f"Readout {readouts[0]!r}: the host reads the spikes of one population, here it takes those of "
            f"{', '.join(repr(name) for name in sources)}; put a neuron before the Readout, or an LI in its place"
        )
    (source,) = sources
    nodes: dict[str, Node] = {name: graph.nodes[name] for name in graph.order if name in behind}
    nodes[source] = Input(graph.shapes[source], max_count=1)
    edges = [edge for edge in graph.edges if edge[0] in behind and edge[1] in behind and edge[1] != source]
    host = Graph(nodes, edges, graph.execution, graph.weight_grid)
    left = {name: node for name, node in graph.nodes.items() if name in needed}
    return (
        Graph(
            left, [edge for edge in graph.edges if edge[0] in left and edge[1] in left], graph.execution,
            graph.weight_grid, graph.metadata,
        ),
        HostReadout(source, host),
    )  # fmt: skip


def _before(graph: Graph, names: list[str], ends: tuple[type, ...]) -> set[str]:
    """Return the nodes and all that lead to them, no further than nodes of some kinds."""
    found, todo = set(names), list(names)
    while todo:
        for name in graph.predecessors(todo.pop()):
            if name not in found:
                found.add(name)
                if not isinstance(graph.nodes[name], ends):
                    todo.append(name)
    return found
