"""Training a network further in the chip's whole numbers, when these decide too often otherwise than the network does.

The chip's arithmetic is computed forwards bit for bit; roundings of weights, sums and decays let gradients through
unchanged. What is learned is what the network itself decides, so no labels are needed. torch is needed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hw
import neuro
from hw.emulator import Engine
from neuro.graph import Graph
from spikeloom.errors import UserError

__all__ = ["FineTuning", "TuningEpoch", "Decisions", "fine_tune", "decisions"]

Floats = NDArray[np.float64]
DEFAULT_EPOCHS = 8


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a network and the same network on a chip decide.

    Attributes
    ----------
    network, chip : float64 array, shape (n_recordings, n_classes)
        Sums of the outputs over all steps.
    """

    network: Floats
    chip: Floats

    @property
    def agreement(self) -> float:
        """Share of the recordings that both put into the same class."""
        return float((self.network.argmax(axis=1) == self.chip.argmax(axis=1)).mean())

    @property
    def distance(self) -> float:
        """Mean Kullback-Leibler divergence of the chip's class probabilities from the network's."""
        p, q = (_log_probabilities(values / _unit(self.network)) for values in (self.network, self.chip))
        return float((np.exp(p) * (p - q)).sum(axis=1).mean())

    def accuracy(self, labels: NDArray[np.int64]) -> tuple[float, float]:
        """Return the share of right decisions of the network and of the chip.

        Parameters
        ----------
        labels : int64 array, shape (n_recordings,)
            The classes.

        Returns
        -------
        tuple of float
            Of the network, of the chip.
        """
        return tuple(float((values.argmax(axis=1) == labels).mean()) for values in (self.network, self.chip))  # type: ignore[return-value]


@dataclass(frozen=True)
class TuningEpoch:
    """What one epoch gave.

    Attributes
    ----------
    epoch, n_epochs : int
        Number of the epoch, from 1; the most there can be.
    loss : float
        Mean divergence in the training batches.
    agreement, distance : float
        On the validation recordings, in the emulator.
    is_best : bool
        Whether this epoch's network is the best so far.
    """

    epoch: int
    n_epochs: int
    loss: float
    agreement: float
    distance: float
    is_best: bool


@dataclass(frozen=True, eq=False)
class FineTuning:
    """A network in whole numbers after training further.

    Attributes
    ----------
    fixed : hw.FixedGraph
        The best network, which may be the first one.
    level : float
        The agreement that was asked for.
    before, after : float
        Agreement on the validation recordings.
    history : tuple of TuningEpoch
        The epochs; none if there was nothing to do.
    seed : int
        Seed of the order of the recordings.
    """

    fixed: hw.FixedGraph
    level: float
    before: float
    after: float
    history: tuple[TuningEpoch, ...]
    seed: int

    @property
    def is_reached(self) -> bool:
        """Whether the agreement that was asked for is reached."""
        return self.after >= self.level


def decisions(graph: Graph, fixed: hw.FixedGraph, recordings: Sequence[neuro.Spikes]) -> Decisions:
    """Let a network and the chip decide about recordings.

    Parameters
    ----------
    graph : Graph
        The network; its first output is summed over the steps.
    fixed : hw.FixedGraph
        The same in whole numbers.
    recordings : sequence of neuro.Spikes
        What goes in.

    Returns
    -------
    Decisions
        Of both.
    """
    return Decisions(_network_sums(graph, recordings), _chip_sums(graph, fixed, recordings))


def _network_sums(graph: Graph, recordings: Sequence[neuro.Spikes]) -> Floats:
    results = neuro.simulate(graph, list(recordings))
    return np.stack(
        [result.output.reshape(len(result.output), -1).sum(axis=0, dtype=np.float64) for result in results]
    )


def _chip_sums(graph: Graph, fixed: hw.FixedGraph, recordings: Sequence[neuro.Spikes]) -> Floats:
    engine, name = Engine(fixed, fixed.profile), graph.output_names[0]
    found = []
    for recording in recordings:
        outputs = engine.run(recording, kept=hw.kept_steps(graph, recording)).outputs[name]
        found.append(outputs.reshape(len(outputs), -1).sum(axis=0, dtype=np.float64))
    return np.stack(found)


def _unit(values: Floats) -> float:
    """Return the spread of a network's outputs between classes, in which differences are measured."""
    return float(np.std(values - values.mean(axis=1, keepdims=True))) / 3 or 1.0


def _log_probabilities(values: Floats) -> Floats:
    shifted = values - values.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def fine_tune(
    graph: Graph,
    fixed: hw.FixedGraph,
    training: Sequence[neuro.Spikes],
    validation: Sequence[neuro.Spikes],
    *,
    level: float,
    seed: int = 0,
    epochs: int = DEFAULT_EPOCHS,
    learning_rate: float = 0.005,
    batch_size: int = 32,
    threads: int | None = None,
    on_epoch: Callable[[TuningEpoch], None] | None = None,
) -> FineTuning:
    """Train the weights of a network on the chip until it decides as the network does.

    Nothing happens where the agreement on the validation recordings is `level` or more. Otherwise weights and biases
    are moved by Adam, at a rate that falls as a cosine, and the network with the best agreement, then the
    smallest distance, on the validation recordings is kept. Training ends when `level` is reached.

    Parameters
    ----------
    graph : Graph
        The network; its decisions are what is learned.
    fixed : hw.FixedGraph
        The same in whole numbers, of :func:`hw.quantize`.
    training : sequence of neuro.Spikes
        Recordings to train with, all with the same number of steps.
    validation : sequence of neuro.Spikes
        Others, which choose the network. Never take test data.
    level : float
        The share of equal decisions that is asked for, 0 to 1.
    seed : int
        Seed of the order of the recordings.
    epochs : int
        The most passes over the training recordings.
    learning_rate : float
        As a fraction of the largest weight (and bias) of each connection.
    batch_size : int
        Recordings at a time.
    threads : int, optional
        Threads of torch.
    on_epoch : callable, optional
        Called with a TuningEpoch after each epoch.

    Returns
    -------
    FineTuning
        The network and how it came about.

    Raises
    ------
    UserError
        If recordings are missing or differ in length, `level` is no share, or the network has graded spikes or an
        output that the host computes.
    neuro.MissingPackageError
        If torch is missing.
    """
    _check(fixed, training, validation, level)
    first = decisions(graph, fixed, validation)
    if first.agreement >= level:
        return FineTuning(fixed, level, first.agreement, first.agreement, (), seed)
    if len({recording.n_steps for recording in training}) > 1:
        raise UserError(
            "fine-tuning: the recordings must have the same number of steps; cut them into windows"
        )
    from neuro.training.determinism import controlled

    with controlled(seed, device="cpu", threads=threads):
        tuner = _Tuner(graph, fixed, training, validation, first, learning_rate, epochs, batch_size, seed)
        while len(tuner.history) < epochs and tuner.best[0] < level:
            report = tuner.epoch(epochs)
            if on_epoch is not None:
                on_epoch(report)
    return tuner.finish(level, seed)


def _check(
    fixed: hw.FixedGraph, training: Sequence[neuro.Spikes], validation: Sequence[neuro.Spikes], level: float
) -> None:
    if not 0 <= level <= 1:
        raise UserError(f"fine-tuning: the agreement asked for must be 0 to 1, got {level}")
    if not training or not validation:
        raise UserError("fine-tuning: needs recordings to train with and others to choose with, got none")
    if fixed.host is not None:
        raise UserError(
            "fine-tuning: the host computes this network's output; put an LI in place of its Readout"
        )


class _Tuner:
    """A fine-tuning between epochs."""

    def __init__(  # noqa: PLR0917
        self,
        graph: Graph,
        fixed: hw.FixedGraph,
        training: Sequence[neuro.Spikes],
        validation: Sequence[neuro.Spikes],
        first: Decisions,
        learning_rate: float,
        epochs: int,
        batch_size: int,
        seed: int,
    ) -> None:
        import torch

        from spikeloom.chip_training import ChipNetwork

        self.graph, self.fixed, self.training, self.validation = graph, fixed, training, validation
        self.truth, self.checked = _network_sums(graph, training), first.network
        self.kept = [hw.kept_steps(graph, recording) for recording in training]
        self.network = ChipNetwork(fixed)
        self.batch_size, self.before = batch_size, first.agreement
        self.best: tuple[float, float, hw.FixedGraph] = (first.agreement, first.distance, fixed)
        self.history: list[TuningEpoch] = []
        self.order = np.random.default_rng(seed)
        groups = [
            {"params": [values], "lr": learning_rate * max(1.0, float(values.detach().abs().max()))}
            for values in self.network.parameters()
        ]
        self.optimizer = torch.optim.Adam(groups)
        n_batches = epochs * math.ceil(len(training) / batch_size)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, n_batches)

    def epoch(self, n_epochs: int) -> TuningEpoch:
        """Train on all recordings once, then look at the validation recordings."""
        order = self.order.permutation(len(self.training))
        losses = [
            self._batch(order[first : first + self.batch_size])
            for first in range(0, order.size, self.batch_size)
        ]
        candidate = self.network.export()
        found = Decisions(self.checked, _chip_sums(self.graph, candidate, self.validation))
        is_best = (found.agreement, -found.distance) > (self.best[0], -self.best[1])
        if is_best:
            self.best = (found.agreement, found.distance, candidate)
        report = TuningEpoch(
            len(self.history) + 1, n_epochs, float(np.mean(losses)), found.agreement, found.distance, is_best
        )
        self.history.append(report)
        return report

    def _batch(self, chosen: NDArray[np.int64]) -> float:
        import torch

        loss = self._divergence(chosen)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())

    def _divergence(self, chosen: NDArray[np.int64]) -> Any:
        import torch

        fixed, name = self.fixed, self.graph.output_names[0]
        n_steps = self.training[0].n_steps
        found = self.network(self._inputs(chosen), n_steps + fixed.depth)[name]
        population, depth = fixed.populations[name], fixed.depths[name]
        sums = found[depth : depth + n_steps].double().sum(dim=0).flatten(1)
        if population.kind == "readout":
            sums = sums / population.scale + population.rest * n_steps
        unit = _unit(self.truth)
        target = torch.tensor(_log_probabilities(self.truth[chosen] / unit))
        return torch.nn.functional.kl_div(
            torch.log_softmax(sums / unit, dim=1), target, reduction="batchmean", log_target=True
        )

    def _inputs(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        """Return the spikes of all inputs: the recordings, without frames that attention drops, and the host's gate."""
        import torch

        frames = np.stack([self.training[k].to_dense() for k in chosen], axis=1)
        kept = np.ones(frames.shape[:2], np.float32)
        for column, k in enumerate(chosen):
            mask = self.kept[k]
            if mask is not None:
                kept[:, column] = mask
        frames = frames * kept.reshape(*kept.shape, *(1,) * (frames.ndim - 2))
        found = {self.fixed.input_name: torch.tensor(frames, dtype=torch.float32)}
        if self.fixed.gate_name:
            found[self.fixed.gate_name] = torch.tensor(kept[..., None])
        return found

    def finish(self, level: float, seed: int) -> FineTuning:
        """Return the best network."""
        after, _, fixed = self.best
        if fixed is not self.fixed:
            note = (
                "weights and biases were trained further for "
                f"{len(self.history)} epochs (seed {seed}): {after:.2%} of the validation recordings are "
                f"decided as by the network, {self.before:.2%} before"
            )
            fixed = replace(fixed, notes=(*fixed.notes, note))
        return FineTuning(fixed, level, self.before, after, tuple(self.history), seed)
