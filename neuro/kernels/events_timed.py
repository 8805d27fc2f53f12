"""Neurons in continuous time whose spikes need not fall on events: driven ones, currents, refractory ones, readouts.

Each neuron has its own time of last update; between events each has the time at which it will fire by itself if
nothing reaches it before. The neurons of a layer do not see each other, so a pixel is looked at when an event
reaches it and once at the end: spikes of their own are listed apart, in any order, and sorted by the caller.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Floats, Int64s, Synapses
from neuro.kernels.crossings import FAR, Timing, crossing_bound, gain_after, membrane_after, next_crossing
from neuro.kernels.events import Deltas
from neuro.kernels.options import PART, UNCOUNTED, njit

Doubles = NDArray[np.float64]

NEVER = np.iinfo(np.int64).max

U = np.uint64


class Timed(NamedTuple):
    """State: what the neurons were at the time ``since``, and when they fire next.

    ``voltage``: float64, shape (n_neurons,); ``current``: the same, or (0,). ``since``: int64, shape (n_neurons,):
    last update, or the end of the refractory period, in which it may lie ahead. ``due``: int64, the same shape, or
    (0,): a time before which the neuron does not fire by itself, or NEVER; ``pixel_due``: the first of each pixel.
    """

    voltage: Doubles
    current: Doubles
    since: Int64s
    due: Int64s
    pixel_due: Int64s


@njit(cache=True, **UNCOUNTED)
def look_ahead(timing: Timing, state: Timed, first: int, stop: int) -> None:
    """Set the times before which some neurons do not fire by themselves."""
    for o in range(first, stop):
        own = U(0) if timing.is_uniform else U(o)
        i = state.current[U(o)] if timing.has_current else 0.0
        n = crossing_bound(timing, own, state.voltage[U(o)], i)
        state.due[U(o)] = NEVER if n >= FAR else state.since[U(o)] + n


@njit(cache=True, **UNCOUNTED)
def find_first(state: Timed, pixel: int, n: int) -> None:
    """Set the first time of a pixel's n neurons."""
    first = NEVER
    for o in range(pixel * n, (pixel + 1) * n):
        first = min(first, state.due[U(o)])
    state.pixel_due[U(pixel)] = first


@njit(cache=True, **PART)
def fire_due(timing: Timing, state: Timed, pixel: int, n: int, limit: int, out: Deltas, n_spikes: int) -> int:
    """List all spikes that a pixel's neurons fire by themselves up to a time; stop early where `out` is full."""
    if state.pixel_due[U(pixel)] > limit:
        return n_spikes
    for o in range(pixel * n, (pixel + 1) * n):
        own = U(0) if timing.is_uniform else U(o)
        while state.due[U(o)] <= limit and n_spikes < out.index.size:
            since = state.since[U(o)]
            i = state.current[U(o)] if timing.has_current else 0.0
            ticks = next_crossing(timing, own, state.voltage[U(o)], i)
            t = NEVER if ticks >= FAR else since + ticks
            if t > limit:
                state.due[U(o)] = t
                break
            reset = timing.reset[own]
            if timing.is_subtracting:
                reset = membrane_after(timing, own, state.voltage[U(o)], i, t - since) - reset
            state.voltage[U(o)] = reset
            state.since[U(o)] = t + timing.refractory
            if timing.has_current:
                state.current[U(o)] = i * math.exp(
                    (t - since + timing.refractory) * timing.current_decay[own]
                )
            out.t[U(n_spikes)] = t
            out.index[U(n_spikes)] = o
            n_spikes += 1
            look_ahead(timing, state, o, o + 1)
    find_first(state, pixel, n)
    return n_spikes


@njit(cache=True, **UNCOUNTED)
def sweep(timing: Timing, state: Timed, n: int, limit: int, out: Deltas, tally: Int64s) -> bool:
    """List the spikes that all neurons fire by themselves up to a time; tell whether that was all.

    ``tally[0]``: spikes in `out` (read and set).
    """
    n_spikes = tally[0]
    for pixel in range(state.pixel_due.size):
        if state.pixel_due[pixel] <= limit:
            n_spikes = fire_due(timing, state, pixel, n, limit, out, n_spikes)
            if n_spikes == out.index.size:
                break
    tally[0] = n_spikes
    is_done: bool = n_spikes < out.index.size
    return is_done


@njit(cache=True, forceinline=True, **PART)
def list_event(out: Deltas, tally: Int64s, t: int, o: int, x: float) -> None:
    """Add one event to a list that has room for it."""
    n = U(tally[1])
    out.t[n] = t
    out.index[n] = o
    out.value[n] = x
    tally[1] += 1


@njit(cache=True, forceinline=True, **PART)
def reach_membranes(
    timing: Timing,
    state: Timed,
    at: tuple[int, int],
    weight: Floats,
    row: int,
    by: tuple[int, float],
    out: Deltas,
    tally: Int64s,
) -> None:
    """Let an event reach neurons without currents: bring them to its time, drive, compare, reset, list.

    ``at``: first neuron, number of neurons. ``by``: time and value of the event. ``tally``: as in `integrate_timed`.
    """
    first, n_out = at
    t, x = by
    elapsed, decay = 0, 1.0
    for c in range(n_out):
        o = U(first + c)
        own = U(0) if timing.is_uniform else o
        n = t - state.since[o]
        if n < 0:  # held after a spike
            tally[3] += 1
            continue
        u = state.voltage[o]
        if n > 0:
            if n != elapsed or not timing.is_uniform:
                elapsed, decay = n, math.exp(n * timing.decay[own])
            u = timing.rest[own] + (u - timing.rest[own]) * decay
        u += weight[U(row + c)] * x
        since = t
        if u > timing.fire_above[own]:
            u = u - timing.reset[own] if timing.is_subtracting else timing.reset[own]
            since = t + timing.refractory
            list_event(out, tally, t, o, 1.0)
        elif timing.is_readout and np.float32(u) != 0:
            list_event(out, tally, t, o, u)
        state.voltage[o] = u
        state.since[o] = since


@njit(cache=True, forceinline=True, **PART)
def reach_currents(
    timing: Timing, state: Timed, at: tuple[int, int], weight: Floats, row: int, by: tuple[int, float]
) -> None:
    """Let an event reach neurons with currents: bring them to its time and drive the currents.

    ``at``, ``by``: as in `reach_membranes`.
    """
    first, n_out = at
    t, x = by
    elapsed, decay, current_decay, gain = 0, 1.0, 1.0, 0.0
    for c in range(n_out):
        o = U(first + c)
        own = U(0) if timing.is_uniform else o
        wx, n, i = weight[U(row + c)] * x, t - state.since[o], state.current[o]
        if n < 0:  # held after a spike
            state.current[o] = i + wx * math.exp(-n * timing.current_decay[own])
            continue
        if n > 0:
            if n != elapsed or not timing.is_uniform:
                elapsed, mem, syn = n, timing.decay[own], timing.current_decay[own]
                decay, current_decay, gain = math.exp(n * mem), math.exp(n * syn), gain_after(mem, syn, n)
            u = timing.rest[own] + (state.voltage[o] - timing.rest[own]) * decay
            if i != 0:
                u += i * gain
                i *= current_decay
            state.voltage[o] = u
            state.since[o] = t
        state.current[o] = i + wx


@njit(cache=True, **UNCOUNTED)
def integrate_timed(
    events: Deltas,
    first: int,
    synapses: Synapses,
    timing: Timing,
    state: Timed,
    own: Deltas,
    caused: Deltas,
    tally: Int64s,
) -> int:
    """Take events from number `first` until all are done or a list may be full; return the next event's number.

    ``own``: spikes that neurons fire by themselves, in any order; ``caused``: what events cause, in order.
    ``tally``: int64, shape (6,): events in `own` (read and set), in `caused` (read and set), weight rows added
    (plus), events lost in refractory neurons (plus), most outputs of one event (read), spikes of all calls.
    """
    rows, columns, row_first = synapses.scatter_row, synapses.scatter_column, synapses.row_first
    n, n_out = synapses.out_channels, synapses.out_channels // synapses.n_groups
    in_channels, row_entries = synapses.in_channels, synapses.in_columns * synapses.in_channels
    for j in range(first, events.index.size):
        if tally[1] + tally[4] > caused.index.size:
            return j
        t, entry, x = events.t[j], np.int64(events.index[j]), events.value[j]
        y = entry // row_entries
        column = (entry - y * row_entries) // in_channels
        if timing.can_cross:
            for r in range(rows[y + 1] - 1, rows[y] - 1, -1):
                for c in range(columns[column + 1] - 1, columns[column] - 1, -1):
                    pixel = synapses.scatter_pixel[r] + synapses.scatter_column_pixel[c]
                    tally[0] = fire_due(timing, state, pixel, n, t, own, tally[0])
            if tally[0] == own.index.size:
                return j
        for r in range(rows[y + 1] - 1, rows[y] - 1, -1):
            for c in range(columns[column + 1] - 1, columns[column] - 1, -1):
                pixel = synapses.scatter_pixel[r] + synapses.scatter_column_pixel[c]
                row = entry + synapses.scatter_shift[r] + synapses.scatter_column_shift[c]
                reached = pixel * n + (row_first[row] if row_first.size > 0 else 0)
                at, by = (reached, n_out), (t, np.float64(x))
                if timing.has_current:
                    reach_currents(timing, state, at, synapses.weight, row * n_out, by)
                else:
                    reach_membranes(timing, state, at, synapses.weight, row * n_out, by, caused, tally)
                if timing.can_cross:
                    look_ahead(timing, state, reached, reached + n_out)
                    find_first(state, pixel, n)
                tally[2] += 1
    return events.index.size
