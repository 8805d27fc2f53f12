"""Synapses on which spikes are under way when a run begins or ends: what its counters have to leave out, or to add."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.kernels import networks as nw
from neuro.lowering.entries import Entry
from neuro.lowering.network_parts import Connection
from neuro.lowering.networks import NetworkPlan, n_tiles

__all__ = ["count_under_way"]

N_RECEPTORS = 2

count_all = Entry("network_tables", "count_under_way")
count_pending = Entry("network_tables", "count_pending")


def count_under_way(plan: NetworkPlan, log_start: NDArray[np.int64], log: NDArray[np.int32]) -> list[int]:
    """Count, for each connection of a plan, the synapses on which spikes of the log's history are under way.

    The synapses of those spikes are looked at in the kernels' tables, where source, population and receptor tell the
    connection. Connections that have these in common are counted one by one, which takes a look at all their synapses.
    """
    connections, nodes = plan.parts.connections, plan.nodes
    if log.size == 0:
        return [0] * len(connections)
    owner, row_of = _owners(plan), {name: row for row, name in enumerate(plan.parts.populations)}
    counts = np.zeros((len(nodes), owner.max(initial=0) + 1), np.int64)
    count_all(plan.network, log_start, log, plan.n_history, owner, counts)
    places = [(nodes.index(c.source), row_of[c.target] * N_RECEPTORS + c.receptor) for c in connections]
    n_of = Counter(places)
    return [
        int(counts[place]) if n_of[place] == 1 else _count_one(plan, c, log_start, log)
        for c, place in zip(connections, places, strict=True)
    ]


def _owners(plan: NetworkPlan) -> NDArray[np.int64]:
    """Population and receptor, as one number, by run of `TILE` values of the state."""
    found = [np.zeros(0, np.int64)]
    for row, population in enumerate(plan.network.populations):
        receptor = (np.arange(population[nw.N_FIELDS]) - 1).clip(0, N_RECEPTORS - 1)
        found.append(np.tile(row * N_RECEPTORS + receptor, n_tiles(int(population[nw.SIZE]))))
    return np.concatenate(found)


def _count_one(plan: NetworkPlan, c: Connection, log_start: NDArray[np.int64], log: NDArray[np.int32]) -> int:
    """Count the synapses of one connection on which spikes are under way."""
    age = np.repeat(np.arange(plan.n_history, 0, -1), np.diff(log_start[: plan.n_history + 1, 0]))
    entry = log.astype(np.int64) - plan.first[c.source]
    depth = int(c.delay.max(initial=0))
    is_own = (entry >= 0) & (entry < plan.sizes[c.source]) & (age <= depth)  # what is older has arrived
    entries, place = np.unique(entry[is_own], return_inverse=True)
    under_way = np.zeros((entries.size + 1, depth + 1), np.int32)  # the first row: of entries without a spike
    np.add.at(under_way, (place + 1, age[is_own]), 1)
    row = np.zeros(plan.sizes[c.source], np.uint32)
    row[entries] = np.arange(1, entries.size + 1) * (depth + 1)
    totals: NDArray[Any] = under_way.cumsum(axis=1, dtype=np.int32).reshape(-1)
    return int(count_pending(c.indices, c.delay, row, totals))
