"""Lowering of continuous graphs, and running them on events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from neuro.errors import GraphError, InputError
from neuro.events import LATEST_US, Events
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
from neuro.kernels.arrays import Floats, Synapses
from neuro.kernels.events import Deltas, Dynamics
from neuro.lowering.flow import FOREVER, Batch, EventRun, Flow, Merge, Population, Router, Shift
from neuro.lowering.layout import Layout
from neuro.lowering.tables import synapse_tables, window_tables
from neuro.results import EventCounters

__all__ = ["EventPlan", "lower_events", "run_events", "count_events", "as_events", "check_events"]

_TICK = Clocked(1e-6)
_BLOCK_EVENTS = 2**14  # events of a block stay in the second-level cache
_NO_WEIGHTS = np.zeros(0, np.float32)


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
    """

    flows: tuple[Flow, ...]
    layouts: dict[str, Layout]
    source: str

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that events leave."""
        return (self.source, *(flow.name for flow in self.flows))


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
    layouts = {name: Layout.of(shape) for name, shape in graph.shapes.items()}
    flows: list[Flow] = []
    for place, name in enumerate(graph.order):
        node = graph.nodes[name]
        _check_supported(graph, name)
        if not set(graph.predecessors(name)) <= set(graph.order[:place]):
            raise GraphError(
                f"{_label(graph, name)}: is in a cycle, which continuous execution does not run yet"
            )
        if not isinstance(node, (Input, *SYNAPSES)):
            flows.append(_flow(graph, name, layouts))
    total = sum(flow.ticks for flow in flows if isinstance(flow, Shift))
    if total >= LATEST_US:
        raise GraphError(f"Graph: its delays add up to {total} us, they must stay below 2**62 us")
    return EventPlan(tuple(flows), layouts, graph.input_name)


def _label(graph: Graph, name: str) -> str:
    return f"{type(graph.nodes[name]).__name__} {name!r}"


_UNSUPPORTED: dict[type[Node], str] = {
    CubaLIF: "may cross its threshold between events, which is not computed yet; use LIF",
    LI: "has a value at all times but no events; read the spikes of an IF or LIF instead",
    MaxPool2d: "has no meaning for single events; use SumPool2d or AvgPool2d",
    **dict.fromkeys(ATTENTIONS, "scores frames, and continuous execution has none; use clocked(dt_s)"),
}


def _check_supported(graph: Graph, name: str) -> None:
    node = graph.nodes[name]
    if type(node) in _UNSUPPORTED:
        raise GraphError(f"{_label(graph, name)}: {_UNSUPPORTED[type(node)]}")
    if isinstance(node, (IF, LIF)) and node.refractory_s:
        raise GraphError(
            f"{_label(graph, name)}: continuous execution does not hold membranes yet, refractory_s must be 0, got "
            f"{node.refractory_s} s"
        )
    if isinstance(node, SYNAPSES):
        after = graph.successors(name)
        if len(after) != 1 or not isinstance(graph.nodes[after[0]], (IF, LIF)):
            raise GraphError(
                f"{_label(graph, name)}: with continuous execution its output must go to one IF or LIF and "
                f"nowhere else, it goes to {', '.join(map(repr, after)) or 'nothing'}"
            )


def _flow(graph: Graph, name: str, layouts: dict[str, Layout]) -> Flow:
    node, sources, layout = graph.nodes[name], graph.predecessors(name), layouts[name]
    if isinstance(node, (IF, LIF)):
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
    try:
        return _TICK.steps(node.delay_s)
    except GraphError as err:
        raise GraphError(
            f"{_label(graph, name)}: delay_s must be a multiple of 1 microsecond with continuous execution, "
            f"got {node.delay_s} s"
        ) from err


def _most_targets(tables: Synapses) -> int:
    """Most output pixels that an input pixel reaches."""
    return int(np.diff(tables.scatter_row).max() * np.diff(tables.scatter_column).max())


def _population(graph: Graph, name: str, layouts: dict[str, Layout]) -> Population:
    node, layout = graph.nodes[name], layouts[name]
    assert isinstance(node, (IF, LIF))
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
    rest = _rest(graph, name, bias, layout)
    most = _most_targets(tables) * (tables.out_channels // tables.n_groups)
    dynamics = _dynamics(node, rest, layout)
    whole = np.ascontiguousarray(np.broadcast_to(rest, layout.shape))
    return Population(
        name,
        (source,),
        (layouts[source],),
        layout,
        synapse_name,
        tables,
        dynamics,
        _flat(whole, layout),
        most,
    )


def _rest(graph: Graph, name: str, bias: Floats | None, layout: Layout) -> Any:
    """Where the membrane goes in silence, float32: a number, or an array that broadcasts to the shape."""
    node = graph.nodes[name]
    assert isinstance(node, (IF, LIF))
    rest: Any = np.float32(0) if isinstance(node, IF) else np.float32(node.v_leak)
    if bias is not None and bias.any():
        if isinstance(node, IF):
            raise GraphError(
                f"{_label(graph, name)}: a bias drives it without end; use LIF, or leave the bias of "
                f"{graph.predecessors(name)[0]!r} out"
            )
        rest = rest + bias.reshape(-1, *(1,) * (len(layout.shape) - 1))
    threshold = np.broadcast_to(np.float32(node.threshold), layout.shape)
    wrong = rest >= threshold
    if wrong.any():
        position = tuple(int(k) for k in np.argwhere(wrong)[0])
        value = np.broadcast_to(rest, layout.shape)[position]
        raise GraphError(
            f"{_label(graph, name)}: its resting value (v_leak and the bias before it) must lie under the "
            f"threshold, got {value:g} against {threshold[position]:g} at {list(position)}: it would fire in "
            "silence, which is not computed yet"
        )
    return rest


def _dynamics(node: IF | LIF, rest: Any, layout: Layout) -> Dynamics:
    fire_above: Any = np.float32(node.threshold)
    if node.comparison == ">=":
        fire_above = np.nextafter(fire_above, np.float32(-np.inf))
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


def check_events(graph: Graph, events: object) -> Events:
    """Return the events if they are some that the graph's Input takes."""
    name = graph.input_name
    node = graph.nodes[name]
    assert isinstance(node, Input)
    if not isinstance(events, Events):
        raise InputError(
            f"Input {name!r}: the graph's execution is continuous, not clocked: it takes neuro.Events of shape "
            f"{node.shape}, got {type(events).__name__} (or build the graph with execution=clocked(dt_s))"
        )
    if events.shape != node.shape:
        raise InputError(f"Input {name!r}: needs events of shape {node.shape}, got {events.shape}")
    if node.max_count is not None:
        wrong = (
            (events.value < 0) | (events.value > node.max_count) | (events.value != np.floor(events.value))
        )
        if wrong.any():
            j = int(np.argmax(wrong))
            raise InputError(
                f"Input {name!r}: values must be whole numbers from 0 to max_count = {node.max_count}, got "
                f"{events.value[j]:g} in event {j} at {events.t_us[j]} us"
            )
    return events


def run_events(
    plan: EventPlan, run: EventRun, events: Events | None, wanted: Mapping[str, list[Deltas]]
) -> None:
    """Run the next events of a recording, or its end (None), and append what leaves the nodes wanted."""
    if events is None:
        nothing = Deltas(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
        _run_block(plan, run, Batch(nothing, FOREVER), wanted)
        return
    layout = plan.layouts[plan.source]
    run.n_events += len(events)
    for start in range(0, len(events), _BLOCK_EVENTS):
        part = slice(start, start + _BLOCK_EVENTS)
        channel, pixel = np.divmod(events.index[part], np.int32(layout.n_pixels))
        index = pixel * np.int32(layout.n_channels) + channel
        block = Deltas(events.t_us[part].copy(), index, events.value[part].copy())
        _run_block(plan, run, Batch(block, int(block.t[-1])), wanted)


def _run_block(plan: EventPlan, run: EventRun, batch: Batch, wanted: Mapping[str, list[Deltas]]) -> None:
    batches = {plan.source: batch}
    for flow in plan.flows:
        batches[flow.name] = flow.run([batches[source] for source in flow.sources], run)
    for name, found in wanted.items():
        if batches[name].events.t.size:
            found.append(batches[name].events)


def as_events(events: Deltas, layout: Layout) -> Events:
    """Return events as they are numbered outside the engine."""
    pixel, channel = np.divmod(events.index, np.int32(layout.n_channels))
    return Events(events.t, channel * np.int32(layout.n_pixels) + pixel, events.value, layout.shape)


def count_events(plan: EventPlan, run: EventRun) -> EventCounters:
    """Return the counts so far."""
    populations = [flow for flow in plan.flows if isinstance(flow, Population)]
    return EventCounters(
        events_in=run.n_events,
        spikes={one.name: one.spikes(run) for one in populations},
        synaptic_operations={
            one.synapse_name: one.pixels_reached(run) * (one.synapses.out_channels // one.synapses.n_groups)
            for one in populations
            if one.synapse_name is not None
        },
        neuron_updates={one.name: one.pixels_reached(run) * one.layout.n_channels for one in populations},
    )
