"""Networks of populations: the engine against the reference, bit for bit, and the laws that every run obeys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro.graph import (
    LIF,
    AdaptiveLIF,
    CobaLIF,
    CubaLIF,
    Graph,
    Input,
    PoissonSource,
    SparseLinear,
    clocked,
)
from neuro.reference_networks import evaluate_network
from neuro.results import NetworkState, Result
from neuro.spikes import Spikes
from tests.network_strategies import delivering, enough_for_threads, networks

Run = tuple[Graph, Spikes | None, int]
WAYS = st.sampled_from(["lists", "ring"])


def simulated(graph: Graph, frames: Spikes | None, n_steps: int, **words: Any) -> Result:
    return neuro.simulate(graph, frames, n_steps=None if frames is not None else n_steps, **words)


def everything(graph: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, (Input, PoissonSource)):
            found[name] = ["spikes"]
        elif hasattr(node, "refractory_s"):
            found[name] = ["spikes", "membrane", "rate"]
    return found


def bits(array: NDArray[Any]) -> bytes:
    return (array + array.dtype.type(0)).tobytes()


def listed(spikes: Spikes) -> tuple[bytes, bytes, bytes]:
    return spikes.step.tobytes(), spikes.index.tobytes(), spikes.value.tobytes()


def check_equal(result: Result, graph: Graph, frames: Spikes | None, n_steps: int, precision: str) -> None:
    expected = evaluate_network(graph, frames, n_steps=n_steps, precision=precision)
    for name, spikes in expected.spikes.items():
        assert listed(result.spikes[name]) == listed(spikes), name
    for name, membranes in expected.membranes.items():
        assert bits(result.membranes[name]) == bits(membranes), name
        assert result.counters.spikes[name] == len(expected.spikes[name])
        assert result.spike_counts[name].sum() == len(expected.spikes[name])
    assert isinstance(result.state, NetworkState)
    for name, variables in expected.variables.items():
        for key, values in variables.items():
            assert bits(result.state.variables[name][key]) == bits(values), (name, key)
    for name, weights in expected.weights.items():
        assert bits(result.weights[name]) == bits(weights), name
    assert dict(result.counters.weight_clips) == expected.clips


@settings(max_examples=60)
@given(networks(), WAYS)
def test_the_engine_equals_the_reference(run: Run, way: str) -> None:
    graph, frames, n_steps = run
    with delivering(way):
        result = simulated(graph, frames, n_steps, record=everything(graph))
    check_equal(result, graph, frames, n_steps, "float32")


@settings(max_examples=25)
@given(networks(), WAYS)
def test_the_engine_equals_the_reference_in_float64(run: Run, way: str) -> None:
    graph, frames, n_steps = run
    with delivering(way):
        result = simulated(graph, frames, n_steps, record=everything(graph), precision="float64")
    check_equal(result, graph, frames, n_steps, "float64")


@settings(max_examples=25)
@given(networks(), WAYS)
def test_two_threads_give_the_same_bits(run: Run, way: str) -> None:
    graph, frames, n_steps = run
    record = everything(graph)
    one = simulated(graph, frames, n_steps, record=record)
    with enough_for_threads(), delivering(way):
        two = simulated(graph, frames, n_steps, record=record, n_threads=2)
    assert two.n_threads == 2
    for name in record:
        assert listed(one.spikes[name]) == listed(two.spikes[name])
    for name, membranes in one.membranes.items():
        assert bits(membranes) == bits(two.membranes[name])
    assert one.counters == two.counters
    for name, weights in one.weights.items():
        assert bits(weights) == bits(two.weights[name])


@settings(max_examples=40)
@given(networks(), st.integers(0, 30), WAYS, WAYS)
def test_a_run_may_be_split(run: Run, cut: int, before: str, after: str) -> None:
    graph, frames, n_steps = run
    cut = min(cut, n_steps)
    record = everything(graph)
    whole = simulated(graph, frames, n_steps, record=record)
    parts = [
        None if frames is None else Spikes.from_dense(frames.to_dense()[part])
        for part in (slice(0, cut), slice(cut, n_steps))
    ]
    with delivering(before):
        first = simulated(graph, parts[0], cut, record=record)
    with delivering(after):
        rest = simulated(graph, parts[1], n_steps - cut, record=record, state=first.state)
    for name, membranes in whole.membranes.items():
        both = np.concatenate([first.membranes[name], rest.membranes[name]])
        assert bits(membranes) == bits(both), name
    for name, weights in whole.weights.items():
        assert bits(weights) == bits(rest.weights[name])
    for name, n in whole.counters.synaptic_operations.items():
        parts_of_n = first.counters.synaptic_operations[name] + rest.counters.synaptic_operations[name]
        assert n == parts_of_n
    assert whole.state.n_steps == rest.state.n_steps


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 12))
def test_silence_before_changes_only_the_time(seed: int, n_steps: int, lag: int) -> None:
    """A network that rests: frames that come later give the same spikes later."""
    rng = np.random.default_rng(seed)
    neuron = LIF(0.01, 0.4, refractory_s=0.002)
    nodes = {"in": Input(5), "n": neuron}
    nodes["ws"] = SparseLinear.from_dense(rng.uniform(0, 1, (6, 5)), delay_s=0.002)
    nodes["wr"] = SparseLinear.from_dense(rng.uniform(-0.5, 1, (6, 6)), delay_s=0.001)
    edges = [("in", "ws"), ("ws", "n"), ("n", "wr"), ("wr", "n")]
    graph = Graph(nodes, edges, clocked(0.001))
    frames = (rng.random((n_steps, 5)) < 0.4).astype(np.float32)
    late = np.concatenate([np.zeros((lag, 5), np.float32), frames])
    now, later = (neuro.simulate(graph, f, record={"n": "spikes"}).spikes["n"] for f in (frames, late))
    assert (now.step + lag).tolist() == later.step.tolist()
    assert now.index.tolist() == later.index.tolist()


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_the_numbering_of_neurons_does_not_matter(seed: int) -> None:
    """Weights on a grid, so that sums are exact: permuted neurons give permuted spikes."""
    rng = np.random.default_rng(seed)
    n, order = 30, rng.permutation(30)
    dense = rng.integers(-4, 9, (n, n)) / 16 * (rng.random((n, n)) < 0.3)
    given_weights = rng.integers(0, 32, (n, 6)) / 16
    frames = (rng.random((40, 6)) < 0.3).astype(np.float32)
    counts = []
    for p in (np.arange(n), order):
        nodes = {
            "in": Input(6),
            "w": SparseLinear.from_dense(given_weights[p]),
            "r": SparseLinear.from_dense(dense[p][:, p], delay_s=0.001),
            "n": LIF(0.008, 0.5, refractory_s=0.001),
        }
        graph = Graph(nodes, [("in", "w"), ("w", "n"), ("n", "r"), ("r", "n")], clocked(0.001))
        counts.append(neuro.simulate(graph, frames, record={"n": "rate"}).spike_counts["n"])
    assert counts[0][order].tolist() == counts[1].tolist()
    assert counts[0].sum() > 0


@pytest.mark.parametrize("rate_hz", [3.0, 900.0, 20_000.0])
def test_counts_are_poisson(rate_hz: float) -> None:
    """Mean and variance of 200 000 counts lie within five standard errors of rate_hz * dt_s."""
    nodes = {
        "p": PoissonSource(rate_hz, 500, 7),
        "w": SparseLinear.from_dense(np.zeros((1, 500))),
        "n": LIF(0.01),
    }
    graph = Graph(nodes, [("p", "w"), ("w", "n")], clocked(0.001))
    spikes = neuro.simulate(graph, n_steps=400, record={"p": "spikes"}).spikes["p"]
    mean, n = rate_hz * 0.001, 200_000
    counts = spikes.to_dense()
    assert abs(counts.mean() - mean) < 5 * np.sqrt(mean / n)
    assert abs(counts.var() - mean) < 5 * np.sqrt((mean + 2 * mean**2) / n)
    lagged = np.mean((counts[1:] - mean) * (counts[:-1] - mean))
    assert abs(lagged) < 5 * mean / np.sqrt(n)


LIMIT = np.float32(2.0**-100)
SMALL = [LIMIT, np.nextafter(LIMIT, np.float32(0)), -LIMIT, -np.nextafter(LIMIT, np.float32(0)), 4 * LIMIT]
COBA: dict[str, Any] = {"v_leak": -60.0, "v_exc": 0.0, "v_inh": -80.0, "v_reset": -60.0, "threshold": -50.0}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "node",
    [
        CubaLIF(0.02, 0.005, update="exact"),
        CubaLIF(0.02, 0.005, tau_inh_s=0.01, update="exact"),
        CubaLIF(0.02, np.linspace(0.004, 0.006, 300), tau_inh_s=0.01, update="exact"),
        CobaLIF(0.02, 0.005, 0.01, **COBA),
        CobaLIF(0.02, np.linspace(0.004, 0.006, 300), 0.01, **COBA),
        CobaLIF(0.02, 0.005, 0.01, update="euler", **COBA),
    ],
)
def test_what_is_smaller_than_the_limit_decays_to_0(node: Any, precision: Any) -> None:
    """R127, at and beside 2^-100, in every lane of a vector."""
    weight = np.resize(SMALL if isinstance(node, CubaLIF) else np.abs(SMALL), 300)
    synapses = SparseLinear.from_coo(
        np.arange(300), np.zeros(300, int), weight, n_out=300, n_in=1, delay_s=1e-3
    )
    nodes = {"in": Input(1), "w": synapses, "n": node}
    graph = Graph(nodes, [("in", "w"), ("w", "n")], clocked(1e-3))
    for n_steps in (2, 3, 9, 40):
        frames = Spikes([0], [0], np.ones(1, np.float32), n_steps, (1,))
        result = neuro.simulate(graph, frames, precision=precision, record=everything(graph))
        check_equal(result, graph, frames, n_steps, precision)
    assert isinstance(result.state, NetworkState)
    current = list(result.state.variables["n"].values())[1]
    assert not current.any()


@pytest.mark.parametrize("size", [63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 4200])
@pytest.mark.parametrize("threads", [1, 2])
def test_all_neurons_of_words_tiles_and_groups_fire(size: int, threads: int) -> None:
    """Neurons driven over their thresholds by themselves: no empty lane of a vector is listed, none is left out."""
    nodes = {
        "p": CubaLIF(
            0.01, 0.005, tau_inh_s=0.01, v_leak=2.0, threshold=1.0, refractory_s=3e-3, update="exact"
        ),
        "q": AdaptiveLIF(
            0.01, 0.1, 0.05, v_leak=2.0, threshold=np.linspace(0.5, 1.5, size), refractory_s=1e-3
        ),
        "r": SparseLinear.from_coo([0], [size - 1], [-0.5], n_out=size, n_in=size, delay_s=1e-3),
        "w": SparseLinear.from_coo(
            [size - 1, 0], [0, size - 1], [0.25, 0.5], n_out=size, n_in=size, delay_s=1e-3
        ),
    }
    graph = Graph(nodes, [("p", "r"), ("r", "p"), ("p", "w"), ("w", "q")], clocked(1e-3))
    result = neuro.simulate(graph, n_steps=25, n_threads=threads, record=everything(graph))
    check_equal(result, graph, None, 25, "float32")
    assert set(result.spikes["p"].index) == set(range(size))
