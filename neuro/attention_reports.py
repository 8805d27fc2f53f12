"""What attention decided in a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AttentionReport", "SelectionReport"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class AttentionReport:
    """Which frames of a window were computed, and why.

    Attributes
    ----------
    scores : float32, shape (T,)
        Score of each frame, from 0 to 1.
    kept : bool, shape (T,)
        ``scores >= threshold``.
    threshold : float
        Least score of a kept frame.
    n_near_threshold : int
        Frames with ``|score - threshold| < 1e-6``: another implementation may decide them differently.
    events_total, events_kept : float
        Sums of the values of all frames, and of the kept ones.
    synaptic_operations : int or None
        Operations executed with the frames dropped; None without ``compare_attention``.
    synaptic_operations_without : int or None
        Operations executed when every frame is computed, counted in a second run; likewise.
    """

    scores: Floats
    kept: NDArray[np.bool_]
    threshold: float
    n_near_threshold: int
    events_total: float
    events_kept: float
    synaptic_operations: int | None = None
    synaptic_operations_without: int | None = None

    @property
    def n_kept(self) -> int:
        """Number of frames computed."""
        return int(self.kept.sum())

    @property
    def is_all_dropped(self) -> bool:
        """Whether no frame was computed: the outputs are those of a network at rest."""
        return self.n_kept == 0


@dataclass(frozen=True)
class SelectionReport:
    """How many channels or pixels a channel or spatial attention let through.

    Attributes
    ----------
    n_considered : int
        Channels (or pixels) with an entry, over all computed steps.
    n_kept : int
        Those of them whose score reached the threshold.
    n_near_threshold : int
        Those with ``|score - threshold| < 1e-6``: another implementation may decide them differently.
    entries_total, entries_kept : int
        Non-zero entries that arrived, and those that went on to the synapse.
    """

    n_considered: int
    n_kept: int
    n_near_threshold: int
    entries_total: int
    entries_kept: int

    def __add__(self, other: SelectionReport) -> SelectionReport:
        return SelectionReport(
            self.n_considered + other.n_considered,
            self.n_kept + other.n_kept,
            self.n_near_threshold + other.n_near_threshold,
            self.entries_total + other.entries_total,
            self.entries_kept + other.entries_kept,
        )
