"""Populations of sparse networks: conductance-based LIF, adaptive LIF and Izhikevich's neuron.

They run in clocked graphs whose synapses are :class:`SparseLinear`. The equations with their requirement
numbers: ``docs/graph-spec.md``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from neuro.graph.fields import Parameter
from neuro.graph.neurons import Comparison, SpikingNeuron

__all__ = ["CobaLIF", "AdaptiveLIF", "Izhikevich", "CobaUpdate"]

CobaUpdate = Literal["exponential", "euler"]


@dataclass(frozen=True, eq=False, repr=False)
class CobaLIF(SpikingNeuron):
    """Conductance LIF: ``tau_mem_s * dv/dt = (v_leak - v) + g_e * (v_exc - v) + g_i * (v_inh - v)``.

    The conductances, in units of the leak's, decay with ``tau_exc_s`` and ``tau_inh_s``; a spike adds its weight
    to `g_e` or `g_i`, as the `receptor` of its SparseLinear says (weights should be >= 0).

    One step: take the input; ``v <- v + (F / G) * (1 - exp(-(dt_s / tau_mem_s) * G))`` with ``F`` the right-hand side
    and ``G = 1 + g_e + g_i`` (``update='exponential'``: exact for conductances held during the step) or
    ``v <- v + a * F`` (``'euler'``); then ``g <- g * exp(-dt_s / tau)``; compare, reset, emit 1.

    Attributes
    ----------
    tau_mem_s, tau_exc_s, tau_inh_s : float or float32 array
        Time constants of membrane and conductances in seconds, > 0; an array has shape (N,).
    threshold : float or float32 array
        Firing threshold.
    v_leak, v_exc, v_inh : float or float32 array
        Reversal potentials of leak, excitation and inhibition.
    v_reset : float or float32 array
        Membrane after a spike.
    v_start : float or float32 array, or None
        Membrane before the first step; None: `v_leak`.
    g_exc_start, g_inh_start : float or float32 array
        Conductances before the first step.
    update : {'exponential', 'euler'}
        How a step is computed.
    comparison : {'>', '>='}
        Whether ``v == threshold`` fires.
    refractory_s : float
        How long after a spike the membrane is held and not compared, in seconds: a multiple of ``dt_s``, >= 0.

    Raises
    ------
    GraphError
        If a time constant is not positive, a value is not finite or a word is unknown.

    Notes
    -----
    Source: the COBA benchmark of Brette et al., "Simulation of networks of spiking neurons" (2007), benchmark 1.

    Examples
    --------
    >>> CobaLIF(0.02, 0.005, 0.01, -0.05, v_leak=-0.06, v_reset=-0.06, v_exc=0.0, v_inh=-0.08).update
    'exponential'
    """

    tau_mem_s: Parameter
    tau_exc_s: Parameter
    tau_inh_s: Parameter
    threshold: Parameter
    _: KW_ONLY
    v_leak: Parameter
    v_exc: Parameter
    v_inh: Parameter
    v_reset: Parameter
    v_start: Parameter | None = None
    g_exc_start: Parameter = 0.0
    g_inh_start: Parameter = 0.0
    update: CobaUpdate = "exponential"
    comparison: Comparison = ">"
    refractory_s: float = 0.0

    def __post_init__(self) -> None:
        self._check_parameters("tau_mem_s", "tau_exc_s", "tau_inh_s", "threshold", "v_leak", "v_exc", "v_inh")
        self._check_parameters("v_reset", "g_exc_start", "g_inh_start")
        self._check_update(("exponential", "euler"))
        self._check_spiking()


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveLIF(SpikingNeuron):
    """Adaptive LIF: ``tau_mem_s * dv/dt = (v_leak - v) + I - w``, fires at ``v > threshold + theta``.

    ``tau_adapt_s * dw/dt = -w`` and ``tau_threshold_s * dtheta/dt = -theta``; a spike adds `adapt_jump` to the
    adaptation current w and `threshold_jump` to the threshold's offset theta. Either may be 0.

    One step, exact for an input that is held during the step: ``v <- (v + a * ((I + v_leak) - v)) - c * w``,
    ``w <- w * exp(-dt_s / tau_adapt_s)``, ``theta <- theta * exp(-dt_s / tau_threshold_s)``; compare, reset, jump,
    emit 1.

    Attributes
    ----------
    tau_mem_s, tau_adapt_s : float or float32 array
        Time constants of membrane and adaptation current in seconds, > 0; an array has shape (N,).
    adapt_jump : float or float32 array
        What a spike adds to the adaptation current.
    threshold : float or float32 array
        Firing threshold of a neuron that has not fired.
    tau_threshold_s : float or float32 array
        Time constant of the threshold's offset in seconds, > 0.
    threshold_jump : float or float32 array
        What a spike adds to the threshold.
    v_leak, v_reset : float or float32 array
        Value to which the membrane decays, and its value after a spike.
    v_start : float or float32 array, or None
        Membrane before the first step; None: `v_leak`.
    refractory_s : float
        How long after a spike the membrane is held and not compared, in seconds: a multiple of ``dt_s``, >= 0.

    Raises
    ------
    GraphError
        If a time constant is not positive or a value is not finite.

    Notes
    -----
    Source: the adaptation current is the `w` of Brette and Gerstner's adaptive exponential model (2005) without
    the exponential and the coupling to the membrane; the adaptive threshold is that of Bellec et al. (2018).

    Examples
    --------
    >>> AdaptiveLIF(0.02, 0.1, 0.5).threshold_jump
    0.0
    """

    tau_mem_s: Parameter
    tau_adapt_s: Parameter
    adapt_jump: Parameter
    threshold: Parameter = 1.0
    _: KW_ONLY
    tau_threshold_s: Parameter = 0.1
    threshold_jump: Parameter = 0.0
    v_leak: Parameter = 0.0
    v_reset: Parameter = 0.0
    v_start: Parameter | None = None
    refractory_s: float = 0.0

    def __post_init__(self) -> None:
        self._check_parameters("tau_mem_s", "tau_adapt_s", "adapt_jump", "threshold", "tau_threshold_s")
        self._check_parameters("threshold_jump", "v_leak", "v_reset")
        self._check_spiking()


@dataclass(frozen=True, eq=False, repr=False)
class Izhikevich(SpikingNeuron):
    """Izhikevich's neuron, in his units: ``dv/dt = 0.04 v^2 + 5 v + 140 - u + I``, ``du/dt = a (b v - u)``, ms and mV.

    One step is one Euler step of ``h = dt_s / 1 ms`` for both, from the old values:
    ``v <- v + h * (((((0.04 * v) * v + 5 * v) + 140) - u) + (I + drive))``, ``u <- u + (h * a) * (b * v - u)``; then
    compare with `threshold`, set ``v = c`` and ``u = u + d``, emit 1.

    Attributes
    ----------
    a, b, c, d : float or float32 array
        Rate and sensitivity of the recovery u, reset of v, jump of u; an array has shape (N,).
    drive : float or float32 array
        Constant input.
    threshold : float or float32 array
        Where a spike is cut off, in mV.
    v_start, u_start : float or float32 array
        Values before the first step.
    comparison : {'>', '>='}
        Whether ``v == threshold`` fires.
    refractory_s : float
        How long after a spike the membrane is held and not compared, in seconds: a multiple of ``dt_s``, >= 0.

    Raises
    ------
    GraphError
        If a value is not finite or a word is unknown.

    Notes
    -----
    Source: Izhikevich, "Simple model of spiking neurons" (2003). His published script takes two half steps for v
    at 1 ms; a smaller ``dt_s`` does the same and more.

    Examples
    --------
    >>> Izhikevich(0.02, 0.2, -65.0, 8.0, drive=10.0).comparison
    '>='
    """

    a: Parameter
    b: Parameter
    c: Parameter
    d: Parameter
    _: KW_ONLY
    drive: Parameter = 0.0
    threshold: Parameter = 30.0
    v_start: Parameter = -65.0
    u_start: Parameter = -13.0
    comparison: Comparison = ">="
    refractory_s: float = 0.0

    def __post_init__(self) -> None:
        self._check_parameters("a", "b", "c", "d", "drive", "threshold", "u_start")
        self._check_spiking()
