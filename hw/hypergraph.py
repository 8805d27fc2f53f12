"""Another way to find cores: pieces of populations as a hypergraph that Mt-KaHyPar cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.blocks import EMPTY, Layer, Outgoing, Usage
from hw.errors import CapacityError, MissingPackageError
from hw.fixed import FixedGraph
from hw.partitioning import Partition
from hw.targets import Target

__all__ = ["hypergraph_partition"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_PIECES_PER_CORE = 12
_MOST_PIECES = 20_000
_UNITS = 1000  # whole numbers that a core's capacity, and a message per step, count in weights


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some units of a tile: a vertex."""

    layer: Layer
    units: Ints
    weight: float


def hypergraph_partition(
    fixed: FixedGraph,
    target: Target,
    rates: dict[str, Floats],
    *,
    layers: list[Layer],
    n_cores: int,
    seed: int = 0,
) -> Partition:
    """Cut populations into pieces, let Mt-KaHyPar share them out to cores, and repair what is over a limit.

    Vertices are pieces with the share of a core that they take; an edge joins a piece with all that hear it, and weighs
    what it sends: the cut edges, times the cores beyond the first, are the messages. One weight is balanced only;
    pieces that are over another limit move to where there is room, or open a core.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.
    rates : dict of str to float64 array
        Messages per step of each neuron.
    layers : list of Layer
        How populations are cut into groups of channels and tiles.
    n_cores : int
        Parts to cut into.
    seed : int
        Of Mt-KaHyPar.

    Returns
    -------
    Partition
        Within all limits.

    Raises
    ------
    MissingPackageError
        If mtkahypar is not installed.
    CapacityError
        If there are too many pieces, or one has too many output axons.
    """
    pieces = _pieces(layers, target, n_cores)
    part = _cut(pieces, fixed, rates, n_cores, seed)
    outgoing: dict[str, Outgoing] = {}
    for _ in range(4):
        found = _repaired(pieces, part, fixed, target, outgoing)
        if not found.over(target):
            return found
        outgoing = found.outgoing(fixed)
    raise CapacityError(
        f"partitioner 'mtkahypar': {found.over(target)} of a core of {target.name} does not fit; take 'own'"
    )


def _pieces(layers: list[Layer], target: Target, n_cores: int) -> list[_Piece]:
    wholes = [layer.usage(layer.order) for layer in layers]
    shares = [max(1e-9, _share(usage, target)) for usage in wholes]
    found = []
    for layer, share in zip(layers, shares, strict=True):
        wanted = _PIECES_PER_CORE * max(1.0, n_cores * share / sum(shares))
        size = max(1, math.ceil(layer.n_units / wanted))
        for tile in np.split(layer.order, layer.stops[:-1]):
            usage = layer.usage(tile)
            # kernels are shared within a tile: where they are what fills a core, the tile stays whole
            is_dense = _of(usage, target, "synaptic_words") > _of(usage, target, "compartments")
            n_parts = 1 if is_dense else -(-tile.size // size)
            weight = _share(usage, target) / n_parts
            found += [_Piece(layer, units, weight) for units in np.array_split(tile, n_parts)]
    if len(found) > _MOST_PIECES:
        raise CapacityError(
            f"partitioner 'mtkahypar': the network has {len(found)} pieces, at most {_MOST_PIECES} are handed over; "
            "take 'own'"
        )
    return found


def _of(usage: Usage, target: Target, name: str) -> float:
    return usage.values[name] / target[name]


def _share(usage: Usage, target: Target) -> float:
    return max(_of(usage, target, name) for name in ("compartments", "synaptic_words", "input_axons"))


def _cut(pieces: list[_Piece], fixed: FixedGraph, rates: dict[str, Floats], n_cores: int, seed: int) -> Ints:
    """Return the core of each piece."""
    if n_cores == 1 or len(pieces) <= n_cores:
        return np.arange(len(pieces)) % n_cores
    mtkahypar = _imported()
    owner = {name: np.full(p.size, -1, np.int64) for name, p in fixed.populations.items()}
    for k, piece in enumerate(pieces):
        owner[piece.layer.name][piece.layer.neurons(piece.units)] = k
    hears: list[set[int]] = [{k} for k in range(len(pieces))]
    sent = np.zeros(len(pieces))
    for k, piece in enumerate(pieces):
        sent[k] = rates[piece.layer.name][piece.layer.neurons(piece.units)].sum()
        for arrival in piece.layer.arrivals(piece.units):
            for source in np.unique(owner[arrival.source][arrival.neurons]):
                if source >= 0:
                    hears[source].add(k)
    edges = [(sorted(pins), weight) for pins, weight in zip(hears, sent, strict=True) if len(pins) > 1]
    mtkahypar.set_seed(seed)
    initializer = _initializer(mtkahypar)
    context = initializer.context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(n_cores, 0.05, mtkahypar.Objective.KM1)
    context.logging = False
    weights = [max(1, round(_UNITS * piece.weight)) for piece in pieces]
    messages = [max(1, round(_UNITS * weight)) for _, weight in edges]
    graph = initializer.create_hypergraph(
        context, len(pieces), len(edges), [pins for pins, _ in edges], weights, messages
    )
    found = graph.partition(context)
    return np.array([found.block_id(k) for k in range(len(pieces))], np.int64)


_STARTED: list[Any] = []


def _initializer(mtkahypar: Any) -> Any:
    if not _STARTED:  # it can be started once in a process
        _STARTED.append(mtkahypar.initialize(1))
    return _STARTED[0]


def _imported() -> Any:
    try:
        import mtkahypar
    except ImportError as err:
        raise MissingPackageError(
            "partitioner 'mtkahypar' needs the package mtkahypar: pip install mtkahypar, or take partitioner 'own'"
        ) from err
    return mtkahypar


class _Core:
    """Pieces in a core, and what they take together."""

    def __init__(self, outgoing: dict[str, Outgoing]) -> None:
        self.pieces: list[_Piece] = []
        self.outgoing = outgoing

    def blocks(self, extra: _Piece | None = None) -> list[tuple[Layer, Ints, Usage]]:
        """Return the units of each population and what they take, one more piece included."""
        parts: dict[str, tuple[Layer, list[Ints]]] = {}
        for piece in [*self.pieces, *([] if extra is None else [extra])]:
            parts.setdefault(piece.layer.name, (piece.layer, []))[1].append(piece.units)
        found = []
        for name, (layer, several) in parts.items():
            units = np.sort(np.concatenate(several))
            n_axons = layer.output_axons(units, self.outgoing.get(name))
            found.append((layer, units, layer.usage(units).with_outgoing(n_axons)))
        return found

    def fits(self, extra: _Piece, target: Target) -> bool:
        """Say whether one more piece has room."""
        return not sum((usage for _, _, usage in self.blocks(extra)), EMPTY).over(target)


def _repaired(
    pieces: list[_Piece], part: Ints, fixed: FixedGraph, target: Target, outgoing: dict[str, Outgoing]
) -> Partition:
    """Fill each core with its pieces, large ones first, as far as they fit; the others go where there is room."""
    cores = [_Core(outgoing) for _ in range(int(part.max()) + 1)]
    left = []
    for k in sorted(range(len(pieces)), key=lambda k: -pieces[k].weight):
        if cores[part[k]].fits(pieces[k], target):
            cores[part[k]].pieces.append(pieces[k])
        else:
            left.append(pieces[k])
    for piece in left:
        goal = next((core for core in cores if core.fits(piece, target)), None)
        if goal is None:
            goal = _Core(outgoing)
            cores.append(goal)
        goal.pieces.append(piece)
    layers = {piece.layer.name: piece.layer for piece in pieces}
    found = Partition({name: layers[name] for name in fixed.populations if name in layers})
    for core in (core for core in cores if core.pieces):
        number = found.n_cores
        for layer, units, usage in core.blocks():
            found.put(layer, number, units, usage)
    return found.with_output_axons(fixed)
