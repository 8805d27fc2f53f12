"""Kernels of EVT 2.1: 64-bit words, as two halves, to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_bits import count_bits, highest_bit
from eventio._kernels_files import MOST_PIECES, Pieces, next_words, take_bytes
from eventio._kernels_packing import put_row

WORD_BYTES = 8
OFF, ON, TIME_HIGH, TRIGGER = 0x0, 0x1, 0x8, 0xA
HIGH_BITS = 28
HALF_RANGE = 1 << (HIGH_BITS - 1)
VECTOR = 32
SPARE = VECTOR + 4
"""Room for the events of a word, and for what `put_row` writes behind them."""
HIGH, BASE, COUNTS = N_COMMON, N_COMMON + 1, N_COMMON + 2
"""Places in `state`: upper time or -1, time added by wraps, and how many words there were of each of 16 kinds."""
WAITING = COUNTS + 16
N_STATE = WAITING + 1


@numba.njit(cache=True, **UNCOUNTED)
def count_events(words: npt.NDArray[np.uint32], upper: int) -> Any:
    """Return how many events words (uint32, shape (n, 2)) hold."""
    n = np.int64(0)
    for i in range(words.shape[0]):
        is_event = np.uint32(words[i, upper]) < np.uint32(0x20000000)
        n += count_bits(words[i, 1 - upper]) if is_event else 0
    return n


@numba.njit(cache=True, **UNCOUNTED)
def pass_waiting(words: npt.NDArray[np.uint32], upper: int, state: npt.NDArray[np.int64]) -> Any:
    """Count what comes before the first word of time; return its place, or the number of words."""
    for i in range(words.shape[0]):
        kind = np.int64(words[i, upper]) >> 28
        if kind == TIME_HIGH:
            return i
        if kind <= ON:
            state[WAITING] += count_bits(words[i, 1 - upper])
        else:
            state[COUNTS + kind] += 1
    return words.shape[0]


@numba.njit(cache=True, **UNCOUNTED)
def decode_run(
    words: npt.NDArray[np.uint32], upper: int, state: npt.NDArray[np.int64], events: Any
) -> tuple[int, int]:
    """Write events until a word of another kind than events and upper time; return words used and events."""
    high, base = state[HIGH], state[BASE]
    previous, late, inside, limit = state[PREVIOUS_T], state[LATE], state[INSIDE], state[LIMIT]
    start = base + (high << 6)
    n, i, room = 0, 0, events.shape[0] - SPARE
    while i < words.shape[0] and n <= room:
        word, mask = np.int64(words[i, upper]), np.uint32(words[i, 1 - upper])
        kind = word >> 28
        if kind <= ON:
            if mask:
                t = start + ((word >> 22) & 0x3F)
                place = ((word >> 11) & 0x7FF) | ((word & 0x7FF) << 16)
                late |= t - previous
                previous = t
                inside &= limit - (place + highest_bit(mask))
                n = put_row(events, n, t, place | kind << 32, mask, 4)
        elif kind == TIME_HIGH:
            new = word & 0xFFFFFFF
            if high - new > HALF_RANGE:
                base += np.int64(1) << (HIGH_BITS + 6)
            high = new
            start = base + (high << 6)
        else:
            break
        i += 1
    state[HIGH], state[BASE] = high, base
    state[PREVIOUS_T], state[LATE], state[INSIDE] = previous, late, inside
    return i, n


@numba.njit(cache=True, **UNCOUNTED)
def decode(
    words: npt.NDArray[np.uint32], upper: int, state: npt.NDArray[np.int64], events: Any, triggers: Any
) -> tuple[int, int, int]:
    """
    Write events and triggers until fewer than SPARE have room; return the number of words used and of both.

    upper is the place of the upper half in words (uint32, shape (n, 2)).
    """
    used = pass_waiting(words, upper, state) if state[HIGH] < 0 else 0
    n, n_triggers = 0, 0
    while used < words.shape[0] and n + SPARE <= events.shape[0] and n_triggers < triggers.shape[0]:
        n_words, n_events = decode_run(words[used:], upper, state, events[n:])
        used, n = used + n_words, n + n_events
        if used == words.shape[0]:
            break
        word = np.int64(words[used, upper])
        kind = word >> 28
        if kind <= ON or kind == TIME_HIGH:
            continue  # the room ended
        state[COUNTS + kind] += 1
        if kind == TRIGGER:
            trigger = triggers[n_triggers]
            trigger.t = state[BASE] + (state[HIGH] << 6) + ((word >> 22) & 0x3F)
            trigger.channel, trigger.kind = np.uint8((word >> 8) & 0x1F), np.uint8(2 - (word & 1))
            n_triggers += 1
        used += 1
    return used, n, n_triggers


@numba.njit(cache=True, **UNCOUNTED)
def decode_pieces(
    pieces: Pieces, upper: int, state: npt.NDArray[np.int64], events: Any, triggers: Any
) -> tuple[int, int]:
    """Do the same for the next pieces of a file; return the number of events and triggers."""
    n, n_triggers = 0, 0
    for _ in range(MOST_PIECES):
        start, stop = next_words(pieces, WORD_BYTES)
        if start == stop:
            break
        n_words, n_events, n_more = decode(
            pieces.words[start:stop], upper, state, events[n:], triggers[n_triggers:]
        )
        n, n_triggers = n + n_events, n_triggers + n_more
        if not take_bytes(pieces, n_words * WORD_BYTES, WORD_BYTES, state):
            break
    return n, n_triggers


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, high: int, upper: int, words: npt.NDArray[np.uint32]) -> tuple[int, int]:
    """
    Write at most two words (uint32, shape (n, 2)) per event (PLACED_DTYPE); return how many, and the last upper time.

    Neighbours with one time, row and polarity share a word as long as x rises within 32 aligned pixels.
    """
    n = 0
    previous = np.int64(-1)
    last_x = np.int64(-1)
    for i in range(events.shape[0]):
        event = events[i]
        t, xy = event.t, np.int64(event.xy)
        x = xy & 0xFFFF
        if t >> 6 != high:
            high = t >> 6
            words[n, upper] = np.uint32((TIME_HIGH << 28) | high)
            words[n, 1 - upper] = 0
            n += 1
            previous = np.int64(-1)
        word = np.int64(event.p) << 28 | (t & 0x3F) << 22 | (x & ~np.int64(VECTOR - 1)) << 11 | xy >> 16
        if word != previous or x <= last_x:
            words[n, upper] = np.uint32(word)
            words[n, 1 - upper] = 0
            n += 1
        words[n - 1, 1 - upper] |= np.uint32(1 << (x & (VECTOR - 1)))
        previous, last_x = word, x
    return n, high
