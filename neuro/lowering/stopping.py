"""Watching the readout while a run goes on, and ending it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neuro.dynamics import ExitRule
from neuro.kernels.arrays import Floats
from neuro.kernels.certainty import CONFIDENCE, ENTROPY, GAP, NEAR, add_steps, certainty

__all__ = ["MEASURE_NUMBERS", "Verdict", "Watch", "blocks"]

MEASURE_NUMBERS = {"confidence": CONFIDENCE, "entropy": ENTROPY, "gap": GAP}


def blocks(n_steps: int, longest: int, rule: ExitRule | None) -> Iterator[tuple[int, int]]:
    """Yield the blocks of a run, (start, stop): as long as possible, but a block ends wherever the rule is asked."""
    if rule is None:
        return ((start, min(start + longest, n_steps)) for start in range(0, n_steps, longest))
    return rule.blocks(n_steps, longest)


@dataclass(frozen=True)
class Verdict:
    """What a rule said about a run: see `neuro.dynamics.DynamicsReport`."""

    exit_step: int | None = None
    certainty: float = math.nan
    n_near_threshold: int = 0


class Watch:
    """The running readout of one run, and what the rule said about it."""

    def __init__(self, rule: ExitRule, n_outputs: int, n_steps: int) -> None:
        self.rule = rule
        self.certainty = math.nan
        self.n_near_threshold = 0
        self.exit_step: int | None = None
        self._n_all = n_steps
        self._total = np.zeros(n_outputs, np.float64)
        self._measure = MEASURE_NUMBERS[rule.measure]

    @property
    def verdict(self) -> Verdict:
        """What the rule said so far."""
        return Verdict(self.exit_step, self.certainty, self.n_near_threshold)

    def is_over(self, outputs: Floats, stop: int) -> bool:
        """Take the outputs of the steps up to `stop`, (n, n_outputs); say whether the run ends here."""
        rule = self.rule
        add_steps(outputs, self._total)
        is_asked = stop >= rule.first_step and (stop - rule.first_step) % rule.check_every == 0
        if stop >= self._n_all or not is_asked:
            return False
        if self.is_sure(stop):
            self.exit_step = stop
            return True
        return False

    def add(self, outputs: Floats) -> None:
        """Take the outputs of further steps without asking the rule."""
        add_steps(outputs, self._total)

    def is_sure(self, stop: int) -> bool:
        """Say whether the readout is sure enough after `stop` steps."""
        rule = self.rule
        n = stop if rule.readout == "mean" else 1
        self.certainty = certainty(self._total, 1.0 / (rule.temperature * n), self._measure)
        self.n_near_threshold += abs(self.certainty - rule.threshold) < NEAR
        return self.certainty >= rule.threshold
