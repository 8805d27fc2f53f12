"""Samples of tonic's data sets as recordings; tonic itself is never imported here, so its licence binds nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eventio.errors import ArgumentError
from eventio.recording import Metadata, Recording, make_events


def recording_from_tonic(events: Any, sensor_size: Sequence[int], *, unit_us: float = 1.0) -> Recording:
    """
    Turn the events of one of tonic's samples into a recording.

    Parameters
    ----------
    events : ndarray
        Structured, with fields t, x and p, and y where the sensor has rows, as `dataset[k][0]` gives them.
    sensor_size : sequence of int
        (width, height, polarities), as `dataset.sensor_size`.
    unit_us : float
        Unit of the times in microseconds; tonic's data sets use 1.

    Returns
    -------
    Recording
        The same events; polarity 1 is ON.

    Raises
    ------
    ArgumentError
        A field is missing, or a value does not fit.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> events = np.array([(5, 1, 0, 1)], dtype=[("t", int), ("x", int), ("y", int), ("p", int)])
    >>> recording_from_tonic(events, (4, 3, 2)).t.tolist()
    [5]
    """
    names = getattr(getattr(events, "dtype", None), "names", None) or ()
    missing = [name for name in "txp" if name not in names]
    if missing:
        raise ArgumentError(f"events must have the fields t, x, y and p, got {names or type(events)}")
    y = events["y"] if "y" in names else np.zeros(len(events), np.int64)
    times = events["t"]
    if unit_us != 1.0:
        times = np.rint(np.asarray(times, np.float64) * unit_us)
    width, height = int(sensor_size[0]), int(sensor_size[1])
    made = make_events(t=times, x=events["x"], y=y, p=np.asarray(events["p"]) > 0)
    return Recording(made, width=width, height=max(height, 1), metadata=Metadata(format="tonic"))
