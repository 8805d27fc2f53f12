"""What moves through a continuous plan, and what changes while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Int32s
from neuro.kernels.events import Deltas, Pixels, renumber

__all__ = [
    "FOREVER",
    "Batch",
    "EventRun",
    "Samples",
    "TooManySpikesError",
    "gathered",
    "no_events",
    "selected",
    "transposed",
]

FOREVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Batch:
    """Events that are certain, channel-last, and the earliest time that a later one may have."""

    events: Deltas
    mark: int


class TooManySpikesError(Exception):
    """More spikes than a call may bring: the node, what it did, and the time of the first too many."""

    def __init__(self, name: str, what: str, t: int) -> None:
        super().__init__(name, what, t)
        self.name, self.what, self.t = name, what, t


@dataclass
class Samples:
    """Membranes that are asked for: the times, ascending, and what was found at the first of them."""

    times: NDArray[np.int64]
    found: list[NDArray[Any]] = field(default_factory=list)

    def due(self, mark: int) -> list[int]:
        """Return the next times before a mark."""
        n = len(self.found)
        return [int(t) for t in self.times[n : int(np.searchsorted(self.times, mark))]]


@dataclass
class EventRun:
    """What changes while events pass: membranes, events held back by joins, counts. Owned by one call or stream.

    Attributes
    ----------
    pixels : dict
        Membranes by the name of a population.
    rooms : dict
        Where a population lists its spikes during one call.
    held : dict
        For each join, its events that are not certain yet, and the number of the input of each.
    tallies : dict
        int64, shape (4,), by the name of a population: see `neuro.kernels.events.integrate`.
    own : dict
        What populations with times of their own keep, by name: see `neuro.lowering.timed`.
    outbox : dict
        For each node that closes a cycle, what leaves it next.
    samples : dict
        Membranes that are asked for, by the name of a population.
    counted : dict
        Spikes of each population in this call, and events of each Delay that closes a cycle.
    limit : int
        Most spikes of a population in one call, and most events that a node may hold back.
    mark : int
        The earliest time that an event fed later may have.
    end : int
        Nothing is computed at this time or later.
    n_events : int
        Events fed so far.
    """

    pixels: dict[str, Pixels] = field(default_factory=dict)
    rooms: dict[str, Deltas] = field(default_factory=dict)
    held: dict[str, tuple[Deltas, NDArray[np.int64]]] = field(default_factory=dict)
    tallies: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    outbox: dict[str, Batch] = field(default_factory=dict)
    samples: dict[str, Samples] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    limit: int = FOREVER
    mark: int = 0
    end: int = FOREVER
    n_events: int = 0


def no_events() -> Deltas:
    """Return an empty list of events."""
    return Deltas(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def gathered(parts: Sequence[Deltas]) -> Deltas:
    """Return lists of events as one."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return no_events()
    return Deltas(
        np.concatenate([part.t for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def transposed(index: Int32s, n_minor: int, n_major: int) -> Int32s:
    """Return entries of a flat array of shape (n_major, n_minor) as those of its transpose."""
    out = np.empty(index.size, np.int32)
    renumber(index, n_minor, n_major, out)
    return out


def selected(events: Deltas, which: Any) -> Deltas:
    """Return some of the events: a slice, a mask or positions."""
    return Deltas(events.t[which], events.index[which], events.value[which])
