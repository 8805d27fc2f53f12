"""Recordings to files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from eventio.errors import ArgumentError, EventioError, FileAccessError, FormatError
from eventio.format_table import FORMATS, Format, find_by_name, find_for_writing
from eventio.recording import Recording


def write(path: str | os.PathLike[str], recording: Recording, *, format: str | None = None) -> None:
    """
    Write a recording; the file appears whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file to be; an older one is replaced.
    recording : Recording
        What to write, at least one event. Companions are written where the format holds them ("es": streams of
        exposure, colour or generic events; "aedat4": frames, inertial measurements and triggers) and left elsewhere.
    format : str, optional
        Name of the format; chosen by the suffix when not given (.bin: "nmnist", .raw: "evt3", .aedat: "aedat2",
        .dat: "dat", .es: "es").

    Raises
    ------
    ArgumentError
        The format is unknown or only read.
    FormatError
        The recording holds no event, or the format cannot hold one of its events.
    FileAccessError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import eventio
    >>> events = eventio.make_events(t=[1, 9], x=[0, 3], y=[2, 2], p=[True, False])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     eventio.write(f"{folder}/two.bin", eventio.Recording(events, width=34, height=34))
    ...     len(eventio.read(f"{folder}/two.bin"))
    2
    """
    path = Path(path)
    row = choose_format(path, format)
    assert row.encode is not None
    if len(recording) == 0 and not (row.carries and recording.companions):
        raise FormatError(f"{path}: the recording holds no event, and no reader would take such a file")
    partial = None
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            for piece in row.encode(recording):
                file.write(piece)
        Path(partial).chmod(0o666 & ~current_umask())
        Path(partial).replace(path)
    except OSError as error:
        if isinstance(error, EventioError):
            raise
        why = error.strerror or str(error)
        raise FileAccessError(
            f"{path}: cannot be written ({why}); check that the folder exists and its rights"
        ) from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    finally:
        if partial is not None:
            with contextlib.suppress(FileNotFoundError):
                Path(partial).unlink()


def choose_format(path: Path, format_name: str | None) -> Format:
    """
    Find the format of a file that is to be written.

    Parameters
    ----------
    path : Path
        The file to be.
    format_name : str or None
        Its format; None: by its suffix.

    Returns
    -------
    Format
        One that can be written.

    Raises
    ------
    ArgumentError
        There is none.
    FileAccessError
        It is a folder.
    """
    row = find_for_writing(path) if format_name is None else find_by_name(format_name)
    if row.encode is None:
        writable = ", ".join(each.name for each in FORMATS if each.encode is not None)
        raise ArgumentError(f"format {row.name!r} is only read; choose one of {writable}")
    return row


def current_umask() -> int:
    """
    Give the rights that new files of this process lack.

    Returns
    -------
    int
        The mask.
    """
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
