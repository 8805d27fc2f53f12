"""Continuous execution by hand: spikes between events, refractory periods, currents, readouts, cycles, durations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuro
from neuro import Events
from neuro.graph import IF, LI, LIF, Add, Conv2d, CubaLIF, Delay, Graph, Input, Linear, continuous
from neuro.kernels.crossings import FAR, crossing_bound, current_crossing, membrane_after, next_crossing
from neuro.lowering import event_running
from neuro.lowering.layout import Layout
from neuro.lowering.timed import timing_of
from neuro.reference_event_neurons import _highest
from tests.event_chains import chain, listed, spikes

LN3_US = 2197.2245773362196  # 2 ms times ln 3: from 0 to 1 at a resting value of 1.5


# -- neurons driven above their threshold --------------------------------------------------------------------------


def test_a_driven_neuron_fires_on_whole_microseconds_and_begins_at_v_leak() -> None:
    graph = chain(Input(1), Linear([[1.0]], [1.5]), LIF(0.002))
    period = math.ceil(LN3_US)
    output = neuro.simulate(graph, spikes(duration_us=3 * period + 1)).output
    assert output.t_us.tolist() == [period, 2 * period, 3 * period]
    assert output.duration_us == 3 * period + 1
    assert len(neuro.simulate(graph, spikes(duration_us=3 * period)).output) == 2
    above = chain(Input(1), LIF(0.002, 1.0, v_leak=1.5))
    assert neuro.simulate(above, spikes(duration_us=period + 3)).output.t_us.tolist() == [1, 1 + period]


def test_an_event_moves_the_crossing() -> None:
    """Half a threshold at 1000 us: from there ln((1.5 - v) / 0.5) time constants are left."""
    graph = chain(Input(1), Linear([[0.5]], [1.5]), LIF(0.002))
    v = 1.5 * (1 - math.exp(-0.5)) + 0.25
    events = Events([1000], [0], [0.5], (1,), duration_us=2000)
    assert neuro.simulate(graph, events).output.t_us.tolist() == [
        1000 + math.ceil(2000 * math.log((1.5 - v) / 0.5))
    ]
    down = Events([1000, 1000], [0, 0], [-4.0, -4.0], (1,), duration_us=6500)
    v = 1.5 * (1 - math.exp(-0.5)) - 4
    assert neuro.simulate(graph, down).output.t_us.tolist() == [
        1000 + math.ceil(2000 * math.log((1.5 - v) / 0.5))
    ]


def test_only_the_neurons_that_are_driven_fire_without_input() -> None:
    graph = chain(Input(1), Linear([[0.25], [0.25], [0.25]], [1.0, 1.25, 0.5]), LIF(0.002))
    output = neuro.simulate(graph, spikes((50, 0), duration_us=4000)).output
    assert set(output.index.tolist()) == {0, 1}
    assert listed(output)[0] == (
        50,
        0,
    )  # rests at the threshold, does not fire there, but with any more it does
    assert output.index.tolist().count(0) == 1


def test_a_spike_of_its_own_stands_before_what_an_event_causes_at_the_same_time() -> None:
    graph = chain(Input(1), Linear([[4.0], [4.0], [0.0]], [0.5, 1.5, 1.5]), LIF(0.002))
    period = math.ceil(LN3_US)
    output = neuro.simulate(graph, spikes((period, 0), duration_us=period + 1)).output
    assert listed(output) == [(period, 1), (period, 2), (period, 0), (period, 1)]


def test_spikes_of_their_own_stand_by_row_column_channel() -> None:
    conv = Conv2d(np.ones((2, 1, 1, 1)), [1.5, 1.5])
    graph = chain(Input((1, 2, 2)), conv, LIF(0.002))
    output = neuro.simulate(graph, Events([], [], [], (1, 2, 2), duration_us=2300)).output
    assert output.index.tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert set(output.t_us.tolist()) == {math.ceil(LN3_US)}


def test_a_stream_fires_as_time_is_said_to_pass() -> None:
    network = neuro.stream(chain(Input(1), Linear([[2.0**-20]], [1.5]), LIF(0.002)))
    period = math.ceil(LN3_US)
    assert listed(network.advance(period - 1)) == []
    assert listed(network.advance(period)) == [(period, 0)]  # no event at this time can stand before it
    assert listed(network.advance(period)) == []
    assert listed(network.feed(spikes(duration_us=2 * period))) == [(2 * period, 0)]
    assert listed(network.feed(spikes((3 * period - 100, 0)))) == []
    assert listed(network.feed(spikes((3 * period + 5, 0)))) == [(3 * period, 0)]
    assert network.counters.spikes == {"n2": 3}


def test_a_threshold_that_is_only_approached() -> None:
    """Rest on the threshold: '>' never fires; '>=' when double precision reaches it, after about 37 time constants."""
    never = chain(Input(1), Linear([[1.0]], [1.0]), LIF(0.002))
    assert len(neuro.simulate(never, spikes(duration_us=10**9)).output) == 0
    reached = chain(Input(1), Linear([[1.0]], [1.0]), LIF(0.002, comparison=">="))
    output = neuro.simulate(reached, spikes(duration_us=100_000)).output
    assert len(output) == 1
    assert 36 * 2000 < output.t_us[0] < 38 * 2000


def test_a_crossing_too_far_away_is_none() -> None:
    slow = chain(Input(1), Linear([[1.0]], [float(np.nextafter(np.float32(1), np.float32(2)))]), LIF(1e12))
    assert len(neuro.simulate(slow, spikes(duration_us=2**62)).output) == 0


# -- refractory period ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", [IF(0.5, refractory_s=3e-6), LIF(0.01, 0.5, refractory_s=3e-6)])
def test_events_during_the_refractory_period_are_lost_and_counted(node: IF | LIF) -> None:
    events = spikes((10, 0), (10, 0), (12, 0), (13, 0), (15, 0), (16, 0))
    result = neuro.simulate(chain(Input(1), Linear([[1.0]]), node), events)
    assert listed(result.output) == [(10, 0), (13, 0), (16, 0)]
    assert result.counters.lost_in_refractory == {"n2": 3}
    assert result.counters.synaptic_operations == {"n1": 6}


@pytest.mark.parametrize(("reset", "after"), [("value", -0.5), ("subtract", 1.25), ("clamp", 1.0)])
def test_the_membrane_is_held_at_its_reset_value(reset: Any, after: float) -> None:
    """A readout of the value: an event 100 us behind the end finds the reset value decayed by 100 us only."""
    v_reset = -0.5 if reset == "value" else 0.0
    held = LIF(0.001, 1.0, reset=reset, v_reset=v_reset, refractory_s=0.002)
    decayed = after * math.exp(-0.1)
    for missing, n in ((1e-6, 2), (-1e-6, 1)):
        value = np.float32(1 - decayed + missing)
        found = neuro.simulate(chain(Input(1), held), Events([5, 2105], [0, 0], [2.25, value], (1,)))
        assert len(found.output) == n


@pytest.mark.parametrize(("comparison", "value", "n"), [(">", 1.0, 0), (">", 1.0000001, 1), (">=", 1.0, 1)])
def test_ties_in_double_precision(comparison: Any, value: float, n: int) -> None:
    node = LIF(0.01, 1.0, comparison=comparison, refractory_s=1e-6)
    assert len(neuro.simulate(chain(Input(1), node), Events([3], [0], [value], (1,))).output) == n


def test_a_refractory_period_of_nothing_is_none() -> None:
    plain = neuro.simulate(chain(Input(1), IF(0.5)), spikes((1, 0), (1, 0), (2, 0)))
    held = neuro.simulate(chain(Input(1), IF(0.5, refractory_s=0.0)), spikes((1, 0), (1, 0), (2, 0)))
    assert listed(plain.output) == listed(held.output)


# -- currents ------------------------------------------------------------------------------------------------------


def test_a_current_fires_after_its_event_never_on_it() -> None:
    graph = chain(Input(1), Linear([[1e6]]), CubaLIF(0.01, 0.005))
    assert listed(neuro.simulate(graph, spikes((7, 0))).output)[0] == (8, 0)


def test_a_current_goes_on_while_the_membrane_is_held() -> None:
    """One strong event: the intervals are the refractory period and what the decayed current then needs."""
    node = CubaLIF(0.01, 0.01, 1.0, refractory_s=0.004)
    output = neuro.simulate(chain(Input(1), Linear([[20.0]]), node), spikes((0, 0))).output
    gaps = np.diff(output.t_us)
    assert len(output) > 3
    assert (gaps > 4000).all()
    assert (np.diff(gaps) > 0).all()


def test_events_reach_the_current_of_a_held_neuron() -> None:
    node = CubaLIF(0.01, 0.01, 1.0, refractory_s=0.02)
    graph = chain(Input(1), Linear([[100.0]]), node)
    once = neuro.simulate(graph, spikes((0, 0)))
    twice = neuro.simulate(graph, spikes((0, 0), (5000, 0)))
    assert len(twice.output) > len(once.output)
    assert twice.output.t_us[0] == once.output.t_us[0] < 5000
    assert twice.output.t_us[1] > once.output.t_us[0] + 20_000
    assert twice.counters.lost_in_refractory == {"n2": 0}


def test_inhibition_puts_a_crossing_off_or_prevents_it() -> None:
    graph = chain(Input(2), Linear([[5.0, -5.0]]), CubaLIF(0.01, 0.005))
    alone = neuro.simulate(graph, spikes((0, 0), n=2)).output.t_us
    assert alone.size == 1
    before = neuro.simulate(graph, spikes((0, 0), (int(alone[0]) - 1, 1), n=2)).output.t_us
    on_time = neuro.simulate(graph, spikes((0, 0), (int(alone[0]), 1), n=2)).output.t_us
    assert on_time.tolist() == alone.tolist()  # its own spike stands before the event
    assert before.size == 0 or before[0] >= alone[0]


FINITE = st.floats(-8, 8, width=32)


@given(
    state=st.tuples(FINITE, FINITE | st.floats(0, 200), st.sampled_from([-1.0, 0.0, 0.75, 1.0, 1.25])),
    tau_mem_us=st.sampled_from([1.0, 3.0, 20.0, 333.0]),
    ratio=st.sampled_from([0.05, 0.5, 1 - 1e-9, 1.0, 1 + 1e-12, 1.0001, 2.0, 30.0]),
    comparison=st.sampled_from([">", ">="]),
)
def test_the_next_crossing_is_the_first_microsecond_that_fires(
    state: tuple[float, float, float], tau_mem_us: float, ratio: float, comparison: Any
) -> None:
    """Against looking at one microsecond after the other, far beyond where anything moves."""
    v, i, rest = state
    node = CubaLIF(tau_mem_us * 1e-6, tau_mem_us * ratio * 1e-6, 1.0, comparison=comparison)
    timing = timing_of(node, np.float64(rest), 0, Layout.of((1,)))
    found = next_crossing(timing, np.uint64(0), v, i)
    last = int(60 * tau_mem_us * max(ratio, 1)) + 60
    first = next(
        (n for n in range(1, last) if membrane_after(timing, np.uint64(0), v, i, n) > timing.fire_above[0]),
        FAR,
    )
    assert found == first
    assert 1 <= crossing_bound(timing, np.uint64(0), v, i) <= first


def test_far_peaks_and_slow_neurons_do_not_overflow() -> None:
    timing = timing_of(CubaLIF(1e12, 1e13), np.float64(0), 0, Layout.of((1,)))
    assert 0 < current_crossing(timing, np.uint64(0), 0.0, 1e30) < FAR
    assert current_crossing(timing, np.uint64(0), -1e30, 1.5) == FAR
    touching = timing_of(CubaLIF(0.01, 0.01), np.float64(1), 0, Layout.of((1,)))
    assert crossing_bound(touching, np.uint64(0), 1.0, 5e-324) == FAR


# -- readouts ------------------------------------------------------------------------------------------------------


def test_a_readout_gives_its_membrane_at_each_event() -> None:
    graph = chain(Input(2), Linear([[0.5, -1.0], [0.25, 0.0]]), LI(0.01))
    result = neuro.simulate(graph, spikes((0, 0), (0, 1), (10_000, 0), n=2))
    assert listed(result.output) == [(0, 0), (0, 1), (0, 0), (0, 1), (10_000, 0), (10_000, 1)]
    late = [0.5 - 0.5 * math.exp(-1), 0.25 + 0.25 * math.exp(-1)]
    assert result.output.value.tolist() == [0.5, 0.25, -0.5, 0.25, *(float(np.float32(v)) for v in late)]
    assert result.counters.spikes == {"n2": 0}


def test_a_readout_of_nothing_is_no_event() -> None:
    output = neuro.simulate(chain(Input(1), Linear([[0.0], [1.0]]), LI(0.01)), spikes((3, 0))).output
    assert listed(output) == [(3, 1)]


@pytest.mark.parametrize(("weights", "value"), [([3e38, 3e38], "inf"), ([3e38, 3e38, -3e38], "inf")])
def test_a_readout_that_overflows_is_named(weights: list[float], value: str) -> None:
    graph = chain(Input(1), LI(1e6))
    n = len(weights)
    events = Events(range(7, 7 + n), [0] * n, weights, (1,))
    text = f"LI 'n1': hands on {value} at 8 us, values must be finite in float32; scale down the weights before it"
    with pytest.raises(neuro.InputError, match=text):
        neuro.simulate(graph, events)
    with pytest.raises(neuro.InputError, match=text):
        neuro.stream(graph).feed(events)


# -- cycles --------------------------------------------------------------------------------------------------------


def ring(delay_us: int, *, back_first: bool) -> Graph:
    """A spike runs through two neurons and comes back; what goes around also leaves."""
    nodes = {"in": Input(2), "add": Add(), "fc": Linear([[0.0, 1.0], [1.0, 0.0]]), "if": IF(0.5)}
    nodes |= {"back": Delay(delay_us * 1e-6), "out": Delay(0)}
    both = [("in", "add"), ("back", "add")]
    edges = [
        *(both[::-1] if back_first else both),
        ("add", "fc"),
        ("fc", "if"),
        ("if", "back"),
        ("if", "out"),
    ]
    return Graph(nodes, edges, continuous())


def test_a_spike_runs_in_a_ring_until_the_end() -> None:
    events = spikes((5, 0), n=2, duration_us=30)
    output = neuro.simulate(ring(7, back_first=False), events).output
    assert listed(output) == [(5, 1), (12, 0), (19, 1), (26, 0)]
    assert len(neuro.simulate(ring(1, back_first=True), events).output) == 25


@pytest.mark.parametrize("back_first", [True, False])
def test_what_comes_back_meets_the_input_in_the_order_of_edges(back_first: bool) -> None:
    events = spikes((5, 0), (12, 0), n=2, duration_us=13)
    output = neuro.simulate(ring(7, back_first=back_first), events).output
    assert listed(output)[1:] == ([(12, 0), (12, 1)] if back_first else [(12, 1), (12, 0)])


def test_a_stream_with_a_cycle_gives_what_is_certain() -> None:
    network = neuro.stream(ring(7, back_first=True))
    assert listed(network.feed(spikes((5, 0), n=2))) == [(5, 1)]
    assert listed(network.advance(11)) == []
    assert listed(network.advance(12)) == [(12, 0)]  # the edge of the cycle stands before the Input's
    other = neuro.stream(ring(7, back_first=False))
    other.feed(spikes((5, 0), n=2))
    assert listed(other.advance(12)) == []  # an event of the Input may still stand before it
    assert listed(other.advance(13)) == [(12, 0)]
    assert [t for t, _ in listed(other.advance(40))] == [19, 26, 33]


def test_a_long_silence_in_a_cycle_costs_nothing() -> None:
    nodes = {"in": Input(1), "add": Add(), "if": IF(1.5), "back": Delay(1e-6), "out": Delay(0)}
    edges = [("in", "add"), ("back", "add"), ("add", "if"), ("if", "back"), ("if", "out")]
    events = spikes((0, 0), (2**40, 0), (2**60, 0), duration_us=2**61)
    output = neuro.simulate(Graph(nodes, edges, continuous()), events).output
    assert listed(output) == [(2**40, 0), (2**60, 0)]  # the spike of the first is half of the second


def test_a_long_way_into_a_cycle_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cycle need not go step by step through a time for which all inputs are known to be silent."""
    waves: list[int] = []

    def counted(plan: Any, run: Any, batches: dict[str, Any], wanted: Any) -> None:
        waves.append(batches["in"].mark)
        assert len(waves) < 30, "it goes step by step"
        through(plan, run, batches, wanted)

    through = event_running._through
    monkeypatch.setattr(event_running, "_through", counted)
    nodes = {"in": Input(1), "late": Delay(1.0), "add": Add(), "if": IF(0.5), "back": Delay(1e-6)}
    nodes |= {"weak": Linear([[0.25]]), "out": Delay(0)}
    edges = [
        ("in", "late"),
        ("late", "add"),
        ("weak", "add"),
        ("add", "if"),
        ("if", "back"),
        ("back", "weak"),
    ]
    graph = Graph(nodes, [*edges, ("if", "out")], continuous())
    output = neuro.simulate(graph, spikes((3, 0), (70, 0), duration_us=10**7)).output
    assert listed(output) == [(1_000_003, 0), (1_000_070, 0)]


@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.9, 0.9985, 1.0, 1.0015, 1.2, 5.0, 50.0])
def test_the_reference_knows_how_high_a_current_lifts(ratio: float) -> None:
    """It looks no further where this bound says that nothing can fire: never below the closed form's largest value."""
    t = np.geomspace(1e-4, 400, 400_001)
    value = t * np.exp(-t) if ratio == 1 else ratio / (ratio - 1) * (np.exp(-t / ratio) - np.exp(-t))
    bound = float(_highest(np.array([1.0]), np.array([ratio]))[0])
    assert bound >= value.max()
    assert bound <= value.max() * (1 + 1e-7) or abs(ratio - 1) < 1e-3
