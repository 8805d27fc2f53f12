"""Populations cut into blocks, blocks put into cores."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hw.blocks import EMPTY, Arrival, Layer, Outgoing, Usage
from hw.capacity import too_large
from hw.fixed import FixedGraph
from hw.targets import Target

__all__ = ["Block", "Partition", "fill"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
        Pixels of a group of channels, or neurons of a flat population.
    usage : Usage
        What it takes.
    layer : Layer
        The population as it was cut.
    """

    population: str
    core: int
    units: Ints
    usage: Usage
    layer: Layer = field(repr=False)

    @cached_property
    def neurons(self) -> Ints:
        """Neurons in the order of the core's compartments, numbered as in the population's shape."""
        return self.layer.neurons(self.units)

    @cached_property
    def arrivals(self) -> list[Arrival]:
        """What it hears, connection by connection."""
        return self.layer.arrivals(self.units)


@dataclass(eq=False, repr=False)
class Partition:
    """Blocks by core.

    Attributes
    ----------
    layers : dict of str to Layer
        The populations as they were cut.
    blocks : list of Block
        In the order in which they were put; a core has at most one of each population.
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

    def __repr__(self) -> str:
        return (
            f"Partition({len(self.layers)} populations in {len(self.blocks)} blocks on {self.n_cores} cores)"
        )

    def put(self, layer: Layer, core: int, units: Ints, usage: Usage) -> None:
        """Add a block to a core; the number after the last opens one."""
        if core == len(self.cores):
            self.cores.append(EMPTY)
        self.cores[core] = self.cores[core] + usage
        self.blocks.append(Block(layer.name, core, units, usage, layer))

    def outgoing(self, fixed: FixedGraph) -> dict[str, Outgoing]:
        """Count the blocks that hear each neuron, as the output axons that this takes.

        Parameters
        ----------
        fixed : FixedGraph
            The network.

        Returns
        -------
        dict of str to Outgoing
            For each population with neurons.
        """
        found = {
            name: Outgoing(np.zeros(layer.n_pixels, np.int64), np.zeros(layer.population.size, np.int64))
            for name, layer in self.layers.items()
        }
        for block in self.blocks:
            for arrival in block.arrivals:
                if arrival.source not in found:
                    continue
                if arrival.pixels is not None:
                    source, chip = self.layers[arrival.source], block.layer.target
                    n_shared = -(-int(source.widths.max()) // chip["population_channels"])
                    found[arrival.source].shared[arrival.pixels] += chip["population_axon_slots"] * n_shared
                else:
                    found[arrival.source].single[arrival.neurons] += 1
        return found

    def with_output_axons(self, fixed: FixedGraph) -> Partition:
        """Return the same blocks with their output axons counted."""
        outgoing = self.outgoing(fixed)
        found = Partition(self.layers)
        for block in sorted(self.blocks, key=lambda block: block.core):
            n = block.layer.output_axons(block.units, outgoing[block.population])
            found.put(block.layer, block.core, block.units, block.usage.with_outgoing(n))
            found.blocks[-1].__dict__.update(arrivals=block.arrivals)
        return found

    def moved(self, cores: Ints) -> Partition:
        """Return the blocks in other cores, which are numbered anew without gaps.

        Parameters
        ----------
        cores : int64 array, shape (n_blocks,)
            Of each block.

        Returns
        -------
        Partition
            The same blocks.
        """
        found = Partition(self.layers)
        numbers = np.unique(cores, return_inverse=True)[1]
        for k in np.argsort(numbers, kind="stable"):
            block = self.blocks[k]
            found.put(block.layer, int(numbers[k]), block.units, block.usage)
            found.blocks[-1].__dict__.update(arrivals=block.arrivals)
        return found

    def volumes(self, fixed: FixedGraph, rates: dict[str, Floats]) -> Floats:
        """Return messages per step from block to block; the last row is the host.

        Parameters
        ----------
        fixed : FixedGraph
            The network.
        rates : dict of str to float64 array, shape (n,)
            Messages per step of each neuron of each population.

        Returns
        -------
        float64, shape (n_blocks + 1, n_blocks)
            Spikes of the row's block that the column's block hears, connection by connection.
        """
        n = len(self.blocks)
        owner = {name: np.full(p.size, n, np.int64) for name, p in fixed.populations.items()}
        for k, block in enumerate(self.blocks):
            owner[block.population][block.neurons] = k
        found = np.zeros((n + 1, n))
        for k, block in enumerate(self.blocks):
            for arrival in block.arrivals:
                sent = rates[arrival.source][arrival.neurons]
                found[:, k] += np.bincount(owner[arrival.source][arrival.neurons], sent, minlength=n + 1)
        return found

    def traffic(self, fixed: FixedGraph, rates: dict[str, Floats]) -> Floats:
        """Return messages per step from core to core; the last row is the host.

        A message is a spike on its way to one core. A spike that two connections bring into a core is two messages.

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
        return self.between_cores(self.volumes(fixed, rates))

    def between_cores(self, volumes: Floats) -> Floats:
        """Return messages from core to core from those from block to block."""
        n = self.n_cores
        core = np.array([block.core for block in self.blocks], np.int64)
        by_source = np.zeros((n + 1, volumes.shape[1]))
        np.add.at(by_source, np.append(core, n), volumes)
        messages = np.zeros((n, n + 1))
        np.add.at(messages, core, by_source.T)
        found = np.ascontiguousarray(messages.T)
        found[np.arange(n), np.arange(n)] = 0
        return found

    def over(self, target: Target) -> str:
        """Return the name of a limit that some core exceeds; '' if there is none."""
        return next((limit for usage in self.cores if (limit := usage.over(target))), "")


def fill(
    layers: list[Layer], target: Target, *, refill: bool, outgoing: dict[str, Outgoing] | None = None
) -> Partition:
    """Fill cores one after another to what the tightest limit allows.

    Parameters
    ----------
    layers : list of Layer
        In the order in which they are put.
    target : Target
        The chip.
    refill : bool
        Whether room that earlier cores still have is used first; otherwise only the last core's is.
    outgoing : dict of str to Outgoing, optional
        Output axons that neurons need; None: they are not counted.

    Returns
    -------
    Partition
        Blocks and cores.

    Raises
    ------
    CapacityError
        If a unit does not fit into an empty core.
    """
    found = Partition({layer.name: layer for layer in layers})
    for layer in layers:
        out = None if outgoing is None else outgoing[layer.name]
        start = size = 0
        candidates = list(range(found.n_cores)) if refill else list(range(found.n_cores))[-1:]
        while start < layer.n_units:
            core = candidates.pop(0) if candidates else found.n_cores
            held = found.cores[core] if core < found.n_cores else EMPTY
            stop = _largest(layer, start, held, target, out, size)
            if stop == start:
                if held is EMPTY:
                    raise too_large(layer, layer.order[start : start + 1], target, out)
                continue
            found.put(layer, core, layer.order[start:stop], _usage(layer, start, stop, out))
            size = stop - start if held is EMPTY else size
            start = stop
    return found


def _usage(layer: Layer, start: int, stop: int, out: Outgoing | None) -> Usage:
    usage = layer.part(start, stop)
    if out is None:
        return usage
    return usage.with_outgoing(layer.output_axons(layer.order[start:stop], out))


def _largest(  # noqa: PLR0917
    layer: Layer, start: int, held: Usage, target: Target, out: Outgoing | None, guess: int
) -> int:
    """Return how far a block from `start` on can reach in a core; `guess` is a size to try first, 0: the largest."""

    def fits(stop: int) -> bool:
        return not (held + _usage(layer, start, stop, out)).over(target)

    free = target["compartments"] - held.values["compartments"]
    if free <= 0:
        return start
    reach = start + np.searchsorted(np.cumsum(layer.sizes(layer.order[start : start + free])), free, "right")
    places = np.arange(start, int(reach) + 1)
    if layer.is_whole:
        ends = layer.stops[(layer.stops > start) & (layer.stops <= reach)]
        if ends.size and (fits(int(ends[0])) or held is not EMPTY):
            places = np.append(start, ends)
        elif held is not EMPTY:
            return start
    low, high = 0, places.size - 1
    step = int(np.searchsorted(places, start + guess)) if guess else high
    while high and low < high:  # from the guess on in growing steps, until one does not fit
        tried = min(high, max(low + 1, step))
        if not fits(int(places[tried])):
            high = tried
            break
        low = tried
        step = tried + max(1, tried // 8)
    if low == high:
        return int(places[high])
    while high - low > 1:  # low fits, high does not
        middle = (low + high) // 2
        if fits(int(places[middle])):
            low = middle
        else:
            high = middle
    return int(places[low])
