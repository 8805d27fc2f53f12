"""Entries at other places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuro.graph import Rearrange
from neuro.kernels.arrays import Frames
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Operation
from neuro.lowering.run import Run
from neuro.lowering.signals import Signal, as_dense, as_frames

__all__ = ["Rearranged", "rearranged"]


@dataclass(frozen=True, eq=False)
class Rearranged(Operation):
    """The entries of the input at other places.

    ``place``: for each entry of the output where it comes from, channel-last. ``silent``: entries that are always 0.
    """

    place: NDArray[np.int64]
    silent: NDArray[np.int64]

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Rearrange a block of steps."""
        signal = inputs[0]
        dense = as_dense(signal, self.layouts[0], run.n_steps).take(self.place, axis=1)
        dense[:, self.silent] = 0
        if not isinstance(signal, Frames):
            return dense
        frames = as_frames(dense, run.kept, self.layout)
        return frames if signal.value.size else Frames(frames.start, frames.index, signal.value)


def rearranged(
    name: str, sources: tuple[str, ...], before: Layout, layout: Layout, node: Rearrange
) -> Rearranged:
    """Return the operation of a Rearrange."""
    channel, pixel = np.divmod(node.index.astype(np.int64), before.n_pixels)
    inside = np.where(node.index < 0, -1, pixel * before.n_channels + channel)
    place = inside.reshape(layout.n_channels, layout.n_pixels).T.reshape(-1)
    return Rearranged(name, sources, (before,), layout, np.maximum(place, 0), np.flatnonzero(place < 0))
