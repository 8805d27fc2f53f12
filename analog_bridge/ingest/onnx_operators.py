"""What the operators of ONNX with windows, weights and arithmetic mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest import pictures
from analog_bridge.ingest.onnx_table import ONNX_OPERATORS, Node, Rule, rule
from analog_bridge.ingest.operator_table import REMEDIES
from analog_bridge.ingest.values import Value

# -- windows -----------------------------------------------------------------------------------------------


def _pads(
    node: Node, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    n = len(kernel)
    auto = node.get("auto_pad", "NOTSET")
    if auto in {"SAME_UPPER", "SAME_LOWER"}:
        found = []
        for size, k, s, d in zip(node.x.shape[-n:], kernel, stride, dilation, strict=True):
            total = max((math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size, 0)
            small, large = total // 2, total - total // 2
            found.append((small, large) if auto == "SAME_UPPER" else (large, small))
        return found
    pads = [0] * (2 * n) if auto == "VALID" else list(node.get("pads", [0] * (2 * n)))
    return list(zip(pads[:n], pads[n:], strict=True))


@rule("Conv")
def conv(node: Node) -> Value:
    """Cross-correlate."""
    weight = node.constant(1)
    kernel = weight.shape[2:]
    stride = node.get("strides", [1] * len(kernel))
    dilation = node.get("dilations", [1] * len(kernel))
    return pictures.convolution(
        node.net,
        node.x,
        weight,
        node.constant(2),
        stride=stride,
        padding=_pads(node, kernel, stride, dilation),
        dilation=dilation,
        groups=node.get("group", 1),
    )


@rule("ConvTranspose")
def conv_transpose(node: Node) -> Value:
    """Spread each entry over a window."""
    weight = node.constant(1)
    n = weight.ndim - 2
    if "output_shape" in node.attributes or node.get("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}:
        node.net.refuse("names its output shape", "export it with pads and output_padding")
    pads = _pads(node, weight.shape[2:], [1] * n, [1] * n)
    if any(before != after for before, after in pads):
        node.net.refuse(f"pads unevenly, {pads}", "pad evenly on both sides")
    return pictures.transposed_convolution(
        node.net,
        node.x,
        weight,
        node.constant(2),
        stride=node.get("strides", [1] * n),
        padding=[before for before, _ in pads],
        output_padding=node.get("output_padding", [0] * n),
        dilation=node.get("dilations", [1] * n),
        groups=node.get("group", 1),
    )


def _pool(kind: pictures.Kind) -> Rule:
    def pool(node: Node) -> Value:
        kernel = node.attributes["kernel_shape"]
        ones = [1] * len(kernel)
        stride = node.get("strides", ones)
        if node.get("dilations", ones) != ones:
            node.net.refuse("dilates its windows", "use a plain pooling")
        return pictures.pooled(
            node.net,
            node.x,
            kind,
            kernel,
            stride=stride,
            padding=_pads(node, kernel, stride, ones),
            ceil_mode=bool(node.get("ceil_mode", 0)),
            counts_padding=bool(node.get("count_include_pad", 0)) or kind == "max",
        )

    return pool


ONNX_OPERATORS["MaxPool"] = _pool("max")
ONNX_OPERATORS["AveragePool"] = _pool("mean")


def _global(kind: pictures.Kind) -> Rule:
    return lambda node: pictures.reduced(node.net, node.x, kind, range(1, len(node.x.shape)), True)


ONNX_OPERATORS["GlobalMaxPool"] = _global("max")
ONNX_OPERATORS["GlobalAveragePool"] = _global("mean")


def _reduce(kind: pictures.Kind) -> Rule:
    def reduce(node: Node) -> Value:
        axes = node.constant(1, "axes")
        if axes is None:
            node.net.refuse("reduces the batch axis too", "name the axes")
        over = [node.axis(int(axis)) for axis in axes]
        return pictures.reduced(node.net, node.x, kind, over, bool(node.get("keepdims", 1)))

    return reduce


ONNX_OPERATORS["ReduceMax"] = _reduce("max")
ONNX_OPERATORS["ReduceMean"] = _reduce("mean")


@rule("ReduceSum")
def reduce_sum(node: Node) -> Value:
    """Sum over axes."""
    mean = ONNX_OPERATORS["ReduceMean"](node)
    return node.net.scale(mean, node.x.size / mean.size, part="total")


@rule("Pad")
def pad(node: Node) -> Value:
    """Put zeros around the last axes."""
    pads, mode, axes = node.constant(1, "pads"), node.get("mode", "constant"), node.constant(3)
    if axes is not None:
        node.net.refuse("pads chosen axes", "name the padding of all axes")
    half = len(pads) // 2
    sides = [(int(a), int(b)) for a, b in zip(pads[:half], pads[half:], strict=True)]
    if any(sides[0]) or any(sides[1]):
        node.net.refuse("pads the batch or channel axis", "pad rows and columns only")
    if mode != "constant":
        return pictures.indexed_padding(node.net, node.x, sides[2:], mode)
    fill = node.constant(2, "value")
    return pictures.padded(
        node.net, node.x, sides[2:], 0.0 if fill is None else float(np.asarray(fill).reshape(()))
    )


@rule("Resize", "Upsample")
def resize(node: Node) -> Value:
    """Return a picture of another size."""
    old = node.x.shape
    mode = node.get("mode", "nearest")
    place = node.get("coordinate_transformation_mode", "asymmetric" if len(node.inputs) < 3 else "half_pixel")
    is_old = len(node.inputs) < 3
    scales = node.constant(1, "scales") if is_old else node.constant(2)
    sizes = node.constant(3)
    if sizes is None or np.size(sizes) == 0:
        sizes = [math.floor(n * float(s)) for n, s in zip((1, *old), scales, strict=True)]
    size = [int(n) for n in sizes][1:]
    whole = all(m % n == 0 for n, m in zip(old, size, strict=True))
    rounding = node.get("nearest_mode", "floor" if is_old else "round_prefer_floor")
    covered = mode == "linear" and place in {"half_pixel", "pytorch_half_pixel", "align_corners"}
    if mode == "nearest" and place == "asymmetric":
        covered = rounding == "floor"
    elif mode == "nearest":
        covered = whole and place in {"half_pixel", "pytorch_half_pixel"}
    if not covered or size[0] != old[0]:
        node.net.refuse(
            f"resizes by mode {mode!r}, {place!r}, {rounding!r}",
            "use nearest (asymmetric, floor) or linear (half_pixel, align_corners)",
        )
    word = "nearest" if mode == "nearest" else "linear"
    return pictures.resized(node.net, node.x, size[1:], word, aligns_corners=place == "align_corners")  # type: ignore[arg-type]


# -- layers with weights, activations ----------------------------------------------------------------------


@rule("Gemm")
def gemm(node: Node) -> Value:
    """Map a vector."""
    weight = np.asarray(node.constant(1), dtype=np.float64)
    weight = weight if node.get("transB", 0) else weight.T
    bias = node.constant(2)
    if node.get("transA", 0):
        node.net.refuse("transposes the batch axis", "export it with transA = 0")
    offset = None if bias is None else np.broadcast_to(bias, (1, len(weight)))[0] * node.get("beta", 1.0)
    return node.net.linear(node.x, weight * node.get("alpha", 1.0), offset)


@rule("MatMul")
def matmul(node: Node) -> Value:
    """Map the last axis by a constant matrix, or multiply matrices that depend on the input."""
    x, other = node.inputs[0], node.inputs[1]
    if isinstance(x, Value) and isinstance(other, Value):
        return node.net.matrix_product(x, other)
    if not isinstance(x, Value) or other.ndim != 2:
        node.net.refuse("multiplies a constant by a tensor that depends on the input", REMEDIES["einsum"])
    return node.net.linear(node.x, node.inputs[1].T, None)


@rule("BatchNormalization")
def batch_norm(node: Node) -> Value:
    """Normalise each channel by statistics of the training data."""
    if node.get("training_mode", 0):
        node.net.refuse("normalises by the statistics of the batch", "export the network for inference")
    gamma, beta, mean, variance = (np.asarray(node.constant(i), dtype=np.float64) for i in (1, 2, 3, 4))
    factor = gamma / np.sqrt(variance + node.get("epsilon", 1e-5))
    shape = (-1, *[1] * (len(node.x.shape) - 1))
    return node.net.scale(node.x, factor.reshape(shape), (beta - mean * factor).reshape(shape))


@rule("Relu")
def relu(node: Node) -> Value:
    """Clip at 0."""
    return node.net.activation(node.x)


@rule("LeakyRelu")
def leaky_relu(node: Node) -> Value:
    """Keep a part of what is below 0."""
    return node.net.activation(node.x, slope=float(node.get("alpha", 0.01)))


@rule("PRelu")
def prelu(node: Node) -> Value:
    """Keep a learned part of what is below 0."""
    slope = np.asarray(node.constant(1))
    positive = node.net.activation(node.x)
    negative = node.net.activation(node.net.scale(node.x, -1.0, part="flipped"))
    return node.net.sum([positive, node.net.scale(negative, -slope)])


@rule("Clip")
def clip(node: Node) -> Value:
    """Clip to bounds."""
    lower, upper = node.constant(1, "min"), node.constant(2, "max")
    return node.net.activation(
        node.x,
        -math.inf if lower is None else float(np.asarray(lower).reshape(())),
        math.inf if upper is None else float(np.asarray(upper).reshape(())),
    )


@rule("HardSigmoid")
def hard_sigmoid(node: Node) -> Value:
    """Clip a line to 0..1."""
    line = node.net.scale(node.x, node.get("alpha", 0.2), node.get("beta", 0.5), "line")
    return node.net.activation(line, 0.0, 1.0)


@rule("HardSwish")
def hard_swish(node: Node) -> Value:
    """Multiply by the hard sigmoid."""
    gate = node.net.activation(node.net.scale(node.x, 1 / 6, 0.5, "line"), 0.0, 1.0)
    return node.net.product(node.x, gate)


@rule("Sigmoid")
def sigmoid(node: Node) -> Value:
    """Leave out on an output; as a gate only its piecewise linear form, if that was asked for."""
    if not node.net.hard_gates:
        return replace(node.x, closed="sigmoid")
    node.net.note("sigmoid is replaced by hardsigmoid")
    return node.net.activation(node.net.scale(node.x, 1 / 6, 0.5, "line"), 0.0, 1.0)


@rule("Softmax", "LogSoftmax")
def softmax(node: Node) -> Value:
    """Leave out on an output."""
    return replace(node.x, closed="softmax")


@rule("Identity", "Dropout", "Cast")
def identity(node: Node) -> Value:
    """Change nothing."""
    if "to" in node.attributes and node.attributes["to"] not in {1, 10, 11}:
        node.net.refuse("casts to whole numbers", "keep real numbers")
    return node.x


# -- arithmetic --------------------------------------------------------------------------------------------


def _lowered(node: Node, x: Value, constant: Any) -> NDArray[Any]:
    found = np.asarray(constant)
    if found.ndim == len(x.shape) + 1:
        if found.shape[0] != 1:
            node.net.refuse(
                f"a constant of shape {found.shape} differs between samples", "give it a batch axis of 1"
            )
        found = found[0]
    return found


def _two(node: Node) -> tuple[Value, Any, bool]:
    """Return a value, the other input, and whether they were swapped."""
    a, b = node.inputs
    return (a, b, False) if isinstance(a, Value) else (b, a, True)


@rule("Add", "Sum")
def add(node: Node) -> Value:
    """Add."""
    values = [each for each in node.inputs if isinstance(each, Value)]
    found = values[0] if len(values) == 1 else node.net.sum(values)
    for each in node.inputs:
        if not isinstance(each, Value):
            found = node.net.scale(found, 1.0, _lowered(node, found, each))
    return found


@rule("Sub")
def sub(node: Node) -> Value:
    """Subtract."""
    x, other, is_swapped = _two(node)
    if isinstance(other, Value):
        return node.net.sum([x, node.net.scale(other, -1.0, part="negative")])
    constant = _lowered(node, x, other)
    return node.net.scale(x, -1.0, constant) if is_swapped else node.net.scale(x, 1.0, -constant)


@rule("Mul")
def mul(node: Node) -> Value:
    """Multiply by a constant, or by a gate."""
    x, other, _ = _two(node)
    if isinstance(other, Value):
        return node.net.product(x, other)
    return node.net.scale(x, _lowered(node, x, other))


@rule("Div")
def div(node: Node) -> Value:
    """Divide by a constant."""
    x, other, is_swapped = _two(node)
    if is_swapped or isinstance(other, Value):
        node.net.refuse("divides by a tensor that depends on the input", "divide by constants")
    return node.net.scale(x, 1 / _lowered(node, x, other))


@rule("Neg")
def neg(node: Node) -> Value:
    """Turn the sign."""
    return node.net.scale(node.x, -1.0)


@rule("Abs")
def absolute(node: Node) -> Value:
    """Sum of relu(x) and relu(-x)."""
    flipped = node.net.activation(node.net.scale(node.x, -1.0, part="flipped"))
    return node.net.sum([node.net.activation(node.x), flipped])


def _extreme(is_max: bool) -> Rule:
    def extreme(node: Node) -> Value:
        x, other, _ = _two(node)
        if isinstance(other, Value) or np.size(other) != 1:
            node.net.refuse("compares two tensors", "compare with one number (Clip)")
        bound = float(np.asarray(other).reshape(()))
        return node.net.activation(x, bound) if is_max else node.net.activation(x, -math.inf, bound)

    return extreme


ONNX_OPERATORS["Max"] = _extreme(True)
ONNX_OPERATORS["Min"] = _extreme(False)
