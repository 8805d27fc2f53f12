"""What a labelled collection of recordings is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eventio.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One recording with its label.

    Attributes
    ----------
    path : Path
        The recording.
    label : int
        Its class, an index into `Collection.class_names`.
    """

    path: Path
    label: int


@dataclass(frozen=True, slots=True)
class Collection:
    """
    Labelled recordings of one sensor.

    Attributes
    ----------
    name : str
        What to call the collection.
    class_names : tuple of str
        Names of the classes.
    samples : tuple of Sample
        The recordings.
    width, height : int or None
        Size of the sensor in pixels, where the collection knows it.

    Raises
    ------
    ArgumentError
        A label names no class.
    """

    name: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        for sample in self.samples:
            if not 0 <= sample.label < len(self.class_names):
                raise ArgumentError(
                    f"{sample.path}: label {sample.label} names none of the {len(self.class_names)} classes"
                )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def labels(self) -> tuple[int, ...]:
        """The label of each sample."""
        return tuple(sample.label for sample in self.samples)
