"""The reference of networks of populations: ``docs/graph-spec.md`` in plain NumPy, one spike after the other.

It shares nothing with the engine but the graph; the comments name the requirements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.graph import (
    IF,
    LIF,
    AdaptiveLIF,
    CobaLIF,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Izhikevich,
    Linear,
    PoissonSource,
    SparseLinear,
)
from neuro.reference_populations import Population
from neuro.spikes import Spikes

__all__ = ["NetworkReference", "evaluate_network", "poisson_counts"]

Reals = NDArray[Any]
_SOURCES = (Input, PoissonSource)
_POPULATIONS = (IF, LIF, CubaLIF, CobaLIF, AdaptiveLIF, Izhikevich)


@dataclass(frozen=True, eq=False, repr=False)
class NetworkReference:
    """What every node of a network did.

    Attributes
    ----------
    spikes : dict of str to Spikes
        What sources and populations handed on.
    membranes : dict of str to array, shape (n_steps, n)
        The membranes of every population, after the reset.
    variables : dict of str to dict of str to array, shape (n,)
        The variables of every population after the last step.
    weights : dict of str to array, shape (n_synapses,)
        The weights of each SparseLinear with stdp after the last step.
    clips : dict of str to int
        How often they were clipped.
    """

    spikes: dict[str, Spikes]
    membranes: dict[str, Reals]
    variables: dict[str, dict[str, Reals]]
    weights: dict[str, Reals]
    clips: dict[str, int]


def evaluate_network(
    graph: Graph, inputs: Spikes | None = None, *, n_steps: int | None = None, precision: str = "float32"
) -> NetworkReference:
    """Evaluate a network of populations straight from its specification.

    Parameters
    ----------
    graph : Graph
        A clocked network of populations.
    inputs : Spikes, optional
        The frames of its Input, where it has one.
    n_steps : int, optional
        The length of the run, where it has none.
    precision : {'float32', 'float64'}
        The arithmetic.

    Returns
    -------
    NetworkReference
        Spikes, membranes, variables and weights.

    Raises
    ------
    InputError
        If the length of the run is not given.

    Examples
    --------
    >>> from neuro.graph import LIF, Graph, PoissonSource, clocked
    >>> nodes = {"noise": PoissonSource(2000.0, n=3, seed=1), "lif": LIF(0.01, 0.3)}
    >>> result = evaluate_network(Graph(nodes, [("noise", "lif")], clocked(0.001)), n_steps=50)
    >>> result.membranes["lif"].shape, len(result.spikes["lif"]) > 0
    ((50, 3), True)
    """
    n = inputs.n_steps if inputs is not None else n_steps
    if n is None:
        raise InputError("evaluate_network: needs inputs, or n_steps for a network without an Input")
    network = _Network(graph, np.float32 if precision == "float32" else np.float64)
    frames = None if inputs is None else inputs.to_dense().astype(network.real)
    membranes: dict[str, Reals] = {
        name: np.empty((n, graph.shapes[name][0]), network.real) for name in network.populations
    }
    for step in range(n):
        with np.errstate(over="ignore", invalid="ignore"):  # as the engine: what overflows is infinite
            network.step(step, None if frames is None else frames[step])
        for name, trace in membranes.items():
            trace[step] = network.populations[name].variables["v"]
    spikes = {
        name: Spikes.from_dense(np.array(given).astype(np.float32).reshape(n, graph.shapes[name][0]))
        for name, given in network.given.items()
    }
    plastic = {s.name: s for s in network.synapses if s.stdp is not None}
    return NetworkReference(
        spikes,
        membranes,
        {name: population.variables for name, population in network.populations.items()},
        {name: s.weight for name, s in plastic.items()},
        {name: s.clips for name, s in plastic.items()},
    )


def poisson_counts(node: PoissonSource, dt_s: float, step: int) -> NDArray[np.int64]:
    """Return the numbers of events of a source in a step (R130)."""
    j = np.arange((node.n + 1) // 2, dtype=np.uint64)
    counter = np.uint64(step << 32) + j + np.uint64(1)
    z = np.uint64(node.seed) + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    r = np.stack([z & np.uint64(0xFFFFFFFF), z >> np.uint64(32)], axis=1).reshape(-1)[: node.n]
    mean = np.broadcast_to(np.asarray(node.rate_hz, np.float64) * dt_s, (node.n,))
    counts, n, term = np.zeros(node.n, np.int64), 0, np.exp(-mean)
    total = term.copy()
    while (1 - total > 2.0**-33).any():
        counts += r >= np.minimum(np.floor(total * 2.0**32), 2.0**32 - 1)
        n += 1
        term = term * mean / n
        total = total + term
    return counts


class _Synapses:
    """A synapse node on its way from a source into a population, as lists of synapses."""

    def __init__(self, graph: Graph, name: str, target: str, real: Any) -> None:
        node: Any = graph.nodes[name]
        self.stdp: Any = getattr(node, "stdp", None)
        self.name, self.target, delay = name, target, np.zeros(1, np.int64)
        self.source = graph.predecessors(name)[0]
        while isinstance(graph.nodes[self.source], Delay):
            delay = delay + graph.delay_steps(self.source)
            self.source = graph.predecessors(self.source)[0]
        if isinstance(node, Linear):
            n_out, n_in = node.weight.shape
            self.out, self.into = (a.reshape(-1) for a in np.mgrid[:n_out, :n_in])
            self.weight, self.receptor = node.weight.reshape(-1).astype(real), "excitatory"
        else:
            assert isinstance(node, SparseLinear)
            self.out = np.repeat(np.arange(node.n_out), np.diff(node.indptr))
            self.into, self.weight = node.indices, node.weight.astype(real)
            self.receptor = node.receptor
            delay = delay + np.rint(np.asarray(node.delay_s, np.float64) / graph.dt_s).astype(np.int64)
        self.delay = np.broadcast_to(delay, self.weight.shape)
        self.clips = 0
        if self.stdp is not None:
            self.delays, self.rank = np.unique(self.delay, return_inverse=True)
            self.x = np.zeros((self.delays.size, graph.shapes[self.source][0]), real)
            self.y = np.zeros(graph.shapes[target][0], real)

    def of(self, index: int, delay: int) -> NDArray[np.intp]:
        """Which synapses of an input have a delay, in order."""
        return np.flatnonzero((self.into == index) & (self.delay == delay))

    def change(self, chosen: NDArray[np.bool_], by: Reals) -> None:
        """Add to the weights of some synapses, within their bounds (R132)."""
        changed = self.weight[chosen] + by
        w_max = self.weight.dtype.type(self.stdp.w_max)
        self.clips += int(((changed < 0) | (changed > w_max)).sum())
        self.weight[chosen] = np.clip(changed, 0, w_max)


class _Network:
    """Sources, synapses and populations, and what a step does with them."""

    def __init__(self, graph: Graph, real: Any) -> None:
        self.graph, self.real = graph, real
        self.sources = [name for name in graph.order if isinstance(graph.nodes[name], _SOURCES)]
        self.populations = {
            name: Population(node, graph.shapes[name], graph.dt_s, real)
            for name in graph.order
            if isinstance(node := graph.nodes[name], _POPULATIONS)
        }
        self.synapses = [
            _Synapses(graph, name, target, real)
            for target in self.populations
            for name in graph.predecessors(target)
            if name not in self.sources
        ]
        self.given: dict[str, list[Reals]] = {name: [] for name in (*self.sources, *self.populations)}

    def step(self, step: int, frame: Reals | None) -> None:
        """Run one step (R124): sources, then what arrives, depression and traces, then the populations in order."""
        for name in self.sources:
            node = self.graph.nodes[name]
            if isinstance(node, PoissonSource):
                counts = poisson_counts(node, self.graph.dt_s, step).astype(self.real)
                self.given[name].append(self.real(node.weight) * counts)
            else:
                assert frame is not None
                self.given[name].append(frame)
        for name in self.populations:
            self._deliver(name, step, is_now=False)
        for synapses in self.synapses:
            if synapses.stdp is not None:
                self._arrive(synapses, step)
        for name, population in self.populations.items():
            self._deliver(name, step, is_now=True)
            fires = population.update()
            self.given[name].append(fires.astype(self.real))
            for synapses in self.synapses:
                if synapses.stdp is not None and synapses.target == name:  # R132
                    chosen = fires[synapses.out]
                    synapses.change(chosen, synapses.x[synapses.rank[chosen], synapses.into[chosen]])
                    synapses.y[fires] += self.real(synapses.stdp.a_minus)

    def _deliver(self, target: str, step: int, *, is_now: bool) -> None:
        """Add what arrives at a population (R124, R126): over delays of at least one step, or without delay."""
        population = self.populations[target]
        if not is_now:
            for name in self.graph.predecessors(target):
                if name in self.sources:
                    population.add("excitatory", slice(None), self.given[name][step])
        own = [s for s in self.synapses if s.target == target]
        for delay, source, index in self._entries(own, step, is_now):
            value = self.given[source][step - delay][index]
            for synapses in own:
                if synapses.source == source:
                    some = synapses.of(index, delay)
                    population.add(synapses.receptor, synapses.out[some], synapses.weight[some] * value)

    def _entries(self, own: list[_Synapses], step: int, is_now: bool) -> Iterator[tuple[int, str, int]]:
        """What arrives: the longest delay first, then by source and number."""
        delays = sorted({int(d) for s in own for d in s.delay if (d == 0) == is_now}, reverse=True)
        sources = {s.source for s in own}
        for delay in delays:
            if delay <= step:
                for source in (*self.sources, *self.populations):
                    if source in sources:
                        given = self.given[source]
                        if step - delay < len(given):
                            yield from ((delay, source, int(i)) for i in np.flatnonzero(given[step - delay]))

    def _arrive(self, synapses: _Synapses, step: int) -> None:
        """Spikes that arrive depress; traces jump, and decay (R132)."""
        stdp = synapses.stdp
        for delay, x in zip(synapses.delays, synapses.x, strict=True):
            if step >= delay:
                spikes = self.given[synapses.source][step - delay] != 0
                chosen = spikes[synapses.into] & (synapses.delay == delay)
                synapses.change(chosen, -synapses.y[synapses.out[chosen]])
                x[spikes] += self.real(stdp.a_plus)
        synapses.x *= self.real(math.exp(-self.graph.dt_s / stdp.tau_plus_s))
        synapses.y *= self.real(math.exp(-self.graph.dt_s / stdp.tau_minus_s))
