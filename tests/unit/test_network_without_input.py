"""Neurons that stand without an Input, and without edges, are a network of populations (R123)."""

from __future__ import annotations

import numpy as np
import pytest

import neuro
import neuro.reference
from neuro.errors import GraphError
from neuro.graph import LIF, Graph, Linear, Node, clocked
from neuro.lowering.plan import lower

DT_S = 0.001
THREE = LIF(np.full(3, 0.01), threshold=np.array([0.5, 1.0, 2.0]), v_leak=1.5)


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        ({"n": THREE}, []),
        ({"n": THREE, "m": LIF(0.01, v_start=np.array([1.5, 0.0]))}, []),
        ({"n": THREE, "w": Linear(np.full((2, 3), 0.25)), "m": LIF(0.01)}, [("n", "w"), ("w", "m")]),
    ],
)
def test_neurons_without_an_input_are_a_network(nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
    graph = Graph(nodes, edges, clocked(DT_S))
    checked = neuro.verify(graph, None, n_steps=40)
    assert checked.is_equal
    spikes = neuro.simulate(graph, n_steps=40, record={"n": "spikes"}).spikes["n"]
    by_hand = np.zeros((40, 3), bool)
    v, rate = np.full(3, 1.5, np.float32), np.float32(DT_S) * np.float32(1 / 0.01)
    for step in range(40):
        v += rate * (np.float32(1.5) - v)
        by_hand[step] = v > np.float32([0.5, 1.0, 2.0])
        v[by_hand[step]] = 0
    assert 0 < by_hand.sum() < by_hand.size
    np.testing.assert_array_equal(spikes.to_dense() > 0, by_hand)


def test_what_stands_without_an_input_is_no_layered_graph() -> None:
    graph = Graph({"n": THREE}, [], clocked(DT_S))
    with pytest.raises(GraphError, match="LIF 'n': stands in a graph without an Input"):
        neuro.reference.evaluate(graph, np.ones((1, 3)))
    with pytest.raises(GraphError, match="LIF 'n': stands in a graph without an Input"):
        lower(graph)
