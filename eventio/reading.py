"""Recordings from files: whole (`read`) or in chunks of bounded memory (`open`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from eventio.buffer import EventBuffer
from eventio.errors import ArgumentError, FileAccessError, FormatError, MissingFileError
from eventio.format_table import HEAD_BYTES, Format, find_by_content, find_by_name
from eventio.inspection import (
    Inspection,
    choose_size,
    finish,
    guarded_blocks,
    known_size,
    make_metadata,
)
from eventio.recording import EventArray, Metadata, Recording, check_inside, join_events, seal
from eventio.source import Source

BYTES_PER_EVENT = 4
"""What an event takes in a file, roughly; how much memory is set aside at first."""


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
        self._blocks: Iterator[EventArray] | None = None
        self.format = format_name
        self.path = source.path
        size = known_size(source, width, height)
        self.is_size_derived = size is None
        if size is None:
            scan = Inspection()
            for block in guarded_blocks(source):
                scan.add(block)
            size = choose_size(scan, source)
        self.width, self.height = size

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

    def chunks(self, *, n_events: int = 1 << 16) -> Iterator[EventArray]:
        """
        Yield the events in file order, from the first; the memory used does not depend on the file's size.

        Parameters
        ----------
        n_events : int
            Events in a chunk, at least 1; the last chunk may be shorter.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), read-only.

        Raises
        ------
        ArgumentError
            n_events is under 1.
        OutOfSensorError
            An event lies outside the sensor.
        FormatError
            The file holds no event.
        """
        if n_events < 1:
            raise ArgumentError(f"n_events must be at least 1, got {n_events}")
        self._inspection = Inspection()
        self._blocks = self._checked_blocks()
        pending: list[EventArray] = []
        n_pending = 0
        for block in self._blocks:
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
        finish(self.metadata, self._inspection)

    def _checked_blocks(self) -> Iterator[EventArray]:
        for block in guarded_blocks(self._source):
            check_inside(
                block,
                width=self.width,
                height=self.height,
                source=str(self.path),
                first_number=self._inspection.n_events,
            )
            self._inspection.add(block)
            yield block


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Recording:
    """
    Read a whole recording.

    Parameters
    ----------
    path : str or path-like
        The file.
    format : str, optional
        Name of its format; found out from its content when not given.
    width, height : int, optional
        Size of the sensor in pixels, where it is known better than the file says; both or none.

    Returns
    -------
    Recording
        The events in file order. Of a damaged file these are the events up to the damage; times that run
        backwards stand as they are, and `metadata` counts them.

    Raises
    ------
    MissingFileError, FileAccessError
        The file does not exist or cannot be read.
    FormatError
        The file is empty, foreign, or holds no event.
    OutOfSensorError
        An event lies outside the sensor.
    ArgumentError
        The format is unknown, or one of width and height is missing or no size.

    Warns
    -----
    DamagedRecordingWarning
        The file is cut short, or its time runs backwards.

    Examples
    --------
    >>> import tempfile
    >>> import eventio
    >>> events = eventio.make_events(t=[10, 25], x=[0, 3], y=[2, 2], p=[True, False])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     eventio.write(f"{folder}/two.bin", eventio.Recording(events, width=34, height=34))
    ...     recording = eventio.read(f"{folder}/two.bin")
    >>> recording.width, recording.metadata.is_size_derived, recording.t.tolist()
    (34, True, [10, 25])
    """
    row, source = open_source(Path(path), format)
    size = known_size(source, width, height)
    inspection = Inspection()
    buffer = EventBuffer(source.path.stat().st_size // BYTES_PER_EVENT)
    for block in guarded_blocks(source):
        inspection.add(block)
        buffer.append(block)
    metadata = make_metadata(source, row.name, inspection, is_size_derived=size is None)
    finish(metadata, inspection)
    if size is None:
        size = choose_size(inspection, source)
    events = buffer.finish()
    if inspection.max_x >= size[0] or inspection.max_y >= size[1]:
        check_inside(events, width=size[0], height=size[1], source=str(path))
    return Recording(seal(events), width=size[0], height=size[1], metadata=metadata)


def open(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Reader:
    """
    Open a recording to read it in chunks of bounded memory.

    Parameters
    ----------
    path : str or path-like
        The file.
    format : str, optional
        Name of its format; found out from its content when not given.
    width, height : int, optional
        Size of the sensor in pixels, where it is known better than the file says; both or none. Of a
        file that does not say its size all events are looked at first.

    Returns
    -------
    Reader
        To be used in a `with` statement.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError, OutOfSensorError, ArgumentError
        As `read`.

    Examples
    --------
    >>> import tempfile
    >>> import eventio
    >>> events = eventio.make_events(t=range(5), x=[1] * 5, y=[2] * 5, p=[True] * 5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     eventio.write(f"{folder}/five.bin", eventio.Recording(events, width=34, height=34))
    ...     with eventio.open(f"{folder}/five.bin") as reader:
    ...         [len(chunk) for chunk in reader.chunks(n_events=2)]
    [2, 2, 1]
    """
    row, source = open_source(Path(path), format)
    return Reader(source, row.name, width, height)


def open_source(path: Path, format_name: str | None) -> tuple[Format, Source]:
    """
    Find out the format of a file and open its reader.

    Parameters
    ----------
    path : Path
        The file.
    format_name : str or None
        The caller's word on the format.

    Returns
    -------
    tuple of (Format, Source)
        The row of the format table and the file's reader.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError, ArgumentError
        As `read`.
    """
    row = None if format_name is None else find_by_name(format_name)
    try:
        if path.is_dir():
            raise FileAccessError(f"{path}: is a folder; give one recording, or use eventio.datasets.folder")
        if path.is_fifo() or path.is_socket():
            raise FileAccessError(
                f"{path}: is a pipe or socket, which cannot be read twice; save it to a file"
            )
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not head:
            raise FormatError(f"{path}: the file is empty (0 bytes); record or copy it again")
        row = row or find_by_content(path, head)
        return row, row.open_source(path)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: there is no such file; check the path") from error
    except FileAccessError:
        raise
    except OSError as error:
        raise FileAccessError(
            f"{path}: cannot be read ({error.strerror or error}); check its path and rights"
        ) from error
