"""The operations of a plan: each turns its inputs of a block of steps into its output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce

import numpy as np

from neuro.kernels.arrays import Floats, Frames, Synapses
from neuro.kernels.pooling import MAXIMUM, pool
from neuro.lowering.layout import Layout
from neuro.lowering.run import Run
from neuro.lowering.signals import (
    Signal,
    append,
    as_dense,
    as_frames,
    by_channel,
    cut,
    join,
    n_entries,
    new_frames,
    silence,
)

__all__ = ["Operation", "Pool", "Flat", "Sum", "Join", "Line"]


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """One node of a plan, or a synapse and its neurons.

    Attributes
    ----------
    name : str
        The node whose output it computes.
    sources : tuple of str
        The nodes whose outputs it takes.
    layouts : tuple of Layout
        Their layouts.
    layout : Layout
        The layout of the output.
    """

    name: str
    sources: tuple[str, ...]
    layouts: tuple[Layout, ...]
    layout: Layout

    @abstractmethod
    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Compute a block of steps."""


@dataclass(frozen=True, eq=False)
class Pool(Operation):
    """Maximum, sum or average over windows; ``area`` divides the sum."""

    window: Synapses
    kind: int
    area: np.float32

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Pool the entries of a block."""
        frames = as_frames(inputs[0], run.kept, self.layouts[0])
        is_graded = self.kind != MAXIMUM or frames.value.size > 0
        capacity = min(n_entries(frames) * _overlap(self.window), run.n_steps * self.layout.size)
        into = new_frames(run.n_steps * self.layout.n_pixels, capacity, is_graded)
        pool(
            frames,
            run.n_steps,
            self.window,
            self.kind,
            self.area,
            np.empty(self.layout.n_channels, np.float32),
            into,
        )
        return into


@dataclass(frozen=True, eq=False)
class Flat(Operation):
    """The entries in the order (channel, row, column)."""

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Flatten a block of frames."""
        signal = inputs[0]
        if isinstance(signal, Frames):
            return by_channel(signal, self.layouts[0], run.n_steps)
        return _masked(self.layouts[0].outside(signal).reshape(run.n_steps, -1), run)


@dataclass(frozen=True, eq=False)
class Sum(Operation):
    """The sum of the inputs from left to right."""

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Add the inputs of a block."""
        dense = [as_dense(signal, self.layout, run.n_steps) for signal in inputs]
        with np.errstate(over="ignore", invalid="ignore"):  # as in kernels: what overflows is infinite
            return _masked(reduce(np.add, dense), run)


@dataclass(frozen=True, eq=False)
class Join(Operation):
    """The inputs side by side along the channels."""

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Join the inputs of a block."""
        joined = as_frames(inputs[0], run.kept, self.layouts[0])
        n_channels = self.layouts[0].n_channels
        for signal, layout in zip(inputs[1:], self.layouts[1:], strict=True):
            frames = as_frames(signal, run.kept, layout)
            joined = join(joined, frames, n_channels, layout.n_channels, self.layout.n_pixels)
            n_channels += layout.n_channels
        return joined


@dataclass(frozen=True, eq=False)
class Line(Operation):
    """A delay of whole steps. One that closes a cycle hands on first and takes its input when the block is done."""

    n_steps: int
    is_feedback: bool

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Hand on what arrived `n_steps` earlier; what falls on a dropped step is lost and counted."""
        line = run.lines.get(self.name)
        if line is None:
            line = silence(self.n_steps, self.layout)
        if not self.is_feedback:
            line = self._append(line, inputs[0])
        out = self._cut(line, 0, run.n_steps)
        run.lines[self.name] = self._cut(line, run.n_steps, self._length(line))
        return self._without_dropped(out, run)

    def take(self, signal: Signal, run: Run) -> None:
        """Take the input of the block (of a delay that closes a cycle)."""
        run.lines[self.name] = self._append(run.lines[self.name], signal)

    def _length(self, line: Signal) -> int:
        if isinstance(line, Frames):
            return (line.start.size - 1) // self.layout.n_pixels
        return int(line.shape[0])

    def _append(self, line: Signal, signal: Signal) -> Signal:
        if isinstance(line, Frames) and isinstance(signal, Frames):
            return append(line, signal)
        parts = [as_dense(part, self.layout, self._length(part)) for part in (line, signal)]
        return np.concatenate(parts)

    def _cut(self, line: Signal, start: int, stop: int) -> Signal:
        if isinstance(line, Frames):
            return cut(line, start, stop, self.layout.n_pixels)
        return line[start:stop].copy()

    def _without_dropped(self, signal: Signal, run: Run) -> Signal:
        if not run.is_any_dropped:
            return signal
        before = as_frames(signal, np.ones_like(run.kept), self.layout)
        dense = as_dense(signal, self.layout, run.n_steps) * run.kept[:, np.newaxis]
        after = as_frames(dense, run.kept, self.layout)
        run.lost[self.name] = run.lost.get(self.name, 0) + n_entries(before) - n_entries(after)
        return after if isinstance(signal, Frames) else dense


def _masked(dense: Floats, run: Run) -> Floats:
    """Silence on dropped steps."""
    if run.is_any_dropped:
        dense = dense.copy()
        dense[run.kept == 0] = 0
    return dense


def _overlap(window: Synapses) -> int:
    """Most windows that share an input pixel."""
    rows, columns = np.diff(window.scatter_row), np.diff(window.scatter_column)
    return int(rows.max(initial=0)) * int(columns.max(initial=0))
