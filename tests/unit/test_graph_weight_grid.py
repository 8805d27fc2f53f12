"""The weight grid: exact sums, or an error that names node, output, value, bound and remedy (R38 to R40)."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from neuro.errors import GraphError
from neuro.graph import (
    IF,
    LI,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Node,
    SumPool2d,
    clocked,
)


def chain(*nodes: Node, grid: float = 1.0) -> Graph:
    names = [f"n{i}" for i in range(len(nodes))]
    edges = list(itertools.pairwise(names))
    return Graph(dict(zip(names, nodes, strict=True)), edges, clocked(0.001), weight_grid=grid)


def row(*weights: float, bias: float | None = None) -> Linear:
    return Linear([weights], None if bias is None else [bias])


LIMIT = float(2**24)


def test_the_bound_is_strict() -> None:
    """The largest sum may reach 2**24 - 1 grid steps, not 2**24."""
    assert chain(Input(2, 1), row(LIMIT - 2, 1.0)).weight_grid == 1.0
    with pytest.raises(
        GraphError, match=re.escape("Linear 'n1': output 0 has sum|weight| * 1 + |bias| = 1.67772e+07")
    ):
        chain(Input(2, 1), row(LIMIT - 1, 1.0))
    with pytest.raises(GraphError, match="use a coarser weight_grid, smaller weights or a smaller max_count"):
        chain(Input(2, 1), row(LIMIT - 2, -1.0, bias=-1.0))


def test_a_synapse_on_a_coarser_grid_has_more_room() -> None:
    """Weights that are multiples of 4 make sums that are, too: 2**26 is their bound."""
    chain(Input(2, 1), row(4 * LIMIT - 8, 4.0), IF(), row(1.0))
    with pytest.raises(GraphError, match=re.escape("must stay below 2**24 * 4 = 6.71089e+07")):
        chain(Input(2, 1), row(4 * LIMIT - 4, 4.0), IF(), row(1.0))


def test_counts_enter_the_bound() -> None:
    half = LIMIT / 2 + 1
    chain(Input(1, 1), row(half))
    with pytest.raises(GraphError, match=re.escape("sum|weight| * 2 + |bias|")):
        chain(Input(1, 2), row(half))
    chain(Input(1, 2), IF(), row(half))  # spikes are 0 or 1
    chain(Input((1, 2, 2), 1), MaxPool2d(2), Flatten(), row(half))
    with pytest.raises(GraphError, match=re.escape("sum|weight| * 4 + |bias|")):
        chain(Input((1, 2, 2), 1), SumPool2d(2), Delay(0.0), Flatten(), row(half))


def test_average_refines_the_grid() -> None:
    chain(Input((1, 2, 2), 1), AvgPool2d(2), Flatten(), row(LIMIT / 4 - 1))
    with pytest.raises(GraphError, match=re.escape("below 2**24 * 0.25 = 4.1943e+06")):
        chain(Input((1, 2, 2), 1), AvgPool2d(2), Flatten(), row(LIMIT / 4 + 1))
    with pytest.raises(
        GraphError, match=re.escape("weight_grid needs inputs on a grid, but the values of 'n2' are not")
    ):
        chain(Input((1, 3, 3), 1), AvgPool2d(3), Flatten(), row(1.0))


def test_joints_enter_the_bound() -> None:
    nodes = {"in": Input(1, 3), "if": IF(), "fc": row(LIMIT / 4 + 1)}
    edges = [("in", "if"), ("in", "j"), ("if", "j"), ("j", "fc")]
    with pytest.raises(GraphError, match=re.escape("sum|weight| * 4 + |bias|")):
        Graph({**nodes, "j": Add()}, edges, clocked(1), weight_grid=1.0)
    wide = {**nodes, "fc": row(LIMIT / 8 + 1, LIMIT / 4), "j": Concat()}
    with pytest.raises(GraphError, match=re.escape("sum|weight| * 3 + |bias|")):
        Graph(wide, edges, clocked(1), weight_grid=1.0)


def test_sums_outside_synapses_are_bounded() -> None:
    with pytest.raises(GraphError, match=re.escape("SumPool2d 'n1': its sums reach 1.67772e+07")):
        chain(Input((1, 2, 2), 2**22), SumPool2d(2))
    with pytest.raises(GraphError, match=re.escape("SumPool2d 'n2': its sums reach")):
        chain(Input((1, 2, 2), 1), Conv2d(np.full((1, 1, 1, 1), 2.0**22 + 1)), SumPool2d(2))


def test_synapse_behind_synapse() -> None:
    """The grid of the products is g * g; the bound multiplies."""
    chain(Input(1, 1), row(0.5), row(0.5), grid=0.5)
    with pytest.raises(GraphError, match=re.escape("Linear 'n2': output 0 has sum|weight| * 4096")):
        chain(Input(1, 1), row(4096.5), row(1024.5), grid=0.5)


REFUSED = [
    (lambda: chain(Input(1, 1), grid=0.3), "weight_grid must be a power of two, got 0.3"),
    (lambda: chain(Input(1, 1), grid=-0.5), "weight_grid must be a power of two, got -0.5"),
    (lambda: chain(Input(1, 1), grid=2.0**-61), "weight_grid must be at least 2**-60"),
    (lambda: chain(Input(1, 1), grid="fine"), "weight_grid must be a number, got 'fine'"),
    (lambda: chain(Input(1)), "Input 'n0': a graph with a weight_grid needs max_count"),
    (
        lambda: chain(Input(2, 1), row(1.0, 0.3), grid=0.5),
        "Linear 'n1': weight must hold multiples of weight_grid = 0.5, got weight[0, 1] = 0.300000012",
    ),
    (
        lambda: chain(Input(1, 1), row(1.0, bias=0.25), grid=0.5),
        "Linear 'n1': bias must hold multiples of weight_grid = 0.5, got bias[0] = 0.25",
    ),
    (lambda: chain(Input(1, 1), LI(0.1), row(1.0)), "but the values of 'n1' are not"),
    (
        lambda: chain(Input((1, 2, 2), 3), Conv2d(np.array([1.0, LIMIT]).reshape(2, 1, 1, 1))),
        "Conv2d 'n1': channel 1 has sum|weight| * 3 + |bias| = 5.03316e+07",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_wrong_grids_are_named(make, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        make()
