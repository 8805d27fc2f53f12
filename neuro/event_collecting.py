"""What is kept of a continuous run: events as far as monitors have room, counts, membranes at the times asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.event_results import EventResult
from neuro.events import Events
from neuro.graph import Graph
from neuro.kernels.events import Deltas
from neuro.lowering.continuous import EventPlan, lower_events
from neuro.lowering.event_run import FOREVER, EventRun, Samples, gathered, selected
from neuro.lowering.event_running import (
    as_events,
    check_events,
    check_silent_spikes,
    count_events,
    run_events,
)
from neuro.monitors import Monitor, Record, Wanted, checked_record

__all__ = ["EventsCollected", "as_end", "as_most", "checked_event_record", "simulate_events"]


def checked_event_record(graph: Graph, plan: EventPlan, record: Record | None, end_us: int) -> Wanted:
    """Return the monitors asked for; an InputError names a node that has not what is asked, or a late time."""
    wanted = checked_record(graph, record, plan.nodes, 0)
    for name, monitor in wanted.membrane.items():
        owner = f"{type(graph.nodes[name]).__name__} {name!r}"
        if monitor.times_us is None:
            raise InputError(
                f"record: the membranes of {owner} change all the time in continuous execution; name the times: "
                "neuro.Monitor('membrane', times_us=[...])"
            )
        if monitor.times_us and monitor.times_us[-1] >= end_us:
            raise InputError(
                f"record: times_us of {owner} must lie before duration_us = {end_us}, got {monitor.times_us[-1]}"
            )
    return wanted


class _Events:
    """The events of one node: how many there were, and those there is room for."""

    def __init__(self, owner: str, monitor: Monitor | None) -> None:
        self.parts: list[Deltas] = []
        self.n = 0
        self._owner, self._monitor = owner, monitor

    def append(self, events: Deltas) -> None:
        """Keep the next events, as far as there is room."""
        is_finite = np.isfinite(events.value)
        if not is_finite.all():
            j = int(np.argmin(is_finite))
            raise InputError(
                f"{self._owner}: hands on {events.value[j]} at {events.t[j]} us, values must be finite in float32; "
                "scale down the weights before it"
            )
        monitor, before = self._monitor, self.n
        self.n += events.t.size
        if monitor is None or monitor.limit is None or self.n <= monitor.limit:
            self.parts.append(events)
            return
        if monitor.overflow == "error":
            first = events.t[monitor.limit - before]
            raise InputError(
                f"record: {self._owner} handed on more than the {monitor.limit} events that its monitor keeps, the "
                f"first too many at {first} us; raise its limit, choose overflow='count', or record 'rate'"
            )
        self.parts.append(selected(events, slice(max(0, monitor.limit - before))))


class _Counts:
    """The number of spikes of each neuron of one node, channel-last."""

    def __init__(self, size: int) -> None:
        self.counts = np.zeros(size, np.int64)

    def append(self, events: Deltas) -> None:
        """Count the next events."""
        self.counts += np.bincount(events.index, minlength=self.counts.size)


class _All:
    """Everything that wants the events of one node."""

    def __init__(self) -> None:
        self.takers: list[_Events | _Counts] = []

    def append(self, events: Deltas) -> None:
        """Hand the next events to all."""
        for taker in self.takers:
            taker.append(events)


class EventsCollected:
    """What is kept of a run."""

    def __init__(self, graph: Graph, plan: EventPlan, wanted: Wanted) -> None:
        self._plan, self._wanted = plan, wanted
        owner = {name: f"{type(node).__name__} {name!r}" for name, node in graph.nodes.items()}
        self._outputs = {name: _Events(owner[name], None) for name in graph.output_names}
        self._lists = {name: _Events(owner[name], monitor) for name, monitor in wanted.spikes.items()}
        self._counts = {name: _Counts(plan.layouts[name].size) for name in wanted.rate}
        self.takers: dict[str, _All] = {}
        for takers in (self._outputs, self._lists, self._counts):
            for name, taker in takers.items():
                self.takers.setdefault(name, _All()).takers.append(taker)

    def ask(self, run: EventRun) -> None:
        """Ask a run that has not begun for the membranes."""
        for name, monitor in self._wanted.membrane.items():
            run.samples[name] = Samples(np.array(monitor.times_us, np.int64))

    def outputs(self, end_us: int | None) -> dict[str, Events]:
        """Return what left the sinks since the last call."""
        found = {name: self._events(name, taker, end_us) for name, taker in self._outputs.items()}
        for taker in self._outputs.values():
            taker.parts.clear()
        return found

    def spikes(self, end_us: int | None) -> dict[str, Events]:
        """Return the recorded events."""
        return {name: self._events(name, taker, end_us) for name, taker in self._lists.items()}

    def _events(self, name: str, taker: _Events, end_us: int | None) -> Events:
        return as_events(gathered(taker.parts), self._plan.layouts[name], end_us)

    def spike_counts(self) -> dict[str, NDArray[np.int64]]:
        """Return the number of spikes of each neuron."""
        found = {}
        for name, taker in self._counts.items():
            layout = self._plan.layouts[name]
            by_pixel = taker.counts.reshape(layout.n_pixels, layout.n_channels)
            found[name] = np.ascontiguousarray(by_pixel.T).reshape(layout.shape)
        return found

    def membranes(self, run: EventRun) -> dict[str, NDArray[np.float64]]:
        """Return the membranes at the times that have passed."""
        found = {}
        for name, samples in run.samples.items():
            shape = self._plan.layouts[name].shape
            found[name] = np.array(samples.found, np.float64).reshape(-1, *shape)
        return found

    def left_out(self) -> Mapping[str, Mapping[str, int]]:
        """Return what the monitors that count had no room for."""
        return {
            name: {"spikes": max(0, self._lists[name].n - monitor.limit)}
            for name, monitor in self._wanted.spikes.items()
            if monitor.limit is not None and monitor.overflow == "count"
        }


def as_end(duration_us: int | None) -> int:
    """Return the time at which a run ends, FOREVER for None."""
    return FOREVER if duration_us is None else duration_us


def as_most(owner: str, max_spikes: object) -> int:
    """Return how many spikes a population may fire, checked."""
    if isinstance(max_spikes, bool) or not isinstance(max_spikes, (int, np.integer)) or max_spikes < 1:
        raise InputError(f"{owner}: max_spikes must be a whole number >= 1, got {max_spikes!r}")
    return int(max_spikes)


def simulate_events(
    graph: Graph, inputs: object, *, record: Record | None, max_spikes: int, n_threads: int
) -> EventResult:
    """Run a continuous graph on a recording, to its end."""
    del n_threads  # events act one after another
    plan = lower_events(graph)
    events = check_events(graph, inputs)
    end = events.duration_us
    if end is None and plan.endless:
        raise InputError(
            f"simulate: {plan.endless}, so the run needs an end: pass neuro.Events(..., duration_us=...)"
        )
    check_silent_spikes(plan, 0, end or 0)
    collected = EventsCollected(graph, plan, checked_event_record(graph, plan, record, as_end(end)))
    run = EventRun(end=as_end(end), limit=max_spikes)
    collected.ask(run)
    run_events(plan, run, events, FOREVER, collected.takers)
    return EventResult(
        outputs=collected.outputs(end),
        spikes=collected.spikes(end),
        counters=count_events(plan, run),
        membranes=collected.membranes(run),
        membrane_times_us={name: samples.times for name, samples in run.samples.items()},
        spike_counts=collected.spike_counts(),
        left_out=collected.left_out(),
    )
