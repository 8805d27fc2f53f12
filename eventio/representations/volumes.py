"""Events shared between time bins: the voxel grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_sensor, check_whole
from eventio.errors import ArgumentError
from eventio.recording import EventArray, check_inside
from eventio.representations import _kernels as kernels
from eventio.representations.counts import check_room


def voxel_grid(
    events: EventArray,
    *,
    width: int,
    height: int,
    n_bins: int,
    start_us: int | None = None,
    stop_us: int | None = None,
) -> npt.NDArray[np.float32]:
    """
    Share the sign of each event between the two time bins nearest to it.

    With u = (n_bins - 1) * (t - start_us) / (stop_us - start_us), an event adds sign * max(0, 1 - abs(k - u)) to
    bin k of its pixel, sign 1 for ON and -1 for OFF. Events before start_us and after stop_us add nothing; n_bins =
    1 sums all signs.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), in any order.
    width, height : int
        Size of the sensor in pixels.
    n_bins : int
        Number of bins, at least 1.
    start_us, stop_us : int, optional
        Times of the first and the last bin in microseconds, start_us < stop_us; the times of the first and the last
        event when not given.

    Returns
    -------
    ndarray
        Of float32, shape (n_bins, height, width).

    Raises
    ------
    ArgumentError
        The array is of another type, or a number is out of its range.
    OutOfSensorError
        An event of the span lies outside the sensor.

    Notes
    -----
    Error: u is a float64 product with the rounded (n_bins - 1) / (stop_us - start_us); sums are float32, in the
    order of the events. Source: Zhu, Yuan, Chaney, Daniilidis, "Unsupervised event-based learning of optical flow,
    depth, and egomotion", CVPR 2019, eq. 1 and 2.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 25, 100], x=[0, 0, 1], y=[0] * 3, p=[1, 1, 0])
    >>> voxel_grid(events, width=2, height=1, n_bins=3).tolist()
    [[[1.5, 0.0]], [[0.5, 0.0]], [[0.0, -1.0]]]
    """
    check_sensor(events, width, height, is_placed=False)
    check_whole("n_bins", n_bins)
    check_room(n_bins, height, width)
    start, stop = find_span(events, start_us, stop_us)
    volume = np.zeros((n_bins + 1, height, width), np.float32)
    scale = (n_bins - 1) / (stop - start) if stop > start else 0.0
    if kernels.spread(events, (start, stop, scale), (width, height), volume.reshape(-1)):
        check_inside(events, width=width, height=height, source="events")
    return volume[:n_bins]


def find_span(events: EventArray, start_us: int | None, stop_us: int | None) -> tuple[int, int]:
    """
    Find out from when to when events count.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,).
    start_us, stop_us : int or None
        What the caller says.

    Returns
    -------
    tuple of (int, int)
        Both; the times of the first and the last event where the caller says nothing.

    Raises
    ------
    ArgumentError
        They are no whole numbers, or not in order.
    """
    for name, value in (("start_us", start_us), ("stop_us", stop_us)):
        if not isinstance(value, int | np.integer | None):
            raise ArgumentError(f"{name} must be a whole number of microseconds, got {value!r}")
    start = start_us if start_us is not None else int(events["t"][0]) if len(events) else 0
    stop = stop_us if stop_us is not None else int(events["t"][-1]) if len(events) else start
    is_given = start_us is not None and stop_us is not None
    if stop < start or (is_given and stop == start):
        raise ArgumentError(
            f"start_us must lie before stop_us, got {start} and {stop} us; give both, or sort the events"
        )
    return int(start), int(stop)
