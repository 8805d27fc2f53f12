"""Checks of edges and timing, and the order in which nodes run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neuro.errors import GraphError
from neuro.graph.execution import Clocked, Execution
from neuro.graph.networks import has_populations, may_have, stands_alone
from neuro.graph.nodes import (
    NEURONS,
    POPULATIONS,
    PRODUCTS,
    Add,
    Concat,
    Delay,
    Input,
    Node,
    PoissonSource,
    SparseLinear,
)
from neuro.graph.shapes import label
from neuro.graph.sources import check_rate

__all__ = ["check_edges", "check_reach", "check_timing", "topological_order"]

Edges = tuple[tuple[str, str], ...]
_MOST_STEPS = 2**24  # of a delay or refractory period: a run keeps that many, and counts them in 32 bits


def check_edges(nodes: Mapping[str, Node], edges: Iterable[tuple[str, str]]) -> Edges:
    """Return the edges as pairs of known names, each once, with the right number of inputs per node."""
    pairs: list[tuple[str, str]] = []
    for edge in edges:
        if not isinstance(edge, (tuple, list)) or len(edge) != 2:
            raise GraphError(f"Graph: an edge is a pair (from, to) of node names, got {edge!r}")
        source, target = edge
        for name in (source, target):
            if name not in nodes:
                raise GraphError(
                    f"Graph: edge {(source, target)} names {name!r}, which is not among the nodes"
                )
        pairs.append((source, target))
    if len(set(pairs)) != len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise GraphError(f"Graph: edge {twice} is listed twice; scale the weights to count an input twice")
    is_network = has_populations(nodes)
    for name, node in nodes.items():
        sources = [nodes[source] for source, target in pairs if target == name]
        if not (is_network and may_have(node, sources)):
            _check_n_inputs(label(name, node), node, len(sources))
    return tuple(pairs)


def _check_n_inputs(owner: str, node: Node, n_inputs: int) -> None:
    if isinstance(node, (Input, PoissonSource)):
        if n_inputs:
            raise GraphError(f"{owner}: takes no edge, got {n_inputs}")
    elif isinstance(node, PRODUCTS):
        if n_inputs != 2:
            raise GraphError(f"{owner}: needs exactly two inputs, got {n_inputs}")
    elif isinstance(node, (Add, Concat)):
        if n_inputs < 2:
            raise GraphError(f"{owner}: needs two or more inputs, got {n_inputs}")
    elif n_inputs != 1:
        hint = "; join the inputs with an Add or Concat" if n_inputs else ""
        raise GraphError(f"{owner}: needs exactly one input, got {n_inputs}{hint}")


def check_reach(nodes: Mapping[str, Node], edges: Edges) -> None:
    """Check that every node is reached from the Input, and that the network has an output.

    Networks of populations may have neither: they run by themselves, and what they do is recorded.
    """
    if has_populations(nodes):
        return
    start = next(name for name, node in nodes.items() if isinstance(node, Input))
    reached = _reachable(start, edges) | {start}
    for name, node in nodes.items():
        if name not in reached:
            raise GraphError(
                f"{label(name, node)}: cannot be reached from the Input {start!r}; add an edge or remove it"
            )
    sources = {source for source, _ in edges}
    if sources.issuperset(nodes):
        raise GraphError("Graph: needs a node without successors as its output, every node feeds another one")


def check_timing(nodes: Mapping[str, Node], execution: Execution) -> None:
    """Check delays and time constants against the length of a step."""
    if not isinstance(execution, Clocked):
        if stands_alone(nodes):
            raise GraphError(
                "Graph: has no Input, so it is a network of populations, which runs in steps; use clocked(dt_s)"
            )
        return
    for name, node in nodes.items():
        for field in ("delay_s", "refractory_s"):
            if hasattr(node, field):
                _check_multiple(label(name, node), field, getattr(node, field), execution)
        if isinstance(node, (*NEURONS, *POPULATIONS)) and getattr(node, "update", "") == "euler":
            for field in ("tau_mem_s", "tau_syn_s"):
                smallest = float(np.min(getattr(node, field, np.inf)))
                if execution.dt_s >= 2 * smallest:
                    raise GraphError(
                        f"{label(name, node)}: {field} = {smallest} s with update='euler' diverges at "
                        f"dt_s = {execution.dt_s} s; use dt_s < 2 * {field} or update='exponential'"
                    )
        if isinstance(node, PoissonSource):
            check_rate(label(name, node), node, execution.dt_s)


def _check_multiple(owner: str, field: str, duration_s: Any, execution: Clocked) -> None:
    longest = float(np.max(duration_s, initial=0.0))
    if longest > _MOST_STEPS * execution.dt_s:
        raise GraphError(
            f"{owner}: {field} must be at most 2**24 steps, got {longest} s = "
            f"{longest / execution.dt_s:.6g} steps of dt_s = {execution.dt_s} s; use a larger dt_s or a shorter time"
        )
    if not isinstance(duration_s, float):
        wrong = execution.is_between(duration_s)
        if not wrong.any():
            return
        owner, duration_s = f"{owner}: [{int(np.argmax(wrong))}]", float(duration_s[np.argmax(wrong)])
    try:
        execution.steps(duration_s)
    except GraphError as err:
        raise GraphError(f"{owner}: {field} {err}") from err


def topological_order(nodes: Mapping[str, Node], edges: Edges, execution: Execution) -> tuple[str, ...]:
    """Return the order in which nodes run; among nodes that may run, the first by name.

    In a cycle a Delay, or a SparseLinear whose delays are all, of at least one step runs first: what it hands on
    arrived in an earlier step.
    """
    waiting = sorted(nodes)
    open_edges = list(edges)
    order: list[str] = []
    while waiting:
        blocked = {target for _, target in open_edges}
        ready = [name for name in waiting if name not in blocked]
        name = ready[0] if ready else _delay_in_cycle(nodes, waiting, open_edges, execution)
        waiting.remove(name)
        open_edges = [edge for edge in open_edges if edge[0] != name and edge[1] != name]
        order.append(name)
    return tuple(order)


def _delay_in_cycle(
    nodes: Mapping[str, Node], waiting: Sequence[str], edges: Sequence[tuple[str, str]], execution: Execution
) -> str:
    for name in waiting:
        node = nodes[name]
        if (
            isinstance(node, (Delay, SparseLinear))
            and _holds(node, execution)
            and name in _reachable(name, edges)
        ):
            return name
    in_cycle = [name for name in waiting if name in _reachable(name, edges)]
    raise GraphError(
        f"{label(in_cycle[0], nodes[in_cycle[0]])}: is in a cycle without a Delay of at least one step "
        f"({', '.join(in_cycle)}); put a Delay into the cycle, or give all synapses of a SparseLinear a "
        "delay_s of at least one step"
    )


def _holds(node: Delay | SparseLinear, execution: Execution) -> bool:
    delay_s = node.delay_s if isinstance(node, Delay) else node.least_delay_s
    if isinstance(execution, Clocked):
        return round(delay_s / execution.dt_s) > 0
    return delay_s > 0


def _reachable(start: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    frontier = [start]
    while frontier:
        name = frontier.pop()
        new = {target for source, target in edges if source == name} - found
        found |= new
        frontier.extend(new)
    return found
