"""Paths, lazy pixels and threads of clocked runs: which one is taken, and that it changes nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neuro
from neuro.graph import IF, LIF, Conv2d, CubaLIF, Flatten, Graph, Input, Linear, clocked
from neuro.lowering import calibration
from neuro.lowering.calibration import machine_costs, measured_costs
from neuro.lowering.costs import ALWAYS, Cost, Costs, Shape
from neuro.lowering.layout import Layout
from neuro.lowering.parameters import is_silence_safe, lower_neurons
from neuro.lowering.plan import lower
from neuro.running import run_recording


def network() -> Graph:
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((2, 12, 10), max_count=3),
        "conv": Conv2d(rng.integers(-20, 40, (20, 2, 3, 3)) / 64, padding=1),
        "lif": LIF(0.004, 0.1, reset="subtract"),
        "conv2": Conv2d(rng.integers(-20, 60, (70, 20, 3, 3)) / 128, rng.integers(-9, 9, 70) / 256, stride=2),
        "lif2": LIF(0.003, 0.3),
        "flat": Flatten(),
        "fc": Linear(rng.integers(-20, 30, (33, 70 * 5 * 4)) / 64),
        "out": IF(20.0),
    }
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def frames(density: float = 0.1, n_steps: int = 30) -> NDArray[np.bool_]:
    return np.random.default_rng(3).random((n_steps, 2, 12, 10)) < density


def test_every_path_and_any_number_of_threads_give_the_same_bits() -> None:
    graph, x = network(), frames()
    first = neuro.simulate(graph, x, record={"lif": "spikes"})
    assert first.counters.spikes["lif2"] > 0
    for path in (None, "scatter", "gather", "integer", "dense"):
        for n_threads in (1, 2, 3):
            other = run_recording(graph, x, record={"lif": "spikes"}, path=path, n_threads=n_threads)
            assert other.output.tobytes() == first.output.tobytes()
            np.testing.assert_array_equal(other.spikes["lif"].index, first.spikes["lif"].index)
            for name, (voltage, *_) in first.state.membranes.items():
                assert other.state.membranes[name][0].tobytes() == voltage.tobytes()
            assert other.counters.synaptic_operations == first.counters.synaptic_operations
            assert other.counters.spikes == first.counters.spikes
            assert other.counters.active_output_fraction == first.counters.active_output_fraction


def test_a_batch_gives_the_results_of_its_recordings_on_any_number_of_threads() -> None:
    graph = network()
    batch = [frames(density, 7) for density in (0.0, 0.02, 0.1, 0.3, 0.6)]
    alone = [neuro.simulate(graph, x) for x in batch]
    for n_threads in (1, 2, 4):
        together = neuro.simulate(graph, batch, n_threads=n_threads)
        for one, other in zip(alone, together, strict=True):
            assert one.output.tobytes() == other.output.tobytes()
            assert one.counters.spikes == other.counters.spikes


@pytest.mark.parametrize("n_threads", [0, -1, True, 1.5])
def test_a_number_of_threads_that_is_none_is_refused(n_threads: int) -> None:
    with pytest.raises(neuro.InputError, match="n_threads must be a whole number >= 1, got"):
        neuro.simulate(network(), frames(), n_threads=n_threads)


def test_silence_is_skipped_and_counted() -> None:
    graph, x = network(), frames(n_steps=40)
    x[5:35] = False
    result = neuro.simulate(graph, x)
    counters = result.counters
    assert counters.path_steps["conv"]["silent"] >= 25
    assert counters.pixels_skipped["lif"] > 25 * 120
    assert neuro.verify(graph, x)
    whole = 40 * 120 - counters.pixels_skipped["lif"]
    assert counters.state_bytes["lif"] == whole * 20 * 8
    n_weights = counters.synaptic_operations["fc"]
    assert n_weights <= counters.weight_bytes["fc"] <= 4 * n_weights


def test_a_layer_that_fires_in_silence_is_not_lazy() -> None:
    weight = np.zeros((4, 2, 3, 3))
    driven = {"in": Input((2, 5, 5)), "conv": Conv2d(weight, np.full(4, 0.6)), "if": LIF(0.002, 0.5)}
    resting = driven | {"conv": Conv2d(weight, np.full(4, 0.4))}
    for nodes, is_lazy in ((driven, False), (resting, True)):
        graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
        assert lower(graph).layers[0].is_lazy == is_lazy
        result = neuro.simulate(graph, np.zeros((9, 2, 5, 5)))
        assert (result.counters.spikes["if"] > 0) != is_lazy
        assert neuro.verify(graph, np.zeros((9, 2, 5, 5)))


@pytest.mark.parametrize("update", ["euler", "exponential", "decay"])
@pytest.mark.parametrize("comparison", [">", ">="])
def test_silence_that_is_called_safe_is_safe(update: str, comparison: str) -> None:
    """From every float32 around the threshold, and from random ones, one silent step never crosses it."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        tau, threshold = float(10 ** rng.uniform(-3.5, -1)), float(rng.uniform(-0.2, 2))
        lif = LIF(tau, threshold, update=update, comparison=comparison, v_reset=min(0.0, threshold - 1))
        neurons = lower_neurons(lif, Layout.of((1,)), 0.0006)
        bias = rng.choice([0.0, threshold, threshold * 0.9999999, threshold * 1.0001, -1.0]) * np.ones(1)
        bias = (bias * (1 - neurons.gain[0] if update == "decay" else 1)).astype(np.float32)
        if not is_silence_safe(neurons, bias):
            continue
        limit, gain = neurons.fire_above[0], neurons.gain[0]
        v = limit - np.abs(limit) * rng.random(4000).astype(np.float32) ** 8 * 10
        near = [limit]
        for _ in range(200):
            near.append(np.nextafter(near[-1], np.float32(-np.inf)))
        v = np.concatenate([v, np.array(near, np.float32), -np.geomspace(1e-3, 1e30, 200, dtype=np.float32)])
        v = v[v <= limit]
        for drive in (bias[0], np.float32(0)):
            after = gain * v + drive if update == "decay" else v + gain * (drive - v)
            assert (after <= limit).all()


def test_the_path_follows_the_density() -> None:
    costs = Costs(
        scatter=Cost(1.0, 1.0, 2.0, 1.0),
        gather=Cost(30.0, 2.0, 0.5, 0.3),
        integer=Cost(30.0, 3.0, 0.5, 0.15),
        dense=Cost(5.0, 10.0, 0.3, 0.1),
    )
    shape = Shape(1024, 64, 18, 9.0)
    limits = costs.thresholds(shape, has_bytes=False, has_dense=True)
    assert 0 < limits.scatter_under < ALWAYS
    assert 0 < limits.dense_from < 1024 * 2
    assert costs.thresholds(shape, has_bytes=False, has_dense=False).dense_from == ALWAYS
    assert costs.thresholds(shape, has_bytes=True, has_dense=True).dense_from >= limits.dense_from
    never = Costs(Cost(0, 0, 0.1, 0.1), costs.gather, costs.integer, costs.dense)
    assert never.thresholds(shape, has_bytes=False, has_dense=False).scatter_under == ALWAYS


def test_costs_are_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path))
    machine_costs.cache_clear()
    first = machine_costs()
    assert list(json.loads((tmp_path / "engine-costs.json").read_text()).values())
    machine_costs.cache_clear()
    monkeypatch.setattr(calibration, "measured_costs", lambda _: pytest.fail("measured again"))
    assert machine_costs() == first
    (tmp_path / "engine-costs.json").write_text("{")  # a damaged file is measured anew
    machine_costs.cache_clear()
    monkeypatch.setattr(calibration, "measured_costs", lambda _: first)
    assert machine_costs() == first
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "engine-costs.json" / "not a folder"))
    machine_costs.cache_clear()
    assert machine_costs() == first
    machine_costs.cache_clear()


def test_costs_are_fitted_to_what_a_clock_says() -> None:
    seconds = iter(range(10**9))
    costs = measured_costs(lambda: float(next(seconds)) * 1e-6)  # every call takes a microsecond
    for cost in (costs.scatter, costs.gather, costs.integer, costs.dense):
        shape = Shape(256, 64, 288, 9.0)
        n_terms, n_visits = np.full(1, 1000.0), np.full(1, 256.0)
        assert 0 < float(cost.of_step(shape, n_terms, n_visits)[0]) < 1e4


@pytest.mark.parametrize("reset", ["value", "subtract", "clamp"])
@pytest.mark.parametrize("neuron", ["if", "lif", "decay", "cuba"])
def test_a_refractory_period_behind_a_convolution(neuron: str, reset: str) -> None:
    rng = np.random.default_rng(4)
    words: dict[str, Any] = {"reset": reset, "refractory_s": 0.003}
    held = {
        "if": lambda: IF(0.5, **words),
        "lif": lambda: LIF(0.003, 0.5, **words),
        "decay": lambda: LIF(0.004, 0.5, update="decay", **words),
        "cuba": lambda: CubaLIF(0.004, 0.003, 0.3, **words),
    }[neuron]()
    weight = rng.integers(-20, 60, (5, 2, 3, 3)) / 32
    nodes = {"in": Input((2, 6, 7)), "conv": Conv2d(weight, padding=1), "out": held}
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    frames = rng.random((24, 2, 6, 7)) < 0.2
    assert neuro.verify(graph, frames)
    result = neuro.simulate(graph, frames)
    times = [np.flatnonzero(train) for train in result.output.reshape(24, -1).T]
    assert any(len(found) > 1 for found in times)
    assert all((np.diff(found) >= 4).all() for found in times)  # held for three whole steps
    first = neuro.simulate(graph, frames[:11])
    rest = neuro.simulate(graph, frames[11:], state=first.state)
    np.testing.assert_array_equal(np.concatenate([first.output, rest.output]), result.output)
