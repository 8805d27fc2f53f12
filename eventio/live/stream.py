"""A bounded buffer between where events come from and who uses them; what does not fit is dropped and counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from eventio.errors import ArgumentError
from eventio.recording import EventArray, check_size, join_events, seal

POLL_S = 0.05
"""How long a feed is waited for before it is asked whether to go on."""


class Feed(Protocol):
    """
    Where live events come from; used by one thread at a time.

    Attributes
    ----------
    n_lost : int
        Datagrams or packets that were lost before they reached us, as far as that can be known.
    n_malformed_bytes : int
        Bytes that are no event.
    """

    n_lost: int
    n_malformed_bytes: int

    def receive(self, timeout_s: float) -> EventArray | None:
        """Give the next events, an empty array when none came in time, or None when no more will come."""
        ...

    def close(self) -> None:
        """Free what is held; a `receive` that runs then may raise OSError."""
        ...


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """
    What became of the events of a live stream.

    Attributes
    ----------
    n_received : int
        Events that came.
    n_handed_over : int
        Events that were handed over in chunks.
    n_dropped : int
        Events dropped because the buffer was full: the user was slower than the sender.
    n_late : int
        Events dropped because they were earlier than one before them; kept where `keep_late` says so.
    n_outside : int
        Events dropped because they lay outside the sensor.
    n_lost : int
        Datagrams (or a camera's packets) that the system dropped before they reached us.
    n_malformed_bytes : int
        Bytes received that are no event.
    """

    n_received: int = 0
    n_handed_over: int = 0
    n_dropped: int = 0
    n_late: int = 0
    n_outside: int = 0
    n_lost: int = 0
    n_malformed_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything that came was handed over or waits in the buffer, as far as that can be known."""
        return not (self.n_dropped or self.n_late or self.n_outside or self.n_lost or self.n_malformed_bytes)

    def describe(self) -> str:
        """
        Say what was lost.

        Returns
        -------
        str
            Such as "12 events dropped by a full buffer"; "nothing lost" where that is so.
        """
        parts = (
            (self.n_dropped, "events dropped by a full buffer"),
            (self.n_late, "events out of order"),
            (self.n_outside, "events outside the sensor"),
            (self.n_lost, "datagrams or packets dropped by the system"),
            (self.n_malformed_bytes, "bytes that are no event"),
        )
        return ", ".join(f"{n:,} {what}" for n, what in parts if n) or "nothing lost"


class LiveStream:
    """
    Events as they come, in chunks, as `Reader.chunks` gives those of a file; used in a `with` statement.

    A thread takes events from the feed into a buffer of bounded size. When the buffer is full, what comes is dropped
    and counted in `counts`, so that neither memory nor delay grow without end.

    Parameters
    ----------
    feed : Feed
        Where events come from.
    width, height : int
        Size of the sensor in pixels.
    buffer_events : int
        How many events may wait.
    keep_late : bool
        Whether events earlier than one before them are handed over; they are counted in any case.

    Raises
    ------
    ArgumentError
        The size is no size, or buffer_events is under 1.
    """

    def __init__(
        self, feed: Feed, *, width: int, height: int, buffer_events: int = 1 << 20, keep_late: bool = False
    ) -> None:
        check_size(width, height)
        if buffer_events < 1:
            raise ArgumentError(f"buffer_events must be at least 1, got {buffer_events}")
        self.width, self.height = width, height
        self.feed = feed
        self._capacity = buffer_events
        self._keep_late = keep_late
        self._waiting: deque[tuple[EventArray, float]] = deque()
        self._n_waiting = 0
        self._counts = LiveCounts()
        self._last_t: int | None = None
        self._condition = threading.Condition()
        self._is_closed = False
        self._is_over = False
        self._failure: BaseException | None = None
        self.arrival_s = 0.0
        """`time.perf_counter()` when the last event of the chunk handed over last arrived."""
        self._thread = threading.Thread(target=self._run, name="eventio-live", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the stream and free what the feed holds; chunks end."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        self._thread.join()
        self.feed.close()

    @property
    def counts(self) -> LiveCounts:
        """What became of the events so far."""
        with self._condition:
            return replace(
                self._counts, n_lost=self.feed.n_lost, n_malformed_bytes=self.feed.n_malformed_bytes
            )

    def _run(self) -> None:
        try:
            while not self._is_closed:
                events = self.feed.receive(POLL_S)
                if events is None:
                    break
                if len(events):
                    self._put(events, time.perf_counter())
        except Exception as error:  # handed to the user's thread
            self._failure = error
        with self._condition:
            self._is_over = True
            self._condition.notify_all()

    def _put(self, events: EventArray, arrival_s: float) -> None:
        counts = self._counts
        n_received = len(events)
        is_inside = (events["x"] < self.width) & (events["y"] < self.height)
        if not is_inside.all():
            events = events[is_inside]
        n_outside = n_received - len(events)
        events, n_late = self._in_order(events)
        with self._condition:
            n_fitting = min(len(events), self._capacity - self._n_waiting)
            if n_fitting:
                self._waiting.append((events[:n_fitting], arrival_s))
                self._n_waiting += n_fitting
            self._counts = replace(
                counts,
                n_received=counts.n_received + n_received,
                n_handed_over=self._counts.n_handed_over,
                n_outside=counts.n_outside + n_outside,
                n_late=counts.n_late + n_late,
                n_dropped=counts.n_dropped + len(events) - n_fitting,
            )
            self._condition.notify_all()

    def _in_order(self, events: EventArray) -> tuple[EventArray, int]:
        if not len(events):
            return events, 0
        times = events["t"]
        latest = np.maximum.accumulate(times)
        if self._last_t is not None:
            latest = np.maximum(latest, self._last_t)
        self._last_t = int(latest[-1])
        is_late = times < latest
        n_late = int(is_late.sum())
        return (events if self._keep_late or not n_late else events[~is_late]), n_late

    def chunks(
        self,
        *,
        n_events: int = 1 << 16,
        wait_s: float = 0.01,
        idle_s: float | None = None,
        duration_s: float | None = None,
        most_events: int | None = None,
        watch: Callable[[LiveCounts], None] | None = None,
    ) -> Iterator[EventArray]:
        """
        Yield events as they come, until the feed ends, one of the limits is reached, or the stream is closed.

        Parameters
        ----------
        n_events : int
            Events in a chunk at most.
        wait_s : float
            How long to collect events for a chunk, in seconds: the most that chunks add to the delay.
        idle_s : float, optional
            End when no event has come for this long since the last one, in seconds; the first is waited for.
        duration_s : float, optional
            End after this long, in seconds.
        most_events : int, optional
            End after as many events.
        watch : callable, optional
            Told the counts before each chunk, and many times a second while none comes; what it raises ends the
            chunks.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (at least 1,), read-only.

        Raises
        ------
        ArgumentError
            A limit is no limit.
        FileAccessError
            The network or the camera fails.
        """
        check_limits(n_events, wait_s, idle_s, duration_s, most_events)
        start = time.perf_counter()
        last_s: float | None = None
        n_left = most_events
        while n_left is None or n_left > 0:
            now = time.perf_counter()
            limits = ((last_s, idle_s), (start, duration_s))
            ends = [since + limit for since, limit in limits if since is not None and limit is not None]
            if ends and now >= min(ends):
                return
            n_wanted = n_events if n_left is None else min(n_events, n_left)
            chunk = self._take(n_wanted, wait_s, min([*ends, now + POLL_S]))
            if chunk is None:
                if self._failure is not None:
                    raise self._failure
                return
            if watch is not None:
                watch(self.counts)
            if len(chunk):
                last_s = time.perf_counter()
                n_left = None if n_left is None else n_left - len(chunk)
                yield seal(chunk)

    def _take(self, n_events: int, wait_s: float, end_s: float) -> EventArray | None:
        """Wait for events until a time; then collect some for a while. None when no more will come."""
        with self._condition:
            while not self._n_waiting and not self._is_over and not self._is_closed:
                left = end_s - time.perf_counter()
                if left <= 0:
                    return join_events([])
                self._condition.wait(left)
            if not self._n_waiting or self._is_closed:
                return None
            collected = min(self._waiting[0][1] + wait_s, time.perf_counter() + wait_s)
            while self._n_waiting < n_events and not self._is_over and not self._is_closed:
                left = collected - time.perf_counter()
                if left <= 0:
                    break
                self._condition.wait(left)
            return self._pop(n_events)

    def _pop(self, n_events: int) -> EventArray:
        parts: list[EventArray] = []
        n_left = n_events
        while n_left and self._waiting:
            events, self.arrival_s = self._waiting.popleft()
            if len(events) > n_left:
                self._waiting.appendleft((events[n_left:], self.arrival_s))
                events = events[:n_left]
            parts.append(events)
            n_left -= len(events)
        chunk = join_events(parts)
        self._n_waiting -= len(chunk)
        self._counts = replace(self._counts, n_handed_over=self._counts.n_handed_over + len(chunk))
        return chunk


def check_limits(
    n_events: int, wait_s: float, idle_s: float | None, duration_s: float | None, most_events: int | None
) -> None:
    """
    Refuse limits that are none.

    Parameters
    ----------
    n_events : int
        At least 1.
    wait_s : float
        At least 0.
    idle_s, duration_s : float or None
        More than 0.
    most_events : int or None
        At least 1.

    Raises
    ------
    ArgumentError
        One is out of its range.
    """
    if n_events < 1:
        raise ArgumentError(f"n_events must be at least 1, got {n_events}")
    if not wait_s >= 0:
        raise ArgumentError(f"wait_s must be at least 0 s, got {wait_s}")
    for name, value in (("idle_s", idle_s), ("duration_s", duration_s)):
        if value is not None and not value > 0:
            raise ArgumentError(f"{name} must be more than 0 s, got {value}")
    if most_events is not None and most_events < 1:
        raise ArgumentError(f"most_events must be at least 1, got {most_events}")
