"""The recogniser in torch: synapses over all frames at once, norse's LIF cells over time."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import cast

import norse.torch as norse
import numpy as np
import torch
from torch import nn

from neuro.training._kernels import Neuron
from neuro.training.configuration import NetworkConfig
from neuro.training.fused import fused_lif
from neuro.training.scores import FrameScores, scores_of
from neuro.training.surrogate import stepped_lif


class SpikingLayer(nn.Module):
    """A synapse (convolution or full connection), batch norm, and LIF neurons.

    Parameters
    ----------
    synapse : torch.nn.Conv2d or torch.nn.Linear
        Turns spikes or counts into currents.
    norm : torch.nn.Module
        Batch norm, or Identity once it is folded into the synapse.
    config : NetworkConfig
        Constants of the neurons.
    """

    synapse: nn.Conv2d | nn.Linear
    norm: nn.Module

    def __init__(self, synapse: nn.Conv2d | nn.Linear, norm: nn.Module, config: NetworkConfig) -> None:
        super().__init__()
        self.synapse = synapse
        self.norm = norm
        self.cell = norse.LIFBoxCell(
            norse.LIFBoxParameters(
                tau_mem_inv=torch.tensor(1.0 / config.tau_mem_s),
                v_th=torch.tensor(config.threshold),
                alpha=torch.tensor(config.surrogate_alpha),
            ),
            dt=config.dt_s,
        )
        self.neuron = Neuron(
            step=np.float32(config.dt_s) * np.float32(1.0 / config.tau_mem_s),
            threshold=np.float32(config.threshold),
            v_leak=np.float32(0.0),
            v_reset=np.float32(0.0),
            alpha=np.float32(config.surrogate_alpha),
        )

    def forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Step norse's cell over the frames.

        Parameters
        ----------
        inputs : torch.Tensor
            float32, shape (T, B, ...).
        mask : torch.Tensor
            float32, shape (T, B): 1 for computed frames, 0 for dropped ones.

        Returns
        -------
        torch.Tensor
            float32, shape (T, B, ...): spikes, none on dropped frames.
        """
        current = self.norm(self.synapse(inputs.flatten(0, 1))).unflatten(0, inputs.shape[:2])
        mask = mask.reshape(*mask.shape, *(1,) * (current.dim() - 2))
        state = None
        spikes = []
        for frame, kept in zip(current * mask, mask, strict=True):
            fired, state = self.cell(frame, state)
            spikes.append(fired * kept)
        return torch.stack(spikes)

    def forward_rows(
        self, inputs: torch.Tensor, slot: np.ndarray, gain: torch.Tensor | None, *, fused: bool
    ) -> torch.Tensor:
        """Do the same for kept frames only, fast and with the configured surrogate, for training.

        Parameters
        ----------
        inputs : torch.Tensor
            float32, shape (rows, ...): the kept frames.
        slot : numpy.ndarray
            int32, shape (T, B): row of each frame, -1 where it is dropped.
        gain : torch.Tensor or None
            float32, shape (rows,): factor of the synaptic current of each row (the frame's soft score).
        fused : bool
            One call of the kernels (CPU only) instead of torch operations frame by frame.

        Returns
        -------
        torch.Tensor
            float32, shape (rows, ...): spikes.
        """
        current = self.synapse(inputs)
        if fused:
            norm = self.norm if isinstance(self.norm, (nn.BatchNorm1d, nn.BatchNorm2d)) else None
            return fused_lif(current, slot, self.neuron, gain=gain, norm=norm)
        if gain is not None:
            current = current * gain.reshape(-1, *(1,) * (current.dim() - 1))
        drive = self.norm(current)
        kept = torch.from_numpy(slot.ravel() >= 0).to(drive.device)
        rows = kept.nonzero().squeeze(1)
        every = drive.new_zeros(slot.size, *drive.shape[1:]).index_copy(0, rows, drive)
        mask = kept.to(drive.dtype).reshape(slot.shape)
        return (
            stepped_lif(every.unflatten(0, slot.shape), mask, self.neuron).flatten(0, 1).index_select(0, rows)
        )


class SpikingNetwork(nn.Module):
    """Spiking layers and a leaky integrator readout, with scores for the frames.

    Parameters
    ----------
    config : NetworkConfig
        Shape and constants.
    """

    scores: FrameScores | None
    output: nn.Linear

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.fused = True
        self.scores = scores_of(config)
        self.layers = nn.ModuleList()
        channels, rows, columns = config.input_shape
        for conv in config.conv:
            synapse = nn.Conv2d(
                channels, conv.channels, conv.kernel, conv.stride, conv.padding, bias=not config.batch_norm
            )
            norm: nn.Module = nn.BatchNorm2d(conv.channels) if config.batch_norm else nn.Identity()
            self.layers.append(SpikingLayer(synapse, norm, config))
            channels = conv.channels
            rows, columns = (
                (size + 2 * conv.padding - conv.kernel) // conv.stride + 1 for size in (rows, columns)
            )
        features = channels * rows * columns
        self.n_conv = len(config.conv)
        for size in config.hidden:
            dense = nn.Linear(features, size, bias=not config.batch_norm)
            norm = nn.BatchNorm1d(size) if config.batch_norm else nn.Identity()
            self.layers.append(SpikingLayer(dense, norm, config))
            features = size
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.output = nn.Linear(features, config.n_classes)
        self.readout = norse.LIBoxCell(
            norse.LIBoxParameters(tau_mem_inv=torch.tensor(1.0 / config.tau_readout_s)), dt=config.dt_s
        )

    @property
    def spiking_layers(self) -> tuple[SpikingLayer, ...]:
        """The layers in front of the output, first to last."""
        return tuple(cast(Iterable[SpikingLayer], self.layers))

    def forward(
        self,
        frames: torch.Tensor,
        *,
        kept: torch.Tensor | None = None,
        recorded: MutableMapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Run norse's cells over the frames; dropped frames are removed for every layer.

        Parameters
        ----------
        frames : torch.Tensor
            float32, shape (T, B, channels, rows, columns): event counts.
        kept : torch.Tensor, optional
            bool, shape (T, B); None: every frame is computed.
        recorded : MutableMapping, optional
            Gets the spikes of each layer, float32, shape (T, B, ...), under 'lif1', 'lif2', ...

        Returns
        -------
        torch.Tensor
            float32, shape (T, B, n_classes): membrane of the readout.
        """
        shape = frames.shape[:2]
        mask = torch.ones(shape) if kept is None else kept.to(torch.float32)
        mask = mask.to(frames.device)
        spikes = frames
        for number, layer in enumerate(self.spiking_layers):
            if number == self.n_conv:
                spikes = spikes.flatten(2)
            spikes = layer(spikes, mask)
            if recorded is not None:
                recorded[f"lif{number + 1}"] = spikes
        return self._read_out(self.output(spikes.flatten(2)) * mask.unsqueeze(-1))

    def forward_fast(
        self,
        frames: torch.Tensor,
        *,
        gain: torch.Tensor | None = None,
        kept: torch.Tensor | None = None,
        rates: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Run kept frames only, for training; values as `forward`.

        On the CPU the neurons are fused kernels (unless the attribute `fused` is False), elsewhere torch
        operations.

        Parameters
        ----------
        frames : torch.Tensor
            float32, shape (T, B, channels, rows, columns): event counts.
        gain : torch.Tensor, optional
            float32, shape (T, B): factor of each frame (its soft score).
        kept : torch.Tensor, optional
            bool, shape (T, B); None: every frame is computed.
        rates : list, optional
            Gets the mean spikes per neuron and frame of each layer (dropped frames have none).

        Returns
        -------
        torch.Tensor
            float32, shape (T, B, n_classes): membrane of the readout.
        """
        n_frames, n_samples = frames.shape[:2]
        rows = frames.flatten(0, 1)
        gains = None if gain is None else gain.flatten()
        chosen = None
        slot: np.ndarray = np.arange(n_frames * n_samples, dtype=np.int32)
        if kept is not None and not bool(kept.all()):
            chosen = kept.flatten().nonzero().squeeze(1)
            flat = kept.flatten().cpu().numpy()
            slot = np.where(flat, np.cumsum(flat) - 1, -1).astype(np.int32)
            rows = rows.index_select(0, chosen)
            gains = None if gains is None else gains.index_select(0, chosen)
        slot = slot.reshape(n_frames, n_samples)
        fused = self.fused and frames.device.type == "cpu"
        samples = torch.arange(n_samples, device=frames.device).repeat(n_frames)
        samples = samples if chosen is None else samples.index_select(0, chosen)
        for number, layer in enumerate(self.spiking_layers):
            if number >= self.n_conv:
                rows = self._drop(rows.flatten(1), samples)
            rows = layer.forward_rows(rows, slot, gains if number == 0 else None, fused=fused)
            if rates is not None:
                rates.append(rows.sum() / (n_frames * n_samples * rows[0].numel()))
        current = self.output(self._drop(rows.flatten(1), samples))
        if chosen is not None:
            current = current.new_zeros(n_frames * n_samples, current.shape[1]).index_copy(0, chosen, current)
        return self._read_out(current.unflatten(0, (n_frames, n_samples)))

    def _drop(self, rows: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        """Dropout that silences the same neurons of a sample in all of its frames."""
        if not self.training or self.config.dropout == 0:
            return rows
        lasting = 1.0 - self.config.dropout
        shape = (int(samples.max()) + 1, rows.shape[1])
        mask = torch.bernoulli(torch.full(shape, lasting, device=rows.device)) / lasting
        return rows * mask.index_select(0, samples)

    def _read_out(self, current: torch.Tensor) -> torch.Tensor:
        state = None
        membrane = []
        for frame in current:
            value, state = self.readout(frame, state)
            membrane.append(value)
        return torch.stack(membrane)
