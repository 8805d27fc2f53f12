"""The engine and torch with norse's cells give the same spikes and readouts: not one difference."""

from __future__ import annotations

from dataclasses import replace

import norse.torch as norse
import numpy as np
import pytest
import torch
from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters
from torch import nn

import neuro
from neuro.training import ConvLayer, NetworkConfig, Recipe, TrainedNetwork, export, threshold_for, train

CONFIG = NetworkConfig(
    input_shape=(2, 10, 9), n_classes=4, n_frames=7, conv=(ConvLayer(6, 5, 2, 2), ConvLayer(8, 3, 1, 1)), hidden=(12,),
    tau_mem_s=0.023, tau_readout_s=0.041, threshold=0.7, max_count=31,
)  # fmt: skip


def _frames(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rate = random.random((n, 7, 1, 1, 1)) * 0.4
    counts = random.poisson(1.0, (n, 7, 2, 10, 9)) * (random.random((n, 7, 2, 10, 9)) < rate)
    return counts.astype(np.uint8)


@pytest.fixture(scope="module", params=["attention", "no attention", "no batch norm", "no hidden layer"])
def trained(request: pytest.FixtureRequest) -> TrainedNetwork:
    config = {
        "attention": CONFIG,
        "no attention": replace(CONFIG, attention=False),
        "no batch norm": replace(CONFIG, batch_norm=False),
        "no hidden layer": replace(CONFIG, hidden=()),
    }[request.param]
    labels = np.arange(24) % 4
    recipe = Recipe(batch_size=8, learning_rate=0.01)
    return train(
        _frames(24, 0),
        labels,
        _frames(8, 1),
        labels[:8],
        config=config,
        epochs=2,
        seed=3,
        recipe=recipe,
        threads=1,
    )


@pytest.mark.parametrize("share", [1.0, 0.7, 0.3])
def test_trained_network_equals_engine(trained: TrainedNetwork, share: float) -> None:
    frames = _frames(12, 2)
    threshold = None
    if trained.config.attention:
        scores = trained.run(frames).scores
        assert scores is not None
        threshold = threshold_for(scores, share)
    graph = trained.export(attention_threshold=threshold)
    expected = trained.run(frames, threshold=threshold or 0.0, record_spikes=True)
    n_spikes = 0
    for k, recording in enumerate(frames):
        result = neuro.simulate(
            graph, recording.astype(np.float32), record=dict.fromkeys(expected.spikes, "spikes")
        )
        if result.attention is not None:
            assert expected.scores is not None
            assert np.abs(result.attention.scores - expected.scores[k]).max() < 1e-6
            if result.attention.n_near_threshold:
                continue
            assert np.array_equal(result.attention.kept, expected.kept[k])
        for name, spikes in expected.spikes.items():
            assert np.array_equal(result.spikes[name].to_dense(), spikes[k])
            n_spikes += int(spikes[k].sum())
        assert np.array_equal(result.output, expected.readout[k])
    assert n_spikes > 0


def _run_module(network: nn.Module, frames: np.ndarray) -> np.ndarray:
    state = None
    outputs = []
    with torch.no_grad():
        for frame in torch.from_numpy(frames):
            out, state = network(frame.unsqueeze(0), state)
            outputs.append(out[0])
    stacked: np.ndarray = torch.stack(outputs).numpy()
    return stacked


def _on_grid(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.round(parameter * 2**9) / 2**8)
    return network.eval()


def _number(value: float) -> torch.Tensor:
    return torch.tensor(value)


CELLS = {
    "LIFBoxCell": lambda: norse.LIFBoxCell(
        norse.LIFBoxParameters(
            tau_mem_inv=_number(333.0), v_th=_number(0.3), v_leak=_number(0.1), v_reset=_number(-0.2)
        )
    ),
    "LIFBoxCell, subtracting": lambda: norse.LIFBoxCell(
        norse.LIFBoxParameters(
            tau_mem_inv=_number(333.0), v_th=_number(0.3), reset_method=norse.reset_subtract
        )
    ),
    "LIFCell": lambda: norse.LIFCell(
        norse.LIFParameters(tau_mem_inv=_number(300.0), tau_syn_inv=_number(70.0), v_th=_number(0.4))
    ),
    "IAFCell": lambda: norse.IAFCell(norse.IAFParameters(v_th=_number(1.5))),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Identity()], ids=["max", "average", "none"]
)
def test_exported_module_equals_engine(cell: str, pool: nn.Module) -> None:
    torch.manual_seed(4)
    size = 8 * 8 if isinstance(pool, nn.Identity) else 4 * 4
    network = norse.SequentialState(
        nn.Conv2d(2, 4, 3, padding=1), CELLS[cell](), pool, nn.Flatten(), nn.Dropout(), nn.Linear(4 * size, 5),
        LIBoxCell(LIBoxParameters(tau_mem_inv=_number(90.0), v_leak=_number(0.05))),
    )  # fmt: skip
    network = _on_grid(network)
    graph = export(network, input_shape=(2, 8, 8), max_count=6)
    random = np.random.default_rng(5)
    for density in (0.02, 0.3):
        frames = (random.integers(1, 7, (15, 2, 8, 8)) * (random.random((15, 2, 8, 8)) < density)).astype(
            np.float32
        )
        result = neuro.simulate(graph, frames, record={graph.order[2]: "spikes"})
        assert np.array_equal(result.output, _run_module(network, frames))
        assert density < 0.1 or len(result.spikes[graph.order[2]]) > 0


def test_rounded_export_equals_the_module_with_rounded_weights() -> None:
    torch.manual_seed(6)
    network = norse.SequentialState(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), norse.LIFBoxCell(), nn.Flatten(), nn.Linear(144, 3),
        norse.LIFBoxCell(norse.LIFBoxParameters(v_th=_number(0.01))),
    )  # fmt: skip
    network.eval()
    graph = export(network, input_shape=(2, 6, 6), max_count=6, snap_weights=True)
    network[1] = nn.Identity()
    for place, name in ((0, "conv2d_0"), (4, "linear_4")):
        node = graph.nodes[name]
        with torch.no_grad():
            network[place].weight.copy_(torch.tensor(node.weight))  # type: ignore[attr-defined]
            network[place].bias.copy_(torch.tensor(node.bias))  # type: ignore[attr-defined]
    frames = np.random.default_rng(7).integers(0, 7, (20, 2, 6, 6)).astype(np.float32)
    result = neuro.simulate(graph, frames)
    assert result.output.any()
    assert np.array_equal(result.output, _run_module(network, frames))
