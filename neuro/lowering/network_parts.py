"""The parts of a network of populations: its sources, populations and connections, checked and numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph import (
    IF,
    LI,
    LIF,
    AdaptiveLIF,
    Add,
    CobaLIF,
    Concat,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Izhikevich,
    Linear,
    Node,
    PoissonSource,
    SparseLinear,
    Stdp,
)

__all__ = ["Connection", "Parts", "parts_of"]

POPULATION_TYPES = (IF, LIF, CubaLIF, CobaLIF, AdaptiveLIF, Izhikevich)
_REMEDIES: dict[type[Node], str] = {
    Add: "let the SparseLinears end in the population itself",
    Concat: "use a SparseLinear for each part",
    LI: "record the membranes of a population instead",
}


@dataclass(frozen=True, eq=False)
class Connection:
    """A synapse node on its way from a source into a population.

    Attributes
    ----------
    name, source, target : str
        The SparseLinear (or Linear), and the nodes it connects.
    weight : float32, shape (n_synapses,)
        Weights by row of outputs.
    indices, indptr : int32 arrays
        As in SparseLinear.
    delay : int32, shape (n_synapses,) or (1,)
        Delay in steps, that of Delay nodes on the way included.
    receptor : int
        0 or 1.
    stdp : Stdp or None
        How the weights change.
    """

    name: str
    source: str
    target: str
    weight: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    delay: NDArray[np.int32]
    receptor: int
    stdp: Stdp | None


@dataclass(frozen=True, eq=False)
class Parts:
    """A network in parts.

    Attributes
    ----------
    sources, populations : tuple of str
        In the order of the graph.
    stages : dict of str to int
        The stage of each population: one later than those that reach it without delay in the same step.
    connections : tuple of Connection
        By population, in the order of its edges.
    drives : tuple of (str, str)
        Sources that lead straight into populations.
    """

    sources: tuple[str, ...]
    populations: tuple[str, ...]
    stages: dict[str, int]
    connections: tuple[Connection, ...]
    drives: tuple[tuple[str, str], ...]


def parts_of(graph: Graph) -> Parts:
    """Return the parts of a network of populations; a GraphError names a node that has no place in one."""
    for name in graph.order:
        _check(graph, name)
    sources = tuple(n for n in graph.order if isinstance(graph.nodes[n], (Input, PoissonSource)))
    populations = tuple(n for n in graph.order if isinstance(graph.nodes[n], POPULATION_TYPES))
    connections: list[Connection] = []
    drives: list[tuple[str, str]] = []
    for target in populations:
        for before in graph.predecessors(target):
            if before in sources:
                drives.append((before, target))
            else:
                connections.append(_connection(graph, before, target))
    return Parts(sources, populations, _stages(populations, connections), tuple(connections), tuple(drives))


def _label(graph: Graph, name: str) -> str:
    return f"{type(graph.nodes[name]).__name__} {name!r}"


def _check(graph: Graph, name: str) -> None:
    node, owner = graph.nodes[name], _label(graph, name)
    after = graph.successors(name)
    if isinstance(node, (SparseLinear, Linear)):
        for target in after:
            if not isinstance(graph.nodes[target], POPULATION_TYPES):
                raise GraphError(
                    f"{owner}: in a network of populations it must end in a population, not in {_label(graph, target)}"
                )
        if isinstance(node, Linear) and node.bias is not None:
            raise GraphError(
                f"{owner}: in a network of populations a Linear has no bias; move it into the v_leak of the population"
            )
        if isinstance(node, SparseLinear) and node.stdp is not None and len(after) != 1:
            raise GraphError(f"{owner}: with stdp it must end in one population, got {len(after)}")
    elif isinstance(node, Delay):
        for target in after:
            if not isinstance(graph.nodes[target], (SparseLinear, Linear, Delay)):
                raise GraphError(
                    f"{owner}: in a network of populations a Delay leads into a SparseLinear, not into "
                    f"{_label(graph, target)}; or use the delay_s of a SparseLinear"
                )
    elif isinstance(node, Input):
        if len(node.shape) != 1:
            raise GraphError(f"{owner}: in a network of populations its shape is (n,), got {node.shape}")
    elif not isinstance(node, (*POPULATION_TYPES, PoissonSource)):
        remedy = _REMEDIES.get(type(node), "run that part as a graph of its own and pass its spikes on")
        raise GraphError(
            f"{owner}: has no place in a network of populations (Input, PoissonSource, SparseLinear, Linear, Delay, "
            f"IF, LIF, CubaLIF, CobaLIF, AdaptiveLIF, Izhikevich); {remedy}"
        )


def _connection(graph: Graph, name: str, target: str) -> Connection:
    node, source = graph.nodes[name], name
    delay = np.zeros(1, np.int32)
    while source == name or isinstance(graph.nodes[source], Delay):
        if source != name:
            delay = delay + np.int32(graph.delay_steps(source))
        source = graph.predecessors(source)[0]
    if not isinstance(graph.nodes[source], (Input, PoissonSource, *POPULATION_TYPES)):
        raise GraphError(f"{_label(graph, name)}: must begin at a source or population, not at {source!r}")
    if isinstance(node, Linear):
        n_out, n_in = node.weight.shape
        indices = np.tile(np.arange(n_in, dtype=np.int32), n_out)
        indptr = np.arange(0, n_out * n_in + 1, n_in, dtype=np.int32)
        return Connection(name, source, target, node.weight.reshape(-1), indices, indptr, delay, 0, None)
    assert isinstance(node, SparseLinear)
    own: Any = np.rint(np.atleast_1d(np.asarray(node.delay_s, np.float64)) / graph.dt_s).astype(np.int32)
    if node.stdp is not None and node.n_synapses and (delay + own).min() < 1:
        raise GraphError(
            f"{_label(graph, name)}: with stdp every delay must be at least one step, got {node.least_delay_s} s with "
            f"dt_s = {graph.dt_s} s"
        )
    receptor = int(node.receptor == "inhibitory")
    return Connection(
        name, source, target, node.weight, node.indices, node.indptr, delay + own, receptor, node.stdp
    )


def _stages(populations: tuple[str, ...], connections: list[Connection]) -> dict[str, int]:
    stages: dict[str, int] = {}
    stage = 0
    for name in populations:
        now = {c.source for c in connections if c.target == name and (c.delay == 0).any()}
        if any(stages.get(source) == stage for source in now):
            stage += 1
        stages[name] = stage
    return stages
