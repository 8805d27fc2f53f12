"""What lies between two populations of a Graph, as one linear operator: dense, sparse or a convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from hw.errors import UnsupportedNodeError
from neuro.graph import AvgPool2d, Clocked, Conv2d, Linear, SparseLinear, SumPool2d

__all__ = ["Operator", "Embedding", "DelayedMatrix", "Step", "operator_of", "apply_step", "delayed_matrix"]

Floats = NDArray[np.float64]
_MOST_SYNAPSES = 50_000_000


@dataclass(frozen=True)
class Embedding:
    """A source's place among the channels of a Concat: entries before it, and the shape of the whole."""

    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class DelayedMatrix:
    """Sparse synapses, those of each delay as a matrix of shape (out, in): steps beyond the least, and weights."""

    parts: tuple[tuple[int, scipy.sparse.csr_matrix], ...]


Step = Conv2d | Linear | SumPool2d | AvgPool2d | Embedding | DelayedMatrix
Parts = dict[int, scipy.sparse.csr_matrix]


def delayed_matrix(node: SparseLinear, dt_s: float) -> tuple[int, DelayedMatrix]:
    """Return the least delay of sparse synapses in steps, and the synapses with what each has beyond it."""
    one = Clocked(dt_s)
    times, place = np.unique(np.asarray(node.delay_s, np.float32), return_inverse=True)
    steps = np.array([one.steps(float(time)) for time in times], np.int64)
    each = np.broadcast_to(steps[place.reshape(-1)], (node.n_synapses,))
    rows = np.repeat(np.arange(node.n_out), np.diff(node.indptr))
    least = int(each.min())
    parts = []
    for step in np.unique(each):
        there = each == step
        ends = rows[there], node.indices[there]
        weight = node.weight[there].astype(np.float64)
        parts.append(
            (int(step) - least, scipy.sparse.csr_matrix((weight, ends), shape=(node.n_out, node.n_in)))
        )
    return least, DelayedMatrix(tuple(parts))


@dataclass(frozen=True, eq=False)
class Operator:
    """A linear map from the spikes of a source to the currents of a target.

    Attributes
    ----------
    kind : {'dense', 'sparse', 'conv'}
        As in a Connection, and so are the fields below.
    weights : float64 array
        Weights of the Graph.
    delays : int32 array, shape (n,), or None
        Sparse: steps of each weight beyond the route's.
    """

    kind: str
    weights: Floats
    rows: NDArray[np.int32] | None = None
    columns: NDArray[np.int32] | None = None
    delays: NDArray[np.int32] | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def largest_sum(self) -> float:
        """The largest current, of either sign, that inputs of 1 can bring to a target."""
        if self.kind == "sparse":
            assert self.rows is not None
            return float(np.bincount(self.rows, np.abs(self.weights)).max(initial=0.0))
        return float(np.abs(self.weights).reshape(len(self.weights), -1).sum(axis=1).max(initial=0.0))

    def scaled(self, gain: Floats | float) -> Operator | None:
        """Multiply the weights into each target by its gain; None where a convolution cannot have one per pixel."""
        factor = np.asarray(gain, np.float64)
        if factor.ndim == 0:
            return replace(self, weights=self.weights * factor)
        if self.kind == "dense":
            return replace(self, weights=self.weights * factor[:, None])
        if self.kind == "sparse":
            return replace(self, weights=self.weights * factor[self.rows])
        by_channel = factor.reshape(self.weights.shape[0], -1)
        if (by_channel != by_channel[:, :1]).any():
            return None
        return replace(self, weights=self.weights * by_channel[:, :1, None, None])


def operator_of(
    steps: list[Step], source: tuple[int, ...], target: tuple[int, ...], *, as_matrix: bool
) -> Operator:
    """Return a chain of linear nodes as one operator.

    Parameters
    ----------
    steps : list
        The nodes from the source to the target; empty for a source that feeds its target itself.
    source, target : tuple of int
        Shapes.
    as_matrix : bool
        Whether a convolution is wanted synapse by synapse.

    Returns
    -------
    Operator
        The chain.
    """
    if not as_matrix:
        chain = _joined(steps, source)
        if len(chain) == 1 and isinstance(chain[0], Conv2d) and len(source) == 3:
            conv = chain[0]
            return Operator(
                "conv", conv.weight.astype(np.float64), stride=conv.stride, padding=conv.padding,
                dilation=conv.dilation, groups=conv.groups,
            )  # fmt: skip
        if len(chain) == 1 and isinstance(chain[0], Linear):
            return Operator("dense", chain[0].weight.astype(np.float64))
    matrices: Parts = {0: scipy.sparse.identity(math.prod(source), format="csr")}
    shape = source
    for step in steps:
        parts, shape = _matrices(step, shape)
        matrices = _composed(matrices, parts)
        n_synapses = sum(matrix.nnz for matrix in matrices.values())
        if n_synapses > _MOST_SYNAPSES:
            raise UnsupportedNodeError(
                f"a chain of {len(steps)} linear nodes gives {n_synapses} synapses, more than {_MOST_SYNAPSES}; "
                "put neurons between them"
            )
    found = [(delay, matrix.tocoo()) for delay, matrix in sorted(matrices.items())]
    delays = np.concatenate([np.full(part.nnz, delay, np.int32) for delay, part in found])
    return Operator(
        "sparse", np.concatenate([part.data.astype(np.float64) for _, part in found]),
        np.concatenate([part.row.astype(np.int32) for _, part in found]),
        np.concatenate([part.col.astype(np.int32) for _, part in found]),
        delays if delays.any() else None,
    )  # fmt: skip


def _composed(first: Parts, second: Parts) -> Parts:
    """Return what two sets of synapses do one after the other, by the sum of their delays."""
    found: Parts = {}
    for delay, matrix in first.items():
        for more, other in second.items():
            product = (other @ matrix).tocsr()
            total = delay + more
            found[total] = found[total] + product if total in found else product
    return found


def _joined(steps: list[Step], shape: tuple[int, ...]) -> list[Step]:
    """Join pools and places of channels with the node behind them where one node can say both."""
    chain: list[Step] = []
    for step in steps:
        chain.append(step)
        while len(chain) >= 2:
            joined = _join(chain[-2], chain[-1], shape if len(chain) == 2 else None)
            if joined is None:
                break
            chain[-2:] = [joined]
    if len(chain) == 1 and isinstance(chain[0], (SumPool2d, AvgPool2d)):
        return [_pool_as_convolution(chain[0], shape[0])]
    return chain


def _join(first: Step, second: Step, shape: tuple[int, ...] | None) -> Step | None:
    if shape is None:
        return None
    if isinstance(first, Embedding):
        if isinstance(second, Linear):
            return Linear(second.weight[:, first.offset : first.offset + math.prod(shape)])
        if isinstance(second, Conv2d) and second.groups == 1:
            at = first.offset // math.prod(shape[1:])
            return replace(second, weight=second.weight[:, at : at + shape[0]], bias=None)
    if isinstance(first, (SumPool2d, AvgPool2d)) and isinstance(second, Conv2d):
        return _pool_then_convolution(first, second, shape)
    return None


def _pool_as_convolution(pool: SumPool2d | AvgPool2d, n_channels: int) -> Conv2d:
    area = math.prod(pool.kernel_size) if isinstance(pool, AvgPool2d) else 1
    weight = np.full((n_channels, 1, *pool.kernel_size), 1.0 / area)
    return Conv2d(weight, stride=pool.strides, padding=pool.padding, groups=n_channels)


def _pool_then_convolution(
    pool: SumPool2d | AvgPool2d, conv: Conv2d, shape: tuple[int, ...]
) -> Conv2d | None:
    """Return one strided convolution, where the pool has no padding, no overlap, and leaves no row or column out."""
    size, stride = pool.kernel_size, pool.strides
    fits = all(n % s == 0 for n, s in zip(shape[1:], size, strict=True))
    if size != stride or any(pool.padding) or conv.dilation != (1, 1) or not fits:
        return None
    area = math.prod(size) if isinstance(pool, AvgPool2d) else 1
    weight = np.kron(conv.weight.astype(np.float64), np.full((1, 1, *size), 1.0 / area))
    return Conv2d(
        weight,
        stride=(conv.stride[0] * size[0], conv.stride[1] * size[1]),
        padding=(conv.padding[0] * size[0], conv.padding[1] * size[1]),
        groups=conv.groups,
    )


def _matrices(step: Step, shape: tuple[int, ...]) -> tuple[Parts, tuple[int, ...]]:
    """Return a node as matrices by delay, and the shape that it gives."""
    if isinstance(step, DelayedMatrix):
        return dict(step.parts), (step.parts[0][1].shape[0],)
    matrix, out = _matrix(step, shape)
    return {0: matrix}, out


def _matrix(
    step: Conv2d | Linear | SumPool2d | AvgPool2d | Embedding, shape: tuple[int, ...]
) -> tuple[scipy.sparse.csr_matrix, tuple[int, ...]]:
    """Return a node as a matrix from flat input to flat output, and the shape that it gives."""
    n = math.prod(shape)
    if isinstance(step, Linear):
        return scipy.sparse.csr_matrix(step.weight.astype(np.float64)), (step.weight.shape[0],)
    if isinstance(step, Embedding):
        whole = math.prod(step.shape)
        rows = np.arange(n) + step.offset
        return scipy.sparse.csr_matrix((np.ones(n), (rows, np.arange(n))), shape=(whole, n)), step.shape
    conv = step if isinstance(step, Conv2d) else _pool_as_convolution(step, shape[0])
    from hw.fixed import Connection, Population, conv_output_shape
    from hw.synapses import expand_convolution

    blank = Connection(
        "", "", "conv", np.zeros(conv.weight.shape, np.int16),
        stride=conv.stride, padding=conv.padding, dilation=conv.dilation, groups=conv.groups,
    )  # fmt: skip
    out = conv_output_shape(blank, shape)
    rows, columns, places = expand_convolution(blank, Population(shape, "input"), Population(out))
    data = conv.weight.astype(np.float64).reshape(-1)[places]
    return scipy.sparse.csr_matrix((data, (rows, columns)), shape=(math.prod(out), n)), out


def apply_step(step: Step, values: Floats, shape: tuple[int, ...]) -> tuple[Floats, tuple[int, ...]]:
    """Apply a node without its bias and its delays to flat values."""
    matrices, out = _matrices(step, shape)
    return sum(matrix @ values for matrix in matrices.values()), out
