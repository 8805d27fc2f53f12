"""Kernels of AEDAT 4: structs of 16 bytes to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import UNCOUNTED


@numba.njit(cache=True, **UNCOUNTED)
def decode(words: npt.NDArray[np.uint64], events: Any) -> None:
    """Write one event for each pair of words (uint64, shape (n, 2)): time, then x, y and polarity."""
    for i in range(words.shape[0]):
        rest = words[i, 1]
        event = events[i]
        event.t, event.xy = np.int64(words[i, 0]), np.uint32(rest)
        event.p = np.uint8((rest >> np.uint64(32)) & np.uint64(0xFF) != 0)


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, words: npt.NDArray[np.uint64]) -> None:
    """Do the opposite; events are of PLACED_DTYPE."""
    for i in range(events.shape[0]):
        event = events[i]
        words[i, 0] = np.uint64(event.t)
        words[i, 1] = np.uint64(event.xy) | np.uint64(event.p) << np.uint64(32)
