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


SPARE = 32  # kernels read and write so many entries at a time


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
    ``reset``: the value v takes (threshold for clamp); with `is_subtracting`, what is taken from v. ``n_held``: steps
    of the refractory period, only where not `is_uniform`.
    """

    update: int
    is_uniform: bool
    is_firing: bool
    is_subtracting: bool
    n_held: int
    gain: Floats
    leak: Floats
    synaptic_gain: Floats
    fire_above: Floats
    reset: Floats


class Membranes(NamedTuple):
    """State of a population, shape (n_neurons,), or (0,) where the model has none; ``held``: steps still to wait."""

    voltage: Floats
    current: Floats
    held: Int32s


# Places in `Wiring.numbers`; `FIRST_TABLE` is the first of 14, `DENSE_STEPS` of 6.
N_IN_PIXELS, IN_CHANNELS, IN_COLUMNS, OUT_ROWS, OUT_COLUMNS, OUT_CHANNELS, N_GROUPS, N_ROWS, PITCH = range(9)
FIRST_TABLE, ROW_PADDING, COLUMN_PADDING, PADDED_ROWS, PADDED_COLUMNS = 9, 23, 24, 25, 26
DENSE_ROW, DENSE_STEPS, N_NUMBERS = 27, 28, 34


class Wiring(NamedTuple):
    """`Synapses` in few arrays, because unpacking many at every call takes longer than a small layer.

    ``numbers``: int64, shape (N_NUMBERS,), at the places above. ``tables``: int32, the 13 tables of `Synapses` from
    ``gather_row`` on, one behind the other; table k stands at ``numbers[FIRST_TABLE + k]`` up to the next.
    ``numbers[DENSE_ROW]``: inputs between two output rows in the padded input; from ``DENSE_STEPS`` on: see
    `neuro.kernels.sums.sum_dense`.
    ``weight``: float32, `n_rows` rows as in `Synapses` and a spare vector; ``weight_bytes``: the same as int8 multiples
    of ``byte_scale[0]`` in rows of ``numbers[PITCH]`` and a row of zeros, empty where they are none: every other byte
    128 too high, channels in the order of `neuro.lowering.wiring.byte_order`; ``bias``: float32, shape (pitch,), zeros
    behind the last channel; ``row_first``: as in `Synapses`. The currents of a pixel have that pitch, whole vectors.
    """

    numbers: Int64s
    tables: Int32s
    weight: Floats
    weight_bytes: NDArray[np.int8]
    byte_scale: Floats
    bias: Floats
    row_first: Int32s


class Work(NamedTuple):
    """Scratch of one layer.

    ``current``: the pixels of a row times pitch; ``row``, ``scale``: the weight rows of one output pixel;
    ``dense``: the padded input of a step, channel-last; ``occupied``: uint8, shape
    (padded pixels,), whether it has any; ``touched``, ``hot``: uint8, and ``done``: int32, each shape (n_pixels,), the
    steps that the membranes of a pixel have behind them; ``fired`` and ``fired_words`` are two views of the same bytes.
    """

    current: Floats
    row: Int32s
    scale: Floats
    dense: Floats
    occupied: Bytes
    touched: Bytes
    hot: Bytes
    done: Int32s
    fired: Bytes
    fired_words: NDArray[np.uint64]


# Places in `Block.tally`.
SPIKES, OPERATIONS, ACTIVE, SCATTERED, GATHERED, MULTIPLIED, SILENT, VISITS, PRODUCTS = range(9)
BYTE_OPERATIONS, DENSE_OPERATIONS, N_HOT, N_TALLIES = range(9, 13)


class Block(NamedTuple):
    """The steps of a block, and what a layer writes for them.

    ``first_pixel``, ``n_pixels``: the output pixels computed. ``kept``: uint8, shape (n_steps,), 0 for a dropped step.
    ``start``, ``index``: the spikes of these pixels, as in `Frames` (``index`` with `SPARE` places more). ``trace``:
    float32, shape (n_steps, n_neurons) for the membranes (or the currents of a layer without neurons), (0, 0) where
    not asked for. ``tally``: int64, shape (N_TALLIES,): spikes, synaptic operations, output pixels with a
    contribution, steps by scatter, by gather and by the dense path, steps skipped in silence, pixels whose membranes
    were read and written, products of the dense path, operations on bytes and by the dense path, and the pixels that
    may fire without input (now, not so far).
    """

    first_pixel: int
    n_pixels: int
    n_channels: int
    kept: Bytes
    start: Int32s
    index: Int32s  # type: ignore[assignment]  # hides tuple.index, which no kernel needs
    trace: Floats
    tally: Int64s


# Places in the `orders` of `neuro.kernels.layers.run_steps` (in this order), and the modes.
ROW_START, ROW_STOP, SCATTER_UNDER, DENSE_FROM, ALL_FROM, MODE, IS_STEADY, USES_BYTES, N_ORDERS = range(9)
EACH, EAGER, LAZY = range(3)
