"""Which neurons of a source some neurons hear through a dense or sparse connection, asked for block after block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw._kernels_axons import count_heard
from hw.fixed import Connection

__all__ = ["FanIn"]

Ints = NDArray[np.int64]


class FanIn:
    """The synapses of a connection, those of weight 0 left out, by the neuron in which they end.

    Parameters
    ----------
    connection : Connection
        A dense or sparse one.
    n_source, n_target : int
        Neurons of its ends.
    """

    def __init__(self, connection: Connection, n_source: int, n_target: int) -> None:
        self._weights = connection.weights if connection.kind == "dense" else None
        self._counts, self._heard = np.zeros(n_source, np.int64), np.empty(n_source, np.int64)
        if connection.kind == "dense":
            return
        assert connection.rows is not None
        assert connection.columns is not None
        there = connection.weights != 0
        rows, columns = connection.rows[there], connection.columns[there]
        if np.any(rows[1:] < rows[:-1]):
            order = np.argsort(rows, kind="stable")
            rows, columns = rows[order], columns[order]
        self._start = np.searchsorted(rows, np.arange(n_target + 1)).astype(np.int64)
        self._columns = np.ascontiguousarray(columns, np.int32)

    def heard_by(self, neurons: Ints) -> tuple[Ints, Ints]:
        """Return the source neurons with a synapse in some neurons, and how many each has.

        Parameters
        ----------
        neurons : int64 array
            Neurons of the target.

        Returns
        -------
        tuple of int64 arrays, shape (n,)
            Numbers, ascending, and counts.
        """
        if self._weights is not None:
            counts = np.count_nonzero(self._weights[neurons], axis=0)
            heard = np.flatnonzero(counts)
            return heard, counts[heard].astype(np.int64)
        n = count_heard(self._start, self._columns, neurons, self._counts, self._heard)
        heard = np.sort(self._heard[:n])
        counts = self._counts[heard]
        self._counts[heard] = 0
        return heard, counts
