"""Large populations without pixels: what blocks hear, and cuts that keep to every limit."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hw
from hw.fan_in import FanIn
from hw.yardsticks import _split

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "oracle"))
import placement as oracle

LIF = {"current_decay": 1024, "membrane_decay": 128, "threshold": 90}


def sparse(rng: np.random.Generator, source: str, n_source: int, n_target: int, fan_in: int) -> hw.Connection:
    """Random pairs in any order, some of them twice, some with a weight of 0."""
    n = n_target * fan_in
    rows, columns = rng.integers(0, n_target, n), rng.integers(0, n_source, n)
    weights = rng.integers(0, 50, n) * 2
    return hw.Connection(
        source, "a", "sparse", weights, rows.astype(np.int32), columns.astype(np.int32), delay=3
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_source=st.integers(1, 40), n_target=st.integers(1, 30))
def test_what_neurons_hear_is_what_the_list_of_synapses_says(seed: int, n_source: int, n_target: int) -> None:
    rng = np.random.default_rng(seed)
    listed = sparse(rng, "in", n_source, n_target, 3)
    matrix = hw.Connection("in", "a", "dense", rng.integers(-2, 3, (n_target, n_source)) // 2 * 2)
    for connection in (listed, matrix):
        fan_in = FanIn(connection, n_source, n_target)
        if connection is listed:
            assert listed.rows is not None
            assert listed.columns is not None
            ends = list(zip(listed.rows, listed.columns, listed.weights, strict=True))
        else:
            ends = [(i, j, w) for (i, j), w in np.ndenumerate(matrix.weights)]
        for _ in range(2):  # nothing is left over from the first question
            neurons = rng.permutation(n_target)[: rng.integers(0, n_target + 1)]
            expected: dict[int, int] = {}
            for row, column, weight in ends:
                if weight and row in neurons:
                    expected[int(column)] = expected.get(int(column), 0) + 1
            heard, counts = fan_in.heard_by(neurons)
            assert list(zip(heard.tolist(), counts.tolist(), strict=True)) == sorted(expected.items())


@pytest.mark.parametrize(("n", "parts"), [(7, 1), (7, 3), (7, 7), (100, 8)])
def test_equal_parts_are_those_of_numpy(n: int, parts: int) -> None:
    order = np.random.default_rng(n).permutation(n)
    expected = [part.tolist() for part in np.array_split(order, parts)]
    assert [part.tolist() for part in _split(order, parts)] == expected


def flat_network(profile: str) -> hw.FixedGraph:
    """60 inputs to 400 neurons with random loops."""
    rng = np.random.default_rng(6)
    populations = {"in": hw.Population((60,), "input"), "a": hw.Population((400,), **LIF)}
    connections = (sparse(rng, "in", 60, 400, 4), sparse(rng, "a", 400, 400, 12))
    return hw.FixedGraph(populations, connections, profile)


def with_limit(base: hw.Target, name: str, value: int) -> hw.Target:
    return replace(base, name="small", limits={**base.limits, name: replace(base.limits[name], value=value)})


def test_a_search_that_finds_no_cut_says_which_core_is_too_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.partition_search._MOST_ROUNDS", 0)
    message = r"no cut was found that keeps to output_axons .*blocks of 'a' used \d+, allowed 300 on small; make copies"
    with pytest.raises(hw.CapacityError, match=message):
        hw.map_fixed(flat_network("loihi1"), with_limit(hw.loihi1, "output_axons", 300))


@pytest.mark.parametrize("base", [hw.loihi1, hw.loihi2], ids=["loihi1", "loihi2"])
@pytest.mark.parametrize("tight", ["input_axons", "synaptic_words", "compartments", "output_axons"])
def test_a_flat_network_with_loops_is_cut_within_every_limit(base: hw.Target, tight: str) -> None:
    values = {"input_axons": 260, "synaptic_words": 700, "compartments": 70, "output_axons": 300}
    mapping = hw.map_fixed(flat_network(base.profile), with_limit(base, tight, values[tight]))
    assert mapping.n_cores > 1
    assert mapping.n_cores <= mapping.sequential_cores
    members = np.concatenate([block.neurons for block in mapping.partition.blocks])
    assert sorted(members.tolist()) == list(range(400))
    memory = oracle.synapse_memory(mapping)
    found = [
        tuple(core.values[name] for name in ("input_axons", "synaptic_words", "compartments"))
        for core in mapping.partition.cores
    ]
    assert found == memory
    outputs = oracle.output_axons(mapping)
    assert [core.values["output_axons"] for core in mapping.partition.cores] == outputs
    for name, values_of_cores in zip(
        ("input_axons", "synaptic_words", "compartments", "output_axons"),
        (*zip(*memory, strict=True), outputs), strict=True,
    ):  # fmt: skip
        assert max(values_of_cores) <= mapping.target[name]
