"""Accuracy of converted networks over time, beside the peers': the same ReLU networks, nothing retrained."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from conversion_networks import N_FOLDS, digits, fold_of, load_digits_net, load_fold_net
from conversion_setup import EXAMPLE, ROOT, Setup
from numpy.typing import NDArray
from rows import Row, against_goal
from scipy.stats import t as student_t

from analog_bridge.conversion import convert
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest
from analog_bridge.layers import LayerGraph

STEPS = (2, 4, 8, 16, 32)
SEEDS = tuple(range(10))  # of the networks; the goal speaks of the first three
N_LEVELS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
DEPTH = 6  # layers with weights from the input to the output

Choice = tuple[int, bool]  # levels, and whether each channel has a unit of its own
Right = NDArray[np.int64]  # how many images are right after each step


def over_time(conversion: Any, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class after each step, (n, n_steps)."""
    return np.stack([conversion.over_time(one).argmax(-1) for one in conversion.run(x)])


def _right(layers: LayerGraph, choice: Choice, calibration: Any, x: Any, y: Any) -> Right:
    levels, per_channel = choice
    found = convert(layers, calibration=calibration, levels=levels, per_channel=per_channel, n_steps=64)
    return np.asarray((over_time(found, x) == y[:, np.newaxis]).sum(0), np.int64)


def choices(setup: Setup) -> dict[int, tuple[Choice, float]]:
    """Return for each number of steps what did best in cross-validation on the training images, and its accuracy.

    A network of the same form is trained without a fold and converted with the images that it was trained with; the
    images of the fold are what it is judged by. Of those within a standard error of the best the one that is closest to
    the original is taken: a unit for each channel, then the most levels.
    """
    x, y = setup.train
    fold = fold_of(len(x))
    candidates = [(levels, per) for levels in N_LEVELS for per in (True, False)]
    if setup.quick:
        candidates = [(4, True), (8, True)]
    right = {choice: np.zeros(64, np.int64) for choice in candidates}
    for k in range(1 if setup.quick else N_FOLDS):
        layers = ingest(load_fold_net(k), EXAMPLE)
        for choice in candidates:
            held = fold == k
            right[choice] += _right(layers, choice, x[~held], x[held], y[held])
    n = np.count_nonzero(fold == 0) if setup.quick else len(x)
    found = {}
    for n_steps in STEPS:
        part = {one: right[one][n_steps - 1] / n for one in candidates}
        most = max(part.values())
        least = most - np.sqrt(most * (1 - most) / n)
        chosen = max((one for one in candidates if part[one] >= least), key=lambda one: (one[1], one[0]))
        found[n_steps] = (chosen, 100 * float(part[chosen]))
    return found


def accuracy_over_time(setup: Setup) -> list[Row]:
    """The kept networks and the test images; levels for each number of steps by cross-validation.

    The first three seeds, which the goal names, and all ten: with 500 images and three networks one image more or less
    is 0.07 points.
    """
    seeds = setup.seeds if setup.quick else SEEDS
    theirs, chosen = _peers([f"seed{seed}" for seed in seeds]), choices(setup)
    x, y = setup.test
    accuracy: dict[Choice, list[NDArray[np.float64]]] = {choice: [] for choice, _ in chosen.values()}
    originals = []
    for seed in seeds:
        layers = ingest(load_digits_net(seed), EXAMPLE)
        originals.append(100 * (evaluate(layers, x)[layers.outputs[0]].argmax(1) == y).mean())
        for choice, found in accuracy.items():
            found.append(100 * _right(layers, choice, setup.train[0], x, y) / len(x))
    rows = []
    for n_used in (3, len(seeds)) if not setup.quick else (1,):
        for n_steps, (choice, _) in chosen.items():
            ours = np.array([found[n_steps - 1] for found in accuracy[choice]])
            units = "by channel" if choice[1] else "by layer"
            claim = f"digits, T = {n_steps}, signed, {choice[0]} levels {units}, {n_used} seeds (ReLU "
            claim += f"{np.mean(originals[:n_used]):.2f} %"
            for peer, scores in theirs.get(n_steps, {"none": np.full(len(seeds), np.nan)}).items():
                rows.append(_beside(claim, ours[:n_used], peer, scores[:n_used]))
    return [*rows, *([] if setup.quick else validated(chosen)), *settling(setup)]


def _beside(claim: str, ours: NDArray[np.float64], peer: str, theirs: NDArray[np.float64]) -> Row:
    """Means over the seeds; of ten also their deviation, and the paired difference with its 95 % interval."""
    mean, score = float(ours.mean()), float(theirs.mean())
    if len(ours) > 3:
        difference = ours - theirs
        reach = float(student_t.ppf(0.975, len(ours) - 1) * difference.std(ddof=1) / np.sqrt(len(ours)))
        claim += f"; deviation {ours.std(ddof=1):.2f}, theirs {theirs.std(ddof=1):.2f}"
        claim += f"; difference {difference.mean():+.2f} ± {reach:.2f}"
    return Row(f"{claim})", mean, peer, score, "%", mean / score, (score - 0.2 - 1e-6) / score, True)


def validated(chosen: dict[int, tuple[Choice, float]]) -> list[Row]:
    """Return the accuracies in cross-validation, on every training image once: of what was chosen, and of sinabs."""
    fold = fold_of(len(digits()[0][0]))
    weights = np.bincount(fold) / len(fold)
    theirs = _peers([f"fold{k}" for k in range(N_FOLDS)])
    rows = []
    for n_steps, (_, ours) in chosen.items():
        for peer, scores in theirs.get(n_steps, {}).items():
            score = float(np.average(scores, weights=weights))
            claim = f"the same in cross-validation on {len(fold):,} training images, T = {n_steps}"
            if peer.startswith("sinabs"):
                rows.append(Row(claim, ours, peer, score, "%", ours / score, (score - 0.2) / score, True))
    return rows


def settling(setup: Setup) -> list[Row]:
    """Steps until the output of an image changes no more, less the levels."""
    found: list[int] = []
    for _, layers in setup.networks():
        for levels in (4, 8, 16):
            network = convert(layers, calibration=setup.train[0], levels=levels, n_steps=64)
            found += [steps - levels for steps in _settled(network, setup.test[0])]
    late = sum(steps >= DEPTH for steps in found)
    claim = (
        f"signed, 4 to 16 levels: steps until settled less the levels, at most ({DEPTH} layers with weights; "
    )
    claim += f"{late} of {len(found):,} runs take {DEPTH} or more)"
    return [against_goal(claim, float(max(found)), float(DEPTH), "steps", less_is_better=True)]


def _settled(conversion: Any, x: NDArray[np.float32]) -> Iterator[int]:
    """Steps after which the output of each image no longer changes."""
    for result in conversion.run(x):
        moves = np.flatnonzero((np.diff(conversion.over_time(result), axis=0) != 0).any(axis=1))
        yield int(moves[-1]) + 2 if moves.size else 1


def _peers(names: list[str]) -> dict[int, dict[str, NDArray[np.float64]]]:
    """Accuracy of each peer at each number of steps, for each network; empty without ``.venv-peers``."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        print("peers: .venv-peers is missing (make peers); left out")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "peers.json"
        script = ROOT / "benchmarks" / "peers" / "convert_digits.py"
        command = [str(python), str(script), str(out), *names]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"peers: left out, they failed: {done.stderr.strip().splitlines()[-1:]}")
            return {}
        found = json.loads(out.read_text(encoding="utf-8"))
    recipes = next(iter(found.values()))
    return {
        n: {recipe: np.array([found[name][recipe][str(n)] for name in names]) for recipe in recipes}
        for n in STEPS
    }
