"""Keras and torch files: real networks reach their accuracy, what could run code is refused."""

from __future__ import annotations

import gzip
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from analog_bridge import ModelFileError, UnsupportedLayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest_file, ingest_keras
from analog_bridge.layers import LayerGraph
from tests.bridge_networks import answer, data_on_grid, on_grid


def keras_file(
    path: Path, layers: list[tuple[str, dict[str, Any], list[np.ndarray]]], **attributes: str
) -> Path:
    """Write a sequential network as Keras 2 does."""
    config = [
        {"class_name": kind, "config": {"name": f"{kind.lower()}_{i}", **values}}
        for i, (kind, values, _) in enumerate(layers)
    ]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": config}})
        for name, value in attributes.items():
            file.attrs[name] = value
        for described, (_, _, weights) in zip(config, layers, strict=True):
            name = described["config"]["name"]
            group = file.create_group(f"model_weights/{name}")
            names = [f"{name}/weight_{i}:0" for i in range(len(weights))]
            group.attrs["weight_names"] = np.array(names, dtype="S")
            for each, values in zip(names, weights, strict=True):
                group[each] = values
    return path


def _grid(*shape: int) -> np.ndarray:
    return data_on_grid(*shape, seed=len(shape))


def test_channels_last_layers_are_those_of_torch(tmp_path: Path) -> None:
    """A network of every kind of layer, against the same one in torch, channel first."""
    conv, bias, depth, point = _grid(3, 3, 2, 4), _grid(4), _grid(3, 3, 4, 2), _grid(1, 1, 8, 4)
    dense = _grid(16, 3)
    gamma, beta, mean, variance = _grid(4), _grid(4), _grid(4), np.float32([4, 1, 0.25, 4])
    path = keras_file(
        tmp_path / "net.h5",
        [
            ("ZeroPadding2D", {"batch_input_shape": [None, 6, 6, 2], "padding": [[1, 1], [1, 1]]}, []),
            ("Conv2D", {"strides": [1, 1], "padding": "valid", "activation": "relu"}, [conv, bias]),
            ("BatchNormalization", {"axis": [3], "epsilon": 0.0}, [gamma, beta, mean, variance]),
            ("SeparableConv2D", {"strides": [1, 1], "padding": "same", "use_bias": False}, [depth, point]),
            ("LeakyReLU", {"alpha": 0.5}, []),
            ("MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}, []),
            ("UpSampling2D", {"size": [2, 2]}, []),
            ("AveragePooling2D", {"pool_size": [2, 2], "strides": None, "padding": "valid"}, []),
            ("MaxPooling2D", {"pool_size": [2, 2], "strides": [1, 1], "padding": "valid"}, []),
            ("Dropout", {"rate": 0.5}, []),
            ("Flatten", {}, []),
            ("Dense", {"activation": "softmax", "use_bias": False}, [dense]),
        ],
    )
    graph = ingest_keras(path)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4, eps=0.0),
        nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False), nn.Conv2d(8, 4, 1, bias=False), nn.LeakyReLU(0.5),
        nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.AvgPool2d(2), nn.MaxPool2d(2, 1),
    ).eval()  # fmt: skip
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(conv).permute(3, 2, 0, 1))
        model[0].bias.copy_(torch.tensor(bias))
        for name, value in {
            "weight": gamma,
            "bias": beta,
            "running_mean": mean,
            "running_var": variance,
        }.items():
            getattr(model[2], name).copy_(torch.tensor(value))
        model[3].weight.copy_(torch.tensor(depth).permute(2, 3, 0, 1).reshape(8, 1, 3, 3))
        model[4].weight.copy_(torch.tensor(point).permute(3, 2, 0, 1))
    x = data_on_grid(4, 2, 6, 6)
    (features,) = answer(model, x)
    wanted = features.transpose(0, 2, 3, 1).reshape(4, -1) @ dense.astype(np.float64)
    (found,) = evaluate(graph, x, precision="float64").values()
    assert found.tolist() == wanted.tolist()
    assert graph.notes == ("softmax of the output is left out: the network gives what goes into it",)


def test_theano_kernels_are_turned(tmp_path: Path) -> None:
    kernel = _grid(3, 3, 1, 2)
    first = {"batch_input_shape": [None, 1, 5, 5], "data_format": "channels_first", "strides": [1, 1]}
    graphs = [
        ingest_keras(keras_file(tmp_path / f"{backend}.h5", [("Conv2D", first, [weight])], backend=backend))
        for backend, weight in (("theano", kernel), ("tensorflow", kernel[::-1, ::-1]))
    ]
    x = data_on_grid(2, 1, 5, 5)
    theano, tensorflow = (next(iter(evaluate(graph, x).values())) for graph in graphs)
    assert theano.tolist() == tensorflow.tolist()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (("LSTM", {"batch_input_shape": [None, 4, 4]}, []), "'lstm_0' .Keras LSTM.: LSTM is not covered"),
        (
            ("Dense", {"batch_input_shape": [None, 4], "activation": "tanh"}, [_grid(4, 2)]),
            "has the activation 'tanh'",
        ),
        (
            ("Flatten", {"batch_input_shape": [None, None, 3, 1]}, []),
            "says the input shape .*fixed input shape",
        ),
        (("Flatten", {}, []), "says the input shape None"),
    ],
)
def test_unsupported_keras_layers_are_named(layer: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError, match=message):
        ingest_keras(keras_file(tmp_path / "net.h5", [layer]))


def test_foreign_keras_files_are_refused(tmp_path: Path, data_dir: Path) -> None:
    path = tmp_path / "net.h5"
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelFileError, match="this is not an HDF5 file"):
        ingest_keras(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(ModelFileError, match="this is not a Keras file; give what Keras"):
        ingest_keras(path)
    for content in (b"no JSON", b"\xff\xfe"):
        (tmp_path / "net.json").write_bytes(content)
        with pytest.raises(ModelFileError, match=r"net\.json: is not JSON .*; save model\.to_json\(\) there"):
            ingest_keras(path, architecture=tmp_path / "net.json")
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = "no JSON"
    with pytest.raises(ModelFileError, match=r"net\.h5: its configuration is damaged; save it again"):
        ingest_keras(path)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {}})
    with pytest.raises(
        UnsupportedLayerError, match="is a Functional network; only Sequential is covered: export it as ONNX"
    ):
        ingest_keras(path)
    keras_file(path, [("Dense", {"batch_input_shape": [None, 4]}, [_grid(4, 2)])])
    with h5py.File(path, "a") as file:
        del file["model_weights/dense_0"]
    with pytest.raises(ModelFileError, match="has no weights for layer 'dense_0'"):
        ingest_keras(path)
    with pytest.raises(ModelFileError, match="holds weights but no network"):
        ingest_keras(data_dir / "snn_toolbox_ann" / "mnist_keras_99.20.h5")


def test_weights_alone_go_with_an_architecture(tmp_path: Path) -> None:
    kernel, x = _grid(3, 3, 1, 2), data_on_grid(2, 1, 5, 5)
    first = {"batch_input_shape": [None, 1, 5, 5], "data_format": "channels_first", "strides": [1, 1]}
    path, text = tmp_path / "net.h5", tmp_path / "net.json"
    keras_file(path, [("Conv2D", first, [kernel])], backend="theano")
    whole = evaluate(ingest_keras(path), x)
    with h5py.File(path, "a") as file:
        description = json.loads(file.attrs["model_config"]) | {"backend": file.attrs["backend"]}
        for name in ("model_config", "backend"):
            del file.attrs[name]
    with pytest.raises(ModelFileError, match=r"holds weights but no network; .* model.to_json\(\) as arch"):
        ingest_file(path)
    text.write_text(json.dumps(description))
    found = evaluate(ingest_file(path, architecture=text), x)
    assert [value.tolist() for value in found.values()] == [value.tolist() for value in whole.values()]
    text.write_text("[]")
    with pytest.raises(ModelFileError, match="is no configuration of a Keras network"):
        ingest_keras(path, architecture=text)
    with pytest.raises(ModelFileError, match=r"there is no such file; save model\.to_json"):
        ingest_keras(path, architecture=tmp_path / "none.json")


@pytest.mark.parametrize(
    ("name", "n_right"), [("lenet5_keras_98.96.h5", 9896), ("mnist_weights.08-0.99.h5", 9909)]
)
def test_real_mnist_networks_reach_their_accuracy(name: str, n_right: int, data_dir: Path) -> None:
    """98.96 % is what the file's name says; kernels that are not turned have less."""
    assert _mnist_right(ingest_file(data_dir / "snn_toolbox_ann" / name), data_dir) == n_right


def _mnist_right(graph: LayerGraph, data_dir: Path) -> int:
    """Images of the test part that a network recognises."""
    with gzip.open(data_dir / "mnist_t10k" / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    x = np.load(data_dir / "snn_toolbox_ann" / "mnist_x_norm.npz")["arr_0"]
    scores = evaluate(graph, x)[graph.outputs[0]]
    return int((scores.argmax(1) == labels).sum())


def test_a_real_mnist_network_of_weights_alone_reaches_its_accuracy(tmp_path: Path, data_dir: Path) -> None:
    """Keras 1, Theano: 99.20 % is what the file's name says."""
    convolution = {"data_format": "channels_first", "strides": [1, 1], "activation": "relu"}
    layers = [
        ("Conv2D", "convolution2d_1", {"batch_input_shape": [None, 1, 28, 28], **convolution}),
        ("Conv2D", "convolution2d_2", convolution),
        ("AveragePooling2D", "averagepooling2d_1", {"pool_size": [2, 2], "data_format": "channels_first"}),
        ("Flatten", "flatten_1", {}),
        ("Dense", "dense_1", {"activation": "relu"}),
        ("Dense", "dense_2", {"activation": "softmax"}),
    ]
    config = [{"class_name": kind, "config": {"name": name, **more}} for kind, name, more in layers]
    text = tmp_path / "net.json"
    text.write_text(json.dumps({"class_name": "Sequential", "config": config, "backend": "theano"}))
    graph = ingest_file(data_dir / "snn_toolbox_ann" / "mnist_keras_99.20.h5", architecture=text)
    assert _mnist_right(graph, data_dir) == 9920


def test_the_real_cifar_network_reaches_its_accuracy(data_dir: Path) -> None:
    """82.8 % on these 1,000 images; with kernels that are not turned it has 29.7 %."""
    folder = data_dir / "snn_toolbox_ann"
    graph = ingest_file(folder / "cifar10_keras_81.45.h5")
    x = (np.load(folder / "cifar10_binarynet_x_test.npz")["arr_0"] + 1) / 2
    labels = np.load(folder / "cifar10_y_test_a.npz")["arr_0"].argmax(1)
    assert int((evaluate(graph, x)[graph.outputs[0]].argmax(1) == labels).sum()) == 828


# -- torch's files -----------------------------------------------------------------------------------------


class Malicious:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def _model() -> nn.Module:
    return on_grid(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)))


def test_an_exported_program_is_loaded(tmp_path: Path) -> None:
    model, x = _model(), data_on_grid(4, 1, 5, 5)
    batch = torch.export.Dim("batch")
    for dynamic in (None, ({0: batch},)):
        program = torch.export.export(model, (torch.tensor(x),), dynamic_shapes=dynamic)
        torch.export.save(program, tmp_path / "net.pt2")
        graph = ingest_file(tmp_path / "net.pt2")
        assert (
            evaluate(graph, x, precision="float64")[graph.outputs[0]].tolist() == answer(model, x)[0].tolist()
        )


def test_pickled_modules_are_refused_unless_trusted(tmp_path: Path) -> None:
    path, x = tmp_path / "net.pt", data_on_grid(4, 1, 5, 5)
    torch.save(_model(), path)
    with pytest.raises(
        ModelFileError, match="loading it could run code: if you made it or trust who did, pass trust=True"
    ):
        ingest_file(path, example=x)
    with pytest.raises(ModelFileError, match="pass an example"):
        ingest_file(path, trust=True)
    graph = ingest_file(path, example=x, trust=True)
    assert (
        evaluate(graph, x, precision="float64")[graph.outputs[0]].tolist() == answer(_model(), x)[0].tolist()
    )
    torch.save(_model().state_dict(), path)
    with pytest.raises(ModelFileError, match="holds weights but no network; build the module"):
        ingest_file(path, example=x)


def test_nothing_in_a_file_runs(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    torch.save({"model": Malicious(trace)}, tmp_path / "net.pt")
    with pytest.raises(ModelFileError, match="could run code"):
        ingest_file(tmp_path / "net.pt", example=data_on_grid(1, 2))
    program = torch.export.export(_model(), (torch.tensor(data_on_grid(2, 1, 5, 5)),))
    torch.export.save(program, tmp_path / "good.pt2")
    for name in ("custom_obj_0", "weight_9", "sample_inputs"):
        with (
            zipfile.ZipFile(tmp_path / "good.pt2") as good,
            zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad,
        ):
            for each in good.namelist():
                bad.writestr(each, good.read(each))
            bad.writestr(f"net/data/constants/{name}", pickle.dumps(Malicious(trace)))
        with pytest.raises(ModelFileError, match="holds pickled Python objects, which could run code"):
            ingest_file(tmp_path / "bad.pt2")
    assert not trace.exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no such file"):
        ingest_file(tmp_path / "net.onnx")
    for name, message in {
        "net.keras": "save it as .h5",
        "net": "give .onnx, .pt2, .h5, .pt or .pth",
        "net.pt2": "this is not a .pt2 file",
    }.items():
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(ModelFileError, match=message):
            ingest_file(tmp_path / name)
