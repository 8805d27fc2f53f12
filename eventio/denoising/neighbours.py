"""Filters that ask what happened near an event in space and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventio.arguments import check_whole
from eventio.denoising import _kernels as kernels
from eventio.denoising.filters import Filter, Flags, Marker, Times, times_with_margin
from eventio.memory import make_room
from eventio.recording import PLACED_DTYPE, EventArray, Recording

FAR_AWAY = -(1 << 20)
LONGEST_WINDOW = 1 << 16
MOST_MOVES = 64


@dataclass(frozen=True, slots=True)
class SpatiotemporalCorrelation(Filter):
    """
    Keep the events that several pixels nearby support (STCF).

    An event at time t stays if at least n_supporting of the 8 pixels around it had their latest event, of either
    polarity, at a time s with t - s < window_us. The pixel itself does not count, nor do pixels outside the sensor;
    events that are dropped support others all the same. Where time runs backwards, a latest event with s > t
    supports, too.

    Attributes
    ----------
    window_us : int
        How long an event supports its neighbours, in microseconds, at least 1.
    n_supporting : int
        How many neighbours it takes, 1 to 8; with 1 this is `BackgroundActivity`.

    Notes
    -----
    Source: Guo, Delbruck, "Low cost and latency event camera background activity denoising", IEEE TPAMI 45(1), 2023.
    We differ: the first event of a pixel has no privilege, and the sensor's edge is filtered like the rest.
    """

    window_us: int
    n_supporting: int = 2

    def __post_init__(self) -> None:
        check_whole("window_us", self.window_us, unit=" us")
        check_whole("n_supporting", self.n_supporting, most=8)

    def begin(self, width: int, height: int) -> Marker:
        latest = times_with_margin(width, height)

        def mark(events: EventArray) -> Flags:
            is_kept = np.empty(len(events), np.bool_)
            kernels.mark_supported_by(events, self.window_us, self.n_supporting, width, latest, is_kept)
            return is_kept

        return mark

    def keep(self, recording: Recording) -> EventArray:
        events = recording.events
        kept = make_room(len(events) + 1)
        latest = times_with_margin(recording.width, recording.height)
        n_done, n_kept = self._keep_fast(recording, latest, kept)
        n_kept += kernels.keep_supported_by(
            events[n_done:], self.window_us, self.n_supporting, recording.width, latest, kept[n_kept:]
        )
        return kept[:n_kept]

    def _keep_fast(self, recording: Recording, latest: Times, kept: EventArray) -> tuple[int, int]:
        """
        Keep events with a map of 32 bits, which stays in the processor's cache, as long as that is exact.

        Times count from a moment that moves on every half an hour: what is forgotten then is too old to support an
        event within the map's range. latest becomes the map of all times so far; returns how many events were
        looked at, and how many are kept.
        """
        events, placed, room = recording.events, recording.events.view(PLACED_DTYPE), kept.view(PLACED_DTYPE)
        rule = (self.window_us, self.n_supporting, recording.width)
        n_done = n_kept = 0
        moment_us = -kernels.FAR_US
        for _ in range(MOST_MOVES if self.window_us < kernels.LONGEST_SHORT else 0):
            start_us = int(events["t"][n_done]) if n_done < len(events) else kernels.FAR_US
            if not moment_us < start_us < kernels.FAR_US:
                break
            moment_us = start_us
            oldest_us = start_us + kernels.NEVER_SHORT
            short = (np.maximum(latest, oldest_us) - oldest_us).astype(np.uint32)
            n_more, n_new = kernels.keep_while_short(placed[n_done:], start_us, rule, short, room[n_kept:])
            is_known = short > 0
            latest[is_known] = short[is_known].astype(np.int64) + oldest_us
            n_done, n_kept = n_done + n_more, n_kept + n_new
        return n_done, n_kept


@dataclass(frozen=True, slots=True)
class BackgroundActivity(Filter):
    """
    Keep the events that one pixel nearby supports (BAF): `SpatiotemporalCorrelation` with n_supporting = 1.

    Attributes
    ----------
    window_us : int
        How long an event supports its neighbours, in microseconds, at least 1.

    Notes
    -----
    Source: Delbruck, "Frame-free dynamic digital vision", Symp. Secure-Life Electronics, 2008; jAER's
    BackgroundActivityFilter with its default settings but for these: it lets the first event of each pixel pass, and
    ignores the last row and column of the sensor.
    """

    window_us: int

    def __post_init__(self) -> None:
        check_whole("window_us", self.window_us, unit=" us")

    def begin(self, width: int, height: int) -> Marker:
        return SpatiotemporalCorrelation(self.window_us, 1).begin(width, height)

    def keep(self, recording: Recording) -> EventArray:
        return SpatiotemporalCorrelation(self.window_us, 1).keep(recording)


@dataclass(frozen=True, slots=True)
class RowsAndColumns(Filter):
    """
    Keep the events supported by the latest event of a row or a column nearby (the filter of order N).

    As `BackgroundActivity`, but only the latest event of each row and of each column is remembered: an event at (x,
    y) stays if one of those of rows y - 1 to y + 1 and columns x - 1 to x + 1 lies among the 8 pixels around it and
    less than window_us before. It needs memory for width + height times instead of width * height, and forgets
    more.

    Attributes
    ----------
    window_us : int
        How long an event supports its neighbours, in microseconds, at least 1.

    Notes
    -----
    Source: Khodamoradi, Kastner, "O(N)-space spatiotemporal filter for reducing noise in neuromorphic vision
    sensors", IEEE Trans. Emerging Topics in Computing 9(1), 2021. We differ: the sensor's edge is filtered like the
    rest.
    """

    window_us: int

    def __post_init__(self) -> None:
        check_whole("window_us", self.window_us, unit=" us")

    def begin(self, width: int, height: int) -> Marker:
        rows = np.full(height + 2, kernels.NEVER_US)
        columns = np.full(width + 2, kernels.NEVER_US)
        places = np.full(len(rows) + len(columns), FAR_AWAY)

        def mark(events: EventArray) -> Flags:
            is_kept = np.empty(len(events), np.bool_)
            kernels.mark_in_line(events, self.window_us, rows, columns, places, is_kept)
            return is_kept

        return mark


@dataclass(frozen=True, slots=True)
class DoubleWindow(Filter):
    """
    Keep the events near others in one of two short queues (DWF).

    One queue holds the places of the last n_events events that stayed, the other those of the last n_events that
    were dropped. An event stays if at least n_supporting places of both queues together are at most `distance`
    pixels away, counted along rows and columns; then it enters one of the queues. Times do not matter, and neither
    does the sensor's size: the memory is two short queues.

    Attributes
    ----------
    n_events : int
        Length of each queue, 1 to 65536.
    distance : int
        How far a supporting event may be, in pixels (abs(dx) + abs(dy)), at least 0.
    n_supporting : int
        How many it takes, at least 1.

    Notes
    -----
    Source: Guo, Delbruck (see `SpatiotemporalCorrelation`). We differ: the queues are empty at first, and an empty
    place supports nothing.
    """

    n_events: int = 18
    distance: int = 9
    n_supporting: int = 1

    def __post_init__(self) -> None:
        check_whole("n_events", self.n_events, most=LONGEST_WINDOW)
        check_whole("distance", self.distance, least=0, most=-FAR_AWAY // 2)
        check_whole("n_supporting", self.n_supporting)

    def begin(self, width: int, height: int) -> Marker:
        windows = np.full((2, self.n_events, 2), FAR_AWAY)

        def mark(events: EventArray) -> Flags:
            is_kept = np.empty(len(events), np.bool_)
            kernels.mark_in_windows(events, self.distance, self.n_supporting, windows, is_kept)
            n_kept = int(is_kept.sum())
            for queue, n_entered in enumerate((len(events) - n_kept, n_kept)):  # the oldest place goes first
                windows[queue] = np.roll(windows[queue], -(n_entered % self.n_events), axis=0)
            return is_kept

        return mark
