"""Sources: what drives a network without an Input."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from neuro.errors import GraphError
from neuro.graph.fields import Parameter, as_parameter, as_whole, first_position, position_text
from neuro.graph.node import Node

__all__ = ["PoissonSource", "MOST_EVENTS", "check_rate"]

MOST_EVENTS = 100.0  # expected events in a step: beyond, the table of the distribution would grow long


@dataclass(frozen=True, eq=False, repr=False)
class PoissonSource(Node):
    """Independent Poisson processes: in each step, entry `i` is `weight` times the number of its events.

    The number of events is Poisson distributed with mean ``rate_hz * dt_s``. It is drawn from a hash of
    (seed, step, entry), so it depends neither on how a run is split nor on the number of threads.

    Attributes
    ----------
    rate_hz : float or float32 array, shape (n,)
        Rate of each process in Hz, > 0, at most 100 events per step.
    n : int
        Number of processes.
    seed : int
        From 0 to 2**63 - 1. Sources with one seed give the same events.
    weight : float
        Value of an event, not 0; 1 makes the entries counts.

    Raises
    ------
    GraphError
        If a rate is not positive, a value is not finite or the weight 0, or `n` or `seed` is no such number.

    Notes
    -----
    It leads into a SparseLinear, or straight into a population of `n` neurons, whose sums then begin with its
    entries (the excitatory receptor). Error: probabilities are rounded to multiples of 2**-32.

    Examples
    --------
    >>> PoissonSource(8.0, n=100, seed=1)
    PoissonSource(rate_hz=8.0, n=100, seed=1, weight=1.0)
    """

    rate_hz: Parameter
    n: int
    seed: int
    _: KW_ONLY
    weight: float = 1.0

    def __post_init__(self) -> None:
        owner = "PoissonSource"
        self._set("n", as_whole(owner, "n", self.n, least=1))
        self._set("seed", as_whole(owner, "seed", self.seed, least=0))
        if self.seed >= 2**63:
            raise GraphError(f"{owner}: seed must be below 2**63, got {self.seed}")
        rate = as_parameter(owner, "rate_hz", self.rate_hz)
        if isinstance(rate, np.ndarray) and rate.shape != (self.n,):
            raise GraphError(f"{owner}: rate_hz must be a number or have shape ({self.n},), got {rate.shape}")
        wrong = np.atleast_1d(np.asarray(rate) <= 0)
        if wrong.any():
            where = position_text(first_position(wrong)) if isinstance(rate, np.ndarray) else ""
            value = np.atleast_1d(np.asarray(rate))[first_position(wrong)]
            raise GraphError(f"{owner}: rate_hz must be > 0 Hz, got rate_hz{where} = {value}")
        self._set("rate_hz", rate)
        weight = as_parameter(owner, "weight", self.weight)
        if not isinstance(weight, float):
            raise GraphError(
                f"{owner}: weight must be one number, got shape {weight.shape}; use a SparseLinear"
            )
        if np.float32(weight) == 0:
            raise GraphError(f"{owner}: weight must not be 0 in float32, got {weight}; leave the source out")
        self._set("weight", weight)


def check_rate(owner: str, node: PoissonSource, dt_s: float) -> None:
    """Refuse a rate of more events per step than the table of the distribution holds."""
    rates = np.atleast_1d(np.asarray(node.rate_hz, np.float64))
    if rates.max() * dt_s > MOST_EVENTS:
        j = int(np.argmax(rates))
        raise GraphError(
            f"{owner}: rate_hz must be at most {MOST_EVENTS / dt_s:g} Hz ({MOST_EVENTS:g} events per step), got "
            f"{rates[j]:g} Hz; use several sources or a smaller dt_s"
        )
