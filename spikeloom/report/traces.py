"""What happened in the network while it looked at a few recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import neuro
import neuro.graph
from eventio.datasets import Collection, Sample
from spikeloom.decision import Decision
from spikeloom.evaluation import Evaluation
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy, Excerpt, Window, excerpts

SPIKING = (neuro.graph.IF, neuro.graph.LIF, neuro.graph.CubaLIF)


@dataclass(frozen=True, eq=False)
class Trace:
    """One recording, the first window of it in detail.

    Attributes
    ----------
    name : str
        Name of the recording's file.
    truth : str
        Its true class.
    decision : Decision
        The decision about the whole recording.
    window : Window
        Events of the first window.
    inputs : neuro.Spikes
        What entered the network.
    spikes : dict of str to neuro.Spikes
        Spikes of every spiking layer, from the input side to the output side.
    attention : neuro.AttentionReport or None
        Scores of the frames and which were kept.
    probabilities : numpy.ndarray
        float64, shape (n_frames, n_classes): running probability of each class.
    """

    name: str
    truth: str
    decision: Decision
    window: Window
    inputs: neuro.Spikes
    spikes: dict[str, neuro.Spikes]
    attention: neuro.AttentionReport | None
    probabilities: NDArray[np.float64]

    @property
    def is_right(self) -> bool:
        """Whether the recording was recognised."""
        return self.decision.label == self.truth


def trace(
    recognizer: Recognizer,
    collection: Collection,
    evaluation: Evaluation,
    position: int,
    *,
    damage: DamagePolicy = REFUSE_DAMAGE,
) -> Trace:
    """Recognise one recording again and keep what happened on the way.

    Parameters
    ----------
    recognizer : Recognizer
        The model.
    collection : Collection
        The recordings that were evaluated.
    evaluation : Evaluation
        The decisions about them.
    position : int
        Which recording.
    damage : DamagePolicy
        What to do when it is damaged.

    Returns
    -------
    Trace
        The first window in detail.
    """
    graph = recognizer.graph
    layers = [name for name in graph.order if isinstance(graph.nodes[name], SPIKING)]
    sample = collection.samples[position]
    runs = recognizer.run_windows(
        excerpts(collection)[position], record=dict.fromkeys(layers, "spikes"), damage=damage
    )
    first = next(iter(runs))
    readout = first.result.output.reshape(first.spikes.n_steps, -1).astype(np.float64)
    return Trace(
        name=recording_name(sample, collection),
        truth=collection.class_names[sample.label],
        decision=evaluation.decisions[position],
        window=first.window,
        inputs=first.spikes,
        spikes={name: first.result.spikes[name] for name in layers},
        attention=first.result.attention,
        probabilities=recognizer.probabilities(np.cumsum(readout, axis=0)),
    )


def recording_name(sample: Sample, collection: Collection) -> str:
    """Name a recording briefly: its file or part of it, behind its folder where that is named after a class.

    Parameters
    ----------
    sample : Sample
        The recording.
    collection : Collection
        Where it belongs.

    Returns
    -------
    str
        'LABEL/file' or 'file'.
    """
    folder = sample.path.parent.name
    name = Path(Excerpt(sample).name).name
    return f"{folder}/{name}" if folder in collection.class_names else name


def telling_positions(evaluation: Evaluation, *, n_right: int = 3, n_wrong: int = 1) -> list[int]:
    """Choose a few recordings to show: recognised ones of different classes, then mistaken ones.

    Parameters
    ----------
    evaluation : Evaluation
        The decisions.
    n_right, n_wrong : int
        How many of each kind, where there are as many.

    Returns
    -------
    list of int
        Positions; of the mistakes, the most confident ones.
    """
    labels = np.asarray(evaluation.labels)
    is_right = evaluation.predictions == labels
    chosen: list[int] = []
    seen: set[int] = set()
    for position in np.flatnonzero(is_right):
        if len(chosen) < n_right and int(labels[position]) not in seen:
            chosen.append(int(position))
            seen.add(int(labels[position]))
    wrong = np.flatnonzero(~is_right)
    confidence = np.array([evaluation.decisions[position].confidence for position in wrong])
    return chosen + [int(n) for n in wrong[np.argsort(-confidence, kind="stable")][:n_wrong]]
