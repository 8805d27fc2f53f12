"""The emulator against the oracle: every u, v and spike of random networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hw
from tests.hw_networks import random_connection, random_convolutions, random_network, with_values
from tests.oracle import integer_engine

KINDS = ("dense", "sparse", "delayed dense", "delayed sparse")
SEEDS = st.integers(0, 2**32 - 1)


def check(fixed: hw.FixedGraph, frames: np.ndarray, profile: str) -> hw.Result:
    names = [name for name, p in fixed.populations.items() if p.kind in ("lif", "readout")]
    result = hw.emulate(fixed, frames, profile=profile, record=names)
    n_chip = len(frames) + fixed.depth
    flat = {fixed.input_name: frames.reshape(len(frames), -1)}
    log = integer_engine.run(fixed, flat, n_chip, profile)
    for name in fixed.populations:
        sent = np.zeros((n_chip, fixed.populations[name].size), np.int64)
        train = result.trains[name]
        sent[train.step, train.index] = train.value
        np.testing.assert_array_equal(sent, np.array(log[name]["sent"]), err_msg=name)
    for name in names:
        np.testing.assert_array_equal(result.u[name], np.array(log[name]["u"]), err_msg=name)
        np.testing.assert_array_equal(result.v[name], np.array(log[name]["v"]), err_msg=name)
    return result


@settings(max_examples=12)
@given(seed=SEEDS, loops=st.booleans(), arrays=st.booleans(), refractory=st.booleans())
@pytest.mark.parametrize("profile", ["lava", "loihi1"])
def test_layers_of_every_kind(profile: str, seed: int, loops: bool, arrays: bool, refractory: bool) -> None:
    fixed, frames = random_network(seed, kinds=KINDS, loops=loops, arrays=arrays, refractory=refractory)
    check(fixed, frames, profile)


@settings(max_examples=8)
@given(seed=SEEDS, arrays=st.booleans(), refractory=st.booleans())
def test_resets_by_subtraction(seed: int, arrays: bool, refractory: bool) -> None:
    fixed, frames = random_network(seed, kinds=KINDS, arrays=arrays, refractory=refractory, subtracts=True)
    check(fixed, frames, "lava")


@settings(max_examples=8)
@given(seed=SEEDS, graded=st.booleans())
@pytest.mark.parametrize("profile", ["lava", "loihi1"])
def test_convolutions(profile: str, seed: int, graded: bool) -> None:
    fixed, frames = random_convolutions(seed, groups=True, graded=graded)
    check(fixed, frames[:8], profile)


@settings(max_examples=8)
@given(seed=SEEDS, kind=st.sampled_from(["graded", "graded_relu", "sigma", "delta", "sigma_delta"]))
def test_graded_spikes_and_differences(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    settings = dict.fromkeys(("spike_exponent", "state_exponent"), 0)
    if kind.endswith("delta"):
        settings = {"spike_exponent": int(rng.integers(0, 4)), "state_exponent": int(rng.integers(0, 3))}
    neurons = hw.Population(
        (5,), kind, threshold=int(rng.integers(0, 400)), bias_mantissa=rng.integers(-200, 200, 5),
        is_cumulative=bool(rng.random() < 0.5), **settings,
    )  # fmt: skip
    populations = {
        "in": hw.Population((4,), "input"),
        "middle": neurons,
        "out": hw.Population((3,), current_decay=300, membrane_decay=20, threshold=900),
    }
    first = with_values(random_connection(rng, ("in", 4), ("middle", 5), kinds=KINDS))
    first = replace(first, weight_exponent=min(first.weight_exponent, 0))  # sums stay in range
    second = hw.Connection(
        "middle", "out", "dense", rng.integers(-4, 5, (3, 5)), weight_exponent=-3, is_graded=True
    )
    frames = rng.integers(-9, 10, (20, 4)) * (rng.random((20, 4)) < 0.5)
    check(hw.FixedGraph(populations, (first, second)), frames.astype(np.float32), "lava")


@settings(max_examples=5)
@given(seed=SEEDS)
def test_resets_at_steps(seed: int) -> None:
    fixed, frames = random_network(seed, kinds=KINDS)
    populations = dict(fixed.populations)
    populations["hidden"] = replace(populations["hidden"], reset_step=3, reset_interval=7)
    populations["out"] = replace(populations["out"], reset_step=2)
    check(hw.FixedGraph(populations, fixed.connections), frames, "lava")


def test_registers_wrap_and_saturate_and_are_counted() -> None:
    populations = {
        "in": hw.Population((1,), "input"),
        "out": hw.Population(
            (2,), current_decay=0, threshold=131071, bias_mantissa=[0, 4095], bias_exponent=7
        ),
    }
    synapses = hw.Connection("in", "out", "dense", np.array([[254], [-256]]), weight_exponent=7)
    fixed = hw.FixedGraph(populations, (synapses,))
    result = check(fixed, np.ones((40, 1), np.float32), "lava")
    assert result.counters.current_overflows["out"] > 0
    assert result.counters.membrane_overflows["out"] > 0
    assert result.counters.n_overflows > 0


def test_the_tie_at_the_threshold_is_silent() -> None:
    populations = {"in": hw.Population((1,), "input"), "out": hw.Population((2,), threshold=[4, 3])}
    synapses = hw.Connection("in", "out", "dense", np.array([[4], [4]]), sign="excitatory")
    result = check(hw.FixedGraph(populations, (synapses,)), np.eye(1, dtype=np.float32), "lava")
    assert result.trains["out"].index.tolist() == [1]


def test_a_refractory_neuron_is_held_for_its_steps() -> None:
    populations = {"in": hw.Population((1,), "input"), "out": hw.Population((3,), refractory_steps=[0, 1, 3])}
    synapses = hw.Connection("in", "out", "dense", np.ones((3, 1), int), sign="excitatory")
    result = check(hw.FixedGraph(populations, (synapses,)), np.ones((8, 1), np.float32), "lava")
    steps = [result.trains["out"].step[result.trains["out"].index == i].tolist() for i in range(3)]
    assert steps == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 5, 7], [1, 5]]
