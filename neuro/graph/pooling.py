"""Pooling over rows and columns: sum, average and maximum."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.errors import GraphError
from neuro.graph.fields import Pair, as_pair
from neuro.graph.node import Node

__all__ = ["Pool2d", "SumPool2d", "AvgPool2d", "MaxPool2d"]


@dataclass(frozen=True, eq=False, repr=False)
class Pool2d(Node):
    """Base of all pools: a window, its stride and padding."""

    kernel_size: Pair
    stride: Pair | None = None
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        owner = type(self).__name__
        self._set("kernel_size", as_pair(owner, "kernel_size", self.kernel_size, least=1))
        stride = self.kernel_size if self.stride is None else self.stride
        self._set("stride", as_pair(owner, "stride", stride, least=1))
        self._set("padding", as_pair(owner, "padding", self.padding, least=0))
        for size, padding in zip(self.kernel_size, self.padding, strict=True):
            if 2 * padding > size:
                raise GraphError(
                    f"{owner}: padding must be at most half of kernel_size = {self.kernel_size}, "
                    f"got {self.padding}"
                )

    @property
    def strides(self) -> Pair:
        """Rows and columns between windows (never None after construction)."""
        assert self.stride is not None
        return self.stride


@dataclass(frozen=True, eq=False, repr=False)
class SumPool2d(Pool2d):
    """Sum over each window of each channel; entries outside the frame are silent.

    Attributes
    ----------
    kernel_size, stride, padding : tuple of two int
        (rows, columns); one number stands for both; `stride` defaults to `kernel_size`.

    Raises
    ------
    GraphError
        If a value is not a whole number, or the padding is larger than half the kernel.

    Examples
    --------
    >>> SumPool2d(2)
    SumPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))
    """


@dataclass(frozen=True, eq=False, repr=False)
class AvgPool2d(Pool2d):
    """Sum over each window divided by the kernel's area, padding included (torch's default).

    Attributes
    ----------
    kernel_size, stride, padding : tuple of two int
        (rows, columns); one number stands for both; `stride` defaults to `kernel_size`.

    Raises
    ------
    GraphError
        If a value is not a whole number, or the padding is larger than half the kernel.

    Examples
    --------
    >>> AvgPool2d((2, 4), stride=2).stride
    (2, 2)
    """


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool2d(Pool2d):
    """Maximum over each window of non-negative inputs (spikes, counts); outside the frame is silence.

    In a continuous graph the maximum is that of simultaneous events: of spikes at one microsecond one passes.

    Attributes
    ----------
    kernel_size, stride, padding : tuple of two int
        (rows, columns); one number stands for both; `stride` defaults to `kernel_size`.

    Raises
    ------
    GraphError
        If a value is not a whole number, or the padding is larger than half the kernel.

    Examples
    --------
    >>> MaxPool2d(3, stride=2, padding=1)
    MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    """
