"""Recordings from files: whole (`read`) or in chunks of bounded memory (`open`)."""

from __future__ import annotations

import os
from pathlib import Path

from eventio.buffer import EventBuffer
from eventio.companions import Companions
from eventio.errors import FileAccessError, FormatError, MissingFileError
from eventio.format_table import HEAD_BYTES, Format, find_by_content, find_by_name
from eventio.inspection import (
    Inspection,
    choose_size,
    finish,
    guarded_blocks,
    known_size,
    make_metadata,
)
from eventio.reader import Reader
from eventio.recording import EventArray, Recording, check_inside, make_checked
from eventio.source import SPARE_EVENTS, CheckingSource, CompanionSource, Source

BYTES_PER_EVENT = 4
"""What an event takes in a file, roughly; how much memory is set aside at first."""


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    width: int | None = None,
    height: int | None = None,
    keep_companions: bool = True,
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
    keep_companions : bool
        Whether frames, inertial measurements, triggers and streams of other kinds are kept in `companions`;
        without them a file with many frames takes less time and memory.

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
        The file is empty, foreign, or holds no event; companions of such a file come from `Reader.read_companions`.
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
    if isinstance(source, CompanionSource):
        source.keeps_companions = keep_companions
    if size is not None and isinstance(source, CheckingSource):
        source.expect_size(*size)
    inspection = Inspection()
    events = gather(source, inspection)
    metadata = make_metadata(source, row.name, inspection, is_size_derived=size is None)
    companions = source.findings.companions.finish() if keep_companions else Companions()
    finish(metadata, inspection)
    if size is None:
        size = choose_size(inspection, source)
    if inspection.max_x >= size[0] or inspection.max_y >= size[1]:
        check_inside(events, width=size[0], height=size[1], source=str(path))
    return make_checked(events, width=size[0], height=size[1], metadata=metadata, companions=companions)


def gather(source: Source, inspection: Inspection) -> EventArray:
    """
    Read all events into one array.

    Parameters
    ----------
    source : Source
        The file's own reader.
    inspection : Inspection
        Looks at all events.

    Returns
    -------
    ndarray
        Of EVENT_DTYPE, shape (n_events,).
    """
    if isinstance(source, CheckingSource):
        buffer = EventBuffer(source.expect_events() + SPARE_EVENTS)
        for block in guarded_blocks(source, buffer=buffer):
            inspection.add(block, is_clean=source.is_clean)
        return buffer.finish()
    buffer = EventBuffer(source.path.stat().st_size // BYTES_PER_EVENT)
    for block in guarded_blocks(source):
        inspection.add(block)
        buffer.append(block)
    return buffer.finish()


def open(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Reader:
    """
    Open a recording to read it in chunks of bounded memory, by number or by time, from any place on.

    See `Reader.chunks`; frames and other companions of the events come from `Reader.read_companions`.

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
            raise FileAccessError(f"{path}: {_say_folder(path)}")
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


def _say_folder(path: Path) -> str:
    """Say that a folder is no recording, and what to give in its place."""
    files = sorted(file.name for file in path.iterdir() if file.suffix in (".db3", ".mcap"))
    if files and (path / "metadata.yaml").is_file():
        return f"is the folder of a ROS 2 bag; give the file in it, {' or '.join(files)}"
    return "is a folder; give one recording, or use eventio.datasets.folder"
