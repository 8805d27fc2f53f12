"""The network of the density benchmark: TA-SNN's gesture topology with exact sums and chosen densities.

2x32x32 - 64C3 - 128C3 - AP2 - 128C3 - AP2 - 256 - 11, each layer convolution - bias (a folded batch norm) - average
pooling - LIF as in TA-SNN (Yao et al., ICCV 2021): 'decay' with alpha = 0.3, reset to 0. Weights are drawn from a seed
as whole numbers times 2^-9: at most 31 where a pool follows and 127 elsewhere, so that the composite kernels of
convolution and pool are 8-bit numbers times 2^-11. All sums are exact in float32, in any order. The threshold of
each layer is bisected on calibration recordings (of another seed than the measured ones) until it fires as wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

import neuro
from neuro.graph import LIF, AvgPool2d, Conv2d, Flatten, Graph, Input, Linear, clocked

__all__ = ["ALPHA", "GestureLayer", "GestureNetwork", "gesture_network", "recording"]

ALPHA = float(np.float32(0.3))
N_STEPS = 60
SHAPE = (2, 32, 32)
DT_S = 0.001
TAU_S = -DT_S / np.log(0.3)
GRID = 2.0**-9
_N_CALIBRATION = 2
_BIAS_OVER_WEIGHT = 0.25
_TOPOLOGY = (  # (inputs, outputs, kernel or 0 for Linear, pool)
    (2, 64, 3, 1),
    (64, 128, 3, 2),
    (128, 128, 3, 2),
    (8192, 256, 0, 1),
    (256, 11, 0, 1),
)


@dataclass(frozen=True, eq=False)
class GestureLayer:
    """A convolution (4 axes) or matrix (2 axes), its bias, the pool behind it (1: none) and its threshold."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    pool: int
    threshold: float

    @property
    def composite_weight(self) -> NDArray[np.float32]:
        """Convolution and pool as one kernel: stride 2, padding 1."""
        if self.pool == 1:
            return self.weight
        n_out, n_in, rows, columns = self.weight.shape
        composite = np.zeros((n_out, n_in, rows + 1, columns + 1), np.float32)
        for row, column in np.ndindex(2, 2):
            composite[:, :, row : row + rows, column : column + columns] += self.weight / 4
        return composite


@dataclass(frozen=True, eq=False)
class GestureNetwork:
    """The layers, and the density that their thresholds were set for."""

    layers: tuple[GestureLayer, ...]
    density: float

    def graph(self, *, is_composite: bool = False) -> Graph:
        """Describe the network: with AvgPool2d nodes, or with convolution and pool already in one kernel."""
        nodes: dict[str, neuro.graph.Node] = {"input": Input(SHAPE, max_count=1)}
        for k, layer in enumerate(self.layers, 1):
            if layer.weight.ndim == 2:
                if layer.weight.shape[1] == 8192:
                    nodes["flat"] = Flatten()
                nodes[f"linear{k}"] = Linear(layer.weight, layer.bias)
            elif is_composite and layer.pool > 1:
                nodes[f"conv{k}"] = Conv2d(layer.composite_weight, layer.bias, stride=2, padding=1)
            else:
                nodes[f"conv{k}"] = Conv2d(layer.weight, layer.bias, padding=1)
                if layer.pool > 1:
                    nodes[f"pool{k}"] = AvgPool2d(2)
            nodes[f"lif{k}"] = LIF(TAU_S, layer.threshold, update="decay")
        names = list(nodes)
        return Graph(nodes, pairwise(names), clocked(DT_S), weight_grid=GRID / 4)


def recording(density: float, seed: int, *, n_steps: int = N_STEPS) -> NDArray[np.float32]:
    """Draw frames with independent spikes, float32, shape (n_steps, 2, 32, 32)."""
    rng = np.random.default_rng([seed, round(1e6 * density)])
    return (rng.random((n_steps, *SHAPE), np.float32) < density).astype(np.float32)


def gesture_network(density: float, *, seed: int = 0) -> GestureNetwork:
    """Draw the weights and set the thresholds for a density, that of the input included."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(np.stack([recording(density, 1000 + k) for k in range(_N_CALIBRATION)], 1))
    layers: list[GestureLayer] = []
    for n_in, n_out, kernel, pool in _TOPOLOGY:
        limit, deviation = (31, 9) if pool > 1 else (127, 30)
        shape = (n_out, n_in, kernel, kernel) if kernel else (n_out, n_in)
        weight = rng.normal(0, deviation, shape).round().clip(-limit, limit) * GRID
        bias = rng.normal(0, deviation * _BIAS_OVER_WEIGHT, n_out).round() * GRID
        layer = GestureLayer(weight.astype(np.float32), bias.astype(np.float32), pool, 0.0)
        currents = _currents(layer, x)
        threshold = _threshold(currents, density)
        layers.append(GestureLayer(layer.weight, layer.bias, pool, threshold))
        x = _fire(currents, threshold)
    return GestureNetwork(tuple(layers), density)


def _currents(layer: GestureLayer, x: torch.Tensor) -> torch.Tensor:
    """Input currents of all steps, shape (n_steps, n_recordings, ...)."""
    flat = x.flatten(0, 1)
    weight, bias = torch.from_numpy(layer.composite_weight), torch.from_numpy(layer.bias)
    if weight.ndim == 2:
        y = functional.linear(flat.flatten(1), weight, bias)
    else:
        y = functional.conv2d(flat, weight, bias, stride=layer.pool, padding=1)
    return y.unflatten(0, x.shape[:2])


def _fire(currents: torch.Tensor, threshold: float) -> torch.Tensor:
    """Spikes of LIF neurons, as the graph states them."""
    v, spikes = torch.zeros_like(currents[0]), torch.empty_like(currents)
    for current, spike in zip(currents, spikes, strict=True):
        v.mul_(ALPHA).add_(current)
        spike.copy_(v > threshold)
        v.masked_fill_(v > threshold, 0.0)
    return spikes


def _threshold(currents: torch.Tensor, density: float) -> float:
    """Bisect for the threshold at which neurons fire with the density."""
    low, high = 0.0, float(currents.max()) * 2
    for _ in range(24):
        middle = float(np.float32((low + high) / 2))
        if float(_fire(currents, middle).mean()) > density:
            low = middle
        else:
            high = middle
    return high
