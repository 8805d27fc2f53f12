"""Cameras at this machine, through the package neuromorphic-drivers."""

from __future__ import annotations

from typing import Any

import numpy as np

from eventio.errors import FileAccessError, MissingPackageError
from eventio.live.stream import POLL_S, LiveStream
from eventio.recording import EVENT_DTYPE, EventArray


class CameraFeed:
    """
    Events of one camera.

    Parameters
    ----------
    device : Any
        As `neuromorphic_drivers.open` gives it, with a timeout.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self.n_lost = 0
        self.n_malformed_bytes = 0

    def receive(self, timeout_s: float) -> EventArray | None:
        """
        Give the events of the next packet.

        Parameters
        ----------
        timeout_s : float
            Not used: the device was opened with its own.

        Returns
        -------
        ndarray or None
            Of EVENT_DTYPE; empty when none came in time; None when the camera ended.
        """
        del timeout_s
        try:
            status, packet = next(self._device)
        except StopIteration:
            return None
        except Exception as error:
            raise FileAccessError(f"the camera failed ({error}); unplug it and plug it in again") from error
        ring = getattr(status, "ring", None)
        self.n_lost = int(getattr(ring, "dropped_packets", self.n_lost))
        found = None if packet is None else packet.polarity_events
        if found is None:
            return np.empty(0, EVENT_DTYPE)
        events = np.empty(len(found), EVENT_DTYPE)
        events["t"], events["x"], events["y"], events["p"] = found["t"], found["x"], found["y"], found["on"]
        return events

    def close(self) -> None:
        """Give the camera back."""
        self._device.close()


def open_camera(
    *, serial: str | None = None, buffer_events: int = 1 << 22, keep_late: bool = False
) -> LiveStream:
    """
    Open a camera.

    Parameters
    ----------
    serial : str, optional
        Its serial number; the first camera found when not given.
    buffer_events : int
        How many events may wait before what comes is dropped and counted.
    keep_late : bool
        Whether events earlier than one before them are handed over.

    Returns
    -------
    LiveStream
        To be used in a `with` statement.

    Raises
    ------
    MissingPackageError
        The package neuromorphic-drivers is not installed.
    FileAccessError
        There is no such camera, or it cannot be opened.
    """
    try:
        import neuromorphic_drivers
    except ImportError as error:
        raise MissingPackageError(
            "live cameras need the neuromorphic-drivers package: pip install neuromorphic-drivers"
        ) from error
    try:
        device = neuromorphic_drivers.open(serial=serial, iterator_timeout=POLL_S)
        properties = device.properties()
    except Exception as error:
        which = "no camera" if serial is None else f"camera {serial!r}"
        raise FileAccessError(
            f"{which} can be opened ({error}); is it plugged in, and may you use it (udev rules)?"
        ) from error
    return LiveStream(
        CameraFeed(device),
        width=int(properties.width),
        height=int(properties.height),
        buffer_events=buffer_events,
        keep_late=keep_late,
    )
