"""Pools of currents folded into the convolutions before them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import neuro
from neuro.graph import (
    IF,
    LI,
    AvgPool2d,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    SumPool2d,
    clocked,
    fold_pooling,
    fold_spike_pooling,
)
from neuro.graph.folding import folded_convolution

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def shape_of(kernel: tuple[int, int], stride: tuple[int, int], **words: Any) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, **words}


CONVOLUTIONS = st.builds(
    shape_of,
    PAIRS,
    PAIRS,
    dilation=PAIRS,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=st.sampled_from([1, 2]),
)


@settings(max_examples=60)
@given(CONVOLUTIONS, PAIRS, PAIRS, st.booleans(), st.integers(0, 99))
def test_a_folded_convolution_computes_both(
    shape: dict[str, Any], window: tuple[int, int], distance: tuple[int, int], is_average: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kernel, stride, dilation = shape["kernel"], shape["stride"], shape["dilation"]
    # all quotients by an area are whole
    weight = rng.integers(-8, 9, (4, 2 // shape["groups"], *kernel)) * 36.0
    bias = rng.integers(-8, 9, 4) * 1.0
    words = {name: shape[name] for name in ("stride", "dilation", "padding", "groups")}
    folded = folded_convolution(
        Conv2d(weight, bias, **words), (AvgPool2d if is_average else SumPool2d)(window, distance)
    )
    sizes = zip(window, stride, kernel, dilation, strict=True)
    n_terms = np.prod([(p - 1) * s + (k - 1) * d + 1 for p, s, k, d in sizes])
    assert (folded is not None) == (n_terms <= np.prod(kernel) * np.prod(distance))
    if folded is None:
        return
    x = torch.from_numpy(rng.integers(0, 3, (1, 2, 17, 19)).astype(np.float64))
    both = functional.avg_pool2d(
        functional.conv2d(x, torch.tensor(weight), torch.tensor(bias), **words), window, distance
    )
    if not is_average:
        both = both * np.prod(window)
    assert folded.bias is not None
    one = functional.conv2d(
        x,
        torch.tensor(np.array(folded.weight), dtype=torch.float64),
        torch.tensor(np.array(folded.bias), dtype=torch.float64),
        folded.stride,
        folded.padding,
        folded.dilation,
        shape["groups"],
    )
    torch.testing.assert_close(
        one, both, rtol=1e-12, atol=1e-9
    )  # float64 sums of a few hundred whole numbers


def network(pool: AvgPool2d | SumPool2d, *, sink: str = "if") -> Graph:
    weight = np.random.default_rng(0).integers(-30, 60, (8, 2, 3, 3)) / 64
    nodes = {"in": Input((2, 9, 8), max_count=1), "conv": Conv2d(weight, padding=1), "pool": pool}
    if sink == "if":
        nodes |= {"if": IF(0.5), "flat": Flatten(), "fc": Linear(np.eye(2, 8 * 4 * 4)), "out": LI(0.01)}
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def test_the_engine_runs_the_folded_graph() -> None:
    graph = network(AvgPool2d(2))
    frames = np.random.default_rng(1).random((12, 2, 9, 8)) < 0.2
    folded = fold_pooling(graph)
    assert "pool" not in folded.nodes
    assert neuro.verify(graph, frames)
    result, alone = neuro.simulate(graph, frames), neuro.simulate(folded, frames)
    np.testing.assert_array_equal(result.output, alone.output)
    assert result.counters == alone.counters
    # 4 x 4 taps at a distance of 2: at most four of them for an input, not nine
    assert result.counters.synaptic_operations["conv"] <= 4 * 8 * frames.sum()


@pytest.mark.parametrize(
    "graph",
    [
        network(AvgPool2d(2), sink="pool"),
        network(AvgPool2d(3, 2, 1), sink="pool"),
        Graph(
            {
                "in": Input((2, 8, 8)),
                "conv": Conv2d(np.ones((1, 2, 3, 3))),
                "pool": AvgPool2d(3, 1),
                "out": IF(1.0),
            },
            [("in", "conv"), ("conv", "pool"), ("pool", "out")],
            clocked(0.001),
        ),
        Graph(
            {
                "in": Input((2, 8, 8)),
                "conv": Conv2d(np.ones((1, 2, 3, 3))),
                "pool": AvgPool2d(2),
                "out": IF(1.0),
                "side": IF(1.0),
            },
            [("in", "conv"), ("conv", "pool"), ("pool", "out"), ("conv", "side")],
            clocked(0.001),
        ),
    ],
    ids=["a sink", "padded", "more terms", "used twice"],
)
def test_what_is_not_folded(graph: Graph) -> None:
    assert fold_pooling(graph) is graph
    assert neuro.verify(graph, np.random.default_rng(2).random((4, *graph.shapes["in"])) < 0.3)


# -- pools of spikes before a convolution (R156) -------------------------------------------------------------------


SHAPES = st.fixed_dictionaries(
    {
        "kernel": PAIRS,
        "stride": PAIRS,
        "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "groups": st.sampled_from([1, 2]),
    }
)


@settings(max_examples=40)
@given(PAIRS, SHAPES, st.booleans(), st.sampled_from([0.05, 0.4, 1.0]), st.integers(0, 99))
def test_folded_pools_of_spikes_change_no_result(
    window: tuple[int, int], shape: dict[str, Any], is_average: bool, density: float, seed: int
) -> None:
    kernel, groups = shape["kernel"], shape["groups"]
    words = {name: shape[name] for name in ("stride", "padding", "groups")}
    rng = np.random.default_rng(seed)
    side = tuple(w * int(rng.integers(2, 5)) for w in window)
    pool = (AvgPool2d if is_average else SumPool2d)(window)
    weight = rng.integers(-32, 48, (6, 4 // groups, *kernel)) / 64
    nodes = {
        "in": Input((2, *side), 1),
        "first": Conv2d(rng.integers(-32, 48, (4, 2, 3, 3)) / 64, padding=1),
        "spikes": IF(0.5, reset="subtract"),
        "pool": pool,
        "conv": Conv2d(weight, rng.integers(-9, 9, 6) / 64, **words),
        "out": IF(0.75, reset="subtract"),
    }
    try:
        graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001), weight_grid=2.0**-6)
    except neuro.GraphError:  # an area that is no power of two, or a kernel larger than its input
        return
    folded = fold_spike_pooling(graph)
    area = window[0] * window[1]
    assert ("pool" in folded.nodes) == (is_average and area & (area - 1) != 0)
    frames = (rng.random((6, 2, *side)) < density).astype(np.float32)
    record = {"spikes": "spikes", "out": "membrane"}
    before, after = (
        neuro.simulate(graph, frames, record=record),
        neuro.simulate(folded, frames, record=record),
    )
    assert before.output.tobytes() == after.output.tobytes()
    assert before.membranes["out"].tolist() == after.membranes["out"].tolist()
    assert before.counters.spikes == after.counters.spikes
    assert neuro.verify(folded, frames)


def pooled(pool: Any, conv: Conv2d, **words: Any) -> Graph:
    """Spikes, a pool, a convolution."""
    nodes = {"in": Input((1, 6, 6), 1), "spikes": IF(0.5), "pool": pool, "conv": conv, "out": IF(1.0)}
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001), **{"weight_grid": 1.0, **words})


CONV = Conv2d(np.ones((2, 1, 2, 2)))


@pytest.mark.parametrize(
    "graph",
    [
        pooled(AvgPool2d(2, 1), CONV),
        pooled(AvgPool2d(4), Conv2d(np.ones((2, 1, 1, 1)))),  # leaves entries out
        pooled(AvgPool2d(2, 2, 1), CONV),
        pooled(AvgPool2d(2), Conv2d(np.ones((2, 1, 2, 2)), dilation=2)),
    ],
)
def test_pools_that_cannot_be_folded_stay(graph: Graph) -> None:
    assert fold_spike_pooling(graph) is graph


def test_folding_spikes_needs_a_grid_and_spikes() -> None:
    with pytest.raises(neuro.GraphError, match="fold_spike_pooling: the graph has no weight_grid"):
        fold_spike_pooling(pooled(AvgPool2d(2), CONV, weight_grid=None))
    nodes = {"in": Input((1, 6, 6), 3), "pool": AvgPool2d(2), "conv": CONV, "out": IF(1.0)}
    counts = Graph(nodes, list(pairwise(nodes)), clocked(0.001), weight_grid=1.0)
    assert fold_spike_pooling(counts) is counts
    both = dict(pooled(AvgPool2d(2), CONV).nodes) | {"more": Conv2d(np.ones((1, 1, 1, 1))), "also": IF(1.0)}
    edges = [*pooled(AvgPool2d(2), CONV).edges, ("pool", "more"), ("more", "also")]
    shared = Graph(both, edges, clocked(0.001), weight_grid=1.0)
    assert fold_spike_pooling(shared) is shared
