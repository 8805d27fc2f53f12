"""What torch's layers with weights, activations and arithmetic mean.

An operator is called with the assembly, then with the arguments as torch passes them; tensors that depend on the input
are a `Value`, all others are torch tensors.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest import pictures
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.operator_table import OPERATORS, REMEDIES, Operator, array, numbers, operator
from analog_bridge.ingest.values import Value


def _optional(values: Any) -> NDArray[Any] | None:
    return None if values is None else array(values)


# -- layers with weights -----------------------------------------------------------------------------------


@operator("conv1d", "conv2d")
def convolve(net, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate; padding 'same' puts the odd zero behind."""
    if isinstance(weight, Value):
        net.refuse("its weight depends on the input", "use a fixed weight")
    weight = array(weight)
    n = weight.ndim - 2
    stride, dilation = numbers(stride, n), numbers(dilation, n)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    elif padding == "valid":
        pads = [(0, 0)] * n
    else:
        pads = [(p, p) for p in numbers(padding, n)]
    return pictures.convolution(
        net, x, weight, _optional(bias), stride=stride, padding=pads, dilation=dilation, groups=groups
    )


@operator("conv_transpose1d", "conv_transpose2d")
def convolve_transposed(
    net, x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """Spread each entry over a window."""
    weight = array(weight)
    n = weight.ndim - 2
    return pictures.transposed_convolution(
        net,
        x,
        weight,
        _optional(bias),
        stride=numbers(stride, n),
        padding=numbers(padding, n),
        output_padding=numbers(output_padding, n),
        dilation=numbers(dilation, n),
        groups=groups,
    )


@operator("convolution")
def convolve_either(net, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """Convolve as ATen's one operator for both directions does."""
    if transposed:
        return convolve_transposed(net, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolve(net, x, weight, bias, stride, padding, dilation, groups)


@operator("linear")
def linear(net, x, weight, bias=None):
    """Map the last axis."""
    if isinstance(weight, Value):
        net.refuse("its weight depends on the input", REMEDIES["einsum"])
    return net.linear(x, array(weight), _optional(bias))


@operator("matmul", "mm", "bmm")
def matmul(net, x, other):
    """Map the last axis by a constant matrix, or multiply matrices that depend on the input."""
    if isinstance(x, Value) and isinstance(other, Value):
        if min(len(x.shape), len(other.shape)) < 2:
            net.refuse(
                "multiplies a matrix by a vector of each sample", "give it an axis of size 1: x.unsqueeze(-1)"
            )
        return net.matrix_product(x, other)
    if not isinstance(x, Value) or array(other).ndim != 2:
        net.refuse("multiplies a constant by a tensor that depends on the input", REMEDIES["einsum"])
    return net.linear(x, array(other).T, None)


@operator("addmm")
def addmm(net, bias, x, weight):
    """Map the last axis by a constant matrix, plus a bias."""
    if isinstance(bias, Value) or isinstance(weight, Value):
        net.refuse("multiplies two tensors that depend on the input", REMEDIES["einsum"])
    return net.linear(x, array(weight).T, array(bias))


def batch_norm(net, x, mean, variance, weight, bias, eps):
    """Normalise each channel by statistics of the training data."""
    if mean is None or variance is None:
        net.refuse("normalises by the statistics of the batch", "train it with track_running_stats=True")
    factor = 1 / np.sqrt(array(variance).astype(np.float64) + eps)
    if weight is not None:
        factor = factor * array(weight)
    offset = -array(mean) * factor + (0 if bias is None else array(bias))
    shape = (-1, *[1] * (len(x.shape) - 1))
    return net.scale(x, factor.reshape(shape), offset.reshape(shape))


@operator("function_batch_norm")
def function_batch_norm(
    net, x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Normalise as torch.nn.functional.batch_norm."""
    if training:
        net.refuse("normalises by the statistics of the batch", "call model.eval() or pass training=False")
    return batch_norm(net, x, running_mean, running_var, weight, bias, eps)


@operator("batch_norm", "_native_batch_norm_legit_no_training")
def aten_batch_norm(net, x, weight, bias, running_mean, running_var, *rest):
    """Normalise as ATen's operators, which put the weights before the statistics."""
    if len(rest) > 2 and rest[0]:
        net.refuse("normalises by the statistics of the batch", "export the model after model.eval()")
    eps = rest[2] if len(rest) > 2 else rest[1]
    return batch_norm(net, x, running_mean, running_var, weight, bias, eps)


# -- activations -------------------------------------------------------------------------------------------


@operator("relu", "threshold")
def relu(net, x, threshold=0, value=0, inplace=False):
    """Clip at 0."""
    if threshold != 0 or value != 0:
        net.refuse(
            f"has a threshold of {threshold} and the value {value}", "use threshold 0 and value 0 (ReLU)"
        )
    return net.activation(x)


@operator("relu6")
def relu6(net, x, inplace=False):
    """Clip to 0..6."""
    return net.activation(x, 0.0, 6.0)


def bounded(net: Assembly, x: Value, lower: Any, upper: Any) -> Value:
    if any(
        isinstance(each, Value) or (each is not None and array(each).size != 1) for each in (lower, upper)
    ):
        net.refuse("clamps to bounds that are tensors", "clamp to two numbers")
    return net.activation(
        x,
        -math.inf if lower is None else float(array(lower)),
        math.inf if upper is None else float(array(upper)),
    )


@operator("hardtanh")
def hardtanh(net, x, min_val=-1.0, max_val=1.0, inplace=False):
    """Clip to bounds."""
    return bounded(net, x, min_val, max_val)


@operator("clamp", "clip")
def clamp_both(net, x, min=None, max=None):
    """Clip to bounds, each of which may be missing."""
    return bounded(net, x, min, max)


@operator("clamp_min")
def clamp_min(net, x, min):
    """Clip from below."""
    return bounded(net, x, min, None)


@operator("clamp_max")
def clamp_max(net, x, max):
    """Clip from above."""
    return bounded(net, x, None, max)


@operator("leaky_relu")
def leaky_relu(net, x, negative_slope=0.01, inplace=False):
    """Keep a part of what is below 0."""
    return net.activation(x, slope=float(negative_slope))


@operator("prelu")
def prelu(net, x, weight):
    """Keep a learned part of what is below 0, per channel: relu(x) - weight * relu(-x)."""
    slope = array(weight).reshape(-1)
    if slope.size == 1:
        return net.activation(x, slope=float(slope[0]))
    positive = net.activation(x)
    negative = net.activation(net.scale(x, -1.0, part="flipped"))
    return net.sum([positive, net.scale(negative, -slope.reshape(-1, *[1] * (len(x.shape) - 1)))])


@operator("hardsigmoid")
def hardsigmoid(net, x, inplace=False):
    """Clip x / 6 + 1/2 to 0..1."""
    return net.activation(net.scale(x, 1 / 6, 0.5, "line"), 0.0, 1.0)


@operator("hardswish")
def hardswish(net, x, inplace=False):
    """Multiply by the hard sigmoid."""
    return net.product(x, hardsigmoid(net, x))


@operator("abs", "absolute")
def absolute(net, x):
    """Sum of relu(x) and relu(-x)."""
    return net.sum([net.activation(x), net.activation(net.scale(x, -1.0, part="flipped"))])


@operator(
    "dropout", "dropout2d", "dropout1d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "native_dropout",
    "contiguous", "clone", "detach", "to", "_to_copy", "float", "double", "type_as", "alias", "lift_fresh_copy",
    "cpu", "identity",
)  # fmt: skip
def identity(net, x, *rest, **named):
    """Change nothing once a network is trained."""
    return x


# -- arithmetic --------------------------------------------------------------------------------------------


def combine(net: Assembly, x: Any, other: Any, sign: float) -> Value:
    if isinstance(x, Value) and isinstance(other, Value):
        return net.sum([x, other if sign == 1 else net.scale(other, sign, part="scaled")])
    if isinstance(x, Value):
        return net.scale(x, 1.0, sign * _constant(net, x, other))
    return net.scale(other, sign, _constant(net, other, x))


def _constant(net: Assembly, x: Value, other: Any) -> NDArray[Any]:
    """Return a constant that broadcasts to tensors without a batch axis."""
    found = array(other)
    if found.ndim == len(x.shape) + 1:
        if found.shape[0] != 1:
            net.refuse(
                f"a constant of shape {found.shape} differs between samples", "give it a batch axis of 1"
            )
        found = found[0]
    return found


@operator("add", "iadd")
def add(net, x, other, *, alpha=1):
    """Add."""
    return combine(net, x, other, float(alpha))


@operator("sub", "subtract", "isub")
def subtract(net, x, other, *, alpha=1):
    """Subtract."""
    return combine(net, x, other, -float(alpha))


@operator("rsub")
def subtract_from(net, x, other, alpha=1):
    """Subtract from."""
    return combine(net, other, x, -float(alpha))


@operator("neg", "negative")
def negative(net, x):
    """Turn the sign."""
    return net.scale(x, -1.0)


@operator("mul", "multiply", "imul")
def multiply(net, x, other):
    """Multiply by a constant, or by a gate."""
    if isinstance(x, Value) and isinstance(other, Value):
        return net.product(x, other)
    x, other = (x, other) if isinstance(x, Value) else (other, x)
    return net.scale(x, _constant(net, x, other))


@operator("div", "true_divide", "truediv", "itruediv", "divide")
def divide(net, x, other, *, rounding_mode=None):
    """Divide by a constant."""
    if not isinstance(x, Value) or isinstance(other, Value) or rounding_mode is not None:
        net.refuse("divides by a tensor that depends on the input, or rounds", "divide by constants")
    return net.scale(x, 1 / _constant(net, x, other))


# -- what is exact on an output only -----------------------------------------------------------------------


def _closing(name: str) -> Operator:
    def close(net, x, *rest, **named):
        return replace(x, closed=name)

    return close


for _name in ("softmax", "log_softmax", "_softmax", "_log_softmax"):
    OPERATORS[_name] = _closing("softmax")


@operator("sigmoid")
def sigmoid(net, x):
    """Leave out on an output; as a gate only its piecewise linear form, if that was asked for."""
    if net.hard_gates:
        net.note("sigmoid is replaced by hardsigmoid")
        return hardsigmoid(net, x)
    return replace(x, closed="sigmoid")


@operator("silu", "swish")
def silu(net, x, inplace=False):
    """Multiply by the sigmoid."""
    if not net.hard_gates:
        net.refuse(
            "x * sigmoid(x) is not piecewise linear",
            "use Hardswish or ReLU and fine-tune, or pass hard_gates=True, which puts Hardswish in its place",
        )
    net.note("x * sigmoid(x) is replaced by hardswish")
    return hardswish(net, x)
