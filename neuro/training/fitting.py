"""Surrogate-gradient training of a recogniser, reproducible from a seed and resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neuro.errors import InputError
from neuro.training.augmentation import augment
from neuro.training.checkpoints import fingerprint, read_checkpoint, write_checkpoint
from neuro.training.configuration import NetworkConfig, Recipe
from neuro.training.network import SpikingNetwork
from neuro.training.trained import EpochReport, TrainedNetwork, check_frames, fold_and_snap, to_frames

Progress = Callable[[EpochReport], None]


def train(
    frames: np.ndarray,
    labels: np.ndarray,
    validation_frames: np.ndarray,
    validation_labels: np.ndarray,
    *,
    config: NetworkConfig,
    epochs: int,
    seed: int,
    recipe: Recipe | None = None,
    device: str = "cpu",
    threads: int | None = None,
    resume: str | Path | None = None,
    on_progress: Progress | None = None,
) -> TrainedNetwork:
    """Train a recogniser and keep the network with the best validation accuracy.

    The loss is the cross entropy of the readout's membrane, summed over the frames. Ties in validation
    accuracy go to the lower validation loss. Afterwards batch norm is folded and weights are rounded to a
    grid on which all sums are exact, and the validation accuracy is measured again. On the CPU the result
    is the same, bit for bit, for the same arguments and number of threads. The process's random state,
    thread count and deterministic settings are as before afterwards.

    Parameters
    ----------
    frames : numpy.ndarray
        uint8 or float32, shape (n, T, channels, rows, columns): event counts of the training recordings.
    labels : numpy.ndarray
        Integers, shape (n,), 0 to n_classes - 1.
    validation_frames, validation_labels : numpy.ndarray
        Recordings that choose the model; never trained on.
    config : NetworkConfig
        Shape and constants.
    epochs : int
        Passes over the training recordings.
    seed : int
        Source of the initial weights, the order, the augmentation and dropout.
    recipe : Recipe, optional
        Optimiser, phases, augmentation; the default recipe if None.
    device : str
        'cpu' (fused neurons), or a torch device such as 'cuda' (norse's cells).
    threads : int, optional
        Threads to use; torch's setting if None.
    resume : str or Path, optional
        Checkpoint file: written after each epoch and, if it exists, continued from.
    on_progress : Callable[[EpochReport], None], optional
        Called after each epoch.

    Returns
    -------
    TrainedNetwork
        The folded and rounded network with its history.

    Raises
    ------
    InputError
        Shapes, labels or counts do not fit the config, or `resume` belongs to another training.
    ModelFileError
        `resume` is not a checkpoint or is damaged.
    """
    recipe = Recipe() if recipe is None else recipe
    _check_data("training", frames, labels, config)
    _check_data("validation", validation_frames, validation_labels, config)
    if epochs < 1:
        raise InputError(f"epochs must be >= 1, got {epochs}")
    with _controlled(seed, device, threads):
        key = fingerprint(
            (frames, labels, validation_frames, validation_labels),
            (config, recipe, epochs, seed, device, torch.get_num_threads()),
        )
        run = _Training(frames, labels, config, recipe, epochs, seed, device)
        validation = (torch.from_numpy(validation_frames), torch.from_numpy(validation_labels).long())
        if resume is not None:
            run.restore(read_checkpoint(Path(resume), key))
        while len(run.history) < epochs:
            report = run.epoch(validation)
            if resume is not None:
                write_checkpoint(Path(resume), key, run.values())
            if on_progress is not None:
                on_progress(report)
        return run.finish(validation)


class _Training:
    """State of a training between epochs."""

    def __init__(
        self,
        frames: np.ndarray,
        labels: np.ndarray,
        config: NetworkConfig,
        recipe: Recipe,
        epochs: int,
        seed: int,
        device: str,
    ) -> None:
        self.frames = torch.from_numpy(frames)
        self.labels = torch.from_numpy(labels).long()
        self.recipe = recipe
        self.epochs = epochs
        self.seed = seed
        self.device = torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.network = SpikingNetwork(config)
        if self.network.scores is not None:
            squeezed = self.frames.sum(dim=(2, 3, 4)).double() / math.prod(config.input_shape)
            self.network.scores.start_from(float(squeezed.mean()), float(squeezed.std(correction=0)))
        self.network.to(self.device)
        self.optimizer = torch.optim.AdamW(_parameter_groups(self.network, recipe), lr=recipe.learning_rate)
        self.history: list[EpochReport] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_report: EpochReport | None = None
        hard = recipe.hard_fraction if config.attention else 0.0
        self.n_soft = epochs - math.ceil(hard * epochs)

    def epoch(self, validation: tuple[torch.Tensor, torch.Tensor]) -> EpochReport:
        """Train once over all recordings and measure the validation accuracy."""
        started = time.perf_counter()
        number = len(self.history)
        phase = self._phase(number)
        order = torch.randperm(len(self.frames), generator=self.generator)
        batches = order.split(self.recipe.batch_size)
        totals = np.zeros(3)
        self.network.train()
        for k, batch in enumerate(batches):
            rate = self._rate((number * len(batches) + k + 1) / (self.epochs * len(batches)))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            totals += len(batch) * np.array(self._step(batch, phase))
        loss, accuracy, score = totals / len(self.frames)
        validation_loss, validation_accuracy = self.measure(self.network, validation, phase)
        comparable = phase != "soft" or self.n_soft == self.epochs
        rank = (validation_accuracy, -validation_loss)
        best = self.best_report
        is_best = comparable and (best is None or rank > (best.validation_accuracy, -best.validation_loss))
        report = EpochReport(
            number + 1, self.epochs, phase, loss, accuracy, validation_loss, validation_accuracy,
            score, is_best, time.perf_counter() - started,
        )  # fmt: skip
        if is_best:
            self.best_report = report
            self.best = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        self.history.append(report)
        return report

    def _phase(self, number: int) -> str:
        if self.network.scores is None:
            return "plain"
        return "soft" if number < self.n_soft else "hard"

    def _rate(self, done: float) -> float:
        """Learning rate once a share `done` of all batches is trained."""
        warm_up = self.recipe.warm_up
        if done < warm_up:
            return self.recipe.learning_rate * done / warm_up
        falling = (done - warm_up) / (1.0 - warm_up) if warm_up < 1 else 1.0
        return self.recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * falling))

    def _step(self, batch: torch.Tensor, phase: str) -> tuple[float, float, float]:
        """Train on one batch: loss, accuracy, mean score."""
        recipe = self.recipe
        frames = to_frames(augment(self.frames[batch], recipe.augmentation, self.generator)).to(self.device)
        labels = self.labels[batch].to(self.device)
        gain, kept, scores = None, None, None
        if self.network.scores is not None:
            scores = self.network.scores(frames)
            gain = scores
            if phase == "hard":
                kept = scores.detach() >= self._drawn_threshold(scores.detach())
                gain = straight_through(scores)
        logits = self._membrane(self.network, frames, gain, kept).sum(0)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        total = loss
        if scores is not None:
            total = loss + recipe.score_weight * (scores.mean() - recipe.mean_score) ** 2
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        accuracy = float((logits.argmax(1) == labels).float().mean())
        return loss.item(), accuracy, math.nan if scores is None else scores.mean().item()

    def _membrane(
        self,
        network: SpikingNetwork,
        frames: torch.Tensor,
        gain: torch.Tensor | None,
        kept: torch.Tensor | None,
    ) -> torch.Tensor:
        if self.device.type == "cpu":
            return network.forward_fast(frames, gain=gain, kept=kept)
        scaled = frames if gain is None else frames * gain[..., None, None, None]
        return network(scaled, kept=kept)

    def _drawn_threshold(self, scores: torch.Tensor) -> float:
        """Threshold that keeps a random share of the batch's frames."""
        keep_all, where = torch.rand(2, generator=self.generator).tolist()
        if keep_all < self.recipe.keep_all:
            return 0.0
        share = self.recipe.least_kept + (1.0 - self.recipe.least_kept) * where
        return threshold_for(scores.cpu().numpy(), share)

    def measure(
        self, network: SpikingNetwork, data: tuple[torch.Tensor, torch.Tensor], phase: str
    ) -> tuple[float, float]:
        """Loss and accuracy on held-out recordings, means over the recipe's kept shares."""
        network.eval()
        soft = phase == "soft" and self.n_soft < self.epochs
        shares = (1.0,) if network.scores is None or soft else self.recipe.validation_kept
        with torch.no_grad():
            scores = torch.cat([self._scores(network, part) for part in data[0].split(100)], dim=1)
            results = []
            for share in shares:
                kept = scores >= threshold_for(scores.numpy(), share)
                logits = []
                for part, s, k in zip(
                    data[0].split(100), scores.split(100, 1), kept.split(100, 1), strict=True
                ):
                    x = to_frames(part).to(self.device)
                    membrane = self._membrane(network, x, s.to(x.device) if soft else None, k.to(x.device))
                    logits.append(membrane.sum(0).cpu())
                every = torch.cat(logits)
                accuracy = float((every.argmax(1) == data[1]).double().mean())
                results.append((float(nn.functional.cross_entropy(every, data[1])), accuracy))
        loss, accuracy = np.mean(results, axis=0).tolist()
        return loss, accuracy

    def _scores(self, network: SpikingNetwork, part: torch.Tensor) -> torch.Tensor:
        if network.scores is None:
            return torch.ones(part.shape[1], part.shape[0])
        scores: torch.Tensor = network.scores(to_frames(part).to(self.device)).cpu()
        return scores

    def finish(self, validation: tuple[torch.Tensor, torch.Tensor]) -> TrainedNetwork:
        """Fold and round the best network and measure it again."""
        if self.best_report is None:
            raise AssertionError("no epoch was measured")
        self.network.load_state_dict(self.best)
        snapped, grid = fold_and_snap(self.network.cpu())
        self.device = torch.device("cpu")
        _, accuracy = self.measure(snapped, validation, self.best_report.phase)
        return TrainedNetwork(
            network=snapped,
            weight_grid=grid,
            config=self.network.config,
            recipe=self.recipe,
            seed=self.seed,
            history=tuple(self.history),
            best_epoch=self.best_report.epoch,
            validation_accuracy=self.best_report.validation_accuracy,
            snapped_validation_accuracy=accuracy,
        )

    def values(self) -> dict[str, Any]:
        """All that later epochs depend on."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
            "generator_state": self.generator.get_state(),
            "history": [asdict(report) for report in self.history],
            "best": self.best,
            "best_epoch": 0 if self.best_report is None else self.best_report.epoch,
        }

    def restore(self, values: dict[str, Any] | None) -> None:
        """Continue from `values`; nothing happens for None."""
        if values is None:
            return
        self.network.load_state_dict(values["network"])
        self.optimizer.load_state_dict(values["optimizer"])
        torch.set_rng_state(values["random_state"])
        self.generator.set_state(values["generator_state"])
        self.history = [EpochReport(**report) for report in values["history"]]
        self.best = values["best"]
        self.best_report = self.history[values["best_epoch"] - 1] if values["best_epoch"] else None


def straight_through(scores: torch.Tensor) -> torch.Tensor:
    """Ones whose gradient is that of the scores (for kept frames).

    Parameters
    ----------
    scores : torch.Tensor
        float32, any shape.

    Returns
    -------
    torch.Tensor
        float32, same shape, all 1.
    """
    return torch.ones_like(scores) + (scores - scores.detach())


def threshold_for(scores: np.ndarray, share: float) -> float:
    """Threshold that keeps about a share of the frames.

    Parameters
    ----------
    scores : numpy.ndarray
        float32, any shape.
    share : float
        Share of the frames with score >= threshold, in (0, 1].

    Returns
    -------
    float
        The score of the last kept frame (0 for share 1: every frame is kept).

    Examples
    --------
    >>> threshold_for(np.array([0.1, 0.4, 0.2, 0.3], np.float32), 0.5) == np.float32(0.3)
    True
    """
    if share >= 1.0:
        return 0.0
    ordered = np.sort(scores, axis=None)[::-1]
    return float(ordered[max(1, round(share * ordered.size)) - 1])


def _parameter_groups(network: SpikingNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay for the synapses' weights alone."""
    decayed, others = [], []
    for name, parameter in network.named_parameters():
        is_weight = parameter.dim() > 1 and not name.startswith("scores")
        (decayed if is_weight else others).append(parameter)
    return [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _check_data(what: str, frames: np.ndarray, labels: np.ndarray, config: NetworkConfig) -> None:
    check_frames(what, frames, config)
    if labels.shape != (len(frames),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{what} labels must be {len(frames)} integers, got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= config.n_classes:
        bad = int(np.flatnonzero((labels < 0) | (labels >= config.n_classes))[0])
        raise InputError(
            f"{what} labels[{bad}] = {labels[bad]}: must lie within 0..{config.n_classes - 1} (n_classes)"
        )


@contextmanager
def _controlled(seed: int, device: str, threads: int | None) -> Iterator[None]:
    """Seed torch, make it deterministic and set its threads; put all of it back afterwards."""
    n_threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device != "cpu" else ()):
        try:
            torch.manual_seed(seed)
            torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
            torch.utils.deterministic.fill_uninitialized_memory = False
            if threads is not None:
                torch.set_num_threads(threads)
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.utils.deterministic.fill_uninitialized_memory = fill
            torch.set_num_threads(n_threads)
