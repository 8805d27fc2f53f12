"""The conventional networks of the conversion benchmark, trained from a seed and kept in ``benchmarks/models``.

Run as a script it trains them: ``python benchmarks/conversion_networks.py [--seeds 0 1 .. 9] [--folds 0 1 2 3]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

MODELS = Path(__file__).resolve().parent / "models"
EPOCHS = 60
N_TEST = 500
N_FOLDS = 4  # of the training images, for what is chosen before the test images are seen

Data = tuple[NDArray[np.float32], NDArray[np.int64]]


class DigitsNet(nn.Module):
    """Convolutions with batch norm, max pooling, a residual, a depthwise layer, a concatenation, a mean."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.stem_norm, self.stem_act = nn.BatchNorm2d(width), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm, self.first_act = nn.BatchNorm2d(width), nn.ReLU()
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm, self.second_act = nn.BatchNorm2d(width), nn.ReLU()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.depthwise_norm, self.depthwise_act = nn.BatchNorm2d(width), nn.ReLU()
        self.pointwise = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.pointwise_norm, self.pointwise_act = nn.BatchNorm2d(2 * width), nn.ReLU()
        self.mean, self.flat, self.classes = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of ten classes."""
        x = self.pool(self.stem_act(self.stem_norm(self.stem(x))))
        y = self.first_act(self.first_norm(self.first(x)))
        x = self.second_act(self.second_norm(self.second(y)) + x)
        z = self.depthwise_act(self.depthwise_norm(self.depthwise(x)))
        z = self.pointwise_act(self.pointwise_norm(self.pointwise(z)))
        scores: torch.Tensor = self.classes(self.flat(self.mean(torch.cat([z, x], 1))))
        return scores


def digits() -> tuple[Data, Data]:
    """Return scikit-learn's digits: training and test part, each (n, 1, 8, 8) from 0 to 1 with classes."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    images, classes = (found.images / 16).astype(np.float32)[:, np.newaxis], found.target.astype(np.int64)
    parts = train_test_split(images, classes, test_size=N_TEST, random_state=0, stratify=classes)
    return (parts[0], parts[2]), (parts[1], parts[3])


def train(
    make: Callable[[], nn.Module],
    data: Data,
    *,
    seed: int,
    epochs: int = EPOCHS,
    batch: int = 64,
    rate: float = 3e-3,
) -> nn.Module:
    """Train a classifier from a seed."""
    torch.manual_seed(seed)
    network, (images, classes) = make(), data
    x, y = torch.from_numpy(images), torch.from_numpy(classes)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
    n_steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, n_steps)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), batch):
            part = order[start : start + batch]
            loss = functional.cross_entropy(network(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def fold_of(n: int) -> NDArray[np.int64]:
    """Return the fold of each of n training images."""
    return np.random.default_rng(0).permutation(n) % N_FOLDS


def load_digits_net(seed: int) -> nn.Module:
    """Return the kept network of a seed."""
    return _load(f"seed{seed}")


def load_fold_net(fold: int) -> nn.Module:
    """Return the kept network that has not seen a fold of the training images."""
    return _load(f"fold{fold}")


def _path(name: str) -> Path:
    return MODELS / f"conversion-digits-{name}.npz"


def _load(name: str) -> nn.Module:
    network = DigitsNet()
    with np.load(_path(name)) as file:
        network.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    return network.eval()


def main() -> None:
    """Train and keep the networks: one for each seed with all training images, one for each fold without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(N_FOLDS)))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    (images, classes), test = digits()
    fold = fold_of(len(images))
    parts = {f"seed{seed}": ((images, classes), test, seed) for seed in arguments.seeds}
    for k in arguments.folds:
        inside, held = fold != k, fold == k
        parts[f"fold{k}"] = ((images[inside], classes[inside]), (images[held], classes[held]), k)
    for name, (part, (x, y), seed) in parts.items():
        network = train(DigitsNet, part, seed=seed)
        np.savez_compressed(
            _path(name), **{key: value.numpy() for key, value in network.state_dict().items()}
        )
        with torch.no_grad():
            right = (network(torch.from_numpy(x)).argmax(1).numpy() == y).mean()
        print(f"{name}: {100 * right:.2f} % of {len(y)} images it has not seen")


if __name__ == "__main__":
    main()
