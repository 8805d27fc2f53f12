"""Events counted: per pixel, in frames of equal number, as bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_sensor, check_whole
from eventio.errors import ArgumentError
from eventio.recording import EventArray, check_inside
from eventio.representations import _kernels as kernels
from eventio.transforms.binning import check_bins

MOST_CELLS = 1 << 34


def count_events(events: EventArray, *, width: int, height: int) -> npt.NDArray[np.uint32]:
    """
    Count the events of each polarity and pixel.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), in any order.
    width, height : int
        Size of the sensor in pixels.

    Returns
    -------
    ndarray
        Of uint32, shape (2, height, width); polarity 0 is OFF, 1 is ON.

    Raises
    ------
    ArgumentError
        The array is of another type, or the size is none.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[1, 2, 3], x=[0, 0, 1], y=[0] * 3, p=[1, 1, 0])
    >>> count_events(events, width=2, height=1).tolist()
    [[[0, 1]], [[2, 0]]]
    """
    check_sensor(events, width, height, is_placed=False)
    counts = np.zeros((2, height, width), np.uint32)
    if kernels.count(events, (width, height), counts.reshape(-1)):
        check_inside(events, width=width, height=height, source="events")
    return counts


def frames_by_count(events: EventArray, *, width: int, height: int, n_events: int) -> npt.NDArray[np.uint32]:
    """
    Count events per polarity and pixel in frames of n_events events each; the last may hold fewer.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n,), in any order; frames take them in that order.
    width, height : int
        Size of the sensor in pixels.
    n_events : int
        Events in a frame, at least 1.

    Returns
    -------
    ndarray
        Of uint32, shape (n_frames, 2, height, width), n_frames = ceil(n / n_events).

    Raises
    ------
    ArgumentError
        The array is of another type, a number is out of its range, or the frames are too many to hold.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[1, 2, 3], x=[0, 0, 1], y=[0] * 3, p=[1, 1, 0])
    >>> frames_by_count(events, width=2, height=1, n_events=2).tolist()
    [[[[0, 0]], [[2, 0]]], [[[0, 1]], [[0, 0]]]]
    """
    check_sensor(events, width, height, is_placed=False)
    check_whole("n_events", n_events)
    n_frames = -(-len(events) // n_events)
    check_room(n_frames, 2, height, width)
    frames = np.zeros((n_frames, 2, height, width), np.uint32)
    for k, frame in enumerate(frames):
        if kernels.count(events[k * n_events : (k + 1) * n_events], (width, height), frame.reshape(-1)):
            check_inside(events, width=width, height=height, source="events")
    return frames


def binary_frames(
    events: EventArray, *, width: int, height: int, bin_us: int, n_frames: int, start_us: int | None = None
) -> npt.NDArray[np.uint8]:
    """
    Say whether there was an event, one bit per frame, polarity and pixel.

    Frame k holds the events with start_us + k * bin_us <= t < start_us + (k + 1) * bin_us, as `to_frames`. A row
    begins with a new byte; its first pixel is the highest bit (``numpy.unpackbits(frames, axis=-1, count=width)``).

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), in any order.
    width, height : int
        Size of the sensor in pixels.
    bin_us : int
        Length of a frame in microseconds, at least 1.
    n_frames : int
        Number of frames, at least 1.
    start_us : int, optional
        Start of the first frame in microseconds; the time of the first event when not given.

    Returns
    -------
    ndarray
        Of uint8, shape (n_frames, 2, height, ceil(width / 8)).

    Raises
    ------
    ArgumentError
        The array is of another type, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 1], x=[0, 9], y=[0, 0], p=[1, 1])
    >>> binary_frames(events, width=10, height=1, bin_us=10, n_frames=1)[0, 1].tolist()
    [[128, 64]]
    """
    start = check_bins(events, (width, height), bin_us, n_frames, start_us)
    check_room(n_frames, 2, height, width)
    frames = np.zeros((n_frames, 2, height, (width + 7) // 8), np.uint8)
    kernels.set_bits(events, (start, bin_us, n_frames), (width, height), frames.reshape(-1))
    return frames


def check_sorted_events(events: EventArray) -> None:
    """
    Refuse events whose time runs backwards.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,).

    Raises
    ------
    ArgumentError
        An event is earlier than the one before it.
    """
    first = int(kernels.find_backward(events))
    if first >= 0:
        raise ArgumentError(
            f"events must be sorted by time, but event {first} (counted from 0, t = {events['t'][first]} us) is "
            "earlier than the one before it; see eventio.sort_by_time"
        )


def check_room(*shape: int) -> None:
    """
    Refuse an array that no memory holds.

    Parameters
    ----------
    *shape : int
        Its shape.

    Raises
    ------
    ArgumentError
        It has more than 2**34 elements.
    """
    n = 1
    for side in shape:
        n *= side
    if n > MOST_CELLS:
        sizes = " x ".join(str(side) for side in shape)
        raise ArgumentError(f"{sizes} numbers are more than 2**34; use fewer frames or a smaller sensor")
