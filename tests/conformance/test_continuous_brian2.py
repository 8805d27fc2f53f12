"""Continuous networks of sparse synapses, each with its delay, against Brian2 2.9.0: spike for spike, membranes too.

Neurons without leak, weights in 64ths (sums are exact in any precision) and times on Brian2's grid, so that only the
order of what happens could differ. Brian2 compares before it delivers: a neuron that an event lifts over its threshold
fires one step later there, so delays are one step shorter for the same arrival. It adds all that arrives in a step
before it compares, here events act one by one: no two may reach a neuron at one time, nor one in the step after a
spike, in which Brian2 resets. The seeds are those of the liveliest of 400 networks without such events, which the test
checks first.

Not compared: leaks (a neuron of Brian2 decays for one more step before it fires), driven neurons and currents (against
closed forms in test_continuous_closed_forms.py, and NEST's precise spikes in test_continuous_nest.py), MaxPool2d and
joined currents (no counterpart there).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuro
from neuro import Events, Monitor
from neuro.graph import IF, Graph, Input, SparseLinear, continuous

brian2 = pytest.importorskip(
    "brian2", reason="Brian2 is not installed (pip install -c constraints.txt Brian2)"
)

pytestmark = pytest.mark.filterwarnings("ignore")

N, STEP_US, N_STEPS = 12, 10, 8000


def synapses(
    rng: np.random.Generator, p: float, low: int, high: int
) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Outputs, inputs, weights in 64ths and delays in microseconds of random pairs; one in five inhibits."""
    out, into = np.nonzero(rng.random((N, N)) < p)
    weight = rng.integers(low, high, out.size) / 64 * np.where(rng.random(out.size) < 0.2, -1, 1)
    return out, into, weight, rng.integers(2, 400, out.size) * STEP_US


def sparse(given: tuple[Any, Any, np.ndarray, np.ndarray]) -> SparseLinear:
    out, into, weight, delay_us = given
    return SparseLinear.from_coo(out, into, weight, n_out=N, n_in=N, delay_s=delay_us * 1e-6)


@pytest.mark.parametrize("seed", [218, 366])
def test_a_recurrent_network_with_a_delay_for_each_synapse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entering, ring = synapses(rng, 0.3, 30, 64), synapses(rng, 0.3, 10, 40)
    step = np.sort(rng.choice(N_STEPS - 1000, 60, replace=False))
    index = rng.integers(0, N, 60)

    nodes = {"in": Input(N), "enter": sparse(entering), "n": IF(1.0), "ring": sparse(ring)}
    graph = Graph(nodes, [("in", "enter"), ("enter", "n"), ("ring", "n"), ("n", "ring")], continuous())
    events = Events(step * STEP_US, index, np.ones(60), (N,), duration_us=N_STEPS * STEP_US)
    times = np.arange(50, N_STEPS - 1, 50)
    record = {
        "n": ["spikes", Monitor("membrane", times_us=times * STEP_US)],
        "enter": "spikes",
        "ring": "spikes",
    }
    result = neuro.simulate(graph, events, record=record)
    arriving = [(t, i) for name in ("enter", "ring") for t, i in _pairs(result.spikes[name])]
    resetting = {(t + STEP_US, i) for t, i in _pairs(result.spikes["n"])}
    assert len(set(arriving)) == len(arriving)
    assert resetting.isdisjoint(arriving)

    unit = STEP_US * brian2.us
    brian2.start_scope()
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = unit
    group = brian2.NeuronGroup(N, "v : 1", threshold="v > 1", reset="v = 0")
    source = brian2.SpikeGeneratorGroup(N, index, step * unit)
    parts: list[Any] = [group, source]
    for before, (out, into, weight, delay_us) in ((source, entering), (group, ring)):
        made = brian2.Synapses(before, group, "w : 1", on_pre="v += w")
        made.connect(i=into, j=out)
        made.w = weight
        made.delay = (delay_us // STEP_US - (before is group)) * unit
        parts.append(made)
    spikes = brian2.SpikeMonitor(group)
    membranes = brian2.StateMonitor(group, "v", record=True, when="end")
    brian2.Network(*parts, spikes, membranes).run(N_STEPS * unit)

    theirs = np.rint(np.asarray(spikes.t / unit)).astype(int) - 1, np.asarray(spikes.i)
    mine = result.spikes["n"]
    assert len(mine) > 60
    assert _pairs(mine) == sorted(zip((theirs[0] * STEP_US).tolist(), theirs[1].tolist(), strict=True))
    # between a spike here and the one a step later there the membranes differ
    fires = np.zeros((N_STEPS, N), bool)
    fires[theirs] = True
    found = np.where(fires[times], 0, np.asarray(membranes.v).T[times])
    assert result.membranes["n"].tolist() == found.tolist()


def _pairs(events: Events) -> list[tuple[int, int]]:
    return sorted(zip(events.t_us.tolist(), events.index.tolist(), strict=True))
