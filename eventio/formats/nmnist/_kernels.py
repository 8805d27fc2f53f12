"""Kernels of the headerless 40-bit format: bytes to events and back."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import INSIDE, LATE, LIMIT, N_COMMON, PREVIOUS_T, UNCOUNTED
from eventio._kernels_files import MOST_PIECES, Pieces, next_bytes, take_bytes
from eventio._kernels_packing import AHEAD, prefetch_room, put

WORD_BYTES = 5
TIME_OVERFLOW_ROW = 240
TIME_OVERFLOW_US = 1 << 13


OFFSET, N_OVERFLOWS, N_STATE = N_COMMON, N_COMMON + 1, N_COMMON + 2
"""Places in `state`: time added by overflows, and how many there were."""


@numba.njit(cache=True, **UNCOUNTED)
def decode(data: npt.NDArray[np.uint8], state: npt.NDArray[np.int64], events: Any) -> tuple[int, int]:
    """Write the events of data, five bytes each, while two have room; return words used and events."""
    offset_us = state[OFFSET]
    previous, late, inside, limit = state[PREVIOUS_T], state[LATE], state[INSIDE], state[LIMIT]
    n, n_words = 0, min(data.shape[0] // WORD_BYTES, events.shape[0] - 1)
    for i in range(n_words):
        at = WORD_BYTES * i
        x, y, upper = np.int64(data[at]), np.int64(data[at + 1]), np.int64(data[at + 2])
        if y == TIME_OVERFLOW_ROW:
            offset_us += TIME_OVERFLOW_US
            continue
        t = offset_us + ((upper & 0x7F) << 16 | np.int64(data[at + 3]) << 8 | np.int64(data[at + 4]))
        xy = x | y << 16
        prefetch_room(events, n + AHEAD)
        put(events, n, t, xy | (upper >> 7) << 32)
        late |= t - previous
        inside &= limit - xy
        previous = t
        n += 1
    state[OFFSET], state[N_OVERFLOWS] = offset_us, state[N_OVERFLOWS] + n_words - n
    state[PREVIOUS_T], state[LATE], state[INSIDE] = previous, late, inside
    return n_words, n


@numba.njit(cache=True, **UNCOUNTED)
def decode_pieces(pieces: Pieces, state: npt.NDArray[np.int64], events: Any) -> Any:
    """Do the same for the next pieces of a file; return the number of events."""
    n = 0
    for _ in range(MOST_PIECES):
        start, stop = next_bytes(pieces, WORD_BYTES)
        n_words, n_events = decode(pieces.buffer[start:stop], state, events[n:])
        n += n_events
        if not take_bytes(pieces, n_words * WORD_BYTES, WORD_BYTES, state):
            break
    return n


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, words: npt.NDArray[np.uint8]) -> None:
    """Write one 5-byte word of words (uint8, shape (n, 5)) for each event (PLACED_DTYPE)."""
    for i in range(events.shape[0]):
        event = events[i]
        xy = np.int64(event.xy)
        words[i, 0], words[i, 1] = np.uint8(xy & 0xFF), np.uint8(xy >> 16)
        words[i, 2] = np.uint8(np.int64(event.p) << 7 | (event.t >> 16) & 0x7F)
        words[i, 3] = np.uint8((event.t >> 8) & 0xFF)
        words[i, 4] = np.uint8(event.t & 0xFF)


@numba.njit(cache=True, **UNCOUNTED)
def find_misfit(events: Any, max_t: int) -> int:
    """Return the index of the first event that 40 bits cannot hold, or -1."""
    for i in range(events.shape[0]):
        event = events[i]
        if event.t < 0 or event.t > max_t or event.x > 255 or event.y > 255 or event.y == TIME_OVERFLOW_ROW:
            return i
    return -1
