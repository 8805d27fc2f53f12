"""The shipped reference engine against the slow oracle and the engine, bit for bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import reference
from neuro.graph import IF, NEURONS, Flatten, Graph, Input, Linear, TemporalAttention, clocked, continuous
from neuro.lowering.plan import lower
from tests.oracle.dense_engine import simulate_densely
from tests.strategies import recurrent_runs, runs, wide_runs

Frames = NDArray[np.float32]
RUNS = runs() | recurrent_runs() | wide_runs()


def bits(array: Frames) -> Frames:
    """The array with every zero positive, so that `tobytes` compares values."""
    assert array.dtype == np.float32
    return array + np.float32(0)


@settings(max_examples=40)
@given(RUNS)
def test_the_reference_equals_the_oracle_and_the_engine(run: tuple[Graph, Frames]) -> None:
    graph, frames = run
    record = {name: ["spikes"] for name in lower(graph).events}
    for name, node in graph.nodes.items():
        if isinstance(node, NEURONS):
            record[name] = [*record.get(name, []), "membrane"]
    engine = neuro.simulate(graph, frames, record=record)
    kept = None if engine.attention is None else engine.attention.kept
    result = reference.evaluate(graph, frames, kept=kept)
    oracle = simulate_densely(graph, frames, kept)
    assert result.values.keys() == oracle.values.keys()
    assert result.membranes.keys() == oracle.membranes.keys() == engine.membranes.keys()
    for name, value in result.values.items():
        assert bits(value).tobytes() == bits(oracle.values[name]).tobytes(), name
    for name, membranes in result.membranes.items():
        assert bits(membranes).tobytes() == bits(oracle.membranes[name]).tobytes(), name
        assert bits(membranes).tobytes() == bits(engine.membranes[name]).tobytes(), name
    for name, output in result.outputs.items():
        assert bits(output).tobytes() == bits(engine.outputs[name]).tobytes(), name
    for name, spikes in result.spikes.items():
        assert spikes.to_dense().tobytes() == engine.spikes[name].to_dense().tobytes(), name


@settings(max_examples=25)
@given(RUNS, st.lists(st.integers(0, 9), max_size=3))
def test_chunks_equal_one_evaluation(run: tuple[Graph, Frames], cuts: list[int]) -> None:
    graph, frames = run
    whole = reference.evaluate(graph, neuro.Spikes.from_dense(frames))
    bounds = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    state, chunks = None, []
    for start, stop in pairwise(bounds):
        chunks.append(reference.evaluate(graph, frames[start:stop], state=state))
        state = chunks[-1].state
    for kind in ("values", "membranes"):
        for name, expected in getattr(whole, kind).items():
            joined = np.concatenate([getattr(chunk, kind)[name] for chunk in chunks])
            np.testing.assert_array_equal(joined, expected, err_msg=name, strict=True)


def small(*, execution: object = clocked(0.001)) -> Graph:
    """Two inputs, one neuron."""
    nodes = {"in": Input((2, 1, 1)), "flat": Flatten(), "fc": Linear([[0.6, 1.0]]), "out": IF(1.0)}
    return Graph(nodes, list(pairwise(nodes)), execution)


def test_the_reference_names_what_it_cannot_evaluate() -> None:
    graph, frames = small(), np.ones((3, 2, 1, 1))
    with pytest.raises(neuro.InputError, match="execution is continuous"):
        reference.evaluate(small(execution=continuous()), frames)
    with pytest.raises(
        neuro.InputError, match=r"Input 'in' has shape \(2, 1, 1\), got frames of \(1, 2, 1\)"
    ):
        reference.evaluate(graph, np.ones((3, 1, 2, 1)))
    with pytest.raises(neuro.InputError, match=r"shape \(n_steps, 2, 1, 1\), got list"):
        reference.evaluate(graph, [frames])  # type: ignore[arg-type]
    with pytest.raises(neuro.InputError, match=r"kept must be bool of shape \(3,\), got int64 \(3,\)"):
        reference.evaluate(graph, frames, kept=np.ones(3, np.int64))
    with pytest.raises(neuro.InputError, match="the graph has no TemporalAttention"):
        reference.evaluate(graph, frames, kept=np.ones(3, bool))
    other = Graph({"in": Input((2, 1, 1)), "out": IF(1.0)}, [("in", "out")], clocked(0.001))
    with pytest.raises(neuro.InputError, match="state belongs to another graph"):
        reference.evaluate(graph, frames, state=reference.evaluate(other, frames).state)


def test_a_dropped_frame_changes_membranes_only() -> None:
    attention = TemporalAttention(np.zeros((1, 3)), [0.0], np.zeros((3, 1)), [0.0] * 3, 0.5)
    nodes = {"in": Input(1), "attention": attention, "out": IF(2.5)}
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    result = reference.evaluate(graph, np.full((3, 1), 2.0), kept=np.array([True, False, True]))
    assert result.values["attention"][:, 0].tolist() == [2.0, 0.0, 2.0]
    assert result.membranes["out"][:, 0].tolist() == [2.0, 2.0, 0.0]
    assert repr(result) == "DenseResult(out: (3, 1); 1 spikes)"
