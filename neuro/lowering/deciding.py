"""What the attentions of a run decided: which steps count, how strongly, and on what history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuro.graph import TEMPORAL, Graph
from neuro.kernels.arrays import Bytes, Floats
from neuro.kernels.windows import decide
from neuro.lowering.scoring import Temporal, next_scores, start_history
from neuro.results import AttentionReport, SelectionReport

__all__ = ["Decisions", "Paths", "as_report", "computed_steps", "temporal_report"]

Paths = tuple[tuple[str, ...], ...]  # by path from the Input: the temporal attentions on it


@dataclass
class Decisions:
    """The decisions of one run: mutable, owned by one call.

    Attributes
    ----------
    is_dropping : bool
        False: every frame passes; scaling stays.
    selects_channels, selects_pixels : bool
        False: every channel, or pixel, passes; likewise.
    kept : dict
        By temporal attention: uint8, shape (n_steps of the block,).
    gains : dict
        By temporal attention with scaling: float32, shape (n_steps of the block,).
    histories : dict
        By temporal attention: what later scores depend on.
    reports : dict
        By temporal attention: one report for each block.
    selections : dict
        By channel or spatial attention: int64 counts, as in `SelectionReport`.
    """

    is_dropping: bool = True
    selects_channels: bool = True
    selects_pixels: bool = True
    kept: dict[str, Bytes] = field(default_factory=dict)
    gains: dict[str, Floats] = field(default_factory=dict)
    histories: dict[str, Floats] = field(default_factory=dict)
    reports: dict[str, list[AttentionReport]] = field(default_factory=dict)
    selections: dict[str, SelectionReport] = field(default_factory=dict)

    def decide(self, name: str, node: Temporal, means: Floats, totals: NDArray[np.float64]) -> None:
        """Score the frames of a block and decide which are kept."""
        if not (self.is_dropping or node.scaling):
            self.kept[name] = np.ones(means.size, np.uint8)
            return
        history = self.histories.get(name, start_history(node))
        scores, self.histories[name] = next_scores(node, means, history)
        report = temporal_report(node, scores, totals, is_dropping=self.is_dropping)
        self.kept[name] = report.kept.astype(np.uint8)
        if node.scaling:
            self.gains[name] = scores
        self.reports.setdefault(name, []).append(report)

    def joined_reports(self, graph: Graph) -> dict[str, AttentionReport]:
        """Return the reports of a run by attention, in the order of the graph; empty ones if no step was run."""
        found = {}
        for name in graph.order:
            node = graph.nodes[name]
            if isinstance(node, TEMPORAL) and (self.is_dropping or node.scaling):
                nothing = temporal_report(node, np.zeros(0, np.float32), np.zeros(0), is_dropping=True)
                found[name] = _joined(self.reports.get(name, [nothing]))
        return found

    def add_selection(self, name: str, report: SelectionReport) -> None:
        """Add the counts of a block."""
        known = self.selections.get(name)
        self.selections[name] = report if known is None else known + report


def temporal_report(
    node: Temporal, scores: Floats, totals: NDArray[np.float64], *, is_dropping: bool
) -> AttentionReport:
    """Return the report of frames with these scores; ``totals`` are the sums of their values."""
    kept = np.empty(scores.size, np.uint8)
    decided = decide(scores, totals, node.threshold, is_dropping, kept)
    return as_report(node, scores, kept, decided)


def as_report(
    node: Temporal, scores: Floats, kept: Bytes, decided: tuple[int, float, float]
) -> AttentionReport:
    """Return what `neuro.kernels.windows.decide` found as a report."""
    flags = kept.view(np.bool_)
    scores.setflags(write=False)
    flags.setflags(write=False)
    return AttentionReport(scores, flags, node.threshold, *decided)


def computed_steps(paths: Paths, decisions: Decisions, n_steps: int) -> Bytes:
    """Return the steps that a node computes: those that no attention drops on at least one path to it."""
    found = np.zeros(n_steps, bool)
    for path in paths:
        kept = np.ones(n_steps, bool)
        for name in path:
            kept &= decisions.kept[name] != 0
        found |= kept
    return found.astype(np.uint8)


def _joined(reports: Sequence[AttentionReport]) -> AttentionReport:
    """Return the reports of consecutive blocks as one."""
    if len(reports) == 1:
        return reports[0]
    scores = np.concatenate([one.scores for one in reports])
    kept = np.concatenate([one.kept for one in reports])
    for array in (scores, kept):
        array.setflags(write=False)
    return AttentionReport(
        scores=scores,
        kept=kept,
        threshold=reports[0].threshold,
        n_near_threshold=sum(one.n_near_threshold for one in reports),
        events_total=sum(one.events_total for one in reports),
        events_kept=sum(one.events_kept for one in reports),
    )
