"""Kernels of Event Stream 2: bytes to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LIMIT, N_COMMON, UNCOUNTED
from eventio._kernels_files import MOST_PIECES, Pieces, next_bytes, take_bytes
from eventio._kernels_packing import AHEAD, prefetch_room, put

EVENT_BYTES = 5
DVS_OVERFLOW_US, ATIS_OVERFLOW_US, OTHER_OVERFLOW_US = 127, 63, 254
TIME, PADDING, HEIGHT, N_STATE = N_COMMON, N_COMMON + 1, N_COMMON + 2, N_COMMON + 3
"""Places in `state`: the time so far, how many padding bytes there were, and the height of the sensor."""
MOST_SIZE_BYTES = 4


@numba.njit(cache=True, **UNCOUNTED)
def read_place(data: npt.NDArray[np.uint8], i: int, height: int) -> Any:
    """Return `x | y << 16` of two 16-bit numbers at i, y turned where it lies inside the sensor."""
    x, y = np.int64(data[i]) | np.int64(data[i + 1]) << 8, np.int64(data[i + 2]) | np.int64(data[i + 3]) << 8
    y = height - 1 - y if y < height else y
    return x | y << 16


@numba.njit(cache=True, **UNCOUNTED)
def decode_dvs(data: npt.NDArray[np.uint8], state: npt.NDArray[np.int64], events: Any) -> tuple[int, int]:
    """Write events while data last and two have room; return the bytes used and events written."""
    i, n = 0, 0
    t, height = state[TIME], state[HEIGHT]
    inside, limit = state[INSIDE], state[LIMIT]
    while n + 1 < events.shape[0] and i < data.shape[0]:
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
        xy = read_place(data, i + 1, height)
        prefetch_room(events, n + AHEAD)
        put(events, n, t, xy | (byte & 1) << 32)
        inside &= (limit - xy) & ~xy
        n += 1
        i += EVENT_BYTES
    state[TIME], state[INSIDE] = t, inside
    return i, n


@numba.njit(cache=True, **UNCOUNTED)
def decode_dvs_pieces(pieces: Pieces, state: npt.NDArray[np.int64], events: Any) -> Any:
    """Do the same for the next pieces of a file; return the number of events."""
    n = 0
    for _ in range(MOST_PIECES):
        start, stop = next_bytes(pieces, EVENT_BYTES)
        n_used, n_events = decode_dvs(pieces.buffer[start:stop], state, events[n:])
        n += n_events
        if not take_bytes(pieces, n_used, EVENT_BYTES, state):
            break
    return n


@numba.njit(cache=True, **UNCOUNTED)
def decode_atis(
    data: npt.NDArray[np.uint8], state: npt.NDArray[np.int64], events: Any, others: Any
) -> tuple[int, int, int]:
    """Do the same for events of an ATIS; those that measure exposure go to others, and are counted last."""
    i, n, n_others = 0, 0, 0
    t, height = state[TIME], state[HEIGHT]
    inside, limit = state[INSIDE], state[LIMIT]
    while n < events.shape[0] and n_others < others.shape[0] and i < data.shape[0]:
        byte = np.int64(data[i])
        if byte >= 0xFC:
            t += ATIS_OVERFLOW_US * (byte & 3)
            state[PADDING] += byte == 0xFC
            i += 1
            continue
        if i + EVENT_BYTES > data.shape[0]:
            break
        t += byte >> 2
        xy = read_place(data, i + 1, height)
        if byte & 1:
            other = others[n_others]
            other.t, other.xy, other.is_second = t, np.uint32(xy), np.uint8((byte >> 1) & 1)
            n_others += 1
        else:
            event = events[n]
            event.t, event.xy, event.p = t, np.uint32(xy), np.uint8((byte >> 1) & 1)
            inside &= (limit - xy) & ~xy
            n += 1
        i += EVENT_BYTES
    state[TIME], state[INSIDE] = t, inside
    return i, n, n_others


@numba.njit(cache=True, **UNCOUNTED)
def decode_colour(data: npt.NDArray[np.uint8], state: npt.NDArray[np.int64], others: Any) -> tuple[int, int]:
    """Do the same for colour events, which go to others."""
    i, n = 0, 0
    t, height = state[TIME], state[HEIGHT]
    while n < others.shape[0] and i < data.shape[0]:
        byte = np.int64(data[i])
        if byte >= 0xFE:
            t += OTHER_OVERFLOW_US if byte == 0xFF else 0
            state[PADDING] += byte == 0xFE
            i += 1
            continue
        if i + 8 > data.shape[0]:
            break
        t += byte
        other = others[n]
        other.t, other.xy = t, np.uint32(read_place(data, i + 1, height))
        other.r, other.g, other.b = data[i + 5], data[i + 6], data[i + 7]
        n += 1
        i += 8
    state[TIME] = t
    return i, n


@numba.njit(cache=True, **UNCOUNTED)
def decode_generic(data: npt.NDArray[np.uint8], state: npt.NDArray[np.int64], others: Any) -> tuple[int, int]:
    """Write time, first byte in data and size of generic events to others; return the bytes used and events."""
    i: Any = 0
    n = 0
    t = state[TIME]
    while n < others.shape[0] and i < data.shape[0]:
        byte = np.int64(data[i])
        if byte >= 0xFE:
            t += OTHER_OVERFLOW_US if byte == 0xFF else 0
            state[PADDING] += byte == 0xFE
            i += 1
            continue
        size, shift, at, is_open = np.int64(0), 0, i + 1, True
        while is_open and at < data.shape[0] and at <= i + MOST_SIZE_BYTES:
            size |= (np.int64(data[at]) >> 1) << shift
            is_open = data[at] & 1 == 1
            at, shift = at + 1, shift + 7
        if is_open or at + size > data.shape[0]:
            break
        t += byte
        others[n].t, others[n].start, others[n].size = t, at, size
        n += 1
        i = at + size
    state[TIME] = t
    return i, n


@numba.njit(cache=True, **UNCOUNTED)
def put_overflows(data: npt.NDArray[np.uint8], n: int, gap: int, longest: int) -> tuple[int, int]:
    """Write overflow bytes (0xFF) for a gap of time; return the new end and what is left of the gap."""
    for _ in range(gap // longest):
        data[n] = 0xFF
        n += 1
    return n, gap % longest


@numba.njit(cache=True, **UNCOUNTED)
def put_place(data: npt.NDArray[np.uint8], n: int, x: Any, y: Any) -> int:
    """Write two 16-bit numbers; return the new end."""
    data[n], data[n + 1] = x & 0xFF, x >> 8
    data[n + 2], data[n + 3] = y & 0xFF, y >> 8
    return n + 4


@numba.njit(cache=True, **UNCOUNTED)
def encode_atis(
    events: Any, is_exposure: npt.NDArray[np.bool_], previous_t: int, height: int, data: npt.NDArray[np.uint8]
) -> int:
    """Write events of an ATIS in order of time, `p` of exposures being the second threshold; return the bytes."""
    n = 0
    t = np.int64(previous_t)
    for i in range(events.shape[0]):
        event = events[i]
        gap = event.t - t
        t = event.t
        while gap >= ATIS_OVERFLOW_US:
            steps = min(gap // ATIS_OVERFLOW_US, 3)
            data[n] = 0xFC | steps
            n, gap = n + 1, gap - steps * ATIS_OVERFLOW_US
        data[n] = (gap << 2) | (np.int64(event.p) << 1) | np.int64(is_exposure[i])
        n = put_place(data, n + 1, np.int64(event.x), height - 1 - np.int64(event.y))
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode_colour(events: Any, previous_t: int, height: int, data: npt.NDArray[np.uint8]) -> int:
    """Write colour events; return the number of bytes."""
    n = 0
    t = np.int64(previous_t)
    for i in range(events.shape[0]):
        event = events[i]
        n, rest = put_overflows(data, n, event.t - t, OTHER_OVERFLOW_US)
        t = event.t
        data[n] = rest
        n = put_place(data, n + 1, np.int64(event.x), height - 1 - np.int64(event.y))
        data[n], data[n + 1], data[n + 2] = event.r, event.g, event.b
        n += 3
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, previous_t: int, height: int, data: npt.NDArray[np.uint8]) -> int:
    """Write events of a DVS to data, which has room; return the number of bytes."""
    n = 0
    t = np.int64(previous_t)
    for i in range(events.shape[0]):
        event = events[i]
        n, rest = put_overflows(data, n, event.t - t, DVS_OVERFLOW_US)
        t = event.t
        data[n] = rest << 1 | np.int64(event.p)
        n = put_place(data, n + 1, np.int64(event.x), height - 1 - np.int64(event.y))
    return n
