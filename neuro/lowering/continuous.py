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
    ATTENTIONS,
    IF,
    LI,
    LIF,
    SYNAPSES,
    Add,
    AvgPool2d,
    Clocked,
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
    Node,
    SumPool2d,
)
from neuro.graph.networks import refuse_populations
from neuro.kernels.arrays import Floats, Synapses
from neuro.kernels.events import Dynamics
from neuro.lowering.flow import Flow, JumpPopulation, Merge, Population, Router, Shift
from neuro.lowering.layout import Layout
from neuro.lowering.tables import synapse_tables, window_tables
from neuro.lowering.timed import Neuron, TimedPopulation, first_voltage, silent_rate, timing_of

__all__ = ["EventPlan", "lower_events"]

_TICK = Clocked(1e-6)
_NEURONS = (IF, LIF, CubaLIF, LI)
Place = tuple[str, tuple[str, ...], tuple[Layout, ...], Layout, str | None, Synapses, int]
_WINDOW_SPIKES = 2**17  # about as many spikes as a window in time may bring by itself
_LONGEST = 2**40


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
        The Delays that close cycles: they stand before the node whose output they take.
    """

    flows: tuple[Flow, ...]
    layouts: dict[str, Layout]
    source: str
    cuts: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that events leave."""
        return (self.source, *(flow.name for flow in self.flows))

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
    refuse_populations(graph.nodes, "continuous execution; build the graph with clocked(dt_s)")
    layouts = {name: Layout.of(shape) for name, shape in graph.shapes.items()}
    flows: list[Flow] = []
    cuts: list[str] = []
    for place, name in enumerate(graph.order):
        node = graph.nodes[name]
        _check_supported(graph, name)
        if not set(graph.predecessors(name)) <= set(graph.order[:place]):
            cuts.append(name)
            if _ticks(graph, name) < 1:
                raise GraphError(
                    f"{_label(graph, name)}: closes a cycle, so it must delay by 1 microsecond or more"
                )
        if not isinstance(node, (Input, *SYNAPSES)):
            flows.append(_flow(graph, name, layouts))
    total = sum(flow.ticks for flow in flows if isinstance(flow, Shift))
    if total >= LATEST_US:
        raise GraphError(f"Graph: its delays add up to {total} us, they must stay below 2**62 us")
    return EventPlan(tuple(flows), layouts, graph.input_name, tuple(cuts))


def _label(graph: Graph, name: str) -> str:
    return f"{type(graph.nodes[name]).__name__} {name!r}"


_UNSUPPORTED: dict[type[Node], str] = {
    MaxPool2d: "has no meaning for single events; use SumPool2d or AvgPool2d",
    **dict.fromkeys(ATTENTIONS, "scores frames, and continuous execution has none; use clocked(dt_s)"),
}


def _check_supported(graph: Graph, name: str) -> None:
    node = graph.nodes[name]
    if type(node) in _UNSUPPORTED:
        raise GraphError(f"{_label(graph, name)}: {_UNSUPPORTED[type(node)]}")
    after = graph.successors(name)
    if isinstance(node, LI) and after:
        raise GraphError(
            f"{_label(graph, name)}: is a readout, with continuous execution nothing may stand behind it, its "
            f"output goes to {', '.join(map(repr, after))}"
        )
    if isinstance(node, SYNAPSES) and (len(after) != 1 or not isinstance(graph.nodes[after[0]], _NEURONS)):
        raise GraphError(
            f"{_label(graph, name)}: with continuous execution its output must go to the neurons of one node "
            f"(IF, LIF, CubaLIF or LI) and nowhere else, it goes to {', '.join(map(repr, after)) or 'nothing'}"
        )


def _flow(graph: Graph, name: str, layouts: dict[str, Layout]) -> Flow:
    node, sources, layout = graph.nodes[name], graph.predecessors(name), layouts[name]
    if isinstance(node, _NEURONS):
        return _population(graph, name, layouts)
    ins = tuple(layouts[source] for source in sources)
    if isinstance(node, (SumPool2d, AvgPool2d)):
        windows = window_tables(node, ins[0], layout)
        area = node.kernel_size[0] * node.kernel_size[1] if isinstance(node, AvgPool2d) else 1
        return Router(name, sources, ins, layout, windows, np.float32(area), _most_targets(windows))
    if isinstance(node, (Add, Concat)):
        return Merge(name, sources, ins, layout, isinstance(node, Concat))
    assert isinstance(node, (Flatten, Delay))
    return Shift(name, sources, ins, layout, _ticks(graph, name) if isinstance(node, Delay) else 0)


def _ticks(graph: Graph, name: str) -> int:
    node = graph.nodes[name]
    assert isinstance(node, Delay)
    return _whole_ticks(graph, name, "delay_s", node.delay_s)


def _whole_ticks(graph: Graph, name: str, field: str, time_s: float) -> int:
    try:
        return _TICK.steps(time_s)
    except GraphError as err:
        raise GraphError(
            f"{_label(graph, name)}: {field} must be a multiple of 1 microsecond with continuous execution, "
            f"got {time_s} s"
        ) from err


def _most_targets(tables: Synapses) -> int:
    """Most output pixels that an input pixel reaches."""
    return int(np.diff(tables.scatter_row).max() * np.diff(tables.scatter_column).max())


def _population(graph: Graph, name: str, layouts: dict[str, Layout]) -> Population:
    node, layout = graph.nodes[name], layouts[name]
    assert isinstance(node, _NEURONS)
    source = graph.predecessors(name)[0]
    synapse, synapse_name = graph.nodes[source], None
    if isinstance(synapse, (Linear, Conv2d)):
        source, synapse_name = graph.predecessors(source)[0], source
        tables = synapse_tables(synapse, layouts[source], layout)
        bias = synapse.bias
    else:  # every entry feeds its own neuron: a depthwise convolution by 1
        plain = layout if len(layout.shape) == 3 else Layout.of((layout.n_channels, 1, 1))
        ones = np.ones((plain.n_channels, 1, 1, 1), np.float32)
        tables = synapse_tables(Conv2d(ones, groups=plain.n_channels), plain, plain)
        bias = None
    most = _most_targets(tables) * (tables.out_channels // tables.n_groups)
    place: Place = (name, (source,), (layouts[source],), layout, synapse_name, tables, most)
    if bias is not None and not bias.any():
        bias = None
    _check_drive(graph, name, bias)
    refractory = 0 if isinstance(node, LI) else _refractory(graph, name)
    leak = np.float32(0) if isinstance(node, IF) else np.float32(node.v_leak)
    if isinstance(node, (IF, LIF)) and refractory == 0:
        rest = _with_bias(leak, bias, layout)
        fire_above = _fire_above(node)
        if not (rest > fire_above).any():
            whole = np.ascontiguousarray(np.broadcast_to(rest, layout.shape))
            dynamics = _dynamics(node, rest, fire_above, layout)
            return JumpPopulation(*place, dynamics, _flat(whole, layout))
    return _timed(node, place, _with_bias(np.float64(leak), bias, layout), refractory)


def _timed(node: Neuron, place: Place, rest: Any, refractory: int) -> TimedPopulation:
    layout = place[3]
    timing = timing_of(node, rest, refractory, layout)
    rate = silent_rate(timing, layout.size)
    window = min(_LONGEST, max(1, int(_WINDOW_SPIKES / rate))) if rate else _LONGEST
    return TimedPopulation(*place, timing, first_voltage(node, timing, rest, layout), window, rate)


def _with_bias(leak: Any, bias: Floats | None, layout: Layout) -> Any:
    """Where the membrane goes in silence: a number, or an array that broadcasts to the shape."""
    return leak if bias is None else leak + bias.reshape(-1, *(1,) * (len(layout.shape) - 1))


def _check_drive(graph: Graph, name: str, bias: Floats | None) -> None:
    """Refuse IF neurons that would fire in every microsecond, or grow without end."""
    node = graph.nodes[name]
    if not isinstance(node, IF):
        return
    if bias is not None:
        raise GraphError(
            f"{_label(graph, name)}: a bias drives it without end; use LIF, or leave the bias of "
            f"{graph.predecessors(name)[0]!r} out"
        )
    wrong = _fire_above(node) < 0
    if wrong.any():
        raise GraphError(
            f"{_label(graph, name)}: its resting value 0 must not fire, got threshold {np.min(node.threshold):g} "
            f"with comparison {node.comparison!r}"
        )


def _refractory(graph: Graph, name: str) -> int:
    node = graph.nodes[name]
    assert isinstance(node, (IF, LIF, CubaLIF))
    ticks = _whole_ticks(graph, name, "refractory_s", node.refractory_s)
    if ticks > _LONGEST:
        raise GraphError(
            f"{_label(graph, name)}: refractory_s must be below 2**40 us, got {node.refractory_s} s"
        )
    return ticks


def _fire_above(node: IF | LIF) -> Any:
    """The largest membrane that is silent, float32."""
    threshold = np.asarray(node.threshold, np.float32)
    return np.nextafter(threshold, np.float32(-np.inf)) if node.comparison == ">=" else threshold


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
