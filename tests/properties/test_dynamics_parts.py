"""Branches that a gate skips, and what lies behind a head that is sure enough, against the slow oracle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro.dynamics import BranchGate, Dynamics, ExitRule, open_steps
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Node,
    TemporalAttention,
    clocked,
)
from neuro.lowering.branches import branch_nodes
from tests.oracle.dense_engine import simulate_densely
from tests.properties.test_engine_oracle import record_all
from tests.strategies import SEEDS, readouts, spiking_neurons

Frames = NDArray[np.float32]
N, DT_S = 4, 0.001


@st.composite
def gated_runs(draw: st.DrawFn) -> tuple[Graph, Frames]:
    """A trunk and a branch of random nodes that meet in an Add, with or without attention before them."""
    rng = np.random.default_rng(draw(SEEDS))
    n_steps = draw(st.integers(1, 8))
    nodes: dict[str, Node] = {"in": Input(N, max_count=3)}
    if draw(st.booleans()):
        weights = (
            rng.normal(0, 1, (2, n_steps)),
            np.zeros(2),
            rng.normal(0, 2, (n_steps, 2)),
            np.zeros(n_steps),
        )
        nodes["attention"] = TemporalAttention(*weights, threshold=0.5)
    nodes |= {"fc": Linear(rng.normal(0.3, 0.7, (N, N)), rng.normal(0, 0.2, N))}
    nodes["trunk"] = draw(spiking_neurons((N,), DT_S))
    edges = list(pairwise(nodes))
    at = "trunk"
    for k in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["linear", "neurons", "delay", "readout"]))
        name = f"b{k}_{kind}"
        nodes[name] = {
            "linear": lambda: Linear(rng.normal(0.2, 0.7, (N, N)), rng.normal(0, 0.2, N)),
            "neurons": lambda: draw(spiking_neurons((N,), DT_S)),
            "delay": lambda: Delay(draw(st.integers(0, 2)) * DT_S),
            "readout": lambda: draw(readouts((N,), DT_S)),
        }[kind]()
        edges.append((at, name))
        at = name
    nodes |= {
        "sum": Add(),
        "last": draw(spiking_neurons((N,), DT_S)),
        "out": Linear(rng.normal(0, 1, (2, N))),
    }
    edges += [(at, "sum"), ("trunk", "sum"), ("sum", "last"), ("last", "out")]
    frames = np.where(rng.random((n_steps, N)) < 0.5, rng.integers(1, 4, (n_steps, N)), 0)
    return Graph(nodes, edges, clocked(DT_S)), frames.astype(np.float32)


@settings(max_examples=60)
@given(
    gated_runs(),
    st.sampled_from(["density", "change"]),
    st.sampled_from(["step", "recording"]),
    st.floats(0, 1),
)
def test_a_skipped_branch_equals_the_oracle(
    run: tuple[Graph, Frames], statistic: str, per: str, threshold: float
) -> None:
    graph, frames = run
    branch = next(name for name in graph.predecessors("sum") if name != "trunk")
    gate = BranchGate("sum", branch, threshold, statistic, per)  # type: ignore[arg-type]
    result = neuro.simulate(graph, frames, record=record_all(graph), dynamics=Dynamics(gates=(gate,)))
    is_open = open_steps(gate, np.count_nonzero(frames, axis=1), size=N)
    nodes = branch_nodes(graph, "sum", branch)
    assert nodes == {name for name in graph.nodes if name.startswith("b")}
    kept = np.ones(len(frames), bool) if result.attention is None else result.attention.kept
    oracle = simulate_densely(graph, frames, kept, dict.fromkeys(nodes, ~is_open))
    for name, output in result.outputs.items():
        np.testing.assert_array_equal(output, oracle.values[name], err_msg=name)
    for name, membranes in result.membranes.items():
        np.testing.assert_array_equal(membranes, oracle.membranes[name], err_msg=name)
    for name, spikes in result.spikes.items():
        if name not in nodes:
            np.testing.assert_array_equal(spikes.to_dense(), oracle.values[name], err_msg=name)
    counters = result.counters
    assert counters.synaptic_operations == {
        name: oracle.synaptic_operations[name] for name in counters.synaptic_operations
    }
    assert counters.input_entries == {name: oracle.input_entries[name] for name in counters.input_entries}
    for name, steps in counters.path_steps.items():
        assert sum(steps.values()) == (kept & is_open if name in nodes else kept).sum()


@settings(max_examples=20)
@given(gated_runs())
def test_an_open_gate_changes_nothing(run: tuple[Graph, Frames]) -> None:
    graph, frames = run
    branch = next(name for name in graph.predecessors("sum") if name != "trunk")
    gate = BranchGate("sum", branch, 0.0)
    plain = neuro.simulate(graph, frames)
    gated = neuro.simulate(graph, frames, dynamics=Dynamics(gates=(gate,)))
    assert plain.output.tobytes() == gated.output.tobytes()
    assert plain.counters == gated.counters


def residual(seed: int = 0) -> Graph:
    """Convolutions with a residual branch that begins with a pool, and a head before and behind it."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, Node] = {
        "in": Input((1, 6, 6), max_count=1),
        "conv1": Conv2d(rng.normal(0.3, 0.5, (2, 1, 3, 3)), padding=1),
        "lif1": LIF(0.01, 0.2),
        "pool": MaxPool2d((3, 3), (1, 1), (1, 1)),
        "conv2": Conv2d(rng.normal(0, 0.5, (2, 2, 3, 3)), padding=1),
        "sum": Add(),
        "lif2": LIF(0.01, 0.5),
        "flat1": Flatten(),
        "fc1": Linear(rng.normal(0, 0.3, (3, 72))),
        "early": LI(0.01),
        "flat2": Flatten(),
        "fc2": Linear(rng.normal(0, 0.3, (3, 72))),
        "late": LI(0.01),
    }
    edges = [("in", "conv1"), ("conv1", "lif1"), ("lif1", "pool"), ("pool", "conv2"), ("conv2", "sum")]
    edges += [("lif1", "sum"), ("sum", "lif2"), ("lif1", "flat1"), ("flat1", "fc1"), ("fc1", "early")]
    edges += [("lif2", "flat2"), ("flat2", "fc2"), ("fc2", "late")]
    return Graph(nodes, edges, clocked(0.001))


@pytest.mark.parametrize("density", [0.1, 0.6])
def test_a_branch_that_begins_with_a_pool_is_skipped(density: float) -> None:
    graph = residual()
    frames = (np.random.default_rng(1).random((9, 1, 6, 6)) < density).astype(np.float32)
    frames[3:5] = 0
    gate = BranchGate("sum", "conv2", 0.05)
    result = neuro.simulate(graph, frames, dynamics=Dynamics(gates=(gate,)))
    is_open = open_steps(gate, np.count_nonzero(frames.reshape(9, -1), axis=1), size=36)
    assert not is_open[3:5].any()
    oracle = simulate_densely(graph, frames, closed=dict.fromkeys(("pool", "conv2"), ~is_open))
    for name, output in result.outputs.items():
        np.testing.assert_array_equal(output, oracle.values[name])
    assert result.dynamics is not None
    n_synapses = 4
    expected = (n_synapses * 9 - (~is_open).sum()) / (n_synapses * 9)
    assert result.dynamics.fractions.layers == pytest.approx(expected, abs=1e-12)


def test_a_sure_head_ends_the_run_before_what_lies_behind_it() -> None:
    graph = residual()
    frames = (np.random.default_rng(1).random((9, 1, 6, 6)) < 0.4).astype(np.float32)
    record = {"lif1": ("spikes", "membrane"), "lif2": ("spikes", "membrane", "rate")}
    plain = neuro.simulate(graph, frames, record=record)
    rule = ExitRule(0.0)
    ended = neuro.simulate(graph, frames, record=record, dynamics=Dynamics(heads={"early": rule}))
    report = ended.dynamics
    assert report is not None
    assert (report.exit_head, report.exit_step, report.n_steps) == ("early", None, 9)
    assert set(ended.outputs) == {"early"}
    assert ended.outputs["early"].tobytes() == plain.outputs["early"].tobytes()
    assert ended.membranes["lif1"].tobytes() == plain.membranes["lif1"].tobytes()
    assert (len(ended.spikes["lif2"]), len(ended.membranes["lif2"])) == (0, 0)
    assert ended.spike_counts["lif2"].sum() == 0
    operations = ended.counters.synaptic_operations
    assert operations["conv2"] == operations["fc2"] == 0
    assert operations["fc1"] == plain.counters.synaptic_operations["fc1"]
    assert report.fractions.layers == 0.5
    unsure = neuro.simulate(
        graph, frames, record=record, dynamics=Dynamics(heads={"early": ExitRule(1.0, temperature=1e6)})
    )
    assert unsure.dynamics is not None
    assert unsure.dynamics.exit_head is None
    for name, output in plain.outputs.items():
        assert output.tobytes() == unsure.outputs[name].tobytes()
    for name, spikes in plain.spikes.items():
        np.testing.assert_array_equal(spikes.to_dense(), unsure.spikes[name].to_dense(), strict=True)
    assert plain.counters == unsure.counters


def test_gates_and_heads_that_do_not_fit_are_refused() -> None:
    graph, frames = residual(), np.zeros((2, 1, 6, 6), np.float32)

    def refused(message: str, **words: object) -> None:
        with pytest.raises(neuro.InputError, match=message):
            neuro.simulate(graph, frames, dynamics=Dynamics(**words))  # type: ignore[arg-type]

    refused("join must be an Add, 'lif1' is a LIF", gates=(BranchGate("lif1", "conv1", 0.5),))
    refused("join must be an Add, 'x' is no node", gates=(BranchGate("x", "conv1", 0.5),))
    refused("'sum' adds conv2, lif1; choose one", gates=(BranchGate("sum", "conv1", 0.5),))
    refused("'lif1' feeds other nodes too", gates=(BranchGate("sum", "lif1", 0.5),))
    refused("gates must be neuro.BranchGate", gates=("sum",))
    refused("heads names 'lif1', the sinks are early, late", heads={"lif1": ExitRule(0.5)})
    refused("'late' is the last head", heads={"late": ExitRule(0.5)})
    refused("exclude each other", heads={"early": ExitRule(0.5)}, early_exit=ExitRule(0.5))
    refused("must be a neuro.ExitRule, got float", heads={"early": 0.5})
    state = neuro.simulate(graph, frames).state
    with pytest.raises(neuro.InputError, match="state must be None"):
        neuro.simulate(graph, frames, state=state, dynamics=Dynamics(heads={"early": ExitRule(0.5)}))
    for words, message in (
        ({"threshold": 1.5}, "threshold must be from 0 to 1, got 1.5"),
        ({"statistic": "mood"}, "statistic must be 'density' or 'change', got 'mood'"),
        ({"per": "day"}, "per must be 'step' or 'recording', got 'day'"),
    ):
        with pytest.raises(neuro.InputError, match=message):
            BranchGate(**{"join": "sum", "branch": "conv2", "threshold": 0.5} | words)  # type: ignore[arg-type]


def test_cycles_are_refused() -> None:
    nodes = {
        "in": Input(2),
        "sum": Add(),
        "lif": IF(1.0),
        "back": Delay(0.001),
        "both": Concat(),
        "late": LI(0.1),
        "early": LI(0.1),
    }
    edges = [("in", "sum"), ("back", "sum"), ("sum", "lif"), ("lif", "back"), ("lif", "both"), ("in", "both")]
    graph = Graph(nodes, [*edges, ("both", "late"), ("in", "early")], clocked(0.001))
    frames = np.ones((2, 2), np.float32)
    with pytest.raises(neuro.InputError, match="closes a cycle"):
        neuro.simulate(graph, frames, dynamics=Dynamics(gates=(BranchGate("sum", "back", 0.5),)))
    with pytest.raises(neuro.InputError, match="without cycles"):
        neuro.simulate(graph, frames, dynamics=Dynamics(heads={"early": ExitRule(0.5)}))


def test_a_membrane_handed_on_in_a_dropped_frame_passes_an_open_gate() -> None:
    """An LI gives its membrane in a dropped step, too; a delay brings it to a kept one."""
    keep_two = TemporalAttention(np.zeros((1, 4)), [0.0], np.zeros((4, 1)), [9.0, -9.0, 9.0, -9.0], 0.5)
    nodes = {
        "in": Input(2),
        "attention": keep_two,
        "fc": Linear(np.eye(2)),
        "trunk": IF(0.5),
        "li": LI(0.01),
        "delay": Delay(0.001),
        "sum": Add(),
        "out": Linear(np.eye(2)),
    }
    edges = [*pairwise(nodes), ("trunk", "sum")]
    graph = Graph(nodes, edges, clocked(0.001))
    frames = np.ones((4, 2), np.float32)
    plain = neuro.simulate(graph, frames)
    gated = neuro.simulate(graph, frames, dynamics=Dynamics(gates=(BranchGate("sum", "delay", 0.0),)))
    assert plain.output.tobytes() == gated.output.tobytes()
    assert (plain.output[2] != 1).all()
