"""Kernels of Event Stream 2: bytes to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

EVENT_BYTES = 5
DVS_OVERFLOW_US, ATIS_OVERFLOW_US = 127, 63
TIME, PADDING, EXPOSURE, N_STATE = 0, 1, 2, 3
"""Places in `state`: the last time, and how many padding bytes and exposure events there were."""


@numba.njit(cache=True)
def decode_dvs(
    data: npt.NDArray[np.uint8], height: int, state: npt.NDArray[np.int64], events: Any
) -> tuple[int, int]:
    """Write the events of data to events until one of them ends; return the bytes used and events written."""
    i, n = 0, 0
    t = state[TIME]
    while n < events.shape[0] and i < data.shape[0]:
        byte = np.int64(data[i])
        if byte >= 0xFE:
            if byte == 0xFF:
                t += DVS_OVERFLOW_US
            else:
                state[PADDING] += 1
            i += 1
            continue
        if i + EVENT_BYTES > data.shape[0]:
            break
        t += byte >> 1
        y = np.int64(data[i + 3]) | np.int64(data[i + 4]) << 8
        event = events[n]
        event.t = t
        event.x = np.int64(data[i + 1]) | np.int64(data[i + 2]) << 8
        event.y = height - 1 - y if y < height else y
        event.p = (byte & 1) != 0
        n += 1
        i += EVENT_BYTES
    state[TIME] = t
    return i, n


@numba.njit(cache=True)
def decode_atis(
    data: npt.NDArray[np.uint8], height: int, state: npt.NDArray[np.int64], events: Any
) -> tuple[int, int]:
    """Do the same for events of an ATIS; those that measure exposure are counted only."""
    i, n = 0, 0
    t = state[TIME]
    while n < events.shape[0] and i < data.shape[0]:
        byte = np.int64(data[i])
        if byte >= 0xFC:
            t += ATIS_OVERFLOW_US * (byte & 3)
            state[PADDING] += byte == 0xFC
            i += 1
            continue
        if i + EVENT_BYTES > data.shape[0]:
            break
        t += byte >> 2
        if byte & 1:
            state[EXPOSURE] += 1
        else:
            y = np.int64(data[i + 3]) | np.int64(data[i + 4]) << 8
            event = events[n]
            event.t = t
            event.x = np.int64(data[i + 1]) | np.int64(data[i + 2]) << 8
            event.y = height - 1 - y if y < height else y
            event.p = (byte & 2) != 0
            n += 1
        i += EVENT_BYTES
    state[TIME] = t
    return i, n


@numba.njit(cache=True)
def encode(events: Any, previous_t: int, height: int, data: npt.NDArray[np.uint8]) -> int:
    """Write events of a DVS to data, which has room; return the number of bytes."""
    n = 0
    t = np.int64(previous_t)
    for i in range(events.shape[0]):
        event = events[i]
        for _ in range((event.t - t) // DVS_OVERFLOW_US):
            data[n] = 0xFF
            n += 1
        step = (event.t - t) % DVS_OVERFLOW_US
        t = event.t
        y = height - 1 - np.int64(event.y)
        on = np.int64(1) if event.p else np.int64(0)
        data[n] = np.uint8(step << 1 | on)
        data[n + 1] = np.uint8(event.x & 0xFF)
        data[n + 2] = np.uint8(event.x >> 8)
        data[n + 3] = np.uint8(y & 0xFF)
        data[n + 4] = np.uint8(y >> 8)
        n += EVENT_BYTES
    return n
