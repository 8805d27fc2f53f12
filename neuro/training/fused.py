"""A LIF layer with its batch norm over all frames in one call, without a graph node per frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from neuro.training import _kernels

Norm = nn.BatchNorm1d | nn.BatchNorm2d


def fused_lif(
    current: torch.Tensor,
    slot: np.ndarray,
    neuron: _kernels.Neuron,
    *,
    gain: torch.Tensor | None = None,
    norm: Norm | None = None,
) -> torch.Tensor:
    """Spikes of a LIF layer over all frames of a batch: batch norm of gain * current, then the neurons.

    The neurons equal stepping norse's LIFBoxCell over the frames value by value (with alpha = 1 also in the
    gradient: norse 1.1.0 does not use its alpha). A frame without a row is a dropped frame: v decays one step
    and the batch norm's statistics do not see it.

    Parameters
    ----------
    current : torch.Tensor
        float32, shape (rows, channels) or (rows, channels, height, width), on the CPU: the synaptic current of
        each computed frame.
    slot : numpy.ndarray
        int32, shape (T, B): row of frame t of sample b in `current`, -1 for a dropped frame.
    neuron : Neuron
        Step size a, threshold, v_leak, v_reset, surrogate alpha.
    gain : torch.Tensor, optional
        float32, shape (rows,): factor of each row.
    norm : BatchNorm1d or BatchNorm2d, optional
        Its batch statistics are used, and its running ones updated, if it is in training mode.

    Returns
    -------
    torch.Tensor
        float32, shape of `current`: 0 or 1.
    """
    if current.dim() == 4:
        current = current.contiguous(memory_format=torch.channels_last)
    channels = current.shape[1]
    if norm is None:
        weight, bias = torch.ones(channels), torch.zeros(channels)
    else:
        weight, bias = norm.weight, norm.bias
    factor = torch.ones(current.shape[0]) if gain is None else gain
    return _FusedLIF.apply(current, factor, weight, bias, _Constants(slot, neuron, norm))


@dataclass(frozen=True, eq=False)
class _Constants:
    slot: np.ndarray
    neuron: _kernels.Neuron
    norm: Norm | None


@dataclass(frozen=True, eq=False)
class _Statistics:
    """What a batch norm knows of each channel; `by_row` holds sums of y and y*y if they are of this batch."""

    mean: np.ndarray
    inverse: np.ndarray
    by_row: np.ndarray | None


class _FusedLIF(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917  (torch calls it so)
        ctx: Any,
        current: torch.Tensor,
        gain: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        constants: _Constants,
    ) -> torch.Tensor:
        pixels = _pixels(current)
        gains = np.ascontiguousarray(gain.detach().numpy())
        statistics = None if constants.norm is None else _statistics(constants.norm, pixels, gains)
        scale, offset = _double(weight), _double(bias)
        if statistics is not None:
            scale = scale * statistics.inverse
            offset = offset - statistics.mean * scale
        spikes, membrane = torch.empty_like(current), torch.empty_like(current)
        u, z = _flat(membrane), _flat(spikes)
        drive = _kernels.Drive(_flat(current), gains, _tiled(scale, pixels), _tiled(offset, pixels))
        slot, neuron = constants.slot, constants.neuron
        _in_parts(slot.shape[1], lambda *span: _kernels.lif_forward(drive, slot, neuron, (u, z), span))
        ctx.save_for_backward(current, gain, weight, membrane)
        ctx.constants = constants
        ctx.statistics = statistics
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        current, gain, weight, membrane = ctx.saved_tensors
        grad_spikes = grads[0]
        if grad_spikes.stride() != membrane.stride():
            grad_spikes = torch.empty_like(membrane).copy_(grad_spikes)
        grad = torch.empty_like(membrane)
        dz, u, di = (_flat(x) for x in (grad_spikes, membrane, grad))
        slot, neuron = ctx.constants.slot, ctx.constants.neuron
        _in_parts(slot.shape[1], lambda *span: _kernels.lif_backward((dz, di), u, slot, neuron, span))
        pixels, flat = _pixels(current), _flat(current)
        gains = np.ascontiguousarray(gain.detach().numpy())
        by_row = _row_sums(_pixels(grad), pixels)
        grad_bias = by_row[:, 0].sum(axis=0)
        mixed = gains @ by_row[:, 1]
        terms, grad_weight = _norm_terms(ctx, weight, (grad_bias, mixed), pixels.shape[0] * pixels.shape[1])
        tiled = (_tiled(terms[0], pixels), _tiled(terms[1], pixels), _tiled(terms[2], pixels))
        _in_parts(len(gains), lambda *span: _kernels.norm_backward(di, flat, gains, tiled, span))
        grad_gain = by_row[:, 1] @ terms[0]
        if ctx.statistics is not None and ctx.statistics.by_row is not None:
            own = ctx.statistics.by_row
            grad_gain += gains * (own[:, 1] @ terms[1]) + own[:, 0] @ terms[2]
        return grad, _single(grad_gain), _single(grad_weight), _single(grad_bias), None


def _statistics(norm: Norm, pixels: np.ndarray, gains: np.ndarray) -> _Statistics:
    """Mean and 1 / standard deviation of gain * current by channel; in training mode those of this batch."""
    if not norm.training:
        variance = _double(norm.running_var)
        return _Statistics(_double(norm.running_mean), 1.0 / np.sqrt(variance + norm.eps), None)
    by_row = _row_sums(pixels, pixels)
    n = pixels.shape[0] * pixels.shape[1]
    mean = gains @ by_row[:, 0] / n
    variance = np.maximum(np.square(gains, dtype=np.float64) @ by_row[:, 1] / n - mean * mean, 0.0)
    momentum = 0.1 if norm.momentum is None else norm.momentum
    for running, found in ((norm.running_mean, mean), (norm.running_var, variance * (n / max(n - 1, 1)))):
        assert running is not None
        running.lerp_(_single(found), momentum)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return _Statistics(mean, 1.0 / np.sqrt(variance + norm.eps), by_row)


def _norm_terms(
    ctx: Any, weight: torch.Tensor, sums: tuple[np.ndarray, np.ndarray], n: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Coefficients of the gradient of gain * current by channel, and the gradient of the norm's weight."""
    scale = _double(weight)
    nothing = np.zeros_like(scale)
    if ctx.statistics is None:
        return (scale, nothing, nothing), sums[1]
    mean, inverse = ctx.statistics.mean, ctx.statistics.inverse
    scale = scale * inverse
    grad_weight = (sums[1] - mean * sums[0]) * inverse
    if ctx.statistics.by_row is None:
        return (scale, nothing, nothing), grad_weight
    by_current = -scale * inverse * grad_weight / n
    return (scale, by_current, -scale * sums[0] / n - by_current * mean), grad_weight


def _pixels(tensor: torch.Tensor) -> np.ndarray:
    """View the memory of a tensor as (rows, pixels, channels)."""
    last = tensor.permute(0, 2, 3, 1).flatten(1, 2) if tensor.dim() == 4 else tensor.unsqueeze(1)
    array: np.ndarray = last.detach().numpy()
    return array


def _flat(tensor: torch.Tensor) -> np.ndarray:
    """View the memory of a tensor as (rows, pixels * channels)."""
    pixels = _pixels(tensor)
    return pixels.reshape(pixels.shape[0], math.prod(pixels.shape[1:]))


def _tiled(by_channel: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return np.tile(by_channel.astype(np.float32), pixels.shape[1])


def _row_sums(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums of first and of first * second over the pixels, float64, shape (rows, 2, channels)."""
    sums = np.empty((first.shape[0], 2, first.shape[2]), np.float32)
    _in_parts(len(sums), lambda *span: _kernels.row_sums(first, second, sums, span))
    return sums.astype(np.float64)


def _double(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    array: np.ndarray = tensor.detach().numpy().astype(np.float64)
    return array


def _single(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _in_parts(n: int, run: Callable[[int, int], None]) -> None:
    """Split samples or rows among as many threads as torch uses; each is computed by itself."""
    n_threads = min(torch.get_num_threads(), n)
    if n_threads <= 1:
        run(0, n)
        return
    edges = [n * k // n_threads for k in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, edges[:-1], edges[1:]))
