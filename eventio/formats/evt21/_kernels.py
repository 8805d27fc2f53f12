"""Kernels of EVT 2.1: 64-bit words, as two halves, to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

OFF, ON, TIME_HIGH = 0x0, 0x1, 0x8
HIGH_BITS = 28
HALF_RANGE = 1 << (HIGH_BITS - 1)
VECTOR = 32
BIT_PLACES = np.array([next((bit for bit in range(32) if (1 << bit) % 37 == rest), 0) for rest in range(37)])
"""The place of a single bit, by the remainder of its value by 37, which differs for all 32."""
WAITING, N_COUNTS = 16, 17
"""Place in `counts` of the events before the first word of time; kinds of words have the places 0 to 15."""


@numba.njit(cache=True)
def decode(
    words: npt.NDArray[np.uint32],
    upper: int,
    state: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    events: Any,
) -> tuple[int, int]:
    """
    Write the events of words (uint32, shape (n, 2)) until fewer than 32 have room; return words and events.

    upper is the place of the upper half; state is (upper time or -1, time added by wraps).
    """
    i, n = 0, 0
    high, base = state[0], state[1]
    while i < words.shape[0] and n + VECTOR <= events.shape[0]:
        word, mask = np.int64(words[i, upper]), np.int64(words[i, 1 - upper])
        i += 1
        kind = word >> 28
        if kind <= ON:
            t = base + (high << 6) + ((word >> 22) & 0x3F)
            x, y = (word >> 11) & 0x7FF, word & 0x7FF
            while mask:
                lowest = mask & -mask
                mask ^= lowest
                if high < 0:
                    counts[WAITING] += 1
                    continue
                event = events[n]
                event.t = t
                event.x = x + BIT_PLACES[lowest % 37]
                event.y = y
                event.p = kind == ON
                n += 1
        elif kind == TIME_HIGH:
            new = word & 0xFFFFFFF
            if high - new > HALF_RANGE:
                base += np.int64(1) << (HIGH_BITS + 6)
            high = new
        else:
            counts[kind] += 1
    state[0], state[1] = high, base
    return i, n


@numba.njit(cache=True)
def encode(events: Any, high: int, upper: int, words: npt.NDArray[np.uint32]) -> tuple[int, int]:
    """
    Write at most two words (uint32, shape (n, 2)) per event; return their number and the last upper time.

    Neighbours with one time, row and polarity share a word as long as x rises within 32 aligned pixels.
    """
    n = 0
    previous = np.int64(-1)
    last_x = np.int64(-1)
    for i in range(events.shape[0]):
        event = events[i]
        t, x = event.t, np.int64(event.x)
        if t >> 6 != high:
            high = t >> 6
            words[n, upper] = np.uint32((TIME_HIGH << 28) | high)
            words[n, 1 - upper] = 0
            n += 1
            previous = np.int64(-1)
        kind = np.int64(ON) if event.p else np.int64(OFF)
        word = (kind << 28) | ((t & 0x3F) << 22) | ((x & ~np.int64(VECTOR - 1)) << 11) | np.int64(event.y)
        if word != previous or x <= last_x:
            words[n, upper] = np.uint32(word)
            words[n, 1 - upper] = 0
            n += 1
        words[n - 1, 1 - upper] |= np.uint32(1 << (x & (VECTOR - 1)))
        previous, last_x = word, x
    return n, high
