"""A Graph seen from its neurons: which populations feed which, through what, and how much later."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.errors import UnsupportedNodeError
from hw.operators import Embedding, Step, apply_step, delayed_matrix
from neuro.graph import (
    CODED,
    CODING,
    LI,
    POPULATIONS,
    SELECTIONS,
    SPIKING,
    SYNAPSES,
    TEMPORAL,
    Add,
    AvgPool2d,
    Clocked,
    Concat,
    Delay,
    Flatten,
    Graph,
    Input,
    MaxPool2d,
    PoissonSource,
    SparseLinear,
    SumPool2d,
)

__all__ = [
    "Route",
    "check_codes",
    "check_nodes",
    "constant_into",
    "depths_by_delay",
    "neurons_of",
    "routes_into",
]

Floats = NDArray[np.float64]
_LINEAR = (*SYNAPSES, SumPool2d, AvgPool2d)

_KNOWN = (Input, *_LINEAR, SparseLinear, Flatten, Add, Concat, Delay, *SPIKING, LI, *TEMPORAL)

_NO_COUNTS = "counts are not the chip's spikes; convert with method='rate' for loihi2, or train with LIF"
_REMEDIES: tuple[tuple[tuple[type, ...], str], ...] = (
    (CODING, _NO_COUNTS),
    (
        (MaxPool2d,),
        "a chip adds spikes and takes no maximum; train with AvgPool2d, SumPool2d or a strided Conv2d",
    ),
    (
        SELECTIONS,
        "attention on channels or pixels runs on the host only; remove it or run the network on the engine",
    ),
    (POPULATIONS, "the chip has IF, LIF and CubaLIF neurons; use one of them"),
    ((PoissonSource,), "the chip has no such source; give its spikes as the recording of an Input"),
)


@dataclass(frozen=True)
class Route:
    """A way from a population to another that passes no third one.

    Attributes
    ----------
    source, target : str
        Nodes with spikes, or the Input; the neuron that is fed.
    names : tuple of str
        Nodes on the way.
    steps : tuple of Step
        The linear ones of them.
    delay : int
        Steps of its Delays, and the least of its sparse synapses.
    """

    source: str
    target: str
    names: tuple[str, ...]
    steps: tuple[Step, ...]
    delay: int


def neurons_of(graph: Graph) -> tuple[str, ...]:
    """Return the nodes that become populations with neurons, in the graph's order."""
    return tuple(name for name in graph.order if isinstance(graph.nodes[name], (*SPIKING, LI)))


def check_codes(graph: Graph) -> None:
    """Refuse neurons that send counts, before anything is said of what stands behind them.

    Parameters
    ----------
    graph : Graph
        The network, with what the host could compute.

    Raises
    ------
    UnsupportedNodeError
        With the neuron and what to do instead.
    """
    for name in graph.order:
        if isinstance(graph.nodes[name], CODED):
            raise UnsupportedNodeError(f"{type(graph.nodes[name]).__name__} {name!r}: {_NO_COUNTS}")


def check_nodes(graph: Graph) -> None:
    """Refuse what no chip known here can do.

    Parameters
    ----------
    graph : Graph
        The network.

    Raises
    ------
    UnsupportedNodeError
        With the node and what to do instead.
    """
    if not isinstance(graph.execution, Clocked):
        raise UnsupportedNodeError("Graph: the chip runs in steps; build the network with clocked(dt_s)")
    if not graph.input_name:
        raise UnsupportedNodeError("Graph: the chip needs spikes from outside; give the network an Input")
    for name in graph.order:
        node = graph.nodes[name]
        for kinds, remedy in _REMEDIES:
            if isinstance(node, kinds):
                raise UnsupportedNodeError(f"{type(node).__name__} {name!r}: {remedy}")
        if not isinstance(node, _KNOWN):
            known = ", ".join(kind.__name__ for kind in _KNOWN)
            raise UnsupportedNodeError(f"{type(node).__name__} {name!r}: is not mapped; known are {known}")
        if isinstance(node, TEMPORAL):
            if graph.predecessors(name) != (graph.input_name,):
                raise UnsupportedNodeError(
                    f"{type(node).__name__} {name!r}: the host can drop frames of the Input only; train without "
                    "attention among the layers"
                )
            if node.scaling:
                raise UnsupportedNodeError(
                    f"{type(node).__name__} {name!r}: scaling=True gives fractions and the chip takes whole "
                    "numbers; train with scaling=False"
                )
        if isinstance(node, SparseLinear):
            _check_sparse(name, node)
        if isinstance(node, LI) and graph.successors(name):
            raise UnsupportedNodeError(
                f"LI {name!r}: its membrane is no spike and cannot feed {graph.successors(name)[0]!r}; use it as a sink"
            )
    for name in graph.output_names:
        if not isinstance(graph.nodes[name], (*SPIKING, LI)):
            raise UnsupportedNodeError(
                f"{type(graph.nodes[name]).__name__} {name!r}: a chip hands on spikes or membranes, no currents; "
                "put a neuron or LI behind it"
            )


def _check_sparse(name: str, node: SparseLinear) -> None:
    what = f"SparseLinear {name!r}"
    if node.stdp is not None:
        raise UnsupportedNodeError(
            f"{what}: its weights change while it runs (stdp), those on the chip do not; map the trained weights with "
            "stdp=None"
        )
    if node.receptor != "excitatory":
        raise UnsupportedNodeError(
            f"{what}: the chip's neurons have one current; use receptor='excitatory' with negative weights"
        )
    if not node.n_synapses:
        raise UnsupportedNodeError(f"{what}: has no synapses; remove it")


def routes_into(graph: Graph, target: str) -> Iterator[Route]:
    """Yield all routes that end at a neuron.

    Parameters
    ----------
    graph : Graph
        The network.
    target : str
        A neuron.

    Yields
    ------
    Route
        One for each way.
    """
    for before in graph.predecessors(target):
        yield from _back(graph, target, before, (), (), 0)


def _back(  # noqa: PLR0917
    graph: Graph, target: str, name: str, names: tuple[str, ...], steps: tuple[Step, ...], delay: int
) -> Iterator[Route]:
    node = graph.nodes[name]
    if isinstance(node, (Input, *SPIKING)):
        yield Route(name, target, names, steps, delay)
        return
    names = (name, *names)
    if isinstance(node, SparseLinear):
        least, step = delayed_matrix(node, graph.dt_s)
        steps, delay = (step, *steps), delay + least
    elif isinstance(node, _LINEAR):
        steps = (node, *steps)
    elif isinstance(node, Delay):
        delay += graph.delay_steps(name)
    elif not isinstance(node, (Flatten, Add, Concat, *TEMPORAL)):
        raise AssertionError(f"{type(node).__name__} was checked before")
    offset = 0
    for before in graph.predecessors(name):
        here = steps
        if isinstance(node, Concat):
            here = (Embedding(offset, tuple(graph.shapes[name])), *steps)
            offset += math.prod(graph.shapes[before])
        yield from _back(graph, target, before, names, here, delay)


def constant_into(graph: Graph, target: str) -> Floats:
    """Return what the biases on the way add to each neuron in every step, float64, shape (n,).

    Parameters
    ----------
    graph : Graph
        The network.
    target : str
        A neuron.

    Returns
    -------
    float64, shape (n,)
        In the order of the shape.

    Raises
    ------
    UnsupportedNodeError
        If a Delay holds a bias back.
    """
    found = [_constant(graph, before) for before in graph.predecessors(target)]
    n = math.prod(graph.shapes[target])
    return sum((part for part in found if part is not None), np.zeros(n))


def _refuse_delayed_bias(graph: Graph, name: str) -> None:
    (before,) = graph.predecessors(name)
    if (
        not isinstance(graph.nodes[before], (Input, *SPIKING, Flatten, *TEMPORAL))
        and _constant(graph, before) is not None
    ):
        raise UnsupportedNodeError(
            f"Delay {name!r}: stands behind a bias, which the chip cannot hold back; put it before the synapse"
        )


def _constant(graph: Graph, name: str) -> Floats | None:
    node = graph.nodes[name]
    if isinstance(node, (Input, *SPIKING)):
        return None
    if isinstance(node, Delay):
        _refuse_delayed_bias(graph, name)
        return None
    parts = [_constant(graph, before) for before in graph.predecessors(name)]
    if isinstance(node, Concat):
        if all(part is None for part in parts):
            return None
        sizes = [math.prod(graph.shapes[before]) for before in graph.predecessors(name)]
        return np.concatenate([np.zeros(n) if p is None else p for p, n in zip(parts, sizes, strict=True)])
    there = [part for part in parts if part is not None]
    total = sum(there[1:], there[0]) if there else None
    if isinstance(node, SparseLinear) and total is not None:
        least, step = delayed_matrix(node, graph.dt_s)
        if least or len(step.parts) > 1:
            raise UnsupportedNodeError(
                f"SparseLinear {name!r}: has delays and stands behind a bias, which the chip cannot hold back; put a "
                "neuron before it"
            )
        total, _ = apply_step(step, total, (node.n_in,))
    elif isinstance(node, _LINEAR):
        shape = tuple(graph.shapes[graph.predecessors(name)[0]])
        if total is not None:
            total, _ = apply_step(node, total, shape)
        bias = getattr(node, "bias", None)
        if bias is not None and bias.any():
            repeats = math.prod(graph.shapes[name]) // bias.size
            total = np.repeat(bias.astype(np.float64), repeats) + (0 if total is None else total)
    return total


def depths_by_delay(names: tuple[str, ...], routes: list[Route]) -> Mapping[str, int]:
    """Return how many steps each population lags behind the input on the chip, where each connection takes one.

    The least lags for which no route would have to be faster than a connection: a Delay makes up for a lag.

    Parameters
    ----------
    names : tuple of str
        Populations.
    routes : list of Route
        What joins them.

    Returns
    -------
    mapping of str to int
        Steps, at least 0.

    Raises
    ------
    UnsupportedNodeError
        If the Delays of a loop are shorter than its connections.
    """
    depths = dict.fromkeys(names, 0)
    for _ in range(len(names) + 1):
        changed = ""
        for route in routes:
            least = depths[route.source] + 1 - route.delay
            if least > depths[route.target]:
                depths[route.target] = least
                changed = route.target
        if not changed:
            return depths
    raise UnsupportedNodeError(
        f"the loop through {changed!r} has Delays that are shorter than its connections; a connection takes one step "
        "on the chip: give the loop a Delay of at least as many steps as it has connections"
    )
