"""The tables of STDP in a network of populations: where weights and traces stand, by input and by neuron.

A connection has a row for each delay of its synapses: what arrives over one delay has a trace of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import Stdp
from neuro.lowering.network_parts import Connection, Parts
from neuro.lowering.network_synapses import Numbering, SynapseTables

__all__ = ["delays_of", "plastic_connections", "plastic_tables"]

_NOTHING = np.zeros(0, np.uint32)


@dataclass(frozen=True, eq=False)
class _Row:
    """Synapses of one connection with one delay.

    Attributes
    ----------
    connection : Connection
        Which.
    stdp : Stdp
        Its rule.
    delay : int
        In steps.
    place : uint32, shape (n_synapses,)
        Where the weights of all synapses of the connection stand.
    is_in : bool, shape (n_synapses,)
        Which have the delay.
    n_pre, n_post, first_x, first_y : int
        Number of inputs and of neurons, and where their traces begin.
    """

    connection: Connection
    stdp: Stdp
    delay: int
    place: NDArray[np.uint32]
    is_in: NDArray[np.bool_]
    n_pre: int
    n_post: int
    first_x: int
    first_y: int


def plastic_tables(
    parts: Parts, numbering: Numbering, synapses: SynapseTables, dt_s: float
) -> tuple[NDArray[Any], ...]:
    """The tables of STDP, as `neuro.kernels.networks.Network` has them from ``plastic`` on."""
    rows = _rows(parts, numbering, synapses)
    nodes = (*parts.sources, *parts.populations)
    table, rule = np.zeros((len(rows), 10), np.int64), np.zeros((len(rows), 5), synapses.weight.dtype)
    for row, one in enumerate(rows):
        c, stdp = one.connection, one.stdp
        table[row] = (
            nodes.index(c.source), numbering.first[c.source], parts.populations.index(c.target), one.delay,
            one.first_x, one.first_y, one.n_pre, one.n_post, one.first_x, one.first_y,
        )  # fmt: skip
        decay = [math.exp(-dt_s / tau) for tau in (stdp.tau_plus_s, stdp.tau_minus_s)]
        rule[row] = *decay, stdp.a_plus, stdp.a_minus, stdp.w_max
    return table, rule, *_by_input(rows, synapses), *_by_neuron(rows)


def plastic_connections(parts: Parts) -> list[Connection]:
    """Return the connections with stdp, in order."""
    return [c for c in parts.connections if c.stdp is not None]


def delays_of(connection: Connection) -> NDArray[np.int64]:
    """Return the delays that the synapses of a connection with stdp have, ascending: it has traces for each."""
    return np.unique(connection.delay) if connection.indices.size else np.ones(1, np.int64)


def _rows(parts: Parts, numbering: Numbering, synapses: SynapseTables) -> list[_Row]:
    rows: list[_Row] = []
    n_x = n_y = 0
    for c, place in zip(plastic_connections(parts), synapses.places, strict=True):
        assert c.stdp is not None
        n_pre, n_post = numbering.sizes[c.source], numbering.sizes[c.target]
        delay = np.broadcast_to(c.delay, c.indices.shape)
        for steps in delays_of(c).tolist():
            rows.append(_Row(c, c.stdp, steps, place, delay == steps, n_pre, n_post, n_x, n_y))
            n_x, n_y = n_x + n_pre, n_y + n_post
    return rows


def _by_input(rows: Sequence[_Row], synapses: SynapseTables) -> tuple[NDArray[np.uint32], ...]:
    """By thread, row and input: where each begins, the places of the weights, and the traces of the neurons."""
    found: list[NDArray[np.uint32]] = [np.zeros((2, 0), np.uint32)]
    counts: list[NDArray[np.int64]] = []
    ordered = []
    for row in rows:
        order = np.argsort(row.connection.indices, kind="stable")
        order = order[row.is_in[order]]
        ordered.append((order, _thread_of(row.place[order], synapses)))
    for t in range(synapses.ptr.shape[0]):
        of_thread = [np.zeros(1, np.int64)]
        for row, (order, thread) in zip(rows, ordered, strict=True):
            c, mine = row.connection, order[thread == t]
            post = np.repeat(np.arange(row.n_post), np.diff(c.indptr))[mine]
            found.append(np.stack([row.place[mine], (row.first_y + post).astype(np.uint32)]))
            of_thread.append(np.bincount(c.indices[mine], minlength=row.n_pre))
        counts.append(np.concatenate(of_thread))
    ptr = np.cumsum(np.array(counts).reshape(-1)).reshape(len(counts), -1).astype(np.uint32)
    place, trace = np.concatenate(found, axis=1)
    return ptr, np.ascontiguousarray(place), np.ascontiguousarray(trace)


def _by_neuron(rows: Sequence[_Row]) -> tuple[NDArray[np.uint32], ...]:
    """By row and neuron: where each begins, the places of the weights, and the traces of the inputs."""
    places, traces, counts = [_NOTHING], [_NOTHING], [np.zeros(1, np.int64)]
    for row in rows:
        c = row.connection
        post = np.repeat(np.arange(row.n_post), np.diff(c.indptr))
        places.append(row.place[row.is_in])
        traces.append((row.first_x + c.indices[row.is_in]).astype(np.uint32))
        counts.append(np.bincount(post[row.is_in], minlength=row.n_post))
    ptr = np.concatenate(counts).cumsum().astype(np.uint32)
    return ptr, np.concatenate(places), np.concatenate(traces)


def _thread_of(place: NDArray[np.uint32], synapses: SynapseTables) -> NDArray[np.int64]:
    """The thread whose run of synapses holds a place."""
    thread = np.zeros(place.size, np.int64)
    for ptr in (synapses.ptr, synapses.zero_ptr):
        if ptr.shape[1] > 1:
            for t in range(ptr.shape[0]):
                thread[(place >= ptr[t, 0]) & (place < ptr[t, -1])] = t
    return thread
