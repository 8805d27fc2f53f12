"""Cycles of populations in one kernel give the bits of waves node by node: events, membranes, counts, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from neuro import Events, Monitor
from neuro.graph import NEURONS, Graph
from neuro.lowering import continuous as continuous_lowering
from neuro.lowering import cycle_running
from neuro.lowering.continuous import lower_events
from neuro.reference_events import evaluate_events
from tests.cyclic_strategies import cyclic_graphs
from tests.event_strategies import membrane_times, timed_events

Parts = list[list[tuple[int, int, float]]]


def listed(events: Events) -> list[tuple[int, int, float]]:
    return list(zip(events.t_us.tolist(), events.index.tolist(), events.value.tolist(), strict=True))


@contextmanager
def node_by_node() -> Iterator[None]:
    """As if no cycle had a kernel."""
    kept = continuous_lowering.cycles_of
    try:
        continuous_lowering.cycles_of = lambda *_: None
        lower_events.cache_clear()
        yield
    finally:
        continuous_lowering.cycles_of = kept
        lower_events.cache_clear()


@contextmanager
def little_room(piece: int, work: int, window: float) -> Iterator[None]:
    """Lists that are full all the time, and short calls."""
    kept = {name: getattr(cycle_running, name) for name in ("_PIECE", "_OUT", "_WORK", "_OWN", "_WAYS")}
    spikes = continuous_lowering._WINDOW_SPIKES
    try:
        for name, value in {"_PIECE": piece, "_OUT": 1, "_WORK": work, "_OWN": 1, "_WAYS": 1}.items():
            setattr(cycle_running, name, value)
        continuous_lowering._WINDOW_SPIKES = window
        lower_events.cache_clear()
        yield
    finally:
        for name, value in kept.items():
            setattr(cycle_running, name, value)
        continuous_lowering._WINDOW_SPIKES = spikes
        lower_events.cache_clear()


def drawn_record(data: st.DataObject, graph: Graph, end_us: int) -> dict[str, list[str | Monitor]]:
    """Events of some nodes, membranes of some."""
    names = [name for name in lower_events(graph).nodes if data.draw(st.booleans())]
    record: dict[str, list[str | Monitor]] = {name: ["spikes"] for name in names}
    for name, times in data.draw(membrane_times(graph, end_us)).items():
        record.setdefault(name, []).append(Monitor("membrane", times_us=times))
    return record


def refusal(graph: Graph, err: neuro.InputError) -> dict[str, Any]:
    """What a run was refused with; which of several populations is named depends on the order of work."""
    n = sum(isinstance(node, NEURONS) for node in graph.nodes.values())
    assert "fired too often" in str(err)
    return {"refused": str(err) if n == 1 else n}


def found(graph: Graph, events: Events, record: Any, limit: int) -> dict[str, Any]:
    """All that a run gives, or what it is refused with."""
    try:
        result = neuro.simulate(graph, events, record=record, max_spikes=limit)
    except neuro.InputError as err:
        return refusal(graph, err)
    return {
        "outputs": {name: listed(one) for name, one in result.outputs.items()},
        "spikes": {name: listed(one) for name, one in result.spikes.items()},
        "membranes": {name: one.tolist() for name, one in result.membranes.items()},
        "counters": result.counters,
    }


def parts_of(
    graph: Graph, pieces: list[Events], marks: list[int], end_us: int, record: Any
) -> tuple[Parts, dict[str, Any]]:
    """What a stream gives, piece by piece and mark by mark, and what it has recorded and counted."""
    network = neuro.stream(graph, duration_us=end_us, record=record, max_spikes=2000)
    parts: Parts = []
    try:
        for piece, mark in zip(pieces, marks, strict=True):
            parts += [listed(network.feed(piece)), listed(network.advance(mark))]
        parts.append(listed(network.finish()))
    except neuro.InputError as err:
        return [], refusal(graph, err)
    kept = {
        "spikes": {name: listed(one) for name, one in network.spikes.items()},
        "membranes": {name: one.tolist() for name, one in network.membranes.items()},
        "counters": network.counters,
    }
    return parts, kept


@given(data=st.data())
@settings(max_examples=80)
def test_the_kernel_gives_what_waves_node_by_node_give(data: st.DataObject) -> None:
    graph = data.draw(cyclic_graphs())
    events = data.draw(timed_events(graph.shapes[graph.input_name]))
    record = drawn_record(data, graph, int(events.duration_us or 0))
    limit = data.draw(st.sampled_from([3, 2000]))
    assert lower_events(graph).parts
    whole = found(graph, events, record, limit)
    room = (
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(1, 60)),
        data.draw(st.sampled_from([1e-3, 20])),
    )
    with little_room(*room):
        assert found(graph, events, record, limit) == whole
    with node_by_node():
        assert not lower_events(graph).parts
        assert found(graph, events, record, limit) == whole


@given(data=st.data())
@settings(max_examples=30)
def test_the_kernel_gives_what_the_oracle_gives(data: st.DataObject) -> None:
    graph = data.draw(cyclic_graphs())
    events = data.draw(timed_events(graph.shapes[graph.input_name]))
    result = found(graph, events, None, 500)
    if "refused" in result:
        return
    oracle = evaluate_events(graph, events)
    assert result["outputs"] == {name: oracle.left[name] for name in result["outputs"]}
    assert result["counters"].spikes == {name: oracle.spikes[name] for name in result["counters"].spikes}


@given(data=st.data())
@settings(max_examples=60)
def test_every_piece_of_a_stream_gives_what_waves_give_then(data: st.DataObject) -> None:
    graph = data.draw(cyclic_graphs())
    events = data.draw(timed_events(graph.shapes[graph.input_name]))
    end_us = int(events.duration_us or 0)
    record = drawn_record(data, graph, end_us)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=6)))
    pieces, marks = [], []
    for a, b in pairwise([0, *cuts, len(events)]):
        pieces.append(Events(events.t_us[a:b], events.index[a:b], events.value[a:b], events.shape))
        before = max([0, *marks, *events.t_us[:b].tolist()])
        after = int(events.t_us[b]) if b < len(events) else min(end_us, before + 100)
        marks.append(data.draw(st.integers(before, max(before, after))))
    whole = parts_of(graph, pieces, marks, end_us, record)
    with little_room(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 60)), 20):
        assert parts_of(graph, pieces, marks, end_us, record) == whole
    with node_by_node():
        assert parts_of(graph, pieces, marks, end_us, record) == whole
