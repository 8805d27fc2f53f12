"""Slow representations of events in plain Python: what the kernels are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Event = tuple[int, int, int, bool]


def voxel_grid(
    events: Sequence[Event], *, width: int, height: int, n_bins: int, start_us: int, stop_us: int
) -> np.ndarray:
    """Signs shared between the two nearest bins, added in float32 in the order of the events."""
    volume = np.zeros((n_bins, height, width), np.float32)
    scale = (n_bins - 1) / (stop_us - start_us) if stop_us > start_us else 0.0
    for t, x, y, p in events:
        if not start_us <= t <= stop_us:
            continue
        place = (t - start_us) * scale
        sign = np.float32(1 if p else -1)
        k = math.floor(place)
        late = np.float32(place - k)
        volume[k, y, x] += sign * (np.float32(1) - late)
        if k + 1 < n_bins:
            volume[k + 1, y, x] += sign * late
    return volume


def decaying_count(
    events: Sequence[Event], *, width: int, height: int, tau_us: float, at_us: int
) -> np.ndarray:
    """The sum of exp(-age / tau) over all events of each polarity and pixel."""
    total = np.zeros((2, height, width))
    for t, x, y, p in events:
        if t <= at_us:
            total[int(p), y, x] += math.exp(-(at_us - t) / tau_us)
    return total.astype(np.float32)


def last_times(
    events: Sequence[Event], *, width: int, height: int, depth: int, at_us: int
) -> dict[tuple[int, int, int], list[int]]:
    """The times of the last events of each (polarity, row, column), newest first."""
    times: dict[tuple[int, int, int], list[int]] = {}
    for t, x, y, p in events:
        if t <= at_us:
            times.setdefault((int(p), y, x), []).insert(0, t)
    return {place: each[:depth] for place, each in times.items()}


def averaged_time_surfaces(
    events: Sequence[Event],
    *,
    width: int,
    height: int,
    cell: int,
    radius: int,
    tau_us: float,
    longest_us: int,
) -> np.ndarray:
    """Each event against all earlier ones of its cell and polarity."""
    n_rows, n_columns, side = -(-height // cell), -(-width // cell), 2 * radius + 1
    total = np.zeros((n_rows, n_columns, 2, side, side))
    counts = np.zeros((n_rows, n_columns, 2, 1, 1))
    for i, (t, x, y, p) in enumerate(events):
        place = (y // cell, x // cell, int(p))
        counts[place] += 1
        for s, a, b, q in events[:i]:
            is_near = max(abs(a - x), abs(b - y)) <= radius
            if (b // cell, a // cell, int(q)) == place and is_near and t - s <= longest_us:
                total[place][b - y + radius, a - x + radius] += math.exp(-(t - s) / tau_us)
    return total / np.maximum(counts, 1)


def radius_edges(
    events: Sequence[Event], *, radius: int, pixels_per_us: float, n_neighbours: int
) -> list[tuple[int, int]]:
    """Edges from the newest earlier events within the radius, newest first."""
    edges = []
    for i, (t, x, y, _) in enumerate(events):
        near = []
        for j in range(i - 1, -1, -1):
            dt = (t - events[j][0]) * pixels_per_us
            dx, dy = x - events[j][1], y - events[j][2]
            if dx * dx + dy * dy + dt * dt <= radius * radius:
                near.append((j, i))
        edges += near[:n_neighbours]
    return edges
