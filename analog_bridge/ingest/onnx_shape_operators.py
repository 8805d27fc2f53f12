"""What the operators of ONNX for shapes and slices mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest.onnx_table import Node, rule
from analog_bridge.ingest.values import Value

# -- shapes ------------------------------------------------------------------------------------------------


@rule("Shape")
def shape(node: Node) -> NDArray[np.int64]:
    """Return the shape, batch axis first."""
    full = np.array((node.n, *node.x.shape), dtype=np.int64)
    return full[node.get("start", 0) : node.get("end", len(full))]


def _viewed(node: Node, sizes: Sequence[int]) -> Value:
    total = node.n * node.x.size
    sizes = [int(size) for size in sizes]
    if sizes.count(-1) == 1:
        rest = -math.prod(sizes)
        sizes[sizes.index(-1)] = total // rest if rest > 0 else 0
    if not sizes or sizes[0] != node.n or math.prod(sizes) != total:
        node.net.refuse(
            f"views {node.x.shape} as {tuple(sizes)}, which mixes samples of the batch",
            "keep the batch axis first",
        )
    return node.net.view(node.x, sizes[1:])


@rule("Reshape")
def reshape(node: Node) -> Value:
    """Return the tensor in another shape."""
    full = (node.n, *node.x.shape)
    sizes = [int(size) for size in node.constant(1, "shape")]
    if not node.get("allowzero", 0):
        sizes = [full[i] if size == 0 else size for i, size in enumerate(sizes)]
    return _viewed(node, sizes)


@rule("Flatten")
def flatten(node: Node) -> Value:
    """Join all axes behind the batch axis."""
    if node.get("axis", 1) not in {1, -len(node.x.shape)}:
        node.net.refuse(f"flattens from axis {node.get('axis', 1)}", "flatten from axis 1")
    return node.net.view(node.x, (node.x.size,))


@rule("Squeeze")
def squeeze(node: Node) -> Value:
    """Remove axes of size 1."""
    axes = node.constant(1, "axes")
    over = range(len(node.x.shape)) if axes is None else [node.axis(int(axis)) for axis in axes]
    return node.net.view(node.x, [n for axis, n in enumerate(node.x.shape) if n != 1 or axis not in over])


@rule("Unsqueeze")
def unsqueeze(node: Node) -> Value:
    """Insert axes of size 1."""
    axes = [int(axis) for axis in node.constant(1, "axes")]
    rank = len(node.x.shape) + 1 + len(axes)
    full = [node.n, *node.x.shape]
    for axis in sorted(axis % rank for axis in axes):
        full.insert(axis, 1)
    return _viewed(node, full)


@rule("Transpose")
def transpose(node: Node) -> Value:
    """Put the axes into another order."""
    perm = node.get("perm", list(range(len(node.x.shape), -1, -1)))
    if perm[0] != 0:
        node.net.refuse("moves the batch axis", "keep the batch axis first")
    return node.net.permuted(node.x, [axis - 1 for axis in perm[1:]])


@rule("Concat")
def concat(node: Node) -> Value:
    """Join tensors along an axis."""
    if not all(isinstance(each, Value) for each in node.inputs):
        node.net.refuse("joins a constant to a tensor", "add the constant behind the next layer as its bias")
    return node.net.concatenation(list(node.inputs), node.axis(node.attributes["axis"]))


def _gather(node: Node, choose: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Value:
    return node.net.gathered(node.x, choose(np.arange(node.x.size).reshape(node.x.shape)))


@rule("Slice")
def slice_axes(node: Node) -> Value:
    """Take a part of some axes."""
    starts, ends = node.constant(1, "starts"), node.constant(2, "ends")
    axes, steps = node.constant(3, "axes"), node.constant(4)
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = np.arange(node.x.size).reshape(node.x.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if axis == 0 and start == 0 and end >= node.n and step == 1:
            continue
        along = node.axis(int(axis))
        # past the start, counting down: everything
        stop = None if step < 0 and end <= -node.x.shape[along] - 1 else int(end)
        index = index.take(range(*slice(int(start), stop, int(step)).indices(index.shape[along])), along)
    return node.net.gathered(node.x, index)


@rule("Split")
def split(node: Node) -> tuple[Value, ...]:
    """Cut an axis into parts."""
    axis = node.axis(node.get("axis", 0))
    sizes = node.constant(1, "split")
    n = node.x.shape[axis]
    if sizes is None:
        n_parts = node.get("num_outputs", 2)
        each = -(-n // n_parts)
        sizes = [min(each, n - i * each) for i in range(n_parts)]
    stops = np.cumsum(sizes)
    return tuple(
        _gather(node, lambda index, a=stop - size, b=stop: index.take(range(int(a), int(b)), axis))  # type: ignore[misc]
        for size, stop in zip(sizes, stops, strict=True)
    )


@rule("Gather")
def gather(node: Node) -> Value:
    """Take some entries of an axis."""
    axis = node.axis(node.get("axis", 0))
    return _gather(node, lambda index: index.take(np.asarray(node.constant(1)), axis))


@rule("Expand")
def expand(node: Node) -> Value:
    """Repeat axes of size 1."""
    sizes = [int(size) for size in node.constant(1)]
    full = np.broadcast_shapes((node.n, *node.x.shape), tuple(sizes))
    if full[0] != node.n or len(full) != len(node.x.shape) + 1:
        node.net.refuse("repeats the batch axis", "keep the batch axis as it is")
    return node.net.broadcast(node.x, full[1:])


@rule("DepthToSpace")
def depth_to_space(node: Node) -> Value:
    """Lay groups of channels out as pixels."""
    n, rows, columns = node.x.shape
    b = node.attributes["blocksize"]
    if node.get("mode", "DCR") == "CRD":
        parts, order = (n // b**2, b, b, rows, columns), (0, 3, 1, 4, 2)
    else:
        parts, order = (b, b, n // b**2, rows, columns), (2, 3, 0, 4, 1)
    return _gather(
        node, lambda index: index.reshape(parts).transpose(order).reshape(n // b**2, rows * b, columns * b)
    )


@rule("SpaceToDepth")
def space_to_depth(node: Node) -> Value:
    """Lay pixels out as groups of channels."""
    n, rows, columns = node.x.shape
    b = node.attributes["blocksize"]
    parts = (n, rows // b, b, columns // b, b)
    return _gather(
        node,
        lambda index: (
            index.reshape(parts).transpose(2, 4, 0, 1, 3).reshape(n * b**2, rows // b, columns // b)
        ),
    )
