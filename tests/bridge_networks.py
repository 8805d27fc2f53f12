"""Torch networks for the tests of the bridge, on grids on which all sums are exact in float64 and mostly in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
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


class Function(nn.Module):
    """A module whose forward is a function of its parameters and the input."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module, **values: torch.Tensor) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(modules)
        for name, value in values.items():
            self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


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


class Block(nn.Module):
    """What joins a module's output to its input: nothing, a sum, or a concatenation."""

    def __init__(self, module: nn.Module, join: str) -> None:
        super().__init__()
        self.module, self.join = module, join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.module(x)
        if self.join == "sum":
            return y + x
        return torch.cat([x, y], 1) if self.join == "concat" else y


@st.composite
def random_networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int, int]]:
    """Draw a small network of convolutions, norms, activations, pooling and joints, and the shape of its input."""
    channels, size = draw(st.integers(1, 3)), draw(st.sampled_from([4, 6, 8]))
    shape = (channels, size, size)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "block", "depthwise", "pool", "norm"]))
        if kind == "conv":
            kernel, stride, padding = (
                draw(st.integers(1, 3)),
                draw(st.integers(1, 2)),
                draw(st.integers(0, 2)),
            )
            dilation = draw(st.integers(1, 2))
            span = dilation * (kernel - 1) + 1
            if size + 2 * padding < span:
                continue
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
            width = groups * draw(st.integers(1, 2))
            layers.append(
                nn.Conv2d(
                    channels, width, kernel, stride, padding, dilation, groups, bias=draw(st.booleans())
                )
            )
            channels, size = width, (size + 2 * padding - span) // stride + 1
        elif kind == "block":
            inner = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), _activation(draw))
            join = draw(st.sampled_from(["sum", "concat"]))
            layers.append(Block(inner, join))
            channels *= 1 + (join == "concat")
        elif kind == "depthwise":
            layers.append(nn.Conv2d(channels, channels, 3, padding=1, groups=channels))
        elif kind == "pool" and size % 2 == 0:
            layers.append(draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))(2))
            size //= 2
        elif kind == "norm":
            layers.append(nn.BatchNorm2d(channels))
        if draw(st.booleans()):
            layers.append(_activation(draw))
    layers.append(nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 3)))
    return nn.Sequential(*layers).eval(), shape


def _activation(draw: st.DrawFn) -> nn.Module:
    kinds = [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.25), nn.Hardtanh(-1.0, 1.0)]
    found: nn.Module = draw(st.sampled_from(kinds))
    return found
