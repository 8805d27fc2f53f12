"""What a partition is judged by: the fewest cores that limits allow, and a split population by population."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hw.blocks import RESOURCES, Layer, Usage, layers_of
from hw.capacity import too_large
from hw.fixed import FixedGraph
from hw.partitioning import Partition
from hw.targets import Target

__all__ = ["lower_bound", "sequential"]

Ints = NDArray[np.int64]
_ROOM = 0.7


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
    names = ("compartments", "synaptic_words", "input_axons", "output_axons")
    one = Partition({layer.name: layer for layer in layers_of(fixed, target)})
    for layer in one.layers.values():
        one.put(layer, one.n_cores, layer.order, layer.usage(layer.order))
    wholes = one.with_output_axons(fixed).cores
    return {name: max(1, -(-sum(whole.values[name] for whole in wholes) // target[name])) for name in names}


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
    layers = [_with_room(layer) for layer in layers_of(fixed, target)]
    least = dict.fromkeys((layer.name for layer in layers), 1)
    while True:
        found = Partition({layer.name: layer for layer in layers})
        for layer in layers:
            parts, usages = _equal_parts(layer, least[layer.name], target)
            least[layer.name] = len(parts)
            for units, usage in zip(parts, usages, strict=True):
                found.put(layer, found.n_cores, units, usage)
        found = found.with_output_axons(fixed)
        tight = {b.population for b in found.blocks if b.usage.over(target)}
        if not tight:
            return found
        outgoing = found.outgoing(fixed)
        for k, layer in enumerate(layers):
            if layer.name in tight and least[layer.name] >= layer.n_units:
                layers[k] = layer.with_room_for(outgoing[layer.name])
                if layers[k] is layer:
                    raise too_large(layer, layer.order[:1], target, outgoing[layer.name])
            least[layer.name] += layer.name in tight


def _with_room(layer: Layer) -> Layer:
    """Return the layer with as few equal groups of channels as let a pixel leave room in a core."""
    channels, room = layer.population.shape[0], _ROOM * layer.target["synaptic_words"]
    for n in range(1, channels + 1):
        if layer.by_pixel and channels % n == 0:
            cut = layer.grouped(n)
            usage = cut.usage(cut.order[cut.n_pixels // 2 :][:1])
            if usage.values["synaptic_words"] <= room and not usage.over(layer.target):
                return cut
    return layer


def _equal_parts(layer: Layer, least: int, target: Target) -> tuple[list[Ints], list[Usage]]:
    whole = layer.usage(layer.order).values
    n = max(least, *(-(-whole[name] // target[name]) for name in RESOURCES))
    while True:
        usages = []
        parts = _split(layer.order, min(n, layer.n_units))
        for units in parts:
            usages.append(layer.usage(units))
            if usages[-1].over(target):
                break
        else:
            return list(_split(layer.order, min(n, layer.n_units))), usages
        if n >= layer.n_units:
            raise too_large(layer, layer.order[:1], target)
        n += 1


def _split(order: Ints, n: int) -> Iterator[Ints]:
    """Yield parts of about the same size, as `numpy.array_split` does, one at a time: most are never looked at."""
    size, larger = divmod(order.size, n)
    for k in range(n):
        start = k * size + min(k, larger)
        yield order[start : start + size + (k < larger)]
