"""Events without noise, and events in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventio.denoising.neighbours import BackgroundActivity
from eventio.recording import Recording, seal


def filter_background_activity(recording: Recording, *, window_us: int) -> Recording:
    """
    Keep the events that another pixel nearby supports.

    An event at time t is kept if one of the 8 pixels around it had its latest event, of either polarity, at a time s
    with t - s < window_us. The pixel itself does not count, nor do pixels outside the sensor; events that are dropped
    support others all the same. Where time runs backwards, a latest event with s > t supports, too.

    Parameters
    ----------
    recording : Recording
        The events, looked at in their order.
    window_us : int
        How long an event supports its neighbours, in microseconds, at least 1.

    Returns
    -------
    Recording
        The kept events in their order, with the metadata of `recording`; none is possible.

    Raises
    ------
    ArgumentError
        window_us is no whole number of at least 1.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 5, 9, 50], x=[0, 1, 9, 0], y=[0, 0, 9, 0], p=[1] * 4)
    >>> recording = eventio.Recording(events, width=10, height=10)
    >>> filter_background_activity(recording, window_us=10).t.tolist()
    [5]
    """
    kept = BackgroundActivity(window_us=window_us).keep(recording)
    return replace(recording, events=seal(kept))


def sort_by_time(recording: Recording) -> Recording:
    """
    Sort events by time; those of equal time keep their order.

    Parameters
    ----------
    recording : Recording
        The events in any order.

    Returns
    -------
    Recording
        The same events sorted, their metadata without backward steps and without the warning of them.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[7, 3, 5], x=[0, 1, 2], y=[0] * 3, p=[1] * 3)
    >>> sort_by_time(eventio.Recording(events, width=3, height=1)).x.tolist()
    [1, 2, 0]
    """
    order = np.argsort(recording.t, kind="stable")
    warnings = tuple(text for text in recording.metadata.warnings if "time runs backwards" not in text)
    metadata = replace(recording.metadata, n_backward_steps=0, warnings=warnings)
    return replace(recording, events=recording.events[order], metadata=metadata)
