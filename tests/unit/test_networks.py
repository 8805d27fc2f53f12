"""Networks of populations: what is refused, delays and order by hand, recordings, counters (R120 to R136)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import neuro
import neuro.reference
from neuro.errors import GraphError, InputError
from neuro.graph import (
    IF,
    LIF,
    AdaptiveLIF,
    Add,
    CobaLIF,
    Conv2d,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Izhikevich,
    Linear,
    Node,
    PoissonSource,
    SparseLinear,
    Stdp,
    clocked,
    connect_pairs,
    continuous,
    to_nir,
)
from neuro.lowering.plan import lower
from neuro.results import Result

DT_S = 0.001
COBA: dict[str, Any] = {"v_leak": -60.0, "v_exc": 0.0, "v_inh": -80.0, "v_reset": -60.0}
RULE = Stdp(0.02, 0.02, 0.1, 0.1, 1.0)


def sparse(**changes: Any) -> SparseLinear:
    values: dict[str, Any] = {
        "weight": [1.0, 2.0],
        "indices": [0, 1],
        "indptr": [0, 1, 2],
        "n_in": 2,
        "delay_s": DT_S,
    }
    return SparseLinear(**{**values, **changes})


def loop(synapses: SparseLinear, neuron: Node, **more: Node) -> Graph:
    nodes = {"in": Input(2), "w": SparseLinear.from_dense(np.eye(2)), "r": synapses, "n": neuron, **more}
    return Graph(nodes, [("in", "w"), ("w", "n"), ("n", "r"), ("r", "n")], clocked(DT_S))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sparse(weight=[1.0, np.nan]), "weight must be finite in float32, got weight[1] = nan"),
        (lambda: sparse(weight=[np.inf, 0.0]), "weight must be finite in float32, got weight[0] = inf"),
        (lambda: sparse(weight=[1.0]), "weight must have shape (2,) as indptr ends, got (1,)"),
        (lambda: sparse(indices=[0, 2]), "indices[1] = 2 must be >= 0 and below n_in = 2"),
        (lambda: sparse(indices=[-1, 0]), "indices[0] = -1 must be >= 0"),
        (lambda: sparse(indices=[0.5, 0]), "indices must be a list of whole numbers"),
        (lambda: sparse(indptr=[0, 2, 1]), "indptr must not fall, got indptr[2] = 1 after 2"),
        (lambda: sparse(indptr=[1, 1, 2]), "indptr must begin with 0, got 1"),
        (lambda: sparse(indptr=[0]), "indptr must hold whole numbers, one more than outputs"),
        (lambda: sparse(indptr=[0, 1, 3]), "indices must have shape (3,) as indptr ends, got (2,)"),
        (lambda: sparse(delay_s=-0.001), "delay_s must be >= 0 s, got -0.001"),
        (lambda: sparse(delay_s=[0.001, -0.002]), "delay_s must be >= 0 s, got delay_s[1] = -0.002"),
        (lambda: sparse(receptor="both"), "receptor must be one of 'excitatory', 'inhibitory', got 'both'"),
        (lambda: sparse(stdp=RULE), "with stdp weights must be from 0 to w_max = 1.0, got weight[1] = 2.0"),
        (lambda: sparse(stdp="fast"), "stdp must be an Stdp or None, got 'fast'"),
        (
            lambda: SparseLinear.from_coo([2], [0], [1.0], n_out=2, n_in=1),
            "out[0] = 2 must be >= 0 and below n_out = 2",
        ),
        (
            lambda: connect_pairs(1.5, n_out=2, n_in=2, weight=1.0, seed=0),
            "probability must be from 0 to 1, got 1.5",
        ),
        (lambda: Stdp(0.0, 0.02, 0.1, 0.1, 1.0), "Stdp: tau_plus_s must be > 0 s, got 0.0"),
        (lambda: Stdp(0.02, 0.02, -0.1, 0.1, 1.0), "Stdp: a_plus must be >= 0, got -0.1"),
        (lambda: Stdp(0.02, 0.02, 0.1, 0.1, 0.0), "Stdp: w_max must be > 0, got 0.0"),
        (lambda: PoissonSource(0.0, 3, 1), "PoissonSource: rate_hz must be > 0 Hz, got rate_hz = 0.0"),
        (lambda: PoissonSource([1.0, -2.0], 2, 1), "rate_hz must be > 0 Hz, got rate_hz[1] = -2.0"),
        (lambda: PoissonSource([1.0], 2, 1), "rate_hz must be a number or have shape (2,), got (1,)"),
        (lambda: PoissonSource(np.nan, 2, 1), "rate_hz must be finite"),
        (lambda: PoissonSource(1.0, 2, -1), "seed must be >= 0, got -1"),
        (
            lambda: PoissonSource(1.0, 2, 1, weight=1e-60),
            "weight must not be 0 in float32, got 1e-60; leave the",
        ),
        (lambda: CobaLIF(0.02, 0.0, 0.01, -50.0, **COBA), "CobaLIF: tau_exc_s must be > 0 s, got 0.0"),
        (
            lambda: CobaLIF(0.02, 0.01, 0.01, -50.0, **COBA, update="exact"),
            "update must be one of 'exponential', 'euler'",
        ),
        (lambda: AdaptiveLIF(0.02, 0.1, np.inf), "AdaptiveLIF: adapt_jump must be finite"),
        (
            lambda: Izhikevich(0.02, 0.2, -65.0, 8.0, refractory_s=-1.0),
            "Izhikevich: refractory_s must be >= 0 s",
        ),
        (lambda: LIF(0.01, v_start=np.nan), "LIF: v_start must be finite"),
        (lambda: CubaLIF(0.01, 0.01, tau_inh_s=-1.0), "CubaLIF: tau_inh_s must be > 0 s, got -1.0"),
    ],
)
def test_a_bad_node_is_refused(make: Any, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: loop(sparse(delay_s=0.0015), LIF(0.01)),
            "SparseLinear 'r': delay_s must be a multiple of dt_s = 0.001 s",
        ),
        (
            lambda: loop(sparse(delay_s=[0.001, 0.0012]), LIF(0.01)),
            "SparseLinear 'r': [1]: delay_s must be a multiple",
        ),
        (
            lambda: loop(sparse(delay_s=[0.001, 0.0]), LIF(0.01)),
            "is in a cycle without a Delay of at least one step (n, r)",
        ),
        (
            lambda: loop(sparse(n_in=3), LIF(0.01)),
            "SparseLinear 'r': n_in = 3 needs an input of shape (3,), got (2,)",
        ),
        (
            lambda: loop(sparse(receptor="inhibitory"), LIF(0.01)),
            "SparseLinear 'r': LIF 'n' has no inhibitory receptor",
        ),
        (
            lambda: loop(sparse(), LIF(0.01, refractory_s=0.0015)),
            "LIF 'n': refractory_s must be a multiple of dt_s",
        ),
        (
            lambda: Graph({"n": Izhikevich(0.02, 0.2, -65.0, 8.0)}, [], clocked(DT_S)),
            "Izhikevich 'n': has no input, so one",
        ),
        (
            lambda: Graph({"n": LIF(0.01)}, [], clocked(DT_S)),
            "LIF 'n': has no input, so one of its parameters must be an array that gives its size",
        ),
        (lambda: Graph({}, [], clocked(DT_S)), "Graph: needs exactly one Input, got 0 (none)"),
        (
            lambda: Graph({"n": LIF(np.full(3, 0.01))}, [], continuous()),
            "Graph: has no Input, so it is a network of populations, which runs in steps; use clocked(dt_s)",
        ),
        (
            lambda: Graph({"d": Delay(DT_S)}, [], clocked(DT_S)),
            "Graph: needs exactly one Input, got 0 (none)",
        ),
        (
            lambda: Graph({"p": PoissonSource(2e5, 1, 1), "n": LIF(0.01)}, [("p", "n")], clocked(DT_S)),
            "PoissonSource 'p': rate_hz must be at most 100000 Hz (100 events per step), got 200000 Hz",
        ),
        (
            lambda: Graph(
                {"p": PoissonSource(2.0, 1, 1), "n": LIF(0.01)}, [("p", "n")], clocked(DT_S), weight_grid=0.5
            ),
            "a network of populations takes no weight_grid",
        ),
    ],
)
def test_a_bad_network_is_refused(make: Any, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        make()


def test_a_node_without_a_place_is_refused() -> None:
    held = LIF(0.01, refractory_s=DT_S, v_start=0.1)
    nodes = {"in": Input(2), "a": Linear(np.eye(2)), "b": Linear(np.eye(2)), "sum": Add(), "n": held}
    edges = [("in", "a"), ("in", "b"), ("a", "sum"), ("b", "sum"), ("sum", "n")]
    with pytest.raises(
        GraphError, match="Linear 'a': in a network of populations it must end in a population"
    ):
        neuro.simulate(Graph(nodes, edges, clocked(DT_S)), np.ones((1, 2)))
    biased = {"in": Input(2), "a": Linear(np.eye(2), np.ones(2)), "n": held}
    with pytest.raises(GraphError, match="Linear 'a': in a network of populations a Linear has no bias"):
        neuro.simulate(Graph(biased, [("in", "a"), ("a", "n")], clocked(DT_S)), np.ones((1, 2)))
    image = {"in": Input((1, 3, 3)), "c": Conv2d(np.ones((1, 1, 3, 3))), "n": held}
    with pytest.raises(GraphError, match="Input 'in': in a network of populations its shape is"):
        neuro.simulate(Graph(image, [("in", "c"), ("c", "n")], clocked(DT_S)), np.ones((1, 1, 3, 3)))
    late = {"in": Input(2), "d": Delay(DT_S), "n": held}
    with pytest.raises(
        GraphError, match="Delay 'd': in a network of populations a Delay leads into a SparseLinear"
    ):
        neuro.simulate(Graph(late, [("in", "d"), ("d", "n")], clocked(DT_S)), np.ones((1, 2)))


def noise() -> Graph:
    nodes = {
        "p": PoissonSource(300.0, 20, 1),
        "w": connect_pairs(0.5, n_out=5, n_in=20, weight=0.5, seed=2),
        "n": LIF(0.01),
    }
    return Graph(nodes, [("p", "w"), ("w", "n")], clocked(DT_S))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "a network without an Input needs n_steps or duration_s (one of them)"),
        ({"n_steps": 3, "duration_s": 0.003}, "needs n_steps or duration_s (one of them)"),
        ({"n_steps": -1}, "n_steps must be a whole number >= 0, got -1"),
        ({"n_steps": 2.5}, "n_steps must be a whole number >= 0, got 2.5"),
        ({"n_steps": 2**31}, "a run has fewer than 2**31 steps, got 2147483648; run it in parts"),
        ({"duration_s": 1e7}, "a run has fewer than 2**31 steps, got 10000000000"),
        ({"duration_s": 0.0005}, "duration_s must be a multiple of dt_s = 0.001 s"),
        ({"duration_s": np.inf}, "duration_s must be >= 0 s and finite, got inf"),
        ({"inputs": np.ones((2, 20)), "n_steps": 2}, "the network has no Input, inputs must be None"),
        ({"n_steps": 2, "precision": "half"}, "precision must be 'float32' or 'float64', got 'half'"),
        ({"n_steps": 2, "n_threads": 0}, "n_threads must be a whole number >= 1, got 0"),
        ({"n_steps": 2, "dynamics": neuro.Dynamics()}, "dynamics leave out frames"),
        (
            {"n_steps": 2, "record": {"w": "spikes"}},
            "SparseLinear 'w' hands on currents or membranes, not spikes",
        ),
        ({"n_steps": 2, "record": {"p": "membrane"}}, "PoissonSource 'p' has no membrane"),
    ],
)
def test_a_bad_call_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        neuro.simulate(noise(), **words)


def test_plastic_synapses_need_delays() -> None:
    for delay_s in (0.0, [0.001, 0.0]):
        nodes = {"in": Input(2), "w": sparse(weight=[0.5, 1.0], delay_s=delay_s, stdp=RULE), "n": LIF(0.01)}
        graph = Graph(nodes, [("in", "w"), ("w", "n")], clocked(DT_S))
        with pytest.raises(
            GraphError, match=r"'w': with stdp every delay must be at least one step, got 0\.0 s"
        ):
            neuro.simulate(graph, np.ones((2, 2)))


def test_other_graphs_take_no_length_and_no_precision() -> None:
    plain = Graph({"in": Input(1), "n": IF(1.0)}, [("in", "n")], clocked(DT_S))
    with pytest.raises(InputError, match="frames give the length of the run"):
        neuro.simulate(plain, np.ones((2, 1)), n_steps=2)  # type: ignore[call-overload]
    with pytest.raises(
        InputError, match="only networks of populations run in another precision, got 'float64'"
    ):
        neuro.simulate(plain, np.ones((2, 1)), precision="float64")
    network = loop(sparse(), LIF(0.01))
    with pytest.raises(InputError, match="frames give the length of the run"):
        neuro.simulate(network, np.ones((2, 2)), n_steps=2)  # type: ignore[call-overload]
    moving = Graph({"in": Input(2), "w": sparse(), "n": LIF(0.01)}, [("in", "w"), ("w", "n")], continuous())
    assert len(neuro.simulate(moving, neuro.Events([], [], [], shape=(2,))).output) == 0
    assert neuro.verify(network, np.ones((2, 2)))
    with pytest.raises(GraphError, match="not by the engine of layered graphs"):
        lower(network)
    with pytest.raises(GraphError, match=r"not by this reference; use neuro\.reference_networks"):
        neuro.reference.evaluate(network, np.ones((2, 2)))
    with pytest.raises(GraphError, match="NIR cannot say"):
        to_nir(noise())


def one_spike(synapses: SparseLinear, neuron: Node, **more: Node) -> Result:
    nodes = {"in": Input(2), "w": synapses, "n": neuron, **more}
    edges = [("in", "d"), ("d", "w")] if "d" in more else [("in", "w")]
    frames = np.zeros((8, 2), np.float32)
    frames[1, 0] = 1
    graph = Graph(nodes, [*edges, ("w", "n")], clocked(DT_S))
    return neuro.simulate(graph, frames, record={"n": "membrane"})


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_spike_arrives_after_its_delay(delay: int) -> None:
    """R125, with the delay of a Delay node added."""
    synapses = SparseLinear.from_coo([0], [0], [0.5], n_out=1, n_in=2, delay_s=delay * DT_S)
    v = one_spike(synapses, IF(9.0, refractory_s=DT_S)).membranes["n"][:, 0]
    assert v.tolist() == [0.0] * (1 + delay) + [0.5] * (7 - delay)
    v = one_spike(synapses, IF(9.0, refractory_s=DT_S), d=Delay(2 * DT_S)).membranes["n"][:, 0]
    assert v.tolist() == [0.0] * (3 + delay) + [0.5] * (5 - delay)


def test_a_pair_may_be_connected_twice() -> None:
    synapses = SparseLinear.from_coo([0, 0, 0], [0, 0, 1], [0.5, 0.25, 4.0], n_out=1, n_in=2, delay_s=DT_S)
    result = one_spike(synapses, IF(9.0, refractory_s=DT_S))
    assert result.membranes["n"][-1, 0] == 0.75
    assert result.counters.synaptic_operations == {"w": 2}
    assert synapses.to_dense().tolist() == [[0.75, 4.0]]


def test_the_oldest_spikes_are_added_first() -> None:
    """R126: 1 + 2**24 - 2**24 is 0 or 1 in float32, by the order of the additions."""
    big = float(2**24)
    frames = np.zeros((4, 3), np.float32)
    frames[0] = frames[1] = [1, 0, 0]
    frames[2] = [0, 1, 1]

    def after(weight: list[float], delays: list[int]) -> float:
        w = SparseLinear.from_coo(
            [0, 0, 0], [0, 1, 2], weight, n_out=1, n_in=3, delay_s=np.array(delays) * DT_S
        )
        nodes = {"in": Input(3), "w": w, "n": LIF(0.01, 1e30, update="decay", refractory_s=DT_S)}
        graph = Graph(nodes, [("in", "w"), ("w", "n")], clocked(DT_S))
        return float(neuro.simulate(graph, frames, record={"n": "membrane"}).membranes["n"][3, 0])

    alpha = np.float32(np.exp(-0.1))
    assert after([1.0, big, -big], [3, 1, 1]) == 0.0  # the oldest, 1, is lost against 2**24
    assert after([big, 1.0, -big], [3, 1, 1]) == 0.0
    assert after([big, -big, 1.0], [3, 1, 1]) == 1.0
    assert after([1.0, big, -big], [2, 1, 1]) == float(alpha * np.float32(1) + np.float32(0))


def test_sinks_give_outputs_where_there_is_an_input() -> None:
    graph = loop(sparse(weight=[0.0, 0.0]), LIF(0.01, 0.05, refractory_s=DT_S))
    assert graph.output_names == ()
    nodes = {"in": Input(2), "w": SparseLinear.from_dense(np.eye(2)), "n": IF(0.5, refractory_s=DT_S)}
    chain = Graph(nodes, [("in", "w"), ("w", "n")], clocked(DT_S))
    frames = np.array([[1, 0], [1, 1], [1, 0]], np.float32)
    results = neuro.simulate(chain, [frames, frames[:1]])
    assert results[0].output.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert results[1].output.tolist() == [[1, 0]]
    assert results[0].counters.neuron_updates == {"n": 6}


def test_monitors_bound_what_is_kept() -> None:
    graph = noise()
    whole = neuro.simulate(graph, n_steps=300, record={"n": ["spikes", "membrane", "rate"], "p": "spikes"})
    n = len(whole.spikes["n"])
    assert n > 20
    assert whole.spike_counts["n"].sum() == n == whole.counters.spikes["n"]
    monitors = [
        neuro.Monitor("spikes", limit=7, overflow="count"),
        neuro.Monitor("membrane", limit=5, overflow="count"),
    ]
    some = neuro.simulate(graph, n_steps=300, record={"n": monitors})
    assert some.spikes["n"].step.tolist() == whole.spikes["n"].step[:7].tolist()
    assert some.membranes["n"].tobytes() == whole.membranes["n"][:5].tobytes()
    assert some.left_out == {"n": {"spikes": n - 7, "membrane": 295}}
    with pytest.raises(InputError, match=r"LIF 'n' handed on \d+ spikes in the first 300 of 300 steps"):
        neuro.simulate(graph, n_steps=300, record={"n": neuro.Monitor("spikes", limit=7)})
    fan_out = np.bincount(graph.nodes["w"].indices, minlength=20)  # type: ignore[attr-defined]
    assert whole.counters.synaptic_operations["w"] == fan_out[whole.spikes["p"].index].sum()


def test_a_state_belongs_to_graph_and_precision() -> None:
    state = neuro.simulate(noise(), n_steps=5).state
    with pytest.raises(InputError, match="state is of a run in float32, this one is in float64"):
        neuro.simulate(noise(), n_steps=5, state=state, precision="float64")
    with pytest.raises(InputError, match="state belongs to another graph"):
        neuro.simulate(loop(sparse(), LIF(0.01)), np.ones((1, 2)), state=state)


def test_a_state_keeps_what_is_on_its_way_in_the_precision_of_the_run() -> None:
    nodes = {
        "p": PoissonSource(500.0, 4, 1, weight=0.3),  # not a float32 value
        "late": SparseLinear.from_dense(np.eye(4), delay_s=5 * DT_S),
        "n": IF(2.0),
    }
    graph = Graph(nodes, [("p", "late"), ("late", "n")], clocked(DT_S))
    whole = neuro.simulate(graph, n_steps=40, precision="float64", record={"n": "membrane"})
    first = neuro.simulate(graph, n_steps=17, precision="float64")
    rest = neuro.simulate(graph, n_steps=23, precision="float64", state=first.state, record={"n": "membrane"})
    assert np.array_equal(rest.membranes["n"], whole.membranes["n"][17:])


def test_the_graph_keeps_its_weights() -> None:
    plastic = connect_pairs(0.5, n_out=5, n_in=20, weight=0.5, seed=2, delay_s=DT_S, stdp=RULE)
    graph = Graph({**noise().nodes, "w": plastic}, noise().edges, clocked(DT_S))
    before = graph.digest, plastic.weight.copy()
    first, again = (neuro.simulate(graph, n_steps=200) for _ in range(2))
    assert (graph.digest, plastic.weight.tolist()) == (before[0], before[1].tolist())
    assert first.weights["w"].tolist() == again.weights["w"].tolist()
    assert (first.weights["w"] != plastic.weight).any()
    assert first.weights["w"].min() >= 0
    assert first.weights["w"].max() <= 1
