"""What a layer graph computes: the reference that ingestion, quantisation and the converters are compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import LayerError, MissingPackageError
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MatrixProduct,
    MaxPool,
    Permutation,
    Product,
    Quantizer,
    Rearrangement,
    Reshape,
    Scale,
    Sum,
    TransposedConvolution,
    Upsample,
)
from analog_bridge.layers.shapes import axes_before

if TYPE_CHECKING:
    import torch

__all__ = ["evaluate", "apply_layer", "check_batch"]

Floats = NDArray[Any]  # float32 or float64


def evaluate(
    layers: LayerGraph,
    x: ArrayLike | Mapping[str, ArrayLike],
    *,
    keep: Collection[str] = (),
    precision: Literal["float32", "float64"] = "float32",
    batch_size: int = 256,
) -> dict[str, Floats]:
    """Compute a layer graph on a batch, layer by layer, in torch.

    A `Quantizer` counts ``n = clip(floor(x / unit + 1/2), -n_negative, n_levels)`` in float64, so that a half is never
    lost to rounding, and gives ``n * unit``.

    Parameters
    ----------
    layers : LayerGraph
        The network.
    x : array, shape ````(n, *shape)````, or dict of such arrays
        Real and finite; `shape` is that of the input, where one row may be left out: (C, L) for (C, 1, L). With
        several inputs a dict by their names.
    keep : collection of str
        Names of layers whose values are returned as well.
    precision : {'float32', 'float64'}
        Of all values between the layers.
    batch_size : int
        Samples that are computed at once.

    Returns
    -------
    dict of array
        Values of the outputs, then of those in `keep`, by name: shape ``(n, *shape)`` of the layer.

    Raises
    ------
    LayerError
        `x` does not fit the inputs or is not finite, or `keep` names no layer.

    Examples
    --------
    >>> graph = LayerGraph((InputLayer("x", (), (2,)), Activation("relu", ("x",))), ("relu",))
    >>> evaluate(graph, [[1.0, -1.0]])["relu"]
    array([[1., 0.]], dtype=float32)
    """
    torch = require_torch("evaluate")
    wanted = layers.names_of(keep)
    batch = check_batch(layers, x)
    n = len(next(iter(batch.values())))
    dtype = {"float32": torch.float32, "float64": torch.float64}[precision]
    parts: dict[str, list[Floats]] = {name: [] for name in wanted}
    for start in range(0, max(n, 1), batch_size):

        def enter(entry: InputLayer, start: int = start) -> Any:
            return torch.tensor(batch[entry.name][start : start + batch_size], dtype=dtype)

        for layer, value in layers.walk(enter, apply_layer):
            if layer.name in parts:
                parts[layer.name].append(value.numpy())
    return {name: np.concatenate(found) for name, found in parts.items()}


def require_torch(purpose: str) -> Any:
    """Return torch, or say how to install it."""
    try:
        import torch
    except ImportError as err:
        raise MissingPackageError(
            f"{purpose}: needs torch, which is not installed: pip install torch"
        ) from err
    return torch


def check_batch(
    layers: LayerGraph, x: ArrayLike | Mapping[str, ArrayLike], *, owner: str = "evaluate"
) -> dict[str, Floats]:
    """Return the data of every input as an array ``(n, *shape)``, checked.

    Parameters
    ----------
    layers : LayerGraph
        The network.
    x : array or dict of arrays
        As in `evaluate`.
    owner : str
        Who asks, for messages.

    Returns
    -------
    dict of array
        Float32 or float64, by the names of the inputs.

    Raises
    ------
    LayerError
        Another shape, other names, other lengths, or a value that is not finite.
    """
    names = [layer.name for layer in layers.inputs]
    if isinstance(x, Mapping):
        if set(x) != set(names):
            raise LayerError(f"{owner}: x must hold {', '.join(names)}, got {', '.join(x) or 'nothing'}")
        given: dict[str, Any] = {name: x[name] for name in names}
    elif len(names) == 1:
        given = {names[0]: x}
    else:
        raise LayerError(
            f"{owner}: the network has {len(names)} inputs; give x as a dict by name: {', '.join(names)}"
        )
    found = {name: _check_values(owner, name, value, layers.shapes[name]) for name, value in given.items()}
    lengths = {name: len(value) for name, value in found.items()}
    if len(set(lengths.values())) > 1:
        raise LayerError(f"{owner}: inputs must have as many samples as each other, got {lengths}")
    return found


def _check_values(owner: str, name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise LayerError(f"{owner}: input {name!r} must hold real numbers, got {array.dtype}")
    array = array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)
    if not axes_before(array.shape, shape):
        allowed = [shape] + ([(shape[0], shape[2])] if len(shape) == 3 and shape[1] == 1 else [])
        wanted = " or ".join(f"(n, {', '.join(map(str, each))})" for each in allowed)
        raise LayerError(f"{owner}: input {name!r} must have shape {wanted}, got {array.shape}")
    if not np.isfinite(array).all():
        place = ", ".join(str(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise LayerError(
            f"{owner}: input {name!r} must be finite, got {name}[{place}] = {array[~np.isfinite(array)][0]}"
        )
    return array.reshape(len(array), *shape)


def apply_layer(layer: Layer, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return what a layer makes of its inputs.

    Parameters
    ----------
    layer : Layer
        Any layer but an InputLayer.
    inputs : sequence of tensor, shape ``(n, *shape)``
        In order; float32 or float64, which is also the type of the result.

    Returns
    -------
    tensor, shape ``(n, *shape)``
        The value.
    """
    torch = require_torch("evaluate")
    with torch.no_grad():
        return _RULES[type(layer)](layer, inputs)


def differentiable(layer: Any, inputs: Sequence[torch.Tensor], kind: type[Layer]) -> torch.Tensor:
    """Return what a layer makes of its inputs, for training.

    Parameters
    ----------
    layer : object
        Has the fields of a layer, with tensors for arrays where they are learned.
    inputs : sequence of tensor, shape ``(n, *shape)``
        In order.
    kind : type
        Which layer it is.

    Returns
    -------
    tensor, shape ``(n, *shape)``
        The value, with its gradient.
    """
    value: torch.Tensor = _RULES[kind](layer, inputs)
    return value


def _tensor(values: Any, like: torch.Tensor, *, channels: bool = False) -> Any:
    torch = require_torch("evaluate")
    is_tensor = isinstance(values, torch.Tensor)
    tensor = values if is_tensor else torch.tensor(values, dtype=like.dtype, device=like.device)
    return tensor.reshape(1, -1, *[1] * (like.ndim - 2)) if channels else tensor


def _convolution(layer: Convolution, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    x = inputs[0]
    top, bottom, left, right = layer.padding
    padding: tuple[int, int] = (top, left)
    if top != bottom or left != right:
        x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
    weight, bias = _tensor(layer.weight, x), _tensor(layer.bias, x)
    return functional.conv2d(x, weight, bias, layer.stride, padding, layer.dilation, layer.groups)


def _transposed(layer: TransposedConvolution, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    return functional.conv_transpose2d(
        inputs[0],
        _tensor(layer.weight, inputs[0]),
        _tensor(layer.bias, inputs[0]),
        layer.stride,
        layer.padding,
        layer.output_padding,
        layer.groups,
        layer.dilation,
    )


def _dense(layer: Dense, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    return functional.linear(inputs[0], _tensor(layer.weight, inputs[0]), _tensor(layer.bias, inputs[0]))


def _scale(layer: Scale, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x = inputs[0]
    scaled: torch.Tensor = x * _tensor(layer.factor, x, channels=True) + _tensor(
        layer.offset, x, channels=True
    )
    return scaled


def _average(layer: AveragePool, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    return functional.avg_pool2d(
        inputs[0], layer.kernel, layer.stride, layer.padding, count_include_pad=layer.counts_padding
    )


def _largest(layer: MaxPool, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    pooled: torch.Tensor = functional.max_pool2d(inputs[0], layer.kernel, layer.stride, layer.padding)
    return pooled


def _upsample(layer: Upsample, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    x, (rows, columns) = inputs[0], layer.factor
    if layer.mode == "nearest":
        return x.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
    size = (x.shape[-2] * rows, x.shape[-1] * columns)
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _activation(layer: Activation, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    torch = require_torch("evaluate")
    x = inputs[0]
    y = torch.where(x < 0, layer.slope * x, x) if layer.slope else x.clamp(min=layer.lower)
    return y if layer.upper is None else y.clamp(max=layer.upper)


def counts(layer: Quantizer, x: torch.Tensor) -> torch.Tensor:
    """Return the counts of a quantizer in float64."""
    wide = x.double()
    unit = _tensor(layer.unit, wide, channels=layer.unit.size > 1)
    return (wide / unit + 0.5).floor().clamp(-layer.n_negative, layer.n_levels)


def _quantizer(layer: Quantizer, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x = inputs[0]
    value: torch.Tensor = counts(layer, x).to(x.dtype) * _tensor(layer.unit, x, channels=layer.unit.size > 1)
    return value


def _sum(layer: Sum, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    total = inputs[0]
    for x in inputs[1:]:
        total = total + x
    return total


def _concatenation(layer: Concatenation, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    joined: torch.Tensor = require_torch("evaluate").cat(list(inputs), 1)
    return joined


def _permutation(layer: Permutation, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    torch = require_torch("evaluate")
    return inputs[0].index_select(1, torch.tensor(layer.order, dtype=torch.int64))


def _rearrangement(layer: Rearrangement, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    torch = require_torch("evaluate")
    index = torch.tensor(layer.index, dtype=torch.int64)
    taken = inputs[0].flatten(1).index_select(1, index.flatten().clamp(min=0))
    return torch.where(index.flatten() < 0, 0, taken).reshape(-1, *layer.index.shape)


_RULES: dict[type[Layer], Callable[[Any, Sequence[Any]], Any]] = {
    Convolution: _convolution,
    TransposedConvolution: _transposed,
    Dense: _dense,
    Scale: _scale,
    AveragePool: _average,
    MaxPool: _largest,
    Upsample: _upsample,
    Activation: _activation,
    Quantizer: _quantizer,
    Sum: _sum,
    Product: lambda layer, inputs: inputs[0] * inputs[1],
    MatrixProduct: lambda layer, inputs: inputs[0] @ inputs[1],
    Concatenation: _concatenation,
    Reshape: lambda layer, inputs: inputs[0].reshape(len(inputs[0]), *layer.shape),
    Permutation: _permutation,
    Rearrangement: _rearrangement,
}
