"""
Which events: parts of a recording in time or number, fewer of them, one polarity.

The recording's metadata, frames and other companions are handed on as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventio.arguments import check_whole
from eventio.errors import ArgumentError
from eventio.recording import Recording, join_events, seal
from eventio.transforms import _kernels


def slice_time(recording: Recording, start_us: int, stop_us: int) -> Recording:
    """
    Take the events with start_us <= t < stop_us.

    Parameters
    ----------
    recording : Recording
        The events, in any order.
    start_us, stop_us : int
        From when to when, in microseconds.

    Returns
    -------
    Recording
        Those events, in their order; their times stay as they are.

    Raises
    ------
    ArgumentError
        The times are no whole numbers, or stop_us < start_us.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 5, 9], x=[0] * 3, y=[0] * 3, p=[1] * 3)
    >>> slice_time(eventio.Recording(events, width=1, height=1), 5, 9).t.tolist()
    [5]
    """
    limit = 1 << 62
    check_whole("start_us", start_us, least=-limit)
    check_whole("stop_us", stop_us, least=-limit)
    if stop_us < start_us:
        raise ArgumentError(f"stop_us must not lie before start_us, got {start_us} and {stop_us} us")
    is_in = (recording.t >= start_us) & (recording.t < stop_us)
    return replace(recording, events=seal(recording.events[is_in]))


def slice_events(recording: Recording, start: int, stop: int) -> Recording:
    """
    Take the events number start to stop - 1, counted from 0; no copy is made.

    Parameters
    ----------
    recording : Recording
        The events.
    start, stop : int
        0 <= start <= stop <= number of events.

    Returns
    -------
    Recording
        Those events.

    Raises
    ------
    ArgumentError
        There are not so many events.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 5, 9], x=[0] * 3, y=[0] * 3, p=[1] * 3)
    >>> slice_events(eventio.Recording(events, width=1, height=1), 1, 3).t.tolist()
    [5, 9]
    """
    check_whole("start", start, least=0)
    check_whole("stop", stop, least=0)
    if not start <= stop <= len(recording):
        raise ArgumentError(
            f"0 <= start <= stop <= {len(recording)} (the number of events) must hold, got {start} and {stop}"
        )
    return replace(recording, events=recording.events[start:stop])


def merge_polarities(recording: Recording) -> Recording:
    """
    Make all events ON.

    Parameters
    ----------
    recording : Recording
        The events.

    Returns
    -------
    Recording
        The same events, all of polarity True.

    Examples
    --------
    >>> import eventio
    >>> recording = eventio.Recording(eventio.make_events(t=[0], x=[0], y=[0], p=[0]), width=1, height=1)
    >>> merge_polarities(recording).p.tolist()
    [True]
    """
    events = join_events([recording.events])
    events["p"] = True
    return replace(recording, events=seal(events))


def decimate(recording: Recording, n: int) -> Recording:
    """
    Take every n-th event of each pixel: its n-th, its 2n-th, and so on, whatever their polarity.

    Parameters
    ----------
    recording : Recording
        The events, in their order.
    n : int
        1 takes all.

    Returns
    -------
    Recording
        Those events, in their order.

    Raises
    ------
    ArgumentError
        n is no whole number of at least 1.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 1, 2, 3], x=[0, 1, 0, 0], y=[0] * 4, p=[1] * 4)
    >>> decimate(eventio.Recording(events, width=2, height=1), 2).t.tolist()
    [2]
    """
    check_whole("n", n, most=1 << 31)
    counts = np.zeros(recording.width * recording.height, np.int64)
    is_kept = np.empty(len(recording), np.bool_)
    _kernels.mark_every(recording.events, n, recording.width, counts, is_kept)
    return replace(recording, events=seal(recording.events[is_kept]))
