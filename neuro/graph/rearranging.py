"""Rearrange: the same entries at other places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.fields import first_position, position_text
from neuro.graph.node import Node

__all__ = ["Rearrange"]


@dataclass(frozen=True, eq=False, repr=False)
class Rearrange(Node):
    """Hand on the entries of the input at other places: ``y[k] = x.flat[index[k]]``; 0 where the index is -1.

    Every view, transposition, slice and shuffle, enlarging by repetition, and zeros between entries are such a map.

    Attributes
    ----------
    index : int32 array, shape of the output
        For each entry of the output, (channel, row, column) or (n,), the place in the input read as one axis in that
        order, from 0 on; -1 for an entry that is always 0.

    Raises
    ------
    GraphError
        If the index does not hold whole numbers >= -1, is empty, or has neither one nor three axes.

    Examples
    --------
    >>> swapped = Rearrange([1, 0])
    >>> swapped.index.shape, swapped.n_parameters
    ((2,), 0)
    """

    index: NDArray[Any]

    def __post_init__(self) -> None:
        given = np.asarray(self.index)
        if given.dtype.kind not in "iu" or given.ndim not in (1, 3) or given.size == 0:
            raise GraphError(
                "Rearrange: index must hold whole numbers, one or three axes and at least one entry, got "
                f"{given.dtype} of shape {given.shape}"
            )
        wrong = (given < -1) | (given > np.iinfo(np.int32).max)
        if wrong.any():
            where = first_position(wrong)
            raise GraphError(
                f"Rearrange: index must be -1 or a place of the input, got index{position_text(where)} = {given[where]}"
            )
        index = np.array(given, dtype=np.int32, order="C")
        index.setflags(write=False)
        self._set("index", index)

    @property
    def n_parameters(self) -> int:
        """Number of parameters: none, an index is wiring."""
        return 0
