"""Recordings through a chain of layers: one call into compiled code for each, and a result put together when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.attention.windows import check_frames
from neuro.collecting import Collected
from neuro.dynamics import Dynamics, DynamicsReport, ExitRule
from neuro.graph import Graph, Input, MovingAttention
from neuro.inputs import as_spikes, check_state, check_values
from neuro.kernels import chains as places
from neuro.kernels.arrays import Bytes, Floats, Int64s
from neuro.lowering.chain_running import ChainRun
from neuro.lowering.chains import Chain
from neuro.lowering.coded_running import CodedRun
from neuro.lowering.coded_tables import CodedTable
from neuro.lowering.deciding import temporal_report
from neuro.lowering.execution import count
from neuro.lowering.plan import Plan
from neuro.lowering.run import Path, Run
from neuro.lowering.scoring import Temporal, start_history
from neuro.lowering.signals import Signal
from neuro.lowering.stopping import MEASURE_NUMBERS
from neuro.monitors import Record, checked_record
from neuro.results import AttentionReport, Counters, Result, State
from neuro.spikes import Spikes
from neuro.watching import exit_rule, report_run

__all__ = ["Chained"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Chained:
    """A chain and how recordings are to be run through it: checked once, for as many recordings as there are.

    Attributes
    ----------
    graph, plan, chain : Graph, Plan and Chain
        What is run.
    dynamics : Dynamics or None
        What may be left out.
    dropping : TemporalAttention, MovingAttention or None
        The attention, if it drops frames.
    path : str or None
        The path of all layers, if it is forced.
    numbers, reals : int64 and float64 arrays
        What a run begins with: see `neuro.kernels.chains`.
    """

    graph: Graph
    plan: Plan
    chain: Chain | CodedTable
    dynamics: Dynamics | None
    dropping: Temporal | None
    path: Path | None
    numbers: Int64s
    reals: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        graph: Graph,
        plan: Plan,
        chain: Chain | CodedTable,
        *,
        use_attention: bool = True,
        dynamics: Dynamics | None = None,
        path: Path | None = None,
    ) -> Chained:
        """Return a chain ready to run; dynamics without heads and gates. An InputError where a rule does not fit."""
        entry = graph.nodes[graph.input_name]
        assert isinstance(entry, Input)
        found = chain.attention if isinstance(chain, Chain) else None
        node = found if use_attention and (dynamics is None or dynamics.attention) else None
        numbers, reals = np.zeros(places.N_NUMBERS, np.int64), np.zeros(places.N_REALS)
        numbers[places.LONGEST] = chain.block_steps
        reals[places.MOST] = np.inf if entry.max_count is None else entry.max_count
        reals[places.CERTAINTY] = np.nan
        if node is not None:
            is_moving = isinstance(node, MovingAttention)
            numbers[places.ATTENTION] = places.MOVING if is_moving else places.WINDOWED
            reals[places.LEAST_SCORE] = node.threshold
        _write_rule(exit_rule(graph, None, dynamics), numbers, reals)
        return cls(graph, plan, chain, dynamics, node, path, numbers, reals)

    def run(self, inputs: Any, *, record: Record | None = None, state: State | None = None) -> Result:
        """Run one recording; `record` asks for no membranes."""
        graph, chain, node = self.graph, self.chain, self.dropping
        spikes = as_spikes(graph, inputs)
        collected = self._checked(record, state, spikes) if record or state is not None else None
        if node is not None:
            check_frames(graph, spikes.n_steps, state, is_dropping=True)
        words = (self.path, self.numbers, self.reals, spikes.n_steps)
        run = ChainRun(chain, *words) if isinstance(chain, Chain) else CodedRun(chain, *words)
        parts = _Parts(self, run, state)
        if isinstance(run, ChainRun) and node is not None:
            run.score(node, parts.history(node))
        if state is not None:
            run.take(state)
        name = graph.output_names[0]
        output = np.empty((spikes.n_steps, *graph.shapes[name]), np.float32)
        flat = output if output.ndim == 2 else output.reshape(len(output), chain.rows[-1].layout.size)
        if not run.go(spikes, flat, None if collected is None else _collecting(collected)):
            check_values(graph, self.plan, spikes)
        if run.n_run < spikes.n_steps:
            output = output[: run.n_run].copy()
        if collected is not None:
            parts.collected = self._ended(collected, spikes, run.n_run)
        return Result.of({name: output}, parts.part)

    def _checked(self, record: Record | None, state: State | None, spikes: Spikes) -> Collected | None:
        wanted = checked_record(self.graph, record, self.plan.events, spikes.n_steps)
        check_state(self.graph, state)
        if state is not None:
            exit_rule(self.graph, state, self.dynamics)
        return Collected(self.graph, self.plan, wanted, spikes) if record else None

    def _ended(self, collected: Collected, spikes: Spikes, n_run: int) -> Collected:
        if n_run < spikes.n_steps:
            collected.end(n_run)
        if self.plan.attention is not None:
            collected.keep(self.graph.input_name, spikes, n_run)  # the Input before it hands on all frames
        return collected


def _write_rule(rule: ExitRule | None, numbers: Int64s, reals: NDArray[np.float64]) -> None:
    if rule is None:
        return
    numbers[places.FIRST_CHECK], numbers[places.CHECK_EVERY] = rule.first_step, rule.check_every
    numbers[places.MEASURE] = MEASURE_NUMBERS[rule.measure]
    numbers[places.IS_MEAN] = rule.readout == "mean"
    reals[places.LEAST_CERTAINTY], reals[places.TEMPERATURE] = rule.threshold, rule.temperature


def _collecting(collected: Collected) -> Any:
    def add(signals: dict[str, Signal], start: int, kept: Bytes) -> None:
        collected.add(Run(kept), signals, start)

    return add


class _Parts:
    """The parts of a result, put together from what a run left behind."""

    def __init__(self, chained: Chained, run: ChainRun | CodedRun, state: State | None) -> None:
        self._chained, self._run = chained, run
        self._n_before = 0 if state is None else state.n_steps
        self._histories: Mapping[str, Floats] = _NOTHING if state is None else state.histories
        self.collected: Collected | None = None

    def part(self, name: str) -> Any:
        """Return an attribute of the result."""
        return getattr(self, name, _NOTHING)

    def history(self, node: Temporal) -> Floats:
        """Return what the attention knew before the run."""
        return self._histories.get(self._chained.plan.source, start_history(node))

    @property
    def spikes(self) -> Mapping[str, Spikes]:
        return _NOTHING if self.collected is None else self.collected.all_spikes()

    @property
    def spike_counts(self) -> Mapping[str, NDArray[np.int64]]:
        return _NOTHING if self.collected is None else self.collected.spike_counts

    @property
    def left_out(self) -> Mapping[str, Mapping[str, int]]:
        return _NOTHING if self.collected is None else self.collected.left_out()

    @cached_property
    def counters(self) -> Counters:
        return count(self._chained.plan, self._run.counted())

    @cached_property
    def attention(self) -> AttentionReport | None:
        node, run = self._chained.dropping, self._run
        if node is None:
            return None
        n_before = run.scores.shape[1] - run.sums.size
        return temporal_report(node, run.scores[1, n_before:], run.sums, is_dropping=True)

    @property
    def attentions(self) -> Mapping[str, AttentionReport]:
        return {} if self.attention is None else {self._chained.plan.source: self.attention}

    @property
    def dynamics(self) -> DynamicsReport | None:
        if self._chained.dynamics is None:
            return None
        run = self._run
        return report_run(self._chained.graph, run.sums, self.counters, _NOTHING, verdict=run.verdict)

    @property
    def state(self) -> State:
        chained, run = self._chained, self._run
        histories = dict(self._histories)
        if isinstance(run, ChainRun) and chained.dropping is not None:
            before = self.history(chained.dropping)
            histories[chained.plan.source] = run.history(chained.dropping, before)
        return State(
            chained.graph.digest,
            self._n_before + run.n_run,
            MappingProxyType(run.membranes()),
            MappingProxyType(run.lines),
            histories=MappingProxyType(histories),
        )
