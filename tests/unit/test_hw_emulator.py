"""The emulator on layers of many tiles, on neurons that rest, on what does not fit; kernels with bounds checks."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hw
import neuro
from hw.emulator import Engine
from tests.hw_networks import random_population
from tests.properties.test_hw_emulator import check

ROOT = Path(__file__).resolve().parents[2]


def bursts(rng: np.random.Generator, n_steps: int, shape: tuple[int, ...]) -> np.ndarray:
    """Input in a few steps and a few places, so that most neurons come to rest between."""
    frames = rng.random((n_steps, *shape)) < 0.02
    frames[n_steps // 4 : n_steps // 2] = False
    frames[:, ..., shape[-1] // 2 :] = False
    return frames.astype(np.float32)


def many_tiles(seed: int) -> tuple[hw.FixedGraph, np.ndarray]:
    """Convolutions of more and of fewer than 16 channels, 130 dense and 70 sparse neurons in a loop."""
    rng = np.random.default_rng(seed)
    shapes = {"a": (20, 5, 5), "b": (6, 5, 5), "c": (130,), "d": (70,)}
    populations = {"in": hw.Population((2, 9, 9), "input")}
    for name, shape in shapes.items():
        quiet = {"current_decay": 3000, "membrane_decay": 900, "threshold": 80}
        quiet |= {"reset_step": 9} if name == "b" else {}
        populations[name] = hw.Population(shape, **quiet)
    populations["d"] = replace(random_population(rng, (70,), arrays=True), bias_mantissa=0, threshold=100)
    rows, columns = np.nonzero(rng.random((70, 130)) < 0.1)
    ends = {"rows": rows.astype(np.int32), "columns": columns.astype(np.int32)}
    connections = (
        hw.Connection(
            "in", "a", "conv", rng.integers(-99, 110, (20, 2, 3, 3)), stride=(2, 2), padding=(1, 1)
        ),
        hw.Connection("a", "b", "conv", rng.integers(-99, 110, (6, 10, 3, 3)), padding=(1, 1), groups=2),
        hw.Connection("b", "c", "dense", rng.integers(-99, 110, (130, 150)), weight_exponent=-1),
        hw.Connection("c", "d", "sparse", rng.integers(-99, 110, rows.size), **ends),
        hw.Connection("d", "d", "dense", rng.integers(-20, 21, (70, 70))),
    )
    return hw.FixedGraph(populations, connections), bursts(rng, 24, (2, 9, 9))


@pytest.mark.parametrize("profile", ["lava", "loihi1"])
def test_layers_of_many_tiles(profile: str) -> None:
    fixed, frames = many_tiles(1)
    result = check(fixed, frames, profile)
    assert min(len(result.trains[name]) for name in fixed.populations) > 5


def test_neurons_that_rest_are_woken_by_input_and_by_a_reset() -> None:
    populations = {
        "in": hw.Population((130,), "input"),
        "out": hw.Population((130,), threshold=1000, reset_step=12),
    }
    weights = np.diag(np.full(130, 100))
    fixed = hw.FixedGraph(populations, (hw.Connection("in", "out", "dense", weights, sign="excitatory"),))
    frames = np.zeros((20, 130), np.float32)
    frames[[0, 9, 14], 5] = 1
    result = check(fixed, frames, "lava")
    assert result.v["out"][[1, 9, 10, 11, 12, 15], 5].tolist() == [6400, 6400, 12800, 12800, 0, 6400]


def test_overflows_are_counted_in_every_step_although_nothing_changes() -> None:
    populations = {
        "in": hw.Population((1,), "input"),
        "out": hw.Population((3,), threshold=131071, bias_mantissa=-4096, bias_exponent=7),
    }
    synapse = hw.Connection("in", "out", "dense", np.zeros((3, 1), int), sign="excitatory")
    counters = check(hw.FixedGraph(populations, (synapse,)), np.zeros((30, 1), np.float32), "lava").counters
    n_inside = (2**23 - 1) // (4096 << 7)
    assert counters.membrane_overflows["out"] == 3 * (31 - n_inside)


def test_as_many_spikes_as_neurons_and_steps() -> None:
    populations = {"in": hw.Population((1,), "input"), "out": hw.Population((200,), bias_mantissa=1)}
    synapse = hw.Connection("in", "out", "dense", np.zeros((200, 1), int), sign="excitatory")
    result = hw.emulate(hw.FixedGraph(populations, (synapse,)), np.zeros((50, 1), np.float32))
    train = result.trains["out"]
    np.testing.assert_array_equal(train.step, np.repeat(np.arange(51), 200))
    np.testing.assert_array_equal(train.index, np.tile(np.arange(200), 51))


def test_a_run_does_not_see_the_one_before() -> None:
    fixed, frames = many_tiles(2)
    engine, spikes = Engine(fixed, "lava"), neuro.Spikes.from_dense(frames)
    first, second = engine.run(spikes), engine.run(spikes)
    for name in fixed.populations:
        np.testing.assert_array_equal(first.trains[name].step, second.trains[name].step)
        np.testing.assert_array_equal(first.trains[name].index, second.trains[name].index)
    assert first.counters == second.counters


def test_values_that_bring_too_much_are_refused_with_both_ends() -> None:
    populations = {"in": hw.Population((2,), "input"), "out": hw.Population((2,))}
    synapse = hw.Connection("in", "out", "dense", np.full((2, 2), 254), is_graded=True)
    frames = np.full((3, 2), 40_000, np.float32)
    message = "values of 'in' reach 40000, with the weights into 'out' a step can bring more than 16777216"
    with pytest.raises(neuro.InputError, match=message):
        hw.emulate(hw.FixedGraph(populations, (synapse,)), frames)


def test_weights_that_add_up_to_too_much_are_refused() -> None:
    populations = {"in": hw.Population((500,), "input"), "out": hw.Population((1,))}
    synapse = hw.Connection("in", "out", "dense", np.full((1, 500), 254), weight_exponent=7)
    fixed = hw.FixedGraph(populations, (synapse,) * 3)
    with pytest.raises(hw.QuantizationError, match="Population 'out': all weights of one neuron add up to"):
        hw.emulate(fixed, np.zeros((3, 500), np.float32))


CODE = """
import sys, types
sys.modules["tests"] = types.ModuleType("tests")  # Lava's wheels install a package of this name
sys.modules["tests"].__path__ = ["tests"]
from numba.core import config
assert config.BOUNDSCHECK == 1
from tests.properties.test_hw_emulator import check, KINDS
from tests.unit.test_hw_emulator import many_tiles
from tests.hw_networks import random_convolutions, random_network
total = 0
for seed in range(6):
    for profile in ("lava", "loihi1"):
        total += len(check(*random_network(seed, kinds=KINDS, loops=True, refractory=seed % 2 == 0), profile).trains)
        total += len(check(*random_convolutions(seed, groups=True, graded=seed % 2 == 0), profile).trains)
    check(*many_tiles(seed), "lava")
print(total)
"""


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == 72
