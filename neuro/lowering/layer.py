"""Synapses and the neurons behind them, run over a block of steps."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from neuro.kernels import arrays
from neuro.kernels.arrays import SPARE, Block, Floats, Frames, Membranes, Neurons, Wiring, Work
from neuro.kernels.frames import join_strips
from neuro.kernels.layers import run_neurons, run_steps
from neuro.lowering.costs import ALWAYS, Thresholds
from neuro.lowering.operations import Operation
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import Signal, as_dense, as_frames, n_entries
from neuro.lowering.wiring import aligned, dense_size, has_bytes

__all__ = ["Layer"]

_NO_TRACE = np.zeros((0, 0), np.float32)
_ALL_ONE = np.zeros(0, np.float32)
_NOT_SO_FEW = 16  # spikes of a block are given room for one neuron in 16 at first
_STEPS = [arrays.SCATTERED, arrays.GATHERED, arrays.MULTIPLIED, arrays.SILENT]
_LEAST_ROWS = 4  # output rows for which a thread is worth while
_kept = threading.local()


@dataclass
class _Scratch:
    """Memory of a strip of a layer in a thread: new pages at every run would cost more than a small layer.

    ``work``: nothing in it outlives a call of a kernel. ``start``, ``index``: the spikes of the present block.
    """

    work: Work
    start: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    index: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))


@dataclass(frozen=True, eq=False)
class Layer(Operation):
    """A synapse, a population of neurons, or both in one.

    ``rest``: the membranes before the first step. ``is_lazy``: silence makes no neuron fire, so that pixels without
    input can wait. ``thresholds``: active inputs at which the paths change.
    """

    synapse_name: str | None
    neuron_name: str | None
    wiring: Wiring | None
    neurons: Neurons
    rest: Floats
    has_synaptic_current: bool
    is_lazy: bool
    thresholds: Thresholds

    @cached_property
    def _strips(self) -> list[tuple[int, int]]:
        """All output rows as one strip."""
        assert self.wiring is not None
        return [(0, int(self.wiring.numbers[arrays.OUT_ROWS]))]

    @cached_property
    def has(self) -> tuple[bool, bool, bool]:
        """Whether there is a dense path, weights that are whole numbers, a bias."""
        assert self.wiring is not None
        return dense_size(self.wiring) > 0, has_bytes(self.wiring), bool(self.wiring.bias.any())

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Compute a block of steps: spikes as frames, or membranes and currents as a dense array."""
        is_dense = not self.neurons.is_firing
        is_traced = is_dense or self.name in run.traced
        trace = np.empty((run.n_steps, self.layout.size), np.float32) if is_traced else _NO_TRACE
        if self.wiring is None:
            strips = [self._run_neurons(as_dense(inputs[0], self.layout, run.n_steps), run, trace)]
        else:
            frames = as_frames(inputs[0], run.kept, self.layouts[0])
            run.entries[self.name] = run.entries.get(self.name, 0) + n_entries(frames)
            membranes = self._membranes(run)  # made here, before threads share it
            rows = self._strips if run.n_threads == 1 else _split(self._strips[0][1], run.n_threads)
            strips = run.map(lambda part: self._run_rows(frames, membranes, run, trace, part), rows)
        for block in strips[1:]:
            block.tally[_STEPS] = 0  # the steps of a layer are those of its first strip
        for block in strips:
            run.add_tally(self.name, block.tally)
        if is_traced and self.neuron_name is not None:
            run.traces[self.name] = trace
        return trace if is_dense else _joined(strips, run.n_steps, self.layout.n_pixels)

    def _run_neurons(self, currents: Floats, run: Run, trace: Floats) -> Block:
        n_steps, n_pixels, size = run.n_steps, self.layout.n_pixels, self.layout.size
        scratch = self._scratch(0)
        block = self._block(run, trace, 0, n_pixels, n_steps * size if self.neurons.is_firing else 0)
        run_neurons(currents, self.neurons, self._membranes(run), scratch.work, block)
        return block

    def _run_rows(
        self, frames: Frames, membranes: Membranes, run: Run, trace: Floats, rows: tuple[int, int]
    ) -> Block:
        """Run some output rows through the block; room for their spikes grows as they come."""
        assert self.wiring is not None
        columns = int(self.wiring.numbers[arrays.OUT_COLUMNS])
        n_pixels, n_steps = (rows[1] - rows[0]) * columns, run.n_steps
        most = n_pixels * self.layout.n_channels
        n_room = most + n_steps * most // _NOT_SO_FEW if self.neurons.is_firing else 0
        block = self._block(run, trace, rows[0] * columns, n_pixels, n_room)
        orders = self.orders(
            rows, run.path, is_traced=self.name in run.traced, is_any_dropped=run.is_any_dropped
        )
        scratch = self._scratch(rows[0] * columns)
        arguments = (frames, self.wiring, self.neurons, membranes, scratch.work)
        done = run_steps(*arguments, block, orders, (0, n_steps, True))
        while done < n_steps:
            scratch.index = _grown(block.index, n_steps * most + SPARE)
            block = block._replace(index=scratch.index)
            done = run_steps(*arguments, block, orders, (done, n_steps, True))
        return block

    def _block(self, run: Run, trace: Floats, first_pixel: int, n_pixels: int, n_room: int) -> Block:
        scratch, n_slots = self._scratch(first_pixel), run.n_steps * n_pixels + 1
        if scratch.start.size < n_slots:
            scratch.start = np.empty(n_slots, np.int32)
        if scratch.index.size < n_room + SPARE:
            scratch.index = np.empty(n_room + SPARE, np.int32)
        return Block(
            first_pixel,
            n_pixels,
            self.layout.n_channels,
            run.kept,
            scratch.start[:n_slots],
            scratch.index,
            trace,
            np.zeros(arrays.N_TALLIES, np.int64),
        )

    def orders(
        self, rows: tuple[int, int], path: Path | None, *, is_traced: bool, is_any_dropped: bool
    ) -> NDArray[np.int64]:
        """Return the orders of `neuro.kernels.layers.run_steps` for some output rows."""
        limits = self.thresholds if path is None else self.thresholds.forced(path)
        has_dense, is_whole, has_bias = self.has
        mode = arrays.EACH
        if self.neurons.is_uniform and self.neurons.is_firing and not is_traced:
            mode = arrays.LAZY if self.is_lazy else arrays.EAGER
        return np.array(
            [
                *rows,
                limits.scatter_under,
                limits.dense_from if has_dense else ALWAYS,
                limits.all_from,
                mode,
                not has_bias or not is_any_dropped,
                limits.uses_bytes and is_whole,
            ],
            np.int64,
        )

    def _membranes(self, run: Run) -> Membranes:
        if self.name not in run.membranes:
            current = np.zeros(self.rest.size if self.has_synaptic_current else 0, np.float32)
            voltage = aligned(self.rest.size, np.float32)
            voltage[:] = self.rest
            held = np.zeros(self.rest.size if self.neurons.n_held else 0, np.int32)
            run.membranes[self.name] = Membranes(voltage, current, held)
        return run.membranes[self.name]

    def _scratch(self, first_pixel: int) -> _Scratch:
        """Return the memory of a strip; a thread may run several."""
        kept: WeakKeyDictionary[Layer, dict[int, _Scratch]] | None = getattr(_kept, "scratch", None)
        if kept is None:
            kept = _kept.scratch = WeakKeyDictionary()
        strips = kept.setdefault(self, {})
        if first_pixel not in strips:
            strips[first_pixel] = _Scratch(self.new_work())
        return strips[first_pixel]

    def new_work(self) -> Work:
        """Return scratch for a strip of the layer."""
        n_pixels, size = self.layout.n_pixels, self.layout.size
        n_list = n_dense = n_padded = 0
        n_current = n_fired = size
        if self.wiring is not None:
            numbers = self.wiring.numbers
            n_list = int(numbers[arrays.N_ROWS]) + 2 * SPARE
            n_current = int(numbers[arrays.OUT_COLUMNS] * numbers[arrays.PITCH])
            n_fired = int(numbers[arrays.OUT_COLUMNS]) * self.layout.n_channels
            n_dense = dense_size(self.wiring)
            n_padded = n_dense // self.layouts[0].n_channels
        words = np.zeros((n_fired + 7) // 8, np.uint64)
        return Work(
            aligned(n_current, np.float32),
            np.empty(n_list, np.int32),
            np.empty(n_list, np.float32),
            aligned(n_dense, np.float32),
            np.zeros(n_padded, np.uint8),
            np.zeros(n_pixels, np.uint8),
            np.zeros(n_pixels, np.uint8),
            np.zeros(n_pixels, np.int32),
            words.view(np.uint8),
            words,
        )


def _split(n_rows: int, n_parts: int) -> list[tuple[int, int]]:
    """Return rows as ranges of about the same length, not too short ones."""
    n_parts = max(1, min(n_parts, n_rows // _LEAST_ROWS))
    ends = [n_rows * k // n_parts for k in range(n_parts + 1)]
    return list(pairwise(ends))


def _grown(index: NDArray[np.int32], most: int) -> NDArray[np.int32]:
    room = np.empty(min(2 * index.size, most), np.int32)
    room[: index.size] = index
    return room


def _joined(strips: Sequence[Block], n_steps: int, n_pixels: int) -> Frames:
    """Return the spikes of strips of rows, one below the other, as one block of frames."""
    if len(strips) == 1:
        return Frames(strips[0].start, strips[0].index, _ALL_ONE)
    n_spikes = sum(int(block.tally[arrays.SPIKES]) for block in strips)
    into = Frames(np.empty(n_steps * n_pixels + 1, np.int32), np.empty(n_spikes + SPARE, np.int32), _ALL_ONE)
    into.start[0] = 0
    for block in strips:  # first the counts of all strips, then the sums, then the entries
        join_strips(block.start, block.index, block.first_pixel, n_steps, into, False)
    np.cumsum(into.start, out=into.start)
    for block in strips:
        join_strips(block.start, block.index, block.first_pixel, n_steps, into, True)
    return into
