"""
HDF5 files (.h5, .hdf5): the layouts of DSEC and RVT, of Prophesee, and others with named columns.

DSEC: data sets events/x, y, t, p and an offset of time t_offset; RVT has events/width and height, too. Prophesee:
a data set CD/events with fields x, y, p, t, and an attribute geometry. Others: four data sets in one group, named
t, x, y and p or alike (xs, ts, ...), or one with such fields. Blosc, Zstandard and other filters need the package
hdf5plugin. Files are read in a process of their own, since HDF5's library crashes on some damaged files.

Written is the layout of DSEC with events/width and height.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np

from eventio.array_files import ArrayFileSource
from eventio.column_values import separate
from eventio.recording import Recording

NAME = "hdf5"
TITLE = "HDF5 (.h5, .hdf5)"
SUFFIXES = (".h5", ".hdf5")
MAGIC = b"\x89HDF\r\n\x1a\n"
OFFSET = "t_offset"
MOST_MILLISECONDS = 10**7
GEOMETRY = re.compile(r"(\d{1,5})x(\d{1,5})")


class Hdf5Source(ArrayFileSource):
    """Reader of one HDF5 file."""

    def known_unit(self) -> str | None:
        """
        Give the unit of times where the layout says it.

        Returns
        -------
        str or None
            Microseconds in those of DSEC and Prophesee.
        """
        is_usual = OFFSET in self._arrays or self._table.names == ("CD/events",)
        return "us" if is_usual else super().known_unit()

    def adjust(self) -> None:
        """Find the offset of time and the sensor's size."""
        self.time_offset = self.read_number(OFFSET) or 0
        self.read_size()
        found = GEOMETRY.fullmatch(str(self.attributes.get("geometry", "")))
        if found:
            self.set_size(int(found[1]), int(found[2]))


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
        It starts with HDF5's mark.
    """
    return head.startswith(MAGIC)


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file in the layout of DSEC, not compressed.

    Parameters
    ----------
    recording : Recording
        Any; the index ms_to_idx is left out where times run backwards or span more than 10,000 s.

    Yields
    ------
    bytes
        The file.
    """
    import h5py

    room = BytesIO()
    columns = separate(recording.events)
    t_offset = int(columns["t"][0])
    t = columns["t"] - t_offset
    with h5py.File(room, "w") as file:
        for name, values in (columns | {"t": t, "p": columns["p"].view(np.uint8)}).items():
            file.create_dataset(f"events/{name}", data=values)
        file.create_dataset("events/width", data=recording.width)
        file.create_dataset("events/height", data=recording.height)
        file.create_dataset(OFFSET, data=t_offset)
        if (np.diff(t) >= 0).all() and t[-1] < MOST_MILLISECONDS * 1000:
            starts = np.searchsorted(t, np.arange(int(t[-1]) // 1000 + 1) * 1000)
            file.create_dataset("ms_to_idx", data=starts.astype(np.uint64))
    yield from cut(room.getbuffer())


def cut(data: memoryview, *, n_bytes: int = 1 << 24) -> Iterator[bytes]:
    """
    Cut bytes into pieces.

    Parameters
    ----------
    data : memoryview
        What to cut.
    n_bytes : int
        Size of a piece.

    Yields
    ------
    bytes
        Piece by piece.
    """
    for start in range(0, len(data), n_bytes):
        yield bytes(data[start : start + n_bytes])
