"""Single NIR nodes read as nodes of a Graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.fields import Pair, Parameter
from neuro.graph.neurons import CubaUpdate, Update
from neuro.graph.nir_writing import synaptic_gain
from neuro.graph.nodes import (
    IF,
    LI,
    LIF,
    AvgPool2d,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    Node,
    SumPool2d,
)

__all__ = ["NirNodes", "Timing", "plain_text", "plain_value"]

_ONE = np.ones(1)
_KINDS = (
    "Input, Output, Linear, Affine, Conv2d, SumPool2d, AvgPool2d, Flatten, Delay, IF, LIF, CubaLIF, LI, "
    "Scale, NIRGraph"
)


@dataclass(frozen=True)
class Timing:
    """Length of NIR's unit of time and of a step, in seconds."""

    time_unit_s: float
    dt_s: float


def plain_text(value: object) -> str:
    """Return text that may come from a file as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def plain_value(value: object) -> Any:
    """Return a metadata value as Python's own type."""
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (np.generic, np.ndarray)) and np.size(value) == 1:
        value = np.asarray(value).reshape(-1)[0].item()
    return plain_text(value) if isinstance(value, bytes) else value


@dataclass(frozen=True)
class NirNodes:
    """Reads single nodes; `read` gives the node and the gain of its input that NIR keeps apart."""

    timing: Timing
    update: Update

    def read(self, name: str, nir_node: Any) -> tuple[Node, NDArray[np.float64]]:
        """Return a node and the gain of its input (1 where NIR has none)."""
        kind = type(nir_node).__name__
        method = getattr(self, f"_read_{kind.lower()}", None)
        if method is None:
            raise GraphError(f"NIR {kind} {name!r}: has no counterpart here; known are {_KINDS}")
        try:
            result = method(nir_node)
        except GraphError as err:
            raise GraphError(f"NIR {kind} {name!r}: {err}") from err
        except (TypeError, ValueError, AttributeError, IndexError, KeyError) as err:
            raise GraphError(f"NIR {kind} {name!r}: a value cannot be read ({err})") from err
        return cast(
            "tuple[Node, NDArray[np.float64]]", result if isinstance(result, tuple) else (result, _ONE)
        )

    def _read_input(self, nir_node: Any) -> Node:
        shape = tuple(int(size) for size in np.asarray(nir_node.input_type["input"]).reshape(-1))
        if len(shape) in (2, 4) and shape[0] == 1:  # a batch axis, as norse and nirtorch write it
            shape = shape[1:]
        max_count = (nir_node.metadata or {}).get("max_count")
        return Input(shape, None if max_count is None else plain_value(max_count))

    def _read_linear(self, nir_node: Any) -> Node:
        return Linear(np.asarray(nir_node.weight))

    def _read_affine(self, nir_node: Any) -> Node:
        return Linear(
            np.asarray(nir_node.weight), None if nir_node.bias is None else np.asarray(nir_node.bias)
        )

    def _read_conv2d(self, nir_node: Any) -> Node:
        weight = np.asarray(nir_node.weight)
        bias = None if nir_node.bias is None else np.asarray(nir_node.bias)
        stride, dilation = _pair(nir_node.stride), _pair(nir_node.dilation)
        padding = _padding(nir_node.padding, weight.shape[2:], stride, dilation)
        if bias is not None and not np.any(bias != 0):
            bias = None
        groups = int(np.asarray(nir_node.groups).reshape(-1)[0])
        return Conv2d(weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)

    def _read_sumpool2d(self, nir_node: Any) -> Node:
        return SumPool2d(_pair(nir_node.kernel_size), _pair(nir_node.stride), _pair(nir_node.padding))

    def _read_avgpool2d(self, nir_node: Any) -> Node:
        return AvgPool2d(_pair(nir_node.kernel_size), _pair(nir_node.stride), _pair(nir_node.padding))

    def _read_flatten(self, nir_node: Any) -> Node:
        start, end = int(nir_node.start_dim), int(nir_node.end_dim)
        # 1 counts a batch axis, which NIR's shapes do not have; a wrong guess shows in the next node's shape
        if start not in (0, 1) or end not in (-1, 2, 3):
            raise GraphError(f"Flatten must join all axes, got start_dim = {start}, end_dim = {end}")
        return Flatten()

    def _read_delay(self, nir_node: Any) -> Node:
        delay = self._seconds(nir_node.delay)
        if not isinstance(delay, float):
            raise GraphError("one delay for all its elements is needed, got several; split the node")
        return Delay(delay)

    def _read_if(self, nir_node: Any) -> tuple[Node, NDArray[np.float64]]:
        return IF(_parameter(nir_node.v_threshold), _reset(nir_node)), _gain(nir_node.r)

    def _read_lif(self, nir_node: Any) -> tuple[Node, NDArray[np.float64]]:
        node = LIF(
            self._seconds(nir_node.tau),
            _parameter(nir_node.v_threshold),
            v_leak=_parameter(nir_node.v_leak),
            v_reset=_reset(nir_node),
            update=self._update(nir_node),
        )
        return node, _gain(nir_node.r)

    def _read_li(self, nir_node: Any) -> tuple[Node, NDArray[np.float64]]:
        node = LI(
            self._seconds(nir_node.tau), v_leak=_parameter(nir_node.v_leak), update=self._update(nir_node)
        )
        return node, _gain(nir_node.r)

    def _read_cubalif(self, nir_node: Any) -> tuple[Node, NDArray[np.float64]]:
        update = self._update(nir_node)
        node = CubaLIF(
            self._seconds(nir_node.tau_mem),
            self._seconds(nir_node.tau_syn),
            _parameter(nir_node.v_threshold),
            v_leak=_parameter(nir_node.v_leak),
            v_reset=_reset(nir_node),
            update=cast("CubaUpdate", update),
        )
        tau_syn_s = np.asarray(nir_node.tau_syn, dtype=np.float64) * self.timing.time_unit_s
        gain = synaptic_gain(tau_syn_s, update, self.timing.dt_s)
        return node, gain * np.asarray(nir_node.w_in, dtype=np.float64) * _gain(nir_node.r)

    def _update(self, nir_node: Any) -> Update:
        noted = (nir_node.metadata or {}).get("update")
        return self.update if noted is None else cast("Update", plain_text(noted))

    def _seconds(self, value: object) -> Parameter:
        return _parameter(np.asarray(value, dtype=np.float64) * self.timing.time_unit_s)


def _parameter(value: object) -> Parameter:
    """Return the shortest form of a parameter: a number, one value per channel, or the full array."""
    array = np.asarray(value)
    if array.size and (array == array.reshape(-1)[0]).all():
        return float(array.reshape(-1)[0])
    if array.ndim == 3 and (array == array[:, :1, :1]).all():
        return np.asarray(array[:, :1, :1], dtype=np.float32)
    return np.asarray(array, dtype=np.float32)


def _reset(nir_node: Any) -> Parameter:
    return 0.0 if nir_node.v_reset is None else _parameter(nir_node.v_reset)


def _gain(value: object) -> NDArray[np.float64]:
    gain = np.asarray(value, dtype=np.float64)
    if not np.isfinite(gain).all():
        raise GraphError("r and w_in must be finite")
    return gain.reshape(1) if gain.ndim == 0 else gain


def _pair(value: object) -> Pair:
    numbers = [int(item) for item in np.asarray(value).reshape(-1)]
    if len(numbers) not in (1, 2) or (np.asarray(value) != np.asarray(value).astype(np.int64)).any():
        raise GraphError(f"one or two whole numbers are needed, got {value!r}")
    return numbers[0], numbers[-1]


def _padding(value: object, kernel: tuple[int, ...], stride: Pair, dilation: Pair) -> Pair:
    if isinstance(value, (str, bytes)):
        word = plain_text(value)
        if word == "valid":
            return 0, 0
        if word != "same":
            raise GraphError(f"padding must be 'same', 'valid' or numbers, got {word!r}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if stride != (1, 1) or any(size % 2 for size in total):
            raise GraphError(
                f"padding 'same' with kernel {tuple(kernel)}, stride {stride} and dilation {dilation} is not the same "
                "on both sides; here padding is symmetric"
            )
        return total[0] // 2, total[1] // 2
    return _pair(value)
