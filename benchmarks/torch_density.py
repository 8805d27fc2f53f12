"""The gesture network of the density benchmark in torch: the forms from which the strongest one is taken.

A form is streaming (one step at a time, batch 1) or folded (all steps of a recording as one batch, layer by layer, which
needs the whole recording before it starts); its convolutions are NCHW or channels last; average pools are separate or part of
a composite kernel; LIF neurons work in place; the whole is eager, or compiled by torch.compile with frozen (prepacked)
weights. float32 results are exact, so that all forms give the same spikes; bfloat16 rounds the currents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from density_networks import ALPHA, GestureLayer, GestureNetwork
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Form", "TorchGesture", "forms"]


@dataclass(frozen=True)
class Form:
    """One way to run the network in torch."""

    is_folded: bool
    dtype: torch.dtype = torch.float32
    is_channels_last: bool = False
    is_composite: bool = True
    is_compiled: bool = False

    def __str__(self) -> str:
        words = [
            "folded" if self.is_folded else "streaming",
            str(self.dtype).removeprefix("torch."),
            "channels last" if self.is_channels_last else "NCHW",
            "composite" if self.is_composite else "pools apart",
            "compiled" if self.is_compiled else "eager",
        ]
        return ", ".join(words)


def forms(*, is_folded: bool, dtype: torch.dtype) -> Iterator[Form]:
    """All forms among which the strongest is looked for."""
    for is_compiled in (False, True):
        for is_channels_last in (False, True):
            for is_composite in (True, False):
                yield Form(is_folded, dtype, is_channels_last, is_composite, is_compiled)


class TorchGesture(nn.Module):
    """The network in one form.

    Parameters
    ----------
    network : GestureNetwork
        Weights and thresholds.
    form : Form
        How to run it.
    has_neurons : bool
        False leaves membranes out (a spike is a current above the threshold): the synapses' time alone.
    """

    def __init__(self, network: GestureNetwork, form: Form, *, has_neurons: bool = True) -> None:
        super().__init__()
        self.form, self.has_neurons = form, has_neurons
        self.layout = torch.channels_last if form.is_channels_last else torch.contiguous_format
        self.synapses = nn.ModuleList(_synapse(layer, form) for layer in network.layers)
        self.pools = [1 if form.is_composite else layer.pool for layer in network.layers]
        self.thresholds = [layer.threshold for layer in network.layers]
        self.to(form.dtype)
        if form.is_channels_last:
            self.to(memory_format=torch.channels_last)
        self.eval()
        body = self.fold if form.is_folded else self.step
        self.body = torch.compile(body, fullgraph=True, dynamic=False) if form.is_compiled else body

    @torch.inference_mode()
    def prepare(self, frames: NDArray) -> Tensor:
        """Bring frames into the form's layout and type, outside the timed part: shape (n_steps, 1, 2, 32, 32)."""
        x = torch.from_numpy(frames).to(self.form.dtype)
        if self.form.is_folded:
            return x.contiguous(memory_format=self.layout)
        return torch.stack([step[None].contiguous(memory_format=self.layout) for step in x])

    @torch.inference_mode()
    def run(self, x: Tensor, *, record: bool = False) -> list[Tensor]:
        """Run a prepared recording; gives the last layer's spikes, or all layers' (each (n_steps, ...))."""
        if self.form.is_folded:
            spikes = self.body(x)
            return list(spikes) if record else [spikes[-1]]
        membranes = self._membranes()
        steps = []
        for frame in x:
            spikes = self.body(frame.contiguous(memory_format=self.layout), membranes)
            steps.append([s.clone() for s in spikes] if record else [spikes[-1].clone()])
        return [torch.cat(parts) for parts in zip(*steps, strict=True)]

    def step(self, x: Tensor, membranes: list[Tensor]) -> list[Tensor]:
        """One step of all layers; membranes change in place."""
        spikes = []
        for synapse, pool, threshold, v in zip(
            self.synapses, self.pools, self.thresholds, membranes, strict=True
        ):
            current = _current(synapse, pool, x)
            if self.has_neurons:
                v.mul_(ALPHA).add_(current)
                fired = v > threshold
                v.masked_fill_(fired, 0.0)
            else:
                fired = current > threshold
            x = fired.to(self.form.dtype)
            spikes.append(x)
        return spikes

    def fold(self, x: Tensor) -> list[Tensor]:
        """All steps of the first layer, then of the second, and so on."""
        spikes = []
        for synapse, pool, threshold in zip(self.synapses, self.pools, self.thresholds, strict=True):
            current = _current(synapse, pool, x)
            if self.has_neurons:
                x = self._scan(current, threshold)
            else:
                x = (current > threshold).to(self.form.dtype)
            spikes.append(x)
        return spikes

    def _scan(self, currents: Tensor, threshold: float) -> Tensor:
        """LIF neurons over all steps, in place of the currents."""
        v = torch.zeros_like(currents[0])
        if self.form.is_compiled:  # unrolled: the compiler keeps v in registers
            steps = []
            for current in currents:
                v = v * ALPHA + current
                fired = v > threshold
                v = torch.where(fired, 0.0, v)
                steps.append(fired.to(self.form.dtype))
            return torch.stack(steps)
        for current in currents:
            v.mul_(ALPHA).add_(current)
            fired = v > threshold
            v.masked_fill_(fired, 0.0)
            current.copy_(fired)
        return currents

    def _membranes(self) -> list[Tensor]:
        shapes = [(1, 64, 32, 32), (1, 128, 16, 16), (1, 128, 8, 8), (1, 256), (1, 11)]
        zeros = [torch.zeros(shape, dtype=self.form.dtype) for shape in shapes]
        return [v.contiguous(memory_format=self.layout) if v.ndim == 4 else v for v in zeros]


def _synapse(layer: GestureLayer, form: Form) -> nn.Module:
    weight = torch.from_numpy(layer.composite_weight if form.is_composite else layer.weight)
    n_out, n_in = weight.shape[:2]
    if weight.ndim == 2:
        synapse: nn.Linear | nn.Conv2d = nn.Linear(n_in, n_out)
    else:
        stride = layer.pool if form.is_composite else 1
        synapse = nn.Conv2d(n_in, n_out, weight.shape[2], stride=stride, padding=1)
    synapse.weight = nn.Parameter(weight.clone(), requires_grad=False)
    synapse.bias = nn.Parameter(torch.from_numpy(layer.bias), requires_grad=False)
    return synapse


def _current(synapse: nn.Module, pool: int, x: Tensor) -> Tensor:
    if isinstance(synapse, nn.Linear):
        return synapse(x.flatten(1))
    current = synapse(x)
    return functional.avg_pool2d(current, pool) if pool > 1 else current
