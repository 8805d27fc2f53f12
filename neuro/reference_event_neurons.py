"""Neurons of the reference for continuous time: one at a time, in plain numbers.

When a neuron will fire by itself is found by looking at one whole microsecond after the other. See
`neuro.reference_events`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import IF, LI, LIF, CubaLIF

__all__ = ["JumpNeurons", "TimedNeurons", "is_timed"]

F = np.float32
At = tuple[int, ...]
Node = IF | LIF | CubaLIF | LI
_NEAR = 1e-9  # what vectorised exponentials may differ from single ones, generously


def _whole(shape: At, value: Any) -> Any:
    return np.broadcast_to(np.asarray(value, np.float64), shape)


def _is_driven(node: IF | LIF | CubaLIF, rest: Any) -> Any:
    threshold = np.broadcast_to(F(node.threshold), rest.shape)
    return rest > threshold if node.comparison == ">" else rest >= threshold


def _rest(node: Node, drive: Any, kind: Any) -> Any:
    """R60, R90: where the membrane goes in silence."""
    leak = np.broadcast_to(F(0 if isinstance(node, IF) else node.v_leak), drive.shape)
    return leak.astype(kind) + drive.astype(kind)


def is_timed(node: Node, drive: NDArray[np.float32]) -> bool:
    """Whether a population is computed in double precision, with the times of its own spikes (R90)."""
    if isinstance(node, (CubaLIF, LI)) or node.refractory_s:
        return True
    return isinstance(node, LIF) and bool(_is_driven(node, _rest(node, drive, F)).any())


class JumpNeurons:
    """IF and LIF that fire at events only, in float32 (R58 to R60).

    Attributes
    ----------
    spikes, updates, lost : int
        Counts so far (R61).
    """

    is_readout = False

    def __init__(self, node: IF | LIF, drive: NDArray[np.float32], *, has_pixels: bool) -> None:
        self.node, self.shape, self.has_pixels = node, drive.shape, has_pixels
        self.rest = _rest(node, drive, F)
        self.v = self.rest.copy()
        self.last = np.zeros(self.shape[1:] if has_pixels else self.shape, np.int64)
        self.tau_s = _whole(self.shape, math.inf if isinstance(node, IF) else node.tau_mem_s)
        self.threshold, self.v_reset = (
            np.broadcast_to(F(value), self.shape) for value in (node.threshold, node.v_reset)
        )
        self.spikes = self.updates = self.lost = 0

    def dues(self) -> list[int]:
        """Return no times: nothing is fired without an event."""
        return []

    def fire_due(self, t: int) -> list[At]:
        """Return nothing: see `dues`."""
        return []

    def take(self, t: int, pixel: At, weights: list[tuple[int, Any]], x: float) -> list[tuple[At, float]]:
        """Let an event of value x reach channels of a pixel, and return what leaves."""
        reached = [channel for channel, _ in weights]
        for channel in range(self.shape[0]) if self.has_pixels else reached:
            self.v[(channel, *pixel)] = self.decayed((channel, *pixel), t)
            self.updates += 1
        for channel in reached:
            self.last[pixel if self.has_pixels else (channel, *pixel)] = t
        fired = []
        for channel, weight in weights:
            at = (channel, *pixel)
            self.v[at] = self.v[at] + weight * F(x)
            if self._fires(at):
                fired.append((at, 1.0))
        self.spikes += len(fired)
        return fired

    def decayed(self, at: At, t: int) -> Any:
        """Return the membrane at a time (R59)."""
        v = self.v[at]
        factor = _decay(t - int(self.last[at[1:] if self.has_pixels else at]), float(self.tau_s[at]))
        return v if factor == 1 else self.rest[at] + (v - self.rest[at]) * factor

    def _fires(self, at: At) -> bool:
        """Compare and reset one neuron."""
        threshold = self.threshold[at]
        is_above = self.v[at] > threshold if self.node.comparison == ">" else self.v[at] >= threshold
        if is_above:
            reset = {"value": self.v_reset[at], "subtract": self.v[at] - threshold, "clamp": threshold}
            self.v[at] = reset[self.node.reset]
        return bool(is_above)

    def membranes(self, t: int) -> NDArray[np.float64]:
        """Return all membranes at a time, without changing them (R152)."""
        last = self.last[np.newaxis] if self.has_pixels else self.last
        elapsed, tau_s = (np.broadcast_to(array, self.shape) for array in (t - last, self.tau_s))
        pairs = set(zip(elapsed.reshape(-1).tolist(), tau_s.reshape(-1).tolist(), strict=True))
        factors = {pair: _decay(*pair) for pair in pairs}
        each = zip(elapsed.reshape(-1).tolist(), tau_s.reshape(-1).tolist(), strict=True)
        factor = np.array([factors[pair] for pair in each], F).reshape(self.shape)
        found = np.where(factor == 1, self.v, self.rest + (self.v - self.rest) * factor)
        return np.asarray(found, np.float64)


def _decay(elapsed: int, tau_s: float) -> Any:
    """The factor of R59."""
    high, low = divmod(elapsed, 1024)
    rate = -1e-6 / tau_s
    return F(math.exp(1024 * high * rate) * math.exp(low * rate))


def _highest(tau_mem_s: Any, tau_syn_s: Any) -> Any:
    """The top of what a current that begins at 1 adds to a membrane at rest, with room for rounding.

    The membrane is highest where it equals the current, ``exp(-t / tau_syn)``, which for ``r = tau_syn / tau_mem``
    gives ``r**(1 / (1 - r))`` (1 / e for r = 1). For r near 1 the power is not precise: 1 is a bound always.
    """
    r = tau_syn_s / tau_mem_s
    is_near = np.abs(1 - r) < 1e-3
    safe = np.where(is_near | (r == 0), 0.5, r)
    return np.where(is_near, 1.0, np.where(r == 0, 0.0, safe ** (1 / (1 - safe)) * (1 + 1e-9)))


class TimedNeurons:
    """Neurons that may fire between events, hold still after a spike, or are read out (R90 to R98).

    Attributes
    ----------
    spikes, updates, lost : int
        Counts so far (R98).
    """

    def __init__(self, node: Node, drive: NDArray[np.float32]) -> None:
        self.node: Any = node
        self.shape = shape = drive.shape
        self.is_readout = isinstance(node, LI)
        self.is_current = isinstance(node, CubaLIF)
        self.rest = _rest(node, drive, np.float64)
        self.tau_mem_s = _whole(shape, math.inf if isinstance(node, IF) else node.tau_mem_s)
        self.tau_syn_s = _whole(shape, node.tau_syn_s if isinstance(node, CubaLIF) else 0)
        self.highest = _highest(self.tau_mem_s, self.tau_syn_s)
        self.v = self.rest.copy()
        self.i = np.zeros(shape)
        self.since = np.zeros(shape, np.int64)
        self.due: dict[At, int] = {}
        self.spikes = self.updates = self.lost = 0
        self.refractory_us = 0
        self.can_cross = self.is_current
        if not isinstance(node, LI):
            self.threshold = _whole(shape, F(node.threshold))
            self.v_reset = _whole(shape, F(node.v_reset))
            self.refractory_us = round(node.refractory_s * 1e6)
            if not isinstance(node, IF):
                self.driven = _is_driven(node, self.rest)
                self.v = np.where(self.driven, _whole(shape, F(node.v_leak)), self.rest)
                self.can_cross |= bool(self.driven.any())
        for at in np.ndindex(*shape):
            self._look_ahead(at)

    def dues(self) -> list[int]:
        """Return all times at which a neuron fires if nothing reaches it before."""
        return list(self.due.values())

    def _value(self, at: At, n: Any, exp: Any = math.exp, expm1: Any = math.expm1) -> Any:
        """The membrane n microseconds after `since` (R92)."""
        v, i, rest = self.v[at], self.i[at], self.rest[at]
        mem = -1e-6 / self.tau_mem_s[at]
        u = rest + (v - rest) * exp(n * mem)
        if not self.is_current or i == 0:
            return u
        syn = -1e-6 / self.tau_syn_s[at]
        slow, apart = max(mem, syn), abs(mem - syn)
        share = n * -mem if apart == 0 else -expm1(-apart * n) / apart * -mem
        return u + i * (share * exp(n * slow))

    def _fires(self, at: At, u: Any) -> bool:
        """The comparison."""
        return bool(u > self.threshold[at] if self.node.comparison == ">" else u >= self.threshold[at])

    def _look_ahead(self, at: At) -> None:
        """Look at every whole microsecond until the neuron fires, or nothing can happen any more (R93)."""
        self.due.pop(at, None)
        if not self.can_cross or not (self.is_current or self.driven[at]):
            return
        slowest_us = 1e6 * max(self.tau_mem_s[at], self.tau_syn_s[at])
        start = 1
        while start < 45 * slowest_us + 2 and not self._is_hopeless(at, start - 1):
            n = np.arange(start, start + max(64, start))
            near = self._value(at, n.astype(float), np.exp, np.expm1) > self.threshold[at] - _NEAR
            for k in n[near]:
                if self._fires(at, self._value(at, int(k))):
                    self.due[at] = int(self.since[at]) + int(k)
                    return
            start = int(n[-1]) + 1

    def _is_hopeless(self, at: At, n: int) -> bool:
        """Whether what is left after n microseconds cannot lift the membrane to its threshold.

        What the membrane has above its rest only falls; a current alone lifts it by at most `highest` times itself.
        """
        if self.driven[at]:
            return False
        above = max(self._value(at, n) - self.rest[at], 0)
        current = self.i[at] * math.exp(n * (-1e-6 / self.tau_syn_s[at])) if self.is_current else 0
        return bool(self.rest[at] + above + max(current, 0) * self.highest[at] < self.threshold[at] - _NEAR)

    def _decay_current(self, at: At, n: int) -> None:
        if self.is_current:
            self.i[at] *= math.exp(n * (-1e-6 / self.tau_syn_s[at]))

    def _spike(self, at: At, t: int) -> None:
        """Reset; what follows begins when the refractory period is over. The current goes on (R94)."""
        reset = {"value": self.v_reset, "subtract": self.v - self.threshold, "clamp": self.threshold}
        self.v[at] = reset[self.node.reset][at]
        self.since[at] = t + self.refractory_us
        self.spikes += 1

    def fire_due(self, t: int) -> list[At]:
        """Return the neurons that fire by themselves at a time, in the order of (row, column, channel) (R95)."""
        found = [at for at, then in self.due.items() if then == t]
        for at in found:
            n = t - int(self.since[at])
            self.v[at] = self._value(at, n)
            self._decay_current(at, n + self.refractory_us)
            self._spike(at, t)
            self._look_ahead(at)
        return sorted(found, key=lambda at: (*at[1:], at[0]))

    def take(self, t: int, pixel: At, weights: list[tuple[int, Any]], x: float) -> list[tuple[At, float]]:
        """Let an event of value x reach channels of a pixel, and return what leaves (R96)."""
        found = []
        for channel, weight in weights:
            at = (channel, *pixel)
            left = self._arrive(at, t, float(weight) * float(F(x)))
            self.updates += 1
            if left is not None:
                found.append((at, left))
        return found

    def _arrive(self, at: At, t: int, x: float) -> float | None:
        if t < self.since[at]:  # held after a spike
            if self.is_current:
                self.i[at] += x * math.exp(int(self.since[at] - t) * (-1e-6 / self.tau_syn_s[at]))
                self._look_ahead(at)
            else:
                self.lost += 1
            return None
        n = t - int(self.since[at])
        if n > 0:
            self.v[at] = self._value(at, n)
            self._decay_current(at, n)
            self.since[at] = t
        if self.is_current:
            self.i[at] += x
            self._look_ahead(at)
            return None
        self.v[at] += x
        if self.is_readout:
            return float(F(self.v[at])) or None
        fired = self._fires(at, self.v[at])
        if fired:
            self._spike(at, t)
        self._look_ahead(at)
        return 1.0 if fired else None

    def membranes(self, t: int) -> NDArray[np.float64]:
        """Return all membranes at a time, without changing them (R152)."""
        found = np.empty(self.shape)
        for at in np.ndindex(*self.shape):
            n = t - int(self.since[at])
            found[at] = self._value(at, n) if n > 0 else self.v[at]
        return found
