"""Checking continuous execution against its reference: what leaves every node, membranes, counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neuro.divergence import Divergence, Verification
from neuro.errors import InputError
from neuro.event_collecting import EventsCollected, as_end
from neuro.event_results import EventCounters
from neuro.events import MOST_SPIKES, Events
from neuro.graph import NEURONS, Graph
from neuro.lowering.continuous import EventPlan, lower_events
from neuro.lowering.event_run import FOREVER, EventRun
from neuro.lowering.event_running import check_events, check_silent_spikes, count_events, run_events
from neuro.monitors import Monitor, Wanted
from neuro.reference_events import EventEvaluation, evaluate_events

__all__ = ["verify_events"]

_N_TIMES = 16  # at which membranes are compared
_PATHS = ("one call", "pieces")
_COUNTERS = ("spikes", "synaptic_operations", "neuron_updates", "lost_in_refractory")
Found = tuple[Mapping[str, Events], Mapping[str, Any], EventCounters]


def verify_events(graph: Graph, inputs: Any) -> Verification:
    """Run the engine on all events at once and in pieces, run the reference, and compare; see `neuro.verify`."""
    plan = lower_events(graph)
    events = check_events(graph, inputs)
    if events.duration_us is None and plan.endless:
        raise InputError(
            f"verify: {plan.endless}, so the run needs an end: pass neuro.Events(..., duration_us=...)"
        )
    check_silent_spikes(plan, 0, events.duration_us or 0)
    times = _times(events)
    names = [name for name in graph.order if isinstance(graph.nodes[name], NEURONS)]
    monitors = {name: Monitor("membrane", times_us=times) for name in names} if times else {}
    reference = evaluate_events(graph, events, times_us=dict.fromkeys(monitors, times))
    wanted = Wanted({name: Monitor("spikes") for name in plan.nodes}, monitors, {})
    found: list[Divergence] = []
    for path in _PATHS:
        ours = _run(graph, plan, events, wanted, in_pieces=path == "pieces")
        found += _differences(graph, ours, reference, times, path)
    order = {name: place for place, name in enumerate(graph.order)}
    return Verification(
        min(found, key=lambda one: (one.step, order[one.node]), default=None),
        _PATHS,
        len(events),
        len(events),
        0,
        sum(reference.spikes.values()),
        sum(len(left) for left in reference.left.values())
        + sum(values.size for values in reference.membranes.values())
        + sum(len(getattr(reference, name)) for name in _COUNTERS),
        is_continuous=True,
    )


def _times(events: Events) -> tuple[int, ...]:
    """Times at which membranes are compared: of some events, between some, and near the end."""
    last = int(events.t_us[-1]) if len(events) else 0
    end = last + 1000 if events.duration_us is None else events.duration_us
    some = events.t_us[np.linspace(0, len(events) - 1, _N_TIMES // 2).astype(int)] if len(events) else []
    even = np.linspace(0, max(end - 1, 0), _N_TIMES // 2).astype(np.int64)
    return tuple(t for t in np.unique(np.concatenate([some, even])).astype(np.int64).tolist() if t < end)


def _run(graph: Graph, plan: EventPlan, events: Events, wanted: Wanted, *, in_pieces: bool) -> Found:
    """Return what left every node, membranes and counts; pieces grow from one event to half of the recording."""
    run = EventRun(end=as_end(events.duration_us), limit=MOST_SPIKES)
    collected = EventsCollected(graph, plan, wanted)
    collected.ask(run)
    start, size = 0, 1 if in_pieces else max(1, len(events))
    while start < len(events):
        part = slice(start, start + size)
        piece = Events(events.t_us[part], events.index[part], events.value[part], events.shape)
        run_events(plan, run, piece, int(piece.t_us[-1]), collected.takers)
        start, size = start + size, size + 1 + size // 2
    run_events(plan, run, Events([], [], [], events.shape), FOREVER, collected.takers)
    return collected.spikes(None), collected.membranes(run), count_events(plan, run)


def _differences(
    graph: Graph, ours: Found, reference: EventEvaluation, times: tuple[int, ...], path: str
) -> Iterator[Divergence]:
    """Yield the first difference of each node in what leaves it, its membranes, and its counts."""
    left, membranes, counters = ours
    last = max((found[-1][0] for found in reference.left.values() if found), default=0)
    for name, events in left.items():
        found = _first_event(events, reference.left[name])
        if found is not None:
            t, entry, engine, theirs = found
            index = tuple(map(int, np.unravel_index(entry, graph.shapes[name])))
            yield Divergence(t, name, "spikes", index, engine, theirs, path, is_continuous=True)
    for name, values in membranes.items():
        wrong = values != reference.membranes[name]
        wrong &= ~(np.isnan(values) & np.isnan(reference.membranes[name]))
        if wrong.any():
            where = tuple(map(int, np.unravel_index(int(np.argmax(wrong)), wrong.shape)))
            both = float(values[where]), float(reference.membranes[name][where])
            yield Divergence(times[where[0]], name, "membrane", where[1:], *both, path, is_continuous=True)
    for counter in _COUNTERS:
        theirs = getattr(reference, counter)
        for name, n in getattr(counters, counter).items():
            if n != theirs.get(name, 0):
                both = float(n), float(theirs.get(name, 0))
                yield Divergence(last, name, counter.replace("_", " "), (), *both, path, is_continuous=True)


def _first_event(ours: Events, theirs: list[tuple[int, int, float]]) -> tuple[int, int, float, float] | None:
    """Return time, entry and both values of the first place at which two lists of events differ."""
    engine = list(zip(ours.t_us.tolist(), ours.index.tolist(), ours.value.tolist(), strict=True))
    for one, other in zip(engine, theirs, strict=False):
        if one != other:
            if one[:2] == other[:2]:
                return *one[:2], one[2], other[2]
            return (*one[:2], one[2], 0.0) if one[0] < other[0] else (*other[:2], 0.0, other[2])
    n = min(len(engine), len(theirs))
    if len(engine) > n:
        return *engine[n], 0.0
    if len(theirs) > n:
        return *theirs[n][:2], 0.0, theirs[n][2]
    return None
