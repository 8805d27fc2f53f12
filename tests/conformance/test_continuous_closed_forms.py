"""Continuous execution against closed forms and against 50-digit arithmetic."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import neuro
from neuro import Events
from neuro.graph import LI, LIF, CubaLIF, Graph, Input, Linear, continuous
from neuro.kernels.crossings import gain_after, membrane_after
from neuro.lowering.layout import Layout
from neuro.lowering.timed import timing_of


def one(node: LIF | CubaLIF | LI, bias: float = 0.0) -> Graph:
    """One neuron behind a weight of 1."""
    nodes = {"in": Input(1), "weight": Linear([[1.0]], [bias]), "neuron": node}
    return Graph(nodes, [("in", "weight"), ("weight", "neuron")], continuous())


def at(*events: tuple[int, float], duration_us: int) -> Events:
    """Events (t_us, value) of one entry."""
    t_us, value = [t for t, _ in events], [x for _, x in events]
    return Events(t_us, [0] * len(events), value, (1,), duration_us=duration_us)


@pytest.mark.parametrize("drive", [1.001, 1.5, 7.0])
@pytest.mark.parametrize("tau_mem_s", [0.0007, 0.02])
@pytest.mark.parametrize("refractory_s", [0.0, 0.003])
@pytest.mark.parametrize("v_reset", [0.0, -0.5])
def test_rate_under_constant_drive(
    drive: float, tau_mem_s: float, refractory_s: float, v_reset: float
) -> None:
    """f = 1 / (t_ref + tau ln((rest - reset) / (rest - threshold))), the time in brackets rounded up to whole ones."""
    rest, threshold = float(np.float32(drive)), 1.0
    node = LIF(tau_mem_s, threshold, v_reset=v_reset, refractory_s=refractory_s)
    exact_us = 1e6 * tau_mem_s * math.log((rest - v_reset) / (rest - threshold))
    period_us = math.ceil(exact_us) + round(refractory_s * 1e6)
    assert abs(exact_us - round(exact_us)) > 1e-6  # no tie, where rounding would decide
    duration_us = 50 * period_us
    found = neuro.simulate(one(node, drive), at(duration_us=duration_us)).output.t_us
    first_us = math.ceil(1e6 * tau_mem_s * math.log(rest / (rest - threshold)))
    assert found.tolist() == list(range(first_us, duration_us, period_us))


def psp(t_us: int, tau_mem_s: float, tau_syn_s: float) -> mpmath.mpf:
    """What a current of 1 at time 0 has added to the membrane, with 50 digits."""
    with mpmath.workdps(50):
        t, mem, syn = mpmath.mpf(t_us) / 10**6, mpmath.mpf(tau_mem_s), mpmath.mpf(tau_syn_s)
        if mem == syn:
            return t / mem * mpmath.exp(-t / mem)
        return syn / (syn - mem) * (mpmath.exp(-t / syn) - mpmath.exp(-t / mem))


SINGULAR = 0.01
NEAR = [SINGULAR * (1 + sign * 10.0**-k) for k in (1, 3, 6, 9, 12, 15) for sign in (-1, 1)]


@pytest.mark.parametrize("tau_syn_s", [SINGULAR, *NEAR, 1e-5, 0.003, 5.0])
def test_the_response_to_one_event_and_its_singular_limit(tau_syn_s: float) -> None:
    """Within 8 units of 2^-53, and what rounded exponents add: exp(x (1 + e)) = exp(x) (1 + x e)."""
    for t_us in (1, 17, 1000, 9_999, 10_001, 40_000, 300_000):
        exact = psp(t_us, SINGULAR, tau_syn_s)
        found = gain_after(-1e-6 / SINGULAR, -1e-6 / tau_syn_s, t_us)
        exponent = t_us * 1e-6 * (1 / SINGULAR + 1 / tau_syn_s)
        assert abs(found - exact) <= (8 + 3 * exponent) * 2.0**-53 * abs(exact) + 1e-300


@pytest.mark.parametrize("tau_syn_s", [SINGULAR, *NEAR, 1e-5, 0.003, 5.0])
def test_the_membrane_is_as_near_to_real_numbers_as_stated(tau_syn_s: float) -> None:
    """R93: (12 + 3 n (|m| + |s|)) 2^-53 (|rest| + |v| + |i|), for any signs."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, (v, i, rest) = int(10 ** rng.uniform(0, 5.5)), rng.normal(0, 3, 3)
        timing = timing_of(CubaLIF(SINGULAR, tau_syn_s), rest, 0, Layout.of((1,)))
        found = membrane_after(timing, np.uint64(0), v, i, n)
        with mpmath.workdps(50):
            decay = mpmath.exp(-mpmath.mpf(n) / 10**6 / mpmath.mpf(SINGULAR))
            exact = rest + (mpmath.mpf(v) - rest) * decay + i * psp(n, SINGULAR, tau_syn_s)
        exponent = n * 1e-6 * (1 / SINGULAR + 1 / tau_syn_s)
        assert abs(found - exact) <= (12 + 3 * exponent) * 2.0**-53 * (abs(rest) + abs(v) + abs(i))


@pytest.mark.parametrize("tau_syn_s", [SINGULAR, NEAR[6], NEAR[11], 0.002, 0.08])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999999])
def test_a_current_crosses_where_the_response_reaches_the_threshold(tau_syn_s: float, share: float) -> None:
    """The spike is the first whole microsecond at which the response, with 50 digits, is above."""
    ratio = tau_syn_s / SINGULAR
    peak_s = SINGULAR if abs(ratio - 1) < 1e-8 else SINGULAR * ratio * math.log(ratio) / (ratio - 1)
    highest = float(psp(round(peak_s * 1e6), SINGULAR, tau_syn_s))
    weight = float(np.float32(1 / (share * highest)))
    events = at((500, weight), duration_us=500_000)
    found = neuro.simulate(one(CubaLIF(SINGULAR, tau_syn_s, v_reset=-1e6)), events).output.t_us
    assert found.size == 1
    after = int(found[0]) - 500
    assert weight * psp(after, SINGULAR, tau_syn_s) > 1 >= weight * psp(after - 1, SINGULAR, tau_syn_s)
    weak = at((500, float(np.float32(1 / (1.000001 * highest)))), duration_us=500_000)
    assert len(neuro.simulate(one(CubaLIF(SINGULAR, tau_syn_s)), weak).output) == 0


def test_a_readout_adds_up_exponentials() -> None:
    """The value after each event is the sum of decayed weights, to half a unit of float32 and doubles' rounding."""
    rng = np.random.default_rng(0)
    t_us = np.cumsum(rng.integers(0, 5000, 100))
    value = rng.normal(0, 1, 100).astype(np.float32)
    result = neuro.simulate(one(LI(0.02, 0.25), 0.5), Events(t_us, np.zeros(100, int), value, (1,)))
    assert result.output.t_us.tolist() == t_us.tolist()
    for k, found in enumerate(result.output.value):
        exact = 0.75 + float(np.sum(value[: k + 1] * np.exp(-1e-6 * (t_us[k] - t_us[: k + 1]) / 0.02)))
        assert abs(found - exact) <= 2.0**-24 * abs(exact) + 1e-13


def test_clocked_currents_converge_to_continuous() -> None:
    """With steps of 1 microsecond the current acts a step early or late: each spike adds at most 2 microseconds."""
    t_us = np.arange(10, 3000, 300)
    node = CubaLIF(0.002, 0.001, 1.0, update="exponential")
    frames = np.zeros((4000, 1), np.float32)
    frames[t_us] = 2.5
    nodes = {"in": Input(1), "neuron": node}
    stepped = neuro.simulate(Graph(nodes, [("in", "neuron")], neuro.graph.clocked(1e-6)), frames).output[:, 0]
    found = neuro.simulate(
        Graph(nodes, [("in", "neuron")], continuous()),
        Events(t_us, np.zeros(10, int), np.full(10, 2.5), (1,), duration_us=4000),
    ).output.t_us
    clocked = np.flatnonzero(stepped)
    assert clocked.size == found.size > 2
    assert np.abs(clocked - found).max() <= 2 * found.size
