"""Events counted in time bins: sparse (`bin_events`) and dense (`to_frames`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_sensor, check_whole
from eventio.errors import ArgumentError
from eventio.recording import PLACED_DTYPE, EventArray, check_inside
from eventio.transforms import _kernels

MAX_KEY = 1 << 62
MAX_SPAN_US = 1 << 62


@dataclass(frozen=True, eq=False, slots=True)
class BinnedEvents:
    """
    Events counted per time bin, polarity and pixel; only counts that are not zero.

    Attributes
    ----------
    step : ndarray
        int32, shape (n_entries,), the time bin, in 0..n_frames-1; entries are sorted by (step, index).
    index : ndarray
        int32, shape (n_entries,), place in the flattened (polarity, row, column); polarity 0 is OFF, 1 is ON.
    count : ndarray
        float32, shape (n_entries,), number of events, at least 1.
    n_frames : int
        Number of time bins.
    shape : tuple of int
        (2, height, width).
    n_beyond : int
        Events later than the last bin; they belong to the next window.
    n_before : int
        Events earlier than the first bin.
    """

    step: npt.NDArray[np.int32]
    index: npt.NDArray[np.int32]
    count: npt.NDArray[np.float32]
    n_frames: int
    shape: tuple[int, int, int]
    n_beyond: int
    n_before: int


def bin_events(
    events: EventArray, *, width: int, height: int, bin_us: int, n_frames: int, start_us: int | None = None
) -> BinnedEvents:
    """
    Count events per time bin, polarity and pixel.

    Bin k holds the events with start_us + k * bin_us <= t < start_us + (k + 1) * bin_us.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), in any order.
    width, height : int
        Size of the sensor in pixels.
    bin_us : int
        Length of a bin in microseconds, at least 1.
    n_frames : int
        Number of bins, at least 1.
    start_us : int, optional
        Start of the first bin in microseconds; the time of the first event when not given.

    Returns
    -------
    BinnedEvents
        The counts, and how many events lie before and beyond the bins.

    Raises
    ------
    ArgumentError
        The array is of another type, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[100, 105, 112, 130], x=[0, 0, 1, 1], y=[0] * 4, p=[1, 1, 0, 0])
    >>> binned = bin_events(events, width=2, height=1, bin_us=10, n_frames=2)
    >>> binned.step.tolist(), binned.index.tolist(), binned.count.tolist(), binned.n_beyond
    ([0, 1], [2, 1], [2.0, 1.0], 1)
    """
    start = check_bins(events, (width, height), bin_us, n_frames, start_us)
    size = 2 * height * width
    if size * n_frames > MAX_KEY or size > np.iinfo(np.int32).max:
        raise ArgumentError(
            f"{n_frames} frames of 2x{height}x{width} are more than can be numbered; use fewer"
        )
    keys = np.empty(len(events), np.int64)
    n, n_before, n_beyond = _kernels.make_keys(events, (start, bin_us, n_frames), (width, height), keys)
    keys = keys[:n]
    keys.sort()
    step, index, count = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float32)
    n_entries = _kernels.count_runs(keys, size, step, index, count)
    return BinnedEvents(
        step=step[:n_entries],
        index=index[:n_entries],
        count=count[:n_entries],
        n_frames=n_frames,
        shape=(2, height, width),
        n_beyond=int(n_beyond),
        n_before=int(n_before),
    )


def to_frames(
    events: EventArray, *, width: int, height: int, bin_us: int, n_frames: int, start_us: int | None = None
) -> npt.NDArray[np.uint16]:
    """
    Count events per time bin, polarity and pixel in dense frames.

    The same counts as `bin_events`, which also says how many events lie before and beyond the frames.

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
        Of uint16, shape (n_frames, 2, height, width); polarity 0 is OFF, 1 is ON.

    Raises
    ------
    ArgumentError
        The array is of another type, a number is out of its range, or a count exceeds 65535.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[100, 105, 112], x=[0, 0, 1], y=[0] * 3, p=[1, 1, 0])
    >>> to_frames(events, width=2, height=1, bin_us=10, n_frames=2).tolist()
    [[[[0, 0]], [[2, 0]]], [[[0, 1]], [[0, 0]]]]
    """
    start = check_bins(events, (width, height), bin_us, n_frames, start_us, is_placed=False)
    frames = np.zeros((n_frames, 2, height, width), np.uint16)
    placed, bins = np.ascontiguousarray(events).view(PLACED_DTYPE), (start, bin_us, n_frames)
    if _kernels.count_in_frames(placed, bins, (width, height), frames.reshape(-1)):
        check_inside(events, width=width, height=height, source="events")
        binned = bin_events(
            events, width=width, height=height, bin_us=bin_us, n_frames=n_frames, start_us=start
        )
        raise ArgumentError(
            f"a pixel has {int(binned.count.max())} events in one frame, more than 65535; use a shorter bin_us"
        )
    return frames


def check_bins(
    events: EventArray,
    sensor: tuple[int, int],
    bin_us: int,
    n_frames: int,
    start_us: int | None,
    *,
    is_placed: bool = True,
) -> int:
    """
    Check the arguments of a binning.

    Parameters
    ----------
    events, sensor, bin_us, n_frames, start_us : object
        As in `bin_events`; sensor is (width, height).
    is_placed : bool
        Whether the events' places are checked, too.

    Returns
    -------
    int
        Start of the first bin in microseconds.

    Raises
    ------
    ArgumentError, OutOfSensorError
        As `bin_events`.
    """
    check_sensor(events, *sensor, is_placed=False)
    check_whole("bin_us", bin_us)
    check_whole("n_frames", n_frames)
    if not isinstance(start_us, int | np.integer | None):
        raise ArgumentError(f"start_us must be a whole number of microseconds, got {start_us!r}")
    if start_us is None:
        start_us = int(events["t"][0]) if len(events) else 0
    if abs(start_us) + bin_us * n_frames > MAX_SPAN_US:
        raise ArgumentError(f"bin_us * n_frames = {bin_us * n_frames} us from {start_us} us exceeds 2**62 us")
    if is_placed:
        check_inside(events, width=sensor[0], height=sensor[1], source="events")
    return start_us
