"""Proofs core by core: every kind of neuron and synapse, cut into many blocks."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hw_networks import random_convolutions, random_network


def cut_small(fixed: hw.FixedGraph, compartments: int) -> hw.Mapping:
    base = hw.loihi1 if fixed.profile == "loihi1" else hw.loihi2
    limit = replace(base.limits["compartments"], value=compartments)
    return hw.map_fixed(fixed, replace(base, name="small", limits={**base.limits, "compartments": limit}))


@pytest.mark.parametrize("kind", ["graded", "graded_relu", "sigma", "delta", "sigma_delta"])
def test_neurons_with_graded_spikes_are_proven_core_by_core(kind: str) -> None:
    rng = np.random.default_rng(3)
    is_delta = "delta" in kind
    neurons = hw.Population(
        (9,),
        kind,  # type: ignore[arg-type]
        threshold=rng.integers(0, 6, 9) * 8,
        bias_mantissa=rng.integers(-9, 9, 9) * 8 if is_delta else 0,
        is_cumulative=kind == "delta",
        **({"spike_exponent": 2, "state_exponent": 1} if is_delta else {}),
    )
    populations = {"in": hw.Population((5,), "input"), "a": neurons, "b": replace(neurons, shape=(9,))}
    connections = (
        hw.Connection("in", "a", "dense", rng.integers(-99, 99, (9, 5)), weight_exponent=-3, is_graded=True),
        hw.Connection("a", "b", "dense", rng.integers(-99, 99, (9, 9)), weight_exponent=-8, is_graded=True),
    )
    mapping = cut_small(hw.FixedGraph(populations, connections), 4)
    frames = (rng.integers(-30, 30, (25, 5)) * (rng.random((25, 5)) < 0.5)).astype(np.float32)
    certificate = hw.verify(mapping, frames, engines=["cores"])
    assert certificate
    assert mapping.n_cores >= 5
    assert certificate.n_values["cores"] == (25 + mapping.fixed.depth) * 18
    sent = hw.emulate(mapping.fixed, frames).counters.spikes
    assert sent["a"] > 20
    assert sent["b"] > 5


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 6])
def test_every_kind_of_synapse_is_proven_core_by_core(seed: int) -> None:
    if seed % 3 == 2:
        fixed, frames = random_convolutions(seed, groups=True, graded=True)
    else:
        kinds = ("dense", "sparse", "delayed dense", "delayed sparse")
        fixed, frames = random_network(
            seed, kinds=kinds, loops=True, arrays=True, refractory=True, subtracts=seed % 3 == 1
        )
    mapping = cut_small(fixed, 16 if seed % 3 == 2 else 4)  # two slots of neurons each where delays are long
    assert mapping.n_cores > 1
    assert hw.verify(mapping, frames, engines=["cores"])
