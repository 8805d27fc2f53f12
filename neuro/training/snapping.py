"""Fold batch norm into weights, and round weights to a grid on which every sum of a layer is exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from neuro.errors import InputError

EXACT_STEPS = 2**24  # float32 holds every whole number below this


@dataclass(frozen=True, eq=False)
class Synapse:
    """Weights of one layer and the largest input value they may meet.

    Attributes
    ----------
    weight : numpy.ndarray
        float64, shape (out, ...).
    bias : numpy.ndarray
        float64, shape (out,).
    max_input : float
        Largest absolute value of an input entry (1 for spikes).
    input_grid : float
        Power of two of which input entries are multiples (1 for counts and spikes).
    """

    weight: np.ndarray
    bias: np.ndarray
    max_input: float
    input_grid: float = 1.0


def fold_batch_norm(synapse: nn.Module, norm: nn.Module | None, *, max_input: float) -> Synapse:
    """Merge a batch norm (running statistics) into the weights in front of it.

    w' = w * k, b' = (b - mean) * k + beta with k = gamma / sqrt(variance + eps), in float64.

    Parameters
    ----------
    synapse : torch.nn.Module
        Conv2d or Linear.
    norm : torch.nn.Module or None
        BatchNorm1d or BatchNorm2d with running statistics; None or Identity: nothing to fold.
    max_input : float
        Largest absolute value of an input entry.

    Returns
    -------
    Synapse
        Weights in float64.
    """
    assert isinstance(synapse, (nn.Conv2d, nn.Linear))
    weight = _array(synapse.weight)
    bias = np.zeros(len(weight)) if synapse.bias is None else _array(synapse.bias)
    if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
        gain = 1.0 / np.sqrt(_array(norm.running_var) + norm.eps)
        offset = np.zeros(len(weight))
        if norm.affine:
            gain = gain * _array(norm.weight)
            offset = _array(norm.bias)
        bias = (bias - _array(norm.running_mean)) * gain + offset
        weight = weight * gain.reshape(-1, *(1,) * (weight.ndim - 1))
    return Synapse(weight, bias, max_input)


def snap(synapses: Sequence[Synapse]) -> tuple[float, list[Synapse]]:
    """Round all weights and biases to multiples of the finest grid g on which no sum can be inexact.

    g is the smallest power of two with sum(abs(w)) * max_input + abs(bias) < 2**24 * g * input_grid for every
    output of every layer, after rounding; every partial sum is then a multiple of g * input_grid that float32
    holds exactly.

    Parameters
    ----------
    synapses : Sequence[Synapse]
        The layers of one network.

    Returns
    -------
    tuple[float, list[Synapse]]
        g, and the rounded layers.

    Raises
    ------
    InputError
        A weight is not finite, or no grid holds the sums of a layer.

    Examples
    --------
    >>> grid, layers = snap([Synapse(np.array([[0.3, -0.2]]), np.array([0.1]), 255.0)])
    >>> grid == 2.0 ** -17
    True
    """
    totals = [total for synapse in synapses for total in _reach(synapse)]
    if not np.isfinite(totals).all():
        raise InputError(
            "the network's weights are not finite: nothing to round; train with a lower learning_rate"
        )
    largest = max([*totals, 2.0**-100])
    exponent = math.floor(math.log2(largest)) - 24
    while True:
        grid = 2.0**exponent
        rounded = [
            replace(s, weight=np.round(s.weight / grid) * grid, bias=np.round(s.bias / grid) * grid)
            for s in synapses
        ]
        if all(total < EXACT_STEPS * grid for synapse in rounded for total in _reach(synapse)):
            return grid, rounded
        exponent += 1


def _reach(synapse: Synapse) -> np.ndarray:
    flat = np.abs(synapse.weight).reshape(len(synapse.weight), -1)
    reach: np.ndarray = flat.sum(axis=1) * synapse.max_input + np.abs(synapse.bias)
    return reach / synapse.input_grid


def _array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    array: np.ndarray = tensor.detach().cpu().to(torch.float64).numpy()
    return array
