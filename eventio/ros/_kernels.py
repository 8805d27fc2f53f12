"""Kernels of the payloads of event_camera_msgs/EventPacket."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import UNCOUNTED

WRAP_US = 1 << 31
TIME_HIGH, TIME_LOW, ADDR_X, ADDR_Y, VECT_BASE_Y, VECT_8 = 0, 1, 2, 3, 4, 5
MOST_EVENTS_PER_WORD = 8


@numba.njit(cache=True, **UNCOUNTED)
def decode_mono(words: npt.NDArray[np.uint32], base_ns: int, events: Any) -> None:
    """Read words of 32 bits of nanoseconds, 16 of x, 15 of y and one of polarity."""
    for i in range(words.shape[0] // 2):
        event = events[i]
        event.t = (base_ns + np.int64(words[2 * i]) + 500) // 1000
        event.x = words[2 * i + 1] & 0xFFFF
        event.y = (words[2 * i + 1] >> 16) & 0x7FFF
        event.p = words[2 * i + 1] >> 31 != 0


@numba.njit(cache=True, **UNCOUNTED)
def decode_libcaer(words: npt.NDArray[np.uint32], base_ns: int, events: Any) -> int:
    """Read words of 15 bits of x, 15 of y, polarity and validity, and 31 of microseconds; return the valid ones."""
    n, wraps_us, last = 0, np.int64(0), np.int64(0)
    for i in range(words.shape[0] // 2):
        word, t = np.int64(words[2 * i]), np.int64(words[2 * i + 1]) & (WRAP_US - 1)
        if t < last:
            wraps_us += WRAP_US
        last = t
        if word & 1:
            event = events[n]
            event.t = (base_ns + (wraps_us + t) * 1000 + 500) // 1000
            event.x = (word >> 17) & 0x7FFF
            event.y = (word >> 2) & 0x7FFF
            event.p = (word >> 1) & 1 != 0
            n += 1
    return n


@numba.njit(cache=True, **UNCOUNTED)
def decode_libcaer_cmp(
    words: npt.NDArray[np.uint16], base_ns: int, state: npt.NDArray[np.int64], events: Any
) -> tuple[int, int]:
    """Read words that each change a part of time, column and row; return the number of events and of unknown words.

    `state` is the column, and row and polarity of a vector, across packets; the time starts anew in each.
    """
    n, n_unknown, high, low = 0, 0, np.int64(0), np.int64(0)
    for i in range(words.shape[0]):
        kind, value = np.int64(words[i]) >> 12, np.int64(words[i]) & 0xFFF
        if kind == ADDR_Y:
            event = events[n]
            event.t = (base_ns + (high | low) * 1000 + 500) // 1000
            event.x = state[0]
            event.y = value & 0x7FF
            event.p = value >> 11 != 0
            n += 1
        elif kind == ADDR_X:
            state[0] = value & 0x7FF
        elif kind == TIME_LOW:
            low = value
        elif kind == TIME_HIGH:
            high = value << 12
        elif kind == VECT_BASE_Y:
            state[1], state[2] = value & 0x7FF, value >> 11
        elif kind == VECT_8:
            for bit in range(8):
                if value >> bit & 1:
                    event = events[n]
                    event.t = (base_ns + (high | low) * 1000 + 500) // 1000
                    event.x = state[0]
                    event.y = state[1] + bit
                    event.p = state[2] != 0
                    n += 1
            state[1] = min(state[1] + 8, 0xFFF0)
        else:
            n_unknown += 1
    return n, n_unknown
