"""Kernels of event graphs."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels_bits import highest_bit
from eventio._kernels_lanes import N_LANES, near_eight

Index = npt.NDArray[np.int64]
SPARE = N_LANES
ALL = 0xFF


class Lists(NamedTuple):
    """
    Events by place, in their order: list row * n_columns + column has those of a row of buckets and of three columns.

    columns and rows give the bucket, from 1, of each column and row of the sensor. starts and ends say where each list
    begins and ends so far; points, shape (n, 2), holds of its events the time and `x | y << 16 | number << 32`. Before
    the first list there is room for SPARE.
    """

    n_columns: int
    columns: Index
    rows: Index
    starts: Index
    ends: Index
    points: Index


@numba.njit(cache=True)
def count_in_lists(events: Any, n_columns: int, columns: Index, rows: Index, counts: Index) -> None:
    """Count the events that each list will have."""
    for i in range(events.shape[0]):
        event = events[i]
        own = rows[event.y] * n_columns + columns[event.x]
        for k in range(own - 1, own + 2):
            counts[k] += 1


@numba.njit(cache=True)
def find_near(lists: Lists, start: int, stop: int, centre: Any, reach: Any) -> Any:
    """
    Look for near events in a list, from the last before `stop` on, eight at a time.

    Return the place of the first of the eight, which of them are near as bits, and where to go on.
    """
    while stop > start:
        at = stop - N_LANES
        found = near_eight(lists.points, at, centre, reach)
        is_own = ALL if at >= start else ALL << (start - at) & ALL
        near, old = found & is_own, (found >> 8) & is_own
        stop = start if old else max(at, start)
        if near:
            return at, near, stop
    return np.int64(0), np.int64(0), start


@numba.njit(cache=True)
def number_of(lists: Lists, first: int, near: Any) -> Any:
    """Return the number of the newest of eight events that is near, -1 where none is."""
    at = first + highest_bit(np.uint32(near))
    return (lists.points[at, 1] >> 32) & 0xFFFFFFFF if near else np.int64(-1)


@numba.njit(cache=True)
def connect(events: Any, reach: tuple[float, float], n_neighbours: int, lists: Lists, edges: Index) -> Any:
    """
    Write the edges into each event from the events before it and near it, newest first; return their number.

    reach is (pixels per us, square of the radius), a bucket has the radius as its side. edges, shape (2, room), has
    room for n_neighbours edges of each event.
    """
    newest, first, near, stop = (
        np.empty(3, np.int64),
        np.empty(3, np.int64),
        np.empty(3, np.int64),
        np.empty(3, np.int64),
    )
    n = 0
    for i in range(events.shape[0]):
        event = events[i]
        x, y = np.int64(event.x), np.int64(event.y)
        centre = (np.int64(event.t), x, y)
        home = lists.rows[y] * lists.n_columns + lists.columns[x]
        for k in range(3):
            other = home + (k - 1) * lists.n_columns
            first[k], near[k], stop[k] = find_near(
                lists, lists.starts[other], lists.ends[other], centre, reach
            )
            newest[k] = number_of(lists, first[k], near[k])
        found = 0
        while found < n_neighbours:
            k = 1 if newest[1] > newest[0] else 0
            k = 2 if newest[2] > newest[k] else k
            if newest[k] < 0:
                break
            edges[0, n], edges[1, n] = newest[k], i
            n += 1
            found += 1
            near[k] ^= np.int64(1) << highest_bit(np.uint32(near[k]))
            if near[k] == 0:
                start = lists.starts[home + (k - 1) * lists.n_columns]
                first[k], near[k], stop[k] = find_near(lists, start, stop[k], centre, reach)
            newest[k] = number_of(lists, first[k], near[k])
        for k in range(home - 1, home + 2):
            at = lists.ends[k]
            lists.points[at, 0], lists.points[at, 1] = event.t, x | y << 16 | i << 32
            lists.ends[k] = at + 1
    return n
