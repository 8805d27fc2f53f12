"""Kernels over event arrays of any origin."""

from typing import Any

import numba

UNCOUNTED: dict[str, Any] = {"_nrt": False, "nogil": True}
"""Options of kernels that create no arrays: without reference counts, which cost up to half of the time."""

PREVIOUS_T, LATE, INSIDE, LIMIT, IS_USED, N_COMMON = 0, 1, 2, 3, 4, 5
"""
Places in the state of every decoder: the last time; OR of all steps of time, so negative after one that fell; AND of
LIMIT less each place (`x | y << 16`); what `find_limit` makes of the sensor's size; and 1 where the memory for events
was written to before.
"""
HIGH_BITS = 0x80008000
NEVER = -(1 << 62)


def find_limit(width: int, height: int) -> int:
    """
    Return the number that, less the place of an event inside a sensor, keeps both HIGH_BITS.

    0, which says nothing, where a side is over 32768 pixels.
    """
    if max(width, height) > 1 << 15:
        return 0
    return HIGH_BITS | (width - 1) | (height - 1) << 16


@numba.njit(cache=True, **UNCOUNTED)
def inspect(events: Any, previous_t: int) -> tuple[int, int, int, int, int]:
    """Return the number of backward steps, the first one's index (-1: none), and the largest x, y and t."""
    n_backward, first, max_x, max_y = 0, -1, 0, 0
    max_t = previous_t
    for i in range(events.shape[0]):
        event = events[i]
        t, x, y = event.t, event.x, event.y
        if t < previous_t:
            if n_backward == 0:
                first = i
            n_backward += 1
        previous_t = t
        max_t = max(max_t, t)
        max_x = max(max_x, x)
        max_y = max(max_y, y)
    return n_backward, first, max_x, max_y, max_t


@numba.njit(cache=True, **UNCOUNTED)
def find_outside(events: Any, width: int, height: int) -> int:
    """Return the index of the first event with x >= width or y >= height, or -1."""
    for i in range(events.shape[0]):
        event = events[i]
        if event.x >= width or event.y >= height:
            return i
    return -1


@numba.njit(cache=True, **UNCOUNTED)
def interleave(t: Any, x: Any, y: Any, p: Any, events: Any) -> int:
    """Write columns into events; return how many have a polarity of 0 or 1 from the first."""
    for i in range(events.shape[0]):
        if p[i] > 1:
            return i
        event = events[i]
        event.t = t[i]
        event.x = x[i]
        event.y = y[i]
        event.p = p[i] != 0
    return len(events)


@numba.njit(cache=True, **UNCOUNTED)
def find_time(events: Any, t_us: int) -> int:
    """Return the index of the first event with t >= t_us, or -1."""
    for i in range(events.shape[0]):
        if events[i].t >= t_us:
            return i
    return -1


@numba.njit(cache=True, **UNCOUNTED)
def find_bad_time(
    events: Any, max_t: int, clock_shift: int, most_back: int, most_ahead: int, wrap_shift: int
) -> int:
    """Return the index of the first event whose time is out of 0..max_t or steps too far, or -1."""
    if events.shape[0] == 0:
        return -1
    previous = events[0].t
    for i in range(events.shape[0]):
        t = events[i].t
        step = (t >> clock_shift) - (previous >> clock_shift)
        is_far = (
            step < -most_back or step > most_ahead or (step < 0 and t >> wrap_shift != previous >> wrap_shift)
        )
        if t < 0 or t > max_t or is_far:
            return i
        previous = t
    return -1


@numba.njit(cache=True, **UNCOUNTED)
def separate(events: Any, t: Any, x: Any, y: Any, p: Any) -> None:
    """Write events into columns."""
    for i in range(events.shape[0]):
        event = events[i]
        t[i] = event.t
        x[i] = event.x
        y[i] = event.y
        p[i] = event.p


@numba.njit(cache=True, **UNCOUNTED)
def copy_field(field: Any, values: Any) -> None:
    """Copy one field of events, a view with gaps, to an array without."""
    for i in range(values.shape[0]):
        values[i] = field[i]
