"""Limits that a network exceeds: named, with the smallest change that fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hw.blocks import Layer, Outgoing
from hw.errors import CapacityError
from hw.targets import LIMIT_NAMES, Target

if TYPE_CHECKING:
    from hw.partitioning import Partition

__all__ = ["check_core_count", "no_cut", "too_large"]

Ints = NDArray[np.int64]


def check_core_count(n_cores: int, target: Target) -> None:
    """Raise if a network needs more cores than the chips have.

    Parameters
    ----------
    n_cores : int
        What it needs.
    target : Target
        The chip.

    Raises
    ------
    CapacityError
        If so; the message says how many chips it would take.
    """
    per_chip, chips = target["cores_per_chip"], target["chips"]
    if n_cores > per_chip * chips:
        raise CapacityError(
            f"the network needs {n_cores} cores of {target.name}, {per_chip * chips} are allowed ({chips} chips of "
            f"{per_chip}); use fewer neurons or a target with {-(-n_cores // per_chip)} chips"
        )


def too_large(layer: Layer, units: Ints, target: Target, out: Outgoing | None = None) -> CapacityError:
    """Return the error of a unit that does not fit into an empty core.

    Parameters
    ----------
    layer : Layer
        The population.
    units : int64 array
        The unit.
    target : Target
        The chip.
    out : Outgoing, optional
        Output axons that its neurons need.

    Returns
    -------
    CapacityError
        Names block, limit, used, allowed, and the smallest change that fits.
    """
    usage = layer.usage(units).with_outgoing(layer.output_axons(units, out))
    limit = usage.over(target) or "compartments"
    used = usage.axon_words if limit == "words_per_axon" else usage.values[limit]
    what = "pixel" if layer.by_pixel else "neuron"
    return CapacityError(
        f"block of one {what} of {layer.name!r} (the smallest there is): {limit} ({LIMIT_NAMES[limit]}): used {used}, "
        f"allowed {target[limit]} on {target.name}; {_remedy(layer, units, limit, used, target)}"
    )


def no_cut(found: Partition, target: Target) -> CapacityError:
    """Return the error of a network whose units fit into cores each by itself, but of which no cut was found.

    Parameters
    ----------
    found : Partition
        The cut that comes closest.
    target : Target
        The chip.

    Returns
    -------
    CapacityError
        Names the core with the most, what is in it, limit, used, allowed, and what to change.
    """
    limit = found.over(target) or "output_axons"
    core = max(range(found.n_cores), key=lambda k: found.cores[k].values.get(limit, 0))
    names = sorted({repr(block.population) for block in found.blocks if block.core == core})
    return CapacityError(
        f"no cut was found that keeps to {limit} ({LIMIT_NAMES[limit]}): core {core} with blocks of {', '.join(names)} "
        f"used {found.cores[core].values.get(limit, 0)}, allowed {target[limit]} on {target.name}; "
        "make copies of these populations that feed a part of their targets each"
    )


def _remedy(layer: Layer, units: Ints, limit: str, used: int, target: Target) -> str:
    """Say the smallest change that would fit."""
    ratio = -(-used // target[limit])
    if limit == "compartments":
        longest = max((c.longest_delay for c, _ in layer.connections), default=0)
        steps = target["free_delay_steps"] + 1
        most = target[limit] // int(layer.sizes(units).sum()) * steps - 1
        if longest > target["free_delay_steps"] and most >= 0:
            return f"shorten its delays from {longest} to {most} steps"
        return f"split its {int(layer.sizes(units).sum())} channels into {ratio} layers"
    if limit in ("synaptic_words", "words_per_axon"):
        for bits in range(7, 0, -1):
            smaller = [(replace(c, weight_bits=min(c.weight_bits, bits)), s) for c, s in layer.connections]
            other = replace(layer, connections=smaller, _known={})
            if not other.usage(units).over(target):
                return f"use {bits}-bit weights or split it into {ratio} layers"
        return f"split its inputs among {ratio} layers"
    if limit == "input_axons":
        return f"split its inputs among {ratio} layers, or prune {used - target[limit]} of them"
    if limit == "output_axons":
        return (
            f"make {ratio} copies of it that feed a part of its targets each, or put fewer layers behind it"
        )
    if limit == "synapse_formats":
        return f"join its {used} connections into {target[limit]} at most"
    return f"use {target[limit]} different sets at most"
