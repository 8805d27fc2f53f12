"""Monitors: what is kept, how much at most, and what is said when there is more."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import running
from neuro.graph import IF, LI, SPIKING, Graph, Input, Linear, TemporalAttention, clocked
from neuro.lowering.plan import lower
from tests.strategies import recurrent_runs, runs

FRAMES = np.ones((6, 3), np.float32)


def network(*, attention: TemporalAttention | None = None) -> Graph:
    """Three neurons that fire in every step, in every second step, and never, and a readout."""
    nodes: dict[str, Any] = {"in": Input(3)} | ({} if attention is None else {"attention": attention})
    nodes |= {
        "fc": Linear(np.diag([2.0, 0.75, 0.0])),
        "out": IF(1.0),
        "to": Linear(np.eye(3)),
        "readout": LI(0.1),
    }
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


@settings(max_examples=25)
@given(runs() | recurrent_runs(), st.integers(1, 4), st.sampled_from([1, 2, 10, 100]))
def test_bounded_monitors_keep_the_first_and_count_the_rest(
    run: tuple[Graph, NDArray[np.float32]], block_steps: int, limit: int
) -> None:
    graph, frames = run
    plan = dataclasses.replace(lower(graph), block_steps=min(block_steps, lower(graph).block_steps))
    spiking = [name for name, node in graph.nodes.items() if isinstance(node, SPIKING)]
    all_of = {name: ["spikes"] for name in plan.events} | {name: ["spikes", "membrane"] for name in spiking}
    bounded = {
        name: [neuro.Monitor(kind, limit=limit, overflow="count") for kind in kinds]
        for name, kinds in all_of.items()
    }
    for name in spiking:
        bounded[name].append(neuro.Monitor("rate"))
    whole = neuro.simulate(graph, frames, record=all_of)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "lower", lambda _: plan)
        result = neuro.simulate(graph, frames, record=bounded)
    for name, spikes in whole.spikes.items():
        kept = result.spikes[name]
        for field in ("step", "index", "value"):
            np.testing.assert_array_equal(getattr(kept, field), getattr(spikes, field)[:limit])
        assert (kept.n_steps, kept.shape) == (spikes.n_steps, spikes.shape)
        assert len(kept) + result.left_out[name]["spikes"] == len(spikes)
    for name, membranes in whole.membranes.items():
        np.testing.assert_array_equal(result.membranes[name], membranes[:limit], strict=True)
        assert len(result.membranes[name]) + result.left_out[name]["membrane"] == len(frames)
    for name, counts in result.spike_counts.items():
        expected = whole.spikes[name].to_dense().sum(axis=0, dtype=np.int64)
        np.testing.assert_array_equal(counts, expected, strict=True)
    assert whole.left_out == {}


def test_a_monitor_may_be_exactly_full() -> None:
    record = {"out": [neuro.Monitor("spikes", limit=9), neuro.Monitor("membrane", limit=6)]}
    result = neuro.simulate(network(), FRAMES, record=record)
    assert len(result.spikes["out"]) == 9
    assert result.membranes["out"].shape == (6, 3)
    assert result.left_out == {}


def test_more_spikes_than_the_limit_name_node_count_and_remedy() -> None:
    text = (
        r"record: IF 'out' handed on 9 spikes in the first 6 of 6 steps, its monitor keeps 8; raise its limit, "
        r"choose overflow='count', or record 'rate'"
    )
    with pytest.raises(neuro.InputError, match=text):
        neuro.simulate(network(), FRAMES, record={"out": neuro.Monitor("spikes", limit=8)})


def test_more_steps_than_the_limit_are_refused_at_the_door() -> None:
    with pytest.raises(
        neuro.InputError, match=r"the run has 6 steps, the monitor of the membranes of IF 'out' keeps 5"
    ):
        neuro.simulate(network(), FRAMES, record={"out": neuro.Monitor("membrane", limit=5)})


def test_what_was_left_out_is_reported() -> None:
    monitors = [neuro.Monitor(kind, limit=2, overflow="count") for kind in ("spikes", "membrane")]
    result = neuro.simulate(network(), FRAMES, record={"out": monitors, "in": monitors[:1]})
    assert result.left_out == {"out": {"spikes": 7, "membrane": 4}, "in": {"spikes": 16}}
    assert repr(result).endswith(
        "; not recorded: 7 spikes of 'out', 4 membrane steps of 'out', 16 spikes of 'in')"
    )
    full = neuro.Monitor("spikes", limit=100, overflow="count")
    assert "not recorded" not in repr(neuro.simulate(network(), FRAMES, record={"out": full}))


def test_the_rate_is_one_number_for_each_neuron() -> None:
    result = neuro.simulate(network(), FRAMES, record={"out": "rate"})
    assert result.spike_counts["out"].tolist() == [6, 3, 0]
    assert result.spikes == {}


def test_the_input_before_an_attention_is_bounded_too() -> None:
    attention = TemporalAttention(np.zeros((1, 6)), [0.0], np.zeros((6, 1)), [-1.0] * 5 + [1.0], 0.5)
    graph = network(attention=attention)
    record = {"in": neuro.Monitor("spikes", limit=5, overflow="count"), "attention": "spikes"}
    result = neuro.simulate(graph, FRAMES, record=record)
    assert (len(result.spikes["in"]), result.left_out["in"]["spikes"]) == (5, 13)
    assert result.spikes["attention"].step.tolist() == [5, 5, 5]
    with pytest.raises(neuro.InputError, match="Input 'in' handed on 18 spikes"):
        neuro.simulate(graph, FRAMES, record={"in": neuro.Monitor("spikes", limit=5)})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kind": "voltage"}, "kind must be 'spikes', 'membrane' or 'rate', got 'voltage'"),
        ({"kind": "spikes", "limit": 0}, "limit must be a whole number >= 1 or None, got 0"),
        ({"kind": "spikes", "limit": 1.5}, "limit must be a whole number >= 1 or None, got 1.5"),
        ({"kind": "spikes", "limit": True}, "limit must be a whole number >= 1 or None, got True"),
        (
            {"kind": "spikes", "limit": 1, "overflow": "drop"},
            "overflow must be 'error' or 'count', got 'drop'",
        ),
        ({"kind": "rate", "limit": 5}, "a 'rate' keeps one number for each neuron, it takes no limit"),
    ],
)
def test_a_monitor_names_what_is_wrong(words: dict[str, Any], message: str) -> None:
    with pytest.raises(neuro.InputError, match=message):
        neuro.Monitor(**words)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"out": ["spikes", neuro.Monitor("spikes", limit=5)]},
            "IF 'out' has two different monitors of kind",
        ),
        ({"readout": "rate"}, "LI 'readout' has no firing rate; only spiking neurons have"),
        ({"in": "rate"}, "Input 'in' has no firing rate"),
        ({"out": None}, "IF 'out' can record 'spikes', 'membrane' or 'rate', got None"),
        ({"out": [3]}, "IF 'out' can record 'spikes', 'membrane' or 'rate', got 3"),
        ({"readout": neuro.Monitor("spikes")}, "LI 'readout' hands on currents or membranes, not spikes"),
    ],
)
def test_record_names_what_a_node_does_not_have(record: Any, message: str) -> None:
    with pytest.raises(neuro.InputError, match=message):
        neuro.simulate(network(), FRAMES, record=record)
