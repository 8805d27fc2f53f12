"""The operations of a continuous plan: each turns sequences of events into the sequence that leaves it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import LATEST_US
from neuro.kernels.arrays import Floats, Synapses
from neuro.kernels.events import Deltas, Dynamics, Pixels, integrate, route
from neuro.kernels.events_sampled import sample_jumps
from neuro.lowering.event_run import (
    FOREVER,
    Batch,
    EventRun,
    TooManySpikesError,
    gathered,
    no_events,
    selected,
    transposed,
)
from neuro.lowering.layout import Layout

__all__ = ["Flow", "JumpPopulation", "Merge", "Population", "Router", "Shift"]

_ROOM = 2**15  # spikes listed by one call of the kernel, besides those of one event


@dataclass(frozen=True, eq=False)
class Flow(ABC):
    """One node of a continuous plan, or a synapse and its neurons.

    Attributes
    ----------
    name : str
        The node whose output it computes.
    sources : tuple of str
        The nodes whose outputs it takes.
    layouts : tuple of Layout
        Their layouts.
    layout : Layout
        The layout of the output.
    """

    name: str
    sources: tuple[str, ...]
    layouts: tuple[Layout, ...]
    layout: Layout

    @property
    def lag(self) -> int:
        """Fewest ticks between an event and what it causes."""
        return 0

    @abstractmethod
    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Take the new events of the inputs and return what leaves the node."""

    def first_to_come(self, run: EventRun) -> int:
        """Return the first time at which something happens here though nothing more comes; FOREVER for never."""
        return FOREVER

    def first_after(self, first: Mapping[str, int], run: EventRun) -> int:
        """Return a time before which nothing leaves, if nothing comes from each source before its `first`."""
        arriving = min(first[source] for source in self.sources)
        return min(self.first_to_come(run), arriving if arriving == FOREVER else arriving + self.lag)

    def count(self, what: str, n: int, times: NDArray[np.int64], run: EventRun) -> None:
        """Count n more events, at these times in any order, and refuse what is too many in a call."""
        before = run.counted.get(self.name, 0)
        run.counted[self.name] = before + n
        if before + n > run.limit:
            raise TooManySpikesError(self.name, what, int(np.sort(times)[max(0, run.limit - before)]))


@dataclass(frozen=True, eq=False)
class Population(Flow):
    """A synapse and the neurons behind it, or neurons that events reach by themselves.

    Attributes
    ----------
    synapse_name : str or None
        The Linear or Conv2d.
    synapses : Synapses
        Its tables; weights of 1 from each entry to its neuron where there is none.
    most : int
        Most neurons that one event reaches.
    """

    synapse_name: str | None
    synapses: Synapses
    most: int

    @property
    def channels_reached(self) -> int:
        """Channels of an output pixel that an event reaches."""
        return self.synapses.out_channels // self.synapses.n_groups

    @property
    def n_pixels(self) -> int:
        """Groups of neurons that events reach together: output pixels, or single neurons."""
        return self.layout.size // self.synapses.out_channels

    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Take the events, and stop where membranes are asked for: at a time, behind all that happens then."""
        events, mark = inputs[0].events, inputs[0].mark
        samples = run.samples.get(self.name)
        if samples is None:
            return self.go_on(inputs[0], run)
        parts: list[Deltas] = []
        for t in samples.due(mark):
            n = int(np.searchsorted(events.t, t, "right"))
            parts.append(self.go_on(Batch(selected(events, slice(n)), t), run).events)
            events = selected(events, slice(n, None))
            samples.found.append(self.layout.outside(self.membranes(t, run)[np.newaxis])[0])
        parts.append(self.go_on(Batch(events, mark), run).events)
        return Batch(gathered(parts), mark)

    @abstractmethod
    def go_on(self, batch: Batch, run: EventRun) -> Batch:
        """Take the new events of the input and return the spikes."""

    @abstractmethod
    def membranes(self, t: int, run: EventRun) -> NDArray[Any]:
        """Return the membranes at a time, channel-last, without changing them."""

    @abstractmethod
    def spikes(self, run: EventRun) -> int:
        """Return the number of spikes so far."""

    @abstractmethod
    def pixels_reached(self, run: EventRun) -> int:
        """Return the number of (event, output pixel) so far."""

    @abstractmethod
    def updates(self, run: EventRun) -> int:
        """Return the number of membranes brought to the time of an event so far."""

    def lost(self, run: EventRun) -> int:
        """Return the number of (event, neuron) so far that a refractory period made void."""
        return 0


@dataclass(frozen=True, eq=False)
class JumpPopulation(Population):
    """Neurons that can fire at events only: IF and LIF that rest under their threshold.

    Attributes
    ----------
    dynamics : Dynamics
        The neurons' parameters.
    rest : float32, shape (layout.size,)
        Membranes at the beginning.
    """

    dynamics: Dynamics
    rest: Floats

    def go_on(self, batch: Batch, run: EventRun) -> Batch:
        """Take the events one by one; what fires is listed at the event's time."""
        events = batch.events
        if self.name not in run.pixels:
            self.start(run)
        tally, room = run.tallies[self.name], run.rooms[self.name]
        parts: list[Deltas] = []
        done = 0
        while done < events.t.size:
            done = integrate(events, done, self.synapses, self.dynamics, run.pixels[self.name], room, tally)
            n = int(tally[0])
            self.count("fired too often in one call", n, room.t[:n], run)
            parts.append(Deltas(room.t[:n].copy(), room.index[:n].copy(), np.ones(n, np.float32)))
        return Batch(gathered(parts), batch.mark)

    def membranes(self, t: int, run: EventRun) -> NDArray[Any]:
        """Return the membranes at a time, channel-last, without changing them."""
        if self.name not in run.pixels:
            self.start(run)
        out = np.empty(self.layout.size, np.float32)
        sample_jumps(self.dynamics, run.pixels[self.name], self.synapses.out_channels, t, out)
        return out

    def start(self, run: EventRun) -> None:
        """Begin at rest."""
        last = np.zeros(self.n_pixels, np.int64)  # at rest nothing changes, so any time will do
        run.pixels[self.name] = Pixels(self.rest.copy(), last)
        n = self.most + _ROOM
        run.rooms[self.name] = Deltas(np.empty(n, np.int64), np.empty(n, np.int32), np.zeros(0, np.float32))
        run.tallies[self.name] = np.array([0, 0, self.most, 0], np.int64)

    def spikes(self, run: EventRun) -> int:
        """Return the number of spikes so far."""
        return int(run.tallies[self.name][3]) if self.name in run.tallies else 0

    def pixels_reached(self, run: EventRun) -> int:
        """Return the number of (event, output pixel) so far."""
        return int(run.tallies[self.name][1]) if self.name in run.tallies else 0

    def updates(self, run: EventRun) -> int:
        """Return the number of membranes brought to the time of an event so far."""
        return self.pixels_reached(run) * self.synapses.out_channels


@dataclass(frozen=True, eq=False)
class Router(Flow):
    """A sum or average pool: events go to the windows that hold them.

    Attributes
    ----------
    windows : Synapses
        Tables of the windows.
    area : float32
        What values are divided by: 1 for a sum.
    most : int
        Most windows that hold one entry.
    """

    windows: Synapses
    area: np.float32
    most: int

    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Hand the events on to their windows."""
        events = inputs[0].events
        if self.area != 1:
            events = events._replace(value=events.value / self.area)
        n = events.t.size * self.most
        out = Deltas(np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.float32))
        n = route(events, self.windows, out)
        kept = selected(out, slice(n))
        if self.area != 1:  # a value divided by the area may be rounded to nothing
            listed = kept.value != 0
            kept = kept if listed.all() else selected(kept, listed)
        return Batch(kept, inputs[0].mark)


@dataclass(frozen=True, eq=False)
class Shift(Flow):
    """A delay (0 ticks for none), or a flattening: other times, other numbers of the entries.

    Attributes
    ----------
    ticks : int
        What is added to the times.
    """

    ticks: int

    @property
    def lag(self) -> int:
        """The delay."""
        return self.ticks

    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Move the events in time, or renumber them."""
        events, mark = inputs[0].events, inputs[0].mark
        before = self.layouts[0]
        if before != self.layout and before.n_pixels > 1:
            events = events._replace(index=transposed(events.index, before.n_channels, before.n_pixels))
        if self.ticks:
            if run.end == FOREVER and events.t.size and events.t[-1] > LATEST_US - self.ticks:
                raise InputError(
                    f"Delay {self.name!r}: an event at {events.t[-1]} us would leave it after 2**62 us; "
                    "let the times of a recording begin near 0"
                )
            events = events._replace(t=events.t + self.ticks)
            if events.t.size and events.t[-1] >= run.end:
                events = selected(events, slice(int(np.searchsorted(events.t, run.end))))
        return Batch(events, mark if mark == FOREVER else mark + self.ticks)


@dataclass(frozen=True, eq=False)
class Merge(Flow):
    """Add or Concat: the events of all inputs, by time, then by the input's number, then as they came.

    Attributes
    ----------
    is_concat : bool
        Whether the channels stand behind each other.
    """

    is_concat: bool

    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Sort the events in, and let go those that no later event can stand before."""
        mark, first = min((batch.mark, k) for k, batch in enumerate(inputs))
        parts, sources, offset = [], [], 0
        if self.name in run.held:
            held, source = run.held.pop(self.name)
            parts, sources = [held], [source]
        for k, (batch, layout) in enumerate(zip(inputs, self.layouts, strict=True)):
            if batch.events.t.size:
                parts.append(self._renumbered(batch.events, layout, offset))
                sources.append(np.full(batch.events.t.size, k, np.int64))
            offset += layout.n_channels
        if not parts:
            return Batch(no_events(), mark)
        events, source = gathered(parts), np.concatenate(sources)
        if len(parts) > 1:
            order = np.lexsort((source, events.t))
            events, source = selected(events, order), source[order]
        n = int(np.count_nonzero((events.t < mark) | ((events.t == mark) & (source <= first))))
        if n == events.t.size:
            return Batch(events, mark)
        run.held[self.name] = (selected(events, slice(n, None)), source[n:])
        return Batch(selected(events, slice(n)), mark)

    def first_to_come(self, run: EventRun) -> int:
        """Return the time of the first event that is held back."""
        held = run.held.get(self.name)
        return int(held[0].t[0]) if held and held[0].t.size else FOREVER

    def _renumbered(self, events: Deltas, layout: Layout, offset: int) -> Deltas:
        if not self.is_concat:
            return events
        pixel, channel = np.divmod(events.index, np.int32(layout.n_channels))
        index = pixel * np.int32(self.layout.n_channels) + np.int32(offset) + channel
        return events._replace(index=index)
