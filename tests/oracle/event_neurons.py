"""Neurons that fire between events, hold still after a spike, or are read out: one at a time, in plain numbers.

Shares no code with the engine. When a neuron will fire is found by looking at one whole microsecond after the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neuro.graph import IF, LI, LIF, Conv2d, CubaLIF, Graph, Linear

F = np.float32
At = tuple[int, ...]


def _whole(graph: Graph, name: str, value: Any) -> Any:
    return np.broadcast_to(np.asarray(value, np.float64), graph.shapes[name])


def _rest(graph: Graph, name: str) -> Any:
    node = graph.nodes[name]
    rest = _whole(graph, name, F(0 if isinstance(node, IF) else node.v_leak))
    before = graph.nodes[graph.predecessors(name)[0]]
    if isinstance(before, (Linear, Conv2d)) and before.bias is not None:
        rest = rest + before.bias.astype(np.float64).reshape(-1, *(1,) * (rest.ndim - 1))
    return rest


def _is_driven(graph: Graph, name: str) -> Any:
    node = graph.nodes[name]
    threshold = _whole(graph, name, F(node.threshold))
    rest = _rest(graph, name)
    return rest > threshold if node.comparison == ">" else rest >= threshold


def is_timed(graph: Graph, name: str) -> bool:
    """Whether a population is computed in double precision, with the times of its own spikes."""
    node = graph.nodes[name]
    if isinstance(node, (CubaLIF, LI)) or node.refractory_s:
        return True
    return isinstance(node, LIF) and bool(_is_driven(graph, name).any())


class TimedNeurons:
    """One population."""

    def __init__(self, graph: Graph, name: str) -> None:
        node = self.node = graph.nodes[name]
        self.shape = graph.shapes[name]
        self.is_readout = isinstance(node, LI)
        self.is_current = isinstance(node, CubaLIF)
        self.rest = _rest(graph, name)
        self.tau_mem_s = _whole(graph, name, math.inf if isinstance(node, IF) else node.tau_mem_s)
        self.v = self.rest.copy()
        self.i = np.zeros(self.shape)
        self.since = np.zeros(self.shape, np.int64)
        self.due: dict[At, int] = {}
        self.n_lost = 0
        self.refractory_us = 0
        self.can_cross = self.is_current
        if self.is_current:
            self.tau_syn_s = _whole(graph, name, node.tau_syn_s)
        if not self.is_readout:
            self.threshold = _whole(graph, name, F(node.threshold))
            self.v_reset = _whole(graph, name, F(node.v_reset))
            self.refractory_us = round(node.refractory_s * 1e6)
            if not isinstance(node, IF):
                self.driven = _is_driven(graph, name)
                self.v = np.where(self.driven, _whole(graph, name, F(node.v_leak)), self.rest)
                self.can_cross |= bool(self.driven.any())
        for at in np.ndindex(*self.shape):
            self.look_ahead(at)

    def dues(self) -> list[int]:
        """All times at which a neuron fires if nothing reaches it before."""
        return list(self.due.values())

    def value(self, at: At, n: Any, exp: Any = math.exp, expm1: Any = math.expm1) -> Any:
        """The membrane n microseconds after `since`."""
        v, i, rest = self.v[at], self.i[at], self.rest[at]
        mem = -1e-6 / self.tau_mem_s[at]
        u = rest + (v - rest) * exp(n * mem)
        if not self.is_current or i == 0:
            return u
        syn = -1e-6 / self.tau_syn_s[at]
        slow, apart = max(mem, syn), abs(mem - syn)
        share = n * -mem if apart == 0 else -expm1(-apart * n) / apart * -mem
        return u + i * (share * exp(n * slow))

    def fires(self, at: At, u: Any) -> Any:
        """The comparison."""
        return u > self.threshold[at] if self.node.comparison == ">" else u >= self.threshold[at]

    def look_ahead(self, at: At) -> None:
        """Look at every whole microsecond until the neuron fires, or nothing can happen any more."""
        self.due.pop(at, None)
        if not self.can_cross:
            return
        above, below = max(self.v[at] - self.rest[at], 0), max(self.i[at], 0)
        if not self.driven[at] and self.rest[at] + above + below < self.threshold[at]:
            return  # no factor is above 1
        if not self.is_current and not self.driven[at]:
            return
        slowest_us = 1e6 * max(self.tau_mem_s[at], self.tau_syn_s[at] if self.is_current else 0)
        start = 1
        while start < 45 * slowest_us + 2:
            n = np.arange(start, start + max(64, start))
            near = self.value(at, n.astype(float), np.exp, np.expm1) > self.threshold[at] - 1e-9
            for k in n[near]:
                if self.fires(at, self.value(at, int(k))):
                    self.due[at] = int(self.since[at]) + int(k)
                    return
            start = int(n[-1]) + 1

    def advance(self, at: At, t: int) -> None:
        """Membrane and current from `since` to t."""
        n = t - int(self.since[at])
        if n > 0:
            self.v[at] = self.value(at, n)
            self.decay_current(at, n)
            self.since[at] = t

    def decay_current(self, at: At, n: int) -> None:
        """The current alone."""
        if self.is_current:
            self.i[at] *= math.exp(n * (-1e-6 / self.tau_syn_s[at]))

    def spike(self, at: At, t: int) -> None:
        """Reset; what follows begins when the refractory period is over. The current goes on."""
        reset = {"value": self.v_reset, "subtract": self.v - self.threshold, "clamp": self.threshold}
        self.v[at] = reset[self.node.reset][at]
        self.since[at] = t + self.refractory_us

    def fire_due(self, t: int) -> list[At]:
        """The neurons that fire by themselves at t, in the order of (row, column, channel)."""
        found = [at for at, then in self.due.items() if then == t]
        for at in found:
            n = t - int(self.since[at])
            self.v[at] = self.value(at, n)
            self.decay_current(at, n + self.refractory_us)
            self.spike(at, t)
            self.look_ahead(at)
        return sorted(found, key=lambda at: (*at[1:], at[0]))

    def arrive(self, at: At, t: int, x: float) -> float | None:
        """An event reaches one neuron: return what leaves it, if anything."""
        if t < self.since[at]:  # held after a spike
            if self.is_current:
                n = int(self.since[at]) - t
                self.i[at] += x * math.exp(n * (-1e-6 / self.tau_syn_s[at]))
                self.look_ahead(at)
            else:
                self.n_lost += 1
            return None
        self.advance(at, t)
        if self.is_current:
            self.i[at] += x
            self.look_ahead(at)
            return None
        self.v[at] += x
        if self.is_readout:
            return float(F(self.v[at])) or None
        fired = bool(self.fires(at, self.v[at]))
        if fired:
            self.spike(at, t)
        self.look_ahead(at)
        return 1.0 if fired else None
