"""Recognising a whole labelled collection: accuracy, confusions and cost, with and without attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventio.datasets import Collection
from spikeloom.decision import Decision
from spikeloom.errors import UserError
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy, excerpts

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The decisions about every recording of a collection.

    Attributes
    ----------
    dataset : str
        Name of the collection.
    class_names : tuple of str
        The classes, in the order of the model.
    labels : tuple of int
        The true class of each recording.
    decisions : tuple of Decision
        The decision about each recording.
    without_attention : tuple of Decision
        The same with every frame computed; the same objects when the network has no attention.
    """

    dataset: str
    class_names: tuple[str, ...]
    labels: tuple[int, ...]
    decisions: tuple[Decision, ...]
    without_attention: tuple[Decision, ...]

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """Recognised class of each recording, int64, shape (n_recordings,)."""
        return np.array([self.class_names.index(d.label) for d in self.decisions], np.int64)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Recordings per true class (row) and recognised class (column), int64."""
        n = len(self.class_names)
        pairs = np.asarray(self.labels, np.int64) * n + self.predictions
        return np.bincount(pairs, minlength=n * n).reshape(n, n)

    @property
    def accuracy(self) -> float:
        """Fraction of the recordings that were recognised."""
        return _accuracy(self.class_names, self.labels, self.decisions)

    @property
    def accuracy_without_attention(self) -> float:
        """Fraction of the recordings that are recognised when every frame is computed."""
        return _accuracy(self.class_names, self.labels, self.without_attention)

    @property
    def frames_kept(self) -> float:
        """Fraction of the frames that were computed."""
        return _ratio(self.total("frames_kept"), self.total("frames_total"))

    @property
    def events_kept(self) -> float:
        """Fraction of the events that lie in computed frames."""
        return _ratio(self.total("events_kept"), self.total("events"))

    @property
    def synaptic_operations(self) -> int:
        """Sum of the accumulations executed over all recordings."""
        return int(self.total("synaptic_operations"))

    @property
    def synaptic_operations_without_attention(self) -> int:
        """Sum of the accumulations over all recordings when every frame is computed."""
        return sum(d.synaptic_operations for d in self.without_attention)

    @property
    def seconds_per_recording(self) -> float:
        """Mean wall time from opening a recording to its decision."""
        return self.total("seconds") / len(self.decisions)

    @property
    def events_per_second(self) -> float:
        """Rate of events from file to decision, per second of wall time."""
        return float(self.total("events")) / self.total("seconds")

    def total(self, name: str) -> float:
        """Sum an attribute of the decisions.

        Parameters
        ----------
        name : str
            Name of a numeric attribute of `Decision`.

        Returns
        -------
        float
            The sum over all recordings; exact for counts under 2^53.
        """
        return float(sum(getattr(decision, name) for decision in self.decisions))

    def layer_operations(self, *, attention: bool = True) -> dict[str, int]:
        """Sum the accumulations per layer.

        Parameters
        ----------
        attention : bool
            False gives those of the run with every frame.

        Returns
        -------
        dict of str to int
            Layer name to number of accumulations.
        """
        return _summed([d.layer_operations for d in self._runs(attention)])

    def layer_spikes(self, *, attention: bool = True) -> dict[str, int]:
        """Sum the spikes per layer.

        Parameters
        ----------
        attention : bool
            False gives those of the run with every frame.

        Returns
        -------
        dict of str to int
            Layer name to number of spikes.
        """
        return _summed([d.layer_spikes for d in self._runs(attention)])

    def to_json(self) -> dict[str, Any]:
        """Give the figures as plain numbers under the keys of `spikeloom evaluate --json`.

        Returns
        -------
        dict
            Fractions are 0 to 1, operations are sums over all recordings.
        """
        return {
            "dataset": self.dataset,
            "recordings": len(self.decisions),
            "accuracy": self.accuracy,
            "accuracy_without_attention": self.accuracy_without_attention,
            "frames_kept": self.frames_kept,
            "events_kept": self.events_kept,
            "events": int(self.total("events")),
            "synaptic_operations": self.synaptic_operations,
            "synaptic_operations_without_attention": self.synaptic_operations_without_attention,
            "seconds_per_recording": self.seconds_per_recording,
            "engine_seconds_per_recording": self.total("engine_seconds") / len(self.decisions),
            "events_per_second": self.events_per_second,
        }

    def _runs(self, attention: bool) -> tuple[Decision, ...]:
        return self.decisions if attention else self.without_attention


def evaluate(
    recognizer: Recognizer,
    collection: Collection,
    *,
    damage: DamagePolicy = REFUSE_DAMAGE,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Recognise every recording of a collection, one after the other, on one thread.

    Nothing is kept between runs: reading is part of the time that is reported.

    Parameters
    ----------
    recognizer : Recognizer
        The model.
    collection : eventio.datasets.Collection
        Labelled recordings; its class names must be among those of the model.
    damage : DamagePolicy
        What to do with damaged recordings.
    on_progress : callable, optional
        Called with (recordings done, recordings in all).

    Returns
    -------
    Evaluation
        Decisions and cost.

    Raises
    ------
    UserError
        When the collection is empty, has a class unknown to the model, or holds a recording that
        the model cannot take.
    """
    labels = _labels(recognizer, collection)
    sources = excerpts(collection)
    has_attention = recognizer.attention is not None
    recognizer.recognize(sources[0], damage=damage)  # compiles and warms the caches
    decisions: list[Decision] = []
    without: list[Decision] = []
    for n_done, source in enumerate(sources, start=1):
        decisions.append(recognizer.recognize(source, damage=damage))
        if has_attention:
            without.append(recognizer.recognize(source, use_attention=False, damage=damage))
        if on_progress is not None:
            on_progress(n_done, len(sources))
    return Evaluation(
        dataset=collection.name,
        class_names=recognizer.class_names,
        labels=labels,
        decisions=tuple(decisions),
        without_attention=tuple(without) if has_attention else tuple(decisions),
    )


def _labels(recognizer: Recognizer, collection: Collection) -> tuple[int, ...]:
    if not collection.samples:
        raise UserError(f"{collection.name}: the collection holds no recordings")
    positions = {name: n for n, name in enumerate(recognizer.class_names)}
    unknown = sorted(set(collection.class_names) - set(positions))
    if unknown:
        raise UserError(
            f"{collection.name}: class '{unknown[0]}' is unknown to the model, which knows "
            f"{', '.join(recognizer.class_names)}; evaluate with recordings of these classes"
        )
    return tuple(positions[collection.class_names[sample.label]] for sample in collection.samples)


def _accuracy(names: tuple[str, ...], labels: tuple[int, ...], decisions: tuple[Decision, ...]) -> float:
    right = sum(names[label] == d.label for label, d in zip(labels, decisions, strict=True))
    return right / len(labels)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _summed(counts: list[tuple[tuple[str, int], ...]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for per_layer in counts:
        for name, count in per_layer:
            sums[name] = sums.get(name, 0) + count
    return sums
