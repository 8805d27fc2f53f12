"""Continuous execution by hand: largest pools, sparse synapses with delays, joined currents, membranes, limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import neuro
from neuro import Events, Monitor
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    SparseLinear,
    continuous,
)
from neuro.lowering import spreading
from tests.event_chains import chain, spikes


def listed(events: Events) -> list[tuple[int, int, float]]:
    """(t_us, index, value) of all events."""
    return list(zip(events.t_us.tolist(), events.index.tolist(), events.value.tolist(), strict=True))


# -- MaxPool2d (R151) ----------------------------------------------------------------------------------------------


def test_a_window_hands_on_its_largest_event_of_a_time() -> None:
    graph = chain(Input((1, 2, 2)), MaxPool2d(2))
    events = Events([1, 1, 1, 2, 2, 2], [0, 3, 1, 0, 1, 2], [1, 1, 1, 2, 1, 5], (1, 2, 2))
    assert listed(neuro.simulate(graph, events).output) == [(1, 0, 1.0), (2, 0, 2.0), (2, 0, 3.0)]


def test_spikes_of_a_window_at_one_time_are_one_also_in_pieces() -> None:
    graph = chain(Input((1, 2, 2)), MaxPool2d(2))
    network = neuro.stream(graph)
    one = Events([7], [0], [1.0], (1, 2, 2))
    assert listed(network.feed(one)) == [(7, 0, 1.0)]
    assert listed(network.feed(one)) == []
    assert listed(network.feed(Events([8], [3], [1.0], (1, 2, 2)))) == [(8, 0, 1.0)]


def test_clocked_steps_of_a_microsecond_have_the_same_maxima() -> None:
    rng = np.random.default_rng(0)
    frames = (rng.random((200, 2, 6, 6)) < 0.05).astype(np.float32)
    nodes = {"in": Input((2, 6, 6)), "pool": MaxPool2d(3, 2, 1)}
    stepped = neuro.simulate(Graph(nodes, [("in", "pool")], neuro.graph.clocked(1e-6)), frames).output
    t_us, index = np.nonzero(frames.reshape(200, -1))
    found = neuro.simulate(
        Graph(nodes, [("in", "pool")], continuous()), Events(t_us, index, np.ones(t_us.size), (2, 6, 6))
    ).output
    dense = np.zeros_like(stepped).reshape(200, -1)
    np.add.at(dense, (found.t_us, found.index), found.value)
    assert np.array_equal(dense.reshape(stepped.shape), stepped)


def test_negative_events_before_a_max_pool_are_refused() -> None:
    graph = chain(Input((1, 2, 2)), Delay(1e-6), MaxPool2d(2))
    events = Events([3, 4], [0, 1], [1.0, -0.5], (1, 2, 2))
    text = "MaxPool2d 'n2' needs values >= 0, got -0.5 in event 1 at 4 us"
    with pytest.raises(neuro.InputError, match=text):
        neuro.simulate(graph, events)
    with pytest.raises(neuro.InputError, match=text):
        neuro.stream(graph).feed(events)


# -- SparseLinear and currents on their own (R150) -------------------------------------------------------------------


def test_every_synapse_has_its_delay() -> None:
    sparse = SparseLinear.from_coo(
        [0, 1, 0], [0, 0, 1], [0.5, 2.0, 0.75], n_out=2, n_in=2, delay_s=[3e-6, 0.0, 1e-3]
    )
    graph = chain(Input(2), sparse, LI(1e6))
    result = neuro.simulate(graph, spikes((10, 0), (11, 1), (1008, 0), n=2), record={"n1": "spikes"})
    assert listed(result.spikes["n1"]) == [
        (10, 1, 2.0), (13, 0, 0.5), (1008, 1, 2.0), (1011, 0, 0.75), (1011, 0, 0.5)]  # fmt: skip
    assert result.counters.synaptic_operations == {"n1": 5}
    assert result.counters.neuron_updates == {"n2": 5}


def test_what_arrives_at_one_time_stands_in_the_order_of_its_causes() -> None:
    """Inhibition that set out earlier arrives first, and keeps the neuron silent."""
    sparse = SparseLinear.from_coo([0, 0], [0, 1], [-1.0, 1.0], n_out=1, n_in=2, delay_s=[5e-6, 2e-6])
    assert len(neuro.simulate(chain(Input(2), sparse, IF(0.5)), spikes((0, 0), (3, 1), n=2)).output) == 0
    late = SparseLinear.from_coo([0, 0], [0, 1], [1.0, -1.0], n_out=1, n_in=2, delay_s=[5e-6, 2e-6])
    output = neuro.simulate(chain(Input(2), late, IF(0.5)), spikes((0, 0), (3, 1), n=2)).output
    assert listed(output) == [(5, 0, 1.0)]


def test_a_stream_holds_back_what_is_on_its_way() -> None:
    sparse = SparseLinear.from_coo([0, 1], [0, 0], [1.0, 1.0], n_out=2, n_in=1, delay_s=[1e-6, 9e-6])
    network = neuro.stream(chain(Input(1), sparse, IF(0.5)))
    assert listed(network.feed(spikes((0, 0)))) == [(1, 0, 1.0)]
    assert listed(network.feed(spikes((5, 0)))) == [(6, 0, 1.0)]
    assert listed(network.advance(9)) == [(9, 1, 1.0)]
    assert listed(network.finish()) == [(14, 1, 1.0)]


def test_several_synapses_and_a_cycle_of_sparse_synapses() -> None:
    ring = SparseLinear.from_coo(
        [1, 2, 0], [0, 1, 2], np.ones(3), n_out=3, n_in=3, delay_s=[2e-6, 3e-6, 4e-6]
    )
    nodes = {"in": Input(1), "enter": Linear([[1.0], [0.0], [0.0]]), "neurons": IF(0.5), "ring": ring}
    edges = [("in", "enter"), ("enter", "neurons"), ("ring", "neurons"), ("neurons", "ring")]
    graph = Graph(nodes, edges, continuous())
    events = spikes((1, 0), duration_us=20)
    found = neuro.simulate(graph, events, record={"neurons": "spikes"}).spikes["neurons"]
    assert listed(found) == [(1, 0, 1), (3, 1, 1), (6, 2, 1), (10, 0, 1), (12, 1, 1), (15, 2, 1), (19, 0, 1)]
    with pytest.raises(neuro.InputError, match="'ring' closes a cycle, so the run needs an end"):
        neuro.simulate(graph, spikes((1, 0)))


def test_a_cycle_of_no_synapses_at_all_ends() -> None:
    """Random wiring may leave one out: the waves through the cycle have to move on."""
    ring = SparseLinear([], [], [0, 0], 1, delay_s=3e-6)
    nodes = {"in": Input(1), "neuron": IF(0.5), "ring": ring}
    edges = [("in", "neuron"), ("ring", "neuron"), ("neuron", "ring")]
    events = spikes((1, 0), (2, 0), (70, 0), duration_us=2**62)
    result = neuro.simulate(Graph(nodes, edges, continuous()), events, record={"neuron": "spikes"})
    assert listed(result.spikes["neuron"]) == [(1, 0, 1), (2, 0, 1), (70, 0, 1)]
    assert result.counters.synaptic_operations == {"ring": 0}


def residual(bias: float) -> Graph:
    """Two convolutions whose currents are added before the neurons."""
    nodes = {
        "in": Input((1, 3, 3)),
        "a": Conv2d(np.full((1, 1, 3, 3), 0.25), [bias], padding=1),
        "b": Conv2d(np.full((1, 1, 1, 1), 0.5), [bias / 2]),
        "add": Add(),
        "lif": LIF(0.01),
    }
    edges = [("in", "a"), ("in", "b"), ("a", "add"), ("b", "add"), ("add", "lif")]
    return Graph(nodes, edges, continuous())


def test_joined_currents_reach_neurons_one_by_one() -> None:
    events = Events([5, 5], [4, 4], [1.0, 1.0], (1, 3, 3))
    result = neuro.simulate(residual(0.0), events)
    assert listed(result.output) == [(5, 4, 1.0)]  # 0.25 + 0.25 + 0.5 is the threshold, and 0.5 more is above
    assert result.counters.synaptic_operations == {"a": 18, "b": 2}
    assert result.counters.neuron_updates == {"lif": 20}


def test_biases_of_joined_currents_add_up() -> None:
    monitor = Monitor("membrane", times_us=[0, 100])
    events = Events([], [], [], (1, 3, 3))
    result = neuro.simulate(residual(0.5), events, record={"lif": monitor})
    assert result.membranes["lif"].tolist() == np.full((2, 1, 3, 3), 0.75).tolist()
    driven = residual(2.0)
    with pytest.raises(neuro.InputError, match="'lif' fires without input"):
        neuro.simulate(driven, events)


def test_pooled_and_concatenated_biases() -> None:
    nodes = {
        "in": Input((1, 3, 3)),
        "a": Conv2d(np.ones((1, 1, 1, 1)), [0.5]),
        "b": Conv2d(np.ones((1, 1, 1, 1))),
        "both": Concat(),
        "pool": AvgPool2d(2, 1, 1),
        "lif": LIF(0.01),
    }
    edges = [("in", "a"), ("in", "b"), ("a", "both"), ("b", "both"), ("both", "pool"), ("pool", "lif")]
    result = neuro.simulate(
        Graph(nodes, edges, continuous()),
        Events([], [], [], (1, 3, 3)),
        record={"lif": Monitor("membrane", times_us=[3])},
    )
    corner, side, inner = 0.125, 0.25, 0.5
    first = [[corner, side, side, corner], [side, inner, inner, side], [side, inner, inner, side],
             [corner, side, side, corner]]  # fmt: skip
    assert result.membranes["lif"].tolist() == [[first, np.zeros((4, 4)).tolist()]]


# -- membranes at requested times (R152) -----------------------------------------------------------------------------


def test_membranes_between_events_follow_the_closed_form() -> None:
    """Each value is a product of a float32 factor and a float32 membrane: within 2^-23 of the exact exponential."""
    times = [0, 99, 100, 150, 1100, 10_100]
    graph = chain(Input(1), Linear([[0.5]]), LIF(0.001))
    result = neuro.simulate(graph, spikes((100, 0)), record={"n2": Monitor("membrane", times_us=times)})
    exact = [0, 0, *(0.5 * math.exp(-(t - 100) / 1000) for t in times[2:])]
    assert np.abs(result.membranes["n2"][:, 0] - exact).max() <= 2.0**-23
    assert result.membranes["n2"].shape == (6, 1)


def test_a_membrane_is_taken_behind_all_that_happens_at_its_time() -> None:
    graph = chain(Input(1), Linear([[0.75]]), IF(1.0, reset="subtract"))
    events = spikes((4, 0), (4, 0), (4, 0), (5, 0))
    result = neuro.simulate(graph, events, record={"n2": Monitor("membrane", times_us=[3, 4, 5])})
    assert result.membranes["n2"][:, 0].tolist() == [0.0, 0.25, 1.0]


def test_asking_for_membranes_changes_nothing() -> None:
    graph = chain(Input(1), Linear([[0.6]]), LIF(3e-5))
    events = spikes(*((t, 0) for t in range(0, 300, 7)))
    plain = neuro.simulate(graph, events).output
    asked = neuro.simulate(graph, events, record={"n2": Monitor("membrane", times_us=range(0, 400))})
    assert listed(asked.output) == listed(plain)


def test_held_and_driven_membranes() -> None:
    node = LIF(0.002, v_leak=1.5, v_reset=0.25, refractory_s=0.001)
    times = [0, 1, 700, 1_400, 1_700]
    result = neuro.simulate(
        chain(Input(1), node),
        spikes(duration_us=2_000),
        record={"n1": [Monitor("membrane", times_us=times), "spikes"]},
    )
    assert result.spikes["n1"].t_us.tolist() == [1]
    v = [0.25 if t <= 1001 else 1.5 - 1.25 * math.exp(-(t - 1001) / 2000) for t in times]
    v[0] = 1.5
    assert result.membranes["n1"][:, 0] == pytest.approx(v, abs=1e-15)


def test_a_stream_knows_the_membranes_that_are_certain() -> None:
    monitor = Monitor("membrane", times_us=[10, 20, 30])
    network = neuro.stream(chain(Input(1), CubaLIF(0.01, 0.01)), record={"n1": monitor})
    network.feed(spikes((10, 0)))
    assert network.membranes["n1"].shape == (0, 1)  # more may come at 10
    network.advance(25)
    assert network.membranes["n1"].shape == (2, 1)
    network.finish()
    exact = [0.0, *(t / 1e4 * math.exp(-t / 1e4) for t in (10, 20))]
    assert network.membranes["n1"][:, 0] == pytest.approx(exact, rel=1e-14)


def test_a_stream_counts_and_bounds_what_it_records() -> None:
    record = {"n1": ["rate", Monitor("spikes", limit=2, overflow="count")], "in": "spikes"}
    graph = Graph({"in": Input(2), "n1": IF(0.5)}, [("in", "n1")], continuous())
    network = neuro.stream(graph, record=record)
    network.feed(spikes((1, 0), (2, 1), n=2))
    assert network.spike_counts["n1"].tolist() == [1, 1]
    assert network.left_out == {"n1": {"spikes": 0}}
    network.feed(spikes((3, 1), n=2))
    network.finish()
    assert network.spike_counts["n1"].tolist() == [1, 2]
    assert network.left_out == {"n1": {"spikes": 1}}
    assert listed(network.spikes["n1"]) == [(1, 0, 1.0), (2, 1, 1.0)]
    assert len(network.spikes["in"]) == 3


def test_monitors_of_continuous_graphs() -> None:
    graph = chain(Input(2), IF(0.5))
    events = spikes((1, 0), (2, 1), (3, 1), n=2)
    few = Monitor("spikes", limit=2, overflow="count")
    result = neuro.simulate(graph, events, record={"n1": [few, "rate"]})
    assert listed(result.spikes["n1"]) == [(1, 0, 1.0), (2, 1, 1.0)]
    assert result.left_out == {"n1": {"spikes": 1}}
    assert result.spike_counts["n1"].tolist() == [1, 2]
    with pytest.raises(neuro.InputError, match=r"IF 'n1' handed on more than the 2 events .* at 3 us"):
        neuro.simulate(graph, events, record={"n1": Monitor("spikes", limit=2)})


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"kind": "spikes", "times_us": [1]}, "times_us are those of membranes, a monitor of 'spikes'"),
        ({"kind": "membrane", "times_us": [1], "limit": 3}, "takes no limit beside them"),
        ({"kind": "membrane", "times_us": [1, 1]}, "times_us must ascend, got 1 after 1"),
        ({"kind": "membrane", "times_us": [0.5]}, "times_us must be a whole number of microseconds, got 0.5"),
        ({"kind": "membrane", "times_us": [-1]}, r"times_us must be from 0 to 2\*\*62 us, got -1"),
    ],
)
def test_wrong_times_are_named(words: dict[str, Any], text: str) -> None:
    with pytest.raises(neuro.InputError, match=text):
        Monitor(**words)


def test_times_that_do_not_fit_the_run() -> None:
    monitor = Monitor("membrane", times_us=[5])
    with pytest.raises(neuro.InputError, match=r"times_us of IF 'n1' must lie before duration_us = 5, got 5"):
        neuro.simulate(chain(Input(1), IF()), spikes(duration_us=5), record={"n1": monitor})
    clocked = Graph({"in": Input(1), "if": IF()}, [("in", "if")], neuro.graph.clocked(0.001))
    with pytest.raises(neuro.InputError, match=r"IF 'if' is in a clocked graph, .* leave times_us out"):
        neuro.simulate(clocked, np.ones((2, 1)), record={"if": monitor})


# -- spikes without end (R153) -----------------------------------------------------------------------------------------


def exploding() -> Graph:
    """Every spike causes two in the next microsecond."""
    nodes = {"in": Input(1), "enter": Linear([[1.0], [1.0]]), "neurons": IF(0.5), "out": Delay(0)}
    nodes["back"] = SparseLinear.from_dense(np.ones((2, 2)), delay_s=1e-6)
    edges = [
        ("in", "enter"),
        ("enter", "neurons"),
        ("back", "neurons"),
        ("neurons", "back"),
        ("neurons", "out"),
    ]
    return Graph(nodes, edges, continuous())


def test_spikes_that_multiply_are_stopped_and_named() -> None:
    events = spikes((100, 0), duration_us=2**40)
    text = (
        r"'neurons' fired too often in one call, more than max_spikes = 1000, the first too many at 108 us\. 'back' "
        "closes a cycle, .* weaken its weights"
    )
    with pytest.raises(neuro.InputError, match=text):
        neuro.simulate(exploding(), events, max_spikes=1000)
    short = spikes((100, 0), duration_us=108)
    whole = neuro.simulate(exploding(), short, max_spikes=1000)
    assert whole.counters.spikes["neurons"] == 2 * (2**8 - 1)
    network = neuro.stream(exploding(), max_spikes=1000)
    assert len(network.feed(spikes((100, 0)))) == 2
    assert len(network.advance(107)) == 2 * (2**7 - 1) - 2  # the input may still stand before those at 107
    with pytest.raises(neuro.InputError, match=text.replace("108", "109")):
        network.advance(2**40)
    with pytest.raises(neuro.InputError, match="the stream is finished"):
        network.advance(2**40)


def test_the_limit_is_exact_and_counts_each_population_for_itself() -> None:
    graph = chain(Input(1), IF(0.5), IF(0.5))
    events = spikes(*((t, 0) for t in range(50)))
    assert neuro.simulate(graph, events, max_spikes=50).counters.spikes == {"n1": 50, "n2": 50}
    with pytest.raises(
        neuro.InputError, match=r"'n1' fired too often .* max_spikes = 49, .* at 49 us\. Weaken"
    ):
        neuro.simulate(graph, events, max_spikes=49)
    with pytest.raises(neuro.InputError, match="max_spikes must be a whole number >= 1, got 0"):
        neuro.simulate(graph, events, max_spikes=0)
    clocked = Graph({"in": Input(1), "if": IF()}, [("in", "if")], neuro.graph.clocked(0.001))
    with pytest.raises(
        neuro.InputError, match=r"max_spikes bounds continuous graphs; bound .* neuro\.Monitor"
    ):
        neuro.simulate(clocked, np.ones((2, 1)), max_spikes=5)  # type: ignore[call-overload]


def test_neurons_that_fire_by_themselves_are_stopped_too() -> None:
    """A clamped current neuron fires in every microsecond for as long as its current is above."""
    graph = chain(Input(1), Linear([[1e30]]), CubaLIF(1.0, 1e6, 1.0, reset="clamp"))
    with pytest.raises(neuro.InputError, match=r"'n2' fired too often .* = 100000, .* at 100001 us"):
        neuro.simulate(graph, spikes((0, 0)), max_spikes=100_000)


def test_spikes_on_their_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "_AT_ONCE", 0)
    sparse = SparseLinear.from_coo([0, 0], [0, 0], [1.0, 1.0], n_out=1, n_in=1, delay_s=[0.0, 1.0])
    graph = chain(Input(1), sparse, IF(1e9))
    events = spikes(*((t, 0) for t in range(50)))
    assert neuro.simulate(graph, events, max_spikes=100).counters.synaptic_operations == {"n1": 100}
    with pytest.raises(
        neuro.InputError, match="'n1' hands on too many spikes at once, more than max_spikes = 49"
    ):
        neuro.stream(graph, max_spikes=49).feed(events)
    network = neuro.stream(graph, max_spikes=49)
    for t in range(49):
        network.feed(spikes((t, 0)))
    with pytest.raises(
        neuro.InputError, match="'n1' holds too many spikes on their way, more than max_spikes = 49"
    ):
        network.feed(spikes((49, 0)))


def test_currents_that_go_round_without_neurons_are_stopped() -> None:
    nodes = {"in": Input(1), "add": Add(), "a": Delay(1e-6), "b": Delay(2e-6), "if": IF(1e9)}
    edges = [("in", "add"), ("a", "add"), ("b", "add"), ("add", "a"), ("add", "b"), ("add", "if")]
    graph = Graph(nodes, edges, continuous())
    with pytest.raises(neuro.InputError, match=r"'[ab]' handed on too many spikes in one call"):
        neuro.simulate(graph, spikes((0, 0), duration_us=10**6), max_spikes=1000)
