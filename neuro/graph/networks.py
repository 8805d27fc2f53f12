"""Networks of populations: which graphs are some, and the rules that hold for their edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuro.errors import GraphError
from neuro.graph.nodes import (
    ATTENTIONS,
    LI,
    NEURONS,
    POOLS,
    POPULATIONS,
    SPIKING,
    Add,
    CobaLIF,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    Node,
    PoissonSource,
    Rearrange,
    SparseLinear,
)
from neuro.graph.shapes import label

__all__ = [
    "check_receptors",
    "has_populations",
    "is_mixed",
    "needs_populations",
    "receptors",
    "refuse_populations",
    "stands_alone",
]

_PARTS = (SparseLinear, PoissonSource, *POPULATIONS)
_LAYERED = (
    Conv2d,
    *POOLS,
    Flatten,
    Rearrange,
    Add,
    Concat,
    LI,
    *ATTENTIONS,
)  # networks of populations have none of these


def has_populations(nodes: Mapping[str, Node]) -> bool:
    """Whether a graph holds a node that only networks of populations have, or stands alone, without an Input."""
    return any(isinstance(node, _PARTS) for node in nodes.values()) or stands_alone(nodes)


def stands_alone(nodes: Mapping[str, Node]) -> bool:
    """Whether there are neurons that spike, at most synapses and delays between them, and no Input."""
    return any(isinstance(node, SPIKING) for node in nodes.values()) and all(
        isinstance(node, (*SPIKING, Linear, Delay)) for node in nodes.values()
    )


def is_mixed(nodes: Mapping[str, Node]) -> bool:
    """Whether sparse synapses stand among nodes of layered graphs, and nothing that only populations have."""
    return (
        any(isinstance(node, SparseLinear) for node in nodes.values())
        and any(
            isinstance(node, _LAYERED) or (isinstance(node, Linear) and node.bias is not None)
            for node in nodes.values()
        )
        and not any(isinstance(node, (PoissonSource, *POPULATIONS)) for node in nodes.values())
    )


def needs_populations(nodes: Mapping[str, Node]) -> bool:
    """Whether a graph runs as a network of populations: it has such a node, or a neuron with such a value.

    A refractory period alone does not: layered graphs hold membranes too. Nor do sparse synapses among layers.
    """
    return (has_populations(nodes) and not is_mixed(nodes)) or any(
        getattr(node, "v_start", None) is not None
        or getattr(node, "tau_inh_s", None) is not None
        or getattr(node, "update", None) == "exact"
        for node in nodes.values()
        if isinstance(node, (*NEURONS, *POPULATIONS))
    )


def refuse_populations(nodes: Mapping[str, Node], where: str) -> None:
    """Refuse a graph that needs populations where something else runs, naming the first reason."""
    allowed = (SparseLinear,) if is_mixed(nodes) else ()
    for name, node in nodes.items():
        is_part = isinstance(node, _PARTS) and not isinstance(node, allowed)
        reason = "is a part of networks of populations" if is_part else ""
        for field in ("v_start", "tau_inh_s"):
            if isinstance(node, NEURONS) and getattr(node, field, None) is not None:
                reason = f"{field} is computed in clocked networks of populations only"
        if not reason and stands_alone(nodes):
            reason = "stands in a graph without an Input, which is a network of populations"
        if reason:
            raise GraphError(f"{label(name, node)}: {reason}, not by {where}")


def receptors(node: Node) -> tuple[str, ...]:
    """Return the receptors of a population, in the order of its currents."""
    if isinstance(node, CobaLIF) or (isinstance(node, CubaLIF) and node.tau_inh_s is not None):
        return ("excitatory", "inhibitory")
    return ("excitatory",)


def may_have(node: Node, sources: Sequence[Node]) -> bool:
    """Whether a neuron may take these inputs at once: any number of synapses, and sources of its own size."""
    return isinstance(node, (*NEURONS, *POPULATIONS)) and all(
        isinstance(source, (SparseLinear, Linear, PoissonSource, Input)) for source in sources
    )


def check_receptors(nodes: Mapping[str, Node], after: Mapping[str, Sequence[str]]) -> None:
    """Refuse a SparseLinear whose receptor the population behind it does not have."""
    for name, node in nodes.items():
        if not isinstance(node, SparseLinear):
            continue
        for target in after[name]:
            if isinstance(nodes[target], (*NEURONS, *POPULATIONS)) and node.receptor not in receptors(
                nodes[target]
            ):
                raise GraphError(
                    f"{label(name, node)}: {label(target, nodes[target])} has no {node.receptor} receptor; use "
                    "receptor='excitatory' with negative weights, a CobaLIF, or a CubaLIF with tau_inh_s"
                )
