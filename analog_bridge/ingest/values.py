"""What stands for a tensor while a network is taken over: a layer's output and how the user's axes lie in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analog_bridge.layers.shapes import canonical_shape

__all__ = ["Value", "canonical_shape", "blocks"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """The output of a layer, seen as a tensor of the user.

    Attributes
    ----------
    layer : str
        Name of the layer.
    shape : tuple of int
        Shape of the user's tensor without its batch axis.
    axes : tuple of int
        Order of the user's axes in the layer's output: its entries are those of the tensor, permuted by `axes`,
        in row-major order. Transposing a tensor thus needs no layer until an operator asks for an order.
    closed : str
        Not empty: an operator of the output (softmax) was left out; nothing may read the value any more.
    """

    layer: str
    shape: Shape
    axes: tuple[int, ...]
    closed: str = ""

    @property
    def order(self) -> tuple[int, ...]:
        """The axes in the order of the layer's output, those of size 1 left out."""
        return tuple(axis for axis in self.axes if self.shape[axis] != 1)

    @property
    def stored(self) -> Shape:
        """The user's shape in the order of the layer's output."""
        return tuple(self.shape[axis] for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


def blocks(order: NDArray[np.int64], shape: Sequence[int], n_old: int) -> tuple[NDArray[np.int64], int]:
    """Return an order of entries as an order of equal blocks, the largest that the axes of `shape` offer.

    Parameters
    ----------
    order : int64, shape (n,)
        Which old entry stands at each new place.
    shape : sequence of int
        New shape; blocks are its trailing axes.
    n_old : int
        Number of old entries, which the blocks must divide.

    Returns
    -------
    int64 array and int
        The order of blocks, and the entries of one.
    """
    best = (order, 1)
    size = 1
    for axis in reversed(range(len(shape))):
        size *= shape[axis]
        rows = order.reshape(-1, size)
        if n_old % size or (rows[:, 0] % size).any() or not (rows == rows[:, :1] + np.arange(size)).all():
            break
        best = (rows[:, 0] // size, size)
    return best
