"""Recordings as a sequence of windows, one window in memory at a time, damage refused unless allowed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import eventio
from eventio.datasets import Collection, Sample, read_sample
from spikeloom.errors import DamagedRecordingError, UserError

Events = NDArray[np.void]

#: Events decoded at a time: 13 bytes each, so less than 2 MB.
CHUNK_EVENTS = 1 << 17


@dataclass(frozen=True)
class DamagePolicy:
    """What to do with damaged recordings.

    Attributes
    ----------
    allow_damaged : bool
        Use the valid beginning of truncated recordings and of those whose time runs backwards.
    sort : bool
        Sort events by time (stable) instead of refusing time that runs backwards. The whole
        recording is then held in memory.
    """

    allow_damaged: bool = False
    sort: bool = False


REFUSE_DAMAGE = DamagePolicy()


@dataclass(frozen=True)
class Excerpt:
    """A recording of a collection: which file, which part of it, and the sensor that the collection states.

    Attributes
    ----------
    sample : eventio.datasets.Sample
        The file, and the part of its time or the entry that is meant.
    width, height : int or None
        Size of the sensor in pixels, where the collection knows it.
    """

    sample: Sample
    width: int | None = None
    height: int | None = None

    @property
    def is_whole_file(self) -> bool:
        """Whether the file can be read chunk by chunk as it is."""
        sample = self.sample
        parts = (sample.start_us, sample.stop_us, sample.entry)
        return all(part is None for part in parts) and not sample.is_upside_down

    @property
    def name(self) -> str:
        """The file, and the part of it that is meant."""
        sample = self.sample
        if sample.entry is not None:
            return f"{sample.path} (entry {sample.entry})"
        if sample.start_us is None and sample.stop_us is None:
            return str(sample.path)
        ends = ("" if t_us is None else f"{t_us / 1e6:g} s" for t_us in (sample.start_us, sample.stop_us))
        return f"{sample.path} ({' to '.join(ends)})"


#: What can be cut into windows.
Source = str | Path | eventio.Recording | Excerpt


def excerpts(collection: Collection) -> tuple[Excerpt, ...]:
    """Give the recordings of a collection one by one, not yet read.

    Parameters
    ----------
    collection : eventio.datasets.Collection
        Labelled recordings.

    Returns
    -------
    tuple of Excerpt
        In the order of its samples.
    """
    return tuple(Excerpt(sample, collection.width, collection.height) for sample in collection.samples)


@dataclass(frozen=True, eq=False)
class Window:
    """The events of one window of a recording.

    Attributes
    ----------
    index : int
        Number of the window; window 0 begins at the first event.
    start_us : int
        Time at which the window begins.
    events : structured array, shape (n,)
        The events, of dtype `eventio.EVENT_DTYPE`, non-decreasing in time.
    """

    index: int
    start_us: int
    events: Events


def windows(
    recording: Source,
    *,
    width: int,
    height: int,
    window_us: int,
    damage: DamagePolicy = REFUSE_DAMAGE,
    chunk_events: int = CHUNK_EVENTS,
) -> Iterator[Window]:
    """Cut a recording into windows of equal length, holding one of them at a time.

    Windows begin at the first event and follow each other without gaps; windows without any event
    are left out.

    Parameters
    ----------
    recording : str, Path, eventio.Recording or Excerpt
        A file, read chunk by chunk, a recording in memory, or a part of a file.
    width : int
        Columns of the sensor that is expected.
    height : int
        Rows of the sensor that is expected.
    window_us : int
        Length of a window.
    damage : DamagePolicy
        What to do with truncated recordings and time that runs backwards.
    chunk_events : int
        Events to decode at a time; the windows do not depend on it.

    Yields
    ------
    Window
        The windows that hold events, in order.

    Raises
    ------
    UserError
        When the recording comes from another sensor size.
    DamagedRecordingError
        When it is damaged and `damage` does not allow that; possibly after some windows.

    Examples
    --------
    >>> import numpy as np
    >>> events = np.array([(5, 0, 0, True), (90, 1, 1, False), (260, 1, 0, True)], eventio.EVENT_DTYPE)
    >>> recording = eventio.Recording(events, width=2, height=2)
    >>> [(w.index, w.start_us, len(w.events)) for w in windows(recording, width=2, height=2, window_us=100)]
    [(0, 5, 2), (2, 205, 1)]
    """
    chunks = ordered_chunks(recording, width=width, height=height, damage=damage, chunk_events=chunk_events)
    return _cut(chunks, window_us)


def _cut(chunks: Iterator[Events], window_us: int) -> Iterator[Window]:
    pending: list[Events] = []
    first_us: int | None = None
    index = 0
    for chunk in chunks:
        times = chunk["t"]
        if first_us is None:
            first_us = int(times[0])
        position = 0
        while position < len(chunk):
            start_us = first_us + index * window_us
            stop = int(np.searchsorted(times, start_us + window_us, side="left"))
            if stop > position:
                pending.append(chunk[position:stop])
                position = stop
            if position < len(chunk):
                if pending:
                    yield Window(index, start_us, _joined(pending))
                    pending = []
                index = (int(times[position]) - first_us) // window_us
    if pending and first_us is not None:
        yield Window(index, first_us + index * window_us, _joined(pending))


def _joined(parts: list[Events]) -> Events:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def ordered_chunks(
    recording: Source,
    *,
    width: int,
    height: int,
    damage: DamagePolicy = REFUSE_DAMAGE,
    chunk_events: int = CHUNK_EVENTS,
) -> Iterator[Events]:
    """Give the events of a recording in chunks whose time never runs backwards.

    Parameters
    ----------
    recording : str, Path, eventio.Recording or Excerpt
        A file, read chunk by chunk, a recording in memory, or a part of a file.
    width : int
        Columns of the sensor that is expected.
    height : int
        Rows of the sensor that is expected.
    damage : DamagePolicy
        What to do with truncated recordings and time that runs backwards.
    chunk_events : int
        Events to decode at a time.

    Yields
    ------
    structured array, shape (n,)
        At least one event each.

    Raises
    ------
    UserError
        When the recording comes from another sensor size.
    DamagedRecordingError
        When it is damaged and `damage` does not allow that; possibly after some chunks.
    """
    whole = _excerpt(recording)
    if whole is not None and (damage.sort or not whole.is_whole_file):
        recording = _read_quietly(whole)
    if isinstance(recording, eventio.Recording):
        name = whole.name if whole is not None else _name(recording)
        chunks = _memory_chunks(recording, name, (width, height), damage, chunk_events)
    else:
        assert whole is not None
        name = whole.name
        chunks = _file_chunks(whole, (width, height), damage, chunk_events)
    yield from _non_decreasing(chunks, name, damage)


def _excerpt(recording: Source) -> Excerpt | None:
    """Give what lies in a file as an excerpt; None for a recording in memory."""
    if isinstance(recording, eventio.Recording):
        return None
    if not isinstance(recording, (str, Path, Excerpt)):
        raise UserError(
            f"a recording must be a path, an eventio.Recording or an Excerpt, got {type(recording).__name__}; "
            "put an array of events into eventio.Recording(events, width=.., height=..)"
        )
    return recording if isinstance(recording, Excerpt) else Excerpt(Sample(Path(recording), 0))


def _memory_chunks(
    recording: eventio.Recording, name: str, size: tuple[int, int], damage: DamagePolicy, chunk_events: int
) -> Iterator[Events]:
    _require_sensor(name, recording.width, recording.height, recording.metadata.is_size_derived, size)
    if recording.metadata.is_truncated:
        _damaged(name, recording.metadata.warnings, damage)
    events = recording.events
    if damage.sort and (np.diff(events["t"]) < 0).any():
        events = events[np.argsort(events["t"], kind="stable")]
    for start in range(0, len(events), chunk_events):
        yield events[start : start + chunk_events]


def _file_chunks(
    whole: Excerpt, size: tuple[int, int], damage: DamagePolicy, chunk_events: int
) -> Iterator[Events]:
    path, known = whole.sample.path, (whole.width, whole.height)
    with eventio.open(path, format=whole.sample.format, width=known[0], height=known[1]) as reader:
        _require_sensor(str(path), reader.width, reader.height, reader.is_size_derived, size)
        chunks = reader.chunks(n_events=chunk_events)
        while (events := _next_quietly(chunks)) is not None:
            yield events
        if reader.metadata.is_truncated:
            _damaged(str(path), reader.warnings, damage)


def _non_decreasing(chunks: Iterator[Events], name: str, damage: DamagePolicy) -> Iterator[Events]:
    last_us: int | None = None
    n_before = 0
    for chunk in chunks:
        times = chunk["t"]
        steps = np.diff(times, prepend=times[0] if last_us is None else last_us)
        backward = np.flatnonzero(steps < 0)
        if backward.size and not damage.allow_damaged:
            at = int(backward[0])
            raise DamagedRecordingError(
                f"{name}: time runs backwards at event {n_before + at}, by {-int(steps[at])} us to "
                f"t = {int(times[at])} us; sort the events with --sort or use those before it with "
                "--allow-damaged"
            )
        if backward.size:
            if backward[0]:
                yield chunk[: backward[0]]
            n_used = n_before + int(backward[0])
            _warn(f"{name}: used the first {n_used} events only, after which time runs backwards")
            return
        yield chunk
        last_us = int(times[-1])
        n_before += len(chunk)


def _require_sensor(name: str, width: int, height: int, is_derived: bool, wanted: tuple[int, int]) -> None:
    fits = width <= wanted[0] and height <= wanted[1]
    if (width, height) == wanted or (is_derived and fits):
        return
    raise UserError(
        f"{name}: recorded by a {width}x{height} sensor, but the model was made for {wanted[0]}x{wanted[1]}; "
        "use a model trained for this sensor"
    )


def _damaged(name: str, reasons: tuple[str, ...], damage: DamagePolicy) -> None:
    truncations = [text.removeprefix(f"{name}: ") for text in reasons if "truncated" in text]
    reason = "; ".join(truncations) or "the file ends inside an event"
    if not damage.allow_damaged:
        raise DamagedRecordingError(
            f"{name}: damaged recording ({reason}); use its valid beginning with --allow-damaged"
        )
    _warn(f"{name}: used the valid beginning only ({reason})")


def _warn(text: str) -> None:
    warnings.warn(text, eventio.DamagedRecordingWarning, stacklevel=3)


def _name(recording: eventio.Recording) -> str:
    return str(recording.metadata.path or "the recording")


def _read_quietly(excerpt: Excerpt) -> eventio.Recording:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        return read_sample(excerpt.sample, width=excerpt.width, height=excerpt.height)


def _next_quietly(chunks: Iterator[Events]) -> Events | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        return next(chunks, None)
