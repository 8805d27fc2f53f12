"""Shape inference: what comes out of a layer, given what goes in."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analog_bridge.errors import LayerError
from analog_bridge.layers.kinds import (
    Activation,
    AveragePool,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    MatrixProduct,
    MaxPool,
    Permutation,
    Product,
    Quantizer,
    Rearrangement,
    Reshape,
    Scale,
    Shape,
    Sum,
    TransposedConvolution,
    Upsample,
)

__all__ = ["axes_before", "canonical_shape", "output_shape"]


def canonical_shape(shape: Sequence[int]) -> Shape:
    """Return the shape in which a layer holds a tensor: ``(n,)`` or ``(channels, rows, columns)``.

    Parameters
    ----------
    shape : sequence of int
        Of the user's tensor, without a batch axis.

    Returns
    -------
    tuple of int
        The same entries in the same order: one axis, or three.

    Examples
    --------
    >>> canonical_shape((3, 8)), canonical_shape((5, 2, 6, 6))
    ((3, 1, 8), (5, 2, 36))
    """
    if len(shape) <= 1:
        return (math.prod(shape),)
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2])
    return (shape[0], shape[1], math.prod(shape[2:]))


def axes_before(given: Sequence[int], shape: Shape, most: int = 1) -> int:
    """Return how many axes stand before a sample: that of samples, and with `most` = 2 perhaps that of frames.

    Parameters
    ----------
    given : sequence of int
        Shape of an array of samples.
    shape : tuple of int
        Shape of a sample as a layer holds it; the array may have it as the user's tensor had (`canonical_shape`).
    most : int
        Most such axes.

    Returns
    -------
    int
        Their number; 0 if the array does not fit.
    """
    rests = {n: tuple(given[n:]) for n in range(1, most + 1) if len(given) > n}
    exact = [n for n, rest in rests.items() if rest == shape]
    return next(iter([*exact, *(n for n, rest in rests.items() if canonical_shape(rest) == shape)]), 0)


def output_shape(layer: Layer, inputs: Sequence[Shape]) -> Shape:
    """Return the shape of a layer's output.

    Parameters
    ----------
    layer : Layer
        The layer.
    inputs : sequence of tuple of int
        Shapes of its inputs, in order, without a batch axis.

    Returns
    -------
    tuple of int
        The shape of its output.

    Raises
    ------
    LayerError
        If the layer cannot take these inputs.

    Examples
    --------
    >>> import numpy as np
    >>> output_shape(Dense("head", ("flat",), np.ones((10, 64)), np.zeros(10)), [(64,)])
    (10,)
    """
    _check_number(layer, inputs)
    if isinstance(layer, InputLayer):
        return layer.shape
    if isinstance(layer, Sum | Product | MatrixProduct | Concatenation):
        return _joined(layer, inputs)
    shape = inputs[0]
    if isinstance(layer, Dense):
        if shape != (layer.weight.shape[1],):
            _refuse(layer, f"weight {layer.weight.shape} needs an input of ({layer.weight.shape[1]},)", shape)
        return (layer.weight.shape[0],)
    if isinstance(layer, Convolution):
        return _convolved(layer, shape)
    if isinstance(layer, TransposedConvolution):
        return _spread(layer, shape)
    if isinstance(layer, AveragePool | MaxPool):
        channels, *size = _image(layer, shape)
        padding = (layer.padding[0], layer.padding[0], layer.padding[1], layer.padding[1])
        return (channels, *_windows(layer, size, layer.kernel, layer.stride, padding))
    if isinstance(layer, Upsample):
        channels, rows, columns = _image(layer, shape)
        return (channels, rows * layer.factor[0], columns * layer.factor[1])
    if isinstance(layer, Rearrangement):
        most = int(layer.index.max())
        if most >= math.prod(shape):
            _refuse(layer, f"index reaches entry {most}, which the input does not have", shape)
        return layer.index.shape
    if isinstance(layer, Reshape):
        if math.prod(shape) != math.prod(layer.shape):
            _refuse(layer, f"shape {layer.shape} holds {math.prod(layer.shape)} values", shape)
        return layer.shape
    return _same(layer, shape)


def _refuse(layer: Layer, rule: str, *shapes: Shape) -> None:
    raise LayerError(f"{layer.label}: {rule}, got {', '.join(map(str, shapes))}")


def _check_number(layer: Layer, inputs: Sequence[Shape]) -> None:
    if isinstance(layer, InputLayer):
        least, most = 0, 0
    elif isinstance(layer, Product | MatrixProduct):
        least, most = 2, 2
    elif isinstance(layer, Sum | Concatenation):
        least, most = 2, len(inputs)
    else:
        least, most = 1, 1
    if not least <= len(inputs) <= most:
        wanted = str(least) if least == most else f"at least {least}"
        raise LayerError(f"{layer.label}: takes {wanted} input(s), got {len(inputs)}")


def _same(layer: Layer, shape: Shape) -> Shape:
    """Return the shape of a layer that works entry by entry or along the first axis."""
    if isinstance(layer, Scale) and shape[0] != layer.factor.size:
        _refuse(layer, f"factor {layer.factor.shape} needs {layer.factor.size} channels", shape)
    if isinstance(layer, Quantizer) and layer.unit.size not in {1, shape[0]}:
        _refuse(layer, f"unit {layer.unit.shape} needs {layer.unit.size} channels", shape)
    if isinstance(layer, Permutation):
        if layer.order.max() >= shape[0]:
            _refuse(layer, f"order reaches entry {layer.order.max()}, which the input does not have", shape)
        return (layer.order.size, *shape[1:])
    if not isinstance(layer, Scale | Quantizer | Activation):
        raise LayerError(f"{layer.label}: its shape is not known; it is not one of the kinds of layers")
    return shape


def _image(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        _refuse(layer, "needs an input of (channels, rows, columns); put a Reshape before it", shape)
    return shape[0], shape[1], shape[2]


def _windows(
    layer: Layer,
    size: Sequence[int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Shape:
    padded = (size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3])
    if padded[0] < kernel[0] or padded[1] < kernel[1]:
        raise LayerError(
            f"{layer.label}: the window of {kernel[0]} x {kernel[1]} is larger than the padded input of "
            f"{padded[0]} x {padded[1]}"
        )
    return tuple((p - k) // s + 1 for p, k, s in zip(padded, kernel, stride, strict=True))


def _convolved(layer: Convolution, shape: Shape) -> Shape:
    channels, *size = _image(layer, shape)
    n_out, per_group, *taps = layer.weight.shape
    if channels != per_group * layer.groups:
        _refuse(
            layer,
            f"weight {layer.weight.shape} with groups = {layer.groups} needs {per_group * layer.groups} channels",
            shape,
        )
    spans = (layer.dilation[0] * (taps[0] - 1) + 1, layer.dilation[1] * (taps[1] - 1) + 1)
    return (n_out, *_windows(layer, size, spans, layer.stride, layer.padding))


def _spread(layer: TransposedConvolution, shape: Shape) -> Shape:
    channels, *size = _image(layer, shape)
    n_in, per_group, *taps = layer.weight.shape
    if channels != n_in:
        _refuse(layer, f"weight {layer.weight.shape} needs {n_in} channels", shape)
    for output_padding, stride, dilation in zip(
        layer.output_padding, layer.stride, layer.dilation, strict=True
    ):
        if output_padding >= max(stride, dilation):
            raise LayerError(
                f"{layer.label}: output_padding {layer.output_padding} must be below stride {layer.stride} "
                f"or dilation {layer.dilation}"
            )
    grown = tuple(
        (size[i] - 1) * layer.stride[i]
        - 2 * layer.padding[i]
        + layer.dilation[i] * (taps[i] - 1)
        + layer.output_padding[i]
        + 1
        for i in (0, 1)
    )
    if min(grown) < 1:
        _refuse(layer, f"padding {layer.padding} leaves nothing of the output", shape)
    return (per_group * layer.groups, *grown)


def _joined(layer: Layer, inputs: Sequence[Shape]) -> Shape:
    first, *others = inputs
    if isinstance(layer, Sum) and any(shape != first for shape in others):
        _refuse(layer, "inputs must have one shape", *inputs)
    if isinstance(layer, Product) and others[0] not in {first, (first[0], 1, 1)}:
        _refuse(layer, "the second input must have the shape of the first, or (channels, 1, 1)", *inputs)
    if isinstance(layer, MatrixProduct):
        second = others[0]
        fits = len(first) == len(second) == 3 and first[0] == second[0] and first[2] == second[1]
        if not fits:
            _refuse(layer, "inputs must be (channels, M, K) and (channels, K, N)", *inputs)
        return (first[0], first[1], second[2])
    if isinstance(layer, Concatenation):
        if any(len(shape) != len(first) or shape[1:] != first[1:] for shape in others):
            _refuse(layer, "inputs must agree but for the first axis", *inputs)
        return (sum(shape[0] for shape in inputs), *first[1:])
    return first
