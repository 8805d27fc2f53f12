"""
Recordings changed at random, so that a network sees more than there is.

The same seed gives the same events. Metadata, frames and other companions are handed on as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventio.arguments import check_number, check_seed
from eventio.errors import ArgumentError
from eventio.recording import Recording, seal
from eventio.transforms.geometry import moved


def jitter(recording: Recording, *, seed: int, pixels: float = 0.0, time_us: float = 0.0) -> Recording:
    """
    Move each event a little; those that leave the sensor are left out.

    Parameters
    ----------
    recording : Recording
        The events.
    seed : int
        Seed of the moves, >= 0.
    pixels, time_us : float
        Standard deviation of the moves along each axis, >= 0; moves are rounded to whole pixels and microseconds.

    Returns
    -------
    Recording
        The moved events; sorted by their new times if times moved (equal ones keep their order).

    Raises
    ------
    ArgumentError
        A number is out of its range.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 5], x=[3, 4], y=[3, 3], p=[1, 1])
    >>> recording = eventio.Recording(events, width=8, height=8)
    >>> jitter(recording, seed=0).events.tolist() == events.tolist()
    True
    >>> jitter(recording, seed=0, pixels=1.0).x.tolist()
    [3, 4]
    """
    check_seed("seed", seed)
    check_number("pixels", pixels)
    check_number("time_us", time_us)
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((3, len(recording)))
    x = recording.x + np.rint(pixels * draws[0])
    y = recording.y + np.rint(pixels * draws[1])
    shifted = replace_times(recording, np.rint(time_us * draws[2])) if time_us else recording
    events = moved(shifted, x, y)
    if time_us:
        events = events[np.argsort(events["t"], kind="stable")]
    return replace(recording, events=seal(events))


def replace_times(recording: Recording, shift_us: np.ndarray) -> Recording:
    """
    Shift each event in time.

    Parameters
    ----------
    recording : Recording
        The events.
    shift_us : ndarray
        Whole microseconds, shape (n_events,).

    Returns
    -------
    Recording
        The same events, in the same order.
    """
    events = recording.events.copy()
    events["t"] += shift_us.astype(np.int64)
    return replace(recording, events=seal(events))


def drop_events(recording: Recording, share: float, *, seed: int) -> Recording:
    """
    Leave out events at random.

    Parameters
    ----------
    recording : Recording
        The events.
    share : float
        Share of the events to leave out, 0 to 1; their number is rounded.
    seed : int
        Seed of the draw, >= 0.

    Returns
    -------
    Recording
        The others, in their order.

    Raises
    ------
    ArgumentError
        A number is out of its range.

    Notes
    -----
    Source: Gu, Sng, Hu, Yu, "EventDrop: data augmentation for event-based learning", IJCAI 2021, as are
    `drop_period` and `drop_area`.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=range(8), x=[0] * 8, y=[0] * 8, p=[1] * 8)
    >>> len(drop_events(eventio.Recording(events, width=1, height=1), 0.25, seed=3))
    6
    """
    order = begin_draw(share, seed).permutation(len(recording))
    is_kept = np.ones(len(recording), bool)
    is_kept[order[: round(share * len(recording))]] = False
    return replace(recording, events=seal(recording.events[is_kept]))


def drop_period(recording: Recording, share: float, *, seed: int) -> Recording:
    """
    Leave out the events of one period that begins at random.

    Parameters
    ----------
    recording : Recording
        The events.
    share : float
        The period's share of the time from the first event to the last, 0 to 1.
    seed : int
        Seed of the draw, >= 0.

    Returns
    -------
    Recording
        The others, in their order.

    Raises
    ------
    ArgumentError
        A number is out of its range.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=range(0, 80, 10), x=[0] * 8, y=[0] * 8, p=[1] * 8)
    >>> drop_period(eventio.Recording(events, width=1, height=1), 0.5, seed=0).t.tolist()
    [0, 10, 20, 60, 70]
    """
    rng = begin_draw(share, seed)
    if not len(recording):
        return recording
    first, last = int(recording.t.min()), int(recording.t.max())
    length = share * (last - first + 1)
    start = first + rng.uniform(0, last - first + 1 - length)
    is_kept = (recording.t < start) | (recording.t >= start + length)
    return replace(recording, events=seal(recording.events[is_kept]))


def drop_area(recording: Recording, share: float, *, seed: int) -> Recording:
    """
    Leave out the events of a rectangle that lies at random.

    Parameters
    ----------
    recording : Recording
        The events.
    share : float
        The rectangle's share of the sensor's width and of its height, 0 to 1 (both rounded to pixels).
    seed : int
        Seed of the draw, >= 0.

    Returns
    -------
    Recording
        The others, in their order.

    Raises
    ------
    ArgumentError
        A number is out of its range.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=range(4), x=range(4), y=[0] * 4, p=[1] * 4)
    >>> drop_area(eventio.Recording(events, width=4, height=1), 0.5, seed=0).x.tolist()
    [0, 1, 2, 3]
    """
    rng = begin_draw(share, seed)
    width, height = round(share * recording.width), round(share * recording.height)
    x = rng.integers(0, recording.width - width + 1)
    y = rng.integers(0, recording.height - height + 1)
    is_in = (recording.x >= x) & (recording.x < x + width) & (recording.y >= y) & (recording.y < y + height)
    return replace(recording, events=seal(recording.events[~is_in]))


def begin_draw(share: float, seed: int) -> np.random.Generator:
    """
    Check what the drops take and begin to draw.

    Parameters
    ----------
    share : float
        Perhaps a number from 0 to 1.
    seed : int
        Perhaps a seed.

    Returns
    -------
    numpy.random.Generator
        Begun with the seed.

    Raises
    ------
    ArgumentError
        One of them is something else.
    """
    check_number("share", share)
    if share > 1:
        raise ArgumentError(f"share must be at most 1, got {share!r}")
    check_seed("seed", seed)
    return np.random.default_rng(seed)
