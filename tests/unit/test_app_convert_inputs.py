"""`spikeloom convert` with several inputs, with Keras weights and their architecture, and with pickled modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import analog_bridge
from spikeloom.cli import cli
from spikeloom.errors import UserError
from spikeloom.samples import read_sample, read_samples

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.random((40, 4), np.float32), RNG.random((40, 2), np.float32)
CLASSES = RNG.integers(0, 3, 40)


class Two(nn.Module):
    """Two inputs and a sum."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right, self.head = nn.Linear(4, 8), nn.Linear(2, 8), nn.Linear(8, 3)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(torch.relu(self.left(left) + self.right(right)))
        return scores


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "two.pt2"
    batch = torch.export.Dim("batch")
    example = (torch.zeros(2, 4), torch.zeros(2, 2))
    program = torch.export.export(Two().eval(), example, dynamic_shapes=({0: batch}, {0: batch}))
    torch.export.save(program, path)
    return path


def test_several_inputs_go_by_name(tmp_path: Path, two: Path) -> None:
    data, out = tmp_path / "data.npz", tmp_path / "net.h5"
    np.savez(data, left=LEFT, right=RIGHT, y=CLASSES)
    done = run("convert", two, "--calibration", data, "--out", out, "--method", "integer", "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["n_samples"], answer["agreement"]["n_mismatches"]) == (20, 0)
    assert 0 <= answer["accuracy_spiking"] <= 1
    np.savez(tmp_path / "one.npz", left=LEFT[3], right=RIGHT[3])
    said = json.loads(run("recognize", tmp_path / "one.npz", "--model", out, "--json").stdout)
    network = analog_bridge.ConvertedNetwork.load(out)
    assert said["class"] == str(network.predict({"left": LEFT[3:4], "right": RIGHT[3:4]})[0])
    np.save(tmp_path / "one.npy", LEFT[3])
    done = run("recognize", tmp_path / "one.npy", "--model", out)
    assert done.exit_code == 2
    assert "the network has 2 inputs; give .npz with an array for each: left (4), right (2)" in done.stderr


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (
            {"x": LEFT},
            "must hold an array for each, left (n, 4), right (n, 2); it holds x: left, right is missing",
        ),
        (
            {"left": LEFT, "right": RIGHT[:9]},
            "all inputs must have as many samples, it holds left 40, right 9",
        ),
        ({"left": LEFT, "right": LEFT}, "takes samples of shape (2,), right holds (4,)"),
        ({"left": LEFT, "right": RIGHT * np.inf}, "right must be finite, sample 0 is not"),
        ({"left": LEFT, "right": RIGHT, "y": CLASSES[:3]}, "y must hold one class"),
    ],
)
def test_inputs_that_do_not_fit_are_named(
    tmp_path: Path, two: Path, arrays: dict[str, Any], sentence: str
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    done = run("convert", two, "--calibration", tmp_path / "bad.npz", "--out", tmp_path / "net.h5")
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert not (tmp_path / "net.h5").exists()


def test_pictures_need_one_input(tmp_path: Path, two: Path) -> None:
    done = run("convert", two, "--calibration", tmp_path, "--out", tmp_path / "net.h5")
    assert done.exit_code == 2
    assert "pictures go into one input, the network has 2; give .npz with an array for each" in done.stderr


def test_what_an_input_called_y_leaves_for_the_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=LEFT, y=RIGHT, labels=CLASSES)
    found = read_samples(tmp_path / "a.npz", {"x": (4,), "y": (2,)})
    assert found.y is not None
    assert (found.y.tolist(), found.x["y"].shape) == (CLASSES.tolist(), (40, 2))
    np.savez(tmp_path / "b.npz", x=LEFT, y=CLASSES)
    found = read_samples(tmp_path / "b.npz", {"y": (4,)})  # one input: x stands for it, whatever it is called
    assert found.y is not None
    assert (found.y.tolist(), found.x["y"].shape) == (CLASSES.tolist(), (40, 4))
    np.savez(tmp_path / "c.npz", y=LEFT)
    assert read_samples(tmp_path / "c.npz", {"y": (4,)}).y is None
    with pytest.raises(UserError, match=r"must hold an array x \(n, ...\), it holds y"):
        read_samples(tmp_path / "c.npz", {"x": (4,)})


def test_channels_that_come_last_are_told_to_move(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((3, 5, 6, 2)))
    with pytest.raises(
        UserError, match=r"x holds \(5, 6, 2\); bring the channels to the front: numpy.moveaxis\(x, -1, 1"
    ):
        read_samples(tmp_path / "data.npz", {"image": (2, 5, 6)})
    with pytest.raises(UserError, match=r"x holds \(5, 6, 2\)$"):
        read_samples(tmp_path / "data.npz", {"image": (2, 6, 5)})
    np.save(tmp_path / "one.npy", np.zeros((5, 6, 2)))
    with pytest.raises(UserError, match=r"numpy.moveaxis\(it, -1, 0\)"):
        read_sample(tmp_path / "one.npy", {"image": (2, 5, 6)})


def test_keras_weights_go_with_an_architecture(tmp_path: Path) -> None:
    layers = [
        {
            "class_name": "Dense",
            "config": {"name": "a", "activation": "relu", "batch_input_shape": [None, 4]},
        },
        {"class_name": "Dense", "config": {"name": "b", "activation": "softmax"}},
    ]
    weights, architecture, data = tmp_path / "weights.h5", tmp_path / "net.json", tmp_path / "data.npz"
    architecture.write_text(json.dumps({"class_name": "Sequential", "config": layers}))
    np.savez(data, x=LEFT)
    with h5py.File(weights, "w") as file:
        file.attrs["layer_names"] = [b"a", b"b"]
        for name, shape in (("a", (4, 6)), ("b", (6, 3))):
            group = file.create_group(name)
            group.attrs["weight_names"] = [b"kernel", b"bias"]
            group["kernel"], group["bias"] = RNG.normal(size=shape), np.zeros(shape[1])
    options = ("convert", weights, "--calibration", data, "--out", tmp_path / "net.h5")
    done = run(*options)
    assert done.exit_code == 2
    assert "give the file of model.to_json() as architecture (--architecture)" in done.stderr
    done = run(*options, "--architecture", tmp_path / "none.json")
    assert (done.exit_code, "none.json: there is no such file" in done.stderr) == (2, True)
    done = run(*options, "--architecture", architecture)
    assert done.exit_code == 0, done.output
    assert f"--architecture {architecture}" in (tmp_path / "net.html").read_text()


def test_pickled_modules_are_loaded_only_when_trusted(tmp_path: Path) -> None:
    data, path = tmp_path / "data.npz", tmp_path / "net.pth"
    torch.save(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval(), path)
    np.savez(data, x=LEFT, y=CLASSES)
    options = ("convert", path, "--calibration", data, "--out", tmp_path / "net.h5")
    done = run(*options)
    assert done.exit_code == 2
    assert "pass trust=True (--trust)" in done.stderr
    done = run(*options, "--trust")
    assert done.exit_code == 0, done.output
    done = run("convert", path, "--calibration", tmp_path, "--out", tmp_path / "net.h5", "--trust")
    assert done.exit_code == 2
    assert "a pickled network does not say what it takes; give samples as .npz" in done.stderr


def test_gates_and_attention_say_what_to_do_instead(tmp_path: Path) -> None:
    class Gate(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x) * torch.sigmoid(x)

    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x @ x.transpose(1, 2), -1) @ x

    data = tmp_path / "data.npz"
    for network, shape, sentence in (
        (Gate(), (4,), "or pass hard_gates=True (--hard-gates)"),
        (Attention(), (3, 4), "in attention leave it out and fine-tune: torch.relu(q) @ (torch.relu(k)"),
    ):
        np.savez(data, x=RNG.normal(size=(40, *shape)).astype(np.float32))
        torch.export.save(
            torch.export.export(network.eval(), (torch.zeros(1, *shape),)), tmp_path / "net.pt2"
        )
        options = ("convert", tmp_path / "net.pt2", "--calibration", data, "--out", tmp_path / "net.h5")
        done = run(*options)
        assert done.exit_code == 2
        assert sentence in done.stderr
        if shape == (4,):
            assert run(*options, "--hard-gates").exit_code == 0
