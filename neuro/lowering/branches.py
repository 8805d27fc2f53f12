"""Parts of a plan that a run may leave out: branches behind a gate, and what lies behind a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuro.dynamics import BranchGate, ExitRule
from neuro.errors import InputError
from neuro.graph import Add, Delay, Graph, Input, SparseLinear
from neuro.kernels.arrays import Bytes

__all__ = ["Branch", "Stage", "branch_nodes", "check_gate", "open_part", "stages"]


@dataclass(frozen=True, eq=False)
class Branch:
    """A branch behind a gate, in one run.

    Attributes
    ----------
    nodes : frozenset of str
        Its nodes.
    last : str
        The one whose output it hands on.
    is_open : uint8, shape (n_steps,)
        0 for the steps of the run in which it is closed.
    """

    nodes: frozenset[str]
    last: str
    is_open: Bytes


@dataclass(frozen=True)
class Stage:
    """The nodes that one head needs and the heads before it do not.

    Attributes
    ----------
    sink : str
        The head.
    nodes : frozenset of str
        The nodes.
    rule : ExitRule or None
        Ends the run behind this stage; None for the last.
    """

    sink: str
    nodes: frozenset[str]
    rule: ExitRule | None


def branch_nodes(graph: Graph, join: str, branch: str) -> frozenset[str]:
    """Return the nodes that reach the outputs only through the edge from `branch` to `join`."""
    found = {branch} if graph.successors(branch) == (join,) else set()
    for name in reversed(graph.order):
        after = graph.successors(name)
        if after and found.issuperset(after):
            found.add(name)
    return frozenset(found)


def check_gate(graph: Graph, gate: BranchGate) -> frozenset[str]:
    """Return the nodes of a gate's branch, or an InputError where there is no such branch."""
    owner = f"BranchGate on {gate.branch!r} -> {gate.join!r}"
    join = graph.nodes.get(gate.join)
    if not isinstance(join, Add):
        kind = "no node of the graph" if join is None else f"a {type(join).__name__}"
        raise InputError(f"{owner}: join must be an Add, {gate.join!r} is {kind}")
    if gate.branch not in graph.predecessors(gate.join):
        raise InputError(
            f"{owner}: {gate.join!r} adds {', '.join(graph.predecessors(gate.join))}; choose one of these"
        )
    nodes = branch_nodes(graph, gate.join, gate.branch)
    if not nodes:
        raise InputError(f"{owner}: {gate.branch!r} feeds other nodes too, so it cannot be skipped")
    if any(isinstance(graph.nodes[name], Input) for name in nodes):
        raise InputError(f"{owner}: the branch holds the Input, so nothing is left beside it")
    position = {name: k for k, name in enumerate(graph.order)}
    for name in nodes:
        node = graph.nodes[name]
        if isinstance(node, (Delay, SparseLinear)) and position[graph.predecessors(name)[0]] > position[name]:
            raise InputError(f"{owner}: the branch closes a cycle through {name!r}, it cannot be skipped")
    return nodes


def open_part(branches: Sequence[Branch], name: str, start: int, n_steps: int) -> Bytes | None:
    """Return in which steps of a block the branches that hold a node are open; None for a node in none."""
    found: Bytes | None = None
    for branch in branches:
        if name in branch.nodes:
            part = branch.is_open[start : start + n_steps]
            found = part if found is None else part & found
    return found


def stages(graph: Graph, heads: Mapping[str, ExitRule]) -> tuple[Stage, ...]:
    """Return the stages of a graph with rules on earlier heads, or an InputError where a rule does not fit."""
    sinks = [name for name in graph.order if name in graph.output_names]
    for name in heads:
        if name not in sinks:
            raise InputError(f"Dynamics: heads names {name!r}, the sinks are {', '.join(sinks)}")
    if sinks[-1] in heads:
        raise InputError(f"Dynamics: {sinks[-1]!r} is the last head, nothing is left to skip behind it")
    position = {name: k for k, name in enumerate(graph.order)}
    for name in graph.order:
        if any(position[source] >= position[name] for source in graph.predecessors(name)):
            raise InputError(f"Dynamics: heads need a network without cycles, {name!r} closes one")
    found: list[Stage] = []
    known: set[str] = set()
    for k, sink in enumerate(sinks):
        if sink in heads or k == len(sinks) - 1:
            wanted = _ancestors(graph, sinks[: k + 1])
            found.append(Stage(sink, frozenset(wanted - known), heads.get(sink)))
            known |= wanted
    return tuple(found)


def _ancestors(graph: Graph, names: Sequence[str]) -> set[str]:
    found, frontier = set(names), list(names)
    while frontier:
        for source in graph.predecessors(frontier.pop()):
            if source not in found:
                found.add(source)
                frontier.append(source)
    return found
