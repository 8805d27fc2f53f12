"""What a recording is like, summed up chunk by chunk in memory that does not grow: rates, busy pixels, oddities."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from eventio import _kernels_statistics as kernels
from eventio.arguments import check_events
from eventio.denoising.pixels import find_hot_counts
from eventio.recording import EVENT_DTYPE, EventArray, check_inside, check_size

N_BINS = 64
HOT_DEVIATIONS = 10.0
LONELY = 5.0
LEAST_EVENTS = 1000  # of fewer, nothing is called odd
CLUMPED_EVENTS = 100.0
LONG_GAP_SHARE = 0.1
UNUSED_SHARE = 0.5


class Statistics:
    """
    Sums of the events seen so far.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.

    Examples
    --------
    >>> import eventio
    >>> statistics = Statistics(width=4, height=4)
    >>> statistics.add(eventio.make_events(t=[0, 10, 10], x=[1, 2, 2], y=[0] * 3, p=[1, 0, 0]))
    >>> statistics.n_events, statistics.n_on, statistics.n_duplicates
    (3, 1, 1)
    """

    def __init__(self, *, width: int, height: int) -> None:
        check_size(width, height)
        self.width, self.height = width, height
        self._figures = np.zeros(kernels.N_FIGURES, np.int64)
        self._figures[kernels.BIN_US] = 1
        self._bins = np.zeros(N_BINS, np.int64)
        self._last = np.zeros(1, EVENT_DTYPE)
        self._counts = np.zeros((2, height, width), np.uint32)

    def add(self, events: EventArray) -> None:
        """
        Look at the next events.

        Parameters
        ----------
        events : ndarray
            Of EVENT_DTYPE, shape (n_events,).

        Raises
        ------
        ArgumentError
            The array is of another type.
        OutOfSensorError
            An event lies outside the sensor.
        """
        check_events(events)
        check_inside(
            events, width=self.width, height=self.height, source="events", first_number=self.n_events
        )
        size = (self.width, self.height)
        kernels.sum_up(events, size, self._last, self._figures, self._bins, self._counts.reshape(-1))

    @property
    def n_events(self) -> int:
        """How many events there were."""
        return int(self._figures[kernels.N_EVENTS])

    @property
    def n_on(self) -> int:
        """How many of them were ON."""
        return int(self._counts[1].sum(dtype=np.int64))

    @property
    def first_us(self) -> int:
        """Time of the first event in order."""
        return int(self._figures[kernels.FIRST_US])

    @property
    def last_us(self) -> int:
        """Time of the last event in order."""
        return int(self._figures[kernels.LAST_US])

    @property
    def n_duplicates(self) -> int:
        """How many events equal the one before them in everything."""
        return int(self._figures[kernels.N_DUPLICATES])

    @property
    def longest_gap_us(self) -> tuple[int, int]:
        """The longest time without an event, and when it begins."""
        return int(self._figures[kernels.LONGEST_GAP_US]), int(self._figures[kernels.GAP_START_US])

    @property
    def rate_hz(self) -> float:
        """Events per second from the first to the last."""
        span_us = self.last_us - self.first_us
        return self.n_events / (span_us * 1e-6) if span_us > 0 else 0.0

    @property
    def events_over_time(self) -> tuple[int, npt.NDArray[np.int64]]:
        """
        How many events fell into equal bins of time: a bin's length in microseconds, and the counts.

        At most 64 bins, at least 32 of them up to the last event of a recording of 64 us and more; a bin lasts a
        power of two.
        """
        bin_us = int(self._figures[kernels.BIN_US])
        used = np.flatnonzero(self._bins)
        return bin_us, self._bins[: int(used[-1]) + 1 if len(used) else 0].copy()

    @property
    def counts(self) -> npt.NDArray[np.uint32]:
        """Events of each polarity (OFF, ON) and pixel: uint32, shape (2, height, width), a copy."""
        return self._counts.copy()

    def busiest_pixels(self, n: int = 5) -> list[tuple[int, int, int]]:
        """
        Give the pixels with the most events.

        Parameters
        ----------
        n : int
            How many at most.

        Returns
        -------
        list of (int, int, int)
            Column, row and number of events, most first; of equal ones the upper left first.
        """
        per_pixel = self._counts.sum(axis=0, dtype=np.int64).reshape(-1)
        order = np.argsort(-per_pixel, kind="stable")[:n]
        return [(int(k % self.width), int(k // self.width), int(per_pixel[k])) for k in order if per_pixel[k]]

    def n_hot_pixels(self, n_deviations: float = HOT_DEVIATIONS) -> int:
        """
        Count the pixels far above the mean and their neighbours.

        Parameters
        ----------
        n_deviations : float
            How many standard deviations of all pixels' numbers of events.

        Returns
        -------
        int
            How many exceed mean + n_deviations * standard deviation, and five times the mean of the pixels around
            them (edges of a scene are busy, too, but not alone).
        """
        per_pixel = self._counts.sum(axis=0, dtype=np.int64)
        return int(find_hot_counts(per_pixel, n_deviations=n_deviations, times_around=LONELY).sum())

    def find_oddities(self) -> tuple[str, ...]:
        """
        Say what is unusual, one sentence each; of fewer than 1,000 events nothing is.

        Returns
        -------
        tuple of str
            Duplicates, one polarity only, busy pixels, clumped times, long silence, an unused part of the sensor.
        """
        if self.n_events < LEAST_EVENTS:
            return ()
        found = []
        if self.n_duplicates:
            found.append(f"{self.n_duplicates:,} events repeat the one before them in everything")
        if self.n_on in (0, self.n_events):
            found.append(f"all events are {'ON' if self.n_on else 'OFF'}; the polarity may have been lost")
        n_hot = self.n_hot_pixels()
        if n_hot:
            x, y, n = self.busiest_pixels(1)[0]
            found.append(
                f"{n_hot} hot {'pixels' if n_hot > 1 else 'pixel'}, far above the mean and "
                f"{'their' if n_hot > 1 else 'its'} neighbours; the busiest pixel, ({x}, {y}), has "
                f"{n / self.n_events:.2%} of the events"
            )
        per_moment = self.n_events / max(int(self._figures[kernels.N_MOMENTS]), 1)
        if per_moment > CLUMPED_EVENTS:
            found.append(
                f"times are clumped: {per_moment:.0f} events share a microsecond on average, as in video turned "
                "into events"
            )
        gap_us, start_us = self.longest_gap_us
        span_us = self.last_us - self.first_us
        if gap_us > LONG_GAP_SHARE * span_us:
            found.append(f"no event for {gap_us / 1e6:.3g} s from {start_us:,} us on")
        is_used: npt.NDArray[np.bool_] = self._counts.sum(axis=0, dtype=np.int64) > 0
        n_columns, n_rows = int(is_used.any(axis=0).sum()), int(is_used.any(axis=1).sum())
        if n_columns * n_rows < UNUSED_SHARE * self.width * self.height:
            found.append(
                f"events touch {n_columns} of {self.width} columns and {n_rows} of {self.height} rows only"
            )
        return tuple(found)


def sparkline(counts: npt.ArrayLike) -> str:
    """
    Draw numbers as a line of blocks, the largest as a full one.

    Parameters
    ----------
    counts : array_like
        Numbers >= 0, shape (n,).

    Returns
    -------
    str
        A character for each: a blank for 0, else one of eight heights.

    Examples
    --------
    >>> sparkline([0, 1, 4, 8])
    ' ▁▄█'
    """
    values = np.asarray(counts, np.float64)
    largest = float(values.max()) if values.size else 0.0
    if largest <= 0:
        return " " * values.size
    return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * value / largest)] for value in values)
