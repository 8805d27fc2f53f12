"""Networks over sets of points (torch): PointNet's maximum over points, and a sampler that learns which few matter."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from analog_bridge.errors import MediaError

__all__ = ["PointNetwork", "PointSampler", "folded", "train_sampler", "sample_points"]


class PointNetwork(nn.Module):
    """Classify a set of points: the same layers for each, the largest value over all, then a head.

    Every layer is one that `ingest` takes over exactly: convolutions over points of width 1, batch norm, ReLU and a
    maximum.

    Parameters
    ----------
    n_classes : int
        Outputs.
    widths : sequence of int
        Channels of the layers for each point.
    hidden : int
        Width of the head.
    """

    def __init__(self, n_classes: int, *, widths: Sequence[int] = (32, 64, 128), hidden: int = 64) -> None:
        super().__init__()
        self.features: nn.Module = _shared_layers(widths)
        self.head = nn.Sequential(nn.Linear(widths[-1], hidden), nn.ReLU(), nn.Linear(hidden, n_classes))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return scores.

        Parameters
        ----------
        points : tensor, shape (n, 3, m)
            Coordinates as channels.

        Returns
        -------
        tensor, shape (n, n_classes)
            The scores.
        """
        return self.head(self.features(points).amax(2))


class PointSampler(nn.Module):
    """Make few points from many, such that a network that stays as it is recognises them (S-NET).

    Parameters
    ----------
    n_points : int
        Points it makes.
    widths : sequence of int
        Channels of the layers for each point.
    every : int
        It looks at every so many-th point of the cloud only (points of a cloud have no order).
    """

    def __init__(self, n_points: int, *, widths: Sequence[int] = (32, 64), every: int = 1) -> None:
        super().__init__()
        self.n_points, self.every = n_points, every
        self.features: nn.Module = _shared_layers(widths)
        self.head = nn.Sequential(nn.Linear(widths[-1], 64), nn.ReLU(), nn.Linear(64, 3 * n_points))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return made points.

        Parameters
        ----------
        points : tensor, shape (n, 3, m)
            Coordinates as channels.

        Returns
        -------
        tensor, shape (n, 3, n_points)
            Not points of the cloud; `match_points` finds those next to them.
        """
        made: torch.Tensor = self.head(self.features(points[:, :, :: self.every]).amax(2)).view(
            points.shape[0], 3, -1
        )
        return made


def _shared_layers(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((3, *widths[:-1]), widths, strict=True):
        layers += [nn.Conv1d(before, after, 1), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers)


Network = TypeVar("Network", PointNetwork, PointSampler)


class _Folded(nn.Module):
    """Shared layers with their batch norms folded in, as one product of matrices for all points of all clouds."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        modules = list(layers)
        for convolution, norm in zip(modules[::3], modules[1::3], strict=True):
            assert isinstance(convolution, nn.Conv1d)
            assert isinstance(norm, nn.BatchNorm1d)
            fused = fuse_conv_bn_eval(convolution, norm)
            assert fused.bias is not None
            self.weights.append(fused.weight.detach()[:, :, 0].contiguous())
            self.biases.append(fused.bias.detach()[:, None].contiguous())
        self.requires_grad_(False)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        n, n_channels, m = points.shape
        values = points.transpose(0, 1).reshape(n_channels, n * m)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            values = torch.addmm(bias, weight, values).relu_()
        return values.view(-1, n, m).transpose(0, 1)


def folded(network: Network) -> Network:
    """Return a trained network over points with its batch norms folded into the layers before them.

    Parameters
    ----------
    network : PointNetwork or PointSampler
        It is not changed. One that is folded already is copied.

    Returns
    -------
    PointNetwork or PointSampler
        In evaluation mode, without gradients for the shared layers: the same values up to rounding, in less time.
    """
    found = deepcopy(network).eval()
    if isinstance(found.features, nn.Sequential):
        found.features = _Folded(found.features)
    return found


def train_sampler(
    network: nn.Module,
    clouds: ArrayLike,
    labels: ArrayLike,
    n_points: int,
    *,
    closeness: float = 1.0,
    every: int = 1,
    epochs: int = 20,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
    seed: int = 0,
) -> PointSampler:
    """Train a sampler for a network that is trained already and is not changed.

    The loss is the cross entropy of the network on the made points, plus `closeness` times the mean squared distance of
    each made point to the cloud and of each point of the cloud to the made ones.

    Parameters
    ----------
    network : torch.nn.Module
        Takes (n, 3, m) for any m.
    clouds : array, shape (n, 3, m)
        Training clouds.
    labels : int array, shape (n,)
        Classes.
    n_points : int
        Points to make.
    closeness : float
        How much the made points must lie on the cloud.
    every : int
        As in `PointSampler`; at most m.
    epochs : int
        How often all clouds are seen.
    learning_rate : float
        Of Adam, falling to 0 along a cosine.
    batch_size : int
        Clouds at once.
    seed : int
        Of the weights and the order.

    Returns
    -------
    PointSampler
        In evaluation mode.

    Raises
    ------
    MediaError
        Shapes do not fit or the loss is not finite.
    """
    x, y = torch.as_tensor(np.asarray(clouds), dtype=torch.float32), torch.as_tensor(np.asarray(labels))
    if x.ndim != 3 or x.shape[1] != 3 or y.shape != (len(x),) or y.is_floating_point() or len(x) < 2:
        raise MediaError(
            f"train_sampler: clouds must be (n >= 2, 3, m) and labels (n,) whole numbers, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not 1 <= every <= x.shape[2]:
        raise MediaError(
            f"train_sampler: every must be 1 to {x.shape[2]}, the points of a cloud, got {every}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sampler = PointSampler(n_points, every=every)
        modes = [(module, module.training) for module in network.modules()]
        network.eval()
        try:
            _fit(sampler, network, x, y, closeness, epochs, learning_rate, batch_size)
        finally:
            for module, mode in modes:
                module.training = mode
    return sampler.eval()


def _fit(  # noqa: PLR0917
    sampler: PointSampler,
    network: nn.Module,
    x: Any,
    y: Any,
    closeness: float,
    epochs: int,
    rate: float,
    size: int,
) -> None:
    optimizer = torch.optim.Adam(sampler.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(x) // size))
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for part in order.split(size):
            if len(part) < 2:  # batch norm needs two
                continue
            made = sampler(x[part])
            distance = torch.cdist(made.transpose(1, 2), x[part].transpose(1, 2)) ** 2
            near = distance.amin(2).mean() + distance.amin(1).mean()
            loss = nn.functional.cross_entropy(network(made), y[part]) + closeness * near
            if not bool(torch.isfinite(loss)):
                raise MediaError("train_sampler: the loss is not finite; use a smaller learning_rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def sample_points(sampler: PointSampler, clouds: ArrayLike) -> NDArray[np.float32]:
    """Return what a sampler makes of clouds.

    Parameters
    ----------
    sampler : PointSampler
        From `train_sampler`.
    clouds : array, shape (n, 3, m)
        Coordinates as channels.

    Returns
    -------
    float32 array, shape (n, 3, n_points)
        Made points.
    """
    with torch.no_grad():
        found: NDArray[np.float32] = sampler(torch.as_tensor(np.asarray(clouds), dtype=torch.float32)).numpy()
    return found
