"""What a part of a population takes of a core: neurons, words of memory, axons, registers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.fixed import Connection, FixedGraph, Population
from hw.targets import Target

__all__ = ["Usage", "Layer", "Reach", "layers_of", "RESOURCES"]

Ints = NDArray[np.int64]
RESOURCES = (
    "compartments",
    "synaptic_words",
    "input_axons",
    "neuron_configurations",
    "threshold_configurations",
    "synapse_formats",
)
_MOST_TAPS = 60


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


EMPTY = Usage(dict.fromkeys(RESOURCES, 0))


@dataclass(frozen=True, eq=False)
class Reach:
    """What of a source a block hears through one connection.

    Attributes
    ----------
    source : str
        The population.
    units : int64 array
        Its units (pixels, or neurons of a flat population) with a synapse in the block.
    axons : int
        Axons that this takes.
    words : int
        64-bit words of synapses.
    axon_words : int
        The most words of one axon.
    """

    source: str
    units: Ints
    axons: int
    words: int
    axon_words: int


@dataclass(eq=False)
class Layer:
    """A population as it is cut: in units (pixels with all channels, or single neurons) in an order of their own.

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
    n_groups : int
        Groups of channels that are cut apart, because all of them together do not fit: units are numbered group after
        group, and have the channels of their group only.
    order : int64 array, shape (n_units,)
        The units in the order of cutting.
    """

    name: str
    population: Population
    connections: list[tuple[Connection, Population]]
    target: Target
    by_pixel: bool
    n_groups: int = 1
    order: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.population.size // self.unit

    @property
    def unit(self) -> int:
        """Neurons of a unit."""
        return self.population.shape[0] // self.n_groups if self.by_pixel else 1

    @property
    def n_pixels(self) -> int:
        """Number of pixels, or of neurons of a flat population."""
        return self.n_units // self.n_groups

    def ordered(self, strip: int) -> Layer:
        """Return the layer cut in vertical strips of pixels, each row by row; 0: as numbered."""
        order = np.arange(self.n_units)
        if strip and self.by_pixel:
            columns = self.population.shape[2]
            group, pixel = order // self.n_pixels, order % self.n_pixels
            row, column = pixel // columns, pixel % columns
            order = np.lexsort((column, row, column // strip, group))
        return replace(self, order=order)

    def grouped(self) -> Layer:
        """Return the layer with as few groups of channels as let a pixel leave room in a core."""
        channels, room = self.population.shape[0], 0.7 * self.target["synaptic_words"]
        for n in range(1, channels + 1):
            if self.by_pixel and channels % n == 0:
                layer = replace(self, n_groups=n).ordered(0)
                usage = layer.usage(layer.order[layer.n_pixels // 2 :][:1])
                if usage.values["synaptic_words"] <= room and not usage.over(self.target):
                    return layer
        return self

    def mapwise(self) -> Layer:
        """Return the layer with as few groups of channels as let the whole map of a group into one core."""
        channels = self.population.shape[0]
        for n in range(self.n_groups, channels + 1):
            if self.by_pixel and channels % n == 0:
                layer = replace(self, n_groups=n).ordered(0)
                if not layer.usage(layer.order[: layer.n_pixels]).over(self.target):
                    return layer
        return self

    def neurons(self, units: Ints) -> Ints:
        """Return the neurons of units, in the order of the population's shape: channel after channel."""
        if not self.by_pixel:
            return units
        group, pixel = units // self.n_pixels, units % self.n_pixels
        channel = group[None, :] * self.unit + np.arange(self.unit)[:, None]
        return (channel * self.n_pixels + pixel[None, :]).reshape(-1)

    @cached_property
    def _configurations(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return self.population.configurations(), self.population.register("threshold")

    def usage(self, units: Ints) -> Usage:
        """Count what the units take of a core."""
        n = units.size * self.unit
        reaches = self.reaches(units)
        target, longest = self.target, max((c.longest_delay for c, _ in self.connections), default=0)
        slots = -(-(longest + 1) // (target["free_delay_steps"] + 1))
        state_words = -(-n * target["state_bits"] // 64)
        return Usage(
            {
                "compartments": n * slots,
                "synaptic_words": state_words + sum(reach.words for reach in reaches),
                "input_axons": sum(reach.axons for reach in reaches),
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
        return [self._reach(connection, source, units) for connection, source in self.connections]

    def _reach(self, connection: Connection, source: Population, units: Ints) -> Reach:
        bits = connection.weight_bits + (connection.sign == "mixed" and connection.weight_bits < 8)
        delay_bits = int(connection.longest_delay).bit_length()
        if connection.kind == "conv":
            return self._convolution(connection, source, units, bits + delay_bits)
        counts = self._counts(connection, units)
        heard = np.flatnonzero(counts)
        words = axon_words(counts[heard], units.size * self.unit, bits + delay_bits, self.target)
        total, most = int(words.sum()), int(words.max(initial=0))
        found = heard
        if len(source.shape) == 3:
            found = np.unique(heard % (source.size // source.shape[0]))
        return Reach(connection.source, found, int(heard.size), total, most)

    def _counts(self, connection: Connection, units: Ints) -> Ints:
        """Count the synapses of each source neuron that end in the units."""
        neurons = self.neurons(units)
        if connection.kind == "dense":
            return np.asarray(np.count_nonzero(connection.weights[neurons], axis=0), np.int64)
        inside = np.zeros(self.population.size, np.bool_)
        inside[neurons] = True
        there = inside[connection.rows] & (connection.weights != 0)
        n_source = int(connection.columns.max(initial=-1)) + 1 if connection.columns is not None else 0
        return np.bincount(connection.columns[there], minlength=n_source)  # type: ignore[index]

    def _convolution(self, connection: Connection, source: Population, units: Ints, bits: int) -> Reach:
        """Find the pixels that are heard, and the kernels that differ between them: others share one."""
        groups = np.unique(units // self.n_pixels)
        found = [
            self._kernels(connection, source, units[units // self.n_pixels == g] % self.n_pixels, bits)
            for g in groups
        ]
        if len(found) == 1:
            return found[0]
        pixels = np.unique(np.concatenate([reach.units for reach in found]))
        per_pixel = found[0].axons // max(1, found[0].units.size)
        return Reach(
            connection.source, pixels, int(pixels.size * per_pixel), sum(reach.words for reach in found),
            sum(reach.axon_words for reach in found),
        )  # fmt: skip

    def _kernels(self, connection: Connection, source: Population, units: Ints, bits: int) -> Reach:
        """Do so for the pixels of one group of channels."""
        channels, height, width = source.shape
        out_columns = self.population.shape[2]
        r, c = units // out_columns, units % out_columns
        n_rows, n_columns = connection.weights.shape[2:]
        heard = np.zeros(height * width, np.int64)
        synapses = np.zeros(height * width, np.int64)
        for i in range(n_rows):
            for m in range(n_columns):
                y = r * connection.stride[0] - connection.padding[0] + i * connection.dilation[0]
                x = c * connection.stride[1] - connection.padding[1] + m * connection.dilation[1]
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                place = y[inside] * width + x[inside]
                heard[place] |= 1 << ((i * n_columns + m) % _MOST_TAPS)
                synapses[place] += 1
        pixels = np.flatnonzero(synapses)
        heard_by = max(1, connection.weights.shape[0] // connection.groups // self.n_groups)
        per_pixel = synapses[pixels] * heard_by  # of one input channel
        target = self.target
        if target["population_axons"] == 2:
            words = axon_words(np.array([n_rows * n_columns * heard_by]), 0, bits, target) * channels
            n_axons = pixels.size * -(-channels // target["population_channels"])
            most = int(axon_words(per_pixel, 0, bits, target).max(initial=0))
        elif target["population_axons"] and n_rows * n_columns <= _MOST_TAPS:
            _, first = np.unique(heard[pixels], return_index=True)
            words = axon_words(per_pixel[first], 0, bits, target) * channels
            n_axons = pixels.size * -(-channels // target["population_channels"])
            most = int(words.max(initial=0)) // channels
        else:
            words = axon_words(per_pixel, 0, bits, target) * channels
            n_axons, most = pixels.size * channels, int(words.max(initial=0)) // channels
        return Reach(connection.source, pixels, int(n_axons), int(words.sum()), most)


def axon_words(n_synapses: Ints, n_targets: int, bits: int, target: Target) -> Ints:
    """Return the 64-bit words of axons' synapses in the shortest encoding.

    Headers have 10 bits (4 for the format, 6 for the count) for at most 60 synapses. 'dense' lists a weight for each of
    the targets (headers also say where they begin), 'sparse' a number with each weight, 'run length' 4 bits of
    distance. A last word without room for the end mark costs one more.

    Parameters
    ----------
    n_synapses : int64 array
        Of each axon.
    n_targets : int
        Neurons of the block; 0: the synapses lie side by side (a kernel).
    bits : int
        Of a weight and its delay.
    target : Target
        The chip.

    Returns
    -------
    int64 array
        Words of each axon.

    Examples
    --------
    >>> from hw import loihi1
    >>> axon_words(np.array([3, 60]), 64, 8, loihi1).tolist()
    [1, 9]
    """
    n = np.asarray(n_synapses, np.int64)
    index, per_entry = target["index_bits"], target["synapses_per_entry"]

    def words(count: Any, each: int, header: int) -> Ints:
        total = -(-count // per_entry) * header + count * each
        rest = total % 64
        return np.asarray(-(-total // 64) + ((rest == 0) | (rest >= 59)), np.int64)

    side_by_side = np.full_like(n, n_targets) if n_targets else n
    found = [
        words(side_by_side, bits, 10 + index),
        words(n, bits + index, 10),
        words(n, bits + 4, 10 + index),
    ]
    return np.asarray(np.minimum.reduce(found[: 3 if n_targets else 1]), np.int64)


def layers_of(fixed: FixedGraph, target: Target) -> list[Layer]:
    """Return the populations with neurons, as they are cut.

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
        layers.append(Layer(name, population, into, target, by_pixel).ordered(0).grouped())
    return layers
