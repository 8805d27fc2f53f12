"""Recognition of events as they come: one decision per window, with what it took from the last event to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import eventio
import neuro
from eventio.live import WIRE_FORMATS, LiveCounts, LiveStream, UdpFeed, fitting_wires
from spikeloom.decision import Decision, Tally, WindowRun
from spikeloom.errors import UserError
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import Events, Window

CHUNK_EVENTS = 1 << 14
LEAST_USED = 0.1
"""Where fewer of the events are usable, the datagrams say something else than they are read for."""
LEAST_EVENTS = 50
"""So many must have come before that is said without a window to decide."""


@dataclass(frozen=True)
class LiveDecision:
    """What one window of a live stream was recognised as.

    Attributes
    ----------
    index : int
        Number of the window on the clock of the events; windows without events are left out.
    start_us : int
        Time at which it begins.
    decision : Decision
        Class, confidence and cost of this window alone.
    latency_s : float
        Wall time from the arrival of the window's last event to the decision. It includes the wait for an event
        of a later window, which tells that this one is over.
    is_complete : bool
        Whether such an event came; otherwise the end of the stream cut the window short.
    """

    index: int
    start_us: int
    decision: Decision
    latency_s: float
    is_complete: bool

    def to_json(self) -> dict[str, Any]:
        """Give the numbers for JSON."""
        return {
            "window": self.index,
            "start_us": self.start_us,
            "class": self.decision.label,
            "confidence": self.decision.confidence,
            "events": self.decision.events,
            "frames_kept": self.decision.frames_kept,
            "synaptic_operations": self.decision.synaptic_operations,
            "latency_s": self.latency_s,
            "complete": self.is_complete,
            "compute_s": self.decision.seconds,
        }


@dataclass(frozen=True, eq=False)
class _OpenWindow:
    """The events of the window that is not over yet, and when the last of them arrived."""

    index: int
    start_us: int
    parts: tuple[Events, ...]
    arrival_s: float
    is_complete: bool = False


def recognize_live(
    recognizer: Recognizer,
    stream: LiveStream,
    *,
    most_windows: int | None = None,
    idle_s: float | None = None,
    duration_s: float | None = None,
    wait_s: float = 0.002,
) -> Iterator[LiveDecision]:
    """Decide window by window while events come; each window starts from a state of rest.

    Windows begin at the first event and follow each other without gaps on the clock of the events.

    Parameters
    ----------
    recognizer : Recognizer
        The network and its encoding.
    stream : eventio.live.LiveStream
        Where events come from; late events must have been dropped (its default).
    most_windows : int, optional
        End after as many decisions.
    idle_s, duration_s : float, optional
        End when no event has come for this long since the last one, or after this long, in seconds.
    wait_s : float
        How long events are collected before they are looked at, in seconds.

    Yields
    ------
    LiveDecision
        One per window that holds events; the last may be cut short by the end of the stream.

    Raises
    ------
    UserError
        When the stream comes from another sensor size, or datagrams hold next to no events in the wire format that
        they are read in.
    eventio.EventioError
        When the network or the camera fails.
    """
    encoding = recognizer.encoding
    if (stream.width, stream.height) != (encoding.width, encoding.height):
        raise UserError(
            f"the stream comes from a {stream.width}x{stream.height} sensor, but the model was made for "
            f"{encoding.width}x{encoding.height}; use a model trained for this sensor"
        )

    def watch(counts: LiveCounts) -> None:
        _refuse_other_wires(stream, counts, least=LEAST_EVENTS)

    chunks = stream.chunks(
        n_events=CHUNK_EVENTS, wait_s=wait_s, idle_s=idle_s, duration_s=duration_s, watch=watch
    )
    for n_decided, window in enumerate(_windows(chunks, stream, encoding.window_us), start=1):
        _refuse_other_wires(stream, stream.counts)
        yield _decide(recognizer, window)
        if n_decided == most_windows:
            return


def _windows(chunks: Iterator[Events], stream: LiveStream, window_us: int) -> Iterator[_OpenWindow]:
    """Cut chunks into windows; a window is over when an event of a later one comes, or the stream ends."""
    first_us: int | None = None
    now: _OpenWindow | None = None
    for chunk in chunks:
        times = chunk["t"]
        if first_us is None:
            first_us = int(times[0])
        position = 0
        while position < len(chunk):
            index = (int(times[position]) - first_us) // window_us
            if now is not None and index != now.index:
                yield replace(now, is_complete=True)
                now = None
            start_us = first_us + index * window_us
            stop = int(np.searchsorted(times, start_us + window_us, side="left"))
            parts = (*(now.parts if now is not None else ()), chunk[position:stop])
            now = _OpenWindow(index, start_us, parts, stream.arrival_s)
            position = stop
    if now is not None:
        yield now


def _refuse_other_wires(stream: LiveStream, counts: LiveCounts, *, least: int = 1) -> None:
    """Refuse datagrams that hold next to no usable event, and say what they may be."""
    feed = stream.feed
    if not isinstance(feed, UdpFeed):
        return
    n_malformed = -(-counts.n_malformed_bytes // feed.wire.event_bytes)
    n_used = counts.n_received - counts.n_late - counts.n_outside
    n_events = counts.n_received + n_malformed
    if n_events < least or n_used >= LEAST_USED * n_events:
        return
    others = fitting_wires(feed.last_datagram, width=stream.width, height=stream.height)
    if others and feed.wire.name not in others:
        remedy = f"the last datagram looks like {' or '.join(others)}: give --wire {others[0]}"
    else:
        remedy = (
            f"give the sender's --wire ({', '.join(WIRE_FORMATS)}) and a model made for its sensor, and let one "
            "sender at a time send, with times that do not fall"
        )
    raise UserError(
        f"udp port {feed.port}: of about {n_events:,} events that came, read as {feed.wire.name}, {n_used:,} are "
        f"usable on a {stream.width}x{stream.height} sensor ({replace(counts, n_dropped=0).describe()}); {remedy}"
    )


def _decide(recognizer: Recognizer, window: _OpenWindow) -> LiveDecision:
    start = time.perf_counter()
    events = np.concatenate(window.parts) if len(window.parts) > 1 else window.parts[0]
    whole = Window(window.index, window.start_us, events)
    spikes = recognizer.encoding.spikes(whole)
    before = time.perf_counter()
    result = neuro.simulate(recognizer.graph, spikes)
    run = WindowRun(whole, spikes, result, time.perf_counter() - before)
    tally = Tally(
        recognizer.class_names, bin_us=recognizer.encoding.bin_us, temperature=recognizer.temperature
    )
    tally.add(run)
    end = time.perf_counter()
    decision = tally.decision(end - start)
    return LiveDecision(window.index, window.start_us, decision, end - window.arrival_s, window.is_complete)


def warm_up(recognizer: Recognizer) -> None:
    """Compute one window of a single event, so that the first decision does not wait for compiled code.

    Parameters
    ----------
    recognizer : Recognizer
        The network.
    """
    events = eventio.make_events(t=[0], x=[0], y=[0], p=[True])
    _decide(recognizer, _OpenWindow(0, 0, (events,), time.perf_counter()))
