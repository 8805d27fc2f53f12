"""Running a continuous plan on events, in blocks of them or in waves through its cycles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from neuro.errors import InputError
from neuro.event_results import EventCounters
from neuro.events import Events
from neuro.graph import Graph, Input
from neuro.kernels.events import Deltas
from neuro.lowering.cycle_running import is_behind, run_cycle
from neuro.lowering.cycles import Cycle
from neuro.lowering.event_run import (
    Batch,
    EventRun,
    TooManySpikesError,
    gathered,
    no_events,
    selected,
    transposed,
)
from neuro.lowering.flow import Flow, Population, Shift
from neuro.lowering.layout import Layout
from neuro.lowering.spreading import Spread
from neuro.lowering.timed import TimedPopulation

if TYPE_CHECKING:
    from neuro.lowering.continuous import EventPlan

__all__ = [
    "run_events",
    "count_events",
    "as_events",
    "check_events",
    "check_signs",
    "check_silent_spikes",
    "Kept",
]

_BLOCK_EVENTS = 2**14  # events of a block stay in the second-level cache
_BLOCK_GROWN = 2**20  # about as many events as a block may become at one node
_MOST_SILENT = 2**31  # spikes without input that one call may bring


class Kept(Protocol):
    """Something that keeps the events of a node, part by part."""

    def append(self, events: Deltas, /) -> None:
        """Take the next events."""


Wanted = Mapping[str, Kept]


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


def check_signs(plan: EventPlan, events: Events) -> None:
    """Refuse negative events that reach a MaxPool2d."""
    if plan.max_pool is not None and (events.value < 0).any():
        j = int(np.argmax(events.value < 0))
        raise InputError(
            f"Input {plan.source!r}: MaxPool2d {plan.max_pool!r} needs values >= 0, got {events.value[j]:g} in event "
            f"{j} at {events.t_us[j]} us"
        )


def check_silent_spikes(plan: EventPlan, start_us: int, stop_us: int) -> None:
    """Refuse a time in which neurons would fire more often without input than anyone wants to keep."""
    rate = sum(flow.silent_rate for flow in plan.flows if isinstance(flow, TimedPopulation))
    n = rate * (stop_us - start_us)
    if n > _MOST_SILENT:
        raise InputError(
            f"Events: the network fires about {n:.1e} spikes without input from {start_us} to {stop_us} us, the limit "
            "is 2**31; let the times of a recording begin near 0, or advance a stream in smaller parts"
        )


def run_events(plan: EventPlan, run: EventRun, events: Events, mark: int, wanted: Wanted) -> None:
    """Run the next events, knowing that none comes before `mark`, and append what leaves the nodes wanted.

    ``mark`` is FOREVER at the end of a recording.
    """
    check_signs(plan, events)
    run.counted.clear()
    try:
        _run_blocks(plan, run, events, mark, wanted)
    except TooManySpikesError as found:
        raise InputError(_explained(plan, run, found)) from None


def _run_blocks(plan: EventPlan, run: EventRun, events: Events, mark: int, wanted: Wanted) -> None:
    layout = plan.layouts[plan.source]
    run.n_events += len(events)
    step = _run_waves if plan.cuts and not plan.parts else _run_block
    n = max(1, min(_BLOCK_EVENTS, _BLOCK_GROWN // plan.growth))
    for start in range(0, len(events), n):
        part = slice(start, start + n)
        index = transposed(events.index[part], layout.n_pixels, layout.n_channels)
        block = Deltas(events.t_us[part].copy(), index, events.value[part].copy())
        run.mark = int(block.t[-1])
        step(plan, run, Batch(block, run.mark), wanted)
    if mark > run.mark:
        run.mark = mark
        step(plan, run, Batch(no_events(), mark), wanted)


def _explained(plan: EventPlan, run: EventRun, found: TooManySpikesError) -> str:
    cycle = (
        f" {', '.join(map(repr, plan.cuts))} closes a cycle, in which spikes may multiply: weaken its weights, or give "
        "the neurons in it a refractory period or inhibition."
        if plan.cuts
        else " Weaken the weights before it, raise the threshold, or give the neurons a refractory period."
    )
    return (
        f"{found.name!r} {found.what}, more than max_spikes = {run.limit}, the first too many at {found.t} "
        f"us.{cycle} End the recording before with duration_us, feed a stream in smaller parts, or pass a "
        "larger max_spikes"
    )


def _run_block(plan: EventPlan, run: EventRun, batch: Batch, wanted: Wanted) -> None:
    _through(plan, run, {plan.source: batch}, wanted)
    cycles = [part for part in plan.parts if isinstance(part, Cycle)]
    while any(is_behind(one, run) for one in cycles):
        _through(plan, run, {plan.source: Batch(no_events(), batch.mark)}, wanted)


def _through(plan: EventPlan, run: EventRun, batches: dict[str, Batch], wanted: Wanted) -> None:
    """Run the flows once, in order, but those whose output is known."""
    left_out = set(plan.hidden)
    for part in plan.parts or plan.flows:
        if isinstance(part, Cycle):
            shown = part.needed(wanted) | {one.name for one in part.between if one.name not in plan.hidden}
            left_out -= shown
            batches |= run_cycle(part, batches, run, shown, plan.growth)
        elif part.name not in batches and part.name not in left_out:
            batches[part.name] = part.run([batches[source] for source in part.sources], run)
    for name, found in wanted.items():
        if batches[name].events.t.size:
            found.append(batches[name].events)


def _run_waves(plan: EventPlan, run: EventRun, batch: Batch, wanted: Wanted) -> None:
    """Run a plan with cycles until nothing moves: each wave goes as far as the delays that close them look ahead."""
    cuts = {flow.name: flow for flow in plan.flows if flow.name in plan.cuts}
    for name, flow in cuts.items():
        run.outbox.setdefault(name, flow.run([Batch(no_events(), 0)], run))
    rest = batch.events
    is_moving = True
    while is_moving:
        known = min(run.outbox[name].mark for name in cuts)
        n = int(np.searchsorted(rest.t, known, "right"))
        part, rest = selected(rest, slice(n)), selected(rest, slice(n, None))
        mark = int(rest.t[0]) if rest.t.size else batch.mark
        batches = {plan.source: Batch(part, mark), **run.outbox}
        _through(plan, run, batches, wanted)
        is_moving = rest.t.size > 0 or any(one.events.t.size for one in batches.values())
        is_moving |= _fill_outbox(plan, run, cuts, batches)


def _fill_outbox(
    plan: EventPlan, run: EventRun, cuts: Mapping[str, Flow], batches: Mapping[str, Batch]
) -> bool:
    """Put what the closing delays took into the outbox, with how far they look ahead; tell whether that is new."""
    left = {name: flow.run([batches[source] for source in flow.sources], run) for name, flow in cuts.items()}
    first = {plan.source: batches[plan.source].mark}
    for name, one in left.items():
        held = cuts[name].first_to_come(run)
        first[name] = min(held, int(one.events.t[0])) if one.events.t.size else held
    _find_first(plan, run, first, cuts)
    before, run.outbox = run.outbox, {}
    for name, flow in cuts.items():
        nothing = Batch(no_events(), min(first[source] for source in flow.sources))
        ahead = flow.run([nothing], run)  # until then nothing comes to it
        events = gathered([one.events for one in (left[name], ahead) if one.events.t.size])
        run.outbox[name] = Batch(events, max(left[name].mark, ahead.mark))
        if isinstance(flow, Shift):
            flow.count("handed on too many spikes in one call", events.t.size, events.t, run)
    return any(one.events.t.size or one.mark != before[name].mark for name, one in run.outbox.items())


def _find_first(plan: EventPlan, run: EventRun, first: dict[str, int], cuts: Mapping[str, Flow]) -> None:
    """Set the first time at which each node may hand on more; `first` has the Input's, and what the cuts hold."""
    for _ in cuts:  # around a cycle times grow: what one cut hands on matters to the others only
        for flow in plan.flows:
            if flow.name not in cuts:
                first[flow.name] = flow.first_after(first, run)
        if len(cuts) > 1:
            first |= {name: min(first[name], flow.first_after(first, run)) for name, flow in cuts.items()}


def as_events(events: Deltas, layout: Layout, duration_us: int | None = None) -> Events:
    """Return events as they are numbered outside the engine."""
    index = transposed(events.index, layout.n_channels, layout.n_pixels)
    return Events(events.t, index, events.value, layout.shape, duration_us=duration_us)


def count_events(plan: EventPlan, run: EventRun) -> EventCounters:
    """Return the counts so far."""
    populations = [flow for flow in plan.flows if isinstance(flow, Population)]
    spreads = {flow.name: flow.operations(run) for flow in plan.flows if isinstance(flow, Spread)}
    return EventCounters(
        events_in=run.n_events,
        spikes={one.name: one.spikes(run) for one in populations},
        synaptic_operations={
            one.synapse_name: one.pixels_reached(run) * one.channels_reached
            for one in populations
            if one.synapse_name is not None
        }
        | spreads,
        neuron_updates={one.name: one.updates(run) for one in populations},
        lost_in_refractory={one.name: one.lost(run) for one in populations},
    )
