"""A growing store of events."""

from __future__ import annotations

import numpy as np

from eventio.memory import make_room, was_used
from eventio.recording import EventArray


class EventBuffer:
    """
    Events joined block by block.

    Parameters
    ----------
    n_expected : int
        About how many events will come; more are taken, too.
    """

    def __init__(self, n_expected: int) -> None:
        self._events = make_room(max(n_expected, 1))
        self._n_events = 0

    @property
    def is_used(self) -> bool:
        """Whether the memory held other events before: writing to it past the cache is faster then."""
        return was_used(self._events)

    def append(self, events: EventArray) -> None:
        """
        Copy events behind those already there.

        Parameters
        ----------
        events : ndarray
            Of EVENT_DTYPE, shape (n_events,), contiguous.
        """
        copy_events(events, self.room(len(events)))
        self._n_events += len(events)

    def room(self, n_least: int) -> EventArray:
        """
        Give what lies behind the events, to be written to; a larger place is made where it is too small.

        Parameters
        ----------
        n_least : int
            How many events have to fit.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, of n_least events or more, good until the next call.
        """
        n_needed = self._n_events + n_least
        if n_needed > len(self._events):
            grown = make_room(max(n_needed, 2 * len(self._events)))
            copy_events(self._events[: self._n_events], grown)
            self._events = grown
        return self._events[self._n_events :]

    def take(self, n: int) -> EventArray:
        """
        Keep events that were written to the room.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, shape (n,): these events.
        """
        start, self._n_events = self._n_events, self._n_events + n
        return self._events[start : self._n_events]

    def finish(self) -> EventArray:
        """
        Hand over all events.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        return self._events[: self._n_events]


def copy_events(events: EventArray, room: EventArray) -> None:
    """
    Copy events to the front of an array, as bytes: much faster than field by field.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), contiguous.
    room : ndarray
        Of EVENT_DTYPE, at least as long, contiguous.
    """
    room[: len(events)].view(np.uint8)[:] = events.view(np.uint8)
