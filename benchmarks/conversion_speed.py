"""Processor time of one thread for one picture: the engine against the original network in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from conversion_networks import load_digits_net
from conversion_setup import DATA, EXAMPLE, Setup, moving_digits
from rows import Row
from timing import best_seconds_of
from torch import nn

import neuro
from analog_bridge.conversion import convert, convert_layers
from analog_bridge.ingest import ingest, ingest_file
from analog_bridge.layers import (
    Activation,
    Convolution,
    Dense,
    InputLayer,
    LayerGraph,
    MaxPool,
    Reshape,
)
from analog_bridge.quantization import calibrate

Call = Callable[[], Any]
METHODS: tuple[tuple[Any, int], ...] = (
    ("signed", 8),
    ("signed", 16),
    ("two_phase", 4),
    ("two_phase", 8),
    ("radix", 7),
    ("radix", 15),
    ("first_spike", 8),
    ("integer", 8),
)


@dataclass(frozen=True)
class _Case:
    """A run of the engine and what torch needs for the same."""

    claim: str
    ours: Call
    theirs: Call
    n: int
    equal: bool

    def row(self, n_repeats: int) -> Row:
        """Time both in turns."""
        found = best_seconds_of({"ours": self.ours, "theirs": self.theirs}, repeats=n_repeats, budget_s=8)
        ours, theirs = (1e3 * found[name] / self.n for name in ("ours", "theirs"))
        return Row(self.claim, ours, "torch, eager", theirs, "ms", theirs / ours, 1.0, self.equal)


def speed(setup: Setup) -> list[Row]:
    """Digits by all methods, larger networks by some, and video."""
    cases = [*_digits(setup), *_larger(setup), *_video(setup)]
    with torch.no_grad():
        return [case.row(20 if setup.quick else 100) for case in cases]


def _cases(
    name: str, networks: tuple[LayerGraph, nn.Module], images: tuple[Any, Any], methods: Any
) -> Iterator[_Case]:
    (layers, network), (calibration, x) = networks, images
    image = torch.from_numpy(x)
    for method, levels in methods:
        found = convert(layers, calibration=calibration, levels=levels, method=method)
        claim = f"speed, {name}, {method}, {levels} levels, one image"
        is_equal = found.verify(x).n_other_decisions == 0
        yield _Case(
            claim,
            partial(neuro.simulate, found.graph, found.encode(x)[0]),
            partial(network, image),
            1,
            is_equal,
        )


def _digits(setup: Setup) -> Iterator[_Case]:
    network = load_digits_net(0)
    layers, x = ingest(network, EXAMPLE), setup.test[0][:1]
    yield from _cases("digits 8 x 8", (layers, network), (setup.train[0], x), METHODS)


def _larger(setup: Setup) -> Iterator[_Case]:
    """Networks of others, rebuilt in torch from their layers."""
    for name, file, images in (
        ("LeNet-5, MNIST", "lenet5_keras_98.96.h5", "mnist_x_norm.npz"),
        ("CIFAR-10", "cifar10_keras_81.45.h5", "cifar10_binarynet_x_test.npz"),
    ):
        folder = DATA / "snn_toolbox_ann"
        if not folder.is_dir():
            print(f"speed of {name}: {folder} is missing; left out")
            continue
        layers = ingest_file(folder / file)
        x = np.load(folder / images)["arr_0"][:201].astype(np.float32)
        methods = [one for one in METHODS if one in {("signed", 8), ("two_phase", 8), ("radix", 7)}]
        yield from _cases(name, (layers, _rebuilt(layers)), (x[:200], x[200:]), methods)


def _rebuilt(layers: LayerGraph) -> nn.Module:
    """Return a network without branches as a torch module."""
    found: list[nn.Module] = []
    for layer in layers.layers:
        if isinstance(layer, Convolution):
            top, _, left, _ = layer.padding
            n_out, n_in, *kernel = layer.weight.shape
            module: Any = nn.Conv2d(n_in, n_out, (kernel[0], kernel[1]), layer.stride, (top, left))
        elif isinstance(layer, Dense):
            module = nn.Linear(layer.weight.shape[1], len(layer.weight))
        elif isinstance(layer, MaxPool):
            module = nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
        elif isinstance(layer, Activation):
            module = nn.ReLU()
        else:
            assert isinstance(layer, (InputLayer, Reshape)), layer
            module = nn.Flatten() if isinstance(layer, Reshape) else nn.Identity()
        if isinstance(layer, (Convolution, Dense)):
            module.weight.data, module.bias.data = torch.tensor(layer.weight), torch.tensor(layer.bias)
        found.append(module)
    return nn.Sequential(*found).eval()


def _video(setup: Setup) -> Iterator[_Case]:
    network = load_digits_net(0)
    calibration = moving_digits(setup.train[0][:100], n_frames=1, hold=1, seed=1)[:, 0]
    quantised = calibrate(ingest(network, torch.zeros(1, 1, 24, 24)), calibration, levels=8, per_channel=True)
    found = convert_layers(quantised, method="sigma_delta")
    for hold in (1, 4):
        clip = moving_digits(setup.test[0][:1], n_frames=40, hold=hold, seed=3)
        claim = f"speed, video 24 x 24, sigma-delta, moving every {hold} frames, one frame"
        is_equal = found.verify(clip).n_other_decisions == 0
        run = partial(neuro.simulate, found.graph, found.encode(clip)[0])
        yield _Case(claim, run, partial(_each, network, torch.from_numpy(clip[0])), len(clip[0]), is_equal)


def _each(network: Any, frames: torch.Tensor) -> None:
    for frame in frames.split(1):
        network(frame)
