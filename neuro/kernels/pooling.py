"""Pooling of listed entries; sums run in ascending (row, column) order of the window."""

import numpy as np

from neuro.kernels.arrays import Floats, Frames, Synapses
from neuro.kernels.options import PART, UNCOUNTED, njit

MAXIMUM, SUM = 0, 1


@njit(cache=True, **PART)
def pool_pixel(
    frames: Frames, first: int, window: Synapses, row: int, column: int, maximum: bool, total: Floats
) -> int:
    """Sum (or take the maximum of) the entries of one window into `total`; return how many there are."""
    n = 0
    for r in range(window.gather_row[row], window.gather_row[row + 1]):
        line = window.gather_pixel[r]
        for c in range(window.gather_column[column], window.gather_column[column + 1]):
            for pixel in range(line + window.run_start[c], line + window.run_stop[c]):
                for k in range(frames.start[first + pixel], frames.start[first + pixel + 1]):
                    channel = frames.index[k] - pixel * window.in_channels
                    value = frames.value[k] if frames.value.size > 0 else np.float32(1)
                    if maximum:
                        total[channel] = max(total[channel], value)
                    else:
                        total[channel] = total[channel] + value
                    n += 1
    return n


@njit(cache=True, **UNCOUNTED)
def pool(
    frames: Frames, n_steps: int, window: Synapses, kind: int, area: np.float32, total: Floats, into: Frames
) -> None:
    """Pool a block of frames: the maximum, or the sum divided by `area` (1 for a plain sum).

    ``total``: float32, shape (n_channels,), scratch.
    """
    n, slot = 0, 0
    into.start[0] = 0
    total[:] = 0
    n_in, n_out = window.n_in_pixels, window.out_rows * window.out_columns
    for step in range(n_steps):
        if frames.start[step * n_in] == frames.start[(step + 1) * n_in]:
            into.start[slot + 1 : slot + n_out + 1] = n
            slot += n_out
            continue
        for row in range(window.out_rows):
            for column in range(window.out_columns):
                base = (row * window.out_columns + column) * window.in_channels
                if (
                    pool_pixel(frames, step * window.n_in_pixels, window, row, column, kind == MAXIMUM, total)
                    > 0
                ):
                    for channel in range(window.in_channels):
                        value = total[channel] / area
                        total[channel] = 0
                        if value != 0:
                            into.index[n] = base + channel
                            if into.value.size > 0:
                                into.value[n] = value
                            n += 1
                slot += 1
                into.start[slot] = n
