"""Kernels of counts, volumes and surfaces. Events are in the sensor; flat arrays are indexed without wrap-around."""

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

U = np.uint64
NEVER_US = np.int64(-(2**63))
Times = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@numba.njit(cache=True)
def find_backward(events: Any) -> Any:
    """Return the index of the first event earlier than the one before it, or -1."""
    for i in range(1, events.shape[0]):
        if events[i].t < events[i - 1].t:
            return i
    return -1


@numba.njit(cache=True)
def count(events: Any, sensor: tuple[int, int], counts: npt.NDArray[np.uint32]) -> None:
    """Count the events of each polarity and pixel; sensor is (width, height), counts flat."""
    width, area = U(sensor[0]), U(sensor[0] * sensor[1])
    for i in range(events.shape[0]):
        event = events[i]
        counts[U(event.p) * area + U(event.y) * width + U(event.x)] += np.uint32(1)


@numba.njit(cache=True)
def set_bits(
    events: Any, bins: tuple[int, int, int], sensor: tuple[int, int], frames: npt.NDArray[np.uint8]
) -> None:
    """Set the bit of each event; frames is flat, of shape (n_frames, 2, height, bytes of a row), high bit first."""
    start_us, bin_us, n_frames = bins
    stop_us = start_us + bin_us * n_frames
    stride = U((sensor[0] + 7) // 8)
    area = stride * U(sensor[1])
    begin, end, offset = start_us, start_us + bin_us, U(0)
    for i in range(events.shape[0]):
        event = events[i]
        t = event.t
        if t < begin or t >= end:
            if t < start_us or t >= stop_us:
                continue
            frame = (t - start_us) // bin_us
            begin = start_us + frame * bin_us
            end = begin + bin_us
            offset = U(frame) * U(2) * area
        x = U(event.x)
        place = offset + U(event.p) * area + U(event.y) * stride + (x >> U(3))
        frames[place] |= np.uint8(128) >> np.uint8(x & U(7))


@numba.njit(cache=True)
def spread(
    events: Any, span: tuple[int, int, float], sensor: tuple[int, int], volume: npt.NDArray[np.float32]
) -> None:
    """
    Share the sign of each event between the two bins nearest in time.

    span is (start_us, stop_us, bins per us); volume is flat and has one plane more than bins, which stays unused.
    """
    start_us, stop_us, scale = span
    width, area = U(sensor[0]), U(sensor[0] * sensor[1])
    for i in range(events.shape[0]):
        event = events[i]
        t = event.t
        if t < start_us or t > stop_us:
            continue
        place = (t - start_us) * scale
        plane = np.int64(place)
        late = np.float32(place - plane)
        sign = np.float32(1) if event.p else np.float32(-1)
        at = U(plane) * area + U(event.y) * width + U(event.x)
        volume[at] += sign * (np.float32(1) - late)
        volume[at + area] += sign * late


@numba.njit(cache=True)
def remember_latest(events: Any, at_us: int, sensor: tuple[int, int], latest: Times) -> None:
    """Write the time of the last event in order of each polarity and pixel, of those until at_us."""
    width, area = U(sensor[0]), U(sensor[0] * sensor[1])
    for i in range(events.shape[0]):
        event = events[i]
        if event.t <= at_us:
            latest[U(event.p) * area + U(event.y) * width + U(event.x)] = event.t


@numba.njit(cache=True)
def remember_last(events: Any, at_us: int, sensor: tuple[int, int], depth: int, latest: Times) -> None:
    """Write the times of the last `depth` events of each polarity and pixel, newest first; latest is flat."""
    width, area, n = U(sensor[0]), U(sensor[0] * sensor[1]), U(depth)
    for i in range(events.shape[0]):
        event = events[i]
        if event.t <= at_us:
            at = (U(event.p) * area + U(event.y) * width + U(event.x)) * n
            for k in range(n - U(1), U(0), -1):
                latest[at + U(k)] = latest[at + U(k) - U(1)]
            latest[at] = event.t


@numba.njit(cache=True)
def add_decayed(events: Any, at_us: int, tau_us: float, sensor: tuple[int, int], total: Doubles) -> None:
    """Add exp(-(at_us - t) / tau_us) of each event until at_us to its polarity and pixel."""
    width, area = U(sensor[0]), U(sensor[0] * sensor[1])
    previous, weight = at_us, 1.0
    for i in range(events.shape[0]):
        event = events[i]
        t = event.t
        if t <= at_us:
            if t != previous:  # events of one microsecond share their weight
                weight = math.exp(-float(at_us - t) / tau_us)
                previous = t
            total[U(event.p) * area + U(event.y) * width + U(event.x)] += weight


@numba.njit(cache=True)
def sort_by_cell(events: Any, cell: int, n_columns: int, ends: Times, order: npt.NDArray[np.int64]) -> None:
    """Write the indices of the events cell after cell, in their order; ends holds where each cell's end."""
    for i in range(events.shape[0]):
        event = events[i]
        ends[np.int64(event.y) // cell * n_columns + np.int64(event.x) // cell] += 1
    total = 0
    for k in range(ends.shape[0]):
        n = ends[k]
        ends[k] = total
        total += n
    for i in range(events.shape[0]):
        event = events[i]
        k = np.int64(event.y) // cell * n_columns + np.int64(event.x) // cell
        order[ends[k]] = i
        ends[k] += 1


@numba.njit(cache=True)
def average_cell(
    events: Any,
    order: npt.NDArray[np.int64],
    cell: int,
    window: tuple[int, float],
    memory: Doubles,
    sums: Doubles,
) -> None:
    """
    Add the time surfaces of one cell's events, and divide by their number.

    order lists the events; window is (longest age in us, tau_us); memory, shape (2, cell + 2 * radius, the same),
    is 0; sums has shape (2, side, side). memory holds exp((s - reference) / tau_us) of the events s that are not
    too old, so that one multiplication by exp(-(t - reference) / tau_us) ages all of it.
    """
    longest_us, tau_us = window
    side = sums.shape[1]
    radius = side // 2
    counts = np.zeros(2, np.int64)
    oldest = 0
    reference = np.int64(0) if order.shape[0] == 0 else events[order[0]].t
    for k in range(order.shape[0]):
        event = events[order[k]]
        t = event.t
        while t - events[order[oldest]].t > longest_us:
            gone = events[order[oldest]]
            x, y = np.int64(gone.x) % cell + radius, np.int64(gone.y) % cell + radius
            memory[np.int64(gone.p), y, x] -= math.exp(float(gone.t - reference) / tau_us)
            oldest += 1
        if oldest == k:  # nothing is left: what subtraction left behind goes, too
            memory[:] = 0.0
            reference = t
        elif float(t - reference) > 32.0 * tau_us:
            memory *= math.exp(float(reference - t) / tau_us)
            reference = t
        weight = math.exp(float(t - reference) / tau_us)
        aged = 1.0 / weight
        p, row, column = np.int64(event.p), np.int64(event.y) % cell, np.int64(event.x) % cell
        counts[p] += 1
        for r in range(side):
            for c in range(side):
                sums[p, r, c] += memory[p, row + r, column + c] * aged
        memory[p, row + radius, column + radius] += weight
    for p in range(2):
        sums[p] /= float(max(counts[p], 1))


@numba.njit(cache=True)
def average_cells(
    events: Any,
    order: npt.NDArray[np.int64],
    ends: Times,
    cell: int,
    window: tuple[int, float],
    surfaces: npt.NDArray[np.float32],
) -> None:
    """Write the averaged surfaces of all cells, shape (n_cells, 2, side, side)."""
    side = surfaces.shape[2]
    memory = np.zeros((2, cell + side - 1, cell + side - 1))
    sums = np.zeros((2, side, side))
    start = np.int64(0)
    for k in range(ends.shape[0]):
        if ends[k] > start:
            memory[:] = 0.0
            sums[:] = 0.0
            average_cell(events, order[start : ends[k]], cell, window, memory, sums)
            surfaces[k] = sums.astype(np.float32)
        start = ends[k]
