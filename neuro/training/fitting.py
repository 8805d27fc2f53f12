"""Surrogate-gradient training of a recogniser, reproducible from a seed and resumable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from neuro.errors import InputError
from neuro.training.checkpoints import check_folder, fingerprint, read_checkpoint, write_checkpoint
from neuro.training.configuration import NetworkConfig, Recipe
from neuro.training.determinism import controlled, usable_device
from neuro.training.epochs import Task, Training
from neuro.training.frames import Frames, check_recordings, tensor_of
from neuro.training.trained import EpochReport, TrainedNetwork

Progress = Callable[[EpochReport], None]

MAX_SEED = 2**63 - 1


def train(
    frames: Frames,
    labels: np.ndarray,
    validation_frames: Frames,
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
    frames : Frames
        uint8 or float32, shape (n, T, channels, rows, columns): event counts of the training recordings, an array or
        anything that gives arrays of some of them by index; no more than a batch is dense at a time.
    labels : numpy.ndarray
        Integers, shape (n,), 0 to n_classes - 1.
    validation_frames, validation_labels : numpy.ndarray
        Recordings that choose the model; never trained on.
    config : NetworkConfig
        Shape and constants.
    epochs : int
        Passes over the training recordings.
    seed : int
        Source of the initial weights, the order, the augmentation and dropout; 0 to 2^63 - 1.
    recipe : Recipe, optional
        Optimiser, phases, augmentation; the default recipe if None.
    device : str
        'cpu' (fused neurons), or a torch device such as 'cuda' (the same step in torch operations).
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
        Shapes, labels or counts do not fit the config, the seed is out of range, the device cannot be used,
        or `resume` belongs to another training or lies where nothing can be written.
    ModelFileError
        `resume` is not a checkpoint, is damaged, or cannot be written any more.
    """
    recipe = Recipe() if recipe is None else recipe
    check_recordings("training", frames, labels, config)
    check_recordings("validation", validation_frames, validation_labels, config)
    _check_numbers(epochs, seed)
    task = Task(
        frames,
        tensor_of(labels).long(),
        validation_frames,
        tensor_of(validation_labels).long(),
        config=config,
        recipe=recipe,
        epochs=epochs,
        seed=seed,
        device=usable_device(device),
    )
    with controlled(seed, device=device, threads=threads):
        return _run(task, None if resume is None else Path(resume), on_progress)


def _check_numbers(epochs: int, seed: int) -> None:
    if epochs < 1:
        raise InputError(f"epochs must be >= 1, got {epochs}")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed must be from 0 to {MAX_SEED}, got {seed}")


def _run(task: Task, resume: Path | None, on_progress: Progress | None) -> TrainedNetwork:
    """Train from the beginning, or from a checkpoint on."""
    training = Training(task)
    checkpoint = None if resume is None else _Checkpoint(resume, task)
    if checkpoint is not None:
        checkpoint.restore(training)
    while len(training.history) < training.task.epochs:
        report = training.epoch()
        if checkpoint is not None:
            checkpoint.store(training)
        if on_progress is not None:
            on_progress(report)
    return training.finish()


class _Checkpoint:
    """The checkpoint file of one training."""

    def __init__(self, path: Path, task: Task) -> None:
        check_folder(path)
        self.path = path
        self.key = fingerprint(
            (task.frames, task.labels.numpy(), task.validation_frames, task.validation_labels.numpy()),
            (task.config, task.recipe, task.epochs, task.seed, str(task.device), torch.get_num_threads()),
        )

    def restore(self, training: Training) -> None:
        values = read_checkpoint(self.path, self.key)
        if values is not None:
            training.restore(values)

    def store(self, training: Training) -> None:
        write_checkpoint(self.path, self.key, training.values())
