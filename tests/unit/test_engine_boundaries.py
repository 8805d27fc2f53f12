"""Boundaries of the engine by hand: ties, silence, single neurons, delays, dropped windows, and the door."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neuro
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    SumPool2d,
    TemporalAttention,
    clocked,
    continuous,
)

NEXT_UP = float(np.nextafter(np.float32(1), np.float32(2)))
NEXT_DOWN = float(np.nextafter(np.float32(1), np.float32(0)))


def chain(*nodes: Any, dt_s: float = 0.001) -> Graph:
    """A graph of nodes one behind the other, named n0, n1, ..."""
    names = [f"n{k}" for k in range(len(nodes))]
    return Graph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), clocked(dt_s))


def attention(n_frames: int, bias: list[float], threshold: float = 0.5) -> TemporalAttention:
    """Attention whose scores do not depend on the input: sigmoid(bias)."""
    return TemporalAttention(np.zeros((1, n_frames)), [0.0], np.zeros((n_frames, 1)), bias, threshold)


@pytest.mark.parametrize(
    ("comparison", "value", "fires"),
    [
        (">", 1.0, 0),
        (">", NEXT_UP, 1),
        (">", NEXT_DOWN, 0),
        (">=", 1.0, 1),
        (">=", NEXT_UP, 1),
        (">=", NEXT_DOWN, 0),
    ],
)
@pytest.mark.parametrize("is_uniform", [True, False])
def test_a_tie_fires_only_at_or_above(comparison: Any, value: float, fires: int, is_uniform: bool) -> None:
    threshold = 1.0 if is_uniform else np.ones(1, np.float32)
    graph = chain(Input(1), IF(threshold, comparison=comparison))
    assert neuro.simulate(graph, np.array([[value]], np.float32)).output.item() == fires


def test_a_threshold_of_zero_fires_at_rest_only_at_or_above() -> None:
    for comparison, fires in ((">", 0.0), (">=", 1.0)):
        graph = chain(Input(1), IF(0.0, comparison=comparison))
        assert neuro.simulate(graph, np.zeros((1, 1))).output.item() == fires


@pytest.mark.parametrize(("reset", "after"), [("value", -0.25), ("subtract", 0.5), ("clamp", 1.0)])
@pytest.mark.parametrize("is_uniform", [True, False])
def test_the_membrane_after_each_reset(reset: Any, after: float, is_uniform: bool) -> None:
    threshold = 1.0 if is_uniform else np.ones(1, np.float32)
    neuron = IF(threshold, -0.25 if reset == "value" else 0.0, reset=reset)
    result = neuro.simulate(chain(Input(1), neuron), np.array([[1.5]]), record={"n1": ["spikes", "membrane"]})
    assert result.membranes["n1"].item() == after
    assert len(result.spikes["n1"]) == 1


def test_a_run_of_no_steps_and_a_silent_run() -> None:
    graph = chain(
        Input((1, 3, 3)), Conv2d(np.ones((2, 1, 3, 3)), [0.5, -0.5], padding=1), LIF(0.002), Flatten()
    )
    empty = neuro.simulate(graph, np.zeros((0, 1, 3, 3)), record={"n2": ["spikes", "membrane"]})
    assert empty.output.shape == (0, 18)
    assert empty.membranes["n2"].shape == (0, 2, 3, 3)
    assert len(empty.spikes["n2"]) == 0
    assert empty.counters.total_synaptic_operations == 0
    silent = neuro.simulate(graph, np.zeros((5, 1, 3, 3)), record={"n2": "membrane"})
    assert silent.membranes["n2"][0, 0, 1, 1] == 0.25  # the bias alone: 0.5 * (0.5 - 0)
    assert silent.counters.active_output_fraction == {"n1": 0.0}
    assert silent.counters.neuron_updates == {"n2": 5 * 18}


@pytest.mark.parametrize("n_delay", [0, 1, 3, 7])
def test_a_delay_shifts_whole_steps(n_delay: int) -> None:
    frames = np.zeros((5, 2), np.float32)
    frames[0, 1], frames[2, 0] = 1, 3
    expected = np.zeros_like(frames)
    if n_delay < 5:
        expected[n_delay:] = frames[: 5 - n_delay]
    graph = chain(Input(2), Delay(n_delay * 0.001))
    np.testing.assert_array_equal(neuro.simulate(graph, frames).output, expected)


def test_a_network_of_the_input_alone() -> None:
    frames = np.array([[0, 2.5], [-1, 0]], np.float32)
    np.testing.assert_array_equal(neuro.simulate(chain(Input(2)), frames).output, frames)


def test_a_window_dropped_whole_stays_at_rest_and_says_so() -> None:
    graph = chain(
        Input(2, max_count=3),
        attention(3, [-5.0] * 3),
        Linear(np.ones((4, 2)), np.ones(4)),
        LIF(0.002, v_leak=0.25),
        Linear(np.ones((1, 4)), [7.0]),
        LI(0.01, v_leak=0.125),
    )
    result = neuro.simulate(graph, np.ones((3, 2)), record={"n3": ["spikes", "membrane"]})
    np.testing.assert_array_equal(result.output, np.full((3, 1), 0.125, np.float32))
    np.testing.assert_array_equal(result.membranes["n3"], np.full((3, 4), 0.25, np.float32))
    assert result.attention is not None
    assert result.attention.is_all_dropped
    assert (result.attention.events_total, result.attention.events_kept) == (6.0, 0.0)
    counters = result.counters
    assert (counters.frames_skipped, counters.events_in, counters.total_synaptic_operations) == (3, 0, 0)
    assert counters.active_output_fraction == {"n2": 0.0, "n4": 0.0}


def test_a_dropped_frame_is_one_step_of_decay() -> None:
    graph = chain(Input(1), attention(3, [5.0, -5.0, 5.0]), LI(0.002), dt_s=0.001)
    result = neuro.simulate(graph, np.ones((3, 1)), record={"n0": "spikes", "n1": "spikes"})
    np.testing.assert_array_equal(result.output[:, 0], np.array([0.5, 0.25, 0.625], np.float32))
    assert result.spikes["n0"].step.tolist() == [0, 1, 2]
    assert result.spikes["n1"].step.tolist() == [0, 2]
    assert result.attention is not None
    assert result.attention.kept.tolist() == [True, False, True]
    whole = neuro.simulate(graph, np.ones((3, 1)), use_attention=False)
    assert whole.attention is None
    assert whole.counters.frames_skipped == 0


def test_a_dropped_frame_does_not_fire_a_neuron_above_its_threshold() -> None:
    graph = chain(Input(1), attention(2, [5.0, -5.0]), CubaLIF(0.001, 0.01, threshold=1.5))
    result = neuro.simulate(graph, np.array([[1.0], [0.0]]), record={"n2": "membrane"})
    assert result.output[:, 0].tolist() == [0.0, 0.0]
    graph = chain(Input(1), attention(2, [5.0, -5.0]), CubaLIF(0.004, 0.1, threshold=0.4))
    result = neuro.simulate(graph, np.array([[1.0], [0.0]]), record={"n2": "membrane"})
    assert result.membranes["n2"][1, 0] > 0.4  # driven above by the current, but not compared
    assert result.output[:, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("behind", [Flatten(), Add(), Delay(0.0), SumPool2d(1), LIF(0.004, 0.01), Concat()])
def test_behind_a_readout_a_dropped_frame_is_silence(behind: Any) -> None:
    nodes = {
        "in": Input((1, 1, 1)),
        "a": attention(3, [5.0, -5.0, 5.0]),
        "li": LI(0.002),
        "two": LI(0.004),
        "end": behind,
    }
    edges = [("in", "a"), ("a", "li"), ("a", "two"), ("li", "end")]
    if isinstance(behind, (Add, Concat)):
        edges.append(("two", "end"))
    graph = Graph(nodes, edges, clocked(0.001))
    result = neuro.simulate(graph, np.ones((3, 1, 1, 1)), record={"li": "membrane"})
    assert result.membranes["li"].reshape(-1).tolist() == [0.5, 0.25, 0.625]
    assert (result.outputs["end"].reshape(3, -1) != 0).all(axis=1).tolist() == [True, False, True]


def test_what_a_delay_would_hand_on_in_a_dropped_frame_is_lost_and_counted() -> None:
    graph = chain(Input(2), attention(3, [5.0, -5.0, 5.0]), Delay(0.001))
    result = neuro.simulate(graph, np.ones((3, 2)))
    np.testing.assert_array_equal(result.output, np.zeros((3, 2)))
    assert result.counters.delayed_entries_lost == {"n2": 2}


def test_scores_next_to_the_threshold_are_counted() -> None:
    graph = chain(Input(1), attention(3, [0.0, 1e-6, 1.0], threshold=0.5))
    report = neuro.simulate(graph, np.ones((3, 1))).attention
    assert report is not None
    assert report.n_near_threshold == 2
    assert report.kept.all()


def test_a_list_gives_a_list_of_independent_runs() -> None:
    graph = chain(Input(1), IF(2.0))
    frames = np.full((3, 1), 0.75, np.float32)
    results = neuro.simulate(graph, [frames, neuro.Spikes.from_dense(frames)])
    assert [result.output.tolist() for result in results] == [[[0.0], [0.0], [1.0]]] * 2
    assert neuro.simulate(graph, []) == []


def test_two_sinks_need_a_name() -> None:
    graph = Graph({"in": Input(1), "a": IF(0.5), "b": LI(0.01)}, [("in", "a"), ("in", "b")], clocked(0.001))
    result = neuro.simulate(graph, np.ones((2, 1)))
    assert set(result.outputs) == {"a", "b"}
    with pytest.raises(neuro.InputError, match="2 sinks"):
        _ = result.output


def test_inputs_and_states_are_never_written_to() -> None:
    graph = chain(Input(2), Linear(np.eye(2)), LIF(0.002), Delay(0.002))
    frames = np.ones((4, 2), np.float32)
    first = neuro.simulate(graph, frames)
    again = [neuro.simulate(graph, frames, state=first.state).output for _ in range(2)]
    np.testing.assert_array_equal(again[0], again[1])
    np.testing.assert_array_equal(frames, 1)
    assert not any(array.flags.writeable for pair in first.state.membranes.values() for array in pair)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (
            np.zeros((3, 2, 4, 5)),
            r"Input 'n0': needs an array of shape \(n_steps, 2, 4, 4\), got \(3, 2, 4, 5\)",
        ),
        (np.zeros((2, 4, 4)), "needs an array of shape"),
        (neuro.Spikes([], [], [], 3, (2, 16)), r"needs frames of shape \(2, 4, 4\), got \(2, 16\)"),
        (np.full((1, 2, 4, 4), np.nan), "must be finite"),
        (np.full((1, 2, 4, 4), "x"), "must hold real numbers"),
        (np.full((1, 2, 4, 4), 4), "whole numbers from 0 to max_count = 3, got 4 in step 0 at index 0"),
        (np.full((1, 2, 4, 4), -1), "whole numbers from 0 to max_count = 3, got -1"),
        (np.full((1, 2, 4, 4), 0.5), "got 0.5"),
        ("frames", "got str"),
        (((1, 2), (3, 4)), "got tuple"),
    ],
)
def test_wrong_inputs_are_refused(inputs: Any, text: str) -> None:
    graph = chain(Input((2, 4, 4), max_count=3), Flatten())
    with pytest.raises(neuro.InputError, match=text):
        neuro.simulate(graph, inputs)


def test_a_maximum_of_negative_entries_is_refused() -> None:
    graph = chain(Input((1, 2, 2)), SumPool2d(1), MaxPool2d(2))
    with pytest.raises(
        neuro.InputError, match="MaxPool2d 'n2' needs entries >= 0, got -1 in step 1 at index 3"
    ):
        neuro.simulate(graph, neuro.Spikes([1], [3], [-1.0], 2, (1, 2, 2)))


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"nope": "spikes"}, "there is no node 'nope'; the nodes are n0, n1, n2, n3"),
        ({"n1": "membrane"}, "Linear 'n1' has no membrane"),
        ({"n1": "spikes"}, "Linear 'n1' hands on currents or membranes, not spikes"),
        ({"n3": "spikes"}, "LI 'n3' hands on currents"),
        ({"n2": "voltage"}, "can record 'spikes', 'membrane' or 'rate', got 'voltage'"),
    ],
)
def test_wrong_recordings_are_refused(record: Any, text: str) -> None:
    graph = chain(Input(1), Linear([[1.0]]), IF(), LI(0.01))
    with pytest.raises(neuro.InputError, match=text):
        neuro.simulate(graph, np.zeros((1, 1)), record=record)


def test_wrong_windows_states_and_executions_are_refused() -> None:
    ahead = TemporalAttention(np.ones((1, 3)), [0.0], np.ones((3, 1)), [0.0] * 3, 0.5)
    watching = chain(Input(1), ahead, IF())
    plain, other = chain(Input(1), IF()), chain(Input(1), IF(2.0))
    frames = np.ones((3, 1))
    with pytest.raises(
        neuro.InputError, match="TemporalAttention 'n1': scores a whole window of 3 frames, got 2"
    ):
        neuro.simulate(watching, frames[:2])
    with pytest.raises(neuro.InputError, match="state must be None"):
        neuro.simulate(watching, frames, state=neuro.simulate(watching, frames).state)
    with pytest.raises(neuro.InputError, match="state belongs to another graph"):
        neuro.simulate(plain, frames, state=neuro.simulate(other, frames).state)
    with pytest.raises(neuro.InputError, match="must be the state of a Result, got dict"):
        neuro.simulate(plain, frames, state={})  # type: ignore[call-overload]
    with pytest.raises(neuro.InputError, match="state continues one recording"):
        neuro.simulate(plain, [frames], state=neuro.simulate(plain, frames).state)
    running = Graph({"in": Input(1), "if": IF()}, [("in", "if")], continuous())
    with pytest.raises(neuro.InputError, match="continuous, not clocked"):
        neuro.simulate(running, frames)


def test_sums_start_at_the_bias_and_add_in_order() -> None:
    """Three weights whose float32 sum depends on the order: (bias + w0) + w1 + w2."""
    weights = np.array([[1e8, -1e8, 1.0]], np.float32)
    graph = chain(Input(3), Linear(weights, [0.25]))
    expected = ((np.float32(0.25) + weights[0, 0]) + weights[0, 1]) + weights[0, 2]
    assert neuro.simulate(graph, np.ones((1, 3))).output.item() == expected == 1.0


def test_products_are_rounded_before_they_are_added() -> None:
    """A fused multiply-add would keep the low bits of the product: (1 + e)^2 - (1 + 2e) = e^2 instead of 0."""
    e = np.float32(2**-12)
    weights = np.array([[-(1 + 2 * e), 1 + e]], np.float32)
    graph = chain(Input(2), Linear(weights))
    assert neuro.simulate(graph, np.array([[1, 1 + e]], np.float32)).output.item() == 0.0


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("n1", "must map node names"),
        (["n1"], "must map node names"),
        ({"n1": 1}, ", got 1"),
        ({"n2": ("spikes", "voltage")}, "got 'voltage'"),
    ],
)
def test_a_record_of_the_wrong_kind_is_named(record: Any, words: str) -> None:
    graph = chain(Input(2), Linear([[1.0, 0.0]]), IF(1.0))
    with pytest.raises(neuro.InputError, match=re.escape(words)):
        neuro.simulate(graph, np.ones((3, 2)), record=record)


def test_what_is_no_graph_is_named() -> None:
    with pytest.raises(neuro.InputError, match=r"must be a neuro\.graph\.Graph, got str"):
        neuro.simulate("graph.h5", np.ones((3, 2)))


def test_whole_numbers_that_float32_would_round_are_refused() -> None:
    with pytest.raises(neuro.InputError, match=r"16777217 at \[0, 1\], which float32 would round"):
        neuro.Spikes.from_dense([[0, 2**24 + 1]])


def test_operations_with_and_without_attention_are_reported() -> None:
    graph = chain(Input(2), attention(3, [-9.0, 9.0, 9.0]), Linear([[1.0, 1.0]]), IF(1.0))
    frames = np.ones((3, 2), np.float32)
    plain, compared = neuro.simulate(graph, frames), neuro.simulate(graph, frames, compare_attention=True)
    assert plain.attention is not None
    assert compared.attention is not None
    assert plain.attention.synaptic_operations_without is None
    assert compared.attention.synaptic_operations == plain.counters.total_synaptic_operations == 4
    assert compared.attention.synaptic_operations_without == 6
    assert neuro.simulate(graph, [frames], compare_attention=True)[0].attention is not None
