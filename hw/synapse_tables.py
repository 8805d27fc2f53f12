"""Connections listed synapse by synapse: what a proof rebuilds the blocks from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.fixed import FixedGraph
from hw.synapses import expand_convolution
from hw.weights import cut_weights

__all__ = ["SynapseTable", "synapse_table"]


@dataclass(frozen=True, eq=False)
class SynapseTable:
    """All synapses of a connection: target and source neuron, what the chip adds, delay."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.int32]
    delays: NDArray[np.int64]
    down: int
    wraps: bool
    is_graded: bool
    bound: int


def synapse_table(fixed: FixedGraph, number: int) -> SynapseTable:
    """List the synapses of a connection one by one, those of a convolution too."""
    c = fixed.connections[number]
    profile = fixed.profile
    cut = cut_weights(
        c.weights, weight_bits=c.weight_bits, sign=c.sign, weight_exponent=c.weight_exponent, profile=profile
    )
    down = 0
    if profile == "lava":
        down, cut = max(0, -c.weight_exponent), cut << max(0, c.weight_exponent)
    delays = np.broadcast_to(np.asarray(c.delay, np.int64), cut.shape).reshape(-1)
    if c.kind == "dense":
        rows, columns = np.indices(cut.shape).reshape(2, -1)
        places = np.arange(cut.size)
    elif c.kind == "sparse":
        assert c.rows is not None
        assert c.columns is not None
        rows, columns, places = c.rows.astype(np.int64), c.columns.astype(np.int64), np.arange(cut.size)
    else:
        expanded = expand_convolution(c, fixed.populations[c.source], fixed.populations[c.target])
        rows, columns, places = (part.astype(np.int64) for part in expanded)
    weights = cut.reshape(-1)[places]
    there = weights != 0
    bound = int(np.bincount(rows, np.abs(weights)).max(initial=0))
    wraps = c.kind == "conv" and profile == "lava"
    return SynapseTable(
        rows[there], columns[there], weights[there], delays[places][there], down, wraps, c.is_graded, bound
    )
