"""Temporal attention in torch: one score per frame from the event counts of all frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class FrameScores(nn.Module):
    """Scores of the frames of a window, as in TA-SNN at the input.

    score = sigmoid(W2 relu(W1 s + b1) + b2), s_t = mean of frame t over its channels, rows, columns.

    Source: Yao et al., "Temporal-wise attention spiking neural networks for event streams classification",
    ICCV 2021, section 3.2, squeeze and excitation of the input layer. Different here: the weights begin such
    that a score rises with the frame's own share of the events (see `start_from`).

    Parameters
    ----------
    n_frames : int
        T, frames of a window.
    n_units : int
        Hidden units, T // r.
    """

    def __init__(self, n_frames: int, n_units: int) -> None:
        super().__init__()
        self.excite_1 = nn.Linear(n_frames, n_units)
        self.excite_2 = nn.Linear(n_units, n_frames)

    def start_from(self, mean: float, spread: float, *, strength: float = 1.0) -> None:
        """Set weights so that scores depend on the frames' event counts from the first batch on.

        Hidden unit j averages the frames of the j-th block of T / n_units neighbouring frames, in units of
        the spread; the score of a frame is the sigmoid of twice its block's excess over the mean frame.

        Parameters
        ----------
        mean, spread : float
            Mean and standard deviation of s over the training frames.
        strength : float
            Factor of the weights and biases of the second layer: with 0 all scores begin at one half.
        """
        n_units, n_frames = self.excite_1.weight.shape
        block = torch.arange(n_frames) * n_units // n_frames
        member = torch.nn.functional.one_hot(block, n_units).to(torch.float32)
        gain = 1.0 / max(spread, 1e-6)
        with torch.no_grad():
            self.excite_1.weight.copy_(gain * (member / member.sum(0)).T)
            self.excite_1.bias.zero_()
            self.excite_2.weight.copy_(2.0 * member)
            self.excite_2.bias.fill_(-2.0 * gain * mean)
            self.excite_2.weight.mul_(strength)
            self.excite_2.bias.mul_(strength)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Score every frame of every sample.

        Parameters
        ----------
        frames : torch.Tensor
            float32, shape (T, B, channels, rows, columns).

        Returns
        -------
        torch.Tensor
            float32, shape (T, B), between 0 and 1.
        """
        n_entries = frames[0, 0].numel()
        squeezed = frames.sum(dim=(2, 3, 4)) / n_entries
        return torch.sigmoid(self.excite_2(torch.relu(self.excite_1(squeezed.T)))).T


def straight_through(scores: torch.Tensor) -> torch.Tensor:
    """Ones whose gradient is that of the scores: a hard mask on kept frames.

    Parameters
    ----------
    scores : torch.Tensor
        float32, any shape.

    Returns
    -------
    torch.Tensor
        float32, same shape, all 1.

    Examples
    --------
    >>> scores = torch.tensor([0.3, 0.9], requires_grad=True)
    >>> straight_through(scores).tolist()
    [1.0, 1.0]
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
    >>> threshold_for(np.array([0.25, 0.75, 0.125, 0.5], np.float32), 0.5)
    0.5
    """
    if share >= 1.0:
        return 0.0
    ordered = np.sort(scores, axis=None)[::-1]
    return float(ordered[max(1, round(share * ordered.size)) - 1])
