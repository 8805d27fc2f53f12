"""Kernels of AEDAT 2.0: pairs of address and time to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_bits import swap_bytes

WRAP_US = 1 << 32
HALF_WRAP_US = 1 << 31
RAW_T, BASE, N_WRAPS, WIDTH, HEIGHT, COUNTS = (N_COMMON + k for k in range(6))
"""
Places in `state`: the last time as it stands in the file or -1, time added by wraps, the number of wraps, the size of
the sensor; and how many words there were that are no pixel events, by kind.
"""
EXTERNAL, APS, IMU, UNKNOWN = 0, 1, 2, 3
N_STATE = COUNTS + 4
DVS128, DAVIS, COCHLEA = 0, 1, 2
"""Layouts of addresses."""


@numba.njit(cache=True, **UNCOUNTED)
def kind_of(address: int, layout: int) -> int:
    """Return the kind of a word that is no event of a pixel or channel, or -1 where it is one."""
    if layout == DAVIS:
        if address >> 31 == 0:
            return -1 if address & 0x400 == 0 else EXTERNAL
        cycle = (address >> 10) & 3
        return IMU if cycle == 3 else UNKNOWN if cycle == 2 else APS
    if layout == DVS128:
        return -1 if address < 0x8000 else EXTERNAL if address < 0x10000 else UNKNOWN
    return -1 if address < 0x400 else UNKNOWN


@numba.njit(cache=True, **UNCOUNTED)
def place_of(address: int, layout: int, width: int, height: int) -> tuple[int, int]:
    """Return `x | y << 16`, from the top-left pixel where it lies inside the sensor, and 1 for ON."""
    if layout == COCHLEA:
        row = (address & 1) << 3 | (address & 2) << 1 | (address >> 8) & 3
        return (address >> 2) & 0x3F | row << 16, 1
    if layout == DVS128:
        return (127 - ((address >> 1) & 0x7F)) | (127 - ((address >> 8) & 0x7F)) << 16, 1 - (address & 1)
    x, y = (address >> 12) & 0x3FF, (address >> 22) & 0x1FF
    x = width - 1 - x if x < width else x
    y = height - 1 - y if y < height else y
    return x | y << 16, (address >> 11) & 1


@numba.njit(cache=True, **UNCOUNTED)
def decode(
    words: npt.NDArray[np.uint32], layout: int, state: npt.NDArray[np.int64], events: Any, others: Any
) -> tuple[int, int, int]:
    """
    Write the events of words (uint32, shape (n, 2), big-endian), and words of other kinds to others.

    Return the number of words used and of both; others may have no room at all, and then they are counted only.
    """
    raw, base, n_wraps = state[RAW_T], state[BASE], state[N_WRAPS]
    previous, late, inside, limit = state[PREVIOUS_T], state[LATE], state[INSIDE], state[LIMIT]
    width, height = state[WIDTH], state[HEIGHT]
    n, n_others, used = 0, 0, 0
    room = others.shape[0] if others.shape[0] else words.shape[0]
    stop = min(words.shape[0], events.shape[0])
    while used < stop and n_others < room:
        address, time = swap_bytes(words[used, 0]), swap_bytes(words[used, 1])
        used += 1
        if abs(time - raw) > HALF_WRAP_US and raw >= 0:
            if time < raw:
                base, n_wraps = base + WRAP_US, n_wraps + 1
            elif base > 0:
                base, n_wraps = base - WRAP_US, n_wraps - 1
        raw = time
        kind = kind_of(address, layout)
        if kind < 0:
            t = base + time
            xy, is_on = place_of(address, layout, width, height)
            event = events[n]
            event.t, event.xy, event.p = t, np.uint32(xy), np.uint8(is_on)
            late |= t - previous
            inside &= limit - xy
            previous = t
            n += 1
            continue
        state[COUNTS + kind] += 1
        if others.shape[0]:
            other = others[n_others]
            other.t, other.address = base + time, np.uint32(address)
        n_others += 1
    state[RAW_T], state[BASE], state[N_WRAPS] = raw, base, n_wraps
    state[PREVIOUS_T], state[LATE], state[INSIDE] = previous, late, inside
    return used, n, n_others if others.shape[0] else 0


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, size: tuple[int, int], is_davis: bool, words: npt.NDArray[np.uint32]) -> None:
    """Write one address and one time of words (uint32, shape (n, 2), big-endian) for each event (PLACED_DTYPE)."""
    for i in range(events.shape[0]):
        event = events[i]
        xy, on = np.int64(event.xy), np.int64(event.p)
        x, y = size[0] - 1 - (xy & 0xFFFF), size[1] - 1 - (xy >> 16)
        address = (y << 22) | (x << 12) | (on << 11) if is_davis else (y << 8) | (x << 1) | (1 - on)
        words[i, 0] = np.uint32(swap_bytes(np.uint32(address)))
        words[i, 1] = np.uint32(swap_bytes(np.uint32(event.t & 0xFFFFFFFF)))
