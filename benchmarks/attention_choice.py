"""Choosing thresholds of attention and of the exit on validation recordings alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from attention_runs import Data, Measured, measure

from neuro.dynamics import Dynamics, ExitRule, calibrate_exit
from spikeloom.recognizer import Recognizer

#: On validation recordings: attention thresholds tried, events that attention must drop, operations that both leave.
THRESHOLDS = tuple(np.round(np.arange(0.0, 0.925, 0.025), 3).tolist())
DROPPED_ON_VALIDATION = 0.52
LEFT_ON_VALIDATION = 1 / 4.5
#: Where no saving is the goal (the signs): the boldest rung that loses at most a point on validation recordings.
LADDER = ((0.52, 1 / 4.5), (0.4, 1 / 3), (0.3, 1 / 2), (0.2, 1 / 1.5), (0.1, 1 / 1.25))
ALLOWED_ON_VALIDATION = 0.01
FIRST_STEP, CHECK_EVERY = 3, 2


def choose_attention(model: Recognizer, data: Data, dropped: float = DROPPED_ON_VALIDATION) -> float:
    """Take the mildest threshold that drops a fraction of the events; accuracy has no say."""
    for threshold in THRESHOLDS:
        if 1 - measure(model.with_threshold(threshold), data, Dynamics()).events >= dropped:
            return threshold
    return THRESHOLDS[-1]


def choose_on_ladder(
    model: Recognizer, data: Data, ladder: Sequence[tuple[float, float]]
) -> tuple[float, float, ExitRule]:
    """Take, for attention alone and for both, the boldest rung that loses at most a point."""
    whole = measure(model, data, Dynamics.off()).correct
    dropping, both = 0.0, None
    for dropped, left in reversed(ladder):
        threshold = choose_attention(model, data, dropped)
        if (
            whole - measure(model.with_threshold(threshold), data, Dynamics()).correct
        ).mean() <= ALLOWED_ON_VALIDATION:
            dropping = threshold
        pair = choose_both(model, data, left)
        ended = measure(model.with_threshold(pair[0]), data, Dynamics(early_exit=pair[1]))
        if both is None or (whole - ended.correct).mean() <= ALLOWED_ON_VALIDATION:
            both = pair
    assert both is not None
    return dropping, *both


def choose_both(model: Recognizer, data: Data, left: float = LEFT_ON_VALIDATION) -> tuple[float, ExitRule]:
    """Take the pair of thresholds that answers best at a set number of operations.

    For each attention threshold the strictest exit that leaves a given fraction of the spike-driven operations; among
    these pairs the one with the largest mean margin of the true class, which moves smoothly where a hundred
    recordings move the accuracy in steps of a point.
    """
    most = left * measure(model, data, Dynamics.off()).spike_driven
    found: list[tuple[float, float, ExitRule]] = []
    for threshold in THRESHOLDS[::4]:
        attended = model.with_threshold(threshold)
        whole = measure(attended, data, Dynamics())
        outputs = np.array([r.output.reshape(len(r.output), -1) for r in whole.results])
        curve = calibrate_exit(
            outputs, data.labels, allowed_loss=1.0, first_step=FIRST_STEP, check_every=CHECK_EVERY
        )
        rules = [replace(curve.rule, threshold=point.threshold) for point in curve.curve]
        first, last = 0, len(rules) - 1  # operations fall along the curve
        while first < last:
            middle = (first + last) // 2
            tried = measure(attended, data, Dynamics(early_exit=rules[middle]))
            first, last = (first, middle) if tried.spike_driven <= most else (middle + 1, last)
        ended = measure(attended, data, Dynamics(early_exit=rules[first]))
        if ended.spike_driven <= most:
            found.append((mean_margin(ended, data, rules[first]), threshold, rules[first]))
    _, threshold, rule = max(found, key=lambda one: one[0])
    return threshold, rule


def mean_margin(measured: Measured, data: Data, rule: ExitRule) -> float:
    """Mean of tanh((z_true - z_other) / (2 temperature)) over the recordings, z the mean readout at the end."""
    margins = []
    for result, label in zip(measured.results, data.labels, strict=True):
        z = result.output.astype(np.float64).reshape(len(result.output), -1).mean(axis=0)
        margins.append(np.tanh((z[label] - np.delete(z, label).max()) / (2 * rule.temperature)))
    return float(np.mean(margins))
