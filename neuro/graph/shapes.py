"""Shape inference: what comes out of a node, given what goes in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neuro.errors import GraphError
from neuro.graph.nodes import (
    CODING,
    NEURONS,
    POOLS,
    POPULATIONS,
    PRODUCTS,
    SELECTIONS,
    Add,
    Concat,
    Conv2d,
    CountMatrixProduct,
    CountMaxPool2d,
    CountProduct,
    Flatten,
    Input,
    Linear,
    Node,
    PoissonSource,
    RadixMaxPool2d,
    Rearrange,
    SparseLinear,
)

__all__ = ["Shape", "output_shape", "infer_shapes"]

Shape = tuple[int, ...]


def label(name: str, node: Node) -> str:
    """Return how a node is called in messages: ``LIF 'hidden'``."""
    return f"{type(node).__name__} {name!r}"


def output_shape(name: str, node: Node, inputs: Sequence[Shape]) -> Shape:
    """Return the shape of a node's output.

    Parameters
    ----------
    name : str
        The node's name, for messages.
    node : Node
        The node.
    inputs : sequence of tuple of int
        Shapes of its inputs, in edge order; empty for an Input.

    Returns
    -------
    tuple of int
        The shape of its output.

    Raises
    ------
    GraphError
        If the node cannot take these inputs.

    Examples
    --------
    >>> output_shape("conv", Conv2d(np.ones((8, 2, 3, 3)), padding=1), [(2, 34, 34)])
    (8, 34, 34)
    """
    owner = label(name, node)
    if isinstance(node, Input):
        return node.shape
    if isinstance(node, PoissonSource):
        return (node.n,)
    if not inputs:
        return _population(owner, node)
    first = inputs[0]
    if isinstance(node, SparseLinear):
        return _sparse(owner, node, first)
    if isinstance(node, Linear):
        return _linear(owner, node, first)
    if isinstance(node, Conv2d):
        return _conv2d(owner, node, first)
    if isinstance(node, (*POOLS, CountMaxPool2d, RadixMaxPool2d)):
        return _pooled(owner, node, first)
    if isinstance(node, Flatten):
        return (math.prod(first),)
    if isinstance(node, Rearrange):
        return _rearranged(owner, node, first)
    if isinstance(node, PRODUCTS):
        return _product(owner, node, inputs)
    if isinstance(node, Add):
        return _add(owner, inputs)
    if isinstance(node, Concat):
        return _concat(owner, inputs)
    if isinstance(node, (*NEURONS, *POPULATIONS, *CODING)):
        if any(shape != first for shape in inputs):
            raise GraphError(
                f"{owner}: all that ends in it must have one shape, got {', '.join(map(str, inputs))}"
            )
        _check_parameters(owner, node, first)
    elif isinstance(node, SELECTIONS):
        node.check_input(owner, first)
    return first


def _sparse(owner: str, node: SparseLinear, shape: Shape) -> Shape:
    if shape != (node.n_in,):
        raise GraphError(f"{owner}: n_in = {node.n_in} needs an input of shape ({node.n_in},), got {shape}")
    return (node.n_out,)


def _pooled(owner: str, node: Any, shape: Shape) -> Shape:
    channels, rows, columns = _image(owner, shape)
    size = _windows(
        owner,
        (rows, columns),
        kernel=node.kernel_size,
        stride=node.strides,
        padding=node.padding,
        dilation=(1, 1),
    )
    return (channels, *size)


def infer_shapes(
    nodes: Mapping[str, Node], order: Sequence[str], predecessors: Mapping[str, Sequence[str]]
) -> dict[str, Shape]:
    """Return the output shape of every node, in the order given.

    In a cycle an Add takes the shape of the inputs that are already known; afterwards all are checked.
    """
    shapes: dict[str, Shape] = {
        name: (node.n_out,) for name, node in nodes.items() if isinstance(node, SparseLinear)
    }
    waiting = [name for name in order if name not in shapes]
    while waiting:
        ready = [name for name in waiting if all(p in shapes for p in predecessors[name])]
        if ready:
            name = ready[0]
            shapes[name] = output_shape(name, nodes[name], [shapes[p] for p in predecessors[name]])
        else:
            name = _enter_cycle(nodes, waiting, predecessors, shapes)
        waiting.remove(name)
    for name in order:
        if output_shape(name, nodes[name], [shapes[p] for p in predecessors[name]]) != shapes[name]:
            raise GraphError(f"{label(name, nodes[name])}: the shapes around its cycle do not fit together")
    return {name: shapes[name] for name in order}


def _enter_cycle(
    nodes: Mapping[str, Node],
    waiting: Sequence[str],
    predecessors: Mapping[str, Sequence[str]],
    shapes: dict[str, Shape],
) -> str:
    for name in waiting:
        known = [shapes[p] for p in predecessors[name] if p in shapes]
        if known and isinstance(nodes[name], Add):
            shapes[name] = known[0]
            return name
    raise GraphError(
        f"{label(waiting[0], nodes[waiting[0]])}: its shape cannot be inferred; enter the cycle by an Add"
    )


def _population(owner: str, node: Node) -> Shape:
    """Return the size of a population without inputs: that of its parameters."""
    sizes = {value.shape for value in vars(node).values() if isinstance(value, np.ndarray)}
    if len(sizes) != 1:
        raise GraphError(
            f"{owner}: has no input, so one of its parameters must be an array that gives its size, shape (n,); got "
            f"{', '.join(map(str, sorted(sizes))) or 'numbers only'}"
        )
    shape: Shape = sizes.pop()
    return shape


def _image(owner: str, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise GraphError(f"{owner}: needs an input of shape (channels, rows, columns), got {shape}")
    return shape[0], shape[1], shape[2]


def _linear(owner: str, node: Linear, shape: Shape) -> Shape:
    n_out, n_in = node.weight.shape
    if len(shape) != 1:
        raise GraphError(f"{owner}: needs an input with one axis, got {shape}; put a Flatten before it")
    if shape != (n_in,):
        raise GraphError(f"{owner}: weight {node.weight.shape} needs {n_in} inputs, got {shape[0]}")
    return (n_out,)


def _conv2d(owner: str, node: Conv2d, shape: Shape) -> Shape:
    channels, rows, columns = _image(owner, shape)
    if channels != node.in_channels:
        raise GraphError(
            f"{owner}: weight {node.weight.shape} with groups = {node.groups} needs {node.in_channels} "
            f"input channels, got {channels}"
        )
    size = _windows(
        owner,
        (rows, columns),
        kernel=node.kernel_size,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
    )
    return (node.out_channels, *size)


def _windows(
    owner: str,
    size: tuple[int, int],
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int]:
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    if padded[0] < spans[0] or padded[1] < spans[1]:
        raise GraphError(
            f"{owner}: the kernel spans {spans[0]} x {spans[1]}, more than the padded input "
            f"{padded[0]} x {padded[1]}"
        )
    rows, columns = ((p - s) // t + 1 for p, s, t in zip(padded, spans, stride, strict=True))
    return rows, columns


def _add(owner: str, inputs: Sequence[Shape]) -> Shape:
    for shape in inputs[1:]:
        if shape != inputs[0]:
            raise GraphError(f"{owner}: inputs must have one shape, got {', '.join(map(str, inputs))}")
    return inputs[0]


def _concat(owner: str, inputs: Sequence[Shape]) -> Shape:
    for shape in inputs[1:]:
        if len(shape) != len(inputs[0]) or shape[1:] != inputs[0][1:]:
            raise GraphError(
                f"{owner}: inputs must agree but for the channels, got {', '.join(map(str, inputs))}"
            )
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


def _rearranged(owner: str, node: Rearrange, shape: Shape) -> Shape:
    most = int(node.index.max())
    if most >= math.prod(shape):
        raise GraphError(
            f"{owner}: index reaches place {most}, but the input {shape} has {math.prod(shape)} entries"
        )
    return node.index.shape


def _product(owner: str, node: CountProduct, inputs: Sequence[Shape]) -> Shape:
    first, second = inputs
    is_matrix = isinstance(node, CountMatrixProduct)
    if is_matrix:
        fits = len(first) == len(second) == 3 and first[0] == second[0] and first[2] == second[1]
        rule = "inputs must be (C, M, K) and (C, K, N)"
    else:
        fits = second in {first, (first[0], 1, 1)}
        rule = "the second input must have the shape of the first, or (C, 1, 1)"
    if not fits:
        raise GraphError(f"{owner}: {rule}, got {first} and {second}")
    for field, shape in (("first_offset", first), ("second_offset", second)):
        _check_field(owner, field, getattr(node, field), shape)
    return (first[0], first[1], second[2]) if is_matrix else first


def _check_parameters(owner: str, node: Node, shape: Shape) -> None:
    for field, value in vars(node).items():
        _check_field(owner, field, value, shape)


def _check_field(owner: str, field: str, value: object, shape: Shape) -> None:
    allowed = [shape] if len(shape) == 1 else [(shape[0], 1, 1), shape]
    if isinstance(value, np.ndarray) and value.shape not in allowed:
        texts = " or ".join(map(str, allowed))
        raise GraphError(f"{owner}: {field} must be a number or have shape {texts}, got {value.shape}")
