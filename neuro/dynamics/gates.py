"""Gates that decide from the input's events alone whether a branch of a network runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError

__all__ = ["BranchGate", "frame_statistics", "open_steps"]

Statistic = Literal["density", "change"]
Scope = Literal["step", "recording"]


@dataclass(frozen=True)
class BranchGate:
    """Let a branch that ends in an Add run only where the input is worth it.

    The statistic of step `k`, with `n[k]` input entries that are not zero, of `size` in a frame:

    - 'density': ``n[k] / size``;
    - 'change': ``|n[k] - n[k - 1]| / max(n[k], n[k - 1], 1)`` with ``n[-1] = 0``.

    The branch is open in step `k` if the statistic is at least `threshold`; per recording: in all steps if its mean
    over the steps is. In a closed step every node of the branch does what a dropped frame makes it do (no input, no
    bias, no comparison, no spike; membranes decay), and the branch adds nothing.

    Attributes
    ----------
    join : str
        The Add.
    branch : str
        The node whose output the branch hands to it. The branch is every node that reaches the outputs through
        this edge only.
    threshold : float
        Least statistic of an open step, from 0 (always open) to 1.
    statistic : {'density', 'change'}
        What is looked at.
    per : {'step', 'recording'}
        Whether each step is decided for itself.

    Raises
    ------
    InputError
        If a value is outside its range.

    Examples
    --------
    >>> BranchGate("sum", "residual", 0.1, per="recording").statistic
    'density'
    """

    join: str
    branch: str
    threshold: float
    statistic: Statistic = "density"
    per: Scope = "step"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"BranchGate: threshold must be from 0 to 1, got {self.threshold!r}")
        if self.statistic not in ("density", "change"):
            raise InputError(f"BranchGate: statistic must be 'density' or 'change', got {self.statistic!r}")
        if self.per not in ("step", "recording"):
            raise InputError(f"BranchGate: per must be 'step' or 'recording', got {self.per!r}")


def frame_statistics(entries: NDArray[np.integer], *, size: int, statistic: Statistic) -> NDArray[np.float64]:
    """Return the statistic of every frame.

    Parameters
    ----------
    entries : int, shape (n_steps,)
        Entries of each frame that are not zero.
    size : int
        Entries of a frame.
    statistic : {'density', 'change'}
        As in `BranchGate`.

    Returns
    -------
    float64, shape (n_steps,)
        From 0 to 1.

    Examples
    --------
    >>> frame_statistics(np.array([2, 2, 8]), size=8, statistic="change").tolist()
    [1.0, 0.0, 0.75]
    """
    n = np.asarray(entries, np.float64)
    if statistic == "density":
        return n / size
    before = np.concatenate((np.zeros(min(1, n.size)), n[:-1]))
    return np.asarray(np.abs(n - before) / np.maximum(np.maximum(n, before), 1.0))


def open_steps(gate: BranchGate, entries: NDArray[np.integer], *, size: int) -> NDArray[np.bool_]:
    """Return in which steps a gate is open.

    Parameters
    ----------
    gate : BranchGate
        The gate.
    entries : int, shape (n_steps,)
        Entries of each frame that are not zero.
    size : int
        Entries of a frame.

    Returns
    -------
    bool, shape (n_steps,)
        All equal where the gate decides per recording.

    Examples
    --------
    >>> open_steps(BranchGate("sum", "residual", 0.5), np.array([2, 4, 8]), size=8).tolist()
    [False, True, True]
    """
    found = frame_statistics(entries, size=size, statistic=gate.statistic)
    if gate.per == "recording" and found.size:
        found = np.full(found.size, found.mean())
    return np.asarray(found >= gate.threshold)
