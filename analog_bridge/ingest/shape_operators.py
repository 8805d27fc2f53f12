"""What torch's pooling, reductions, views, slices and enlarging mean; arguments as in `operators`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest import pictures
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.operator_table import (
    OPERATORS,
    Operator,
    array,
    axes_of,
    axis_of,
    numbers,
    operator,
)
from analog_bridge.ingest.operators import bounded, combine
from analog_bridge.ingest.values import Value

# torch's names of paddings, and NumPy's
PADDING_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}

# -- pooling and reductions --------------------------------------------------------------------------------


def _window(kernel_size: Any, stride: Any, padding: Any, n: int) -> tuple[Any, Any, Any]:
    kernel = numbers(kernel_size, n)
    strides = kernel if stride is None or stride == [] else numbers(stride, n)
    return kernel, strides, [(p, p) for p in numbers(padding, n)]


def _max_pool(n: int) -> Operator:
    def pool(net, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        kernel, strides, pads = _window(kernel_size, stride, padding, n)
        if any(d != 1 for d in numbers(dilation, n)) or return_indices:
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


@operator("max_pool2d_with_indices")
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


@operator("mean")
def mean(net, x, dim=None, keepdim=False, *, dtype=None):
    """Mean over axes."""
    if dim is None:
        net.refuse("takes the mean over the batch axis too", "name the axes: x.mean((2, 3))")
    return pictures.reduced(net, x, "mean", axes_of(net, x, dim), keepdim)


@operator("sum")
def total(net, x, dim=None, keepdim=False, *, dtype=None):
    """Sum over axes."""
    if dim is None:
        net.refuse("takes the sum over the batch axis too", "name the axes: x.sum((2, 3))")
    axes = axes_of(net, x, dim)
    n = math.prod(x.shape[axis] for axis in axes)
    return net.scale(pictures.reduced(net, x, "mean", axes, keepdim), float(n), part="total")


@operator("amax")
def amax(net, x, dim=(), keepdim=False):
    """Largest value over axes."""
    return pictures.reduced(net, x, "max", axes_of(net, x, dim), keepdim)


@operator("max", "maximum")
def largest(net, x, dim=None, keepdim=False):
    """Largest value over one axis, or of two tensors; its indices must stay unread."""
    if isinstance(dim, int):
        return _Largest(pictures.reduced(net, x, "max", axes_of(net, x, dim), keepdim), None)
    if dim is None or not isinstance(x, Value):
        net.refuse("takes the largest value over the batch axis too", "name the axis: x.amax(2)")
    if isinstance(dim, Value):  # max(a, b) = a + relu(b - a)
        return net.sum([x, net.activation(combine(net, dim, x, -1.0))])
    return bounded(net, x, dim, None)


class _Largest(tuple):  # type: ignore[type-arg]
    """What torch.max returns over an axis: values, and indices that we do not have."""

    def __new__(cls, values: Value, indices: None) -> _Largest:
        return super().__new__(cls, (values, indices))

    @property
    def values(self) -> Value:
        found: Value = self[0]
        return found


# -- shapes ------------------------------------------------------------------------------------------------


@operator("permute")
def permute(net, x, *dims):
    """Put the axes into another order."""
    given = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    axes = [axis_of(x, dim) for dim in given]
    if axes[0] != -1 or -1 in axes[1:]:
        net.refuse("moves the batch axis", "keep the batch axis first")
    return net.permuted(x, axes[1:])


@operator("transpose", "swapaxes")
def transpose(net, x, dim0, dim1):
    """Swap two axes."""
    first, second = axes_of(net, x, (dim0, dim1))
    axes = list(range(len(x.shape)))
    axes[first], axes[second] = second, first
    return net.permuted(x, axes)


@operator("unsqueeze")
def unsqueeze(net, x, dim):
    """Insert an axis of size 1."""
    axis = (dim if dim >= 0 else dim + len(x.shape) + 2) - 1
    if axis < 0:
        net.refuse("puts an axis before the batch axis", "keep the batch axis first")
    return net.view(x, (*x.shape[:axis], 1, *x.shape[axis:]))


@operator("squeeze")
def squeeze(net, x, dim=None):
    """Remove axes of size 1."""
    axes = range(len(x.shape)) if dim is None else axes_of(net, x, dim)
    return net.view(x, [n for axis, n in enumerate(x.shape) if n != 1 or axis not in axes])


@operator("flatten")
def flatten(net, x, start_dim=0, end_dim=-1):
    """Join axes."""
    start, stop = axes_of(net, x, (start_dim, end_dim))
    return net.view(x, (*x.shape[:start], math.prod(x.shape[start : stop + 1]), *x.shape[stop + 1 :]))


@operator("unflatten")
def unflatten(net, x, dim, sizes):
    """Split an axis."""
    (axis,) = axes_of(net, x, dim)
    sizes = list(sizes)
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] // -math.prod(sizes)
    return net.view(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def _gather(net: Assembly, x: Value, choose: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Value:
    return net.gathered(x, choose(np.arange(x.size).reshape(x.shape)))


@operator("chunk")
def chunk(net, x, chunks, dim=0):
    """Cut an axis into so many parts."""
    (axis,) = axes_of(net, x, dim)
    return split(net, x, -(-x.shape[axis] // chunks), dim)


@operator("split", "split_with_sizes")
def split(net, x, sizes, dim=0):
    """Cut an axis into parts of some sizes."""
    (axis,) = axes_of(net, x, dim)
    n = x.shape[axis]
    starts = (
        list(range(0, n, sizes)) if isinstance(sizes, int) else [sum(sizes[:i]) for i in range(len(sizes))]
    )
    return tuple(
        _gather(net, x, lambda index, a=a, b=b: index.take(range(a, b), axis))  # type: ignore[misc]
        for a, b in zip(starts, [*starts[1:], n], strict=True)
    )


@operator("narrow")
def narrow(net, x, dim, start, length):
    """Take a part of an axis."""
    (axis,) = axes_of(net, x, dim)
    return _gather(net, x, lambda index: index.take(range(start, start + length), axis))


@operator("select")
def select(net, x, dim, index):
    """Take one entry of an axis."""
    (axis,) = axes_of(net, x, dim)
    return _gather(net, x, lambda places: places.take(index, axis))


@operator("unbind")
def unbind(net, x, dim=0):
    """Take every entry of an axis."""
    (axis,) = axes_of(net, x, dim)
    return tuple(select(net, x, dim, index) for index in range(x.shape[axis]))


@operator("index_select")
def index_select(net, x, dim, index):
    """Take some entries of an axis."""
    (axis,) = axes_of(net, x, dim)
    return _gather(net, x, lambda places: places.take(array(index).astype(np.int64), axis))


@operator("slice")
def slice_axis(net, x, dim=0, start=None, end=None, step=1):
    """Take every so many-th entry of a part of an axis."""
    axis = axis_of(x, dim)
    if axis < 0:
        if (start or 0) == 0 and (end is None or end > 2**31) and step == 1:
            return x
        net.refuse("takes some samples of the batch", "keep the samples of a batch apart")
    return _gather(
        net, x, lambda index: index.take(range(*slice(start, end, step).indices(x.shape[axis])), axis)
    )


@operator("flip")
def flip(net, x, *dims):
    """Turn axes round."""
    axes = axes_of(net, x, dims[0] if isinstance(dims[0], Sequence) else dims)
    return _gather(net, x, lambda index: np.flip(index, axes))


@operator("cat", "concat", "concatenate")
def cat(net, tensors, dim=0, *, axis=None):
    """Join tensors along an axis."""
    if not all(isinstance(each, Value) for each in tensors):
        net.refuse("joins a constant to a tensor", "add the constant behind the next layer as its bias")
    (along,) = axes_of(net, tensors[0], dim if axis is None else axis)
    return net.concatenation(list(tensors), along)


@operator("stack")
def stack(net, tensors, dim=0):
    """Join tensors along a new axis."""
    return cat(net, [unsqueeze(net, each, dim) for each in tensors], dim)


@operator("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(net, x, groups):
    """Deal the channels of the groups out in turn."""
    n, *rest = x.shape
    return _gather(
        net, x, lambda index: index.reshape(groups, n // groups, *rest).swapaxes(0, 1).reshape(x.shape)
    )


@operator("pixel_shuffle")
def pixel_shuffle(net, x, upscale_factor):
    """Lay groups of channels out as pixels."""
    n, rows, columns = x.shape
    r = upscale_factor

    def choose(index: NDArray[np.int64]) -> NDArray[np.int64]:
        parts = index.reshape(n // r**2, r, r, rows, columns).transpose(0, 3, 1, 4, 2)
        return parts.reshape(n // r**2, rows * r, columns * r)

    return _gather(net, x, choose)


@operator("pad")
def pad(net, x, pad, mode="constant", value=None):
    """Put zeros around the last axes."""
    sides = [(int(a), int(b)) for a, b in zip(pad[::2], pad[1::2], strict=True)][::-1]
    if mode != "constant":
        return pictures.indexed_padding(net, x, sides, PADDING_MODES[mode])
    return pictures.padded(net, x, sides, 0.0 if value is None else float(value))


@operator("constant_pad_nd")
def constant_pad(net, x, sides, value=0.0):
    """Put zeros around the last axes."""
    return pad(net, x, sides, "constant", value)


# -- enlarging ---------------------------------------------------------------------------------------------


@operator("interpolate", "upsample")
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
    return pictures.resized(net, x, numbers(size, n), word, aligns_corners=bool(align_corners))  # type: ignore[arg-type]


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
