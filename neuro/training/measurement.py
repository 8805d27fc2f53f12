"""Loss and accuracy on held-out recordings, with soft scores or hard masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from neuro.training.network import SpikingNetwork
from neuro.training.scores import threshold_for

_BATCH = 100


def measure(
    network: SpikingNetwork,
    frames: torch.Tensor,
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
    frames : torch.Tensor
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
        parts = [to_frames(part).to(device) for part in frames.split(_BATCH)]
        if network.scores is None:
            found = [_logits(network, parts, None, None)]
        else:
            scores = [network.scores(part) for part in parts]
            if shares is None:
                found = [_logits(network, parts, scores, None)]
            else:
                every = torch.cat(scores, dim=1).cpu().numpy()
                events = torch.cat([events_of(part) for part in parts], dim=1).cpu().numpy()
                weights = events if by_events else None
                limits = [threshold_for(every, share, weights=weights) for share in shares]
                found = [_logits(network, parts, None, [s >= limit for s in scores]) for limit in limits]
        results = [
            (
                nn.functional.cross_entropy(logits, labels).item(),
                (logits.argmax(1) == labels).double().mean().item(),
            )
            for logits in found
        ]
    loss, accuracy = np.mean(results, axis=0).tolist()
    return loss, accuracy


def _logits(
    network: SpikingNetwork,
    parts: list[torch.Tensor],
    gains: list[torch.Tensor] | None,
    kept: list[torch.Tensor] | None,
) -> torch.Tensor:
    logits = [
        network.forward_fast(
            part,
            gain=None if gains is None else gains[k],
            kept=None if kept is None else kept[k],
        ).sum(0)
        for k, part in enumerate(parts)
    ]
    return torch.cat(logits).cpu()


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


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """Make a tensor of an array; read-only and strided arrays are copied.

    Parameters
    ----------
    array : numpy.ndarray
        Any array of numbers.

    Returns
    -------
    torch.Tensor
        Shares the memory of a writable contiguous array.
    """
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


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
