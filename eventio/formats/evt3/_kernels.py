"""Kernels of EVT 3.0: 16-bit words to events and back."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8
HIGH_RANGE = 1 << 12
HALF_RANGE = HIGH_RANGE // 2
MAX_HOP = HALF_RANGE - 1
WRAP_US = 1 << 24
MOST_EVENTS_PER_WORD = 12
WAITING, ROWLESS, BASELESS = 16, 17, 18
N_COUNTS = 19
"""Places in `counts`: kinds of words 0..15, then events before the first time, row and base of a vector."""
START_STATE = (-1, 0, 0, -1, -1, 0)
"""The reader's `state`: upper and lower time, time added by wraps, row, column and polarity of a vector."""


class Written(NamedTuple):
    """What the words written so far have said: -1 where nothing yet; high is not cut to 12 bits."""

    high: int
    low: int
    row: int


@numba.njit(cache=True)
def decode(
    words: npt.NDArray[np.uint16], state: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], events: Any
) -> tuple[int, int]:
    """Write events until words or room end; return the number of words used and of events."""
    high, low, wraps_us, row, column, is_on = state[0], state[1], state[2], state[3], state[4], state[5]
    n, used, room = 0, 0, events.shape[0] - MOST_EVENTS_PER_WORD
    while used < words.shape[0] and n <= room:
        word = np.int64(words[used])
        used += 1
        kind, value = word >> 12, word & 0xFFF
        if kind == ADDR_X:
            if high >= 0 and row >= 0:
                event = events[n]
                event.t = wraps_us + (high << 12) + low
                event.x = value & 0x7FF
                event.y = row
                event.p = value >= 0x800
                n += 1
            else:
                counts[WAITING if high < 0 else ROWLESS] += 1
        elif kind == ADDR_Y:
            row = value & 0x7FF
        elif kind in (VECT_12, VECT_8):
            n_bits = 12 if kind == VECT_12 else 8
            bits = value & ((1 << n_bits) - 1)
            x = column
            while bits:
                if bits & 1:
                    if high >= 0 and row >= 0 and column >= 0:
                        event = events[n]
                        event.t = wraps_us + (high << 12) + low
                        event.x = x
                        event.y = row
                        event.p = is_on != 0
                        n += 1
                    else:
                        counts[WAITING if high < 0 else ROWLESS if row < 0 else BASELESS] += 1
                bits >>= 1
                x += 1
            if column >= 0:
                column = min(column + n_bits, 0xFFF0)
        elif kind == TIME_LOW:
            low = value
        elif kind == VECT_BASE_X:
            column, is_on = value & 0x7FF, value >> 11
        elif kind == TIME_HIGH:
            if high - value > HALF_RANGE:
                wraps_us += WRAP_US
            low = low if high == value else 0
            high = value
        else:
            counts[kind] += 1
    state[0], state[1], state[2], state[3], state[4], state[5] = high, low, wraps_us, row, column, is_on
    return used, n


@numba.njit(cache=True)
def write_time(t: int, written: Written, words: npt.NDArray[np.uint16], n: int) -> tuple[Written, int]:
    """Write the words that bring the reader's time to t: steps of the upper time stay under half its range."""
    high, low = written.high, written.low
    target = t >> 12
    if high < 0:
        high = min(target, MAX_HOP)
        words[n] = (TIME_HIGH << 12) | high
        n, low = n + 1, 0
    while high != target:
        high = min(high + MAX_HOP, target) if target > high else target
        words[n] = (TIME_HIGH << 12) | (high & 0xFFF)
        n, low = n + 1, 0
    if low != t & 0xFFF:
        low = t & 0xFFF
        words[n] = (TIME_LOW << 12) | low
        n += 1
    return Written(high, low, written.row), n


@numba.njit(cache=True)
def measure_run(events: Any, first: int) -> int:
    """Return how many events from the first on share time, row and polarity, with columns rising within 32."""
    lead = events[first]
    stop, previous = first + 1, np.int64(lead.x)
    while stop < events.shape[0]:
        event = events[stop]
        x = np.int64(event.x)
        if event.t != lead.t or event.y != lead.y or event.p != lead.p:
            break
        if x <= previous or x - np.int64(lead.x) >= 32:
            break
        previous = x
        stop += 1
    return stop - first


@numba.njit(cache=True)
def encode(events: Any, written: Written, words: npt.NDArray[np.uint16]) -> tuple[int, Written]:
    """Write the words of events, in their order; return the number of words and what they have said."""
    n, i = 0, 0
    while i < events.shape[0]:
        event = events[i]
        written, n = write_time(event.t, written, words, n)
        if written.row != event.y:
            row: Any = np.int64(event.y)
            written = Written(written.high, written.low, row)
            words[n] = (ADDR_Y << 12) | event.y
            n += 1
        x, is_on = np.int64(event.x), np.int64(event.p)
        length = measure_run(events, i)
        if length < 5:
            words[n] = (ADDR_X << 12) | (is_on << 11) | x
            n, i = n + 1, i + 1
            continue
        bits = np.int64(0)
        for k in range(i, i + length):
            bits |= np.int64(1) << (np.int64(events[k].x) - x)
        words[n] = (VECT_BASE_X << 12) | (is_on << 11) | x
        words[n + 1] = (VECT_12 << 12) | (bits & 0xFFF)
        words[n + 2] = (VECT_12 << 12) | ((bits >> 12) & 0xFFF)
        words[n + 3] = (VECT_8 << 12) | (bits >> 24)
        n, i = n + 4, i + length
    return n, written
