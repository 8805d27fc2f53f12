"""Ways from neurons back to themselves in NIR, which says no delay where other frameworks see the step before."""

from __future__ import annotations

from collections.abc import Mapping

from neuro.errors import GraphError
from neuro.graph.nodes import SPIKING, Delay, Node

__all__ = ["delayed_loops"]

Edge = tuple[str, str]


def delayed_loops(
    nodes: Mapping[str, Node], edges: list[Edge], dt_s: float
) -> tuple[dict[str, Node], list[Edge]]:
    """Put a Delay of one step into each way from a neuron back to itself, past no other neuron, that has none.

    Parameters
    ----------
    nodes : mapping of str to Node
        By name.
    edges : list of (str, str)
        Between them.
    dt_s : float
        Length of a step in seconds.

    Returns
    -------
    tuple of (dict, list)
        Nodes and edges with the Delays, which are called `loop_delay` behind the neuron's name and a full stop.

    Raises
    ------
    GraphError
        If that name is taken.

    Examples
    --------
    >>> from neuro.graph.nodes import IF, Linear
    >>> nodes, edges = {"a": IF(), "w": Linear([[0.5]])}, [("a", "w"), ("w", "a")]
    >>> delayed_loops(nodes, edges, 0.001)[1]
    [('a', 'a.loop_delay'), ('w', 'a'), ('a.loop_delay', 'w')]
    """
    found, joined = dict(nodes), list(edges)
    for neuron in [name for name, node in nodes.items() if isinstance(node, SPIKING)]:
        back = [stop for start, stop in edges if start == neuron and _leads_back(nodes, edges, stop, neuron)]
        if not back:
            continue
        delay = f"{neuron}.loop_delay"
        if delay in found:
            raise GraphError(
                f"NIR: the name {delay!r} of the delay behind {neuron!r} is taken; rename the node"
            )
        found[delay] = Delay(dt_s)
        joined = [
            (neuron, delay) if start == neuron and stop in back else (start, stop) for start, stop in joined
        ]
        joined = list(dict.fromkeys(joined)) + [(delay, stop) for stop in back]
    return found, joined


def _leads_back(nodes: Mapping[str, Node], edges: list[Edge], name: str, neuron: str) -> bool:
    """Say whether a node leads to a neuron, past no other neuron and no Delay."""
    seen, todo = set(), [name]
    while todo:
        here = todo.pop()
        if here == neuron:
            return True
        if here in seen or isinstance(nodes[here], (*SPIKING, Delay)):
            continue
        seen.add(here)
        todo += [stop for start, stop in edges if start == here]
    return False
