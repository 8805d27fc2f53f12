"""Temporal attention in torch: one score per frame from the event counts, of all frames or of those so far."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import nn

from neuro.graph import MovingAttention, TemporalAttention
from neuro.training.configuration import NetworkConfig


class FrameScores(nn.Module, ABC):
    """Scores of the frames of a window at the input of a network."""

    excite_2: nn.Linear

    @abstractmethod
    def start_from(self, mean: float, spread: float) -> None:
        """Set weights so that scores depend on the frames' event counts from the first batch on.

        Parameters
        ----------
        mean, spread : float
            Mean and standard deviation of s over the training frames.
        """

    def weaken(self, strength: float) -> None:
        """Multiply the second layer, so that scores begin nearer to one half.

        Parameters
        ----------
        strength : float
            The factor: 1 changes nothing, with 0 all scores are one half.
        """
        with torch.no_grad():
            self.excite_2.weight.mul_(strength)
            self.excite_2.bias.mul_(strength)

    @abstractmethod
    def score(self, squeezed: torch.Tensor) -> torch.Tensor:
        """Score frames from their means.

        Parameters
        ----------
        squeezed : torch.Tensor
            float32, shape (T, B): mean of each frame over its channels, rows, columns.

        Returns
        -------
        torch.Tensor
            float32, shape (T, B), between 0 and 1.
        """

    @abstractmethod
    def node(self, threshold: float) -> TemporalAttention | MovingAttention:
        """Describe the scores as a node of a graph.

        Parameters
        ----------
        threshold : float
            Least score of a kept frame.

        Returns
        -------
        TemporalAttention or MovingAttention
            The node.
        """

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
        return self.score(frames.sum(dim=(2, 3, 4)) / n_entries)


class WindowScores(FrameScores):
    """Scores from all frames of a window, as in TA-SNN at the input.

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

    def start_from(self, mean: float, spread: float) -> None:
        """Let hidden unit j average the frames of the j-th block of T / n_units neighbours, in units of the spread.

        The score of a frame is the sigmoid of twice its block's excess over the mean frame.

        Parameters
        ----------
        mean, spread : float
            Mean and standard deviation of s over the training frames.
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

    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """W1 and W2 as they are used.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Shapes (n_units, T) and (T, n_units).
        """
        return self.excite_1.weight, self.excite_2.weight

    def score(self, squeezed: torch.Tensor) -> torch.Tensor:
        """Score the frames of whole windows.

        Parameters
        ----------
        squeezed : torch.Tensor
            float32, shape (T, B): means of the frames.

        Returns
        -------
        torch.Tensor
            float32, shape (T, B), between 0 and 1.
        """
        first, second = self.weights()
        hidden = torch.relu(nn.functional.linear(squeezed.T, first, self.excite_1.bias))
        return torch.sigmoid(nn.functional.linear(hidden, second, self.excite_2.bias)).T

    def node(self, threshold: float) -> TemporalAttention:
        """Describe the scores as a TemporalAttention.

        Parameters
        ----------
        threshold : float
            Least score of a kept frame.

        Returns
        -------
        TemporalAttention
            The node.
        """
        first, second = (array_of(weight) for weight in self.weights())
        return TemporalAttention(
            first, array_of(self.excite_1.bias), second, array_of(self.excite_2.bias), threshold
        )


class CausalScores(WindowScores):
    """Scores of a window that no later frame changes: as WindowScores with T units and triangular weights.

    Unit u hears the frames 0 .. u, frame t reads the units 0 .. t.

    Parameters
    ----------
    n_frames : int
        T, frames of a window.
    """

    past: torch.Tensor

    def __init__(self, n_frames: int) -> None:
        super().__init__(n_frames, n_frames)
        self.register_buffer("past", torch.ones(n_frames, n_frames).tril(), persistent=False)

    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """W1 and W2 without what lies ahead.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Shapes (T, T) and (T, T), lower-triangular.
        """
        return self.excite_1.weight * self.past, self.excite_2.weight * self.past


class MovingScores(FrameScores):
    """Scores from moving averages of the frames so far: no later frame and no number of frames is needed.

    m_k <- m_k + rates_k * (s - m_k); score = sigmoid(w2 . relu(W1 m + b1) + b2); rates, start and weights are trained.

    Parameters
    ----------
    n_averages : int
        Number of moving averages; their rates begin at 1, 1/2, 1/4, ...
    n_units : int
        Hidden units.
    """

    def __init__(self, n_averages: int = 4, n_units: int = 8) -> None:
        super().__init__()
        rates = torch.tensor([1.0, *(0.5**k for k in range(1, n_averages))]).clamp(max=0.98)
        self.rate_logits = nn.Parameter(torch.logit(rates))
        self.start = nn.Parameter(torch.zeros(n_averages))
        self.excite_1 = nn.Linear(n_averages, n_units)
        self.excite_2 = nn.Linear(n_units, 1)

    def start_from(self, mean: float, spread: float) -> None:
        """Let the first unit hear the frame itself; the others hear mixtures, in units of the spread.

        Parameters
        ----------
        mean, spread : float
            Mean and standard deviation of s over the training frames.
        """
        gain = 1.0 / max(spread, 1e-6)
        with torch.no_grad():
            self.start.fill_(mean)
            self.excite_1.weight.mul_(gain)
            self.excite_1.weight[0] = 0.0
            self.excite_1.weight[0, 0] = gain
            self.excite_1.bias[0] = 0.0
            self.excite_2.weight.mul_(0.1)
            self.excite_2.weight[0, 0] = 2.0
            self.excite_2.bias.fill_(-2.0 * gain * mean)

    def score(self, squeezed: torch.Tensor) -> torch.Tensor:
        """Score frames one after the other.

        Parameters
        ----------
        squeezed : torch.Tensor
            float32, shape (T, B): means of the frames.

        Returns
        -------
        torch.Tensor
            float32, shape (T, B), between 0 and 1.
        """
        rates = torch.sigmoid(self.rate_logits)
        average = self.start.expand(squeezed.shape[1], -1)
        averages = []
        for mean in squeezed:
            average = average + rates * (mean.unsqueeze(1) - average)
            averages.append(average)
        hidden = torch.relu(self.excite_1(torch.stack(averages)))
        return torch.sigmoid(self.excite_2(hidden)).squeeze(2)

    def node(self, threshold: float) -> MovingAttention:
        """Describe the scores as a MovingAttention.

        Parameters
        ----------
        threshold : float
            Least score of a kept frame.

        Returns
        -------
        MovingAttention
            The node.
        """
        return MovingAttention(
            array_of(torch.sigmoid(self.rate_logits)),
            array_of(self.start),
            array_of(self.excite_1.weight),
            array_of(self.excite_1.bias),
            array_of(self.excite_2.weight)[0],
            float(self.excite_2.bias),
            threshold,
        )


def scores_of(config: NetworkConfig) -> FrameScores | None:
    """Make the scores that a config asks for.

    Parameters
    ----------
    config : NetworkConfig
        Whether there is attention, and its form.

    Returns
    -------
    FrameScores or None
        None without attention.
    """
    if not config.attention:
        return None
    if config.attention_form == "moving":
        return MovingScores()
    if config.attention_form == "causal":
        return CausalScores(config.n_frames)
    return WindowScores(config.n_frames, config.n_score_units)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """Give the values of a tensor as an array.

    Parameters
    ----------
    tensor : torch.Tensor
        Any tensor.

    Returns
    -------
    numpy.ndarray
        Its values, on the CPU.
    """
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


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


def threshold_for(scores: np.ndarray, share: float, *, weights: np.ndarray | None = None) -> float:
    """Threshold that keeps about a share of the frames, or of their events.

    Parameters
    ----------
    scores : numpy.ndarray
        float32, any shape.
    share : float
        Share of the frames with score >= threshold, in (0, 1].
    weights : numpy.ndarray, optional
        Events of each frame, shape of `scores`: the share is then one of the events, and the largest that does not
        exceed it is kept (at least one frame).

    Returns
    -------
    float
        The score of the last kept frame (0 for share 1: every frame is kept).

    Examples
    --------
    >>> scores = np.array([0.25, 0.75, 0.125, 0.5], np.float32)
    >>> threshold_for(scores, 0.5), threshold_for(scores, 0.5, weights=np.array([1, 5, 1, 3]))
    (0.5, 0.75)
    """
    if share >= 1.0:
        return 0.0
    order = np.argsort(-scores, axis=None, kind="stable")
    ordered = scores.ravel()[order]
    if weights is None:
        return float(ordered[max(1, round(share * ordered.size)) - 1])
    kept = np.cumsum(weights.ravel()[order], dtype=np.float64)
    n_kept = int(np.searchsorted(kept, share * kept[-1] * (1 + 1e-12), side="right"))
    return float(ordered[max(1, n_kept) - 1])
