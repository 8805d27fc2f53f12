"""Currents of output pixels: gathered, scattered or dense, each sum one term at a time in the same order.

Gathering lists the weight rows of an output pixel and adds them up in registers; scattering adds each input to
all it reaches; the dense path multiplies every input, active or not. Rows are addressed by unsigned offsets: a
signed index costs a wrap-around test that keeps LLVM from vectorising. Lists of inputs are copied 32 at a
time, because branches that cannot be predicted cost more than the copies.
"""

from typing import Any

import numpy as np

from neuro.kernels.arrays import (
    ACTIVE,
    BYTE_OPERATIONS,
    COLUMN_PADDING,
    DENSE_ROW,
    DENSE_STEPS,
    FIRST_TABLE,
    IN_CHANNELS,
    IN_COLUMNS,
    N_GROUPS,
    N_IN_PIXELS,
    N_ROWS,
    OPERATIONS,
    OUT_CHANNELS,
    OUT_COLUMNS,
    PADDED_COLUMNS,
    PADDED_ROWS,
    PITCH,
    PRODUCTS,
    ROW_PADDING,
    Block,
    Bytes,
    Floats,
    Frames,
    Int32s,
    Wiring,
    Work,
)
from neuro.kernels.byte_sums import AT_ONCE, sum_bytes
from neuro.kernels.options import PART, UNCOUNTED, njit
from neuro.kernels.sums import sum_dense, sum_rows, sum_scaled_rows
from neuro.kernels.vectors import add, copy_shifted, load, load_lanes, multiply, splat, store, store_lanes

U = np.uint64


@njit(cache=True, inline="always", **UNCOUNTED)  # a view cannot be returned without reference counts
def table(wiring: Wiring, k: int) -> Int32s:
    """Return a table of a wiring: see `Synapses` from ``gather_row`` on."""
    return wiring.tables[wiring.numbers[FIRST_TABLE + k] : wiring.numbers[FIRST_TABLE + k + 1]]


@njit(cache=True, forceinline=True, **PART)
def fill_bias(current: Floats, base: U, bias: Floats) -> None:
    """Start the currents of a pixel at the bias."""
    at, n = U(0), U(bias.size)
    while at + U(64) <= n:
        for k in range(U(at), U(at + U(64)), U(16)):
            store(current, base + k, load(bias, k))
        at += U(64)
    while at < n:
        store(current, base + at, load(bias, at))
        at += U(16)


@njit(cache=True, forceinline=True, **PART)
def add_grouped_rows(
    current: Floats, base: U, weight: Floats, row: Int32s, scale: Floats, n_rows: int, n: U, row_first: Int32s
) -> None:
    """Add scaled rows of a grouped convolution: each feeds n output channels from ``row_first``, of its group."""
    for k in range(n_rows):
        a, p = U(row[k]) * n, scale[k]
        first = base + U(row_first[row[k]])
        for o in range(n):
            current[first + o] = current[first + o] + weight[a + o] * p


@njit(cache=True, forceinline=True, **PART)
def add_row(current: Floats, base: U, weight: Floats, row: U, n: U, scale: np.float32) -> None:
    """Add a row of n weights, times its scale, to the n currents from `base`."""
    by, at, first = splat(scale), U(0), row * n
    while at + U(64) <= n:
        for k in range(U(at), U(at + U(64)), U(16)):
            term = multiply(load(weight, first + k), by)
            store(current, base + k, add(load(current, base + k), term))
        at += U(64)
    while at + U(16) <= n:
        term = multiply(load(weight, first + at), by)
        store(current, base + at, add(load(current, base + at), term))
        at += U(16)
    if at < n:
        lanes = np.uint32((U(1) << (n - at)) - U(1))
        term = multiply(load_lanes(weight, first + at, lanes), by)
        store_lanes(current, base + at, add(load_lanes(current, base + at, lanes), term), lanes)


@njit(cache=True, forceinline=True, **PART)
def sum_pixel(base: U, n: int, is_graded: bool, uses_bytes: bool, wiring: Wiring, work: Work) -> None:
    """Write bias + the n rows listed in ``work.row`` to the currents from `base`."""
    n_channels = U(wiring.numbers[OUT_CHANNELS])
    n_groups = U(wiring.numbers[N_GROUPS])
    if n_groups > U(1):
        if not is_graded:
            work.scale[:n] = np.float32(1)
        fill_bias(work.current, base, wiring.bias)
        width = n_channels // n_groups
        add_grouped_rows(work.current, base, wiring.weight, work.row, work.scale, n, width, wiring.row_first)
    elif is_graded:
        sum_scaled_rows(work.current, base, wiring.weight, wiring.bias, work.row, work.scale, n, n_channels)
    elif uses_bytes:
        for k in range(U(n), U(n + AT_ONCE - 1)):
            work.row[k] = wiring.numbers[N_ROWS]
        factor, pitch = wiring.byte_scale[0], U(wiring.numbers[PITCH])
        sum_bytes(work.current, base, wiring.weight_bytes, wiring.bias, factor, work.row, n, pitch)
    else:
        sum_rows(work.current, base, wiring.weight, wiring.bias, work.row, n, n_channels)


@njit(cache=True, forceinline=True, **PART)
def copy_32(frames: Frames, source: U, row: Int32s, scale: Floats, to: U, shift: int) -> None:
    """List the weight rows, and the values, of 32 entries of a block."""
    copy_shifted(row, to, frames.index, source, shift)
    copy_shifted(row, to + U(16), frames.index, source + U(16), shift)
    if frames.value.size > 0:
        store(scale, to, load(frames.value, source))
        store(scale, to + U(16), load(frames.value, source + U(16)))


@njit(cache=True, forceinline=True, **PART)
def gather_row(
    frames: Frames,
    first: int,
    y: int,
    wants_all: bool,
    uses_bytes: bool,
    wiring: Wiring,
    work: Work,
    block: Block,
) -> None:
    """Currents of output row y into the front of ``work.current``; ``work.touched`` says which pixels have input.

    Pixels without input, unless hot or `wants_all`, are left alone.
    """
    start, row, scale = frames.start, work.row, work.scale
    taps_of_row, tap_pixel, tap_shift = table(wiring, 0), table(wiring, 1), table(wiring, 2)
    runs_of_column, run_start = table(wiring, 3), table(wiring, 4)
    run_stop, run_shift = table(wiring, 5), table(wiring, 6)
    numbers, is_graded = wiring.numbers, frames.value.size > 0
    n_columns, pitch = numbers[OUT_COLUMNS], U(numbers[PITCH])
    n_rows, n_active = 0, 0
    for x in range(n_columns):
        n: Any = np.int64(0)  # were it 0, `sum_pixel` would be compiled for the constant, too
        for r in range(U(taps_of_row[y]), U(taps_of_row[y + 1])):
            line = U(first + tap_pixel[r])
            for c in range(U(runs_of_column[x]), U(runs_of_column[x + 1])):
                shift = tap_shift[r] + run_shift[c]
                lo = start[line + U(run_start[c])]
                n_run = start[line + U(run_stop[c])] - lo
                copy_32(frames, U(lo), row, scale, U(n), np.int64(shift))
                if n_run > 32:
                    for done in range(32, n_run, 32):
                        copy_32(frames, U(lo + done), row, scale, U(n + done), np.int64(shift))
                n += n_run
        pixel = y * n_columns + x
        work.touched[pixel] = n > 0
        if n > 0 or wants_all or work.hot[pixel] != 0:
            sum_pixel(U(x) * pitch, n, is_graded, uses_bytes, wiring, work)
        n_rows += n
        n_active += n > 0
    n_operations = n_rows * (numbers[OUT_CHANNELS] // numbers[N_GROUPS])
    block.tally[OPERATIONS] += n_operations
    block.tally[ACTIVE] += n_active
    if uses_bytes and not is_graded:
        block.tally[BYTE_OPERATIONS] += n_operations


@njit(cache=True, **PART)
def has_input(frames: Frames, first: int, y: int, wiring: Wiring) -> bool:
    """Whether an output row reads an input row that is not silent."""
    taps_of_row, tap_pixel = table(wiring, 0), table(wiring, 1)
    for r in range(taps_of_row[y], taps_of_row[y + 1]):
        line = first + tap_pixel[r]
        if frames.start[line + wiring.numbers[IN_COLUMNS]] != frames.start[line]:
            return True
    return False


@njit(cache=True, forceinline=True, **PART)
def scatter_row(
    frames: Frames, first: int, y: int, wants_all: bool, wiring: Wiring, work: Work, block: Block
) -> None:
    """Currents of output row y into the front of ``work.current``: each input, in raster order, adds to all it reaches.

    Only pixels with input (``work.touched`` says which), hot ones, or with `wants_all` all of them get currents.
    """
    start, index, value, numbers = frames.start, frames.index, frames.value, wiring.numbers
    current, row, scale, weight, touched = work.current, work.row, work.scale, wiring.weight, work.touched
    taps_of_row, tap_pixel, tap_shift = table(wiring, 0), table(wiring, 1), table(wiring, 2)
    targets_of_column, column_pixel, column_shift = table(wiring, 10), table(wiring, 11), table(wiring, 12)
    n_columns, in_channels = numbers[OUT_COLUMNS], np.uint32(numbers[IN_CHANNELS])
    n_channels, pitch = U(numbers[OUT_CHANNELS]), U(numbers[PITCH])
    group_out, lowest = n_channels // U(numbers[N_GROUPS]), U(y * n_columns)
    n_rows, n_active = 0, 0
    for column in range(U(n_columns)):
        touched[lowest + column] = 0
        if wants_all:
            fill_bias(current, column * pitch, wiring.bias)
    factor = np.float32(1)
    for r in range(U(taps_of_row[y]), U(taps_of_row[y + 1])):
        line = U(first + tap_pixel[r])
        for k in range(U(start[line]), U(start[line + U(numbers[IN_COLUMNS])])):
            x = np.uint32(index[k]) // in_channels - np.uint32(tap_pixel[r])
            shift = index[k] + tap_shift[r]
            if value.size > 0:
                factor = value[k]
            for c in range(U(targets_of_column[x]), U(targets_of_column[x + 1])):
                target = U(column_pixel[c])
                base = target * pitch
                if not wants_all and touched[lowest + target] == 0:
                    fill_bias(current, base, wiring.bias)
                touched[lowest + target] = 1
                number = shift + column_shift[c]
                n_rows += 1
                if group_out < n_channels:
                    row[0], scale[0] = number, factor
                    one = np.int64(1)
                    add_grouped_rows(current, base, weight, row, scale, one, group_out, wiring.row_first)
                else:
                    add_row(current, base, weight, U(number), n_channels, factor)
    for column in range(U(n_columns)):
        pixel = lowest + column
        n_active += touched[pixel]
        if not wants_all and touched[pixel] == 0 and work.hot[pixel] != 0:
            fill_bias(current, column * pitch, wiring.bias)
    block.tally[OPERATIONS] += n_rows * np.int64(group_out)
    block.tally[ACTIVE] += n_active


@njit(cache=True, forceinline=True, **PART)
def spread_frame(frames: Frames, first: int, wiring: Wiring, work: Work) -> None:
    """Write the inputs of a step into a padded array of zeros, as far as a tap reaches them.

    ``work.occupied`` says which padded pixels have input.
    """
    numbers, start, index, value = wiring.numbers, frames.start, frames.index, frames.value
    in_channels, in_columns, dense = numbers[IN_CHANNELS], numbers[IN_COLUMNS], work.dense
    dense[:] = 0
    work.occupied[:] = 0
    n_columns = min(in_columns, numbers[PADDED_COLUMNS] - numbers[COLUMN_PADDING])
    for y in range(min(numbers[N_IN_PIXELS] // in_columns, numbers[PADDED_ROWS] - numbers[ROW_PADDING])):
        to = (y + numbers[ROW_PADDING]) * numbers[PADDED_COLUMNS] + numbers[COLUMN_PADDING]
        line = first + y * in_columns
        shift = (to - y * in_columns) * in_channels
        for x in range(n_columns):
            work.occupied[to + x] = start[line + x + 1] > start[line + x]
        for k in range(start[line], start[line + n_columns]):
            dense[index[k] + shift] = value[k] if value.size > 0 else np.float32(1)


@njit(cache=True, forceinline=True, **PART)
def multiply_row(frames: Frames, y: int, wiring: Wiring, work: Work, block: Block) -> None:
    """Currents of output row y into the front of ``work.current`` by the dense path (`spread_frame` comes first)."""
    numbers = wiring.numbers
    n_columns, n_out = numbers[OUT_COLUMNS], numbers[OUT_CHANNELS]
    steps, origin = numbers[DENSE_STEPS : DENSE_STEPS + 6], U(y * numbers[DENSE_ROW])
    is_binary = frames.value.size == 0
    sizes = (n_columns, numbers[PITCH], n_out)
    sum_dense(work.current, wiring.weight, wiring.bias, work.dense, origin, steps, sizes, is_binary)
    block.tally[PRODUCTS] += n_columns * n_out * steps[0] * steps[2] * steps[4]
    block.tally[ACTIVE] += mark_row(y, wiring, work.occupied, work.touched)


@njit(cache=True, **PART)
def mark_row(y: int, wiring: Wiring, occupied: Bytes, touched: Bytes) -> int:
    """Mark the pixels of an output row that a tap connects to an occupied pixel; return their number."""
    numbers = wiring.numbers
    n_columns, n_in = numbers[OUT_COLUMNS], numbers[IN_CHANNELS]
    n_rows, row_step, n_taps, tap_step = numbers[DENSE_STEPS : DENSE_STEPS + 4]
    stride = numbers[DENSE_STEPS + 5] // n_in
    if n_taps == 1:  # the taps of a row are one run of inputs
        n_taps, tap_step = numbers[DENSE_STEPS + 4] // n_in, n_in
    row = touched[y * n_columns : (y + 1) * n_columns]
    row[:] = 0
    for r in range(n_rows):
        for c in range(n_taps):
            first = U((y * numbers[DENSE_ROW] + r * row_step + c * tap_step) // n_in)
            if stride == 1:
                for x in range(U(n_columns)):
                    row[x] |= occupied[first + x]
            else:
                for x in range(U(n_columns)):
                    row[x] |= occupied[first + x * U(stride)]
    n = 0
    for x in range(n_columns):
        n += row[x]
    return n


@njit(cache=True, forceinline=True, **PART)
def count_operations(frames: Frames, first: int, rows: tuple[int, int], wiring: Wiring) -> int:
    """Count operations as the other paths do them: one for each active input, tap inside the rows, and channel."""
    numbers, start = wiring.numbers, frames.start
    targets_of_row, row_pixel, targets_of_column = table(wiring, 7), table(wiring, 8), table(wiring, 10)
    n_columns, n_out, n = numbers[IN_COLUMNS], numbers[OUT_COLUMNS], 0
    for y in range(numbers[N_IN_PIXELS] // n_columns):
        n_rows = 0
        for r in range(targets_of_row[y], targets_of_row[y + 1]):
            n_rows += rows[0] * n_out <= row_pixel[r] < rows[1] * n_out
        if n_rows > 0:
            line, n_taps = first + y * n_columns, 0
            for x in range(n_columns):
                n_active = start[line + x + 1] - start[line + x]
                n_taps += n_active * (targets_of_column[x + 1] - targets_of_column[x])
            n += n_rows * n_taps
    return int(n * numbers[OUT_CHANNELS])
