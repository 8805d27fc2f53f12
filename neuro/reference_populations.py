"""The populations of a network as the reference has them: their variables, and what a step does with them.

``docs/graph-spec.md`` in plain NumPy; the comments name the requirements.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import IF, AdaptiveLIF, Clocked, CobaLIF, CubaLIF, Izhikevich

__all__ = ["Population"]

Reals = NDArray[Any]
_TINY = 2.0**-100


class Population:
    """The variables of a population: the membrane first, then what synapses add to.

    Parameters
    ----------
    node : Population of `neuro.graph`
        Its neurons.
    shape : tuple of int
        How many.
    dt_s : float
        Length of a step in seconds.
    real : type
        float32 or float64, the arithmetic.
    """

    def __init__(self, node: Any, shape: tuple[int, ...], dt_s: float, real: Any) -> None:
        self.node, self.dt_s, self.real = node, dt_s, real
        self.held = np.zeros(shape, np.int64)
        self.variables: dict[str, Reals] = {
            key: np.full(shape, value, np.float64).astype(real) for key, value in _start(node).items()
        }

    def add(self, receptor: str, at: Any, values: Reals) -> None:
        """Add what arrives at some neurons, one after the other."""
        total = list(self.variables.values())[2 if receptor == "inhibitory" else 1]
        np.add.at(total, at, values)

    def update(self) -> NDArray[np.bool_]:
        """Update, compare, reset (R120, R127 to R129); return who fires."""
        node, variables = self.node, self.variables
        before = variables["v"]
        v = self._moved()
        if "I" in variables:
            variables["I"][:] = 0
        is_held = self.held > 0
        v = np.where(is_held, before, v)
        threshold = self._real(node.threshold)
        if isinstance(node, AdaptiveLIF):
            threshold = threshold + variables["theta"]
        over: NDArray[np.bool_] = (
            v >= threshold if getattr(node, "comparison", ">") == ">=" else v > threshold
        )
        fires = over & ~is_held
        variables["v"] = np.where(fires, self._after(v), v)
        if isinstance(node, AdaptiveLIF):
            variables["w"] = np.where(fires, variables["w"] + self._real(node.adapt_jump), variables["w"])
            jumped = variables["theta"] + self._real(node.threshold_jump)
            variables["theta"] = np.where(fires, jumped, variables["theta"])
        if isinstance(node, Izhikevich):
            variables["u"] = np.where(fires, variables["u"] + self._real(node.d), variables["u"])
        n_held = Clocked(self.dt_s).steps(node.refractory_s)
        self.held = np.where(fires, n_held, self.held - is_held)
        return fires

    def _moved(self) -> Reals:
        node, variables = self.node, self.variables
        before = variables["v"]
        if isinstance(node, CobaLIF):
            return self._coba(node)
        if isinstance(node, CubaLIF):
            return self._cuba(node)
        if isinstance(node, AdaptiveLIF):
            return self._adaptive(node)
        if isinstance(node, Izhikevich):
            return self._izhikevich(node)
        if isinstance(node, IF):
            return np.asarray(before + variables["I"])
        if node.update == "decay":
            return np.asarray(self._factor(node.tau_mem_s) * before + variables["I"])
        leak = self._real(node.v_leak)
        return np.asarray(before + self._factor(node.tau_mem_s) * ((variables["I"] + leak) - before))

    def _after(self, v: Reals) -> Any:
        node = self.node
        reset = getattr(node, "reset", "value")
        if reset == "value":
            return self._real(node.c if isinstance(node, Izhikevich) else node.v_reset)
        return self._real(node.threshold) if reset == "clamp" else v - self._real(node.threshold)

    def _cuba(self, node: CubaLIF) -> Reals:
        variables = self.variables
        v, leak = variables["v"], self._real(node.v_leak)
        taus = {"i": node.tau_syn_s} | ({} if node.tau_inh_s is None else {"i_inh": node.tau_inh_s})
        if node.update == "exact":
            v = v + self._real(-np.expm1(-self.dt_s / np.float64(node.tau_mem_s))) * (leak - v)
            for name, tau in taus.items():
                v = v + self._coupling(node.tau_mem_s, tau) * variables[name]
                variables[name] = _decayed(self._decay(tau), variables[name])
            return np.asarray(v)
        total = variables["i"] if node.tau_inh_s is None else variables["i"] + variables["i_inh"]
        v = v + self._factor(node.tau_mem_s) * ((leak - v) + total)
        for name, tau in taus.items():
            variables[name] = variables[name] - self._factor(tau) * variables[name]
        return np.asarray(v)

    def _coba(self, node: CobaLIF) -> Reals:
        variables = self.variables
        v, e, i = variables["v"], variables["g_exc"], variables["g_inh"]
        leak, v_exc, v_inh = map(self._real, (node.v_leak, node.v_exc, node.v_inh))
        f = ((leak - v) + e * (v_exc - v)) + i * (v_inh - v)
        if node.update == "euler":
            v = v + self._factor(node.tau_mem_s) * f
        else:
            g = (self.real(1) + e) + i
            x = self._real(self.dt_s / np.float64(node.tau_mem_s)) * g
            v = v + (f / g) * _one_minus_exp(np.minimum(x, self.real(64)) / self.real(64), self.real)
        variables["g_exc"] = _decayed(self._decay(node.tau_exc_s), e)
        variables["g_inh"] = _decayed(self._decay(node.tau_inh_s), i)
        return np.asarray(v)

    def _adaptive(self, node: AdaptiveLIF) -> Reals:
        variables = self.variables
        v, w = variables["v"], variables["w"]
        a = self._real(-np.expm1(-self.dt_s / np.float64(node.tau_mem_s)))
        free = v + a * ((variables["I"] + self._real(node.v_leak)) - v)
        v = free - self._coupling(node.tau_mem_s, node.tau_adapt_s) * w
        variables["w"] = _decayed(self._decay(node.tau_adapt_s), w)
        variables["theta"] = _decayed(self._decay(node.tau_threshold_s), variables["theta"])
        return np.asarray(v)

    def _izhikevich(self, node: Izhikevich) -> Reals:
        variables, real = self.variables, self.real
        v, u = variables["v"], variables["u"]
        h = self.dt_s / 1e-3
        f = (((real(0.04) * v) * v + real(5) * v) + real(140)) - u
        f = f + (variables["I"] + self._real(node.drive))
        variables["u"] = u + self._real(h * np.float64(node.a)) * (self._real(node.b) * v - u)
        return np.asarray(v + real(h) * f)

    def _real(self, value: Any) -> Any:
        return np.asarray(value, np.float64).astype(self.real)

    def _factor(self, tau_s: Any) -> Any:
        """`a`, `alpha` or `b` of R23."""
        tau = np.float64(tau_s)
        if self.node.update == "euler":
            return self.real(self.dt_s) * self._real(1 / tau)
        factor = np.exp(-self.dt_s / tau)
        return self._real(1 - factor if self.node.update == "exponential" else factor)

    def _decay(self, tau_s: Any) -> Any:
        return self._real(np.exp(-self.dt_s / np.float64(tau_s)))

    def _coupling(self, tau_mem_s: Any, tau_s: Any) -> Any:
        """`c` of R127: what a current of 1 that decays adds to the membrane in a step."""
        dt_s, tau_mem, tau = self.dt_s, np.float64(tau_mem_s), np.float64(tau_s)
        z = np.asarray(dt_s * (1 / tau_mem - 1 / tau))
        quotient = np.where(z == 0, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z))
        return self._real(dt_s / tau_mem * np.exp(-dt_s / tau_mem) * quotient)


def _start(node: Any) -> dict[str, Any]:
    """The variables before the first step, by name."""
    leak = 0.0 if isinstance(node, IF) else getattr(node, "v_leak", 0.0)
    start = getattr(node, "v_start", None)
    values: dict[str, Any] = {"v": leak if start is None else start}
    if isinstance(node, CobaLIF):
        return values | {"g_exc": node.g_exc_start, "g_inh": node.g_inh_start}
    if isinstance(node, CubaLIF):
        return values | {"i": 0.0} | ({} if node.tau_inh_s is None else {"i_inh": 0.0})
    values |= {"I": 0.0}
    values |= {"w": 0.0, "theta": 0.0} if isinstance(node, AdaptiveLIF) else {}
    return values | ({"u": node.u_start} if isinstance(node, Izhikevich) else {})


def _decayed(factor: Any, values: Reals) -> Reals:
    """The values times a factor; what is smaller than 2**-100 becomes 0 (R127)."""
    return np.where(np.abs(values) >= values.dtype.type(_TINY), factor * values, values.dtype.type(0))


def _one_minus_exp(x: Reals, real: Any) -> Reals:
    """1 - exp(-64 x) by R128: a polynomial, then six doublings."""
    q = real(-1 / 40320)
    for coefficient in (1 / 5040, -1 / 720, 1 / 120, -1 / 24, 1 / 6, -1 / 2, 1.0):
        q = real(coefficient) + x * q
    q = x * q
    for _ in range(6):
        q = q * (real(2) - q)
    return np.asarray(q)
