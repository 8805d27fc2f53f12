"""Layered graphs with sparse synapses: the engine against the reference, and against graphs without them (R155)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import verification
from neuro.graph import (
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    PoissonSource,
    SparseLinear,
    Stdp,
    clocked,
)
from neuro.graph.networks import is_mixed
from tests.mixed_strategies import mixed_runs

Frames = NDArray[np.float32]


@settings(max_examples=60)
@given(mixed_runs(), st.booleans(), st.sampled_from([1, 50, 2**23]))
def test_the_engine_equals_the_reference(
    run: tuple[Graph, Frames], use_attention: bool, chunk_entries: int
) -> None:
    graph, frames = run
    assume(is_mixed(graph.nodes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "_CHUNK_ENTRIES", chunk_entries)
        found = neuro.verify(graph, frames, use_attention=use_attention)
    assert found, found


@settings(max_examples=25)
@given(mixed_runs())
def test_threads_and_recordings_change_nothing(run: tuple[Graph, Frames]) -> None:
    graph, frames = run
    assume(is_mixed(graph.nodes))
    one = neuro.simulate(graph, frames)
    two = neuro.simulate(graph, [frames, frames], n_threads=2)
    for name, output in one.outputs.items():
        assert all(output.tobytes() == other.outputs[name].tobytes() for other in two)
    assert one.counters == two[0].counters


def conv_net(synapse: Any, *more: Any) -> Graph:
    """A convolution, a pool, and a synapse behind them."""
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((2, 6, 6)),
        "conv": Conv2d(rng.normal(0.2, 0.3, (4, 2, 3, 3)), padding=1),
        "lif": LIF(0.004, 0.3),
        "pool": MaxPool2d(2),
        "flat": Flatten(),
        "synapse": synapse,
    }
    nodes |= {f"more{k}": node for k, node in enumerate(more)} | {"out": LI(0.01)}
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


FRAMES = (np.random.default_rng(1).random((12, 2, 6, 6)) < 0.2).astype(np.float32)


def test_without_delays_it_is_the_linear_of_its_weights() -> None:
    rng = np.random.default_rng(2)
    weight = rng.normal(0, 1, (5, 36)) * (rng.random((5, 36)) < 0.3)
    sparse = neuro.simulate(conv_net(SparseLinear.from_dense(weight)), FRAMES)
    dense = neuro.simulate(conv_net(Linear(weight)), FRAMES)
    assert np.abs(dense.output).max() > 0
    assert sparse.output.tobytes() == dense.output.tobytes()
    n = int((neuro.simulate(conv_net(Linear(weight)), FRAMES, record={"flat": "spikes"}).spikes["flat"]
             .to_dense() @ (weight != 0).T).sum())  # fmt: skip
    assert sparse.counters.synaptic_operations["synapse"] == n
    assert sparse.counters.input_entries == dense.counters.input_entries


def test_one_delay_is_a_delay_before_it() -> None:
    rng = np.random.default_rng(3)
    weight = rng.normal(0, 1, (5, 36)) * (rng.random((5, 36)) < 0.3)
    late = neuro.simulate(conv_net(SparseLinear.from_dense(weight, delay_s=0.003)), FRAMES)
    nodes = dict(conv_net(Linear(weight)).nodes)
    order = ["in", "conv", "lif", "pool", "flat", "delay", "synapse", "out"]
    nodes["delay"] = Delay(0.003)
    other = neuro.simulate(
        Graph({name: nodes[name] for name in order}, list(pairwise(order)), clocked(0.001)), FRAMES
    )
    assert np.abs(other.output).max() > 0
    assert late.output.tobytes() == other.output.tobytes()


def test_each_synapse_with_its_delay_is_a_sum_of_delayed_ones() -> None:
    """Weights in sixteenths: all sums are exact, in any order."""
    rng = np.random.default_rng(4)
    weight = rng.integers(-8, 9, (5, 36)) / 16 * (rng.random((5, 36)) < 0.4)
    delays = rng.integers(0, 4, (5, 36))
    rows, columns = np.nonzero(weight)
    sparse = SparseLinear.from_coo(
        rows, columns, weight[rows, columns], n_out=5, n_in=36, delay_s=delays[rows, columns] * 0.001
    )
    found = neuro.simulate(conv_net(sparse), FRAMES).output
    nodes = {name: node for name, node in conv_net(sparse).nodes.items() if name != "synapse"}
    edges = [("in", "conv"), ("conv", "lif"), ("lif", "pool"), ("pool", "flat"), ("sum", "out")]
    nodes["sum"] = neuro.graph.Add()
    for d in range(4):
        nodes |= {f"late{d}": Delay(d * 0.001), f"part{d}": Linear(np.where(delays == d, weight, 0))}
        edges += [("flat", f"late{d}"), (f"late{d}", f"part{d}"), (f"part{d}", "sum")]
    assert found.tolist() == neuro.simulate(Graph(nodes, edges, clocked(0.001)), FRAMES).output.tolist()


def test_entries_that_arrive_in_a_dropped_step_are_lost_and_counted() -> None:
    drop = neuro.graph.TemporalAttention(np.zeros((1, 6)), [0.0], np.zeros((6, 1)), [1, 1, -1, 1, -1, 1], 0.5)
    sparse = SparseLinear.from_coo([0, 0], [0, 1], [1.0, 2.0], n_out=1, n_in=2, delay_s=[0.001, 0.0])
    nodes = {"in": Input(2), "drop": drop, "synapse": sparse, "flat": Flatten(), "out": LI(1e6)}
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    result = neuro.simulate(graph, np.ones((6, 2)), record={"out": "membrane"})
    assert result.counters.delayed_entries_lost == {"synapse": 2}  # from the steps 1 and 3
    assert result.counters.synaptic_operations == {
        "synapse": 5
    }  # 4 at once, that of step 0, and none in step 5
    assert neuro.verify(graph, np.ones((6, 2)))


def test_a_population_takes_sparse_and_dense_synapses_at_once() -> None:
    nodes = {
        "in": Input((1, 1, 2)),
        "flat": Flatten(),
        "dense": Linear([[0.25, 0.5]], [0.125]),
        "sparse": SparseLinear([2.0], indices=[0], indptr=[0, 1], n_in=2, delay_s=0.001),
        "own": SparseLinear([-1.0], indices=[0], indptr=[0, 1], n_in=1, delay_s=0.002),
        "out": LI(1.0, update="decay"),
    }
    edges = [("in", "flat"), ("flat", "dense"), ("flat", "sparse"), ("dense", "out"), ("sparse", "out")]
    graph = Graph(nodes, [*edges, ("out", "own"), ("own", "out")], clocked(0.001))
    frames = np.array([[1, 0], [0, 1], [0, 0], [0, 0]], np.float32).reshape(4, 1, 1, 2)
    alpha = np.float32(np.exp(-0.001))
    v0 = np.float32(0.375)
    v1 = alpha * v0 + np.float32(0.625 + 2.0)
    v2 = alpha * v1 + (np.float32(0.125) - v0)
    v3 = alpha * v2 + (np.float32(0.125) - v1)
    found = neuro.simulate(graph, frames, record={"out": "membrane"}).membranes["out"][:, 0]
    assert found.tolist() == [float(v) for v in (v0, v1, v2, v3)]
    assert neuro.verify(graph, frames)


@pytest.mark.parametrize(
    ("nodes", "edges", "text"),
    [
        (
            {"in": Input((1, 1, 2)), "flat": Flatten(),
             "w": SparseLinear([0.5], indices=[0], indptr=[0, 1], n_in=2, stdp=Stdp(0.1, 0.1, 0.1, 0.1, 1.0)),
             "n": LIF(0.01)},
            [("in", "flat"), ("flat", "w"), ("w", "n")],
            "SparseLinear 'w': stdp is computed in networks of populations only, and this graph has layers",
        ),
        (
            {"w": SparseLinear.from_dense(np.ones((2, 2)), delay_s=0.001), "n": LIF(np.full(2, 0.01)), "f": Flatten()},
            [("n", "w"), ("w", "n"), ("n", "f")],
            "Graph: a graph with layers needs an Input",
        ),
        (
            {"in": Input(2), "w": SparseLinear.from_dense(np.ones((2, 2))), "n": LIF(0.01), "f": Flatten(),
             "lost": LIF(np.full(2, 0.01))},
            [("in", "w"), ("w", "n"), ("n", "f")],
            "LIF 'lost': has no input, which a graph with layers needs",
        ),
        (
            {"in": Input(2), "w": SparseLinear.from_dense(np.ones((2, 2))), "n": LIF(0.01), "f": Flatten(),
             "p": PoissonSource(1.0, 2, 0)},
            [("in", "w"), ("w", "n"), ("p", "n"), ("n", "f")],
            "Flatten 'f': ",
        ),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused(nodes: dict[str, Any], edges: Any, text: str) -> None:
    graph = Graph(nodes, edges, clocked(0.001))
    frames = np.ones((2, *graph.shapes["in"])) if graph.input_name else np.ones((2, 2))
    with pytest.raises(neuro.GraphError, match=text):
        neuro.simulate(graph, frames)


DENSE = np.random.default_rng(5).choice([0.0, 0.0, 0.25, -0.5, 0.75], (5, 36))


def test_costs_are_those_of_a_linear_without_its_zeros() -> None:
    sparse, linear = conv_net(SparseLinear.from_dense(DENSE)), conv_net(Linear(DENSE))
    n = int(np.count_nonzero(DENSE))
    size = neuro.costs.sizes(sparse)[0]["synapse"]
    assert (size.n_inputs, size.n_outputs, size.n_pixels, size.n_biases) == (36, 5, 1, 0)
    assert (size.dense_operations, size.n_weights, size.fan_out) == (n, n, -(-n // 36))
    result = neuro.simulate(sparse, FRAMES, record={"flat": "spikes"})
    fan_out = np.count_nonzero(DENSE, axis=0)
    executed = int(fan_out[result.spikes["flat"].index].sum())
    assert executed > 0
    assert neuro.costs.spike_driven_operations(sparse, result.counters)["synapse"] == executed
    work, other = (neuro.costs.spiking_work(g, neuro.simulate(g, FRAMES).counters) for g in (sparse, linear))
    mine, theirs = (next(layer for layer in w.layers if layer.name == "synapse") for w in (work, other))
    assert (mine.accumulates, mine.multiply_accumulates, mine.is_linear) == (executed, 0, True)
    assert (mine.inputs_read, mine.updates, mine.outputs_written) == (
        theirs.inputs_read,
        theirs.updates,
        theirs.outputs_written,
    )
    conventional = neuro.costs.conventional_work(sparse, n_steps=12)
    assert conventional.layers[-1].multiply_accumulates == n


def test_costs_of_populations_are_refused() -> None:
    graph = Graph({"p": PoissonSource(1.0, 2, 0), "n": LIF(0.01)}, [("p", "n")], clocked(0.001))
    with pytest.raises(
        neuro.GraphError, match="costs are counted for layers, this graph runs as a network of"
    ):
        neuro.costs.sizes(graph)


@pytest.mark.parametrize("delay_s", [0.0, 0.002])
def test_dynamics_leave_out_the_same_as_with_a_linear(delay_s: float) -> None:
    """An early exit ends where the plain run's readout says; a report counts the sparse synapses too."""
    sparse = SparseLinear.from_dense(DENSE, delay_s=delay_s)
    graph = conv_net(sparse)
    rule = neuro.ExitRule(0.21, measure="confidence", first_step=3)
    plain = neuro.simulate(graph, FRAMES)
    early = neuro.simulate(graph, FRAMES, dynamics=neuro.Dynamics(early_exit=rule, compare=True))
    assert early.dynamics is not None
    assert early.counters.n_steps < 12
    assert early.output.tobytes() == plain.output[: early.counters.n_steps].tobytes()
    assert early.dynamics.synaptic_operations == early.counters.total_synaptic_operations
    assert early.dynamics.synaptic_operations_without == plain.counters.total_synaptic_operations
    off = neuro.simulate(graph, FRAMES, dynamics=neuro.Dynamics.off())
    assert off.output.tobytes() == plain.output.tobytes()
    assert off.counters == plain.counters


@settings(max_examples=25)
@given(mixed_runs(), st.integers(1, 12))
def test_an_early_exit_gives_the_beginning_of_the_run(run: tuple[Graph, Frames], first_step: int) -> None:
    graph, frames = run
    assume(len(graph.output_names) == 1 and np.prod(graph.shapes[graph.output_names[0]]) > 1)
    rule = neuro.ExitRule(0.3, measure="confidence", first_step=first_step)
    try:
        early = neuro.simulate(graph, frames, dynamics=neuro.Dynamics(early_exit=rule))
    except neuro.InputError as err:
        assume("scores whole windows" not in str(err))
        raise
    n = early.counters.n_steps
    assert early.output.tobytes() == neuro.simulate(graph, frames).output[:n].tobytes()


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_a_branch_of_sparse_synapses_may_be_closed(least: float) -> None:
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((2, 6, 6)),
        "flat": Flatten(),
        "sparse": SparseLinear.from_dense(rng.choice([0, 0.5, -0.25], (5, 72)), delay_s=0.001),
        "dense": Linear(rng.normal(0, 0.3, (5, 72))),
        "join": Add(),
        "out": LI(0.01),
    }
    first = [("in", "flat"), ("flat", "dense"), ("dense", "join")]
    edges = [*first, ("flat", "sparse"), ("sparse", "join"), ("join", "out")]
    graph = Graph(nodes, edges, clocked(0.001))
    gate = neuro.BranchGate("join", "sparse", least)
    gated = neuro.simulate(graph, FRAMES, dynamics=neuro.Dynamics(gates=(gate,)))
    if least == 0:
        assert gated.output.tobytes() == neuro.simulate(graph, FRAMES).output.tobytes()
        return
    del nodes["sparse"], nodes["join"]
    without = neuro.simulate(Graph(nodes, [*first[:2], ("dense", "out")], clocked(0.001)), FRAMES)
    assert gated.output.tobytes() == without.output.tobytes()
    assert gated.counters.synaptic_operations["sparse"] == 0


def test_a_head_leaves_out_the_sparse_synapses_behind_it() -> None:
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((2, 6, 6)),
        "flat": Flatten(),
        "fc": Linear(rng.normal(0, 0.3, (8, 72))),
        "lif": LIF(0.004, 0.3),
        "early": LI(0.01),
        "to early": Linear(rng.normal(0, 0.5, (3, 8))),
        "late": LI(0.01),
        "to late": SparseLinear.from_dense(rng.choice([0, 0.5, -0.25], (3, 8)), delay_s=0.001),
    }
    edges = [("in", "flat"), ("flat", "fc"), ("fc", "lif"), ("lif", "to early"), ("to early", "early")]
    edges += [("lif", "to late"), ("to late", "late")]
    graph = Graph(nodes, edges, clocked(0.001))
    plain = neuro.simulate(graph, FRAMES)
    first, last = graph.output_names
    for threshold in (0.0, 1.0):
        rule = neuro.ExitRule(threshold, measure="confidence")
        result = neuro.simulate(graph, FRAMES, dynamics=neuro.Dynamics(heads={first: rule}))
        assert result.outputs[first].tobytes() == plain.outputs[first].tobytes()
        if threshold:
            assert result.outputs[last].tobytes() == plain.outputs[last].tobytes()
            assert result.counters == plain.counters
        elif first == "early":
            assert result.counters.synaptic_operations["to late"] == 0


def test_a_weight_grid_holds_for_sparse_synapses() -> None:
    """Sums are exact, so the engine's whole-number path and the reference in any order give one result."""
    rng = np.random.default_rng(4)
    nodes = {
        "in": Input((2, 6, 6), max_count=1),
        "conv": Conv2d(rng.integers(-8, 9, (4, 2, 3, 3)) / 16, padding=1),
        "lif": LIF(0.004, 0.3),
        "flat": Flatten(),
        "sparse": SparseLinear.from_dense(rng.integers(-8, 9, (5, 144)) / 16, delay_s=0.002),
        "hidden": LIF(0.004, 0.3),
        "fc": Linear(rng.integers(-8, 9, (3, 5)) / 16),
        "out": LI(0.01),
    }
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001), weight_grid=1 / 16)
    assert neuro.verify(graph, FRAMES)
    assert neuro.simulate(graph, FRAMES, record={"hidden": "rate"}).spike_counts["hidden"].sum() > 0
    read = Graph(dict(graph.nodes), graph.edges, graph.execution, weight_grid=1 / 16)
    assert read == graph
    nodes["sparse"] = SparseLinear.from_dense(np.full((5, 144), 0.3))
    with pytest.raises(
        neuro.GraphError, match=r"SparseLinear 'sparse': weight must hold multiples of weight_grid"
    ):
        Graph(nodes, list(pairwise(nodes)), clocked(0.001), weight_grid=1 / 16)
    nodes["sparse"] = SparseLinear.from_coo([3, 3], [0, 1], [2.0**20, 1 / 16], n_out=5, n_in=144)
    with pytest.raises(neuro.GraphError, match=r"SparseLinear 'sparse': output 3 has sum\|weight\| \* 1"):
        Graph(nodes, list(pairwise(nodes)), clocked(0.001), weight_grid=1 / 16)
