"""Kernels of EVT 2.0: 32-bit words to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, IS_USED, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_files import MOST_PIECES, Pieces, next_words, take_bytes
from eventio._kernels_lanes import N_LANES, join_and, join_or, load_words, rise_by_bits, spread
from eventio._kernels_packing import (
    N_LINE_EVENTS,
    PERMUTES_BYTES,
    events_to_line,
    greatest,
    join_greatest,
    mark_time,
    pick_bytes,
    put,
    put_eight,
    put_marked,
)

WORD_BYTES = 4
OFF, ON, TIME_HIGH, TRIGGER = 0x0, 0x1, 0x8, 0xA
LAST_EVENT = (ON << 28) | 0xFFFFFFF
"""The greatest word that is an event."""
HIGH_BITS = 28
HALF_RANGE = 1 << (HIGH_BITS - 1)
pick = pick_bytes((11, 19, 0, 8, 28, 22, 0, 0))
USED_BITS = 0x3F0107FF07FF
"""Of x, y, polarity and lower time, two bytes each for the first ones, that `pick` gives."""
FEW = 4
"""Events in a row after which eight are tried at once."""
HIGH, BASE, COUNTS = N_COMMON, N_COMMON + 1, N_COMMON + 2
"""Places in `state`: upper time or -1, time added by wraps, and how many words there were of each of 16 kinds."""
WAITING = COUNTS + 16
N_STATE = WAITING + 1


@numba.njit(cache=True, **UNCOUNTED)
def pass_waiting(words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64]) -> Any:
    """Count the words before the first word of time; return its place, or the number of words."""
    for i in range(words.shape[0]):
        kind = np.int64(words[i]) >> 28
        if kind == TIME_HIGH:
            return i
        state[WAITING if kind <= ON else COUNTS + kind] += 1
    return words.shape[0]


@numba.njit(cache=True, **UNCOUNTED)
def rest_of(word: Any) -> Any:
    """Return place and polarity of an event, of one word or eight, as `put` takes them."""
    return ((word >> 11) & 0x7FF) | ((word & 0x7FF) << 16) | ((word & (1 << 28)) << 4)


@numba.njit(cache=True, **UNCOUNTED)
def mark_eight(words: npt.NDArray[np.uint32], at: int, time: Any) -> Any:
    """Return eight events from place `at` on as `put_marked` takes them."""
    return (pick(load_words(words, at)) & USED_BITS) | time


@numba.njit(cache=True, **UNCOUNTED)
def decode_lines(
    words: npt.NDArray[np.uint32], first: int, n_most: int, state: npt.NDArray[np.int64], events: Any
) -> Any:
    """
    Write the events of words from `first` on, while 64 are events whose time does not fall; return their number.

    The first event begins at a line of the cache; at most n_most are written.
    """
    time = mark_time(state[BASE] + (state[HIGH] << 6))
    most = spread(0)
    n = 0
    while n + N_LINE_EVENTS <= n_most and rise_by_bits(words, first + n):
        at = first + n
        lanes = (
            mark_eight(words, at, time), mark_eight(words, at + 8, time),
            mark_eight(words, at + 16, time), mark_eight(words, at + 24, time),
            mark_eight(words, at + 32, time), mark_eight(words, at + 40, time),
            mark_eight(words, at + 48, time), mark_eight(words, at + 56, time),
        )  # fmt: skip
        for eight in lanes:
            most = greatest(most, eight)
        put_marked(events, n, lanes, state[IS_USED])
        n += N_LINE_EVENTS
    if n:
        state[INSIDE] &= state[LIMIT] - join_greatest(most)
    return n


@numba.njit(cache=True, **UNCOUNTED)
def decode_events(
    words: npt.NDArray[np.uint32], first: int, state: npt.NDArray[np.int64], events: Any
) -> Any:
    """
    Write the events of words from `first` on, while eight are events whose time does not fall; return their number.

    The word before the first is one of an event. Where an event begins at a line of the cache many are taken at once;
    the eight of which some are needed to come there are written, and then some of them once more.
    """
    upper, limit = spread(state[BASE] + (state[HIGH] << 6)), spread(state[LIMIT])
    inside = spread(-1)
    room = min(words.shape[0] - first, events.shape[0] - 1)
    n, n_lead = 0, events_to_line(events, 0)
    while n + N_LANES <= room:
        if PERMUTES_BYTES and n_lead == 0 and n + N_LINE_EVENTS <= room:
            n += decode_lines(words, first + n, room - n, state, events[n:])
            if n + N_LANES > room:
                break
        word, before = load_words(words, first + n), load_words(words, first + n - 1)
        low = (word >> 22) & 0x3F
        step = low - ((before >> 22) & 0x3F)
        if join_or(step | (spread(LAST_EVENT) - word)) < 0:
            break
        rest = rest_of(word)
        inside = inside & (limit - rest)
        put_eight(events, n, upper | low, rest)
        n_taken = n_lead & (N_LANES - 1) or N_LANES
        n, n_lead = n + n_taken, (n_lead - n_taken) & (N_LINE_EVENTS - 1)
    if n:
        state[INSIDE] &= join_and(inside)
        state[PREVIOUS_T] = events[n - 1].t
    return n


@numba.njit(cache=True, **UNCOUNTED)
def decode_run(words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], events: Any) -> tuple[int, int]:
    """Write events until a word of another kind than events and upper time; return words used and events."""
    upper = state[BASE] + (state[HIGH] << 6)
    limit, n_in_row = state[LIMIT], 0
    n, i = 0, 0
    while i < words.shape[0] and n + 1 < events.shape[0]:
        word = np.int64(words[i])
        kind = word >> 28
        if kind <= ON:
            t, rest = upper + ((word >> 22) & 0x3F), rest_of(word)
            put(events, n, t, rest)
            state[LATE] |= t - state[PREVIOUS_T]
            state[INSIDE] &= limit - rest
            state[PREVIOUS_T] = t
            n, i, n_in_row = n + 1, i + 1, n_in_row + 1
            if n_in_row == FEW:
                n_more = decode_events(words, i, state, events[n:])
                n, i, n_in_row = n + n_more, i + n_more, 0
            continue
        if kind != TIME_HIGH:
            break
        new = word & 0xFFFFFFF
        if state[HIGH] - new > HALF_RANGE:
            state[BASE] += np.int64(1) << (HIGH_BITS + 6)
        state[HIGH] = new
        upper = state[BASE] + (new << 6)
        i, n_in_row = i + 1, 0
    return i, n


@numba.njit(cache=True, **UNCOUNTED)
def decode(
    words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], events: Any, triggers: Any
) -> tuple[int, int, int]:
    """Write events and triggers while there is room; return the number of words used and of both."""
    used = pass_waiting(words, state) if state[HIGH] < 0 else 0
    n, n_triggers = 0, 0
    while used < words.shape[0] and n + 1 < events.shape[0] and n_triggers < triggers.shape[0]:
        n_words, n_events = decode_run(words[used:], state, events[n:])
        used, n = used + n_words, n + n_events
        if used == words.shape[0]:
            break
        word = np.int64(words[used])
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
def encode(events: Any, high: int, words: npt.NDArray[np.uint32]) -> tuple[int, int]:
    """Write at most two words per event (PLACED_DTYPE); return their number and the upper time they end with."""
    n = 0
    for i in range(events.shape[0]):
        event = events[i]
        t, xy = event.t, np.int64(event.xy)
        if t >> 6 != high:
            high = t >> 6
            words[n] = np.uint32((TIME_HIGH << 28) | high)
            n += 1
        word = np.int64(event.p) << 28 | (t & 0x3F) << 22 | (xy & 0x7FF) << 11 | xy >> 16
        words[n] = np.uint32(word)
        n += 1
    return n, high
