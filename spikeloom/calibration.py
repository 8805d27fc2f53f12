"""Two numbers chosen on validation data: the attention threshold and the temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
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
    certainties : numpy.ndarray
        float64, shape (n,): probability of the true class of each recording, softmax(logits / temperature).
        Their mean estimates the accuracy and moves smoothly, where a hundred recordings move the accuracy in
        steps of a point.
    temperature : float
        The temperature that fits these logits best.
    """

    threshold: float
    frames_kept: float
    accuracy: float
    certainties: NDArray[np.float64]
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
        Accuracy, certainties and temperature at this threshold.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> point = threshold_point(0.3, frames_kept=0.7, logits=logits, labels=np.array([0, 0, 1, 1]))
    >>> point.accuracy, point.certainties.round(2).tolist()
    (0.75, [0.67, 0.67, 0.33, 0.67])
    """
    temperature = fit_temperature(logits, labels)
    scaled = logits / temperature
    probabilities = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return ThresholdPoint(
        threshold=threshold,
        frames_kept=frames_kept,
        accuracy=float(np.mean(logits.argmax(axis=1) == labels)),
        certainties=probabilities[np.arange(len(labels)), labels],
        temperature=temperature,
    )


def choose_threshold(points: Sequence[ThresholdPoint], *, budget: float) -> ThresholdPoint:
    """Choose the threshold that drops most frames for at most a budget of certainty.

    A point is within the budget if the mean certainty, paired by recording with that of the point that keeps
    most frames, fell by no more than the budget and one standard error of this mean. Every milder threshold
    must stay within it too: with few validation recordings a point far out on the curve may look good by
    luck.

    Parameters
    ----------
    points : sequence of ThresholdPoint
        Candidates, measured on the same recordings; one of them keeps every frame.
    budget : float
        Certainty that may be lost, as a fraction.

    Returns
    -------
    ThresholdPoint
        The one with fewest frames among those before the first that exceeds the budget.

    Notes
    -----
    Source: Breiman, Friedman, Olshen, Stone, "Classification and regression trees", 1984, section 3.4.3 (the
    rule of one standard error: the simplest model that is as good as the best as far as the data can tell).

    Examples
    --------
    >>> values = [(0.0, 1.0, [0.97, 0.98, 0.96]), (0.4, 0.6, [0.97, 0.98, 0.95]), (0.6, 0.3, [0.9, 0.9, 0.9])]
    >>> curve = [ThresholdPoint(t, kept, 1.0, np.array(p), temperature=0.4) for t, kept, p in values]
    >>> choose_threshold(curve, budget=0.004).threshold
    0.4
    """
    ordered = sorted(points, key=lambda point: (-point.frames_kept, point.certainties.mean()))
    whole = ordered[0].certainties

    def is_within(point: ThresholdPoint) -> bool:
        loss = whole - point.certainties
        return bool(loss.mean() <= budget + loss.std() / np.sqrt(len(loss)) + 1e-12)

    return list(takewhile(is_within, ordered))[-1]


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Find the temperature for which softmax(logits / temperature) fits the labels best.

    Minimises the mean cross entropy over log(temperature), within 0.01 to 100 times the spread of the logits.
    The targets leave 1 / (n + 2) to the other classes, so that n right answers out of n do not make the
    confidence boundless.

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
    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2; targets as in Platt,
    "Probabilistic outputs for support vector machines", 1999, section 2.2, with more than two classes.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(fit_temperature(logits, np.array([0, 0, 1, 1])), 2)  # right in 3 of 4, targets 5/6: softmax gives 2/3
    2.89
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    spread = float(np.std(logits))
    if spread == 0.0:
        return 1.0
    rows = np.arange(len(labels))

    rest = 1.0 / (len(labels) + 2)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        true = scaled[rows, labels]
        others = (scaled.sum(axis=1) - true) / (scaled.shape[1] - 1)
        return float(np.mean(logsumexp(scaled, axis=1) - (1.0 - rest) * true - rest * others))

    bounds = (np.log(0.01 * spread), np.log(100 * spread))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
