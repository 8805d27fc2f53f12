"""Events of Event Stream files that have no polarity: exposure measurements of an ATIS, colours, and generic ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eventio.companions import EXPOSURES, StructuredArray
from eventio.errors import FormatError

COLOUR_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("r", "u1"), ("g", "u1"), ("b", "u1")])
DECODED_EXPOSURE_DTYPE = np.dtype([("t", "<i8"), ("xy", "<u4"), ("is_second", "u1")])
DECODED_COLOUR_DTYPE = np.dtype([("t", "<i8"), ("xy", "<u4"), ("r", "u1"), ("g", "u1"), ("b", "u1")])
"""The same bytes for decoders."""
HEAD_DTYPE = np.dtype([("t", "<i8"), ("start", "<i8"), ("size", "<i8")])
KINDS = {0: "generic events", 2: EXPOSURES, 4: "colour events"}
"""Names of the streams, by the kind in the header."""
MAX_GENERIC_BYTES = 1 << 28


def split_places(others: StructuredArray, dtype: np.dtype[np.void]) -> StructuredArray:
    """
    Copy events as decoders write them.

    Parameters
    ----------
    others : ndarray
        Of a DECODED dtype.
    dtype : dtype
        The same bytes with x and y apart.

    Returns
    -------
    ndarray
        A copy of that dtype.
    """
    return others.view(dtype).copy()


def gather_generic(
    pieces: Sequence[tuple[StructuredArray, npt.NDArray[np.uint8]]], path: Path
) -> StructuredArray:
    """
    Put the bytes of generic events beside their times.

    Parameters
    ----------
    pieces : sequence of (ndarray, ndarray)
        Times, starts and sizes (HEAD_DTYPE), and the bytes they count in.
    path : Path
        The file, for messages.

    Returns
    -------
    ndarray
        Fields `t`, `size`, and `data` (uint8, shape (longest size,); zeros behind each event's own).

    Raises
    ------
    FormatError
        So many events of such different sizes would take too much memory.
    """
    n = sum(len(heads) for heads, _ in pieces)
    longest = max(int(heads["size"].max()) for heads, _ in pieces)
    if n * longest > MAX_GENERIC_BYTES:
        raise FormatError(
            f"{path}: {n} generic events of up to {longest} bytes would take {n * longest} bytes side by side, more "
            f"than {MAX_GENERIC_BYTES}; read them with keep_companions=False, or in another tool"
        )
    events = np.zeros(n, np.dtype([("t", "<i8"), ("size", "<u4"), ("data", "u1", (longest,))]))
    at = 0
    for heads, data in pieces:
        for t, start, size in heads.tolist():
            events["t"][at], events["size"][at] = t, size
            events["data"][at, :size] = data[start : start + size]
            at += 1
    return events
