"""Frames of many samples kept on disk as the places that hold events, made dense a few samples at a time."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.datasets._kernels import fill_frames
from eventio.errors import ArgumentError, FileAccessError
from eventio.spooling import nameless_file

#: Whole numbers up to here are float32 numbers.
LARGEST_COUNT = 2**24
_LARGEST_ENTRY = 255


@dataclass(frozen=True, eq=False)
class StoredFrames:
    """
    Frames of event counts of many samples, of which an index gives dense ones.

    `frames[chosen]`, a slice or an array of sample numbers, is an array (n_chosen, n_frames, ...), as of a dense
    array. Entries lie in a nameless file, mapped into memory: 3 bytes (5 where a frame has over 65,536 values) for each
    frame, polarity and pixel with events. Made by `FrameWriter`.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_frames, ...), as of a dense array.
    dtype : numpy.dtype
        Of the dense frames: uint8, or float32 where a count exceeds 255.
    starts : ndarray
        int64, shape (n_samples * n_frames + 1,): first entry of each frame.
    places : ndarray
        uint16 or uint32, shape (n_entries,): index into the flat frame.
    counts : ndarray
        uint8, shape (n_entries,): events there; a count over 255 takes several entries.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    starts: npt.NDArray[np.int64]
    places: npt.NDArray[Any]
    counts: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        n = len(self)
        if isinstance(chosen, slice):
            numbers = np.arange(*chosen.indices(n), dtype=np.int64)
        else:
            numbers = np.ascontiguousarray(chosen, np.int64)
        if numbers.ndim != 1 or (numbers.size and not 0 <= numbers.min() <= numbers.max() < n):
            raise ArgumentError(f"stored frames: sample numbers must be from 0 to {n - 1}, got {chosen}")
        frames = np.zeros((len(numbers), self.shape[1], math.prod(self.shape[2:])), self.dtype)
        fill_frames(frames, self.starts, self.places, self.counts, numbers)
        return frames.reshape(len(numbers), *self.shape[1:])


class FrameWriter:
    """
    Takes the counts of samples one after the other and gives `StoredFrames`.

    Used in a `with` statement; what `finish` gave stays valid after it.

    Parameters
    ----------
    shape : tuple of int
        Of the frames of a sample: (n_frames, ...).
    folder : str or path-like, optional
        On the disk that has room for the entries; the folder for temporary files when None.

    Raises
    ------
    FileAccessError
        The folder does not exist or cannot be written.

    Examples
    --------
    >>> with FrameWriter((2, 1, 2, 3)) as writer:
    ...     writer.append(frame=np.array([0, 1]), place=np.array([5, 0]), count=np.array([2, 7]))
    ...     frames = writer.finish()
    >>> frames.shape, frames[:1][0, :, 0].tolist()
    ((1, 2, 1, 2, 3), [[[0, 0, 0], [0, 0, 2]], [[7, 0, 0], [0, 0, 0]]])
    """

    def __init__(self, shape: tuple[int, ...], *, folder: str | os.PathLike[str] | None = None) -> None:
        self.shape = shape
        self.size = math.prod(shape[1:])
        self._place_type = np.uint16 if self.size <= 2**16 else np.uint32
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._largest = 0
        self._folder = Path(tempfile.gettempdir() if folder is None else folder)
        self._places = nameless_file(self._folder)
        self._counts = nameless_file(self._folder)

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._places.close()
        self._counts.close()

    def append(
        self,
        *,
        frame: npt.NDArray[np.integer[Any]],
        place: npt.NDArray[np.integer[Any]],
        count: npt.NDArray[np.integer[Any]],
        n_samples: int = 1,
    ) -> None:
        """
        Put samples behind those already there.

        Parameters
        ----------
        frame : ndarray
            Shape (n,): number of the frame, 0 to n_samples * n_frames - 1.
        place : ndarray
            Shape (n,): index into the flat frame. Entries are sorted by (frame, place), none twice.
        count : ndarray
            Shape (n,): events there, 0 to `LARGEST_COUNT`; 0 is left out.
        n_samples : int
            How many samples these are.

        Raises
        ------
        ArgumentError
            A number is outside its range, or the entries are not sorted.
        FileAccessError
            The disk is full.
        """
        n_frames = n_samples * self.shape[0]
        _check("frame", frame, n_frames - 1)
        _check("place", place, self.size - 1)
        _check("count", count, LARGEST_COUNT)
        keys = frame.astype(np.int64) * self.size + place
        if np.any(keys[1:] <= keys[:-1]):
            raise ArgumentError("frames to store: entries must be sorted by frame and place, none twice")
        owner, entries = _split(count)
        self._lengths.append(np.bincount(frame[owner], minlength=n_frames))
        self._largest = max(self._largest, int(count.max(initial=0)))
        try:
            self._places.write(place[owner].astype(self._place_type).data)
            self._counts.write(entries.data)
        except OSError as error:
            raise self._full(error) from error

    def finish(self) -> StoredFrames:
        """
        Give all samples.

        Returns
        -------
        StoredFrames
            Mapped from the file, which is gone with the last array of it.

        Raises
        ------
        FileAccessError
            The disk is full.
        """
        lengths = np.concatenate([np.zeros(1, np.int64), *self._lengths])
        starts = np.cumsum(lengths)
        try:
            self._places.flush()
            self._counts.flush()
        except OSError as error:
            raise self._full(error) from error
        n = int(starts[-1])
        return StoredFrames(
            shape=((len(starts) - 1) // self.shape[0], *self.shape),
            dtype=np.dtype(np.uint8 if self._largest <= _LARGEST_ENTRY else np.float32),
            starts=starts,
            places=_mapped(self._places, n, np.dtype(self._place_type)),
            counts=_mapped(self._counts, n, np.dtype(np.uint8)),
        )

    def _full(self, error: OSError) -> FileAccessError:
        return FileAccessError(
            f"{self._folder}: frames do not fit on the disk ({error.strerror}); they need "
            f"{1 + np.dtype(self._place_type).itemsize} bytes for each frame and pixel with events; free some space"
        )


def _check(name: str, values: npt.NDArray[np.integer[Any]], largest: int) -> None:
    if values.size and not 0 <= values.min() <= values.max() <= largest:
        raise ArgumentError(
            f"frames to store: {name} must be from 0 to {largest}, got {values.min()} to {values.max()}"
        )


def _split(
    count: npt.NDArray[np.integer[Any]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Cut counts into entries of at most 255: which count each belongs to, and the entries."""
    counts = count.astype(np.int64)
    n_entries = -(-counts // _LARGEST_ENTRY)
    owner = np.repeat(np.arange(len(counts)), n_entries)
    entries = np.full(len(owner), _LARGEST_ENTRY, np.uint8)
    is_some = n_entries > 0
    entries[np.cumsum(n_entries)[is_some] - 1] = (counts - (n_entries - 1) * _LARGEST_ENTRY)[is_some]
    return owner, entries


def _mapped(file: Any, n: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.memmap(file, dtype, mode="r", shape=(n,))) if n else np.empty(0, dtype)
