"""The synapses of a network of populations as the kernels' tables, and those of plasticity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.kernels import networks as nw
from neuro.kernels.networks import TILE
from neuro.lowering.entries import Entry
from neuro.lowering.network_parts import Connection, Parts

__all__ = [
    "Numbering",
    "SynapseTables",
    "delays_of",
    "plastic_connections",
    "plastic_tables",
    "synapse_tables",
]

_NOTHING = np.zeros(0, np.uint32)

count_synapses = Entry("network_tables", "count_synapses")
place_synapses = Entry("network_tables", "place_synapses")
common_weights = Entry("network_tables", "common_weights")


@dataclass(frozen=True, eq=False)
class Numbering:
    """Where everything stands.

    Attributes
    ----------
    populations : int64 array
        The table of populations.
    first, sizes : dict of str to int
        First number and number of entries of each source and population.
    bounds : int64, shape (n_threads + 1,)
        The tiles of each thread.
    """

    populations: NDArray[np.int64]
    first: dict[str, int]
    sizes: dict[str, int]
    bounds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SynapseTables:
    """The synapses of a network in the kernels' order; see `neuro.kernels.networks.Network`."""

    delays: NDArray[np.int64]
    ptr: NDArray[np.uint32]
    row_weight: NDArray[Any]
    zero_ptr: NDArray[np.uint32]
    target: NDArray[np.uint32]
    weight: NDArray[Any]
    places: tuple[NDArray[np.uint32], ...]


def synapse_tables(parts: Parts, numbering: Numbering, real: type[np.floating[Any]]) -> SynapseTables:
    """Sort all synapses by (thread, input, delay), the longest delay first; in a run by edge, output and place."""
    populations, first, sizes, bounds = (
        numbering.populations,
        numbering.first,
        numbering.sizes,
        numbering.bounds,
    )
    n_threads, n_numbers = bounds.size - 1, sum(sizes.values())
    n_synapses = sum(c.indices.size for c in parts.connections)
    if n_synapses >= 2**32:
        raise GraphError(f"Graph: has {n_synapses} synapses, the limit of a network is 2**32")
    found = [c.delay for c in parts.connections if c.indices.size]
    occurs = np.zeros(max([0, *(int(delay.max()) for delay in found)]) + 1, np.bool_)
    for delay in found:
        occurs[delay] = True
    delays = np.flatnonzero(occurs[1:])[::-1].astype(np.int64) + 1
    has_zero = bool(occurs[0])
    rank = np.full(occurs.size, -1, np.int32)
    rank[delays] = np.arange(delays.size)
    target, weight = np.empty(n_synapses, np.uint32), np.empty(n_synapses, real)
    places = {id(c): np.zeros(c.indices.size, np.uint32) for c in parts.connections if c.stdp is not None}
    owners = {
        name: _owner(populations[row], sizes[name], bounds) for row, name in enumerate(parts.populations)
    }
    ptr, used = np.zeros((n_threads, n_numbers * delays.size + 1), np.int64), 0
    zero_ptr = np.zeros((n_threads, n_numbers + 1 if has_zero else 1), np.int64)
    for counts, n_groups, is_now in ((ptr, delays.size, False), (zero_ptr, 1, True)):
        if n_groups == 0 or counts.shape[1] == 1:
            continue
        groups = {id(c): _groups(c, rank, is_now) for c in parts.connections}
        for c in parts.connections:
            count_synapses(
                c.indptr, c.indices, groups[id(c)], first[c.source], n_groups, owners[c.target], counts
            )
        counts[:] = used + counts.reshape(-1).cumsum().reshape(counts.shape)
        cursor = counts.copy()
        for c in parts.connections:
            row = parts.populations.index(c.target)
            place_synapses(
                (c.indptr, c.indices, groups[id(c)], c.weight.astype(real, copy=False)),
                first[c.source], n_groups, owners[c.target], _targets(populations[row], c.receptor),
                cursor, target, weight, places.get(id(c), _NOTHING),
            )  # fmt: skip
        used = int(counts[-1, -1])
    runs = ptr.astype(np.uint32)
    return SynapseTables(
        delays,
        runs,
        _row_weights(runs, weight, bool(places)),
        zero_ptr.astype(np.uint32),
        target,
        weight,
        tuple(places.values()),
    )


def _row_weights(ptr: NDArray[np.uint32], weight: NDArray[Any], is_plastic: bool) -> NDArray[Any]:
    """Return the weight of each run of synapses, if it has one, else nothing."""
    common = np.zeros((ptr.shape[0], ptr.shape[1] - 1), weight.dtype)
    if is_plastic or not all(common_weights(ptr[t], weight, common[t]) for t in range(len(ptr))):
        return np.zeros((ptr.shape[0], 0), weight.dtype)
    return common


def _owner(population: NDArray[np.int64], size: int, bounds: NDArray[np.int64]) -> NDArray[np.int32]:
    tile = population[nw.TILE_LO] + np.arange(size) // TILE
    return np.asarray(np.searchsorted(bounds, tile, side="right") - 1, np.int32)


def _targets(population: NDArray[np.int64], receptor: int) -> NDArray[np.uint32]:
    """Where in the state what arrives at each neuron is added."""
    tile, lane = np.divmod(np.arange(population[nw.SIZE]), TILE)
    places = population[nw.STATE] + (tile * population[nw.N_FIELDS] + 1 + receptor) * TILE + lane
    return np.asarray(places, np.uint32)


def _groups(connection: Connection, rank: NDArray[np.int32], is_now: bool) -> NDArray[np.int32]:
    if connection.indices.size == 0:
        return np.full(1, -1, np.int32)
    if is_now:
        return np.where(connection.delay == 0, 0, -1).astype(np.int32)
    return rank[connection.delay]


def plastic_tables(
    parts: Parts, numbering: Numbering, synapses: SynapseTables, dt_s: float
) -> tuple[NDArray[Any], ...]:
    """The tables of STDP: by input and thread, and by neuron, where the weights of the synapses stand."""
    first, sizes = numbering.first, numbering.sizes
    chosen = [
        part
        for c, place in zip(plastic_connections(parts), synapses.places, strict=True)
        for part in _by_delay(c, place)
    ]
    table, rule = np.zeros((len(chosen), 10), np.int64), np.zeros((len(chosen), 5), synapses.weight.dtype)
    n_threads = synapses.ptr.shape[0]
    by_pre: list[list[NDArray[Any]]] = [[] for _ in range(n_threads)]
    counts_pre: list[list[NDArray[Any]]] = [[] for _ in range(n_threads)]
    by_post: list[tuple[NDArray[Any], NDArray[Any]]] = []
    counts_post: list[NDArray[Any]] = []
    n_x = n_y = 0
    nodes = (*parts.sources, *parts.populations)
    for row, (c, place, is_in, delay) in enumerate(chosen):
        stdp = c.stdp
        assert stdp is not None
        n_pre, n_post = sizes[c.source], sizes[c.target]
        table[row] = (
            nodes.index(c.source), first[c.source], parts.populations.index(c.target), delay,
            n_x, n_y, n_pre, n_post, n_x, n_y,
        )  # fmt: skip
        decay = [math.exp(-dt_s / tau) for tau in (stdp.tau_plus_s, stdp.tau_minus_s)]
        rule[row] = *decay, stdp.a_plus, stdp.a_minus, stdp.w_max
        post = np.repeat(np.arange(n_post), np.diff(c.indptr))
        order = np.argsort(c.indices, kind="stable")
        order = order[is_in[order]]
        thread = _thread_of(place, synapses)
        for t in range(n_threads):
            mine = order[thread[order] == t]
            by_pre[t].append(np.stack([place[mine], (n_y + post[mine]).astype(np.uint32)]))
            counts_pre[t].append(np.bincount(c.indices[mine], minlength=n_pre))
        by_post.append((place[is_in], (n_x + c.indices[is_in]).astype(np.uint32)))
        counts_post.append(np.bincount(post[is_in], minlength=n_post))
        n_x, n_y = n_x + n_pre, n_y + n_post
    pre = [part for thread_parts in by_pre for part in thread_parts]
    pre_place, pre_post = np.concatenate([np.zeros((2, 0), np.uint32), *pre], axis=1)
    per_thread = np.array([np.concatenate([[0], *counts]) for counts in counts_pre]).astype(np.int64)
    pre_ptr = np.cumsum(per_thread.reshape(-1)).reshape(per_thread.shape).astype(np.uint32)
    post_ptr = np.concatenate([[0], *counts_post]).cumsum().astype(np.uint32)
    post_place = np.concatenate([_NOTHING, *(place for place, _ in by_post)])
    post_pre = np.concatenate([_NOTHING, *(x for _, x in by_post)])
    return (
        table, rule, pre_ptr, np.ascontiguousarray(pre_place), np.ascontiguousarray(pre_post), post_ptr,
        post_place, post_pre,
    )  # fmt: skip


def plastic_connections(parts: Parts) -> list[Connection]:
    """Return the connections with stdp, in order."""
    return [c for c in parts.connections if c.stdp is not None]


def delays_of(connection: Connection) -> NDArray[np.int64]:
    """Return the delays that the synapses of a connection with stdp have, ascending: it has traces for each."""
    return np.unique(connection.delay) if connection.indices.size else np.ones(1, np.int64)


def _by_delay(
    c: Connection, place: NDArray[np.uint32]
) -> list[tuple[Connection, NDArray[np.uint32], Any, int]]:
    """A connection with stdp once for each delay: with where its synapses stand, which have it, and the delay."""
    delay = np.broadcast_to(c.delay, c.indices.shape)
    return [(c, place, delay == d, int(d)) for d in delays_of(c)]


def _thread_of(place: NDArray[np.uint32], synapses: SynapseTables) -> NDArray[np.int64]:
    """The thread whose run of synapses holds a place."""
    thread = np.zeros(place.size, np.int64)
    for ptr in (synapses.ptr, synapses.zero_ptr):
        if ptr.shape[1] > 1:
            for t in range(ptr.shape[0]):
                thread[(place >= ptr[t, 0]) & (place < ptr[t, -1])] = t
    return thread
