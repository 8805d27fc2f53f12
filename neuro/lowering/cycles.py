"""Cycles of populations and the synapses and delays between them: found in a plan, and laid out for one kernel."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.graph import Add, Delay, Graph, Linear, SparseLinear
from neuro.kernels.arrays import Int64s, Synapses
from neuro.kernels.crossings import Timing
from neuro.kernels.events import Dynamics
from neuro.kernels.events_cycles import (
    BEHIND,
    CAN_CROSS,
    COARSE,
    COARSES,
    FINE,
    FIRST,
    HAS_CURRENT,
    IS_JUMP,
    IS_SUBTRACTING,
    IS_UNIFORM,
    N_NUMBERS,
    PARAMETER,
    PARAMETERS,
    RATE,
    RATES,
    REFRACTORY,
)
from neuro.kernels.events_spread import Fan
from neuro.lowering.flow import Flow, JumpPopulation, Population, Shift
from neuro.lowering.spreading import SparseSpread, Spread, TapSpread
from neuro.lowering.timed import TimedPopulation

__all__ = ["Cycle", "Tables", "Way", "cycles_of"]

_FINE = 1024


@dataclass(frozen=True)
class Tables:
    """A cycle as its kernel takes it: see `neuro.kernels.events_cycles`.

    Attributes
    ----------
    numbers : int64, shape (n_populations, N_NUMBERS)
        The populations.
    dynamics : Dynamics
        Parameters of those that jump.
    timing : Timing
        Parameters of the others.
    first : int64, shape (n_populations + 1,)
        The links of each.
    table : int64, shape (n_links, N_LINK_NUMBERS)
        The links.
    fan : Fan
        Their synapses.
    n_products : int64, shape (fan.start.size,)
        Products of each input.
    synapses : Synapses
        From each entry to its own neuron.
    """

    numbers: Int64s
    dynamics: Dynamics
    timing: Timing
    first: Int64s
    table: Int64s
    fan: Fan
    n_products: Int64s
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Way:
    """How spikes of a population come to another one: through Delays, then over at most one synapse.

    Attributes
    ----------
    source, target : str
        The populations.
    number : int
        Which input of the second it is, or of the Add before it.
    delays : tuple of Shift
        The Delays.
    synapse : Spread or None
        A SparseLinear or Linear.
    """

    source: str
    target: str
    number: int
    delays: tuple[Shift, ...]
    synapse: Spread | None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on it."""
        return tuple(one.name for one in (*self.delays, self.synapse) if one is not None)

    @property
    def ticks(self) -> int:
        """The sum of the Delays."""
        return sum(one.ticks for one in self.delays)


@dataclass(frozen=True, eq=False)
class Cycle:
    """Populations that reach each other over Delays, SparseLinears and Linears, each joined by an Add or by itself.

    Attributes
    ----------
    name : str
        No name of a node.
    populations : tuple of Population
        In order.
    entries : tuple of tuples of (str, int)
        For each, the nodes outside that it takes events from, and which of its inputs these are.
    ways : tuple of Way
        The rows of `tables.table`.
    between : tuple of Flow
        What stands between the populations: it runs by itself only where its events go elsewhere, too.
    tables : Tables
        All of it for the kernel.
    """

    name: str
    populations: tuple[Population, ...]
    entries: tuple[tuple[tuple[str, int], ...], ...]
    ways: tuple[Way, ...]
    between: tuple[Flow, ...]
    tables: Tables

    @property
    def sources(self) -> tuple[str, ...]:
        """The nodes outside whose events it takes."""
        return tuple(source for entries in self.entries for source, _ in entries)

    def needed(self, names: Iterable[str]) -> frozenset[str]:
        """Return what has to run between the populations for the events of some nodes."""
        names, found = set(names), set()
        for flow in reversed(self.between):
            if flow.name in names or any(
                flow.name in one.sources for one in self.between if one.name in found
            ):
                found.add(flow.name)
        return frozenset(found)


def cycles_of(graph: Graph, flows: Sequence[Flow]) -> tuple[Cycle, ...] | None:
    """Return the cycles of a graph, or None if one holds anything that the kernel does not know."""
    by_name = {flow.name: flow for flow in flows}
    found = [_cycle(graph, by_name, names) for names in _rings(graph)]
    return None if None in found else tuple(one for one in found if one is not None)


def _cycle(graph: Graph, flows: Mapping[str, Flow], names: Sequence[str]) -> Cycle | None:
    populations = [flows[name] for name in names if isinstance(flows.get(name), Population)]
    ways: list[Way] = []
    entries, passed = [], {one.name for one in populations}
    for one in populations:
        if not _is_reached_one_by_one(one):
            return None
        inputs = graph.predecessors(one.name)
        if len(inputs) == 1 and inputs[0] in names and isinstance(graph.nodes[inputs[0]], Add):
            passed.add(inputs[0])
            inputs = graph.predecessors(inputs[0])
        entries.append(tuple((source, k) for k, source in enumerate(inputs) if source not in names))
        for k, source in enumerate(inputs):
            if source in names:
                way = _way(graph, flows, source, (one.name, k))
                if way is None:
                    return None
                ways.append(way)
                passed.update(way.nodes)
    if passed != set(names) or not any(entries):
        return None
    order = {one.name: p for p, one in enumerate(populations)}
    ways.sort(key=lambda way: order[way.source])
    between = [flows[name] for name in names if name not in order]
    return Cycle(
        "/".join(names),
        tuple(populations),  # type: ignore[arg-type]
        tuple(entries),
        tuple(ways),
        tuple(sorted(between, key=lambda flow: _depth(graph, flow.name, order))),
        _tables(populations, ways),
    )


def _depth(graph: Graph, name: str, populations: Container[str]) -> int:
    """Return how many nodes of a cycle stand between a population and this one at most; an Add comes last."""
    if isinstance(graph.nodes[name], Add):
        return len(graph.nodes)
    source = graph.predecessors(name)[0]
    return 0 if source in populations else 1 + _depth(graph, source, populations)


def _way(graph: Graph, flows: Mapping[str, Flow], last: str, end: tuple[str, int]) -> Way | None:
    """Return the way to an input (population, number) that ends with a node, or None if it holds anything else."""
    synapse, delays, name = None, [], last
    if isinstance(graph.nodes[name], (SparseLinear, Linear)):
        flow = flows.get(name)
        if not isinstance(flow, Spread):
            return None
        synapse, name = flow, graph.predecessors(name)[0]
    while isinstance(graph.nodes[name], Delay):
        delay = flows[name]
        assert isinstance(delay, Shift)
        delays.append(delay)
        name = graph.predecessors(name)[0]
    if not isinstance(flows.get(name), Population):
        return None
    return Way(name, *end, tuple(reversed(delays)), synapse)


def _rings(graph: Graph) -> list[list[str]]:
    """Return the groups of nodes that reach each other, each in the graph's order."""
    behind: dict[str, set[str]] = {}
    for name in graph.order:
        seen: set[str] = set()
        frontier = list(graph.successors(name))
        while frontier:
            one = frontier.pop()
            if one not in seen:
                seen.add(one)
                frontier += graph.successors(one)
        behind[name] = seen
    groups: list[list[str]] = []
    for name in graph.order:
        if name in behind[name] and not any(name in group for group in groups):
            groups.append([one for one in graph.order if one in behind[name] and name in behind[one]])
    return groups


def _is_reached_one_by_one(flow: Flow) -> bool:
    """Whether events reach single neurons, which stand in one row."""
    if not isinstance(flow, (JumpPopulation, TimedPopulation)):
        return False
    return flow.synapse_name is None and len(flow.layout.shape) == 1


def _tables(members: Sequence[Flow], ways: Sequence[Way]) -> Tables:
    numbers, dynamics, timing = _parameters(members)
    order = {one.name: p for p, one in enumerate(members)}
    first = np.zeros(len(members) + 1, np.int64)
    starts, parts, counts, table = [], [], [], []
    n_synapses, base = 0, 0
    known: dict[str, int] = {}
    for way in ways:
        fan, n_products = _fan(way, members[order[way.source]].layout.size)
        name, delay, ticks = way.synapse.name if way.synapse else "", way.ticks, fan.ticks
        synapse = way.synapse
        least, most = (synapse.least, synapse.most_ticks) if isinstance(synapse, Spread) else (0, 0)
        at = known.get(name, base)
        row = (order[way.target], way.number, delay + least, delay + most, at, delay, int(name not in known))
        table.append(row)
        first[order[way.source] + 1] += 1
        if name in known:
            continue
        if name:
            known[name] = base
        starts.append(n_synapses + fan.start)
        parts.append((fan.target, fan.weight, delay + ticks))
        counts.append(n_products)
        n_synapses, base = n_synapses + fan.target.size, base + fan.start.size
    target, weight, ticks = (np.concatenate(field) for field in zip(*parts, strict=True))
    fan = Fan(np.concatenate(starts).astype(np.int64), target, weight, ticks.astype(np.int64))
    largest = max(members, key=lambda one: one.layout.size)
    assert isinstance(largest, Population)
    return Tables(
        numbers,
        dynamics,
        timing,
        np.cumsum(first),
        np.array(table, np.int64),
        fan,
        np.concatenate(counts).astype(np.int64),
        largest.synapses,
    )


def _fan(way: Way, n: int) -> tuple[Fan, Int64s]:
    """Return a way's synapses without those of weight 0, by input and then by delay, and how many each input has."""
    if way.synapse is None:
        each = np.arange(n + 1)
        fan = Fan(each, each[:n].astype(np.int32), np.ones(n, np.float32), np.zeros(n, np.int64))
        return fan, np.zeros(n + 1, np.int64)
    if isinstance(way.synapse, SparseSpread):
        fan = way.synapse.fan
    else:
        assert isinstance(way.synapse, TapSpread)
        n_out = way.synapse.layout.size
        weight = way.synapse.synapses.weight[: n * n_out]
        target = np.tile(np.arange(n_out, dtype=np.int32), n)
        fan = Fan(np.arange(n + 1) * n_out, target, weight, np.zeros(n * n_out, np.int64))
    index = np.repeat(np.arange(n), np.diff(fan.start))
    is_one_delay = way.synapse.least == way.synapse.most_ticks
    order = np.arange(index.size) if is_one_delay else _by_input_and_delay(index, fan.ticks)
    order = order[fan.weight[order] != 0]
    start = np.concatenate([[0], np.cumsum(np.bincount(index[order], minlength=n))])
    found = Fan(start, fan.target[order], fan.weight[order], fan.ticks[order])
    return found, np.append(np.diff(fan.start), 0)


def _by_input_and_delay(index: Int64s, ticks: Int64s) -> Int64s:
    """Return the order of synapses that are sorted by input; those of one delay keep theirs."""
    span = int(ticks.max()) + 1
    if (int(index[-1]) + 1) * span >= 2**63:
        order: Int64s = np.lexsort((ticks, index))
        return order
    return np.argsort(index * span + ticks, kind="stable")  # one sort takes half the time of two


def _parameters(members: Sequence[Flow]) -> tuple[Int64s, Dynamics, Timing]:
    """Return the numbers of populations, and the parameters of both kinds, one behind another."""
    numbers = np.zeros((len(members), N_NUMBERS), np.int64)
    jumps = [one.dynamics for one in members if isinstance(one, JumpPopulation)]
    timed = [one.timing for one in members if isinstance(one, TimedPopulation)]
    at = np.zeros(5, np.int64)  # neurons, parameters of both kinds, rates, coarse factors
    n_jumps = 0
    for row, one in zip(numbers, members, strict=True):
        row[FIRST], row[BEHIND] = at[0], at[0] + one.layout.size
        kind = 1 if isinstance(one, JumpPopulation) else 2
        if isinstance(one, JumpPopulation):
            given = one.dynamics
            row[IS_JUMP], row[FINE] = 1, n_jumps * _FINE
            row[RATE], row[RATES] = at[3], at[3] + given.rate.size
            row[COARSE], row[COARSES] = at[4], at[4] + given.coarse.size
            at[3:] += given.rate.size, given.coarse.size
            n_jumps += 1
        else:
            assert isinstance(one, TimedPopulation)
            given = one.timing  # type: ignore[assignment]
            row[HAS_CURRENT], row[CAN_CROSS] = one.timing.has_current, one.timing.can_cross
            row[REFRACTORY] = one.timing.refractory
        row[IS_UNIFORM], row[IS_SUBTRACTING] = given.is_uniform, given.is_subtracting
        row[PARAMETER], row[PARAMETERS] = at[kind], at[kind] + given.rest.size
        at[0] += one.layout.size
        at[kind] += given.rest.size
    dynamics = Dynamics(
        False,
        False,
        *(_joined(jumps, field, np.float64) for field in ("rate", "coarse", "fine")),
        *(_joined(jumps, field, np.float32) for field in ("rest", "fire_above", "reset")),
    )
    fields = ("decay", "current_decay", "gain_peak", "rest", "fire_above", "reset")
    timing = Timing(
        False, False, False, False, False, 0, *(_joined(timed, field, np.float64) for field in fields)
    )
    return numbers, dynamics, timing


def _joined(parts: Sequence[Any], field: str, kind: Any) -> Any:
    return np.concatenate([np.zeros(0, kind), *(getattr(part, field) for part in parts)]).astype(kind)
