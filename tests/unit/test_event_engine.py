"""Continuous execution by hand: closed forms, ties, simultaneous events, delays, joins."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import neuro
from neuro import Events
from neuro.graph import (
    IF,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    SumPool2d,
    clocked,
    continuous,
)
from neuro.lowering.continuous import lower_events
from neuro.lowering.event_run import EventRun
from neuro.lowering.event_running import run_events
from tests.event_chains import chain, listed, spikes

NEXT_UP = float(np.nextafter(np.float32(1), np.float32(2)))
NEXT_DOWN = float(np.nextafter(np.float32(1), np.float32(0)))


def membrane_after(node: LIF | IF, events: Events, bias: float | None = None) -> float:
    """The membrane of one neuron at the time of the last event."""
    graph = chain(Input(1), Linear([[1.0]], None if bias is None else [bias]), node)
    run = EventRun()
    run_events(lower_events(graph), run, events, 0, {})
    return float(run.pixels["n2"].voltage[0])


# -- closed forms (R58, R59, R60) ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tau_mem_s", [1e-5, 0.003, 0.02, 7.0])
@pytest.mark.parametrize("v_leak", [0.0, -0.3])
def test_one_neuron_follows_the_exponentials(tau_mem_s: float, v_leak: float) -> None:
    """Error: each event rounds a factor, a difference, a product and two sums: 5 units of 2^-24 of the largest term.

    What is left of an error decays like the membrane, so n events leave at most 5 n 2^-24 times the bound on |v|.
    """
    rng = np.random.default_rng(0)
    n = 200
    t_us = np.cumsum(rng.integers(1, max(3, int(tau_mem_s * 1e6 / 10)), n))
    value = rng.uniform(-0.2, 0.2, n).astype(np.float32)
    found = membrane_after(LIF(tau_mem_s, 1e6, v_leak=v_leak), Events(t_us, np.zeros(n, int), value, (1,)))
    age_s = (t_us[-1] - t_us) * 1e-6
    exact = float(np.float32(v_leak)) + float(np.sum(value.astype(np.float64) * np.exp(-age_s / tau_mem_s)))
    bound = 5 * n * 2.0**-24 * (abs(v_leak) + float(np.abs(value).sum()))
    assert abs(found - exact) <= bound
    assert bound < 0.01


@pytest.mark.parametrize("elapsed", [1, 1023, 1024, 1025, 20_000, 4096 * 1024 - 1, 4096 * 1024, 10**8, 2**61])
@pytest.mark.parametrize("tau_mem_s", [0.002, 0.02, 2.0, 1e4])
def test_the_factor_of_decay_is_the_exponential_rounded(elapsed: int, tau_mem_s: float) -> None:
    """Two rounded exponentials and their product are within 4 units of 2^-53; float32 adds half a unit of 2^-24."""
    found = membrane_after(LIF(tau_mem_s, 10.0), Events([0, elapsed], [0, 0], [1.0, 2.0**-140], (1,)))
    exact = math.exp(-elapsed * 1e-6 / tau_mem_s)
    assert found == pytest.approx(exact, rel=2.0**-23.9, abs=2.0**-140)


def test_clocked_decay_converges_to_continuous() -> None:
    """With steps of 1 microsecond both compute one membrane; the clocked one rounds in every step."""
    rng = np.random.default_rng(1)
    steps = np.sort(rng.choice(3000, 40, replace=False))
    frames = np.zeros((3001, 1), np.float32)
    frames[steps] = 1
    node = LIF(0.002, 1.0, update="decay", reset="subtract")
    nodes = {"in": Input(1), "fc": Linear([[0.17]]), "lif": node}
    edges = [("in", "fc"), ("fc", "lif")]
    stepped = neuro.simulate(Graph(nodes, edges, clocked(1e-6)), frames).output[:, 0]
    events = Events(steps, np.zeros(40, int), np.ones(40), (1,))
    found = neuro.simulate(Graph(nodes, edges, continuous()), events).output
    assert found.t_us.tolist() == np.flatnonzero(stepped).tolist()
    assert len(found) > 3


def test_a_bias_moves_the_resting_value() -> None:
    node = LIF(0.01, 1.0, v_leak=0.25)
    assert membrane_after(node, Events([5], [0], [0.125], (1,)), bias=0.5) == 0.875
    late = membrane_after(node, Events([5, 10**9], [0, 0], [0.125, -0.5], (1,)), bias=0.5)
    assert late == 0.25
    silent = chain(Input(1), Linear([[0.25]], [0.75]), LIF(0.01, 1.0))
    assert listed(neuro.simulate(silent, spikes((7, 0))).output) == []  # 0.75 + 0.25 is not above 1


# -- boundaries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comparison", "value", "fires"),
    [(">", 1.0, 0), (">", NEXT_UP, 1), (">", NEXT_DOWN, 0), (">=", 1.0, 1), (">=", NEXT_DOWN, 0)],
)
@pytest.mark.parametrize("is_uniform", [True, False])
def test_a_tie_fires_only_at_or_above(comparison: Any, value: float, fires: int, is_uniform: bool) -> None:
    threshold = 1.0 if is_uniform else np.ones(1, np.float32)
    for node in (IF(threshold, comparison=comparison), LIF(0.01, threshold, comparison=comparison)):
        result = neuro.simulate(chain(Input(1), node), Events([3], [0], [value], (1,)))
        assert len(result.output) == fires


@pytest.mark.parametrize(("reset", "after"), [("value", -0.5), ("subtract", 1.5), ("clamp", 1.0)])
def test_resets(reset: Any, after: float) -> None:
    node = IF(1.0, -0.5 if reset == "value" else 0.0, reset=reset)
    assert membrane_after(node, Events([3], [0], [2.5], (1,))) == after


def test_an_event_makes_a_neuron_fire_once_and_the_next_event_compares_again() -> None:
    graph = chain(Input(1), IF(1.0, reset="subtract"))
    result = neuro.simulate(graph, Events([3, 3, 9, 9], [0, 0, 0, 0], [3.5, -0.25, -0.5, -0.5], (1,)))
    assert listed(result.output) == [(3, 0), (3, 0)]
    assert result.counters.spikes == {"n1": 2}


def test_simultaneous_events_act_in_the_order_listed() -> None:
    graph = chain(Input(2), Linear([[0.75, -0.5]]), IF(0.5))
    assert listed(neuro.simulate(graph, spikes((4, 0), (4, 1), n=2)).output) == [(4, 0)]
    assert listed(neuro.simulate(graph, spikes((4, 1), (4, 0), n=2)).output) == []


def test_spikes_of_one_event_stand_in_row_column_channel_order() -> None:
    graph = chain(Input((1, 2, 2)), Conv2d(np.ones((2, 1, 3, 3)), padding=1), IF(0.5))
    result = neuro.simulate(graph, Events([0], [3], [1.0], (1, 2, 2)))
    assert result.output.index.tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert result.output.shape == (2, 2, 2)


def test_an_event_crosses_all_layers_before_the_next() -> None:
    """The second event of the same time finds the membrane that the first one's spike has left behind."""
    graph = chain(Input(2), Linear([[1.0, 0.0], [0.0, 1.0]]), IF(0.5), Linear([[0.6, 0.6]]), IF(1.0))
    result = neuro.simulate(graph, spikes((1, 0), (1, 1), (1, 0), n=2), record={"n2": "spikes"})
    assert listed(result.spikes["n2"]) == [(1, 0), (1, 1), (1, 0)]
    assert listed(result.output) == [(1, 0)]


@pytest.mark.parametrize(("delay_s", "ticks"), [(0.0, 0), (1e-6, 1), (0.0023, 2300), (3600.0, 3_600_000_000)])
def test_delays_shift_times(delay_s: float, ticks: int) -> None:
    result = neuro.simulate(chain(Input(2), Delay(delay_s)), spikes((1, 1), (1, 0), (5, 1), n=2))
    assert listed(result.output) == [(1 + ticks, 1), (1 + ticks, 0), (5 + ticks, 1)]


def joined(node: Any, delay_s: float, *, delayed_first: bool = False) -> Graph:
    """The Input and its delayed self, joined."""
    nodes = {"in": Input(2), "late": Delay(delay_s), "join": node}
    both = [("in", "join"), ("late", "join")]
    return Graph(nodes, [("in", "late"), *(both[::-1] if delayed_first else both)], continuous())


def test_joins_order_by_time_then_edge() -> None:
    events = spikes((1, 0), (1, 1), (3, 0), n=2)
    assert listed(neuro.simulate(joined(Add(), 2e-6), events).output) == [
        (1, 0), (1, 1), (3, 0), (3, 0), (3, 1), (5, 0)]  # fmt: skip
    assert listed(neuro.simulate(joined(Concat(), 2e-6, delayed_first=True), events).output) == [
        (1, 2), (1, 3), (3, 0), (3, 1), (3, 2), (5, 0)]  # fmt: skip


def test_a_stream_gives_an_event_as_soon_as_it_is_certain() -> None:
    network = neuro.stream(joined(Add(), 2e-6))
    assert listed(network.feed(spikes((1, 0), n=2))) == [(1, 0)]
    assert listed(network.feed(spikes((3, 1), n=2))) == [
        (3, 1)
    ]  # (3, 0) of the delay waits: more may come at 3
    assert listed(network.feed(spikes(n=2))) == []
    assert listed(network.feed(spikes((4, 1), n=2))) == [(3, 0), (4, 1)]
    assert listed(network.finish()) == [(5, 1), (6, 1)]
    late_first = neuro.stream(joined(Add(), 2e-6, delayed_first=True))
    assert listed(late_first.feed(spikes((1, 0), n=2))) == [(1, 0)]  # the delay gives nothing before 3
    straight = neuro.stream(chain(Input(1), IF(0.5), Delay(1.0)))
    assert listed(straight.feed(spikes((1, 0)))) == [(1_000_001, 0)]


def test_pools_hand_events_to_every_window() -> None:
    events = Events([2], [4], [3.0], (1, 3, 3))
    graph = chain(Input((1, 3, 3)), SumPool2d(2, 1))
    assert neuro.simulate(graph, events).output.index.tolist() == [0, 1, 2, 3]
    found = neuro.simulate(chain(Input((1, 3, 3)), AvgPool2d(3)), events).output
    assert found.value.tolist() == [float(np.float32(3) / np.float32(9))]


def test_a_quotient_that_rounds_to_nothing_is_no_event() -> None:
    tiny = float(np.nextafter(np.float32(0), np.float32(1)))
    graph = chain(Input((1, 2, 2)), AvgPool2d(2))
    assert len(neuro.simulate(graph, Events([2, 3], [0, 1], [tiny, 1.0], (1, 2, 2))).output) == 1


def test_no_events_and_graphs_without_neurons() -> None:
    result = neuro.simulate(chain(Input((2, 3, 3)), Flatten()), Events([], [], [], (2, 3, 3)))
    assert len(result.output) == 0
    assert result.output.shape == (18,)
    assert result.counters.total_synaptic_operations == 0
    events = spikes((1, 1), n=2)
    assert listed(neuro.simulate(chain(Input(2)), events).output) == listed(events)
    assert len(neuro.simulate(chain(Input(1), IF()), [spikes(), spikes((1, 0))])) == 2


def test_times_up_to_the_last() -> None:
    graph = chain(Input(1), Linear([[0.75]]), LIF(0.01))
    assert listed(neuro.simulate(graph, spikes((2**62 - 1, 0), (2**62, 0))).output) == [(2**62, 0)]
    assert listed(neuro.simulate(graph, spikes((0, 0), (2**62, 0))).output) == []


def test_more_spikes_than_one_call_lists() -> None:
    n = 3000
    graph = chain(Input(1), Linear(np.ones((n, 1))), IF(0.5))
    result = neuro.simulate(graph, spikes(*((t, 0) for t in range(40))))
    assert (
        len(result.output)
        == result.counters.spikes["n2"]
        == result.counters.synaptic_operations["n1"]
        == 40 * n
    )
    assert result.output.t_us.tolist() == np.repeat(np.arange(40), n).tolist()


# -- the door (R52, R63) -------------------------------------------------------------------------------------------


def test_events_are_frozen_copies_and_survive_pickling() -> None:
    source = np.array([1, 2])
    events = Events(source, [0, 0], [1, 1], (1,))
    source[0] = 9
    assert events.t_us.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        events.t_us[0] = 0
    again = pickle.loads(pickle.dumps(events))
    assert listed(again) == listed(events)
    assert repr(events) == "Events(2 events, 1 to 2 us, shape=(1,))"
    lasting = pickle.loads(pickle.dumps(Events([1], [0], [1], (1,), duration_us=9)))
    assert repr(lasting) == "Events(1 events, 1 to 1 us, shape=(1,), duration_us=9)"
