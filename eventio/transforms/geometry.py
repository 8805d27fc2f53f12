"""
Where events lie: cut out, scaled down, mirrored, turned.

Events keep their order; the recording's metadata, frames and other companions are handed on as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from eventio.arguments import check_whole
from eventio.errors import ArgumentError
from eventio.recording import MAX_SENSOR_SIDE, EventArray, Recording, check_size, join_events, seal


def crop(recording: Recording, *, x: int, y: int, width: int, height: int) -> Recording:
    """
    Cut a rectangle out of the sensor; the events outside are left out.

    Parameters
    ----------
    recording : Recording
        The events.
    x, y : int
        Column and row of the rectangle's top-left pixel, which becomes (0, 0).
    width, height : int
        Its size in pixels; it lies within the sensor.

    Returns
    -------
    Recording
        Of a sensor of this size.

    Raises
    ------
    ArgumentError
        The rectangle does not lie within the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 1, 2], x=[0, 4, 5], y=[0, 2, 2], p=[1] * 3)
    >>> part = crop(eventio.Recording(events, width=6, height=4), x=4, y=1, width=2, height=2)
    >>> part.x.tolist(), part.y.tolist(), part.width
    ([0, 1], [1, 1], 2)
    """
    check_size(width, height)
    for name, start, side, limit in (("x", x, width, recording.width), ("y", y, height, recording.height)):
        if not isinstance(start, int | np.integer) or not 0 <= start <= limit - side:
            raise ArgumentError(
                f"crop: {name} must be a whole number in 0..{limit - side} for a part of {width}x{height} pixels of "
                f"the {recording.width}x{recording.height} sensor, got {start!r}; choose a smaller or another part"
            )
    is_in = (recording.x >= x) & (recording.x < x + width) & (recording.y >= y) & (recording.y < y + height)
    events = recording.events[is_in]
    events["x"] -= x
    events["y"] -= y
    return replace(recording, events=seal(events), width=width, height=height)


def downsample(recording: Recording, factor: int) -> Recording:
    """
    Join blocks of factor x factor pixels into one; every event stays.

    Parameters
    ----------
    recording : Recording
        The events.
    factor : int
        Side of a block in pixels, at least 1.

    Returns
    -------
    Recording
        Of a sensor of ceil(width / factor) x ceil(height / factor) pixels. To let a joined pixel rest after an
        event, add `eventio.denoising.Refractory`.

    Raises
    ------
    ArgumentError
        The factor is no whole number of at least 1.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 1], x=[2, 5], y=[1, 3], p=[1, 0])
    >>> small = downsample(eventio.Recording(events, width=6, height=5), 2)
    >>> small.x.tolist(), small.y.tolist(), (small.width, small.height)
    ([1, 2], [0, 1], (3, 3))
    """
    check_whole("factor", factor, most=MAX_SENSOR_SIDE)
    events = join_events([recording.events])
    events["x"] //= factor
    events["y"] //= factor
    width, height = -(-recording.width // factor), -(-recording.height // factor)
    return replace(recording, events=seal(events), width=width, height=height)


def flip(recording: Recording, *, left_right: bool = False, up_down: bool = False) -> Recording:
    """
    Mirror the sensor.

    Parameters
    ----------
    recording : Recording
        The events.
    left_right, up_down : bool
        Along which axes.

    Returns
    -------
    Recording
        With x' = width - 1 - x and y' = height - 1 - y where asked for.

    Examples
    --------
    >>> import eventio
    >>> recording = eventio.Recording(eventio.make_events(t=[0], x=[1], y=[0], p=[1]), width=4, height=3)
    >>> flip(recording, left_right=True).x.tolist(), flip(recording, up_down=True).y.tolist()
    ([2], [2])
    """
    events = join_events([recording.events])
    if left_right:
        events["x"] = recording.width - 1 - events["x"]
    if up_down:
        events["y"] = recording.height - 1 - events["y"]
    return replace(recording, events=seal(events))


def turn(recording: Recording, quarters: int = 1) -> Recording:
    """
    Turn the sensor by quarters of a circle; every event stays.

    Parameters
    ----------
    recording : Recording
        The events.
    quarters : int
        Quarter turns, clockwise as one looks at the picture; negative ones go the other way.

    Returns
    -------
    Recording
        After an odd number of quarters width and height are exchanged.

    Raises
    ------
    ArgumentError
        quarters is no whole number.

    Examples
    --------
    >>> import eventio
    >>> recording = eventio.Recording(eventio.make_events(t=[0], x=[0], y=[0], p=[1]), width=4, height=3)
    >>> turned = turn(recording)
    >>> turned.x.tolist(), turned.y.tolist(), (turned.width, turned.height)
    ([2], [0], (3, 4))
    """
    check_whole("quarters", quarters, least=-(1 << 30), most=1 << 30)
    events = join_events([recording.events])
    width, height = recording.width, recording.height
    for _ in range(quarters % 4):
        x = events["x"].copy()
        events["x"] = height - 1 - events["y"]
        events["y"] = x
        width, height = height, width
    return replace(recording, events=seal(events), width=width, height=height)


def rotate(recording: Recording, degrees: float) -> Recording:
    """
    Turn the events about the middle of the sensor, which keeps its size; what leaves it is left out.

    Parameters
    ----------
    recording : Recording
        The events.
    degrees : float
        Angle, clockwise as one looks at the picture.

    Returns
    -------
    Recording
        Each event at the pixel nearest to its turned place (halves go to the even pixel).

    Raises
    ------
    ArgumentError
        The angle is no finite number.

    Examples
    --------
    >>> import eventio
    >>> recording = eventio.Recording(eventio.make_events(t=[0], x=[2], y=[0], p=[1]), width=3, height=3)
    >>> turned = rotate(recording, 90)
    >>> turned.x.tolist(), turned.y.tolist()
    ([2], [2])
    """
    if not math.isfinite(degrees):
        raise ArgumentError(f"degrees must be a finite number, got {degrees!r}")
    angle = math.radians(degrees)
    middle_x, middle_y = (recording.width - 1) / 2, (recording.height - 1) / 2
    dx, dy = recording.x - middle_x, recording.y - middle_y
    x = np.rint(middle_x + math.cos(angle) * dx - math.sin(angle) * dy)
    y = np.rint(middle_y + math.sin(angle) * dx + math.cos(angle) * dy)
    return replace(recording, events=seal(moved(recording, x, y)))


def moved(recording: Recording, x: np.ndarray, y: np.ndarray) -> EventArray:
    """
    Give events new places and leave out those outside the sensor.

    Parameters
    ----------
    recording : Recording
        The events.
    x, y : ndarray
        Whole numbers, shape (n_events,).

    Returns
    -------
    ndarray
        Of EVENT_DTYPE: those that lie within the sensor.
    """
    is_in = (x >= 0) & (x < recording.width) & (y >= 0) & (y < recording.height)
    events: EventArray = recording.events[is_in]
    events["x"], events["y"] = x[is_in], y[is_in]
    return events
