"""Slow transforms of events in plain Python: what the kernels are compared with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

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


def count_supporting(events: Sequence[Event], window_us: int) -> list[int]:
    """How many of the 8 pixels around each event had their latest event less than window_us before."""
    latest: dict[tuple[int, int], int] = {}
    counts = []
    for t, x, y, _ in events:
        around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]
        counts.append(sum(place in latest and t - latest[place] < window_us for place in around))
        latest[x, y] = t
    return counts


def keep_rested(events: Sequence[Event], period_us: int) -> list[bool]:
    """Whether the last kept event of each event's pixel is not 0 to period_us - 1 before it."""
    latest: dict[tuple[int, int], int] = {}
    kept = []
    for t, x, y, _ in events:
        is_kept = (x, y) not in latest or not 0 <= t - latest[x, y] < period_us
        if is_kept:
            latest[x, y] = t
        kept.append(is_kept)
    return kept


def keep_cool(
    events: Sequence[Event], *, width: int, height: int, n_deviations: int, times_around: int
) -> list[bool]:
    """Drop pixels with more than mean + n deviations events and more than times_around means of those around."""
    counts = Counter((x, y) for _, x, y, _ in events)
    mean = Fraction(len(events), width * height)
    variance = Fraction(sum(n * n for n in counts.values()), width * height) - mean * mean
    hot = set()
    for (x, y), n in counts.items():
        around = sum(counts[x + i, y + j] for i in (-1, 0, 1) for j in (-1, 0, 1)) - n
        is_high = n > mean and (n - mean) ** 2 > n_deviations**2 * variance
        if is_high and 8 * n > times_around * around:
            hot.add((x, y))
    return [(x, y) not in hot for _, x, y, _ in events]


def keep_in_line(events: Sequence[Event], window_us: int) -> list[bool]:
    """Whether the latest event of a row or column at most one away lies in the 8-neighbourhood and is recent."""
    rows: dict[int, tuple[int, int, int]] = {}
    columns: dict[int, tuple[int, int, int]] = {}
    kept = []
    for t, x, y, _ in events:
        remembered = [rows.get(y + k) for k in (-1, 0, 1)] + [columns.get(x + k) for k in (-1, 0, 1)]
        near = [
            event
            for event in remembered
            if event is not None and max(abs(event[1] - x), abs(event[2] - y)) == 1
        ]
        kept.append(any(t - event[0] < window_us for event in near))
        rows[y] = columns[x] = (t, x, y)
    return kept


def keep_in_windows(events: Sequence[Event], n_events: int, distance: int, n_supporting: int) -> list[bool]:
    """Whether enough of the last n_events kept and n_events dropped places are within the distance."""
    queues: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
    kept = []
    for _, x, y, _ in events:
        places = queues[False][-n_events:] + queues[True][-n_events:]
        is_kept = sum(abs(a - x) + abs(b - y) <= distance for a, b in places) >= n_supporting
        queues[is_kept].append((x, y))
        kept.append(is_kept)
    return kept


def keep_steady(events: Sequence[Event], shortest_us: int, longest_us: int, n_periods: int) -> list[bool]:
    """Whether each event's pixel does not flicker: no n_periods regular intervals between rises so far."""
    history: dict[tuple[int, int], tuple[bool | None, int | None, int]] = {}
    kept = []
    for t, x, y, p in events:
        last_p, last_rise, n = history.get((x, y), (None, None, 0))
        if p and last_p is False:
            regular = last_rise is not None and shortest_us <= t - last_rise <= longest_us
            n, last_rise = (n + 1 if regular else 0), t
        elif last_rise is not None and t - last_rise > longest_us:
            n = 0
        history[x, y] = (p, last_rise, n)
        kept.append(n < n_periods)
    return kept


def perceptron_inputs(events: Sequence[Event], side: int, tau_us: int) -> list[list[float]]:
    """Ages, then signs, of the pixels around each event: column by column from the left."""
    latest: dict[tuple[int, int], tuple[int, bool]] = {}
    half, rows = side // 2, []
    for t, x, y, p in events:
        ages, signs = [], []
        for column in range(x - half, x + half + 1):
            for row in range(y - half, y + half + 1):
                age = sign = 0.0
                if (column, row) in latest:
                    then, was_on = latest[column, row]
                    if t - then <= tau_us:
                        sign = 1.0 if was_on else -1.0
                    if 0 <= t - then < tau_us:
                        age = 1.0 - (t - then) / tau_us
                ages.append(age)
                signs.append(sign)
        signs[len(signs) // 2] = 1.0 if p else -1.0
        rows.append(ages + signs)
        latest[x, y] = (t, p)
    return rows
