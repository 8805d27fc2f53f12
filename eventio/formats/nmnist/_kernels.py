"""Kernels of the headerless 40-bit format: bytes to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

TIME_OVERFLOW_ROW = 240
TIME_OVERFLOW_US = 1 << 13


@numba.njit(cache=True)
def decode(words: npt.NDArray[np.uint8], offset_us: int, events: Any) -> tuple[int, int]:
    """Write the events of words (uint8, shape (n, 5)) to events; return their number and the new offset."""
    n = 0
    for i in range(words.shape[0]):
        if words[i, 1] == TIME_OVERFLOW_ROW:
            offset_us += TIME_OVERFLOW_US
            continue
        time = (np.int64(words[i, 2]) & 0x7F) << 16 | np.int64(words[i, 3]) << 8 | np.int64(words[i, 4])
        event = events[n]
        event.t = time + offset_us
        event.x = words[i, 0]
        event.y = words[i, 1]
        event.p = words[i, 2] >= 0x80
        n += 1
    return n, offset_us


@numba.njit(cache=True)
def encode(events: Any, words: npt.NDArray[np.uint8]) -> None:
    """Write one 5-byte word of words (uint8, shape (n, 5)) for each event."""
    for i in range(events.shape[0]):
        event = events[i]
        words[i, 0] = np.uint8(event.x)
        words[i, 1] = np.uint8(event.y)
        words[i, 2] = np.uint8((event.p * 0x80) | ((event.t >> 16) & 0x7F))
        words[i, 3] = np.uint8((event.t >> 8) & 0xFF)
        words[i, 4] = np.uint8(event.t & 0xFF)
