"""Cycles of populations and the synapses with delays between them: found in a plan, and laid out for one kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.graph import Delay, Graph, SparseLinear
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
from neuro.lowering.spreading import SparseSpread
from neuro.lowering.timed import TimedPopulation

__all__ = ["Cycle", "Tables", "cycles_of"]

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
    link : int64, shape (n_rows of `table`,)
        The link of each row: one that ends in several populations has several.
    """

    numbers: Int64s
    dynamics: Dynamics
    timing: Timing
    first: Int64s
    table: Int64s
    fan: Fan
    n_products: Int64s
    synapses: Synapses
    link: Int64s


@dataclass(frozen=True, eq=False)
class Cycle:
    """Populations that reach each other over SparseLinears and Delays, and nothing else.

    Attributes
    ----------
    name : str
        No name of a node.
    populations : tuple of Population
        In order.
    entries : tuple of tuples of (str, int)
        For each, the nodes outside that it takes events from, and which of its inputs these are.
    links : tuple of Flow
        What leads from one to another, by the population it begins at.
    shown : frozenset of str
        The links whose events go elsewhere, too.
    tables : Tables
        All of it.
    """

    name: str
    populations: tuple[Population, ...]
    entries: tuple[tuple[tuple[str, int], ...], ...]
    links: tuple[Flow, ...]
    shown: frozenset[str]
    tables: Tables

    @property
    def sources(self) -> tuple[str, ...]:
        """The nodes outside whose events it takes."""
        return tuple(source for entries in self.entries for source, _ in entries)


def cycles_of(graph: Graph, flows: Sequence[Flow]) -> tuple[Cycle, ...] | None:
    """Return the cycles of a graph, or None if they hold anything but populations, SparseLinears and Delays."""
    by_name = {flow.name: flow for flow in flows}
    found = []
    for names in _rings(graph):
        populations = [name for name in names if isinstance(by_name.get(name), Population)]
        links = [name for name in names if name not in populations]
        if not all(_is_link(graph, name, populations) for name in links):
            return None
        if not all(_is_reached_one_by_one(by_name[name]) for name in populations):
            return None
        entries = tuple(
            tuple((one, k) for k, one in enumerate(graph.predecessors(name)) if one not in links)
            for name in populations
        )
        if not any(entries):
            return None
        links.sort(key=lambda name: populations.index(graph.predecessors(name)[0]))
        shown = frozenset(name for name in links if not set(graph.successors(name)) <= set(populations))
        tables = _tables(graph, by_name, populations, links)
        found.append(
            Cycle(
                "/".join(names),
                tuple(by_name[name] for name in populations),  # type: ignore[misc]
                entries,
                tuple(by_name[name] for name in links),
                shown,
                tables,
            )
        )
    return tuple(found)


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


def _is_link(graph: Graph, name: str, populations: Sequence[str]) -> bool:
    """Whether a node of a cycle hands spikes of a population on to others over delays."""
    if not isinstance(graph.nodes[name], (SparseLinear, Delay)):
        return False
    return graph.predecessors(name)[0] in populations


def _is_reached_one_by_one(flow: Flow) -> bool:
    """Whether events reach single neurons, which stand in one row."""
    if not isinstance(flow, (JumpPopulation, TimedPopulation)):
        return False
    return flow.synapse_name is None and len(flow.layout.shape) == 1


def _tables(
    graph: Graph, flows: Mapping[str, Flow], populations: Sequence[str], links: Sequence[str]
) -> Tables:
    members = [flows[name] for name in populations]
    numbers, dynamics, timing = _parameters(members)
    fan, n_products, rows = _synapses([flows[name] for name in links])
    table, link, first = [], [], np.zeros(len(members) + 1, np.int64)
    for name, row in zip(links, rows, strict=True):
        for k, one in enumerate(one for one in graph.successors(name) if one in populations):
            number = graph.predecessors(one).index(name)
            table.append((populations.index(one), number, *row, int(k == 0)))
            link.append(links.index(name))
            first[populations.index(graph.predecessors(name)[0]) + 1] += 1
    largest = max(members, key=lambda one: one.layout.size)
    assert isinstance(largest, Population)
    places = np.cumsum(first), np.array(table, np.int64)
    return Tables(
        numbers, dynamics, timing, *places, fan, n_products, largest.synapses, np.array(link, np.int64)
    )


def _synapses(links: Sequence[Flow]) -> tuple[Fan, Int64s, list[tuple[int, int, int]]]:
    """Return the synapses of links without those of weight 0, all products, and each link's LEAST, MOST and BASE."""
    starts, parts, counts, rows = [], [], [], []
    n_synapses, base = 0, 0
    for link in links:
        if isinstance(link, SparseSpread):
            fan, least, most = link.fan, link.least, link.most_ticks
            counts.append(np.append(np.diff(fan.start), 0))
        else:
            assert isinstance(link, Shift)
            n, least, most = link.layout.size, link.ticks, link.ticks
            each = np.arange(n + 1)
            fan = Fan(each, each[:n].astype(np.int32), np.ones(n, np.float32), np.full(n, least))
            counts.append(np.zeros(n + 1, np.int64))
        n_in = fan.start.size - 1
        index = np.repeat(np.arange(n_in), np.diff(fan.start))
        order = np.arange(index.size) if least == most else _by_input_and_delay(index, fan.ticks)
        order = order[fan.weight[order] != 0]
        sizes = np.bincount(index[order], minlength=n_in)
        starts.append(n_synapses + np.concatenate([[0], np.cumsum(sizes)]))
        parts.append((fan.target[order], fan.weight[order], fan.ticks[order]))
        rows.append((least, most, base))
        n_synapses, base = n_synapses + order.size, base + n_in + 1
    target, weight, ticks = (np.concatenate(field) for field in zip(*parts, strict=True))
    fan = Fan(np.concatenate(starts).astype(np.int64), target, weight, ticks.astype(np.int64))
    return fan, np.concatenate(counts).astype(np.int64), rows


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
