"""Kernels of EVT 3.0: 16-bit words to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_bits import count_bits, highest_bit
from eventio._kernels_files import MOST_PIECES, Pieces, next_words, take_bytes
from eventio._kernels_packing import AHEAD, prefetch_room, put, put_row

WORD_BYTES = 2
ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8
TRIGGER = 0xA
HIGH_RANGE = 1 << 12
HALF_RANGE = HIGH_RANGE // 2
MAX_HOP = HALF_RANGE - 1
WRAP_US = 1 << 24
SPARE = 16
"""Room for the 12 events of a word, and for what `put_row` writes behind them."""
SINGLE_KINDS = 0b1000101
"""Row, column and lower time, as bits."""
USUAL_KINDS = 0b1111101
"""Kinds of words that come often, as bits: row, column, base, vectors and lower time."""
ROW_MASK = 0x7FF << 16
SPREAD = 1 | 1 << 16 | 1 << 40
MASKS = np.zeros(16, np.int64)
"""What a word of each kind changes of column, row << 16, polarity << 32 and lower time << 40."""
MASKS[[ADDR_Y, ADDR_X, TIME_LOW]] = ROW_MASK, 1 << 32 | 0x7FF, 0xFFF << 40
HIGH, LOW, WRAPS, ROW, COLUMN, IS_ON, COUNTS = (N_COMMON + k for k in range(7))
"""
Places in `state`: upper and lower time, time added by wraps, row, column and polarity of a vector (all but the wraps
-1 or 0 before they are known), and how many words there were of each of 16 kinds.
"""
WAITING, ROWLESS, BASELESS = COUNTS + 16, COUNTS + 17, COUNTS + 18
N_STATE = BASELESS + 1
"""Then how many events came before the first time, row and base of a vector."""


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
    """
    Write events until a rare kind of word; return words used and events. Time and row are known.

    `now` holds column, row << 16, polarity << 32 and lower time << 40 together; a word changes what the mask of its
    kind says, without a branch, which would be guessed wrong too often.
    """
    start, limit = state[WRAPS] + (state[HIGH] << 12), state[LIMIT]
    now = state[ROW] << 16 | state[LOW] << 40
    column, head = state[COLUMN], state[IS_ON] << 32
    late, inside, previous = state[LATE], state[INSIDE], start + state[LOW]
    late |= previous - state[PREVIOUS_T]
    n: Any = 0
    used, stop = 0, words.shape[0]
    room = events.shape[0] - SPARE
    while used < stop and n <= room:
        word = np.int64(words[used])
        kind, value = word >> 12, word & 0xFFF
        if (SINGLE_KINDS >> kind) & 1:
            mask = MASKS[np.uint64(kind)]
            now = (now & ~mask) | (value * SPREAD | (value & 0x800) << 21) & mask
            t = start + (now >> 40)
            prefetch_room(events, n + AHEAD)
            put(events, n, t, now)
            n += np.int64(kind == ADDR_X)
            inside &= limit - now
            late |= t - previous
            previous = t
        elif kind in (VECT_12, VECT_8):
            bits = np.uint32(value if kind == VECT_12 else value & 0xFF)
            if column < 0:
                state[BASELESS] += count_bits(bits)
            elif bits:
                xy = (now & ROW_MASK) + column
                last = xy + highest_bit(bits)
                inside &= (limit - last) & ~last  # columns of long vectors may exceed 15 bits
                n = put_row(events, n, previous, xy | head, bits, 8)
            column = min(column + (12 if kind == VECT_12 else 8), 0xFFF0) if column >= 0 else column
        elif kind == VECT_BASE_X:
            column, head = value & 0x7FF, (value & 0x800) << 21
        else:
            break
        used += 1
    state[LOW], state[ROW] = now >> 40, (now & ROW_MASK) >> 16
    state[COLUMN], state[IS_ON] = column, head >> 32
    state[PREVIOUS_T], state[LATE], state[INSIDE] = previous, late, inside
    return used, n


@numba.njit(cache=True, **UNCOUNTED)
def decode(
    words: npt.NDArray[np.uint16], state: npt.NDArray[np.int64], events: Any, triggers: Any
) -> tuple[int, int, int]:
    """Write events and triggers until fewer than SPARE have room; return the number of words used and of both."""
    used, n, n_triggers = 0, 0, 0
    while used < words.shape[0] and n_triggers < triggers.shape[0]:
        if n + SPARE > events.shape[0]:
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
def decode_pieces(
    pieces: Pieces, state: npt.NDArray[np.int64], events: Any, triggers: Any
) -> tuple[int, int]:
    """Do the same for the next pieces of a file; return the number of events and triggers."""
    n, n_triggers = 0, 0
    for _ in range(MOST_PIECES):
        start, stop = next_words(pieces, WORD_BYTES)
        if start == stop:
            break
        n_words, n_events, n_more = decode(pieces.words[start:stop], state, events[n:], triggers[n_triggers:])
        n, n_triggers = n + n_events, n_triggers + n_more
        if not take_bytes(pieces, n_words * WORD_BYTES, WORD_BYTES, state):
            break
    return n, n_triggers


@numba.njit(cache=True, **UNCOUNTED)
def put_time(t: Any, state: npt.NDArray[np.int64], words: npt.NDArray[np.uint16], n: int) -> int:
    """
    Write the words that bring the reader's time to t: steps of the upper time stay under half its range.

    A lower time follows each upper one, as from a camera: readers differ in what an upper time alone means.
    """
    high, low = state[0], state[1]
    target = t >> 12
    if high < 0:
        high, low = min(target, MAX_HOP), -1
        words[n] = (TIME_HIGH << 12) | high
        n += 1
    while high != target:
        high, low = min(high + MAX_HOP, target) if target > high else target, -1
        words[n] = (TIME_HIGH << 12) | (high & 0xFFF)
        n += 1
    if low != t & 0xFFF:
        low = t & 0xFFF
        words[n] = (TIME_LOW << 12) | low
        n += 1
    state[0], state[1] = high, low
    return n


@numba.njit(cache=True, **UNCOUNTED)
def count_hops(events: Any, state: npt.NDArray[np.int64]) -> Any:
    """Return how many words of upper time are needed beside one per event."""
    n = np.int64(0)
    high = max(state[0], 0)
    for i in range(events.shape[0]):
        new = events[i].t >> 12
        if new != high:
            n += abs(new - high) // MAX_HOP
            high = new
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, state: npt.NDArray[np.int64], words: npt.NDArray[np.uint16]) -> int:
    """
    Write the words of events (PLACED_DTYPE), in their order; return their number.

    state is (upper time, not cut to 12 bits; lower time; row) as the words so far have said them, -1 where nothing.
    """
    n, i = 0, 0
    now = (state[0] << 12) | state[1] if state[0] >= 0 else np.int64(-1)
    row = state[2]
    while i < events.shape[0]:
        lead = events[i]
        t, xy, is_on = lead.t, np.int64(lead.xy), lead.p
        if t != now:
            n = put_time(t, state, words, n)
            now = t
        if xy >> 16 != row:
            row = xy >> 16
            words[n] = (ADDR_Y << 12) | row
            n += 1
        first, bits, last = i, np.int64(1), np.int64(0)
        i += 1
        while i < events.shape[0]:  # columns that rise within 32, of one time, row and polarity
            event = events[i]
            ahead = np.int64(event.xy) - xy
            if ahead <= last or ahead >= 32 or event.t != t or event.p != is_on:
                break
            bits |= np.int64(1) << ahead
            last = ahead
            i += 1
        head = np.int64(is_on) << 11
        if i - first < 5:
            for k in range(first, i):
                words[n] = (ADDR_X << 12) | head | (np.int64(events[k].xy) & 0x7FF)
                n += 1
            continue
        words[n] = (VECT_BASE_X << 12) | head | (xy & 0x7FF)
        words[n + 1] = (VECT_12 << 12) | (bits & 0xFFF)
        words[n + 2] = (VECT_12 << 12) | ((bits >> 12) & 0xFFF)
        words[n + 3] = (VECT_8 << 12) | (bits >> 24)
        n += 4
    state[2] = row
    return n
