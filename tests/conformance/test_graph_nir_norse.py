"""Networks written as NIR mean the same to norse: its import gives the membranes and spikes of our engine (R46)."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neuro
from neuro.graph import LIF, Conv2d, CubaLIF, Flatten, Graph, Input, Linear, Node, clocked, read_nir, to_nir

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    norse = pytest.importorskip("norse.torch", reason="needs norse: see the Makefile")

DT_S = 0.001
N_STEPS = 40
GRID = 2.0**-8


def weights(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    """Multiples of 2**-8, so that every sum is exact in any order."""
    return np.random.default_rng(seed).integers(-128, 256, shape) * GRID


def network(neuron: Node) -> Graph:
    nodes = {"input": Input(6), "fc": Linear(weights(4, 6), weights(4, seed=1)), "neuron": neuron}
    return Graph(nodes, [("input", "fc"), ("fc", "neuron")], clocked(DT_S))


def frames(*shape: int) -> NDArray[np.float32]:
    return (np.random.default_rng(3).random((N_STEPS, *shape)) < 0.4).astype(np.float32)


def run_norse(nir_graph: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = norse.from_nir(nir_graph, dt=DT_S)
    state: Any = None
    outputs = []
    with torch.no_grad():
        for frame in inputs:
            output, state = module(torch.from_numpy(frame)[None], state)
            outputs.append(output[0].numpy())
    return np.stack(outputs)


@pytest.mark.parametrize("v_leak", [0.0, 0.25])
def test_lif_spikes_are_equal(v_leak: float) -> None:
    graph = network(LIF(0.004, 0.5, v_leak=v_leak))
    inputs = frames(6)
    ours = neuro.simulate(graph, inputs).output
    assert 0 < ours.sum() < ours.size
    assert (ours == run_norse(to_nir(graph), inputs)).all()


def test_cuba_lif_spikes_are_equal() -> None:
    """norse decays the current before it is used, we after: the same current where it is used, but for rounding."""
    graph = network(CubaLIF(0.004, 0.002, 0.53))
    inputs = frames(6)
    ours = neuro.simulate(graph, inputs, record={"neuron": "membrane"})
    assert 0 < ours.output.sum() < ours.output.size
    assert np.abs(ours.membranes["neuron"] - 0.53).min() > 1e-4, "a tie would be decided by rounding"
    assert (ours.output == run_norse(to_nir(graph), inputs)).all()


def test_convolutional_network_spikes_are_equal() -> None:
    nodes = {
        "input": Input((2, 7, 7)),
        "conv": Conv2d(weights(3, 2, 3, 3), stride=2, padding=1),
        "lif": LIF(0.004, 0.4),
        "flat": Flatten(),
        "fc": Linear(weights(5, 48, seed=2), np.zeros(5)),
        "out": LIF(0.008, 0.3),
    }
    graph = Graph(nodes, list(itertools.pairwise(nodes)), clocked(DT_S))
    written = to_nir(graph)
    written.nodes["flat"].start_dim = 1  # norse counts the batch axis
    inputs = frames(2, 7, 7)
    ours = neuro.simulate(graph, inputs).output
    assert 0 < ours.sum() < ours.size
    assert (ours == run_norse(written, inputs)).all()
    assert read_nir(written) == graph


def test_networks_of_norse_are_read() -> None:
    """norse 1.1.0 exports tau as dt / tau_mem_inv: its unit of time is 1 / dt seconds, so we ask for it."""
    torch.manual_seed(0)
    module = norse.SequentialState(torch.nn.Linear(6, 4), norse.LIFBoxCell(norse.LIFBoxParameters()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = norse.to_nir(module, torch.zeros(1, 6), dt=DT_S)
    with pytest.raises(neuro.GraphError, match="does not say its unit of time"):
        read_nir(exported, dt_s=DT_S)
    graph = read_nir(exported, dt_s=DT_S, time_unit_s=1 / DT_S)
    neuron = graph.nodes[graph.output_names[0]]
    assert isinstance(neuron, LIF)
    assert neuron.tau_mem_s == pytest.approx(0.01, rel=1e-6)  # float32 tensors
    assert graph.shapes[graph.output_names[0]] == (4,)
