"""`spikeloom map`: what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from neuro.graph import IF, CubaLIF, Graph, Input, Linear, clocked, write_nir
from spikeloom.cli import cli
from spikeloom.model_file import shipped_model
from tests.app_models import small_recognizer, write_recording


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["map", *(str(argument) for argument in arguments)])


def test_a_model_with_a_recording_is_mapped_and_proven(tmp_path: Path) -> None:
    small_recognizer().save(tmp_path / "small.h5")
    recording = tmp_path / "recording.bin"
    write_recording(recording)
    out = tmp_path / "out"
    result = run(
        tmp_path / "small.h5",
        "--target",
        "loihi1",
        "--out",
        out,
        "--recording",
        recording,
        "--no-lava",
        "--json",
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["certificate"]["is_equal"] is True
    assert answer["cores"] >= answer["cores_needed_at_least"]
    assert [cost["table"] for cost in answer["costs"]] == ["Davies 2018", "SANA-FE"]
    assert json.loads((out / "certificate.json").read_text())["difference"] is None
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert len(json.loads((out / "mapping.json").read_text())["cores"]) == answer["cores"]


def test_a_nir_file_is_mapped(tmp_path: Path) -> None:
    nodes = {"in": Input(4), "fc": Linear(np.eye(4) * 3), "out": CubaLIF(0.01, 0.005)}
    write_nir(Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(0.001)), tmp_path / "net.nir")
    result = run(tmp_path / "net.nir", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "no prices are published for loihi2" in " ".join(result.output.replace("│", " ").split())
    assert (tmp_path / "out" / "network.net").is_file()
    assert (tmp_path / "out" / "network.nir").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "loihi9"), "there is no target 'loihi9'"),
        (("--dt", "0.001"), "--dt and --time-unit are for NIR files"),
        (("--recording", "nothing.bin"), "nothing.bin"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(shipped_model(), "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_neuron_that_the_chip_cannot_do_is_named(tmp_path: Path) -> None:
    nodes = {"in": Input(4), "fc": Linear(np.eye(4)), "out": IF(reset="subtract")}
    Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(0.001)).save(tmp_path / "net.h5")
    result = run(tmp_path / "net.h5", "--target", "loihi1", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "loihi1's neuron resets to a value and subtracts nothing" in result.output
    assert not (tmp_path / "out").exists()
