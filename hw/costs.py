"""Time and energy of a mapped network, priced from counted operations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hw.core_work import CoreWork
from hw.placement import Placement
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
        Mean time of a step: in each one the core that is busiest in it, and the barrier.
    slowest_step_time_s : float
        Time of the slowest step.
    inference_energy_j, inference_time_s : float
        Of a whole recording, on average.
    busiest_core : int
        The core with the most to do over all steps.
    counts : dict of str to float
        Operations per step by the table's terms.
    unpriced : tuple of str
        What is not in these numbers.
    busy_s : float64, shape (n_cores,)
        Mean time that each core is busy in a step.
    """

    table: PriceTable
    step_energy_j: float
    step_time_s: float
    slowest_step_time_s: float
    inference_energy_j: float
    inference_time_s: float
    busiest_core: int
    counts: dict[str, float]
    unpriced: tuple[str, ...]
    busy_s: NDArray[np.float64] = field(repr=False)


def price(work: CoreWork, placement: Placement, table: PriceTable) -> Cost:
    """Price the mean step of some runs.

    Parameters
    ----------
    work : CoreWork
        What each core does in each step.
    placement : Placement
        Where the cores lie.
    table : PriceTable
        Prices.

    Returns
    -------
    Cost
        Energy and time.
    """
    by_term = work.by_term()
    n_steps = work.n_steps
    counts = {term: float(values.sum()) / n_steps for term, values in by_term.items()}
    counts |= {"hop_columns": placement.hops_by_column, "hop_rows": placement.hops_by_row}
    energy = sum(table.energy_j.get(term, 0.0) * count for term, count in counts.items())
    busy = np.zeros(work.operations.shape)
    for term, values in by_term.items():
        busy += table.time_s.get(term, 0.0) * values
    barrier = table.barrier_time_s(placement.n_tiles) or 0.0
    times = busy.max(axis=0, initial=0.0) + barrier
    time = float(times.mean()) if n_steps else barrier
    per_inference = n_steps / work.n_runs if work.n_runs else 1.0
    by_core = busy.mean(axis=1)
    unpriced = table.unpriced()
    if placement.n_chips > 1:
        unpriced = (*unpriced, "ways and barriers between chips")
    return Cost(
        table, energy, time, float(times.max(initial=barrier)), energy * per_inference, time * per_inference,
        int(by_core.argmax()) if by_core.size else 0, counts, unpriced, by_core,
    )  # fmt: skip
