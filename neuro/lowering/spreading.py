"""Operations of a continuous plan: synapses that hand on events, and pools that take the largest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import LATEST_US
from neuro.graph import SparseLinear
from neuro.kernels.arrays import Synapses
from neuro.kernels.events import Deltas
from neuro.kernels.events_spread import Fan, route_largest, spread_sparse, spread_taps
from neuro.lowering.event_run import (
    FOREVER,
    Batch,
    EventRun,
    TooManySpikesError,
    gathered,
    no_events,
    selected,
)
from neuro.lowering.flow import Flow

__all__ = ["Largest", "SparseSpread", "Spread", "TapSpread", "fan_of"]

_AT_ONCE = 2**24  # events that are never too many to hold
_PARTS = 8  # in which the range of delays is sorted


def fan_of(node: SparseLinear, ticks: NDArray[np.int64]) -> Fan:
    """Return the synapses by input; those of one input in the order of storage."""
    order = np.argsort(node.indices, kind="stable")
    rows = np.repeat(np.arange(node.n_out, dtype=np.int32), np.diff(node.indptr))
    counts = np.bincount(node.indices, minlength=node.n_in)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Fan(start, rows[order], node.weight[order].copy(), ticks[order])


class Waiting:
    """Events on their way: those that leave soon sorted by time, others as they came.

    Of simultaneous ones the first added stands first: late ones are sorted in when their time has come near, and
    until then nothing else is.
    """

    def __init__(self, span: int) -> None:
        self._span, self._edge = span, -1
        self._soon, self._late = no_events(), no_events()
        self._parts: list[Deltas] = []

    @property
    def size(self) -> int:
        """The number of events."""
        return self._soon.t.size + self._late.t.size + sum(part.t.size for part in self._parts)

    @property
    def first(self) -> int:
        """The time of the first event, FOREVER without events."""
        if self._soon.t.size:
            return int(self._soon.t[0])
        return min((int(part.t.min()) for part in (self._late, *self._parts) if part.t.size), default=FOREVER)

    def add(self, events: Deltas) -> None:
        """Add events in the order of their causes."""
        is_soon = events.t <= self._edge
        if is_soon.any():
            self._soon = _in_order(gathered([self._soon, selected(events, is_soon)]))
            events = selected(events, ~is_soon)
        if events.t.size:
            self._parts.append(events)

    def take(self, mark: int) -> Deltas:
        """Remove and return the events up to a time, in order."""
        if mark > self._edge:
            self._edge = mark if mark == FOREVER else mark + self._span
            late = gathered([part for part in (self._late, *self._parts) if part.t.size])
            is_soon = late.t <= self._edge
            self._soon = _in_order(gathered([self._soon, selected(late, is_soon)]))
            self._late, self._parts = selected(late, ~is_soon), []
        if not self._soon.t.size or self._soon.t[0] > mark:
            return no_events()
        n = int(np.searchsorted(self._soon.t, mark, "right"))
        taken, self._soon = selected(self._soon, slice(n)), selected(self._soon, slice(n, None))
        return taken


def _in_order(events: Deltas) -> Deltas:
    return selected(events, np.argsort(events.t, kind="stable"))


@dataclass(frozen=True, eq=False)
class Spread(Flow):
    """A synapse whose output events go on by themselves.

    Attributes
    ----------
    least, most_ticks : int
        The shortest and the longest delay.
    most : int
        Most outputs that one event reaches.
    """

    least: int
    most_ticks: int
    most: int

    @property
    def lag(self) -> int:
        """The shortest delay."""
        return self.least

    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Hand the events on; where delays differ, hold back those that others may still stand before."""
        events, mark = inputs[0].events, inputs[0].mark
        if events.t.size:
            events = self._spread(events, run)
        mark = mark if mark == FOREVER else mark + self.least
        if self.least == self.most_ticks:
            return Batch(events, mark)
        if self.name not in run.own:
            run.own[self.name] = Waiting(max(1, (self.most_ticks - self.least) // _PARTS))
        waiting: Waiting = run.own[self.name]
        if events.t.size:
            waiting.add(events)
        events = waiting.take(mark)
        if waiting.size > max(run.limit, _AT_ONCE):
            raise TooManySpikesError(self.name, "holds too many spikes on their way", waiting.first)
        return Batch(events, mark)

    def first_to_come(self, run: EventRun) -> int:
        """Return the time of the first event that is held back."""
        return run.own[self.name].first if self.name in run.own else FOREVER

    def operations(self, run: EventRun) -> int:
        """Return the number of products so far."""
        return int(run.tallies[self.name][0]) if self.name in run.tallies else 0

    def _spread(self, events: Deltas, run: EventRun) -> Deltas:
        """Return what the events become, each at its time of arrival, in the order of their causes."""
        tally = run.tallies.setdefault(self.name, np.zeros(1, np.int64))
        room = self._room(events)
        if room == 0:
            return no_events()
        if room > max(run.limit, _AT_ONCE):
            raise TooManySpikesError(self.name, "hands on too many spikes at once", int(events.t[0]))
        is_late = events.t[-1] > LATEST_US - self.most_ticks
        if self.most_ticks and run.end == FOREVER and is_late:
            raise InputError(
                f"SparseLinear {self.name!r}: an event at {events.t[-1]} us would leave it after 2**62 us; let the "
                "times of a recording begin near 0"
            )
        out = Deltas(np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.float32))
        n, n_products = self._listed(events, out)
        tally[0] += n_products
        found = selected(out, slice(n))
        if self.most_ticks and n and int(found.t.max()) >= run.end:
            found = selected(found, found.t < run.end)
        return found

    @abstractmethod
    def _room(self, events: Deltas) -> int:
        """No fewer events than these become."""

    @abstractmethod
    def _listed(self, events: Deltas, out: Deltas) -> tuple[int, int]:
        """List what the events become; return the number listed, and of products."""


@dataclass(frozen=True, eq=False)
class SparseSpread(Spread):
    """A SparseLinear.

    Attributes
    ----------
    fan : Fan
        Its synapses by input.
    """

    fan: Fan

    def _room(self, events: Deltas) -> int:
        return int((self.fan.start[events.index + 1] - self.fan.start[events.index]).sum())

    def _listed(self, events: Deltas, out: Deltas) -> tuple[int, int]:
        return spread_sparse(events, self.fan, out), out.t.size


@dataclass(frozen=True, eq=False)
class TapSpread(Spread):
    """A Linear or Conv2d.

    Attributes
    ----------
    synapses : Synapses
        Its tables.
    """

    synapses: Synapses

    def _room(self, events: Deltas) -> int:
        return events.t.size * self.most

    def _listed(self, events: Deltas, out: Deltas) -> tuple[int, int]:
        n, n_products = spread_taps(events, self.synapses, out)
        return n, n_products


@dataclass(frozen=True, eq=False)
class Largest(Flow):
    """A MaxPool2d: what leaves a window at one time adds up to its largest event of this time.

    Attributes
    ----------
    windows : Synapses
        Tables of the windows.
    most : int
        Most windows that hold one entry.
    """

    windows: Synapses
    most: int

    def run(self, inputs: Sequence[Batch], run: EventRun) -> Batch:
        """Hand on by how much events exceed those before them."""
        events = inputs[0].events
        if self.name not in run.own:
            size = self.layout.size
            run.own[self.name] = (np.full(size, -1, np.int64), np.zeros(size, np.float32))
        last, largest = run.own[self.name]
        room = events.t.size * self.most
        out = Deltas(np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.float32))
        n = route_largest(events, self.windows, last, largest, out)
        return Batch(selected(out, slice(n)), inputs[0].mark)
