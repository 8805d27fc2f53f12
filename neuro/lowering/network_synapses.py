"""The synapses of a network of populations as the kernels' tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.kernels import networks as nw
from neuro.kernels.networks import TILE
from neuro.lowering.entries import Entry
from neuro.lowering.network_parts import Parts

__all__ = ["Numbering", "SynapseTables", "synapse_tables"]

_NOTHING = np.zeros(0, np.uint32)

# In ns as measured on one machine: which way delivers depends on them, never a result. Of lists: to look for a spike
# at one delay, for each run of synapses, for each synapse. Of a ring: for each spike, for each synapse.
LOOK_NS, RUN_NS, LISTED_NS = 5.0, 15.0, 1.2
SPIKE_NS, RING_NS = 15.0, 4.0

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

    longest: int
    delays: NDArray[np.int64]
    ptr: NDArray[np.uint32]
    row_weight: NDArray[Any]
    zero_ptr: NDArray[np.uint32]
    target: NDArray[np.uint32]
    delay: NDArray[np.uint16]
    weight: NDArray[Any]
    places: tuple[NDArray[np.uint32], ...]


def synapse_tables(parts: Parts, numbering: Numbering, real: type[np.floating[Any]]) -> SynapseTables:
    """Sort all synapses by (thread, input, delay), the longest delay first; in a run by edge, output and place.

    Where a ring delivers, by (thread, input) only.
    """
    n_threads, n_numbers = numbering.bounds.size - 1, sum(numbering.sizes.values())
    n_synapses = sum(c.indices.size for c in parts.connections)
    if n_synapses >= 2**32:
        raise GraphError(f"Graph: has {n_synapses} synapses, the limit of a network is 2**32")
    n_by_delay = _count_by_delay(parts)
    n_sending = sum(numbering.sizes[name] for name in {c.source for c in parts.connections})
    is_ring = takes_ring(parts, n_threads * n_sending, n_by_delay)
    delays = np.flatnonzero(n_by_delay[1:])[::-1].astype(np.int64) + 1
    group = np.full(n_by_delay.size, -1, np.int32)
    group[delays] = 0 if is_ring else np.arange(delays.size)
    delays = delays[: 0 if is_ring else None]
    tables = _Tables(parts, numbering, real, n_synapses, n_synapses if is_ring else 0)
    ptr = np.zeros((n_threads, n_numbers * max(delays.size, is_ring) + 1), np.int64)
    zero_ptr = np.zeros((n_threads, n_numbers + 1 if n_by_delay[0] else 1), np.int64)
    tables.place(ptr, group, 0)
    tables.place(zero_ptr, np.where(np.arange(group.size) == 0, 0, -1).astype(np.int32), int(ptr[-1, -1]))
    runs, places = ptr.astype(np.uint32), tuple(tables.places.values())
    is_varied = is_ring or bool(places)
    row_weight = np.zeros((n_threads, 0), real) if is_varied else _row_weights(runs, tables.weight)
    return SynapseTables(
        n_by_delay.size - 1, delays, runs, row_weight, zero_ptr.astype(np.uint32), tables.target,
        tables.delay[: int(ptr[-1, -1])], tables.weight, places,
    )  # fmt: skip


def takes_ring(parts: Parts, n_spikes: int, n_by_delay: NDArray[np.int64]) -> bool:
    """Tell whether spikes go into a ring of buckets: if looking for them at every delay is expected to take longer.

    Plastic synapses are delivered from lists: their weights may change while a spike is under way.

    Parameters
    ----------
    parts : Parts
        The network.
    n_spikes : int
        One of each input that has synapses, and each looked at by every thread.
    n_by_delay : int64 array
        Synapses by delay in steps, from 0 on.
    """
    delayed = n_by_delay[1:][n_by_delay[1:] > 0]
    is_plastic = any(c.stdp is not None for c in parts.connections)
    if delayed.size == 0 or is_plastic or n_by_delay.size - 1 > np.iinfo(np.uint16).max:
        return False
    n_runs = (
        -n_spikes * np.expm1(-delayed / n_spikes).sum()
    )  # that hold synapses, if these are drawn at random
    by_lists_ns = n_spikes * delayed.size * LOOK_NS + n_runs * RUN_NS + delayed.sum() * LISTED_NS
    return bool(by_lists_ns > n_spikes * SPIKE_NS + delayed.sum() * RING_NS)


def _count_by_delay(parts: Parts) -> NDArray[np.int64]:
    """Count the synapses by delay in steps, from 0 to the longest."""
    found = [(c.delay, c.indices.size) for c in parts.connections if c.indices.size]
    counts = np.zeros(max([0, *(int(delay.max()) for delay, _ in found)]) + 1, np.int64)
    for delay, n in found:
        counts += np.bincount(delay, minlength=counts.size) * (n if delay.size == 1 else 1)
    return counts


class _Tables:
    """Targets, weights (and delays, if asked for) of all synapses, placed group by group."""

    def __init__(
        self,
        parts: Parts,
        numbering: Numbering,
        real: type[np.floating[Any]],
        n_synapses: int,
        n_delays: int,
    ) -> None:
        self._parts, self._numbering = parts, numbering
        self.target, self.weight = np.empty(n_synapses, np.uint32), np.empty(n_synapses, real)
        self.delay = np.empty(n_delays, np.uint16)
        self.places = {
            id(c): np.zeros(c.indices.size, np.uint32) for c in parts.connections if c.stdp is not None
        }
        self._owners = [
            _owner(numbering.populations[row], numbering.sizes[name], numbering.bounds)
            for row, name in enumerate(parts.populations)
        ]

    def place(self, ptr: NDArray[np.int64], group: NDArray[np.int32], first: int) -> None:
        """Place the synapses with a group (by delay; -1: none) from `first` on; write where each run begins.

        ``ptr``: zeros, shape (n_threads, n_numbers * n_groups + 1), or (n_threads, 1) where there are none.
        """
        n_groups = int(group.max(initial=-1)) + 1
        if n_groups == 0 or ptr.shape[1] == 1:
            ptr[:] = first
            return
        parts, begins = self._parts, self._numbering.first
        groups = [group[c.delay] if c.indices.size else np.full(1, -1, np.int32) for c in parts.connections]
        rows = [parts.populations.index(c.target) for c in parts.connections]
        for c, own, row in zip(parts.connections, groups, rows, strict=True):
            count_synapses(c.indptr, c.indices, own, begins[c.source], n_groups, self._owners[row], ptr)
        ptr[:] = first + ptr.reshape(-1).cumsum().reshape(ptr.shape)
        cursor = ptr.copy()
        for c, own, row in zip(parts.connections, groups, rows, strict=True):
            place_synapses(
                (c.indptr, c.indices, own, c.weight.astype(self.weight.dtype, copy=False)),
                begins[c.source], n_groups, self._owners[row],
                _targets(self._numbering.populations[row], c.receptor), cursor, self.target, self.weight,
                self.places.get(id(c), _NOTHING), (c.delay, self.delay),
            )  # fmt: skip


def _row_weights(ptr: NDArray[np.uint32], weight: NDArray[Any]) -> NDArray[Any]:
    """Return the weight of each run of synapses, if it has one, else nothing."""
    common = np.zeros((ptr.shape[0], ptr.shape[1] - 1), weight.dtype)
    if not all(common_weights(ptr[t], weight, common[t]) for t in range(len(ptr))):
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
