"""When a running readout is sure enough for a run to end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError

__all__ = ["MEASURES", "ExitRule", "Measure", "ReadoutKind", "running_certainty"]

Measure = Literal["confidence", "entropy", "gap"]
ReadoutKind = Literal["mean", "sum"]
MEASURES: tuple[Measure, ...] = ("confidence", "entropy", "gap")
_READOUTS: tuple[ReadoutKind, ...] = ("mean", "sum")


_TANH = np.frompyfunc(math.tanh, 1, 1)  # the engine's: NumPy's may differ in the last bit


@dataclass(frozen=True)
class ExitRule:
    """End a run as soon as its running readout is sure enough.

    After `t` steps the running readout is ``z = (y[0] + ... + y[t - 1]) / t`` ('mean') or the sum alone
    ('sum'), where ``y`` is the output of a sink; added in float64 in the order of the steps. With
    ``q = z / temperature``, ``p = softmax(q)`` over the `C` outputs and ``q1 >= q2`` the two largest, the certainty is

    - 'confidence': ``max(p)`` (SEENN);
    - 'entropy': ``1 + sum(p * log(p)) / log(C)``, one minus the normalised entropy (DT-SNN);
    - 'gap': ``tanh((q1 - q2) / 2) = (p1 - p2) / (p1 + p2)``, the gap of the two leading outputs.

    The run ends after `t` steps if ``certainty >= threshold``. The rule is asked after `first_step` steps and then
    every `check_every` steps.

    Attributes
    ----------
    threshold : float
        Least certainty, from 0 (end at the first check) to 1.
    measure : {'gap', 'confidence', 'entropy'}
        What certainty means.
    temperature : float
        Divides the running readout; finite and > 0.
    readout : {'mean', 'sum'}
        What the running readout is.
    first_step : int
        Steps before the first check, at least 1.
    check_every : int
        Steps between checks, at least 1. Each check ends a block of steps, which costs some calls where layers do not
        stand one behind the other.

    Raises
    ------
    InputError
        If a value is outside its range.

    Notes
    -----
    Source: Li et al., "SEENN: Towards temporal spiking early-exit neural networks", NeurIPS 2023 (confidence);
    Li et al., "Input-aware dynamic timestep spiking neural networks", DAC 2023 (entropy); Wu et al., "Optimising
    event-driven spiking neural network with regularisation and cutoff", 2023 (gap of the two largest). All three
    average the output; there the gap is not squashed and the sign of the entropy is the other way round.

    Examples
    --------
    >>> ExitRule(0.9, measure="confidence", first_step=4, check_every=2).check_steps(9).tolist()
    [4, 6, 8]
    """

    threshold: float
    measure: Measure = "gap"
    temperature: float = 1.0
    readout: ReadoutKind = "mean"
    first_step: int = 1
    check_every: int = 1

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InputError(f"ExitRule: measure must be one of {', '.join(MEASURES)}, got {self.measure!r}")
        if self.readout not in _READOUTS:
            raise InputError(f"ExitRule: readout must be 'mean' or 'sum', got {self.readout!r}")
        if not 0 <= self.threshold <= 1:
            raise InputError(f"ExitRule: threshold must be from 0 to 1, got {self.threshold!r}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InputError(f"ExitRule: temperature must be finite and > 0, got {self.temperature!r}")
        for name in ("first_step", "check_every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"ExitRule: {name} must be a whole number >= 1, got {value!r}")

    def check_steps(self, n_steps: int) -> NDArray[np.int64]:
        """Return after how many steps the rule is asked in a run of `n_steps`; the end itself is none.

        Parameters
        ----------
        n_steps : int
            Steps of the whole run.

        Returns
        -------
        int64, shape (n_checks,)
            Ascending, each below `n_steps`.
        """
        return np.arange(self.first_step, n_steps, self.check_every, dtype=np.int64)

    def blocks(self, n_steps: int, longest: int) -> Iterator[tuple[int, int]]:
        """Yield blocks of steps (start, stop) that end wherever the rule is asked.

        Parameters
        ----------
        n_steps : int
            Steps of the whole run.
        longest : int
            Most steps of a block.

        Yields
        ------
        tuple of int
            Start and stop of a block.
        """
        start = 0
        next_check = self.first_step
        while start < n_steps:
            stop = min(next_check, n_steps, start + longest)
            yield start, stop
            start = stop
            if stop == next_check:
                next_check += self.check_every


def running_certainty(readouts: NDArray[np.floating], rule: ExitRule) -> NDArray[np.float64]:
    """Return the certainty after every step, in plain NumPy.

    Parameters
    ----------
    readouts : float, shape (..., n_steps, n_outputs)
        Output of a sink in every step.
    rule : ExitRule
        Measure, kind of readout and temperature; its steps of checking do not matter here.

    Returns
    -------
    float64, shape (..., n_steps)
        Certainty after step 1, 2, ...

    Raises
    ------
    InputError
        If there are fewer than two outputs.

    Examples
    --------
    >>> outputs = np.array([[0.0, 0.0], [0.0, 4.0]])
    >>> running_certainty(outputs, ExitRule(0.9, measure="confidence")).round(3).tolist()
    [0.5, 0.881]
    """
    if readouts.shape[-1] < 2:
        raise InputError(f"ExitRule: needs a readout of two or more outputs, got {readouts.shape[-1]}")
    q = np.add.accumulate(readouts.astype(np.float64), axis=-2) / rule.temperature
    if rule.readout == "mean":
        q = q / np.arange(1, q.shape[-2] + 1)[:, np.newaxis]
    if rule.measure == "gap":
        ordered = np.sort(q, axis=-1)
        gap = 0.5 * (ordered[..., -1] - ordered[..., -2])
        return np.asarray(_TANH(gap), np.float64)
    distances = q - q.max(axis=-1, keepdims=True)
    weights = np.exp(distances)
    total = weights.sum(axis=-1)
    if rule.measure == "confidence":
        return np.asarray(1.0 / total)
    entropy = np.log(total) - (weights * distances).sum(axis=-1) / total
    return np.asarray(1.0 - entropy / math.log(q.shape[-1]))
