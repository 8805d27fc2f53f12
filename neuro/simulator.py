"""Running a graph: clocked on spikes or frames, continuous on events."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from neuro.attention.windows import attend, check_frames, scaled
from neuro.collecting import Collected
from neuro.dynamics import Dynamics
from neuro.errors import InputError
from neuro.event_collecting import MOST_SPIKES, EventsCollected, as_end, as_most, checked_event_record
from neuro.event_results import EventResult
from neuro.events import Events
from neuro.graph import Clocked, Graph
from neuro.graph.networks import is_mixed, needs_populations
from neuro.inputs import check_state, checked_input
from neuro.kernels.arrays import Bytes
from neuro.lowering.branches import Stage
from neuro.lowering.continuous import lower_events
from neuro.lowering.event_run import FOREVER, EventRun
from neuro.lowering.event_running import check_events, check_silent_spikes, count_events, run_events
from neuro.lowering.execution import count, end_run, run_block, start_run
from neuro.lowering.networks import Precision
from neuro.lowering.plan import Plan, lower
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import Signal
from neuro.lowering.stopping import Watch, blocks
from neuro.monitors import Record, checked_record
from neuro.networks import NetworkSettings, check_plain, simulate_network
from neuro.results import Result, State
from neuro.spikes import Spikes
from neuro.watching import (
    check_heads,
    close_branches,
    compared,
    forget_later_frames,
    report_run,
    turn_on,
    watch_readout,
)

__all__ = ["simulate"]

_Running = tuple[Plan, Run, Spikes, Bytes]  # what is run, on what, and which steps count


@overload
def simulate(
    graph: Graph,
    inputs: Spikes | NDArray[Any],
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    compare_attention: bool = False,
    dynamics: Dynamics | None = None,
    precision: Precision = "float32",
    n_threads: int = 1,
) -> Result: ...


@overload
def simulate(
    graph: Graph,
    inputs: None = None,
    *,
    n_steps: int | None = None,
    duration_s: float | None = None,
    record: Record | None = None,
    state: State | None = None,
    precision: Precision = "float32",
    n_threads: int = 1,
) -> Result: ...


@overload
def simulate(
    graph: Graph,
    inputs: Events,
    *,
    record: Record | None = None,
    max_spikes: int = MOST_SPIKES,
    n_threads: int = 1,
) -> EventResult: ...


@overload
def simulate(
    graph: Graph,
    inputs: list[Events],
    *,
    record: Record | None = None,
    max_spikes: int = MOST_SPIKES,
    n_threads: int = 1,
) -> list[EventResult]: ...


@overload
def simulate(
    graph: Graph,
    inputs: list[Spikes | NDArray[Any]] | list[Spikes] | list[NDArray[Any]],
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    compare_attention: bool = False,
    dynamics: Dynamics | None = None,
    precision: Precision = "float32",
    n_threads: int = 1,
) -> list[Result]: ...


def simulate(
    graph: Graph,
    inputs: Any = None,
    *,
    n_steps: int | None = None,
    duration_s: float | None = None,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    compare_attention: bool = False,
    dynamics: Dynamics | None = None,
    precision: Precision = "float32",
    max_spikes: int = MOST_SPIKES,
    n_threads: int = 1,
) -> Result | list[Result] | EventResult | list[EventResult]:
    """Run a graph on what is active: a clocked one layer by layer, a continuous one event by event.

    Clocked: each step runs all nodes once in the graph's order; spikes cross a layer within the step. All values are
    float32, sums are taken one term at a time in a fixed order (bias, then the non-zero inputs in ascending
    tap and channel order), so results do not depend on how a run is cut into chunks, and a dense
    evaluation in the same order gives the same bits.

    Continuous: every event acts at its own microsecond. A synapse makes the membrane jump by its weight; between
    events a LIF follows ``v(t) = rest + (v(t0) - rest) * exp(-(t - t0) / tau_mem_s)``, which cannot reach the
    threshold, so comparing at events is exact. `neuro.stream` takes the same events in pieces.

    Networks of populations (clocked graphs with SparseLinear, PoissonSource, refractory periods ..): each step
    delivers what arrives, the oldest spikes first, updates every neuron, and lists who fired. Where there is no
    Input, `n_steps` or `duration_s` says how long to run.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=clocked(dt_s)`` or ``continuous()``.
    inputs : Spikes, array of shape ``(n_steps, *shape)``, Events, or a list of these
        The frames of a clocked graph's Input, or the events of a continuous one; each a recording of its own.
        A list gives a list of results. None for a network of populations without an Input.
    n_steps : int, optional
        Length of the run in steps, where there is no Input.
    duration_s : float, optional
        The same in seconds, a multiple of ``dt_s``.
    record : mapping of str to 'spikes', 'membrane', 'rate', a Monitor, or several of these, optional
        What to keep, by node: spikes (or counts) of any node that hands on spikes, membranes (after the
        reset) of neurons, the number of spikes of each spiking neuron. A `Monitor` bounds what is kept, and names the
        times of membranes in a continuous graph.
    state : State, optional
        ``Result.state`` of the chunk before this one; None starts at rest. Clocked graphs only.
    use_attention : bool
        Whether a TemporalAttention drops frames; with False all frames are computed.
    compare_attention : bool
        Whether to run a second time with every frame, so that ``Result.attention`` reports the synaptic
        operations with and without attention. Clocked graphs only; nothing happens without attention.
    dynamics : Dynamics, optional
        What may be left out: frames that attention drops, and the steps after an early exit. Then ``Result.dynamics``
        says what was computed. Clocked graphs only. With `use_attention` False attention stays off.
    precision : {'float32', 'float64'}
        The arithmetic of a network of populations; all other graphs are float32.
    max_spikes : int
        Most spikes of one population in a recording of a continuous graph, and most events that a node may hold: more
        is an error that names it, before memory runs out.
    n_threads : int
        Threads that share the recordings of a list, the output rows of the layers for a single recording, or the
        neurons of a network of populations (no more than it is worth). The result has the same bits for any number.

    Returns
    -------
    Result or list of Result
        Outputs of the sinks, recordings, exact counters, attention report and state; EventResult (outputs,
        recordings, counters) for Events.

    Raises
    ------
    GraphError
        If a node has no meaning in continuous time or is not supported there.
    InputError
        If an input is not of the kind that the graph's execution takes, has another shape or holds what the
        graph's Input does not allow (NaN, infinity, more than ``max_count``), the number of frames is not that
        of the attention, `record` names an unknown node or asks for what it does not have, a monitor
        overflows, `state` is of another graph, `dynamics` does not fit the graph or goes with a state, or a population
        of a continuous graph fires more than `max_spikes`.

    Notes
    -----
    Error: none against the stated float32 equations. On a graph with a ``weight_grid`` all sums are exact,
    and results equal those of any other float32 implementation of the same neuron equations.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import IF, Graph, Input, Linear, clocked
    >>> graph = Graph(
    ...     {"in": Input(2), "fc": Linear([[0.6, 0.0]]), "out": IF(1.0)},
    ...     [("in", "fc"), ("fc", "out")],
    ...     clocked(dt_s=0.001),
    ... )
    >>> result = simulate(graph, np.ones((4, 2)))
    >>> result.output[:, 0].tolist(), result.counters.synaptic_operations
    ([0.0, 1.0, 0.0, 1.0], {'fc': 8})
    """
    if not isinstance(graph, Graph):
        raise InputError(f"simulate: graph must be a neuro.graph.Graph, got {type(graph).__name__}")
    if isinstance(n_threads, bool) or not isinstance(n_threads, (int, np.integer)) or n_threads < 1:
        raise InputError(f"simulate: n_threads must be a whole number >= 1, got {n_threads!r}")
    is_clocked = isinstance(graph.execution, Clocked)
    if is_clocked and max_spikes != MOST_SPIKES:
        raise InputError(
            "simulate: max_spikes bounds continuous graphs; bound what is kept with a neuro.Monitor"
        )
    if is_clocked and needs_populations(graph.nodes):
        check_state(graph, state)
        settings = NetworkSettings(n_steps, duration_s, record, state, precision, int(n_threads), dynamics)
        return simulate_network(graph, inputs, settings, partial(checked_input, graph, None))
    check_plain(n_steps, duration_s, precision)
    if not is_clocked and dynamics is not None:
        raise InputError("simulate: dynamics leave out steps, but a continuous graph has none; leave it out")
    if not is_clocked and state is not None:
        raise InputError("simulate: a continuous graph takes no state; feed pieces to neuro.stream(graph)")
    if isinstance(inputs, list) and state is not None:
        raise InputError(
            "simulate: state continues one recording, but inputs is a list; pass the recordings one by one"
        )

    run: Callable[..., Any] = partial(
        _run_events, graph, record=record, max_spikes=as_most("simulate", max_spikes)
    )
    if is_clocked:
        run = partial(
            _run_compared,
            graph,
            record=record,
            state=state,
            use_attention=use_attention,
            compare_attention=compare_attention,
            dynamics=dynamics,
        )
    if not isinstance(inputs, list):
        result: Result | EventResult = run(inputs, n_threads=int(n_threads))
        return result
    if n_threads == 1 or len(inputs) < 2:
        return [run(one, n_threads=int(n_threads)) for one in inputs]
    with ThreadPoolExecutor(int(n_threads)) as pool:
        return list(pool.map(partial(run, n_threads=1), inputs))


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
) -> Result:
    """Run one recording; `path` forces the path of all layers that have it (the result is the same)."""
    plan = lower(graph)
    if dynamics is not None and is_mixed(graph.nodes):
        raise InputError(
            "simulate: dynamics count layers of Linear and Conv2d, this graph has a SparseLinear; leave it out"
        )
    spikes = checked_input(graph, plan, inputs)
    wanted = checked_record(graph, record, plan.events, spikes.n_steps)
    check_state(graph, state)
    watch = watch_readout(graph, spikes, state, dynamics)
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
    counters = count(plan, run, spikes, kept[:n_steps])
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
        else report_run(graph, spikes, counters, run, watch=watch, exit_head=exit_head),
    )


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


def _run_events(
    graph: Graph, inputs: object, *, record: Record | None, max_spikes: int, n_threads: int
) -> EventResult:
    del n_threads  # events act one after another
    plan = lower_events(graph)
    events = check_events(graph, inputs)
    end = events.duration_us
    if end is None and plan.endless:
        raise InputError(
            f"simulate: {plan.endless}, so the run needs an end: pass neuro.Events(..., duration_us=...)"
        )
    check_silent_spikes(plan, 0, end or 0)
    collected = EventsCollected(graph, plan, checked_event_record(graph, plan, record, as_end(end)))
    run = EventRun(end=as_end(end), limit=max_spikes)
    collected.ask(run)
    run_events(plan, run, events, FOREVER, collected.takers)
    return EventResult(
        outputs=collected.outputs(end),
        spikes=collected.spikes(end),
        counters=count_events(plan, run),
        membranes=collected.membranes(run),
        membrane_times_us={name: samples.times for name, samples in run.samples.items()},
        spike_counts=collected.spike_counts(),
        left_out=collected.left_out(),
    )
