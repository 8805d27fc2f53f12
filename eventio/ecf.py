"""
ECF, the codec of events in Prophesee's HDF5 files (HDF5 filter 0x8ECF).

A piece holds up to 65535 events: their number and how places are stored, the time of the first, steps and runs of
times, then places in one of three ways: 24 bits for x, y and p together; or runs of y, then 12 bits for x and p, or
columns with a bit for each of five neighbours and runs of p.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels_ecf as kernels
from eventio.errors import FormatError

FILTER = 0x8ECF
MOST_EVENTS = 65535
ALL_PACKED, COLUMNS_PACKED = 2, 1
FIELDS = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
ALIGNED = np.dtype(FIELDS.descr, align=True)
"""The same as C programs lay it out: 16 bytes, two of them empty."""


def unpack(piece: bytes) -> npt.NDArray[np.void]:
    """
    Decode the events of a piece.

    Parameters
    ----------
    piece : bytes
        As it stands in the file.

    Returns
    -------
    ndarray
        Of FIELDS, shape (n_events,).

    Raises
    ------
    FormatError
        It is damaged.
    """
    if len(piece) < kernels.HEAD_BYTES:
        raise FormatError(f"a piece of ECF has {len(piece)} bytes, fewer than {kernels.HEAD_BYTES}")
    head = int.from_bytes(piece[:4], "little")
    n_events = head >> 2
    if n_events > MOST_EVENTS:
        raise FormatError(f"a piece of ECF promises {n_events} events, more than {MOST_EVENTS}")
    data = np.frombuffer(piece, np.uint8)
    events = np.empty(n_events, FIELDS)
    t, y = np.empty(n_events, np.int64), np.empty(n_events, np.uint16)
    x: npt.NDArray[Any] = np.empty(0)
    p: npt.NDArray[Any] = np.empty(0)
    at = int(kernels.decode_times(data, t))
    if at > 0 and head & ALL_PACKED:
        places = np.empty(n_events, np.uint32)
        at = int(kernels.decode_packed(data, at, places))
        y, x, p = (places >> 12 & 0x7FF).astype(np.uint16), places >> 1 & 0x7FF, places & 1
    elif at > 0:
        at = int(kernels.decode_runs(data, at, 2, 5, y))
        x, p, at = _columns(data, at, n_events, is_packed=bool(head & COLUMNS_PACKED))
    if at <= 0:
        raise FormatError(f"a piece of ECF is damaged at its byte {-at}")
    for name, values in (("t", t), ("x", x), ("y", y), ("p", p)):
        events[name] = values
    return events


def read_plain(piece: bytes, n_rows: int) -> npt.NDArray[np.void]:
    """
    Take the events of a piece that the codec left as it was.

    Parameters
    ----------
    piece : bytes
        As it stands in the file.
    n_rows : int
        How many events a piece holds.

    Returns
    -------
    ndarray
        Of FIELDS, shape (n_rows,).

    Raises
    ------
    FormatError
        It has another size.
    """
    for dtype in (FIELDS, ALIGNED):
        if len(piece) == n_rows * dtype.itemsize:
            return np.frombuffer(piece, dtype).astype(FIELDS)
    raise FormatError(f"a piece of {n_rows} events has {len(piece)} bytes")


def _columns(
    data: npt.NDArray[np.uint8], at: int, n_events: int, *, is_packed: bool
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], int]:
    """Decode columns and polarities behind the rows; a place <= 0 says where they are damaged."""
    x, p = np.empty(n_events, np.uint16), np.empty(n_events, np.uint8)
    if at > 0 and is_packed:
        at = int(kernels.decode_packed(data, at, x))
        return x >> 1, (x & 1).astype(np.uint8), at
    if at > 0:
        at = int(kernels.decode_neighbours(data, at, x))
    if at > 0:
        at = int(kernels.decode_runs(data, at, 1, 7, p))
    return x, p, at
