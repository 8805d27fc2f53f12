"""The networks in plain NumPy, float64, one step after another: slow, and the measure that the others are held to."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from protocol import Answer, NetworkModel, Request, Spikes, serve

Floats = NDArray[np.float64]


def simulate(network: NetworkModel, n_steps: int, *, seed: int = 1) -> Spikes:
    """Run the network as `network_models` states it; returns step and neuron of each spike."""
    n, dt = network.n_neurons, network.dt_ms
    rng = np.random.default_rng(seed)
    v, g_exc, g_inh = network.v_init.copy(), network.g_exc_init.copy(), network.g_inh_init.copy()
    held = np.zeros(n, np.int64)
    weight, delay = network.weights(), np.broadcast_to(network.delay_steps, network.n_synapses)
    line = np.zeros(
        (int(delay.max()), 2, n)
    )  # what arrives at the end of a step, by step modulo the longest delay
    steps, indices = [], []
    for step in range(n_steps):
        free = held == 0
        v[free] = _membrane(network, v, g_exc, g_inh)[free]
        g_exc *= np.exp(-dt / network.tau_exc_ms)
        g_inh *= np.exp(-dt / network.tau_inh_ms)
        held[~free] -= 1
        fired = np.flatnonzero(free & (v > network.threshold))
        v[fired], held[fired] = network.v_reset, network.refractory_steps
        steps.append(np.full(fired.size, step))
        indices.append(fired)
        for j in fired:
            part = slice(network.start[j], network.start[j + 1])
            slot = (step + delay[part] - 1) % len(line)
            np.add.at(line[:, int(network.is_inhibitory[j])], (slot, network.target[part]), weight[part])
        g_exc += line[step % len(line), 0]
        g_inh += line[step % len(line), 1]
        line[step % len(line)] = 0
        if network.poisson_weight:
            g_exc += network.poisson_weight * rng.poisson(network.poisson_hz * dt * 1e-3, n)
    return np.concatenate(steps), np.concatenate(indices)


def _membrane(network: NetworkModel, v: Floats, g_exc: Floats, g_inh: Floats) -> Floats:
    """The membranes a step later."""
    dt, tau = network.dt_ms, network.tau_mem_ms
    rest = network.v_rest + network.drive
    if network.kind == "current":
        after = rest + (v - rest) * np.exp(-dt / tau)
        for g, tau_syn in ((g_exc, network.tau_exc_ms), (g_inh, network.tau_inh_ms)):
            after += g * tau_syn / (tau_syn - tau) * (np.exp(-dt / tau_syn) - np.exp(-dt / tau))
        return after
    total = 1 + g_exc + g_inh
    towards = (rest + g_exc * network.e_exc + g_inh * network.e_inh) / total
    return towards + (v - towards) * np.exp(-dt / tau * total)


def run(network: NetworkModel, request: Request) -> Answer:
    start, used = time.perf_counter(), time.process_time()
    spikes = simulate(network, request.n_steps, seed=request.seed)
    run_s, processor_s = time.perf_counter() - start, time.process_time() - used
    return Answer("NumPy", np.__version__, "float64", run_s, processor_s, 0.0, 0.0, spikes)


if __name__ == "__main__":
    serve(run)
