"""Runs with dynamics against the slow oracle and the plain engine, bit for bit."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro.dynamics import MEASURES, Dynamics, ExitRule, exit_steps, running_certainty
from neuro.graph import TEMPORAL, ChannelAttention, Graph, SpatialAttention
from neuro.kernels.certainty import add_steps, certainty
from neuro.lowering.stopping import MEASURE_NUMBERS
from neuro.running import run_recording
from tests.attention_strategies import attended_runs
from tests.oracle.dense_engine import simulate_densely
from tests.properties.test_engine_oracle import assert_equal_to_oracle, record_all
from tests.strategies import recurrent_runs, runs, wide_runs

Frames = NDArray[np.float32]
RULES = st.builds(
    ExitRule,
    st.floats(0, 1),
    st.sampled_from(MEASURES),
    st.sampled_from([0.01, 0.3, 1.0, 20.0]),
    st.sampled_from(["mean", "sum"]),
    st.integers(1, 3),
    st.integers(1, 3),
)


def outputs_of(oracle_values: Frames) -> Frames:
    """One recording as (1, n_steps, n_outputs)."""
    return oracle_values.reshape(1, len(oracle_values), -1)


@settings(max_examples=60)
@given(runs() | recurrent_runs(), RULES, st.booleans())
def test_a_run_that_ends_early_is_the_run_of_its_first_steps(
    run: tuple[Graph, Frames], rule: ExitRule, use_attention: bool
) -> None:
    graph, frames = run
    name = graph.output_names[0]
    assume(len(graph.output_names) == 1 and math.prod(graph.shapes[name]) > 1 and len(frames) > 1)
    dynamics = Dynamics(attention=use_attention, early_exit=rule)
    result = neuro.simulate(graph, frames, record=record_all(graph), dynamics=dynamics)
    kept = np.ones(len(frames), bool) if result.attention is None else result.attention.kept
    assert use_attention or result.attention is None
    whole = outputs_of(simulate_densely(graph, frames, kept).values[name])
    assume(np.isfinite(whole).all())
    assume(not (np.abs(running_certainty(whole, rule) - rule.threshold) < 1e-9).any())
    n_steps = int(exit_steps(whole, rule)[0])
    report = result.dynamics
    assert report is not None
    assert (report.n_steps, report.n_frames) == (n_steps, len(frames))
    assert report.exit_step == (n_steps if n_steps < len(frames) else None)
    oracle = simulate_densely(graph, frames[:n_steps], kept[:n_steps])
    assert_equal_to_oracle(graph, result, oracle, kept[:n_steps])
    assert result.state.n_steps == result.counters.n_steps == n_steps
    assert all(spikes.n_steps == n_steps for spikes in result.spikes.values())
    updates = {node: n_steps * math.prod(graph.shapes[node]) for node in result.counters.neuron_updates}
    assert result.counters.neuron_updates == updates  # no layer went on


@settings(max_examples=30)
@given(runs() | recurrent_runs() | wide_runs())
def test_with_everything_off_a_run_equals_the_plain_engine(run: tuple[Graph, Frames]) -> None:
    graph, frames = run
    record = record_all(graph)
    plain = run_recording(graph, frames, record=record, use_attention=False)
    off = neuro.simulate(graph, frames, record=record, dynamics=Dynamics.off())
    for name, output in plain.outputs.items():
        assert output.tobytes() == off.outputs[name].tobytes()
    for name, membranes in plain.membranes.items():
        assert membranes.tobytes() == off.membranes[name].tobytes()
    for name, spikes in plain.spikes.items():
        np.testing.assert_array_equal(spikes.to_dense(), off.spikes[name].to_dense(), strict=True)
    assert plain.counters == off.counters
    assert off.dynamics is not None
    found = off.dynamics.fractions
    assert (found.steps, found.frames, found.layers, found.events) == (1, 1, 1, 1)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=1, max_size=6), RULES
)
def test_the_kernel_measures_as_plain_numpy(rows: list[list[float]], rule: ExitRule) -> None:
    outputs = np.array(rows, np.float32)
    expected = running_certainty(outputs, rule)
    total = np.zeros(3)
    for step in range(len(outputs)):
        add_steps(outputs[step : step + 1], total)
        n = step + 1 if rule.readout == "mean" else 1
        found = certainty(total, 1.0 / (rule.temperature * n), MEASURE_NUMBERS[rule.measure])
        assert 0 <= found <= 1 + 1e-15
        # q differs by at most 2 ulp of |q| <= 3e4 from the reference's two divisions: 8e-12; slopes are at most 1
        assert abs(found - expected[step]) < 1e-10


def _whatever_the_blocks(result: neuro.Result) -> neuro.Counters:
    """The counters but for those that depend on where blocks end: pixels wait until then."""
    return dataclasses.replace(result.counters, state_bytes={}, pixels_skipped={})


def _with_threshold_0(graph: Graph, kinds: tuple[type, ...]) -> Graph:
    """The graph whose attentions of some kinds keep everything."""
    nodes = {
        name: dataclasses.replace(node, threshold=0.0) if isinstance(node, kinds) else node
        for name, node in graph.nodes.items()
    }
    return Graph(nodes, graph.edges, graph.execution, weight_grid=graph.weight_grid)


@settings(max_examples=50)
@given(attended_runs(), st.booleans(), st.booleans(), st.booleans())
def test_each_kind_of_attention_is_turned_off_by_itself(
    run: tuple[Graph, Frames], attention: bool, channels: bool, pixels: bool
) -> None:
    graph, frames = run
    dynamics = Dynamics(attention=attention, channels=channels, pixels=pixels)
    off = (
        *(() if attention else TEMPORAL),
        *(() if channels else (ChannelAttention,)),
        *(() if pixels else (SpatialAttention,)),
    )
    found = neuro.simulate(graph, frames, dynamics=dynamics)
    expected = neuro.simulate(_with_threshold_0(graph, off), frames)
    for name, output in expected.outputs.items():
        assert output.tobytes() == found.outputs[name].tobytes()
    assert found.counters == expected.counters
    report = found.dynamics
    assert report is not None
    kinds = {name: type(node) for name, node in graph.nodes.items()}
    for kind, seen, kept in (
        (ChannelAttention, report.channels_seen, report.channels_kept),
        (SpatialAttention, report.pixels_seen, report.pixels_kept),
    ):
        chosen = [one for name, one in expected.selections.items() if kinds[name] is kind]
        assert seen == sum(one.n_considered for one in chosen)
        assert kept == sum(one.n_kept for one in chosen)


@settings(max_examples=50)
@given(attended_runs(causal=True), RULES, st.integers(1, 4))
def test_a_causal_run_that_ends_early_goes_on_as_if_nothing_had_happened(
    run: tuple[Graph, Frames], rule: ExitRule, n_more: int
) -> None:
    graph, frames = run
    assume(math.prod(graph.shapes[graph.output_names[0]]) > 1 and len(graph.output_names) == 1)
    ended = neuro.simulate(graph, frames, dynamics=Dynamics(early_exit=rule))
    n_steps = ended.counters.n_steps
    plain = neuro.simulate(graph, frames[:n_steps])
    name = graph.output_names[0]
    assert plain.output.tobytes() == ended.output.tobytes()
    assert _whatever_the_blocks(plain) == _whatever_the_blocks(ended)
    rest = frames[n_steps : n_steps + n_more]
    after = [neuro.simulate(graph, rest, state=one.state).outputs[name] for one in (plain, ended)]
    assert after[0].tobytes() == after[1].tobytes()
