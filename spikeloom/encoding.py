"""From the events of one window to the input of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import eventio
import neuro
from spikeloom.errors import UserError
from spikeloom.recordings import Window


@dataclass(frozen=True)
class Encoding:
    """How a window of events becomes frames of event counts.

    Frame k of a window that begins at time s counts the events with
    ``s + k * bin_us <= t < s + (k + 1) * bin_us`` per polarity (channel 0 OFF, 1 ON) and pixel.

    Attributes
    ----------
    width, height : int
        Size of the sensor in pixels.
    n_frames : int
        Frames per window.
    bin_us : int
        Length of a frame in microseconds.
    filter_window_us : int
        Support time of the background-activity filter in microseconds; 0 leaves every event in.

    Examples
    --------
    >>> encoding = Encoding(width=34, height=34, n_frames=32, bin_us=10_000, filter_window_us=0)
    >>> encoding.window_us, encoding.shape
    (320000, (2, 34, 34))
    """

    width: int
    height: int
    n_frames: int
    bin_us: int
    filter_window_us: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "height", "n_frames", "bin_us"):
            if getattr(self, name) < 1:
                raise UserError(f"encoding: {name} must be >= 1, got {getattr(self, name)}")
        if self.filter_window_us < 0:
            raise UserError(f"encoding: filter_window_us must be >= 0 us, got {self.filter_window_us}")

    @property
    def window_us(self) -> int:
        """Length of a window in microseconds."""
        return self.n_frames * self.bin_us

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a frame: (polarity, row, column)."""
        return (2, self.height, self.width)

    def spikes(self, window: Window) -> neuro.Spikes:
        """Count the events of a window, filtered when the encoding says so.

        Parameters
        ----------
        window : Window
            A window of length `window_us`.

        Returns
        -------
        neuro.Spikes
            One entry per frame, polarity and pixel with at least one event; its value is the count.
        """
        binned = self._binned(window)
        return neuro.Spikes(
            step=binned.step,
            index=binned.index,
            value=binned.count,
            n_steps=self.n_frames,
            shape=self.shape,
        )

    def frames(self, window: Window) -> NDArray[np.uint16]:
        """Count the events of a window as dense frames.

        Parameters
        ----------
        window : Window
            A window of length `window_us`.

        Returns
        -------
        numpy.ndarray
            uint16, shape (n_frames, 2, height, width): events per frame, polarity and pixel.

        Raises
        ------
        UserError
            When a pixel sends more than 65535 events within a frame.
        """
        binned = self._binned(window)
        if binned.count.size and binned.count.max() > np.iinfo(np.uint16).max:
            raise UserError(
                f"a pixel sends {int(binned.count.max())} events within {self.bin_us} us, more than 65535; "
                "filter the recording or choose shorter frames"
            )
        dense = np.zeros((self.n_frames, int(np.prod(self.shape))), np.uint16)
        dense[binned.step, binned.index] = binned.count.astype(np.uint16)
        return dense.reshape(self.n_frames, *self.shape)

    def _binned(self, window: Window) -> eventio.BinnedEvents:
        events = window.events
        if self.filter_window_us:
            recording = eventio.Recording(events, width=self.width, height=self.height)
            events = eventio.filter_background_activity(recording, window_us=self.filter_window_us).events
        return eventio.bin_events(
            events,
            width=self.width,
            height=self.height,
            bin_us=self.bin_us,
            n_frames=self.n_frames,
            start_us=window.start_us,
        )
