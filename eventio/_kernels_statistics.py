"""Kernel that sums up events as they pass."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

U = np.uint64
N_EVENTS, FIRST_US, LAST_US, N_DUPLICATES, LONGEST_GAP_US, GAP_START_US, N_MOMENTS, BIN_US = range(8)
N_FIGURES = 8


@numba.njit(cache=True)
def halve(bins: npt.NDArray[np.int64]) -> None:
    """Join neighbouring bins into the first half; the second half is empty then."""
    half = bins.shape[0] // 2
    for k in range(half):
        bins[k] = bins[2 * k] + bins[2 * k + 1]
    bins[half:] = 0


@numba.njit(cache=True)
def sum_up(
    events: Any,
    sensor: tuple[int, int],
    last: Any,
    figures: npt.NDArray[np.int64],
    bins: npt.NDArray[np.int64],
    counts: npt.NDArray[np.uint32],
) -> None:
    """
    Count events per pixel and polarity (counts, flat) and over time (bins), and what is odd about them (figures).

    last holds the last event of the call before in its one element. A bin lasts figures[BIN_US] and doubles when
    the events outrun the bins; events before the first count in the first bin.
    """
    width, area = U(sensor[0]), U(sensor[0] * sensor[1])
    for i in range(events.shape[0]):
        event, before = events[i], last[0]
        t, x, y, p = event.t, event.x, event.y, event.p
        if figures[N_EVENTS] == 0:
            figures[FIRST_US], figures[N_MOMENTS] = t, 1
        else:
            if t == before.t and x == before.x and y == before.y and p == before.p:
                figures[N_DUPLICATES] += 1
            if t != before.t:
                figures[N_MOMENTS] += 1
            if t - before.t > figures[LONGEST_GAP_US]:
                figures[LONGEST_GAP_US], figures[GAP_START_US] = t - before.t, before.t
        counts[U(p) * area + U(y) * width + U(x)] += np.uint32(1)
        since = max(t - figures[FIRST_US], 0)
        while since // figures[BIN_US] >= bins.shape[0]:
            halve(bins)
            figures[BIN_US] *= 2
        bins[since // figures[BIN_US]] += 1
        figures[N_EVENTS] += 1
        figures[LAST_US] = t
        before.t, before.x, before.y, before.p = t, x, y, p
