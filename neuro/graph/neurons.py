"""Neurons: IF, LIF, current-based LIF and the leaky integrator.

One step of a spiking neuron: update, compare, reset, emit 1. All arithmetic is float32; each product is
rounded before it is added. The equations with their requirement numbers: ``docs/graph-spec.md``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np

from neuro.errors import GraphError
from neuro.graph.fields import Parameter, as_choice, as_float, as_parameter, as_time_constant, check_positive
from neuro.graph.node import Node, later

__all__ = [
    "Neuron",
    "SpikingNeuron",
    "IF",
    "LIF",
    "CubaLIF",
    "LI",
    "Reset",
    "Comparison",
    "Update",
    "CubaUpdate",
]

Reset = Literal["value", "subtract", "clamp"]
Comparison = Literal[">", ">="]
Update = Literal["euler", "exponential", "decay"]
CubaUpdate = Literal["euler", "exponential", "exact"]

_RESETS = ("value", "subtract", "clamp")
_COMPARISONS = (">", ">=")


class Neuron(Node):
    """Base of all neurons: the checks that they share."""

    def _check_parameters(self, *names: str) -> None:
        owner = type(self).__name__
        for name in names:
            check = as_time_constant if name.startswith("tau") else as_parameter
            self._set(name, check(owner, name, getattr(self, name)))

    def _check_update(self, choices: tuple[str, ...]) -> None:
        owner = type(self).__name__
        update = as_choice(owner, "update", self.update, choices)  # type: ignore[attr-defined]
        self._set("update", update)
        if update == "decay" and np.any(self.v_leak):  # type: ignore[attr-defined]
            raise GraphError(f"{owner}: v_leak must be 0 with update='decay', got {self.v_leak!r}")  # type: ignore[attr-defined]


class SpikingNeuron(Neuron):
    """Base of all neurons that fire."""

    def _check_reset(self) -> None:
        owner = type(self).__name__
        reset = as_choice(owner, "reset", self.reset, _RESETS)  # type: ignore[attr-defined]
        self._set("reset", reset)
        if reset != "value" and np.any(self.v_reset):  # type: ignore[attr-defined]
            raise GraphError(f"{owner}: v_reset has no meaning with reset={reset!r}, leave it at 0")
        if reset == "subtract":
            check_positive(owner, "threshold", self.threshold)  # type: ignore[attr-defined]
        self._check_spiking()

    def _check_spiking(self) -> None:
        owner = type(self).__name__
        if hasattr(self, "comparison"):
            self._set("comparison", as_choice(owner, "comparison", self.comparison, _COMPARISONS))
        if getattr(self, "v_start", None) is not None:
            self._check_parameters("v_start")
        refractory_s = as_float(owner, "refractory_s", self.refractory_s)  # type: ignore[attr-defined]
        if refractory_s < 0:
            raise GraphError(f"{owner}: refractory_s must be >= 0 s, got {refractory_s}")
        self._set("refractory_s", refractory_s)


@dataclass(frozen=True, eq=False, repr=False)
class IF(SpikingNeuron):
    """Integrate-and-fire neuron: ``v <- v + I``.

    Then compare with `threshold`, reset, emit 1. It starts at ``v = 0``.

    Attributes
    ----------
    threshold : float or float32 array
        Firing threshold; an array has shape (C, 1, 1), (C, H, W) or (N,).
    v_reset : float or float32 array
        Membrane after a spike with ``reset='value'``; otherwise it must stay 0.
    reset : {'value', 'subtract', 'clamp'}
        ``v = v_reset``, ``v = v - threshold`` or ``v = threshold``.
    comparison : {'>', '>='}
        Whether ``v == threshold`` fires.
    refractory_s : float
        How long after a spike the membrane is held and not compared, in seconds, >= 0. In a clocked graph it
        must be a whole multiple of ``dt_s``.

    Raises
    ------
    GraphError
        If a value is not finite or a word is unknown.

    Examples
    --------
    >>> IF(1.0, reset="subtract", comparison=">=").reset
    'subtract'
    """

    threshold: Parameter = 1.0
    v_reset: Parameter = 0.0
    _: KW_ONLY
    reset: Reset = "value"
    comparison: Comparison = ">"
    refractory_s: float = later(0.0)

    def __post_init__(self) -> None:
        self._check_parameters("threshold", "v_reset")
        self._check_reset()


@dataclass(frozen=True, eq=False, repr=False)
class LIF(SpikingNeuron):
    """Leaky integrate-and-fire neuron, ``tau_mem_s * dv/dt = (v_leak - v) + I``.

    In clocked graphs ``v <- v + a * ((I + v_leak) - v)`` with ``a = float32(dt_s) * float32(1 / tau_mem_s)``
    (``update='euler'``) or ``a = float32(1 - exp(-dt_s / tau_mem_s))`` (``'exponential'``), or
    ``v <- alpha * v + I`` with ``alpha = float32(exp(-dt_s / tau_mem_s))`` (``'decay'``).
    Then compare with `threshold`, reset, emit 1. It starts at `v_leak`.

    Attributes
    ----------
    tau_mem_s : float or float32 array
        Membrane time constant in seconds, > 0; an array has shape (C, 1, 1), (C, H, W) or (N,).
    threshold : float or float32 array
        Firing threshold.
    v_leak : float or float32 array
        Value to which the membrane decays; 0 with ``update='decay'``.
    v_reset : float or float32 array
        Membrane after a spike with ``reset='value'``; otherwise it must stay 0.
    update : {'euler', 'exponential', 'decay'}
        How a clocked step is computed.
    reset : {'value', 'subtract', 'clamp'}
        ``v = v_reset``, ``v = v - threshold`` or ``v = threshold``.
    comparison : {'>', '>='}
        Whether ``v == threshold`` fires.
    refractory_s : float
        How long after a spike the membrane is held and not compared, in seconds, >= 0. In a clocked graph it
        must be a whole multiple of ``dt_s``.
    v_start : float or float32 array, or None
        Membrane before the first step; None: `v_leak`. A value makes a network of populations (as does a
        refractory period): it is not computed in layers yet.

    Raises
    ------
    GraphError
        If a time constant is not positive, a value is not finite or a word is unknown.

    Notes
    -----
    Source: 'euler' is norse 1.1.0's LIFBox step; 'decay' with reset to 0 is the neuron of TA-SNN
    (Yao et al., ICCV 2021), whose public code clamps instead.

    Examples
    --------
    >>> LIF(0.01).threshold
    1.0
    >>> LIF(-0.01)
    Traceback (most recent call last):
    neuro.errors.GraphError: LIF: tau_mem_s must be > 0 s, got -0.01
    """

    tau_mem_s: Parameter
    threshold: Parameter = 1.0
    _: KW_ONLY
    v_leak: Parameter = 0.0
    v_reset: Parameter = 0.0
    update: Update = "euler"
    reset: Reset = "value"
    comparison: Comparison = ">"
    refractory_s: float = later(0.0)
    v_start: Parameter | None = later(None)

    def __post_init__(self) -> None:
        self._check_parameters("tau_mem_s", "threshold", "v_leak", "v_reset")
        self._check_update(("euler", "exponential", "decay"))
        self._check_reset()


@dataclass(frozen=True, eq=False, repr=False)
class CubaLIF(SpikingNeuron):
    """Current LIF: ``tau_syn_s * di/dt = -i``, ``tau_mem_s * dv/dt = (v_leak - v) + i``; input adds to i.

    In clocked graphs ``i <- i + I``, ``v <- v + a * ((v_leak - v) + i)``, ``i <- i - b * i`` with
    ``a = float32(dt_s) * float32(1 / tau_mem_s)`` (``update='euler'``) or
    ``float32(1 - exp(-dt_s / tau_mem_s))`` (``'exponential'``), and ``b`` likewise from `tau_syn_s`.
    Then compare with `threshold`, reset v, emit 1. It starts at ``v = v_leak``, ``i = 0``.

    Attributes
    ----------
    tau_mem_s, tau_syn_s : float or float32 array
        Time constants of membrane and synapse in seconds, > 0.
    threshold : float or float32 array
        Firing threshold.
    v_leak : float or float32 array
        Value to which the membrane decays.
    v_reset : float or float32 array
        Membrane after a spike with ``reset='value'``; otherwise it must stay 0.
    update : {'euler', 'exponential', 'exact'}
        How a clocked step is computed; 'exact' follows the current within the step (networks of populations).
    reset : {'value', 'subtract', 'clamp'}
        ``v = v_reset``, ``v = v - threshold`` or ``v = threshold``.
    comparison : {'>', '>='}
        Whether ``v == threshold`` fires.
    refractory_s : float
        How long after a spike the membrane is held and not compared, in seconds, >= 0. In a clocked graph it
        must be a whole multiple of ``dt_s``.
    v_start : float or float32 array, or None
        Membrane before the first step; None: `v_leak`. A value makes a network of populations (as does a
        refractory period): it is not computed in layers yet.
    tau_inh_s : float or float32 array, or None
        Time constant of a second, inhibitory current, > 0: synapses with ``receptor='inhibitory'`` add to it, both
        currents drive the membrane. None: one current. Likewise a matter of networks of populations.

    Raises
    ------
    GraphError
        If a time constant is not positive, a value is not finite or a word is unknown.

    Notes
    -----
    Source: 'euler' is norse 1.1.0's feed-forward LIF step.

    Examples
    --------
    >>> CubaLIF(0.01, 0.005).tau_syn_s
    0.005
    """

    tau_mem_s: Parameter
    tau_syn_s: Parameter
    threshold: Parameter = 1.0
    _: KW_ONLY
    v_leak: Parameter = 0.0
    v_reset: Parameter = 0.0
    update: CubaUpdate = "euler"
    reset: Reset = "value"
    comparison: Comparison = ">"
    refractory_s: float = later(0.0)
    v_start: Parameter | None = later(None)
    tau_inh_s: Parameter | None = later(None)

    def __post_init__(self) -> None:
        self._check_parameters("tau_mem_s", "tau_syn_s", "threshold", "v_leak", "v_reset")
        self._check_update(("euler", "exponential", "exact"))
        if self.tau_inh_s is not None:
            self._check_parameters("tau_inh_s")
        self._check_reset()


@dataclass(frozen=True, eq=False, repr=False)
class LI(Neuron):
    """Leaky integrator, a readout: ``tau_mem_s * dv/dt = (v_leak - v) + I``; its output is v itself.

    In clocked graphs ``v <- v + a * ((v_leak - v) + I)`` with ``a`` as in :class:`LIF`, or
    ``v <- alpha * v + I`` (``update='decay'``). It starts at `v_leak`.

    Attributes
    ----------
    tau_mem_s : float or float32 array
        Membrane time constant in seconds, > 0.
    v_leak : float or float32 array
        Value to which the membrane decays; 0 with ``update='decay'``.
    update : {'euler', 'exponential', 'decay'}
        How a clocked step is computed.

    Raises
    ------
    GraphError
        If a time constant is not positive, a value is not finite or a word is unknown.

    Examples
    --------
    >>> LI(0.02, update="decay").v_leak
    0.0
    """

    tau_mem_s: Parameter
    v_leak: Parameter = 0.0
    _: KW_ONLY
    update: Update = "euler"

    def __post_init__(self) -> None:
        self._check_parameters("tau_mem_s", "v_leak")
        self._check_update(("euler", "exponential", "decay"))
