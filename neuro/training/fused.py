"""All frames of a LIF layer in one call: norse's LIFBox step and its gradient, without a graph node per frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from neuro.training import _kernels


def fused_lif(current: torch.Tensor, slot: np.ndarray, neuron: _kernels.Neuron) -> torch.Tensor:
    """Spikes of a LIF layer over all frames of a batch.

    Equal, value by value, to stepping norse's LIFBoxCell over the frames (with alpha = 1 also in the
    gradient: norse 1.1.0 does not use its alpha). A frame without a row is a dropped frame: v decays one step.

    Parameters
    ----------
    current : torch.Tensor
        float32, shape (rows, ...), on the CPU: the current of each computed frame.
    slot : numpy.ndarray
        int32, shape (T, B): row of frame t of sample b in `current`, -1 for a dropped frame.
    neuron : Neuron
        Step size a, threshold, v_leak, v_reset, surrogate alpha.

    Returns
    -------
    torch.Tensor
        float32, shape and layout of `current`: 0 or 1.
    """
    return _FusedLIF.apply(current, slot, neuron)


class _FusedLIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: torch.Tensor, slot: np.ndarray, neuron: _kernels.Neuron) -> torch.Tensor:
        spikes = torch.empty_like(current)
        membrane = torch.empty_like(current)
        arrays = [_rows(x) for x in (current, membrane, spikes)]
        _over_samples(
            slot.shape[1],
            lambda a, b: _kernels.lif_forward(arrays[0], slot, neuron, (arrays[1], arrays[2]), (a, b)),
        )
        ctx.save_for_backward(membrane)
        ctx.slot = slot
        ctx.neuron = neuron
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (membrane,) = ctx.saved_tensors
        grad_spikes = torch.empty_like(membrane).copy_(grads[0])
        grad_current = torch.empty_like(membrane)
        dz, u, di = (_rows(x) for x in (grad_spikes, membrane, grad_current))
        _over_samples(
            ctx.slot.shape[1],
            lambda a, b: _kernels.lif_backward((dz, di), u, ctx.slot, ctx.neuron, (a, b)),
        )
        return grad_current, None, None


def _rows(tensor: torch.Tensor) -> np.ndarray:
    """View a dense tensor, channels last or first, as a (rows, n) array of its memory."""
    if tensor.dim() == 4 and not tensor.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)
    array: np.ndarray = tensor.detach().view(tensor.shape[0], math.prod(tensor.shape[1:])).numpy()
    return array


def _over_samples(n_samples: int, run: Callable[[int, int], None]) -> None:
    """Split the samples among as many threads as torch uses; every sample is computed by itself."""
    n_threads = min(torch.get_num_threads(), n_samples)
    if n_threads == 1:
        run(0, n_samples)
        return
    edges = [n_samples * k // n_threads for k in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, edges[:-1], edges[1:]))
