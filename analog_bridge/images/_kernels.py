"""The entropy-coded part of a JPEG file, bit by bit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

DONE, OUT_OF_DATA, BAD_CODE, BAD_PLACE = 0, 1, 2, 3


class Codes(NamedTuple):
    """Huffman codes of up to eight tables (four for first coefficients, four for the others), by length."""

    smallest: NDArray[np.int64]  # (8, 17): first code of each length
    largest: NDArray[np.int64]  # (8, 17): last code of each length, -1: none
    first: NDArray[np.int64]  # (8, 17): place of the first code's value
    values: NDArray[np.uint8]  # (8, 256)


class Layout(NamedTuple):
    """Blocks of a unit (MCU): component, place in the unit; and the components' sizes and tables."""

    component: NDArray[np.int64]  # (blocks of a unit,)
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    across: NDArray[np.int64]  # (components,) blocks of a unit in a row
    down: NDArray[np.int64]
    width: NDArray[np.int64]  # (components,) blocks in a row of the picture
    start: NDArray[np.int64]  # (components,) first block
    table: NDArray[np.int64]  # (components, 2)


@njit(cache=True)
def _bits(data, place, n):  # type: ignore[no-untyped-def]
    """Return the next n bits, or -1."""
    if place + n > 8 * data.size:
        return -1
    value = 0
    for i in range(place, place + n):
        value = 2 * value + ((data[i >> 3] >> (7 - (i & 7))) & 1)
    return value


@njit(cache=True)
def _symbol(data, place, codes, table):  # type: ignore[no-untyped-def]
    """Return the next symbol and the place behind it; a negative symbol is a status."""
    code = 0
    for length in range(1, 17):
        i = place + length - 1
        if i >= 8 * data.size:
            return -OUT_OF_DATA, place
        code = 2 * code + ((data[i >> 3] >> (7 - (i & 7))) & 1)
        if code <= codes.largest[table, length]:
            where = codes.first[table, length] + code - codes.smallest[table, length]
            return int(codes.values[table, where & 255]), place + length
    return -BAD_CODE, place


@njit(cache=True)
def _signed(data, place, n):  # type: ignore[no-untyped-def]
    """Return the number that n bits stand for: below half of their range they are negative."""
    value = _bits(data, place, n)
    if n > 0 and value >= 0 and value < 1 << (n - 1):
        return value - (1 << n) + 1, True
    return value, value >= 0


@njit(cache=True)
def decode_block(data, place, codes, tables, previous, zigzag, out):  # type: ignore[no-untyped-def]
    """Decode one block into `out` (64,); return status, place behind it, and its first coefficient."""
    size, place = _symbol(data, place, codes, tables[0])
    if size < 0:
        return -size, place, previous
    if size > 11:
        return BAD_CODE, place, previous
    value, is_there = _signed(data, place, size)
    if not is_there:
        return OUT_OF_DATA, place, previous
    place += size
    previous += value
    out[0] = previous
    k = 1
    while k < 64:
        symbol, place = _symbol(data, place, codes, tables[1])
        if symbol < 0:
            return -symbol, place, previous
        run, size = symbol >> 4, symbol & 15
        if size == 0:
            if run != 15:
                break
            k += 16
            continue
        k += run
        if k > 63:
            return BAD_PLACE, place, previous
        value, is_there = _signed(data, place, size)
        if not is_there:
            return OUT_OF_DATA, place, previous
        place += size
        out[zigzag[k]] = value
        k += 1
    return DONE, place, previous


@njit(cache=True)
def decode_segment(data, first, stop, per_row, codes, layout, zigzag, out):  # type: ignore[no-untyped-def]
    """Decode units first..stop of a scan from the bytes of one restart interval; `out` (blocks, 64) int32."""
    place = 0
    previous = np.zeros(layout.width.size, np.int64)
    for unit in range(first, stop):
        for i in range(layout.component.size):
            c = layout.component[i]
            row = (unit // per_row) * layout.down[c] + layout.row[i]
            column = (unit % per_row) * layout.across[c] + layout.column[i]
            block = layout.start[c] + row * layout.width[c] + column
            status, place, previous[c] = decode_block(
                data, place, codes, layout.table[c], previous[c], zigzag, out[block]
            )
            if status != DONE:
                return status, unit
    return DONE, stop
