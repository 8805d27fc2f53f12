"""Kernels of AEDAT 2.0: pairs of address and time to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_bits import swap_bytes
from eventio._kernels_files import MOST_PIECES, Pieces, next_words, take_bytes
from eventio._kernels_lanes import N_LANES, join_and, join_or, load_pairs, spread, swap_lanes
from eventio._kernels_packing import put, put_eight

WORD_BYTES = 8
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
def decode_dvs128(
    words: npt.NDArray[np.uint32], first: int, state: npt.NDArray[np.int64], events: Any
) -> Any:
    """
    Write the events of a DVS128, eight at a time, while the time does not fall and there is nothing else.

    The word before the first is known; returns the number of events.
    """
    base, limit, inside = spread(state[BASE]), spread(state[LIMIT]), spread(-1)
    n = 0
    while first + n + N_LANES <= words.shape[0] and n + N_LANES < events.shape[0]:
        pair, before = swap_lanes(load_pairs(words, first + n)), swap_lanes(load_pairs(words, first + n - 1))
        address, time = pair >> 32, pair & 0xFFFFFFFF
        if join_or((time - (before & 0xFFFFFFFF)) | (address << 16)) >> 31 != 0:
            break
        mirrored = spread(0xFFFF) - address
        rest = ((mirrored >> 1) & 0x7F) | ((mirrored & 0x7F00) << 8) | ((mirrored & 1) << 32)
        inside = inside & (limit - rest)
        put_eight(events, n, base + time, rest)
        n += N_LANES
    if n:
        state[INSIDE] &= join_and(inside)
        state[PREVIOUS_T] = events[n - 1].t
        state[RAW_T] = state[PREVIOUS_T] - state[BASE]
    return n


@numba.njit(cache=True, **UNCOUNTED)
def take_time(time: Any, state: npt.NDArray[np.int64]) -> Any:
    """Take the time of the next word; return it with all wraps so far."""
    raw = state[RAW_T]
    if abs(time - raw) > HALF_WRAP_US and raw >= 0:
        if time < raw:
            state[BASE] += WRAP_US
            state[N_WRAPS] += 1
        elif state[BASE] > 0:
            state[BASE] -= WRAP_US
            state[N_WRAPS] -= 1
    state[RAW_T] = time
    return state[BASE] + time


@numba.njit(cache=True, **UNCOUNTED)
def decode(
    words: npt.NDArray[np.uint32], layout: int, state: npt.NDArray[np.int64], events: Any, others: Any
) -> tuple[int, int, int]:
    """
    Write the events of words (uint32, shape (n, 2), big-endian), and words of other kinds to others.

    Return the number of words used and of both; others may have no room at all, and then they are counted only. Two
    events have to have room.
    """
    limit, width, height = state[LIMIT], state[WIDTH], state[HEIGHT]
    n, n_others, used = 0, 0, 0
    room = others.shape[0] if others.shape[0] else words.shape[0]
    while used < words.shape[0] and n + 1 < events.shape[0] and n_others < room:
        address = swap_bytes(words[used, 0])
        t = take_time(swap_bytes(words[used, 1]), state)
        used += 1
        kind = kind_of(address, layout)
        if kind < 0:
            xy, is_on = place_of(address, layout, width, height)
            put(events, n, t, xy | is_on << 32)
            state[LATE] |= t - state[PREVIOUS_T]
            state[INSIDE] &= limit - xy
            state[PREVIOUS_T] = t
            n += 1
            if layout == DVS128:
                n_more = decode_dvs128(words, used, state, events[n:])
                used, n = used + n_more, n + n_more
            continue
        state[COUNTS + kind] += 1
        if others.shape[0]:
            other = others[n_others]
            other.t, other.address = t, np.uint32(address)
        n_others += 1
    return used, n, n_others if others.shape[0] else 0


@numba.njit(cache=True, **UNCOUNTED)
def decode_pieces(
    pieces: Pieces, layout: int, state: npt.NDArray[np.int64], events: Any, others: Any
) -> tuple[int, int]:
    """Do the same for the next pieces of a file; return the number of events and of others."""
    n, n_others = 0, 0
    for _ in range(MOST_PIECES):
        start, stop = next_words(pieces, WORD_BYTES)
        if start == stop or (others.shape[0] and n_others == others.shape[0]):
            break
        n_words, n_events, n_more = decode(
            pieces.words[start:stop], layout, state, events[n:], others[n_others:]
        )
        n, n_others = n + n_events, n_others + n_more
        if not take_bytes(pieces, n_words * WORD_BYTES, WORD_BYTES, state):
            break
    return n, n_others


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
