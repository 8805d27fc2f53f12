"""Coded neurons (section 16 of the specification), a block of steps at a time.

``currents``: float32, shape (n_steps, n_neurons), channel-last; ``busy``: uint8, 0 for a step without input, whose
currents are not read. ``trace``: the same shape for the membranes after each
step, or (0, 0) where not asked for. Each neuron's parameters stand in arrays of shape (n_neurons,). ``into`` has room
for every neuron in every step that may fire; each kernel returns the number of entries that it listed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Bytes, Floats, Frames, Int32s, Synapses
from neuro.kernels.options import DIVIDING, UNCOUNTED, njit

U = np.uint64


class Population(NamedTuple):
    """A population of coded neurons: parameters, what it remembers, and scratch.

    ``threshold``, ``added``: float32, shape (n_neurons,): the threshold, and the offset. ``voltage``,
    ``current``: float32, ``sent``: int32, each shape (n_neurons,), or (0,) where a kind does without.
    ``change``: float32, shape (n_neurons,): what each sends in a step; ``fired``: uint8, whether it is not 0, and
    ``fired_words``: the same bytes eight at a time.
    """

    n_channels: int
    threshold: Floats
    added: Floats
    voltage: Floats
    current: Floats
    sent: Int32s
    change: Floats
    fired: Bytes
    fired_words: NDArray[np.uint64]


@njit(cache=True, **UNCOUNTED)
def keep_trace(trace: Floats, step: int, voltage: Floats) -> None:
    """Copy the membranes of a step, where they are asked for."""
    if trace.size > 0:
        for o in range(voltage.size):
            trace[step, o] = voltage[o]


@njit(cache=True, **UNCOUNTED)
def add_to(total: Floats, terms: Floats) -> None:
    """Add to each its term."""
    for o in range(total.size):
        total[o] = total[o] + terms[o]


@njit(cache=True, **UNCOUNTED)
def pass_step(into: Frames, slot: int, n_pixels: int) -> None:
    """List a step without entries."""
    into.start[slot + 1 : slot + n_pixels + 1] = into.start[slot]


@njit(cache=True, **UNCOUNTED)
def list_step(cells: Population, into: Frames, slot: int) -> None:
    """List the neurons that fired in a step, with ``change`` as their values where there are any."""
    fired, words, change, n = cells.fired, cells.fired_words, cells.change, into.start[slot]
    n_channels, is_valued = U(cells.n_channels), into.value.size > 0
    for pixel in range(U(cells.voltage.size // cells.n_channels)):
        base = pixel * n_channels
        if n_channels % U(8) == U(0):
            for word in range(base // U(8), (base + n_channels) // U(8)):
                if words[word] != 0:
                    first = U(8) * word
                    for o in range(first, first + U(8)):  # written without branches: spikes come at random
                        into.index[n] = o
                        if is_valued:
                            into.value[n] = change[o]
                        n += fired[o]
        else:
            for o in range(base, base + n_channels):
                into.index[n] = o
                if is_valued:
                    into.value[n] = change[o]
                n += fired[o]
        into.start[U(slot) + pixel + U(1)] = n


@njit(cache=True, **UNCOUNTED)
def fire(voltage: Floats, least: Floats, fired: Bytes) -> None:
    """Mark the neurons that reach `least`, and take it from them."""
    for o in range(voltage.size):
        reaches = voltage[o] >= least[o]
        fired[o] = reaches
        voltage[o] = voltage[o] - least[o] if reaches else voltage[o]


@njit(cache=True, **UNCOUNTED)
def send_two_phase(
    currents: Floats,
    busy: Bytes,
    cells: Population,
    first: int,
    start: int,
    stop: int,
    into: Frames,
    trace: Floats,
) -> int:
    """R151: spikes in the steps from `start` to `stop`; `first` is the first step of the block."""
    v, n_pixels, slot = cells.voltage, cells.voltage.size // cells.n_channels, 0
    into.start[0], is_quiet = 0, False
    for step in range(currents.shape[0]):
        if busy[step] != 0:
            add_to(v, currents[step])
            is_quiet = False
        if start <= first + step < stop and not is_quiet:
            fire(v, cells.threshold, cells.fired)
            list_step(cells, into, slot)
            is_quiet = into.start[slot + n_pixels] == into.start[slot]
        else:
            pass_step(into, slot, n_pixels)
        slot += n_pixels
        keep_trace(trace, step, v)
    return int(into.start[slot])


@njit(cache=True, **UNCOUNTED)
def fire_signed(cells: Population, least: np.int32, most: np.int32) -> None:
    """Send 1 or -1 where a membrane is over its threshold or under 0, and the count stays in its limits."""
    v, threshold, count, change = cells.voltage, cells.threshold, cells.sent, cells.change
    for o in range(v.size):
        is_over, is_under = v[o] >= threshold[o], v[o] < 0
        up = is_over & (count[o] < most)
        down = is_under & (count[o] > least) & ~is_over
        sign = np.int32(up) - np.int32(down)
        count[o] = count[o] + sign
        change[o] = np.float32(sign)
    for o in range(v.size):
        v[o] = v[o] - change[o] * threshold[o]
    for o in range(v.size):
        cells.fired[o] = change[o] != 0


@njit(cache=True, **DIVIDING)
def send_signed(
    currents: Floats,
    busy: Bytes,
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
    v, n_pixels, slot = cells.voltage, cells.voltage.size // cells.n_channels, 0
    drive, parts = cells.current, np.float32(drive_steps)
    into.start[0], is_quiet = 0, False
    for step in range(currents.shape[0]):
        x, is_busy = currents[step], busy[step] != 0
        if is_busy and first + step == 0 and holds_input:
            for o in range(v.size):
                drive[o] = drive[o] + x[o] / parts
        elif is_busy:
            add_to(v, x)
        if first + step < drive_steps:
            add_to(v, drive)
        elif is_quiet and not is_busy:  # nothing has changed since a step in which none fired
            pass_step(into, slot, n_pixels)
            slot += n_pixels
            keep_trace(trace, step, v)
            continue
        fire_signed(cells, np.int32(least), np.int32(most))
        list_step(cells, into, slot)
        is_quiet = into.start[slot + n_pixels] == into.start[slot]
        slot += n_pixels
        keep_trace(trace, step, v)
    return int(into.start[slot])


@njit(cache=True, **UNCOUNTED)
def send_radix(
    currents: Floats,
    busy: Bytes,
    cells: Population,
    first: int,
    start: int,
    n_bits: int,
    into: Frames,
    trace: Floats,
) -> int:
    """R153: a digit in each of the `n_bits` steps from `start` on, the highest first."""
    v, least, n_pixels, slot = cells.voltage, cells.change, cells.voltage.size // cells.n_channels, 0
    into.start[0] = 0
    for step in range(currents.shape[0]):
        digit = first + step - start
        if digit <= 0:
            add_to(v, v)
            if busy[step] != 0:
                add_to(v, currents[step])
        if digit == 0:
            add_to(v, cells.added)
        if 0 <= digit < n_bits:
            place = np.float32(2.0 ** (n_bits - 1 - digit))
            for o in range(v.size):
                least[o] = cells.threshold[o] * place
            fire(v, least, cells.fired)
            list_step(cells, into, slot)
        else:
            pass_step(into, slot, n_pixels)
        slot += n_pixels
        keep_trace(trace, step, v)
    return int(into.start[slot])


@njit(cache=True, **UNCOUNTED)
def send_first_spike(
    currents: Floats,
    busy: Bytes,
    cells: Population,
    first: int,
    start: int,
    n_levels: int,
    into: Frames,
    trace: Floats,
) -> int:
    """R154: one spike at most in the `n_levels` steps from `start` on; `sent` is 1 for a neuron that has fired."""
    v, slope, n_pixels, slot = cells.voltage, cells.current, cells.voltage.size // cells.n_channels, 0
    into.start[0] = 0
    for step in range(currents.shape[0]):
        at = first + step - start
        if at <= 0:
            if busy[step] != 0:
                add_to(slope, currents[step])
            add_to(v, slope)
        if at == 0:
            add_to(v, cells.added)
        if 0 <= at < n_levels:
            left = np.float32(n_levels - at)
            for o in range(v.size):
                fires = (cells.sent[o] == 0) & (v[o] >= cells.threshold[o] * left)
                cells.sent[o] = cells.sent[o] + np.int32(fires)
                cells.change[o] = np.float32(fires)
            for o in range(v.size):
                cells.fired[o] = cells.change[o] != 0
            list_step(cells, into, slot)
        else:
            pass_step(into, slot, n_pixels)
        slot += n_pixels
        keep_trace(trace, step, v)
    return int(into.start[slot])


@njit(cache=True, **DIVIDING)
def send_changes(
    currents: Floats, busy: Bytes, cells: Population, least: int, most: int, into: Frames, trace: Floats
) -> int:
    """R155: the change of each neuron's count."""
    v, threshold, count, change = cells.voltage, cells.threshold, cells.sent, cells.change
    low, high, n_pixels, slot = np.float32(least), np.float32(most), v.size // cells.n_channels, 0
    into.start[0], is_quiet = 0, False
    for step in range(currents.shape[0]):
        if busy[step] == 0 and is_quiet:
            pass_step(into, slot, n_pixels)
            slot += n_pixels
            keep_trace(trace, step, v)
            continue
        if busy[step] != 0:
            add_to(v, currents[step])
        is_quiet = True  # what it has counted is not changed by a step without input
        for o in range(v.size):
            found = np.int32(min(max(np.floor(v[o] / threshold[o]), low), high))
            change[o] = np.float32(found - count[o])
            count[o] = found
        for o in range(v.size):
            cells.fired[o] = change[o] != 0
        list_step(cells, into, slot)
        slot += n_pixels
        keep_trace(trace, step, v)
    return int(into.start[slot])


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
