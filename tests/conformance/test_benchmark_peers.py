"""The peers of the network benchmark run what plain NumPy runs: the same spikes in the same steps.

Unsupported: NEST's conductance-based neurons (adaptive Runge-Kutta only) agree in rate alone; Poisson sources differ
from simulator to simulator and are compared by rate; Brian2 and brainevent run no Poisson sources here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "peers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from launch import PEERS, ask, is_there
from network_models import coba, cuba, microcircuit
from protocol import Request
from run_numpy import simulate

N_STEPS = 400


@pytest.mark.slow  # Brian2 compiles for about a minute
@pytest.mark.parametrize("build", [cuba, coba])
@pytest.mark.parametrize("peer", PEERS)
def test_peers_have_the_spikes_of_plain_numpy(peer: str, build: object) -> None:
    if not is_there(peer):
        pytest.skip(f"{peer} is not installed: {PEERS[peer][2]}")
    network = build(1000)  # type: ignore[operator]
    expected = simulate(network, N_STEPS)
    answer, spikes = ask(peer, network, Request("", N_STEPS))
    assert answer["n_spikes"] == spikes[0].size > 100
    if peer == "NEST" and network.kind == "conductance":
        assert spikes[0].size == pytest.approx(expected[0].size, rel=0.15)
        return
    assert np.array_equal(spikes[0], expected[0])
    assert np.array_equal(spikes[1], expected[1])


@pytest.mark.slow
def test_nest_has_the_rates_of_plain_numpy_in_the_microcircuit() -> None:
    if not is_there("NEST"):
        pytest.skip(f"NEST is not installed: {PEERS['NEST'][2]}")
    network = microcircuit(0.05)
    answer, _ = ask("NEST", network, Request("", 5000))
    reference, _ = ask("NumPy", network, Request("", 5000))
    assert answer["rate_hz"] == pytest.approx(reference["rate_hz"], rel=0.1)
