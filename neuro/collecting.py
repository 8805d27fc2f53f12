"""What is kept of a clocked run: outputs, recordings as far as monitors have room, counts."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.graph import Graph
from neuro.kernels.arrays import Frames
from neuro.lowering.plan import Plan
from neuro.lowering.run import Run
from neuro.lowering.signals import Signal, as_dense, as_frames, by_channel, n_entries
from neuro.monitors import Monitor, Wanted
from neuro.spikes import Spikes

__all__ = ["Collected"]


class Collected:
    """What is kept of each block."""

    def __init__(self, graph: Graph, plan: Plan, wanted: Wanted, spikes: Spikes) -> None:
        self._graph, self._plan, self._wanted = graph, plan, wanted
        self._n_steps = n_steps = spikes.n_steps
        shapes = graph.shapes
        self.outputs = {name: np.empty((n_steps, *shapes[name]), np.float32) for name in graph.output_names}
        self.membranes = {
            name: np.empty((min(n_steps, monitor.limit or n_steps), *shapes[name]), np.float32)
            for name, monitor in wanted.membrane.items()
        }
        self.spike_counts = {name: np.zeros(shapes[name], np.int64) for name in wanted.rate}
        self._lists: dict[str, list[Spikes]] = {name: [] for name in wanted.spikes}
        self._n_spikes = dict.fromkeys(wanted.spikes, 0)

    def add(
        self, run: Run, signals: Mapping[str, Signal], start: int, nodes: Container[str] | None = None
    ) -> None:
        """Copy what is wanted of a block: of all nodes, or of some."""
        stop = start + run.n_steps
        if nodes is not None:
            signals = {name: signal for name, signal in signals.items() if name in nodes}
        for name, output in self.outputs.items():
            layout = self._plan.layouts[name]
            if name in signals:
                output[start:stop] = layout.outside(as_dense(signals[name], layout, run.n_steps))
        for name, membranes in self.membranes.items():
            if nodes is not None and name not in nodes:
                continue
            room = membranes[start:stop]  # shorter, or empty, behind the limit of a monitor
            room[:] = self._plan.layouts[name].outside(run.traces[name][: len(room)])
        for name in self.spike_counts:
            if name not in signals:
                continue
            frames = self._by_channel(name, signals[name], run)
            index, shape = frames.index[: n_entries(frames)], self._plan.layouts[name].shape
            self.spike_counts[name] += np.bincount(index, minlength=math.prod(shape)).reshape(shape)
        for name in self._lists:
            if name in signals:
                self.keep(name, self._listed(name, signals[name], run, start), stop)

    def readout(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the output of the only sink in a block, (stop - start, n_outputs)."""
        (output,) = self.outputs.values()
        return output[start:stop].reshape(stop - start, -1)

    def leave_out(self, nodes: Container[str]) -> None:
        """Forget the outputs and membranes of nodes that were never computed; their spikes are none."""
        self.outputs = {name: output for name, output in self.outputs.items() if name not in nodes}
        self.membranes = {name: v[:0] if name in nodes else v for name, v in self.membranes.items()}

    def end(self, n_steps: int) -> None:
        """Leave it at the first steps."""
        self._n_steps = n_steps
        self.outputs = {name: output[:n_steps].copy() for name, output in self.outputs.items()}
        self.membranes = {name: membranes[:n_steps].copy() for name, membranes in self.membranes.items()}
        self._lists = {
            name: [Spikes(one.step, one.index, one.value, n_steps, one.shape) for one in lists]
            for name, lists in self._lists.items()
        }

    def keep(self, name: str, spikes: Spikes, stop: int) -> None:
        """Keep spikes of a node up to step `stop`, as far as its monitor has room."""
        monitor = self._wanted.spikes.get(name)
        if monitor is None:
            return
        if stop < spikes.n_steps and spikes.n_steps != self._n_steps:  # a run that ended early
            n = int(np.searchsorted(spikes.step, stop))
            spikes = Spikes(spikes.step[:n], spikes.index[:n], spikes.value[:n], stop, spikes.shape)
        n_before = self._n_spikes[name]
        self._n_spikes[name] = n = n_before + len(spikes)
        if monitor.limit is not None and n > monitor.limit:
            if monitor.overflow == "error":
                raise InputError(self._too_many(name, monitor, n, stop))
            part = slice(max(0, monitor.limit - n_before))
            spikes = Spikes(
                spikes.step[part], spikes.index[part], spikes.value[part], spikes.n_steps, spikes.shape
            )
        self._lists[name].append(spikes)

    def _too_many(self, name: str, monitor: Monitor, n: int, stop: int) -> str:
        owner = f"{type(self._graph.nodes[name]).__name__} {name!r}"
        return (
            f"record: {owner} handed on {n} spikes in the first {stop} of {self._n_steps} steps, its monitor "
            f"keeps {monitor.limit}; raise its limit, choose overflow='count', or record 'rate'"
        )

    def _by_channel(self, name: str, signal: Signal, run: Run) -> Frames:
        layout = self._plan.layouts[name]
        return by_channel(as_frames(signal, run.kept, layout), layout, run.n_steps)

    def _listed(self, name: str, signal: Signal, run: Run, start: int) -> Spikes:
        frames = self._by_channel(name, signal, run)
        n = n_entries(frames)
        step = np.repeat(np.arange(start, start + run.n_steps), np.diff(frames.start))
        value = frames.value[:n] if frames.value.size else np.ones(n, np.float32)
        index = frames.index[:n].copy()  # the next block is written over it
        return Spikes(step, index, value, self._n_steps, self._plan.layouts[name].shape)

    def spikes(self, name: str) -> Spikes:
        """Return the recorded spikes of a node."""
        lists, shape = self._lists[name], self._plan.layouts[name].shape
        if len(lists) == 1:
            return lists[0]
        parts = [[getattr(one, field) for one in lists] for field in ("step", "index", "value")]
        step, index, value = (np.concatenate(part) if part else np.zeros(0, np.int32) for part in parts)
        return Spikes(step, index, value, self._n_steps, shape)

    def all_spikes(self) -> dict[str, Spikes]:
        """Return the recorded spikes of all nodes."""
        return {name: self.spikes(name) for name in self._lists}

    def left_out(self) -> dict[str, dict[str, int]]:
        """Return what the monitors that count had no room for."""
        found: dict[str, dict[str, int]] = {}
        for name, monitor in self._wanted.spikes.items():
            if monitor.limit is not None and monitor.overflow == "count":
                found.setdefault(name, {})["spikes"] = max(0, self._n_spikes[name] - monitor.limit)
        for name, monitor in self._wanted.membrane.items():
            if monitor.limit is not None and monitor.overflow == "count":
                found.setdefault(name, {})["membrane"] = self._n_steps - len(self.membranes[name])
        return found
