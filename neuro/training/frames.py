"""The recordings of a training: whatever gives dense frames by index, looked at a few recordings at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neuro.errors import InputError

#: Recordings that are dense at a time where no batch size is asked for.
PART_SIZE = 100


class Frames(Protocol):
    """Event counts of many recordings, uint8 or float32, shape (n, T, channels, rows, columns).

    An array, or an object that gives arrays of some recordings by a slice or by their numbers, such as
    `eventio.datasets.StoredFrames`: only the recordings of a batch are dense then.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all recordings."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice | NDArray[np.int64], /) -> NDArray[Any]: ...


class Limits(Protocol):
    """What a network's settings say about its recordings."""

    @property
    def n_frames(self) -> int:
        """Frames of a recording."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    @property
    def max_count(self) -> int:
        """Largest count."""


def parts(frames: Frames, size: int | None = None) -> Iterator[NDArray[Any]]:
    """Give recordings in their order, some at a time.

    Parameters
    ----------
    frames : Frames
        The recordings.
    size : int, optional
        How many at a time; `PART_SIZE` when None.

    Yields
    ------
    numpy.ndarray
        Shape (up to `size`, T, ...).
    """
    size = PART_SIZE if size is None else size
    for start in range(0, len(frames), size):
        yield frames[start : start + size]


def tensor_of(array: NDArray[Any]) -> torch.Tensor:
    """Make a tensor of an array; read-only and strided arrays are copied.

    Parameters
    ----------
    array : numpy.ndarray
        Any array of numbers.

    Returns
    -------
    torch.Tensor
        Shares the memory of a writable contiguous array.
    """
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def check_recordings(what: str, frames: Frames, labels: NDArray[Any], limits: Limits) -> None:
    """Refuse recordings that a network cannot be trained with.

    Parameters
    ----------
    what : str
        What they are, for the message.
    frames : Frames
        The recordings.
    labels : numpy.ndarray
        Their classes.
    limits : Limits
        Shapes, number of classes and largest count.

    Raises
    ------
    InputError
        Wrong shapes or types, no recording, a value that is not a count from 0 to max_count, or no such class.
    """
    check_shape(what, frames, limits)
    for number, part in enumerate(parts(frames)):
        check_counts(what, part, limits, first=number * PART_SIZE)
    if labels.shape != (len(frames),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{what} labels must be {len(frames)} integers, got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= limits.n_classes:
        bad = int(np.flatnonzero((labels < 0) | (labels >= limits.n_classes))[0])
        raise InputError(
            f"{what} labels[{bad}] = {labels[bad]}: must lie within 0..{limits.n_classes - 1} (n_classes)"
        )


def check_shape(what: str, frames: Frames, limits: Limits) -> None:
    """Refuse frames of another shape or type.

    Parameters
    ----------
    what : str
        What they are, for the message.
    frames : Frames
        The recordings.
    limits : Limits
        Shape of a recording.

    Raises
    ------
    InputError
        Wrong shape or type, or no recording.
    """
    expected = (limits.n_frames, *limits.input_shape)
    if frames.shape[1:] != expected or len(frames) == 0:
        raise InputError(f"{what}: frames must have shape (n, {str(expected)[1:-1]}), got {frames.shape}")
    if frames.dtype not in (np.uint8, np.float32):
        raise InputError(f"{what}: frames must be uint8 or float32, got {frames.dtype}")


def check_counts(what: str, frames: NDArray[Any], limits: Limits, *, first: int) -> None:
    """Refuse values that are not counts.

    Parameters
    ----------
    what : str
        What they are, for the message.
    frames : numpy.ndarray
        Some of the recordings, dense.
    limits : Limits
        Largest count.
    first : int
        Number of the first of them, for the message.

    Raises
    ------
    InputError
        A value is not a whole number from 0 to max_count.
    """
    if frames.dtype == np.float32:
        wrong = ~(np.isfinite(frames) & (frames >= 0) & (frames == np.floor(frames)))
        if wrong.any():
            where = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise InputError(
                f"{what}: frames{[first + where[0], *where[1:]]} = {frames[where]} is not a count; counts are whole "
                "and >= 0"
            )
    if frames.max() > limits.max_count:
        raise InputError(
            f"{what}: frames hold a count of {frames.max()}, the largest allowed is max_count = "
            f"{limits.max_count}; raise it or use shorter frames"
        )
