"""Filters that look at one pixel alone: too fast, too regular, too often."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_number, check_whole
from eventio.denoising import _kernels as kernels
from eventio.denoising.filters import Filter, Flags, Marker, times_with_margin
from eventio.errors import ArgumentError
from eventio.recording import EventArray, Recording

US_PER_S = 1e6


@dataclass(frozen=True, slots=True)
class Refractory(Filter):
    """
    Keep an event if its pixel rested long enough.

    An event at time t is dropped if the last event of its pixel that stayed happened at a time s with s <= t and
    t - s < period_us. An event earlier than that one stays: time ran backwards.

    Attributes
    ----------
    period_us : int
        How long a pixel rests, in microseconds, at least 1.
    """

    period_us: int

    def __post_init__(self) -> None:
        check_whole("period_us", self.period_us, unit=" us")

    def begin(self, width: int, height: int) -> Marker:
        latest = times_with_margin(width, height, margin=0)

        def mark(events: EventArray) -> Flags:
            is_kept = np.empty(len(events), np.bool_)
            kernels.mark_rested(events, self.period_us, width, latest, is_kept)
            return is_kept

        return mark


@dataclass(frozen=True, slots=True)
class Flicker(Filter):
    """
    Drop the events of pixels that see a lamp flicker.

    A rise is an ON event whose pixel's event before was OFF. A pixel flickers as soon as n_periods intervals
    between its rises in a row lie within 1 / highest_hz to 1 / lowest_hz (rounded to whole microseconds, both
    included), until an interval does not, or until no rise comes for 1 / lowest_hz. Its events are dropped while it
    flickers.

    Attributes
    ----------
    lowest_hz, highest_hz : float
        The frequencies of the lamps: 100 or 120 Hz on most mains. 0 < lowest_hz <= highest_hz <= 500,000.
    n_periods : int
        How many intervals in a row it takes, 1 to 100.
    """

    lowest_hz: float = 90.0
    highest_hz: float = 130.0
    n_periods: int = 3

    def __post_init__(self) -> None:
        if not (0 < self.lowest_hz <= self.highest_hz <= US_PER_S / 2):
            raise ArgumentError(
                "flicker must have 0 < lowest_hz <= highest_hz <= 500,000, got "
                f"lowest_hz = {self.lowest_hz!r}, highest_hz = {self.highest_hz!r}"
            )
        check_whole("n_periods", self.n_periods, most=100)

    @property
    def periods_us(self) -> tuple[int, int]:
        """The shortest and the longest interval between rises, in whole microseconds."""
        longest = min(US_PER_S / self.lowest_hz, float(1 << 60))
        return round(US_PER_S / self.highest_hz), round(longest)

    def begin(self, width: int, height: int) -> Marker:
        rises = times_with_margin(width, height, margin=0)
        state = np.zeros((len(rises), 2), np.int8)

        def mark(events: EventArray) -> Flags:
            is_kept = np.empty(len(events), np.bool_)
            kernels.mark_steady(events, self.periods_us, self.n_periods, width, rises, state, is_kept)
            return is_kept

        return mark


@dataclass(frozen=True, eq=False, slots=True)
class HotPixels(Filter):
    """
    Drop all events of pixels that fire far more than the others.

    Which pixels these are is measured on the whole recording (`find_hot_pixels`): the only filter here that looks
    ahead. Where that is no way, as in a stream, give `is_hot`, measured before.

    Attributes
    ----------
    n_deviations : float
        How many standard deviations above the mean count a pixel may be, >= 0.
    times_around : float
        How many times the mean count of the 8 pixels around it a pixel may have, >= 0: an edge that stands still
        makes its pixels busy, but not one alone. 0 asks for deviations only.
    is_hot : ndarray or None
        bool, shape (height, width): pixels known to be hot, in place of a measurement.
    """

    n_deviations: float = 5.0
    times_around: float = 5.0
    is_hot: npt.NDArray[np.bool_] | None = field(default=None)

    def __post_init__(self) -> None:
        check_number("n_deviations", self.n_deviations)
        check_number("times_around", self.times_around)
        if self.is_hot is not None and (self.is_hot.dtype != np.bool_ or self.is_hot.ndim != 2):
            raise ArgumentError(
                f"is_hot must be bool, shape (height, width), got {self.is_hot.dtype}, shape {self.is_hot.shape}"
            )

    def begin(self, width: int, height: int) -> Marker:
        is_hot = self.is_hot
        if is_hot is None:
            raise ArgumentError(
                "hot pixels of a stream must be known before: measure them with find_hot_pixels and give is_hot"
            )
        if is_hot.shape != (height, width):
            raise ArgumentError(
                f"is_hot has shape {is_hot.shape}, but the sensor has {height} rows and {width} columns; "
                "measure it on this sensor"
            )
        flat = np.ascontiguousarray(is_hot).reshape(-1)

        def mark(events: EventArray) -> Flags:
            is_kept = np.empty(len(events), np.bool_)
            kernels.mark_elsewhere(events, flat, width, is_kept)
            return is_kept

        return mark

    def mark(self, recording: Recording) -> Flags:
        known = self if self.is_hot is not None else self.measured(count_by_pixel(recording))
        return known.begin(recording.width, recording.height)(recording.events)

    def measured(self, counts: npt.NDArray[np.int64]) -> HotPixels:
        """
        Give the filter for pixels measured before, which a stream needs.

        Parameters
        ----------
        counts : ndarray
            int64, shape (height, width), events of each pixel.

        Returns
        -------
        HotPixels
            With `is_hot`.
        """
        is_hot = find_hot_counts(counts, n_deviations=self.n_deviations, times_around=self.times_around)
        return replace(self, is_hot=is_hot)


def find_hot_pixels(
    recording: Recording, *, n_deviations: float = 5.0, times_around: float = 5.0
) -> npt.NDArray[np.bool_]:
    """
    Find the pixels with far more events than the others.

    A pixel is hot if its number of events exceeds mean + n_deviations * standard deviation of the numbers of all
    pixels, silent ones included, and times_around / 8 times the number of the 8 pixels around it together (pixels
    beyond the sensor have none).

    Parameters
    ----------
    recording : Recording
        Best one of a still scene, where no edge visits a pixel more often than others.
    n_deviations : float
        How many standard deviations, >= 0.
    times_around : float
        How many times the mean of the neighbours, >= 0.

    Returns
    -------
    ndarray
        bool, shape (height, width).

    Raises
    ------
    ArgumentError
        n_deviations or times_around is negative or no number.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=range(10), x=[1] * 8 + [0, 2], y=[0] * 10, p=[1] * 10)
    >>> find_hot_pixels(eventio.Recording(events, width=4, height=1), n_deviations=1).tolist()
    [[False, True, False, False]]
    """
    return find_hot_counts(count_by_pixel(recording), n_deviations=n_deviations, times_around=times_around)


def count_by_pixel(recording: Recording) -> npt.NDArray[np.int64]:
    """
    Count the events of each pixel.

    Parameters
    ----------
    recording : Recording
        The events.

    Returns
    -------
    ndarray
        int64, shape (height, width).
    """
    place = recording.y.astype(np.int64) * recording.width + recording.x
    counts = np.bincount(place, minlength=recording.width * recording.height)
    return counts.reshape(recording.height, recording.width)


def find_hot_counts(
    counts: npt.NDArray[np.int64], *, n_deviations: float, times_around: float
) -> npt.NDArray[np.bool_]:
    """
    Find the pixels with far more events than the others, from their numbers.

    Parameters
    ----------
    counts : ndarray
        int64, shape (height, width), events of each pixel.
    n_deviations, times_around : float
        As in `find_hot_pixels`.

    Returns
    -------
    ndarray
        bool, shape (height, width).

    Raises
    ------
    ArgumentError
        As `find_hot_pixels`.
    """
    check_number("n_deviations", n_deviations)
    check_number("times_around", times_around)
    n, total = counts.size, int(counts.sum())
    sum_of_squares = int(np.dot(counts.reshape(-1), counts.reshape(-1)))
    spread = math.sqrt(
        n * sum_of_squares - total * total
    )  # n times the standard deviation, exact up to the root
    height, width = counts.shape
    padded = np.pad(counts, 1)
    around = sum(padded[dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)) - counts
    is_hot: npt.NDArray[np.bool_] = (counts * n - total > n_deviations * spread) & (
        8 * counts > times_around * around
    )
    return is_hot
