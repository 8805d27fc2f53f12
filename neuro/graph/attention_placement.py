"""Where attention may stand in a graph, and what a score on a current is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuro.errors import GraphError
from neuro.graph.nodes import (
    ATTENTIONS,
    LI,
    SPIKING,
    SYNAPSES,
    TEMPORAL,
    AvgPool2d,
    Flatten,
    Input,
    Node,
    SparseLinear,
    SumPool2d,
    TemporalAttention,
)
from neuro.graph.shapes import label

__all__ = ["check_attention", "chain_before"]

Neighbours = Mapping[str, Sequence[str]]
_LINEAR = (SumPool2d, AvgPool2d, Flatten)


def chain_before(nodes: Mapping[str, Node], before: Neighbours, name: str) -> tuple[str, ...]:
    """Return the Linear or Conv2d, and the pools behind it, whose current an attention takes; () if it takes events.

    Parameters
    ----------
    nodes : mapping of str to Node
        The nodes.
    before : mapping of str to sequence of str
        The inputs of each.
    name : str
        An attention.

    Returns
    -------
    tuple of str
        In the order in which they run.
    """
    chain: list[str] = []
    at = before[name][0]
    while isinstance(nodes[at], _LINEAR):
        chain.append(at)
        at = before[at][0]
    return (at, *reversed(chain)) if isinstance(nodes[at], SYNAPSES) else ()


def check_attention(nodes: Mapping[str, Node], before: Neighbours, after: Neighbours) -> None:
    """Check that each attention takes events, or the current of one synapse, and that windows agree."""
    names = [name for name, node in nodes.items() if isinstance(node, ATTENTIONS)]
    windows: dict[int, str] = {}
    for name in names:
        node = nodes[name]
        _check_cycles(name, nodes, before)
        _check_source(name, nodes, before, after)
        if isinstance(node, TemporalAttention):
            windows.setdefault(node.n_frames, name)
    if len(windows) > 1:
        found = ", ".join(f"{other} for {n_frames}" for n_frames, other in windows.items())
        raise GraphError(
            f"Graph: all TemporalAttention of a graph must be made for one number of frames, got {found}"
        )


def _check_source(name: str, nodes: Mapping[str, Node], before: Neighbours, after: Neighbours) -> None:
    owner, source = label(name, nodes[name]), before[name][0]
    if isinstance(nodes[source], Input) and len(after[source]) > 1:
        others = ", ".join(other for other in after[source] if other != name)
        raise GraphError(f"{owner}: must be the only node behind the Input, which also feeds {others}")
    chain = chain_before(nodes, before, name)
    if chain and not isinstance(nodes[name], TEMPORAL):
        raise GraphError(
            f"{owner}: must stand on spikes or counts, before a synapse, but {label(chain[0], nodes[chain[0]])} "
            f"before it hands on currents"
        )
    for at in chain:
        if len(after[at]) > 1:
            raise GraphError(
                f"{owner}: must be the only node behind {label(at, nodes[at])}, whose current it takes"
            )
    culprit = _current(before[chain[0]] if chain else [source], nodes, before)
    if culprit is not None:
        where = f"{label(chain[0], nodes[chain[0]])} before it" if chain else "it"
        raise GraphError(
            f"{owner}: must take spikes or counts, or the current of one Linear or Conv2d that does (with sum or "
            f"average pools between), but {where} takes what {label(culprit, nodes[culprit])} hands on"
        )


def _current(sources: Sequence[str], nodes: Mapping[str, Node], before: Neighbours) -> str | None:
    """A synapse or leaky integrator that one of these hands on, without spiking neurons between."""
    seen: set[str] = set()
    frontier = list(sources)
    while frontier:
        at = frontier.pop()
        if at in seen or isinstance(nodes[at], SPIKING):
            continue
        seen.add(at)
        if isinstance(nodes[at], (*SYNAPSES, SparseLinear, LI)):
            return at
        frontier.extend(before[at])
    return None


def _check_cycles(name: str, nodes: Mapping[str, Node], before: Neighbours) -> None:
    """Refuse an attention in or behind a cycle: its frames would have to be scored before they are computed."""
    done: set[str] = set()
    path: set[str] = set()

    def visit(at: str) -> str | None:
        if at in path:
            return at
        if at in done:
            return None
        path.add(at)
        found = next((hit for source in before[at] if (hit := visit(source)) is not None), None)
        path.discard(at)
        done.add(at)
        return found

    culprit = visit(name)
    if culprit is not None:
        raise GraphError(
            f"{label(name, nodes[name])}: must not stand in or behind a cycle, but {label(culprit, nodes[culprit])} "
            f"is in one; put it before the cycle"
        )
