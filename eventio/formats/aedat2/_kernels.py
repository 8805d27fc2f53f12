"""Kernels of AEDAT 2.0: pairs of address and time to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

EXTERNAL, APS, IMU, UNKNOWN, N_COUNTS = 0, 1, 2, 3, 4
"""Places in `counts` of the words that are no pixel events."""
WRAP_US = 1 << 32
HALF_WRAP_US = 1 << 31


@numba.njit(cache=True)
def swap(value: Any) -> Any:
    """Turn the four bytes of a big-endian number around."""
    v = np.int64(value)
    return (v >> 24) | ((v >> 8) & 0xFF00) | ((v & 0xFF00) << 8) | ((v & 0xFF) << 24)


@numba.njit(cache=True)
def mirror(place: Any, side: int) -> Any:
    """Count a pixel from the other side; one outside the sensor stays, to be refused by its own number."""
    return side - 1 - place if place < side else place


@numba.njit(cache=True)
def unwrap(time: Any, state: npt.NDArray[np.int64]) -> Any:
    """Add the wraps; state is (last time or -1, time added by wraps, number of wraps)."""
    if state[0] - time > HALF_WRAP_US:
        state[1] += WRAP_US
        state[2] += 1
    elif state[0] >= 0 and time - state[0] > HALF_WRAP_US and state[1] > 0:
        state[1] -= WRAP_US
        state[2] -= 1
    state[0] = time
    return state[1] + time


@numba.njit(cache=True)
def decode_dvs128(
    words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], events: Any
) -> int:
    """Write the events of words (uint32, shape (n, 2), big-endian) to events; return their number."""
    n = 0
    for i in range(words.shape[0]):
        address = swap(words[i, 0])
        t = unwrap(swap(words[i, 1]), state)
        if address > 0xFFFF:
            counts[UNKNOWN] += 1
        elif address & 0x8000:
            counts[EXTERNAL] += 1
        else:
            event = events[n]
            event.t = t
            event.x = 127 - ((address >> 1) & 0x7F)
            event.y = 127 - (address >> 8)
            event.p = (address & 1) == 0
            n += 1
    return n


@numba.njit(cache=True)
def decode_davis(
    words: npt.NDArray[np.uint32],
    size: tuple[int, int],
    state: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    events: Any,
) -> int:
    """Write the events of words (uint32, shape (n, 2), big-endian) to events; return their number."""
    n = 0
    for i in range(words.shape[0]):
        address = swap(words[i, 0])
        t = unwrap(swap(words[i, 1]), state)
        if address >> 31:
            kind = (address >> 10) & 3
            counts[IMU if kind == 3 else (UNKNOWN if kind == 2 else APS)] += 1
        elif address & 0x400:
            counts[EXTERNAL] += 1
        else:
            event = events[n]
            event.t = t
            event.x = mirror((address >> 12) & 0x3FF, size[0])
            event.y = mirror((address >> 22) & 0x1FF, size[1])
            event.p = (address & 0x800) != 0
            n += 1
    return n


@numba.njit(cache=True)
def encode(events: Any, size: tuple[int, int], is_davis: bool, words: npt.NDArray[np.uint32]) -> None:
    """Write one address and one time of words (uint32, shape (n, 2), big-endian) for each event."""
    for i in range(events.shape[0]):
        event = events[i]
        x = size[0] - 1 - np.int64(event.x)
        y = size[1] - 1 - np.int64(event.y)
        on = np.int64(1) if event.p else np.int64(0)
        address = (y << 22) | (x << 12) | (on << 11) if is_davis else (y << 8) | (x << 1) | (1 - on)
        words[i, 0] = np.uint32(swap(np.uint32(address)))
        words[i, 1] = np.uint32(swap(np.uint32(event.t & 0xFFFFFFFF)))
