"""Populations as the kernels' models: which fields and parameters each has, computed in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import IF, LIF, AdaptiveLIF, CobaLIF, CubaLIF, Izhikevich
from neuro.kernels import networks as nw

__all__ = ["Population", "Model", "lower_population"]

Population = IF | LIF | CubaLIF | CobaLIF | AdaptiveLIF | Izhikevich
Values = Any  # a number or an array (n,), in double precision


@dataclass(frozen=True)
class Model:
    """A population in numbers.

    Attributes
    ----------
    number : int
        The kernel's model.
    start : mapping of str to number or array
        The variables before the first step, in the order of the fields of the state.
    parameters : tuple of number or array
        The fields of the parameters.
    is_subtracting : bool
        Whether a spike takes the reset off the membrane.
    """

    number: int
    start: dict[str, Values]
    parameters: tuple[Values, ...]
    is_subtracting: bool


def lower_population(node: Population, dt_s: float, real: type[np.floating[Any]]) -> Model:
    """Return the model of a population for steps of `dt_s`, in the arithmetic of `real`."""
    if isinstance(node, CobaLIF):
        return _coba(node, dt_s, real)
    if isinstance(node, AdaptiveLIF):
        return _adaptive(node, dt_s)
    if isinstance(node, Izhikevich):
        h = dt_s / 1e-3
        common = (_fire_above(node, real), node.c, node.d, 0.0)
        fields = (h, h * np.asarray(node.a, np.float64), node.b, node.drive)
        return Model(
            nw.IZHIKEVICH, {"v": node.v_start, "I": 0.0, "u": node.u_start}, (*common, *fields), False
        )
    common = (_fire_above(node, real), node.v_reset if node.reset == "value" else node.threshold, 0.0, 0.0)
    is_subtracting = node.reset == "subtract"
    if isinstance(node, IF):
        return Model(nw.IF, {"v": 0.0, "I": 0.0}, common, is_subtracting)
    v_start = node.v_leak if node.v_start is None else node.v_start
    if isinstance(node, CubaLIF):
        number, factors = _cuba(node, dt_s, real)
        start = {"v": v_start, "i": 0.0} | ({} if node.tau_inh_s is None else {"i_inh": 0.0})
        return Model(number, start, (*common, *factors), is_subtracting)
    factor = step_factor(node.update, node.tau_mem_s, dt_s, real)
    own: tuple[Values, ...] = (factor,) if node.update == "decay" else (factor, node.v_leak)
    number = nw.DECAY if node.update == "decay" else nw.LIF
    return Model(number, {"v": v_start, "I": 0.0}, (*common, *own), is_subtracting)


def _fire_above(node: Any, real: type[np.floating[Any]]) -> Values:
    """The threshold for a comparison with ``>``: for ``>=`` the next number below."""
    threshold = np.asarray(node.threshold).astype(real)
    return threshold if node.comparison == ">" else np.nextafter(threshold, real(-np.inf))


def step_factor(update: str, tau_s: Values, dt_s: float, real: type[np.floating[Any]]) -> Values:
    """`a`, `alpha` or `b` of R23, in the arithmetic of `real`."""
    tau = np.asarray(tau_s, np.float64)
    if update == "euler":
        return real(dt_s) * (1 / tau).astype(real)
    ratio = np.exp(-dt_s / tau)
    return ratio if update == "decay" else 1 - ratio


def _decay(tau_s: Values, dt_s: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-dt_s / np.asarray(tau_s, np.float64)))


def _coupling(tau_mem_s: Values, tau_s: Values, dt_s: float) -> NDArray[np.float64]:
    """What a current of 1 that decays adds to the membrane in a step, exactly, also for equal time constants."""
    tau_mem, tau = np.asarray(tau_mem_s, np.float64), np.asarray(tau_s, np.float64)
    z = np.asarray(dt_s * (1 / tau_mem - 1 / tau))
    quotient = np.divide(np.expm1(z), z, out=np.ones_like(z), where=z != 0)
    return np.asarray(dt_s / tau_mem * np.exp(-dt_s / tau_mem) * quotient)


def _cuba(node: CubaLIF, dt_s: float, real: type[np.floating[Any]]) -> tuple[int, tuple[Values, ...]]:
    taus = (node.tau_syn_s,) if node.tau_inh_s is None else (node.tau_syn_s, node.tau_inh_s)
    if node.update == "exact":
        a = -np.expm1(-dt_s / np.asarray(node.tau_mem_s, np.float64))
        pairs = ((_decay(tau, dt_s), _coupling(node.tau_mem_s, tau, dt_s)) for tau in taus)
        return (nw.EXACT if len(taus) == 1 else nw.EXACT_TWO), (a, node.v_leak, *sum(pairs, ()))
    factors = [step_factor(node.update, tau, dt_s, real) for tau in (node.tau_mem_s, *taus)]
    return (nw.CUBA if len(taus) == 1 else nw.CUBA_TWO), (factors[0], node.v_leak, *factors[1:])


def _coba(node: CobaLIF, dt_s: float, real: type[np.floating[Any]]) -> Model:
    tau_mem = np.asarray(node.tau_mem_s, np.float64)
    number = nw.COBA if node.update == "exponential" else nw.COBA_EULER
    rate = dt_s / tau_mem if node.update == "exponential" else step_factor("euler", tau_mem, dt_s, real)
    common = (_fire_above(node, real), node.v_reset, 0.0, 0.0)
    own = (
        node.v_leak,
        node.v_exc,
        node.v_inh,
        rate,
        _decay(node.tau_exc_s, dt_s),
        _decay(node.tau_inh_s, dt_s),
    )
    v_start = node.v_leak if node.v_start is None else node.v_start
    start = {"v": v_start, "g_exc": node.g_exc_start, "g_inh": node.g_inh_start}
    return Model(number, start, (*common, *own), False)


def _adaptive(node: AdaptiveLIF, dt_s: float) -> Model:
    common = (node.threshold, node.v_reset, node.adapt_jump, node.threshold_jump)
    own = (
        -np.expm1(-dt_s / np.asarray(node.tau_mem_s, np.float64)),
        node.v_leak,
        _coupling(node.tau_mem_s, node.tau_adapt_s, dt_s),
        _decay(node.tau_adapt_s, dt_s),
        _decay(node.tau_threshold_s, dt_s),
    )
    v_start = node.v_leak if node.v_start is None else node.v_start
    start = {"v": v_start, "I": 0.0, "w": 0.0, "theta": 0.0}
    return Model(nw.ADAPTIVE, start, (*common, *own), False)
