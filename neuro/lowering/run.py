"""What changes while a network runs: membranes, delay lines, counts, scratch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Bytes, Floats, Membranes
from neuro.lowering.deciding import Decisions
from neuro.lowering.signals import Signal

__all__ = ["Path", "Run"]

Path = Literal["scatter", "gather"]


@dataclass
class Run:
    """One run of a plan: mutable, owned by one call.

    Attributes
    ----------
    kept : uint8, shape (n_steps of the block,)
        0 for a dropped step.
    traced : collection of str
        Neurons whose membranes are asked for.
    membranes, lines : dict
        State by node name.
    traces : dict
        Membranes of the present block by node name.
    tallies : dict
        int64, shape (5,), by the name of a synapse or neuron node: see `neuro.kernels.arrays.Block`.
    lost : dict
        Entries of delays that would have arrived on a dropped step.
    decisions : Decisions
        What the attentions decided.
    path : {'scatter', 'gather'} or None
        Forces a path (the result is the same); None lets the density decide.
    """

    kept: Bytes
    traced: Collection[str] = ()
    path: Path | None = None
    membranes: dict[str, Membranes] = field(default_factory=dict)
    lines: dict[str, Signal] = field(default_factory=dict)
    traces: dict[str, Floats] = field(default_factory=dict)
    tallies: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=Decisions)

    @property
    def n_steps(self) -> int:
        """Number of steps of the present block."""
        return int(self.kept.size)

    @property
    def is_any_dropped(self) -> bool:
        """Whether a step of the present block is dropped."""
        return not self.kept.all()

    def add_tally(self, name: str, tally: NDArray[np.int64]) -> None:
        """Add the counts of a block."""
        known = self.tallies.get(name)
        self.tallies[name] = tally if known is None else known + tally

    def tally(self, name: str) -> list[int]:
        """Return the counts of a layer, zeros before its first block."""
        known = self.tallies.get(name)
        return [0] * 5 if known is None else known.tolist()
