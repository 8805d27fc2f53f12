"""The table of operators by the name that torch's functions, methods and ATen operators share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.values import Value

__all__ = ["OPERATORS", "REMEDIES", "operator", "array", "numbers", "axis_of", "axes_of"]

Operator = Callable[..., Any]
OPERATORS: dict[str, Operator] = {}

_ATTENTION = "and fine-tune: torch.relu(q) @ (torch.relu(k).transpose(-2, -1) @ v) / n"
_EXACT = "use ReLU, ReLU6, Hardtanh or LeakyReLU and fine-tune; these become spikes exactly"
REMEDIES: dict[str, str] = {
    **dict.fromkeys(("gelu", "elu", "selu", "celu", "tanh", "softplus", "mish", "softsign", "logsigmoid"), _EXACT),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "multi_head_attention_forward"),
        "the softmax of scores divides by a sum that depends on the input; use attention without it "
        + _ATTENTION,
    ),
    **dict.fromkeys(("einsum", "baddbmm"), "write products of activations as matrix products: a @ b"),
    **dict.fromkeys(
        ("layer_norm", "group_norm", "instance_norm", "rms_norm", "native_layer_norm", "native_group_norm"),
        "statistics of each sample are not known beforehand; use batch norm and fine-tune",
    ),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), "train a recurrent spiking network, or use conv1d"),
    **dict.fromkeys(
        ("softmax", "log_softmax", "_softmax", "_log_softmax"),
        f"use it on the output only; in attention leave it out {_ATTENTION}",
    ),
    "embedding": "give the network numbers; look the embedding up before it",
    "sigmoid": "use Hardsigmoid and fine-tune, or pass hard_gates=True (--hard-gates), which puts it in its place",
    "argmax": "return the scores; take the largest outside the network",
}  # fmt: skip


def operator(*names: str) -> Callable[[Operator], Operator]:
    def register(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
        return function

    return register


def array(values: Any) -> NDArray[Any]:
    """Return a torch tensor, or anything else, as an array."""
    found = np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
    return found.astype(np.float64) if found.dtype.kind in "bui" else found


def numbers(values: Any, n: int) -> tuple[int, ...]:
    """Return `n` whole numbers, where torch takes one number for all."""
    if isinstance(values, Iterable):
        found = tuple(int(each) for each in values)
        return found * n if len(found) == 1 else found
    return (int(values),) * n


def axis_of(value: Value, dim: int) -> int:
    """Return the axis behind the batch axis that torch's `dim` names; -1 for the batch axis itself."""
    return (dim if dim >= 0 else dim + len(value.shape) + 1) - 1


def axes_of(net: Assembly, value: Value, dims: Any) -> tuple[int, ...]:
    given = (dims,) if isinstance(dims, int) else tuple(dims)
    axes = tuple(axis_of(value, dim) for dim in given)
    if any(axis < 0 for axis in axes):
        net.refuse("works along the batch axis", "keep the samples of a batch apart")
    return axes
