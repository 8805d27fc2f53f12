"""`spikeloom simulate`, and `recognize` with networks that stand alone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import eventio
import neuro
from neuro.graph import LI, LIF, Conv2d, Flatten, Graph, Input, Linear, clocked, write_nir
from spikeloom.cli import cli
from spikeloom.encoding import Encoding
from spikeloom.recordings import windows
from tests.app_models import small_recognizer, write_recording

SIDE = 34
DT_S = 0.01


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def network(side: int = SIDE, dt_s: float = DT_S) -> Graph:
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((2, side, side), max_count=255),
        "conv": Conv2d(rng.normal(0, 1, (4, 2, 5, 5)), stride=4, padding=2),
        "lif": LIF(0.03),
        "flat": Flatten(),
        "linear": Linear(rng.normal(0, 0.3, (3, 4 * (-(-side // 4)) ** 2))),
        "readout": LI(0.06),
    }
    return Graph(nodes, list(itertools.pairwise(nodes)), clocked(dt_s))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    write_nir(network(), tmp_path / "net.nir")
    write_recording(tmp_path / "recording.bin")
    return tmp_path / "net.nir", tmp_path / "recording.bin"


def test_a_nir_file_gives_what_the_engine_gives(files: tuple[Path, Path], tmp_path: Path) -> None:
    nir, recording = files
    answer = run("simulate", nir, recording, "--dt", DT_S, "--out", tmp_path / "out.npz", "--json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    times = eventio.read(recording).events["t"]
    n_steps = int(times.max() - times[0]) // 10_000 + 1
    assert found["steps"] == n_steps
    assert found["windows"] == 1
    assert found["events"] == times.size
    encoding = Encoding(SIDE, SIDE, n_steps, 10_000)
    (window,) = windows(recording, width=SIDE, height=SIDE, window_us=encoding.window_us)
    graph = neuro.graph.read_nir(nir, dt_s=DT_S, fold=True)
    expected = neuro.simulate(graph, encoding.spikes(window))
    with np.load(tmp_path / "out.npz") as written:
        (output,) = (written[name] for name in written.files)
    np.testing.assert_array_equal(output, expected.output)
    assert found["spikes"] == expected.counters.spikes
    assert found["synaptic_operations"] == expected.counters.synaptic_operations
    assert sum(found["spikes"].values()) > 0


def test_windows_of_a_network_begin_at_rest(files: tuple[Path, Path]) -> None:
    nir, recording = files
    found = json.loads(run("simulate", nir, recording, "--dt", DT_S, "--frames", 2, "--json").stdout)
    assert found["windows"] > 1
    assert found["steps"] == 2 * found["windows"]


def test_a_graph_file_says_its_step_and_a_model_file_its_windows(tmp_path: Path) -> None:
    write_recording(tmp_path / "recording.bin")
    network().save(tmp_path / "net.h5")
    small_recognizer().save(tmp_path / "model.h5")
    plain = run("simulate", tmp_path / "net.h5", tmp_path / "recording.bin")
    assert plain.exit_code == 0, plain.output
    assert "spikes of lif" in plain.stdout
    model = run("simulate", tmp_path / "model.h5", tmp_path / "recording.bin", "--json")
    assert json.loads(model.stdout)["steps"] % 8 == 0
    refused = run("simulate", tmp_path / "model.h5", tmp_path / "recording.bin", "--frames", 3)
    assert refused.exit_code != 0
    refused = run("simulate", tmp_path / "net.h5", tmp_path / "recording.bin", "--dt", 0.01)
    assert refused.exit_code != 0


def test_a_nir_file_recognises(files: tuple[Path, Path]) -> None:
    nir, recording = files
    answer = run("recognize", recording, "--model", nir, "--dt", DT_S, "--frames", 40, "--json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["class"] in {"0", "1", "2"}
    simulated = json.loads(run("simulate", nir, recording, "--dt", DT_S, "--frames", 40, "--json").stdout)
    (sums,) = simulated["output_sums"].values()
    assert found["class"] == str(int(np.argmax(sums)))


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (Graph({"in": Input(5), "lif": LIF(0.01)}, [("in", "lif")], clocked(0.001)), "takes inputs of shape"),
        (network(dt_s=1.5e-6), "whole number of microseconds"),
        (network(side=16), "34"),
    ],
)
def test_what_takes_no_events_is_refused(graph: Graph, says: str, tmp_path: Path) -> None:
    from spikeloom.errors import UserError
    from spikeloom.simulation import simulate_file

    graph.save(tmp_path / "net.h5")
    write_recording(tmp_path / "recording.bin")
    with pytest.raises(UserError, match=says):
        simulate_file(tmp_path / "net.h5", tmp_path / "recording.bin")


def test_a_nir_file_needs_its_step(files: tuple[Path, Path]) -> None:
    import nir as nir_package

    nir, recording = files
    graph = nir_package.read(nir)
    graph.metadata = {}
    nir_package.write(nir.with_name("bare.nir"), graph)
    answer = run("simulate", nir.with_name("bare.nir"), recording)
    assert answer.exit_code != 0
