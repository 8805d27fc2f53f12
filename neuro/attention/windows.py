"""Temporal attention around a run: what it can score, the frames behind the Input, and what it knows afterwards."""

from __future__ import annotations

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

__all__ = ["attend", "check_frames", "forget", "scaled"]


def check_frames(
    graph: Graph, n_steps: int, state: State | None, *, is_dropping: bool, is_exiting: bool = False
) -> None:
    """Refuse a run that a TemporalAttention cannot score: it needs its whole window, or (causal) a part of one."""
    n_before = 0 if state is None else state.n_steps
    for name, node in graph.nodes.items():
        if not isinstance(node, TemporalAttention) or not (is_dropping or node.scaling):
            continue
        is_inner = graph.predecessors(name) != (graph.input_name,)
        owner, remedy = f"TemporalAttention {name!r}", "" if node.scaling else " or use_attention=False"
        if node.is_causal:
            if n_before + n_steps > node.n_frames:
                raise InputError(
                    f"{owner}: scores windows of {node.n_frames} frames, got {n_steps} after {n_before}; begin each "
                    f"window without a state, or use a MovingAttention"
                )
        elif is_exiting and is_inner:
            raise InputError(
                f"{owner}: scores whole windows among the layers, so an exit rule has nothing to save; make it causal, "
                f"put it behind the Input, or use early_exit=None"
            )
        elif n_steps != node.n_frames:
            raise InputError(
                f"{owner}: scores a whole window of {node.n_frames} frames, got {n_steps}; pass whole windows{remedy}"
            )
        elif state is not None:
            raise InputError(f"{owner}: scores whole windows from rest, state must be None;{remedy}")


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


def forget(plan: Plan, run: Run, spikes: Spikes, n_steps: int, before: NDArray[np.float32] | None) -> None:
    """Take back what the attention behind the Input knows of frames that a run did not come to."""
    node = plan.attention
    if node is not None and plan.source in run.decisions.histories and n_steps < spikes.n_steps:
        stop = int(np.searchsorted(spikes.step, n_steps))
        part = Spikes(spikes.step[:stop], spikes.index[:stop], spikes.value[:stop], n_steps, spikes.shape)
        history = start_history(node) if before is None else before
        run.decisions.histories[plan.source] = report_after(node, part, history)[1]
