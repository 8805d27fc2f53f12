"""`neuro.verify` on networks of populations and continuous graphs: equal where the engine is right, and it can fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from neuro import Events, Spikes, verification_networks
from neuro.graph import (
    IF,
    LIF,
    Delay,
    Graph,
    Input,
    Linear,
    PoissonSource,
    SparseLinear,
    Stdp,
    clocked,
    continuous,
)
from neuro.lowering.event_run import Batch, selected
from neuro.lowering.flow import JumpPopulation
from neuro.networks import simulate_network
from neuro.results import NetworkState, Result
from tests.event_strategies import event_graphs, event_lists, fitting, timed_events, timed_graphs
from tests.network_strategies import networks

# -- continuous graphs -----------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(data=st.data(), is_timed=st.booleans())
def test_continuous_graphs_are_verified(data: st.DataObject, is_timed: bool) -> None:
    graph = data.draw(timed_graphs() if is_timed else event_graphs())
    shape = graph.shapes[graph.input_name]
    events = fitting(graph, data.draw(timed_events(shape) if is_timed else event_lists(shape)))
    found = neuro.verify(graph, events)
    assert found, found
    assert found.n_steps == found.n_steps_compared == len(events)
    assert found.n_spikes == sum(neuro.simulate(graph, events).counters.spikes.values())


def chain() -> Graph:
    """Two layers of neurons."""
    nodes = {"in": Input(2), "fc": Linear(np.ones((3, 2))), "first": LIF(0.01, 0.5), "second": IF(1.5)}
    return Graph(nodes, [("in", "fc"), ("fc", "first"), ("first", "second")], continuous())


EVENTS = Events([10, 20, 30, 40], [0, 1, 0, 1], np.ones(4), shape=(2,))


def test_what_was_compared_is_said() -> None:
    found = neuro.verify(chain(), EVENTS)
    text = "Verification(equal: 2 engine paths (one call, pieces) x reference, 4 events, 18 spikes, "
    assert repr(found).startswith(text)


@pytest.mark.parametrize("call", [0, 2])
def test_a_lost_spike_is_found(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The engine loses the spike of neuron 1 at 20 us, in the run in one call or in that in pieces."""
    whole, n_runs = JumpPopulation.go_on, []

    def lossy(self: JumpPopulation, batch: Batch, run: Any) -> Batch:
        found = whole(self, batch, run)
        n_runs[:] = [*n_runs, id(run)] if id(run) not in n_runs else n_runs
        if self.name == "first" and (len(n_runs) > 1) == (call > 0):
            events = found.events
            return Batch(selected(events, (events.t != 20) | (events.index != 1)), found.mark)
        return found

    monkeypatch.setattr(JumpPopulation, "go_on", lossy)
    found = neuro.verify(chain(), EVENTS)
    path = "pieces" if call else "one call"
    assert found.divergence == neuro.Divergence(
        20, "first", "spikes", (1,), 0.0, 1.0, path, is_continuous=True
    )
    assert f"20 us, node 'first', neuron (1): spikes 0.0 in the engine (path {path}), 1.0 in" in repr(found)


def test_a_wrong_membrane_and_a_wrong_count_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = JumpPopulation.membranes
    with monkeypatch.context() as patch:
        patch.setattr(JumpPopulation, "membranes", lambda *args: np.nextafter(right(*args), np.float32(9)))
        found = neuro.verify(chain(), EVENTS).divergence
    assert found is not None
    assert (found.step, found.node, found.quantity, found.index) == (0, "first", "membrane", (0,))
    monkeypatch.setattr(JumpPopulation, "updates", lambda *args: 7)
    found = neuro.verify(chain(), EVENTS).divergence
    assert found is not None
    assert (found.step, found.node, found.quantity, found.engine) == (40, "first", "neuron updates", 7.0)


def test_verify_names_a_run_without_end() -> None:
    nodes = {"in": Input(1), "lif": LIF(0.01, v_leak=2.0)}
    with pytest.raises(neuro.InputError, match="verify: 'lif' fires without input, so the run needs an end"):
        neuro.verify(Graph(nodes, [("in", "lif")], continuous()), Events([], [], [], (1,)))
    with pytest.raises(neuro.InputError, match=r"it takes neuro\.Events"):
        neuro.verify(chain(), np.ones((3, 2)))


# -- networks of populations -------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(networks(), st.sampled_from(["float32", "float64"]))
def test_networks_are_verified(run: tuple[Graph, Spikes | None, int], precision: Any) -> None:
    graph, frames, n_steps = run
    length = {} if frames is not None else {"n_steps": n_steps}
    found = neuro.verify(graph, frames, precision=precision, **length)
    assert found, found
    assert found.n_steps == n_steps


def plastic() -> Graph:
    """Noise that drives neurons over plastic synapses and others."""
    rng = np.random.default_rng(0)
    rule = Stdp(0.02, 0.02, 0.1, 0.1, 1.0)
    out, into = np.divmod(np.arange(12), 4)
    weight, delay_s = rng.uniform(0.3, 0.9, 12), rng.integers(1, 8, 12) * 0.001
    nodes = {
        "noise": PoissonSource(200.0, 4, 1),
        "in": SparseLinear.from_coo(out, into, weight, n_out=3, n_in=4, delay_s=delay_s, stdp=rule),
        "a": LIF(0.01, 0.4),
        "late": Delay(0.001),
        "ab": SparseLinear.from_dense(np.ones((2, 3))),
        "b": LIF(0.01, 0.4),
    }
    edges = [("noise", "in"), ("in", "a"), ("a", "late"), ("late", "ab"), ("ab", "b")]
    return Graph(nodes, edges, clocked(0.001))


def test_traces_decay_alike_on_both_sides() -> None:
    """exp(-0.01) is another number in NumPy's vector library than in that of C (AVX-512, NumPy 2)."""
    rule = Stdp(0.01, 0.01, 0.1, 0.1, 1.0)
    nodes = {
        "noise": PoissonSource(2000.0, 4, 1),
        "w": SparseLinear.from_dense(np.full((3, 4), 0.4), delay_s=1e-4, stdp=rule),
        "n": IF(1.5),
    }
    graph = Graph(nodes, [("noise", "w"), ("w", "n")], clocked(1e-4))
    found = neuro.verify(graph, n_steps=100, precision="float64")
    assert found, found


def flipped(spikes: Spikes, step: int) -> Spikes:
    """The first entry of a step turned around."""
    dense = spikes.to_dense()
    dense[step, 0] = 1 - dense[step, 0]
    return Spikes.from_dense(dense)


def with_variable(result: Result, node: str, variable: str) -> Result:
    """A variable of a population at the end of a run, changed by the least."""
    assert isinstance(result.state, NetworkState)
    values = {**result.state.variables[node]}
    values[variable] = np.nextafter(values[variable], values[variable].dtype.type(9))
    variables = {**result.state.variables, node: values}
    return dataclasses.replace(result, state=dataclasses.replace(result.state, variables=variables))


FAULTS: list[tuple[Callable[[Result], Result], tuple[int, str, str]]] = [
    (
        lambda r: dataclasses.replace(r, spikes={**r.spikes, "b": flipped(r.spikes["b"], 7)}),
        (7, "b", "spikes"),
    ),
    (
        lambda r: dataclasses.replace(r, membranes={**r.membranes, "a": r.membranes["a"] + np.float32(1)}),
        (0, "a", "membrane"),
    ),
    (lambda r: with_variable(r, "b", "v"), (29, "b", "v")),
    (
        lambda r: dataclasses.replace(r, weights={"in": np.nextafter(r.weights["in"], np.float32(9))}),
        (29, "in", "weight"),
    ),
]


@pytest.mark.parametrize(("fault", "place"), FAULTS)
@pytest.mark.parametrize("path", ["one run", "2 threads"])
def test_faults_of_networks_are_found(
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Result], Result],
    place: tuple[int, str, str],
    path: str,
) -> None:
    def run(graph: Graph, inputs: Any, words: Any, as_frames: Any) -> Any:
        result = simulate_network(graph, inputs, words, as_frames)
        assert isinstance(result, Result)
        is_it = result.counters.n_steps == 30 and words.n_threads == (1 if path == "one run" else 2)
        return fault(result) if is_it else result

    assert neuro.verify(plastic(), n_steps=30)
    monkeypatch.setattr(verification_networks, "simulate_network", run)
    found = neuro.verify(plastic(), n_steps=30)
    assert found.divergence is not None
    assert (found.divergence.step, found.divergence.node, found.divergence.quantity) == place
    assert found.divergence.path == path
    assert f"step {place[0]}, node {place[1]!r}" in repr(found)


def test_verify_needs_a_length_without_an_input() -> None:
    with pytest.raises(neuro.InputError, match="needs n_steps or duration_s"):
        neuro.verify(plastic())
    assert neuro.verify(plastic(), duration_s=0.01).n_steps == 10
