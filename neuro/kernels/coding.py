"""Coded neurons (section 16 of the specification), a block of steps at a time.

``currents``: float32, shape (n_steps, n_neurons), channel-last. ``trace``: the same shape for the membranes after each
step, or (0, 0) where not asked for. Each neuron's parameters stand in arrays of shape (n_neurons,). ``into`` has room
for every neuron in every step that may fire; each kernel returns the number of entries that it listed.
"""

from typing import NamedTuple

import numpy as np

from neuro.kernels.arrays import Floats, Frames, Int32s, Synapses
from neuro.kernels.options import DIVIDING, UNCOUNTED, njit


class Population(NamedTuple):
    """A population of coded neurons: parameters, and what it remembers.

    ``threshold``, ``added``: float32, shape (n_neurons,): the threshold, and the offset. ``voltage``,
    ``current``: float32, ``sent``: int32, each shape (n_neurons,), or (0,) where a kind does without.
    """

    n_channels: int
    threshold: Floats
    added: Floats
    voltage: Floats
    current: Floats
    sent: Int32s


@njit(cache=True, **UNCOUNTED)
def keep_trace(trace: Floats, step: int, voltage: Floats) -> None:
    """Copy the membranes of a step, where they are asked for."""
    if trace.size > 0:
        for o in range(voltage.size):
            trace[step, o] = voltage[o]


@njit(cache=True, **UNCOUNTED)
def send_two_phase(
    currents: Floats,
    cells: Population,
    first: int,
    start: int,
    stop: int,
    into: Frames,
    trace: Floats,
) -> int:
    """R151: spikes in the steps from `start` to `stop`; `first` is the first step of the block."""
    v, threshold, n, slot = cells.voltage, cells.threshold, 0, 0
    into.start[0] = 0
    for step in range(currents.shape[0]):
        x = currents[step]
        for o in range(v.size):
            v[o] = v[o] + x[o]
        is_open = start <= first + step < stop
        for base in range(0, v.size, cells.n_channels):
            if is_open:
                for o in range(
                    base, base + cells.n_channels
                ):  # written without branches: spikes come at random
                    fires = v[o] >= threshold[o]
                    v[o] = v[o] - threshold[o] if fires else v[o]
                    into.index[n] = o
                    n += fires
            slot += 1
            into.start[slot] = n
        keep_trace(trace, step, v)
    return n


@njit(cache=True, **DIVIDING)
def send_signed(
    currents: Floats,
    cells: Population,
    first: int,
    drive_steps: int,
    holds_input: bool,
    least: int,
    most: int,
    into: Frames,
    trace: Floats,
) -> int:
    """R152: spikes of either sign; sums stay between `least` and `most`. ``current`` is the drive."""
    v, threshold, count, n, slot = cells.voltage, cells.threshold, cells.sent, 0, 0
    drive, parts = cells.current, np.float32(drive_steps)
    into.start[0] = 0
    for step in range(currents.shape[0]):
        x = currents[step]
        if first + step == 0 and holds_input:
            for o in range(v.size):
                drive[o] = drive[o] + x[o] / parts
        else:
            for o in range(v.size):
                v[o] = v[o] + x[o]
        if first + step < drive_steps:
            for o in range(v.size):
                v[o] = v[o] + drive[o]
        for base in range(0, v.size, cells.n_channels):
            for o in range(base, base + cells.n_channels):
                up = (v[o] >= threshold[o]) & (count[o] < most)
                down = (v[o] < 0) & (count[o] > least) & (v[o] < threshold[o])
                sign = np.int32(up) - np.int32(down)
                v[o] = v[o] - np.float32(sign) * threshold[o]
                count[o] += sign
                into.index[n] = o
                into.value[n] = np.float32(sign)
                n += sign != 0
            slot += 1
            into.start[slot] = n
        keep_trace(trace, step, v)
    return n


@njit(cache=True, **UNCOUNTED)
def send_radix(
    currents: Floats, cells: Population, first: int, start: int, n_bits: int, into: Frames, trace: Floats
) -> int:
    """R153: a digit in each of the `n_bits` steps from `start` on, the highest first."""
    v, threshold, n, slot = cells.voltage, cells.threshold, 0, 0
    into.start[0] = 0
    for step in range(currents.shape[0]):
        x, digit = currents[step], first + step - start
        if digit <= 0:
            for o in range(v.size):
                v[o] = (v[o] + v[o]) + x[o]
        if digit == 0:
            for o in range(v.size):
                v[o] = v[o] + cells.added[o]
        place = np.float32(2.0 ** (n_bits - 1 - digit))
        for base in range(0, v.size, cells.n_channels):
            if 0 <= digit < n_bits:
                for o in range(base, base + cells.n_channels):
                    least = threshold[o] * place
                    fires = v[o] >= least
                    v[o] = v[o] - least if fires else v[o]
                    into.index[n] = o
                    n += fires
            slot += 1
            into.start[slot] = n
        keep_trace(trace, step, v)
    return n


@njit(cache=True, **UNCOUNTED)
def send_first_spike(
    currents: Floats, cells: Population, first: int, start: int, n_levels: int, into: Frames, trace: Floats
) -> int:
    """R154: one spike at most in the `n_levels` steps from `start` on; `sent` is 1 for a neuron that has fired."""
    v, slope, threshold, n, slot = cells.voltage, cells.current, cells.threshold, 0, 0
    into.start[0] = 0
    for step in range(currents.shape[0]):
        x, at = currents[step], first + step - start
        if at <= 0:
            for o in range(v.size):
                slope[o] = slope[o] + x[o]
                v[o] = v[o] + slope[o]
        if at == 0:
            for o in range(v.size):
                v[o] = v[o] + cells.added[o]
        left = np.float32(n_levels - at)
        for base in range(0, v.size, cells.n_channels):
            if 0 <= at < n_levels:
                for o in range(base, base + cells.n_channels):
                    if cells.sent[o] == 0 and v[o] >= threshold[o] * left:
                        cells.sent[o] = 1
                        into.index[n] = o
                        n += 1
            slot += 1
            into.start[slot] = n
        keep_trace(trace, step, v)
    return n


@njit(cache=True, **DIVIDING)
def send_changes(
    currents: Floats, cells: Population, least: int, most: int, into: Frames, trace: Floats
) -> int:
    """R155: the change of each neuron's count."""
    v, threshold, count, n, slot = cells.voltage, cells.threshold, cells.sent, 0, 0
    low, high = np.float32(least), np.float32(most)
    into.start[0] = 0
    for step in range(currents.shape[0]):
        x = currents[step]
        for base in range(0, v.size, cells.n_channels):
            for o in range(base, base + cells.n_channels):
                v[o] = v[o] + x[o]
                found = np.int32(min(max(np.floor(v[o] / threshold[o]), low), high))
                if found != count[o]:
                    into.index[n] = o
                    into.value[n] = np.float32(found - count[o])
                    n += 1
                    count[o] = found
            slot += 1
            into.start[slot] = n
        keep_trace(trace, step, v)
    return n


@njit(cache=True, **UNCOUNTED)
def pool_largest(window: Synapses, row: int, column: int, counts: Floats, largest: Floats) -> None:
    """Put the maximum of each channel over a window into `largest`."""
    n = window.in_channels
    largest[:] = np.float32(-np.inf)
    for r in range(window.gather_row[row], window.gather_row[row + 1]):
        line = window.gather_pixel[r]
        for c in range(window.gather_column[column], window.gather_column[column + 1]):
            for pixel in range(line + window.run_start[c], line + window.run_stop[c]):
                seen = counts[pixel * n : (pixel + 1) * n]
                for channel in range(n):
                    largest[channel] = max(largest[channel], seen[channel])


@njit(cache=True, **UNCOUNTED)
def pool_counts(
    frames: Frames,
    window: Synapses,
    base: np.float32,
    steps: tuple[int, int],
    counts: Floats,
    before: Floats,
    largest: Floats,
    into: Frames,
) -> int:
    """R157 (`base` 1) and R158 (`base` 2): changes of the maxima of counts in the `steps` (start, stop).

    ``largest``: float32, shape (n_channels,), scratch.
    """
    n, slot, n_in = 0, 0, window.n_in_pixels
    n_steps = (into.start.size - 1) // (window.out_rows * window.out_columns)
    into.start[0] = 0
    for step in range(n_steps):
        lo, hi = frames.start[step * n_in], frames.start[(step + 1) * n_in]
        is_on = steps[0] <= step < steps[1] and (hi > lo or base != 1)
        if is_on:
            for k in range(counts.size):
                counts[k] = base * counts[k]
            for k in range(lo, hi):
                counts[frames.index[k]] += frames.value[k] if frames.value.size > 0 else np.float32(1)
        for row in range(window.out_rows):
            for column in range(window.out_columns):
                first = (row * window.out_columns + column) * window.in_channels
                if is_on:
                    pool_largest(window, row, column, counts, largest)
                    for channel in range(window.in_channels):
                        value = largest[channel] - base * before[first + channel]
                        before[first + channel] = largest[channel]
                        into.index[n] = first + channel
                        into.value[n] = value
                        n += value != 0
                slot += 1
                into.start[slot] = n
    return n
