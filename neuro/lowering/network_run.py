"""Running a network of populations block by block: the log of what was handed on, and the state left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Thread
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.kernels import networks as nw
from neuro.kernels.networks import ALONE, GROUP, LINE, LONELY, TILE, Frames, Live, Network, shared_size
from neuro.lowering.entries import Entry
from neuro.lowering.network_operations import count_under_way
from neuro.lowering.network_ring import empty_ring, wider_ring
from neuro.lowering.networks import NetworkPlan, n_tiles
from neuro.results import NetworkState, Recent
from neuro.spikes import Spikes

__all__ = ["Block", "NetworkRun"]

_BLOCK_STEPS = 4096
_TRACE_VALUES = 2**22
_LINE_BYTES = 64

run_alone = Entry("network_run", "run_alone")
run_shared = Entry("network_shared", "run_shared")
refill = Entry("ring", "refill")


@dataclass(frozen=True, eq=False)
class Block:
    """What a block of steps left: who handed on what, and the membranes asked for.

    Attributes
    ----------
    start : int64, shape (n_steps + 1, n_nodes + 1)
        Where the entries of each node begin in `number`.
    number : int32 array
        Numbers of the entries.
    value : real array
        Their values; empty where all are 1.
    trace : real array, shape (n_steps, n)
        Membranes side by side.
    """

    start: NDArray[np.int64]
    number: NDArray[np.int32]
    value: NDArray[Any]
    trace: NDArray[Any]

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.start)


def _aligned(values: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that begins with a cache line: vectors that cross lines take a fifth longer."""
    room = np.empty(values.size + _LINE_BYTES // values.itemsize, values.dtype)
    first = -room.ctypes.data % _LINE_BYTES // values.itemsize
    room[first : first + values.size] = values
    return room[first : first + values.size]


class NetworkRun:
    """One run of a plan: owned by one call."""

    def __init__(
        self, plan: NetworkPlan, state: NetworkState | None, traced: tuple[str, ...], listed: frozenset[str]
    ) -> None:
        self.plan = plan
        self.n_before = 0 if state is None else state.n_steps
        self.n_done = 0
        self._network, self.trace_at, self._trace_width = self._traced(traced)
        sources = plan.parts.sources
        leading = {c.source for c in plan.parts.connections}
        self._is_listed = np.array([name in listed | leading for name in sources], np.uint8)
        self._block_steps = max(1, min(_BLOCK_STEPS, _TRACE_VALUES // max(1, self._trace_width)))
        self._live = self._start()
        self._n_log = 0
        self._alone = ALONE
        if state is not None:
            self._continue(state)
        self._begun = self._under_way()

    def _traced(self, traced: tuple[str, ...]) -> tuple[Network, dict[str, int], int]:
        populations = self.plan.network.populations.copy()
        places: dict[str, int] = {}
        width = 0
        for name in traced:
            places[name] = width
            populations[self.plan.parts.populations.index(name), nw.TRACE] = width
            width += self.plan.sizes[name]
        return self.plan.network._replace(populations=populations), places, width

    def _start(self) -> Live:
        plan, net = self.plan, self.plan.network
        n_threads, n_numbers, n_slots = (
            net.bounds.size - 1,
            plan.n_numbers,
            plan.n_history + self._block_steps,
        )
        capacity = n_numbers * (plan.n_history + 2) + 2**16
        random = np.zeros((n_threads, TILE // 2), np.uint64)
        counts = np.zeros((n_threads, TILE), np.uint32)
        return Live(
            state=_aligned(plan.start),
            weight=plan.weight.copy() if net.plastic.size else plan.weight,
            held=np.zeros(n_numbers, plan.real),
            last=np.full(n_numbers, -(2**60), np.int64),
            rest=np.zeros(int(net.bounds[-1]) * TILE, np.uint8),
            log_start=np.zeros((n_slots + 1, len(plan.nodes) + 1), np.int64),
            log_index=np.empty(capacity, np.int32),
            log_value=np.empty(capacity if self._is_listed.any() else 0, plan.real),
            found=np.empty((n_threads, n_numbers), np.int32),
            n_found=np.zeros((n_threads, -(-len(plan.parts.populations) // LINE) * LINE + LINE), np.int64),
            fired=np.zeros((n_threads, TILE), np.uint8),
            over=np.zeros((n_threads, GROUP * TILE // 64), np.uint64),
            counts=counts,
            words=random,
            random=random.view(np.uint32),
            x=np.zeros(int(net.plastic[:, nw.N_PRE].sum()), plan.real),
            y=np.zeros(int(net.plastic[:, nw.N_POST].sum()), plan.real),
            clips=np.zeros((n_threads, len(net.plastic)), np.int64),
            operations=np.zeros((n_threads, LINE), np.int64),
            runs=np.zeros((n_threads, nw.RUNS * nw.RUN), np.uint64),
            ring=empty_ring(n_threads, plan.n_history if net.delay.size else 0, plan.real),
        )

    def run(self, frames: Spikes | None, n_steps: int) -> Block:
        """Run at most `n_steps` steps, those of `frames` from the present one on; fewer where the log is full."""
        plan, live = self.plan, self._live
        n_steps = min(n_steps, self._block_steps)
        start, index, value = self._frames(frames, n_steps)
        trace = np.empty((n_steps, self._trace_width), plan.real)
        block = Frames(self.n_done, self.n_before + self.n_done, start, index, value, trace, self._is_listed)
        n_before, history = self._n_log, plan.n_history
        n_run = self._run_block(block, n_before)
        if n_run == 0:  # the ring has too few pages for the first step
            self._widen()
            n_run = self._run_block(block, n_before)
        live = self._live
        assert n_run > 0
        rows = live.log_start[history : history + n_run].copy()
        end = int(rows[-1, -1])
        result = Block(
            rows - n_before,
            live.log_index[n_before:end].copy(),
            live.log_value[n_before:end].copy(),
            trace[:n_run],
        )
        self._shift(n_run)
        self.n_done += n_run
        return result

    def _run_block(self, block: Frames, n_before: int) -> int:
        if len(self._network.bounds) > 2:
            return self._run_threads(block, n_before)
        return int(
            run_alone(self._network, self._live, block, self.plan.n_stages, self.plan.n_history, n_before)
        )

    def _widen(self) -> None:
        """Give the ring the pages that it asked for."""
        self._live = self._live._replace(ring=wider_ring(self._live.ring))

    def _run_threads(self, block: Frames, n_before: int) -> int:
        """Run a block with helpers, one for each part but the first; none of them is needed."""
        plan, n_parts = self.plan, len(self._network.bounds) - 1
        shared = self._shared()
        common, rest = (self._network, self._live, block, shared), (plan.n_stages, plan.n_history, n_before)
        helpers = [Thread(target=run_shared, args=(*common, me, *rest)) for me in range(1, n_parts)]
        for helper in helpers:
            helper.start()
        try:
            return int(run_shared(*common, 0, *rest))
        finally:
            for helper in helpers:
                helper.join()
            self._alone = int(shared[LONELY])

    def _shared(self) -> NDArray[np.int64]:
        shared = np.zeros(shared_size(len(self._network.bounds) - 1), np.int64)
        shared[LONELY] = self._alone
        return shared

    def _frames(
        self, frames: Spikes | None, n_steps: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
        if frames is None:
            return np.zeros(n_steps + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, self.plan.real)
        steps = np.arange(self.n_done, self.n_done + n_steps + 1)
        start = np.searchsorted(frames.step, steps).astype(np.int64)
        part = slice(start[0], start[-1])
        return start - start[0], frames.index[part].copy(), frames.value[part].astype(self.plan.real)

    def _shift(self, n_run: int) -> None:
        """Move the last steps of the log to its front."""
        live, history = self._live, self.plan.n_history
        kept = live.log_start[n_run : n_run + history + 1].copy()
        first, last = (int(kept[0, 0]), int(kept[-1, 0])) if history else (0, 0)
        live.log_index[: last - first] = live.log_index[first:last].copy()
        if live.log_value.size:
            live.log_value[: last - first] = live.log_value[first:last].copy()
        live.log_start[: history + 1] = kept - first
        self._n_log = last - first

    def variables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the variables of every population."""
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for row, name in enumerate(self.plan.parts.populations):
            fields = self._fields(row)
            size = self.plan.sizes[name]
            names = self.plan.models[name].start
            found[name] = {
                field: fields[:, place].reshape(-1)[:size].copy() for place, field in enumerate(names)
            }
        return found

    def _fields(self, row: int) -> NDArray[Any]:
        """A population's state as (tile, field, lane), a view."""
        population = self._network.populations[row]
        shape = (n_tiles(int(population[nw.SIZE])), int(population[nw.N_FIELDS]), TILE)
        start = int(population[nw.STATE])
        return self._live.state[start : start + shape[0] * shape[1] * TILE].reshape(shape)

    def _recent(self) -> dict[str, Recent]:
        """Return step, index and value of what every node handed on in the last steps, those of the log's history."""
        live, plan, history = self._live, self.plan, self.plan.n_history
        found: dict[str, Recent] = {}
        for node, name in enumerate(plan.nodes):
            starts, stops = live.log_start[:history, node], live.log_start[:history, node + 1]
            step = np.repeat(np.arange(history), stops - starts)
            places = np.concatenate(
                [np.zeros(0, np.int64), *map(np.arange, starts.tolist(), stops.tolist())]
            ).astype(np.int64)
            index = live.log_index[places] - plan.first[name]
            value = live.log_value[places] if live.log_value.size else np.ones(places.size, plan.real)
            found[name] = step, index, value
            for array in found[name]:
                array.setflags(write=False)
        return found

    def end(self, graph_digest: str) -> NetworkState:
        """Return the state after the run."""
        plan = self.plan
        variables = self.variables()
        for arrays in variables.values():
            for array in arrays.values():
                array.setflags(write=False)
        traces = {}
        for name, rows in plan.plastic_rows.items():
            found = [self._traces(row) for row in rows]
            x = np.array([x for x, _ in found])
            traces[name] = (x if len(rows) > 1 else x[0], found[0][1].copy())
        return NetworkState(
            graph_digest=graph_digest,
            n_steps=self.n_before + self.n_done,
            membranes=MappingProxyType({}),
            lines=MappingProxyType({}),
            variables=MappingProxyType({name: MappingProxyType(part) for name, part in variables.items()}),
            recent=MappingProxyType(self._recent()),
            weights=MappingProxyType(self.weights()),
            traces=MappingProxyType(traces),
            precision="float32" if plan.real is np.float32 else "float64",
        )

    def _traces(self, row: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The traces of a row of plastic synapses, views: of the inputs, and of the neurons."""
        at_x, at_y, n_x, n_y = self.plan.network.plastic[row, [nw.TRACE_X, nw.TRACE_Y, nw.N_PRE, nw.N_POST]]
        return self._live.x[at_x : at_x + n_x], self._live.y[at_y : at_y + n_y]

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the present weights of the synapses with stdp, in the order of their node."""
        found = {}
        for connection, places in zip(self.plan.plastic, self.plan.places, strict=True):
            found[connection.name] = self._live.weight[places]
            found[connection.name].setflags(write=False)
        return found

    def _continue(self, state: NetworkState) -> None:
        plan, live, history = self.plan, self._live, self.plan.n_history
        precision = "float32" if plan.real is np.float32 else "float64"
        if state.precision != precision:
            raise InputError(
                f"simulate: state is of a run in {state.precision}, this one is in {precision}; use one precision"
            )
        for row, name in enumerate(plan.parts.populations):
            fields = self._fields(row)
            for place, values in enumerate(state.variables[name].values()):
                flat = fields[:, place].reshape(-1)
                flat[: values.size] = values
                fields[:, place] = flat.reshape(-1, TILE)
            self._hold(row, name, state)
        for row, connection in enumerate(plan.plastic):
            live.weight[plan.places[row]] = state.weights[connection.name]
            traces = state.traces[connection.name]
            for rank, place in enumerate(plan.plastic_rows[connection.name]):
                x, y = self._traces(place)
                x[:], y[:] = np.atleast_2d(traces[0])[rank], traces[1]
        n = 0
        for step in range(history):
            for node, name in enumerate(plan.nodes):
                live.log_start[step, node] = n
                steps, entries, values = state.recent[name]
                part = slice(*np.searchsorted(steps, (step, step + 1)))
                index = entries[part]
                live.log_index[n : n + index.size] = index + plan.first[name]
                if live.log_value.size:
                    live.log_value[n : n + index.size] = values[part]
                n += index.size
            live.log_start[step, -1] = n
            live.log_start[step + 1, 0] = n
        self._n_log = n
        if self._network.delay.size:
            slot = 1
            while (slot := int(refill(self._network, self._live, slot, history))) < history:
                self._widen()

    def _hold(self, row: int, name: str, state: NetworkState) -> None:
        """Neurons that fired in the last steps are still held, at their present membranes."""
        live, first, population = self._live, self.plan.first[name], self._network.populations[row]
        step, index, _ = state.recent[name]
        last = step - self.plan.n_history
        rest = (last + population[nw.N_HOLD] + 1).clip(0, nw.MOST_REST)
        live.rest[population[nw.TILE_LO] * TILE + index] = rest
        live.last[first + index] = last
        live.held[first : first + self.plan.sizes[name]] = state.variables[name]["v"]

    def operations(self, spike_counts: Mapping[str, NDArray[np.int64]]) -> dict[str, int]:
        """Return the synaptic operations of each synapse node; ``spike_counts``: entries handed on, by node."""
        found: dict[str, int] = {}
        ended = self._under_way()
        rows = zip(self.plan.parts.connections, self.plan.fan_out, self._begun, ended, strict=True)
        for c, fan_out, n_before, n_after in rows:
            n = int(fan_out @ spike_counts[c.source]) + n_before - n_after
            found[c.name] = found.get(c.name, 0) + n
        return found

    def _under_way(self) -> list[int]:
        live = self._live
        return count_under_way(self.plan, live.log_start, live.log_index[: self._n_log])

    @property
    def clips(self) -> dict[str, int]:
        """How often a weight of each synapse node with stdp was clipped."""
        totals = self._live.clips.sum(axis=0)
        return {name: int(totals[rows].sum()) for name, rows in self.plan.plastic_rows.items()}

    @property
    def n_operations(self) -> int:
        """Synaptic operations executed, counted by the kernels."""
        return int(self._live.operations.sum())
