"""Training in the chip's whole numbers: those of the emulator, closer to the network, refused where it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import hw
import neuro
from neuro.graph import IF, LI, LIF, Add, Delay, Graph, Input, Linear, Node, Readout, clocked
from spikeloom import UserError
from spikeloom.cli import cli
from spikeloom.fine_tuning import decisions, fine_tune
from tests.app_models import small_recognizer, write_recording
from tests.hw_networks import random_convolutions, random_network

torch = pytest.importorskip("torch")

KINDS = ("dense", "sparse", "delayed dense", "delayed sparse")


def on_the_grid(fixed: hw.FixedGraph) -> hw.FixedGraph:
    """Weights as quantisation gives them: the chip cuts nothing off, and nothing overflows."""
    connections = []
    for c in fixed.connections:
        step = 1 << (8 - c.weight_bits + (c.sign == "mixed"))
        connections.append(
            replace(
                c,
                weights=np.sign(c.weights) * (np.abs(c.weights) // step * step),
                weight_exponent=min(c.weight_exponent, 2),
            )
        )
    return hw.FixedGraph(fixed.populations, tuple(connections), fixed.profile)


@pytest.mark.parametrize("profile", ["lava", "loihi1"])
@pytest.mark.parametrize("seed", range(8))
def test_torch_computes_what_the_emulator_computes(seed: int, profile: str) -> None:
    from spikeloom.chip_training import ChipNetwork

    if seed % 3 == 2:
        fixed, frames = random_convolutions(seed, groups=True)
    else:
        choice = {"refractory": seed % 2 == 0, "subtracts": seed % 4 < 2 and profile == "lava"}
        fixed, frames = random_network(seed, kinds=KINDS, loops=seed % 2 == 1, arrays=seed % 5 == 0, **choice)
    fixed = replace(on_the_grid(fixed), profile=profile)
    result = hw.emulate(fixed, frames)
    assert not result.counters.current_overflows["out"]
    n_chip = len(frames) + fixed.depth
    with torch.no_grad():
        found = ChipNetwork(fixed)({"in": torch.tensor(frames)[:, None]}, n_chip)
    for name in ("hidden", "out"):
        spikes = np.zeros((n_chip, fixed.populations[name].size))
        train = result.trains[name]
        spikes[train.step, train.index] = train.value
        np.testing.assert_array_equal(found[name][:, 0].reshape(n_chip, -1).numpy(), spikes, err_msg=name)


@pytest.mark.parametrize("profile", ["lava", "loihi1"])
def test_what_was_moved_is_exported_as_it_runs(profile: str) -> None:
    from spikeloom.chip_training import ChipNetwork

    rng = np.random.default_rng(3)
    lif = {"current_decay": 900, "membrane_decay": 300, "threshold": 500, "bias_mantissa": 7}
    populations = {
        "in": hw.Population((6,), "input"), "a": hw.Population((8,), **lif), "out": hw.Population((4,), **lif),
    }  # fmt: skip
    sizes = {name: population.size for name, population in populations.items()}
    connections = [
        hw.Connection(*ends, "dense", rng.integers(-20, 50, (sizes[ends[1]], sizes[ends[0]])) * 2)
        for ends in (("in", "a"), ("a", "a"), ("a", "out"))
    ]
    fixed = hw.FixedGraph(populations, tuple(connections), profile)
    frames = (rng.random((30, 6)) < 0.5).astype(np.float32)
    network = ChipNetwork(fixed)
    with torch.no_grad():
        for values in network.weights:
            values.add_(2.6)
        for values in network.biases.values():
            values.add_(2.7)
        found = network({"in": torch.tensor(frames)[:, None]}, len(frames) + fixed.depth)
    moved = network.export()
    out = moved.populations["out"]
    assert [
        int((c.weights - before.weights).min())
        for c, before in zip(moved.connections, fixed.connections, strict=True)
    ] == [6, 6, 6]
    assert np.unique(out.bias_mantissa).tolist() == [10]
    result = hw.emulate(moved, frames)
    assert result.trains["out"].step.size > 5
    spikes = np.zeros((len(frames) + fixed.depth, out.size))
    spikes[result.trains["out"].step, result.trains["out"].index] = 1
    np.testing.assert_array_equal(found["out"][:, 0].numpy(), spikes)


def test_a_network_with_loops_learns_to_decide_as_before() -> None:
    graph, recordings = teacher(loop=0.15)
    fixed = hw.quantize(graph, "loihi2", calibration=recordings[:20], weight_bits=3)
    assert any(c.source == c.target for c in fixed.connections)
    tuned = fine_tune(graph, fixed, recordings[:64], recordings[64:164], level=1.0, epochs=1, threads=1)
    assert tuned.after > tuned.before
    assert decisions(graph, tuned.fixed, recordings[64:164]).agreement == tuned.after


def teacher(loop: float = 0.0) -> tuple[Graph, list[neuro.Spikes]]:
    """An untrained network with four classes that come equally often, and recordings."""
    rng = np.random.default_rng(0)
    recordings = [
        neuro.Spikes.from_dense((rng.random((20, 24)) < rng.beta(0.6, 1.6, 24)).astype(np.float32))
        for _ in range(360)
    ]
    weights = [rng.normal(0.15, 1.0, (40, 24)), rng.normal(0, 0.3, (4, 40))]
    ways_back = rng.normal(0, loop, (40, 40))

    def network(bias: np.ndarray) -> Graph:
        nodes: list[Node] = [
            Input(24, max_count=1),
            Linear(weights[0]),
            LIF(0.01),
            Linear(weights[1], bias),
            LI(0.02),
        ]
        names = ["in", "first", "lif", "last", "out"]
        named, edges = dict(zip(names, nodes, strict=True)), list(pairwise(names))
        if loop:
            named |= {"sum": Add(), "later": Delay(0.002), "back": Linear(ways_back)}
            edges = [edge for edge in edges if edge != ("first", "lif")]
            edges += [("first", "sum"), ("sum", "lif"), ("lif", "later"), ("later", "back"), ("back", "sum")]
        return Graph(named, edges, clocked(0.002))

    def means(bias: np.ndarray) -> np.ndarray:
        runs = neuro.simulate(network(bias), recordings[:60])
        return np.mean([run.output.sum(axis=0) for run in runs], axis=0)

    nothing = means(np.zeros(4))
    return network(-nothing / (means(np.ones(4)) - nothing)), recordings


def test_a_network_in_three_bits_learns_to_decide_as_before() -> None:
    graph, recordings = teacher()
    training, validation, test = recordings[:160], recordings[160:260], recordings[260:]
    fixed = hw.quantize(graph, "loihi2", calibration=training[:20], weight_bits=3)
    seen: list[int] = []
    settings = {"level": 1.0, "seed": 3, "epochs": 3, "threads": 1}
    tuned = fine_tune(graph, fixed, training, validation, on_epoch=lambda e: seen.append(e.epoch), **settings)  # type: ignore[arg-type]
    assert seen == [1, 2, 3] == [epoch.epoch for epoch in tuned.history]
    assert tuned.after > tuned.before + 0.1
    assert not tuned.is_reached
    assert decisions(graph, tuned.fixed, validation).agreement == tuned.after
    assert decisions(graph, tuned.fixed, test).agreement > decisions(graph, fixed, test).agreement
    assert "weights and biases were trained further for 3 epochs (seed 3)" in tuned.fixed.notes[-1]
    assert hw.map_fixed(tuned.fixed, "loihi2", graph=graph).n_cores == 1
    again = fine_tune(graph, fixed, training, validation, **settings)  # type: ignore[arg-type]
    assert again.fixed.digest == tuned.fixed.digest


def test_nothing_is_trained_where_the_level_is_reached() -> None:
    graph, recordings = teacher()
    fixed = hw.quantize(graph, "loihi2", calibration=recordings[:10])
    tuned = fine_tune(graph, fixed, recordings[:20], recordings[20:60], level=0.5)
    assert tuned.is_reached
    assert tuned.fixed is fixed
    assert not tuned.history


def test_what_cannot_be_trained_is_refused() -> None:
    graph, recordings = teacher()
    fixed = hw.quantize(graph, "loihi2", weight_bits=2)
    with pytest.raises(UserError, match="must be 0 to 1, got 98"):
        fine_tune(graph, fixed, recordings, recordings, level=98)
    with pytest.raises(UserError, match="needs recordings to train with"):
        fine_tune(graph, fixed, [], recordings, level=0.9)
    nodes: dict[str, Node] = {"in": Input(24, max_count=1), "if": IF(), "out": Readout()}
    counted = Graph(nodes, [("in", "if"), ("if", "out")], clocked(0.002))
    with pytest.raises(UserError, match="the host computes this network's output"):
        fine_tune(counted, hw.quantize(counted, "loihi2"), recordings[:5], recordings[5:25], level=1.0)


def test_the_command_tunes_and_reports_on_test_recordings(tmp_path: Path) -> None:
    small_recognizer(attention=False, n_frames=4).save(tmp_path / "small.h5")
    arguments = [
        "map", tmp_path / "small.h5", "--out", tmp_path / "out", "--fine-tune", "digits", "--limit", 16, "--epochs", 1,
        "--agreement", 1.0, "--weight-bits", 2, "--no-lava", "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    tuning = answer["fine_tuning"]
    assert 0 <= tuning["validation_agreement_before"] <= tuning["validation_agreement"] <= 1
    assert 0 <= tuning["test_agreement"] <= 1
    assert len(tuning["test_accuracy"]) == 2
    assert answer["certificate"]["is_equal"]


def test_the_command_needs_a_model_file(tmp_path: Path) -> None:
    graph, _ = teacher()
    graph.save(tmp_path / "net.h5")
    write_recording(tmp_path / "recording.bin")
    arguments = ["map", tmp_path / "net.h5", "--out", tmp_path / "out", "--fine-tune", "digits"]
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 2
    assert "fine-tuning needs a model file" in result.output
