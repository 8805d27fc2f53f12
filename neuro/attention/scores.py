"""Scores of the frames of a window, from its events alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neuro.graph import TemporalAttention
from neuro.results import AttentionReport
from neuro.spikes import Spikes

__all__ = ["frame_means", "frame_scores", "report"]

NEAR = 1e-6


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
    return _means(_sums(spikes), spikes.shape)


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
    hidden = np.maximum(_affine(node.weight_1, node.bias_1, means), np.float32(0))
    logits = _affine(node.weight_2, node.bias_2, hidden).astype(np.float64)
    return (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)


def report(node: TemporalAttention, spikes: Spikes) -> AttentionReport:
    """Return the scores of a window's frames and which of them are kept.

    Parameters
    ----------
    node : TemporalAttention
        Weights and threshold.
    spikes : Spikes
        The window, `node.n_frames` steps.

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
    sums = _sums(spikes)
    scores = frame_scores(node, _means(sums, spikes.shape))
    kept = scores >= np.float32(node.threshold)
    distance = np.abs(scores.astype(np.float64) - node.threshold)
    scores.setflags(write=False)
    kept.setflags(write=False)
    return AttentionReport(
        scores=scores,
        kept=kept,
        threshold=node.threshold,
        n_near_threshold=int((distance < NEAR).sum()),
        events_total=float(sums.sum()),
        events_kept=float(sums[kept].sum()),
    )


def _sums(spikes: Spikes) -> NDArray[np.float64]:
    return np.asarray(np.bincount(spikes.step, spikes.value, spikes.n_steps), np.float64)


def _means(sums: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return sums.astype(np.float32) / np.float32(math.prod(shape))


def _affine(
    weight: NDArray[np.float32], bias: NDArray[np.float32], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Add the rounded products to the bias one after the other (a sum of numpy's would take another order)."""
    terms = np.vstack((bias, weight.T * values[:, np.newaxis]))
    total: NDArray[np.float32] = np.add.accumulate(terms, axis=0)[-1]
    return total
