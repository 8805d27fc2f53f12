"""Rearrange by hand: views, shuffles, zeros between entries, and what is refused (R163)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neuro
from neuro.graph import IF, Conv2d, Flatten, Graph, Input, Linear, Rearrange, clocked, continuous


def chain(**nodes: Any) -> Graph:
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def test_entries_go_where_the_index_says() -> None:
    index = np.array([[[3, -1], [0, 0]]])
    graph = chain(source=Input((2, 1, 2)), places=Rearrange(index))
    x = np.array([[[[1, 2]], [[3, 4]]], [[[0, 0]], [[5, 0]]]], np.float32)
    assert neuro.simulate(graph, x).output.tolist() == [[[[4, 0], [1, 1]]], [[[0, 0], [0, 0]]]]


@pytest.mark.parametrize("is_dense", [False, True])
def test_a_transposition_equals_numpy(is_dense: bool) -> None:
    """Of spikes, and of a current."""
    index = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)
    x = np.random.default_rng(0).integers(0, 3, (5, 2, 3, 4)).astype(np.float32)
    nodes: dict[str, Any] = {"source": Input((2, 3, 4))}
    if is_dense:
        nodes["conv"] = Conv2d(np.eye(2).reshape(2, 2, 1, 1))
    graph = chain(**nodes, places=Rearrange(index))
    assert np.array_equal(neuro.simulate(graph, x).output, x.transpose(0, 3, 1, 2))
    assert neuro.verify(graph, x)


def test_spikes_stay_spikes_and_are_counted_where_they_are_read() -> None:
    index = np.array([0, 0, 1, -1])
    graph = chain(source=Input(2), a=IF(0.5), places=Rearrange(index), fc=Linear(np.ones((3, 4))), b=IF(1.5))
    x = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    result = neuro.simulate(graph, x)
    assert result.counters.synaptic_operations["fc"] == 3 * (2 + 1 + 3)
    assert neuro.verify(graph, x)


def test_it_is_flatten_where_nothing_moves() -> None:
    x = np.random.default_rng(1).integers(0, 2, (4, 2, 3, 3)).astype(np.float32)
    plain, moved = (
        neuro.simulate(chain(source=Input((2, 3, 3)), flat=node, fc=Linear(np.ones((1, 18))), n=IF(2.0)), x)
        for node in (Flatten(), Rearrange(np.arange(18)))
    )
    assert np.array_equal(plain.output, moved.output)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (np.zeros((2, 2), int), "one or three axes and at least one entry, got int64 of shape"),
        (np.zeros(0, int), r"at least one entry, got int64 of shape \(0,\)"),
        (np.zeros(2), "must hold whole numbers"),
        (np.array([0, -2]), r"must be -1 or a place of the input, got index\[1\] = -2"),
    ],
)
def test_wrong_indices_are_named(index: Any, message: str) -> None:
    with pytest.raises(neuro.GraphError, match=message):
        Rearrange(index)


def test_where_it_cannot_stand() -> None:
    with pytest.raises(neuro.GraphError, match=r"index reaches place 4, but the input \(4,\) has 4 entries"):
        chain(source=Input(4), places=Rearrange([4]))
    nodes = {"in": Input(2), "places": Rearrange([1, 0]), "fc": Linear(np.eye(2)), "n": IF(1.0)}
    graph = Graph(nodes, list(pairwise(nodes)), continuous())
    with pytest.raises(neuro.GraphError, match="Rearrange 'places': is computed in steps, not in continuous"):
        neuro.simulate(graph, neuro.Events(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), (2,)))
