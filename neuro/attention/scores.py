"""Scores of the frames of a window, from its events alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neuro.graph import MovingAttention, TemporalAttention
from neuro.kernels.windows import weigh
from neuro.lowering.deciding import as_report, temporal_report
from neuro.lowering.execution import frame_sums
from neuro.lowering.scoring import Temporal, excite, flat_weights, next_scores, start_history
from neuro.results import AttentionReport
from neuro.spikes import Spikes

__all__ = ["frame_means", "frame_scores", "report", "report_after"]


def frame_means(spikes: Spikes) -> NDArray[np.float32]:
    """Return the mean of every frame over all its entries, ``s[t] = sum of values / entries``.

    Parameters
    ----------
    spikes : Spikes
        The frames.

    Returns
    -------
    float32, shape (n_steps,)
        The means. The sum is taken in float64 (exact for counts), rounded, then divided in float32.

    Examples
    --------
    >>> frame_means(Spikes([0, 0], [1, 2], [1.0, 2.0], n_steps=2, shape=(6,))).tolist()
    [0.5, 0.0]
    """
    return _means(frame_sums(spikes), spikes.shape)


def frame_scores(node: TemporalAttention, means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``sigmoid(weight_2 @ relu(weight_1 @ s + bias_1) + bias_2)``.

    Parameters
    ----------
    node : TemporalAttention
        The weights.
    means : float32, shape (T,)
        Means of the frames.

    Returns
    -------
    float32, shape (T,)
        Scores from 0 to 1. Products are rounded and added in ascending order to the bias, so the result
        does not depend on a linear algebra library.

    Examples
    --------
    >>> node = TemporalAttention([[0.0, 0.0]], [0.0], [[1.0], [1.0]], [0.0, 0.0], threshold=0.5)
    >>> frame_scores(node, np.array([1, 2], np.float32)).tolist()
    [0.5, 0.5]
    """
    scores: NDArray[np.float32] = excite(node, means[np.newaxis])[0]
    return scores


def report(node: Temporal, spikes: Spikes) -> AttentionReport:
    """Return the scores of a window's frames and which of them are kept.

    Parameters
    ----------
    node : TemporalAttention or MovingAttention
        Weights and threshold.
    spikes : Spikes
        The window: `node.n_frames` steps (or fewer, if the attention is causal), from the first frame on.

    Returns
    -------
    AttentionReport
        Frame ``t`` is kept if its score is at least the threshold (as float32).

    Examples
    --------
    >>> node = TemporalAttention([[0.0, 0.0]], [0.0], [[1.0], [1.0]], [-9.0, 9.0], threshold=0.5)
    >>> report(node, Spikes([0, 1], [0, 0], [1.0, 2.0], n_steps=2, shape=(4,))).events_kept
    2.0
    """
    return report_after(node, spikes, start_history(node))[0]


def report_after(
    node: Temporal, spikes: Spikes, history: NDArray[np.float32], *, is_dropping: bool = True
) -> tuple[AttentionReport, NDArray[np.float32]]:
    """Return the report of further frames of a recording, and the history after them.

    Parameters
    ----------
    node : TemporalAttention or MovingAttention
        Weights and threshold.
    spikes : Spikes
        The frames.
    history : float32 array
        What was returned for the frames before.
    is_dropping : bool
        Whether frames under the threshold are dropped.

    Returns
    -------
    AttentionReport
        Scores and kept frames.
    float32 array
        For the frames that follow: the means so far, or the moving averages.
    """
    if isinstance(node, MovingAttention):
        sums = frame_sums(spikes)
        scores, history = next_scores(node, _means(sums, spikes.shape), history)
        return temporal_report(node, scores, sums, is_dropping=is_dropping), history
    n_before, n_steps = history.size, spikes.n_steps
    means = np.empty(n_before + n_steps, np.float32)
    means[:n_before] = history
    scores = np.empty(node.n_frames + node.bias_1.size, np.float32)
    sums, kept = np.empty(n_steps), np.empty(n_steps, np.uint8)
    decided = weigh(
        spikes.step,
        spikes.value,
        math.prod(spikes.shape),
        flat_weights(node),
        means,
        scores,
        sums,
        (node.threshold, is_dropping),
        kept,
    )
    return as_report(node, scores[n_before : means.size], kept, decided), means


def _means(sums: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return sums.astype(np.float32) / np.float32(math.prod(shape))
