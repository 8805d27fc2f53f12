"""What each pixel remembers: time surfaces, decaying counts, last times, and surfaces averaged over cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_number, check_sensor, check_whole
from eventio.errors import ArgumentError
from eventio.recording import EventArray
from eventio.representations import _kernels as kernels
from eventio.representations.counts import check_room, check_sorted_events

Floats = npt.NDArray[np.float32]


def time_surface(
    events: EventArray, *, width: int, height: int, tau_us: float, at_us: int | None = None
) -> Floats:
    """
    Give exp(-(at_us - t) / tau_us) of each pixel's latest event, for each polarity.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,); of each pixel the last in this order counts.
    width, height : int
        Size of the sensor in pixels.
    tau_us : float
        Time constant in microseconds, > 0.
    at_us : int, optional
        When the surface is looked at; later events do not count. The time of the last event when not given.

    Returns
    -------
    ndarray
        Of float32, shape (2, height, width): 1 just now, 0 where there was no event; polarity 0 is OFF, 1 is ON.

    Raises
    ------
    ArgumentError
        The array is of another type, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Notes
    -----
    Error: float64 until the result is rounded. Source: Lagorce, Orchard, Galluppi, Shi, Benosman, "HOTS: a
    hierarchy of event-based time-surfaces for pattern recognition", IEEE TPAMI 39(7), 2017, eq. 3.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 100], x=[0, 1], y=[0, 0], p=[1, 1])
    >>> time_surface(events, width=3, height=1, tau_us=100)[1].round(3).tolist()
    [[0.36800000071525574, 1.0, 0.0]]
    """
    moment = check_moment(events, width, height, at_us)
    check_number("tau_us", tau_us, is_least_allowed=False)
    latest = np.full((2, height, width), kernels.NEVER_US)
    kernels.remember_latest(events, moment, (width, height), latest.reshape(-1))
    return decayed(latest, moment, tau_us)


def decaying_count(
    events: EventArray, *, width: int, height: int, tau_us: float, at_us: int | None = None
) -> Floats:
    """
    Give the sum of exp(-(at_us - t) / tau_us) over all events of each pixel and polarity.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), in any order.
    width, height : int
        Size of the sensor in pixels.
    tau_us : float
        Time constant in microseconds, > 0.
    at_us : int, optional
        When the sum is looked at; later events do not count. The time of the last event when not given.

    Returns
    -------
    ndarray
        Of float32, shape (2, height, width); polarity 0 is OFF, 1 is ON.

    Raises
    ------
    ArgumentError
        The array is of another type, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Notes
    -----
    Error: sums are float64, in the order of the events, until the result is rounded. Source: the decaying
    accumulation of Cohen et al., "Spatial and temporal downsampling in event-based visual classification", IEEE
    TNNLS 29(10), 2018.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 0, 100], x=[0, 0, 1], y=[0] * 3, p=[1] * 3)
    >>> decaying_count(events, width=2, height=1, tau_us=100)[1].round(3).tolist()
    [[0.7360000014305115, 1.0]]
    """
    moment = check_moment(events, width, height, at_us)
    check_number("tau_us", tau_us, is_least_allowed=False)
    total = np.zeros((2, height, width))
    kernels.add_decayed(events, moment, float(tau_us), (width, height), total.reshape(-1))
    return total.astype(np.float32)


def last_times(
    events: EventArray,
    *,
    width: int,
    height: int,
    depth: int = 3,
    shortest_us: int = 150,
    longest_us: int = 5_000_000,
    at_us: int | None = None,
) -> Floats:
    """
    Give the logarithms of the ages of each pixel's last events (a TORE volume).

    An event of age a = at_us - t gives max(0, log(1 + min(a, longest_us)) - log(1 + shortest_us)); where a pixel
    has fewer than `depth` events, the missing ones have the age longest_us.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,); of each pixel the last in this order count.
    width, height : int
        Size of the sensor in pixels.
    depth : int
        Events remembered per pixel and polarity, 1 to 64.
    shortest_us, longest_us : int
        Ages under the first and over the second, in microseconds, make no difference; 0 <= shortest_us < longest_us.
    at_us : int, optional
        When the ages are taken; later events do not count. The time of the last event when not given.

    Returns
    -------
    ndarray
        Of float32, shape (2, depth, height, width), newest first; polarity 0 is OFF, 1 is ON.

    Raises
    ------
    ArgumentError
        The array is of another type, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Notes
    -----
    Error: float64 until the result is rounded. Source: Baldwin, Liu, Almatrafi, Asari, Hirakawa, "Time-ordered recent
    event (TORE) volumes for event cameras", IEEE TPAMI 45(2), 2023.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 999], x=[0, 0], y=[0, 0], p=[1, 1])
    >>> volume = last_times(events, width=1, height=1, depth=2, shortest_us=9, longest_us=10**6)
    >>> volume[1, :, 0, 0].round(2).tolist()
    [0.0, 4.610000133514404]
    """
    moment = check_moment(events, width, height, at_us)
    check_whole("depth", depth, most=64)
    check_whole("shortest_us", shortest_us, least=0, unit=" us")
    check_whole("longest_us", longest_us, least=shortest_us + 1, unit=" us")
    check_room(2, depth, height, width)
    latest = np.full((2, height, width, depth), kernels.NEVER_US)
    kernels.remember_last(events, moment, (width, height), depth, latest.reshape(-1))
    ages = ages_at(latest, moment)
    logs = np.log1p(np.minimum(ages, float(longest_us))) - np.log1p(float(shortest_us))
    return np.ascontiguousarray(np.maximum(logs, 0.0).astype(np.float32).transpose(0, 3, 1, 2))


def averaged_time_surfaces(
    events: EventArray,
    *,
    width: int,
    height: int,
    cell: int = 10,
    radius: int = 3,
    tau_us: float = 1e9,
    longest_us: int = 100_000,
) -> Floats:
    """
    Average the time surfaces around the events of each cell of the sensor (HATS).

    The surface of an event at (x, y, t) has, for each offset of at most `radius` pixels along rows and columns, the
    sum of exp(-(t - s) / tau_us) over the earlier events s of the same cell and polarity at that offset with t - s
    <= longest_us; earlier is what stands before in the array. A cell's histogram is the mean over its events of
    that polarity, 0 where there is none.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), sorted by time.
    width, height : int
        Size of the sensor in pixels.
    cell : int
        Side of a cell in pixels, 1 to 4096; cells at the right and lower edge may be cut.
    radius : int
        Largest offset in pixels, 0 to 64.
    tau_us : float
        Time constant in microseconds, > 0.
    longest_us : int
        How far an event looks back, in microseconds, at least 1.

    Returns
    -------
    ndarray
        Of float32, shape (ceil(height / cell), ceil(width / cell), 2, 2 * radius + 1, 2 * radius + 1): row and
        column of the cell, polarity (0 OFF, 1 ON), vertical and horizontal offset.

    Raises
    ------
    ArgumentError
        The array is of another type or not sorted, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Notes
    -----
    Error: events that get too old are subtracted in float64, which leaves at most n_events * 2**-51 of a cell's
    largest sum. Source: Sironi, Brambilla, Bourdis, Lagorce, Benosman, "HATS: histograms of averaged time surfaces
    for robust event-based object classification", CVPR 2018. We differ: events of the same microsecond count in
    their order.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 10], x=[1, 2], y=[1, 1], p=[1, 1])
    >>> surfaces = averaged_time_surfaces(events, width=4, height=4, cell=4, radius=1)
    >>> surfaces.shape, surfaces[0, 0, 1, 1].tolist()
    ((1, 1, 2, 3, 3), [0.5, 0.0, 0.0])
    """
    check_sensor(events, width, height, is_placed=False)
    check_whole("cell", cell, most=4096)
    check_whole("radius", radius, least=0, most=64)
    check_number("tau_us", tau_us, is_least_allowed=False)
    check_whole("longest_us", longest_us, unit=" us")
    if longest_us > 600 * tau_us:
        longest_us = int(600 * tau_us)  # older events add less than 1e-260
    cells = cut_into_cells(width, height, cell, radius)
    n_rows, n_columns, side = -(-height // cell), -(-width // cell), 2 * radius + 1
    check_room(cells.n, 2, side, side)
    ends = np.zeros(cells.n, np.int64)
    times, places = np.empty(len(events), np.int64), np.empty(len(events), np.uint32)
    if not kernels.sort_by_cell(events, cells, ends, times, places):
        check_sensor(events, width, height)
        check_sorted_events(events)
    surfaces = np.zeros((cells.n, 2, side, side), np.float32)
    kernels.average_cells(times, places, ends, cells, (longest_us, float(tau_us)), surfaces)
    return surfaces.reshape(n_rows, n_columns, 2, side, side)


def cut_into_cells(width: int, height: int, cell: int, radius: int) -> kernels.Cells:
    """
    Number the cells of a sensor.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.
    cell, radius : int
        As in `averaged_time_surfaces`.

    Returns
    -------
    Cells
        Row after row; a cell's memory has a margin of `radius` pixels on each side.
    """
    n_rows, n_columns, side = -(-height // cell), -(-width // cell), 2 * radius + 1
    stride = cell + side - 1
    rows = np.stack([np.arange(height) // cell * n_columns, np.arange(height) % cell], axis=1)
    columns = np.stack([np.arange(width) // cell, np.arange(width) % cell], axis=1)
    return kernels.Cells(
        n_rows * n_columns, rows.astype(np.int32), columns.astype(np.int32), stride, stride * stride, side
    )


def check_moment(events: EventArray, width: int, height: int, at_us: int | None) -> int:
    """
    Check events, their sensor, and the moment they are looked at.

    Parameters
    ----------
    events : ndarray
        Perhaps of EVENT_DTYPE, shape (n_events,).
    width, height : int
        Size of the sensor in pixels.
    at_us : int or None
        The moment, or None for the time of the last event.

    Returns
    -------
    int
        The moment.

    Raises
    ------
    ArgumentError, OutOfSensorError
        As `time_surface`.
    """
    check_sensor(events, width, height)
    if not isinstance(at_us, int | np.integer | None):
        raise ArgumentError(f"at_us must be a whole number of microseconds, got {at_us!r}")
    if at_us is not None:
        return int(at_us)
    return int(events["t"][-1]) if len(events) else 0


def ages_at(latest: npt.NDArray[np.int64], moment: int) -> npt.NDArray[np.float64]:
    """
    Turn times into ages.

    Parameters
    ----------
    latest : ndarray
        int64, times until the moment in microseconds, NEVER_US for none.
    moment : int
        When the ages are taken.

    Returns
    -------
    ndarray
        float64, in microseconds, infinite for none.
    """
    ages = (moment - latest).astype(np.float64)
    ages[latest == kernels.NEVER_US] = np.inf
    return ages


def decayed(latest: npt.NDArray[np.int64], moment: int, tau_us: float) -> Floats:
    """
    Turn times into weights.

    Parameters
    ----------
    latest : ndarray
        int64, times until the moment in microseconds, NEVER_US for none.
    moment : int
        When they are looked at.
    tau_us : float
        Time constant in microseconds.

    Returns
    -------
    ndarray
        float32, exp(-age / tau_us).
    """
    return np.exp(-ages_at(latest, moment) / tau_us).astype(np.float32)
