"""What torch's functions, methods and ATen operators mean, by the name they share.

An operator is called with the assembly, then with the arguments as torch passes them; tensors that depend on the input
are a `Value`, all others are torch tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest import pictures
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.values import Value

__all__ = ["OPERATORS", "REMEDIES", "array"]

Operator = Callable[..., Any]
OPERATORS: dict[str, Operator] = {}

_EXACT = "use ReLU, ReLU6, Hardtanh or LeakyReLU and fine-tune; these become spikes exactly"
REMEDIES: dict[str, str] = {
    **dict.fromkeys(("gelu", "elu", "selu", "celu", "tanh", "softplus", "mish", "softsign", "logsigmoid"), _EXACT),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "multi_head_attention_forward", "bmm", "matmul", "einsum", "baddbmm"),
        "products of two activations are not exact in spikes; use convolutions, or a gate per channel",
    ),
    **dict.fromkeys(
        ("layer_norm", "group_norm", "instance_norm", "rms_norm", "native_layer_norm", "native_group_norm"),
        "statistics of each sample are not known beforehand; use batch norm and fine-tune",
    ),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), "train a recurrent spiking network, or use conv1d"),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), "use it on the output only"),
    "embedding": "give the network numbers; look the embedding up before it",
    "sigmoid": "use Hardsigmoid and fine-tune, or pass hard_gates=True, which puts it in its place",
    "argmax": "return the scores; take the largest outside the network",
}  # fmt: skip


def _operator(*names: str) -> Callable[[Operator], Operator]:
    def register(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
        return function

    return register


def array(values: Any) -> NDArray[Any]:
    """Return a torch tensor, or anything else, as an array."""
    found = np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
    return found.astype(np.float64) if found.dtype.kind in "bui" else found


def _optional(values: Any) -> NDArray[Any] | None:
    return None if values is None else array(values)


def _numbers(values: Any, n: int) -> tuple[int, ...]:
    """Return `n` whole numbers, where torch takes one number for all."""
    if isinstance(values, Iterable):
        found = tuple(int(each) for each in values)
        return found * n if len(found) == 1 else found
    return (int(values),) * n


def _axis(value: Value, dim: int) -> int:
    """Return the axis behind the batch axis that torch's `dim` names; -1 for the batch axis itself."""
    return (dim if dim >= 0 else dim + len(value.shape) + 1) - 1


def _axes(net: Assembly, value: Value, dims: Any) -> tuple[int, ...]:
    given = (dims,) if isinstance(dims, int) else tuple(dims)
    axes = tuple(_axis(value, dim) for dim in given)
    if any(axis < 0 for axis in axes):
        net.refuse("works along the batch axis", "keep the samples of a batch apart")
    return axes


# -- layers with weights -----------------------------------------------------------------------------------


@_operator("conv1d", "conv2d")
def convolve(net, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate; padding 'same' puts the odd zero behind."""
    if isinstance(weight, Value):
        net.refuse("its weight depends on the input", "use a fixed weight")
    weight = array(weight)
    n = weight.ndim - 2
    stride, dilation = _numbers(stride, n), _numbers(dilation, n)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    elif padding == "valid":
        pads = [(0, 0)] * n
    else:
        pads = [(p, p) for p in _numbers(padding, n)]
    return pictures.convolution(
        net, x, weight, _optional(bias), stride=stride, padding=pads, dilation=dilation, groups=groups
    )


@_operator("conv_transpose1d", "conv_transpose2d")
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
        stride=_numbers(stride, n),
        padding=_numbers(padding, n),
        output_padding=_numbers(output_padding, n),
        dilation=_numbers(dilation, n),
        groups=groups,
    )


@_operator("convolution")
def convolve_either(net, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """Convolve as ATen's one operator for both directions does."""
    if transposed:
        return convolve_transposed(net, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolve(net, x, weight, bias, stride, padding, dilation, groups)


@_operator("linear")
def linear(net, x, weight, bias=None):
    """Map the last axis."""
    if isinstance(weight, Value):
        net.refuse("its weight depends on the input", REMEDIES["matmul"])
    return net.linear(x, array(weight), _optional(bias))


@_operator("matmul", "mm")
def matmul(net, x, other):
    """Map the last axis by a constant matrix."""
    if not isinstance(x, Value) or isinstance(other, Value) or array(other).ndim != 2:
        net.refuse("multiplies two tensors that depend on the input", REMEDIES["matmul"])
    return net.linear(x, array(other).T, None)


@_operator("addmm")
def addmm(net, bias, x, weight):
    """Map the last axis by a constant matrix, plus a bias."""
    if isinstance(bias, Value) or isinstance(weight, Value):
        net.refuse("multiplies two tensors that depend on the input", REMEDIES["matmul"])
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


@_operator("function_batch_norm")
def function_batch_norm(
    net, x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Normalise as torch.nn.functional.batch_norm."""
    if training:
        net.refuse("normalises by the statistics of the batch", "call model.eval() or pass training=False")
    return batch_norm(net, x, running_mean, running_var, weight, bias, eps)


@_operator("batch_norm", "_native_batch_norm_legit_no_training")
def aten_batch_norm(net, x, weight, bias, running_mean, running_var, *rest):
    """Normalise as ATen's operators, which put the weights before the statistics."""
    if len(rest) > 2 and rest[0]:
        net.refuse("normalises by the statistics of the batch", "export the model after model.eval()")
    eps = rest[2] if len(rest) > 2 else rest[1]
    return batch_norm(net, x, running_mean, running_var, weight, bias, eps)


# -- activations -------------------------------------------------------------------------------------------


@_operator("relu", "threshold")
def relu(net, x, threshold=0, value=0, inplace=False):
    """Clip at 0."""
    if threshold != 0 or value != 0:
        net.refuse(
            f"has a threshold of {threshold} and the value {value}", "use threshold 0 and value 0 (ReLU)"
        )
    return net.activation(x)


@_operator("relu6")
def relu6(net, x, inplace=False):
    """Clip to 0..6."""
    return net.activation(x, 0.0, 6.0)


def _bounded(net: Assembly, x: Value, lower: Any, upper: Any) -> Value:
    if any(
        isinstance(each, Value) or (each is not None and array(each).size != 1) for each in (lower, upper)
    ):
        net.refuse("clamps to bounds that are tensors", "clamp to two numbers")
    return net.activation(
        x,
        -math.inf if lower is None else float(array(lower)),
        math.inf if upper is None else float(array(upper)),
    )


@_operator("hardtanh")
def hardtanh(net, x, min_val=-1.0, max_val=1.0, inplace=False):
    """Clip to bounds."""
    return _bounded(net, x, min_val, max_val)


@_operator("clamp", "clip")
def clamp_both(net, x, min=None, max=None):
    """Clip to bounds, each of which may be missing."""
    return _bounded(net, x, min, max)


@_operator("clamp_min")
def clamp_min(net, x, min):
    """Clip from below."""
    return _bounded(net, x, min, None)


@_operator("clamp_max")
def clamp_max(net, x, max):
    """Clip from above."""
    return _bounded(net, x, None, max)


@_operator("leaky_relu")
def leaky_relu(net, x, negative_slope=0.01, inplace=False):
    """Keep a part of what is below 0."""
    return net.activation(x, slope=float(negative_slope))


@_operator("prelu")
def prelu(net, x, weight):
    """Keep a learned part of what is below 0, per channel: relu(x) - weight * relu(-x)."""
    slope = array(weight).reshape(-1)
    if slope.size == 1:
        return net.activation(x, slope=float(slope[0]))
    positive = net.activation(x)
    negative = net.activation(net.scale(x, -1.0, part="flipped"))
    return net.sum([positive, net.scale(negative, -slope.reshape(-1, *[1] * (len(x.shape) - 1)))])


@_operator("hardsigmoid")
def hardsigmoid(net, x, inplace=False):
    """Clip x / 6 + 1/2 to 0..1."""
    return net.activation(net.scale(x, 1 / 6, 0.5, "line"), 0.0, 1.0)


@_operator("hardswish")
def hardswish(net, x, inplace=False):
    """Multiply by the hard sigmoid."""
    return net.product(x, hardsigmoid(net, x))


@_operator("abs", "absolute")
def absolute(net, x):
    """Sum of relu(x) and relu(-x)."""
    return net.sum([net.activation(x), net.activation(net.scale(x, -1.0, part="flipped"))])


@_operator(
    "dropout", "dropout2d", "dropout1d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "native_dropout",
    "contiguous", "clone", "detach", "to", "_to_copy", "float", "double", "type_as", "alias", "lift_fresh_copy",
    "cpu", "identity",
)  # fmt: skip
def identity(net, x, *rest, **named):
    """Change nothing once a network is trained."""
    return x


# -- arithmetic --------------------------------------------------------------------------------------------


def _combine(net: Assembly, x: Any, other: Any, sign: float) -> Value:
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


@_operator("add", "iadd")
def add(net, x, other, *, alpha=1):
    """Add."""
    return _combine(net, x, other, float(alpha))


@_operator("sub", "subtract", "isub")
def subtract(net, x, other, *, alpha=1):
    """Subtract."""
    return _combine(net, x, other, -float(alpha))


@_operator("rsub")
def subtract_from(net, x, other, alpha=1):
    """Subtract from."""
    return _combine(net, other, x, -float(alpha))


@_operator("neg", "negative")
def negative(net, x):
    """Turn the sign."""
    return net.scale(x, -1.0)


@_operator("mul", "multiply", "imul")
def multiply(net, x, other):
    """Multiply by a constant, or by a gate."""
    if isinstance(x, Value) and isinstance(other, Value):
        return net.product(x, other)
    x, other = (x, other) if isinstance(x, Value) else (other, x)
    return net.scale(x, _constant(net, x, other))


@_operator("div", "true_divide", "truediv", "itruediv", "divide")
def divide(net, x, other, *, rounding_mode=None):
    """Divide by a constant."""
    if not isinstance(x, Value) or isinstance(other, Value) or rounding_mode is not None:
        net.refuse("divides by a tensor that depends on the input, or rounds", "divide by constants")
    return net.scale(x, 1 / _constant(net, x, other))


# -- pooling and reductions --------------------------------------------------------------------------------


def _window(kernel_size: Any, stride: Any, padding: Any, n: int) -> tuple[Any, Any, Any]:
    kernel = _numbers(kernel_size, n)
    strides = kernel if stride is None or stride == [] else _numbers(stride, n)
    return kernel, strides, [(p, p) for p in _numbers(padding, n)]


def _max_pool(n: int) -> Operator:
    def pool(net, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        kernel, strides, pads = _window(kernel_size, stride, padding, n)
        if any(d != 1 for d in _numbers(dilation, n)) or return_indices:
            net.refuse("dilates its windows or returns indices", "use a plain max pooling")
        return pictures.pooled(net, x, "max", kernel, stride=strides, padding=pads, ceil_mode=ceil_mode)

    return pool


def _average_pool(n: int) -> Operator:
    def pool(
        net,
        x,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    ):
        kernel, strides, pads = _window(kernel_size, stride, padding, n)
        counts = bool(count_include_pad) or divisor_override is not None
        value = pictures.pooled(
            net, x, "mean", kernel, stride=strides, padding=pads, ceil_mode=ceil_mode, counts_padding=counts
        )
        return value if divisor_override is None else net.scale(value, math.prod(kernel) / divisor_override)

    return pool


for _n in (1, 2):
    OPERATORS[f"max_pool{_n}d"] = _max_pool(_n)
    OPERATORS[f"avg_pool{_n}d"] = _average_pool(_n)


@_operator("max_pool2d_with_indices")
def max_pool_with_indices(net, x, *rest):
    """Pool; the indices must stay unread."""
    return (OPERATORS["max_pool2d"](net, x, *rest), None)


def _adaptive(kind: pictures.Kind, n: int) -> Operator:
    def pool(net, x, output_size, return_indices=False):
        if return_indices:
            net.refuse("returns indices", "use a plain max pooling")
        sizes = [output_size] * n if isinstance(output_size, int) or output_size is None else output_size
        return pictures.adaptive_pooled(net, x, kind, list(sizes) * n if len(sizes) < n else sizes)

    return pool


for _n in (1, 2):
    OPERATORS[f"adaptive_avg_pool{_n}d"] = _adaptive("mean", _n)
    OPERATORS[f"adaptive_max_pool{_n}d"] = _adaptive("max", _n)
OPERATORS["_adaptive_avg_pool2d"] = OPERATORS["adaptive_avg_pool2d"]


@_operator("mean")
def mean(net, x, dim=None, keepdim=False, *, dtype=None):
    """Mean over axes."""
    if dim is None:
        net.refuse("takes the mean over the batch axis too", "name the axes: x.mean((2, 3))")
    return pictures.reduced(net, x, "mean", _axes(net, x, dim), keepdim)


@_operator("sum")
def total(net, x, dim=None, keepdim=False, *, dtype=None):
    """Sum over axes."""
    if dim is None:
        net.refuse("takes the sum over the batch axis too", "name the axes: x.sum((2, 3))")
    axes = _axes(net, x, dim)
    n = math.prod(x.shape[axis] for axis in axes)
    return net.scale(pictures.reduced(net, x, "mean", axes, keepdim), float(n), part="total")


@_operator("amax")
def amax(net, x, dim=(), keepdim=False):
    """Largest value over axes."""
    return pictures.reduced(net, x, "max", _axes(net, x, dim), keepdim)


@_operator("max", "maximum")
def largest(net, x, dim=None, keepdim=False):
    """Largest value over one axis, or of two tensors; its indices must stay unread."""
    if isinstance(dim, int):
        return _Largest(pictures.reduced(net, x, "max", _axes(net, x, dim), keepdim), None)
    if dim is None or not isinstance(x, Value):
        net.refuse("takes the largest value over the batch axis too", "name the axis: x.amax(2)")
    if isinstance(dim, Value):  # max(a, b) = a + relu(b - a)
        return net.sum([x, net.activation(_combine(net, dim, x, -1.0))])
    return _bounded(net, x, dim, None)


class _Largest(tuple):  # type: ignore[type-arg]
    """What torch.max returns over an axis: values, and indices that we do not have."""

    def __new__(cls, values: Value, indices: None) -> _Largest:
        return super().__new__(cls, (values, indices))

    @property
    def values(self) -> Value:
        found: Value = self[0]
        return found


# -- shapes ------------------------------------------------------------------------------------------------


@_operator("permute")
def permute(net, x, *dims):
    """Put the axes into another order."""
    given = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    axes = [_axis(x, dim) for dim in given]
    if axes[0] != -1 or -1 in axes[1:]:
        net.refuse("moves the batch axis", "keep the batch axis first")
    return net.permuted(x, axes[1:])


@_operator("transpose", "swapaxes")
def transpose(net, x, dim0, dim1):
    """Swap two axes."""
    first, second = _axes(net, x, (dim0, dim1))
    axes = list(range(len(x.shape)))
    axes[first], axes[second] = second, first
    return net.permuted(x, axes)


@_operator("unsqueeze")
def unsqueeze(net, x, dim):
    """Insert an axis of size 1."""
    axis = (dim if dim >= 0 else dim + len(x.shape) + 2) - 1
    if axis < 0:
        net.refuse("puts an axis before the batch axis", "keep the batch axis first")
    return net.view(x, (*x.shape[:axis], 1, *x.shape[axis:]))


@_operator("squeeze")
def squeeze(net, x, dim=None):
    """Remove axes of size 1."""
    axes = range(len(x.shape)) if dim is None else _axes(net, x, dim)
    return net.view(x, [n for axis, n in enumerate(x.shape) if n != 1 or axis not in axes])


@_operator("flatten")
def flatten(net, x, start_dim=0, end_dim=-1):
    """Join axes."""
    start, stop = _axes(net, x, (start_dim, end_dim))
    return net.view(x, (*x.shape[:start], math.prod(x.shape[start : stop + 1]), *x.shape[stop + 1 :]))


@_operator("unflatten")
def unflatten(net, x, dim, sizes):
    """Split an axis."""
    (axis,) = _axes(net, x, dim)
    sizes = list(sizes)
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] // -math.prod(sizes)
    return net.view(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def _gather(net: Assembly, x: Value, choose: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Value:
    return net.gathered(x, choose(np.arange(x.size).reshape(x.shape)))


@_operator("chunk")
def chunk(net, x, chunks, dim=0):
    """Cut an axis into so many parts."""
    (axis,) = _axes(net, x, dim)
    return split(net, x, -(-x.shape[axis] // chunks), dim)


@_operator("split", "split_with_sizes")
def split(net, x, sizes, dim=0):
    """Cut an axis into parts of some sizes."""
    (axis,) = _axes(net, x, dim)
    n = x.shape[axis]
    starts = (
        list(range(0, n, sizes)) if isinstance(sizes, int) else [sum(sizes[:i]) for i in range(len(sizes))]
    )
    return tuple(
        _gather(net, x, lambda index, a=a, b=b: index.take(range(a, b), axis))  # type: ignore[misc]
        for a, b in zip(starts, [*starts[1:], n], strict=True)
    )


@_operator("narrow")
def narrow(net, x, dim, start, length):
    """Take a part of an axis."""
    (axis,) = _axes(net, x, dim)
    return _gather(net, x, lambda index: index.take(range(start, start + length), axis))


@_operator("select")
def select(net, x, dim, index):
    """Take one entry of an axis."""
    (axis,) = _axes(net, x, dim)
    return _gather(net, x, lambda places: places.take(index, axis))


@_operator("index_select")
def index_select(net, x, dim, index):
    """Take some entries of an axis."""
    (axis,) = _axes(net, x, dim)
    return _gather(net, x, lambda places: places.take(array(index).astype(np.int64), axis))


@_operator("slice")
def slice_axis(net, x, dim=0, start=None, end=None, step=1):
    """Take every so many-th entry of a part of an axis."""
    axis = _axis(x, dim)
    if axis < 0:
        if (start or 0) == 0 and (end is None or end > 2**31) and step == 1:
            return x
        net.refuse("takes some samples of the batch", "keep the samples of a batch apart")
    return _gather(
        net, x, lambda index: index.take(range(*slice(start, end, step).indices(x.shape[axis])), axis)
    )


@_operator("flip")
def flip(net, x, *dims):
    """Turn axes round."""
    axes = _axes(net, x, dims[0] if isinstance(dims[0], Sequence) else dims)
    return _gather(net, x, lambda index: np.flip(index, axes))


@_operator("cat", "concat", "concatenate")
def cat(net, tensors, dim=0, *, axis=None):
    """Join tensors along an axis."""
    if not all(isinstance(each, Value) for each in tensors):
        net.refuse("joins a constant to a tensor", "add the constant behind the next layer as its bias")
    (along,) = _axes(net, tensors[0], dim if axis is None else axis)
    return net.concatenation(list(tensors), along)


@_operator("stack")
def stack(net, tensors, dim=0):
    """Join tensors along a new axis."""
    return cat(net, [unsqueeze(net, each, dim) for each in tensors], dim)


@_operator("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(net, x, groups):
    """Deal the channels of the groups out in turn."""
    n, *rest = x.shape
    return _gather(
        net, x, lambda index: index.reshape(groups, n // groups, *rest).swapaxes(0, 1).reshape(x.shape)
    )


@_operator("pixel_shuffle")
def pixel_shuffle(net, x, upscale_factor):
    """Lay groups of channels out as pixels."""
    n, rows, columns = x.shape
    r = upscale_factor

    def choose(index: NDArray[np.int64]) -> NDArray[np.int64]:
        parts = index.reshape(n // r**2, r, r, rows, columns).transpose(0, 3, 1, 4, 2)
        return parts.reshape(n // r**2, rows * r, columns * r)

    return _gather(net, x, choose)


@_operator("pad")
def pad(net, x, pad, mode="constant", value=None):
    """Put zeros around the last axes."""
    if mode != "constant":
        net.refuse(f"pads by mode {mode!r}", "pad with zeros (mode='constant')")
    sides = [(int(a), int(b)) for a, b in zip(pad[::2], pad[1::2], strict=True)][::-1]
    return pictures.padded(net, x, sides, 0.0 if value is None else float(value))


@_operator("constant_pad_nd")
def constant_pad(net, x, sides, value=0.0):
    """Put zeros around the last axes."""
    return pad(net, x, sides, "constant", value)


# -- enlarging ---------------------------------------------------------------------------------------------


@_operator("interpolate", "upsample")
def interpolate(
    net,
    x,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Return a picture of another size."""
    if mode not in {"nearest", "linear", "bilinear"} or antialias:
        net.refuse(
            f"enlarges by mode {mode!r}{' with antialias' if antialias else ''}", "use nearest or bilinear"
        )
    n = len(x.shape) - 1
    old = x.shape[1:]
    if size is None:
        factors = tuple(scale_factor) if isinstance(scale_factor, Iterable) else (scale_factor,) * n
        size = [math.floor(m * float(f)) for m, f in zip(old, factors, strict=True)]
        if (
            any(f * m != new for f, m, new in zip(factors, old, size, strict=True))
            and not recompute_scale_factor
        ):
            net.refuse(
                f"enlarges {old} by {factors}, which gives no whole size",
                "name the size instead of the factor",
            )
    word = "nearest" if mode == "nearest" else "linear"
    return pictures.resized(net, x, _numbers(size, n), word, aligns_corners=bool(align_corners))  # type: ignore[arg-type]


def _aten_enlarge(mode: str) -> Operator:
    def enlarge(net, x, output_size, *rest):
        align, factors = (False, rest[-1]) if mode == "nearest" else (rest[0], rest[-1])
        return interpolate(net, x, output_size, None if output_size else factors, mode, align)

    return enlarge


for _name, _mode in {
    "upsample_nearest1d": "nearest",
    "upsample_nearest2d": "nearest",
    "upsample_linear1d": "linear",
    "upsample_bilinear2d": "bilinear",
}.items():
    OPERATORS[_name] = _aten_enlarge(_mode)


# -- what is exact on an output only -----------------------------------------------------------------------


def _closing(name: str) -> Operator:
    def close(net, x, *rest, **named):
        return replace(x, closed=name)

    return close


for _name in ("softmax", "log_softmax", "_softmax", "_log_softmax"):
    OPERATORS[_name] = _closing("softmax")


@_operator("sigmoid")
def sigmoid(net, x):
    """Leave out on an output; as a gate only its piecewise linear form, if that was asked for."""
    if net.hard_gates:
        net.note("sigmoid is replaced by hardsigmoid")
        return hardsigmoid(net, x)
    return replace(x, closed="sigmoid")


@_operator("silu", "swish")
def silu(net, x, inplace=False):
    """Multiply by the sigmoid."""
    if not net.hard_gates:
        net.refuse(
            "x * sigmoid(x) is not piecewise linear",
            "use Hardswish or ReLU and fine-tune, or pass hard_gates=True, which puts Hardswish in its place",
        )
    net.note("x * sigmoid(x) is replaced by hardswish")
    return hardswish(net, x)
