"""Refractory periods in networks of populations: short, longer than a byte counts, and cut by the end of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuro
from neuro.graph import LIF, CobaLIF, CubaLIF, Graph, Node, SparseLinear, clocked
from neuro.reference_networks import evaluate_network

DT_S = 0.001
N = 300  # more than a tile


def driven(kind: str, n_hold: int) -> Graph:
    """Neurons whose resting value lies over the threshold: they fire whenever they may."""
    common: dict[str, Any] = {
        "v_leak": -40.0,
        "v_reset": -60.0,
        "v_start": np.linspace(-60, -45, N).astype(np.float32),
        "refractory_s": n_hold * DT_S,
    }
    nodes: dict[str, Node] = {
        "lif": LIF(0.004, -50.0, **common),
        "cuba": CubaLIF(0.004, 0.005, -50.0, tau_inh_s=0.01, update="exact", **common),
        "coba": CobaLIF(0.004, 0.005, 0.01, -50.0, v_exc=0.0, v_inh=-80.0, **common),
    }
    nothing = SparseLinear.from_dense(np.zeros((N, N)), delay_s=DT_S)
    return Graph({"n": nodes[kind], "w": nothing}, [("n", "w"), ("w", "n")], clocked(DT_S))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["lif", "cuba", "coba"])
@pytest.mark.parametrize("n_hold", [1, 254, 255, 256, 300])
def test_held_neurons_fire_when_the_reference_says(n_hold: int, kind: str, precision: Any) -> None:
    graph = driven(kind, n_hold)
    expected = evaluate_network(graph, n_steps=640, precision=precision).spikes["n"]
    whole = neuro.simulate(graph, n_steps=640, precision=precision, record={"n": "spikes"}).spikes["n"]
    assert len(expected) >= 2 * N
    assert whole.step.tolist() == expected.step.tolist()
    assert whole.index.tolist() == expected.index.tolist()
    own = whole.step[whole.index == 7]
    assert np.diff(own).min() > n_hold


@pytest.mark.parametrize("kind", ["lif", "coba"])
@pytest.mark.parametrize("n_hold", [3, 255, 300])
@pytest.mark.parametrize("cut", [1, 6, 258, 300])
def test_a_run_may_be_cut_while_neurons_are_held(n_hold: int, kind: str, cut: int) -> None:
    graph = driven(kind, n_hold)
    record: Any = {"n": ["spikes", "membrane"]}
    whole = neuro.simulate(graph, n_steps=640, record=record)
    first = neuro.simulate(graph, n_steps=cut, record=record)
    last = neuro.simulate(graph, n_steps=640 - cut, record=record, state=first.state)
    steps = [*first.spikes["n"].step.tolist(), *(last.spikes["n"].step + cut).tolist()]
    assert steps == whole.spikes["n"].step.tolist()
    membranes = np.concatenate([first.membranes["n"], last.membranes["n"]])
    assert membranes.tobytes() == whole.membranes["n"].tobytes()
