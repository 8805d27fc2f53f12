"""Sparse synapses: SparseLinear, with a weight and a delay per synapse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuro.errors import GraphError
from neuro.graph.fields import (
    FloatArray,
    as_array,
    as_choice,
    as_float,
    as_whole,
    first_position,
)
from neuro.graph.node import Node
from neuro.graph.plasticity import Stdp

__all__ = ["SparseLinear", "Receptor", "RECEPTORS"]

Receptor = Literal["excitatory", "inhibitory"]
RECEPTORS = ("excitatory", "inhibitory")
Int32s = NDArray[np.int32]
_OWNER = "SparseLinear"


@dataclass(frozen=True, eq=False, repr=False)
class SparseLinear(Node):
    """Sparse synapses, each with its weight and delay: ``y[o] = sum_j weight[j] * x[indices[j]](t - delay_s[j])``.

    The sum of output `o` runs over its row ``indptr[o] .. indptr[o + 1]``. A pair may be connected several times;
    each synapse counts. It stands between a source or population and a population (several may end in one), or, as a
    Linear does, among the nodes of a layered or continuous graph.

    Attributes
    ----------
    weight : float32, shape (n_synapses,)
        Weights.
    indices : int32, shape (n_synapses,)
        The input of every synapse, ``0 <= indices < n_in``.
    indptr : int32, shape (n_out + 1,)
        Where the row of each output begins; rows are contiguous, as in scipy's CSR.
    n_in : int
        Number of inputs.
    delay_s : float, or float32 array of shape (n_synapses,)
        Delay in seconds, >= 0, in a clocked graph a multiple of ``dt_s``: what is fired in step ``k`` enters the
        sums of step ``k + delay_s / dt_s``; in a continuous one of 1 microsecond.
    receptor : {'excitatory', 'inhibitory'}
        Which current or conductance of a population it adds to; populations with one take 'excitatory'.
    stdp : Stdp or None
        How the weights change while the network runs (with delays of at least one step); the graph keeps the first.

    Raises
    ------
    GraphError
        If arrays do not fit together, an index is out of range, a weight or delay is not finite or a delay negative.

    Examples
    --------
    >>> SparseLinear([0.5, 1.0], indices=[0, 1], indptr=[0, 1, 2], n_in=2, delay_s=0.001).n_out
    2
    >>> SparseLinear.from_dense([[0.0, 2.0], [3.0, 0.0]]).indices.tolist()
    [1, 0]
    """

    weight: FloatArray
    indices: Int32s
    indptr: Int32s
    n_in: int
    _: KW_ONLY
    delay_s: float | FloatArray = 0.0
    receptor: Receptor = "excitatory"
    stdp: Stdp | None = None

    def __post_init__(self) -> None:
        self._set("n_in", as_whole(_OWNER, "n_in", self.n_in, least=1))
        self._set("indptr", _as_starts(self.indptr))
        n_synapses = int(self.indptr[-1])
        self._set("indices", _as_indices(self.indices, n_synapses, self.n_in))
        self._set("weight", _as_reals("weight", self.weight, n_synapses))
        self._set("delay_s", _as_delay(self.delay_s, n_synapses))
        self._set("receptor", as_choice(_OWNER, "receptor", self.receptor, RECEPTORS))
        stdp: object = self.stdp
        if isinstance(stdp, Mapping):  # as a file holds it
            try:
                stdp = Stdp(**stdp)
            except TypeError as err:
                raise GraphError(f"{_OWNER}: stdp must hold the values of an Stdp ({err})") from err
            self._set("stdp", stdp)
        if stdp is not None:
            self._check_stdp(stdp)

    def _check_stdp(self, stdp: object) -> None:
        if not isinstance(stdp, Stdp):
            raise GraphError(f"{_OWNER}: stdp must be an Stdp or None, got {stdp!r}")
        wrong = (self.weight < 0) | (self.weight > np.float32(stdp.w_max))
        if wrong.any():
            j = int(np.argmax(wrong))
            raise GraphError(
                f"{_OWNER}: with stdp weights must be from 0 to w_max = {stdp.w_max}, got weight[{j}] = "
                f"{self.weight[j]}"
            )

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int(self.indptr.size) - 1

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return int(self.indices.size)

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return self.n_synapses

    @property
    def least_delay_s(self) -> float:
        """The smallest delay in seconds (0 without synapses)."""
        if isinstance(self.delay_s, float):
            return self.delay_s
        return float(self.delay_s.min()) if self.delay_s.size else 0.0

    def to_dense(self) -> FloatArray:
        """Return the weights as an array of shape (n_out, n_in); those of a pair connected several times are added."""
        dense = np.zeros((self.n_out, self.n_in), np.float32)
        np.add.at(dense, (np.repeat(np.arange(self.n_out), np.diff(self.indptr)), self.indices), self.weight)
        return dense

    @classmethod
    def from_dense(
        cls,
        weight: ArrayLike,
        *,
        delay_s: float = 0.0,
        receptor: Receptor = "excitatory",
        stdp: Stdp | None = None,
    ) -> Self:
        """Take the non-zero entries of an array of shape (out, in).

        Parameters
        ----------
        weight : array_like, shape (out, in)
            Weights, 0 where there is no synapse.
        delay_s : float
            Delay of all synapses in seconds.
        receptor : {'excitatory', 'inhibitory'}
            As in SparseLinear.
        stdp : Stdp, optional
            As in SparseLinear.

        Returns
        -------
        SparseLinear
            Rows in ascending order of the inputs.
        """
        dense = as_array(_OWNER, "weight", weight, ndim=2)
        rows, columns = np.nonzero(dense)
        starts = row_starts(np.bincount(rows, minlength=dense.shape[0]))
        return cls(
            dense[rows, columns],
            columns.astype(np.int32),
            starts,
            dense.shape[1],
            delay_s=delay_s,
            receptor=receptor,
            stdp=stdp,
        )

    @classmethod
    def from_coo(
        cls,
        out: ArrayLike,
        into: ArrayLike,
        weight: ArrayLike,
        *,
        n_out: int,
        n_in: int,
        delay_s: float | ArrayLike = 0.0,
        receptor: Receptor = "excitatory",
        stdp: Stdp | None = None,
    ) -> Self:
        """Take a list of synapses in any order.

        Parameters
        ----------
        out, into : array_like of int, shape (n_synapses,)
            The output and the input of each synapse (post- and presynaptic neuron).
        weight : array_like, shape (n_synapses,), or float
            Weights.
        n_out, n_in : int
            Number of outputs and inputs.
        delay_s : float or array_like, shape (n_synapses,)
            Delays in seconds.
        receptor : {'excitatory', 'inhibitory'}
            As in SparseLinear.
        stdp : Stdp, optional
            As in SparseLinear.

        Returns
        -------
        SparseLinear
            Synapses of one output in the order given.

        Raises
        ------
        GraphError
            As SparseLinear, or if an output is out of range.

        Examples
        --------
        >>> SparseLinear.from_coo([1, 0], [0, 2], [0.5, 0.25], n_out=2, n_in=3).to_dense().tolist()
        [[0.0, 0.0, 0.25], [0.5, 0.0, 0.0]]
        """
        n_out = as_whole(_OWNER, "n_out", n_out, least=1)
        rows = np.asarray(out)
        _check_range("out", rows, n_out, "n_out")
        order = _by_row(rows, n_out)
        sources, weights, delays = np.asarray(into), np.asarray(weight), np.asarray(delay_s)
        for name, array in (("into", sources), ("weight", weights), ("delay_s", delays)):
            if array.shape != rows.shape and (array.ndim or name == "into"):
                raise GraphError(f"{_OWNER}: {name} must have shape {rows.shape} as out, got {array.shape}")
        return cls(
            np.broadcast_to(weights, rows.shape)[order],
            sources[order],
            row_starts(np.bincount(rows.astype(np.intp, copy=False), minlength=n_out)),
            n_in,
            delay_s=delays[order] if delays.ndim else float(delays),
            receptor=receptor,
            stdp=stdp,
        )

    @classmethod
    def from_scipy(
        cls,
        matrix: Any,
        *,
        delay_s: float = 0.0,
        receptor: Receptor = "excitatory",
        stdp: Stdp | None = None,
    ) -> Self:
        """Take a scipy.sparse matrix or array of shape (out, in), with the entries that it stores.

        Parameters
        ----------
        matrix : scipy.sparse matrix or array, shape (out, in)
            Weights.
        delay_s : float
            Delay of all synapses in seconds.
        receptor : {'excitatory', 'inhibitory'}
            As in SparseLinear.
        stdp : Stdp, optional
            As in SparseLinear.

        Returns
        -------
        SparseLinear
            The same rows.
        """
        rows = matrix.tocsr()
        return cls(
            rows.data,
            rows.indices,
            rows.indptr,
            rows.shape[1],
            delay_s=delay_s,
            receptor=receptor,
            stdp=stdp,
        )


def row_starts(counts: NDArray[Any]) -> Int32s:
    total = int(counts.sum())
    if total >= 2**31:
        raise GraphError(f"{_OWNER}: has {total} synapses, the limit is 2**31 - 1; split it")
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _by_row(rows: NDArray[Any], n_rows: int) -> NDArray[np.intp]:
    """Return the order that sorts rows below `n_rows`, equal ones as they come: numbers of 16 bits sort fastest."""
    keys = rows.astype(np.uint32)
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    if n_rows <= 2**16:
        return order
    return order[np.argsort((keys[order] >> 16).astype(np.uint16), kind="stable")]


def _as_starts(value: object) -> Int32s:
    starts = np.asarray(value)
    if starts.ndim != 1 or starts.size < 2 or starts.dtype.kind not in "iu":
        raise GraphError(
            f"{_OWNER}: indptr must hold whole numbers, one more than outputs, got {starts.dtype} {starts.shape}"
        )
    if starts[0] != 0:
        raise GraphError(f"{_OWNER}: indptr must begin with 0, got {starts[0]}")
    falls = np.diff(starts.astype(np.int64)) < 0
    if falls.any():
        o = int(np.argmax(falls))
        raise GraphError(
            f"{_OWNER}: indptr must not fall, got indptr[{o + 1}] = {starts[o + 1]} after {starts[o]}"
        )
    if starts[-1] >= 2**31:
        raise GraphError(f"{_OWNER}: has {starts[-1]} synapses, the limit is 2**31 - 1; split it")
    return _frozen(starts.astype(np.int32))


def _as_indices(value: object, n_synapses: int, n_in: int) -> Int32s:
    indices = np.asarray(value)
    if indices.shape != (n_synapses,):
        raise GraphError(
            f"{_OWNER}: indices must have shape ({n_synapses},) as indptr ends, got {indices.shape}"
        )
    _check_range("indices", indices, n_in, "n_in")
    return _frozen(indices.astype(np.int32))


def _check_range(field: str, array: NDArray[Any], stop: int, bound: str) -> None:
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise GraphError(
            f"{_OWNER}: {field} must be a list of whole numbers, got {array.dtype} {array.shape}"
        )
    if array.size and (array.min() < 0 or array.max() >= stop):
        j = int(np.argmax((array < 0) | (array >= stop)))
        raise GraphError(f"{_OWNER}: {field}[{j}] = {array[j]} must be >= 0 and below {bound} = {stop}")


def _as_reals(field: str, value: Any, n_synapses: int) -> FloatArray:
    if np.shape(value) != (n_synapses,):
        raise GraphError(
            f"{_OWNER}: {field} must have shape ({n_synapses},) as indptr ends, got {np.shape(value)}"
        )
    return as_array(_OWNER, field, value) if n_synapses else _frozen(np.zeros(0, np.float32))


def _as_delay(value: Any, n_synapses: int) -> float | FloatArray:
    if np.ndim(value) == 0:
        delay_s = as_float(_OWNER, "delay_s", value)
        if delay_s < 0:
            raise GraphError(f"{_OWNER}: delay_s must be >= 0 s, got {delay_s}")
        return delay_s
    delays = _as_reals("delay_s", value, n_synapses)
    if (delays < 0).any():
        where = first_position(delays < 0)
        raise GraphError(f"{_OWNER}: delay_s must be >= 0 s, got delay_s[{where[0]}] = {delays[where]}")
    return delays


def _frozen(array: Any) -> NDArray[Any]:
    frozen = np.array(array, order="C")
    frozen.setflags(write=False)
    return frozen
