"""The arrays of a synapse for the kernels of clocked runs: tables, weights on cache lines, whole numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import Conv2d, Linear
from neuro.kernels import arrays
from neuro.kernels.arrays import Floats, Synapses, Wiring
from neuro.kernels.vectors import LANES
from neuro.lowering.layout import Layout
from neuro.lowering.tables import channel_last, synapse_tables

__all__ = ["aligned", "byte_order", "dense_size", "has_bytes", "pitch_of", "wire"]

_LINE = 64
_ROWS = 256  # weight rows that are looked at together
_NO_BYTES = np.zeros(0, np.int8)


def aligned(n: int, dtype: Any) -> NDArray[Any]:
    """Return n zeros that begin on a cache line; a vector that crosses one costs two reads."""
    size = n * np.dtype(dtype).itemsize
    raw = np.zeros(size + _LINE, np.uint8)
    first = -raw.ctypes.data % _LINE
    return raw[first : first + size].view(dtype)


def pitch_of(n_channels: int) -> int:
    """Return the places that the currents of a pixel take: whole vectors."""
    return -(-n_channels // LANES) * LANES


def wire(node: Linear | Conv2d, source: Layout, target: Layout) -> Wiring:
    """Return the wiring of a Linear or Conv2d.

    Parameters
    ----------
    node : Linear or Conv2d
        The synapse.
    source, target : Layout
        What it takes and what it gives.

    Returns
    -------
    Wiring
        ``weight_bytes`` is empty unless every weight is a whole multiple, from -127 to 127, of a power of two and no
        sum can be rounded in float32: then sums of whole numbers equal those of float32.
    """
    tables = synapse_tables(node, source, target, has_weights=False)
    numbers = np.zeros(arrays.N_NUMBERS, np.int64)
    numbers[arrays.N_IN_PIXELS], numbers[arrays.IN_CHANNELS] = tables.n_in_pixels, tables.in_channels
    numbers[arrays.IN_COLUMNS], numbers[arrays.N_ROWS] = tables.in_columns, tables.n_rows
    numbers[arrays.OUT_ROWS], numbers[arrays.OUT_COLUMNS] = tables.out_rows, tables.out_columns
    numbers[arrays.OUT_CHANNELS], numbers[arrays.N_GROUPS] = tables.out_channels, tables.n_groups
    numbers[arrays.PITCH] = pitch = pitch_of(tables.out_channels)
    lists: tuple[Any, ...] = tables[tables._fields.index("gather_row") :]
    ends = np.cumsum([0, *(one.size for one in lists)])
    numbers[arrays.FIRST_TABLE : arrays.FIRST_TABLE + len(ends)] = ends
    _number_dense_steps(numbers, node, tables)
    weight = _flat(node)
    weight_bytes, scale = _as_bytes(weight[: node.weight.size], tables)
    return Wiring(
        numbers,
        np.concatenate(lists),
        weight,
        weight_bytes,
        np.full(1, scale, np.float32),
        _padded(tables.bias, pitch),
        tables.row_first,
    )


def dense_size(wiring: Wiring) -> int:
    """Return the number of inputs of a padded frame; 0 for a synapse without a dense path."""
    numbers = wiring.numbers
    return int(numbers[arrays.PADDED_ROWS] * numbers[arrays.PADDED_COLUMNS] * numbers[arrays.IN_CHANNELS])


def has_bytes(wiring: Wiring) -> bool:
    """Whether the sums can be taken in whole numbers."""
    return wiring.weight_bytes.size > 0


def _number_dense_steps(numbers: NDArray[np.int64], node: Linear | Conv2d, tables: Synapses) -> None:
    """Fill in the padded input of the dense path; a grouped convolution has none, nor has a single pixel."""
    n_in = tables.in_channels
    if isinstance(node, Linear) or tables.n_groups > 1:
        return
    (k_r, k_c), (s_r, s_c), (d_r, d_c) = node.kernel_size, node.stride, node.dilation
    rows = (tables.out_rows - 1) * s_r + (k_r - 1) * d_r + 1
    columns = (tables.out_columns - 1) * s_c + (k_c - 1) * d_c + 1
    numbers[arrays.ROW_PADDING], numbers[arrays.COLUMN_PADDING] = node.padding
    numbers[arrays.PADDED_ROWS], numbers[arrays.PADDED_COLUMNS] = rows, columns
    numbers[arrays.DENSE_ROW] = s_r * columns * n_in
    taps = (1, d_c * n_in, k_c * n_in) if d_c == 1 else (k_c, d_c * n_in, n_in)
    steps = (k_r, d_r * columns * n_in, *taps, s_c * n_in)
    numbers[arrays.DENSE_STEPS : arrays.DENSE_STEPS + 6] = steps


def _flat(node: Linear | Conv2d) -> Floats:
    """Return the weights on a cache line, with room for vectors that read past the end."""
    rows = channel_last(node)
    weight: Floats = aligned(rows.size + 2 * LANES, np.float32)
    weight[: rows.size].reshape(rows.shape)[:] = rows
    return weight


def _padded(bias: Floats, pitch: int) -> Floats:
    room = aligned(pitch, np.float32)
    room[: bias.size] = bias
    return room


def _as_bytes(weight: Floats, tables: Synapses) -> tuple[NDArray[np.int8], float]:
    """Return weights as `Wiring.weight_bytes`, and their unit; nothing where float32 would round."""
    nothing = _NO_BYTES, 1.0
    largest = float(np.abs(weight).max(initial=0))
    if tables.n_groups > 1 or not 2.0**-100 < largest < 2.0**100:
        return nothing
    finest = math.frexp(largest)[1] - 7  # the largest is at most 127 on the grid 2^finest, or on the next
    exponent = finest if largest <= 127 * 2.0**finest else finest + 1
    scale = np.float32(2.0**exponent)
    rows, order = weight.reshape(-1, tables.out_channels), byte_order(tables.out_channels)
    packed: NDArray[np.int8] = aligned((len(rows) + 1) * order.size, np.int8).reshape(-1, order.size)
    most, is_used = np.zeros(tables.out_channels), order < tables.out_channels
    for first in range(0, len(rows), _ROWS):  # in pieces: the weights may be large
        part = rows[first : first + _ROWS] / scale
        if (part != np.rint(part)).any():
            return nothing
        packed[first : first + len(part), is_used] = part[:, order[is_used]]
        most += np.abs(part).sum(axis=0, dtype=np.float64)
    if not _is_exact(most, tables.bias.astype(np.float64) / float(scale)):
        return nothing
    packed[:, ::2] ^= np.int8(-128)  # 128 more, as a number without a sign
    return packed.reshape(-1), float(scale)


def byte_order(n_channels: int) -> NDArray[np.int64]:
    """Return the channel of each byte of a row: of 64, 32 or 16 channels the first half alternates with the second."""
    pitch, first, found = pitch_of(n_channels), 0, []
    while first < pitch:
        size = next(size for size in (64, 32, 16) if first + size <= pitch)
        found.append(first + np.arange(size).reshape(2, -1).T.reshape(-1))
        first += size
    return np.concatenate(found)


def _is_exact(most: NDArray[np.float64], bias: NDArray[np.float64]) -> bool:
    """Whether float32 holds every partial sum of whole numbers up to `most` and a bias, all in units of the weights."""
    grid = 1.0
    while grid > 2.0**-24 and (bias / grid != np.rint(bias / grid)).any():
        grid /= 2
    is_on_grid = (bias / grid == np.rint(bias / grid)).all()
    return bool(is_on_grid and ((most + np.abs(bias)) < 2.0**24 * grid).all())
