"""Less to compute before a network begins: cosine coefficients, few points, half of the training data.

``python benchmarks/bridge_inputs.py [--quick] [--json FILE] [--parts ..]``. Nothing is downloaded: scikit-learn's
digits, and point clouds of eight shapes that are made here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rows import Row, against_goal, show
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split
from torch import nn

from analog_bridge.images import block_dct, dct_channels, varying_coefficients
from analog_bridge.points import farthest_points, match_points, normalised_cloud
from analog_bridge.points.networks import PointNetwork, folded, sample_points, train_sampler
from analog_bridge.selection import select

Data = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]


def digits(seed: int) -> Data:
    """Return training and test pictures and labels; 500 are for testing."""
    found = load_digits()
    x = (found.images / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(
        x, found.target, test_size=500, random_state=seed, stratify=found.target
    )
    return x_train, x_test, y_train, y_test


def fit(
    network: nn.Module,
    x: Any,
    y: Any,
    *,
    epochs: int,
    rate: float = 3e-3,
    seed: int = 0,
    n_points: int | None = None,
) -> nn.Module:
    """Train by Adam with a cosine schedule; of clouds, `n_points` at random in each step."""
    samples, labels = torch.tensor(np.asarray(x), dtype=torch.float32), torch.tensor(np.asarray(y))
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(samples) // 64))
    generator = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(epochs):
        for part in torch.randperm(len(samples), generator=generator).split(64):
            batch = samples[part]
            if n_points is not None:
                batch = batch[:, :, torch.randperm(batch.shape[2], generator=generator)[:n_points]]
            loss = nn.functional.cross_entropy(network(batch), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: nn.Module, x: Any, y: Any) -> float:
    """Return the percentage that is right."""
    with torch.no_grad():
        scores = network(torch.tensor(np.asarray(x), dtype=torch.float32))
    return 100 * float((scores.argmax(1).numpy() == y).mean())


def perceptron(n_inputs: int, seed: int) -> nn.Module:
    """Return the network of the digits."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 128), nn.ReLU(), nn.Linear(128, 10))


def cosine_input(quick: bool) -> list[Row]:
    """The same network on 64 pixels and on the 16 coefficients of 64 that differ most in the training data."""
    losses = []
    for seed in range(1 if quick else 5):
        x_train, x_test, y_train, y_test = digits(seed)
        train, test = block_dct(x_train), block_dct(x_test)
        kept = varying_coefficients(train, 16)
        scores = []
        for parts in ((x_train, x_test), (dct_channels(train, kept), dct_channels(test, kept))):
            rows = [each.reshape(len(each), -1) for each in parts]
            mean, spread = rows[0].mean(0), rows[0].std(0) + 1e-3  # of the training data, for both
            scaled = [(each - mean) / spread for each in rows]
            network = fit(perceptron(rows[0].shape[1], seed), scaled[0], y_train, epochs=40, seed=seed)
            scores.append(accuracy(network, scaled[1], y_test))
        losses.append(scores[0] - scores[1])
    claim = f"digits, 16 cosine coefficients for 64 pixels: points lost, mean of {len(losses)}"
    return [against_goal(claim, float(np.mean(losses)), 1.5, "points", less_is_better=True)]


def selection(quick: bool) -> list[Row]:
    """Half of the training data, chosen and at random, against all of it."""
    scores: dict[str, list[float]] = {
        "all": [],
        "random": [],
        "core_set": [],
        "uncertain": [],
        "clusters": [],
    }
    for seed in range(2 if quick else 5):
        x_train, x_test, y_train, y_test = digits(seed)
        n = len(x_train) // 2
        proxy = LogisticRegression(max_iter=300)
        sure = cross_val_predict(
            proxy, x_train.reshape(len(x_train), -1), y_train, cv=3, method="predict_proba"
        )
        chosen: dict[str, Any] = {
            "all": np.arange(len(x_train)),
            "random": np.random.default_rng(seed).permutation(len(x_train))[:n],
        }
        for method in ("core_set", "uncertain", "clusters"):
            chosen[method] = select(n, x_train, method=method, probabilities=sure, labels=y_train, seed=seed)  # type: ignore[arg-type]
        for name, part in chosen.items():
            epochs = 40 if name == "all" else 80  # as many steps
            network = fit(perceptron(64, seed), x_train[part], y_train[part], epochs=epochs, seed=seed)
            scores[name].append(accuracy(network, x_test, y_test))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    n_seeds = len(scores["all"])
    rows = []
    for name in ("core_set", "uncertain", "clusters"):
        claim = f"half the digits by {name}: points lost against all of them ({means['all']:.2f} %), mean of {n_seeds}"
        rows.append(against_goal(claim, means["all"] - means[name], 0.2, "points", less_is_better=True))
        wrong = [100 - means[each] for each in (name, "random")]
        rows.append(
            Row(
                f"half the digits by {name}: wrong",
                wrong[0],
                "random half",
                wrong[1],
                "%",
                wrong[1] / wrong[0],
                1.0,
                True,
            )
        )
    return rows


def cloud(kind: int, rng: np.random.Generator, n: int = 1024) -> NDArray[np.float32]:
    """Return points on a sphere, cube, cylinder, cone, torus, square, helix or cross, turned, stretched and noisy."""
    u, v = rng.random(n), rng.random(n)
    angle = 2 * np.pi * u
    z = 2 * v - 1
    pick, side = rng.integers(0, 3, n), rng.choice([-1.0, 1.0], n)
    box = rng.uniform(-1, 1, (n, 3))
    ring = np.sqrt(1 - z**2) if kind == 0 else 1 - v if kind == 3 else np.ones(n)
    if kind in {0, 2, 3}:
        points = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], 1)
    elif kind == 1:
        points = box
        points[np.arange(n), pick] = side
    elif kind == 4:
        tube = 1 + 0.35 * np.cos(2 * np.pi * v)
        points = np.stack([tube * np.cos(angle), tube * np.sin(angle), 0.35 * np.sin(2 * np.pi * v)], 1)
    elif kind == 5:
        points = box * [1, 1, 0]
    elif kind == 6:
        points = np.stack([np.cos(2 * angle), np.sin(2 * angle), 2 * u - 1], 1)
    else:
        points = np.zeros((n, 3))
        points[np.arange(n), pick] = box[:, 0]
    a, b, c = rng.uniform(-0.5, 0.5, 3)
    turn = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    rotation = np.linalg.solve(np.eye(3) + turn, np.eye(3) - turn)  # Cayley
    moved = (points * rng.uniform(0.7, 1.3, 3)) @ rotation.T + rng.normal(0, 0.02, (n, 3))
    return normalised_cloud(moved)


def clouds(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return clouds (n, 3, 1024) and their kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 8
    return np.stack([cloud(int(kind), rng).T for kind in kinds]), kinds


def few_points(quick: bool) -> list[Row]:
    """16 of 1,024 points: learned, learned and matched, farthest, at random; accuracy and time."""
    n_points = 16
    x, y = clouds(400 if quick else 800, 0)
    x_test, y_test = clouds(160 if quick else 400, 1)
    torch.manual_seed(0)
    network = fit(
        PointNetwork(8, widths=(64, 128, 512)), x, y, epochs=25 if quick else 60, rate=2e-3, n_points=128
    )
    full = accuracy(network, x_test, y_test)
    sampler = train_sampler(
        network, x, y, n_points, closeness=0.3, every=4, epochs=20 if quick else 80, learning_rate=2e-3
    )
    made = sample_points(sampler, x_test)
    picked = {
        "farthest points": [farthest_points(each.T, n_points) for each in x_test],
        "points at random": [
            np.random.default_rng(i).permutation(1024)[:n_points] for i in range(len(x_test))
        ],
        "learned, matched to points": [
            match_points(one.T, each.T, n_points) for one, each in zip(made, x_test, strict=True)
        ],
    }
    rows = [
        against_goal(
            f"shapes, {n_points} learned points for 1,024: points of accuracy lost ({full:.1f} % with all)",
            full - accuracy(network, made, y_test), 4.0, "points", less_is_better=True,
        )
    ]  # fmt: skip
    for name, places in picked.items():
        part = np.stack([each[:, place] for each, place in zip(x_test, places, strict=True)])
        lost = full - accuracy(network, part, y_test)
        rows.append(
            against_goal(
                f"shapes, {n_points} {name}: points of accuracy lost",
                lost,
                4.0,
                "points",
                less_is_better=True,
            )
        )
    one = torch.tensor(x_test[:1])
    network, sampler = folded(network), folded(sampler)  # for all points, and for few
    whole, few = (_seconds(call) for call in (lambda: network(one), lambda: network(sampler(one))))
    claim = f"shapes: part of the time saved by the learned sampler and its points ({1e3 * few:.3f} ms)"
    rows.append(against_goal(claim, 1 - few / whole, 0.85, "1"))
    return rows


def _seconds(call: Callable[[], Any]) -> float:
    """Return the processor time of a call, the best of 30."""
    best = np.inf
    with torch.no_grad():
        for _ in range(30):
            start = time.thread_time()
            call()
            best = min(best, time.thread_time() - start)
    return best


PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "cosine": cosine_input,
    "selection": selection,
    "points": few_points,
}


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer seeds, fewer clouds: under a minute")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for part in args.parts for row in PARTS[part](args.quick)]
    show(rows, title="Less before the network begins", json_path=args.json)


if __name__ == "__main__":
    main()
