"""Time and energy of a mapped network, priced from counted operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.fixed import FixedGraph
from hw.partitioning import Partition
from hw.placement import Placement
from hw.results import Result
from hw.targets import PriceTable

__all__ = ["Cost", "price"]


@dataclass(frozen=True)
class Cost:
    """What a step and an inference cost under one price table.

    Attributes
    ----------
    table : PriceTable
        The prices.
    step_energy_j : float
        Mean energy of a step: the priced terms only.
    step_time_s : float
        Mean time of a step: the busiest core and the barrier.
    inference_energy_j, inference_time_s : float
        Of a whole recording, on average.
    busiest_core : int
        The core that a step waits for.
    counts : dict of str to float
        Operations per step by the table's terms.
    unpriced : tuple of str
        What is not in these numbers.
    """

    table: PriceTable
    step_energy_j: float
    step_time_s: float
    inference_energy_j: float
    inference_time_s: float
    busiest_core: int
    counts: dict[str, float]
    unpriced: tuple[str, ...]


def price(
    fixed: FixedGraph,
    partition: Partition,
    placement: Placement,
    *,
    messages: NDArray[np.float64],
    results: Sequence[Result],
    table: PriceTable,
) -> Cost:
    """Price the mean step of some runs; without runs every neuron fires in every step.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    partition : Partition
        Its blocks.
    placement : Placement
        Their places.
    messages : float64, shape (n_cores + 1, n_cores)
        Messages per step.
    results : sequence of Result
        Runs of the emulator: spikes and synaptic operations are counted in them.
    table : PriceTable
        Prices.

    Returns
    -------
    Cost
        Energy and time.
    """
    n_steps = sum(result.n_steps + fixed.depth for result in results)
    operations, fired = np.zeros(partition.n_cores), np.zeros(partition.n_cores)
    neurons = np.zeros(partition.n_cores)
    for block in partition.blocks:
        name, share = block.population, block.neurons.size / fixed.populations[block.population].size
        neurons[block.core] += block.neurons.size
        if results:
            done = sum(result.counters.synaptic_operations[name] for result in results)
            operations[block.core] += share * done / n_steps
            for result in results:
                emitted = np.bincount(result.trains[name].index, minlength=fixed.populations[name].size)
                fired[block.core] += emitted[block.neurons].sum() / n_steps
        else:
            operations[block.core] += share * _all_synapses(fixed, name)
            fired[block.core] += block.neurons.size
    received, sent = messages.sum(axis=0), messages[:-1].sum(axis=1)
    by_core = {
        "synaptic_operation": operations, "neuron_active": fired, "neuron_inactive": neurons - fired,
        "spike_out": sent, "spike_in": received, "spike_in_tile": sent,
    }  # fmt: skip
    counts = {term: float(values.sum()) for term, values in by_core.items()}
    counts |= {"hop_columns": placement.hops_by_column, "hop_rows": placement.hops_by_row}
    energy = sum(table.energy_j.get(term, 0.0) * count for term, count in counts.items())
    busy = np.zeros(partition.n_cores)
    for term, values in by_core.items():
        busy += table.time_s.get(term, 0.0) * values
    time = float(busy.max(initial=0)) + (table.barrier_time_s(placement.n_tiles) or 0.0)
    per_inference = n_steps / len(results) if results else 1.0
    unpriced = table.unpriced()
    if placement.n_chips > 1:
        unpriced = (*unpriced, "ways between chips")
    return Cost(
        table, energy, time, energy * per_inference, time * per_inference,
        int(busy.argmax()) if busy.size else 0, counts, unpriced,
    )  # fmt: skip


def _all_synapses(fixed: FixedGraph, name: str) -> float:
    """Count the weights that arrive if every source fires."""
    total = 0.0
    for c in fixed.into(name):
        if c.kind == "conv":
            target = fixed.populations[name]
            total += c.weights[0].size * target.size
        else:
            total += c.weights.size
    return total
