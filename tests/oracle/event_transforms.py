"""Slow transforms of events in plain Python: what the kernels are compared with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Event = tuple[int, int, int, bool]


def keep_supported(events: Sequence[Event], window_us: int) -> list[bool]:
    """Whether one of the 8 pixels around each event had its latest event less than window_us before."""
    latest: dict[tuple[int, int], int] = {}
    kept = []
    for t, x, y, _ in events:
        around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]
        kept.append(any(place in latest and t - latest[place] < window_us for place in around))
        latest[x, y] = t
    return kept


def count_in_bins(
    events: Sequence[Event], *, start_us: int, bin_us: int, n_frames: int
) -> tuple[Counter[tuple[int, int, int, int]], int, int]:
    """Counts by (step, polarity, row, column), and the numbers of events before and beyond."""
    counts: Counter[tuple[int, int, int, int]] = Counter()
    n_before = n_beyond = 0
    for t, x, y, p in events:
        step = math.floor((t - start_us) / bin_us) if abs(t) < 2**50 else (t - start_us) // bin_us
        if step < 0:
            n_before += 1
        elif step >= n_frames:
            n_beyond += 1
        else:
            counts[step, int(p), y, x] += 1
    return counts, n_before, n_beyond


def emulate_pixel(
    log_intensity: Sequence[float],
    times_us: Sequence[int],
    *,
    on_threshold: float,
    off_threshold: float,
    leak_per_us: float,
    refractory_us: float,
) -> list[tuple[int, bool]]:
    """Times and polarities of one pixel without shot noise, by small steps of straight lines."""
    events: list[tuple[int, bool]] = []

    def signal(frame: int, now: float) -> float:
        slope = (log_intensity[frame + 1] - log_intensity[frame]) / (times_us[frame + 1] - times_us[frame])
        value = log_intensity[frame] + slope * (now - times_us[frame])
        return value + leak_per_us * (now - times_us[0])

    reference = log_intensity[0]
    resting_until: float | None = None
    for frame in range(len(times_us) - 1):
        now, stop = float(times_us[frame]), float(times_us[frame + 1])
        while True:
            if resting_until is not None:
                if resting_until > stop:
                    break
                now, resting_until = resting_until, None
                reference = signal(frame, now)
            change = signal(frame, stop) - signal(frame, now)
            target = reference + on_threshold if change > 0 else reference - off_threshold
            if change == 0 or stop == now:
                break
            part = (target - signal(frame, now)) / change
            moment = now + max(0.0, part) * (stop - now)
            if moment > stop:
                break
            events.append((math.floor(moment), change > 0))
            resting_until = moment + refractory_us
    return events
