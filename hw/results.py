"""What a run in whole numbers gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.errors import HardwareError
from hw.fixed import FixedGraph

__all__ = ["Counters", "Result", "IntegerTrain"]


@dataclass(frozen=True, eq=False)
class IntegerTrain:
    """Spikes of a population, by step of the chip.

    Attributes
    ----------
    step, index, value : int32, shape (n,)
        Sorted by step, then by neuron in the order of the population's shape; the value of a plain spike is 1.
    """

    step: NDArray[np.int32]
    index: NDArray[np.int32]
    value: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.step.size)


@dataclass(frozen=True)
class Counters:
    """What was computed, and what left a register's range: counted, never estimated.

    Attributes
    ----------
    spikes : mapping of str to int
        Spikes of each population.
    synaptic_operations : mapping of str to int
        Weights added, by the population that they were added to.
    neuron_updates : mapping of str to int
        Updates of each population.
    current_overflows : mapping of str to int
        How often u left the range of its register: it wraps with Lava's rules; with those of Loihi 1 nothing is known
        about what the chip does, and the value stays.
    membrane_overflows : mapping of str to int
        How often v did: it saturates, or stays, likewise.
    sum_overflows : mapping of str to int
        How often the sum of a convolution wrapped at 24 bits.
    """

    spikes: Mapping[str, int]
    synaptic_operations: Mapping[str, int]
    neuron_updates: Mapping[str, int]
    current_overflows: Mapping[str, int]
    membrane_overflows: Mapping[str, int]
    sum_overflows: Mapping[str, int]

    @property
    def n_overflows(self) -> int:
        """All overflows together."""
        tables = (self.current_overflows, self.membrane_overflows, self.sum_overflows)
        return sum(sum(table.values()) for table in tables)


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A run of the emulator. Steps are those of the chip, where each connection takes one.

    Attributes
    ----------
    fixed : FixedGraph
        What was run.
    profile : str
        The rules of arithmetic.
    n_steps : int
        Steps of the recording; the chip takes ``n_steps + fixed.depth``.
    trains : mapping of str to IntegerTrain
        Spikes of every population, by step of the chip.
    u, v : mapping of str to integer array, shape (n_steps + depth, n)
        Recorded registers after each step, neurons in the order of the population's shape.
    counters : Counters
        Exact counts.
    """

    fixed: FixedGraph
    profile: str
    n_steps: int
    trains: Mapping[str, IntegerTrain]
    u: Mapping[str, NDArray[np.signedinteger]]
    v: Mapping[str, NDArray[np.signedinteger]]
    counters: Counters

    def spikes(self, name: str) -> neuro.Spikes:
        """Return the spikes of a population in the steps of the recording: the lag of the chip is taken off.

        Parameters
        ----------
        name : str
            A population.

        Returns
        -------
        neuro.Spikes
            Those of the chip's steps ``depth .. depth + n_steps``.
        """
        train, depth = self.trains[name], self.fixed.depths[name]
        there = (train.step >= depth) & (train.step < depth + self.n_steps)
        return neuro.Spikes(
            train.step[there] - depth,
            train.index[there],
            train.value[there].astype(np.float32),
            self.n_steps,
            self.fixed.populations[name].shape,
        )

    def membranes(self, name: str) -> NDArray[np.float32]:
        """Return recorded membranes in the units and steps of the network that this came from.

        Parameters
        ----------
        name : str
            A population whose `v` was recorded; readouts are always.

        Returns
        -------
        float32, shape (n_steps, ...)
            ``v / scale + rest``, lag taken off.
        """
        if name not in self.v:
            raise HardwareError(f"Result: v of {name!r} was not recorded; name it in `record`")
        population, depth = self.fixed.populations[name], self.fixed.depths[name]
        values = self.v[name][depth : depth + self.n_steps] / population.scale + population.rest
        return values.astype(np.float32).reshape(self.n_steps, *population.shape)

    @property
    def outputs(self) -> Mapping[str, NDArray[np.float32]]:
        """What each output hands on: membranes of readouts, zeros and ones (or values) of spiking neurons.

        What the host computes from a population comes under the names of its Readouts.
        """
        host = self.fixed.host
        found = {} if host is None else dict(host.outputs(self.spikes(host.source)))
        return found | {
            name: self.membranes(name)
            if self.fixed.populations[name].kind == "readout"
            else self.spikes(name).to_dense()
            for name in self.fixed.outputs
            if host is None or name != host.source
        }

    def __repr__(self) -> str:
        counters = self.counters
        over = f", {counters.n_overflows} overflows" if counters.n_overflows else ""
        return (
            f"Result({self.n_steps} steps, {sum(counters.spikes.values())} spikes, "
            f"{sum(counters.synaptic_operations.values())} synaptic operations{over}; profile {self.profile!r})"
        )
