"""The engine against the slow oracle, bit for bit: random graphs, inputs, chunks, blocks, paths and masks."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import running
from neuro.graph import NEURONS, SYNAPSES, Delay, Graph
from neuro.lowering.plan import lower
from neuro.lowering.run import Path
from neuro.running import run_recording
from neuro.verification import last_membranes
from tests.oracle.dense_engine import OracleResult, simulate_densely
from tests.strategies import recurrent_runs, runs, wide_runs

Frames = NDArray[np.float32]
PATHS = st.sampled_from([None, "scatter", "gather", "dense", "integer"])


def record_all(graph: Graph, *, membranes: bool = True) -> dict[str, list[str]]:
    """Everything that can be recorded; without membranes the engine leaves silent pixels alone."""
    kinds: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name in lower(graph).events:
        kinds[name].append("spikes")
    for name, node in graph.nodes.items():
        if isinstance(node, NEURONS) and membranes:
            kinds[name].append("membrane")
    return kinds


def assert_equal_to_oracle(
    graph: Graph, result: neuro.Result, oracle: OracleResult, kept: NDArray[np.bool_]
) -> None:
    """Outputs, recordings and counters of a whole run equal the oracle's."""
    for name, output in result.outputs.items():
        np.testing.assert_array_equal(output, oracle.values[name], err_msg=name, strict=True)
    for name, spikes in result.spikes.items():
        np.testing.assert_array_equal(spikes.to_dense(), oracle.values[name], err_msg=name, strict=True)
    for name, membranes in result.membranes.items():
        np.testing.assert_array_equal(membranes, oracle.membranes[name], err_msg=name, strict=True)
    if result.counters.n_steps:
        for name, last in last_membranes(graph, result.state).items():
            np.testing.assert_array_equal(last, oracle.membranes[name][-1], err_msg=name, strict=True)
    counters = result.counters
    assert counters.spikes == {name: oracle.spikes[name] for name in counters.spikes}
    assert counters.synaptic_operations == {
        name: oracle.synaptic_operations[name]
        for name, node in graph.nodes.items()
        if isinstance(node, SYNAPSES)
    }
    assert counters.input_entries == {
        name: oracle.input_entries[name] for name in counters.synaptic_operations
    }
    for name, fraction in counters.active_output_fraction.items():
        n_pixels = int(np.prod(graph.shapes[name][1:]))
        assert fraction == oracle.active_outputs[name] / max(1, int(kept.sum()) * n_pixels)
        assert sum(counters.path_steps[name].values()) == kept.sum()
    assert counters.delayed_entries_lost == {
        name: oracle.lost[name] for name, node in graph.nodes.items() if isinstance(node, Delay)
    }
    frames = oracle.values[graph.input_name][kept]
    assert counters.events_in == np.count_nonzero(frames)
    assert counters.counts_in == frames[frames != 0].sum(dtype=np.float64)


@given(runs(), PATHS, st.booleans())
def test_engine_equals_the_oracle(run: tuple[Graph, Frames], path: Path | None, membranes: bool) -> None:
    graph, frames = run
    record = record_all(graph, membranes=membranes)
    result = run_recording(graph, frames, record=record, path=path)
    kept = np.ones(len(frames), bool) if result.attention is None else result.attention.kept
    assert_equal_to_oracle(graph, result, simulate_densely(graph, frames, kept), kept)
    for name, steps in result.counters.path_steps.items():
        if path == "scatter":
            assert steps["scatter"] + steps["silent"] == kept.sum()
        elif path in ("gather", "integer"):
            assert steps["gather"] + steps["silent"] == kept.sum()
        elif path == "dense" and result.counters.products[name]:
            assert steps["dense"] + steps["silent"] == kept.sum()


@settings(max_examples=30)
@given(recurrent_runs(), st.booleans())
def test_recurrent_networks_equal_the_oracle(run: tuple[Graph, Frames], membranes: bool) -> None:
    graph, frames = run
    result = run_recording(graph, frames, record=record_all(graph, membranes=membranes))
    kept = np.ones(len(frames), bool) if result.attention is None else result.attention.kept
    assert_equal_to_oracle(graph, result, simulate_densely(graph, frames, kept), kept)


@settings(max_examples=25)
@given(wide_runs(), PATHS, st.booleans(), st.integers(1, 3))
def test_wide_layers_equal_the_oracle(
    run: tuple[Graph, Frames], path: Path | None, membranes: bool, n_threads: int
) -> None:
    graph, frames = run
    record = record_all(graph, membranes=membranes)
    result = run_recording(graph, frames, record=record, path=path, n_threads=n_threads)
    kept = np.ones(len(frames), bool)
    assert_equal_to_oracle(graph, result, simulate_densely(graph, frames, kept), kept)


@settings(max_examples=30)
@given(
    runs(attention=False) | recurrent_runs(),
    st.lists(st.integers(0, 9), max_size=3),
    st.integers(1, 3),
    st.booleans(),
)
def test_chunks_and_blocks_equal_one_run(
    run: tuple[Graph, Frames], cuts: list[int], block_steps: int, is_traced: bool
) -> None:
    graph, frames = run
    record = record_all(graph, membranes=is_traced)
    whole = run_recording(graph, frames, record=record, use_attention=False)
    bounds = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    plan = dataclasses.replace(lower(graph), block_steps=min(block_steps, lower(graph).block_steps))
    state, chunks = None, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "lower", lambda _: plan)
        for start, stop in pairwise(bounds):
            chunk = run_recording(graph, frames[start:stop], record=record, state=state, use_attention=False)
            state = chunk.state
            chunks.append(chunk)
    assert state is not None
    assert state.n_steps == whole.state.n_steps == len(frames)
    for name, output in whole.outputs.items():
        np.testing.assert_array_equal(np.concatenate([chunk.outputs[name] for chunk in chunks]), output)
    for name, membranes in whole.membranes.items():
        np.testing.assert_array_equal(np.concatenate([chunk.membranes[name] for chunk in chunks]), membranes)
    for name, spikes in whole.spikes.items():
        np.testing.assert_array_equal(
            np.concatenate([c.spikes[name].to_dense() for c in chunks]), spikes.to_dense()
        )
    for count in ("n_steps", "events_in", "counts_in", "total_synaptic_operations"):
        assert sum(getattr(c.counters, count) for c in chunks) == getattr(whole.counters, count)


@settings(max_examples=25)
@given(runs())
def test_scatter_equals_gather_and_spikes_equal_dense_input(run: tuple[Graph, Frames]) -> None:
    graph, frames = run
    record = record_all(graph)
    a = run_recording(graph, frames, record=record, path="scatter")
    b = run_recording(graph, neuro.Spikes.from_dense(frames), record=record, path="gather")
    for name, output in a.outputs.items():
        assert output.tobytes() == b.outputs[name].tobytes()
    for name, membranes in a.membranes.items():
        assert membranes.tobytes() == b.membranes[name].tobytes()
    assert a.counters.synaptic_operations == b.counters.synaptic_operations
    assert a.counters.active_output_fraction == b.counters.active_output_fraction
