"""Continuous execution against the reference, bit for bit, and the laws it obeys (R52 to R62, R90 to R98)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from neuro import Events, Monitor
from neuro.graph import LIF, SYNAPSES, Conv2d, Delay, Flatten, Graph, Input, Linear, SparseLinear, continuous
from neuro.lowering import continuous as continuous_lowering
from neuro.lowering import event_running as lowering
from neuro.lowering import flow, timed
from neuro.lowering.continuous import lower_events
from neuro.reference_events import EventEvaluation, evaluate_events
from tests.event_strategies import (
    event_graphs,
    event_lists,
    event_neurons,
    fitting,
    membrane_times,
    timed_events,
    timed_graphs,
)

WEIGHTED = (*SYNAPSES, SparseLinear)


def listed(events: Events) -> list[tuple[int, int, float]]:
    """Events as plain tuples."""
    return list(zip(events.t_us.tolist(), events.index.tolist(), events.value.tolist(), strict=True))


def sliced(events: Events, start: int, stop: int) -> Events:
    """A part of a recording."""
    part = slice(start, stop)
    return Events(events.t_us[part], events.index[part], events.value[part], events.shape)


def assert_equal_to_oracle(graph: Graph, result: neuro.EventResult, oracle: EventEvaluation) -> None:
    """Everything that left every node, and the counts."""
    for name, events in (*result.outputs.items(), *result.spikes.items()):
        assert listed(events) == oracle.left[name], name
        assert events.shape == graph.shapes[name]
    assert result.membranes.keys() == oracle.membranes.keys()
    for name, membranes in result.membranes.items():
        assert membranes.tolist() == oracle.membranes[name].tolist(), name
    counters = result.counters
    assert counters.spikes == {name: oracle.spikes[name] for name in counters.spikes}
    assert counters.synaptic_operations == {
        name: oracle.synaptic_operations[name] for name, n in graph.nodes.items() if isinstance(n, WEIGHTED)
    }
    assert counters.neuron_updates == {name: oracle.neuron_updates[name] for name in counters.neuron_updates}
    assert counters.lost_in_refractory == {
        n: oracle.lost_in_refractory[n] for n in counters.lost_in_refractory
    }


def recordable(graph: Graph, times_us: dict[str, tuple[int, ...]]) -> dict[str, list[str | Monitor]]:
    """All nodes that events leave, and membranes at some times."""
    record: dict[str, list[str | Monitor]] = {name: ["spikes"] for name in lower_events(graph).nodes}
    for name, times in times_us.items():
        record[name].append(Monitor("membrane", times_us=times))
    return record


def assert_same_recordings(network: neuro.Stream, whole: neuro.EventResult) -> None:
    """What a stream has recorded, and what one call has."""
    assert {n: listed(e) for n, e in network.spikes.items()} == {
        n: listed(e) for n, e in whole.spikes.items()
    }
    assert {n: v.tolist() for n, v in network.membranes.items()} == {
        n: v.tolist() for n, v in whole.membranes.items()
    }


@given(data=st.data())
@settings(max_examples=60)
def test_random_graphs_equal_the_oracle(data: st.DataObject) -> None:
    graph = data.draw(event_graphs())
    events = fitting(graph, data.draw(event_lists(graph.shapes[graph.input_name])))
    last_us = int(events.t_us[-1]) if len(events) else 0
    times_us = data.draw(membrane_times(graph, last_us + 500))
    result = neuro.simulate(graph, events, record=recordable(graph, times_us))
    assert_equal_to_oracle(graph, result, evaluate_events(graph, events, times_us=times_us))
    assert result.counters.events_in == len(events)


@given(data=st.data())
@settings(max_examples=40)
def test_every_chunking_gives_the_events_of_one_call(data: st.DataObject) -> None:
    graph = data.draw(event_graphs(one_sink=True))
    events = fitting(graph, data.draw(event_lists(graph.shapes[graph.input_name])))
    last_us = int(events.t_us[-1]) if len(events) else 0
    record = recordable(graph, data.draw(membrane_times(graph, last_us + 500)))
    whole = neuro.simulate(graph, events, record=record)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=6)))
    network = neuro.stream(graph, record=record)
    parts = [network.feed(sliced(events, a, b)) for a, b in pairwise([0, *cuts, len(events)])]
    parts.append(network.finish())
    assert [event for part in parts for event in listed(part)] == listed(whole.output)
    assert network.counters == whole.counters
    assert_same_recordings(network, whole)


@given(data=st.data())
@settings(max_examples=20)
def test_the_size_of_blocks_and_of_rooms_does_not_matter(data: st.DataObject) -> None:
    graph = data.draw(event_graphs())
    events = fitting(graph, data.draw(event_lists(graph.shapes[graph.input_name])))
    whole = neuro.simulate(graph, events)
    kept = lowering._BLOCK_EVENTS, flow._ROOM
    try:
        lowering._BLOCK_EVENTS, flow._ROOM = data.draw(st.integers(1, 9)), 0
        small = neuro.simulate(graph, events)
    finally:
        lowering._BLOCK_EVENTS, flow._ROOM = kept
    assert {n: listed(e) for n, e in small.outputs.items()} == {
        n: listed(e) for n, e in whole.outputs.items()
    }
    assert small.counters == whole.counters


@given(data=st.data(), shift=st.sampled_from([1, 1023, 10**9, 2**50]))
@settings(max_examples=20)
def test_a_shift_in_time_shifts_the_output(data: st.DataObject, shift: int) -> None:
    graph = data.draw(event_graphs())
    events = fitting(graph, data.draw(event_lists(graph.shapes[graph.input_name])))
    later = Events(events.t_us + shift, events.index, events.value, events.shape)
    first, second = neuro.simulate(graph, events), neuro.simulate(graph, later)
    for name, output in first.outputs.items():
        assert listed(second.outputs[name]) == [(t + shift, i, v) for t, i, v in listed(output)]


@given(data=st.data())
@settings(max_examples=20)
def test_permuted_neurons_give_permuted_spikes(data: st.DataObject) -> None:
    n_in, n_out = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 8))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    events = data.draw(event_lists((n_in,)))
    weight = rng.normal(0.3, 0.4, (n_out, n_in))
    threshold, tau_s = rng.uniform(0.3, 1, n_out), rng.uniform(1e-4, 1e-2, n_out)
    order = rng.permutation(n_out)

    def run(at: np.ndarray) -> list[tuple[int, int, float]]:
        nodes = {"in": Input(n_in), "fc": Linear(weight[at]), "lif": LIF(tau_s[at], threshold[at])}
        graph = Graph(nodes, [("in", "fc"), ("fc", "lif")], continuous())
        return listed(neuro.simulate(graph, events).output)

    permuted = [(t, int(order[i]), v) for t, i, v in run(order)]
    assert sorted(permuted) == sorted(run(np.arange(n_out)))


@given(data=st.data())
@settings(max_examples=20)
def test_two_networks_behind_each_other_are_one(data: st.DataObject) -> None:
    events = data.draw(event_lists((2, 5, 5)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    conv, fc = Conv2d(rng.normal(0.3, 0.4, (4, 2, 3, 3)), padding=1), Linear(rng.normal(0.2, 0.3, (3, 100)))
    a, b = data.draw(event_neurons((4, 5, 5))), data.draw(event_neurons((3,)))
    first = {"in": Input((2, 5, 5)), "conv": conv, "a": a, "delay": Delay(3e-6)}
    second = {"flat": Flatten(), "fc": fc, "b": b}

    def chain(nodes: dict) -> Graph:  # type: ignore[type-arg]
        return Graph(nodes, list(pairwise(nodes)), continuous())

    middle = neuro.simulate(chain(first), events).output
    apart = neuro.simulate(chain({"in": Input((4, 5, 5)), **second}), middle).output
    assert listed(apart) == listed(neuro.simulate(chain(first | second), events).output)


# -- neurons with times of their own, cycles, readouts (R90 to R98) ------------------------------------------------


@given(data=st.data())
@settings(max_examples=60)
def test_random_timed_graphs_equal_the_oracle(data: st.DataObject) -> None:
    graph = data.draw(timed_graphs())
    events = fitting(graph, data.draw(timed_events(graph.shapes[graph.input_name])))
    times_us = data.draw(membrane_times(graph, int(events.duration_us or 0)))
    result = neuro.simulate(graph, events, record=recordable(graph, times_us))
    assert_equal_to_oracle(graph, result, evaluate_events(graph, events, times_us=times_us))


@given(data=st.data())
@settings(max_examples=60)
def test_every_chunking_and_every_mark_gives_the_events_of_one_call(data: st.DataObject) -> None:
    graph = data.draw(timed_graphs())
    events = fitting(graph, data.draw(timed_events(graph.shapes[graph.input_name])))
    record = recordable(graph, data.draw(membrane_times(graph, int(events.duration_us or 0))))
    whole = neuro.simulate(graph, events, record=record)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=6)))
    network = neuro.stream(graph, duration_us=events.duration_us, record=record)
    parts, mark = [], 0
    for a, b in pairwise([0, *cuts, len(events)]):
        parts.append(network.feed(sliced(events, a, b)))
        before = max(mark, int(events.t_us[b - 1]) if b else 0)
        after = int(events.t_us[b]) if b < len(events) else before + 100
        mark = data.draw(st.integers(before, after), label="mark")
        parts.append(network.advance(mark))
    parts.append(network.finish())
    assert [event for part in parts for event in listed(part)] == listed(whole.output)
    assert network.counters == whole.counters
    assert_same_recordings(network, whole)


@given(data=st.data())
@settings(max_examples=20)
def test_the_size_of_windows_and_rooms_does_not_matter(data: st.DataObject) -> None:
    graph = data.draw(timed_graphs())
    events = fitting(graph, data.draw(timed_events(graph.shapes[graph.input_name])))
    whole = neuro.simulate(graph, events)
    kept = lowering._BLOCK_EVENTS, flow._ROOM, timed._ROOM, continuous_lowering._WINDOW_SPIKES
    try:
        lowering._BLOCK_EVENTS, flow._ROOM, timed._ROOM = data.draw(st.integers(1, 9)), 0, 1
        continuous_lowering._WINDOW_SPIKES = data.draw(st.sampled_from([1e-3, 1, 20]))
        continuous_lowering.lower_events.cache_clear()
        small = neuro.simulate(graph, events)
    finally:
        lowering._BLOCK_EVENTS, flow._ROOM, timed._ROOM, continuous_lowering._WINDOW_SPIKES = kept
        continuous_lowering.lower_events.cache_clear()
    assert listed(small.output) == listed(whole.output)
    assert small.counters == whole.counters


@given(data=st.data())
@settings(max_examples=20)
def test_a_longer_duration_only_adds(data: st.DataObject) -> None:
    graph = data.draw(timed_graphs())
    events = fitting(graph, data.draw(timed_events(graph.shapes[graph.input_name])))
    assert events.duration_us is not None
    longer = Events(
        events.t_us, events.index, events.value, events.shape, duration_us=events.duration_us + 150
    )
    first, second = neuro.simulate(graph, events).output, neuro.simulate(graph, longer).output
    assert listed(second)[: len(first)] == listed(first)
    assert all(t >= events.duration_us for t, _, _ in listed(second)[len(first) :])


@given(data=st.data())
@settings(max_examples=30)
def test_a_stream_without_an_end_gives_what_one_with_an_end_gives(data: st.DataObject) -> None:
    graph = data.draw(timed_graphs())
    events = fitting(graph, data.draw(timed_events(graph.shapes[graph.input_name])))
    end = int(events.duration_us or 0)
    record = recordable(graph, data.draw(membrane_times(graph, end)))
    whole = neuro.simulate(graph, events, record=record)
    network = neuro.stream(graph, record=record)
    parts = [network.feed(sliced(events, 0, len(events)))]
    for mark in sorted(
        data.draw(st.lists(st.integers(int(network._run.mark), end), max_size=3), label="marks")
    ):
        parts.append(network.advance(mark))
    parts.append(network.advance(end))
    found = [event for part in parts for event in listed(part) if event[0] < end]
    assert found == listed(whole.output)
    membranes = {name: values.tolist() for name, values in network.membranes.items()}
    assert membranes == {name: values.tolist() for name, values in whole.membranes.items()}
