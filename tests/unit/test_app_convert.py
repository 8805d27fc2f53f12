"""`spikeloom convert`: the files, the answer, and every mistake in one sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import analog_bridge
import neuro
from spikeloom.cli import cli
from spikeloom.model_file import load_recognizer

RNG = np.random.default_rng(0)
X = RNG.random((60, 1, 6, 6), np.float32)
Y = (X.mean(axis=(1, 2, 3)) > 0.5).astype(np.int64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small exported network."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2)
    ).eval()
    path = tmp_path_factory.mktemp("models") / "net.pt2"
    batch = torch.export.Dim("batch")
    torch.export.save(
        torch.export.export(network, (torch.zeros(2, 1, 6, 6),), dynamic_shapes=({0: batch},)), path
    )
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, x=X, y=Y)
    return path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli, ["convert", *map(str, arguments)])


def test_it_writes_a_network_and_a_page(tmp_path: Path, model: Path, data: Path) -> None:
    out = tmp_path / "net.h5"
    done = run(model, "--calibration", data, "--out", out, "--levels", 8)
    assert done.exit_code == 0, done.output
    assert "counts that differ" in done.stdout
    assert "30 for calibration, 30 others measured" in done.stdout
    network = analog_bridge.ConvertedNetwork.load(out)
    assert network.method == "signed"
    assert network.predict(X[:5]).shape == (5,)
    page = (tmp_path / "net.html").read_text()
    assert "as a spiking network" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<h2>Counts that differ</h2>" not in page


def test_the_page_lists_counts_that_differ(
    tmp_path: Path, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analog_bridge import agreement

    def wrong(*given: Any) -> agreement.Agreement:
        found = agreement.compare(*given)
        lost = agreement.Mismatch(3, "relu", (0, 1, 2), 4.0, 5.0)
        return dataclasses.replace(found, n_mismatches=1, mismatches=(lost,))

    monkeypatch.setattr("analog_bridge.measurement.compare", wrong)
    assert run(model, "--calibration", data, "--out", tmp_path / "net.h5").exit_code == 0
    page = (tmp_path / "net.html").read_text()
    assert "<td>3</td><td>relu</td><td>0, 1, 2</td><td>4.0</td><td>5.0</td>" in page


def test_json_says_what_was_measured(tmp_path: Path, model: Path, data: Path) -> None:
    arguments = (model, "--calibration", data, "--out", tmp_path / "a.h5", "--method", "integer", "--json")
    answer = json.loads(run(*arguments, "--report", tmp_path / "b.html").stdout)
    assert (answer["n_samples"], answer["n_calibration"], answer["weight_bits"]) == (30, 30, 8)
    assert answer["agreement"]["n_mismatches"] == 0
    assert answer["agreement"]["output_difference"] == 0
    assert answer["digest"] == neuro.Graph.load(answer["network"]).digest
    assert Path(answer["report"]).exists()


def test_pictures_in_folders_of_classes(tmp_path: Path, model: Path) -> None:
    from PIL import Image

    for k in range(6):
        folder = tmp_path / "pictures" / ("dark" if k % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * X[k, 0]).astype(np.uint8)).save(folder / f"{k}.png")
    done = run(model, "--calibration", tmp_path / "pictures", "--out", tmp_path / "n.h5", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["n_samples"] == 3
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "pictures" / "dark" / "small.png")
    done = run(model, "--calibration", tmp_path / "pictures", "--out", tmp_path / "n.h5")
    assert done.exit_code == 2
    assert "small.png: has 6 x 5 pixels, the network takes 6 x 6" in done.stderr
    (tmp_path / "pictures" / "dark" / "small.png").unlink()
    (tmp_path / "pictures" / "grey").mkdir()
    done = run(model, "--calibration", tmp_path / "pictures", "--out", tmp_path / "n.h5")
    assert done.exit_code == 2
    assert "holds 3 folders of classes, the network has 2 outputs; give one for each" in done.stderr


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": X[:, :, :5]}, "the network takes samples of shape (1, 6, 6), x holds (1, 5, 6)"),
        ({"x": X[:0]}, "x is empty"),
        ({"x": X[:1]}, "needs two samples or more"),
        ({"x": X, "y": Y[:3]}, "y must hold one class"),
        ({"x": X, "y": Y + 1}, "holds class 2, the network has 2 outputs (classes count from 0)"),
        (
            {"x": np.where(np.arange(60) == 7, np.nan, 1.0)[:, None, None, None] * X},
            "x must be finite, sample 7 is not",
        ),
        ({"images": X}, "must hold an array x (n, ...) (or input, as the network calls it), it holds images"),
        ({"x": np.zeros_like(X)}, "dead"),
    ],
)
def test_bad_data_are_named(tmp_path: Path, model: Path, arrays: dict[str, Any], sentence: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    done = run(model, "--calibration", tmp_path / "bad.npz", "--out", tmp_path / "net.h5")
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert not (tmp_path / "net.h5").exists()


def test_bad_files_are_named(tmp_path: Path, model: Path, data: Path) -> None:
    out = tmp_path / "net.h5"
    for arguments, sentence in (
        ((tmp_path / "none.onnx", "--calibration", data, "--out", out), "none.onnx: there is no such file"),
        (
            (model, "--calibration", tmp_path / "none.npz", "--out", out),
            "none.npz: there is no such file or folder",
        ),
        ((model, "--calibration", data, "--out", tmp_path / "no" / "net.h5"), "cannot write"),
        (
            (model, "--calibration", data, "--out", out, "--method", "radix", "--levels", 6),
            "needs 2**bits - 1",
        ),
        ((model, "--calibration", data), "Missing option '--out'"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, done.output
        assert sentence in done.stderr
    (tmp_path / "torn.npz").write_bytes(data.read_bytes()[:100])
    done = run(model, "--calibration", tmp_path / "torn.npz", "--out", out)
    assert (done.exit_code, "torn.npz: cannot be read as .npz" in done.stderr) == (2, True)
    (tmp_path / "text.npz").write_text("1, 2")
    done = run(model, "--calibration", tmp_path / "text.npz", "--out", out)
    assert "text.npz: cannot be read as .npz; save numbers with numpy.savez" in done.stderr


def test_recognize_takes_pictures_and_arrays(tmp_path: Path, model: Path) -> None:
    from PIL import Image

    for k in range(6):
        folder = tmp_path / "pictures" / ("dark" if k % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * X[k, 0]).astype(np.uint8)).save(folder / f"{k}.png")
    out = tmp_path / "net.h5"
    assert run(model, "--calibration", tmp_path / "pictures", "--out", out, "--levels", 4).exit_code == 0
    network = analog_bridge.ConvertedNetwork.load(out)
    assert network.class_names == ("dark", "light")
    picture = tmp_path / "pictures" / "dark" / "1.png"
    done = CliRunner().invoke(cli, ["recognize", str(picture), "--model", str(out), "--json"])
    answer = json.loads(done.stdout)
    x = np.asarray(Image.open(picture), np.float32)[np.newaxis, np.newaxis] / 255
    assert answer["class"] == network.class_names[network.predict(x)[0]]
    assert answer["synaptic_operations"] == network.run(x)[0].counters.total_synaptic_operations
    np.save(tmp_path / "one.npy", x[0])
    done = CliRunner().invoke(cli, ["recognize", str(tmp_path / "one.npy"), "--model", str(out)])
    assert done.exit_code == 0
    assert answer["class"] in done.stdout
    for name, sentence in (
        ("none.png", "there is no such file"),
        ("net.html", "cannot be read as a picture"),
    ):
        done = CliRunner().invoke(cli, ["recognize", str(tmp_path / name), "--model", str(out)])
        assert done.exit_code == 2
        assert sentence in done.stderr
    with pytest.raises(neuro.ModelFileError, match="holds a converted network and no /recognizer"):
        load_recognizer(out)
