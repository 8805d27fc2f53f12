"""The engine against the slow oracle, bit for bit: random graphs, inputs, chunks, paths and masks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro.graph import (
    NEURONS,
    SYNAPSES,
    Delay,
    Graph,
)
from neuro.lowering.plan import lower
from neuro.simulator import run_recording
from tests.oracle.dense_engine import OracleResult, simulate_densely
from tests.strategies import dense_inputs, graphs

Frames = NDArray[np.float32]


def record_all(graph: Graph) -> dict[str, list[str]]:
    """Everything that can be recorded."""
    kinds: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name in lower(graph).events:
        kinds[name].append("spikes")
    for name, node in graph.nodes.items():
        if isinstance(node, NEURONS):
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
    counters = result.counters
    assert counters.spikes == {name: oracle.spikes[name] for name in counters.spikes}
    assert counters.synaptic_operations == {
        name: oracle.synaptic_operations[name]
        for name, node in graph.nodes.items()
        if isinstance(node, SYNAPSES)
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


@st.composite
def runs(draw: st.DrawFn, attention: bool | None = None) -> tuple[Graph, Frames]:
    """A graph and frames for it."""
    graph = draw(graphs(attention=attention))
    return graph, draw(dense_inputs(graph))


@given(runs(), st.sampled_from([None, "scatter", "gather"]))
def test_engine_equals_the_oracle(run: tuple[Graph, Frames], path: neuro.lowering.run.Path | None) -> None:
    graph, frames = run
    result = run_recording(graph, frames, record=record_all(graph), path=path)
    kept = np.ones(len(frames), bool) if result.attention is None else result.attention.kept
    assert_equal_to_oracle(graph, result, simulate_densely(graph, frames, kept), kept)
    if path is not None:
        assert all(steps[path] == kept.sum() for steps in result.counters.path_steps.values())
