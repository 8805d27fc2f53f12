"""Recordings as they come: what each step holds, what attention makes of it, and frames as lists for each pixel."""

import math

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Bytes, Floats, Frames, Int32s, Int64s
from neuro.kernels.frames import sort_step
from neuro.kernels.options import PART, UNCOUNTED, njit

U = np.uint64
Doubles = NDArray[np.float64]
NEAR = 1e-6  # a score closer to the threshold may be decided otherwise by another implementation


@njit(cache=True, **PART)
def copy(values: Floats, into: Floats) -> None:
    """Write values to the front of another array (an assignment of arrays would allocate)."""
    for k in range(values.size):
        into[k] = values[k]


@njit(cache=True, **PART)
def look_over(
    step: Int32s, value: Floats, most: float, ends: Int64s, sums: Doubles, is_graded: Bytes
) -> bool:
    """Find where the entries of each step end, their sum, and whether one of them is not 1.

    Returns whether all values are whole numbers from 0 to `most` (where it is not infinite). ``ends``: shape
    (n_steps + 1,), 0 first.
    """
    n_steps, j, n, is_right, is_counting = sums.size, U(0), U(step.size), True, most < math.inf
    ends[0] = 0
    for k in range(n_steps):
        total, graded = 0.0, False
        while j < n and step[j] == k:
            x = value[j]
            total += np.float64(x)
            graded |= x != np.float32(1)
            if is_counting:
                is_right &= x > 0 and x <= most and x == np.floor(x)
            j += U(1)
        sums[k], is_graded[k], ends[k + 1] = total, graded, j
    return is_right


@njit(cache=True, **UNCOUNTED)
def sum_steps(step: Int32s, value: Floats, sums: Doubles) -> None:
    """Add up the values of each step in their order."""
    sums[:] = 0
    for j in range(step.size):
        sums[step[j]] += np.float64(value[j])


@njit(cache=True, **PART)
def average_frames(sums: Doubles, size: int, means: Floats) -> None:
    """Write the means of frames of `size` entries to the end of `means`, which begins with those of frames before."""
    n_before = means.size - sums.size
    for k in range(sums.size):
        means[n_before + k] = np.float32(sums[k]) / np.float32(size)


@njit(cache=True, **UNCOUNTED)
def decide(
    scores: Floats, sums: Doubles, threshold: float, is_dropping: bool, kept: Bytes
) -> tuple[int, float, float]:
    """Keep the frames whose score reaches the threshold; return how many are near it, and the sums: of all, of kept."""
    least, n_near, total, total_kept = np.float32(threshold), 0, 0.0, 0.0
    for k in range(scores.size):
        kept[k] = not is_dropping or scores[k] >= least
        n_near += int(abs(np.float64(scores[k]) - threshold) < NEAR)
        total += sums[k]
        if kept[k] != 0:
            total_kept += sums[k]
    return n_near, total, total_kept


@njit(cache=True, **UNCOUNTED)
def sigmoid(logits: Floats, scores: Floats) -> None:
    """Score = 1 / (1 + exp(-x)), computed in float64 and rounded."""
    for k in range(logits.size):
        scores[k] = np.float32(0.5 * (1.0 + math.tanh(0.5 * np.float64(logits[k]))))


@njit(cache=True, **PART)
def add_columns(weight: Floats, values: Floats, bias: Floats, total: Floats) -> None:
    """Write ``bias + weight @ values`` to `total`: rounded products, added in ascending order; `weight` is flat."""
    n = values.size
    for o in range(bias.size):
        sum_ = bias[o]
        for k in range(n):
            sum_ = sum_ + weight[o * n + k] * values[k]
        total[o] = sum_


@njit(cache=True, **UNCOUNTED)
def score_window(
    means: Floats,
    weights: tuple[Floats, Floats, Floats, Floats],
    window: Floats,
    hidden: Floats,
    scores: Floats,
) -> None:
    """Scores of the frames of a window: ``sigmoid(weight_2 @ relu(weight_1 @ means + bias_1) + bias_2)``.

    ``weights``: weight_1, bias_1, weight_2, bias_2. ``window``: room for n_frames; frames still to come count as empty.
    """
    window[:] = 0
    copy(means, window)
    add_columns(weights[0], window, weights[1], hidden)
    for k in range(hidden.size):
        hidden[k] = np.float32(0) if hidden[k] < 0 else hidden[k]
    add_columns(weights[2], hidden, weights[3], window)
    sigmoid(window[: means.size], scores)


@njit(cache=True, **UNCOUNTED)
def weigh(
    step: Int32s,
    value: Floats,
    size: int,
    weights: tuple[Floats, Floats, Floats, Floats],
    means: Floats,
    scores: Floats,
    sums: Doubles,
    limit: tuple[float, bool],
    kept: Bytes,
) -> tuple[int, float, float]:
    """Sum up, score and decide about the frames of a window in one call; arguments and results as above.

    ``means`` begins with those of frames before; ``scores``, shape (frames of a window + hidden units,): the scores of
    all frames, and scratch behind them. ``limit``: threshold, and whether frames are dropped.
    """
    sum_steps(step, value, sums)
    average_frames(sums, size, means)
    n_before, n_frames = means.size - sums.size, weights[3].size
    score_window(means, weights, scores[:n_frames], scores[n_frames:], scores[: means.size])
    n_near, total, total_kept = decide(scores[n_before : means.size], sums, limit[0], limit[1], kept)
    return n_near, total, total_kept


@njit(cache=True, **UNCOUNTED)
def score_moving(
    means: Floats,
    weights: tuple[Floats, Floats, Floats, Floats],
    rates: Floats,
    average: Floats,
    hidden: Floats,
    scores: Floats,
) -> None:
    """Scores from moving averages: ``m = m + rate * (s - m)``, then as `score_window` with the averages as means."""
    for step in range(means.size):
        for k in range(rates.size):
            average[k] = average[k] + rates[k] * (means[step] - average[k])
        add_columns(weights[0], average, weights[1], hidden)
        for k in range(hidden.size):
            hidden[k] = np.float32(0) if hidden[k] < 0 else hidden[k]
        add_columns(weights[2], hidden, weights[3], scores[step : step + 1])
    sigmoid(scores, scores)


@njit(cache=True, **PART)
def list_frames(
    index: Int32s,
    value: Floats,
    ends: Int64s,
    steps: tuple[int, int, int],
    kept: Bytes,
    layout: tuple[int, int],
    into: Frames,
) -> None:
    """List the entries of the steps ``steps[1]`` to ``steps[2]`` by pixel, leaving out dropped ones.

    ``steps[0]``: the first step of the block, which ``into`` begins with. ``layout``: pixels and channels.
    """
    first, start, stop = steps
    n_pixels = layout[0]
    if start == first:
        into.start[0] = 0
    for step in range(start, stop):
        slot = (step - first) * n_pixels
        if kept[step] != 0:
            sort_step(index, value, (ends[step], ends[step + 1]), layout, slot, into)
        else:
            into.start[slot + 1 : slot + n_pixels + 1] = into.start[slot]
