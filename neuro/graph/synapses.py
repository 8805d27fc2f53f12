"""Nodes with weights: Linear and Conv2d."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from neuro.errors import GraphError
from neuro.graph.fields import FloatArray, Pair, as_array, as_pair, as_whole
from neuro.graph.node import Node

__all__ = ["Linear", "Conv2d"]


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Node):
    """Weighted sum of a flat input: ``y[o] = bias[o] + sum_i weight[o, i] * x[i]``.

    Attributes
    ----------
    weight : float32, shape (out, in)
        Weights; the layout of torch and NIR.
    bias : float32, shape (out,), or None
        Added in every step that is computed.

    Raises
    ------
    GraphError
        If a shape does not fit or a value is not finite.

    Examples
    --------
    >>> Linear([[1.0, -2.0]])
    Linear(weight=float32[1, 2], bias=None)
    """

    weight: FloatArray
    bias: FloatArray | None = None

    def __post_init__(self) -> None:
        self._set("weight", as_array("Linear", "weight", self.weight, ndim=2))
        self._set("bias", _as_bias("Linear", self.bias, self.weight.shape[0]))


@dataclass(frozen=True, eq=False, repr=False)
class Conv2d(Node):
    """Cross-correlation over rows and columns, as torch's ``Conv2d``.

    ``y[o, r, c] = bias[o] + sum_(i, j, k) weight[o, k, i, j] *
    x[g(o) + k, r * stride_r - padding_r + i * dilation_r, c * stride_c - padding_c + j * dilation_c]``,
    where entries outside the frame are silent and ``g(o)`` is the first input channel of the group of ``o``.

    Attributes
    ----------
    weight : float32, shape (out, in / groups, rows, columns)
        Weights; the layout of torch and NIR.
    bias : float32, shape (out,), or None
        Added to every output pixel in every step that is computed.
    stride, padding, dilation : tuple of two int
        (rows, columns); one number stands for both.
    groups : int
        Number of channel groups that do not see each other; it divides `in` and `out`.

    Raises
    ------
    GraphError
        If a shape does not fit or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> Conv2d(np.ones((8, 2, 3, 3)), stride=2, padding=1).stride
    (2, 2)
    """

    weight: FloatArray
    bias: FloatArray | None = None
    _: KW_ONLY
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        self._set("weight", as_array("Conv2d", "weight", self.weight, ndim=4))
        self._set("bias", _as_bias("Conv2d", self.bias, self.weight.shape[0]))
        self._set("stride", as_pair("Conv2d", "stride", self.stride, least=1))
        self._set("padding", as_pair("Conv2d", "padding", self.padding, least=0))
        self._set("dilation", as_pair("Conv2d", "dilation", self.dilation, least=1))
        self._set("groups", as_whole("Conv2d", "groups", self.groups, least=1))
        if self.weight.shape[0] % self.groups:
            raise GraphError(
                f"Conv2d: groups must divide the {self.weight.shape[0]} output channels, got {self.groups}"
            )

    @property
    def kernel_size(self) -> Pair:
        """Size of the kernel: rows and columns."""
        return int(self.weight.shape[2]), int(self.weight.shape[3])

    @property
    def in_channels(self) -> int:
        """Number of channels of the input."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def out_channels(self) -> int:
        """Number of channels of the output."""
        return int(self.weight.shape[0])


def _as_bias(owner: str, bias: object, n_out: int) -> FloatArray | None:
    if bias is None:
        return None
    array = as_array(owner, "bias", bias, ndim=1)
    if array.shape != (n_out,):
        raise GraphError(
            f"{owner}: bias must have shape ({n_out},) as the weight's outputs, got {array.shape}"
        )
    return array
