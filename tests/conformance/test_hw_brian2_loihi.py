"""The rules of Loihi 1 against brian2-loihi: weights, exponents, delays, refractory periods."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import hw

pytest.importorskip("brian2_loihi", reason="brian2-loihi is not installed: run make lava")


def peer(fixed: hw.FixedGraph, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import brian2
    import brian2_loihi as peer

    brian2.prefs.codegen.target = "numpy"
    neurons, synapses = fixed.populations["out"], fixed.connections[0]
    step, index = np.nonzero(frames)
    source = peer.LoihiSpikeGeneratorGroup(frames.shape[1], index.tolist(), step.tolist())
    group = peer.LoihiNeuronGroup(
        neurons.size, refractory=neurons.refractory_steps + 1, threshold_v_mant=neurons.threshold,
        decay_v=neurons.membrane_decay, decay_I=neurons.current_decay,
    )  # fmt: skip
    weights = peer.LoihiSynapses(
        source, group, sign_mode=1, w_exp=synapses.weight_exponent, num_weight_bits=synapses.weight_bits,
        delay=synapses.delay,
    )  # fmt: skip
    weights.connect()
    weights.w = synapses.weights.T.reshape(-1)
    current, membrane = peer.LoihiStateMonitor(group, "I"), peer.LoihiStateMonitor(group, "v")
    network = peer.LoihiNetwork(source, group, weights, current, membrane)
    network.run(len(frames))
    return np.asarray(current.I, int).T, np.asarray(membrane.v, int).T


@pytest.mark.parametrize("seed", range(4))
def test_registers_equal_brian2_loihi(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_in, n_out, n_steps = 8, 4, 60
    neurons = hw.Population(
        (n_out,), current_decay=int(rng.integers(1, 4097)), membrane_decay=int(rng.integers(0, 4096)),
        threshold=int(rng.integers(50, 1500)), refractory_steps=int(rng.integers(0, 3)),
    )  # fmt: skip
    synapses = hw.Connection(
        "in", "out", "dense", rng.integers(-128, 127, (n_out, n_in)) * 2, weight_exponent=int(rng.integers(-2, 1)),
        weight_bits=int(rng.integers(4, 9)), delay=int(rng.integers(0, 4)),
    )  # fmt: skip
    fixed = hw.FixedGraph({"in": hw.Population((n_in,), "input"), "out": neurons}, (synapses,), "loihi1")
    frames = (rng.random((n_steps, n_in)) < 0.2).astype(np.float32)
    result = hw.emulate(fixed, frames, record=["out"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        current, membrane = peer(fixed, frames)
    # there a spike without delay acts in its own step, here in the next
    np.testing.assert_array_equal(result.u["out"][1:], current)
    np.testing.assert_array_equal(result.v["out"][1:], membrane)
