"""Checking networks of populations against their reference: spikes, membranes, variables, weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.divergence import Divergence, Verification
from neuro.graph import Graph
from neuro.inputs import checked_input
from neuro.lowering.networks import lower_network
from neuro.networks import NetworkSettings, checked_length, checked_precision, simulate_network
from neuro.reference_networks import NetworkReference, evaluate_network
from neuro.results import NetworkState, Result
from neuro.spikes import Spikes

__all__ = ["verify_network"]

_PATHS = ("one run", "two runs", "2 threads")
Quantity = tuple[str, str, NDArray[Any], NDArray[Any]]  # node, what, both sides


def verify_network(graph: Graph, inputs: Any, settings: NetworkSettings) -> Verification:
    """Run the engine whole, cut in two and on two threads, run the reference, and compare; see `neuro.verify`."""
    as_frames = partial(checked_input, graph, None)
    n_steps = checked_length(graph, inputs, settings, as_frames)
    frames = None if not graph.input_name else as_frames(inputs)
    precision = checked_precision(settings.precision)
    reference = evaluate_network(graph, frames, n_steps=n_steps, precision=precision)
    plan = lower_network(graph, precision, 1)
    record: dict[str, list[str]] = {name: ["spikes"] for name in plan.nodes}
    for name in plan.parts.populations:
        record[name].append("membrane")
    found: list[Divergence] = []
    n_values = 0
    for path in _PATHS:
        cuts = [0, n_steps // 2, n_steps] if path == "two runs" else [0, n_steps]
        n_threads = 2 if path == "2 threads" else 1
        start, state = 0, None
        for stop in cuts[1:]:
            words = NetworkSettings(None, None, record, state, precision, n_threads)
            result = _run(graph, frames, (start, stop), words)
            pairs = list(_pairs(result, reference, (start, stop), is_end=stop == n_steps))
            found += _differences(pairs, path, start, n_steps)
            n_values += sum(theirs.size for *_, theirs in pairs) if path == _PATHS[0] else 0
            start, state = stop, result.state
    order = {name: place for place, name in enumerate(graph.order)}
    return Verification(
        min(found, key=lambda one: (one.step, order[one.node]), default=None),
        _PATHS,
        n_steps,
        n_steps,
        0,
        sum(len(reference.spikes[name]) for name in plan.parts.populations),
        n_values,
    )


def _run(graph: Graph, frames: Spikes | None, steps: tuple[int, int], settings: NetworkSettings) -> Result:
    start, stop = steps
    if frames is None:
        words = NetworkSettings(
            stop - start, None, settings.record, settings.state, settings.precision, settings.n_threads
        )
        result = simulate_network(graph, None, words, partial(checked_input, graph, None))
    else:
        part = slice(*np.searchsorted(frames.step, steps))
        piece = Spikes(
            frames.step[part] - start, frames.index[part], frames.value[part], stop - start, frames.shape
        )
        result = simulate_network(graph, piece, settings, partial(checked_input, graph, None))
    assert isinstance(result, Result)
    return result


def _pairs(
    result: Result, reference: NetworkReference, steps: tuple[int, int], *, is_end: bool
) -> Iterator[Quantity]:
    """Yield what can be compared: by step, then (at the end) as it is after the last."""
    part = slice(*steps)
    for name, spikes in result.spikes.items():
        yield name, "spikes", spikes.to_dense(), reference.spikes[name].to_dense()[part]
    for name, membranes in result.membranes.items():
        yield name, "membrane", membranes, reference.membranes[name][part]
    if not is_end:
        return
    assert isinstance(result.state, NetworkState)
    for name, variables in reference.variables.items():
        for variable, values in variables.items():
            yield name, variable, result.state.variables[name][variable], values
    for name, weights in reference.weights.items():
        yield name, "weight", result.weights[name], weights
        n_clips = result.counters.weight_clips[name]
        if n_clips != reference.clips[name] and steps[0] == 0:  # counted from the beginning of a run
            yield name, "clips", np.array(float(n_clips)), np.array(float(reference.clips[name]))


def _differences(pairs: list[Quantity], path: str, start: int, n_steps: int) -> Iterator[Divergence]:
    """Yield the first difference of each node and quantity."""
    for name, quantity, ours, theirs in pairs:
        differs = np.asarray((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs)))
        if differs.any():
            where = tuple(map(int, np.unravel_index(int(np.argmax(differs)), differs.shape)))
            is_traced = quantity in {"spikes", "membrane"}
            step = start + where[0] if is_traced else n_steps - 1
            yield Divergence(
                step,
                name,
                quantity,
                where[1:] if is_traced else where,
                float(ours[where]),
                float(theirs[where]),
                path,
            )
