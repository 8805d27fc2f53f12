"""Operations of coded neurons (section 16 of the specification)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.errors import InputError
from neuro.graph import (
    CODED,
    CountMaxPool2d,
    Difference,
    FirstSpikeIF,
    Graph,
    Node,
    RadixIF,
    RadixMaxPool2d,
    Readout,
    SigmaDelta,
    SignedIF,
    TwoPhaseIF,
)
from neuro.kernels import arrays, coding
from neuro.kernels.arrays import Bytes, Floats, Frames, Membranes, Synapses
from neuro.kernels.coding import Population
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Operation
from neuro.lowering.run import Run
from neuro.lowering.signals import Signal, as_dense, as_frames, new_frames
from neuro.lowering.tables import window_tables

__all__ = ["Change", "Coded", "CountPool", "Decode", "Remembering", "coded_operation", "each_entry"]

_NO_TRACE = np.zeros((0, 0), np.float32)
_NOTHING = np.zeros(0, np.float32)
_ENDLESS = 2**62


@dataclass(frozen=True, eq=False)
class Remembering(Operation):
    """An operation with a state: ``run.membranes`` holds it, its last whole number is the number of steps behind it."""

    def _begin(self, run: Run) -> tuple[Membranes, int]:
        """Return the state and the first step of the block."""
        if run.is_any_dropped:
            raise InputError(
                f"simulate: {self.name!r} carries a part of a count in every step, but a gate drops some; "
                "leave the gate out"
            )
        if self.name not in run.membranes:
            run.membranes[self.name] = self.rest_state()
        state = run.membranes[self.name]
        first = int(state.held[-1])
        state.held[-1] = first + run.n_steps
        return state, first

    @abstractmethod
    def rest_state(self) -> Membranes:
        """Return the state before the first step."""


@dataclass(frozen=True, eq=False)
class Coded(Remembering):
    """A population of coded neurons.

    ``node``: its node. ``threshold``, ``added``, ``rest``: parameters of each neuron, channel-last.
    """

    node: Any
    threshold: Floats
    added: Floats
    rest: Floats

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Send the counts of a block of steps."""
        state, first = self._begin(run)
        currents = as_dense(inputs[0], self.layout, run.n_steps)
        is_valued = isinstance(self.node, (SignedIF, SigmaDelta))
        into = new_frames(
            run.n_steps * self.layout.n_pixels, self._most_entries(run.n_steps, first), is_valued
        )
        trace = np.empty_like(currents) if self.name in run.traced else _NO_TRACE
        change, fired = self.scratch()
        cells = Population(
            self.layout.n_channels,
            self.threshold,
            self.added,
            state.voltage,
            state.current,
            state.held[:-1],
            change,
            fired,
            fired.view(np.uint64),
        )
        n = self._send(currents, cells, first, into, trace)
        tally = np.zeros(arrays.N_TALLIES, np.int64)
        tally[arrays.SPIKES] = n
        tally[arrays.VISITS] = run.n_steps * self.layout.n_pixels
        run.add_tally(self.name, tally)
        if self.name in run.traced:
            run.traces[self.name] = trace
        return into

    def scratch(self) -> tuple[Floats, Bytes]:
        """Return room for what each neuron sends in a step, and for marks, whole words."""
        n = self.layout.size
        return np.zeros(n, np.float32), np.zeros(-(-n // 8) * 8, np.uint8)

    def _most_entries(self, n_steps: int, first: int) -> int:
        """Most entries of a block: those of the steps in which neurons may fire."""
        node = self.node
        start = getattr(node, "start_step", 0)
        n_open = getattr(node, "n_levels", getattr(node, "n_bits", _ENDLESS))
        opened = min(start + n_open, first + n_steps) - max(start, first)
        return max(0, min(opened, n_steps)) * self.layout.size

    def _send(self, currents: Floats, cells: Population, first: int, into: Frames, trace: Floats) -> int:
        node, n, busy = self.node, 0, np.ones(len(currents), np.uint8)
        start = getattr(node, "start_step", 0)
        if isinstance(node, TwoPhaseIF):
            n = coding.send_two_phase(currents, busy, cells, first, start, start + node.n_levels, into, trace)
        elif isinstance(node, SignedIF):
            limits = (node.drive_steps, node.holds_input, node.min_count, node.max_count)
            n = coding.send_signed(currents, busy, cells, first, *limits, into, trace)
        elif isinstance(node, RadixIF):
            n = coding.send_radix(currents, busy, cells, first, start, node.n_bits, into, trace)
        elif isinstance(node, FirstSpikeIF):
            n = coding.send_first_spike(currents, busy, cells, first, start, node.n_levels, into, trace)
        else:
            n = coding.send_changes(currents, busy, cells, node.min_count, node.max_count, into, trace)
        return int(n)

    def rest_state(self) -> Membranes:
        n = self.layout.size
        slope = np.zeros(n if isinstance(self.node, FirstSpikeIF) else 0, np.float32)
        if isinstance(self.node, SignedIF):
            slope = self.added.copy()
        return Membranes(self.rest.copy(), slope, np.zeros(n + 1, np.int32))


@dataclass(frozen=True, eq=False)
class CountPool(Remembering):
    """The changes of the maxima of counts."""

    node: CountMaxPool2d | RadixMaxPool2d
    window: Synapses

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Pool the counts of a block."""
        state, first = self._begin(run)
        steps, base = (0, run.n_steps), 1
        if isinstance(self.node, RadixMaxPool2d):
            start = self.node.start_step - first
            steps, base = (start, start + self.node.n_bits), 2
        frames = as_frames(inputs[0], run.kept, self.layouts[0])
        capacity = run.n_steps * self.layout.size
        into = new_frames(run.n_steps * self.layout.n_pixels, capacity, True)
        largest = np.empty(self.layout.n_channels, np.float32)
        state_arrays = (state.voltage, state.current, largest)
        coding.pool_counts(frames, self.window, np.float32(base), steps, *state_arrays, into)
        return Frames(into.start, into.index, _NOTHING) if base == 2 else into

    def rest_state(self) -> Membranes:
        counts, maxima = np.zeros(self.layouts[0].size, np.float32), np.zeros(self.layout.size, np.float32)
        return Membranes(counts, maxima, np.zeros(1, np.int32))


@dataclass(frozen=True, eq=False)
class Change(Remembering):
    """The change of each entry from step to step."""

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Return the changes of a block."""
        state, _ = self._begin(run)
        dense = as_dense(inputs[0], self.layout, run.n_steps)
        if run.n_steps == 0:
            return dense
        before = np.concatenate([state.voltage[np.newaxis], dense[:-1]])
        state.voltage[:] = dense[-1]
        return as_frames(dense - before, run.kept, self.layout)

    def rest_state(self) -> Membranes:
        return Membranes(np.zeros(self.layout.size, np.float32), _NOTHING, np.zeros(1, np.int32))


@dataclass(frozen=True, eq=False)
class Decode(Remembering):
    """A readout: what each step adds to the result.

    ``drive``: the constant input of each output, channel-last.
    """

    node: Readout
    drive: Floats

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Return the parts of the result that a block of steps adds."""
        state, first = self._begin(run)
        currents = as_dense(inputs[0], self.layout, run.n_steps)
        left = self.node.start_step - np.arange(first, first + run.n_steps)
        out = currents.copy()
        if self.node.code == "radix":
            weight = np.where(left >= 0, np.exp2(np.maximum(left, 0)), 0).astype(np.float32)
            out *= weight[:, np.newaxis]
        elif self.node.code == "first_spike":
            for step in range(run.n_steps):
                state.voltage[:] = state.voltage + currents[step]
                out[step] = state.voltage
            out[left < 0] = 0
        is_driven = (left >= 0) & (left < self.node.drive_steps)
        out[is_driven] += self.drive
        return out

    def rest_state(self) -> Membranes:
        return Membranes(np.zeros(self.layout.size, np.float32), _NOTHING, np.zeros(1, np.int32))


def coded_operation(graph: Graph, name: str, layouts: dict[str, Layout]) -> Operation:
    """Return the operation of a node of section 16."""
    node, layout, sources = graph.nodes[name], layouts[name], graph.predecessors(name)
    ins = tuple(layouts[source] for source in sources)
    if isinstance(node, (CountMaxPool2d, RadixMaxPool2d)):
        return CountPool(name, sources, ins, layout, node, window_tables(node, ins[0], layout))
    if isinstance(node, Difference):
        return Change(name, sources, ins, layout)
    if isinstance(node, Readout):
        return Decode(name, sources, ins, layout, node, each_entry(node.drive, layout))
    assert isinstance(node, CODED)
    rest = each_entry(getattr(node, "v_start", 0.0), layout)
    return Coded(
        name,
        sources,
        ins,
        layout,
        node,
        each_entry(node.threshold, layout),
        each_entry(_added(node), layout),
        rest,
    )


def _added(node: Node) -> Any:
    return getattr(node, "drive", getattr(node, "offset", 0.0))


def each_entry(value: Any, layout: Layout) -> Floats:
    """One value per neuron, channel-last; no zero is negative, so that adding nothing changes no bit."""
    whole = np.broadcast_to(np.asarray(value, np.float32) + np.float32(0), layout.shape)
    return layout.inside(whole[np.newaxis]).reshape(-1)
