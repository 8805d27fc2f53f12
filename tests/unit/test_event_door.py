"""Continuous execution: what is refused, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neuro
from neuro import Events
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    Delay,
    Graph,
    Input,
    Izhikevich,
    Linear,
    PoissonSource,
    SparseLinear,
    Stdp,
    TemporalAttention,
    clocked,
    continuous,
)
from neuro.lowering.continuous import lower_events
from tests.event_chains import chain, spikes

EVENTS = spikes((1, 0))
ATTENTION = TemporalAttention(np.zeros((1, 2)), [0.0], np.zeros((2, 1)), [0.0, 0.0], 0.5)


def cyclic(delay_s: float) -> Graph:
    """Spikes that come back."""
    nodes = {"in": Input(1), "add": Add(), "if": IF(0.5), "back": Delay(delay_s), "out": Delay(0)}
    edges = [("in", "add"), ("back", "add"), ("add", "if"), ("if", "back"), ("if", "out")]
    return Graph(nodes, edges, continuous())


DRIVEN = chain(Input(1), Linear([[1.0]], [1.5]), LIF(0.002))


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        (
            chain(Input(1), LI(0.01), IF()),
            "LI 'n1': is a readout, .* nothing may stand behind it, .* goes to 'n2'",
        ),
        (chain(Input((1, 2, 2)), ATTENTION), "TemporalAttention 'n1': scores frames"),
        (
            chain(Input(1), Linear([[1.0]])),
            "Linear 'n1': .* must end in neurons .*, it goes to nothing",
        ),
        (chain(Input(1), Linear([[1.0]]), Delay(0.1)), "Linear 'n1': .* it goes to 'n2' and no further"),
        (chain(Input(1), Linear([[1.0]]), Linear([[1.0]]), IF()), "Linear 'n1': .* it goes to 'n2'"),
        (
            chain(Input(1), Linear([[1.0]], [0.1]), IF()),
            "IF 'n2': a bias drives it without end; use LIF, or leave",
        ),
        (
            chain(Input(1), IF(0.0, comparison=">=")),
            "IF 'n1': its resting value 0 must not fire, got threshold 0 with",
        ),
        (chain(Input(1), IF(-0.5)), "IF 'n1': its resting value 0 must not fire, got threshold -0.5 with"),
        (
            chain(Input(1), IF(refractory_s=1.5e-6)),
            "IF 'n1': refractory_s must be a multiple of 1 microsecond",
        ),
        (chain(Input(1), LIF(0.01, refractory_s=1e7)), r"LIF 'n1': refractory_s must be below 2\*\*40 us"),
        (chain(Input(1), Delay(1.5e-6)), "Delay 'n1': delay_s must be a multiple of 1 microsecond"),
        (chain(Input(1), Delay(3e12), Delay(3e12)), "delays add up to 6000000000000000000 us"),
        (
            chain(Input(1), LIF(0.01, v_start=0.5)),
            "LIF 'n1': v_start is computed in clocked networks of populations only",
        ),
        (cyclic(1e-14), "Delay 'back': closes a cycle, so it must delay by 1 microsecond or more"),
    ],
)
def test_what_is_not_supported_is_refused(graph: Graph, text: str) -> None:
    events = Events([], [], [], graph.shapes[graph.input_name])
    with pytest.raises(neuro.GraphError, match=text):
        neuro.simulate(graph, events)
    with pytest.raises(neuro.GraphError, match=text):
        neuro.stream(graph)


def test_what_runs_in_steps_only_is_refused() -> None:
    with pytest.raises(neuro.GraphError, match=r"Izhikevich 'n1': is computed in steps, .* use clocked"):
        lower_events(chain(Input(1), Izhikevich(0.02, 0.2, -65.0, 8.0)))
    plastic = SparseLinear([1.0], indices=[0], indptr=[0, 1], n_in=1, stdp=Stdp(0.1, 0.1, 0.01, 0.01, 1.0))
    with pytest.raises(neuro.GraphError, match="SparseLinear 'n1': stdp is computed in clocked networks"):
        neuro.stream(chain(Input(1), plastic, LIF(0.01)))
    between = SparseLinear([1.0], indices=[0], indptr=[0, 1], n_in=1, delay_s=[1.5e-6])
    with pytest.raises(
        neuro.GraphError, match=r"'n1': delay_s must be multiples of 1 microsecond .* delay_s\[0\]"
    ):
        neuro.stream(chain(Input(1), between, LIF(0.01)))
    nodes = {"lif": LIF(np.ones(2)), "w": SparseLinear.from_dense(np.ones((2, 2)), delay_s=1e-3)}
    alone = Graph(nodes, [("lif", "w"), ("w", "lif")], continuous())
    with pytest.raises(neuro.GraphError, match="Graph: continuous execution needs an Input"):
        lower_events(alone)


PLAIN = chain(Input(1), Linear([[1.0]]), IF())
COUNTING = chain(Input(1, max_count=2), IF())
WRONG: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: neuro.simulate(PLAIN, np.ones((3, 1))),
        "continuous, not clocked: it takes neuro.Events of shape",
    ),
    (lambda: neuro.simulate(PLAIN, spikes((1, 0), n=2)), r"needs events of shape \(1,\), got \(2,\)"),
    (lambda: neuro.simulate(PLAIN, EVENTS, state=object()), "a continuous graph takes no state; feed pieces"),
    (lambda: neuro.simulate(PLAIN, EVENTS, record={"x": "spikes"}), "there is no node 'x'"),
    (
        lambda: neuro.simulate(PLAIN, EVENTS, record={"n2": "membrane"}),
        "membranes of IF 'n2' change all the time .* name the times: neuro.Monitor",
    ),
    (lambda: neuro.simulate(PLAIN, EVENTS, record={"n1": "spikes"}), "Linear 'n1' hands on currents"),
    (
        lambda: neuro.simulate(COUNTING, Events([7], [0], [3.0], (1,))),
        "max_count = 2, got 3 in event 0 at 7 us",
    ),
    (lambda: neuro.simulate(COUNTING, Events([7], [0], [0.5], (1,))), "max_count = 2, got 0.5"),
    (
        lambda: neuro.simulate(Graph({"in": Input(1)}, [], clocked(1)), EVENTS),
        "takes neuro.Spikes.*got Events",
    ),
    (
        lambda: neuro.Stream(Graph({"in": Input(1)}, [], clocked(1))),
        "Stream: the graph's execution is clocked",
    ),
    (lambda: Events([1], [1], [1], (1,)), r"index\[0\] = 1 must be inside the 1 entries of \(1,\)"),
    (lambda: Events([-1], [0], [1], (1,)), r"t_us\[0\] = -1 must be inside 0 to 2\*\*62"),
    (lambda: Events([2**62 + 1], [0], [1], (1,)), r"must be inside 0 to 2\*\*62"),
    (lambda: Events([0.5], [0], [1], (1,)), "t_us must hold integers, got float64"),
    (
        lambda: Events([1, 2], [0, 0], [1, np.nan], (1,)),
        r"value\[1\] must be finite and not 0 in float32, got nan",
    ),
    (lambda: Events([1], [0], [1e-60], (1,)), "not 0 in float32, got 1e-60; leave the event out"),
    (lambda: Events([1], [0], ["a"], (1,)), "value must hold real numbers"),
    (lambda: Events([1], [[0]], [1], (1,)), "index must have one axis"),
    (lambda: Events([1], [0, 0], [1], (1,)), r"must have one length, got \(1, 2, 1\)"),
    (lambda: Events([3, 2], [0, 0], [1, 1], (1,)), r"times must not go backwards, got t_us\[1\] = 2 after 3"),
    (lambda: Events([1], [0], [1], 3), "shape must be a tuple"),  # type: ignore[arg-type]
    (lambda: Events([1], [0], [1], (0,)), "shape must hold whole numbers >= 1, got 0"),
    (lambda: Events([1], [0], [1], (2**16, 2**16)), "the limit is 2147483647"),
    (
        lambda: Events([1, 5], [0, 0], [1, 1], (1,), duration_us=5),
        r"before duration_us = 5, got t_us\[1\] = 5",
    ),
    (
        lambda: Events([1, 5], [0, 0], [1, 2**24 + 1], (1,)),
        r"value\[1\] is the whole number 16777217, which float32 would round",
    ),
    (
        lambda: Events([1], [0], np.array([2**64 - 1], np.uint64), (1,)),
        r"value\[0\] is the whole number 18446744073709551615, which float32 would round",
    ),
    (lambda: Events([], [], [], (1,), duration_us=2.5), "duration_us must be a whole number"),  # type: ignore[arg-type]
    (lambda: Events([], [], [], (1,), duration_us=-1), r"duration_us must be from 0 to 2\*\*62 us, got -1"),
    (lambda: Events([], [], [], (1,), duration_us=2**62 + 1), r"duration_us must be from 0 to 2\*\*62 us"),
    (
        lambda: neuro.simulate(DRIVEN, EVENTS),
        r"'n2' fires without input, so the run needs an end: pass .*duration_us",
    ),
    (lambda: neuro.simulate(cyclic(1e-6), EVENTS), "'back' closes a cycle, so the run needs an end"),
    (
        lambda: neuro.stream(DRIVEN).finish(),
        r"'n2' fires without input, so it has no last spike; call advance",
    ),
    (lambda: neuro.stream(DRIVEN, duration_us=1.0), "stream: duration_us must be a whole number"),  # type: ignore[arg-type]
    (
        lambda: neuro.stream(PLAIN, duration_us=1).feed(EVENTS),
        "must lie before duration_us = 1, got one at 1 us",
    ),
    (lambda: neuro.stream(PLAIN).advance(-1), r"t_us must be from 0 to 2\*\*62 us, got -1"),
    (
        lambda: neuro.simulate(DRIVEN, Events([10**14], [0], [1], (1,), duration_us=10**14 + 1)),
        r"about 4.6e\+10 spikes without input from 0 to 100000000000001 us, the limit is 2\*\*31",
    ),
    (lambda: neuro.stream(DRIVEN).advance(10**14), r"the limit is 2\*\*31; .* in smaller parts"),
    (
        lambda: neuro.simulate(chain(Input(1), Delay(1.0)), spikes((2**62 - 5, 0))),
        r"Delay 'n1': an event at 4611686018427387899 us would leave it after 2\*\*62 us",
    ),
    (lambda: neuro.stream(PLAIN).feed(np.ones(3)), "it takes neuro.Events"),  # type: ignore[arg-type]
    (lambda: neuro.stream("net.h5"), "stream: graph must be a neuro.graph.Graph, got str"),  # type: ignore[arg-type]
    (lambda: neuro.verify(None), "verify: graph must be a neuro.graph.Graph, got NoneType"),  # type: ignore[arg-type]
    (
        lambda: neuro.stream(
            Graph({"noise": PoissonSource(9.0, 3, 1), "n": IF(1.5)}, [("noise", "n")], clocked(0.001))
        ),
        r"stream: the network has no Input to feed; run it with neuro.simulate\(n_steps=",
    ),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_bad_input_is_named(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(neuro.InputError, match=text):
        call()


def test_a_stream_refuses_the_past_and_a_second_end() -> None:
    network = neuro.stream(PLAIN)
    network.feed(spikes((5, 0)))
    with pytest.raises(neuro.InputError, match=r"must not go back in time, got t_us\[0\] = 4 after 5"):
        network.feed(spikes((4, 0)))
    assert network.counters.events_in == 1
    network.advance(7)
    with pytest.raises(neuro.InputError, match="cannot advance to 6 us, it is at 7 us already"):
        network.advance(6)
    with pytest.raises(neuro.InputError, match=r"must not go back in time, got t_us\[0\] = 6 after 7"):
        network.feed(spikes((6, 0)))
    network.feed(spikes((7, 0)))
    network.finish()
    for call in (network.finish, lambda: network.feed(spikes((9, 0))), lambda: network.advance(9)):
        with pytest.raises(neuro.InputError, match="the stream is finished; make a new one"):
            call()
    nodes = {"in": Input(1), "a": IF(), "b": IF()}
    with pytest.raises(neuro.InputError, match=r"needs a graph with one sink, it has 2 \(a, b\)"):
        neuro.stream(Graph(nodes, [("in", "a"), ("in", "b")], continuous()))
    both = neuro.simulate(Graph(nodes, [("in", "a"), ("in", "b")], continuous()), spikes((5, 0)))
    with pytest.raises(neuro.InputError, match="the graph has 2 sinks"):
        _ = both.output
