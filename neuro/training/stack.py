"""Networks with attention in every layer, in torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Any

import torch
from torch import nn

from neuro.training.scores import WindowScores
from neuro.training.stack_configuration import StackConfig, StackLayer


class _Step(torch.autograd.Function):
    """1 where x > 0; gradient 1 / width where abs(x) < width / 2, else 0."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, width: float) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.width = width
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() < ctx.width / 2).to(x.dtype) / ctx.width, None


class ChannelScores(nn.Module):
    """Scores of the channels of each frame, from their means: see `neuro.graph.ChannelAttention`.

    Parameters
    ----------
    channels : int
        Number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        units = max(1, channels // 4)
        self.excite_1 = nn.Linear(channels, units)
        self.excite_2 = nn.Linear(units, channels)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Score every channel of every frame.

        Parameters
        ----------
        frames : torch.Tensor
            float32, shape (T, B, channels, rows, columns).

        Returns
        -------
        torch.Tensor
            float32, shape (T, B, channels, 1, 1), between 0 and 1.
        """
        squeezed = frames.sum(dim=(3, 4)) / (frames.shape[3] * frames.shape[4])
        scores = torch.sigmoid(self.excite_2(torch.relu(self.excite_1(squeezed))))
        return scores[..., None, None]


class PixelScores(nn.Module):
    """Scores of the pixels of each frame, from mean and maximum of the channels: see `neuro.graph.SpatialAttention`.

    Parameters
    ----------
    kernel : int
        Size of the kernel, odd.
    """

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.excite = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Score every pixel of every frame.

        Parameters
        ----------
        frames : torch.Tensor
            float32, shape (T, B, channels, rows, columns).

        Returns
        -------
        torch.Tensor
            float32, shape (T, B, 1, rows, columns), between 0 and 1.
        """
        flat = frames.flatten(0, 1)
        maps = torch.stack((flat.mean(1), flat.amax(1).clamp(min=0.0)), dim=1)
        return torch.sigmoid(self.excite(maps)).unflatten(0, frames.shape[:2])


class AttentiveLayer(nn.Module):
    """Attention, synapse, batch norm, pool and neurons of one layer.

    Parameters
    ----------
    layer : StackLayer
        Its size.
    shape : tuple of int
        Shape of what enters.
    config : StackConfig
        The network.
    is_attended : bool
        Whether it has temporal attention.
    """

    synapse: nn.Conv2d | nn.Linear
    norm: nn.Module

    def __init__(
        self, layer: StackLayer, shape: tuple[int, ...], config: StackConfig, *, is_attended: bool
    ) -> None:
        super().__init__()
        self.config, self.layer, self.shape = config, layer, shape
        if layer.kernel is None:
            self.synapse = nn.Linear(math.prod(shape), layer.size)
            self.norm = nn.BatchNorm1d(layer.size)
        else:
            self.synapse = nn.Conv2d(shape[0], layer.size, layer.kernel, padding=layer.kernel // 2)
            self.norm = nn.BatchNorm2d(layer.size)
        is_image = layer.kernel is not None
        self.scores = WindowScores(config.n_frames, config.n_score_units) if is_attended else None
        self.channels = ChannelScores(shape[0]) if config.channels and is_image else None
        self.pixels = PixelScores() if config.pixels and is_image else None

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of what leaves."""
        if self.layer.kernel is None:
            return (self.layer.size,)
        return (self.layer.size, *(size // self.layer.pool for size in self.shape[1:]))

    def forward(
        self, x: torch.Tensor, kept: torch.Tensor, gates: _Gates
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the layer over all frames.

        Parameters
        ----------
        x : torch.Tensor
            float32, shape (T, B, ...): spikes or counts.
        kept : torch.Tensor
            float32, shape (T, B): 1 for frames computed so far, 0 for dropped ones.
        gates : _Gates
            Soft scores or hard masks.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Spikes, and the frames that are still computed.
        """
        is_paper = self.config.reading != "code"
        if self.scores is not None and is_paper:
            x, kept = gates.frames(self.scores, x, kept, is_scaling=False)
        for scores in (self.channels, self.pixels):
            if scores is not None:
                x = gates.entries(scores, x)
        rows = x.flatten(0, 1)
        current = self.norm(self.synapse(rows if self.layer.kernel is not None else rows.flatten(1)))
        if self.layer.pool > 1:
            current = nn.functional.avg_pool2d(current, self.layer.pool)
        current = current.unflatten(0, x.shape[:2]) * _as(kept, current.dim() + 1)
        if self.scores is not None and not is_paper:
            current, kept = gates.frames(self.scores, current, kept, is_scaling=True)
        return self._fire(current, kept), kept

    def _fire(self, current: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """Step the neurons; on dropped frames membranes decay and nothing fires."""
        config = self.config
        v = torch.zeros_like(current[0])
        spikes = []
        for drive, computed in zip(current, _as(kept, current.dim()), strict=True):
            raised = config.alpha * v + drive
            fired = _Step.apply(raised - config.threshold, config.surrogate_width) * computed
            reset = config.threshold if config.reading == "code" else 0.0
            v = (1.0 - fired) * raised + fired * reset
            spikes.append(fired)
        return torch.stack(spikes)


class _Gates:
    """Soft scores in training, hard masks at inference; keeps the scores of each layer."""

    def __init__(
        self, thresholds: tuple[float, float] | None, given: Mapping[int, torch.Tensor] | None
    ) -> None:
        self.thresholds, self.given = thresholds, given
        self.found: list[torch.Tensor] = []

    def frames(
        self, scores: WindowScores, x: torch.Tensor, kept: torch.Tensor, *, is_scaling: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        number = len(self.found)
        score = scores.score(x.flatten(2).sum(2) / x[0, 0].numel())
        if self.given is not None:
            score = self.given[number]
        self.found.append(score)
        if self.thresholds is None or is_scaling:
            x = x * _as(score, x.dim())
        if self.thresholds is not None:
            mask = (score >= self.thresholds[0]).to(x.dtype)
            x, kept = x * _as(mask, x.dim()), kept * mask
        return x, kept

    def entries(self, scores: nn.Module, x: torch.Tensor) -> torch.Tensor:
        score = scores(x)
        scaled = x * score
        if self.thresholds is not None:
            scaled = scaled * (score >= self.thresholds[1]).to(x.dtype)
        return scaled


class AttentionStack(nn.Module):
    """A network with attention in every layer; see StackConfig.

    Parameters
    ----------
    config : StackConfig
        Shape and constants.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList()
        shape = config.input_shape
        for number, layer in enumerate(config.layers):
            is_attended = config.reading != "none" and (number == 0 or config.attended == "all")
            made = AttentiveLayer(layer, shape, config, is_attended=is_attended)
            self.layers.append(made)
            shape = made.out_shape
        self.dropout = nn.Dropout(config.dropout)

    @property
    def attentive_layers(self) -> tuple[AttentiveLayer, ...]:
        """The layers, first to last."""
        return tuple(self.layers)  # type: ignore[arg-type]

    def forward(
        self,
        frames: torch.Tensor,
        *,
        thresholds: tuple[float, float] | None = None,
        scores: Mapping[int, torch.Tensor] | None = None,
        recorded: MutableMapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Run all layers over a window.

        Parameters
        ----------
        frames : torch.Tensor
            float32, shape ``(T, B, *input_shape)``: counts.
        thresholds : tuple[float, float], optional
            Hard masks: least scores of frames, and of channels and pixels; None: soft scores.
        scores : Mapping[int, torch.Tensor], optional
            float32, shape (T, B): scores by number of the layer, instead of its own.
        recorded : MutableMapping, optional
            Gets the spikes of each layer as 'lif1', 'lif2', ..., and the scores as 'scores1', ...

        Returns
        -------
        torch.Tensor
            float32, shape (T, B, n_classes): spikes of the last layer.
        """
        gates = _Gates(thresholds, scores)
        x, kept = frames, frames.new_ones(frames.shape[:2])
        for number, layer in enumerate(self.attentive_layers):
            if number == len(self.layers) - 1:
                x = self.dropout(x)
            x, kept = layer(x, kept, gates)
            if recorded is not None:
                recorded[f"lif{number + 1}"] = x
        if recorded is not None:
            recorded.update({f"scores{k + 1}": score for k, score in enumerate(gates.found)})
        return x


def _as(per_frame: torch.Tensor, n_axes: int) -> torch.Tensor:
    """Give a tensor of shape (T, B) as many axes as the frames have."""
    return per_frame.reshape(*per_frame.shape, *(1,) * (n_axes - 2))
