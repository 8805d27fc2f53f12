"""Choosing the threshold of an exit rule on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from neuro.dynamics.rules import ExitRule, Measure, ReadoutKind, running_certainty
from neuro.errors import InputError

__all__ = ["ExitCalibration", "ExitPoint", "calibrate_exit", "exit_steps", "fit_exit_temperature"]

_N_CANDIDATES = 201


@dataclass(frozen=True)
class ExitPoint:
    """What a threshold does to the recordings it was measured on.

    Attributes
    ----------
    threshold : float
        Of the rule.
    accuracy : float
        Fraction of the recordings that are recognised when runs end by the rule.
    loss : float
        Accuracy without the rule minus `accuracy`, paired by recording; negative where ending early helps.
    loss_error : float
        Standard error of `loss`.
    mean_steps : float
        Mean number of steps run.
    """

    threshold: float
    accuracy: float
    loss: float
    loss_error: float
    mean_steps: float


@dataclass(frozen=True)
class ExitCalibration:
    """A rule whose threshold was chosen on validation data, and what it was chosen from.

    Attributes
    ----------
    rule : ExitRule
        With the chosen threshold.
    chosen : ExitPoint
        What it does to the validation recordings.
    curve : tuple of ExitPoint
        All candidates, from the strictest.
    n_recordings, n_steps : int
        Recordings, and steps of a whole run.
    allowed_loss : float
        The accuracy loss that was asked for, as a fraction.
    accuracy_without : float
        Accuracy when every step is run.
    """

    rule: ExitRule
    chosen: ExitPoint
    curve: tuple[ExitPoint, ...]
    n_recordings: int
    n_steps: int
    allowed_loss: float
    accuracy_without: float

    def __str__(self) -> str:
        point = self.chosen
        return (
            f"exit when the {self.rule.measure} is >= {self.rule.threshold:.6g}: "
            f"{point.mean_steps:.2f} of {self.n_steps} steps, accuracy {100 * point.accuracy:.2f} % after "
            f"{100 * self.accuracy_without:.2f} % (loss {100 * point.loss:.2f} +- {196 * point.loss_error:.2f} points, "
            f"{100 * self.allowed_loss:g} allowed) on {self.n_recordings} validation recordings"
        )


def exit_steps(readouts: NDArray[np.floating], rule: ExitRule) -> NDArray[np.int64]:
    """Return after how many steps each recording ends.

    Parameters
    ----------
    readouts : float, shape (n, n_steps, n_outputs)
        Output of the sink in every step of whole runs.
    rule : ExitRule
        The rule.

    Returns
    -------
    int64, shape (n,)
        The first step of checking at which the rule says so, else `n_steps`.

    Examples
    --------
    >>> outputs = np.array([[[0.0, 0.0], [0.0, 4.0], [0.0, 4.0]]])
    >>> exit_steps(outputs, ExitRule(0.8, measure="confidence")).tolist()
    [2]
    """
    n_steps = readouts.shape[1]
    checks = rule.check_steps(n_steps)
    if not checks.size:
        return np.full(len(readouts), n_steps, np.int64)
    sure = running_certainty(readouts, rule)[:, checks - 1] >= rule.threshold
    ends = np.append(checks, n_steps)
    first = np.where(sure.any(axis=1), sure.argmax(axis=1), checks.size)
    return np.asarray(ends[first], np.int64)


def fit_exit_temperature(readouts: NDArray[np.floating], *, readout: ReadoutKind = "mean") -> float:
    """Return the temperature that brings the running gaps into the middle of the measures' range.

    A quarter of the median gap between the two largest outputs at the end of the runs: then half of the
    recordings end with ``(q1 - q2) / 2 >= 2``, a 'gap' of 0.96. It only spreads certainties over 0 to 1;
    the choice among thresholds is made by `calibrate_exit`.

    Parameters
    ----------
    readouts : float, shape (n, n_steps, n_outputs)
        Output of the sink in every step of whole runs.
    readout : {'mean', 'sum'}
        As in `ExitRule`.

    Returns
    -------
    float
        Finite and > 0; 1 where all outputs are equal.
    """
    total = readouts.astype(np.float64).sum(axis=1)
    if readout == "mean":
        total = total / readouts.shape[1]
    ordered = np.sort(total, axis=1)
    gap = float(np.median(ordered[:, -1] - ordered[:, -2]))
    return gap / 4 if np.isfinite(gap) and gap > 0 else 1.0


def calibrate_exit(
    readouts: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    labels: NDArray[np.integer] | Sequence[int],
    *,
    allowed_loss: float = 0.01,
    measure: Measure = "gap",
    readout: ReadoutKind = "mean",
    temperature: float | None = None,
    first_step: int = 1,
    check_every: int = 1,
    standard_errors: float = 0.0,
) -> ExitCalibration:
    """Choose the threshold that runs fewest steps for at most an accuracy loss, on validation data.

    A candidate is allowed if ``loss + standard_errors * loss_error <= allowed_loss``, the loss paired by recording
    against runs of every step, and if every stricter candidate is allowed too: with few recordings a point
    far out on the curve may look good by luck.

    Parameters
    ----------
    readouts : float, shape (n, n_steps, n_outputs)
        Output of the sink in every step of whole validation runs, made with the attention that the rule will be
        used with. Never test data.
    labels : int, shape (n,)
        True classes.
    allowed_loss : float
        Accuracy that may be lost, as a fraction from 0 to 1.
    measure : {'gap', 'confidence', 'entropy'}
        As in `ExitRule`.
    readout : {'mean', 'sum'}
        Likewise.
    temperature : float, optional
        Likewise; None fits one (`fit_exit_temperature`).
    first_step, check_every : int
        Likewise.
    standard_errors : float
        Standard errors of the loss to stay clear of the allowed loss; 0 takes the estimate as it is.

    Returns
    -------
    ExitCalibration
        The rule, and the curve it was chosen from. `str()` says it in a sentence.

    Raises
    ------
    InputError
        If shapes do not fit, there are fewer than two outputs, no recordings, or `allowed_loss` is outside 0 to 1.

    Examples
    --------
    >>> sure, late = [[0.0, 2.0]] * 4, [[0.1, 0.0], [0.0, 0.4], [0.0, 3.0], [0.0, 3.0]]
    >>> found = calibrate_exit(np.array([sure, late]), [1, 1], allowed_loss=0.0, temperature=1.0)
    >>> found.chosen.mean_steps, found.chosen.accuracy
    (1.5, 1.0)
    """
    outputs, truth = _checked(readouts, labels, allowed_loss)
    heat = fit_exit_temperature(outputs, readout=readout) if temperature is None else temperature
    rule = ExitRule(1.0, measure, heat, readout, first_step, check_every)
    certainties = running_certainty(outputs, rule)[:, rule.check_steps(outputs.shape[1]) - 1]
    total = np.add.accumulate(outputs.astype(np.float64), axis=1)
    right = total.argmax(axis=2) == truth[:, np.newaxis]
    curve = tuple(_point(replace(rule, threshold=t), outputs, right) for t in _candidates(certainties))

    def is_allowed(point: ExitPoint) -> bool:
        return point.loss + standard_errors * point.loss_error <= allowed_loss + 1e-12

    allowed = list(takewhile(is_allowed, curve)) or [curve[0]]
    chosen = min(allowed, key=lambda point: (point.mean_steps, point.threshold))
    return ExitCalibration(
        rule=replace(rule, threshold=chosen.threshold),
        chosen=chosen,
        curve=curve,
        n_recordings=len(truth),
        n_steps=outputs.shape[1],
        allowed_loss=allowed_loss,
        accuracy_without=float(right[:, -1].mean()),
    )


def _checked(
    readouts: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    labels: NDArray[np.integer] | Sequence[int],
    allowed_loss: float,
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    outputs, truth = np.asarray(readouts), np.asarray(labels, np.int64)
    if outputs.ndim != 3 or outputs.shape[0] == 0 or outputs.shape[2] < 2:
        raise InputError(
            "calibrate_exit: readouts must have shape (recordings, steps, outputs), at least one recording and two "
            f"outputs, got {outputs.shape}"
        )
    if truth.shape != outputs.shape[:1]:
        raise InputError(f"calibrate_exit: {outputs.shape[0]} recordings but labels of shape {truth.shape}")
    if truth.min() < 0 or truth.max() >= outputs.shape[2]:
        raise InputError(
            f"calibrate_exit: labels must be from 0 to {outputs.shape[2] - 1}, got {truth.min()} to {truth.max()}"
        )
    if not 0 <= allowed_loss <= 1:
        raise InputError(f"calibrate_exit: allowed_loss must be from 0 to 1, got {allowed_loss!r}")
    return outputs, truth


def _candidates(certainties: NDArray[np.float64]) -> list[float]:
    """Thresholds from the strictest: 1, quantiles of what occurs (rounded down, so none is a tie), 0."""
    found = np.quantile(certainties, np.linspace(1, 0, _N_CANDIDATES)) if certainties.size else np.zeros(0)
    rounded = np.floor(found * 1e9) / 1e9
    return list(dict.fromkeys([1.0, *np.clip(rounded, 0.0, 1.0).tolist(), 0.0]))


def _point(rule: ExitRule, outputs: NDArray[np.floating], right: NDArray[np.bool_]) -> ExitPoint:
    steps = exit_steps(outputs, rule)
    found = right[np.arange(len(steps)), steps - 1]
    losses = right[:, -1].astype(np.float64) - found
    n = len(losses)
    return ExitPoint(
        threshold=rule.threshold,
        accuracy=float(found.mean()),
        loss=float(losses.mean()),
        loss_error=float(losses.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0,
        mean_steps=float(steps.mean()),
    )
