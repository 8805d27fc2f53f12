"""Kernels of the transforms."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels_packing import AHEAD, prefetch

U = np.uint64
BLOCK = 512


@numba.njit(cache=True)
def make_keys(
    events: Any, bins: tuple[int, int, int], sensor: tuple[int, int], keys: npt.NDArray[np.int64]
) -> tuple[int, int, int]:
    """
    Write step * 2 * height * width + index of each event within the bins.

    bins is (start_us, bin_us, n_frames), sensor (width, height). Returns the number of keys, and of the
    events before and beyond the bins.
    """
    start_us, bin_us, n_frames = bins
    width, height = sensor
    n, n_before, n_beyond = 0, 0, 0
    stop_us = start_us + bin_us * n_frames
    area = height * width
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        t = event.t
        if t < start_us:
            n_before += 1
        elif t >= stop_us:
            n_beyond += 1
        else:
            index = np.int64(event.y) * width + np.int64(event.x)
            if event.p:
                index += area
            keys[n] = (t - start_us) // bin_us * (2 * area) + index
            n += 1
    return n, n_before, n_beyond


@numba.njit(cache=True)
def count_runs(
    keys: npt.NDArray[np.int64],
    size: int,
    step: npt.NDArray[np.int32],
    index: npt.NDArray[np.int32],
    count: npt.NDArray[np.float32],
) -> int:
    """Join equal sorted keys into entries (step, index, count); return the number of entries."""
    n = 0
    previous = np.int64(-1)
    for i in range(keys.shape[0]):
        key = keys[i]
        if key == previous:
            count[n - 1] += np.float32(1)
        else:
            step[n] = key // size
            index[n] = key % size
            count[n] = np.float32(1)
            n += 1
            previous = key
    return n


@numba.njit(cache=True)
def fits(events: Any, sensor: tuple[int, int]) -> Any:
    """Return whether all events (PLACED_DTYPE) lie within the sensor (width, height)."""
    max_x, max_xy = np.uint32(0), np.uint32(0)
    for i in range(events.shape[0]):
        xy = events[i].xy
        max_x, max_xy = max(max_x, xy & np.uint32(0xFFFF)), max(max_xy, xy)
    return max_x < sensor[0] and (max_xy >> np.uint32(16)) < sensor[1]


@numba.njit(cache=True)
def count_in_frames(
    events: Any, bins: tuple[int, int, int], sensor: tuple[int, int], frames: npt.NDArray[np.uint16]
) -> Any:
    """
    Count the events (PLACED_DTYPE) within each frame; bins is (start_us, bin_us, n_frames), frames flat.

    Returns whether one lies outside the sensor or a count went past 65535; the frames mean nothing then.
    """
    start_us, bin_us, n_frames = bins
    stop_us = start_us + bin_us * n_frames
    width, offset = U(sensor[0]), U(0)
    area = width * U(sensor[1])
    begin, end = start_us, start_us + bin_us
    for first in range(0, events.shape[0], BLOCK):
        block = events[first : first + BLOCK]
        if not fits(block, sensor):  # a block at a time: it is still in the cache when its events are counted
            return True
        for i in range(block.shape[0]):
            prefetch(block, i + AHEAD)
            event = block[i]
            t = event.t
            if t < begin or t >= end:  # seldom: events mostly stay in the frame of the one before
                if t < start_us or t >= stop_us:
                    continue
                frame = (t - start_us) // bin_us
                begin = start_us + frame * bin_us
                end = begin + bin_us
                offset = U(frame) * U(2) * area
            xy = U(event.xy)
            place = offset + U(event.p) * area + (xy >> U(16)) * width + (xy & U(0xFFFF))
            raised = np.uint16(frames[place] + np.uint16(1))
            frames[place] = raised
            if raised == np.uint16(0):
                return True
    return False


@numba.njit(cache=True)
def mark_every(
    events: Any, n: int, width: int, counts: npt.NDArray[np.int64], is_kept: npt.NDArray[np.bool_]
) -> None:
    """Mark each pixel's n-th, 2n-th, ... event; counts is a flat map of zeros."""
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        at = U(event.y) * U(width) + U(event.x)
        counts[at] += 1
        is_kept[i] = counts[at] == n
        if is_kept[i]:
            counts[at] = 0
