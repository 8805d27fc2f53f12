"""Checking the engine against the reference on a graph and a recording of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.divergence import Divergence, Verification
from neuro.errors import InputError
from neuro.events import Events
from neuro.graph import CODED, NEURONS, TEMPORAL, Continuous, Graph
from neuro.graph.networks import needs_populations
from neuro.inputs import check_graph, checked_input
from neuro.lowering.networks import Precision
from neuro.lowering.plan import lower
from neuro.lowering.run import Path
from neuro.lowering.wiring import dense_size, has_bytes
from neuro.networks import NetworkSettings, check_plain
from neuro.reference import DenseResult, DenseState, evaluate
from neuro.results import AttentionReport, Result, State
from neuro.running import run_recording
from neuro.spikes import Spikes
from neuro.verification_events import verify_events
from neuro.verification_networks import verify_network

__all__ = ["Divergence", "Verification", "verify"]

Floats = NDArray[np.float32]

_TRACED = "traced"  # chosen by density, and every membrane recorded in every step
_QUANTITIES = ("spikes", "membrane", "output")
_CHUNK_ENTRIES = 2**23  # values of all nodes held at once: 32 MB on each side


def verify(
    graph: Graph,
    inputs: Spikes | NDArray[Any] | Events | None = None,
    *,
    n_steps: int | None = None,
    duration_s: float | None = None,
    use_attention: bool = True,
    precision: Precision = "float32",
) -> Verification:
    """Run the engine and a plain reference on any graph that `simulate` runs, and compare every value.

    A layered clocked graph runs on each of the engine's paths: 'automatic' (chosen by density), all layers by
    'scatter', by 'gather', by the 'dense' path and in whole numbers ('integer'), the last two where a layer has them,
    and 'traced', with every membrane recorded. The reference (`neuro.reference`) evaluates ``docs/graph-spec.md`` in
    plain NumPy and shares no code with the engine. Compared are the spikes (or counts) of every node that hands on
    spikes, the outputs, and the membranes of every neuron: in every step of the traced run, and at the end of each
    chunk of the others, which leave silent pixels alone until then. Long recordings are cut into chunks, so memory
    stays bounded, and the comparison ends with the first chunk that differs.

    A network of populations runs whole ('one run'), cut in two, and on two threads, beside `neuro.reference_networks`:
    spikes of sources and populations, membranes in every step, all variables and plastic weights at the end.

    A continuous graph runs in 'one call' and in 'pieces' as a stream, beside `neuro.reference_events`: every event that
    leaves every node, with its time and place in the order, membranes at some times, and the counters.

    Parameters
    ----------
    graph : Graph
        Any graph.
    inputs : Spikes, array of shape ``(n_steps, *shape)``, or Events
        One recording, as for `simulate`; None for a network of populations without an Input.
    n_steps, duration_s : int, float, optional
        Length of the run of a network without an Input.
    use_attention : bool
        Whether attention drops frames, channels and pixels. Both sides drop the same frames: temporal scores are
        not computed twice, their last bits are no part of the specification.
    precision : {'float32', 'float64'}
        The arithmetic of a network of populations.

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
    silent, too: 20 steps of 2x32x32 - 64C3 - 128C3 - AP2 - 128C3 - 11 took 1.9 s on one core, the engine 8 ms. Those of
    networks and of continuous graphs take neurons and events one by one: give them small pieces of a recording.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import IF, Graph, Input, Linear, clocked
    >>> nodes = {"in": Input(2), "fc": Linear([[0.6, 0.0]]), "out": IF(1.0)}
    >>> graph = Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(dt_s=0.001))
    >>> verify(graph, np.ones((4, 2)))
    Verification(equal: 4 engine paths (automatic, scatter, gather, traced) x reference, 4 steps, 2 spikes, 20 values)
    """
    check_graph("verify", graph)
    inputs = _one_recording(inputs)
    if isinstance(graph.execution, Continuous):
        check_plain(n_steps, duration_s, precision)
        return verify_events(graph, inputs)
    if needs_populations(graph.nodes):
        return verify_network(graph, inputs, NetworkSettings(n_steps, duration_s, precision=precision))
    check_plain(n_steps, duration_s, precision)
    plan = lower(graph)
    spikes = checked_input(graph, plan, inputs)
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
