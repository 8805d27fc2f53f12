"""Events as points in space and time, few enough for a network of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_seed, check_sensor, check_whole
from eventio.errors import ArgumentError
from eventio.recording import EventArray


@dataclass(frozen=True, eq=False, slots=True)
class EventPoints:
    """
    Some events as points.

    Attributes
    ----------
    points : ndarray
        float32, shape (n_points, 4): x and y from -1 (first column, first row) to 1 (last), time from 0 (first
        event of the whole array) to 1 (last), polarity 1 or -1.
    index : ndarray
        int64, shape (n_points,), which event each point is, ascending.
    """

    points: npt.NDArray[np.float32]
    index: npt.NDArray[np.int64]


def sample_points(events: EventArray, *, width: int, height: int, n_points: int, seed: int) -> EventPoints:
    """
    Draw events at random, each at most once while there are enough.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), at least one.
    width, height : int
        Size of the sensor in pixels.
    n_points : int
        Points, at least 1. Of fewer events each is taken equally often, but for one.
    seed : int
        Seed of the draw, >= 0.

    Returns
    -------
    EventPoints
        In the order of the events.

    Raises
    ------
    ArgumentError
        The array is empty or of another type, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 50, 100], x=[0, 1, 2], y=[0] * 3, p=[1, 0, 1])
    >>> drawn = sample_points(events, width=3, height=1, n_points=2, seed=1)
    >>> drawn.index.tolist(), drawn.points[0].tolist()
    ([0, 1], [-1.0, 0.0, 0.0, 1.0])
    """
    check_sensor(events, width, height)
    check_whole("n_points", n_points)
    check_seed("seed", seed)
    if not len(events):
        raise ArgumentError("points need at least one event, got none; take a longer window")
    rng = np.random.default_rng(seed)
    n_whole, n_rest = divmod(n_points, len(events))
    drawn = rng.permutation(len(events))[:n_rest]
    index = np.sort(np.concatenate([np.tile(np.arange(len(events)), n_whole), drawn]))
    return EventPoints(to_points(events, index, width, height), index)


def to_points(
    events: EventArray, index: npt.NDArray[np.int64], width: int, height: int
) -> npt.NDArray[np.float32]:
    """
    Scale some events.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), at least one.
    index : ndarray
        int64, shape (n_points,), the events to scale.
    width, height : int
        Size of the sensor in pixels.

    Returns
    -------
    ndarray
        As `EventPoints.points`.
    """
    chosen = events[index]
    first, last = int(events["t"].min()), int(events["t"].max())
    points = np.empty((len(index), 4), np.float32)
    points[:, 0] = 2.0 * chosen["x"] / (width - 1) - 1.0 if width > 1 else 0.0
    points[:, 1] = 2.0 * chosen["y"] / (height - 1) - 1.0 if height > 1 else 0.0
    points[:, 2] = (chosen["t"] - first) / max(last - first, 1)
    points[:, 3] = np.where(chosen["p"], 1.0, -1.0)
    return points
