"""The arrays that kernels share, grouped under one name each.

Activations are channel-last inside the engine: entry ``pixel * n_channels + channel`` of a frame. A
block of frames holds, for each (step, pixel), the ascending list of its active entries.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


SPARE = 8  # kernels read and write entries eight at a time


class Frames(NamedTuple):
    """Sparse frames of a block of steps.

    ``start``: int32, shape (n_steps * n_pixels + 1,); the entries of (step, pixel) stand at
    ``start[step * n_pixels + pixel]`` up to the next start. ``index``: int32, in ``0 .. n_pixels * n_channels``,
    ascending within a step, with at least `SPARE` unused places past the last entry. ``value``: float32, the
    same shape, or empty when each entry is 1.0.
    """

    start: Int32s
    index: Int32s  # type: ignore[assignment]  # hides tuple.index, which no kernel needs
    value: Floats


class Synapses(NamedTuple):
    """A Conv2d, a Linear (one pixel, one tap) or the window of a pool, as tables.

    ``weight``: float32, `n_rows` = n_taps * in_channels rows of the output channels of a group (taps in row-major
    order, then input channels) and one more row of zeros, flat; ``bias``: float32, shape (out_channels,);
    ``row_first``: first output channel of a weight row, empty for one group.

    Gather: output row r reads the taps ``gather_row[r] .. gather_row[r + 1]``, each with its first input
    pixel ``gather_pixel`` and the ``gather_shift`` from entry to weight row; output column c reads the
    pixel runs ``gather_column[c] .. gather_column[c + 1]`` from ``run_start`` to ``run_stop`` with ``run_shift``.

    Scatter: input row r feeds ``scatter_row[r] .. scatter_row[r + 1]``: first output pixel and shift; input
    column c likewise.
    """

    n_in_pixels: int
    in_channels: int
    in_columns: int
    out_rows: int
    out_columns: int
    out_channels: int
    n_groups: int
    n_rows: int
    weight: Floats
    bias: Floats
    row_first: Int32s
    gather_row: Int32s
    gather_pixel: Int32s
    gather_shift: Int32s
    gather_column: Int32s
    run_start: Int32s
    run_stop: Int32s
    run_shift: Int32s
    scatter_row: Int32s
    scatter_pixel: Int32s
    scatter_shift: Int32s
    scatter_column: Int32s
    scatter_column_pixel: Int32s
    scatter_column_shift: Int32s


class Neurons(NamedTuple):
    """Parameters of a population; arrays float32 of shape (1,) when `is_uniform`, else (n_neurons,).

    ``fire_above``: a neuron fires when v > fire_above (for ``>=`` the next float32 under the threshold).
    ``reset``: the value v takes (threshold for clamp); with `is_subtracting`, what is taken from v.
    """

    update: int
    is_uniform: bool
    is_firing: bool
    is_subtracting: bool
    gain: Floats
    leak: Floats
    synaptic_gain: Floats
    fire_above: Floats
    reset: Floats


class Membranes(NamedTuple):
    """State of a population: float32, shape (n_neurons,), or (0,) where the model has none."""

    voltage: Floats
    current: Floats


class Work(NamedTuple):
    """Scratch of one layer; ``fired`` and ``fired_words`` are two views of the same bytes."""

    current: Floats
    row: Int32s
    scale: Floats
    touched: Bytes
    fired: Bytes
    fired_words: NDArray[np.uint64]


class Block(NamedTuple):
    """The steps of a block, and what a layer writes for them.

    ``kept``: uint8, shape (n_steps,), 0 for a dropped step. ``start``, ``index``: the spikes, as in `Frames`
    (``index`` with `SPARE` places more). ``trace``: float32, shape (n_steps, n_neurons) for the membranes (or the
    currents of a layer without neurons), (0, 0) where not asked for. ``tally``: int64, shape (5,): spikes,
    synaptic operations, output pixels with a contribution, steps by scatter, steps by gather.
    """

    n_pixels: int
    n_channels: int
    kept: Bytes
    start: Int32s
    index: Int32s  # type: ignore[assignment]  # hides tuple.index, which no kernel needs
    trace: Floats
    tally: Int64s
