"""Populations cut into blocks, blocks put into cores: as few cores as the limits allow, then little traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hw.blocks import EMPTY, RESOURCES, Layer, Usage, layers_of
from hw.errors import CapacityError
from hw.fixed import FixedGraph
from hw.targets import LIMIT_NAMES, Target

__all__ = ["Block", "Partition", "partition", "lower_bound", "sequential"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a population in a core.

    Attributes
    ----------
    population : str
        Its name.
    core : int
        Number of the core.
    units : int64 array
        Pixels (with all channels), or neurons of a flat population.
    neurons : int64 array
        Neurons in the order of the core's compartments, numbered as in the population's shape.
    usage : Usage
        What it takes.
    """

    population: str
    core: int
    units: Ints
    neurons: Ints
    usage: Usage


@dataclass(eq=False)
class Partition:
    """Blocks by core.

    Attributes
    ----------
    layers : dict of str to Layer
        The populations as they were cut.
    blocks : list of Block
        In order of cores.
    cores : list of Usage
        What each core holds.
    """

    layers: dict[str, Layer]
    blocks: list[Block] = field(default_factory=list)
    cores: list[Usage] = field(default_factory=list)

    @property
    def n_cores(self) -> int:
        """Number of cores."""
        return len(self.cores)

    def put(self, layer: Layer, core: int, units: Ints, usage: Usage) -> None:
        """Add a block to a core; the number after the last opens one."""
        if core == len(self.cores):
            self.cores.append(EMPTY)
        self.cores[core] = self.cores[core] + usage
        self.blocks.append(Block(layer.name, core, units, layer.neurons(units), usage))

    def traffic(self, fixed: FixedGraph, rates: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return messages per step from core to core; the last row is the host.

        Parameters
        ----------
        fixed : FixedGraph
            The network.
        rates : dict of str to float64 array, shape (n,)
            Messages per step of each neuron of each population.

        Returns
        -------
        float64, shape (n_cores + 1, n_cores)
            What is sent within a core stays out.
        """
        n = self.n_cores
        owner = {name: np.full(p.size, n, np.int64) for name, p in fixed.populations.items()}
        for block in self.blocks:
            owner[block.population][block.neurons] = block.core
        messages = np.zeros((n + 1, n))
        for block in self.blocks:
            for reach in self.layers[block.population].reaches(block.units):
                neurons = neurons_of_units(fixed.populations[reach.source].shape, reach.units)
                sent = rates[reach.source][neurons]
                messages[:, block.core] += np.bincount(owner[reach.source][neurons], sent, minlength=n + 1)
        messages[np.arange(n), np.arange(n)] = 0
        return messages


def neurons_of_units(shape: tuple[int, ...], units: Ints) -> Ints:
    """Return the neurons of pixels, all channels, or the neurons themselves of a flat population."""
    if len(shape) != 3:
        return units
    return (np.arange(shape[0])[:, None] * (shape[1] * shape[2]) + units).reshape(-1)


def partition(
    fixed: FixedGraph, target: Target, rates: dict[str, NDArray[np.float64]] | None = None
) -> Partition:
    """Cut a network into blocks and put them into cores.

    Cores are filled one after another to what the tightest limit allows; orders of populations, strips of pixels, whole
    maps of few channels, and whether room in earlier cores is used are tried in turn. The partition with the fewest
    cores is kept, and among those the one with the least traffic.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.
    rates : dict of str to float64 array, optional
        Messages per step of each neuron; None: one each.

    Returns
    -------
    Partition
        Blocks and cores.

    Raises
    ------
    CapacityError
        If something does not fit; the message names block, limit, used, allowed and the smallest change that fits.
    """
    layers = layers_of(fixed, target)
    rates = rates or {name: np.ones(p.size) for name, p in fixed.populations.items()}
    best: tuple[int, float, Partition] | None = None
    for cut in _cuts(layers):
        orders = [cut, sorted(cut, key=_density, reverse=True)]
        for order in orders[: 1 if orders[0] == orders[1] else 2]:
            for refill in (False, True):
                found = _fill(order, target, refill=refill)
                if best is not None and found.n_cores > best[0]:
                    continue
                volume = float(found.traffic(fixed, rates)[:-1].sum())
                if best is None or (found.n_cores, volume) < best[:2]:
                    best = (found.n_cores, volume, found)
    assert best is not None
    most = target["cores_per_chip"] * target["chips"]
    if best[0] > most:
        raise CapacityError(
            f"the network needs {best[0]} cores of {target.name}, {most} are allowed ({target['chips']} chips of "
            f"{target['cores_per_chip']}); use fewer neurons or a target with more chips"
        )
    return best[2]


def _cuts(layers: list[Layer]) -> Iterator[list[Layer]]:
    """Yield ways to cut: rows or strips of pixels, all channels of a pixel together or the whole map of some."""
    seen: list[list[Layer]] = []
    for whole_maps in (False, True):
        for strips in (False, True):
            grouped = [layer.mapwise() if whole_maps else layer for layer in layers]
            cut = [layer.ordered(_strip(layer) if strips else 0) for layer in grouped]
            if not any(all(map(_are_cut_alike, cut, other)) for other in seen):
                seen.append(cut)
                yield cut


def _are_cut_alike(a: Layer, b: Layer) -> bool:
    return a.n_groups == b.n_groups and np.array_equal(a.order, b.order)


def _strip(layer: Layer) -> int:
    """Return a width of strips with which a core's pixels are about a square."""
    if not layer.by_pixel:
        return 0
    return max(1, round(float(np.sqrt(max(1, layer.target["compartments"] // layer.unit)))))


def _density(layer: Layer) -> float:
    whole = layer.usage(layer.order).values
    return whole["synaptic_words"] / layer.population.size


def _fill(layers: list[Layer], target: Target, *, refill: bool) -> Partition:
    """Fill cores one after another; with `refill` room that earlier cores still have is used first."""
    found = Partition({layer.name: layer for layer in layers})
    for layer in layers:
        start = 0
        candidates = list(range(found.n_cores)) if refill else list(range(found.n_cores))[-1:]
        while start < layer.n_units:
            core = candidates.pop(0) if candidates else found.n_cores
            held = found.cores[core] if core < found.n_cores else EMPTY
            stop = _largest(layer, start, held, target)
            if stop == start:
                if held is EMPTY:
                    raise _too_large(layer, layer.order[start : start + 1], target)
                continue
            units = layer.order[start:stop]
            found.put(layer, core, units, layer.usage(units))
            start = stop
    return found


def _largest(layer: Layer, start: int, held: Usage, target: Target) -> int:
    """Return how far a block from `start` on can reach in a core."""
    free = target["compartments"] - held.values["compartments"]
    low, high = start, min(layer.n_units, start + free // layer.unit)
    if high > low and not (held + layer.usage(layer.order[start:high])).over(target):
        return high
    while high - low > 1:  # low fits, high does not
        middle = (low + high) // 2
        if (held + layer.usage(layer.order[start:middle])).over(target):
            high = middle
        else:
            low = middle
    return low


def _too_large(layer: Layer, units: Ints, target: Target) -> CapacityError:
    usage = layer.usage(units)
    limit = usage.over(target) or "compartments"
    used = usage.axon_words if limit == "words_per_axon" else usage.values[limit]
    what = "pixel" if layer.by_pixel else "neuron"
    return CapacityError(
        f"block of one {what} of {layer.name!r} (the smallest there is): {limit} ({LIMIT_NAMES[limit]}): used {used}, "
        f"allowed {target[limit]} on {target.name}; {_remedy(layer, units, limit, used, target)}"
    )


def _remedy(layer: Layer, units: Ints, limit: str, used: int, target: Target) -> str:
    """Say the smallest change that would fit."""
    ratio = -(-used // target[limit])
    if limit == "compartments":
        return f"split its {layer.unit} channels into {ratio} layers, or shorten its delays"
    if limit in ("synaptic_words", "words_per_axon"):
        for bits in range(7, 0, -1):
            smaller = [(replace(c, weight_bits=min(c.weight_bits, bits)), s) for c, s in layer.connections]
            other = replace(layer, connections=smaller)
            if not other.usage(units).over(target):
                return f"use {bits}-bit weights or split it into {ratio} layers"
        return f"split its inputs among {ratio} layers"
    if limit == "input_axons":
        return f"split its inputs among {ratio} layers, or prune {used - target[limit]} of them"
    return f"use {target[limit]} different sets at most"


def lower_bound(fixed: FixedGraph, target: Target) -> dict[str, int]:
    """Return the fewest cores that each limit alone would allow, each population whole in one core.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.

    Returns
    -------
    dict of str to int
        By neurons, words and axons; no partition uses fewer than the largest.
    """
    names = ("compartments", "synaptic_words", "input_axons")
    wholes = [layer.usage(layer.order).values for layer in layers_of(fixed, target)]
    return {name: max(1, -(-sum(whole[name] for whole in wholes) // target[name])) for name in names}


def sequential(fixed: FixedGraph, target: Target) -> Partition:
    """Split each population by itself into equal parts, one to a core: the rule of nengo-loihi, to compare with.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.

    Returns
    -------
    Partition
        With as few parts of each population as the limits allow.
    """
    layers = layers_of(fixed, target)
    found = Partition({layer.name: layer for layer in layers})
    for layer in layers:
        whole = layer.usage(layer.order).values
        n = max(-(-whole[name] // target[name]) for name in RESOURCES)
        while True:
            parts = np.array_split(layer.order, min(n, layer.n_units))
            usages = [layer.usage(units) for units in parts]
            if not any(usage.over(target) for usage in usages):
                break
            if n >= layer.n_units:
                raise _too_large(layer, layer.order[:1], target)
            n += 1
        for units, usage in zip(parts, usages, strict=True):
            found.put(layer, found.n_cores, units, usage)
    return found
