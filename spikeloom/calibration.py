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
    """

    threshold: float
    frames_kept: float
    accuracy: float


def choose_threshold(points: Sequence[ThresholdPoint], *, accuracy_budget: float) -> ThresholdPoint:
    """Choose the threshold that drops most frames within an accuracy budget.

    Every milder threshold must stay within the budget too: with few validation recordings a point far out
    on the curve may look good by luck.

    Parameters
    ----------
    points : sequence of ThresholdPoint
        Candidates; one of them keeps every frame.
    accuracy_budget : float
        Accuracy that may be lost against the point that keeps most frames, as a fraction.

    Returns
    -------
    ThresholdPoint
        The one with fewest frames among those before the first that exceeds the budget.

    Examples
    --------
    >>> candidates = [(0.0, 1.0, 0.98), (0.4, 0.6, 0.976), (0.6, 0.3, 0.9)]
    >>> curve = [ThresholdPoint(*candidate) for candidate in candidates]
    >>> choose_threshold(curve, accuracy_budget=0.005).threshold
    0.4
    """
    ordered = sorted(points, key=lambda point: (-point.frames_kept, point.accuracy))
    least = ordered[0].accuracy - accuracy_budget - 1e-12
    within = takewhile(lambda point: point.accuracy >= least, ordered)
    return list(within)[-1]


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
