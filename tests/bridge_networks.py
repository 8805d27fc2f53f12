"""Torch networks for the tests of the bridge, on grids on which all sums are exact in float64 and mostly in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn


def on_grid(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a model weights that are multiples of 1/8 and batch norm whose factors are powers of two times such."""
    generator = torch.Generator().manual_seed(seed)

    def draw(like: torch.Tensor, span: int) -> torch.Tensor:
        return torch.randint(-span, span + 1, like.shape, generator=generator) / 8

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eps = 0.0
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(draw(module.running_mean, 4))
                powers = torch.randint(-1, 2, module.running_var.shape, generator=generator)
                module.running_var.copy_(4.0**powers)
        for parameter in model.parameters():
            parameter.copy_(draw(parameter, 8))
    return model.eval()


def data_on_grid(*shape: int, seed: int = 0) -> np.ndarray:
    """Return data that are multiples of 1/4 in [-2, 2]."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-8, 9, shape) / 4).astype(np.float32)


def answer(model: nn.Module, *x: np.ndarray) -> list[np.ndarray]:
    """Return what a model makes of data, in float64."""
    double = model.double()
    with torch.no_grad():
        found: Any = double(*(torch.tensor(each, dtype=torch.float64) for each in x))
    model.float()
    parts = found if isinstance(found, tuple | list) else [found]
    return [part.numpy() for part in parts]


class ResidualNetwork(nn.Module):
    """Batch norm, max and average pooling, residual add, depthwise, concat, a gate, and a leaky activation."""

    def __init__(self, seed: int = 0, channels: int = 2, width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.inner = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.LeakyReLU(0.25)
        )
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1), nn.Hardtanh(0.0, 1.0))
        self.act = nn.ReLU6()
        self.head = nn.Linear(2 * width, 5)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stem(x))
        x = self.act(self.inner(x) + x)
        y = self.depthwise(x)
        x = torch.cat([x * self.gate(x), y], 1)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]
