"""Batch norm and padding go into the convolutions beside them; layers that no output reads go away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from analog_bridge.layers import Convolution, Dense, Layer, Permutation, Scale, TransposedConvolution
from analog_bridge.layers.kinds import Shape

__all__ = ["fold"]

AFFINE = Convolution | Dense | TransposedConvolution


def fold(
    layers: Sequence[Layer], outputs: Sequence[str], pads: Collection[str], shapes: Mapping[str, Shape]
) -> tuple[list[Layer], list[str]]:
    """Return layers and outputs with scales and padding folded.

    A `Scale` behind an affine layer that nothing else reads goes into its weights; one before it does so where
    padding does not see the offset; two scales become one; a permutation goes into
    the weights behind it. Products are taken in float64 and rounded once.

    Parameters
    ----------
    layers : sequence of Layer
        In topological order.
    outputs : sequence of str
        Names of the outputs.
    pads : collection of str
        Names of the convolutions that only pad.
    shapes : dict
        Shapes of the layers by name.

    Returns
    -------
    list of Layer, list of str
        The same network.
    """
    found = {layer.name: layer for layer in layers}
    names = list(outputs)
    changed = True
    while changed:
        changed = False
        _drop_unread(found, names)
        readers = _readers(found, names)
        for layer in list(found.values()):
            if not layer.inputs:
                continue
            source = found[layer.inputs[0]]
            if readers[source.name] != [layer.name]:
                continue
            n_before = shapes[source.inputs[0]][0] if source.inputs else 0
            merged = _merge(source, layer, pads, n_before)
            if merged is None:
                continue
            found = {
                name: _reading(merged if name == layer.name else each, layer.name, merged.name)
                for name, each in found.items()
                if name != source.name
            }
            found = {each.name: each for each in found.values()}
            names = [merged.name if name == layer.name else name for name in names]
            changed = True
            break
    return list(found.values()), names


def _drop_unread(found: dict[str, Layer], outputs: Sequence[str]) -> None:
    """Remove what leads to no output, but for inputs."""
    read = set(outputs)
    for layer in reversed(list(found.values())):
        if layer.name in read or not layer.inputs:
            read.update(layer.inputs)
        else:
            del found[layer.name]


def _readers(found: dict[str, Layer], outputs: Sequence[str]) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {name: [] for name in found}
    for layer in found.values():
        for name in layer.inputs:
            readers[name].append(layer.name)
    for name in outputs:
        readers[name].append("output")
    return readers


def _reading(layer: Layer, old: str, new: str) -> Layer:
    if old not in layer.inputs:
        return layer
    return replace(layer, inputs=tuple(new if name == old else name for name in layer.inputs))


def _merge(source: Layer, layer: Layer, pads: Collection[str], n_before: int) -> Layer | None:
    """Return one layer for two in a row, or None; `n_before` is the first axis of what the source reads."""
    if isinstance(layer, Scale):
        if isinstance(source, Scale):
            factor, offset = _wide(layer.factor), _wide(layer.offset)
            if factor.size != source.factor.size:
                return None
            return replace(source, factor=factor * source.factor, offset=factor * source.offset + offset)
        if isinstance(source, AFFINE):
            return _behind(source, layer)
    if isinstance(layer, Convolution) and isinstance(source, Convolution) and source.name in pads:
        top, bottom, left, right = (a + b for a, b in zip(source.padding, layer.padding, strict=True))
        return replace(layer, inputs=source.inputs, padding=(top, bottom, left, right))
    if isinstance(source, Scale) and isinstance(layer, Convolution | Dense):
        return _before(source, layer)
    if isinstance(source, Permutation) and isinstance(layer, Convolution | Dense):
        return _reordered(source, layer, n_before)
    return None


def _reordered(order: Permutation, affine: Convolution | Dense, n_before: int) -> Layer | None:
    """Return the affine layer with its inputs in the order before a permutation."""
    if isinstance(affine, Convolution) and affine.groups != 1:
        return None
    weight = np.zeros((len(affine.weight), n_before, *affine.weight.shape[2:]))
    for new, old in enumerate(order.order):
        weight[:, old] += affine.weight[:, new]
    return replace(affine, inputs=order.inputs, weight=weight)


def _wide(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64)


def _behind(affine: Any, scale: Scale) -> Layer | None:
    factor, offset = _wide(scale.factor), _wide(scale.offset)
    if factor.size != affine.bias.size:
        return None
    bias = _wide(affine.bias) * factor + offset
    if isinstance(affine, TransposedConvolution):
        n_in, per_group = affine.weight.shape[:2]
        by_group = factor.reshape(affine.groups, 1, per_group)
        spread = np.broadcast_to(by_group, (affine.groups, n_in // affine.groups, per_group))
        weight = _wide(affine.weight) * spread.reshape(n_in, per_group)[:, :, None, None]
    else:
        weight = _wide(affine.weight) * factor.reshape(-1, *[1] * (affine.weight.ndim - 1))
    merged: Layer = replace(affine, weight=weight, bias=bias)
    return merged


def _before(scale: Scale, affine: Convolution | Dense) -> Layer | None:
    factor, offset = _wide(scale.factor), _wide(scale.offset)
    weight = _wide(affine.weight)
    if isinstance(affine, Dense):
        if factor.size != weight.shape[1]:
            return None
        bias = _wide(affine.bias) + weight @ offset
        return replace(affine, inputs=scale.inputs, weight=weight * factor, bias=bias)
    if offset.any() and any(affine.padding):
        return None
    n_out, per_group = weight.shape[:2]
    group = np.arange(n_out) // (n_out // affine.groups)
    channel = group[:, None] * per_group + np.arange(per_group)  # the input channel of each weight
    bias = _wide(affine.bias) + np.einsum("oihw,oi->o", weight, offset[channel])
    return replace(affine, inputs=scale.inputs, weight=weight * factor[channel][:, :, None, None], bias=bias)
