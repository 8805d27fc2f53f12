"""Synapses that hand on events: one for each output that an event reaches, with the product of weight and value."""

from typing import NamedTuple

import numpy as np

from neuro.kernels.arrays import Floats, Int32s, Int64s, Synapses
from neuro.kernels.events import Deltas
from neuro.kernels.options import UNCOUNTED, njit


class Fan(NamedTuple):
    """Sparse synapses by input: those of entry `i` stand at ``start[i]`` up to ``start[i + 1]``.

    ``start``: int64, shape (n_in + 1,); ``target``: int32, ``weight``: float32, ``ticks``: int64, shape
    (n_synapses,): output, weight, delay.
    """

    start: Int64s
    target: Int32s
    weight: Floats
    ticks: Int64s


@njit(cache=True, **UNCOUNTED)
def spread_sparse(events: Deltas, fan: Fan, out: Deltas) -> int:
    """Hand each event on over its entry's synapses; return how many of them were listed in `out`.

    `out` has room for all; a product of 0 is not listed.
    """
    n = 0
    for j in range(events.index.size):
        x = events.value[j]
        for k in range(fan.start[events.index[j]], fan.start[events.index[j] + 1]):
            product = fan.weight[k] * x
            if product != 0:
                out.t[n] = events.t[j] + fan.ticks[k]
                out.index[n] = fan.target[k]
                out.value[n] = product
                n += 1
    return n


@njit(cache=True, **UNCOUNTED)
def spread_taps(events: Deltas, synapses: Synapses, out: Deltas) -> tuple[int, int]:
    """Hand each event on to the outputs of a Linear or Conv2d: pixels ascending, there the channels of its group.

    Returns the number of events listed (a product of 0 is not), and of products.
    """
    rows, columns, row_first = synapses.scatter_row, synapses.scatter_column, synapses.row_first
    n, n_out = synapses.out_channels, synapses.out_channels // synapses.n_groups
    in_channels, row_entries = synapses.in_channels, synapses.in_columns * synapses.in_channels
    n_listed, n_products = 0, 0
    for j in range(events.index.size):
        entry, x = np.int64(events.index[j]), events.value[j]
        y = entry // row_entries
        column = (entry - y * row_entries) // in_channels
        for r in range(rows[y + 1] - 1, rows[y] - 1, -1):
            for c in range(columns[column + 1] - 1, columns[column] - 1, -1):
                pixel = synapses.scatter_pixel[r] + synapses.scatter_column_pixel[c]
                row = entry + synapses.scatter_shift[r] + synapses.scatter_column_shift[c]
                first = pixel * n + (row_first[row] if row_first.size > 0 else 0)
                n_products += n_out
                for o in range(n_out):
                    product = synapses.weight[row * n_out + o] * x
                    if product != 0:
                        out.t[n_listed] = events.t[j]
                        out.index[n_listed] = first + o
                        out.value[n_listed] = product
                        n_listed += 1
    return n_listed, n_products


@njit(cache=True, **UNCOUNTED)
def route_largest(events: Deltas, windows: Synapses, last: Int64s, largest: Floats, out: Deltas) -> int:
    """Hand on by how much each event exceeds the largest that a window that holds its entry had at this time.

    ``last``, ``largest``: of each window, the time of its last event and the largest value at this time. Returns the
    number of events listed in `out`.
    """
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
                o = pixel * n_channels + entry - x * n_channels
                before = largest[o] if last[o] == events.t[j] else np.float32(0)
                more = events.value[j] - before
                if more > 0:
                    last[o] = events.t[j]
                    largest[o] = events.value[j]
                    out.t[n] = events.t[j]
                    out.index[n] = o
                    out.value[n] = more
                    n += 1
    return n
