"""Kernels of counts, volumes and surfaces. Flat arrays are indexed without wrap-around."""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels_packing import AHEAD, prefetch

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
def count(events: Any, sensor: tuple[int, int], counts: npt.NDArray[np.uint32]) -> Any:
    """
    Count the events of each polarity and pixel; sensor is (width, height), counts flat.

    Returns whether an event lies outside the sensor; the counts mean nothing then.
    """
    width, height = U(sensor[0]), U(sensor[1])
    area = width * height
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        x, y = U(event.x), U(event.y)
        if x >= width or y >= height:
            return True
        counts[U(event.p) * area + y * width + x] += np.uint32(1)
    return False


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
        prefetch(events, i + AHEAD)
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
) -> Any:
    """
    Share the sign of each event between the two bins nearest in time.

    span is (start_us, stop_us, bins per us); volume is flat and has one plane more than bins, which stays unused.
    Returns whether one of the span lies outside the sensor; the volume means nothing then.
    """
    start_us, stop_us, scale = span
    width, height = U(sensor[0]), U(sensor[1])
    area = width * height
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        t = event.t
        if t < start_us or t > stop_us:
            continue
        place = (t - start_us) * scale
        plane = np.int64(place)
        late = np.float32(place - plane)
        sign = np.float32(1) if event.p else np.float32(-1)
        x, y = U(event.x), U(event.y)
        if x >= width or y >= height:
            return True
        at = U(plane) * area + y * width + x
        volume[at] += sign * (np.float32(1) - late)
        volume[at + area] += sign * late
    return False


@numba.njit(cache=True)
def remember_latest(events: Any, at_us: int, sensor: tuple[int, int], latest: Times) -> None:
    """Write the time of the last event in order of each polarity and pixel, of those until at_us."""
    width, area = U(sensor[0]), U(sensor[0] * sensor[1])
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        if event.t <= at_us:
            latest[U(event.p) * area + U(event.y) * width + U(event.x)] = event.t


@numba.njit(cache=True)
def remember_last(events: Any, at_us: int, sensor: tuple[int, int], depth: int, latest: Times) -> None:
    """Write the times of the last `depth` events of each polarity and pixel, newest first; latest is flat."""
    width, area, n = U(sensor[0]), U(sensor[0] * sensor[1]), U(depth)
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
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
        prefetch(events, i + AHEAD)
        event = events[i]
        t = event.t
        if t <= at_us:
            if t != previous:  # events of one microsecond share their weight
                weight = math.exp(-float(at_us - t) / tau_us)
                previous = t
            total[U(event.p) * area + U(event.y) * width + U(event.x)] += weight


class Cells(NamedTuple):
    """
    How a sensor is cut into cells, and what an event sees of its own.

    n is the number of cells; rows and columns, int32, give each sensor row's and column's first cell number and its
    place within the cell; stride and plane are the sizes of a padded row and of a polarity in a cell's memory; side
    is that of a surface.
    """

    n: int
    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    stride: int
    plane: int
    side: int


@numba.njit(cache=True)
def sort_by_cell(events: Any, cells: Cells, ends: Times, times: Times, places: npt.NDArray[np.uint32]) -> Any:
    """
    Write times and places of the events cell after cell, in their order; ends holds where each cell's end.

    A place is where the surface around an event begins in its cell's memory. Returns whether all events lie inside
    the sensor and in order of time; what is written means nothing where they do not.
    """
    height, width = cells.rows.shape[0], cells.columns.shape[0]
    previous = NEVER_US
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        if event.x >= width or event.y >= height or event.t < previous:
            return False
        previous = event.t
        ends[U(cells.rows[U(event.y), 0] + cells.columns[U(event.x), 0])] += 1
    total = 0
    for k in range(ends.shape[0]):
        n = ends[k]
        ends[k] = total
        total += n
    for i in range(events.shape[0]):
        prefetch(events, i + AHEAD)
        event = events[i]
        x, y = U(event.x), U(event.y)
        own = U(cells.rows[y, 0] + cells.columns[x, 0])
        at = U(ends[own])
        times[at] = event.t
        places[at] = cells.plane * event.p + cells.rows[y, 1] * cells.stride + cells.columns[x, 1]
        ends[own] += 1
    return True


@numba.njit(cache=True)
def add_aged(memory: Doubles, place: Any, aged: float, sums: Doubles, offset: Any, n: Any) -> None:
    """Add n values of the memory times aged to sums."""
    for c in range(U(n)):
        sums[U(offset) + c] += memory[U(place) + c] * aged


@numba.njit(cache=True)
def average_cell(
    times: Times,
    places: npt.NDArray[np.uint32],
    cells: Cells,
    window: tuple[int, float],
    memory: Doubles,
    sums: Doubles,
) -> None:
    """
    Add the time surfaces of one cell's events, and divide by their number.

    window is (longest age in us, tau_us). memory and sums, flat, are 0 at first. memory holds exp((s - reference) /
    tau_us) of the events s that are not too old, so that one multiplication by exp(-(t - reference) / tau_us) ages
    all of it.
    """
    longest_us, tau_us = window
    middle = cells.side // 2 * (cells.stride + 1)
    half = sums.shape[0] // 2
    weights = np.empty(times.shape[0])
    n_on, oldest, reference = 0, 0, times[0]
    for k in range(times.shape[0]):
        t = times[k]
        while t - times[oldest] > longest_us:
            memory[U(places[oldest]) + U(middle)] -= weights[oldest]
            oldest += 1
        if oldest == k:  # nothing is left: what subtraction left behind goes, too
            memory[:] = 0.0
            reference = t
        elif float(t - reference) > 32.0 * tau_us:
            factor = math.exp(float(reference - t) / tau_us)
            memory *= factor
            weights[oldest:k] *= factor
            reference = t
        weight = math.exp(float(t - reference) / tau_us)
        is_on = places[k] >= cells.plane
        n_on += is_on
        add_aged(memory, places[k], 1.0 / weight, sums, half * is_on, half)
        memory[U(places[k]) + U(middle)] += weight
        weights[k] = weight
    sums[:half] /= float(max(times.shape[0] - n_on, 1))
    sums[half:] /= float(max(n_on, 1))


@numba.njit(cache=True)
def average_cells(
    times: Times,
    places: npt.NDArray[np.uint32],
    ends: Times,
    cells: Cells,
    window: tuple[int, float],
    surfaces: npt.NDArray[np.float32],
) -> None:
    """Write the averaged surfaces of all cells, shape (n_cells, 2, side, side)."""
    side = cells.side
    memory = np.zeros(2 * cells.plane + cells.stride)
    sums = np.zeros(2 * side * cells.stride)
    start = np.int64(0)
    for k in range(ends.shape[0]):
        if ends[k] > start:
            memory[:] = 0.0
            sums[:] = 0.0
            average_cell(times[start : ends[k]], places[start : ends[k]], cells, window, memory, sums)
            surfaces[k] = sums.reshape((2, side, cells.stride))[:, :, :side].astype(np.float32)
        start = ends[k]
