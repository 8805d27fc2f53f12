"""Sums of weight rows, one term at a time in the order given: gather and scatter give the same bits.

Rows are addressed by unsigned offsets into flat arrays: a signed index costs a wrap-around test that
keeps LLVM from vectorising. Lists of inputs are copied eight at a time and
filled up to four with a row of zeros (which changes no sum: none is ever -0), because branches that
cannot be predicted cost more than the additions.
"""

import numpy as np
from numba import njit

from neuro.kernels.arrays import Block, Floats, Frames, Int32s, Synapses, Work
from neuro.kernels.options import UNCOUNTED

U = np.uint64


@njit(cache=True, forceinline=True, **UNCOUNTED)
def add_rows(current: Floats, base: U, weight: Floats, row: Int32s, n_rows: int, n: U) -> None:
    """Add `n_rows` (a multiple of 4) rows of n weights to the n currents from `base`; each sum is rounded."""
    k = 0
    while k + 8 <= n_rows:
        a, b, c, d = U(row[k]) * n, U(row[k + 1]) * n, U(row[k + 2]) * n, U(row[k + 3]) * n
        e, f, g, h = U(row[k + 4]) * n, U(row[k + 5]) * n, U(row[k + 6]) * n, U(row[k + 7]) * n
        for o in range(n):
            u = (((current[base + o] + weight[a + o]) + weight[b + o]) + weight[c + o]) + weight[d + o]
            u = (((u + weight[e + o]) + weight[f + o]) + weight[g + o]) + weight[h + o]
            current[base + o] = u
        k += 8
    if k < n_rows:
        a, b, c, d = U(row[k]) * n, U(row[k + 1]) * n, U(row[k + 2]) * n, U(row[k + 3]) * n
        for o in range(n):
            u = ((current[base + o] + weight[a + o]) + weight[b + o]) + weight[c + o]
            current[base + o] = u + weight[d + o]


@njit(cache=True, forceinline=True, **UNCOUNTED)
def add_scaled_rows(
    current: Floats, base: U, weight: Floats, row: Int32s, scale: Floats, n_rows: int, n: U
) -> None:
    """Add `n_rows` (a multiple of 4) rows of n weights, each times its scale: round the product, then add."""
    for k in range(0, n_rows, 4):
        a, b, c, d = U(row[k]) * n, U(row[k + 1]) * n, U(row[k + 2]) * n, U(row[k + 3]) * n
        p, q, r, s = scale[k], scale[k + 1], scale[k + 2], scale[k + 3]
        for o in range(n):
            u = (current[base + o] + weight[a + o] * p) + weight[b + o] * q
            current[base + o] = (u + weight[c + o] * r) + weight[d + o] * s


@njit(cache=True, forceinline=True, **UNCOUNTED)
def add_grouped_rows(
    current: Floats,
    base: U,
    weight: Floats,
    row: Int32s,
    scale: Floats,
    n_rows: int,
    n: U,
    row_first: Int32s,
) -> None:
    """The same for a grouped convolution: a row feeds n output channels, from ``row_first``, of its group."""
    for k in range(n_rows):
        a, p = U(row[k]) * n, scale[k]
        first = base + U(row_first[row[k]])
        for o in range(n):
            current[first + o] = current[first + o] + weight[a + o] * p


@njit(cache=True, forceinline=True, **UNCOUNTED)
def fill_bias(current: Floats, bias: Floats, n_pixels: int) -> None:
    """Start the currents of some pixels at the bias."""
    n = U(bias.size)
    for pixel in range(n_pixels):
        base = U(pixel) * n
        for o in range(n):
            current[base + o] = bias[o]


@njit(cache=True, **UNCOUNTED)
def gather_rows(
    frames: Frames, first: int, synapses: Synapses, row_start: int, row_stop: int, work: Work, block: Block
) -> None:
    """Currents of some output rows into the front of ``work.current``: each output collects its inputs."""
    start, index, value = frames.start, frames.index, frames.value
    current, row, scale, weight = work.current, work.row, work.scale, synapses.weight
    taps_of_row, tap_pixel, tap_shift = synapses.gather_row, synapses.gather_pixel, synapses.gather_shift
    runs_of_column, run_start, run_stop = synapses.gather_column, synapses.run_start, synapses.run_stop
    run_shift, row_first, zero_row = synapses.run_shift, synapses.row_first, np.int32(synapses.n_rows)
    is_graded, is_grouped = value.size > 0, synapses.n_groups > 1
    n_channels, group_out = U(synapses.out_channels), U(synapses.out_channels // synapses.n_groups)
    n_rows, n_active, base = 0, 0, U(0)
    fill_bias(current, synapses.bias, (row_stop - row_start) * synapses.out_columns)
    for y in range(row_start, row_stop):
        for x in range(synapses.out_columns):
            n = 0
            for r in range(U(taps_of_row[y]), U(taps_of_row[y + 1])):
                line = U(first + tap_pixel[r])
                for c in range(U(runs_of_column[x]), U(runs_of_column[x + 1])):
                    shift = tap_shift[r] + run_shift[c]
                    lo = start[line + U(run_start[c])]
                    n_run = start[line + U(run_stop[c])] - lo
                    for done in range(0, n_run + 1, 8):
                        for k in range(8):
                            row[U(n + done + k)] = index[U(lo + done + k)] + shift
                            if is_graded:
                                scale[U(n + done + k)] = value[U(lo + done + k)]
                    n += n_run
            if is_grouped:
                if not is_graded:
                    scale[:n] = 1
                add_grouped_rows(current, base, weight, row, scale, n, group_out, row_first)
            elif n > 0:
                for k in range(n, n + 3):
                    row[U(k)], scale[U(k)] = zero_row, 0
                if is_graded:
                    add_scaled_rows(current, base, weight, row, scale, (n + 3) // 4 * 4, n_channels)
                else:
                    add_rows(current, base, weight, row, (n + 3) // 4 * 4, n_channels)
            n_rows += n
            n_active += n > 0
            base += n_channels
    block.tally[1] += n_rows * (synapses.out_channels // synapses.n_groups)
    block.tally[2] += n_active


@njit(cache=True, **UNCOUNTED)
def scatter_frame(frames: Frames, first: int, synapses: Synapses, work: Work, block: Block) -> None:
    """Currents of a whole step into ``work.current``: each input, in raster order, adds to all it reaches."""
    start, index, value = frames.start, frames.index, frames.value
    current, row, scale, weight, touched = work.current, work.row, work.scale, synapses.weight, work.touched
    targets_of_row, row_pixel, row_shift = (
        synapses.scatter_row,
        synapses.scatter_pixel,
        synapses.scatter_shift,
    )
    targets_of_column, column_pixel = synapses.scatter_column, synapses.scatter_column_pixel
    column_shift, row_first = synapses.scatter_column_shift, synapses.row_first
    is_graded, is_grouped = value.size > 0, synapses.n_groups > 1
    n_channels, group_out = U(synapses.out_channels), U(synapses.out_channels // synapses.n_groups)
    n_pixels = synapses.out_rows * synapses.out_columns
    n_rows, y, row_entries = 0, -1, synapses.in_columns * synapses.in_channels
    fill_bias(current, synapses.bias, n_pixels)
    touched[:n_pixels] = 0
    for k in range(U(start[first]), U(start[first + synapses.n_in_pixels])):
        while index[k] >= (y + 1) * row_entries:
            y += 1
        x = (index[k] - y * row_entries) // synapses.in_channels
        scale[0] = value[k] if is_graded else np.float32(1)
        for r in range(U(targets_of_row[y]), U(targets_of_row[y + 1])):
            shift = index[k] + row_shift[r]
            for c in range(U(targets_of_column[x]), U(targets_of_column[x + 1])):
                target = U(row_pixel[r] + column_pixel[c])
                row[0] = shift + column_shift[c]
                touched[target] = 1
                n_rows += 1
                if is_grouped:
                    add_grouped_rows(
                        current, target * n_channels, weight, row, scale, 1, group_out, row_first
                    )
                else:
                    base, a, p = target * n_channels, U(row[0]) * n_channels, scale[0]
                    for o in range(n_channels):
                        current[base + o] = current[base + o] + weight[a + o] * p
    block.tally[1] += n_rows * (synapses.out_channels // synapses.n_groups)
    block.tally[2] += touched[:n_pixels].sum()
