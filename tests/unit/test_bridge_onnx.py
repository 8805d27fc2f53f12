"""ONNX files become layer graphs that equal ONNX's reference evaluator; broken and foreign files are refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analog_bridge import ModelFileError, UnsupportedLayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest_onnx
from analog_bridge.layers import Convolution
from tests.bridge_networks import data_on_grid

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

RNG = np.random.default_rng(0)


def grid(*shape: int) -> np.ndarray:
    return (RNG.integers(-8, 9, shape) / 8).astype(np.float32)


def model_of(
    nodes: list[Any],
    shape: tuple[Any, ...],
    constants: dict[str, np.ndarray],
    opset: int = 17,
    output: str = "y",
) -> Any:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def node(kind: str, *inputs: str, out: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [out], name=f"{kind}_{out}", **attributes)


IMAGE = ("n", 4, 8, 8)
INTS = np.int64
CASES: dict[str, tuple[list[Any], tuple[Any, ...], dict[str, np.ndarray], int]] = {
    "conv": (
        [node("Conv", "x", "w", "b", strides=[2, 1], pads=[1, 0, 0, 2], dilations=[1, 2])],
        IMAGE,
        {"w": grid(3, 4, 3, 2), "b": grid(3)},
        17,
    ),
    "conv same": (
        [node("Conv", "x", "w", strides=[2, 2], auto_pad="SAME_LOWER", group=2)],
        IMAGE,
        {"w": grid(4, 2, 3, 3)},
        17,
    ),
    "conv1d": ([node("Conv", "x", "w", auto_pad="SAME_UPPER")], ("n", 4, 16), {"w": grid(3, 4, 4)}, 17),
    "transposed": (
        [node("ConvTranspose", "x", "w", "b", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])],
        IMAGE,
        {"w": grid(4, 2, 3, 3), "b": grid(2)},
        17,
    ),
    "norm": (
        [node("Conv", "x", "w", out="c"), node("BatchNormalization", "c", "g", "h", "m", "v", epsilon=0.0)],
        IMAGE,
        {
            "w": grid(2, 4, 1, 1),
            "g": grid(2),
            "h": grid(2),
            "m": grid(2),
            "v": np.array([4, 0.25], np.float32),
        },
        17,
    ),
    "gemm": (
        [node("Flatten", "x", out="f"), node("Gemm", "f", "w", "b", transB=1, alpha=0.5, beta=2.0)],
        IMAGE,
        {"w": grid(3, 256), "b": grid(3)},
        17,
    ),
    "gemm, not transposed": (
        [node("Flatten", "x", out="f"), node("Gemm", "f", "w")],
        IMAGE,
        {"w": grid(256, 3)},
        13,
    ),
    "matmul of two tensors": ([node("MatMul", "x", "x")], ("n", 2, 4, 4), {}, 17),
    "matmul of the last axis": (
        [node("MatMul", "x", "w", out="m"), node("Add", "m", "b")],
        ("n", 5, 4),
        {"w": grid(4, 3), "b": grid(3)},
        17,
    ),
    "max pool": (
        [node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
        IMAGE,
        {},
        17,
    ),
    "max pool, uneven": (
        [node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0])],
        IMAGE,
        {},
        17,
    ),
    "max pool, same": (
        [node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER")],
        IMAGE,
        {},
        17,
    ),
    "pad by reflection": (
        [node("Pad", "x", "p", mode="reflect")],
        IMAGE,
        {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2], INTS)},
        17,
    ),
    "average pool": ([node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2])], IMAGE, {}, 17),
    "average pool, padding counted": (
        [
            node(
                "AveragePool",
                "x",
                kernel_shape=[4, 4],
                strides=[2, 2],
                pads=[2, 2, 2, 2],
                count_include_pad=1,
            )
        ],
        IMAGE,
        {},
        19,
    ),
    "global": ([node("GlobalAveragePool", "x", out="g"), node("Flatten", "g")], IMAGE, {}, 17),
    "global max": ([node("GlobalMaxPool", "x")], IMAGE, {}, 17),
    "reductions": (
        [node("ReduceMax", "x", out="a", axes=[1], keepdims=0), node("ReduceSum", "a", "axes")],
        IMAGE,
        {"axes": np.array([-1], INTS)},
        17,
    ),
    "reduce mean, axes as input": (
        [node("ReduceMean", "x", "axes", keepdims=0)],
        IMAGE,
        {"axes": np.array([2, 3], INTS)},
        18,
    ),
    "activations": (
        [
            node("Relu", "x", out="a"),
            node("Clip", "a", "lo", "hi", out="b"),
            node("LeakyRelu", "b", alpha=0.5),
        ],
        IMAGE,
        {"lo": np.float32(-1).reshape(()), "hi": np.float32(1).reshape(())},
        17,
    ),
    "clip of one side": ([node("Clip", "x", "", "hi")], IMAGE, {"hi": np.float32(0.5).reshape(())}, 17),
    "clip, old": ([node("Clip", "x", min=-0.5, max=0.5)], IMAGE, {}, 10),
    "prelu": ([node("PRelu", "x", "s")], IMAGE, {"s": grid(4, 1, 1)}, 17),
    "hard sigmoid": ([node("HardSigmoid", "x", alpha=0.25, beta=0.5)], IMAGE, {}, 17),
    "max, min": (
        [node("Max", "x", "lo", out="a"), node("Min", "hi", "a")],
        IMAGE,
        {"lo": np.float32([0.25]), "hi": np.float32([0.5])},
        17,
    ),
    "arithmetic": (
        [
            node("Sub", "c", "x", out="a"),
            node("Mul", "a", "d", out="b"),
            node("Div", "b", "e", out="f"),
            node("Sub", "f", "x", out="g"),
            node("Neg", "g", out="h"),
            node("Abs", "h"),
        ],
        IMAGE,
        {"c": grid(1, 4, 1, 1), "d": grid(8), "e": np.float32(4).reshape(())},
        17,
    ),
    "gate": (
        [node("GlobalAveragePool", "x", out="g"), node("Clip", "g", "lo", out="c"), node("Mul", "c", "x")],
        IMAGE,
        {"lo": np.float32(0).reshape(())},
        17,
    ),
    "sum, concat": ([node("Sum", "x", "x", out="a"), node("Concat", "x", "a", axis=-3)], IMAGE, {}, 17),
    "views": (
        [
            node("Shape", "x", out="s"),
            node("Slice", "s", "zero", "one", out="n"),
            node("Concat", "n", "rest", out="t", axis=0),
            node("Reshape", "x", "t"),
        ],
        IMAGE,
        {"zero": np.array([0], INTS), "one": np.array([1], INTS), "rest": np.array([-1, 16], INTS)},
        17,
    ),
    "reshape with zeros": (
        [node("Reshape", "x", "t", out="r"), node("Transpose", "r", perm=[0, 2, 1])],
        IMAGE,
        {"t": np.array([0, 0, -1], INTS)},
        17,
    ),
    "squeeze": (
        [
            node("GlobalMaxPool", "x", out="g"),
            node("Squeeze", "g", "a", out="s"),
            node("Unsqueeze", "s", "b"),
        ],
        IMAGE,
        {"a": np.array([2, -1], INTS), "b": np.array([1], INTS)},
        17,
    ),
    "squeeze, old": ([node("GlobalMaxPool", "x", out="g"), node("Squeeze", "g", axes=[3])], IMAGE, {}, 11),
    "slices": (
        [node("Slice", "x", "s", "e", "a", "t")],
        IMAGE,
        {
            "s": np.array([1, -1], INTS),
            "e": np.array([7, -9], INTS),
            "a": np.array([1, 3], INTS),
            "t": np.array([2, -1], INTS),
        },
        17,
    ),
    "gather": ([node("Gather", "x", "i", axis=1)], IMAGE, {"i": np.array([3, 0], INTS)}, 17),
    "expand": (
        [node("GlobalMaxPool", "x", out="g"), node("Expand", "g", "s")],
        IMAGE,
        {"s": np.array([1, 4, 2, 3], INTS)},
        17,
    ),
    "depth to space": (
        [node("DepthToSpace", "x", blocksize=2, out="d"), node("SpaceToDepth", "d", blocksize=4)],
        IMAGE,
        {},
        17,
    ),
    "pixel shuffle": ([node("DepthToSpace", "x", blocksize=2, mode="CRD")], IMAGE, {}, 17),
    "pad": ([node("Pad", "x", "p")], IMAGE, {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2], INTS)}, 17),
    "nearest": ([node("Resize", "x", "", "s", mode="nearest")], IMAGE, {"s": np.float32([1, 1, 2, 3])}, 17),
    "nearest, sizes": (
        [
            node(
                "Resize",
                "x",
                "",
                "",
                "s",
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
        ],
        (3, 4, 8, 8),
        {"s": np.array([3, 4, 16, 4], INTS)},
        17,
    ),
    "upsample": ([node("Upsample", "x", "s")], IMAGE, {"s": np.float32([1, 1, 2, 2])}, 9),
    "linear": ([node("Resize", "x", "", "s", mode="linear")], IMAGE, {"s": np.float32([1, 1, 2, 2])}, 17),
    "constant folding": (
        [
            node("Constant", out="c", value=numpy_helper.from_array(grid(4, 1, 1))),
            node("Mul", "c", "k", out="d"),
            node("Add", "x", "d", out="z"),
            node("Identity", "z", out="i"),
            node("Dropout", "i"),
        ],
        IMAGE,
        {"k": grid(4, 1, 1)},
        17,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_graph_and_reference_are_equal(case: str, tmp_path: Path) -> None:
    nodes, shape, constants, opset = CASES[case]
    path = tmp_path / "model.onnx"
    model = model_of(nodes, shape, constants, opset)
    onnx.save(model, str(path))
    graph = ingest_onnx(path)
    x = data_on_grid(3, *shape[1:])
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    (found,) = evaluate(graph, x.reshape(3, *graph.shapes["x"])).values()
    assert found.reshape(wanted.shape).tolist() == wanted.tolist()


def test_a_fixed_batch_of_one_may_stand_in_shapes(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x", "t", out="r"), node("MatMul", "r", "w")]
    constants = {"t": np.array([1, 256], INTS), "w": grid(256, 3)}
    onnx.save(model_of(nodes, (1, 4, 8, 8), constants), str(tmp_path / "m.onnx"))
    graph = ingest_onnx(tmp_path / "m.onnx")
    assert evaluate(graph, data_on_grid(5, 4, 8, 8))[graph.outputs[0]].shape == (5, 3)


def test_layers_are_named_as_the_nodes(tmp_path: Path) -> None:
    nodes = [node("Conv", "x", "w", out="c"), node("Relu", "c")]
    onnx.save(model_of(nodes, IMAGE, {"w": grid(2, 4, 1, 1)}), str(tmp_path / "m.onnx"))
    graph = ingest_onnx(tmp_path / "m.onnx")
    assert [layer.name for layer in graph.layers] == ["x", "Conv_c", "Relu_y"]
    assert graph["Conv_c"].place == "ONNX Conv, node 0"
    assert isinstance(graph["Conv_c"], Convolution)


def test_softmax_of_the_output_is_left_out(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", out="f"), node("Softmax", "f")]
    onnx.save(model_of(nodes, IMAGE, {}), str(tmp_path / "m.onnx"))
    assert ingest_onnx(tmp_path / "m.onnx").notes[0].startswith("softmax of the output is left out")


@pytest.mark.parametrize(
    ("nodes", "shape", "message"),
    [
        ([node("Tanh", "x")], IMAGE, "'Tanh_y' (ONNX Tanh, node 0): Tanh is not covered; use ReLU"),
        ([node("LRN", "x", size=3)], IMAGE, "LRN is not covered; use one of the covered operators"),
        ([node("MatMul", "x", "x")], ("n", 4, 5), "multiplies matrices of (4, 5) and (4, 5)"),
        ([node("Softmax", "x", out="s"), node("Relu", "s")], IMAGE, "reads the result of softmax"),
        ([node("Transpose", "x", perm=[1, 0, 2, 3])], IMAGE, "moves the batch axis"),
        ([node("Relu", "x")], ("n", 4, "rows", 8), "has the shape (n, 4, rows, 8); export it with a batch axis"),
        ([node("ReduceMean", "x", axes=[0])], IMAGE, "works along the batch axis"),
        ([node("AveragePool", "x", kernel_shape=[2, 2], pads=[1, 0, 0, 0])], IMAGE, "pads unevenly"),
        ([node("Cast", "x", to=7)], IMAGE, "casts to whole numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_named(
    nodes: list[Any], shape: Any, message: str, tmp_path: Path
) -> None:
    onnx.save(model_of(nodes, shape, {}), str(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedLayerError, match=re.escape(message)):
        ingest_onnx(tmp_path / "m.onnx")


def test_broken_files_are_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ModelFileError, match="there is no such file"):
        ingest_onnx(path)
    for content in (b"", b"this is text", bytes(range(256))):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="this is not an ONNX file"):
            ingest_onnx(path)
    onnx.save(model_of([node("Relu", "x")], IMAGE, {}, opset=6), str(path))
    with pytest.raises(
        ModelFileError, match=r"has opset 6, 7 to .* are known; export it with opset 7 or later"
    ):
        ingest_onnx(path)
    onnx.save(model_of([node("Relu", "x")], IMAGE, {}, opset=999), str(path))
    with pytest.raises(ModelFileError, match=r"has opset 999.*install a newer onnx package"):
        ingest_onnx(path)
    onnx.save(model_of([node("Nonsense", "x")], IMAGE, {}), str(path))
    with pytest.raises(ModelFileError, match=r"this is not a valid ONNX file: .*Nonsense"):
        ingest_onnx(path)


def test_missing_external_data_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = model_of([node("Conv", "x", "w")], IMAGE, {"w": grid(64, 4, 3, 3)})
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert isinstance(ingest_onnx(path)["Conv_y"], Convolution)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(
        ModelFileError, match=r"external data are missing.*weights\.bin.*put the data file beside it"
    ):
        ingest_onnx(path)
