"""The neurons' step in torch operations, for devices that the fused kernels do not serve."""

from __future__ import annotations

from typing import Any

import torch

from neuro.training._kernels import Neuron


class Fire(torch.autograd.Function):
    """1 where x > 0; gradient 1 / (alpha*abs(x) + 1)**2."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, alpha: float) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] / (ctx.alpha * x.abs() + 1.0).pow(2), None


def stepped_lif(current: torch.Tensor, mask: torch.Tensor, neuron: Neuron) -> torch.Tensor:
    """Step LIF neurons over the frames, with the surrogate gradient of `fused_lif`.

    v <- v + a*((I + v_leak) - v); fires where v > threshold; then v = v_reset: norse's LIFBox step, whose
    gradient it has for alpha = 1 (norse 1.1.0 does not use its alpha).

    Source: F. Zenke, S. Ganguli, "SuperSpike", Neural Computation 30 (2018), section 3.3.2.

    Parameters
    ----------
    current : torch.Tensor
        float32, shape (T, B, ...).
    mask : torch.Tensor
        float32, shape (T, B): 1 for computed frames, 0 for dropped ones.
    neuron : Neuron
        Constants.

    Returns
    -------
    torch.Tensor
        float32, shape (T, B, ...): spikes, none on dropped frames.
    """
    step, threshold, v_leak, v_reset, alpha = (float(value) for value in neuron)
    kept = mask.reshape(*mask.shape, *(1,) * (current.dim() - 2))
    v = torch.full_like(current[0], v_leak)
    spikes = []
    for drive, computed in zip(current * kept, kept, strict=True):
        raised = v + step * ((drive + v_leak) - v)
        fired = Fire.apply(raised - threshold, alpha) * computed
        v = (1.0 - fired) * raised + fired * v_reset
        spikes.append(fired)
    return torch.stack(spikes)
