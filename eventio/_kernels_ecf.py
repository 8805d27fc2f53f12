"""Kernel of ECF, the codec of events in Prophesee's HDF5 files."""

from typing import Any

import numba
import numpy as np

from eventio._kernels import UNCOUNTED

HEAD_BYTES = 12


@numba.njit(cache=True, **UNCOUNTED)
def number(data: Any, at: int, n_bytes: int) -> Any:
    """Return a number of so many bytes, lowest first."""
    value = np.int64(0)
    for k in range(n_bytes):
        value |= np.int64(data[at + k]) << (8 * k)
    return value


@numba.njit(cache=True, **UNCOUNTED)
def decode_times(data: Any, t: Any) -> Any:
    """
    Decode steps and runs of equal times; return the byte behind them, or a negative number where they are damaged.

    A byte has a step above and the length of a run below, 15: a number of 16 bits follows. Steps of 15 say that the
    lower halves of these bytes are a longer step, lowest first, before the next run.
    """
    n, size, at, i = t.shape[0], data.shape[0], HEAD_BYTES, 0
    now = number(data, 4, 8)
    while i < n:
        shift = 0
        while at < size and data[at] >> 4 == 15:
            if shift > 60:
                return -at
            now += np.int64(data[at] & 15) << shift
            shift += 4
            at += 1
        if at + 2 >= size:  # at least a place follows the last run
            return -at
        now += data[at] >> 4
        run = np.int64(data[at] & 15)
        at += 1
        if run == 15:
            run = number(data, at, 2)
            at += 2
        if run > n - i:
            return -at
        for _ in range(run):
            t[i] = now
            i += 1
    return at


@numba.njit(cache=True, **UNCOUNTED)
def decode_runs(data: Any, at: int, n_bytes: int, n_bits: int, values: Any) -> Any:
    """Decode runs of equal values: the value above, the length in the lower n_bits, or, if all are 1, in 16 more."""
    n, i, full = values.shape[0], 0, (1 << n_bits) - 1
    while i < n:
        if at + n_bytes > data.shape[0]:
            return -at
        word = number(data, at, n_bytes)
        at += n_bytes
        run = word & full
        if run == full:
            if at + 2 > data.shape[0]:
                return -at
            run = number(data, at, 2)
            at += 2
        if run > n - i:
            return -at
        for _ in range(run):
            values[i] = word >> n_bits
            i += 1
    return at


@numba.njit(cache=True, **UNCOUNTED)
def decode_neighbours(data: Any, at: int, x: Any) -> Any:
    """Decode columns: one in the upper 11 bits of a word, and a bit for each of the five behind it, nearest first."""
    n, i = x.shape[0], 0
    while i < n:
        if at + 2 > data.shape[0]:
            return -at
        word = number(data, at, 2)
        at += 2
        x[i] = word >> 5
        i += 1
        for k in range(1, 6):
            if word >> (5 - k) & 1 and i < n:
                x[i] = (word >> 5) + k
                i += 1
    return at


@numba.njit(cache=True, **UNCOUNTED)
def decode_packed(data: Any, at: int, places: Any) -> Any:
    """Decode numbers of 12 or 24 bits: four in three words of 2 or 4 bytes, the first in the highest bits."""
    n = places.shape[0]
    n_bytes = 2 if places.itemsize == 2 else 4
    if at + (n + 3) // 4 * 3 * n_bytes > data.shape[0]:
        return -at
    for i in range(0, n, 4):
        first, second = number(data, at, n_bytes), number(data, at + n_bytes, n_bytes)
        third = number(data, at + 2 * n_bytes, n_bytes)
        at += 3 * n_bytes
        quarter = 2 * n_bytes  # bits that a number has more in one word than in the next
        values = (
            first >> quarter,
            (first & ((1 << quarter) - 1)) | (second >> 2 * quarter) << quarter,
            (second & ((1 << 2 * quarter) - 1)) | (third >> 3 * quarter) << 2 * quarter,
            third & ((1 << 3 * quarter) - 1),
        )
        for k in range(min(4, n - i)):
            places[i + k] = values[k]
    return at
