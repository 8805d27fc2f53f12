"""Builds a layer graph operator by operator; the front ends for torch, ONNX and Keras all speak to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import UnsupportedLayerError
from analog_bridge.ingest.folding import fold
from analog_bridge.ingest.values import Shape, Value, blocks, canonical_shape
from analog_bridge.layers import (
    Activation,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MatrixProduct,
    Permutation,
    Product,
    Reshape,
    Scale,
    Sum,
)
from analog_bridge.layers.shapes import output_shape

__all__ = ["Assembly"]


class Assembly:
    """Layers as they are added, and where in the user's network we are.

    Attributes
    ----------
    name, place : str
        Name for the next layer and where it comes from; the front end sets them by `enter`.
    notes : list of str
        What was left out or replaced.
    hard_gates : bool
        Whether a sigmoid may be replaced by its piecewise linear form.
    """

    def __init__(self, *, hard_gates: bool = False) -> None:
        self.hard_gates = hard_gates
        self.name = "network"
        self.place = ""
        self.notes: list[str] = []
        self._layers: dict[str, Layer] = {}
        self._shapes: dict[str, Shape] = {}
        self._pads: set[str] = set()

    def enter(self, name: str, place: str) -> None:
        """Say which node of the user's network comes next."""
        self.name, self.place = name, place

    def refuse(self, problem: str, remedy: str) -> NoReturn:
        """Raise the error that names the node, its place, what is wrong with it and what to use instead."""
        place = f" ({self.place})" if self.place else ""
        raise UnsupportedLayerError(f"{self.name!r}{place}: {problem}; {remedy}")

    def note(self, text: str) -> None:
        """Remember what was left out or replaced."""
        place = f" ({self.place})" if self.place else ""
        self.notes.append(f"{self.name!r}{place}: {text}")

    # -- layers ------------------------------------------------------------------------------------------------

    def fresh(self, part: str = "") -> str:
        """Return a name that no layer has yet: that of the current node, or of a part of it."""
        wanted = f"{self.name}.{part}" if part else self.name
        name, number = wanted, 1
        while name in self._layers:
            number += 1
            name = f"{wanted}#{number}"
        return name

    def add(self, layer: Layer) -> str:
        """Add a layer and return its name."""
        shape = output_shape(layer, [self._shapes[name] for name in layer.inputs])
        self._layers[layer.name] = layer
        self._shapes[layer.name] = shape
        return layer.name

    def shape_of(self, layer: str) -> Shape:
        """Return the shape of a layer's output."""
        return self._shapes[layer]

    def reshaped(self, layer: str, shape: Shape) -> str:
        """Return a layer that holds the same entries in another shape."""
        while self._shapes[layer] != shape and isinstance(self._layers[layer], Reshape):
            layer = self._layers[layer].inputs[0]
        if self._shapes[layer] == shape:
            return layer
        return self.add(Reshape(self.fresh("reshape"), (layer,), shape, place=self.place))

    def mark_padding(self, layer: str) -> None:
        """Say that a convolution only pads, so that the next one may take the padding over."""
        self._pads.add(layer)

    def input(self, name: str, shape: Shape) -> Value:
        """Add an input of the user's shape, without its batch axis."""
        self.enter(name, "input")
        layer = self.add(InputLayer(self.fresh(), (), canonical_shape(shape), place="input"))
        return Value(layer, tuple(shape), tuple(range(len(shape))))

    def finish(self, outputs: Sequence[Value]) -> LayerGraph:
        """Return the graph: outputs in the user's order of axes, batch norm folded, unused layers left out."""
        names = []
        for value in outputs:
            if value.closed:
                self.notes.append(
                    f"{value.closed} of the output is left out: the network gives what goes into it"
                )
            arranged = self.arranged(replace(value, closed=""), tuple(range(len(value.shape))))
            names.append(self.reshaped(arranged.layer, canonical_shape(value.shape)))
        layers, found = fold(list(self._layers.values()), names, self._pads, self._shapes)
        return LayerGraph(tuple(layers), tuple(found), tuple(dict.fromkeys(self.notes)))

    # -- order of entries --------------------------------------------------------------------------------------

    def gathered(self, value: Value, index: NDArray[np.int64], axes: Sequence[int] | None = None) -> Value:
        """Return the tensor whose entries are those of `value` at `index`.

        Parameters
        ----------
        value : Value
            Where the entries come from.
        index : int64, of the new shape
            Places in the old tensor, row-major in the user's order.
        axes : sequence of int, optional
            Order of the new axes in the new layer; as the user's by default.
        """
        shape = index.shape
        axes = tuple(range(len(shape))) if axes is None else tuple(axes)
        stored = np.arange(value.size).reshape(value.stored)
        place = np.transpose(stored, np.argsort(value.axes)).reshape(-1)  # storage place of each user's entry
        order = place[np.transpose(index, axes).reshape(-1)]
        new_stored = [shape[axis] for axis in axes]
        if order.size == value.size and (order == np.arange(order.size)).all():
            return Value(value.layer, shape, axes)
        chosen, size = blocks(order, new_stored, value.size)
        n_old = value.size // size
        old = self._shapes[value.layer]
        if len(old) != 3 or old[0] != n_old:
            old = (n_old,) if size == 1 else (n_old, 1, size)
        source = self.reshaped(value.layer, old)
        layer = self.add(Permutation(self.fresh("order"), (source,), chosen, place=self.place))
        return Value(layer, shape, axes)

    def arranged(self, value: Value, axes: Sequence[int]) -> Value:
        """Return the same tensor with its axes in another order in the layer."""
        moved = replace(value, axes=tuple(axes))
        if moved.order == value.order:
            return moved
        return self.gathered(value, np.arange(value.size).reshape(value.shape), axes)

    def leading(self, value: Value, axis: int) -> Value:
        """Return the same tensor with one axis in front, the others in the order in which they lie."""
        return self.arranged(value, (axis, *(other for other in value.axes if other != axis)))

    def view(self, value: Value, shape: Sequence[int]) -> Value:
        """Return the tensor in another shape, row-major in the user's order."""
        shape = tuple(shape)
        real = [axis for axis in range(len(shape)) if shape[axis] != 1]
        old = [axis for axis in range(len(value.shape)) if value.shape[axis] != 1]
        if [shape[axis] for axis in real] == [value.shape[axis] for axis in old]:
            moved = dict(zip(old, real, strict=True))
            front = [moved[axis] for axis in value.axes if axis in moved]
            return replace(
                value, shape=shape, axes=(*front, *(a for a in range(len(shape)) if a not in front))
            )
        arranged = self.arranged(value, tuple(range(len(value.shape))))
        return replace(arranged, shape=shape, axes=tuple(range(len(shape))))

    def permuted(self, value: Value, axes: Sequence[int]) -> Value:
        """Return the tensor with its axes in another order, as the user sees it."""
        axes = tuple(axes)
        return replace(
            value,
            shape=tuple(value.shape[axis] for axis in axes),
            axes=tuple(axes.index(axis) for axis in value.axes),
        )

    def broadcast(self, value: Value, shape: Sequence[int]) -> Value:
        """Return the tensor with its axes of size 1 repeated."""
        if tuple(shape) == value.shape:
            return value
        lifted = self.view(value, (*[1] * (len(shape) - len(value.shape)), *value.shape))
        index = np.broadcast_to(np.arange(value.size).reshape(lifted.shape), tuple(shape))
        return self.gathered(lifted, index)

    # -- entry by entry ----------------------------------------------------------------------------------------

    def scale(self, value: Value, factor: ArrayLike = 1.0, offset: ArrayLike = 0.0, part: str = "") -> Value:
        """Return ``factor * value + offset``; both are numbers or arrays that broadcast to the tensor."""
        factor, offset = np.asarray(factor, dtype=np.float64), np.asarray(offset, dtype=np.float64)
        try:
            shape = np.broadcast_shapes(value.shape, factor.shape, offset.shape)
        except ValueError:
            self.refuse(
                f"a constant of shape {factor.shape if factor.ndim else offset.shape} meets a tensor of {value.shape}",
                "give it a shape that broadcasts without touching the batch axis",
            )
        value = self.broadcast(value, shape)
        both = [np.broadcast_to(each, shape) for each in (factor, offset)]
        varying = [axis for axis in range(len(shape)) if any(_varies(each, axis) for each in both)]
        if len(varying) > 1:
            layer = self.reshaped(value.layer, (value.size,))
            both = [np.transpose(each, value.axes).reshape(-1) for each in both]
        elif varying:
            value = self.leading(value, varying[0])
            n = shape[varying[0]]
            layer = value.layer
            if self._shapes[layer][0] != n:
                layer = self.reshaped(layer, canonical_shape(value.stored))
            both = [np.moveaxis(each, varying[0], 0).reshape(n, -1)[:, 0] for each in both]
        else:
            layer = value.layer
            both = [np.full(self._shapes[layer][0], each.reshape(-1)[0]) for each in both]
        name = self.add(Scale(self.fresh(part), (layer,), both[0], both[1], place=self.place))
        return replace(value, layer=name)

    def activation(
        self, value: Value, lower: float = 0.0, upper: float = math.inf, slope: float = 0.0
    ) -> Value:
        """Return ``clip(value, lower, upper)``, or with a slope what `Activation` says."""
        if math.isnan(lower) or math.isnan(upper) or lower >= upper:
            self.refuse(f"clamps to [{lower}, {upper}], which is empty", "give bounds with min < max")
        if lower == -math.inf:
            if upper == math.inf:
                return value
            below = self.scale(value, -1.0, upper, "flipped")
            return self.scale(self.activation(below), -1.0, upper, "back")
        if lower > 0 or upper <= 0:
            shifted = self.scale(value, 1.0, -lower, "shifted")
            return self.scale(self.activation(shifted, 0.0, upper - lower), 1.0, lower, "back")
        layer = Activation(
            self.fresh(),
            (value.layer,),
            lower=lower,
            upper=None if upper == math.inf else upper,
            slope=slope,
            place=self.place,
        )
        return replace(value, layer=self.add(layer))

    def sum(self, values: Sequence[Value]) -> Value:
        """Return the sum of tensors, broadcast to one shape."""
        first, *others = self.alike(values)
        names = [first.layer]
        for value in others:
            names.append(self.reshaped(self.arranged(value, first.axes).layer, self._shapes[first.layer]))
        return replace(first, layer=self.add(Sum(self.fresh(), tuple(names), place=self.place)))

    def alike(self, values: Sequence[Value]) -> list[Value]:
        """Return tensors broadcast to their common shape."""
        try:
            shape = np.broadcast_shapes(*(value.shape for value in values))
        except ValueError:
            shapes = " and ".join(str(value.shape) for value in values)
            self.refuse(f"joins tensors of {shapes}", "give them shapes that broadcast")
        full = sorted(values, key=lambda value: value.shape != shape)
        return [self.broadcast(value, shape) for value in full]

    def product(self, first: Value, second: Value) -> Value:
        """Return the product of two tensors; a gate (channels, 1, 1) is not spread out."""
        if first.size < second.size:
            first, second = second, first
        is_gate = (
            len(first.shape) == 3
            and second.shape == (first.shape[0], 1, 1)
            and first.order[:1] in {(0,), ()}
            and self._shapes[first.layer] == first.shape
        )
        if is_gate:
            gate = self.reshaped(second.layer, (first.shape[0], 1, 1))
        else:
            first, second = self.alike([first, second])
            gate = self.reshaped(self.arranged(second, first.axes).layer, self._shapes[first.layer])
        return replace(first, layer=self.add(Product(self.fresh(), (first.layer, gate), place=self.place)))

    def matrix_product(self, first: Value, second: Value) -> Value:
        """Return the matrix product of two tensors (..., M, K) and (..., K, N)."""
        rows, inner, columns = *first.shape[-2:], second.shape[-1]
        try:
            outer = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
        except ValueError:
            outer = ()
        if inner != second.shape[-2] or len(outer) < max(len(first.shape), len(second.shape)) - 2:
            self.refuse(
                f"multiplies matrices of {first.shape} and {second.shape}",
                "give both the same leading axes, and as many rows to the second as the first has columns",
            )
        sources = []
        for value, matrix in ((first, (rows, inner)), (second, (inner, columns))):
            whole = self.broadcast(value, (*outer, *matrix))
            arranged = self.arranged(whole, tuple(range(len(whole.shape))))
            sources.append(self.reshaped(arranged.layer, (math.prod(outer), *matrix)))
        layer = self.add(MatrixProduct(self.fresh(), tuple(sources), place=self.place))
        return Value(layer, (*outer, rows, columns), tuple(range(len(outer) + 2)))

    def concatenation(self, values: Sequence[Value], axis: int) -> Value:
        """Return tensors one behind the other along an axis."""
        first = values[0]
        if any(
            len(v.shape) != len(first.shape)
            or v.shape[:axis] != first.shape[:axis]
            or v.shape[axis + 1 :] != first.shape[axis + 1 :]
            for v in values
        ):
            shapes = ", ".join(str(value.shape) for value in values)
            self.refuse(
                f"concatenates tensors of {shapes} along axis {axis}", "let them agree in all other axes"
            )
        if len(values) == 1:
            return first
        axes = self.leading(first, axis).axes
        names = []
        for value in values:
            arranged = self.arranged(value, axes)
            names.append(self.reshaped(arranged.layer, canonical_shape(arranged.stored)))
        shape = list(first.shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        layer = self.add(Concatenation(self.fresh(), tuple(names), place=self.place))
        return Value(layer, tuple(shape), axes)

    def linear(self, value: Value, weight: NDArray[Any], bias: NDArray[Any] | None) -> Value:
        """Return the last axis mapped by `weight` (out, in), plus `bias` (out,)."""
        n_out, n_in = weight.shape
        if not value.shape or value.shape[-1] != n_in:
            self.refuse(
                f"weight {weight.shape} meets a tensor of {value.shape}", f"give it a last axis of {n_in}"
            )
        offset = np.zeros(n_out) if bias is None else np.asarray(bias)
        last = len(value.shape) - 1
        if not last:
            source = self.reshaped(value.layer, (n_in,))
            layer: Layer = Dense(self.fresh(), (source,), weight, offset, place=self.place)
            return Value(self.add(layer), (n_out,), (0,))
        value = self.leading(value, last)
        source = self.reshaped(value.layer, canonical_shape(value.stored))
        layer = Convolution(self.fresh(), (source,), weight[:, :, None, None], offset, place=self.place)
        return Value(self.add(layer), (*value.shape[:-1], n_out), value.axes)


def _varies(values: NDArray[Any], axis: int) -> bool:
    return values.strides[axis] != 0 and not (values == values.take([0], axis)).all()
