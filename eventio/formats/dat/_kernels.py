"""Kernels of .dat files: pairs of 32-bit time and 32-bit data to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

WRAP_US = 1 << 32
HALF_WRAP_US = 1 << 31


@numba.njit(cache=True)
def decode(words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], events: Any) -> int:
    """
    Write one event of events for each pair of words (uint32, shape (n, 2)); return how many have unknown bits.

    state is (last time or -1, time added by wraps).
    """
    previous, base = state[0], state[1]
    n_odd = 0
    for i in range(words.shape[0]):
        time, data = np.int64(words[i, 0]), np.int64(words[i, 1])
        if previous - time > HALF_WRAP_US:
            base += WRAP_US
        elif base > 0 and time - previous > HALF_WRAP_US:
            base -= WRAP_US
        previous = time
        event = events[i]
        event.t = base + time
        event.x = data & 0x3FFF
        event.y = (data >> 14) & 0x3FFF
        event.p = (data & 0x10000000) != 0
        n_odd += (data >> 29) != 0
    state[0], state[1] = previous, base
    return n_odd


@numba.njit(cache=True)
def encode(events: Any, words: npt.NDArray[np.uint32]) -> None:
    """Write one pair of words (uint32, shape (n, 2)) for each event."""
    for i in range(events.shape[0]):
        event = events[i]
        on = np.int64(1) if event.p else np.int64(0)
        words[i, 0] = np.uint32(event.t & 0xFFFFFFFF)
        words[i, 1] = np.uint32(np.int64(event.x) | (np.int64(event.y) << 14) | (on << 28))
