"""Sums of weight rows, one term at a time in the order given: gather and scatter give the same bits.

Rows are addressed by unsigned offsets into flat arrays: a signed index costs a wrap-around test that
keeps LLVM from vectorising, a slice costs a reference count.
"""

import numpy as np
from numba import njit

from neuro.kernels.arrays import Block, Floats, Frames, Int32s, Synapses, Work


@njit(cache=True)
def add_rows(
    current: Floats, base: np.uint64, weight: Floats, row: Int32s, n_rows: int, n: np.uint64
) -> None:
    """Add `n_rows` rows of n weights to the n currents from `base`; the sum is rounded after each term."""
    k = 0
    while k + 8 <= n_rows:
        a, b = np.uint64(row[k]) * n, np.uint64(row[k + 1]) * n
        c, d = np.uint64(row[k + 2]) * n, np.uint64(row[k + 3]) * n
        e, f = np.uint64(row[k + 4]) * n, np.uint64(row[k + 5]) * n
        g, h = np.uint64(row[k + 6]) * n, np.uint64(row[k + 7]) * n
        for o in range(n):
            u = (((current[base + o] + weight[a + o]) + weight[b + o]) + weight[c + o]) + weight[d + o]
            u = (((u + weight[e + o]) + weight[f + o]) + weight[g + o]) + weight[h + o]
            current[base + o] = u
        k += 8
    if k + 4 <= n_rows:
        a, b = np.uint64(row[k]) * n, np.uint64(row[k + 1]) * n
        c, d = np.uint64(row[k + 2]) * n, np.uint64(row[k + 3]) * n
        for o in range(n):
            u = ((current[base + o] + weight[a + o]) + weight[b + o]) + weight[c + o]
            current[base + o] = u + weight[d + o]
        k += 4
    if k + 2 <= n_rows:
        a, b = np.uint64(row[k]) * n, np.uint64(row[k + 1]) * n
        for o in range(n):
            current[base + o] = (current[base + o] + weight[a + o]) + weight[b + o]
        k += 2
    if k < n_rows:
        a = np.uint64(row[k]) * n
        for o in range(n):
            current[base + o] = current[base + o] + weight[a + o]


@njit(cache=True)
def add_scaled_rows(
    current: Floats, base: np.uint64, weight: Floats, row: Int32s, scale: Floats, n_rows: int, n: np.uint64
) -> None:
    """Add `n_rows` rows of n weights, each times its scale: the product is rounded, then added."""
    k = 0
    while k + 4 <= n_rows:
        a, b = np.uint64(row[k]) * n, np.uint64(row[k + 1]) * n
        c, d = np.uint64(row[k + 2]) * n, np.uint64(row[k + 3]) * n
        p, q, r, s = scale[k], scale[k + 1], scale[k + 2], scale[k + 3]
        for o in range(n):
            u = (current[base + o] + weight[a + o] * p) + weight[b + o] * q
            current[base + o] = (u + weight[c + o] * r) + weight[d + o] * s
        k += 4
    while k < n_rows:
        a = np.uint64(row[k]) * n
        p = scale[k]
        for o in range(n):
            current[base + o] = current[base + o] + weight[a + o] * p
        k += 1


@njit(cache=True)
def add_grouped_rows(
    current: Floats, base: np.uint64, synapses: Synapses, work: Work, n_rows: int, is_graded: bool
) -> None:
    """The same for a grouped convolution: a row feeds the output channels of its input's group."""
    n = np.uint64(synapses.out_channels // synapses.n_groups)
    group_in = synapses.in_channels // synapses.n_groups
    weight, row, scale = synapses.weight, work.row, work.scale
    for k in range(n_rows):
        a = np.uint64(row[k]) * n
        first = base + np.uint64((row[k] % synapses.in_channels) // group_in) * n
        p = scale[k] if is_graded else np.float32(1)
        for o in range(n):
            current[first + o] = current[first + o] + weight[a + o] * p


@njit(cache=True)
def add_listed(synapses: Synapses, work: Work, pixel: int, n_rows: int, is_graded: bool) -> None:
    """Add the inputs listed in `work` to the currents of an output pixel (graded or grouped layers)."""
    n = np.uint64(synapses.out_channels)
    base = np.uint64(pixel) * n
    if synapses.n_groups > 1:
        add_grouped_rows(work.current, base, synapses, work, n_rows, is_graded)
    else:
        add_scaled_rows(work.current, base, synapses.weight, work.row, work.scale, n_rows, n)


@njit(cache=True)
def fill_bias(current: Floats, bias: Floats, n_pixels: int) -> None:
    """Start the currents of some pixels at the bias."""
    n = np.uint64(bias.size)
    for pixel in range(n_pixels):
        base = np.uint64(pixel) * n
        for o in range(n):
            current[base + o] = bias[o]


@njit(cache=True)
def gather_rows(
    frames: Frames, first: int, synapses: Synapses, row_start: int, row_stop: int, work: Work, block: Block
) -> None:
    """Currents of some output rows into the front of ``work.current``: each output collects its inputs."""
    start, index, value = frames.start, frames.index, frames.value
    current, row, scale, weight = work.current, work.row, work.scale, synapses.weight
    taps_of_row, tap_pixel, tap_shift = synapses.gather_row, synapses.gather_pixel, synapses.gather_shift
    runs_of_column, run_start, run_stop = synapses.gather_column, synapses.run_start, synapses.run_stop
    run_shift = synapses.run_shift
    is_graded = value.size > 0
    is_plain = not is_graded and synapses.n_groups == 1
    n_channels = np.uint64(synapses.out_channels)
    n_rows, n_active, pixel = 0, 0, 0
    fill_bias(current, synapses.bias, (row_stop - row_start) * synapses.out_columns)
    for y in range(row_start, row_stop):
        for x in range(synapses.out_columns):
            n = 0
            for r in range(taps_of_row[y], taps_of_row[y + 1]):
                line = first + tap_pixel[r]
                for c in range(runs_of_column[x], runs_of_column[x + 1]):
                    shift = tap_shift[r] + run_shift[c]
                    for k in range(start[line + run_start[c]], start[line + run_stop[c]]):
                        row[n] = index[k] + shift
                        if is_graded:
                            scale[n] = value[k]
                        n += 1
            if is_plain:
                add_rows(current, np.uint64(pixel) * n_channels, weight, row, n, n_channels)
            else:
                add_listed(synapses, work, pixel, n, is_graded)
            n_rows += n
            n_active += n > 0
            pixel += 1
    block.tally[1] += n_rows * (synapses.out_channels // synapses.n_groups)
    block.tally[2] += n_active


@njit(cache=True)
def scatter_frame(frames: Frames, first: int, synapses: Synapses, work: Work, block: Block) -> None:
    """Currents of a whole step into ``work.current``: each input, in raster order, adds to all it reaches."""
    start, index, value = frames.start, frames.index, frames.value
    current, row, scale, weight, touched = work.current, work.row, work.scale, synapses.weight, work.touched
    row_list, row_pixel, row_tap = synapses.scatter_row, synapses.scatter_pixel, synapses.scatter_tap
    column_list, column_pixel = synapses.scatter_column, synapses.scatter_column_pixel
    column_tap = synapses.scatter_column_tap
    is_graded = value.size > 0
    is_plain = not is_graded and synapses.n_groups == 1
    n_channels = np.uint64(synapses.out_channels)
    n_pixels = synapses.out_rows * synapses.out_columns
    n_rows, pixel = 0, 0
    fill_bias(current, synapses.bias, n_pixels)
    touched[:n_pixels] = 0
    for y in range(synapses.in_rows):
        for x in range(synapses.in_columns):
            lo, n = start[first + pixel], start[first + pixel + 1] - start[first + pixel]
            pixel += 1
            if n == 0:
                continue
            for r in range(row_list[y], row_list[y + 1]):
                for c in range(column_list[x], column_list[x + 1]):
                    target = row_pixel[r] + column_pixel[c]
                    shift = row_tap[r] + column_tap[c]
                    for k in range(n):
                        row[k] = index[lo + k] + shift
                        if is_graded:
                            scale[k] = value[lo + k]
                    if is_plain:
                        add_rows(current, np.uint64(target) * n_channels, weight, row, n, n_channels)
                    else:
                        add_listed(synapses, work, target, n, is_graded)
                    touched[target] = 1
                    n_rows += n
    block.tally[1] += n_rows * (synapses.out_channels // synapses.n_groups)
    block.tally[2] += touched[:n_pixels].sum()
