"""Simulate the balanced network of Brette et al. (2007): 4,000 neurons that keep each other active."""

from __future__ import annotations

import numpy as np

import neuro
from neuro.graph import CobaLIF, Graph, clocked, connect_pairs

rng = np.random.default_rng(0)
sizes = {"exc": 3200, "inh": 800}
weights = {"exc": 0.6, "inh": 6.7}  # in units of the leak conductance
receptors = {"exc": "excitatory", "inh": "inhibitory"}


def population(n: int) -> CobaLIF:
    """Neurons with random membranes and conductances to start from; potentials in mV."""
    return CobaLIF(
        tau_mem_s=0.020,
        tau_exc_s=0.005,
        tau_inh_s=0.010,
        threshold=-50.0,
        v_leak=-60.0,
        v_exc=0.0,
        v_inh=-80.0,
        v_reset=-60.0,
        v_start=rng.normal(-65.0, 5.0, n).clip(-80.0, -50.0),
        g_exc_start=rng.normal(4.0, 1.5, n).clip(0.0),
        g_inh_start=rng.normal(20.0, 12.0, n).clip(0.0),
        refractory_s=0.005,
    )


nodes: dict[str, neuro.graph.Node] = {name: population(n) for name, n in sizes.items()}
edges: list[tuple[str, str]] = []
for seed, (source, target) in enumerate([(a, b) for a in sizes for b in sizes]):
    name = f"{source} to {target}"
    nodes[name] = connect_pairs(
        0.02,
        n_in=sizes[source],
        n_out=sizes[target],
        weight=weights[source],
        seed=seed,
        delay_s=0.0002,
        receptor=receptors[source],
    )
    edges += [(source, name), (name, target)]
network = Graph(nodes, edges, clocked(dt_s=0.0001))
print(network)

result = neuro.simulate(network, duration_s=0.5, record={"exc": "spikes", "inh": "rate"})
spikes = result.spikes["exc"]
late = spikes.index[spikes.step >= 2000]
rate_hz = late.size / 3200 / 0.3
print(f"{rate_hz:.1f} Hz; {result.counters.total_synaptic_operations:,} synaptic operations")

assert 1 < rate_hz < 60
