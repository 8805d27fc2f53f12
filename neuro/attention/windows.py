"""Temporal attention around a run: what it can score, and the frames behind the Input that it keeps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neuro.attention.scores import report_after
from neuro.errors import InputError
from neuro.graph import Graph, TemporalAttention
from neuro.lowering.plan import Plan
from neuro.lowering.run import Run
from neuro.lowering.scoring import start_history
from neuro.results import AttentionReport, State
from neuro.spikes import Spikes

__all__ = ["attend", "check_frames", "scaled"]


def check_frames(graph: Graph, n_steps: int, state: State | None, *, is_dropping: bool) -> None:
    """Refuse a run that a TemporalAttention cannot score: it needs its whole window, or (causal) a part of one."""
    n_before = 0 if state is None else state.n_steps
    for name, node in _windows(graph):
        if not (is_dropping or node.scaling):
            continue
        owner, remedy = f"TemporalAttention {name!r}", "" if node.scaling else " or use_attention=False"
        if node.is_causal:
            if n_before + n_steps > node.n_frames:
                raise InputError(
                    f"{owner}: scores windows of {node.n_frames} frames, got {n_steps} after {n_before}; begin each "
                    f"window without a state, or use a MovingAttention"
                )
        elif n_steps != node.n_frames:
            raise InputError(
                f"{owner}: scores a whole window of {node.n_frames} frames, got {n_steps}; pass whole windows{remedy}"
            )
        elif state is not None:
            raise InputError(f"{owner}: scores whole windows from rest, state must be None;{remedy}")


@lru_cache(maxsize=16)
def _windows(graph: Graph) -> tuple[tuple[str, TemporalAttention], ...]:
    return tuple((name, node) for name, node in graph.nodes.items() if isinstance(node, TemporalAttention))


def attend(plan: Plan, run: Run, spikes: Spikes) -> AttentionReport | None:
    """Return which frames the attention behind the Input keeps; None without one, or where it has nothing to do."""
    node, decisions = plan.attention, run.decisions
    if node is None or not (decisions.is_dropping or node.scaling):
        return None
    history = decisions.histories.get(plan.source, start_history(node))
    report, history = report_after(node, spikes, history, is_dropping=decisions.is_dropping)
    decisions.histories[plan.source] = history
    return report


def scaled(spikes: Spikes, scores: NDArray[np.float32]) -> Spikes:
    """Return frames times their scores; what becomes zero is no entry."""
    value = spikes.value * scores[spikes.step]
    left = value != 0
    return Spikes(spikes.step[left], spikes.index[left], value[left], spikes.n_steps, spikes.shape)
