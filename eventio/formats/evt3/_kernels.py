"""Kernels of EVT 3.0: 16-bit words to events and back."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_bits import count_bits, lowest_bit

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8
TRIGGER = 0xA
HIGH_RANGE = 1 << 12
HALF_RANGE = HIGH_RANGE // 2
MAX_HOP = HALF_RANGE - 1
WRAP_US = 1 << 24
MOST_EVENTS_PER_WORD = 12
USUAL_KINDS = 0b1111101
"""Kinds of words that come often, as bits: row, column, base, vectors and lower time."""
HIGH, LOW, WRAPS, ROW, COLUMN, IS_ON, COUNTS = (N_COMMON + k for k in range(7))
"""
Places in `state`: upper and lower time, time added by wraps, row, column and polarity of a vector (all but the wraps
-1 or 0 before they are known), and how many words there were of each of 16 kinds.
"""
WAITING, ROWLESS, BASELESS = COUNTS + 16, COUNTS + 17, COUNTS + 18
N_STATE = BASELESS + 1
"""Then how many events came before the first time, row and base of a vector."""


class Written(NamedTuple):
    """What the words written so far have said: -1 where nothing yet; high is not cut to 12 bits."""

    high: int
    low: int
    row: int


@numba.njit(cache=True, **UNCOUNTED)
def count_events(words: npt.NDArray[np.uint16]) -> Any:
    """Return how many events words hold, those included that miss a time, a row or a base."""
    n = np.int64(0)
    for i in range(words.shape[0]):
        word = np.uint32(words[i])
        kind = word >> np.uint32(12)
        mask = np.uint32(0xFFF) if kind == VECT_12 else np.uint32(0xFF) if kind == VECT_8 else np.uint32(0)
        n += (kind == ADDR_X) + count_bits(word & mask)
    return n


@numba.njit(cache=True, **UNCOUNTED)
def pass_waiting(words: npt.NDArray[np.uint16], state: npt.NDArray[np.int64]) -> int:
    """Take words one by one until time and row are known; return how many."""
    used = 0
    while used < words.shape[0] and (state[HIGH] < 0 or state[ROW] < 0):
        word = np.int64(words[used])
        kind, value = word >> 12, word & 0xFFF
        lack = WAITING if state[HIGH] < 0 else ROWLESS
        if kind == ADDR_X:
            state[lack] += 1
        elif kind == ADDR_Y:
            state[ROW] = value & 0x7FF
        elif kind in (VECT_12, VECT_8):
            state[lack] += count_bits(np.uint32(value if kind == VECT_12 else value & 0xFF))
            if state[COLUMN] >= 0:
                state[COLUMN] = min(state[COLUMN] + (12 if kind == VECT_12 else 8), 0xFFF0)
        elif kind == VECT_BASE_X:
            state[COLUMN], state[IS_ON] = value & 0x7FF, value >> 11
        elif kind == TIME_LOW:
            state[LOW] = value
        elif kind == TIME_HIGH:
            set_high(value, state)
        elif state[HIGH] >= 0:
            break  # a trigger may come before the first row
        else:
            state[COUNTS + kind] += 1
        used += 1
    return used


@numba.njit(cache=True, **UNCOUNTED)
def set_high(value: Any, state: npt.NDArray[np.int64]) -> None:
    """Take a new upper time."""
    if state[HIGH] - value > HALF_RANGE:
        state[WRAPS] += WRAP_US
    if state[HIGH] != value:
        state[LOW] = 0
    state[HIGH] = value


@numba.njit(cache=True, **UNCOUNTED)
def decode_run(words: npt.NDArray[np.uint16], state: npt.NDArray[np.int64], events: Any) -> tuple[int, int]:
    """Write events until a rare kind of word; return words used and events. Time and row are known."""
    start, low, row = state[WRAPS] + (state[HIGH] << 12), state[LOW], state[ROW] << 16
    column, is_on = state[COLUMN], state[IS_ON]
    late, inside, limit = state[LATE], state[INSIDE], state[LIMIT]
    late |= start + low - state[PREVIOUS_T]
    n: Any = 0
    used, room = 0, events.shape[0] - MOST_EVENTS_PER_WORD
    while used < words.shape[0] and n <= room:
        word = np.int64(words[used])
        kind, value = word >> 12, word & 0xFFF
        if (USUAL_KINDS >> kind) & 1 == 0:
            break
        used += 1
        if kind in (VECT_12, VECT_8):
            bits = np.uint32(value if kind == VECT_12 else value & 0xFF)
            if column < 0:
                state[BASELESS] += count_bits(bits)
                continue
            while bits:
                xy = row + column + lowest_bit(bits)
                bits &= bits - np.uint32(1)
                event = events[n]
                event.t, event.xy, event.p = start + low, np.uint32(xy), np.uint8(is_on)
                inside &= (limit - xy) & ~xy  # columns of long vectors may exceed 15 bits
                n += 1
            column = min(column + (12 if kind == VECT_12 else 8), 0xFFF0)
            continue
        xy = row + (value & 0x7FF)
        event = events[n]
        event.t, event.xy, event.p = start + low, np.uint32(xy), np.uint8(value >> 11)
        is_event = np.int64(kind == ADDR_X)
        inside &= (limit - xy) | (is_event - 1)
        n += is_event
        chosen = -np.int64(kind == TIME_LOW)  # all bits or none: a branch would be guessed wrong too often
        late |= (value - low) & chosen
        low ^= (low ^ value) & chosen
        chosen = -np.int64(kind == ADDR_Y)
        row ^= (row ^ ((value & 0x7FF) << 16)) & chosen
        chosen = -np.int64(kind == VECT_BASE_X)
        column ^= (column ^ (value & 0x7FF)) & chosen
        is_on ^= (is_on ^ (value >> 11)) & chosen
    state[LOW], state[ROW], state[COLUMN], state[IS_ON] = low, row >> 16, column, is_on
    state[PREVIOUS_T], state[LATE], state[INSIDE] = start + low, late, inside
    return used, n


@numba.njit(cache=True, **UNCOUNTED)
def decode(
    words: npt.NDArray[np.uint16], state: npt.NDArray[np.int64], events: Any, triggers: Any
) -> tuple[int, int, int]:
    """Write events and triggers until fewer than 12 have room; return the number of words used and of both."""
    used, n, n_triggers = 0, 0, 0
    while used < words.shape[0] and n_triggers < triggers.shape[0]:
        if n + MOST_EVENTS_PER_WORD > events.shape[0]:
            break
        if state[HIGH] < 0 or state[ROW] < 0:
            used += pass_waiting(words[used:], state)
        else:
            n_words, n_events = decode_run(words[used:], state, events[n:])
            used, n = used + n_words, n + n_events
        if used == words.shape[0]:
            break
        word = np.int64(words[used])
        kind, value = word >> 12, word & 0xFFF
        if (USUAL_KINDS >> kind) & 1:
            continue  # the room ended, or the first row is known
        used += 1
        if kind == TIME_HIGH:
            set_high(value, state)
            continue
        state[COUNTS + kind] += 1
        if kind == TRIGGER:
            trigger = triggers[n_triggers]
            trigger.t = state[WRAPS] + (state[HIGH] << 12) + state[LOW]
            trigger.channel, trigger.kind = np.uint8(value >> 8), np.uint8(2 - (value & 1))
            n_triggers += 1
    return used, n, n_triggers


@numba.njit(cache=True, **UNCOUNTED)
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


@numba.njit(cache=True, **UNCOUNTED)
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


@numba.njit(cache=True, **UNCOUNTED)
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
