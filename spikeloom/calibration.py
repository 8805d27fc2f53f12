"""Two numbers chosen on validation data: the attention threshold and the temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ThresholdPoint:
    """What an attention threshold does to validation data.

    Attributes
    ----------
    threshold : float
        Frames with a lower score are dropped.
    frames_kept : float
        Fraction of the frames that are kept.
    accuracy : float
        Fraction of the recordings that are recognised.
    certainty : float
        Mean probability of the true class, softmax(logits / temperature): an estimate of the accuracy that
        moves smoothly, where a hundred recordings move the accuracy in steps of a point.
    temperature : float
        The temperature that fits these logits best.
    """

    threshold: float
    frames_kept: float
    accuracy: float
    certainty: float
    temperature: float


def threshold_point(
    threshold: float, *, frames_kept: float, logits: NDArray[np.float64], labels: NDArray[np.int64]
) -> ThresholdPoint:
    """Measure what a threshold does to validation data, with a temperature of its own.

    Parameters
    ----------
    threshold : float
        Frames with a lower score were dropped.
    frames_kept : float
        Fraction of the frames that were kept.
    logits : numpy.ndarray
        float64, shape (n, n_classes): readouts.
    labels : numpy.ndarray
        int64, shape (n,): true classes.

    Returns
    -------
    ThresholdPoint
        Accuracy, certainty and temperature at this threshold.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> point = threshold_point(0.3, frames_kept=0.7, logits=logits, labels=np.array([0, 0, 1, 1]))
    >>> point.accuracy, round(point.certainty, 3)
    (0.75, 0.625)
    """
    temperature = fit_temperature(logits, labels)
    scaled = logits / temperature
    probabilities = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return ThresholdPoint(
        threshold=threshold,
        frames_kept=frames_kept,
        accuracy=float(np.mean(logits.argmax(axis=1) == labels)),
        certainty=float(np.mean(probabilities[np.arange(len(labels)), labels])),
        temperature=temperature,
    )


def choose_threshold(points: Sequence[ThresholdPoint], *, budget: float) -> ThresholdPoint:
    """Choose the threshold that drops most frames within a budget of certainty.

    Every milder threshold must stay within the budget too: with few validation recordings a point far out
    on the curve may look good by luck.

    Parameters
    ----------
    points : sequence of ThresholdPoint
        Candidates; one of them keeps every frame.
    budget : float
        Certainty that may be lost against the point that keeps most frames, as a fraction.

    Returns
    -------
    ThresholdPoint
        The one with fewest frames among those before the first that exceeds the budget.

    Examples
    --------
    >>> curve = [
    ...     ThresholdPoint(0.0, frames_kept=1.0, accuracy=0.98, certainty=0.971, temperature=0.3),
    ...     ThresholdPoint(0.4, frames_kept=0.6, accuracy=0.98, certainty=0.968, temperature=0.4),
    ...     ThresholdPoint(0.6, frames_kept=0.3, accuracy=0.97, certainty=0.940, temperature=0.5),
    ... ]
    >>> choose_threshold(curve, budget=0.004).threshold
    0.4
    """
    ordered = sorted(points, key=lambda point: (-point.frames_kept, point.certainty))
    least = ordered[0].certainty - budget - 1e-12
    return list(takewhile(lambda point: point.certainty >= least, ordered))[-1]


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Find the temperature for which softmax(logits / temperature) fits the labels best.

    Minimises the mean negative log-likelihood over log(temperature), within 0.01 to 100 times the
    spread of the logits.

    Parameters
    ----------
    logits : numpy.ndarray
        float64, shape (n, n_classes): readouts.
    labels : numpy.ndarray
        int64, shape (n,): true classes.

    Returns
    -------
    float
        Finite and > 0; 1 when the logits do not differ.

    Notes
    -----
    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(fit_temperature(logits, np.array([0, 0, 1, 1])), 2)  # right in 3 of 4: softmax must give 3/4
    1.82
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    spread = float(np.std(logits))
    if spread == 0.0:
        return 1.0
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[rows, labels]))

    bounds = (np.log(0.01 * spread), np.log(100 * spread))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
