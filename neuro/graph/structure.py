"""Nodes without neurons or weights: Input, Flatten, Add, Concat, Delay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuro.errors import GraphError
from neuro.graph.fields import as_float, as_whole
from neuro.graph.node import Node

__all__ = ["Input", "Flatten", "Add", "Concat", "Delay"]


@dataclass(frozen=True, eq=False, repr=False)
class Input(Node):
    """Where the frames enter a network.

    Attributes
    ----------
    shape : tuple of int
        Shape of one frame: ``(channels, rows, columns)`` or ``(n,)``; a whole number stands for ``(n,)``.
    max_count : int or None
        When given, every entry must be a whole number from 0 to `max_count` (checked when the network
        runs). Needed for a graph with a `weight_grid`.

    Raises
    ------
    GraphError
        If a size is not a positive whole number, or the shape has neither one nor three axes.

    Examples
    --------
    >>> Input((2, 34, 34), max_count=15)
    Input(shape=(2, 34, 34), max_count=15)
    """

    shape: tuple[int, ...]
    max_count: int | None = None

    def __post_init__(self) -> None:
        shape: object = self.shape
        if isinstance(shape, (int, np.integer)):
            shape = (shape,)
        if not isinstance(shape, (tuple, list, np.ndarray)) or len(shape) not in (1, 3):
            raise GraphError(f"Input: shape must be (channels, rows, columns) or (n,), got {shape!r}")
        sizes = tuple(as_whole("Input", "shape", size, least=1) for size in shape)
        if math.prod(sizes) > np.iinfo(np.int32).max:
            raise GraphError(f"Input: shape {sizes} has {math.prod(sizes)} entries, the limit is 2**31 - 1")
        self._set("shape", sizes)
        if self.max_count is not None:
            self._set("max_count", as_whole("Input", "max_count", self.max_count, least=1))


@dataclass(frozen=True, eq=False, repr=False)
class Flatten(Node):
    """Read (channel, row, column) as one axis, in that order (as torch and NIR).

    Examples
    --------
    >>> Flatten()
    Flatten()
    """


@dataclass(frozen=True, eq=False, repr=False)
class Add(Node):
    """Sum of two or more inputs of one shape, in float32, from left to right in the order of the edges.

    ``y = (x_1 + x_2) + x_3 + ...``

    Examples
    --------
    >>> Add()
    Add()
    """


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Node):
    """Join two or more inputs along the channel axis, in the order of the edges.

    Examples
    --------
    >>> Concat()
    Concat()
    """


@dataclass(frozen=True, eq=False, repr=False)
class Delay(Node):
    """Hand on what arrived `delay_s` earlier: ``y(t) = x(t - delay_s)``; before that, silence.

    Attributes
    ----------
    delay_s : float
        Delay in seconds, >= 0. In a clocked graph it must be a whole multiple of ``dt_s``.

    Raises
    ------
    GraphError
        If the delay is negative or not finite.

    Examples
    --------
    >>> Delay(0.002)
    Delay(delay_s=0.002)
    """

    delay_s: float

    def __post_init__(self) -> None:
        delay_s = as_float("Delay", "delay_s", self.delay_s)
        if delay_s < 0:
            raise GraphError(f"Delay: delay_s must be >= 0 s, got {delay_s}")
        self._set("delay_s", delay_s)
