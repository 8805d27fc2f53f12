"""Kernels of event graphs."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


@numba.njit(cache=True)
def connect(
    events: Any,
    reach: tuple[int, float],
    n_neighbours: int,
    grid: tuple[int, int],
    chains: tuple[Index, Index],
    edges: Index,
) -> Any:
    """
    Write the edges into each event from the events before it and near it, newest first; return their number.

    reach is (radius in pixels, pixels per us). grid is (columns, rows) of square buckets of side `radius`, with a
    margin of one bucket on each side. chains is (head, before): the newest event of each bucket and the event
    before each event in its bucket, -1 for none. edges, shape (room, 2), has room for n_neighbours edges of each
    event.
    """
    radius, speed = reach
    head, before = chains
    columns = grid[0]
    limit = float(radius) * float(radius)
    n = 0
    candidates = np.empty(9, np.int64)
    for i in range(events.shape[0]):
        event = events[i]
        home = (np.int64(event.y) // radius + 1) * columns + np.int64(event.x) // radius + 1
        for k in range(9):
            candidates[k] = head[home + (k // 3 - 1) * columns + k % 3 - 1]
        found = 0
        while found < n_neighbours:
            newest = 0
            for k in range(1, 9):
                newest = k if candidates[k] > candidates[newest] else newest
            j = candidates[newest]
            if j < 0:
                break
            other = events[j]
            dt = float(event.t - other.t) * speed
            if dt * dt > limit:  # and so is everything older
                break
            dx, dy = float(event.x) - float(other.x), float(event.y) - float(other.y)
            if dx * dx + dy * dy + dt * dt <= limit:
                edges[n, 0], edges[n, 1] = j, i
                n += 1
                found += 1
            candidates[newest] = before[j]
        before[i] = head[home]
        head[home] = i
    return n
