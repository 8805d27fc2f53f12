"""Lowering of networks of populations: tiles of neurons, tables of synapses by (input, delay), and what moves."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph import CobaLIF, Graph, Input, PoissonSource
from neuro.kernels import networks as nw
from neuro.kernels.networks import TILE, Network
from neuro.lowering.network_models import Model, lower_population
from neuro.lowering.network_parts import Connection, Parts, parts_of
from neuro.lowering.network_plasticity import delays_of, plastic_connections, plastic_tables
from neuro.lowering.network_synapses import Numbering, synapse_tables

__all__ = ["NetworkPlan", "Precision", "lower_network"]

Precision = Literal["float32", "float64"]
_NOTHING = np.zeros(0, np.uint32)

# For a tile, in ns as measured on one machine: only how many threads are worth it depends on them, never a result.
UPDATE_NS, COBA_NS, DRAW_NS = 80.0, 230.0, 300.0
SYNAPSE_NS = 0.0015  # at a few spikes per second and neuron, in steps of 0.1 ms
LEAST_NS = (
    4000.0  # of each thread in a step; a step in which threads wait for each other takes about 1 us more
)


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """What runs.

    Attributes
    ----------
    parts : Parts
        Sources, populations and connections of the graph.
    network : Network
        What the kernels read.
    models : dict of str to Model
        The populations in numbers.
    start : real array
        The state before the first step.
    weight : real array
        The weights in the kernels' order, before the first step.
    places : tuple of uint32 array
        For each connection with stdp (in order), where its synapses stand in `weight`.
    first : dict of str to int
        The first number of each source and population.
    sizes : dict of str to int
        Their numbers of entries.
    n_history : int
        Steps that the log must hold besides the present one.
    n_stages : int
        Times that populations are updated in a step.
    real : type
        float32 or float64.
    """

    parts: Parts
    network: Network
    models: dict[str, Model]
    start: NDArray[Any]
    weight: NDArray[Any]
    places: tuple[NDArray[np.uint32], ...]
    first: dict[str, int]
    sizes: dict[str, int]
    n_history: int
    n_stages: int
    real: type[np.floating[Any]]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Sources and populations, in the order of their numbers."""
        return (*self.parts.sources, *self.parts.populations)

    @property
    def n_threads(self) -> int:
        """Threads that it is cut for."""
        return self.network.bounds.size - 1

    @property
    def n_numbers(self) -> int:
        """Number of entries of all sources and populations."""
        return sum(self.sizes.values())

    @cached_property
    def fan_out(self) -> tuple[NDArray[np.int64], ...]:
        """For each connection (in order), the synapses of each entry of its source."""
        return tuple(
            np.bincount(c.indices, minlength=self.sizes[c.source]).astype(np.int64)
            for c in self.parts.connections
        )

    @property
    def plastic(self) -> tuple[Connection, ...]:
        """The connections with stdp."""
        return tuple(plastic_connections(self.parts))

    @property
    def plastic_rows(self) -> dict[str, list[int]]:
        """The rows of the table of plastic synapses that each connection with stdp has: one for each delay."""
        rows: dict[str, list[int]] = {}
        n = 0
        for connection in self.plastic:
            n_rows = delays_of(connection).size
            rows[connection.name] = list(range(n, n + n_rows))
            n += n_rows
        return rows


def lower_network(graph: Graph, precision: Precision, n_threads: int) -> NetworkPlan:
    """Return the plan of a network of populations.

    Parameters
    ----------
    graph : Graph
        A clocked graph that runs as a network of populations.
    precision : {'float32', 'float64'}
        The arithmetic.
    n_threads : int
        Threads at most: fewer where there are fewer cores, or too few neurons for threads to be worth their waiting
        for each other (`NetworkPlan.n_threads`).

    Returns
    -------
    NetworkPlan
        The same object for equal arguments, while it is cached.

    Raises
    ------
    GraphError
        If a node has no place in a network of populations, or the network is too large.
    """
    if n_threads > 1:
        n_threads = max(1, min(n_threads, most_threads(), int(_total_ns(graph, precision) // LEAST_NS)))
    return _lowered(graph, precision, n_threads)


def most_threads() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=4)
def _total_ns(graph: Graph, precision: Precision) -> float:
    return float(_work_ns(graph, parts_of(graph), precision).sum())


@lru_cache(maxsize=4)
def _lowered(graph: Graph, precision: Precision, n_threads: int) -> NetworkPlan:
    real: type[np.floating[Any]] = np.float32 if precision == "float32" else np.float64
    parts = parts_of(graph)
    sizes = {name: math.prod(graph.shapes[name]) for name in (*parts.sources, *parts.populations)}
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist()[:-1], strict=True))
    models: dict[str, Model] = {}
    for name in parts.populations:
        models[name] = lower_population(graph.nodes[name], graph.dt_s, real)  # type: ignore[arg-type]
    populations, par, start = _populations(graph, parts, models, first)
    sources, table, key, scale = _sources(graph, parts, first)
    numbering = Numbering(populations, first, sizes, _bounds(_work_ns(graph, parts, precision), n_threads))
    synapses = synapse_tables(parts, numbering, real)
    plastic = plastic_tables(parts, numbering, synapses, graph.dt_s)
    rows = {name: row for row, name in enumerate((*parts.sources, *parts.populations))}
    drives = np.array(
        [(rows[source], rows[target] - len(parts.sources)) for source, target in parts.drives], np.int64
    ).reshape(-1, 2)
    network = Network(
        populations, sources, numbering.bounds, par.astype(real), synapses.delays, synapses.ptr,
        synapses.row_weight, synapses.zero_ptr, synapses.target, synapses.delay,
        drives, table, key, scale.astype(real), *plastic,
    )  # fmt: skip
    longest = int(max([synapses.longest, *populations[:, nw.N_HOLD]]))
    n_stages = max(parts.stages.values(), default=0) + 1
    return NetworkPlan(
        parts,
        network,
        models,
        start.astype(real),
        synapses.weight,
        synapses.places,
        first,
        sizes,
        longest,
        n_stages,
        real,
    )


def n_tiles(size: int) -> int:
    """Return the number of tiles of a population."""
    return -(-size // TILE)


def in_tiles(values: list[Any], size: int) -> NDArray[np.float64]:
    """Return fields of one value per neuron (or one for all) in tiles: shape (tiles * fields * TILE,)."""
    fields = np.empty((len(values), n_tiles(size) * TILE))
    for field, value in zip(fields, values, strict=True):
        field[:size] = value
        field[size:] = field[size - 1]
    return fields.reshape(len(values), -1, TILE).transpose(1, 0, 2).reshape(-1)


def _populations(
    graph: Graph, parts: Parts, models: dict[str, Model], first: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    table = np.zeros((len(parts.populations), 12), np.int64)
    all_par: list[NDArray[Any]] = [np.zeros(0)]
    all_state: list[NDArray[Any]] = [np.zeros(0)]
    n_par = n_state = tile = 0
    for row, name in enumerate(parts.populations):
        model, size = models[name], math.prod(graph.shapes[name])
        values = [*model.parameters, *[0.0] * (nw.N_PARAMETERS - len(model.parameters))]
        is_uniform = all(np.ndim(value) == 0 for value in values)
        par = in_tiles(values, 1 if is_uniform else size)
        state = in_tiles(list(model.start.values()), size)
        node: Any = graph.nodes[name]
        n_hold = round(node.refractory_s / graph.dt_s)
        table[row] = (
            model.number, size, first[name], n_state, len(model.start), n_par,
            0 if is_uniform else len(values) * TILE, n_hold, model.is_subtracting, parts.stages[name], tile, -1,
        )  # fmt: skip
        all_par.append(par)
        all_state.append(state)
        n_par, n_state, tile = n_par + par.size, n_state + state.size, tile + n_tiles(size)
    if n_state >= 2**32:
        raise GraphError(f"Graph: its populations have {n_state} variables, the limit is 2**32")
    return table, np.concatenate(all_par), np.concatenate(all_state)


def _sources(
    graph: Graph, parts: Parts, first: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint64], NDArray[np.float64]]:
    table = np.zeros((len(parts.sources), 6), np.int64)
    thresholds: list[NDArray[np.uint32]] = [_NOTHING]
    key = np.zeros(len(parts.sources), np.uint64)
    scale = np.ones(len(parts.sources))
    n_table = 0
    for row, name in enumerate(parts.sources):
        node = graph.nodes[name]
        size = math.prod(graph.shapes[name])
        table[row, :3] = nw.INPUT, size, first[name]
        if isinstance(node, Input):
            continue
        assert isinstance(node, PoissonSource)
        values, step = poisson_table(node, graph.dt_s)
        table[row] = nw.POISSON, size, first[name], n_table, step, values.size // TILE
        if step:
            table[row, nw.N_TABLE] = step // TILE
        key[row], scale[row] = node.seed, node.weight
        thresholds.append(values)
        n_table += values.size
    return table, np.concatenate(thresholds), key, scale


def poisson_table(node: PoissonSource, dt_s: float) -> tuple[NDArray[np.uint32], int]:
    """Return the thresholds of the counts in tiles, and how far the tiles are apart (0: one for all)."""
    mean = np.atleast_1d(np.asarray(node.rate_hz, np.float64)) * dt_s
    term = np.exp(-mean)
    total = term.copy()
    rows: list[NDArray[np.float64]] = []
    while (1 - total > 2.0**-33).any():
        rows.append(np.minimum(np.floor(total * 2.0**32), 2.0**32 - 1))
        term = term * mean / len(rows)
        total = total + term
    capped = np.array(rows).astype(np.uint32)
    if mean.size == 1:
        return np.repeat(capped[:, 0], TILE), 0
    padded = np.full((capped.shape[0], n_tiles(node.n) * TILE), np.uint32(2**32 - 1))
    padded[:, : node.n] = capped
    tiles = padded.reshape(capped.shape[0], -1, TILE).transpose(1, 0, 2)
    return np.ascontiguousarray(tiles).reshape(-1), capped.shape[0] * TILE


def _work_ns(graph: Graph, parts: Parts, precision: Precision) -> NDArray[np.float64]:
    """Estimate what a step of each tile takes."""
    work = [np.zeros(0)]
    for name in parts.populations:
        size = math.prod(graph.shapes[name])
        synapses = np.zeros(n_tiles(size) * TILE)
        for connection in parts.connections:
            if connection.target == name:
                synapses[:size] += np.diff(connection.indptr)
        update_ns = COBA_NS if isinstance(graph.nodes[name], CobaLIF) else UPDATE_NS
        drawn = [source for source, target in parts.drives if target == name and source != graph.input_name]
        fixed_ns = update_ns * (1.0 if precision == "float32" else 1.8) + DRAW_NS * len(drawn)
        work.append(fixed_ns + SYNAPSE_NS * synapses.reshape(-1, TILE).sum(axis=1))
    return np.concatenate(work)


def _bounds(work_ns: NDArray[np.float64], n_threads: int) -> NDArray[np.int64]:
    """Cut the tiles into one run per thread, of about the same work."""
    total = np.concatenate([[0.0], work_ns]).cumsum()
    cuts = np.searchsorted(total, total[-1] * np.arange(1, n_threads) / n_threads)
    return np.array([0, *np.maximum.accumulate(cuts), total.size - 1], np.int64)
