"""Sparse synapses with a delay each: through quantisation, the emulator, cores, Lava and .net files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import hw
import neuro
from hw.lava import running
from neuro.graph import (
    IF,
    LI,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    SparseLinear,
    Stdp,
    clocked,
)

needs_lava = pytest.mark.skipif(
    running.lava_version() is None, reason="lava-nc is not installed: run make lava"
)


def sparse(
    rng: np.random.Generator, n_out: int, n_in: int, *, steps: tuple[int, int], repeats: int = 0
) -> SparseLinear:
    """Whole 64ths between random pairs, `repeats` of which are connected once more."""
    rows, columns = np.nonzero(rng.random((n_out, n_in)) < 0.4)
    rows, columns = np.append(rows, rows[:repeats]), np.append(columns, columns[:repeats])
    delay = rng.integers(*steps, rows.size)
    delay[rows.size - repeats :] += steps[1]
    weight = rng.integers(-20, 40, rows.size) / 64
    return SparseLinear.from_coo(rows, columns, weight, n_out=n_out, n_in=n_in, delay_s=delay * 0.001)


def looped(seed: int, repeats: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    nodes: dict[str, Node] = {
        "in": Input(9, max_count=1), "first": sparse(rng, 12, 9, steps=(0, 4), repeats=repeats), "a": IF(),
        "loop": sparse(rng, 12, 12, steps=(2, 4)), "second": sparse(rng, 7, 12, steps=(3, 9)), "b": IF(),
    }  # fmt: skip
    edges = [("in", "first"), ("first", "a"), ("a", "loop"), ("loop", "a"), ("a", "second"), ("second", "b")]
    return Graph(nodes, edges, clocked(0.001))


def frames(*shape: int) -> np.ndarray:
    return (np.random.default_rng(5).random(shape) < 0.3).astype(np.float32)


@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
@pytest.mark.parametrize("repeats", [0, 9])
def test_every_synapse_keeps_its_delay(target: str, repeats: int) -> None:
    graph, recording = looped(1, repeats), frames(60, 9)
    truth = neuro.simulate(graph, recording, record={"a": "spikes", "b": "spikes"}).spikes
    fixed = hw.quantize(graph, target)
    result = hw.emulate(fixed, recording)
    for name in "ab":
        assert len(truth[name]) > 20
        np.testing.assert_array_equal(result.spikes(name).to_dense(), truth[name].to_dense())
    assert dict(fixed.depths) == {"in": 0, "a": 1, "b": 0}
    assert len(fixed.into("a")) == 2


@needs_lava
@pytest.mark.parametrize("repeats", [0, 9])
def test_cores_and_lava_agree(repeats: int) -> None:
    mapping = hw.map_graph(looped(2, repeats), "loihi1")
    certificate = hw.verify(mapping, frames(40, 9))
    assert certificate
    assert set(certificate.engines) == {"whole", "cores", "lava"}
    assert certificate.compensating_delays["a -> b"] >= 5


def test_chains_with_other_nodes_add_their_delays() -> None:
    rng = np.random.default_rng(3)
    nodes: list[Node] = [
        Input((1, 4, 4), max_count=1), Conv2d(rng.integers(-8, 16, (2, 1, 3, 3)) / 16, padding=1), IF(), Flatten(),
        sparse(rng, 6, 32, steps=(0, 3)), Delay(0.002), sparse(rng, 8, 6, steps=(1, 3)), IF(),
        Linear(np.ones((2, 8))), LI(0.02),
    ]  # fmt: skip
    names = [f"n{k}" for k in range(len(nodes))]
    graph = Graph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), clocked(0.001))
    recording = frames(60, 1, 4, 4)
    truth = neuro.simulate(graph, recording, record={"n7": "spikes"}).spikes["n7"]
    fixed = hw.quantize(graph, "loihi2")
    assert len(truth) > 20
    np.testing.assert_array_equal(hw.emulate(fixed, recording).spikes("n7").to_dense(), truth.to_dense())


def test_net_files_hold_delays(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows, columns = np.nonzero(rng.random((5, 8)) < 0.5)
    ends = {"rows": rows.astype(np.int32), "columns": columns.astype(np.int32)}
    weights, delay = rng.integers(-50, 60, rows.size) * 2, rng.integers(0, 6, rows.size)
    populations = {"in": hw.Population((8,), "input"), "out": hw.Population((5,), threshold=60)}
    fixed = hw.FixedGraph(populations, (hw.Connection("in", "out", "sparse", weights, delay=delay, **ends),))
    hw.write_net(fixed, tmp_path / "network.net")
    again = hw.read_net(tmp_path / "network.net")
    one, two = (hw.emulate(network, frames(30, 8)).trains for network in (fixed, again))
    assert len(one["out"]) > 10
    np.testing.assert_array_equal(one["out"].step, two["layer1"].step)
    np.testing.assert_array_equal(one["out"].index, two["layer1"].index)


@pytest.mark.parametrize(
    ("delay", "message"),
    [
        (np.full(5, 63), "whole numbers from 0 to 62, got 63"),
        (np.ones(3, int), "3 delays fit neither 5 outputs nor 8"),
    ],
)
def test_delays_of_net_files_are_checked(tmp_path: Path, delay: Any, message: str) -> None:
    populations = {"in": hw.Population((8,), "input"), "out": hw.Population((5,), threshold=60)}
    synapses = hw.Connection("in", "out", "dense", np.full((5, 8), 2), delay=1)
    hw.write_net(hw.FixedGraph(populations, (synapses,)), tmp_path / "network.net")
    with h5py.File(tmp_path / "network.net", "r+") as file:
        del file["layer/1/delay"]
        file["layer/1/delay"] = delay
    with pytest.raises(hw.MappingFileError, match=f"layer 1.*{message}"):
        hw.read_net(tmp_path / "network.net")


def test_several_synapses_of_a_pair_are_no_net_file(tmp_path: Path) -> None:
    ends = {"rows": np.zeros(2, np.int32), "columns": np.zeros(2, np.int32)}
    populations = {"in": hw.Population((1,), "input"), "out": hw.Population((1,))}
    synapses = hw.Connection("in", "out", "sparse", np.array([2, 4]), delay=np.array([0, 3]), **ends)
    with pytest.raises(hw.HardwareError, match="some pairs of neurons have several synapses"):
        hw.write_net(hw.FixedGraph(populations, (synapses,)), tmp_path / "network.net")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"stdp": Stdp(0.01, 0.012, 0.02, 0.02, w_max=1.0), "delay_s": 0.001},
            "its weights change while it runs",
        ),
        ({"delay_s": 0.08}, "needs a delay of 79 steps"),
    ],
)
def test_what_the_chip_cannot_do_is_refused(settings: Any, message: str) -> None:
    nodes = {"in": Input(2), "s": SparseLinear([0.5, 1.0], [0, 1], [0, 1, 2], 2, **settings), "a": IF()}
    with pytest.raises((hw.UnsupportedNodeError, hw.QuantizationError), match=message):
        hw.quantize(Graph(nodes, [("in", "s"), ("s", "a")], clocked(0.001)), "loihi2")
