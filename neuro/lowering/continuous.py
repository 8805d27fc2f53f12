"""Lowering of continuous graphs: a flow for each node, or for a synapse and its neurons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from neuro.errors import GraphError
from neuro.events import LATEST_US
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Continuous,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    SparseLinear,
    SumPool2d,
)
from neuro.kernels.arrays import Floats, Synapses
from neuro.kernels.events import Dynamics
from neuro.lowering.cycles import Cycle, cycles_of
from neuro.lowering.drive import arriving_drive
from neuro.lowering.flow import Flow, JumpPopulation, Merge, Population, Router, Shift
from neuro.lowering.layout import Layout
from neuro.lowering.permitted import (
    LONGEST,
    check_drive,
    check_supported,
    fire_above,
    is_direct,
    labelled,
    synapse_ticks,
    whole_ticks,
)
from neuro.lowering.spreading import Largest, SparseSpread, Spread, TapSpread, fan_of
from neuro.lowering.tables import synapse_tables, window_tables
from neuro.lowering.timed import Neuron, TimedPopulation, first_voltage, silent_rate, timing_of

__all__ = ["EventPlan", "lower_events"]

_NEURONS = (IF, LIF, CubaLIF, LI)
Place = tuple[str, tuple[str, ...], tuple[Layout, ...], Layout, str | None, Synapses, int]
_WINDOW_SPIKES = 2**17  # about as many spikes as a window in time may bring by itself


@dataclass(frozen=True, eq=False)
class EventPlan:
    """What runs, in order.

    Attributes
    ----------
    flows : tuple of Flow
        Without the Input.
    layouts : dict of str to Layout
        The layout of every node.
    source : str
        The Input.
    cuts : tuple of str
        The Delays and SparseLinears that close cycles: they stand before the node whose output they take.
    max_pool : str or None
        A MaxPool2d that the Input reaches without neurons or synapses between them.
    parts : tuple of Flow or Cycle
        What runs where every cycle has a kernel, in order; empty where there is none, or one that has not.
    hidden : frozenset of str
        What in the cycles in `parts` runs by itself only where events are recorded.
    """

    flows: tuple[Flow, ...]
    layouts: dict[str, Layout]
    source: str
    cuts: tuple[str, ...] = ()
    max_pool: str | None = None
    parts: tuple[Flow | Cycle, ...] = ()
    hidden: frozenset[str] = frozenset()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that events leave."""
        return (self.source, *(flow.name for flow in self.flows if flow.name in self.layouts))

    @property
    def growth(self) -> int:
        """Most events that one becomes at a node that hands on events."""
        flows = (flow for flow in self.flows if flow.name not in self.hidden)
        return max([1, *(flow.most for flow in flows if isinstance(flow, (Spread, Router, Largest)))])

    @property
    def endless(self) -> str | None:
        """Why spikes may go on for ever without input, or None."""
        for flow in self.flows:
            if isinstance(flow, TimedPopulation) and flow.silent_rate > 0:
                return f"{flow.name!r} fires without input"
        return f"{self.cuts[0]!r} closes a cycle" if self.cuts else None


@lru_cache(maxsize=16)
def lower_events(graph: Graph) -> EventPlan:
    """Return the plan of a continuous graph.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=continuous()``.

    Returns
    -------
    EventPlan
        The same object for equal graphs, while it is cached.

    Raises
    ------
    GraphError
        If a node has no meaning in continuous time, or none that this engine computes.
    """
    assert isinstance(graph.execution, Continuous)
    check_supported(graph)
    layouts = {name: Layout.of(shape) for name, shape in graph.shapes.items()}
    flows: list[Flow] = []
    cuts: list[str] = []
    for place, name in enumerate(graph.order):
        node, sources = graph.nodes[name], graph.predecessors(name)
        if not set(sources) <= set(graph.order[:place]):
            cuts.append(name)
            if _least_ticks(graph, name) < 1:
                raise GraphError(
                    f"{labelled(graph, name)}: closes a cycle, so it must delay by 1 microsecond or more"
                )
        if isinstance(node, _NEURONS) and len(sources) > 1:
            ins = tuple(layouts[source] for source in sources)
            flows.append(Merge(_joined(name), sources, ins, layouts[name], is_concat=False))
        if not isinstance(node, Input) and not is_direct(graph, name):
            flows.append(_flow(graph, name, layouts))
    total = sum(_most_delay(flow) for flow in flows)
    if total >= LATEST_US:
        raise GraphError(f"Graph: its delays add up to {total} us, they must stay below 2**62 us")
    cycles = cycles_of(graph, flows) if cuts else None
    hidden = frozenset[str]().union(*(_hidden(graph, one) for one in cycles or ()))
    return EventPlan(
        tuple(flows),
        layouts,
        graph.input_name,
        tuple(cuts),
        _max_pool_of_input(graph),
        _in_order(graph.input_name, flows, cycles) if cycles else (),
        hidden,
    )


def _hidden(graph: Graph, cycle: Cycle) -> set[str]:
    """Return what between the populations of a cycle need not run for any node outside."""
    between = {flow.name for flow in cycle.between}
    inside = between | {one.name for one in cycle.populations}
    return between - cycle.needed(name for name in between if not inside.issuperset(graph.successors(name)))


def _in_order(source: str, flows: list[Flow], cycles: tuple[Cycle, ...]) -> tuple[Flow | Cycle, ...]:
    """Return the cycles, and the flows that are in none or begin in one, each behind what it takes."""
    inside = {one.name for cycle in cycles for one in cycle.populations}
    joined = {_joined(name) for name in inside}
    left: list[Flow | Cycle] = [*cycles, *(flow for flow in flows if flow.name not in inside | joined)]
    found: list[Flow | Cycle] = []
    known = {source}
    while left:
        part = next(part for part in left if known.issuperset(part.sources))
        left.remove(part)
        found.append(part)
        known |= {one.name for one in part.populations} if isinstance(part, Cycle) else {part.name}
    return tuple(found)


def _joined(name: str) -> str:
    """What is called what several inputs of a node hand to it together: no name of a node."""
    return f"{name}/inputs"


def _most_delay(flow: Flow) -> int:
    if isinstance(flow, Shift):
        return flow.ticks
    return flow.most_ticks if isinstance(flow, Spread) else 0


def _least_ticks(graph: Graph, name: str) -> int:
    node = graph.nodes[name]
    if isinstance(node, SparseLinear):
        return int(synapse_ticks(graph, name).min(initial=LONGEST))
    assert isinstance(node, Delay)
    return whole_ticks(graph, name, "delay_s", node.delay_s)


def _max_pool_of_input(graph: Graph) -> str | None:
    seen, frontier = set(), [graph.input_name]
    while frontier:
        name = frontier.pop()
        if isinstance(graph.nodes[name], MaxPool2d):
            return name
        if name not in seen and isinstance(
            graph.nodes[name], (Input, SumPool2d, AvgPool2d, Flatten, Add, Concat, Delay)
        ):
            frontier += graph.successors(name)
        seen.add(name)
    return None


def _flow(graph: Graph, name: str, layouts: dict[str, Layout]) -> Flow:
    node, sources, layout = graph.nodes[name], graph.predecessors(name), layouts[name]
    if isinstance(node, _NEURONS):
        return _population(graph, name, layouts)
    ins = tuple(layouts[source] for source in sources)
    if isinstance(node, MaxPool2d):
        windows = window_tables(node, ins[0], layout)
        return Largest(name, sources, ins, layout, windows, _most_targets(windows))
    if isinstance(node, (SumPool2d, AvgPool2d)):
        windows = window_tables(node, ins[0], layout)
        area = node.kernel_size[0] * node.kernel_size[1] if isinstance(node, AvgPool2d) else 1
        return Router(name, sources, ins, layout, windows, np.float32(area), _most_targets(windows))
    if isinstance(node, (Add, Concat)):
        return Merge(name, sources, ins, layout, isinstance(node, Concat))
    if isinstance(node, SparseLinear):
        ticks = synapse_ticks(graph, name)
        fan = fan_of(node, ticks)
        least = int(ticks.min(initial=LONGEST))
        most = int(ticks.max()) if ticks.size else least  # without synapses nothing ever leaves
        return SparseSpread(name, sources, ins, layout, least, most, int(np.diff(fan.start).max()), fan)
    if isinstance(node, (Linear, Conv2d)):
        tables = synapse_tables(node, ins[0], layout)
        return TapSpread(name, sources, ins, layout, 0, 0, _most_neurons(tables), tables)
    assert isinstance(node, (Flatten, Delay))
    return Shift(name, sources, ins, layout, _least_ticks(graph, name) if isinstance(node, Delay) else 0)


def _most_targets(tables: Synapses) -> int:
    """Most output pixels that an input pixel reaches."""
    return int(np.diff(tables.scatter_row).max() * np.diff(tables.scatter_column).max())


def _most_neurons(tables: Synapses) -> int:
    """Most neurons that an input entry reaches."""
    return _most_targets(tables) * (tables.out_channels // tables.n_groups)


def _population(graph: Graph, name: str, layouts: dict[str, Layout]) -> Population:
    node, layout = graph.nodes[name], layouts[name]
    assert isinstance(node, _NEURONS)
    sources = graph.predecessors(name)
    source, synapse_name = sources[0], None
    if is_direct(graph, source):
        synapse = graph.nodes[source]
        assert isinstance(synapse, (Linear, Conv2d))
        source, synapse_name = graph.predecessors(source)[0], source
        before = layouts[source]
        tables = synapse_tables(synapse, before, layout)
    else:  # every entry feeds its own neuron
        source, before = (source if len(sources) == 1 else _joined(name)), layout
        each = Layout.of((1, 1, layout.size))
        tables = synapse_tables(Conv2d(np.ones((1, 1, 1, 1), np.float32)), each, each)
    place: Place = (name, (source,), (before,), layout, synapse_name, tables, _most_neurons(tables))
    drive = arriving_drive(graph, name)
    check_drive(graph, name, drive)
    refractory = 0 if isinstance(node, LI) else _refractory(graph, name)
    leak = np.float32(0) if isinstance(node, IF) else np.float32(node.v_leak)
    if isinstance(node, (IF, LIF)) and refractory == 0:
        rest = leak if drive is None else _short(leak + drive)
        above = fire_above(node)
        if not (rest > above).any():
            whole = np.ascontiguousarray(np.broadcast_to(rest, layout.shape))
            dynamics = _dynamics(node, rest, above, layout)
            return JumpPopulation(*place, dynamics, _flat(whole, layout))
    rest = np.float64(leak) if drive is None else np.float64(leak) + drive
    return _timed(node, place, rest, refractory)


def _short(rest: Floats) -> Any:
    """One number where all are equal."""
    return rest.flat[0] if (rest == rest.flat[0]).all() else rest


def _timed(node: Neuron, place: Place, rest: Any, refractory: int) -> TimedPopulation:
    layout = place[3]
    timing = timing_of(node, rest, refractory, layout)
    rate = silent_rate(timing, layout.size)
    window = min(LONGEST, max(1, int(_WINDOW_SPIKES / rate))) if rate else LONGEST
    return TimedPopulation(*place, timing, first_voltage(node, timing, rest, layout), window, rate)


def _refractory(graph: Graph, name: str) -> int:
    node = graph.nodes[name]
    assert isinstance(node, (IF, LIF, CubaLIF))
    ticks = whole_ticks(graph, name, "refractory_s", node.refractory_s)
    if ticks > LONGEST:
        raise GraphError(
            f"{labelled(graph, name)}: refractory_s must be below 2**40 us, got {node.refractory_s} s"
        )
    return ticks


def _dynamics(node: IF | LIF, rest: Any, fire_above: Any, layout: Layout) -> Dynamics:
    reset: Any = np.float32(node.v_reset if node.reset == "value" else node.threshold)
    tau_s: Any = np.inf if isinstance(node, IF) else node.tau_mem_s
    rate = -1e-6 / np.asarray(tau_s, np.float64)
    is_uniform = rate.ndim == 0 and all(np.ndim(value) == 0 for value in (rest, fire_above, reset))
    n_coarse = 0
    if rate.ndim == 0:
        n_coarse = 1 if rate == 0 else math.ceil(min(4095.0, 104 / (-float(rate) * 1024))) + 1
    first = float(rate.flat[0])
    coarse = np.array([math.exp(1024 * h * first) for h in range(n_coarse)])
    fine = np.array([math.exp(k * first) for k in range(1024)])
    values = (rest, fire_above, reset)
    arrays = (np.full(1, value) if is_uniform else _flat(value, layout) for value in values)
    rates = rate.reshape(1) if rate.ndim == 0 else _flat(rate, layout)
    return Dynamics(is_uniform, node.reset == "subtract", rates, coarse, fine, *arrays)


def _flat(value: Any, layout: Layout) -> Any:
    """One value per neuron, channel-last."""
    return layout.inside(np.broadcast_to(value, layout.shape)[np.newaxis]).reshape(-1)
