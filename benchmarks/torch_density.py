"""The gesture network of the density benchmark in torch: the forms from which the strongest one is taken.

A form is streaming (one step at a time, batch 1) or folded (all steps of a recording as one batch, layer by layer,
which needs the whole recording before it starts); its convolutions are NCHW or channels last; average pools are
separate or part of a composite kernel. LIF neurons work in place, in the fastest of the ways that were tried:
comparisons write 0 and 1 as numbers (masks of bool take twice as long), bfloat16 currents meet float32 membranes. A
streaming form is eager, or its step is compiled by torch.compile with frozen (prepacked) weights; folded forms are
eager, for compiling their loop over the steps, one step or several at a time, made them slower. float32 results are
exact, so that all forms give the same spikes; bfloat16 rounds the currents.
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

_SHAPES = ((1, 64, 32, 32), (1, 128, 16, 16), (1, 128, 8, 8), (1, 256), (1, 11))


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


def forms(*, is_folded: bool, dtype: torch.dtype, is_compiled: bool = False) -> Iterator[Form]:
    """The forms among which the strongest is looked for; compiled ones are composite and streaming."""
    for is_channels_last in (False, True):
        for is_composite in (True, False):
            yield Form(is_folded, dtype, is_channels_last, is_composite)
        if is_compiled and not is_folded:
            yield Form(is_folded, dtype, is_channels_last, is_compiled=True)


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
        self.body = self._step
        if form.is_compiled:
            options = {"freezing": True}
            self.body = torch.compile(self._functional_step, fullgraph=True, dynamic=False, options=options)

    @torch.inference_mode()
    def prepare(self, frames: NDArray) -> Tensor:
        """Bring frames into the form's layout and type, outside the timed part."""
        x = torch.from_numpy(frames).to(self.form.dtype)
        return x.contiguous(memory_format=self.layout)

    @torch.inference_mode()
    def run(self, x: Tensor, *, record: bool = False) -> list[Tensor]:
        """Run a prepared recording; gives the last layer's spikes, or all layers' (each (n_steps, ...))."""
        if self.form.is_folded:
            spikes = self._fold(x)
            return spikes if record else spikes[-1:]
        membranes = [torch.zeros(shape).contiguous(memory_format=self._layout_of(shape)) for shape in _SHAPES]
        steps = []
        for k in range(len(x)):
            spikes = self.body(x[k : k + 1], membranes)
            steps.append(list(spikes) if record else [spikes[-1]])
        return [torch.cat(parts) for parts in zip(*steps, strict=True)]

    def _layout_of(self, shape: tuple[int, ...]) -> torch.memory_format:
        return self.layout if len(shape) == 4 else torch.contiguous_format

    def _step(self, x: Tensor, membranes: list[Tensor]) -> list[Tensor]:
        """One step of all layers; membranes change in place."""
        spikes = []
        for layer, v in enumerate(membranes):
            x = self._current(layer, x)
            if self.has_neurons:
                flat = _flat(v)
                _update(flat[0], _flat(x)[0], torch.empty_like(flat[0]), self.thresholds[layer])
            else:
                torch.gt(x, self.thresholds[layer], out=x)
            spikes.append(x)
        return spikes

    def _functional_step(self, x: Tensor, membranes: list[Tensor]) -> list[Tensor]:
        """The same in the words that the compiler takes."""
        spikes = []
        for layer, v in enumerate(membranes):
            v.mul_(ALPHA).add_(self._current(layer, x))
            fired = v > self.thresholds[layer]
            v.masked_fill_(fired, 0.0)
            x = fired.to(x.dtype)
            spikes.append(x)
        return spikes

    def _fold(self, x: Tensor) -> list[Tensor]:
        """All steps of the first layer, then of the second, and so on."""
        spikes = []
        for layer, threshold in enumerate(self.thresholds):
            x = self._current(layer, x)
            if self.has_neurons:
                currents = _flat(x)
                v = torch.zeros(currents.shape[1])
                scratch = torch.empty_like(v)
                for current in currents:
                    _update(v, current, scratch, threshold)
            else:
                torch.gt(x, threshold, out=x)
            spikes.append(x)
        return spikes

    def _current(self, layer: int, x: Tensor) -> Tensor:
        synapse, pool = self.synapses[layer], self.pools[layer]
        if isinstance(synapse, nn.Linear):
            return synapse(x.flatten(1))
        return functional.avg_pool2d(synapse(x), pool) if pool > 1 else synapse(x)


def _flat(x: Tensor) -> Tensor:
    """A view of shape (n, -1) in the order of memory."""
    if x.ndim == 4 and not x.is_contiguous():
        x = x.permute(0, 2, 3, 1)
    return x.view(len(x), -1)


def _update(v: Tensor, current: Tensor, scratch: Tensor, threshold: float) -> None:
    """A step of LIF neurons in place; spikes take the place of the currents."""
    if current.dtype == v.dtype:
        v.mul_(ALPHA).add_(current)
        torch.gt(v, threshold, out=current)
    else:
        scratch.copy_(current)
        v.mul_(ALPHA).add_(scratch)
        torch.gt(v, threshold, out=scratch)
        current.copy_(scratch)
    torch.le(v, threshold, out=scratch)
    v.mul_(scratch)


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
