"""Looking at the events of a file as they pass: their number, extent and order, and what it means."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eventio import _kernels
from eventio.buffer import EventBuffer
from eventio.errors import (
    ArgumentError,
    DamagedRecordingWarning,
    FileAccessError,
    FormatError,
    OutOfSensorError,
)
from eventio.recording import EventArray, Metadata, check_size
from eventio.source import CheckingSource, SeekableSource, Source


@dataclass(slots=True)
class Inspection:
    """Number, extent and order of the events seen so far."""

    n_events: int = 0
    n_backward_steps: int = 0
    first_backward: int = -1
    last_t: int = 0
    max_x: int = 0
    max_y: int = 0
    max_t: int = 0

    def add(self, events: EventArray, *, is_clean: bool = False) -> None:
        """
        Look at the next events.

        Parameters
        ----------
        events : ndarray
            Of EVENT_DTYPE, shape (n_events,).
        is_clean : bool
            They are known to lie inside the sensor and in order, also after those before; the largest places are
            then not looked for.
        """
        if not len(events):
            return
        if is_clean:
            self.last_t = int(events["t"][-1])
            self.max_t = max(self.max_t, self.last_t) if self.n_events else self.last_t
            self.n_events += len(events)
            return
        previous = self.last_t if self.n_events else int(events["t"][0])
        highest = self.max_t if self.n_events else previous
        n_backward, first, max_x, max_y, max_t = _kernels.inspect(events, previous)
        self.max_t = max(highest, int(max_t))
        if n_backward and self.first_backward < 0:
            self.first_backward = self.n_events + int(first)
        self.n_backward_steps += int(n_backward)
        self.max_x = max(self.max_x, int(max_x))
        self.max_y = max(self.max_y, int(max_y))
        self.last_t = int(events["t"][-1])
        self.n_events += len(events)


def guarded_blocks(
    source: Source, *, checkpoint: Any = None, buffer: EventBuffer | None = None
) -> Iterator[EventArray]:
    """
    Yield the blocks of a source, failures of the disk as errors that name the file.

    Parameters
    ----------
    source : Source
        The file's own reader.
    checkpoint : object, optional
        Where to go on, of a SeekableSource; None begins at the start.
    buffer : EventBuffer, optional
        What a CheckingSource writes into.

    Yields
    ------
    ndarray
        Of EVENT_DTYPE, shape (n_events,).

    Raises
    ------
    FileAccessError
        The file cannot be read.
    """
    try:
        if checkpoint is not None and isinstance(source, SeekableSource):
            yield from source.blocks_from(checkpoint)
        elif buffer is not None and isinstance(source, CheckingSource):
            yield from source.blocks_into(buffer)
        else:
            yield from source.blocks()
    except OSError as error:
        raise FileAccessError(f"{source.path}: cannot be read ({error.strerror or error})") from error


def known_size(source: Source, width: int | None, height: int | None) -> tuple[int, int] | None:
    """
    Give the sensor's size where the caller or the file says it.

    Parameters
    ----------
    source : Source
        The file's own reader.
    width, height : int or None
        The caller's word, which counts more; both or none.

    Returns
    -------
    tuple of (int, int) or None
        Width and height.

    Raises
    ------
    ArgumentError
        One of the two is missing, or is no size.
    """
    if (width is None) != (height is None):
        raise ArgumentError(f"give both width and height or none, got width={width}, height={height}")
    if width is not None and height is not None:
        check_size(width, height)
        return width, height
    if source.width is not None and source.height is not None:
        return source.width, source.height
    return None


def choose_size(inspection: Inspection, source: Source) -> tuple[int, int]:
    """
    Choose the smallest usual sensor that holds all events of a file that does not say its size.

    Parameters
    ----------
    inspection : Inspection
        Of all events.
    source : Source
        The file's own reader.

    Returns
    -------
    tuple of (int, int)
        Width and height.

    Raises
    ------
    OutOfSensorError
        None of the usual sensors holds them.
    """
    for width, height in source.usual_sizes:
        if inspection.max_x < width and inspection.max_y < height:
            return width, height
    sizes = ", ".join(f"{width}x{height}" for width, height in source.usual_sizes)
    raise OutOfSensorError(
        f"{source.path}: events reach x = {inspection.max_x}, y = {inspection.max_y}, and none of the "
        f"usual sensors ({sizes}) holds them; give width and height if this is a recording at all"
    )


def make_metadata(
    source: Source, format_name: str, inspection: Inspection, *, is_size_derived: bool
) -> Metadata:
    """
    Sum up what was noticed while reading.

    Parameters
    ----------
    source : Source
        The file's own reader, exhausted.
    format_name : str
        Name of the format.
    inspection : Inspection
        Of all events.
    is_size_derived : bool
        Whether the sensor's size was chosen by `choose_size`.

    Returns
    -------
    Metadata
        With one warning for each kind of damage.
    """
    damage = []
    findings = source.findings
    if findings.truncation is not None:
        damage.append(
            f"{source.path}: truncated: {findings.truncation}; "
            f"the {inspection.n_events} events before it were read"
        )
    if inspection.n_backward_steps:
        damage.append(
            f"{source.path}: time runs backwards at {inspection.n_backward_steps} of {inspection.n_events} "
            f"events, first at event {inspection.first_backward} (counted from 0); the times stand as in the "
            "file, sort the events if their order matters"
        )
    return Metadata(
        format=format_name,
        path=source.path,
        is_size_derived=is_size_derived,
        warnings=tuple(damage),
        n_backward_steps=inspection.n_backward_steps,
        is_truncated=findings.truncation is not None,
        skipped=tuple(findings.skipped.items()),
        conversions=findings.conversions,
        address_space=findings.address_space,
    )


def finish(metadata: Metadata, inspection: Inspection, *, may_be_empty: bool = False) -> None:
    """
    Refuse a file without events and warn of a damaged one.

    Parameters
    ----------
    metadata : Metadata
        What was noticed.
    inspection : Inspection
        Of all events.
    may_be_empty : bool
        Whether it is no error to have read no event.

    Raises
    ------
    FormatError
        No event was read.
    """
    if inspection.n_events == 0 and not may_be_empty:
        why = " before the file breaks off" if metadata.is_truncated else ""
        others = ", ".join(f"{n} {kind}" for kind, n in metadata.skipped)
        remedy = "record or copy it again"
        if others:
            why += f", only {others}"
            remedy = "eventio.open(path).read_companions() gives frames, triggers and other streams"
        raise FormatError(f"{metadata.path}: holds no event{why}; {remedy}")
    for text in metadata.warnings:
        warnings.warn(text, DamagedRecordingWarning, stacklevel=3)
