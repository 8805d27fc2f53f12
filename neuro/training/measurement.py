"""Loss and accuracy on held-out recordings, with soft scores or hard masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from neuro.training.frames import Frames, parts, tensor_of
from neuro.training.network import SpikingNetwork
from neuro.training.scores import threshold_for


def measure(
    network: SpikingNetwork,
    frames: Frames,
    labels: torch.Tensor,
    *,
    shares: tuple[float, ...] | None,
    by_events: bool = False,
) -> tuple[float, float]:
    """Loss and accuracy on held-out recordings.

    Parameters
    ----------
    network : SpikingNetwork
        The network; it is in evaluation mode afterwards.
    frames : Frames
        uint8 or float32, shape (n, T, channels, rows, columns).
    labels : torch.Tensor
        int64, shape (n,).
    shares : tuple[float, ...] or None
        Shares of frames kept by hard masks, over which loss and accuracy are averaged; None: every frame is
        computed, multiplied by its score where the network has scores.
    by_events : bool
        Whether shares count events instead of frames.

    Returns
    -------
    tuple[float, float]
        Mean cross entropy and mean accuracy.
    """
    network.eval()
    device = network.output.weight.device
    with torch.no_grad():
        masks = _masks(network, frames, shares, by_events)
        found: list[list[torch.Tensor]] = [[] for _ in masks]
        for k, part in enumerate(parts(frames)):
            dense = to_frames(tensor_of(part)).to(device)
            gain = None if network.scores is None or shares is not None else network.scores(dense)
            for logits, mask in zip(found, masks, strict=True):
                kept = None if mask is None else mask[k]
                logits.append(network.forward_fast(dense, gain=gain, kept=kept).sum(0).cpu())
        results = [_loss_and_accuracy(torch.cat(logits), labels) for logits in found]
    loss, accuracy = np.mean(results, axis=0).tolist()
    return loss, accuracy


def _masks(
    network: SpikingNetwork, frames: Frames, shares: tuple[float, ...] | None, by_events: bool
) -> Sequence[list[torch.Tensor] | None]:
    """Which frames each share keeps: bool (T, B) for each part, for each share; None: all of them."""
    if network.scores is None or shares is None:
        return [None]
    device = network.output.weight.device
    scores: list[torch.Tensor] = []
    events: list[torch.Tensor] = []
    for part in parts(frames):
        dense = to_frames(tensor_of(part)).to(device)
        scores.append(network.scores(dense))
        events.append(events_of(dense).cpu())
    weights = torch.cat(events, dim=1).numpy() if by_events else None
    every = torch.cat(scores, dim=1).cpu().numpy()
    limits = [threshold_for(every, share, weights=weights) for share in shares]
    return [[score >= limit for score in scores] for limit in limits]


def _loss_and_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    loss = nn.functional.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) == labels).double().mean().item()


def events_of(frames: torch.Tensor) -> torch.Tensor:
    """Sum the counts of every frame.

    Parameters
    ----------
    frames : torch.Tensor
        float32, shape (T, B, channels, rows, columns).

    Returns
    -------
    torch.Tensor
        float32, shape (T, B).
    """
    return frames.sum(dim=(2, 3, 4))


def to_frames(batch: torch.Tensor) -> torch.Tensor:
    """Turn a batch of recordings into frames for a network.

    Parameters
    ----------
    batch : torch.Tensor
        uint8 or float32, shape (B, T, channels, rows, columns).

    Returns
    -------
    torch.Tensor
        float32, shape (T, B, channels, rows, columns), channels last in memory.
    """
    pixels_first = batch.permute(1, 0, 3, 4, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return pixels_first.permute(0, 1, 4, 2, 3)
