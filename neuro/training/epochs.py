"""The state of a training between epochs, and what one epoch does to it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from neuro.training.augmentation import augment
from neuro.training.configuration import NetworkConfig, Recipe
from neuro.training.frames import Frames, parts, tensor_of
from neuro.training.measurement import events_of, measure, to_frames
from neuro.training.network import SpikingNetwork
from neuro.training.scores import straight_through, threshold_for
from neuro.training.trained import EpochReport, TrainedNetwork, fold_and_snap


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained, on what and how.

    Attributes
    ----------
    frames, validation_frames : Frames
        uint8 or float32, shape (n, T, channels, rows, columns).
    labels, validation_labels : torch.Tensor
        int64, shape (n,).
    config : NetworkConfig
        Shape and constants.
    recipe : Recipe
        Optimiser, phases, augmentation.
    epochs, seed : int
        As in `train`.
    device : torch.device
        Where the network is trained.
    """

    frames: Frames
    labels: torch.Tensor
    validation_frames: Frames
    validation_labels: torch.Tensor
    config: NetworkConfig
    recipe: Recipe
    epochs: int
    seed: int
    device: torch.device

    @property
    def n_soft(self) -> int:
        """Number of epochs before the hard phase."""
        hard = self.recipe.hard_fraction if self.config.attention else 0.0
        return self.epochs - math.ceil(hard * self.epochs)

    @property
    def n_with_batch_statistics(self) -> int:
        """Number of epochs before batch norm keeps its running statistics."""
        return self.epochs - math.ceil(self.recipe.frozen_fraction * self.epochs)

    def phase(self, epoch: int) -> str:
        """Name the phase of an epoch, counted from 0.

        Parameters
        ----------
        epoch : int
            Number of the epoch.

        Returns
        -------
        str
            'plain', 'soft' or 'hard'.
        """
        if not self.config.attention:
            return "plain"
        return "soft" if epoch < self.n_soft else "hard"

    def shares(self, phase: str) -> tuple[float, ...] | None:
        """Shares of kept frames that the validation of a phase averages over.

        Parameters
        ----------
        phase : str
            'plain', 'soft' or 'hard'.

        Returns
        -------
        tuple[float, ...] or None
            None: soft scores.
        """
        if phase == "soft" and self.n_soft < self.epochs:
            return None
        return self.recipe.validation_kept


class Training:
    """A training between epochs.

    Parameters
    ----------
    task : Task
        What is trained, on what and how. Torch must be seeded.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.generator = torch.Generator().manual_seed(task.seed)
        self.network = SpikingNetwork(task.config)
        if self.network.scores is not None:
            squeezed = _events_per_frame(task.frames) / math.prod(task.config.input_shape)
            self.network.scores.start_from(float(squeezed.mean()), float(squeezed.std(correction=0)))
            self.network.scores.weaken(task.recipe.score_strength)
        self.network.to(task.device)
        groups = _parameter_groups(self.network, task.recipe)
        self.optimizer = torch.optim.AdamW(groups, lr=task.recipe.learning_rate)
        self.history: list[EpochReport] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_report: EpochReport | None = None

    def epoch(self) -> EpochReport:
        """Train once over all recordings and measure the validation accuracy.

        Returns
        -------
        EpochReport
            What it gave; also appended to `history`.
        """
        started = time.perf_counter()
        task, number = self.task, len(self.history)
        phase = task.phase(number)
        batches = torch.randperm(len(task.frames), generator=self.generator).split(task.recipe.batch_size)
        totals = np.zeros(4)
        self.network.train()
        if number >= task.n_with_batch_statistics:
            for layer in self.network.spiking_layers:
                layer.norm.eval()
        for k, batch in enumerate(batches):
            rate = _rate(task.recipe, (number * len(batches) + k + 1) / (task.epochs * len(batches)))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            totals += len(batch) * np.array(self._step(batch, phase))
        loss, accuracy, score, spike_rate = (totals / len(task.frames)).tolist()
        validation_loss, validation_accuracy = measure(
            self.network,
            task.validation_frames,
            task.validation_labels,
            shares=task.shares(phase),
            by_events=task.recipe.by_events,
        )
        report = EpochReport(
            epoch=number + 1,
            n_epochs=task.epochs,
            phase=phase,
            loss=loss,
            accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            mean_score=score,
            is_best=task.shares(phase) is not None and self._is_best(validation_accuracy, validation_loss),
            seconds=time.perf_counter() - started,
            spike_rate=spike_rate,
        )
        if report.is_best:
            self.best_report = report
            self.best = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        self.history.append(report)
        return report

    def _is_best(self, accuracy: float, loss: float) -> bool:
        best = self.best_report
        return best is None or (accuracy, -loss) > (best.validation_accuracy, -best.validation_loss)

    def _step(self, batch: torch.Tensor, phase: str) -> tuple[float, float, float, float]:
        """Train on one batch: loss, accuracy, mean score, spike rate."""
        task, recipe = self.task, self.task.recipe
        moved = augment(tensor_of(task.frames[batch.numpy()]), recipe.augmentation, self.generator)
        frames = to_frames(moved).to(task.device)
        labels = task.labels[batch].to(task.device)
        gain, kept, scores, score = None, None, None, None
        if self.network.scores is not None:
            gain = scores = self.network.scores(frames)
            events = events_of(frames) if recipe.by_events else None
            score = scores.mean() if events is None else (scores * events).sum() / events.sum().clamp(min=1.0)
            if phase == "hard":
                kept = scores.detach() >= self._drawn_threshold(scores.detach(), events)
                kept |= kept.sum() < 2  # batch norm needs two frames
                gain = straight_through(scores)
        rates: list[torch.Tensor] = []
        membranes = self.network.forward_fast(frames, gain=gain, kept=kept, rates=rates)
        logits, loss, total = _losses(membranes, labels, recipe=recipe)
        if score is not None:
            total = total + recipe.score_weight * (score - recipe.mean_score) ** 2
        rate = torch.stack(rates) if rates else logits.new_zeros(1)
        if recipe.rate_penalty:
            total = total + recipe.rate_penalty * torch.relu(rate - recipe.target_rate).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        return loss.item(), accuracy, math.nan if score is None else score.item(), rate.mean().item()

    def _drawn_threshold(self, scores: torch.Tensor, events: torch.Tensor | None) -> float:
        """Threshold that keeps a random share of the batch's frames, or events."""
        recipe = self.task.recipe
        keep_all, where = torch.rand(2, generator=self.generator).tolist()
        if keep_all < recipe.keep_all:
            return 0.0
        share = recipe.least_kept + (1.0 - recipe.least_kept) * where
        weights = None if events is None else events.cpu().numpy()
        return threshold_for(scores.cpu().numpy(), share, weights=weights)

    def finish(self) -> TrainedNetwork:
        """Fold and round the best network and measure it again.

        Returns
        -------
        TrainedNetwork
            The result.
        """
        task = self.task
        assert self.best_report is not None
        self.network.load_state_dict(self.best)
        snapped, grid = fold_and_snap(self.network.cpu())
        _, accuracy = measure(
            snapped,
            task.validation_frames,
            task.validation_labels,
            shares=task.shares(self.best_report.phase),
            by_events=task.recipe.by_events,
        )
        return TrainedNetwork(
            network=snapped,
            weight_grid=grid,
            config=task.config,
            recipe=task.recipe,
            seed=task.seed,
            history=tuple(self.history),
            best_epoch=self.best_report.epoch,
            validation_accuracy=self.best_report.validation_accuracy,
            snapped_validation_accuracy=accuracy,
        )

    def values(self) -> dict[str, Any]:
        """All that later epochs depend on.

        Returns
        -------
        dict
            Tensors, numbers, texts, lists and dicts.
        """
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
            "generator_state": self.generator.get_state(),
            "history": [asdict(report) for report in self.history],
            "best": self.best,
            "best_epoch": 0 if self.best_report is None else self.best_report.epoch,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Continue from a checkpoint.

        Parameters
        ----------
        values : dict
            As given by `values`.
        """
        self.network.load_state_dict(values["network"])
        self.optimizer.load_state_dict(values["optimizer"])
        torch.set_rng_state(values["random_state"])
        self.generator.set_state(values["generator_state"])
        self.history = [EpochReport(**report) for report in values["history"]]
        self.best = values["best"]
        self.best_report = self.history[values["best_epoch"] - 1] if values["best_epoch"] else None


def _events_per_frame(frames: Frames) -> torch.Tensor:
    """Sum the counts of every frame: float64, shape (n, T)."""
    return torch.cat([tensor_of(part).sum(dim=(2, 3, 4)).double() for part in parts(frames)])


def _losses(
    membranes: torch.Tensor, labels: torch.Tensor, *, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, the loss at the end of the window, and the loss to minimise, from the readout of every step."""

    def cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)

    weight = recipe.every_step_weight
    if weight == 0:
        logits = membranes.sum(0)
        loss = cross_entropy(logits, labels)
        return logits, loss, loss
    running = torch.cumsum(membranes, 0)
    loss = cross_entropy(running[-1], labels)
    every = cross_entropy(running.flatten(0, 1), labels.repeat(len(running)))
    return running[-1], loss, (1 - weight) * loss + weight * every


def _rate(recipe: Recipe, done: float) -> float:
    """Learning rate once a share `done` of all batches is trained."""
    if done < recipe.warm_up:
        return recipe.learning_rate * done / recipe.warm_up
    falling = (done - recipe.warm_up) / (1.0 - recipe.warm_up) if recipe.warm_up < 1 else 1.0
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * falling))


def _parameter_groups(network: SpikingNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay for the synapses' weights alone."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_weight = parameter.dim() > 1 and not name.startswith("scores")
        (decayed if is_weight else others).append(parameter)
    return [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
