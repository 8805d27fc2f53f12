"""Graphs: names, edges, order, shapes, timing (R5 to R13, R20, R21, R31)."""

from __future__ import annotations

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro.errors import GraphError
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    ChannelAttention,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Node,
    SparseLinear,
    SpatialAttention,
    SumPool2d,
    TemporalAttention,
    clocked,
    continuous,
)

EYE = np.eye(2, dtype=np.float32)


def chain(*nodes: Node, dt_s: float = 0.001, **words: object) -> Graph:
    """Join nodes one behind the other; they are called n0, n1, ..."""
    names = [f"n{i}" for i in range(len(nodes))]
    return Graph(
        dict(zip(names, nodes, strict=True)),
        list(itertools.pairwise(names)),
        clocked(dt_s),
        **words,
    )


CHANNELS = ChannelAttention(np.ones((1, 2)), [0.0], np.ones((2, 1)), [0.0, 0.0], 0.5)


def attention(n_frames: int = 3) -> TemporalAttention:
    return TemporalAttention(
        np.ones((1, n_frames)), np.zeros(1), np.ones((n_frames, 1)), np.zeros(n_frames), 0.5
    )


def diamond() -> tuple[dict[str, Node], list[tuple[str, str]]]:
    nodes = {"in": Input(2), "a": Linear(EYE), "b": Linear(2 * EYE), "sum": Add(), "lif": LIF(0.01)}
    return nodes, [("in", "a"), ("in", "b"), ("b", "sum"), ("a", "sum"), ("sum", "lif")]


def test_attributes() -> None:
    graph = Graph(*diamond(), clocked(0.001), metadata={"note": "x", "n": 3, "f": 0.5})
    assert graph.order == ("in", "a", "b", "sum", "lif")
    assert graph.predecessors("sum") == ("b", "a")
    assert graph.successors("in") == ("a", "b")
    assert graph.shapes == dict.fromkeys(graph.order, (2,))
    assert (graph.input_name, graph.output_names, graph.dt_s) == ("in", ("lif",), 0.001)
    assert dict(graph.metadata) == {"note": "x", "n": 3, "f": 0.5}
    with pytest.raises(TypeError):
        graph.nodes["x"] = Add()  # type: ignore[index]
    with pytest.raises(AttributeError):
        graph.edges = ()  # type: ignore[misc]


def test_repr_is_a_table() -> None:
    assert repr(Graph(*diamond(), clocked(0.001))) == (
        "Graph(clocked, dt_s = 0.001, 5 nodes, 8 parameters)\n"
        "  node  type    output  parameters  inputs\n"
        "  in    Input   2                0\n"
        "  a     Linear  2                4  in\n"
        "  b     Linear  2                4  in\n"
        "  sum   Add     2                0  b, a\n"
        "  lif   LIF     2                0  sum"
    )
    assert repr(Graph({"in": Input(2)}, [], continuous())).startswith("Graph(continuous, 1 nodes")


def test_graphs_are_values() -> None:
    nodes, edges = diamond()
    graph = Graph(nodes, edges, clocked(0.001))
    listed_otherwise = Graph(dict(reversed(nodes.items())), [edges[1], edges[0], *edges[2:]], clocked(0.001))
    for twin in (listed_otherwise, copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert twin == graph
        assert hash(twin) == hash(graph)
        assert twin.order == graph.order
    swapped = [*edges[:2], edges[3], edges[2], edges[4]]
    for other in (
        Graph(nodes, swapped, clocked(0.001)),
        Graph(nodes, edges, clocked(0.002)),
        Graph(nodes, edges, continuous()),
        Graph(nodes, edges, clocked(0.001), metadata={"a": 1}),
        Graph({**nodes, "lif": LIF(0.02)}, edges, clocked(0.001)),
        Graph({**nodes, "in": Input(2, 1)}, edges, clocked(0.001), weight_grid=1.0),
    ):
        assert other != graph
    assert graph != 3


def test_shapes_of_every_kind() -> None:
    graph = Graph(
        {
            "in": Input((4, 9, 8)),
            "conv": Conv2d(np.ones((6, 2, 3, 2)), stride=(2, 1), padding=(1, 0), dilation=(1, 3), groups=2),
            "lif": LIF(0.01, np.ones((6, 1, 1)), v_leak=np.zeros((6, 5, 5))),
            "pool": MaxPool2d(2, padding=1),
            "join": Concat(),
            "delay": Delay(0.002),
            "flat": Flatten(),
            "fc": Linear(np.ones((3, 108))),
            "li": LI(0.02, v_leak=np.zeros(3)),
        },
        [
            ("in", "conv"),
            ("conv", "lif"),
            ("lif", "pool"),
            ("pool", "join"),
            ("pool", "delay"),
            ("delay", "join"),
            ("join", "flat"),
            ("flat", "fc"),
            ("fc", "li"),
        ],
        clocked(0.001),
    )
    assert graph.shapes["conv"] == (6, 5, 5)
    assert graph.shapes["pool"] == (6, 3, 3)
    assert graph.shapes["join"] == (12, 3, 3)
    assert graph.shapes["fc"] == (3,)
    assert graph.delay_steps("delay") == 2


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3))
def test_conv_shape_counts_positions(n: int, kernel: int, padding: int, stride: int, dilation: int) -> None:
    """R16: as many outputs as there are places for the kernel in the padded input."""
    span = dilation * (kernel - 1) + 1
    places = [
        start
        for start in range(0, n + 2 * padding)
        if start % stride == 0 and start + span <= n + 2 * padding
    ]
    node = Conv2d(np.ones((1, 1, kernel, 1)), stride=stride, padding=(padding, 0), dilation=dilation)
    if places:
        assert chain(Input((1, n, stride)), node).shapes["n1"] == (1, len(places), 1)
    else:
        with pytest.raises(GraphError, match="the kernel spans"):
            chain(Input((1, n, stride)), node)


def recurrent(delay_s: float = 0.001, **words: object) -> Graph:
    return Graph(
        {
            "in": Input(2, 1),
            "sum": Add(),
            "lif": LIF(0.01),
            "back": Delay(delay_s),
            "w": Linear(EYE),
            "out": LI(0.1),
        },
        [("in", "sum"), ("sum", "lif"), ("lif", "back"), ("back", "w"), ("w", "sum"), ("lif", "out")],
        clocked(0.001),
        **words,
    )


def test_cycle_through_a_delay() -> None:
    graph = recurrent()
    assert graph.order.index("back") < graph.order.index("sum") < graph.order.index("lif")
    assert set(graph.shapes.values()) == {(2,)}
    assert recurrent(weight_grid=0.5).weight_grid == 0.5
    with pytest.raises(GraphError, match="is in a cycle without a Delay of at least one step"):
        recurrent(0.0)


def test_cycle_without_delay_is_named() -> None:
    nodes = {"in": Input(2), "sum": Add(), "w": Linear(EYE), "out": IF()}
    edges = [("in", "sum"), ("w", "sum"), ("sum", "w"), ("sum", "out")]
    with pytest.raises(GraphError, match=re.escape("Add 'sum': is in a cycle without a Delay")):
        Graph(nodes, edges, clocked(0.001))


def test_cycle_whose_shapes_disagree() -> None:
    nodes = {"in": Input(2), "sum": Add(), "d": Delay(1.0), "w": Linear(np.ones((3, 2))), "out": IF()}
    edges = [("in", "sum"), ("w", "sum"), ("sum", "d"), ("d", "w"), ("sum", "out")]
    with pytest.raises(GraphError, match="Add 'sum': inputs must have one shape"):
        Graph(nodes, edges, clocked(1.0))


IN = {"in": Input(2)}
IMAGE = Input((2, 4, 4))
REFUSED = [
    (lambda: Graph([], [], clocked(1)), "nodes must be a dictionary of names and nodes, got list"),
    (lambda: Graph({}, [], clocked(1)), "needs exactly one Input, got 0 (none)"),
    (lambda: Graph({"a": Input(1), "b": Input(1)}, [], clocked(1)), "needs exactly one Input, got 2 (a, b)"),
    (lambda: Graph({"a/b": Input(1)}, [], clocked(1)), "must be printable text without '/', got 'a/b'"),
    (lambda: Graph({"": Input(1)}, [], clocked(1)), "must be printable text without '/', got ''"),
    (lambda: Graph({"a": 3}, [], clocked(1)), "node 'a' must be a node type of neuro.graph, got int"),
    (lambda: Graph(IN, [("in", "x")], clocked(1)), "names 'x', which is not among the nodes"),
    (lambda: Graph(IN, ["in"], clocked(1)), "an edge is a pair (from, to) of node names, got 'in'"),
    (lambda: Graph(IN, [], 0.001), "execution must be clocked(dt_s) or continuous(), got 0.001"),
    (lambda: Graph(IN, [], clocked(0)), "Clocked: dt_s must be > 0 s, got 0.0"),
    (
        lambda: Graph({**IN, "s": Add()}, [("in", "s")], clocked(1)),
        "Add 's': needs two or more inputs, got 1",
    ),
    (lambda: Graph({**IN, "s": Add()}, [("in", "s")] * 2, clocked(1)), "edge ('in', 's') is listed twice"),
    (lambda: Graph({**IN, "l": IF()}, [], clocked(1)), "IF 'l': needs exactly one input, got 0"),
    (
        lambda: Graph({**IN, "a": IF(), "b": IF()}, [("in", "a"), ("in", "b"), ("a", "b")], clocked(1)),
        "IF 'b': needs exactly one input, got 2; join the inputs with an Add or Concat",
    ),
    (
        lambda: Graph({**IN, "a": IF()}, [("in", "a"), ("a", "in")], clocked(1)),
        "Input 'in': takes no edge, got 1",
    ),
    (
        lambda: Graph({**IN, "d": Delay(1), "a": IF()}, [("d", "a"), ("a", "d")], clocked(1)),
        "Delay 'd': cannot be reached from the Input 'in'",
    ),
    (
        lambda: Graph({**IN, "s": Add(), "d": Delay(1)}, [("in", "s"), ("d", "s"), ("s", "d")], clocked(1)),
        "needs a node without successors as its output",
    ),
    (
        lambda: chain(IMAGE, Linear(EYE)),
        "Linear 'n1': needs an input with one axis, got (2, 4, 4); put a Flatten",
    ),
    (lambda: chain(Input(3), Linear(EYE)), "Linear 'n1': weight (2, 2) needs 2 inputs, got 3"),
    (
        lambda: chain(Input(3), SumPool2d(2)),
        "SumPool2d 'n1': needs an input of shape (channels, rows, columns)",
    ),
    (
        lambda: chain(IMAGE, SumPool2d(5)),
        "SumPool2d 'n1': the kernel spans 5 x 5, more than the padded input 4 x 4",
    ),
    (
        lambda: chain(IMAGE, Conv2d(np.ones((4, 2, 1, 1)), groups=2)),
        "Conv2d 'n1': weight (4, 2, 1, 1) with groups = 2 needs 4 input channels, got 2",
    ),
    (
        lambda: chain(IMAGE, LIF(np.ones(2))),
        "LIF 'n1': tau_mem_s must be a number or have shape (2, 1, 1) or (2, 4, 4), got (2,)",
    ),
    (
        lambda: chain(Input(2), IF(np.ones(3))),
        "IF 'n1': threshold must be a number or have shape (2,), got (3,)",
    ),
    (
        lambda: Graph(
            {"in": IMAGE, "p": SumPool2d(2), "s": Add()}, [("in", "p"), ("in", "s"), ("p", "s")], clocked(1)
        ),
        "Add 's': inputs must have one shape, got (2, 4, 4), (2, 2, 2)",
    ),
    (
        lambda: Graph(
            {"in": IMAGE, "p": SumPool2d(2), "s": Concat()},
            [("in", "p"), ("in", "s"), ("p", "s")],
            clocked(1),
        ),
        "Concat 's': inputs must agree but for the channels, got (2, 4, 4), (2, 2, 2)",
    ),
    (
        lambda: chain(Input(2), Delay(0.0015)),
        "Delay 'n1': delay_s must be a multiple of dt_s = 0.001 s, got 0.0015 s = 1.5 steps",
    ),
    (
        lambda: chain(Input(2), Delay(1e7)),
        "Delay 'n1': delay_s must be at most 2**24 steps, got 10000000.0 s = 1e+10 steps of dt_s = 0.001 s; use a",
    ),
    (
        lambda: chain(Input(1), SparseLinear([1, 1], [0, 0], [0, 2], 1, delay_s=[0, 1e7]), LIF(1.0)),
        "SparseLinear 'n1': delay_s must be at most 2**24 steps, got 10000000.0 s = 1e+10 steps of dt_s = 0.001 s",
    ),
    (
        lambda: chain(Input(2), LIF(0.01, refractory_s=1e7)),
        "LIF 'n1': refractory_s must be at most 2**24 steps, got 10000000.0 s",
    ),
    (
        lambda: chain(Input(2), CubaLIF(0.01, 0.0005)),
        "CubaLIF 'n1': tau_syn_s = 0.0005 s with update='euler' diverges at dt_s = 0.001 s",
    ),
    (
        lambda: chain(IMAGE, Conv2d(np.ones((2, 2, 1, 1))), SumPool2d(2), MaxPool2d(2)),
        "MaxPool2d 'n3': needs inputs >= 0, but Conv2d 'n1' can be negative; put a spiking neuron between them",
    ),
    (
        lambda: chain(IMAGE, LI(0.1), MaxPool2d(2)),
        "MaxPool2d 'n2': needs inputs >= 0, but LI 'n1' can be negative",
    ),
    (
        lambda: chain(Input(2), attention(), IF(), attention(4)),
        "must be made for one number of frames, got n1 for 3, n3 for 4",
    ),
    (
        lambda: chain(Input(2), Linear(np.eye(2)), LI(0.01), attention()),
        "TemporalAttention 'n3': must take spikes or counts, or the current of one Linear or Conv2d that does "
        "(with sum or average pools between), but it takes what LI 'n2' hands on",
    ),
    (
        lambda: chain(Input(2), Linear(np.eye(2)), Linear(np.eye(2)), attention(), IF()),
        "but Linear 'n2' before it takes what Linear 'n1' hands on",
    ),
    (
        lambda: chain(Input(2), Linear(np.eye(2)), CHANNELS, IF()),
        "ChannelAttention 'n2': must stand on spikes or counts, before a synapse, but Linear 'n1' before it hands on",
    ),
    (
        lambda: Graph(
            {**IN, "fc": Linear(np.eye(2)), "t": attention(), "i": IF(), "j": IF()},
            [("in", "fc"), ("fc", "t"), ("fc", "j"), ("t", "i")],
            clocked(1),
        ),
        "TemporalAttention 't': must be the only node behind Linear 'fc', whose current it takes",
    ),
    (
        lambda: Graph(
            {**IN, "s": Add(), "i": IF(), "d": Delay(1), "t": attention()},
            [("in", "s"), ("d", "s"), ("s", "i"), ("i", "d"), ("i", "t")],
            clocked(1),
        ),
        "TemporalAttention 't': must not stand in or behind a cycle, but IF 'i' is in one; put it before the cycle",
    ),
    (lambda: chain(Input(3), CHANNELS), "ChannelAttention 'n1': scores 2 channels, its input has 3"),
    (
        lambda: chain(Input(3), SpatialAttention(np.ones((2, 3, 3)), 0.0, 0.5)),
        "SpatialAttention 'n1': needs an input of shape (channels, rows, columns), got (3,)",
    ),
    (
        lambda: Graph(
            {**IN, "t": attention(), "i": IF(), "s": Add()},
            [("in", "t"), ("in", "i"), ("t", "s"), ("i", "s")],
            clocked(1),
        ),
        "TemporalAttention 't': must be the only node behind the Input, which also feeds i",
    ),
    (
        lambda: Graph(IN, [], clocked(1), metadata={"a": [1]}),
        "metadata 'a' must be text or a number, got [1]",
    ),
    (lambda: Graph(IN, [], clocked(1), metadata={"a": np.inf}), "metadata 'a' must be finite, got inf"),
    (lambda: Graph(IN, [], clocked(1), metadata={1: "a"}), "a metadata key must be printable text, got 1"),
    (lambda: Graph(IN, [], clocked(1)).predecessors("x"), "there is no node 'x'; its nodes are in"),
    (lambda: Graph(IN, [], clocked(1)).delay_steps("in"), "Input 'in': is not a Delay"),
    (lambda: Graph(IN, [], continuous()).dt_s, "a graph with continuous execution has no dt_s"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_wrong_graphs_are_named(make, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        make()


def test_max_pool_behind_what_cannot_be_negative() -> None:
    assert chain(IMAGE, SumPool2d(2), MaxPool2d(2)).shapes["n2"] == (2, 1, 1)
    chain(IMAGE, Conv2d(np.ones((2, 2, 1, 1))), IF(), SumPool2d(2), Delay(0.001), MaxPool2d(2))


def test_delays_tolerate_decimal_fractions() -> None:
    """R13: 0.3 / 0.1 is not 3 in binary."""
    assert 0.3 / 0.1 != 3
    graph = chain(Input(1), Delay(0.3), Delay(0.0), Delay(1e5 + 1e-4), dt_s=0.1)
    assert [graph.delay_steps(name) for name in ("n1", "n2", "n3")] == [3, 0, 1_000_000]


def test_continuous_graphs_are_not_held_to_steps() -> None:
    graph = Graph({**IN, "d": Delay(0.00151), "l": LIF(1e-9)}, [("in", "d"), ("d", "l")], continuous())
    assert graph.nodes["d"].delay_s == 0.00151
