"""Sums that scores are computed from; each runs over the entries of a step in the order in which they are listed."""

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Floats, Frames
from neuro.kernels.options import PART, UNCOUNTED, njit

Doubles = NDArray[np.float64]


@njit(cache=True, **UNCOUNTED)
def sum_entries(frames: Frames, n_pixels: int, table: Doubles, sums: Doubles, totals: Doubles) -> None:
    """Add up the values of each step (``totals``), and each times the table's value of its entry (``sums``).

    ``table``: float64, a value for each entry of a frame, or (0,): then ``sums`` stays as it is.
    """
    start, index, value = frames.start, frames.index, frames.value
    for step in range(sums.size):
        total, weighted = 0.0, 0.0
        for k in range(start[step * n_pixels], start[(step + 1) * n_pixels]):
            x = np.float64(value[k]) if value.size > 0 else 1.0
            total += x
            if table.size > 0:
                weighted += table[index[k]] * x
        totals[step] = total
        if table.size > 0:
            sums[step] = weighted


@njit(cache=True, **UNCOUNTED)
def sum_channels(frames: Frames, n_pixels: int, n_channels: int, sums: Doubles) -> None:
    """Add up each channel of each step; ``sums``: float64, shape (n_steps, n_channels), zeros."""
    start, index, value = frames.start, frames.index, frames.value
    for step in range(sums.shape[0]):
        for pixel in range(n_pixels):
            slot, base = step * n_pixels + pixel, pixel * n_channels
            for k in range(start[slot], start[slot + 1]):
                sums[step, index[k] - base] += np.float64(value[k]) if value.size > 0 else 1.0


@njit(cache=True, **PART)
def fill_maps(
    frames: Frames, step: int, shape: tuple[int, int, int], pad: tuple[int, int], maps: Floats
) -> None:
    """Write the mean of each active pixel over its channels, and their maximum (at least 0), into padded maps.

    ``shape``: channels, rows, columns. ``maps``: float32, shape (2, rows + 2 pad, columns + 2 pad).
    """
    n_channels, rows, columns = shape
    start, value = frames.start, frames.value
    slot = step * rows * columns
    for row in range(rows):
        for column in range(columns):
            total, largest = 0.0, np.float32(0)
            for k in range(start[slot], start[slot + 1]):
                x = value[k] if value.size > 0 else np.float32(1)
                total += np.float64(x)
                largest = max(largest, x)
            maps[0, row + pad[0], column + pad[1]] = np.float32(total) / np.float32(n_channels)
            maps[1, row + pad[0], column + pad[1]] = largest
            slot += 1


@njit(cache=True, **UNCOUNTED)
def sum_windows(
    frames: Frames,
    n_steps: int,
    shape: tuple[int, int, int],
    weight: Floats,
    bias: np.float32,
    maps: Floats,
    logits: Floats,
) -> None:
    """Sum the window of every active pixel, ascending in (row, column, map), products rounded, from the bias.

    ``logits``: float32, shape (n_steps * rows * columns,); only those of active pixels are written. ``maps``: zeros.
    """
    _, rows, columns = shape
    pad = (weight.shape[1] // 2, weight.shape[2] // 2)
    slot = 0
    for step in range(n_steps):
        fill_maps(frames, step, shape, pad, maps)
        for row in range(rows):
            for column in range(columns):
                if frames.start[slot + 1] > frames.start[slot]:
                    total = bias
                    for i in range(weight.shape[1]):
                        for j in range(weight.shape[2]):
                            for m in range(2):
                                total = total + weight[m, i, j] * maps[m, row + i, column + j]
                    logits[slot] = total
                slot += 1


@njit(cache=True, **UNCOUNTED)
def add_products(weight: Floats, values: Floats, total: Floats) -> None:
    """Add ``weight @ row`` to each row of `total`: rounded products, one after the other in ascending order."""
    for row in range(values.shape[0]):
        for k in range(weight.shape[1]):
            value = values[row, k]
            for o in range(weight.shape[0]):
                total[row, o] = total[row, o] + weight[o, k] * value
