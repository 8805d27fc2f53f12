"""What each core does in each step of some runs: operations, updates, messages; counted, not shared out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.fixed import FixedGraph
from hw.partitioning import Partition
from hw.results import Result

__all__ = ["CoreWork", "count_work"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CoreWork:
    """Counts of all steps, one run after another; a spike counts in the step in which it is sent.

    Attributes
    ----------
    operations : float64, shape (n_cores, n_steps)
        Synapses that spikes made the core read.
    fired : float64, shape (n_cores, n_steps)
        Neurons of the core that fired.
    received, sent : float64, shape (n_cores, n_steps)
        Messages from other cores or the host, and to other cores.
    neurons : float64, shape (n_cores,)
        Neurons of each core.
    n_runs : int
        Runs that were counted; 0: one step in which every neuron fires.
    """

    operations: Floats
    fired: Floats
    received: Floats
    sent: Floats
    neurons: Floats
    n_runs: int

    @property
    def n_steps(self) -> int:
        """Steps of the chip that were counted."""
        return int(self.operations.shape[1])

    def by_term(self) -> dict[str, Floats]:
        """Return the counts under the terms of price tables, shape (n_cores, n_steps) each."""
        return {
            "synaptic_operation": self.operations,
            "neuron_active": self.fired,
            "neuron_inactive": self.neurons[:, None] - self.fired,
            "spike_out": self.sent,
            "spike_in": self.received,
            "spike_in_tile": self.sent,
        }


def count_work(
    fixed: FixedGraph, partition: Partition, messages: Floats, results: Sequence[Result]
) -> CoreWork:
    """Count what each core does.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    partition : Partition
        Its blocks.
    messages : float64, shape (n_cores + 1, n_cores)
        Messages per step, for the case without runs.
    results : sequence of Result
        Runs of the emulator.

    Returns
    -------
    CoreWork
        Exact counts; without runs those of a step in which every neuron fires.
    """
    n = partition.n_cores
    neurons = np.zeros(n)
    for block in partition.blocks:
        neurons[block.core] += block.neurons.size
    if not results:
        operations = np.zeros(n)
        for block in partition.blocks:
            operations[block.core] += sum(arrival.synapses.sum() for arrival in block.arrivals)
        sums = messages.sum(axis=0), messages[:-1].sum(axis=1)
        columns = [part[:, None] for part in (operations, neurons, *sums)]
        return CoreWork(columns[0], columns[1], columns[2], columns[3], neurons, 0)
    owner = {name: np.full(p.size, n, np.int64) for name, p in fixed.populations.items()}
    for block in partition.blocks:
        owner[block.population][block.neurons] = block.core
    counted = [_count_run(fixed, partition, owner, result) for result in results]
    parts = [np.concatenate(part, axis=1) for part in zip(*counted, strict=True)]
    return CoreWork(parts[0], parts[1], parts[2], parts[3], neurons, len(results))


def _count_run(
    fixed: FixedGraph, partition: Partition, owner: dict[str, NDArray[np.int64]], result: Result
) -> tuple[Floats, Floats, Floats, Floats]:
    n, n_steps = partition.n_cores, result.n_steps + fixed.depth
    operations, fired, received, sent = (np.zeros((n, n_steps)) for _ in range(4))
    for name, population in fixed.populations.items():
        if population.kind != "input":
            train = result.trains[name]
            np.add.at(fired, (owner[name][train.index], train.step), 1)
    for block in partition.blocks:
        for arrival in block.arrivals:
            train = result.trains[arrival.source]
            synapses = np.zeros(fixed.populations[arrival.source].size, np.int64)
            synapses[arrival.neurons] = arrival.synapses
            heard = np.flatnonzero(synapses[train.index])
            step, index = train.step[heard], train.index[heard]
            # without values in spikes a count of n is n messages
            times = np.abs(train.value[heard]).astype(np.float64) if fixed.profile == "loihi1" else None
            each = synapses[index] * (1.0 if times is None else times)
            operations[block.core] += np.bincount(step, each, minlength=n_steps)
            sender = owner[arrival.source][index]
            comes = sender != block.core
            weight = np.ones(step.size) if times is None else times
            received[block.core] += np.bincount(step[comes], weight[comes], minlength=n_steps)
            inside = comes & (sender < n)
            np.add.at(sent, (sender[inside], step[inside]), weight[inside])
    return operations, fired, received, sent
