"""Training networks with attention in every layer: mean-squared error of the spike counts, averaged over the frames."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from neuro.errors import InputError
from neuro.graph import Graph
from neuro.training.determinism import controlled, usable_device
from neuro.training.frames import Frames, check_recordings, parts, tensor_of
from neuro.training.stack import AttentionStack
from neuro.training.stack_configuration import StackConfig
from neuro.training.stack_exporting import fold_stack, stack_graph
from neuro.training.trained import EpochReport


@dataclass(frozen=True)
class StackRecipe:
    """How a stack is trained: Adam on the mean-squared error between spike rates and one-hot labels.

    Source: the public code of TA-SNN: Adam (0.9, 0.999), the rate times `factor` when the loss has not fallen for
    `patience` epochs; no augmentation.

    Attributes
    ----------
    batch_size : int
        Recordings per batch.
    learning_rate : float
        First rate of Adam.
    factor, patience : float, int
        Fall of the rate, and epochs without a lower training loss before it.
    rate_penalty, target_rate : float
        `rate_penalty` * max(0, rate - `target_rate`) is added for each hidden layer, the rate being spikes per neuron
        and frame (0: none).
    """

    batch_size: int = 16
    learning_rate: float = 1e-3
    factor: float = 0.1
    patience: int = 5
    rate_penalty: float = 0.0
    target_rate: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.batch_size < 1 or self.patience < 0 or not 0 < self.factor < 1:
            raise InputError(
                f"StackRecipe: batch_size must be >= 1, patience >= 0 and factor between 0 and 1, got "
                f"{self.batch_size}, {self.patience} and {self.factor}"
            )
        for name in ("learning_rate", "rate_penalty", "target_rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"StackRecipe: {name} must be a finite number >= 0, got {value!r}")


@dataclass(frozen=True, eq=False)
class StackRun:
    """What a stack did with recordings, in torch.

    Attributes
    ----------
    counts : numpy.ndarray
        float32, shape (n, n_classes): spikes of the last layer.
    spikes : dict[str, numpy.ndarray]
        uint8, shape (n, T, ...), under 'lif1', ...
    scores : dict[str, numpy.ndarray]
        float32, shape (n, T), under 'scores1', ... for each attention.
    """

    counts: np.ndarray
    spikes: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class TrainedStack:
    """The result of `train_stack`.

    Attributes
    ----------
    network : AttentionStack
        Batch norm folded, in evaluation mode.
    weight_grid : float or None
        Grid of the weights; None with channel or spatial attention.
    config : StackConfig
        Shape and constants.
    recipe : StackRecipe
        How it was trained.
    seed : int
        Seed of the training.
    history : tuple[EpochReport, ...]
        One entry per epoch.
    best_epoch : int
        Epoch of the network kept, from 1.
    validation_accuracy : float
        Accuracy that chose it, with soft scores.
    """

    network: AttentionStack
    weight_grid: float | None
    config: StackConfig
    recipe: StackRecipe
    seed: int
    history: tuple[EpochReport, ...]
    best_epoch: int
    validation_accuracy: float

    def run(self, frames: np.ndarray, *, threshold: float = 0.0, entry_threshold: float = 0.0) -> StackRun:
        """Run recordings in torch with hard masks.

        Parameters
        ----------
        frames : numpy.ndarray
            uint8 or float32, shape ``(n, T, *input_shape)``.
        threshold : float
            Frames with a lower score are dropped in their layer and all behind it.
        entry_threshold : float
            Channels and pixels with a lower score are removed.

        Returns
        -------
        StackRun
            Spikes and scores of every layer.
        """
        batch = _frames(tensor_of(frames))
        recorded: dict[str, torch.Tensor] = {}
        with torch.inference_mode():
            spikes = self.network(batch, thresholds=(threshold, entry_threshold), recorded=recorded)
        by_sample = {name: values.transpose(0, 1).numpy() for name, values in recorded.items()}
        return StackRun(
            spikes.sum(0).numpy(),
            {name: values.astype(np.uint8) for name, values in by_sample.items() if name.startswith("lif")},
            {name: values for name, values in by_sample.items() if name.startswith("scores")},
        )

    def export(self, *, threshold: float = 0.0, entry_threshold: float = 0.0) -> Graph:
        """Describe the network as a graph.

        Parameters
        ----------
        threshold : float
            Frames with a lower score are dropped (0: none).
        entry_threshold : float
            Channels and pixels with a lower score are removed (0: none).

        Returns
        -------
        Graph
            Its last node fires once for its class; the recording belongs to the class that fires most.
        """
        return stack_graph(
            self.network,
            threshold=threshold,
            entry_threshold=entry_threshold,
            weight_grid=self.weight_grid,
            metadata={
                "trained_by": "neuro.training",
                "reading": self.config.reading,
                "seed": self.seed,
                "best_epoch": self.best_epoch,
            },
        )


def train_stack(
    frames: Frames,
    labels: np.ndarray,
    validation_frames: Frames,
    validation_labels: np.ndarray,
    *,
    config: StackConfig,
    epochs: int,
    seed: int,
    recipe: StackRecipe | None = None,
    device: str = "cpu",
    threads: int | None = None,
    on_progress: Callable[[EpochReport], None] | None = None,
) -> TrainedStack:
    """Train a network with attention in every layer and keep the one with the best validation accuracy.

    The loss is the mean-squared error between the spikes of the last layer, averaged over the frames, and the one-hot
    label. Ties in validation accuracy go to the lower validation loss.

    Parameters
    ----------
    frames : Frames
        uint8 or float32, shape ``(n, T, *input_shape)``: counts of the training recordings, an array or anything that
        gives arrays of some of them by index.
    labels : numpy.ndarray
        Integers, shape (n,), 0 to n_classes - 1.
    validation_frames, validation_labels : numpy.ndarray
        Recordings that choose the model; never trained on.
    config : StackConfig
        Shape and constants.
    epochs : int
        Passes over the training recordings.
    seed : int
        Source of the initial weights, the order and dropout.
    recipe : StackRecipe, optional
        Optimiser; the default recipe if None.
    device : str
        A torch device.
    threads : int, optional
        Threads to use; torch's setting if None.
    on_progress : Callable[[EpochReport], None], optional
        Called after each epoch.

    Returns
    -------
    TrainedStack
        The folded network with its history.

    Raises
    ------
    InputError
        Shapes, labels or counts do not fit the config, or the device cannot be used.
    """
    recipe = StackRecipe() if recipe is None else recipe
    check_recordings("training", frames, labels, config)
    check_recordings("validation", validation_frames, validation_labels, config)
    if epochs < 1:
        raise InputError(f"epochs must be >= 1, got {epochs}")
    where = usable_device(device)
    with controlled(seed, device=device, threads=threads):
        training = _Training(config, recipe, epochs, where)
        learned = frames, tensor_of(labels).long()
        checked = validation_frames, tensor_of(validation_labels).long()
        for _ in range(epochs):
            report = training.epoch(learned, checked)
            if on_progress is not None:
                on_progress(report)
        return training.finish(seed)


_Recordings = tuple[Frames, torch.Tensor]


class _Training:
    """A training between epochs."""

    def __init__(self, config: StackConfig, recipe: StackRecipe, epochs: int, device: torch.device) -> None:
        self.config, self.recipe, self.epochs, self.device = config, recipe, epochs, device
        self.network = AttentionStack(config).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=recipe.factor, patience=recipe.patience
        )
        self.history: list[EpochReport] = []
        self.best: EpochReport | None = None
        self.state: dict[str, torch.Tensor] = {}

    def epoch(self, learned: _Recordings, checked: _Recordings) -> EpochReport:
        """Train once over all recordings, then measure the validation accuracy."""
        started = time.perf_counter()
        frames, labels = learned
        self.network.train()
        totals = np.zeros(4)
        for batch in torch.randperm(len(frames)).split(self.recipe.batch_size):
            if len(batch) > 1:  # batch norm needs two recordings where a layer has one pixel
                totals += len(batch) * np.array(self._step(tensor_of(frames[batch.numpy()]), labels[batch]))
        loss, accuracy, score, rate = (totals / len(frames)).tolist()
        self.schedule.step(loss)
        validation_loss, validation_accuracy = self._measure(*checked)
        best = self.best
        is_best = best is None or (validation_accuracy, -validation_loss) > (
            best.validation_accuracy,
            -best.validation_loss,
        )
        report = EpochReport(
            epoch=len(self.history) + 1,
            n_epochs=self.epochs,
            phase="plain" if self.config.reading == "none" else "soft",
            loss=loss,
            accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            mean_score=score,
            is_best=is_best,
            seconds=time.perf_counter() - started,
            spike_rate=rate,
        )
        if is_best:
            self.best = report
            self.state = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        self.history.append(report)
        return report

    def _step(self, frames: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float, float]:
        recipe, recorded = self.recipe, dict[str, torch.Tensor]()
        labels = labels.to(self.device)
        rates = self.network(_frames(frames).to(self.device), recorded=recorded).mean(0)
        loss = nn.functional.mse_loss(rates, nn.functional.one_hot(labels, self.config.n_classes).float())
        hidden = [recorded[f"lif{k + 1}"].mean() for k in range(len(self.config.layers) - 1)]
        rate = torch.stack(hidden) if hidden else rates.new_zeros(1)
        total = loss
        if recipe.rate_penalty:
            total = loss + recipe.rate_penalty * torch.relu(rate - recipe.target_rate).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        scores = [values.mean().item() for name, values in recorded.items() if name.startswith("scores")]
        accuracy = (rates.argmax(1) == labels).double().mean().item()
        return loss.item(), accuracy, float(np.mean(scores)) if scores else math.nan, rate.mean().item()

    def _measure(self, frames: Frames, labels: torch.Tensor) -> tuple[float, float]:
        self.network.eval()
        with torch.no_grad():
            rates = torch.cat(
                [
                    self.network(_frames(tensor_of(part)).to(self.device)).mean(0).cpu()
                    for part in parts(frames, self.recipe.batch_size)
                ]
            )
        loss = nn.functional.mse_loss(rates, nn.functional.one_hot(labels, self.config.n_classes).float())
        return loss.item(), (rates.argmax(1) == labels).double().mean().item()

    def finish(self, seed: int) -> TrainedStack:
        """Fold the best network."""
        assert self.best is not None
        self.network.load_state_dict(self.state)
        network, grid = fold_stack(self.network.cpu())
        return TrainedStack(
            network=network,
            weight_grid=grid,
            config=self.config,
            recipe=self.recipe,
            seed=seed,
            history=tuple(self.history),
            best_epoch=self.best.epoch,
            validation_accuracy=self.best.validation_accuracy,
        )


def _frames(batch: torch.Tensor) -> torch.Tensor:
    """Bring a batch (B, T, ...) of counts to float32 (T, B, ...)."""
    return batch.transpose(0, 1).to(torch.float32)
