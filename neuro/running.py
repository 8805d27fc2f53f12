"""Running one recording through a clocked graph: as a chain in one call, or block after block of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from neuro.attention.windows import attend, check_frames, scaled
from neuro.chained import Chained
from neuro.collecting import Collected
from neuro.dynamics import Dynamics
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
from neuro.monitors import Monitor, Record, checked_record
from neuro.results import Result, State
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

_Running = tuple[Plan, Run, Spikes, Bytes]  # what is run, on what, and which steps count


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
    plan = lower(graph)
    spikes = checked_input(graph, plan, inputs)
    wanted = checked_record(graph, record, plan.events, spikes.n_steps)
    check_state(graph, state)
    rule = exit_rule(graph, state, dynamics)
    watch = None if rule is None else Watch(rule, _n_outputs(graph), spikes.n_steps)
    run = start_run(state, wanted.membrane, path)
    turn_on(run.decisions, use_attention, dynamics)
    close_branches(graph, run, spikes, dynamics)
    in_stages = check_heads(graph, plan, dynamics)
    check_frames(graph, spikes.n_steps, state, is_dropping=run.decisions.is_dropping)
    attention = attend(plan, run, spikes)
    kept = np.ones(spikes.n_steps, np.uint8) if attention is None else attention.kept.astype(np.uint8)
    entering = spikes
    if attention is not None and plan.attention is not None and plan.attention.scaling:
        entering = scaled(spikes, attention.scores)
    collected = Collected(graph, plan, wanted, spikes)
    n_steps, exit_head = spikes.n_steps, None
    with ThreadPoolExecutor(n_threads) if n_threads > 1 else nullcontext() as run.pool:
        run.n_threads = n_threads
        if in_stages:
            watch, exit_head = _run_stages((plan, run, entering, kept), collected, in_stages)
        else:
            n_steps = _run_steps((plan, run, entering, kept), collected, watch)
    if n_steps < spikes.n_steps:
        collected.end(n_steps)
        forget_later_frames(plan, run, spikes, n_steps)
    if attention is not None:
        run.decisions.reports[plan.source] = [attention]
    reports = run.decisions.joined_reports(graph)
    if plan.attention is not None:
        collected.keep(graph.input_name, spikes, n_steps)  # the Input before it hands on all frames
    n_before = 0 if state is None else state.n_steps
    counters = count(plan, counted_of(run, spikes, kept[:n_steps]))
    verdict = Verdict() if watch is None else watch.verdict
    return Result(
        outputs=collected.outputs,
        spikes={name: collected.spikes(name) for name in wanted.spikes},
        membranes=collected.membranes,
        spike_counts=collected.spike_counts,
        left_out=collected.left_out(),
        attentions=reports,
        selections=run.decisions.selections,
        counters=counters,
        attention=next(iter(reports.values()), None),
        n_threads=n_threads,
        state=end_run(graph.digest, n_before + n_steps, run),
        dynamics=None
        if dynamics is None
        else report_run(
            graph,
            frame_sums(spikes),
            counters,
            run.decisions.selections,
            verdict=verdict,
            exit_head=exit_head,
        ),
    )


def _n_outputs(graph: Graph) -> int:
    return math.prod(graph.shapes[graph.output_names[0]])


def _run_steps(running: _Running, collected: Collected, watch: Watch | None) -> int:
    """Run block after block until the end, or until the watch says that it is over; return the steps run."""
    plan, run, spikes, kept = running
    for start, stop in blocks(spikes.n_steps, plan.block_steps, None if watch is None else watch.rule):
        signals = run_block(plan, run, spikes, start, kept[start:stop])
        collected.add(run, signals, start)
        if watch is not None and watch.is_over(collected.readout(start, stop), stop):
            return stop
    return spikes.n_steps


def _run_stages(
    running: _Running, collected: Collected, in_stages: Sequence[Stage]
) -> tuple[Watch | None, str | None]:
    """Run all steps of one stage after the other; return the last watch, and the head that ended the run."""
    plan, run, spikes, kept = running
    bounds = list(blocks(spikes.n_steps, plan.block_steps, None))
    known: list[dict[str, Signal] | None] = [None] * len(bounds)
    watch = None
    for stage in in_stages:
        n_outputs = math.prod(plan.layouts[stage.sink].shape)
        for k, (start, stop) in enumerate(bounds):
            nodes, before = stage.nodes, known[k]
            known[k] = signals = run_block(
                plan, run, spikes, start, kept[start:stop], nodes=nodes, known=before
            )
            collected.add(run, signals, start, nodes)
        if stage.rule is not None:
            watch = Watch(stage.rule, n_outputs, spikes.n_steps)
            watch.add(collected.outputs[stage.sink].reshape(spikes.n_steps, n_outputs))
            if spikes.n_steps and watch.is_sure(spikes.n_steps):
                later = frozenset().union(*(s.nodes for s in in_stages[in_stages.index(stage) + 1 :]))
                collected.leave_out(later)
                return watch, stage.sink
    return watch, None
