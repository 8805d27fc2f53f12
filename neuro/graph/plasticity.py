"""Plasticity: how the weights of a SparseLinear change while a network runs."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.errors import GraphError
from neuro.graph.fields import as_float, as_time_constant, check_positive

__all__ = ["Stdp"]


@dataclass(frozen=True)
class Stdp:
    """Pair-based spike-timing dependent plasticity, all pairs, with exponential traces.

    Every input has a trace x that a spike raises by `a_plus`, every neuron a trace y that a spike raises by
    `a_minus`; they decay with `tau_plus_s` and `tau_minus_s`. A spike of the neuron changes ``w <- w + x``, a spike
    that arrives ``w <- w - y``; both are clipped to ``0 <= w <= w_max``, and clips are counted. The delay is
    axonal: the input's spike counts when it arrives, the neuron's when it is fired.

    Attributes
    ----------
    tau_plus_s, tau_minus_s : float
        Time constants of the traces of inputs and of neurons in seconds, > 0.
    a_plus, a_minus : float
        Jumps of the traces, in units of the weight, >= 0.
    w_max : float
        Largest weight, > 0; the smallest is 0.

    Raises
    ------
    GraphError
        If a value is not finite or out of range.

    Notes
    -----
    Source: Song, Miller and Abbott, "Competitive Hebbian learning through spike-timing-dependent synaptic
    plasticity" (2000), equations 1 and 2.

    Examples
    --------
    >>> Stdp(0.02, 0.02, a_plus=0.01, a_minus=0.0105, w_max=1.0).w_max
    1.0
    """

    tau_plus_s: float
    tau_minus_s: float
    a_plus: float
    a_minus: float
    w_max: float

    def __post_init__(self) -> None:
        for name in ("tau_plus_s", "tau_minus_s", "a_plus", "a_minus", "w_max"):
            value = as_float("Stdp", name, getattr(self, name))
            object.__setattr__(self, name, value)
            if name.startswith("tau"):
                as_time_constant("Stdp", name, value)
            elif name.startswith("a_") and value < 0:
                raise GraphError(f"Stdp: {name} must be >= 0, got {value}")
        check_positive("Stdp", "w_max", self.w_max)
