"""Parts of a recording, and places in its file to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eventio import _kernels
from eventio.errors import ArgumentError
from eventio.inspection import Inspection, guarded_blocks
from eventio.recording import EventArray
from eventio.source import CheckingSource, SeekableSource, Source

PLACE_EVENTS = 1 << 20
"""About how many events lie between two places that are kept."""


@dataclass(frozen=True, slots=True)
class Span:
    """
    A part of a recording.

    Attributes
    ----------
    start_event, stop_event : int, int or None
        Numbers of events: the first, and the first no more of it; None: to the end.
    start_us, stop_us : int or None
        Times in microseconds, likewise; the later start and the earlier stop count.

    Raises
    ------
    ArgumentError
        start_event is negative.
    """

    start_event: int = 0
    stop_event: int | None = None
    start_us: int | None = None
    stop_us: int | None = None

    def __post_init__(self) -> None:
        if self.start_event < 0:
            raise ArgumentError(
                f"start_event counts from 0 at the start of the file, got {self.start_event}; give 0 or more"
            )

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Span()


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two blocks: how many events lie before it, the latest of their times, and how to go there."""

    n_events: int
    max_t: int
    checkpoint: Any


class Index:
    """
    Places in one file, kept as its events pass.

    Parameters
    ----------
    source : Source
        The file's own reader; places are kept where it is a SeekableSource.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seekable = source if isinstance(source, SeekableSource) else None
        self._checking = source if isinstance(source, CheckingSource) else None
        self._places: list[Place] = []

    def select(self, span: Span) -> Iterator[tuple[int, EventArray]]:
        """
        Yield the events of a part of the recording.

        Parameters
        ----------
        span : Span
            The part.

        Yields
        ------
        tuple of (int, ndarray)
            The number of the block's first event, and events of EVENT_DTYPE, shape (n,), n > 0, good until the
            next.
        """
        place = self._find(span)
        passed = Inspection()
        n_before = 0
        if place is not None:
            passed.n_events = n_before = place.n_events
            passed.max_t = passed.last_t = place.max_t
        has_begun = span.start_us is None
        for block in guarded_blocks(self._source, checkpoint=place and place.checkpoint):
            first_number, n_before = n_before, n_before + len(block)
            self._note(passed, block)
            start = max(0, span.start_event - first_number)
            stop = len(block) if span.stop_event is None else span.stop_event - first_number
            part = block[start : max(stop, 0)]
            if not has_begun:
                assert span.start_us is not None
                skipped = int(_kernels.find_time(part, span.start_us))
                has_begun = skipped >= 0
                part = part[skipped if has_begun else len(part) :]
                start += max(skipped, 0)
            end = -1 if span.stop_us is None else int(_kernels.find_time(part, span.stop_us))
            if end >= 0:
                part = part[:end]
            if len(part):
                yield first_number + start, part
            if end >= 0 or (stop <= len(block) and span.stop_event is not None):
                return

    def _find(self, span: Span) -> Place | None:
        """Give the last place before which no event is wanted; None: the start of the file."""
        for place in reversed(self._places):
            is_before_time = span.start_us is not None and place.max_t < span.start_us
            if place.n_events <= span.start_event or is_before_time:
                return place
        return None

    def _note(self, passed: Inspection, block: EventArray) -> None:
        """Take note of a block just handed over, and keep the place behind it when the last one is far."""
        if self._seekable is None:
            return
        passed.add(block, is_clean=self._checking is not None and self._checking.is_clean)
        last = self._places[-1].n_events if self._places else 0
        if passed.n_events >= last + PLACE_EVENTS:
            self._places.append(Place(passed.n_events, passed.max_t, self._seekable.checkpoint()))
