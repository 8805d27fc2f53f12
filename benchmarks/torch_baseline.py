"""The same network in torch, as fast as torch runs it step by step at batch 1: dense, in place, inference mode.

Two forms: plain torch (convolution or matrix product, then five in-place operations per LIF layer) and norse's cells.
Both take a `neuro.graph.Graph`, so weights and constants are the engine's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import norse.torch as norse
import numpy as np
import torch
from torch.nn import functional

from neuro.graph import LI, LIF, Conv2d, Flatten, Graph, Input, Linear, TemporalAttention


@dataclass
class Layer:
    """A synapse and the neurons behind it."""

    name: str
    node: LIF | LI
    weight: torch.Tensor
    bias: torch.Tensor | None
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] | None = None
    is_flattened: bool = False
    a: float = 0.0
    shape: tuple[int, ...] = ()
    v: torch.Tensor = field(default_factory=lambda: torch.zeros(()))

    def current(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the synaptic current of one step."""
        if self.stride is not None:
            return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        return functional.linear(x.flatten(1) if self.is_flattened else x, self.weight, self.bias)


class DenseNetwork:
    """A chain Input - [attention] - (synapse - LIF)* - synapse - LI in torch.

    Parameters
    ----------
    graph : Graph
        The network.
    channels_last : bool
        Memory layout of the convolutions.
    """

    def __init__(self, graph: Graph, *, channels_last: bool = False) -> None:
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.attention: TemporalAttention | None = None
        self.layers: list[Layer] = []
        synapse: Conv2d | Linear | None = None
        is_flattened = False
        for name in graph.order:
            node = graph.nodes[name]
            if isinstance(node, TemporalAttention):
                self.attention = node
            elif isinstance(node, Conv2d | Linear):
                synapse = node
            elif isinstance(node, Flatten):
                is_flattened = True
            elif isinstance(node, LIF | LI):
                assert synapse is not None
                layer = self._layer(name, node, synapse, is_flattened, graph.dt_s)
                layer.shape = tuple(graph.shapes[name])
                self.layers.append(layer)
                is_flattened = False
            elif not isinstance(node, Input):
                raise TypeError(f"no torch form of {name}: {type(node).__name__}")

    def _layer(
        self, name: str, node: LIF | LI, synapse: Conv2d | Linear, is_flattened: bool, dt_s: float
    ) -> Layer:
        weight = torch.from_numpy(np.array(synapse.weight))
        bias = None if synapse.bias is None else torch.from_numpy(np.array(synapse.bias))
        a = float(np.float32(dt_s) * np.float32(1.0 / float(node.tau_mem_s)))
        if isinstance(synapse, Conv2d):
            weight = weight.to(memory_format=self.layout)
            return Layer(name, node, weight, bias, synapse.stride, synapse.padding, a=a)
        return Layer(name, node, weight, bias, is_flattened=is_flattened, a=a)

    def scores(self, frames: torch.Tensor) -> torch.Tensor:
        """Score the frames, float32, shape (T,)."""
        node = self.attention
        assert node is not None
        w1, b1, w2, b2 = (
            torch.from_numpy(np.array(x)) for x in (node.weight_1, node.bias_1, node.weight_2, node.bias_2)
        )
        squeezed = frames.sum(dim=(1, 2, 3)) / frames[0].numel()
        return torch.sigmoid(functional.linear(torch.relu(functional.linear(squeezed, w1, b1)), w2, b2))

    def reset(self) -> None:
        """Put every membrane at rest."""
        for layer in self.layers:
            layer.v = torch.zeros(1, *layer.shape)
            if len(layer.shape) == 3:
                layer.v = layer.v.to(memory_format=self.layout)

    @torch.inference_mode()
    def run(
        self, frames: torch.Tensor, kept: np.ndarray | None = None, *, record: bool = False
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Run frames (T, channels, rows, columns) step by step; returns the readout and, if asked for, spikes."""
        self.reset()
        readout = []
        spikes: dict[str, list[torch.Tensor]] = {layer.name: [] for layer in self.layers}
        frames = frames.unsqueeze(1).contiguous()
        for step in range(len(frames)):
            is_kept = kept is None or bool(kept[step])
            x = frames[step].to(memory_format=self.layout) if is_kept else frames[step]
            for layer in self.layers:
                x = self._step(layer, x, is_kept)
                if record:
                    spikes[layer.name].append(x[0].clone() if is_kept else torch.zeros_like(layer.v[0]))
            readout.append(x[0].clone())
        return torch.stack(readout), {k: torch.stack(v) for k, v in spikes.items() if record}

    def _step(self, layer: Layer, x: torch.Tensor, is_kept: bool) -> torch.Tensor:
        if not is_kept:  # the step is removed: one step of decay and nothing else
            layer.v = layer.v + layer.a * (0.0 - layer.v)
            return layer.v
        change = layer.current(x)
        layer.v.add_(change.sub_(layer.v).mul_(layer.a))
        if isinstance(layer.node, LI):
            return layer.v
        fired = layer.v > float(layer.node.threshold)
        layer.v.masked_fill_(fired, float(layer.node.v_reset))
        return fired.to(torch.float32)


class NorseNetwork(DenseNetwork):
    """The same with norse's cells."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.cells: list[torch.nn.Module] = []
        for layer in self.layers:
            inverse = torch.tensor(1.0 / float(layer.node.tau_mem_s))
            if isinstance(layer.node, LIF):
                threshold = torch.tensor(float(layer.node.threshold))
                parameters = norse.LIFBoxParameters(tau_mem_inv=inverse, v_th=threshold)
                self.cells.append(norse.LIFBoxCell(parameters, dt=graph.dt_s))
            else:
                self.cells.append(norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=inverse), dt=graph.dt_s))

    @torch.inference_mode()
    def run(
        self, frames: torch.Tensor, kept: np.ndarray | None = None, *, record: bool = False
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Run frames step by step through norse's cells; every frame is computed."""
        if kept is not None or record:
            raise ValueError("the norse form computes every frame and records nothing")
        states: list[object] = [None] * len(self.layers)
        readout = []
        for frame in frames.unsqueeze(1):
            x = frame
            for n, layer in enumerate(self.layers):
                x, states[n] = self.cells[n](layer.current(x), states[n])
            readout.append(x[0])
        return torch.stack(readout), {}
