"""The table of ONNX operators, and the node that each is a function of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.operator_table import REMEDIES
from analog_bridge.ingest.values import Value

__all__ = ["ONNX_OPERATORS", "ONNX_REMEDIES", "Node", "Rule", "rule"]


@dataclass(frozen=True)
class Node:
    """A node of the file: its inputs (None where left out), its attributes and the size of the batch axis."""

    net: Assembly
    inputs: Sequence[Any]
    attributes: dict[str, Any]
    n: int

    @property
    def x(self) -> Value:
        """The first input, which depends on the network's."""
        first = self.inputs[0]
        if not isinstance(first, Value):
            self.net.refuse("its first input is a constant", "swap its inputs")
        return first

    def constant(self, index: int, name: str = "") -> Any:
        """Return an input, or the attribute that took its place in older opsets; None if there is neither."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Value):
            self.net.refuse(f"its input {index} depends on the network's input", "use a constant")
        return self.attributes.get(name) if value is None else value

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def axis(self, axis: int) -> int:
        """Return the axis behind the batch axis that ONNX names."""
        found = (axis if axis >= 0 else axis + len(self.x.shape) + 1) - 1
        if found < 0:
            self.net.refuse("works along the batch axis", "keep the samples of a batch apart")
        return found


Rule = Callable[[Node], Any]
ONNX_OPERATORS: dict[str, Rule] = {}
ONNX_REMEDIES: dict[str, str] = {
    **dict.fromkeys(("Gelu", "Elu", "Selu", "Tanh", "Softplus", "Erf", "Celu", "Mish"), REMEDIES["tanh"]),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), REMEDIES["lstm"]),
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "InstanceNormalization"), REMEDIES["layer_norm"]
    ),
    **dict.fromkeys(("If", "Loop", "Scan"), "export a network without control flow"),
    **dict.fromkeys(
        ("QLinearConv", "QuantizeLinear", "DequantizeLinear"), "export the network before quantisation"
    ),
    "Attention": REMEDIES["scaled_dot_product_attention"],
    "softmax": REMEDIES["softmax"],
    "sigmoid": REMEDIES["sigmoid"],
    "ArgMax": REMEDIES["argmax"],
}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register an operator by its names."""

    def register(function: Rule) -> Rule:
        for name in names:
            ONNX_OPERATORS[name] = function
        return function

    return register
