"""Kernels of .dat files: pairs of 32-bit time and 32-bit data to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, IS_USED, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_files import MOST_PIECES, Pieces, next_words, take_bytes
from eventio._kernels_lanes import N_LANES, join_and, join_or, load_pairs, rise_in_pairs, spread
from eventio._kernels_packing import (
    N_LINE_EVENTS,
    PERMUTES_BYTES,
    events_to_line,
    greatest,
    join_greatest,
    mark_upper_time,
    pick_bytes,
    put,
    put_eight,
    put_timed,
)

WORD_BYTES = 8
WRAP_US = 1 << 32
HALF_WRAP_US = 1 << 31
RAW_T, BASE, ODD, N_ODD, N_STATE = N_COMMON, N_COMMON + 1, N_COMMON + 2, N_COMMON + 3, N_COMMON + 4
"""Places in `state`: the last time as it stands in the file or -1, time added by wraps, OR of all data words, and
how many of them have unknown bits."""
UNKNOWN_BITS = 0xE0000000
pick = pick_bytes((32, 40, 46, 54, 60, 0, 0, 0))
USED_BITS = 0x13FFF3FFF
"""Of x, y and polarity, two bytes each for the first two, that `pick` gives."""


@numba.njit(cache=True, **UNCOUNTED)
def rest_of(data: Any) -> Any:
    """Return place and polarity of an event, of one data word or eight, as `put` takes them."""
    return (data & 0x3FFF) | ((data & 0xFFFC000) << 2) | ((data & (1 << 28)) << 4)


@numba.njit(cache=True, **UNCOUNTED)
def decode_lines(
    words: npt.NDArray[np.uint32], first: int, n_most: int, state: npt.NDArray[np.int64], events: Any
) -> Any:
    """
    Write the events of words from `first` on, 64 at a time, while no time falls; return their number.

    The first event begins at a line of the cache; at most n_most are written.
    """
    time = mark_upper_time(state[BASE])
    most, odd = spread(0), spread(0)
    n = 0
    while n + N_LINE_EVENTS <= n_most and rise_in_pairs(words, first + n):
        at = first + n
        pair0, pair1 = load_pairs(words, at), load_pairs(words, at + 8)
        pair2, pair3 = load_pairs(words, at + 16), load_pairs(words, at + 24)
        pair4, pair5 = load_pairs(words, at + 32), load_pairs(words, at + 40)
        pair6, pair7 = load_pairs(words, at + 48), load_pairs(words, at + 56)
        rest0, rest1 = (pick(pair0) & USED_BITS) | time, (pick(pair1) & USED_BITS) | time
        rest2, rest3 = (pick(pair2) & USED_BITS) | time, (pick(pair3) & USED_BITS) | time
        rest4, rest5 = (pick(pair4) & USED_BITS) | time, (pick(pair5) & USED_BITS) | time
        rest6, rest7 = (pick(pair6) & USED_BITS) | time, (pick(pair7) & USED_BITS) | time
        for rest in (rest0, rest1, rest2, rest3, rest4, rest5, rest6, rest7):
            most = greatest(most, rest)
        odd = odd | pair0 | pair1 | pair2 | pair3 | pair4 | pair5 | pair6 | pair7
        both = (
            pair0, rest0, pair1, rest1, pair2, rest2, pair3, rest3,
            pair4, rest4, pair5, rest5, pair6, rest6, pair7, rest7,
        )  # fmt: skip
        put_timed(events, n, both, state[IS_USED])
        n += N_LINE_EVENTS
    if n:
        state[INSIDE] &= state[LIMIT] - join_greatest(most)
        state[ODD] |= join_or(odd) >> 32
    return n


@numba.njit(cache=True, **UNCOUNTED)
def decode_rising(
    words: npt.NDArray[np.uint32], first: int, state: npt.NDArray[np.int64], events: Any
) -> Any:
    """
    Write the events of words from `first` on, eight at a time, while no time falls; return their number.

    Where an event begins at a line of the cache many are taken at once; the eight of which some are needed to come
    there are written, and then some of them once more.
    """
    base, limit = spread(state[BASE]), spread(state[LIMIT])
    inside, odd = spread(-1), spread(0)
    room = min(words.shape[0] - first, events.shape[0] - 1)
    n, n_lead = 0, events_to_line(events, 0)
    while n + N_LANES <= room:
        if PERMUTES_BYTES and n_lead == 0 and n + N_LINE_EVENTS <= room:
            n += decode_lines(words, first + n, room - n, state, events[n:])
            if n + N_LANES > room:
                break
        pair, before = load_pairs(words, first + n), load_pairs(words, first + n - 1)
        time = pair & 0xFFFFFFFF
        if join_or(time - (before & 0xFFFFFFFF)) >> 31 != 0:
            break
        rest = rest_of(pair >> 32)
        inside, odd = inside & (limit - rest), odd | (pair >> 32)
        put_eight(events, n, base + time, rest)
        n_taken = n_lead & (N_LANES - 1) or N_LANES
        n, n_lead = n + n_taken, (n_lead - n_taken) & (N_LINE_EVENTS - 1)
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
def decode_pieces(pieces: Pieces, state: npt.NDArray[np.int64], events: Any) -> Any:
    """Do the same for the next pieces of a file, and count words with unknown bits; return the number of events."""
    n = 0
    for _ in range(MOST_PIECES):
        start, stop = next_words(pieces, WORD_BYTES)
        if start == stop:
            break
        state[ODD] = 0
        n_words = decode(pieces.words[start:stop], state, events[n:])
        if state[ODD] & UNKNOWN_BITS:
            state[N_ODD] += count_odd(pieces.words[start : start + n_words])
        n += n_words
        if not take_bytes(pieces, n_words * WORD_BYTES, WORD_BYTES, state):
            break
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, words: npt.NDArray[np.uint32]) -> None:
    """Write one pair of words (uint32, shape (n, 2)) for each event (PLACED_DTYPE)."""
    for i in range(events.shape[0]):
        event = events[i]
        xy = np.int64(event.xy)
        words[i, 0] = np.uint32(event.t & 0xFFFFFFFF)
        words[i, 1] = np.uint32(xy & 0x3FFF | (xy >> 16) << 14 | np.int64(event.p) << 28)
