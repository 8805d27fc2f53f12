"""What a filter is, and the two ways to run one: events left (`denoise`) or a mark per event (`Filter.mark`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.denoising import _kernels as kernels
from eventio.errors import ArgumentError
from eventio.memory import make_room
from eventio.recording import EventArray, Recording, make_checked

Flags = npt.NDArray[np.bool_]
Marker = Callable[[EventArray], Flags]
"""Takes the next events of a stream and says of each whether it stays; remembers those before."""
Times = npt.NDArray[np.int64]


class Filter(ABC):
    """Decides event by event what stays, from that event and those before it."""

    @abstractmethod
    def begin(self, width: int, height: int) -> Marker:
        """
        Begin with a stream of events that comes chunk by chunk.

        Parameters
        ----------
        width, height : int
            Size of the sensor in pixels; every event must lie inside.

        Returns
        -------
        callable
            Takes the next events, gives a bool for each. However the stream is cut, all answers joined are those of
            `mark` on the whole.
        """

    def mark(self, recording: Recording) -> Flags:
        """
        Say of each event whether it stays.

        Parameters
        ----------
        recording : Recording
            The events, looked at in their order.

        Returns
        -------
        ndarray
            bool, shape (n_events,).
        """
        return self.begin(recording.width, recording.height)(recording.events)

    def keep(self, recording: Recording) -> EventArray:
        """
        Copy the events that stay.

        Parameters
        ----------
        recording : Recording
            The events, looked at in their order.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, in their order.
        """
        kept = make_room(len(recording) + 1)
        n_kept = kernels.copy_marked(recording.events, self.mark(recording), kept)
        return kept[:n_kept]


@dataclass(frozen=True, eq=False, slots=True)
class Denoised:
    """
    A recording after filters.

    Attributes
    ----------
    recording : Recording
        The events that stayed, in their order, with the metadata of the original.
    n_removed : tuple of int
        How many events each filter took away.
    """

    recording: Recording
    n_removed: tuple[int, ...]


def denoise(recording: Recording, *filters: Filter) -> Denoised:
    """
    Run a recording through filters, one after the other.

    Parameters
    ----------
    recording : Recording
        The events, looked at in their order.
    *filters : Filter
        At least one.

    Returns
    -------
    Denoised
        What stayed, and how much each filter removed.

    Raises
    ------
    ArgumentError
        There is no filter, or something else is given for one.

    Examples
    --------
    >>> import eventio
    >>> from eventio import denoising
    >>> events = eventio.make_events(t=[0, 5, 9, 50], x=[0, 1, 9, 0], y=[0, 0, 9, 0], p=[1] * 4)
    >>> recording = eventio.Recording(events, width=10, height=10)
    >>> cleaned = denoise(recording, denoising.BackgroundActivity(window_us=10))
    >>> cleaned.recording.t.tolist(), cleaned.n_removed
    ([5], (3,))
    """
    if not filters or not all(isinstance(each, Filter) for each in filters):
        raise ArgumentError(
            f"give filters of eventio.denoising, such as BackgroundActivity(window_us=2000), got {filters!r}"
        )
    n_removed = []
    for each in filters:
        kept = each.keep(recording)
        n_removed.append(len(recording) - len(kept))
        recording = make_checked(
            kept,
            width=recording.width,
            height=recording.height,
            metadata=recording.metadata,
            companions=recording.companions,
        )
    return Denoised(recording, tuple(n_removed))


def times_with_margin(width: int, height: int, margin: int = 1) -> npt.NDArray[np.int64]:
    """
    Make a flat map of times.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.
    margin : int
        Pixels added on each side.

    Returns
    -------
    ndarray
        int64, NEVER_US everywhere.
    """
    return np.full((height + 2 * margin) * (width + 2 * margin), kernels.NEVER_US)
