"""From labelled recordings to frames: the size of a window, and the counts, on disk, of which a batch is dense."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import eventio
from eventio.datasets import Collection, FrameWriter, Sample, SampleCache
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy, Source, excerpts, ordered_chunks, windows

if TYPE_CHECKING:
    from neuro.training import Frames

#: Longest window chosen by itself; longer recordings give several windows.
MOST_FRAMES = 32
#: One frame, polarity and pixel with events: number of the window, of the frame in it, place in the frame, events.
COUNT_DTYPE = np.dtype([("window", "<i4"), ("step", "<i4"), ("index", "<i4"), ("count", "<u4")])


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Recordings as frames; a recording longer than a window gives several entries.

    Attributes
    ----------
    frames : neuro.training.Frames
        uint8 (float32 where a count exceeds 255), shape (n, n_frames, 2, height, width): `StoredFrames`, of which a
        slice or an array of numbers is dense, or an array.
    labels : numpy.ndarray
        int64, shape (n,): class of each entry.
    owners : numpy.ndarray
        int64, shape (n,): position of the recording that an entry belongs to, non-decreasing.
    """

    frames: Frames
    labels: NDArray[np.int64]
    owners: NDArray[np.int64]

    def sum_by_recording(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum rows that belong to the same recording.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (n, ...), one row per entry.

        Returns
        -------
        numpy.ndarray
            float64, shape (n_recordings, ...).
        """
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
        return np.add.reduceat(values.astype(np.float64), starts, axis=0)

    @property
    def recording_labels(self) -> NDArray[np.int64]:
        """Class of each recording, int64, shape (n_recordings,)."""
        return self.labels[np.flatnonzero(np.diff(self.owners, prepend=-1))]


@dataclass(frozen=True)
class Loading:
    """How recordings are read.

    Attributes
    ----------
    damage : DamagePolicy
        What to do with damaged recordings.
    cache : eventio.datasets.SampleCache, optional
        Where counts are kept between runs. Not used while damaged recordings are allowed: what was left out of them
        is said each time.
    """

    damage: DamagePolicy = REFUSE_DAMAGE
    cache: SampleCache | None = None

    def made(
        self,
        collection: Collection,
        position: int,
        name: str,
        make: Callable[[Source], NDArray[Any]],
        parameters: dict[str, Any],
    ) -> NDArray[Any]:
        """Give what is made of a recording, from the cache where there is one.

        Parameters
        ----------
        collection : Collection
            Where the recording belongs.
        position : int
            Its number there.
        name : str
            What is made.
        make : callable
            Makes it.
        parameters : dict
            Everything else that `make` depends on.

        Returns
        -------
        numpy.ndarray
            What `make` gives.
        """
        if self.cache is None or self.damage.allow_damaged:
            return make(excerpts(collection)[position])
        with warnings.catch_warnings():  # `make` refuses damage itself
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            settings = parameters | {"sort": self.damage.sort}
            return self.cache.get(collection, position, name, make, parameters=settings)


AS_THEY_ARE = Loading()


def choose_encoding(
    collection: Collection,
    *,
    bin_us: int,
    filter_window_us: int,
    loading: Loading = AS_THEY_ARE,
    validation: Collection | None = None,
) -> Encoding:
    """Choose sensor size and window so that the recordings fit.

    Parameters
    ----------
    collection : Collection
        Recordings to train with. When the collection states no sensor size, the size of its largest
        recording counts.
    bin_us : int
        Length of a frame in microseconds.
    filter_window_us : int
        Support time of the background-activity filter in microseconds; 0 for none.
    loading : Loading
        What to do with damaged recordings, and where times are kept between runs.
    validation : Collection, optional
        Recordings that must fit the sensor, too.

    Returns
    -------
    Encoding
        With a window as long as the longest recording, at most 32 frames; of annotated parts of recordings their
        annotations count.

    Raises
    ------
    UserError
        When the recordings come from sensors of different sizes, or are damaged.
    """
    width, height = _sensor_size(collection, validation.samples if validation is not None else ())

    def extent(source: Source) -> NDArray[np.int64]:
        first_us, stop_us = None, 0
        for chunk in ordered_chunks(source, width=width, height=height, damage=loading.damage):
            first_us = int(chunk["t"][0]) if first_us is None else first_us
            stop_us = int(chunk["t"][-1]) + 1
        return np.array([0 if first_us is None else stop_us - first_us], np.int64)

    longest_us = 0
    for position, sample in enumerate(collection.samples):
        if sample.start_us is not None and sample.stop_us is not None:
            length_us = sample.stop_us - sample.start_us
        else:
            size = {"width": width, "height": height}
            length_us = int(loading.made(collection, position, "extent 1", extent, size)[0])
        longest_us = max(longest_us, length_us)
    n_frames = min(MOST_FRAMES, max(1, -(-longest_us // bin_us)))
    return Encoding(width, height, n_frames, bin_us, filter_window_us)


def _sensor_size(collection: Collection, others: tuple[Sample, ...]) -> tuple[int, int]:
    """Give the size that the collection states, else the one that its files state, else the largest derived."""
    if collection.width and collection.height:
        return collection.width, collection.height
    found: dict[tuple[int, int, bool], Path] = {}
    for sample in collection.samples + others:
        with eventio.open(sample.path, format=sample.format) as reader:
            found.setdefault((reader.width, reader.height, reader.is_size_derived), sample.path)
    largest = max(width for width, _, _ in found), max(height for _, height, _ in found)
    size = next(((width, height) for width, height, is_derived in found if not is_derived), largest)
    for (width, height, is_derived), path in found.items():
        fits = is_derived and width <= size[0] and height <= size[1]
        if (width, height) != size and not fits:
            raise UserError(
                f"{path}: recorded by a {width}x{height} sensor, other recordings of {collection.name} by a "
                f"{size[0]}x{size[1]} one; train on recordings of one sensor"
            )
    return size


def load_frames(
    collection: Collection,
    encoding: Encoding,
    *,
    loading: Loading = AS_THEY_ARE,
    on_progress: Callable[[int, int], None] | None = None,
) -> FrameSet:
    """Read recordings into frames that wait on disk; no count is clipped, and one recording is in memory at a time.

    They wait in the folder of the cache, or in that for temporary files: 3 bytes (of sensors with over 32,768 pixels
    5) for each frame, polarity and pixel with events.

    Parameters
    ----------
    collection : Collection
        The recordings.
    encoding : Encoding
        From events to frames.
    loading : Loading
        What to do with damaged recordings, and where counts are kept between runs.
    on_progress : callable, optional
        Called with (recordings read, recordings in all).

    Returns
    -------
    FrameSet
        One entry per window that holds events.

    Raises
    ------
    UserError
        When a recording is damaged or comes from another sensor.
    eventio.FileAccessError
        When the frames do not fit on the disk.
    """

    def count(source: Source) -> NDArray[np.void]:
        return count_windows(source, encoding, damage=loading.damage)

    n_windows = np.zeros(len(collection), np.int64)
    folder = None if loading.cache is None else loading.cache.folder
    with FrameWriter((encoding.n_frames, *encoding.shape), folder=folder) as writer:
        for position in range(len(collection)):
            counts = loading.made(collection, position, "window counts 1", count, asdict(encoding))
            n_windows[position] = counts["window"][-1] + 1 if len(counts) else 0
            writer.append(
                frame=counts["window"].astype(np.int64) * encoding.n_frames + counts["step"],
                place=counts["index"],
                count=counts["count"],
                n_samples=int(n_windows[position]),
            )
            if on_progress is not None:
                on_progress(position + 1, len(collection))
        frames = writer.finish()
    owners = np.repeat(np.arange(len(collection)), n_windows)
    return FrameSet(frames, np.array(collection.labels, np.int64)[owners], owners)


def count_windows(
    source: Source, encoding: Encoding, *, damage: DamagePolicy = REFUSE_DAMAGE
) -> NDArray[np.void]:
    """Count the events of all windows of a recording.

    Parameters
    ----------
    source : str, Path, eventio.Recording or Excerpt
        The recording.
    encoding : Encoding
        From events to frames.
    damage : DamagePolicy
        What to do when it is damaged.

    Returns
    -------
    structured array
        Of `COUNT_DTYPE`, one entry for each frame, polarity and pixel with an event; windows that hold events are
        numbered from 0. A window whose events were all filtered out has one entry of count 0.
    """
    parts: list[NDArray[np.void]] = []
    size = {"width": encoding.width, "height": encoding.height, "window_us": encoding.window_us}
    for number, window in enumerate(windows(source, **size, damage=damage)):
        spikes = encoding.spikes(window)
        counts = np.zeros(max(1, len(spikes.step)), COUNT_DTYPE)
        counts["window"] = number
        if len(spikes.step):
            counts["step"], counts["index"], counts["count"] = spikes.step, spikes.index, spikes.value
        parts.append(counts)
    return np.concatenate(parts) if parts else np.empty(0, COUNT_DTYPE)


def load_parts(
    training: Collection,
    validation: Collection,
    encoding: Encoding,
    *,
    loading: Loading = AS_THEY_ARE,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[FrameSet, FrameSet]:
    """Read two parts of a data set, counted as one in what is reported.

    Parameters
    ----------
    training, validation : Collection
        The parts, of the same classes.
    encoding : Encoding
        From events to frames.
    loading : Loading
        What to do with damaged recordings, and where counts are kept between runs.
    on_progress : callable, optional
        Called with (recordings read, recordings in all).

    Returns
    -------
    tuple of FrameSet
        The frames of each part.
    """
    n_first, n_all = len(training), len(training) + len(validation)
    follow = on_progress or (lambda done, n: None)
    first = load_frames(training, encoding, loading=loading, on_progress=lambda done, n: follow(done, n_all))
    second = load_frames(
        validation, encoding, loading=loading, on_progress=lambda done, n: follow(n_first + done, n_all)
    )
    return first, second
