"""Dynamics around a run: what watches its readout, and the report of what was computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neuro.attention import report_after
from neuro.costs import spike_driven_operations
from neuro.costs.geometry import sizes
from neuro.dynamics import Dynamics, DynamicsReport, ExitRule, open_steps
from neuro.errors import InputError
from neuro.graph import ChannelAttention, Graph, TemporalAttention
from neuro.lowering.branches import Branch, Stage, check_gate, stages
from neuro.lowering.deciding import Decisions
from neuro.lowering.plan import Plan
from neuro.lowering.run import Run
from neuro.lowering.scoring import start_history
from neuro.lowering.stopping import Verdict
from neuro.results import Counters, Result, SelectionReport, State
from neuro.spikes import Spikes

__all__ = [
    "check_heads",
    "close_branches",
    "compared",
    "exit_rule",
    "forget_later_frames",
    "report_run",
    "turn_on",
]


def turn_on(decisions: Decisions, use_attention: bool, dynamics: Dynamics | None) -> None:
    """Say which attention may drop what: both the argument and the dynamics must allow it."""
    decisions.is_dropping = use_attention and (dynamics is None or dynamics.attention)
    decisions.selects_channels = use_attention and (dynamics is None or dynamics.channels)
    decisions.selects_pixels = use_attention and (dynamics is None or dynamics.pixels)


def exit_rule(graph: Graph, state: State | None, dynamics: Dynamics | None) -> ExitRule | None:
    """Return the rule that may end a run in time, or None; an InputError where it does not fit."""
    if dynamics is None:
        return None
    if not isinstance(dynamics, Dynamics):
        raise InputError(f"simulate: dynamics must be a neuro.Dynamics, got {type(dynamics).__name__}")
    if (dynamics.heads or dynamics.gates) and state is not None:
        raise InputError("simulate: heads and gates look at a whole recording, state must be None")
    if dynamics.early_exit is None:
        return None
    if state is not None:
        raise InputError(
            "simulate: an exit rule looks at a recording from its start, state must be None; or early_exit=None"
        )
    if len(graph.output_names) != 1:
        raise InputError(
            f"simulate: early_exit watches the readout, but the graph has {len(graph.output_names)} sinks "
            f"({', '.join(graph.output_names)}); give it one, or early_exit=None"
        )
    name = graph.output_names[0]
    n_outputs = math.prod(graph.shapes[name])
    if n_outputs < 2:
        raise InputError(
            f"simulate: early_exit compares outputs, but {name!r} has only {n_outputs}; use early_exit=None"
        )
    at = _whole_window_inside(graph)
    if at is not None:
        raise InputError(
            f"simulate: early_exit runs a window in blocks, but TemporalAttention {at!r} among the layers scores "
            "whole windows; use a causal one, a MovingAttention, or early_exit=None"
        )
    return dynamics.early_exit


@lru_cache(maxsize=16)
def _whole_window_inside(graph: Graph) -> str | None:
    """A temporal attention among the layers whose scores need the whole window."""
    for name, node in graph.nodes.items():
        is_first = graph.predecessors(name) == (graph.input_name,)
        if isinstance(node, TemporalAttention) and not (is_first or node.is_causal):
            return name
    return None


def close_branches(graph: Graph, run: Run, spikes: Spikes, dynamics: Dynamics | None) -> None:
    """Decide in which steps the branches behind gates run; an InputError where a gate does not fit."""
    if dynamics is None or not dynamics.gates:
        return
    entries = np.bincount(spikes.step, minlength=spikes.n_steps)
    size = math.prod(spikes.shape)
    run.branches = tuple(
        Branch(check_gate(graph, gate), gate.branch, open_steps(gate, entries, size=size).astype(np.uint8))
        for gate in dynamics.gates
    )


def check_heads(graph: Graph, plan: Plan, dynamics: Dynamics | None) -> tuple[Stage, ...]:
    """Return the stages of a run with an exit in depth, none without; an InputError where it does not fit."""
    if dynamics is None or not dynamics.heads:
        return ()
    if plan.paths:
        raise InputError("simulate: heads do not go with temporal attention among the layers; use heads={}")
    for name in dynamics.heads:
        if name in graph.output_names and math.prod(graph.shapes[name]) < 2:
            raise InputError(f"simulate: a rule compares outputs, but {name!r} has only one")
    return stages(graph, dynamics.heads)


def forget_later_frames(plan: Plan, run: Run, spikes: Spikes, stop: int) -> None:
    """Bring what the scores of the attention behind the Input go on with to the end of a run of `stop` steps."""
    node, decisions = plan.attention, run.decisions
    if plan.source not in decisions.histories:
        return
    if isinstance(node, TemporalAttention):  # its history are the means of the frames
        decisions.histories[plan.source] = decisions.histories[plan.source][:stop]
    elif node is not None:
        n = int(np.searchsorted(spikes.step, stop))
        first = Spikes(spikes.step[:n], spikes.index[:n], spikes.value[:n], stop, spikes.shape)
        _, decisions.histories[plan.source] = report_after(node, first, start_history(node))


def report_run(
    graph: Graph,
    sums: NDArray[np.float64],
    counters: Counters,
    selections: Mapping[str, SelectionReport],
    *,
    verdict: Verdict,
    exit_head: str | None = None,
) -> DynamicsReport:
    """Say which part of a run was computed, from its exact counts; `sums` are those of all frames offered."""
    pixels, dense_operations = _everything(graph)
    layer_steps = {name: sum(steps.values()) for name, steps in counters.path_steps.items()}
    n_computed = counters.n_steps - counters.frames_skipped
    seen = {True: [0, 0], False: [0, 0]}  # by whether it looks at channels
    for name, selection in selections.items():
        counts = seen[isinstance(graph.nodes[name], ChannelAttention)]
        counts[0] += selection.n_considered
        counts[1] += selection.n_kept
    return DynamicsReport(
        n_frames=sums.size,
        n_steps=counters.n_steps,
        n_computed=n_computed,
        exit_step=verdict.exit_step,
        exit_head=exit_head,
        certainty=verdict.certainty,
        n_near_threshold=verdict.n_near_threshold,
        events_total=float(sums.sum()),
        events_computed=counters.counts_in,
        layer_steps=layer_steps,
        active_pixels={
            name: round(fraction * max(1, layer_steps[name]) * pixels[name])
            for name, fraction in counters.active_output_fraction.items()
        },
        output_pixels=pixels,
        channels_seen=seen[True][0],
        channels_kept=seen[True][1],
        pixels_seen=seen[False][0],
        pixels_kept=seen[False][1],
        synaptic_operations=counters.total_synaptic_operations,
        spike_driven_operations=sum(spike_driven_operations(graph, counters).values()),
        dense_operations=sums.size * dense_operations,
    )


@lru_cache(maxsize=16)
def _everything(graph: Graph) -> tuple[dict[str, int], int]:
    """Output pixels of each synapse, and the operations of a step of all of them computed densely."""
    synapses, _ = sizes(graph)
    pixels = {name: size.n_pixels for name, size in synapses.items()}
    return pixels, sum(size.dense_operations for size in synapses.values())


def compared(result: Result, whole: Result) -> Result:
    """Add to a result the operations of a run that left nothing out."""
    assert result.dynamics is not None
    assert whole.dynamics is not None
    report = replace(
        result.dynamics,
        synaptic_operations_without=whole.dynamics.synaptic_operations,
        spike_driven_operations_without=whole.dynamics.spike_driven_operations,
    )
    return replace(result, dynamics=report)
