"""Recordings played over the network at the speed at which they were made, or another."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from eventio.errors import ArgumentError
from eventio.live.udp import USUAL_DATAGRAM_BYTES, UdpSender
from eventio.live.wire import LONG, find_wire
from eventio.reading import open as open_recording
from eventio.recording import EventArray, Recording

TICK_S = 0.001
"""How often events that are due are sent."""

CHUNK_EVENTS = 1 << 16
Origin = str | os.PathLike[str] | Recording


@dataclass(frozen=True, slots=True)
class Replay:
    """
    What a replay sent.

    Attributes
    ----------
    n_events, n_datagrams : int
        How many.
    seconds : float
        How long it took.
    largest_delay_s : float
        By how much events were sent later than they were due at most.
    """

    n_events: int
    n_datagrams: int
    seconds: float
    largest_delay_s: float


def replay(
    recording: Origin,
    address: tuple[str, int],
    *,
    speed: float = 1.0,
    wire: str = LONG,
    datagram_bytes: int = USUAL_DATAGRAM_BYTES,
    stop: threading.Event | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Replay:
    """
    Play a recording to a UDP port: event i is due (t[i] - t[0]) / speed after the start.

    Parameters
    ----------
    recording : str, path-like or Recording
        A file, read in chunks of bounded memory, or a recording in memory.
    address : tuple of (str, int)
        Host and port to send to.
    speed : float
        1 is the speed of the recording, 2 twice as fast; inf sends as fast as the machine can, which a receiver may
        not keep up with.
    wire : str
        Name of the wire format.
    datagram_bytes : int
        Size of a datagram at most.
    stop : threading.Event, optional
        Set by another thread to end the replay early.
    wait : callable
        How to wait, given seconds; for tests.

    Returns
    -------
    Replay
        What was sent.

    Raises
    ------
    ArgumentError
        The speed is not above 0, or there is no such wire format.
    FormatError
        The recording's sensor does not fit the wire format, or the file is no recording.
    FileAccessError
        The network refuses the datagrams, or the file cannot be read.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[10, 25], x=[0, 3], y=[2, 2], p=[True, False])
    >>> replay(eventio.Recording(events, width=34, height=34), ("127.0.0.1", 9)).n_events
    2
    """
    if not speed > 0:
        raise ArgumentError(
            f"speed must be above 0, got {speed}; 1 is the speed of the recording, inf the fastest"
        )
    stop = stop or threading.Event()
    n_events = n_datagrams = 0
    first_t: int | None = None
    largest_delay_s = 0.0
    start = time.perf_counter()
    with UdpSender(address, wire=wire, datagram_bytes=datagram_bytes) as sender:
        for chunk in chunks_of(recording, wire):
            if first_t is None:
                first_t, start = int(chunk["t"][0]), time.perf_counter()
            due_s = np.maximum.accumulate(chunk["t"] - first_t) / (1e6 * speed)
            position = 0
            while position < len(chunk) and not stop.is_set():
                now = time.perf_counter() - start
                until = int(np.searchsorted(due_s, now, side="right"))
                if until <= position:
                    wait(min(max(float(due_s[position]) - now, TICK_S), 10 * TICK_S))
                    continue
                largest_delay_s = max(largest_delay_s, now - float(due_s[position]))
                n_datagrams += sender.send(chunk[position:until])
                n_events += until - position
                position = until
    return Replay(n_events, n_datagrams, time.perf_counter() - start, largest_delay_s)


def chunks_of(recording: Origin, wire: str) -> Iterator[EventArray]:
    """
    Yield the events of a recording.

    Parameters
    ----------
    recording : str, path-like or Recording
        A file or a recording in memory.
    wire : str
        Name of the wire format that its sensor must fit.

    Yields
    ------
    ndarray
        Of EVENT_DTYPE, at least one event.
    """
    if isinstance(recording, Recording):
        find_wire(wire).check_size(recording.width, recording.height)
        for start in range(0, len(recording), CHUNK_EVENTS):
            yield recording.events[start : start + CHUNK_EVENTS]
        return
    with open_recording(recording) as reader:
        find_wire(wire).check_size(reader.width, reader.height)
        yield from reader.chunks(n_events=CHUNK_EVENTS)
