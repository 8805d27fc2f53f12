"""What changes while a network runs: membranes, delay lines, counts, scratch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Bytes, Floats, Membranes
from neuro.lowering.branches import Branch
from neuro.lowering.deciding import Decisions
from neuro.lowering.signals import Signal

__all__ = ["Path", "Run"]

Item = TypeVar("Item")
Found = TypeVar("Found")

Path = Literal["scatter", "gather", "integer", "dense"]


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
        int64, shape (N_TALLIES,), by the name of a synapse or neuron node: see `neuro.kernels.arrays.Block`.
    lost : dict
        Entries of delays that would have arrived on a dropped step.
    entries : dict
        Input entries of computed steps, by the name of a synapse or neuron node.
    decisions : Decisions
        What the attentions decided.
    branches : sequence of Branch
        Branches behind a gate.
    path : {'scatter', 'gather', 'integer', 'dense'} or None
        Forces a path (the result is the same); None lets the density decide. A layer that lacks it gathers.
    pool : Executor or None
        Threads that share the output rows of a layer; None for one thread.
    n_threads : int
        Their number.
    """

    kept: Bytes
    traced: Collection[str] = ()
    path: Path | None = None
    pool: Executor | None = None
    n_threads: int = 1
    membranes: dict[str, Membranes] = field(default_factory=dict)
    lines: dict[str, Signal] = field(default_factory=dict)
    traces: dict[str, Floats] = field(default_factory=dict)
    tallies: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=Decisions)
    branches: Sequence[Branch] = ()

    @property
    def n_steps(self) -> int:
        """Number of steps of the present block."""
        return int(self.kept.size)

    @property
    def is_any_dropped(self) -> bool:
        """Whether a step of the present block is dropped."""
        return not self.kept.all()

    def map(self, function: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
        """Apply a function to all items, side by side where there are threads."""
        if self.pool is None or len(items) == 1:
            return [function(item) for item in items]
        return list(self.pool.map(function, items))

    def add_tally(self, name: str, tally: NDArray[np.int64]) -> None:
        """Add the counts of a block."""
        known = self.tallies.get(name)
        self.tallies[name] = tally if known is None else known + tally
