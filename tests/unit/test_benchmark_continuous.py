"""The unrolled convolution that peers of continuous execution get."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import neuro
from neuro.graph import LI, Conv2d, Graph, Input, continuous

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "peers_continuous"))

from unrolled import unrolled


def test_each_row_is_what_an_event_of_its_entry_reaches() -> None:
    weight = np.random.default_rng(0).uniform(0.1, 1, (4, 2, 3, 3)).astype(np.float32)
    indptr, indices, weights = unrolled(weight, 5)
    nodes = {"in": Input((2, 5, 5)), "conv": Conv2d(weight, padding=1), "out": LI(0.01)}
    graph = Graph(nodes, [("in", "conv"), ("conv", "out")], continuous())
    for entry in range(50):
        found = neuro.simulate(graph, neuro.Events([0], [entry], [1.0], (2, 5, 5))).output
        row = slice(indptr[entry], indptr[entry + 1])
        order = np.argsort(found.index)
        assert found.index[order].tolist() == indices[row].tolist()
        assert found.value[order].tolist() == weights[row].tolist()
