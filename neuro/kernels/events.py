"""Continuous time: each event reaches some pixels, whose membranes are brought to its time, driven and compared.

The membranes of a pixel share one last update, so that one exponential serves all its channels. Tables are those
of `Synapses`; its lists of outputs run backwards, so they are read from the end for ascending outputs.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Floats, Int32s, Int64s, Synapses
from neuro.kernels.options import PART, UNCOUNTED, njit
from neuro.kernels.prefetch import prefetch

Doubles = NDArray[np.float64]

U = np.uint64

_LINE = U(16)  # float32 in a line of the cache
_NEAR = 2**17  # membranes that stay in the second-level cache by themselves
_FEW = 64  # channels of a pixel whose lines are worth asking for


class Deltas(NamedTuple):
    """Events in order: ``t``: int64 ticks; ``index``: int32, channel-last entry; ``value``: float32, same shape."""

    t: Int64s
    index: Int32s  # type: ignore[assignment]  # hides tuple.index, which no kernel needs
    value: Floats


class Dynamics(NamedTuple):
    """Neurons in continuous time.

    Arrays of shape (1,) when `is_uniform`, else (n_neurons,); ``rate``, float64, may be (1,) by itself: minus
    the inverse time constant per tick, 0 for no decay. ``fire_above`` and ``reset`` as in `Neurons`.
    ``coarse[h]`` = exp(1024 h rate[0]) and ``fine[l]`` = exp(l rate[0]) for l < 1024, float64.
    """

    is_uniform: bool
    is_subtracting: bool
    rate: Doubles
    coarse: Doubles
    fine: Doubles
    rest: Floats
    fire_above: Floats
    reset: Floats


class Pixels(NamedTuple):
    """State: ``voltage``: float32, shape (n_neurons,), as it was at the time ``last``: int64, shape (n_pixels,)."""

    voltage: Floats
    last: Int64s


@njit(cache=True, forceinline=True, **PART)
def decay_factor(dynamics: Dynamics, elapsed: int) -> np.float32:
    """Return float32(exp(1024 h r) * exp(l r)) for 1024 h + l ticks, r the first rate; from tables where they reach."""
    high, fine = elapsed >> 10, dynamics.fine[U(elapsed & 1023)]
    if high < dynamics.coarse.size:
        return np.float32(dynamics.coarse[U(high)] * fine)
    return np.float32(math.exp((high << 10) * dynamics.rate[0]) * fine)


@njit(cache=True, forceinline=True, **PART)
def drive_uniform(
    dynamics: Dynamics,
    voltage: Floats,
    at: tuple[U, U, U],
    weight: Floats,
    row: U,
    n_out: U,
    by: tuple[np.float32, np.float32],
) -> np.bool_:
    """Bring a pixel's n membranes to now, add a weight row to some of them, tell whether one is above.

    ``at``: first membrane of the pixel, first one that is reached, n. ``by``: factor of decay, value of the event.
    """
    base, first, n = at
    factor, x = by
    rest, fire_above = dynamics.rest[0], dynamics.fire_above[0]
    n_fired = np.int32(0)
    if n == n_out and rest == 0:
        for o in range(n):
            u = voltage[base + o] * factor + weight[row + o] * x
            voltage[base + o] = u
            n_fired += np.int32(u > fire_above)
        return n_fired > 0
    if factor != 1:
        for o in range(n):
            voltage[base + o] = rest + (voltage[base + o] - rest) * factor
    for o in range(n_out):
        u = voltage[first + o] + weight[row + o] * x
        voltage[first + o] = u
        n_fired += np.int32(u > fire_above)
    return n_fired > 0


@njit(cache=True, forceinline=True, **PART)
def drive_each(
    dynamics: Dynamics,
    voltage: Floats,
    at: tuple[U, U, U],
    weight: Floats,
    row: U,
    n_out: U,
    by: tuple[np.float32, int],
) -> np.bool_:
    """The same with parameters for each neuron; ``by``: value of the event, ticks since the last update."""
    base, first, n = at
    x, elapsed = by
    rate, rest, fire_above = dynamics.rate, dynamics.rest, dynamics.fire_above
    factor = decay_factor(dynamics, elapsed)
    if elapsed > 0 and (rate.size > 1 or factor != 1):
        for o in range(n):
            if rate.size > 1:
                high, low = elapsed >> 10 << 10, elapsed & 1023
                own = rate[base + o]
                factor = np.float32(math.exp(high * own) * math.exp(low * own))
            if factor != 1:
                voltage[base + o] = rest[base + o] + (voltage[base + o] - rest[base + o]) * factor
    n_fired = np.int32(0)
    for o in range(n_out):
        u = voltage[first + o] + weight[row + o] * x
        voltage[first + o] = u
        n_fired += np.int32(u > fire_above[first + o])
    return n_fired > 0


@njit(cache=True, **PART)
def emit_fired(
    dynamics: Dynamics, voltage: Floats, t: int, first: U, n_out: U, out: Deltas, n_spikes: int
) -> int:
    """Reset the neurons above their threshold among the n from `first`, list them, return the length of the list."""
    last = U(dynamics.rest.size - 1)
    for o in range(first, first + n_out):
        own = o if o < last else last
        u, reset = voltage[o], dynamics.reset[own]
        if u > dynamics.fire_above[own]:
            voltage[o] = u - reset if dynamics.is_subtracting else reset
            out.t[U(n_spikes)] = t
            out.index[U(n_spikes)] = o
            n_spikes += 1
    return n_spikes


@njit(cache=True, forceinline=True, **PART)
def approach(synapses: Synapses, voltage: Floats, entry: np.int32) -> None:
    """Ask for the membranes that an event at an entry will reach."""
    rows, columns, n = synapses.scatter_row, synapses.scatter_column, U(synapses.out_channels)
    in_channels, row_entries = U(synapses.in_channels), U(synapses.in_columns * synapses.in_channels)
    y = U(entry) // row_entries
    column = (U(entry) - y * row_entries) // in_channels
    for r in range(rows[y], rows[y + U(1)]):
        for c in range(columns[column], columns[column + U(1)]):
            pixel = U(synapses.scatter_pixel[U(r)] + synapses.scatter_column_pixel[U(c)])
            for o in range(pixel * n, (pixel + U(1)) * n, _LINE):
                prefetch(voltage, o)


@njit(cache=True, **UNCOUNTED)
def integrate(
    events: Deltas,
    first: int,
    synapses: Synapses,
    dynamics: Dynamics,
    pixels: Pixels,
    out: Deltas,
    tally: Int64s,
) -> int:
    """Take events from number `first` until all are done or `out` may be full; return the next event's number.

    ``tally``: int64, shape (4,): spikes in `out` (set), weight rows added (plus), most spikes of one event
    (read), spikes of all calls (plus).
    """
    rows, columns, row_first = synapses.scatter_row, synapses.scatter_column, synapses.row_first
    weight, voltage, last = synapses.weight, pixels.voltage, pixels.last
    n, n_out = U(synapses.out_channels), U(synapses.out_channels // synapses.n_groups)
    in_channels, row_entries = U(synapses.in_channels), U(synapses.in_columns * synapses.in_channels)
    room = out.index.size - tally[2]
    n_spikes, n_rows, j = 0, 0, first
    is_far = voltage.size > _NEAR and synapses.out_channels <= _FEW
    while j < events.index.size and n_spikes <= room:
        if is_far and j + 1 < events.index.size:
            approach(synapses, voltage, events.index[U(j + 1)])
        t, entry, x = events.t[U(j)], events.index[U(j)], events.value[U(j)]
        y = U(entry) // row_entries
        column = (U(entry) - y * row_entries) // in_channels
        low, high = columns[column], columns[column + U(1)]
        for r in range(rows[y + U(1)] - 1, rows[y] - 1, -1):
            row_pixel = synapses.scatter_pixel[U(r)]
            shift = entry + synapses.scatter_shift[U(r)]
            for c in range(high - 1, low - 1, -1):
                pixel = U(row_pixel + synapses.scatter_column_pixel[U(c)])
                row = U(shift + synapses.scatter_column_shift[U(c)])
                elapsed = t - last[pixel]
                last[pixel] = t
                base = pixel * n
                reached = base + U(row_first[row]) if row_first.size > 0 else base
                n_rows += 1
                if dynamics.is_uniform:
                    factor = decay_factor(dynamics, elapsed)
                    is_any = drive_uniform(
                        dynamics, voltage, (base, reached, n), weight, row * n_out, n_out, (factor, x)
                    )
                else:
                    is_any = drive_each(
                        dynamics, voltage, (base, reached, n), weight, row * n_out, n_out, (x, elapsed)
                    )
                if is_any:
                    n_spikes = emit_fired(dynamics, voltage, t, reached, n_out, out, n_spikes)
        j += 1
    tally[0] = n_spikes
    tally[1] += n_rows
    tally[3] += n_spikes
    return j


@njit(cache=True, **UNCOUNTED)
def route(events: Deltas, windows: Synapses, out: Deltas) -> int:
    """Hand each event on to every window that holds its entry; return the number of events listed in `out`."""
    rows, columns = windows.scatter_row, windows.scatter_column
    n_channels, row_entries = windows.in_channels, windows.in_columns * windows.in_channels
    n = 0
    for j in range(events.index.size):
        y = events.index[j] // row_entries
        entry = events.index[j] - y * row_entries
        x = entry // n_channels
        for r in range(rows[y + 1] - 1, rows[y] - 1, -1):
            for c in range(columns[x + 1] - 1, columns[x] - 1, -1):
                pixel = windows.scatter_pixel[r] + windows.scatter_column_pixel[c]
                out.t[n] = events.t[j]
                out.index[n] = pixel * n_channels + entry - x * n_channels
                out.value[n] = events.value[j]
                n += 1
    return n


@njit(cache=True, **UNCOUNTED)
def renumber(index: Int32s, n_minor: int, n_major: int, out: Int32s) -> None:
    """Write the entries of an array of shape (n_major, n_minor), flat, as those of its transpose."""
    minor, major = np.uint32(n_minor), np.uint32(n_major)
    for j in range(index.size):
        entry = np.uint32(index[j])
        row = entry // minor
        out[j] = np.uint32(entry - row * minor) * major + row
