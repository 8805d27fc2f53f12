"""One rule per kind of torch or norse module: the node it becomes, or why it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import norse.torch as norse
import numpy as np
import torch
from norse.torch.module.leaky_integrator_box import LIBoxCell
from torch import nn

from neuro.errors import GraphError
from neuro.graph import IF, LI, LIF, AvgPool2d, Conv2d, CubaLIF, Flatten, Linear, MaxPool2d, Node
from neuro.training.snapping import Synapse

SKIPPED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_CURRENT_CELLS = (norse.LIFCell, norse.LIF)
_IF_CELLS = (norse.IAFCell, norse.IAF)
_TIMED = (norse.LIFBoxCell, LIBoxCell, *_CURRENT_CELLS)


@dataclass(frozen=True, eq=False)
class Place:
    """A module and where it stands.

    Attributes
    ----------
    path : tuple[str, ...]
        Names of the modules around it and its own.
    module : torch.nn.Module
        The module.
    """

    path: tuple[str, ...]
    module: nn.Module

    @property
    def kind(self) -> str:
        """Name of the module's class."""
        return type(self.module).__name__

    @property
    def name(self) -> str:
        """Name of the node it becomes: kind and path."""
        return "_".join((self.kind.lower(), *self.path))

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"module '{'.'.join(self.path)}' ({self.kind})"


def is_synapse(module: nn.Module) -> bool:
    """Whether a module has weights that sum inputs.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    bool
        True for Conv2d and Linear.
    """
    return type(module) in (nn.Conv2d, nn.Linear)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a batch norm.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    bool
        True for BatchNorm1d and BatchNorm2d.
    """
    return isinstance(module, _NORMS)


def time_step(module: nn.Module) -> float | None:
    """Time step of a module whose result depends on one.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    float or None
        dt in seconds; None where it does not matter.
    """
    return float(module.dt) if isinstance(module, _TIMED) else None


def synapse_node(place: Place, synapse: Synapse) -> Node:
    """Node of a Conv2d or Linear with given weights.

    Parameters
    ----------
    place : Place
        The module: kernel geometry.
    synapse : Synapse
        Weights and bias.

    Returns
    -------
    Node
        Conv2d or Linear.

    Raises
    ------
    GraphError
        The padding has no counterpart, or weights are not finite.
    """
    module: Any = place.module
    weight = synapse.weight.astype(np.float32)
    bias = synapse.bias.astype(np.float32)
    if isinstance(module, nn.Linear):
        return Linear(weight, bias)
    if module.padding_mode != "zeros":
        raise GraphError(f"{place.label}: padding_mode must be 'zeros', got {module.padding_mode!r}")
    return Conv2d(
        weight,
        bias,
        stride=module.stride,
        padding=_padding(place, module),
        dilation=module.dilation,
        groups=module.groups,
    )


def _padding(place: Place, module: Any) -> tuple[int, int]:
    if module.padding == "valid":
        return (0, 0)
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(size % 2 for size in total):
            raise GraphError(
                f"{place.label}: padding 'same' with kernel {module.kernel_size} is not symmetric; "
                f"give the padding in pixels"
            )
        return (total[0] // 2, total[1] // 2)
    rows, columns = module.padding
    return (int(rows), int(columns))


def node_of(place: Place) -> Node:
    """Node of a module without weights.

    Parameters
    ----------
    place : Place
        The module.

    Returns
    -------
    Node
        Its counterpart.

    Raises
    ------
    GraphError
        There is none that computes the same.
    """
    module: Any = place.module
    if isinstance(module, norse.LIFBoxCell):
        return _box_neuron(place, module)
    if isinstance(module, _CURRENT_CELLS):
        return _current_neuron(place, module)
    if isinstance(module, _IF_CELLS):
        return _if_neuron(place, module)
    if isinstance(module, LIBoxCell):
        leak = _number(place, "v_leak", module.p.v_leak)
        return LI(_time_constant(place, "tau_mem_inv", module.p.tau_mem_inv), leak)
    if isinstance(module, nn.Flatten):
        return _flatten(place, module)
    if isinstance(module, nn.AvgPool2d):
        return _average_pool(place, module)
    if isinstance(module, nn.MaxPool2d):
        return _max_pool(place, module)
    raise GraphError(
        f"{place.label}: has no counterpart in a graph; put a norse LIFBoxCell, LIFCell, IAFCell or LIBoxCell "
        f"in its place, or remove it"
    )


def _box_neuron(place: Place, module: Any) -> Node:
    p = module.p
    method = p.reset_method
    if method not in (norse.reset_value, norse.reset_subtract):
        raise GraphError(f"{place.label}: reset_method must be norse's reset_value or reset_subtract")
    subtracts = method is norse.reset_subtract
    return LIF(
        _time_constant(place, "tau_mem_inv", p.tau_mem_inv),
        _number(place, "v_th", p.v_th),
        v_leak=_number(place, "v_leak", p.v_leak),
        v_reset=0.0 if subtracts else _number(place, "v_reset", p.v_reset),
        reset="subtract" if subtracts else "value",
    )


def _current_neuron(place: Place, module: Any) -> Node:
    p = module.p
    if p.method == "adjoint":
        raise GraphError(f"{place.label}: method 'adjoint' is another step; use method='super'")
    return CubaLIF(
        _time_constant(place, "tau_mem_inv", p.tau_mem_inv),
        _time_constant(place, "tau_syn_inv", p.tau_syn_inv),
        _number(place, "v_th", p.v_th),
        v_leak=_number(place, "v_leak", p.v_leak),
        v_reset=_number(place, "v_reset", p.v_reset),
    )


def _if_neuron(place: Place, module: Any) -> Node:
    reset = _number(place, "v_reset", module.p.v_reset)
    if reset != 0.0:
        raise GraphError(
            f"{place.label}: norse starts at v_reset = {reset}, an IF node starts at 0; use v_reset = 0"
        )
    return IF(_number(place, "v_th", module.p.v_th), reset)


def _flatten(place: Place, module: nn.Flatten) -> Node:
    if module.start_dim not in (1, 2) or module.end_dim != -1:
        raise GraphError(
            f"{place.label}: must flatten all but the batch (start_dim=1, end_dim=-1), or all but time and "
            f"batch (start_dim=2), got start_dim={module.start_dim}, end_dim={module.end_dim}"
        )
    return Flatten()


def _average_pool(place: Place, module: nn.AvgPool2d) -> Node:
    padded = _pair(module.padding) != (0, 0)
    if module.ceil_mode or module.divisor_override or (padded and not module.count_include_pad):
        raise GraphError(
            f"{place.label}: needs ceil_mode=False, divisor_override=None and, with padding, "
            f"count_include_pad=True"
        )
    return AvgPool2d(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


def _max_pool(place: Place, module: nn.MaxPool2d) -> Node:
    if module.ceil_mode or module.return_indices or _pair(module.dilation) != (1, 1):
        raise GraphError(f"{place.label}: needs ceil_mode=False, return_indices=False and dilation=1")
    return MaxPool2d(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _number(place: Place, field: str, value: torch.Tensor | float) -> float | np.ndarray:
    array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if array.size == 1:
        return float(array.reshape(()))
    if array.dtype != np.float32:
        raise GraphError(f"{place.label}: {field} must be float32, got {array.dtype}")
    return array


def _time_constant(place: Place, field: str, inverse: torch.Tensor | float) -> float | np.ndarray:
    """The tau whose inverse rounds to norse's own number."""
    value = _number(place, field, inverse)
    if isinstance(value, float):
        if not value > 0:
            raise GraphError(f"{place.label}: {field} must be > 0 per second, got {value}")
        return 1.0 / value
    if not (value > 0).all():
        raise GraphError(f"{place.label}: {field} must be > 0 per second everywhere")
    tau = (1.0 / value.astype(np.float64)).astype(np.float32)
    for candidate in (tau, np.nextafter(tau, np.float32(np.inf)), np.nextafter(tau, np.float32(0))):
        wrong = (1.0 / tau.astype(np.float64)).astype(np.float32) != value
        tau = np.where(wrong, candidate, tau)
    wrong = (1.0 / tau.astype(np.float64)).astype(np.float32) != value
    if wrong.any():
        where = int(np.flatnonzero(wrong)[0])
        raise GraphError(
            f"{place.label}: {field}.flatten()[{where}] = {value.flat[where]} is not the inverse of any float32 "
            f"time constant; round the time constants to float32 first and set {field} = 1 / tau"
        )
    return tau
