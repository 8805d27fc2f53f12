"""The engine against torch and norse: equal bits where all sums are exact, and for every neuron step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neuro
from neuro.graph import (
    IF,
    LI,
    LIF,
    AvgPool2d,
    Conv2d,
    CubaLIF,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Node,
    SumPool2d,
    clocked,
)

torch = pytest.importorskip("torch", reason="torch is not installed: make setup")

GRID = 2.0**-8
DT_S, TAU_S = 0.015, 0.0371


def on_grid(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Weights that are multiples of 2**-8: their sums are exact in float32 in any order."""
    return (rng.integers(-128, 160, shape) * GRID).astype(np.float32)


def chain(*nodes: Node, weight_grid: float | None = GRID) -> Graph:
    """A graph of nodes one behind the other, named n0, n1, ..."""
    names = [f"n{k}" for k in range(len(nodes))]
    return Graph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), clocked(DT_S), weight_grid)


def frames(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Counts up to 3, mostly none."""
    return np.where(rng.random(shape) < 0.1, rng.integers(1, 4, shape), 0).astype(np.float32)


def lif_step(current: Any, state: dict[str, Any], name: str) -> Any:
    """LIF in explicit torch operations: v + a * ((I + 0) - v), spike above 1, reset to 0."""
    gain = torch.tensor(np.float32(DT_S) * np.float32(1 / TAU_S))
    v = state.get(name, torch.zeros_like(current))
    v = v + gain * (current - v)
    fired = v > 1.0
    state[name] = torch.where(fired, torch.zeros_like(v), v)
    return fired.to(torch.float32)


@pytest.mark.parametrize("seed", range(3))
def test_a_convolutional_network_has_the_bits_of_torch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    conv_1, conv_2 = on_grid(rng, 8, 2, 5, 5), on_grid(rng, 12, 4, 3, 2)
    bias, dense = on_grid(rng, 12), on_grid(rng, 16, 12 * 4 * 5)
    graph = chain(
        Input((2, 18, 17), max_count=3),
        Conv2d(conv_1, stride=2, padding=2),
        LIF(TAU_S),
        Conv2d(conv_2, bias, padding=(2, 1), dilation=(2, 1), groups=2),
        LIF(TAU_S),
        MaxPool2d(2),
        SumPool2d(2, stride=1, padding=1),
        AvgPool2d(2, stride=1),
        Flatten(),
        Linear(dense),
    )
    assert graph.shapes["n8"] == (12 * 4 * 5,)
    x = frames(rng, 7, 2, 18, 17)
    result = neuro.simulate(graph, x, record={"n2": "spikes", "n4": "spikes"})
    weights = [torch.from_numpy(w.copy()) for w in (conv_1, conv_2, bias, dense)]
    state: dict[str, Any] = {}
    functional = torch.nn.functional
    for step in range(7):
        z = functional.conv2d(torch.from_numpy(x[step : step + 1]), weights[0], stride=2, padding=2)
        z = lif_step(z, state, "a")
        assert np.array_equal(result.spikes["n2"].to_dense()[step], z[0].numpy())
        z = functional.conv2d(z, weights[1], weights[2], padding=(2, 1), dilation=(2, 1), groups=2)
        z = lif_step(z, state, "b")
        assert np.array_equal(result.spikes["n4"].to_dense()[step], z[0].numpy())
        z = functional.max_pool2d(z, 2)
        z = functional.avg_pool2d(z, 2, stride=1, padding=1, divisor_override=1)
        z = functional.avg_pool2d(z, 2, stride=1)
        z = functional.linear(z.flatten(1), weights[3])
        assert np.array_equal(result.output[step], z[0].numpy())
    assert result.counters.spikes["n2"] > 100
    assert result.counters.spikes["n4"] > 20


def norse_cells() -> list[tuple[str, Node, Callable[[], Any]]]:
    """Our neuron, and norse's cell with the same parameters."""
    norse = pytest.importorskip("norse.torch", reason="norse is not installed: make setup")
    functional = pytest.importorskip("norse.torch.functional.lif_box")
    leaky = pytest.importorskip("norse.torch.functional.leaky_integrator_box")

    def tensor(value: float) -> Any:
        return torch.as_tensor(value)

    box = functional.LIFBoxParameters(
        tau_mem_inv=tensor(1 / TAU_S), v_leak=tensor(0.125), v_th=tensor(0.3), v_reset=tensor(0.0)
    )
    cuba = norse.LIFParameters(
        tau_syn_inv=tensor(1 / 0.05),
        tau_mem_inv=tensor(1 / TAU_S),
        v_leak=tensor(0.0),
        v_th=tensor(0.3),
        v_reset=tensor(0.0),
    )
    readout = leaky.LIBoxParameters(tau_mem_inv=tensor(1 / TAU_S), v_leak=tensor(0.25))
    return [
        ("LIFBoxCell", LIF(TAU_S, 0.3, v_leak=0.125), lambda: norse.LIFBoxCell(box, dt=DT_S)),
        ("LIFCell", CubaLIF(TAU_S, 0.05, 0.3), lambda: norse.LIFCell(cuba, dt=DT_S)),
        ("LIBoxCell", LI(TAU_S, v_leak=0.25), lambda: norse.LIBoxCell(readout, dt=DT_S)),
    ]


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["LIFBoxCell", "LIFCell", "LIBoxCell"])
def test_a_neuron_steps_as_the_cell_of_norse(kind: int) -> None:
    _, node, make = norse_cells()[kind]
    rng = np.random.default_rng(kind)
    currents = rng.normal(0.3, 0.8, (60, 40)).astype(np.float32)
    result = neuro.simulate(chain(Input(40), node, weight_grid=None), currents, record={"n1": "membrane"})
    cell, state, n_spikes = make(), None, 0
    for step, current in enumerate(currents):
        if state is None and kind != 1:
            state = _at_leak(cell, current)
        out, state = cell(torch.from_numpy(current), state)
        np.testing.assert_array_equal(result.output[step], out.detach().numpy())
        np.testing.assert_array_equal(result.membranes["n1"][step], state.v.detach().numpy())
        n_spikes += int(out.detach().sum())
    assert kind == 2 or n_spikes > 50


def _at_leak(cell: Any, current: NDArray[np.float32]) -> Any:
    """Norse starts at zero or at the leak, depending on the cell; ours at the leak."""
    state = cell.initial_state(torch.from_numpy(current))
    return state._replace(v=torch.full_like(torch.from_numpy(current), float(cell.p.v_leak)))


def test_an_if_neuron_adds_up_as_torch() -> None:
    rng = np.random.default_rng(5)
    currents = rng.normal(0.2, 0.5, (40, 30)).astype(np.float32)
    result = neuro.simulate(chain(Input(30), IF(1.0, reset="subtract"), weight_grid=None), currents)
    v = torch.zeros(30)
    for step, current in enumerate(currents):
        v = v + torch.from_numpy(current)
        fired = v > 1.0
        v = torch.where(fired, v - 1.0, v)
        np.testing.assert_array_equal(result.output[step], fired.numpy())
