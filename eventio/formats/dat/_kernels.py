"""Kernels of .dat files: pairs of 32-bit time and 32-bit data to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_lanes import N_LANES, join_and, join_or, load_pairs, put, put_eight, spread

WRAP_US = 1 << 32
HALF_WRAP_US = 1 << 31
RAW_T, BASE, ODD, N_ODD, N_STATE = N_COMMON, N_COMMON + 1, N_COMMON + 2, N_COMMON + 3, N_COMMON + 4
"""Places in `state`: the last time as it stands in the file or -1, time added by wraps, OR of all data words, and
how many of them have unknown bits."""
UNKNOWN_BITS = 0xE0000000


@numba.njit(cache=True, **UNCOUNTED)
def rest_of(data: Any) -> Any:
    """Return place and polarity of an event, of one data word or eight, as `put` takes them."""
    return (data & 0x3FFF) | ((data & 0xFFFC000) << 2) | ((data & (1 << 28)) << 4)


@numba.njit(cache=True, **UNCOUNTED)
def decode_rising(
    words: npt.NDArray[np.uint32], first: int, state: npt.NDArray[np.int64], events: Any
) -> Any:
    """Write the events of words from `first` on, eight at a time, while no time falls; return their number."""
    base, limit = spread(state[BASE]), spread(state[LIMIT])
    inside, odd = spread(-1), spread(0)
    n = 0
    while first + n + N_LANES <= words.shape[0] and n + N_LANES < events.shape[0]:
        pair, before = load_pairs(words, first + n), load_pairs(words, first + n - 1)
        time = pair & 0xFFFFFFFF
        if join_or(time - (before & 0xFFFFFFFF)) >> 31 != 0:
            break
        rest = rest_of(pair >> 32)
        inside, odd = inside & (limit - rest), odd | (pair >> 32)
        put_eight(events, n, base + time, rest)
        n += N_LANES
    if n:
        state[INSIDE] &= join_and(inside)
        state[ODD] |= join_or(odd)
        state[PREVIOUS_T] = events[n - 1].t
        state[RAW_T] = state[PREVIOUS_T] - state[BASE]
    return n


@numba.njit(cache=True, **UNCOUNTED)
def decode(words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], events: Any) -> Any:
    """
    Write one event for each pair of words (uint32, shape (n, 2)) while two have room; return their number.

    After each event that is looked at alone come those that rise in time, eight at a time.
    """
    n = 0
    stop = min(words.shape[0], events.shape[0] - 1)
    while n < stop:
        time, data = np.int64(words[n, 0]), np.int64(words[n, 1])
        raw = state[RAW_T]
        if abs(time - raw) > HALF_WRAP_US and raw >= 0:
            if time < raw:
                state[BASE] += WRAP_US
            elif state[BASE] > 0:
                state[BASE] -= WRAP_US
        t, rest = state[BASE] + time, rest_of(data)
        put(events, n, t, rest)
        state[LATE] |= t - state[PREVIOUS_T]
        state[INSIDE] &= state[LIMIT] - rest
        state[ODD] |= data
        state[RAW_T], state[PREVIOUS_T] = time, t
        n += 1
        n += decode_rising(words, n, state, events[n:])
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
