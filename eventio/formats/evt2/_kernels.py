"""Kernels of EVT 2.0: 32-bit words to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

OFF, ON, TIME_HIGH = 0x0, 0x1, 0x8
HIGH_BITS = 28
HALF_RANGE = 1 << (HIGH_BITS - 1)
WAITING = 16
"""Place in `counts` of the events before the first word of time; kinds of words have the places 0 to 15."""


@numba.njit(cache=True)
def decode(
    words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], events: Any
) -> int:
    """
    Write the events of words to events, which has room for one per word; return their number.

    state is (upper time or -1, time added by wraps); counts has 17 places.
    """
    n = 0
    high, base = state[0], state[1]
    for i in range(words.shape[0]):
        word = np.int64(words[i])
        kind = word >> 28
        if kind <= ON:
            if high < 0:
                counts[WAITING] += 1
                continue
            event = events[n]
            event.t = base + (high << 6) + ((word >> 22) & 0x3F)
            event.x = (word >> 11) & 0x7FF
            event.y = word & 0x7FF
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
    return n


@numba.njit(cache=True)
def encode(events: Any, high: int, words: npt.NDArray[np.uint32]) -> tuple[int, int]:
    """Write at most two words per event; return their number and the upper time they end with."""
    n = 0
    for i in range(events.shape[0]):
        event = events[i]
        t = event.t
        if t >> 6 != high:
            high = t >> 6
            words[n] = np.uint32((TIME_HIGH << 28) | high)
            n += 1
        kind = np.int64(ON) if event.p else np.int64(OFF)
        words[n] = np.uint32(
            (kind << 28) | ((t & 0x3F) << 22) | (np.int64(event.x) << 11) | np.int64(event.y)
        )
        n += 1
    return n, high
