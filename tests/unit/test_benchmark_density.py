"""The torch side of the density benchmark: every form computes the network that the engine runs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import neuro
from neuro.graph import Conv2d, Linear

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from density_networks import GestureNetwork, gesture_network, recording
from timing import best_seconds_of
from torch_density import Form, TorchGesture, forms
from torch_layers import TorchLayer


@pytest.fixture(scope="module")
def network() -> GestureNetwork:
    return gesture_network(0.05)


def test_layers_fire_with_the_wanted_density(network: GestureNetwork) -> None:
    names = [f"lif{k}" for k in range(1, 6)]
    frames = recording(0.05, 3)
    result = neuro.simulate(network.graph(), frames, record=dict.fromkeys(names, "spikes"))
    for name in names[:4]:
        found = result.spikes[name].to_dense().mean()
        assert found == pytest.approx(0.05, abs=0.01), name


def test_pools_as_nodes_and_composite_kernels_are_one_network(network: GestureNetwork) -> None:
    frames = recording(0.05, 4, n_steps=6)
    outputs = [
        neuro.simulate(network.graph(is_composite=is_composite), frames) for is_composite in (True, False)
    ]
    assert np.array_equal(outputs[0].output, outputs[1].output)
    assert outputs[0].output.any()


@pytest.mark.parametrize(
    "form",
    [*forms(is_folded=False, dtype=torch.float32), *forms(is_folded=True, dtype=torch.float32)],
    ids=str,
)
def test_every_float32_form_has_the_spikes_of_the_engine(network: GestureNetwork, form: Form) -> None:
    names = [f"lif{k}" for k in range(1, 6)]
    frames = recording(0.05, 5, n_steps=6)
    result = neuro.simulate(network.graph(), frames, record=dict.fromkeys(names, "spikes"))
    module = TorchGesture(network, form)
    spikes = module.run(module.prepare(frames), record=True)
    for name, found in zip(names, spikes, strict=True):
        assert np.array_equal(result.spikes[name].to_dense(), found.numpy()), name


@pytest.mark.parametrize(
    ("synapse", "shape", "out_shape"),
    [
        (Conv2d(np.ones((3, 2, 3, 3)), padding=1), (2, 5, 6), (3, 5, 6)),
        (Conv2d(np.arange(64).reshape(2, 2, 4, 4) % 7 - 2, stride=2, padding=1), (2, 8, 6), (2, 4, 3)),
        (Linear(np.arange(12).reshape(3, 4)), (4,), (3,)),
    ],
)
def test_scatter_and_gather_equal_dense(
    synapse: Conv2d | Linear, shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> None:
    frames = (np.random.default_rng(0).random((4, *shape)) < 0.3).astype(np.float32)
    layer = TorchLayer(synapse, 5.0, frames, out_shape)
    runs = layer.runs()
    expected = torch.stack(runs["dense NCHW"]()).reshape(4, *out_shape)
    assert expected.any()
    assert not expected.all()
    for name in ("scatter", "gather"):
        found = torch.stack(runs[name]())  # (steps, pixels, channels)
        found = found.reshape(4, -1, out_shape[0]).transpose(1, 2).reshape(4, *out_shape)
        assert torch.equal(found, expected), name
    assert torch.equal(torch.stack(layer.folded()()).reshape(4, *out_shape), expected)


def test_functions_are_timed_in_turns() -> None:
    calls: list[str] = []
    times = best_seconds_of({name: lambda n=name: calls.append(n) for name in "ab"}, repeats=3)
    assert calls == list("aabb") * 3  # each timed run after an untimed one
    assert set(times) == {"a", "b"}
    assert all(0 <= seconds < 1 for seconds in times.values())
