"""Running one recording through a clocked graph: as a chain in one call, or block after block of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from neuro.attention.windows import attend, check_frames, scaled
from neuro.chained import Chained
from neuro.collecting import Collected
from neuro.dynamics import Dynamics, ExitRule
from neuro.graph import Graph
from neuro.inputs import check_state, checked_input
from neuro.kernels.arrays import Bytes
from neuro.lowering.branches import Stage
from neuro.lowering.chains import chain_of
from neuro.lowering.coded_tables import coded_table_of
from neuro.lowering.execution import count, counted_of, end_run, frame_sums, run_block, start_run
from neuro.lowering.plan import Plan, lower
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import Signal
from neuro.lowering.stopping import Verdict, Watch, blocks
from neuro.monitors import Monitor, Record, Wanted, checked_record
from neuro.results import AttentionReport, Result, State
from neuro.spikes import Spikes
from neuro.watching import (
    check_heads,
    close_branches,
    compared,
    exit_rule,
    forget_later_frames,
    report_run,
    turn_on,
)

__all__ = ["runner", "run_recording"]


@dataclass(frozen=True)
class _Recording:
    """A recording before its first step.

    ``spikes``: what was given; ``entering``: the same, scaled where attention scales; ``kept``: which steps count;
    ``wanted``: what to record; ``rule``: when to stop; ``stages``: the parts of a network whose heads may end it.
    """

    graph: Graph
    plan: Plan
    run: Run
    wanted: Wanted
    rule: ExitRule | None
    stages: Sequence[Stage]
    spikes: Spikes
    entering: Spikes
    kept: Bytes
    attention: AttentionReport | None
    collected: Collected


@dataclass(frozen=True)
class _Ending:
    """Where a recording ended: the steps run, what the exit rule saw, and the head that was sure enough."""

    n_steps: int
    verdict: Verdict
    exit_head: str | None = None


def runner(
    graph: Graph,
    *,
    record: Record | None,
    state: State | None,
    use_attention: bool,
    compare_attention: bool,
    dynamics: Dynamics | None,
) -> Callable[..., Result]:
    """Return what runs a recording, ``run(inputs, n_threads=n)``; what is asked of the graph is checked once."""
    chained = _chained(graph, record, use_attention, dynamics, None)
    if compare_attention or (isinstance(dynamics, Dynamics) and dynamics.compare):
        words = {"use_attention": use_attention, "compare_attention": compare_attention}
        return partial(_run_compared, graph, record=record, state=state, dynamics=dynamics, **words)
    in_blocks = partial(
        run_recording, graph, record=record, state=state, use_attention=use_attention, dynamics=dynamics
    )

    def run(inputs: Any, n_threads: int) -> Result:
        if chained is None or n_threads > 1:
            return in_blocks(inputs, n_threads=n_threads)
        return chained.run(inputs, record=record, state=state)

    return run


def _run_compared(
    graph: Graph,
    inputs: Any,
    *,
    record: Record | None,
    state: State | None,
    use_attention: bool,
    compare_attention: bool,
    dynamics: Dynamics | None,
    n_threads: int,
) -> Result:
    """Run one recording, and if asked for a second time with every frame, or with nothing left out."""
    run = partial(run_recording, graph, inputs, n_threads=n_threads)
    result = run(record=record, state=state, use_attention=use_attention, dynamics=dynamics)
    if dynamics is not None and dynamics.compare:
        result = compared(result, run(use_attention=False, dynamics=Dynamics.off()))
    if not compare_attention or result.attention is None:
        return result
    whole = run(use_attention=False)
    attention = replace(
        result.attention,
        synaptic_operations=result.counters.total_synaptic_operations,
        synaptic_operations_without=whole.counters.total_synaptic_operations,
    )
    return replace(result, attention=attention)


def _chained(
    graph: Graph, record: Record | None, use_attention: bool, dynamics: Dynamics | None, path: Path | None
) -> Chained | None:
    """Return the graph as a chain, or None where it is none or a chain does not do what is asked."""
    plan = lower(graph)
    chain = chain_of(plan) or coded_table_of(plan)
    if chain is None or _wants_membranes(record):
        return None
    if dynamics is not None and (not isinstance(dynamics, Dynamics) or dynamics.heads or dynamics.gates):
        return None
    return Chained.of(graph, plan, chain, use_attention=use_attention, dynamics=dynamics, path=path)


def _wants_membranes(record: Record | None) -> bool:
    if not isinstance(record, Mapping):
        return record is not None
    asked: list[str | Monitor] = []
    for kinds in record.values():
        asked += [kinds] if isinstance(kinds, (str, Monitor)) or not isinstance(kinds, Collection) else kinds
    return any((one.kind if isinstance(one, Monitor) else one) == "membrane" for one in asked)


def run_recording(
    graph: Graph,
    inputs: Any,
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    path: Path | None = None,
    dynamics: Dynamics | None = None,
    n_threads: int = 1,
    in_blocks: bool = False,
) -> Result:
    """Run one recording: a chain in one call, unless several threads share it or `in_blocks`; the result is the same.

    `path` forces the path of all layers that have it.
    """
    chained = None
    if n_threads == 1 and not in_blocks:
        chained = _chained(graph, record, use_attention, dynamics, path)
    if chained is not None:
        return chained.run(inputs, record=record, state=state)
    recording = _begun(
        graph, inputs, record=record, state=state, use_attention=use_attention, path=path, dynamics=dynamics
    )
    run = recording.run
    with ThreadPoolExecutor(n_threads) if n_threads > 1 else nullcontext() as run.pool:
        run.n_threads = n_threads
        ending = _run_stages(recording) if recording.stages else _run_steps(recording)
    n_before = 0 if state is None else state.n_steps
    return _result(recording, ending, n_before=n_before, is_reported=dynamics is not None)


def _begun(
    graph: Graph,
    inputs: Any,
    *,
    record: Record | None,
    state: State | None,
    use_attention: bool,
    path: Path | None,
    dynamics: Dynamics | None,
) -> _Recording:
    """Check what is asked, put the network where `state` left it, and let attention choose the steps that count."""
    plan = lower(graph)
    spikes = checked_input(graph, plan, inputs)
    wanted = checked_record(graph, record, plan.events, spikes.n_steps)
    check_state(graph, state)
    rule = exit_rule(graph, state, dynamics)
    run = start_run(state, wanted.membrane, path)
    turn_on(run.decisions, use_attention, dynamics)
    close_branches(graph, run, spikes, dynamics)
    stages = check_heads(graph, plan, dynamics)
    check_frames(graph, spikes.n_steps, state, is_dropping=run.decisions.is_dropping)
    attention = attend(plan, run, spikes)
    kept = np.ones(spikes.n_steps, np.uint8) if attention is None else attention.kept.astype(np.uint8)
    entering = spikes
    if attention is not None and plan.attention is not None and plan.attention.scaling:
        entering = scaled(spikes, attention.scores)
    collected = Collected(graph, plan, wanted, spikes)
    return _Recording(graph, plan, run, wanted, rule, stages, spikes, entering, kept, attention, collected)


def _result(recording: _Recording, ending: _Ending, *, n_before: int, is_reported: bool) -> Result:
    """Put together what a recording left behind; `n_before` steps ran before it."""
    graph, plan, run, collected = recording.graph, recording.plan, recording.run, recording.collected
    spikes, n_steps = recording.spikes, ending.n_steps
    if n_steps < spikes.n_steps:
        collected.end(n_steps)
        forget_later_frames(plan, run, spikes, n_steps)
    if recording.attention is not None:
        run.decisions.reports[plan.source] = [recording.attention]
    reports = run.decisions.joined_reports(graph)
    if plan.attention is not None:
        collected.keep(graph.input_name, spikes, n_steps)  # the Input before it hands on all frames
    counters = count(plan, counted_of(run, spikes, recording.kept[:n_steps]))
    selections, report = run.decisions.selections, None
    if is_reported:
        sums, verdict = frame_sums(spikes), ending.verdict
        report = report_run(graph, sums, counters, selections, verdict=verdict, exit_head=ending.exit_head)
    return Result(
        outputs=collected.outputs,
        spikes={name: collected.spikes(name) for name in recording.wanted.spikes},
        membranes=collected.membranes,
        spike_counts=collected.spike_counts,
        left_out=collected.left_out(),
        attentions=reports,
        selections=selections,
        counters=counters,
        attention=next(iter(reports.values()), None),
        n_threads=run.n_threads,
        state=end_run(graph.digest, n_before + n_steps, run),
        dynamics=report,
    )


def _run_steps(recording: _Recording) -> _Ending:
    """Run block after block until the end, or until the rule says that it is over."""
    graph, plan, spikes, rule = recording.graph, recording.plan, recording.entering, recording.rule
    watch = None
    if rule is not None:
        watch = Watch(rule, math.prod(graph.shapes[graph.output_names[0]]), spikes.n_steps)
    for start, stop in blocks(spikes.n_steps, plan.block_steps, rule):
        signals = run_block(plan, recording.run, spikes, start, recording.kept[start:stop])
        recording.collected.add(recording.run, signals, start)
        if watch is not None and watch.is_over(recording.collected.readout(start, stop), stop):
            return _Ending(stop, watch.verdict)
    return _Ending(spikes.n_steps, Verdict() if watch is None else watch.verdict)


def _run_stages(recording: _Recording) -> _Ending:
    """Run all steps of one stage after the other; the last watch's verdict counts."""
    plan, run, spikes = recording.plan, recording.run, recording.entering
    bounds = list(blocks(spikes.n_steps, plan.block_steps, None))
    known: list[dict[str, Signal] | None] = [None] * len(bounds)
    verdict = Verdict()
    for n_stages, stage in enumerate(recording.stages, 1):
        n_outputs = math.prod(plan.layouts[stage.sink].shape)
        for k, (start, stop) in enumerate(bounds):
            kept = recording.kept[start:stop]
            known[k] = signals = run_block(plan, run, spikes, start, kept, nodes=stage.nodes, known=known[k])
            recording.collected.add(run, signals, start, stage.nodes)
        if stage.rule is not None:
            watch = Watch(stage.rule, n_outputs, spikes.n_steps)
            watch.add(recording.collected.outputs[stage.sink].reshape(spikes.n_steps, n_outputs))
            is_sure = spikes.n_steps > 0 and watch.is_sure(spikes.n_steps)
            verdict = watch.verdict
            if is_sure:
                later = frozenset().union(*(s.nodes for s in recording.stages[n_stages:]))
                recording.collected.leave_out(later)
                return _Ending(spikes.n_steps, verdict, stage.sink)
    return _Ending(spikes.n_steps, verdict)
