"""Which way to cut each population, and which blocks share a core: few cores first, then few messages between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.block_moves import improved
from hw.blocks import Layer, Outgoing, layers_of
from hw.capacity import check_core_count, no_cut, too_large
from hw.errors import CapacityError, HardwareError
from hw.fixed import FixedGraph
from hw.hypergraph import hypergraph_partition
from hw.partitioning import Partition, fill
from hw.targets import Target
from hw.yardsticks import lower_bound, sequential

__all__ = ["Cut", "cut_network", "partition", "PARTITIONERS"]

PARTITIONERS = ("own", "mtkahypar")

Floats = NDArray[np.float64]
_GROUPS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_TILES = (1, 2, 3, 4, 5, 6, 8, 11, 16, 22, 32)
_MOST_OPTIONS = 5
_MOST_WORK = (
    20_000  # of all partitions which are tried together: blocks, and neurons and weights by the hundreds
)
_SPARE = 1.15
_MOST_ROUNDS = 12
_MOST_NEURONS = 200_000  # up to which a sequential split is tried, too


class _Found(NamedTuple):
    """A partition with what it is judged by, better ones first in order."""

    cores_over: int
    messages: float
    n_cores: int
    number: int
    partition: Partition


class _Search:
    """Tries ways to cut a network, and remembers the best one.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.
    rates : dict of str to float64 array
        Messages per step of each neuron.
    bound : int
        Fewest cores.
    """

    def __init__(self, fixed: FixedGraph, target: Target, rates: dict[str, Floats], bound: int) -> None:
        self.fixed, self.target, self.rates = fixed, target, rates
        per_chip = target["cores_per_chip"]
        whole_chips = -(-bound // per_chip) * per_chip
        self.allowed = min(max(int(_SPARE * bound), bound + 1), whole_chips)
        self.n_neurons = sum(p.size for p in fixed.populations.values())
        self.n_weights = sum(c.weights.size for c in fixed.connections)
        self.work = self.n_tried = 0
        self.best: _Found | None = None
        self.best_layers: list[Layer] = []
        self._tried: set[tuple[object, ...]] = set()

    def try_layers(self, layers: list[Layer], *, refill: bool = True) -> bool:
        """Fill cores with layers as they are cut; returns whether that is the best so far."""
        way = (refill, *((layer.name, layer.order.ctypes.data, layer.is_whole) for layer in layers))
        if way in self._tried:
            return False
        self._tried.add(way)
        try:
            found = self._filled(layers, refill)
        except CapacityError:
            return False
        self.n_tried += 1
        self.work += len(found.blocks) + self.n_neurons // 250 + self.n_weights // 2500
        return self.consider(found, layers)

    def consider(self, found: Partition, layers: list[Layer]) -> bool:
        """Compare a partition with the best so far; returns whether it is better."""
        if found.over(self.target):
            return False
        messages = float(found.traffic(self.fixed, self.rates)[:-1].sum())
        new = _Found(max(0, found.n_cores - self.allowed), messages, found.n_cores, self.n_tried, found)
        if self.best is not None and new[:4] >= self.best[:4]:
            return False
        self.best, self.best_layers = new, layers
        return True

    def _filled(self, layers: list[Layer], refill: bool) -> Partition:
        """Fill cores; again with output axons counted if these turn out to be too many."""
        found = fill(layers, self.target, refill=refill).with_output_axons(self.fixed)
        most: dict[str, Outgoing] = {}
        for _ in range(_MOST_ROUNDS):  # what is needed only grows, and no more than to the fan-out
            if found.over(self.target) != "output_axons":
                break
            for name, outgoing in found.outgoing(self.fixed).items():
                before = most.get(name, outgoing)
                most[name] = Outgoing(
                    np.maximum(outgoing.shared, before.shared), np.maximum(outgoing.single, before.single)
                )
            layers = [layer.with_room_for(most[layer.name]) for layer in layers]
            found = fill(layers, self.target, refill=refill, outgoing=most).with_output_axons(self.fixed)
        return found

    def is_spent(self) -> bool:
        """Return whether enough has been tried."""
        return self.work >= _MOST_WORK


@dataclass(frozen=True, eq=False)
class Cut:
    """A network cut into blocks, with what that is judged by.

    Attributes
    ----------
    partition : Partition
        Blocks and cores.
    bound : dict of str to int
        Fewest cores by each limit.
    split : Partition
        The network split population by population.
    """

    partition: Partition
    bound: dict[str, int]
    split: Partition


def partition(
    fixed: FixedGraph,
    target: Target,
    rates: dict[str, Floats] | None = None,
    *,
    partitioner: str = "own",
) -> Partition:
    """Cut a network into blocks and put them into cores, see :func:`cut_network`."""
    return cut_network(fixed, target, rates, partitioner=partitioner).partition


def cut_network(
    fixed: FixedGraph,
    target: Target,
    rates: dict[str, Floats] | None = None,
    *,
    partitioner: str = "own",
) -> Cut:
    """Cut a network into blocks and put them into cores.

    Each population is cut into groups of channels and tiles of pixels, or filled into cores up to the tightest limit.
    The ways to cut are tried population by population, and blocks are moved and exchanged between cores, as long as
    that lowers, first, the cores beyond 1.15 times the lower bound (or one more than it), second, the messages between
    cores, third, the cores.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.
    rates : dict of str to float64 array, optional
        Messages per step of each neuron; None: one each.
    partitioner : {'own', 'mtkahypar'}
        What shares blocks out to cores; 'mtkahypar' needs the package of this name.

    Returns
    -------
    Cut
        Blocks and cores, and what they are compared with.

    Raises
    ------
    HardwareError
        If the partitioner is unknown.
    MissingPackageError
        If it is not installed.
    CapacityError
        If something does not fit; the message names block, limit, used, allowed and the smallest change that fits.
    """
    if partitioner not in PARTITIONERS:
        raise HardwareError(f"partitioner must be one of {', '.join(PARTITIONERS)}, got {partitioner!r}")
    rates = rates or {name: np.ones(p.size) for name, p in fixed.populations.items()}
    bound = lower_bound(fixed, target)
    check_core_count(max(bound.values()), target)
    search = _Search(fixed, target, rates, max(bound.values()))
    options = {layer.name: _options(layer, fixed, rates) for layer in layers_of(fixed, target)}
    first = [found[0] for found in options.values()]
    by_density = sorted(first, key=_density, reverse=True)
    for refill in (True, False):
        for order in (by_density, first):
            for is_whole in (False, True):
                if search.best is None or not search.is_spent():
                    search.try_layers([replace(layer, is_whole=is_whole) for layer in order], refill=refill)
    _descend(search, by_density, options)
    if search.best is None:
        raise _unfit(fixed, target, by_density)
    split = sequential(fixed, target)
    if search.n_neurons <= _MOST_NEURONS:
        search.consider(split, list(split.layers.values()))
    if partitioner == "mtkahypar":
        cut, n_cores = search.best_layers, search.best.partition.n_cores
        found = hypergraph_partition(fixed, target, rates, layers=cut, n_cores=n_cores)
    else:
        volumes = search.best.partition.volumes(fixed, rates)
        found = improved(search.best.partition, volumes, target, search.allowed)
    check_core_count(found.n_cores, target)
    return Cut(found, bound, split)


def _descend(search: _Search, start: list[Layer], options: dict[str, list[Layer]]) -> None:
    """Exchange the cut of one population after another for a better one."""
    search.try_layers([replace(layer, is_whole=k < len(start) - 1) for k, layer in enumerate(start)])
    changed = search.best is not None
    while changed and not search.is_spent():
        changed = False
        for name in [layer.name for layer in start]:
            for option in options[name]:
                for is_whole in (True, False):
                    if search.is_spent():
                        return
                    new = replace(option, is_whole=is_whole)
                    layers = [new if layer.name == name else layer for layer in search.best_layers]
                    changed |= search.try_layers(layers)


def _density(layer: Layer) -> float:
    return layer.usage(layer.order).values["synaptic_words"] / layer.population.size


def _unfit(fixed: FixedGraph, target: Target, layers: list[Layer]) -> CapacityError:
    """Say what does not fit, from the smallest blocks there are."""
    for layer in layers_of(fixed, target):
        channels = layer.population.shape[0] if layer.by_pixel else 1
        cut = layer.grouped(channels)
        for unit in cut.order[:: max(1, cut.n_units // 64)]:
            if cut.usage(np.array([unit])).over(target):
                return too_large(cut, np.array([unit]), target)
    found = fill([layer.grouped(layer.n_groups) for layer in layers], target, refill=True)
    found = found.with_output_axons(fixed)
    outgoing = found.outgoing(fixed)
    for block in found.blocks:
        unit, out = block.units[:1], outgoing[block.population]
        if block.layer.output_axons(unit, out) > target["output_axons"]:
            return too_large(block.layer, unit, target, out)
    return no_cut(found, target)


def _options(layer: Layer, fixed: FixedGraph, rates: dict[str, Floats]) -> list[Layer]:
    """Return ways to cut a population, those that bring few messages and take little memory first."""
    found: list[tuple[float, float, Layer]] = []
    for option in _all_options(layer):
        tiles = np.split(option.order, option.stops[:-1])
        sample = (
            tiles if len(tiles) <= 24 else [tiles[k] for k in np.linspace(0, len(tiles) - 1, 24).astype(int)]
        )
        scale = len(tiles) / len(sample)
        usages = [option.usage(units) for units in sample]
        if any(usage.over(layer.target) for usage in usages):
            continue
        heard = sum(_heard(option, units, rates) for units in sample) * scale
        words = sum(usage.values["synaptic_words"] for usage in usages) * scale
        found.append((heard, words, option))
    kept: list[Layer] = []
    least = np.inf
    for _, words, option in sorted(found, key=lambda entry: entry[:2]):
        if words < 0.97 * least:  # more messages, but less memory
            least = words
            kept.append(option)
    return kept[:_MOST_OPTIONS] or [_small(layer)]


def _heard(layer: Layer, units: NDArray[np.int64], rates: dict[str, Floats]) -> float:
    return float(sum(rates[arrival.source][arrival.neurons].sum() for arrival in layer.arrivals(units)))


def _all_options(layer: Layer) -> list[Layer]:
    """Return tilings for several numbers of groups, each with tiles of several shapes that are as large as fits."""
    if not layer.by_pixel:
        return _parts(layer)
    channels, rows, columns = layer.population.shape
    options = []
    for n_groups in (n for n in _GROUPS if n <= channels):
        grouped = layer.grouped(n_groups)
        width = int(grouped.widths.max())
        fitting: list[tuple[int, int]] = []
        for down in (n for n in _TILES if n <= rows):
            for across in (n for n in _TILES if n <= columns):
                height, length = -(-rows // down), -(-columns // across)
                if width * height * length > layer.target["compartments"]:
                    continue
                if any(height <= h and length <= w for h, w in fitting):
                    continue
                tile = grouped.tiled(height, length)
                middle = tile.stops.size // 2
                stop = int(tile.stops[middle])
                start = int(tile.stops[middle - 1]) if middle else 0
                if not tile.usage(tile.order[start:stop]).over(layer.target):
                    fitting.append((height, length))
                    options.append(tile)
        if any(2 * width * height * length > layer.target["compartments"] for height, length in fitting):
            break  # not memory sets the size of tiles: more groups would only bring more messages
    return options


def _parts(layer: Layer) -> list[Layer]:
    """Return a flat population in as few equal parts as fit, and in some more."""
    n = 1
    found: list[Layer] = []
    while n <= layer.n_units and len(found) < 3:
        tile = layer.tiled(columns=-(-layer.n_units // n))
        if not tile.usage(tile.order[: tile.stops[0]]).over(layer.target):
            found.append(tile)
        n += 1 if n < 16 else n // 8
    return found


def _small(layer: Layer) -> Layer:
    """Return the layer in as few groups as let one pixel into a core, to be filled unit by unit."""
    channels = layer.population.shape[0] if layer.by_pixel else 1
    for n_groups in range(1, channels + 1):
        cut = layer.grouped(n_groups)
        if not cut.usage(cut.order[cut.n_pixels // 2 :][:1]).over(layer.target):
            return cut
    return layer.grouped(channels)
