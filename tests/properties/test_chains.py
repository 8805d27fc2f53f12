"""A chain run in one call against the same graph run block after block: bits, counters, reports and states."""

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
from neuro.dynamics import Dynamics
from neuro.graph import Flatten, Graph, Input, Linear, clocked
from neuro.lowering.chains import chain_of
from neuro.lowering.plan import lower
from neuro.running import run_recording
from tests.attention_strategies import temporal_attentions
from tests.properties.test_dynamics import RULES
from tests.strategies import (
    SEEDS,
    _bias,
    _Build,
    _Stream,
    _weights,
    convolutions,
    dense_inputs,
    readouts,
    spiking_neurons,
)

Frames = NDArray[np.float32]


@st.composite
def chains(draw: st.DrawFn, n_frames: int, *, causal: bool | None = None) -> Graph:
    """Draw a network whose nodes stand one behind the other: perhaps attention, layers, Flatten, a sink of any kind."""
    build = _Build(dt_s=0.01, on_grid=draw(st.booleans()))
    side = st.integers(1, 7)
    shape = draw(st.tuples(st.integers(1, 4), side, side) | st.tuples(st.integers(1, 9)))
    build.nodes["input"] = Input(shape, draw(st.sampled_from([None, 1, 3])))
    stream = _Stream("input", shape, False)
    build.streams.append(stream)
    if draw(st.booleans()):
        node = draw(temporal_attentions(n_frames, causal=causal, scaling=False))
        stream = build.add(node, [stream], is_non_negative=False)
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 2)) == 0:
            stream = build.add(Flatten(), [stream], is_non_negative=False)
        stream = build.add(_synapse(draw, build, stream.shape), [stream], is_non_negative=False)
        neurons = draw(spiking_neurons(stream.shape, build.dt_s))
        stream = build.add(neurons, [stream], is_non_negative=False)
    kind = draw(st.sampled_from(["spikes", "currents", "readout"]))
    if kind != "spikes":
        stream = build.add(_synapse(draw, build, stream.shape), [stream], is_non_negative=False)
    if kind == "readout":
        build.add(draw(readouts(stream.shape, build.dt_s)), [stream], is_non_negative=False)
    return Graph(build.nodes, build.edges, clocked(build.dt_s))


def _synapse(draw: st.DrawFn, build: _Build, shape: tuple[int, ...]) -> neuro.graph.Node:
    if len(shape) == 3:
        return draw(convolutions(shape, on_grid=build.on_grid))
    weight = _weights(draw, (draw(st.integers(2, 6)), shape[0]), on_grid=build.on_grid)
    return Linear(weight, _bias(draw, len(weight), on_grid=build.on_grid))


@st.composite
def chain_runs(draw: st.DrawFn, *, causal: bool | None = None) -> tuple[Graph, Frames]:
    """Draw a chain and frames for it."""
    n_frames = draw(st.integers(2, 6))
    graph = draw(chains(n_frames, causal=causal))
    frames = draw(dense_inputs(graph))
    return graph, frames[:n_frames] if causal else frames


def equal_results(one: neuro.Result, other: neuro.Result, *, counters: bool = True) -> None:
    """Compare every part of two results, to the bit."""
    assert one.outputs.keys() == other.outputs.keys()
    for name, output in other.outputs.items():
        assert (output.shape, output.tobytes()) == (one.outputs[name].shape, one.outputs[name].tobytes())
    assert one.spikes.keys() == other.spikes.keys()
    for name, spikes in other.spikes.items():
        assert spikes.n_steps == one.spikes[name].n_steps
        for field in ("step", "index", "value"):
            np.testing.assert_array_equal(getattr(spikes, field), getattr(one.spikes[name], field))
    for name, counts in other.spike_counts.items():
        np.testing.assert_array_equal(counts, one.spike_counts[name], strict=True)
    assert one.left_out == other.left_out
    assert one.selections == other.selections == {}
    if counters:
        assert one.counters == other.counters
        assert repr(one.dynamics) == repr(other.dynamics)  # NaN is not equal to itself
    assert one.attentions.keys() == other.attentions.keys()
    assert (one.attention is None) == (not one.attentions)
    for name, report in other.attentions.items():
        for field in dataclasses.fields(report):
            np.testing.assert_array_equal(
                getattr(report, field.name), getattr(one.attentions[name], field.name)
            )
    equal_states(one.state, other.state)


def equal_states(one: neuro.State, other: neuro.State) -> None:
    """Compare two states, to the bit."""
    assert (one.n_steps, one.graph_digest) == (other.n_steps, other.graph_digest)
    for name, arrays in other.membranes.items():
        for a, b in zip(arrays, one.membranes[name], strict=True):
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
            assert not b.flags.writeable
    assert one.histories.keys() == other.histories.keys()
    for name, history in other.histories.items():
        assert history.tobytes() == one.histories[name].tobytes()


def everything(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Ask for all spikes and rates."""
    firing = {name for name, node in graph.nodes.items() if isinstance(node, neuro.graph.SPIKING)}
    return {
        name: ("spikes", "rate") if name in firing else ("spikes",) for name in sorted(lower(graph).events)
    }


@settings(max_examples=120)
@given(
    chain_runs(),
    st.sampled_from([None, "scatter", "gather", "integer", "dense"]),
    st.booleans(),
    st.booleans(),
)
def test_a_chain_equals_its_blocks(
    run: tuple[Graph, Frames], path: running.Path | None, use_attention: bool, is_recorded: bool
) -> None:
    graph, frames = run
    assert chain_of(lower(graph)) is not None
    words = {
        "record": everything(graph) if is_recorded else None,
        "use_attention": use_attention,
        "path": path,
        "dynamics": Dynamics(),
    }
    chained = run_recording(graph, frames, **words)
    in_blocks = run_recording(graph, frames, in_blocks=True, **words)
    equal_results(chained, in_blocks)


@settings(max_examples=80)
@given(chain_runs(), RULES, st.integers(1, 4), st.booleans())
def test_a_chain_ends_where_its_blocks_end(
    run: tuple[Graph, Frames], rule: neuro.ExitRule, block_steps: int, is_recorded: bool
) -> None:
    graph, frames = run
    if np.prod(graph.shapes[graph.output_names[0]]) < 2:
        return
    plan = dataclasses.replace(lower(graph), block_steps=block_steps)
    words = {
        "record": everything(graph) if is_recorded else None,
        "dynamics": Dynamics(early_exit=rule),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "lower", lambda _: plan)
        chained = run_recording(graph, frames, **words)
    in_blocks = run_recording(graph, frames, in_blocks=True, **words)
    # where blocks end decides which pixels wait, and which values of 1 are known to be 1
    equal_results(chained, in_blocks, counters=False)
    assert chained.counters.synaptic_operations == in_blocks.counters.synaptic_operations
    assert chained.counters.events_in == in_blocks.counters.events_in
    assert chained.counters.counts_in == in_blocks.counters.counts_in
    assert repr(chained.dynamics) == repr(in_blocks.dynamics)


@settings(max_examples=60)
@given(chain_runs(causal=True), st.lists(st.integers(0, 6), max_size=2), st.integers(1, 3))
def test_a_chain_goes_on_from_a_state(run: tuple[Graph, Frames], cuts: list[int], block_steps: int) -> None:
    graph, frames = run
    bounds = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    plan = dataclasses.replace(lower(graph), block_steps=block_steps)
    chained = in_blocks = None
    for start, stop in pairwise(bounds):
        part = frames[start:stop]
        states = [None if one is None else one.state for one in (chained, in_blocks)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "lower", lambda _: plan)
            chained = run_recording(graph, part, record=everything(graph), state=states[0])
        in_blocks = run_recording(graph, part, record=everything(graph), state=states[1], in_blocks=True)
        equal_results(chained, in_blocks, counters=False)


@settings(max_examples=20)
@given(chain_runs(), SEEDS, st.integers(1, 3))
def test_a_batch_equals_its_recordings(run: tuple[Graph, Frames], seed: int, n_threads: int) -> None:
    """Short and long, thin and dense recordings one after the other find nothing of each other."""
    graph, frames = run
    if not len(frames):
        return
    rng = np.random.default_rng(seed)
    batch = [frames, *(frames * (rng.random(frames.shape) < density) for density in (0.0, 0.5, 1.0, 0.1))]
    results = neuro.simulate(graph, batch, n_threads=n_threads)
    for one, result in zip(batch, results, strict=True):
        equal_results(result, run_recording(graph, one, in_blocks=True))
