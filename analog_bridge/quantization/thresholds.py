"""Where to clip an activation that is counted in a few levels: from a histogram of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Method", "Histogram", "threshold_of"]

Method = Literal["squared_error", "balanced"]

_N_BINS = 2048
_FRACTIONS = np.geomspace(0.02, 1.0, 96)


@dataclass
class Histogram:
    """How often each value from 0 to the largest occurred, by channel.

    Attributes
    ----------
    largest : float64, shape (C,)
        Largest value of each channel; what is below 0 is not counted.
    counts : float64, shape (C, bins)
        Number of values in each of equal bins from 0 to the largest.
    """

    largest: NDArray[np.float64]
    counts: NDArray[np.float64]

    @classmethod
    def empty(cls, largest: NDArray[np.float64]) -> Histogram:
        """Return a histogram of nothing for values up to `largest`."""
        return cls(largest, np.zeros((len(largest), _N_BINS)))

    def add(self, values: NDArray[np.floating]) -> None:
        """Count values, shape (C, n)."""
        for channel, row in enumerate(values):
            if self.largest[channel] > 0:
                positive = row[row > 0]
                place = (positive * (_N_BINS / self.largest[channel])).astype(np.int64)
                self.counts[channel] += np.bincount(np.minimum(place, _N_BINS - 1), minlength=_N_BINS)

    def centres(self, channel: int) -> NDArray[np.float64]:
        """Return the middle of each bin."""
        middle: NDArray[np.float64] = (np.arange(_N_BINS) + 0.5) * (self.largest[channel] / _N_BINS)
        return middle


def threshold_of(histogram: Histogram, channel: int, n_levels: int, method: Method) -> float:
    """Return the value of the largest count.

    'squared_error' minimises ``E[(clip(floor(x / u + 1/2), 0, L) u - x)^2]`` with ``u = threshold / L`` over 96
    thresholds from 2 % to 100 % of the largest value, and 32 around the best of these. 'balanced' is where a change of
    the threshold adds as much error by clipping as it takes from rounding, ``2 E[relu(x - t)] = t P(x > 0) / (6 L^2)``.

    Parameters
    ----------
    histogram : Histogram
        Values of the activation.
    channel : int
        Which channel.
    n_levels : int
        L, the largest count.
    method : {'squared_error', 'balanced'}
        How to choose.

    Returns
    -------
    float
        The threshold; 0 if no value of the channel is above 0.
    """
    largest = float(histogram.largest[channel])
    if largest <= 0:
        return 0.0
    x, counts = histogram.centres(channel), histogram.counts[channel]
    if method == "balanced":
        return _balanced(x, counts, largest, n_levels)
    coarse = largest * _FRACTIONS
    errors = [_squared_error(x, counts, t, n_levels) for t in coarse]
    best = int(np.argmin(errors))
    fine = np.linspace(coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)], 34)[1:-1]
    found = [_squared_error(x, counts, t, n_levels) for t in fine]
    return float(fine[int(np.argmin(found))] if min(found) < errors[best] else coarse[best])


def _squared_error(
    x: NDArray[np.float64], counts: NDArray[np.float64], threshold: float, n_levels: int
) -> float:
    unit = threshold / n_levels
    quantised = np.minimum(np.floor(x / unit + 0.5), n_levels) * unit
    return float(((quantised - x) ** 2) @ counts)


def _balanced(x: NDArray[np.float64], counts: NDArray[np.float64], largest: float, n_levels: int) -> float:
    low, high = 0.0, largest
    for _ in range(40):
        middle = (low + high) / 2
        clipped = 2 * float(np.maximum(x - middle, 0) @ counts)
        if clipped > middle * float(counts.sum()) / (6 * n_levels**2):
            low = middle
        else:
            high = middle
    return high
