"""What the writers of files of binary words share: a look at all times, and words block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels
from eventio.errors import FormatError
from eventio.recording import PLACED_DTYPE, EventArray, Recording

EVER = 1 << 62
BLOCK_EVENTS = 1 << 13
"""How many events are encoded at a time: the memory for their words comes from the heap and stays in the cache."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a format can hold.

    Attributes
    ----------
    title : str
        The format in messages.
    max_side : int
        Columns and rows of the largest sensor.
    max_t : int
        The latest time in microseconds; the earliest is 0.
    clock_shift : int
        Lower bits of times that steps are not counted in.
    most_back, most_ahead : int
        How far a time may step back or ahead, in units of 1 << clock_shift microseconds.
    wrap_shift : int
        A time may step back only while its bits from this one on stay.
    rule : str
        All this in words, with what to do.
    """

    title: str
    max_side: int
    max_t: int
    rule: str
    clock_shift: int = 0
    most_back: int = EVER
    most_ahead: int = EVER
    wrap_shift: int = 62


def check_size(recording: Recording, limits: Limits) -> None:
    """
    Refuse a sensor that a format cannot hold.

    Parameters
    ----------
    recording : Recording
        What is to be written.
    limits : Limits
        Of the format.

    Raises
    ------
    FormatError
        The sensor is too large.
    """
    width, height, side = recording.width, recording.height, limits.max_side
    if max(width, height) > side:
        raise FormatError(f"a {width}x{height} sensor does not fit {limits.title} (at most {side}x{side})")


def check_times(events: EventArray, limits: Limits, n_before: int) -> None:
    """
    Refuse times that a format cannot hold, naming the first event.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE or PLACED_DTYPE, shape (n,).
    limits : Limits
        Of the format.
    n_before : int
        Number of the first event within its recording.

    Raises
    ------
    FormatError
        A time is out of range or steps too far.
    """
    first = int(
        _kernels.find_bad_time(
            events,
            limits.max_t,
            limits.clock_shift,
            limits.most_back,
            limits.most_ahead,
            limits.wrap_shift,
        )
    )
    if first < 0:
        return
    t = int(events["t"][first])
    what = f"t = {t}"
    if 0 <= t <= limits.max_t:
        what = f"time steps from {int(events['t'][first - 1])} to t = {t} us, which"
    raise FormatError(f"event {n_before + first}: {what} does not fit {limits.title} ({limits.rule})")


def encode_blocks(
    events: EventArray,
    encode: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    limits: Limits | None = None,
) -> Iterator[bytes]:
    """
    Check and encode events block by block, while a block is in the cache.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,).
    encode : callable
        Takes events of PLACED_DTYPE, gives an array of numbers as they stand in the file.
    limits : Limits, optional
        Of the format; None where nothing is to be checked.

    Yields
    ------
    bytes
        Of one block each.

    Raises
    ------
    FormatError
        A time does not fit.
    """
    placed = np.ascontiguousarray(events).view(PLACED_DTYPE)
    for start in range(0, len(placed), BLOCK_EVENTS):
        if limits is not None:
            before = max(start - 1, 0)
            check_times(placed[before : start + BLOCK_EVENTS], limits, before)
        yield encode(placed[start : start + BLOCK_EVENTS]).tobytes()
