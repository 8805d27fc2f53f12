"""Cycles of populations by hand: which have a kernel, ties, limits, long silences, interruption."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuro
from neuro import Events
from neuro.graph import IF, LIF, Add, Delay, Graph, Input, Linear, SparseLinear, continuous
from neuro.lowering import cycle_running, event_running, spreading
from neuro.lowering.continuous import lower_events
from neuro.lowering.cycles import Cycle
from neuro.reference_events import evaluate_events
from tests.event_chains import listed, spikes


def sparse(n: int, delay_us: float, weight: float = 1.0) -> SparseLinear:
    """From each neuron to the next."""
    after = (np.arange(n) + 1) % n
    return SparseLinear.from_coo(
        after, np.arange(n), np.full(n, weight), n_out=n, n_in=n, delay_s=delay_us * 1e-6
    )


def ring(n: int = 2, delay_us: float = 7.0, *, neurons: Any = None, back_first: bool = False) -> Graph:
    """A spike goes round."""
    nodes = {"in": Input(n), "neurons": neurons or IF(0.5), "ring": sparse(n, delay_us), "out": Delay(0)}
    edges = [("in", "neurons"), ("ring", "neurons"), ("neurons", "ring"), ("neurons", "out")]
    if back_first:
        edges[:2] = edges[1::-1]
    return Graph(nodes, edges, continuous())


def cycles(graph: Graph) -> list[tuple[str, ...]]:
    """The populations of each cycle that has a kernel."""
    parts = lower_events(graph).parts
    return [tuple(one.name for one in part.populations) for part in parts if isinstance(part, Cycle)]


def test_cycles_of_populations_and_delays_have_a_kernel() -> None:
    assert cycles(ring()) == [("neurons",)]
    joined = {"in": Input(1), "add": Add(), "if": IF(0.5), "back": Delay(1e-6), "out": Delay(0)}
    edges = [("in", "add"), ("back", "add"), ("add", "if"), ("if", "back"), ("if", "out")]
    assert cycles(Graph(joined, edges, continuous())) == [("if",)]
    behind = joined | {"fc": Linear([[1.0]])}  # neurons that a synapse reaches directly, all together
    edges[3:4] = [("add", "fc"), ("fc", "if"), ("if", "back")]
    assert cycles(Graph(behind, [one for one in edges if one != ("add", "if")], continuous())) == []
    lonely = {"in": Input(1), "out": IF(0.5), "a": LIF(0.01, v_leak=2.0), "r": sparse(1, 3)}
    edges = [("in", "out"), ("a", "r"), ("r", "a")]
    assert cycles(Graph(lonely, edges, continuous())) == []  # nothing says how far its time has come


def two_cycles() -> Graph:
    """One feeds the other, over a synapse that the first goes through, too; a Delay leads on inside the second."""
    nodes = {"in": Input(2), "a": LIF(1e-4, 0.5), "r": sparse(2, 5, 0.6), "b": IF(0.5, refractory_s=3e-6)}
    nodes |= {"s": sparse(2, 9), "late": Delay(4e-6), "c": IF(0.25), "t": sparse(2, 2, 0.7), "out": Delay(0)}
    edges = [
        ("in", "a"),
        ("r", "a"),
        ("a", "r"),
        ("r", "b"),
        ("t", "b"),
        ("b", "s"),
        ("b", "late"),
        ("s", "b"),
    ]
    return Graph(nodes, [*edges, ("late", "c"), ("c", "t"), ("c", "out")], continuous())


def test_one_cycle_behind_another_and_a_synapse_that_leads_to_both() -> None:
    graph = two_cycles()
    assert sorted(map(sorted, cycles(graph))) == [["a"], ["b", "c"]]
    events = Events([1, 2, 2, 30, 41], [0, 0, 1, 1, 0], [1.0, 1.0, -0.25, 2.0, 1.0], (2,), duration_us=90)
    oracle = evaluate_events(graph, events)
    result = neuro.simulate(graph, events, record=dict.fromkeys(("a", "b", "r", "t", "late"), "spikes"))
    for name, found in (*result.spikes.items(), ("out", result.output)):
        values = found.value.tolist()
        assert list(zip(found.t_us.tolist(), found.index.tolist(), values, strict=True)) == oracle.left[name]
        assert values
    assert result.counters.synaptic_operations == {n: oracle.synaptic_operations[n] for n in ("r", "s", "t")}
    assert result.counters == neuro.simulate(graph, events).counters


@pytest.mark.parametrize("back_first", [True, False])
def test_what_comes_back_meets_the_input_in_the_order_of_edges(back_first: bool) -> None:
    graph = ring(back_first=back_first)
    output = neuro.simulate(graph, spikes((5, 0), (12, 0), n=2, duration_us=13)).output
    assert listed(output)[1:] == ([(12, 1), (12, 0)] if back_first else [(12, 0), (12, 1)])
    network = neuro.stream(graph)
    assert listed(network.feed(spikes((5, 0), n=2))) == [(5, 0)]
    assert listed(network.advance(12)) == ([(12, 1)] if back_first else [])
    assert listed(network.advance(13)) == ([] if back_first else [(12, 1)])


def test_time_without_events_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither before the first event, nor where one population waits long for another and hardly for itself."""
    monkeypatch.setattr(cycle_running, "_WORK", 2000)  # about a hundred waves in a call
    nodes = {
        "in": Input(1),
        "a": LIF(1e-4, 0.5),
        "far": sparse(1, 2**39),
        "b": IF(0.5),
        "near": sparse(1, 1, 0.25),
    }
    nodes |= {"back": sparse(1, 2**39, 0.25), "out": Delay(0)}
    edges = [
        ("in", "a"),
        ("back", "a"),
        ("a", "far"),
        ("far", "b"),
        ("near", "b"),
        ("b", "near"),
        ("b", "back"),
    ]
    graph = Graph(nodes, [*edges, ("b", "out")], continuous())
    calls: list[int] = []

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        assert len(calls) < 10, "it goes step by step"
        return run_cycle(*arguments)

    run_cycle = event_running.run_cycle
    monkeypatch.setattr(event_running, "run_cycle", counted)
    events = spikes((3, 0), (2**41, 0), duration_us=2**61)
    assert listed(neuro.simulate(graph, events).output) == [(2**39 + 3, 0), (2**39 + 2**41, 0)]
    network = neuro.stream(graph)
    assert listed(network.feed(spikes((3, 0)))) == [(2**39 + 3, 0)]
    assert listed(network.advance(2**40)) == []


def test_a_call_of_the_kernel_ends_and_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, events = ring(delay_us=1), spikes((5, 0), n=2, duration_us=5000)
    whole = neuro.simulate(graph, events).output
    monkeypatch.setattr(cycle_running, "_WORK", 100)
    calls: list[int] = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return run_cycle(*arguments)

    run_cycle = event_running.run_cycle
    monkeypatch.setattr(event_running, "run_cycle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        neuro.simulate(graph, events)
    assert len(calls) == 20
    assert listed(neuro.simulate(graph, events).output) == listed(whole)


def test_spikes_on_their_way_in_a_cycle_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "_AT_ONCE", 0)
    events = spikes(*((t, 0) for t in range(50)), n=2, duration_us=200)
    assert len(neuro.simulate(ring(delay_us=300), events, max_spikes=50).output) == 50
    text = r"'ring' holds too many spikes on their way, more than max_spikes = 40, the first too many at 1\d\d us"
    network = neuro.stream(ring(delay_us=100, neurons=IF(0.5)), max_spikes=40)
    network.feed(spikes(*((t, 0) for t in range(30)), n=2))
    with pytest.raises(neuro.InputError, match=text):
        network.feed(spikes(*((t, 0) for t in range(31, 50)), n=2))


def test_a_spike_beyond_the_last_time_is_refused() -> None:
    network = neuro.stream(ring(delay_us=7))
    network.feed(spikes((2**62 - 20, 0), n=2))
    text = f"SparseLinear 'ring': an event at {2**62 - 6} us would leave it after 2"
    with pytest.raises(neuro.InputError, match=text):
        network.advance(2**62)


def test_currents_come_back_and_membranes_are_asked_for_on_the_way() -> None:
    """A membrane behind all that happens at a time: the spike of 12 resets it."""
    monitor = neuro.Monitor("membrane", times_us=[5, 11, 12, 18])
    record = {"neurons": monitor}
    graph = ring(1, neurons=IF(1.5, reset="subtract"))
    events = Events([5, 12], [0, 0], [1.75, 0.5], (1,), duration_us=19)
    assert neuro.simulate(graph, events, record=record).membranes["neurons"].ravel().tolist() == [
        0.25,
        0.25,
        0.25,
        0.25,
    ]


def test_a_graph_without_synapses_in_its_cycle_ends() -> None:
    nodes = {
        "in": Input(1),
        "fc": Linear([[1.0]]),
        "a": IF(0.5),
        "r": SparseLinear([], [], [0, 0], 1, delay_s=1e-6),
    }
    graph = Graph(nodes, [("in", "fc"), ("fc", "a"), ("r", "a"), ("a", "r")], continuous())
    events = spikes((1, 0), (2**61, 0), duration_us=2**62)
    assert listed(neuro.simulate(graph, events, record={"a": "spikes"}).spikes["a"]) == [(1, 0), (2**61, 0)]
