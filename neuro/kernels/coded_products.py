"""Products of counts as a row of the table of a coded graph (R164, R165)."""

import numpy as np

from neuro.kernels.addresses import bytes_at, floats_at, int64s_at
from neuro.kernels.arrays import Floats, Int64s
from neuro.kernels.chain_rows import N_CHANNELS, N_PIXELS, TRACE
from neuro.kernels.coded_rows import (
    ADDED,
    ADDEND,
    BUSY,
    BUSY_IN,
    BUSY_OTHER,
    COUNT,
    CURRENTS,
    FIRST_SPIKE_CODE,
    PARAMETERS,
    RADIX_CODE,
    SCRATCH,
    THRESHOLD,
    VOLTAGE,
    dense_at,
)
from neuro.kernels.options import PART, njit

# Numbers of the row: what the inputs read as, the step in which a count is complete, the sizes of both inputs, and of
# matrices (rows, inner, columns), else 0.
CODE, START_STEP, N_FIRST, N_SECOND, N_ROWS, N_INNER, N_COLUMNS = range(7)


@njit(cache=True, **PART)
def count_step(counts: Floats, slopes: Floats, x: Floats, is_busy: bool, code: int) -> None:
    """Add what an input sends in a step to what it stands for."""
    if code == RADIX_CODE:
        for o in range(counts.size):
            counts[o] = (counts[o] + counts[o]) + (x[o] if is_busy else np.float32(0))
    elif code == FIRST_SPIKE_CODE:
        for o in range(counts.size):
            slopes[o] = slopes[o] + (x[o] if is_busy else np.float32(0))
            counts[o] = counts[o] + slopes[o]
    elif is_busy:
        for o in range(counts.size):
            counts[o] = counts[o] + x[o]


@njit(cache=True, **PART)
def add_offset(counts: Floats, offset: Floats, is_complete: bool, into: Floats) -> None:
    """Write counts, with their offset where they are complete."""
    for o in range(counts.size):
        into[o] = counts[o] + offset[o] if is_complete else counts[o]


@njit(cache=True, **PART)
def multiply_entries(a: Floats, b: Floats, n_channels: int, into: Floats) -> None:
    """Multiply entry by entry; a second input of one pixel goes with every pixel."""
    for o in range(into.size):
        into[o] = a[o] * b[o if b.size == a.size else o % n_channels]


@njit(cache=True, **PART)
def multiply_matrices(a: Floats, b: Floats, numbers: Int64s, n_channels: int, into: Floats) -> None:
    """Multiply matrices channel by channel, from 0 on, one rounded product after the other."""
    for o in range(into.size):
        into[o] = 0
    n_inner, n_columns = numbers[N_INNER], numbers[N_COLUMNS]
    for r in range(numbers[N_ROWS]):
        for k in range(n_inner):
            left = (r * n_inner + k) * n_channels
            for c in range(n_columns):
                at, right = (r * n_columns + c) * n_channels, (k * n_columns + c) * n_channels
                for o in range(n_channels):
                    into[at + o] = into[at + o] + a[left + o] * b[right + o]


@njit(cache=True, **PART)
def send_products(now: Floats, last: Floats, one_more: Floats, code: int, out: Floats) -> None:
    """Write what makes the reader's sums the products, and remember them."""
    for o in range(now.size):
        if code == COUNT:
            out[o] = now[o] - last[o]
        else:
            change = now[o] - np.float32(2) * last[o]
            out[o] = change + one_more[o] if code == FIRST_SPIKE_CODE else change
        one_more[o] = last[o]
        last[o] = now[o]


@njit(cache=True, **PART)
def product_at(row: Int64s, first: int, n_steps: int) -> None:
    """Multiply the counts of two inputs over a block; a step in which neither sends anything changes nothing."""
    numbers, memory, scratch = int64s_at(row, PARAMETERS), floats_at(row, VOLTAGE), floats_at(row, SCRATCH)
    n_a, n_b, n_out, code = (
        numbers[N_FIRST],
        numbers[N_SECOND],
        row[N_PIXELS] * row[N_CHANNELS],
        numbers[CODE],
    )
    a, b, at = memory[:n_a], memory[n_a : n_a + n_b], 2 * (n_a + n_b)
    a_slope, b_slope = memory[n_a + n_b : n_a + n_b + n_a], memory[n_a + n_b + n_a : at]
    last, one_more = memory[at : at + n_out], memory[at + n_out : at + 2 * n_out]
    a_now, b_now, now = scratch[:n_a], scratch[n_a : n_a + n_b], scratch[n_a + n_b : n_a + n_b + n_out]
    x, y, out = floats_at(row, CURRENTS), floats_at(row, ADDEND), dense_at(row, TRACE, n_steps)
    x_busy, y_busy, busy = bytes_at(row, BUSY_IN), bytes_at(row, BUSY_OTHER), bytes_at(row, BUSY)
    for step in range(n_steps):
        left = numbers[START_STEP] - (first + step)
        is_silent = x_busy[step] == 0 and y_busy[step] == 0
        busy[step] = left >= 0 if code != COUNT else not is_silent or first + step == 0
        if busy[step] == 0:
            if code == COUNT:
                for o in range(n_out):
                    one_more[o] = last[o]
            continue
        count_step(a, a_slope, x[step * n_a : (step + 1) * n_a], x_busy[step] != 0, code)
        count_step(b, b_slope, y[step * n_b : (step + 1) * n_b], y_busy[step] != 0, code)
        is_complete = code == COUNT or left == 0
        add_offset(a, floats_at(row, THRESHOLD), is_complete, a_now)
        add_offset(b, floats_at(row, ADDED), is_complete, b_now)
        if numbers[N_ROWS] > 0:
            multiply_matrices(a_now, b_now, numbers, row[N_CHANNELS], now)
        else:
            multiply_entries(a_now, b_now, row[N_CHANNELS], now)
        send_products(now, last, one_more, code, out[step])
