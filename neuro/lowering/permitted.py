"""What continuous execution takes: nodes, edges and times, each refused with its name and a remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph import (
    ATTENTIONS,
    IF,
    LI,
    LIF,
    POPULATIONS,
    Add,
    AvgPool2d,
    Clocked,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    PoissonSource,
    Rearrange,
    SparseLinear,
    SumPool2d,
)

__all__ = [
    "LONGEST",
    "check_drive",
    "check_supported",
    "fire_above",
    "is_direct",
    "labelled",
    "synapse_ticks",
    "whole_ticks",
]

LONGEST = 2**40  # ticks of a refractory period, or of a window in time
_TICK = Clocked(1e-6)
_NEURONS = (IF, LIF, CubaLIF, LI)
_SYNAPSES = (Linear, Conv2d, SparseLinear)
_LINEAR = (
    Add,
    Concat,
    Flatten,
    Delay,
    SumPool2d,
    AvgPool2d,
)  # what may stand between a synapse and its neurons

_UNSUPPORTED: dict[type[Node], str] = {
    **dict.fromkeys(ATTENTIONS, "scores frames, and continuous execution has none; use clocked(dt_s)"),
    **dict.fromkeys(POPULATIONS, "is computed in steps, not in continuous execution; use clocked(dt_s)"),
    Rearrange: "is computed in steps, not in continuous execution; use clocked(dt_s)",
    PoissonSource: "draws its spikes in steps, not in continuous execution; use clocked(dt_s)",
}


def labelled(graph: Graph, name: str) -> str:
    """Return how a node is called in messages."""
    return f"{type(graph.nodes[name]).__name__} {name!r}"


def check_supported(graph: Graph) -> None:
    """Refuse nodes and edges that have no meaning in continuous time, or none that is computed."""
    for name in graph.order:
        if type(graph.nodes[name]) in _UNSUPPORTED:
            raise GraphError(f"{labelled(graph, name)}: {_UNSUPPORTED[type(graph.nodes[name])]}")
        _check_fields(graph, name)
    if not any(isinstance(node, Input) for node in graph.nodes.values()):
        raise GraphError("Graph: continuous execution needs an Input, where events enter")
    for name in graph.order:
        _check_edges(graph, name)


def _check_fields(graph: Graph, name: str) -> None:
    node = graph.nodes[name]
    for field in ("v_start", "tau_inh_s", "stdp"):
        if getattr(node, field, None) is not None:
            raise GraphError(
                f"{labelled(graph, name)}: {field} is computed in clocked networks of populations only; use "
                "clocked(dt_s), or leave it out"
            )


def _check_edges(graph: Graph, name: str) -> None:
    node, after = graph.nodes[name], graph.successors(name)
    if isinstance(node, _NEURONS) and not graph.predecessors(name):
        raise GraphError(f"{labelled(graph, name)}: has no input; with continuous execution it needs one")
    if isinstance(node, LI) and after:
        raise GraphError(
            f"{labelled(graph, name)}: is a readout, with continuous execution nothing may stand behind it, its "
            f"output goes to {', '.join(map(repr, after))}"
        )
    if isinstance(node, _SYNAPSES):
        wrong = _not_neurons(graph, name)
        if wrong is not None:
            raise GraphError(
                f"{labelled(graph, name)}: with continuous execution its output must end in neurons (IF, LIF, CubaLIF "
                f"or LI), with nothing but Add, Concat, Flatten, Delay, sum and average pools between, it goes to "
                f"{wrong}"
            )


def _not_neurons(graph: Graph, name: str) -> str | None:
    """Where the output of a synapse goes that are no neurons, or None."""
    seen, frontier = {name}, [name]
    while frontier:
        at = frontier.pop()
        after = graph.successors(at)
        if not after:
            return "nothing" if at == name else f"{at!r} and no further"
        for target in after:
            if isinstance(graph.nodes[target], _LINEAR) and target not in seen:
                frontier.append(target)
            elif not isinstance(graph.nodes[target], (*_NEURONS, *_LINEAR)):
                return repr(target)
            seen.add(target)
    return None


def is_direct(graph: Graph, name: str) -> bool:
    """Whether a synapse is computed together with the neurons behind it."""
    after = graph.successors(name)
    return (
        isinstance(graph.nodes[name], (Linear, Conv2d))
        and len(after) == 1
        and isinstance(graph.nodes[after[0]], _NEURONS)
        and len(graph.predecessors(after[0])) == 1
    )


def check_drive(graph: Graph, name: str, drive: NDArray[np.float32] | None) -> None:
    """Refuse IF neurons that would fire in every microsecond, or grow without end."""
    node = graph.nodes[name]
    if not isinstance(node, IF):
        return
    if drive is not None:
        raise GraphError(
            f"{labelled(graph, name)}: a bias drives it without end; use LIF, or leave the bias of "
            f"{graph.predecessors(name)[0]!r} out"
        )
    if (fire_above(node) < 0).any():
        raise GraphError(
            f"{labelled(graph, name)}: its resting value 0 must not fire, got threshold {np.min(node.threshold):g} "
            f"with comparison {node.comparison!r}"
        )


def fire_above(node: IF | LIF) -> Any:
    """Return the largest membrane that is silent, float32."""
    threshold = np.asarray(node.threshold, np.float32)
    return np.nextafter(threshold, np.float32(-np.inf)) if node.comparison == ">=" else threshold


def whole_ticks(graph: Graph, name: str, field: str, time_s: float) -> int:
    """Return a time in microseconds."""
    try:
        return _TICK.steps(time_s)
    except GraphError as err:
        raise GraphError(
            f"{labelled(graph, name)}: {field} must be a multiple of 1 microsecond with continuous execution, "
            f"got {time_s} s"
        ) from err


def synapse_ticks(graph: Graph, name: str) -> NDArray[np.int64]:
    """Return the delay of every synapse of a SparseLinear in microseconds."""
    node = graph.nodes[name]
    assert isinstance(node, SparseLinear)
    if isinstance(node.delay_s, float):
        return np.full(node.n_synapses, whole_ticks(graph, name, "delay_s", node.delay_s), np.int64)
    wrong = _TICK.is_between(node.delay_s)
    if wrong.any():
        j = int(np.argmax(wrong))
        raise GraphError(
            f"{labelled(graph, name)}: delay_s must be multiples of 1 microsecond with continuous execution, "
            f"got delay_s[{j}] = {node.delay_s[j]} s"
        )
    return np.rint(node.delay_s.astype(np.float64) * 1e6).astype(np.int64)
