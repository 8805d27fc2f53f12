"""Scores of attention from means: NumPy on small arrays, products rounded and added in ascending order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuro.graph import ChannelAttention, MovingAttention, TemporalAttention
from neuro.kernels.arrays import Floats
from neuro.kernels.attention import add_products, move_averages
from neuro.kernels.windows import sigmoid as write_sigmoid

__all__ = ["NEAR", "Temporal", "excite", "move", "next_scores", "sigmoid", "start_history"]

NEAR = 1e-6  # a score closer to the threshold may be decided otherwise by another implementation
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
    averages = np.empty((means.size, node.n_averages), np.float32)
    average = average.copy()
    move_averages(means, node.rates, average, averages)
    hidden = np.maximum(_affine(node.weight_1, node.bias_1, averages), np.float32(0))
    bias_2 = np.array([node.bias_2], np.float32)
    return sigmoid(_affine(node.weight_2[np.newaxis], bias_2, hidden))[:, 0], average


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
    window = np.zeros(node.n_frames, np.float32)
    window[: known.size] = known
    return excite(node, window[np.newaxis])[0, history.size : known.size], known


def _affine(weight: Floats, bias: Floats, values: Floats) -> Floats:
    """Add the rounded products to the bias one after the other (a sum of numpy's would take another order)."""
    total: NDArray[np.float32] = np.repeat(bias[np.newaxis], len(values), axis=0)
    add_products(weight, values, total)
    return total
