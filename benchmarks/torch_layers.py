"""One layer in torch: dense, scatter (index_add) and gather (embedding_bag), each followed by the same LIF neurons.

Scatter and gather get their lists of rows ready made: finding the active inputs is not on torch's bill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from density_networks import ALPHA
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from neuro.graph import Conv2d, Linear

__all__ = ["TorchLayer"]

_MOST_ROWS = 2**26  # values of the rows that a scatter copies in one step


@dataclass(frozen=True, eq=False)
class TorchLayer:
    """A layer on the frames of a recording.

    Attributes
    ----------
    synapse : Conv2d or Linear
        Weights as the engine's.
    threshold : float
        Of the LIF neurons behind it.
    frames : float32, shape (n_steps, *shape)
        Frames of zeros and ones.
    out_shape : tuple of int
        Shape of the output.
    """

    synapse: Conv2d | Linear
    threshold: float
    frames: NDArray[np.float32]
    out_shape: tuple[int, ...]

    def runs(self) -> dict[str, Callable[[], list[Tensor]]]:
        """Functions that run the whole recording step by step, by name; each gives the spikes of its steps."""
        found = {"dense NCHW": self._dense(torch.contiguous_format)}
        if isinstance(self.synapse, Conv2d):
            found["dense channels last"] = self._dense(torch.channels_last)
        lists = [self._rows(frame) for frame in self.frames]
        weight = torch.from_numpy(np.ascontiguousarray(self._weight_rows()))
        if max(rows.size for rows, _ in lists) * weight.shape[1] <= _MOST_ROWS:
            found["scatter"] = self._scatter(weight, lists)
            found["gather"] = self._gather(weight, lists)
        return found

    def folded(self) -> Callable[[], list[Tensor]]:
        """All steps as one batch (the faster layout for most shapes: channels last)."""
        return self._dense(torch.channels_last, is_folded=True)

    def _dense(self, layout: torch.memory_format, *, is_folded: bool = False) -> Callable[[], list[Tensor]]:
        weight = torch.from_numpy(np.array(self.synapse.weight))
        x = torch.from_numpy(self.frames)
        if isinstance(self.synapse, Linear):
            x = x.flatten(1)
        else:
            weight, x = weight.contiguous(memory_format=layout), x.contiguous(memory_format=layout)

        def current(part: Tensor) -> Tensor:
            if isinstance(self.synapse, Linear):
                return functional.linear(part, weight)
            return functional.conv2d(part, weight, None, self.synapse.stride, self.synapse.padding)

        if is_folded:
            return lambda: self._neurons(list(current(x)))
        return lambda: self._neurons(current(x[k : k + 1])[0] for k in range(len(x)))

    def _scatter(self, weight: Tensor, lists: list[tuple[NDArray, NDArray]]) -> Callable[[], list[Tensor]]:
        ready = [(torch.from_numpy(rows), torch.from_numpy(pixels)) for rows, pixels in lists]
        n_pixels = self._n_pixels

        def current(rows: Tensor, pixels: Tensor) -> Tensor:
            return torch.zeros(n_pixels, weight.shape[1]).index_add_(0, pixels, weight[rows])

        return lambda: self._neurons(current(*one) for one in ready)

    def _gather(self, weight: Tensor, lists: list[tuple[NDArray, NDArray]]) -> Callable[[], list[Tensor]]:
        ready = []
        for rows, pixels in lists:
            order = np.argsort(pixels, kind="stable")
            starts = np.searchsorted(pixels[order], np.arange(self._n_pixels))
            ready.append((torch.from_numpy(rows[order]), torch.from_numpy(starts)))

        def current(rows: Tensor, starts: Tensor) -> Tensor:
            return functional.embedding_bag(rows, weight, starts, mode="sum")

        return lambda: self._neurons(current(*one) for one in ready)

    def _neurons(self, currents: object) -> list[Tensor]:
        spikes, v, scratch = [], None, None
        for current in currents:  # type: ignore[attr-defined]
            if v is None:
                v, scratch = torch.zeros_like(current), torch.empty_like(current)
            v.mul_(ALPHA).add_(current)
            torch.gt(v, self.threshold, out=current)
            torch.le(v, self.threshold, out=scratch)
            v.mul_(scratch)
            spikes.append(current)
        return spikes

    @property
    def _n_pixels(self) -> int:
        return int(np.prod(self.out_shape[1:])) if len(self.out_shape) == 3 else 1

    def _weight_rows(self) -> NDArray[np.float32]:
        """Weights of shape (taps * inputs, outputs)."""
        weight = np.asarray(self.synapse.weight)
        if weight.ndim == 2:
            return weight.T
        return weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])

    def _rows(self, frame: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Weight row and output pixel of every pair of an active input and a tap that it reaches."""
        if isinstance(self.synapse, Linear):
            rows = np.flatnonzero(frame)
            return rows, np.zeros_like(rows)
        channel, row, column = np.nonzero(frame)
        n_in, (n_rows, n_columns) = frame.shape[0], self.synapse.kernel_size
        found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for i, j in np.ndindex(n_rows, n_columns):
            y, y_rest = np.divmod(row + self.synapse.padding[0] - i, self.synapse.stride[0])
            x, x_rest = np.divmod(column + self.synapse.padding[1] - j, self.synapse.stride[1])
            is_inside = (y >= 0) & (y < self.out_shape[1]) & (x >= 0) & (x < self.out_shape[2])
            hit = is_inside & (y_rest == 0) & (x_rest == 0)
            rows = (i * n_columns + j) * n_in + channel[hit]
            found.append((rows, y[hit] * self.out_shape[2] + x[hit]))
        return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]
