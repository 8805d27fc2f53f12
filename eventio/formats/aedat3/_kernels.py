"""Kernels of AEDAT 3.1: polarity events to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import UNCOUNTED


@numba.njit(cache=True, **UNCOUNTED)
def decode(words: npt.NDArray[np.uint32], base_us: int, events: Any) -> Any:
    """Write the valid events of words (uint32, shape (n, 2)) to events (PLACED_DTYPE); return their number."""
    n: Any = 0
    for i in range(words.shape[0]):
        data = np.int64(words[i, 0])
        xy = data >> 17 | (data >> 2 & 0x7FFF) << 16
        event = events[n]
        event.t, event.xy, event.p = base_us + np.int64(words[i, 1]), np.uint32(xy), np.uint8(data >> 1 & 1)
        n += data & 1
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, words: npt.NDArray[np.uint32]) -> None:
    """Write one pair of words (uint32, shape (n, 2)) for each event (PLACED_DTYPE)."""
    for i in range(events.shape[0]):
        event = events[i]
        xy = np.int64(event.xy)
        words[i, 0] = np.uint32((xy & 0x7FFF) << 17 | (xy >> 16) << 2 | np.int64(event.p) << 1 | 1)
        words[i, 1] = np.uint32(event.t & 0x7FFFFFFF)
