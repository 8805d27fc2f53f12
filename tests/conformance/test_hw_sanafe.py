"""Spikes, counts and prices against SANA-FE's model of Loihi 1, with the same neurons on the same cores."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hw

pytest.importorskip("sanafe", reason="sanafe is not installed (pip install sanafe==2.2.9)")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "oracle"))
import sanafe_chip

TIME_ERROR = 0.25  # SANA-FE hands messages on one after the other, here a core's work is added up


def network(seed: int) -> hw.FixedGraph:
    """Neurons that fire by themselves, a convolution and a dense layer behind them; no weight is 0."""
    rng = np.random.default_rng(seed)
    lif = {"current_decay": 4096, "membrane_decay": 0, "bias_exponent": 6}
    biases = rng.integers(0, 60, 240).astype(np.int32)
    populations = {
        "in": hw.Population((1,), "input"),
        "a": hw.Population((2, 12, 10), threshold=100, bias_mantissa=biases, **lif),
        "b": hw.Population((4, 6, 5), threshold=300, bias_mantissa=1, **lif),
        "c": hw.Population((50,), threshold=2000, bias_mantissa=1, **lif),
    }
    kernel = rng.integers(1, 40, (4, 2, 3, 3)) * 2
    connections = (
        hw.Connection("in", "a", "dense", np.full((240, 1), 2)),
        hw.Connection("a", "b", "conv", kernel, stride=(2, 2), padding=(1, 1)),
        hw.Connection("b", "c", "dense", rng.integers(1, 40, (50, 120)) * 2),
    )
    return hw.FixedGraph(populations, connections, "loihi1")


@pytest.mark.parametrize(("seed", "compartments"), [(0, 40), (1, 100), (2, 1024)])
def test_counts_are_equal_and_prices_agree(seed: int, compartments: int) -> None:
    changed = {"compartments": replace(hw.loihi1.limits["compartments"], value=compartments)}
    target = replace(hw.loihi1, name="small", limits={**hw.loihi1.limits, **changed})
    silence = np.zeros((25, 1), np.float32)
    mapping = hw.map_fixed(network(seed), target, recordings=[silence])
    work, n_steps = mapping.work, 25 + mapping.fixed.depth
    found = sanafe_chip.simulate(mapping, n_steps)
    result = hw.emulate(mapping.fixed, silence)
    for name, pairs in found["trains"].items():
        train = result.trains[name]
        assert pairs == sorted(zip(train.step.tolist(), train.index.tolist(), strict=True))
    trace = found["perf_trace"]
    np.testing.assert_array_equal(trace["spikes"], work.operations.sum(axis=0))
    np.testing.assert_array_equal(trace["fired"], work.fired.sum(axis=0))
    hops = mapping.placement.hops_by_column + mapping.placement.hops_by_row
    assert sum(trace["hops"]) == pytest.approx(hops * n_steps, rel=1e-12)
    cost = mapping.costs[1]
    assert cost.table.name == "SANA-FE"
    # beyond our terms SANA-FE prices state updates of neurons that do not fire, and messages to the own core
    updates = 21.6e-12 * (sum(trace["updated"]) - sum(trace["fired"]))
    soma_and_synapses = found["energy"]["soma"] + found["energy"]["synapse"] - updates
    own = ("synaptic_operation", "neuron_active", "neuron_inactive")
    ours = sum(cost.table.energy_j[term] * cost.counts[term] for term in own) * n_steps
    assert ours == pytest.approx(soma_and_synapses, rel=1e-9)
    assert cost.step_energy_j * n_steps <= found["energy"]["total"]
    assert cost.step_time_s * n_steps == pytest.approx(found["sim_time"], rel=TIME_ERROR)
