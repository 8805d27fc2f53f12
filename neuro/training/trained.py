"""A trained network: folded, rounded, runnable in torch, exportable as a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from neuro.graph import Graph
from neuro.training.configuration import NetworkConfig, Recipe
from neuro.training.exporting import graph_of
from neuro.training.frames import Frames, check_counts, check_shape, parts, tensor_of
from neuro.training.measurement import to_frames
from neuro.training.network import SpikingNetwork
from neuro.training.snapping import Synapse, fold_batch_norm, snap

NEAR_THRESHOLD = 1e-6


@dataclass(frozen=True)
class EpochReport:
    """What one epoch gave.

    Attributes
    ----------
    epoch, n_epochs : int
        Number of the epoch, from 1; epochs of the whole training.
    phase : str
        'plain' (no attention), 'soft' or 'hard'.
    loss, accuracy : float
        On the augmented training batches, as trained.
    validation_loss, validation_accuracy : float
        Means over the recipe's kept shares ('soft': with soft scores).
    mean_score : float
        Mean score of the training frames, or events (nan without attention).
    is_best : bool
        Whether this epoch's network is the best so far.
    seconds : float
        Duration.
    spike_rate : float
        Spikes per neuron and frame in training, mean over the layers (nan in old checkpoints).
    """

    epoch: int
    n_epochs: int
    phase: str
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    mean_score: float
    is_best: bool
    seconds: float
    spike_rate: float = math.nan


@dataclass(frozen=True, eq=False)
class TorchRun:
    """What a network did with recordings, in torch with norse's cells.

    Attributes
    ----------
    readout : numpy.ndarray
        float32, shape (n, T, n_classes): membrane of the readout.
    spikes : Mapping[str, numpy.ndarray]
        Spikes of each layer, uint8, shape (n, T, ...), under 'lif1', 'lif2', ...; empty unless recorded.
    scores : numpy.ndarray or None
        float32, shape (n, T); None without attention.
    kept : numpy.ndarray
        bool, shape (n, T): frames that were computed.
    n_near_threshold : int
        Frames whose score lies within 1e-6 of the threshold: another order of summation may decide otherwise.
    """

    readout: np.ndarray
    spikes: Mapping[str, np.ndarray]
    scores: np.ndarray | None
    kept: np.ndarray
    n_near_threshold: int

    @property
    def logits(self) -> np.ndarray:
        """Sum of the readout over the frames, float32, shape (n, n_classes)."""
        total: np.ndarray = self.readout.sum(axis=1)
        return total


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The result of `train`.

    Attributes
    ----------
    network : SpikingNetwork
        Batch norm folded, weights on the grid, in evaluation mode.
    weight_grid : float
        g, a power of two: every weight and bias is a multiple of it.
    config : NetworkConfig
        Shape and constants as trained.
    recipe : Recipe
        How it was trained.
    seed : int
        Seed of the training.
    history : tuple[EpochReport, ...]
        One entry per epoch.
    best_epoch : int
        Epoch of the network kept, from 1.
    validation_accuracy : float
        Accuracy that chose it, mean over the recipe's kept shares, before folding and rounding.
    snapped_validation_accuracy : float
        The same after folding and rounding.
    """

    network: SpikingNetwork
    weight_grid: float
    config: NetworkConfig
    recipe: Recipe
    seed: int
    history: tuple[EpochReport, ...]
    best_epoch: int
    validation_accuracy: float
    snapped_validation_accuracy: float

    def run(
        self,
        frames: Frames,
        *,
        threshold: float = 0.0,
        record_spikes: bool = False,
        batch_size: int = 100,
    ) -> TorchRun:
        """Run recordings through the network in torch, with hard masks.

        Parameters
        ----------
        frames : Frames
            uint8 or float32, shape (n, T, channels, rows, columns): event counts.
        threshold : float
            Frames with a lower score are dropped (0: none).
        record_spikes : bool
            Whether to return the spikes of every layer.
        batch_size : int
            Recordings at a time.

        Returns
        -------
        TorchRun
            Readout, spikes, scores and mask.
        """
        return evaluate_torch(
            self.network, frames, threshold=threshold, record_spikes=record_spikes, batch_size=batch_size
        )

    def export(self, *, attention_threshold: float | None = None) -> Graph:
        """Describe the network as a graph on its weight grid.

        Parameters
        ----------
        attention_threshold : float, optional
            Frames with a lower score are dropped; None: no TemporalAttention node, every frame is computed.

        Returns
        -------
        Graph
            Its spikes are those of `run`.

        Raises
        ------
        GraphError
            A threshold is given but the network has no scores.
        """
        return graph_of(
            self.network,
            attention_threshold=attention_threshold,
            weight_grid=self.weight_grid,
            metadata={"trained_by": "neuro.training", "seed": self.seed, "best_epoch": self.best_epoch},
        )


def evaluate_torch(
    network: SpikingNetwork,
    frames: Frames,
    *,
    threshold: float = 0.0,
    record_spikes: bool = False,
    batch_size: int = 100,
) -> TorchRun:
    """Run recordings through a network in torch with norse's cells and hard masks.

    Parameters
    ----------
    network : SpikingNetwork
        The network; put into evaluation mode for the run.
    frames : Frames
        uint8 or float32, shape (n, T, channels, rows, columns): event counts.
    threshold : float
        Frames with a lower score are dropped (0: none).
    record_spikes : bool
        Whether to return the spikes of every layer.
    batch_size : int
        Recordings at a time.

    Returns
    -------
    TorchRun
        Readout, spikes, scores and mask.
    """
    check_shape("recordings", frames, network.config)
    was_training = network.training
    network.eval()
    runs = []
    try:
        for number, part in enumerate(parts(frames, batch_size)):
            check_counts("recordings", part, network.config, first=number * batch_size)
            with torch.inference_mode():
                runs.append(_evaluate_batch(network, to_frames(tensor_of(part)), threshold, record_spikes))
    finally:
        network.train(was_training)
    scores = [run.scores for run in runs if run.scores is not None]
    return TorchRun(
        readout=np.concatenate([run.readout for run in runs]),
        spikes={name: np.concatenate([run.spikes[name] for run in runs]) for name in runs[0].spikes},
        scores=np.concatenate(scores) if scores else None,
        kept=np.concatenate([run.kept for run in runs]),
        n_near_threshold=sum(run.n_near_threshold for run in runs),
    )


def _evaluate_batch(
    network: SpikingNetwork, frames: torch.Tensor, threshold: float, record_spikes: bool
) -> TorchRun:
    scores = None if network.scores is None else network.scores(frames)
    kept = torch.ones(frames.shape[:2], dtype=torch.bool) if scores is None else scores >= threshold
    recorded: dict[str, torch.Tensor] | None = {} if record_spikes else None
    readout = network(frames, kept=kept, recorded=recorded)
    near = 0 if scores is None else int(((scores.double() - threshold).abs() < NEAR_THRESHOLD).sum())
    return TorchRun(
        readout=readout.transpose(0, 1).contiguous().numpy(),
        spikes={
            k: v.transpose(0, 1).to(torch.uint8).contiguous().numpy() for k, v in (recorded or {}).items()
        },
        scores=None if scores is None else scores.T.contiguous().numpy(),
        kept=kept.T.contiguous().numpy(),
        n_near_threshold=near,
    )


def fold_and_snap(network: SpikingNetwork) -> tuple[SpikingNetwork, float]:
    """Fold batch norm and round weights and biases to the finest exact grid.

    Parameters
    ----------
    network : SpikingNetwork
        A trained network; not changed.

    Returns
    -------
    tuple[SpikingNetwork, float]
        A new network without batch norm, in evaluation mode, and its grid g.
    """
    config = network.config
    synapses = [
        fold_batch_norm(layer.synapse, layer.norm, max_input=config.max_count if k == 0 else 1)
        for k, layer in enumerate(network.spiking_layers)
    ]
    first = float(config.max_count) if not synapses else 1.0
    synapses.append(fold_batch_norm(network.output, None, max_input=first))
    grid, snapped = snap(synapses)
    folded = SpikingNetwork(replace(config, batch_norm=False))
    targets = [*(layer.synapse for layer in folded.spiking_layers), folded.output]
    for target, synapse in zip(targets, snapped, strict=True):
        _set_weights(target, synapse)
    if network.scores is not None and folded.scores is not None:
        folded.scores.load_state_dict(network.scores.state_dict())
    folded.requires_grad_(False)
    return folded.eval(), grid


def _set_weights(target: nn.Conv2d | nn.Linear, synapse: Synapse) -> None:
    assert target.bias is not None
    with torch.no_grad():
        target.weight.copy_(torch.from_numpy(synapse.weight))
        target.bias.copy_(torch.from_numpy(synapse.bias))
