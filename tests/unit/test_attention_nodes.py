"""Attention by hand: averages, channels, pixels, windows without events, and what does not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import neuro
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    ChannelAttention,
    Conv2d,
    Delay,
    Graph,
    Input,
    Linear,
    MovingAttention,
    Node,
    SpatialAttention,
    TemporalAttention,
    clocked,
)
from neuro.lowering.plan import lower
from neuro.lowering.squeezing import squeeze_table

F = np.float32


def chain(*nodes: Node) -> Graph:
    """Join nodes n0, n1, ... into a graph."""
    named = {f"n{k}": node for k, node in enumerate(nodes)}
    return Graph(named, list(pairwise(named)), clocked(0.01))


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return float(F(1 / (1 + np.exp(-np.float64(x)))))


def ahead(n_frames: int, **words: object) -> TemporalAttention:
    """Attention whose every score hears every frame."""
    ones = np.ones((1, n_frames))
    values = {
        "weight_1": ones,
        "bias_1": [0.0],
        "weight_2": ones.T,
        "bias_2": np.zeros(n_frames),
        "threshold": 0.5,
    }
    return TemporalAttention(**{**values, **words})  # type: ignore[arg-type]


def test_moving_averages_by_hand() -> None:
    """Means 1, 0, 0, 3 with the rates 1 and 1/2: averages (1, 0.5), (0, 0.25), (0, 0.125), (3, 1.5625)."""
    node = MovingAttention([1.0, 0.5], [0.0, 0.0], [[1.0, -2.0]], [0.25], [4.0], -1.0, threshold=0.5)
    graph = chain(Input(2), node, IF(100.0))
    frames = np.array([[1, 1], [0, 0], [0, 0], [6, 0]], F)
    report = neuro.simulate(graph, frames).attentions["n1"]
    logits = [4 * max(0.0, a - 2 * b + 0.25) - 1 for a, b in [(1, 0.5), (0, 0.25), (0, 0.125), (3, 1.5625)]]
    np.testing.assert_allclose(report.scores, [sigmoid(x) for x in logits], rtol=2e-7)
    assert report.kept.tolist() == [x >= 0 for x in logits] == [True, False, False, False]
    assert not report.is_all_dropped


def test_kept_frames_are_scaled_where_asked() -> None:
    node = MovingAttention([1.0], [0.0], [[1.0]], [0.0], [1.0], 0.0, threshold=0.6, scaling=True)
    result = neuro.simulate(chain(Input(1), node, LI(0.1, update="decay")), np.array([[2], [0.1], [1]], F))
    scores = result.attentions["n1"].scores
    assert result.attentions["n1"].kept.tolist() == [True, False, True]
    alpha = F(np.exp(-0.1))
    v = [F(2) * scores[0]]
    v.append(alpha * v[0] + F(0))
    v.append(alpha * v[1] + F(1) * scores[2])
    assert result.output[:, 0].tolist() == [float(x) for x in v]


def test_channels_by_hand() -> None:
    """Channel 1 is kept where its mean is above 1/4 (logit 8 * mean - 2 >= 0); channel 0 always."""
    node = ChannelAttention([[0, 8]], [0.0], [[0], [1]], [1.0, -2.0], threshold=0.5)
    graph = chain(Input((2, 1, 4)), node, Conv2d(np.ones((1, 2, 1, 1))), IF(100.0))
    frames = np.zeros((2, 2, 1, 4), F)
    frames[0, :, 0, 0] = 1  # mean 1/4 in both: at the threshold, kept
    frames[1, 0] = 1
    frames[1, 1, 0, 0] = 0.5  # mean 1/8: dropped
    result = neuro.simulate(graph, frames, record={"n1": "spikes"})
    passed = result.spikes["n1"].to_dense()
    np.testing.assert_array_equal(passed[0], frames[0])
    assert (passed[1, 0] == 1).all()
    assert (passed[1, 1] == 0).all()
    assert result.counters.synaptic_operations == {"n2": 6}
    report = result.selections["n1"]
    assert (report.n_considered, report.n_kept) == (4, 3)
    assert (report.entries_total, report.entries_kept) == (7, 6)


def test_pixels_by_hand() -> None:
    """A pixel passes if its left neighbour has an event: the kernel looks at the maximum one column to the left."""
    weight = np.zeros((2, 1, 3))
    weight[1, 0, 0] = 10.0
    graph = chain(
        Input((2, 1, 4)), SpatialAttention(weight, -5.0, 0.5), Conv2d(np.ones((1, 2, 1, 1))), IF(100.0)
    )
    frames = np.zeros((1, 2, 1, 4), F)
    frames[0, 0, 0, [0, 1, 3]] = 1
    result = neuro.simulate(graph, frames, record={"n1": "spikes"})
    assert result.spikes["n1"].to_dense()[0, 0, 0].tolist() == [0, 1, 0, 0]
    assert result.selections["n1"].n_considered == 3
    whole = neuro.simulate(graph, frames, record={"n1": "spikes"}, use_attention=False)
    np.testing.assert_array_equal(whole.spikes["n1"].to_dense(), frames)


@pytest.mark.parametrize("is_inner", [False, True])
def test_a_window_without_events_and_one_whose_frames_are_all_dropped(is_inner: bool) -> None:
    """The readout stays at rest (its leak), and the report says that all was dropped."""
    layers = (ahead(3, threshold=0.75), Linear([[1.0]], [5.0]), LIF(0.05))
    order = (layers[1], layers[0], layers[2]) if is_inner else layers
    graph = chain(Input(1), *order, Linear([[1.0]], [2.0]), LI(0.1, v_leak=0.5))
    for frames in (np.zeros((3, 1)), np.full((3, 1), 1e-3)):
        result = neuro.simulate(graph, frames)
        if not is_inner:
            assert result.attention is not None
            assert result.attention.is_all_dropped
            assert result.output[:, 0].tolist() == [0.5, 0.5, 0.5]
            assert result.counters.total_synaptic_operations == 0
        else:  # the bias lifts the mean current to 5
            assert result.attentions["n2"].n_kept == 3
    nothing = neuro.simulate(graph, np.zeros((0, 1)), use_attention=False)
    assert nothing.output.shape == (0, 1)


def test_a_window_needs_its_number_of_frames() -> None:
    for nodes in ((ahead(3), Linear([[1.0]])), (Linear([[1.0]]), ahead(3))):
        graph = chain(Input(1), *nodes, IF())
        with pytest.raises(neuro.InputError, match="scores a whole window of 3 frames, got 4"):
            neuro.simulate(graph, np.ones((4, 1)))
    causal = TemporalAttention(np.eye(3), np.zeros(3), np.eye(3), np.zeros(3), 0.5)
    assert causal.is_causal
    assert not ahead(3).is_causal
    graph = chain(Input(1), causal, IF())
    first = neuro.simulate(graph, np.ones((2, 1)))
    with pytest.raises(neuro.InputError, match="scores windows of 3 frames, got 2 after 2"):
        neuro.simulate(graph, np.ones((2, 1)), state=first.state)


def test_the_table_of_a_padded_convolution_has_few_values_for_each_channel() -> None:
    """A 3 x 3 kernel with padding 1 has nine border classes; with an average pool behind it the sums stay those."""
    rng = np.random.default_rng(0)
    weight, bias = rng.integers(-8, 8, (5, 2, 3, 3)) / 16, rng.integers(-8, 8, 5) / 16
    graph = chain(Input((2, 6, 8), 3), Conv2d(weight, bias, padding=1), AvgPool2d(2), ahead(1), IF())
    table, constant = squeeze_table(graph, ("n1", "n2"))
    assert all(len(np.unique(channel)) <= 9 for channel in table)
    assert table[0, 3, 3] == weight[:, 0].sum() / 4
    assert constant == bias.sum() * 12


def test_the_table_is_within_its_bound_of_the_exact_mean_off_any_grid() -> None:
    """The exact sum of all products by fsum; every product of two float32 is exact in float64."""
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(0, 1, (5, 3, 3, 3)).astype(F), rng.normal(0, 1, 5).astype(F)
    conv = Conv2d(weight, bias, padding=1, stride=2)
    graph = chain(Input((3, 7, 6)), conv, ahead(1), IF())
    x = (rng.random((3, 7, 6)) * (rng.random((3, 7, 6)) < 0.4)).astype(F)
    table, constant = squeeze_table(graph, ("n1",))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1))).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    products = weight.astype(np.float64)[:, :, None, None] * windows
    terms = [*products.ravel(), *np.repeat(bias.astype(np.float64), windows.shape[1] * windows.shape[2])]
    exact, size = math.fsum(terms), math.fsum(map(abs, terms))
    assert abs((table * x).sum() + constant - exact) <= len(terms) * 2.0**-53 * size
    node = ahead(1, weight_2=[[1.0]])
    graph = chain(Input((3, 7, 6)), conv, node, IF())
    n = 5 * windows.shape[1] * windows.shape[2]
    expected = sigmoid(max(0.0, float(F(exact / n))))
    assert neuro.simulate(graph, x[np.newaxis]).attentions["n2"].scores[0] == pytest.approx(
        expected, rel=2.0**-23
    )


def test_a_cycle_leaves_no_room_for_a_whole_window() -> None:
    nodes = {
        "in": Input(1),
        "sum": Add(),
        "if": IF(),
        "late": Delay(0.01),
        "side": IF(),
        "look": ahead(3),
        "out": IF(),
    }
    edges = [
        ("in", "sum"),
        ("late", "sum"),
        ("sum", "if"),
        ("if", "late"),
        ("in", "side"),
        ("side", "look"),
        ("look", "out"),
    ]
    with pytest.raises(
        neuro.GraphError, match="scores whole windows, which a graph with a cycle cannot give it"
    ):
        neuro.simulate(Graph(nodes, edges, clocked(0.01)), np.ones((3, 1)))


def test_files_keep_every_kind(tmp_path: Path) -> None:
    moving = MovingAttention([0.5], [0.1], [[1.0]], [0.0], [1.0], 0.0, 0.5)
    channels = ChannelAttention(np.ones((1, 2)), [0.0], np.ones((2, 1)), [0.0, 0.0], 0.5, scaling=True)
    pixels = SpatialAttention(np.ones((2, 3, 3)), 0.0, 0.5)
    synapse = Conv2d(np.ones((1, 2, 1, 1)))
    graph = chain(Input((2, 4, 4)), moving, channels, pixels, synapse, ahead(3, scaling=True), IF())
    graph.save(tmp_path / "model.h5")
    assert Graph.load(tmp_path / "model.h5") == graph
    assert lower(Graph.load(tmp_path / "model.h5")) is lower(graph)
    assert ahead(3) != ahead(3, scaling=True)


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: ahead(3, threshold=1.25), "TemporalAttention: threshold must be from 0 to 1, got 1.25"),
    (lambda: ahead(3, scaling=1), "TemporalAttention: scaling must be True or False, got 1"),
    (
        lambda: MovingAttention([0.0], [0.0], [[1.0]], [0.0], [1.0], 0.0, 0.5),
        "MovingAttention: rates must be above 0 and at most 1, got rates[0] = 0.0",
    ),
    (
        lambda: MovingAttention([1.0], [0.0], [[1.0, 1.0]], [0.0], [1.0], 0.0, 0.5),
        "MovingAttention: rates must have shape (2,) to fit weight_1 (1, 2), got (1,)",
    ),
    (
        lambda: ChannelAttention(np.ones((1, 2)), [0.0], np.ones((3, 1)), [0.0, 0.0], 0.5),
        "ChannelAttention: weight_2 must have shape (2, 1) to fit weight_1 (1, 2), got (3, 1)",
    ),
    (
        lambda: SpatialAttention(np.ones((2, 2, 3)), 0.0, 0.5),
        "SpatialAttention: weight must have shape (2, rows, columns) with odd rows and columns, got (2, 2, 3)",
    ),
    (
        lambda: SpatialAttention(np.ones((2, 3, 3)), 0.0, -0.5),
        "SpatialAttention: threshold must be from 0 to 1, got -0.5",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_values_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(neuro.GraphError, match=re.escape(message)):
        make()
