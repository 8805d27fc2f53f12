"""How sure a running readout is: the measures of the exit rules."""

import math

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Floats
from neuro.kernels.options import UNCOUNTED, njit

CONFIDENCE, ENTROPY, GAP = 0, 1, 2
NEAR = 1e-9  # a certainty closer to the threshold may be decided otherwise by another implementation


@njit(cache=True, **UNCOUNTED)
def add_steps(outputs: Floats, total: NDArray[np.float64]) -> None:
    """Add the outputs of steps, shape (n_steps, n_outputs), to the running sum, one step after the other."""
    for step in range(outputs.shape[0]):
        for c in range(total.size):
            total[c] += np.float64(outputs[step, c])


@njit(cache=True, **UNCOUNTED)
def certainty(total: NDArray[np.float64], scale: float, measure: int) -> float:
    """Certainty of ``q = scale * total``, from 0 to 1: see `neuro.dynamics.ExitRule`."""
    first, second = -math.inf, -math.inf
    for c in range(total.size):
        q = total[c] * scale
        if q > first:
            first, second = q, first
        elif q > second:
            second = q
    if measure == GAP:
        return math.tanh(0.5 * (first - second))
    weights, moments = 0.0, 0.0
    for c in range(total.size):
        distance = total[c] * scale - first
        weight = math.exp(distance)
        weights += weight
        moments += weight * distance
    if measure == CONFIDENCE:
        return 1.0 / weights
    return 1.0 - (math.log(weights) - moments / weights) / math.log(np.float64(total.size))
