"""From labelled recordings to a recogniser: frames, training, attention threshold, temperature.

torch and norse are needed here and nowhere else in the application.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eventio.datasets import Collection
from spikeloom.calibration import ThresholdPoint, choose_threshold, threshold_point
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.frame_sets import AS_THEY_ARE, FrameSet, Loading, choose_encoding, load_parts
from spikeloom.recognizer import Recognizer

if TYPE_CHECKING:
    from neuro.training import EpochReport, NetworkConfig, Recipe, TrainedNetwork

DEFAULT_EPOCHS = 40
DEFAULT_BIN_US = 15_000
#: Chosen on the validation digits (8 epochs, seed 0): 99.4 % with this filter, 98.6 % without.
DEFAULT_FILTER_WINDOW_US = 10_000
#: Mean certainty on validation data (see `ThresholdPoint`) that dropping frames may cost.
CERTAINTY_BUDGET = 0.004

_SHARES_KEPT = tuple(n / 20 for n in range(20, 0, -1))


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
    loading: Loading = AS_THEY_ARE,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a recogniser on labelled recordings.

    The frames wait on disk (`load_frames`); only those of a batch are in memory. The model is the one with the best
    validation accuracy. The attention threshold drops as many frames as cost at most 0.4 points of the mean
    probability of the true class, and the temperature minimises the negative log-likelihood of the validation labels.

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
    loading : Loading
        What to do with damaged recordings, and where what was read is kept between runs.
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
    encoding = choose_encoding(
        training, bin_us=bin_us, filter_window_us=filter_window_us, loading=loading, validation=validation
    )
    learned, checked = load_parts(
        training, validation, encoding, loading=loading, on_progress=progress.loaded
    )
    trained = learning.train(
        learned.frames,
        learned.labels,
        checked.frames,
        checked.labels,
        config=_fitted(network or learning.NetworkConfig(), encoding, len(training.class_names)),
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


def _fitted(network: NetworkConfig, encoding: Encoding, n_classes: int) -> NetworkConfig:
    """Set what the recordings say about a network."""
    return replace(
        network,
        input_shape=encoding.shape,
        n_classes=n_classes,
        n_frames=encoding.n_frames,
        dt_s=encoding.bin_us / 1e6,
    )


def usual_filter_us(collection: Collection) -> int:
    """Give the support time of the background-activity filter that is used when none is asked for.

    Parameters
    ----------
    collection : Collection
        Recordings to train with.

    Returns
    -------
    int
        Microseconds; 0, no filter, for channels of sound, which have no neighbours above and below.
    """
    return 0 if collection.height == 1 else DEFAULT_FILTER_WINDOW_US


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
