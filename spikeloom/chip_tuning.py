"""Fine-tuning of a recogniser on a chip with a labelled data set: training, validation and test recordings apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hw
import neuro
from eventio.datasets import Collection
from spikeloom.datasets import evaluation_part, has_test_part, training_parts
from spikeloom.fine_tuning import DEFAULT_EPOCHS, FineTuning, TuningEpoch, decisions, fine_tune
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import Excerpt, windows

__all__ = ["TuningPlan", "TunedNetwork", "tune"]

CALIBRATION = 20  # training recordings that choose the scales where no others do


@dataclass(frozen=True)
class TuningPlan:
    """What a network on a chip is trained further with, and how well it must agree.

    Attributes
    ----------
    dataset : str
        One of `spikeloom.datasets.DATASETS`, the folder of one, or a folder LABEL/recording.
    data : Path or None
        Folder of a downloaded data set.
    level : float
        Share of decisions that must be those of the network.
    seed : int
        Seed of the split and of the order.
    epochs : int
        The most passes.
    limit : int or None
        The most recordings of each part.
    on_epoch : callable or None
        Called with a TuningEpoch after each epoch.
    """

    dataset: str
    data: Path | None = None
    level: float = 0.98
    seed: int = 0
    epochs: int = DEFAULT_EPOCHS
    limit: int | None = None
    on_epoch: Callable[[TuningEpoch], None] | None = None


@dataclass(frozen=True, eq=False)
class TunedNetwork:
    """A fine-tuning, and what test recordings say, which nothing was chosen with.

    Attributes
    ----------
    tuning : FineTuning
        The network.
    calibration : sequence of neuro.Spikes
        What chose its scales.
    test_agreement : float or None
        Share of equal decisions; None for a folder, which has no test part.
    test_accuracy : tuple of float or None
        Of the network, of the chip.
    """

    tuning: FineTuning
    calibration: Sequence[neuro.Spikes]
    test_agreement: float | None
    test_accuracy: tuple[float, float] | None

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for a table."""
        tuning = self.tuning
        reached = "reached" if tuning.is_reached else "NOT reached"
        found = [
            (
                "decisions as by the network",
                f"{tuning.after:.2%} in validation, {tuning.before:.2%} before {len(tuning.history)} epochs "
                f"({tuning.level:.2%} asked for: {reached})",
            )
        ]
        if self.test_agreement is not None and self.test_accuracy is not None:
            network, chip = self.test_accuracy
            text = f"{self.test_agreement:.2%} as by the network; right: {chip:.2%}, network {network:.2%}"
            found.append(("decisions in test", text))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        tuning = self.tuning
        return {
            "level": tuning.level,
            "is_reached": tuning.is_reached,
            "validation_agreement_before": tuning.before,
            "validation_agreement": tuning.after,
            "epochs": len(tuning.history),
            "seed": tuning.seed,
            "test_agreement": self.test_agreement,
            "test_accuracy": None if self.test_accuracy is None else list(self.test_accuracy),
        }


def tune(
    recognizer: Recognizer,
    chip: hw.Target,
    plan: TuningPlan,
    *,
    calibration: Sequence[neuro.Spikes] = (),
    weight_bits: int | None = None,
) -> TunedNetwork:
    """Quantise a recogniser's network and train it further if it agrees too little.

    Parameters
    ----------
    recognizer : Recognizer
        The network and how recordings become its frames.
    chip : hw.Target
        The chip.
    plan : TuningPlan
        Recordings and the level asked for.
    calibration : sequence of neuro.Spikes, optional
        What chooses the scales; training recordings if none are given.
    weight_bits : int, optional
        1 to 8.

    Returns
    -------
    TunedNetwork
        The network in whole numbers.

    Raises
    ------
    UserError
        If the recordings cannot be found, or the network cannot be trained.
    """
    graph = recognizer.graph
    learned, checked = training_parts(plan.dataset, data=plan.data, seed=plan.seed)
    training = _frames(recognizer, learned, plan)
    calibration = calibration or training[:CALIBRATION]
    fixed = hw.quantize(graph, chip, calibration=list(calibration), weight_bits=weight_bits)
    tuning = fine_tune(
        graph, fixed, training, _frames(recognizer, checked, plan), level=plan.level, seed=plan.seed,
        epochs=plan.epochs, on_epoch=plan.on_epoch,
    )  # fmt: skip
    if not has_test_part(plan.dataset, data=plan.data):  # a folder is all training and validation
        return TunedNetwork(tuning, calibration, None, None)
    part = evaluation_part(plan.dataset, data=plan.data)
    found = decisions(graph, tuning.fixed, _frames(recognizer, part, plan))
    labels = np.array([sample.label for sample in _chosen(part, plan)])
    return TunedNetwork(tuning, calibration, found.agreement, found.accuracy(labels))


def _chosen(collection: Collection, plan: TuningPlan) -> list[Any]:
    """Return a draw of the recordings, in their order; all of them without a limit."""
    n = len(collection.samples)
    if plan.limit is None or plan.limit >= n:
        return list(collection.samples)
    order = np.random.default_rng(plan.seed).permutation(n)[: plan.limit]
    return [collection.samples[k] for k in np.sort(order)]


def _frames(recognizer: Recognizer, collection: Collection, plan: TuningPlan) -> list[neuro.Spikes]:
    """Return the first window of each recording."""
    encoding = recognizer.encoding
    return [
        encoding.spikes(
            next(
                windows(
                    Excerpt(sample, collection.width, collection.height),
                    width=encoding.width,
                    height=encoding.height,
                    window_us=encoding.window_us,
                )
            )
        )
        for sample in _chosen(collection, plan)
    ]
