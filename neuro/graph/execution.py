"""How time runs in a network: in clocked steps, or continuously."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.fields import as_float, check_positive

__all__ = ["Clocked", "Continuous", "Execution", "clocked", "continuous"]

_MULTIPLE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Clocked:
    """Time runs in steps: step ``k`` covers ``[k * dt_s, (k + 1) * dt_s)``, all nodes run once per step.

    Attributes
    ----------
    dt_s : float
        Length of a step in seconds, > 0.

    Raises
    ------
    GraphError
        If `dt_s` is not a positive finite number.

    Examples
    --------
    >>> Clocked(0.001).steps(0.003)
    3
    """

    dt_s: float

    def __post_init__(self) -> None:
        dt_s = as_float("Clocked", "dt_s", self.dt_s)
        check_positive("Clocked", "dt_s", dt_s, unit=" s")
        object.__setattr__(self, "dt_s", dt_s)

    def steps(self, duration_s: float) -> int:
        """Return a duration in whole steps.

        Parameters
        ----------
        duration_s : float
            Duration in seconds.

        Returns
        -------
        int
            ``duration_s / dt_s``.

        Raises
        ------
        GraphError
            If the duration is further than 1e-6 of a step (relative for long ones) from a whole number.
        """
        ratio = duration_s / self.dt_s
        n_steps = round(ratio)
        if abs(ratio - n_steps) > _MULTIPLE_TOLERANCE * max(1, n_steps):
            raise GraphError(
                f"must be a multiple of dt_s = {self.dt_s} s, got {duration_s} s = {ratio:.6g} steps"
            )
        return n_steps

    def is_between(self, duration_s: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where durations are no whole number of steps, by the rule of `steps`."""
        ratio = np.asarray(duration_s, np.float64) / self.dt_s
        n_steps = np.round(ratio)
        return np.asarray(np.abs(ratio - n_steps) > _MULTIPLE_TOLERANCE * np.maximum(1, n_steps))


@dataclass(frozen=True)
class Continuous:
    """Time runs continuously: every event acts at its own time.

    Examples
    --------
    >>> Continuous()
    Continuous()
    """


Execution = Clocked | Continuous


def clocked(dt_s: float) -> Clocked:
    """Return clocked execution with steps of `dt_s` seconds.

    Parameters
    ----------
    dt_s : float
        Length of a step in seconds, > 0.

    Returns
    -------
    Clocked
        The execution semantics.

    Examples
    --------
    >>> clocked(0.01)
    Clocked(dt_s=0.01)
    """
    return Clocked(dt_s)


def continuous() -> Continuous:
    """Return continuous execution.

    Returns
    -------
    Continuous
        The execution semantics.
    """
    return Continuous()
