"""Kernels of .dat files: pairs of 32-bit time and 32-bit data to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED

WRAP_US = 1 << 32
HALF_WRAP_US = 1 << 31
RAW_T, BASE, ODD, N_ODD, N_STATE = N_COMMON, N_COMMON + 1, N_COMMON + 2, N_COMMON + 3, N_COMMON + 4
"""Places in `state`: the last time as it stands in the file or -1, time added by wraps, OR of all data words, and
how many of them have unknown bits."""
UNKNOWN_BITS = 0xE0000000


@numba.njit(cache=True, **UNCOUNTED)
def decode(words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], events: Any) -> Any:
    """Write one event for each pair of words (uint32, shape (n, 2)) while there is room; return their number."""
    raw, base, odd = state[RAW_T], state[BASE], state[ODD]
    previous, late, inside, limit = state[PREVIOUS_T], state[LATE], state[INSIDE], state[LIMIT]
    n = min(words.shape[0], events.shape[0])
    for i in range(n):
        time, data = np.int64(words[i, 0]), np.int64(words[i, 1])
        if abs(time - raw) > HALF_WRAP_US and raw >= 0:
            if time < raw:
                base += WRAP_US
            elif base > 0:
                base -= WRAP_US
        raw = time
        t = base + time
        xy = (data & 0x3FFF) | ((data & 0xFFFC000) << 2)
        event = events[i]
        event.t, event.xy, event.p = t, np.uint32(xy), np.uint8((data >> 28) & 1)
        late |= t - previous
        inside &= limit - xy
        odd |= data
        previous = t
    state[RAW_T], state[BASE], state[ODD] = raw, base, odd
    state[PREVIOUS_T], state[LATE], state[INSIDE] = previous, late, inside
    return n


@numba.njit(cache=True, **UNCOUNTED)
def count_odd(words: npt.NDArray[np.uint32]) -> int:
    """Return how many pairs of words (uint32, shape (n, 2)) have unknown bits."""
    n = 0
    for i in range(words.shape[0]):
        n += (words[i, 1] & UNKNOWN_BITS) != 0
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, words: npt.NDArray[np.uint32]) -> None:
    """Write one pair of words (uint32, shape (n, 2)) for each event (PLACED_DTYPE)."""
    for i in range(events.shape[0]):
        event = events[i]
        xy = np.int64(event.xy)
        words[i, 0] = np.uint32(event.t & 0xFFFFFFFF)
        words[i, 1] = np.uint32(xy & 0x3FFF | (xy >> 16) << 14 | np.int64(event.p) << 28)
