"""How a node's values are laid out inside the engine: channel-last, flat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """Pixels and channels of a shape: (channels, rows, columns), or (n,) as one pixel with n channels.

    Attributes
    ----------
    shape : tuple of int
        The shape outside the engine.
    n_pixels, n_channels : int
        Entry ``channel * n_pixels + pixel`` outside is ``pixel * n_channels + channel`` inside.
    size : int
        Number of entries of a frame.
    """

    shape: tuple[int, ...]
    n_pixels: int
    n_channels: int
    size: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Layout:
        """Return the layout of a shape."""
        return cls(shape, math.prod(shape[1:]), shape[0], math.prod(shape))

    def inside(self, array: Floats) -> Floats:
        """Return arrays of shape (n, *shape) as (n, size), channel-last."""
        split = array.reshape(-1, self.n_channels, self.n_pixels)
        return np.array(split.transpose(0, 2, 1), order="C").reshape(-1, self.size)

    def outside(self, array: Floats) -> Floats:
        """Return arrays of shape (n, size), channel-last, as (n, *shape)."""
        split = array.reshape(-1, self.n_pixels, self.n_channels)
        return np.array(split.transpose(0, 2, 1), order="C").reshape(-1, *self.shape)
