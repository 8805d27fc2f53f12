"""Scores of attention from means: NumPy on small arrays, products rounded and added in ascending order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuro.graph import ChannelAttention, MovingAttention, TemporalAttention
from neuro.kernels.arrays import Floats
from neuro.kernels.attention import add_products
from neuro.kernels.windows import NEAR, score_moving, score_window
from neuro.kernels.windows import sigmoid as write_sigmoid

__all__ = ["NEAR", "Temporal", "excite", "flat_weights", "move", "next_scores", "sigmoid", "start_history"]

Temporal = TemporalAttention | MovingAttention


def sigmoid(logits: Floats) -> Floats:
    """Return ``1 / (1 + exp(-x))``, computed in float64 and rounded."""
    scores: Floats = np.empty(logits.shape, np.float32)
    write_sigmoid(logits.reshape(-1), scores.reshape(-1))
    return scores


def excite(node: TemporalAttention | ChannelAttention, squeezed: Floats) -> Floats:
    """Return ``sigmoid(weight_2 @ relu(weight_1 @ s + bias_1) + bias_2)`` for each row of `squeezed`."""
    hidden = np.maximum(_affine(node.weight_1, node.bias_1, squeezed), np.float32(0))
    return sigmoid(_affine(node.weight_2, node.bias_2, hidden))


def move(node: MovingAttention, means: Floats, average: Floats) -> tuple[Floats, Floats]:
    """Return the scores of further frames, and the averages after them."""
    scores, average, hidden = np.empty(means.size, np.float32), average.copy(), np.empty_like(node.bias_1)
    score_moving(means, flat_weights(node), node.rates, average, hidden, scores)
    return scores, average


def flat_weights(node: Temporal) -> tuple[Floats, Floats, Floats, Floats]:
    """Return weight_1, bias_1, weight_2, bias_2, each flat."""
    bias_2 = np.full(1, node.bias_2, np.float32) if isinstance(node, MovingAttention) else node.bias_2
    return node.weight_1.reshape(-1), node.bias_1, node.weight_2.reshape(-1), bias_2


def start_history(node: Temporal) -> Floats:
    """Return what a temporal attention knows before the first frame."""
    return node.start if isinstance(node, MovingAttention) else np.zeros(0, np.float32)


def next_scores(node: Temporal, means: Floats, history: Floats) -> tuple[Floats, Floats]:
    """Return the scores of further frames, and the history after them.

    The history of a TemporalAttention are the means of the frames so far; the frames that are still to come
    count as empty, which no score of a causal one sees.
    """
    if isinstance(node, MovingAttention):
        return move(node, means, history)
    known = np.concatenate((history, means))
    scores, hidden = np.empty(node.n_frames, np.float32), np.empty_like(node.bias_1)
    score_window(known, flat_weights(node), scores, hidden, scores[: known.size])
    return scores[history.size : known.size], known


def _affine(weight: Floats, bias: Floats, values: Floats) -> Floats:
    """Add the rounded products to the bias one after the other (a sum of numpy's would take another order)."""
    total: NDArray[np.float32] = np.repeat(bias[np.newaxis], len(values), axis=0)
    add_products(weight, values, total)
    return total
