"""Events on their way from one file to another: on disk, so that memory does not grow with the recording."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from eventio.errors import FileAccessError
from eventio.recording import EVENT_DTYPE, EventArray


def nameless_file(folder: Path) -> IO[bytes]:
    """
    Open a file that is gone once it is closed and no array is mapped from it any more.

    Parameters
    ----------
    folder : Path
        On the disk that has room.

    Returns
    -------
    file object
        To be written and mapped.

    Raises
    ------
    FileAccessError
        The folder does not exist or cannot be written.
    """
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise FileAccessError(
            f"{folder}: cannot be written ({error.strerror}); check that the folder exists and its rights"
        ) from error


class Spool:
    """
    A nameless file that takes events chunk by chunk and gives them back as one array, mapped from the disk.

    Used in a `with` statement; the file is gone afterwards, and the array must not be used any more.

    Parameters
    ----------
    folder : str or path-like
        On the disk that has room: 13 bytes for each event.

    Raises
    ------
    FileAccessError
        The folder does not exist or cannot be written.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[1, 2], x=[0, 3], y=[2, 2], p=[1, 0])
    >>> with tempfile.TemporaryDirectory() as folder, Spool(folder) as spool:
    ...     spool.append(events)
    ...     spool.append(events)
    ...     spool.finish()["x"].tolist()
    [0, 3, 0, 3]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.n_events = 0
        self._folder = Path(folder)
        self._file = nameless_file(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, events: EventArray) -> None:
        """
        Put events behind those already there.

        Parameters
        ----------
        events : ndarray
            Of EVENT_DTYPE, shape (n_events,).

        Raises
        ------
        FileAccessError
            The disk is full.
        """
        try:
            np.ascontiguousarray(events).tofile(self._file)
        except OSError as error:
            raise FileAccessError(
                f"{self._folder}: {self.n_events + len(events):,} events do not fit on the disk ({error.strerror}); "
                f"they need 13 bytes each until the new file is written; free some space"
            ) from error
        self.n_events += len(events)

    def finish(self) -> EventArray:
        """
        Give all events.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), read-only, mapped from the file.

        Raises
        ------
        FileAccessError
            The disk is full.
        """
        if not self.n_events:
            return np.empty(0, EVENT_DTYPE)
        try:
            self._file.flush()
        except OSError as error:
            raise FileAccessError(
                f"{self._folder}: the disk is full ({error.strerror}); free some space"
            ) from error
        return np.asarray(np.memmap(self._file, EVENT_DTYPE, mode="r", shape=(self.n_events,)))
