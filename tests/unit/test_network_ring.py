"""Delivery over many delays: the ring of buckets gives what lists give, and is taken where it is faster."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

import neuro
from neuro.graph import CubaLIF, Delay, Graph, Input, SparseLinear, Stdp, clocked
from neuro.kernels.networks import PAGE, WANTED, Ring
from neuro.lowering import network_run
from neuro.lowering.networks import lower_network
from neuro.reference_networks import evaluate_network
from neuro.results import Result
from neuro.spikes import Spikes
from tests.network_strategies import delivering, enough_for_threads

DT_S = 1e-3


def network(
    n: int, n_synapses: int, delays: Any, *, seed: int = 0, stdp: Stdp | None = None, drive: float = 1.3
) -> Graph:
    """Neurons that fire by themselves and over synapses with the given delays in steps, drawn for each synapse."""
    rng = np.random.default_rng(seed)
    out, into = rng.integers(0, n, n_synapses), rng.integers(0, n, n_synapses)
    weight = rng.uniform(0.0 if stdp else -0.05, 0.05, n_synapses)
    synapses = SparseLinear.from_coo(
        out, into, weight, n_out=n, n_in=n, delay_s=rng.choice(delays, n_synapses) * DT_S, stdp=stdp
    )
    leak = np.linspace(1.0, drive, n)
    nodes = {"n": CubaLIF(0.02, 0.005, 1.0, v_leak=leak, refractory_s=2e-3, update="exact"), "w": synapses}
    return Graph(nodes, [("n", "w"), ("w", "n")], clocked(DT_S))


def check_same(one: Result, other: Result) -> None:
    assert one.counters.spikes["n"] > 100
    assert one.spikes["n"].step.tobytes() == other.spikes["n"].step.tobytes()
    assert one.spikes["n"].index.tobytes() == other.spikes["n"].index.tobytes()
    for key, values in one.state.variables["n"].items():
        assert values.tobytes() == other.state.variables["n"][key].tobytes()
    assert one.counters == other.counters


def run(graph: Graph, n_steps: int, way: str, **words: Any) -> Result:
    with delivering(way):
        return neuro.simulate(graph, n_steps=n_steps, record={"n": "spikes"}, **words)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("longest", [1, 2, 3, 63, 64, 65])
def test_both_ways_equal_the_reference(longest: int, precision: Any) -> None:
    graph = network(40, 900, np.arange(1, longest + 1))
    expected = evaluate_network(graph, None, n_steps=200, precision=precision)
    for way in ("lists", "ring"):
        result = run(graph, 200, way, precision=precision)
        assert result.spikes["n"].index.tobytes() == expected.spikes["n"].index.tobytes()
        assert result.spikes["n"].step.tobytes() == expected.spikes["n"].step.tobytes()
        for key, values in expected.variables["n"].items():
            assert result.state.variables["n"][key].tobytes() == values.tobytes()
    assert len(expected.spikes["n"]) > 100


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_buckets_grow_over_many_pages(n_threads: int) -> None:
    """All neurons fire at once: a step puts many pages into one bucket, and more are asked for again and again."""
    graph = network(900, 90_000, [1, 40], drive=1.0 + 1e-6)
    nodes = dict(graph.nodes)
    nodes["n"] = CubaLIF(0.02, 0.005, 1.0, v_leak=1.5, v_start=np.full(900, 0.9), update="exact")
    graph = Graph(nodes, graph.edges, clocked(DT_S))
    widened = mock.Mock(side_effect=network_run.wider_ring)
    with enough_for_threads(), mock.patch.object(network_run, "wider_ring", widened):
        ring = run(graph, 150, "ring", n_threads=n_threads)
    assert ring.n_threads == n_threads
    assert widened.call_count >= 2
    assert widened.call_args_list[-1].args[0].free.shape[1] * PAGE >= 45_000 / n_threads / 2
    check_same(run(graph, 150, "lists"), ring)


def test_pages_are_used_again() -> None:
    """The memory of a long run is that of what is under way, not of all that was."""
    graph = network(60, 3000, np.arange(1, 33))
    widened = mock.Mock(side_effect=network_run.wider_ring)
    with mock.patch.object(network_run, "wider_ring", widened):
        ring = run(graph, 9000, "ring")  # several blocks, and many turns of the ring
    pages = [network_run.wider_ring(call.args[0]).free.shape[1] for call in widened.call_args_list]
    n_delivered = ring.counters.total_synaptic_operations
    assert max(pages) * PAGE < n_delivered / 30
    check_same(run(graph, 9000, "lists"), ring)


@pytest.mark.parametrize("cut", [1, 30, 64, 150])
@pytest.mark.parametrize("ways", [("ring", "ring"), ("lists", "ring"), ("ring", "lists")])
def test_a_run_goes_on_either_way(ways: tuple[str, str], cut: int) -> None:
    graph = network(50, 2000, np.arange(1, 50))
    whole = run(graph, 250, "lists")
    first = run(graph, cut, ways[0])
    rest = run(graph, 250 - cut, ways[1], state=first.state)
    for key, values in whole.state.variables["n"].items():
        assert values.tobytes() == rest.state.variables["n"][key].tobytes()
    assert np.concatenate([first.spikes["n"].index, rest.spikes["n"].index]).tolist() == (
        whole.spikes["n"].index.tolist()
    )
    total = [r.counters.total_synaptic_operations for r in (first, rest)]
    assert sum(total) == whole.counters.total_synaptic_operations


def test_values_of_inputs_are_multiplied_once() -> None:
    """Counts and fractions on their way over many delays, into two populations."""
    rng = np.random.default_rng(1)
    delays = rng.integers(1, 30, 400) * DT_S
    synapses = SparseLinear.from_coo(
        rng.integers(0, 20, 400),
        rng.integers(0, 8, 400),
        rng.normal(size=400),
        n_out=20,
        n_in=8,
        delay_s=delays,
    )
    cuba = CubaLIF(0.02, 0.005, 0.5)
    nodes = {"in": Input(8), "w": synapses, "n": cuba, "m": cuba}
    graph = Graph(nodes, [("in", "w"), ("w", "n"), ("w", "m")], clocked(DT_S))
    frames = Spikes.from_dense(rng.random((80, 8)) * (rng.random((80, 8)) < 0.3))
    expected = evaluate_network(graph, frames, n_steps=80, precision="float32")
    with delivering("ring"):
        result = neuro.simulate(graph, frames, record={"n": "membrane"})
    assert result.membranes["n"].tobytes() == expected.membranes["n"].tobytes()
    assert result.counters.spikes["m"] == len(expected.spikes["m"]) > 0


def is_ring(graph: Graph, n_threads: int = 1) -> bool:
    return lower_network(graph, "float32", n_threads).network.delay.size > 0


def test_a_ring_is_taken_where_runs_are_short() -> None:
    assert is_ring(network(200, 8000, np.arange(1, 201)))
    assert not is_ring(network(200, 8000, [1]))
    assert not is_ring(network(200, 30_000, [1, 2, 3]))
    some = network(200, 8000, np.arange(1, 6))  # parts of threads have shorter runs
    with enough_for_threads():
        assert [is_ring(some, n) for n in (1, 16)] == [False, True]


def test_a_ring_is_not_taken_where_weights_or_time_forbid_it() -> None:
    plastic = Stdp(0.02, 0.02, 0.01, 0.01, 1.0)
    delays = np.arange(1, 100)
    with delivering("ring"):
        assert is_ring(network(30, 500, delays))
        assert not is_ring(network(30, 500, delays, stdp=plastic))
        assert is_ring(network(30, 500, [1, 65_535]))
        assert not is_ring(network(30, 500, [1, 65_536]))


def test_more_than_can_be_numbered_is_refused() -> None:
    ring = network_run.wider_ring(asking_for(network_run.empty_ring(1, 4, np.float32), 3))
    assert ring.free.shape == (1, 3)
    with pytest.raises(
        MemoryError, match=r"under way on 0 synapses and more, the limit is 4294967296; shorten"
    ):
        network_run.wider_ring(asking_for(ring, 2**32 // PAGE))


def asking_for(ring: Ring, n_pages: int) -> Ring:
    ring.at[:, WANTED] = n_pages
    return ring


@pytest.mark.parametrize("way", ["lists", "ring"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_is_under_way_is_counted_by_node(way: str, n_threads: int) -> None:
    """Operations of two halves add up for every node: also of two between the same populations, or with a Delay."""
    rng = np.random.default_rng(0)

    def synapses(n_synapses: int, receptor: Any = "excitatory") -> SparseLinear:
        out, into, steps = (rng.integers(0, n, n_synapses) for n in (300, 280, 20))
        weight = rng.uniform(0.0, 0.05, n_synapses)
        delay_s = (steps + 1) * DT_S
        return SparseLinear.from_coo(
            out, into, weight, n_out=300, n_in=280, delay_s=delay_s, receptor=receptor
        )

    leak = np.linspace(0.9, 1.6, 280)
    nodes = {
        "a": CubaLIF(0.02, 0.005, 1.0, v_leak=leak, update="exact"),
        "b": CubaLIF(0.02, 0.005, 1.0, tau_inh_s=0.01, update="exact"),
        "one": synapses(900),
        "two": synapses(1300),
        "inhibitory": synapses(700, "inhibitory"),
        "late": Delay(0.007),
        "later": synapses(500, "inhibitory"),
        "far": SparseLinear.from_coo([5], [3], [0.1], n_out=300, n_in=280, delay_s=0.05),
    }
    edges = [("a", "late"), ("late", "later")]
    for name in ("one", "two", "inhibitory", "far"):
        edges.append(("a", name))
    edges += [(name, "b") for name in ("one", "two", "inhibitory", "later", "far")]
    graph = Graph(nodes, edges, clocked(DT_S))
    with enough_for_threads(), delivering(way):
        whole = neuro.simulate(graph, n_steps=90, n_threads=n_threads)
        first = neuro.simulate(graph, n_steps=37, n_threads=n_threads)
        rest = neuro.simulate(graph, n_steps=53, n_threads=n_threads, state=first.state)
    n_fired = neuro.simulate(graph, n_steps=90, record={"a": "spikes"}).spikes["a"]
    for name in ("one", "two", "inhibitory", "later", "far"):
        parts = [run.counters.synaptic_operations[name] for run in (first, rest)]
        assert sum(parts) == whole.counters.synaptic_operations[name]
        node: Any = graph.nodes[name]
        steps = np.broadcast_to(np.rint(np.array(node.delay_s) / DT_S).astype(int), node.indices.shape)
        steps = steps + (7 if name == "later" else 0)
        fired = np.zeros((90, 280), int)
        fired[n_fired.step, n_fired.index] = 1
        by_hand = sum(int(fired[: 90 - step, i].sum()) for step, i in zip(steps, node.indices, strict=True))
        assert parts[0] > 0 or name == "far"
        assert sum(parts) == by_hand
