"""Build a small network by hand, run it on an emulated moving bar, look at spikes and cost."""

from __future__ import annotations

import numpy as np

import eventio
import neuro
from neuro.graph import LI, LIF, Conv2d, Flatten, Graph, Input, Linear, clocked

# A bright upright bar moves right over 32x32 pixels in 100 ms.
n_frames = 100
pictures = np.full((n_frames, 32, 32), 0.2)
for k in range(n_frames):
    pictures[k, 8:24, k // 4 : k // 4 + 4] = 0.9
recording = eventio.emulate_dvs(pictures, np.arange(n_frames) * 1000, seed=0)
binned = eventio.bin_events(recording.events, width=32, height=32, bin_us=5000, n_frames=20)
events = neuro.Spikes(
    step=binned.step, index=binned.index, value=binned.count, n_steps=binned.n_frames, shape=binned.shape
)

# Two filters: a vertical line between emptiness, and the same on its side.
vertical = np.zeros((2, 5, 5), np.float32)
vertical[:, :, 1:4], vertical[:, :, ::4] = 0.2, -0.3
network = Graph(
    nodes={
        "events": Input(shape=(2, 32, 32)),
        "lines": Conv2d(weight=np.stack([vertical, vertical.transpose(0, 2, 1)]), stride=2, padding=2),
        "seen": LIF(tau_mem_s=0.010, threshold=1.0),
        "flat": Flatten(),
        "vote": Linear(weight=np.kron(np.eye(2), np.ones(16 * 16)) / 64),
        "readout": LI(tau_mem_s=0.050),
    },
    edges=[("events", "lines"), ("lines", "seen"), ("seen", "flat"), ("flat", "vote"), ("vote", "readout")],
    execution=clocked(dt_s=0.005),
)
print(network)

result = neuro.simulate(network, events, record={"seen": "spikes"})
votes = result.output.sum(axis=0)
print(f"votes: vertical {votes[0]:.3f}, horizontal {votes[1]:.3f}")
print(f"{result.counters.total_synaptic_operations:,} synaptic operations, spikes {result.counters.spikes}")

assert votes[0] > votes[1]
