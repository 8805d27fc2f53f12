"""Counts that follow from those of a run and its graph."""

from __future__ import annotations

from neuro.costs.geometry import sizes
from neuro.graph import Graph, SparseLinear
from neuro.results import Counters

__all__ = ["spike_driven_operations"]


def spike_driven_operations(graph: Graph, counters: Counters) -> dict[str, int]:
    """Return, for each Linear and Conv2d, its input entries times its nominal fan-out (R36).

    Entries of a SparseLinear have fan-outs of their own: there it is what was executed (R35).

    Parameters
    ----------
    graph : Graph
        The graph that ran.
    counters : Counters
        Of the run.

    Returns
    -------
    dict of str to int
        By node.

    Examples
    --------
    >>> import numpy as np
    >>> import neuro
    >>> from neuro.graph import IF, Input, Linear, clocked
    >>> graph = Graph({"in": Input(2), "fc": Linear([[1.0, 0.0]]), "out": IF(1.0)},
    ...               [("in", "fc"), ("fc", "out")], clocked(dt_s=0.001))
    >>> spike_driven_operations(graph, neuro.simulate(graph, np.ones((4, 2))).counters)
    {'fc': 8}
    """
    synapses, _ = sizes(graph)
    return {
        name: counters.synaptic_operations[name]
        if isinstance(graph.nodes[name], SparseLinear)
        else n * synapses[name].fan_out
        for name, n in counters.input_entries.items()
    }
