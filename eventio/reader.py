"""An open recording: its events in chunks of bounded memory, from any place on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from eventio import _kernels
from eventio.companions import Companions
from eventio.errors import ArgumentError
from eventio.inspection import (
    Inspection,
    choose_size,
    finish,
    guarded_blocks,
    known_size,
    make_metadata,
)
from eventio.recording import EventArray, Metadata, check_inside, join_events, seal
from eventio.seeking import Index, Span
from eventio.source import CheckingSource, CompanionSource, Source

USUAL_CHUNK_EVENTS = 1 << 16


class Reader:
    """
    An open recording whose events come in chunks; made by `eventio.open`, used in a `with` statement.

    The chunks joined are the events of `eventio.read`, whatever their size. `metadata` and `warnings` are
    complete once the chunks are exhausted; a DamagedRecordingWarning is given then.

    Parameters
    ----------
    source : Source
        The file's own reader.
    format_name : str
        Name of the format.
    width, height : int or None
        Size of the sensor where the caller knows better than the file.
    """

    def __init__(self, source: Source, format_name: str, width: int | None, height: int | None) -> None:
        self._source = source
        self._inspection = Inspection()
        self._index = Index(source)
        self._blocks: Iterator[tuple[int, EventArray]] | None = None
        self.format = format_name
        self.path = source.path
        size = known_size(source, width, height)
        self.is_size_derived = size is None
        if size is None:
            scan = Inspection()
            for _, block in self._index.select(Span()):
                scan.add(block)
            size = choose_size(scan, source)
        self.width, self.height = size
        if isinstance(source, CheckingSource):
            source.expect_size(*size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; chunks end early."""
        if self._blocks is not None and hasattr(self._blocks, "close"):
            self._blocks.close()

    @property
    def metadata(self) -> Metadata:
        """What was noticed so far; complete once the chunks are exhausted."""
        return make_metadata(
            self._source, self.format, self._inspection, is_size_derived=self.is_size_derived
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each kind of damage found so far; complete once the chunks are exhausted."""
        return self.metadata.warnings

    def chunks(
        self,
        *,
        n_events: int | None = None,
        duration_us: int | None = None,
        start_event: int = 0,
        stop_event: int | None = None,
        start_us: int | None = None,
        stop_us: int | None = None,
    ) -> Iterator[EventArray]:
        """
        Yield the events in file order, all or a part of them; the memory used does not depend on the file's size.

        A part goes from the first event that is at or past both `start_event` and `start_us` to the one before
        the next that reaches `stop_event` or `stop_us`; times that run backwards in between stand as they are.
        While events pass, places to go on from are kept, so that a second jump skips most of what lies before.

        Parameters
        ----------
        n_events : int, optional
            Events in a chunk, at least 1; the last chunk may be shorter. 65536 when duration_us is not given.
        duration_us : int, optional
            Cut by time instead: chunks of windows of this length in microseconds that follow each other without
            gaps, the first one beginning at start_us, or else at the first event. Windows without events are left
            out. A window ends before the first event at or past its end.
        start_event, stop_event : int, optional
            Numbers of events, counted from 0 in file order: the first to give, and the first to give no more.
        start_us, stop_us : int, optional
            Times in microseconds, likewise.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), read-only.

        Raises
        ------
        ArgumentError
            n_events or duration_us is under 1, both are given, or start_event is negative.
        OutOfSensorError
            An event lies outside the sensor.
        FormatError
            The file holds no event.

        Examples
        --------
        >>> import tempfile
        >>> import eventio
        >>> events = eventio.make_events(t=[0, 4, 9, 30], x=[1] * 4, y=[2] * 4, p=[True] * 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     eventio.write(f"{folder}/four.bin", eventio.Recording(events, width=34, height=34))
        ...     with eventio.open(f"{folder}/four.bin") as reader:
        ...         print([chunk["t"].tolist() for chunk in reader.chunks(duration_us=10)])
        ...         print([chunk["t"].tolist() for chunk in reader.chunks(start_us=3, stop_us=30)])
        [[0, 4, 9], [30]]
        [[4, 9]]
        """
        span = Span(start_event, stop_event, start_us, stop_us)
        if n_events is not None and duration_us is not None:
            raise ArgumentError(
                f"give n_events or duration_us, not both, got {n_events} and {duration_us}; chunks are cut by one"
            )
        for name, number in (("n_events", n_events), ("duration_us", duration_us)):
            if number is not None and number < 1:
                raise ArgumentError(f"{name} must be at least 1, got {number}")
        self._inspection = Inspection()
        self._blocks = self._index.select(span)
        blocks = self._checked_blocks(self._blocks)
        if duration_us is not None:
            yield from cut_by_time(blocks, duration_us, start_us)
        else:
            yield from cut_by_count(blocks, n_events or USUAL_CHUNK_EVENTS)
        finish(self.metadata, self._inspection, may_be_empty=not span.is_everything)

    def read_companions(self) -> Companions:
        """
        Read the file's frames, inertial measurements, triggers and other streams, in a pass of their own.

        Events are passed over and not kept; companions are, so that the memory used grows with them. Chunks that
        were begun before must not be taken further.

        Returns
        -------
        Companions
            As `eventio.read` gives them.
        """
        if not isinstance(self._source, CompanionSource):
            return Companions()
        self._source.keeps_companions = True
        try:
            for _ in guarded_blocks(self._source):
                pass
            return self._source.findings.companions.finish()
        finally:
            self._source.keeps_companions = False

    def _checked_blocks(self, blocks: Iterator[tuple[int, EventArray]]) -> Iterator[EventArray]:
        checking = self._source if isinstance(self._source, CheckingSource) else None
        for first_number, block in blocks:
            is_clean = checking is not None and checking.is_clean
            if not is_clean:
                check_inside(
                    block,
                    width=self.width,
                    height=self.height,
                    source=str(self.path),
                    first_number=first_number,
                )
            self._inspection.add(block, is_clean=is_clean)
            yield block


def cut_by_count(blocks: Iterator[EventArray], n_events: int) -> Iterator[EventArray]:
    """
    Cut a stream of events into chunks of equal number.

    Parameters
    ----------
    blocks : iterator of ndarray
        Of EVENT_DTYPE, shape (n,) each, good until the next.
    n_events : int
        Events in a chunk.

    Yields
    ------
    ndarray
        Of EVENT_DTYPE, shape (n_events,), read-only; the last may be shorter.
    """
    pending: list[EventArray] = []
    n_pending = 0
    for block in blocks:
        pending.append(join_events([block]))
        n_pending += len(block)
        if n_pending < n_events:
            continue
        joined = pending[0] if len(pending) == 1 else join_events(pending)
        n_whole = n_pending - n_pending % n_events
        for start in range(0, n_whole, n_events):
            yield seal(joined[start : start + n_events])
        pending, n_pending = [joined[n_whole:]], n_pending - n_whole
    if n_pending:
        yield seal(join_events(pending))


def cut_by_time(blocks: Iterator[EventArray], duration_us: int, start_us: int | None) -> Iterator[EventArray]:
    """
    Cut a stream of events into chunks of windows of equal length.

    Parameters
    ----------
    blocks : iterator of ndarray
        Of EVENT_DTYPE, shape (n,) each, n > 0, good until the next.
    duration_us : int
        Length of a window in microseconds.
    start_us : int or None
        Start of the first window; None: the time of the first event.

    Yields
    ------
    ndarray
        Of EVENT_DTYPE, shape (n_events,), n_events > 0, read-only.
    """
    clock: WindowClock | None = None
    pending: list[EventArray] = []
    for block in blocks:
        first_t = int(block["t"][0])
        clock = clock or WindowClock(duration_us, first_t if start_us is None else start_us, first_t)
        rest = block
        while (stop := int(_kernels.find_time(rest, clock.stop_us))) >= 0:
            pending.append(join_events([rest[:stop]]))
            joined = join_events(pending)
            if len(joined):
                yield seal(joined)
            pending, rest = [], rest[stop:]
            clock.move_to(int(rest["t"][0]))
        pending.append(join_events([rest]))
    joined = join_events(pending)
    if len(joined):
        yield seal(joined)


@dataclass(slots=True)
class WindowClock:
    """Which window of equal ones a stream is in: they begin at origin_us, and the present one stops at stop_us."""

    duration_us: int
    origin_us: int
    stop_us: int

    def __post_init__(self) -> None:
        self.move_to(self.stop_us)

    def move_to(self, t_us: int) -> None:
        """
        Go to the window that holds a time.

        Parameters
        ----------
        t_us : int
            The time in microseconds.
        """
        self.stop_us = self.origin_us + ((t_us - self.origin_us) // self.duration_us + 1) * self.duration_us
