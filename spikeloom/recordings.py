"""Recordings as a sequence of windows, one window in memory at a time, damage refused unless allowed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import eventio
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
    recording: str | Path | eventio.Recording,
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
    recording : str, Path or eventio.Recording
        A file, read chunk by chunk, or a recording in memory.
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
    recording: str | Path | eventio.Recording,
    *,
    width: int,
    height: int,
    damage: DamagePolicy = REFUSE_DAMAGE,
    chunk_events: int = CHUNK_EVENTS,
) -> Iterator[Events]:
    """Give the events of a recording in chunks whose time never runs backwards.

    Parameters
    ----------
    recording : str, Path or eventio.Recording
        A file, read chunk by chunk, or a recording in memory.
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
    if damage.sort and not isinstance(recording, eventio.Recording):
        recording = _read_quietly(recording)
    if isinstance(recording, eventio.Recording):
        name = _name(recording)
        chunks = _memory_chunks(recording, width, height, damage, chunk_events)
    else:
        name = str(recording)
        chunks = _file_chunks(Path(recording), width, height, damage, chunk_events)
    yield from _non_decreasing(chunks, name, damage)


def _memory_chunks(
    recording: eventio.Recording, width: int, height: int, damage: DamagePolicy, chunk_events: int
) -> Iterator[Events]:
    _require_sensor(
        _name(recording),
        recording.width,
        recording.height,
        recording.metadata.is_size_derived,
        (width, height),
    )
    if recording.metadata.is_truncated:
        _damaged(_name(recording), recording.metadata.warnings, damage)
    events = recording.events
    if damage.sort and recording.metadata.n_backward_steps:
        events = events[np.argsort(events["t"], kind="stable")]
    for start in range(0, len(events), chunk_events):
        yield events[start : start + chunk_events]


def _file_chunks(
    path: Path, width: int, height: int, damage: DamagePolicy, chunk_events: int
) -> Iterator[Events]:
    with eventio.open(path) as reader:
        _require_sensor(str(path), reader.width, reader.height, reader.is_size_derived, (width, height))
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


def _read_quietly(path: str | Path) -> eventio.Recording:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        return eventio.read(path)


def _next_quietly(chunks: Iterator[Events]) -> Events | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        return next(chunks, None)
