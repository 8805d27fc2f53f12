"""From labelled recordings to a recogniser: frames, training, attention threshold, temperature.

torch and norse are needed here and nowhere else in the application.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventio.datasets import Collection
from spikeloom.calibration import ThresholdPoint, choose_threshold, threshold_point
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy, ordered_chunks, windows

if TYPE_CHECKING:
    from neuro.training import EpochReport, NetworkConfig, Recipe, TrainedNetwork

DEFAULT_EPOCHS = 40
DEFAULT_BIN_US = 15_000
#: Chosen on the validation digits (8 epochs, seed 0): 99.4 % with this filter, 98.6 % without.
DEFAULT_FILTER_WINDOW_US = 10_000
#: Longest window chosen by itself; longer recordings give several windows.
MOST_FRAMES = 32
#: Mean certainty on validation data (see `ThresholdPoint`) that dropping frames may cost.
CERTAINTY_BUDGET = 0.004

_SHARES_KEPT = tuple(n / 20 for n in range(20, 0, -1))


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Recordings as dense frames; a recording longer than a window gives several entries.

    Attributes
    ----------
    frames : numpy.ndarray
        uint8 (float32 where a count exceeds 255), shape (n, n_frames, 2, height, width).
    labels : numpy.ndarray
        int64, shape (n,): class of each entry.
    owners : numpy.ndarray
        int64, shape (n,): position of the recording that an entry belongs to, non-decreasing.
    """

    frames: NDArray[Any]
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


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A recogniser and how it came about.

    Attributes
    ----------
    recognizer : Recognizer
        What `train` writes.
    trained : neuro.training.TrainedNetwork
        The network in torch, with the history of its training.
    curve : tuple of ThresholdPoint
        Attention threshold against kept frames and accuracy, on validation data.
    chosen : ThresholdPoint
        The point of the curve that was chosen.
    """

    recognizer: Recognizer
    trained: TrainedNetwork
    curve: tuple[ThresholdPoint, ...]
    chosen: ThresholdPoint


@dataclass(frozen=True)
class Progress:
    """Where to report to while training; every part may be left out.

    Attributes
    ----------
    loaded : callable, optional
        Called with (recordings read, recordings in all).
    epoch : callable, optional
        Called with a `neuro.training.EpochReport` after each epoch.
    """

    loaded: Callable[[int, int], None] | None = None
    epoch: Callable[[EpochReport], None] | None = None


def train_recognizer(
    training: Collection,
    validation: Collection,
    *,
    seed: int,
    epochs: int = DEFAULT_EPOCHS,
    device: str = "cpu",
    threads: int | None = None,
    checkpoint: str | Path | None = None,
    bin_us: int = DEFAULT_BIN_US,
    filter_window_us: int = DEFAULT_FILTER_WINDOW_US,
    network: NetworkConfig | None = None,
    recipe: Recipe | None = None,
    damage: DamagePolicy = REFUSE_DAMAGE,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a recogniser on labelled recordings.

    The model is the one with the best validation accuracy. The attention threshold drops as many frames as
    cost at most 0.4 points of the mean probability of the true class, and the temperature minimises the
    negative log-likelihood of the validation labels.

    Parameters
    ----------
    training : Collection
        Recordings to train with.
    validation : Collection
        Recordings of the same classes that choose the model.
    seed : int
        Seed of every random choice.
    epochs : int
        Passes over the training recordings.
    device : str
        Device of torch.
    threads : int, optional
        Threads of torch; the result depends on it in the last bits.
    checkpoint : str or Path, optional
        File to save the state of the training to, and to continue from when it exists.
    bin_us : int
        Length of a frame in microseconds.
    filter_window_us : int
        Support time of the background-activity filter in microseconds; 0 for none.
    network : neuro.training.NetworkConfig, optional
        Layers and constants; shape, classes, frames and time step are set from the recordings.
    recipe : neuro.training.Recipe, optional
        How to train.
    damage : DamagePolicy
        What to do with damaged recordings.
    progress : Progress, optional
        Where to report to.

    Returns
    -------
    TrainingResult
        The recogniser and how it came about.

    Raises
    ------
    neuro.MissingPackageError
        When torch or norse is missing.
    UserError
        When the recordings do not belong together or are damaged.
    """
    from neuro import training as learning
    from neuro.training.determinism import usable_device

    usable_device(device)  # before the recordings are read
    progress = progress or Progress()
    if validation.class_names != training.class_names:
        raise UserError(f"{validation.name}: its classes differ from those of {training.name}")
    encoding = choose_encoding(training, bin_us=bin_us, filter_window_us=filter_window_us, damage=damage)
    learned, checked = _load_both(training, validation, encoding, damage, progress)
    config = replace(
        network or learning.NetworkConfig(),
        input_shape=encoding.shape,
        n_classes=len(training.class_names),
        n_frames=encoding.n_frames,
        dt_s=encoding.bin_us / 1e6,
    )
    trained = learning.train(
        learned.frames,
        learned.labels,
        checked.frames,
        checked.labels,
        config=config,
        epochs=epochs,
        seed=seed,
        recipe=recipe,
        device=device,
        threads=threads,
        resume=checkpoint,
        on_progress=progress.epoch,
    )
    name = training.name.removesuffix(" (train)")
    return finish(trained, checked, encoding=encoding, class_names=training.class_names, dataset=name)


def finish(
    trained: TrainedNetwork,
    validation: FrameSet,
    *,
    encoding: Encoding,
    class_names: tuple[str, ...],
    dataset: str,
    budget: float = CERTAINTY_BUDGET,
) -> TrainingResult:
    """Choose the attention threshold and the temperature of a trained network on validation data.

    Candidates keep at least the share of frames that the network was trained for.

    Parameters
    ----------
    trained : neuro.training.TrainedNetwork
        The network.
    validation : FrameSet
        Recordings that the network was not trained with.
    encoding : Encoding
        From events to frames.
    class_names : tuple of str
        Names of the outputs.
    dataset : str
        Name of the collection.
    budget : float
        Certainty (see `ThresholdPoint`) that dropping frames may cost, as a fraction.

    Returns
    -------
    TrainingResult
        The recogniser and the curve it was chosen from.
    """
    from neuro.training import threshold_for

    labels = validation.recording_labels
    scores = trained.run(validation.frames).scores
    trained_for = [share for share in _SHARES_KEPT if share >= trained.recipe.least_kept]
    shares = trained_for if scores is not None else [1.0]
    points: dict[float, ThresholdPoint] = {}
    for share in shares:
        threshold = 0.0 if scores is None else _below(threshold_for(scores, share))
        if threshold not in points:
            run = trained.run(validation.frames, threshold=threshold)
            logits = validation.sum_by_recording(run.logits)
            points[threshold] = threshold_point(
                threshold, frames_kept=float(run.kept.mean()), logits=logits, labels=labels
            )
    chosen = choose_threshold(tuple(points.values()), budget=budget)
    recognizer = Recognizer(
        graph=trained.export(attention_threshold=None if scores is None else chosen.threshold),
        encoding=encoding,
        class_names=class_names,
        temperature=chosen.temperature,
        seed=trained.seed,
        dataset=dataset,
    )
    return TrainingResult(recognizer, trained, tuple(points.values()), chosen)


def _below(score: float) -> float:
    """Round a score down to four decimals: a threshold no score comes so close to that last bits decide."""
    return math.floor(score * 1e4) / 1e4


def choose_encoding(
    collection: Collection, *, bin_us: int, filter_window_us: int, damage: DamagePolicy = REFUSE_DAMAGE
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
    damage : DamagePolicy
        What to do with damaged recordings.

    Returns
    -------
    Encoding
        With a window as long as the longest recording, at most 32 frames.

    Raises
    ------
    UserError
        When the recordings come from sensors of different sizes, or are damaged.
    """
    width, height = _sensor_size(collection)
    longest_us = 0
    for sample in collection.samples:
        first_us = last_us = None
        for chunk in ordered_chunks(sample.path, width=width, height=height, damage=damage):
            first_us = int(chunk["t"][0]) if first_us is None else first_us
            last_us = int(chunk["t"][-1])
        if first_us is not None and last_us is not None:
            longest_us = max(longest_us, last_us - first_us + 1)
    n_frames = min(MOST_FRAMES, max(1, -(-longest_us // bin_us)))
    return Encoding(width, height, n_frames, bin_us, filter_window_us)


def _sensor_size(collection: Collection) -> tuple[int, int]:
    """Give the size that the collection states, else the one that its files state, else the largest derived."""
    import eventio

    if collection.width and collection.height:
        return collection.width, collection.height
    found: dict[tuple[int, int, bool], Path] = {}
    for sample in collection.samples:
        with eventio.open(sample.path) as reader:
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
    damage: DamagePolicy = REFUSE_DAMAGE,
    on_progress: Callable[[int, int], None] | None = None,
) -> FrameSet:
    """Read recordings into dense frames; no count is clipped.

    Parameters
    ----------
    collection : Collection
        The recordings.
    encoding : Encoding
        From events to frames.
    damage : DamagePolicy
        What to do with damaged recordings.
    on_progress : callable, optional
        Called with (recordings read, recordings in all).

    Returns
    -------
    FrameSet
        One entry per window that holds events.
    """
    frames: list[NDArray[Any]] = []
    labels: list[int] = []
    owners: list[int] = []
    for position, sample in enumerate(collection.samples):
        for window in windows(
            sample.path,
            width=encoding.width,
            height=encoding.height,
            window_us=encoding.window_us,
            damage=damage,
        ):
            counts = encoding.frames(window)
            frames.append(counts.astype(np.uint8) if counts.max() <= 255 else counts)
            labels.append(sample.label)
            owners.append(position)
        if on_progress is not None:
            on_progress(position + 1, len(collection.samples))
    return FrameSet(_stacked(frames), np.array(labels, np.int64), np.array(owners, np.int64))


def _stacked(frames: Sequence[NDArray[Any]]) -> NDArray[Any]:
    fits = all(part.dtype == np.uint8 for part in frames)
    return np.stack(frames, dtype=np.uint8 if fits else np.float32, casting="unsafe")


def _load_both(
    training: Collection, validation: Collection, encoding: Encoding, damage: DamagePolicy, progress: Progress
) -> tuple[FrameSet, FrameSet]:
    whole = replace(training, samples=training.samples + validation.samples)
    loaded = load_frames(whole, encoding, damage=damage, on_progress=progress.loaded)
    n_training = int(np.searchsorted(loaded.owners, len(training.samples)))
    parts = (slice(0, n_training), slice(n_training, None))
    first, second = (FrameSet(loaded.frames[p], loaded.labels[p], loaded.owners[p]) for p in parts)
    return first, second
