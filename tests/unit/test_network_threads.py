"""Threads of a network of populations: how many are taken, and that none of the helpers is needed."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

import neuro
from neuro.graph import CubaLIF, Graph, PoissonSource, SparseLinear, Stdp, clocked, connect_in_degree
from neuro.kernels.networks import LONELY
from neuro.lowering import network_run
from neuro.lowering import networks as lowering
from neuro.lowering.network_run import NetworkRun
from neuro.results import Result
from tests.network_strategies import enough_for_threads

N_STEPS = 60


def network(n: int = 900, *, is_plastic: bool = False) -> Graph:
    """A population of several tiles with a source, delays of 0 to 2 steps, and (or not) plastic synapses."""

    rule = Stdp(0.02, 0.02, 0.01, 0.01, 1.0) if is_plastic else None
    nodes = {
        "p": PoissonSource(300.0, 200, 3),
        "in": connect_in_degree(
            8, n_out=n, n_in=200, weight=1.5, seed=1, delay_s=0.0 if is_plastic else 0.001
        ),
        "r": connect_in_degree(8, n_out=n, n_in=n, weight=0.5, seed=2, delay_s=0.001, stdp=rule),
        "late": connect_in_degree(8, n_out=n, n_in=n, weight=-0.5, seed=3, delay_s=0.002),
        "n": CubaLIF(0.02, 0.005, 1.0, refractory_s=0.002),
    }
    edges = [("p", "in"), ("in", "n"), ("n", "r"), ("r", "n"), ("n", "late"), ("late", "n")]
    return Graph(nodes, edges, clocked(0.001))


def run(graph: Graph, n_threads: int) -> Result:
    return neuro.simulate(graph, n_steps=N_STEPS, record={"n": ("spikes", "membrane")}, n_threads=n_threads)


def check_same(one: Result, other: Result) -> None:
    assert one.counters.spikes["n"] > 300
    assert one.spikes["n"].index.tobytes() == other.spikes["n"].index.tobytes()
    assert one.spikes["n"].step.tobytes() == other.spikes["n"].step.tobytes()
    assert one.membranes["n"].tobytes() == other.membranes["n"].tobytes()
    assert one.counters == other.counters


class Absent:
    """A helper that never comes."""

    def __init__(self, **_: Any) -> None: ...

    def start(self) -> None: ...

    def join(self) -> None: ...


@pytest.mark.parametrize("is_plastic", [False, True])
@pytest.mark.parametrize("n_threads", [2, 3, 9])
def test_any_number_of_threads_gives_the_same_bits(is_plastic: bool, n_threads: int) -> None:
    graph = network(is_plastic=is_plastic)
    one = run(graph, 1)
    with enough_for_threads():
        many = run(graph, n_threads)
    assert many.n_threads == n_threads
    check_same(one, many)


@pytest.mark.parametrize("is_plastic", [False, True])
def test_a_leader_whose_helpers_never_come_does_everything(is_plastic: bool) -> None:
    graph = network(is_plastic=is_plastic)
    with enough_for_threads(), mock.patch.object(network_run, "Thread", Absent):
        alone = run(graph, 3)
    assert alone.n_threads == 3
    check_same(run(graph, 1), alone)


@pytest.mark.parametrize("work", [1, 40_000, 10_000_000])
def test_a_leader_may_go_on_alone_for_a_while(work: int) -> None:
    def lonely(self: NetworkRun) -> NDArray[np.int64]:
        array = shared(self)
        array[LONELY + 1] = work
        return array

    graph, shared = network(), NetworkRun._shared
    with enough_for_threads(), mock.patch.object(NetworkRun, "_shared", lonely):
        together = run(graph, 3)
    check_same(run(graph, 1), together)


def test_a_log_that_fills_up_is_emptied_between_the_jobs() -> None:
    graph = network()
    one = run(graph, 1)
    with enough_for_threads(), mock.patch.object(network_run, "_BLOCK_STEPS", 7):
        check_same(one, run(graph, 2))


def test_a_small_network_takes_one_thread_whatever_is_asked_for() -> None:
    assert run(network(), 64).n_threads == 1


def test_a_large_network_takes_as_many_as_its_size_is_worth() -> None:
    n = 256 * int(2.5 * lowering.LEAST_NS / lowering.UPDATE_NS)
    nodes = {
        "p": PoissonSource(1.0, 1, 3),
        "w": SparseLinear.from_coo([0], [0], 1.0, n_out=n, n_in=1),
        "n": CubaLIF(0.02, 0.005, 1.0),
    }
    graph = Graph(nodes, [("p", "w"), ("w", "n")], clocked(0.001))
    with mock.patch.object(lowering, "most_threads", return_value=64):
        assert neuro.simulate(graph, n_steps=2, n_threads=64).n_threads == 2
        assert neuro.simulate(graph, n_steps=2, n_threads=64, precision="float64").n_threads == 4
    with mock.patch.object(lowering, "most_threads", return_value=1):
        assert neuro.simulate(graph, n_steps=2, n_threads=64).n_threads == 1
