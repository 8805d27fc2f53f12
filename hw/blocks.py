"""What a part of a population takes of a core: neurons, words of memory, axons, registers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hw.axons import Reach, axon_words, channel_fans, kinds_of, stored_synapses
from hw.fan_in import FanIn
from hw.fixed import Connection, FixedGraph, Population
from hw.targets import Target

__all__ = ["Usage", "Layer", "Arrival", "Outgoing", "layers_of", "RESOURCES"]

Ints = NDArray[np.int64]
RESOURCES = (
    "compartments",
    "synaptic_words",
    "input_axons",
    "output_axons",
    "neuron_configurations",
    "threshold_configurations",
    "synapse_formats",
)


@dataclass(frozen=True)
class Usage:
    """What of a core is used, by the names of a target's limits.

    Attributes
    ----------
    values : dict of str to int
        Neurons, words, axons, configurations.
    axon_words : int
        The most words that one axon reads.
    """

    values: dict[str, int]
    axon_words: int = 0

    def __add__(self, other: Usage) -> Usage:
        values = {name: self.values[name] + other.values[name] for name in RESOURCES}
        return Usage(values, max(self.axon_words, other.axon_words))

    def over(self, target: Target) -> str:
        """Return the name of the first limit that is exceeded; '' if all fits."""
        for name in RESOURCES:
            if self.values[name] > target[name]:
                return name
        return "words_per_axon" if self.axon_words > target["words_per_axon"] else ""

    def with_outgoing(self, n_axons: int) -> Usage:
        """Return the same with a number of output axons."""
        return Usage(self.values | {"output_axons": n_axons}, self.axon_words)


EMPTY = Usage(dict.fromkeys(RESOURCES, 0))


@dataclass(frozen=True, eq=False)
class Arrival:
    """The neurons that a block hears through one connection, and what each of their spikes makes it do.

    Attributes
    ----------
    source : str
        The population.
    neurons : int64 array, shape (n,)
        Those of its neurons with a synapse in the block, ascending.
    synapses : int64 array, shape (n,)
        Synapses that a spike of each reads.
    pixels : int64 array, optional
        The pixels of these neurons, if those of a pixel share an axon.
    """

    source: str
    neurons: Ints
    synapses: Ints
    pixels: Ints | None = None


@dataclass(eq=False)
class Outgoing:
    """Blocks that hear a population: output axons are needed for each.

    Attributes
    ----------
    shared : int64 array, shape (n_pixels,)
        Entries for each pixel, whatever the number of its neurons in a core.
    single : int64 array, shape (n,)
        Entries for each neuron.
    """

    shared: Ints
    single: Ints


@dataclass(eq=False)
class Layer:
    """A population as it is cut: in units (pixels with the channels of a group, or neurons) in an order of its own.

    Attributes
    ----------
    name : str
        The population.
    population : Population
        Its registers.
    connections : list of (Connection, Population)
        What leads into it, with the source.
    target : Target
        The chip.
    by_pixel : bool
        Whether a unit is a pixel.
    bounds : tuple of int
        Where groups of channels begin and end that are cut apart: units are numbered group after group, and have the
        channels of their group only. (0, 1) for flat populations.
    order : int64 array, shape (n_units,)
        The units in the order of cutting.
    stops : int64 array
        Where in this order tiles end.
    is_whole : bool
        Whether only whole tiles go into a core.
    """

    name: str
    population: Population
    connections: list[tuple[Connection, Population]]
    target: Target
    by_pixel: bool
    bounds: tuple[int, ...]
    order: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    stops: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    is_whole: bool = False
    _known: dict[tuple[int, int], Usage] = field(default_factory=dict, repr=False)
    _fans: dict[int, FanIn] = field(default_factory=dict, repr=False)  # by number of the connection

    @property
    def n_groups(self) -> int:
        """Number of groups of channels."""
        return len(self.bounds) - 1

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.n_groups * self.n_pixels

    @cached_property
    def n_pixels(self) -> int:
        """Number of pixels, or of neurons of a flat population."""
        return self.population.size // (self.population.shape[0] if self.by_pixel else 1)

    @cached_property
    def widths(self) -> Ints:
        """Channels of each group."""
        return np.diff(self.bounds)

    def sizes(self, units: Ints) -> Ints:
        """Return the number of neurons of units."""
        return self.widths[units // self.n_pixels]

    def tiled(self, rows: int = 0, columns: int = 0, *, is_whole: bool = False) -> Layer:
        """Return the layer cut tile after tile, each row by row; 0: as many as there are.

        Parameters
        ----------
        rows, columns : int
            Of a tile; a flat population has `columns` only.
        is_whole : bool
            Whether only whole tiles go into a core.

        Returns
        -------
        Layer
            With an order of its own.
        """
        n_rows, n_columns = self.population.shape[1:] if self.by_pixel else (1, self.n_pixels)
        unit = np.arange(self.n_units)
        group, pixel = unit // self.n_pixels, unit % self.n_pixels
        row, column = pixel // n_columns, pixel % n_columns
        across = -(-n_columns // (columns or n_columns))
        down = -(-n_rows // (rows or n_rows))
        tile_row, tile_column = (
            row * down // n_rows,
            column * across // n_columns,
        )  # tiles differ by one at most
        order = np.lexsort((column, row, tile_column, tile_row, group))
        tile = ((group * down + tile_row) * across + tile_column)[order]
        stops = np.append(np.flatnonzero(np.diff(tile)) + 1, unit.size)
        return replace(self, order=order, stops=stops, is_whole=is_whole, _known={})

    def grouped(self, n_groups: int) -> Layer:
        """Return the layer with its channels in groups of about the same size."""
        channels = self.population.shape[0] if self.by_pixel else 1
        bounds = tuple(int(x) for x in np.arange(n_groups + 1) * channels // n_groups)
        return replace(self, bounds=bounds, order=np.zeros(0, np.int64), _known={}).tiled()

    def neurons(self, units: Ints) -> Ints:
        """Return the neurons of units, in the order of the population's shape: channel after channel."""
        if not self.by_pixel:
            return units
        parts = []
        for group, pixels in self._by_group(units):
            channels = np.arange(self.bounds[group], self.bounds[group + 1])
            parts.append((channels[:, None] * self.n_pixels + pixels).reshape(-1))
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _by_group(self, units: Ints) -> list[tuple[int, Ints]]:
        group = units // self.n_pixels
        if self.n_groups == 1 or (units.size and (group[0] == group).all()):
            return [(int(group[0]), units % self.n_pixels)] if units.size else []
        return [(int(g), units[group == g] % self.n_pixels) for g in np.unique(group)]

    @cached_property
    def _configurations(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return self.population.configurations(), self.population.register("threshold")

    def part(self, start: int, stop: int) -> Usage:
        """Return what the units from one place of the order to another take of a core."""
        key = (start, stop)
        if key not in self._known:
            self._known[key] = self.usage(self.order[start:stop])
        return self._known[key]

    def usage(self, units: Ints) -> Usage:
        """Count what the units take of a core, output axons left out: these depend on other cores."""
        n = int(self.sizes(units).sum())
        reaches = self.reaches(units)
        target, longest = self.target, max((c.longest_delay for c, _ in self.connections), default=0)
        slots = -(-(longest + 1) // (target["free_delay_steps"] + 1))
        state_words = -(-n * target["state_bits"] // 64)
        return Usage(
            {
                "compartments": n * slots,
                "synaptic_words": state_words + sum(reach.words for reach in reaches),
                "input_axons": sum(reach.axons for reach in reaches),
                "output_axons": 0,
                "neuron_configurations": self._distinct(0, units),
                "threshold_configurations": self._distinct(1, units),
                "synapse_formats": len(self.connections),
            },
            max((reach.axon_words for reach in reaches), default=0),
        )

    def _distinct(self, which: int, units: Ints) -> int:
        name = ("membrane_decay", "threshold")[which]
        others = ("current_decay", "refractory_steps") if which == 0 else ()
        if all(isinstance(getattr(self.population, key), int) for key in (name, *others)):
            return 1
        return int(np.unique(self._configurations[which][self.neurons(units)]).size)

    def reaches(self, units: Ints) -> list[Reach]:
        """Return what the units hear, connection by connection."""
        return [self._reach(number, units) for number in range(len(self.connections))]

    def _reach(self, number: int, units: Ints) -> Reach:
        connection, source = self.connections[number]
        if connection.kind == "conv":
            return self._convolution(connection, source, units)
        heard, counts = self._heard(number, units)
        words = axon_words(counts, int(self.sizes(units).sum()), _bits(connection), self.target)
        total, most = int(words.sum()), int(words.max(initial=0))
        found = heard
        if len(source.shape) == 3:
            found = np.unique(heard % (source.size // source.shape[0]))
        return Reach(connection.source, found, int(heard.size), total, most)

    def _heard(self, number: int, units: Ints) -> tuple[Ints, Ints]:
        """Return the neurons that the units hear through a connection without a kernel, and the synapses of each."""
        if number not in self._fans:
            connection, source = self.connections[number]
            self._fans[number] = FanIn(connection, source.size, self.population.size)
        return self._fans[number].heard_by(self.neurons(units))

    def _convolution(self, connection: Connection, source: Population, units: Ints) -> Reach:
        """Count words group by group: pixels of a kind share the list of a kernel."""
        target, bits = self.target, _bits(connection)
        whole_kernel = int(np.prod(connection.weights.shape[2:]))
        found, words, longest = [], 0, 0
        channels: set[int] = set()
        for group, pixels in self._by_group(units):
            kinds = kinds_of(connection, source.shape, self.population.shape[2], pixels)
            found.append(kinds.pixels)
            most = 0
            fans = channel_fans(connection, source.shape[0], self.bounds[group], self.bounds[group + 1])
            for start, stop, heard_by in fans:
                taps = kinds.distinct if target["population_axons"] else kinds.taps
                each = axon_words(taps * heard_by, 0, bits, target)
                most = max(most, int(each.max(initial=0)))
                if target["population_axons"] == 2:
                    each = axon_words(np.array([whole_kernel * heard_by]), 0, bits, target)
                words += int(each.sum()) * (stop - start)
                channels.update(range(start, stop))
            longest += most
        heard = found[0] if len(found) == 1 else np.unique(np.concatenate([*found, np.zeros(0, np.int64)]))
        each_pixel = len(channels)
        if target["population_axons"]:
            each_pixel = -(-each_pixel // target["population_channels"])
        return Reach(connection.source, heard, int(heard.size) * each_pixel, words, longest)

    def arrivals(self, units: Ints) -> list[Arrival]:
        """Return what the units hear, neuron by neuron, connection by connection."""
        return [self._arrival(number, units) for number in range(len(self.connections))]

    def _arrival(self, number: int, units: Ints) -> Arrival:
        connection, source = self.connections[number]
        if connection.kind != "conv":
            heard, counts = self._heard(number, units)
            read = stored_synapses(counts, int(self.sizes(units).sum()), _bits(connection), self.target)
            return Arrival(connection.source, heard, read)
        neurons: list[Ints] = []
        synapses: list[Ints] = []
        parts: list[Ints] = []
        n_pixels = source.size // source.shape[0]
        for group, pixels in self._by_group(units):
            kinds = kinds_of(connection, source.shape, self.population.shape[2], pixels)
            parts.append(kinds.pixels)
            fans = channel_fans(connection, source.shape[0], self.bounds[group], self.bounds[group + 1])
            for start, stop, heard_by in fans:
                neurons.append((np.arange(start, stop)[:, None] * n_pixels + kinds.pixels).reshape(-1))
                synapses.append(np.tile(kinds.taps * heard_by, stop - start))
        shares = bool(self.target["population_axons"]) and source.shape[0] > 1
        if len(parts) == 1:
            found, counts, pixels = np.concatenate(neurons), np.concatenate(synapses), parts[0]
        else:
            found, place = np.unique(np.concatenate(neurons), return_inverse=True)
            counts = np.bincount(place, np.concatenate(synapses)).astype(np.int64)
            pixels = np.unique(np.concatenate(parts))
        return Arrival(connection.source, found, counts, pixels if shares else None)

    def output_axons(self, units: Ints, outgoing: Outgoing | None) -> int:
        """Return the output axons that the units need."""
        if outgoing is None:
            return 0
        pixels = units % self.n_pixels
        if self.n_groups > 1:
            pixels = np.unique(pixels)
        return int(outgoing.shared[pixels].sum() + outgoing.single[self.neurons(units)].sum())

    def with_room_for(self, outgoing: Outgoing) -> Layer:
        """Return the layer with more groups of channels if one of its units has too many output axons for a core."""
        layer, channels = self, self.population.shape[0]
        while layer.by_pixel and layer.n_groups < channels:
            single = np.add.reduceat(outgoing.single.reshape(channels, -1), layer.bounds[:-1], axis=0)
            used = int((single + outgoing.shared).max(initial=0))
            if used <= self.target["output_axons"]:
                break
            layer = layer.grouped(min(channels, layer.n_groups * -(-used // self.target["output_axons"])))
        return layer


def _bits(connection: Connection) -> int:
    """Return the bits of a weight with its delay."""
    mixed = connection.sign == "mixed" and connection.weight_bits < 8
    return connection.weight_bits + mixed + int(connection.longest_delay).bit_length()


def layers_of(fixed: FixedGraph, target: Target) -> list[Layer]:
    """Return the populations with neurons, all channels of a pixel together, in one tile.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target
        The chip.

    Returns
    -------
    list of Layer
        In the network's order.
    """
    layers = []
    for name, population in fixed.populations.items():
        if population.kind == "input":
            continue
        into = [(c, fixed.populations[c.source]) for c in fixed.into(name)]
        by_pixel = len(population.shape) == 3
        bounds = (0, population.shape[0] if by_pixel else 1)
        layers.append(Layer(name, population, into, target, by_pixel, bounds).tiled())
    return layers
