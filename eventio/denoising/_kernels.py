"""Kernels of the filters: maps of the sensor have a margin around it, so that no neighbour needs a check."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import UNCOUNTED
from eventio._kernels_packing import AHEAD, prefetch, prefetch_room, put

U = np.uint64
ONE = np.uint64(1)
NEVER_US = np.int64(-(2**63))
NEVER_SHORT, LONGEST_SHORT, FAR_US = -(2**31), 2**31 - 1, 2**62
"""Of maps of 32 bits: no time, the longest time from the first event; and times from where on differences overflow."""

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@numba.njit(cache=True)
def limit_of(t: Any, window_us: Any) -> Any:
    """Return t - window_us, NEVER_US where that is no int64: times after it are recent."""
    return max(t, NEVER_US + window_us) - window_us


@numba.njit(cache=True)
def count_around(latest: Any, at: Any, stride: Any, limit: Any) -> Any:
    """Return how many of the 8 pixels around place `at` have a latest time after `limit`."""
    above, below = at - stride, at + stride
    n = U(latest[above - ONE] > limit) + U(latest[above] > limit) + U(latest[above + ONE] > limit)
    n += U(latest[at - ONE] > limit) + U(latest[at + ONE] > limit)
    return n + U(latest[below - ONE] > limit) + U(latest[below] > limit) + U(latest[below + ONE] > limit)


@numba.njit(cache=True, **UNCOUNTED)
def keep_while_short(
    events: Any,
    start_us: int,
    rule: tuple[int, int, int],
    latest: npt.NDArray[np.uint32],
    kept: Any,
) -> tuple[int, int]:
    """
    Copy the events that enough neighbours support to kept, while times fit into the map.

    rule is (window_us < LONGEST_SHORT, how many neighbours, width); latest the flat map with a margin of one pixel
    (rows of width + 2) of times after start_us + NEVER_SHORT, 0 for none. Events are of PLACED_DTYPE, kept has room for
    one more. Returns how many events were looked at, and how many are kept.
    """
    n: Any = 0
    window_us, needed, stride = rule[0], U(rule[1]), U(rule[2] + 2)
    earliest, most = start_us + window_us + NEVER_SHORT, U(LONGEST_SHORT - NEVER_SHORT - window_us)
    i = 0
    while i < events.shape[0]:
        event = events[i]
        prefetch(events, i + AHEAD)
        t, xy = event.t, np.int64(event.xy)
        limit = t - earliest  # abs(start_us) < FAR_US, so that a difference that overflows is never small
        if U(limit) > most:
            break
        at = U(xy >> 16) * stride + U(xy & 0xFFFF) + stride + ONE
        is_kept = count_around(latest, at, stride, np.uint32(limit)) >= needed
        latest[at] = np.uint32(limit + window_us)
        prefetch_room(kept, n + AHEAD)
        put(kept, n, t, xy | np.int64(event.p) << 32)
        n += np.int64(is_kept)
        i += 1
    return i, n


@numba.njit(cache=True)
def keep_supported_by(
    events: Any, window_us: int, n_supporting: int, width: int, latest: Times, kept: Any
) -> Any:
    """
    Copy the events that at least n_supporting neighbours support to kept; return their number.

    latest is the flat map with a margin of one pixel (rows of width + 2), NEVER_US at first.
    """
    n, stride, needed = U(0), U(width + 2), U(n_supporting)
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        t = event.t
        at = (U(event.y) + ONE) * stride + U(event.x) + ONE
        is_kept = count_around(latest, at, stride, limit_of(t, window_us)) >= needed
        latest[at] = t
        copy = kept[n]
        copy.t, copy.x, copy.y, copy.p = t, event.x, event.y, event.p
        n += U(is_kept)
    return np.int64(n)


@numba.njit(cache=True)
def mark_supported_by(
    events: Any, window_us: int, n_supporting: int, width: int, latest: Times, is_kept: Flags
) -> None:
    """Say of each event whether at least n_supporting neighbours support it."""
    stride, needed = U(width + 2), U(n_supporting)
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        at = (U(event.y) + ONE) * stride + U(event.x) + ONE
        is_kept[i] = count_around(latest, at, stride, limit_of(event.t, window_us)) >= needed
        latest[at] = event.t


@numba.njit(cache=True)
def mark_rested(events: Any, period_us: int, width: int, latest: Times, is_kept: Flags) -> None:
    """Say of each event whether its pixel's last kept event lies at least period_us before, or later."""
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        t, at = event.t, U(event.y) * U(width) + U(event.x)
        last = latest[at]
        is_kept[i] = last == NEVER_US or last <= limit_of(t, period_us) or last > t
        if is_kept[i]:
            latest[at] = t


@numba.njit(cache=True)
def mark_in_line(
    events: Any, window_us: int, rows: Times, columns: Times, places: npt.NDArray[np.int64], is_kept: Flags
) -> None:
    """
    Say of each event whether the latest event of a row or column nearby supports it.

    rows and columns hold times with a margin of one on each side, places the column of each row's latest event, then
    the row of each column's.
    """
    n_rows = rows.shape[0]
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        row, column = np.int64(event.y) + 1, np.int64(event.x) + 1
        limit = limit_of(event.t, window_us)
        supported = False
        for k in range(-1, 2):
            far = abs(places[row + k] - column)
            supported |= rows[row + k] > limit and far <= 1 and (k != 0 or far == 1)
            far = abs(places[n_rows + column + k] - row)
            supported |= columns[column + k] > limit and far <= 1 and (k != 0 or far == 1)
        is_kept[i] = supported
        rows[row], places[row] = event.t, column
        columns[column], places[n_rows + column] = event.t, row


@numba.njit(cache=True)
def mark_in_windows(
    events: Any, distance: int, n_supporting: int, windows: npt.NDArray[np.int64], is_kept: Flags
) -> None:
    """
    Say of each event whether enough of the last kept and the last dropped events lie near it.

    windows has shape (2, n, 2): columns and rows of the last n dropped and the last n kept events, first in, first
    out; places far outside the sensor at first.
    """
    length = windows.shape[1]
    heads = np.zeros(2, np.int64)
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        x, y = np.int64(event.x), np.int64(event.y)
        n = 0
        for which in range(2):
            for k in range(length):
                far = abs(windows[which, k, 0] - x) + abs(windows[which, k, 1] - y)
                n += far <= distance
        is_kept[i] = n >= n_supporting
        queue = np.int64(is_kept[i])
        windows[queue, heads[queue], 0] = x
        windows[queue, heads[queue], 1] = y
        heads[queue] = (heads[queue] + 1) % length


@numba.njit(cache=True)
def mark_steady(
    events: Any,
    periods_us: tuple[int, int],
    n_periods: int,
    width: int,
    rises: Times,
    state: Any,
    is_kept: Flags,
) -> None:
    """
    Say of each event whether its pixel does not flicker.

    A rise is an ON event after an OFF event. rises holds the time of each pixel's last rise, NEVER_US at first;
    state, shape (n_pixels, 2), the last polarity (0: none, 1: OFF, 2: ON) and how many intervals between rises in a
    row lay within periods_us.
    """
    shortest, longest = periods_us
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        t, at = event.t, np.int64(event.y) * width + np.int64(event.x)
        last = rises[at]
        is_new = last == NEVER_US
        if event.p and state[at, 0] == 1:
            if not is_new and limit_of(t, longest) <= last <= limit_of(t, shortest):
                state[at, 1] = min(state[at, 1] + 1, n_periods)
            else:
                state[at, 1] = 0
            rises[at] = t
        elif not is_new and last < limit_of(t, longest):
            state[at, 1] = 0
        state[at, 0] = 2 if event.p else 1
        is_kept[i] = state[at, 1] < n_periods


@numba.njit(cache=True)
def mark_elsewhere(events: Any, is_hot: Flags, width: int, is_kept: Flags) -> None:
    """Say of each event whether its pixel is none of the hot ones (flat map)."""
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        is_kept[i] = not is_hot[U(event.y) * U(width) + U(event.x)]


@numba.njit(cache=True)
def copy_marked(events: Any, is_kept: Flags, kept: Any) -> Any:
    """Copy the marked events to kept, which has room for one more; return their number."""
    n = U(0)
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        copy = kept[n]
        copy.t, copy.x, copy.y, copy.p = event.t, event.x, event.y, event.p
        n += U(is_kept[i])
    return np.int64(n)
