"""What a labelled collection of recordings is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eventio.errors import ArgumentError
from eventio.recording import Recording


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One recording with its label.

    Attributes
    ----------
    path : Path
        The recording, or the file that holds it.
    label : int
        Its class, an index into `Collection.class_names`.
    format : str or None
        Format of the file where its content does not tell.
    start_us, stop_us : int or None
        The part of the file's time that is the sample, start_us <= t < stop_us; all of it when None.
    entry : int or None
        Which of the spike trains of an HDF5 file of spoken words the sample is.
    is_upside_down : bool
        The file counts rows from the bottom and does not say so.
    """

    path: Path
    label: int
    format: str | None = None
    start_us: int | None = None
    stop_us: int | None = None
    entry: int | None = None
    is_upside_down: bool = False


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

    def read(self, k: int) -> Recording:
        """
        Read a sample.

        Parameters
        ----------
        k : int
            Its number, 0 to len - 1.

        Returns
        -------
        Recording
            Its events.

        Raises
        ------
        ArgumentError
            There is no such sample.
        MissingFileError, FileAccessError, FormatError, OutOfSensorError
            As `eventio.read`; FormatError, too, if the sample's part of the file holds no event.
        """
        from eventio.datasets.reading import read_sample

        if not 0 <= k < len(self.samples):
            raise ArgumentError(f"{self.name}: sample must be in 0..{len(self.samples) - 1}, got {k}")
        return read_sample(self.samples[k], width=self.width, height=self.height)

    @property
    def labels(self) -> tuple[int, ...]:
        """The label of each sample."""
        return tuple(sample.label for sample in self.samples)
