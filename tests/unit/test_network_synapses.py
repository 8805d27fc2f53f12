"""Synapses of networks of populations: wiring drawn from a seed, files, order."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import neuro
from neuro.graph import (
    AdaptiveLIF,
    CobaLIF,
    Graph,
    Izhikevich,
    Node,
    PoissonSource,
    SparseLinear,
    clocked,
    connect_in_degree,
    connect_one_to_one,
    connect_pairs,
)
from tests.unit.test_networks import COBA, DT_S, RULE, sparse


def test_wiring_is_drawn_from_its_seed() -> None:
    draw = {"n_out": 40, "n_in": 60, "weight": 0.5}
    pairs = connect_pairs(0.2, seed=1, **draw)
    assert pairs == connect_pairs(0.2, seed=1, **draw)
    assert pairs != connect_pairs(0.2, seed=2, **draw)
    assert abs(pairs.n_synapses - 480) < 5 * np.sqrt(480 * 0.8)
    assert (np.diff(pairs.indices)[np.diff(np.repeat(np.arange(40), np.diff(pairs.indptr))) == 0] > 0).all()
    assert connect_pairs(0.0, seed=1, **draw).n_synapses == 0
    assert connect_pairs(1.0, seed=1, **draw).n_synapses == 2400
    square = connect_pairs(1.0, n_out=5, n_in=5, weight=1.0, seed=0, connect_self=False)
    assert square.to_dense().tolist() == (1 - np.eye(5)).tolist()
    assert (np.diff(connect_in_degree(7, seed=1, **draw).indptr) == 7).all()
    assert connect_one_to_one(3, [1.0, 2.0, 3.0]).to_dense().tolist() == np.diag([1.0, 2.0, 3.0]).tolist()
    matrix = scipy.sparse.random_array((5, 8), density=0.3, rng=np.random.default_rng(0), dtype=np.float32)
    assert SparseLinear.from_scipy(matrix).to_dense().tolist() == matrix.toarray().tolist()


def test_files_hold_sparse_networks(tmp_path: Path) -> None:
    nodes: dict[str, Node] = {
        "p": PoissonSource([1.0, 2.0], 2, 5, weight=0.5),
        "w": sparse(delay_s=[0.001, 0.003], receptor="inhibitory"),
        "s": sparse(weight=[0.5, 1.0], delay_s=[0.001, 0.002], stdp=RULE),
        "c": CobaLIF(0.02, 0.005, 0.01, -50.0, **COBA, v_start=[-60.0, -55.0]),
        "a": AdaptiveLIF(0.02, 0.1, 0.3, threshold_jump=0.1),
        "z": Izhikevich(0.02, 0.2, -65.0, [8.0, 2.0], refractory_s=0.002),
        "e": SparseLinear([], [], [0, 0, 0], 2),
    }
    edges = [("p", "w"), ("w", "c"), ("c", "s"), ("s", "a"), ("a", "e"), ("e", "z")]
    graph = Graph(nodes, edges, clocked(DT_S))
    graph.save(tmp_path / "network.h5")
    assert Graph.load(tmp_path / "network.h5") == graph
    for node in nodes.values():
        assert pickle.loads(pickle.dumps(node)) == node
    assert neuro.simulate(graph, n_steps=3).counters.n_steps == 3


@pytest.mark.parametrize("n_out", [3, 2**16, 2**16 + 1, 2**20])
def test_synapses_of_one_output_keep_their_order(n_out: int) -> None:
    rng = np.random.default_rng(n_out)
    rows = np.concatenate([rng.integers(0, n_out, 2000), rng.integers(0, n_out, 20).repeat(5), [n_out - 1]])
    synapses = SparseLinear.from_coo(rows, np.arange(rows.size), 1.0, n_out=n_out, n_in=rows.size)
    assert (synapses.indices == np.argsort(rows, kind="stable")).all()
    assert SparseLinear.from_coo([], [], 1.0, n_out=n_out, n_in=1).indices.size == 0
