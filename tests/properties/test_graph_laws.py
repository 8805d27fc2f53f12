"""Laws of graphs: values, files and NIR give back what they were given (R5, R39, R41, R51)."""

from __future__ import annotations

import itertools
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from neuro.errors import GraphError, NeuroError
from neuro.graph import (
    NEURONS,
    Conv2d,
    Graph,
    Input,
    Linear,
    clocked,
    read_graph,
    read_nir,
    to_nir,
    write_graph,
    write_nir,
)
from neuro.spikes import Spikes
from tests.strategies import dense_inputs, graphs

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = itertools.count()


def in_memory() -> h5py.File:
    return h5py.File(f"memory{next(NAMES)}.h5", "w", driver="core", backing_store=False)


@SETTINGS
@given(graphs())
def test_files_give_back_an_equal_graph(graph: Graph) -> None:
    with in_memory() as file:
        write_graph(file.create_group("graph"), graph)
        again = read_graph(file["graph"])
    assert again == graph
    assert again.order == graph.order
    assert hash(again) == hash(graph)


@SETTINGS
@given(graphs(), st.randoms(use_true_random=False))
def test_listing_order_does_not_count(graph: Graph, random) -> None:
    names = list(graph.nodes)
    random.shuffle(names)
    targets = list(graph.nodes)
    random.shuffle(targets)
    edges = [(source, target) for target in targets for source in graph.predecessors(target)]
    shuffled = Graph(
        {name: graph.nodes[name] for name in names}, edges, graph.execution, graph.weight_grid, graph.metadata
    )
    assert shuffled == graph
    assert shuffled.order == graph.order
    assert pickle.loads(pickle.dumps(shuffled)) == graph


@SETTINGS
@given(graphs())
def test_order_respects_the_edges(graph: Graph) -> None:
    position = {name: i for i, name in enumerate(graph.order)}
    assert all(position[source] < position[target] for source, target in graph.edges)
    assert repr(graph).count("\n") == len(graph.nodes) + 1


@SETTINGS
@given(graphs().flatmap(dense_inputs))
def test_spikes_and_dense_agree(frames) -> None:
    spikes = Spikes.from_dense(frames)
    assert len(spikes) == np.count_nonzero(frames)
    assert spikes.to_dense().tobytes() == (frames + np.float32(0)).tobytes()


@SETTINGS
@given(st.floats(1e-6, 1.0), st.integers(0, 10_000))
def test_multiples_of_a_step_are_recognised(dt_s: float, n: int) -> None:
    assert clocked(dt_s).steps(n * dt_s) == n


def broadcast(graph: Graph) -> list[bytes]:
    """Return all parameters of all neurons in full shape, as float32."""
    full = []
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, NEURONS):
            for key, value in sorted(vars(node).items()):
                if isinstance(value, (float, np.ndarray)):
                    full.append(
                        np.broadcast_to(np.float32(value), graph.shapes[name]).tobytes() + key.encode()
                    )
    return full


@SETTINGS
@given(graph=graphs(attention=False, sayable_by_nir=True))
def test_nir_gives_back_the_same_network(graph: Graph, tmp_path_factory) -> None:
    once = read_nir(to_nir(graph))
    assert once.shapes == graph.shapes
    assert once.order == graph.order
    assert once.weight_grid == graph.weight_grid
    assert broadcast(once) == broadcast(graph)
    for name in graph.order:
        old, new = graph.nodes[name], once.nodes[name]
        assert graph.predecessors(name) == once.predecessors(name)
        if isinstance(old, (Linear, Conv2d)):
            assert (old.weight == new.weight).all()
            assert (
                (old.bias is None or not old.bias.any()) if new.bias is None else (old.bias == new.bias).all()
            )
        elif not isinstance(old, NEURONS):
            assert old == new
    path = Path(tmp_path_factory.getbasetemp()) / "law.nir"
    write_nir(once, path)
    assert read_nir(path) == once


@SETTINGS
@given(
    st.integers(1, 200),
    st.integers(1, 255),
    st.integers(-20, 4),
    st.integers(0, 24),
    st.integers(0, 2**32 - 1),
)
def test_a_weight_grid_makes_every_order_of_summation_exact(
    n: int, max_count: int, exponent: int, bits: int, seed: int
) -> None:
    """R40: what the check lets through sums to the same float32 in any order, and without error."""
    rng = np.random.default_rng(seed)
    grid = 2.0**exponent
    whole = rng.integers(-(2**bits), 2**bits + 1, n + 1)
    weights, bias = ((part * grid).astype(np.float32) for part in (whole[None, :n], whole[n:]))
    nodes = {"in": Input(n, max_count), "fc": Linear(weights, bias)}
    counts = rng.integers(0, max_count + 1, n).astype(np.float32)
    largest = (np.abs(weights.astype(np.float64)) * max_count).sum() + abs(float(bias[0]))
    common = int(np.gcd.reduce(whole))
    if largest >= 2**24 * grid * max(1, common & -common):  # weights and bias may lie on a coarser grid
        with pytest.raises(GraphError, match="Linear 'fc': output 0 has"):
            Graph(nodes, [("in", "fc")], clocked(1.0), weight_grid=grid)
        return
    assert Graph(nodes, [("in", "fc")], clocked(1.0), weight_grid=grid).weight_grid == grid
    exact = (weights[0].astype(np.float64) * counts).sum() + float(bias[0])
    for order in (np.arange(n), rng.permutation(n)):
        total = bias[0]
        for j in order:
            total = np.float32(total + np.float32(weights[0, j] * counts[j]))
        assert total == exact


def sealed_bytes(graph: Graph, path: Path) -> bytes:
    graph.save(path)
    return path.read_bytes()


@settings(SETTINGS, max_examples=25)
@given(graph=graphs(max_growth=2), data=st.data())
def test_mutated_files_raise_only_our_errors(graph: Graph, data, tmp_path_factory) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "fuzz.h5"
    content = bytearray(sealed_bytes(graph, path))
    start = data.draw(st.integers(0, len(content) - 1))
    patch = data.draw(st.binary(min_size=0, max_size=40))
    kind = data.draw(st.sampled_from(["overwrite", "insert", "cut", "truncate"]))
    if kind == "overwrite":
        content[start : start + len(patch)] = patch
    elif kind == "insert":
        content[start:start] = patch
    elif kind == "cut":
        del content[start : start + len(patch) + 1]
    else:
        del content[start:]
    assume(bytes(content) != sealed_bytes(graph, path))
    path.write_bytes(content)
    with pytest.raises(NeuroError, match=re.escape(str(path))):
        Graph.load(path)
