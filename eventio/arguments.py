"""Arguments that break their rule are refused here, in one wording."""

from __future__ import annotations

import math

import numpy as np

from eventio.errors import ArgumentError
from eventio.recording import EVENT_DTYPE, EventArray, Recording, check_inside, check_size

LONGEST_US = 1 << 62


def check_whole(name: str, value: object, *, least: int = 1, most: int = LONGEST_US, unit: str = "") -> None:
    """
    Refuse what is no whole number in a range.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Its value.
    least, most : int
        The range, both included.
    unit : str
        Its unit.

    Raises
    ------
    ArgumentError
        The value is something else.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        upper = "" if most == LONGEST_US else f" and at most {most}"
        raise ArgumentError(f"{name} must be a whole number of at least {least}{unit}{upper}, got {value!r}")


def check_number(name: str, value: float, *, least: float = 0.0, is_least_allowed: bool = True) -> None:
    """
    Refuse what is no finite number above a bound.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : float
        Its value.
    least : float
        The bound.
    is_least_allowed : bool
        Whether the bound itself will do.

    Raises
    ------
    ArgumentError
        The value is something else.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value)
    if not is_number or value < least or (value == least and not is_least_allowed):
        sign = ">=" if is_least_allowed else ">"
        raise ArgumentError(f"{name} must be finite and {sign} {least:g}, got {value!r}")


def check_seed(name: str, seed: int) -> None:
    """
    Refuse what is no seed.

    Parameters
    ----------
    name : str
        Name of the argument.
    seed : int
        Its value.

    Raises
    ------
    ArgumentError
        The value is no whole number in 0..2**63-1.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 63:
        raise ArgumentError(f"{name} must be a whole number in 0..2**63-1, got {seed!r}")


def check_sorted(recording: Recording) -> None:
    """
    Refuse a recording without events, or whose time runs backwards.

    Parameters
    ----------
    recording : Recording
        The recording.

    Raises
    ------
    ArgumentError
        It is empty or not sorted.
    """
    if not len(recording) or (np.diff(recording.t) < 0).any():
        raise ArgumentError("the recording must hold events sorted by time; see eventio.sort_by_time")


def check_events(events: object) -> None:
    """
    Refuse what is no array of events.

    Parameters
    ----------
    events : object
        Perhaps an array of EVENT_DTYPE, shape (n_events,).

    Raises
    ------
    ArgumentError
        It is something else.
    """
    if not isinstance(events, np.ndarray) or events.dtype != EVENT_DTYPE or events.ndim != 1:
        raise ArgumentError(
            "events must be a one-dimensional array of eventio.EVENT_DTYPE (Recording.events)"
        )


def check_sensor(events: EventArray, width: int, height: int, *, is_placed: bool = True) -> None:
    """
    Check events and the size of their sensor.

    Parameters
    ----------
    events : ndarray
        Perhaps of EVENT_DTYPE, shape (n_events,).
    width, height : int
        Size of the sensor in pixels.
    is_placed : bool
        Whether the events' places are checked, too.

    Raises
    ------
    ArgumentError, OutOfSensorError
        The array is of another type, the size is none, or an event lies outside.
    """
    check_events(events)
    check_size(width, height)
    if is_placed:
        check_inside(events, width=width, height=height, source="events")
