"""Running a clocked graph on spikes or frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from neuro.attention import report
from neuro.errors import InputError
from neuro.graph import NEURONS, Graph, Input
from neuro.kernels.arrays import Floats
from neuro.lowering.execution import count, end_run, run_block, start_run
from neuro.lowering.plan import Plan, lower
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import Signal, as_dense, as_frames, by_channel, n_entries
from neuro.results import AttentionReport, Result, State
from neuro.spikes import Spikes

__all__ = ["simulate"]

Record = Mapping[str, str | Sequence[str]]
_RECORDABLE = ("spikes", "membrane")


@overload
def simulate(
    graph: Graph,
    inputs: Spikes | NDArray[Any],
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
) -> Result: ...


@overload
def simulate(
    graph: Graph,
    inputs: list[Spikes | NDArray[Any]] | list[Spikes] | list[NDArray[Any]],
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
) -> list[Result]: ...


def simulate(
    graph: Graph,
    inputs: Any,
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
) -> Result | list[Result]:
    """Run a clocked graph, layer by layer, on what is active.

    Each step runs all nodes once in the graph's order; spikes cross a layer within the step. All values are
    float32, sums are taken one term at a time in a fixed order (bias, then the non-zero inputs in ascending
    tap and channel order), so results do not depend on how a run is cut into chunks, and a dense
    evaluation in the same order gives the same bits.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=clocked(dt_s)``.
    inputs : Spikes, array of shape ``(n_steps, *shape)``, or a list of these
        The frames of the graph's Input; each one a recording of its own. A list gives a list of results.
    record : mapping of str to 'spikes', 'membrane' or both, optional
        What to keep, by node: spikes (or counts) of any node that hands on spikes, membranes (after the
        reset) of neurons.
    state : State, optional
        ``Result.state`` of the chunk before this one; None starts at rest.
    use_attention : bool
        Whether a TemporalAttention drops frames; with False all frames are computed.

    Returns
    -------
    Result or list of Result
        Outputs of the sinks, recordings, exact counters, attention report and state.

    Raises
    ------
    InputError
        If the graph is not clocked, an input has another shape or holds what the graph's Input does not
        allow (NaN, infinity, more than ``max_count``), the number of frames is not that of the attention,
        `record` names an unknown node or asks for what it does not have, or `state` is of another graph.

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
    if isinstance(inputs, list):
        if state is not None:
            raise InputError(
                "simulate: state continues one recording, but inputs is a list; pass the recordings one by one"
            )
        return [run_recording(graph, one, record=record, use_attention=use_attention) for one in inputs]
    return run_recording(graph, inputs, record=record, state=state, use_attention=use_attention)


def run_recording(
    graph: Graph,
    inputs: Any,
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    path: Path | None = None,
) -> Result:
    """Run one recording; `path` forces 'scatter' or 'gather' in all layers (the result is the same)."""
    plan = lower(graph)
    wanted = _checked_record(graph, plan, record)
    spikes = _checked_input(graph, plan, inputs)
    _check_state(graph, state)
    attention = _attend(plan, spikes, state) if use_attention else None
    kept = np.ones(spikes.n_steps, np.uint8) if attention is None else attention.kept.astype(np.uint8)
    run = start_run(state, wanted.membranes, path)
    collected = _Collected(graph, plan, wanted, spikes)
    for start in range(0, spikes.n_steps, plan.block_steps):
        signals = run_block(plan, run, spikes, start, kept[start : start + plan.block_steps])
        collected.add(run, signals, start)
    recorded = {name: collected.spikes(name) for name in wanted.spikes}
    if plan.attention is not None and graph.input_name in recorded:
        recorded[graph.input_name] = spikes  # the Input before an attention hands on all frames
    n_before = 0 if state is None else state.n_steps
    return Result(
        outputs=collected.outputs,
        spikes=recorded,
        membranes=collected.membranes,
        counters=count(plan, run, spikes, kept),
        attention=attention,
        state=end_run(graph.digest, n_before + spikes.n_steps, run),
    )


@dataclass(frozen=True)
class _Wanted:
    """What to keep, by kind."""

    spikes: tuple[str, ...]
    membranes: tuple[str, ...]


class _Collected:
    """What is kept of each block."""

    def __init__(self, graph: Graph, plan: Plan, wanted: _Wanted, spikes: Spikes) -> None:
        self._plan = plan
        self._spikes = spikes
        self.outputs = {name: self._room(graph, name) for name in graph.output_names}
        self.membranes = {name: self._room(graph, name) for name in wanted.membranes}
        self._lists: dict[str, list[Spikes]] = {name: [] for name in wanted.spikes}

    def _room(self, graph: Graph, name: str) -> Floats:
        return np.empty((self._spikes.n_steps, *graph.shapes[name]), np.float32)

    def add(self, run: Run, signals: Mapping[str, Signal], start: int) -> None:
        """Copy what is wanted of a block."""
        stop = start + run.n_steps
        for name, output in self.outputs.items():
            layout = self._plan.layouts[name]
            if name in signals:
                output[start:stop] = layout.outside(as_dense(signals[name], layout, run.n_steps))
        for name, membranes in self.membranes.items():
            membranes[start:stop] = self._plan.layouts[name].outside(run.traces[name])
        for name, found in self._lists.items():
            if name in signals:
                found.append(self._listed(name, signals[name], run, start))

    def _listed(self, name: str, signal: Signal, run: Run, start: int) -> Spikes:
        layout, n_steps = self._plan.layouts[name], run.n_steps
        frames = by_channel(as_frames(signal, run.kept, layout), layout, n_steps)
        n = n_entries(frames)
        step = np.repeat(np.arange(start, start + n_steps), np.diff(frames.start))
        value = frames.value[:n] if frames.value.size else np.ones(n, np.float32)
        return Spikes(step, frames.index[:n], value, self._spikes.n_steps, layout.shape)

    def spikes(self, name: str) -> Spikes:
        """Return the recorded spikes of a node."""
        lists, shape = self._lists[name], self._plan.layouts[name].shape
        if len(lists) == 1:
            return lists[0]
        parts = [[getattr(one, field) for one in lists] for field in ("step", "index", "value")]
        step, index, value = (np.concatenate(part) if part else np.zeros(0, np.int32) for part in parts)
        return Spikes(step, index, value, self._spikes.n_steps, shape)


def _checked_input(graph: Graph, plan: Plan, inputs: Any) -> Spikes:
    name = graph.input_name
    node = graph.nodes[name]
    assert isinstance(node, Input)
    if isinstance(inputs, Spikes):
        spikes = inputs
    elif isinstance(inputs, np.ndarray):
        if inputs.shape[1:] != node.shape:
            raise InputError(
                f"Input {name!r}: needs an array of shape (n_steps, {_text(node.shape)}), got {inputs.shape}"
            )
        spikes = Spikes.from_dense(inputs)
    else:
        raise InputError(
            f"Input {name!r}: takes neuro.Spikes, an array of shape (n_steps, {_text(node.shape)}) or a list of "
            f"these, got {type(inputs).__name__}"
        )
    if spikes.shape != node.shape:
        raise InputError(f"Input {name!r}: needs frames of shape {node.shape}, got {spikes.shape}")
    if node.max_count is not None:
        _check_counts(name, node.max_count, spikes)
    elif plan.max_pool is not None and (spikes.value < 0).any():
        j = int(np.argmax(spikes.value < 0))
        raise InputError(
            f"Input {name!r}: MaxPool2d {plan.max_pool!r} needs entries >= 0, got {spikes.value[j]:g} in step "
            f"{spikes.step[j]} at index {spikes.index[j]}"
        )
    return spikes


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _check_counts(name: str, max_count: int, spikes: Spikes) -> None:
    value = spikes.value
    if value.size == 0 or (value.min() > 0 and value.max() <= max_count and (value == np.floor(value)).all()):
        return
    wrong = (value < 0) | (value > max_count) | (value != np.floor(value))
    j = int(np.argmax(wrong))
    raise InputError(
        f"Input {name!r}: entries must be whole numbers from 0 to max_count = {max_count}, got {value[j]:g} "
        f"in step {spikes.step[j]} at index {spikes.index[j]}"
    )


def _check_state(graph: Graph, state: State | None) -> None:
    if state is None:
        return
    if not isinstance(state, State):
        raise InputError(f"simulate: state must be the state of a Result, got {type(state).__name__}")
    if state.graph_digest != graph.digest:
        raise InputError(
            f"simulate: state belongs to another graph ({state.graph_digest[:12]}, this one is "
            f"{graph.digest[:12]}); start without a state"
        )


def _attend(plan: Plan, spikes: Spikes, state: State | None) -> AttentionReport | None:
    node = plan.attention
    if node is None:
        return None
    owner = f"TemporalAttention {plan.source!r}"
    if spikes.n_steps != node.n_frames:
        raise InputError(
            f"{owner}: scores a whole window of {node.n_frames} frames, got {spikes.n_steps}; "
            "pass whole windows or use_attention=False"
        )
    if state is not None:
        raise InputError(
            f"{owner}: scores whole windows from rest, state must be None; or use_attention=False"
        )
    return report(node, spikes)


def _checked_record(graph: Graph, plan: Plan, record: Record | None) -> _Wanted:
    spikes: list[str] = []
    membranes: list[str] = []
    if record is not None and not isinstance(record, Mapping):
        raise InputError(
            f"record: must map node names to 'spikes', 'membrane' or both, got {record!r}; "
            "write {'name': 'spikes'}"
        )
    for name, kinds in (record or {}).items():
        if name not in graph.nodes:
            raise InputError(f"record: there is no node {name!r}; the nodes are {', '.join(graph.order)}")
        owner = f"{type(graph.nodes[name]).__name__} {name!r}"
        for kind in kinds if isinstance(kinds, (list, tuple)) else (kinds,):
            if kind not in _RECORDABLE:
                raise InputError(f"record: {owner} can record 'spikes' or 'membrane', got {kind!r}")
            if kind == "membrane" and not isinstance(graph.nodes[name], NEURONS):
                raise InputError(f"record: {owner} has no membrane; only neurons have")
            if kind == "spikes" and name not in plan.events:
                raise InputError(f"record: {owner} hands on currents or membranes, not spikes")
            (spikes if kind == "spikes" else membranes).append(name)
    return _Wanted(tuple(dict.fromkeys(spikes)), tuple(dict.fromkeys(membranes)))
