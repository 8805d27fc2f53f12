"""Checking the engine against the reference on a graph and a recording of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.graph import CODED, NEURONS, TEMPORAL, Graph
from neuro.inputs import checked_input
from neuro.lowering.plan import lower
from neuro.lowering.run import Path
from neuro.lowering.wiring import dense_size, has_bytes
from neuro.reference import DenseResult, DenseState, evaluate
from neuro.results import AttentionReport, Result, State
from neuro.simulator import run_recording
from neuro.spikes import Spikes

__all__ = ["Divergence", "Verification", "verify"]

Floats = NDArray[np.float32]

_TRACED = "traced"  # chosen by density, and every membrane recorded in every step
_QUANTITIES = ("spikes", "membrane", "output")
_CHUNK_ENTRIES = 2**23  # values of all nodes held at once: 32 MB on each side


@dataclass(frozen=True)
class Divergence:
    """The first value in which the engine and the reference differ.

    Attributes
    ----------
    step : int
        Step of the recording.
    node : str
        The node, the first in topological order that differs in this step.
    quantity : {'spikes', 'membrane', 'output'}
        What differs: the spikes (or counts) it hands on, its membranes, or the output of a sink.
    index : tuple of int
        The first neuron that differs: (channel, row, column) or (n,).
    engine, reference : float
        The float32 values on both sides.
    path : {'automatic', 'scatter', 'gather', 'dense', 'integer', 'traced'}
        The engine's path.
    """

    step: int
    node: str
    quantity: str
    index: tuple[int, ...]
    engine: float
    reference: float
    path: str

    def __str__(self) -> str:
        where = ", ".join(map(str, self.index))
        return (
            f"step {self.step}, node {self.node!r}, neuron ({where}): {self.quantity} {_text(self.engine)} in the "
            f"engine (path {self.path}), {_text(self.reference)} in the reference"
        )


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether the engine and the reference agree; true in a condition if they do.

    Attributes
    ----------
    divergence : Divergence or None
        The first difference in (step, topological order), over all paths; None if all values are equal.
    paths : tuple of str
        The engine's paths that were run.
    n_steps : int
        Steps of the recording.
    n_steps_compared : int
        Steps compared: all of them, or up to the end of the chunk that differs.
    n_steps_dropped : int
        Most steps that a temporal attention dropped (their membranes are compared, too).
    n_spikes : int
        Spikes of all spiking nodes in the reference, in the steps compared.
    n_values : int
        Values compared for each path: spikes, membranes and outputs.
    """

    divergence: Divergence | None
    paths: tuple[str, ...]
    n_steps: int
    n_steps_compared: int
    n_steps_dropped: int
    n_spikes: int
    n_values: int

    @property
    def is_equal(self) -> bool:
        """Whether all values were equal."""
        return self.divergence is None

    def __bool__(self) -> bool:
        return self.is_equal

    def __repr__(self) -> str:
        compared = f"{len(self.paths)} engine paths ({', '.join(self.paths)}) x reference"
        dropped = f" ({self.n_steps_dropped} dropped)" if self.n_steps_dropped else ""
        if self.divergence is None:
            return (
                f"Verification(equal: {compared}, {self.n_steps} steps{dropped}, {self.n_spikes} spikes, "
                f"{self.n_values} values)"
            )
        return f"Verification(NOT equal: {compared}; first divergence: {self.divergence})"


def verify(graph: Graph, inputs: Spikes | NDArray[Any], *, use_attention: bool = True) -> Verification:
    """Run the engine and the dense reference, and compare every value.

    The engine runs on each of its paths: 'automatic' (chosen by density), all layers by 'scatter', by 'gather', by
    the 'dense' path and in whole numbers ('integer'), the last two where a layer has them, and 'traced', with
    every membrane recorded. The reference (`neuro.reference`) evaluates ``docs/graph-spec.md`` in plain NumPy and
    shares no code with the engine. Compared are the spikes (or counts) of every node that hands on spikes, the
    outputs, and the membranes of every neuron: in every step of the traced run, and at the end of each chunk of the
    others, which leave silent pixels alone until then. Long recordings are cut into chunks, so memory stays bounded,
    and the comparison ends with the first chunk that differs.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=clocked(dt_s)``.
    inputs : Spikes or array of shape ``(n_steps, *shape)``
        One recording, as for `simulate`.
    use_attention : bool
        Whether attention drops frames, channels and pixels. Both sides drop the same frames: temporal scores are
        not computed twice, their last bits are no part of the specification.

    Returns
    -------
    Verification
        True in a condition if all values are equal; otherwise its `divergence` names the first that is not.

    Raises
    ------
    InputError
        As `simulate`; and if `inputs` is a list.

    Notes
    -----
    Error: none, values are compared exactly; NaN equals NaN, and -0 equals 0. The reference computes what is
    silent, too: 20 steps of 2x32x32 - 64C3 - 128C3 - AP2 - 128C3 - 11 took 1.9 s on one core, the engine 8 ms.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import IF, Graph, Input, Linear, clocked
    >>> nodes = {"in": Input(2), "fc": Linear([[0.6, 0.0]]), "out": IF(1.0)}
    >>> graph = Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(dt_s=0.001))
    >>> verify(graph, np.ones((4, 2)))
    Verification(equal: 4 engine paths (automatic, scatter, gather, traced) x reference, 4 steps, 2 spikes, 20 values)
    """
    plan = lower(graph)
    spikes = checked_input(graph, plan, _one_recording(inputs))
    reports: Mapping[str, AttentionReport] = {}
    if any(isinstance(node, TEMPORAL) for node in graph.nodes.values()):
        reports = run_recording(graph, spikes, use_attention=use_attention).attentions
    comparison = _Comparison(graph, reports, use_attention)
    n_chunk = max(1, spikes.n_steps if reports else _CHUNK_ENTRIES // _n_entries(graph))
    n_dropped = spikes.n_steps - min((report.n_kept for report in reports.values()), default=spikes.n_steps)
    start = stop = 0
    while comparison.divergence is None and (start < spikes.n_steps or start == 0):
        stop = min(start + n_chunk, spikes.n_steps)
        comparison.run_chunk(_steps(spikes, start, stop), start)
        start += n_chunk
    return Verification(
        comparison.divergence,
        tuple(comparison.paths),
        spikes.n_steps,
        stop,
        n_dropped,
        comparison.n_spikes,
        comparison.n_values,
    )


class _Comparison:
    """A run of all paths and of the reference, chunk by chunk."""

    def __init__(self, graph: Graph, reports: Mapping[str, AttentionReport], use_attention: bool) -> None:
        self.divergence: Divergence | None = None
        self.n_spikes = self.n_values = 0
        self._graph, self._reports, self._use_attention = graph, reports, use_attention
        self.paths = _paths(graph)
        self._spikes = {name: ["spikes"] for name in graph.order if name in lower(graph).events}
        self._all = {name: list(self._spikes.get(name, [])) for name in graph.order}
        for name, node in graph.nodes.items():
            self._all[name] += ["membrane"] * isinstance(node, (*NEURONS, *CODED))
        self._states: dict[str, State | None] = dict.fromkeys(self.paths)
        self._reference_state: DenseState | None = None

    def run_chunk(self, spikes: Spikes, start: int) -> None:
        """Run and compare the steps from `start` on (with attention: the one chunk there is)."""
        dense = evaluate(
            self._graph,
            spikes,
            attention=self._reports or None,
            select=self._use_attention,
            state=self._reference_state,
        )
        self._reference_state = dense.state
        self.n_spikes += sum(map(len, dense.spikes.values()))
        found: list[Divergence] = []
        for path in self.paths:
            result = self._run(spikes, path)
            self._states[path] = result.state
            found += self._differences(result, dense, path, start)
        self.n_values += sum(theirs.size for *_, theirs in self._pairs(result, dense))
        self.divergence = min(found, key=self._place, default=None)

    def _place(self, found: Divergence) -> tuple[int, int, int]:
        """Where a divergence stands in (step, topological order)."""
        return found.step, self._graph.order.index(found.node), _QUANTITIES.index(found.quantity)

    def _run(self, spikes: Spikes, path: str) -> Result:
        return run_recording(
            self._graph,
            spikes,
            record=self._all if path == _TRACED else self._spikes,
            state=self._states[path],
            use_attention=self._use_attention,
            path=self.paths[path],
        )

    def _pairs(self, result: Result, dense: DenseResult) -> Iterator[tuple[str, str, Floats, Floats]]:
        """Yield the node, the quantity, and both sides of what can be compared."""
        for name, spikes in result.spikes.items():
            yield name, "spikes", spikes.to_dense(), dense.values[name]
        for quantity, ours, theirs in (
            ("membrane", result.membranes, dense.membranes),
            ("output", result.outputs, dense.outputs),
        ):
            for name in ours:
                yield name, quantity, ours[name], theirs[name]
        if not result.membranes and result.counters.n_steps:
            for name, membranes in last_membranes(self._graph, result.state).items():
                known = np.full_like(dense.membranes[name], np.nan)
                known[-1] = dense.membranes[name][-1]
                last = np.full_like(known, np.nan)
                last[-1] = membranes
                yield name, "membrane", last, known

    def _differences(self, result: Result, dense: DenseResult, path: str, start: int) -> Iterator[Divergence]:
        """Yield the first difference of each node and quantity."""
        for name, quantity, ours, theirs in self._pairs(result, dense):
            differs = (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
            if differs.any():
                step, *index = map(int, np.unravel_index(int(np.argmax(differs)), differs.shape))
                where = (step, *index)
                yield Divergence(
                    start + step, name, quantity, tuple(index), float(ours[where]), float(theirs[where]), path
                )


def _paths(graph: Graph) -> dict[str, Path | None]:
    """The engine's paths that some layer of a graph has, by what they are called."""
    paths: dict[str, Path | None] = {"automatic": None, "scatter": "scatter", "gather": "gather"}
    wirings = [layer.wiring for layer in lower(graph).layers if layer.wiring is not None]
    if any(map(dense_size, wirings)):
        paths["dense"] = "dense"
    if any(map(has_bytes, wirings)):
        paths["integer"] = "integer"
    return paths | {_TRACED: None}


def last_membranes(graph: Graph, state: State) -> dict[str, Floats]:
    """Return the membranes of every neuron node at the end of a run, each of its node's shape."""
    layers = [layer for layer in lower(graph).layers if layer.neuron_name is not None]
    return {
        str(layer.neuron_name): layer.layout.outside(state.membranes[layer.name][0])[0]
        for layer in layers
        if layer.name in state.membranes
    } | {
        one.name: one.layout.outside(state.membranes[one.name][0])[0]
        for one in lower(graph).coded
        if one.name in state.membranes
    }


def _one_recording(inputs: Any) -> Any:
    if isinstance(inputs, list):
        raise InputError("verify: takes one recording, got a list; call it for each")
    return inputs


def _n_entries(graph: Graph) -> int:
    """Values of all nodes in one step."""
    return sum(math.prod(shape) for shape in graph.shapes.values())


def _steps(spikes: Spikes, start: int, stop: int) -> Spikes:
    """Return some steps of a recording as a recording."""
    part = slice(*np.searchsorted(spikes.step, (start, stop)))
    return Spikes(
        spikes.step[part] - start, spikes.index[part], spikes.value[part], stop - start, spikes.shape
    )


def _text(value: float) -> str:
    """The shortest decimal number that is this float32."""
    return str(np.float32(value))
