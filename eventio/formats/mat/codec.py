"""
MATLAB files (.mat) of versions 4 to 7.3: four columns, or a structure with fields x, y, ts and p or alike.

MATLAB counts from 1. Where no coordinate is 0 and the largest are the sides of a usual sensor, columns and rows are
taken as counted from 1, and `Metadata.conversions` says so. Of several structures the one named TD (temporal
difference) or events is read. Files are read in a process of their own, by scipy or (7.3) h5py.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.array_files import ArrayFileSource
from eventio.column_values import separate
from eventio.columns import ROLES, USUAL_SIZES
from eventio.recording import Recording
from eventio.table_source import TICKS_NAME

NAME = "mat"
TITLE = "MATLAB (.mat)"
SUFFIXES = (".mat",)
MAGIC = (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")


class MatSource(ArrayFileSource):
    """Reader of one MATLAB file."""

    def adjust(self) -> None:
        """Find the sensor's size and whether coordinates are counted from 1."""
        self.read_size()
        least, most = [65536.0, 65536.0], [0.0, 0.0]
        for start in range(0, self._table.n_events, self.block_rows):
            for i, values in enumerate(self._read_places(start)):
                least[i] = min(least[i], float(values.min()))
                most[i] = max(most[i], float(values.max()))
        known = [(self.width, self.height)] if self.width is not None else list(USUAL_SIZES)
        if min(least) >= 1 and (most[0], most[1]) in known:
            self._origin = 1

    def _read_places(self, start: int) -> list[npt.NDArray[Any]]:
        """Read a block of columns and rows, without times where these are arrays of their own."""
        table, stop = self._table, min(start + self.block_rows, self._table.n_events)
        if len(table.names) == 1:
            columns = self._read_columns(start, stop)
            return [columns["x"], columns["y"]]
        return self.read_together((table.names[ROLES.index("x")], table.names[ROLES.index("y")]), start, stop)


def matches(head: bytes) -> bool:
    """
    Say whether a file starts like this format.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        It starts with MATLAB's name and a version.
    """
    return head.startswith(MAGIC)


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file of version 5: columns x, y, t and p in a structure `events`.

    Parameters
    ----------
    recording : Recording
        Any; times in whole microseconds, columns and rows counted from 0.

    Yields
    ------
    bytes
        The file.
    """
    import scipy.io

    room = BytesIO()
    columns = {name: column[:, None] for name, column in separate(recording.events).items()}
    columns["p"] = columns["p"].astype(np.uint8)
    content = {"events": columns, "width": recording.width, "height": recording.height, TICKS_NAME: 1_000_000}
    scipy.io.savemat(room, content)
    yield room.getvalue()
