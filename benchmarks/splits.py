"""Which recordings train, choose and test the benchmark models: stratified, by seed, never overlapping."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sklearn.model_selection import train_test_split

from eventio.datasets import Collection, digits, folder

MODELS = Path(__file__).resolve().parent / "models"
SEEDS = (0, 1, 2)


class Parts(NamedTuple):
    """Training part, validation part (chooses the model, threshold and temperature), test part."""

    train: Collection
    validation: Collection
    test: Collection


def data_dir() -> Path | None:
    """Folder of the real recordings, if there is one."""
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("SPIKELOOM_DATA", root))
    return path if (path / "nmnist_subset").is_dir() else None


def digits_split(seed: int) -> Parts:
    """Split the 1,797 digits stratified 1,077 / 360 / 360."""
    train, validation, test = (digits(part, split_seed=seed) for part in ("train", "validation", "test"))
    return Parts(train, validation, test)


def nmnist_official(seed: int) -> Parts:
    """Take the subset's own 904 / 100, with 100 of the 904 (by seed) set aside to choose the model."""
    whole, test = _nmnist("Train"), _nmnist("Test")
    train, validation = _divide(whole, 100, seed)
    return Parts(train, validation, test)


def nmnist_split(seed: int) -> Parts:
    """Split all 1,004 recordings of the subset stratified 604 / 100 / 300."""
    train, test = _nmnist("Train"), _nmnist("Test")
    rest, held_out = _divide(replace(train, samples=train.samples + test.samples), 300, seed)
    training, validation = _divide(rest, 100, seed)
    return Parts(training, validation, held_out)


def _nmnist(part: str) -> Collection:
    path = data_dir()
    if path is None:
        raise SystemExit("no N-MNIST recordings: set SPIKELOOM_DATA to the folder that holds nmnist_subset")
    return replace(folder(path / "nmnist_subset" / part, name="nmnist"), width=34, height=34)


def _divide(collection: Collection, n_second: int, seed: int) -> tuple[Collection, Collection]:
    positions = list(range(len(collection)))
    first, second = train_test_split(
        positions, test_size=n_second, stratify=collection.labels, random_state=seed
    )
    parts = [tuple(collection.samples[n] for n in sorted(chosen)) for chosen in (first, second)]
    return replace(collection, samples=parts[0]), replace(collection, samples=parts[1])
