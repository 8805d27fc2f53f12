"""Running networks of populations: inputs, length, recordings and counters of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError, InputError
from neuro.graph import Clocked, Graph
from neuro.lowering.network_run import Block, NetworkRun
from neuro.lowering.networks import Precision, lower_network
from neuro.monitors import Monitor, Record, Wanted, checked_record
from neuro.results import Counters, NetworkState, Result, State
from neuro.spikes import Spikes

__all__ = ["NetworkSettings", "check_plain", "checked_length", "checked_precision", "simulate_network"]

_LENGTH_IS_GIVEN = "simulate: the Input's frames give the length of the run; leave n_steps and duration_s out"
_MOST_STEPS = 2**31  # steps are int32 in Spikes


@dataclass(frozen=True)
class NetworkSettings:
    """How a network of populations is run: the arguments of `neuro.simulate`, unchecked."""

    n_steps: Any = None
    duration_s: Any = None
    record: Record | None = None
    state: State | None = None
    precision: Any = "float32"
    n_threads: int = 1
    dynamics: object = None


def simulate_network(
    graph: Graph, inputs: Any, settings: NetworkSettings, as_frames: Callable[[Any], Spikes]
) -> Result | list[Result]:
    """Run a network of populations on one recording, on each of a list, or without an Input for a time."""
    if settings.dynamics is not None:
        raise InputError(
            "simulate: dynamics leave out frames, which a network of populations has not; leave it out"
        )
    if not graph.input_name:
        return _run(graph, None, _length_without_input(graph, inputs, settings), settings)
    if settings.n_steps is not None or settings.duration_s is not None:
        raise InputError(_LENGTH_IS_GIVEN)
    if isinstance(inputs, list):
        if settings.state is not None:
            raise InputError(
                "simulate: state continues one recording, but inputs is a list; pass the recordings one by one"
            )
        recordings = [as_frames(one) for one in inputs]
        return [_run(graph, frames, frames.n_steps, settings) for frames in recordings]
    frames = as_frames(inputs)
    return _run(graph, frames, frames.n_steps, settings)


def checked_length(
    graph: Graph, inputs: Any, settings: NetworkSettings, as_frames: Callable[[Any], Spikes]
) -> int:
    """Return the number of steps of a run on one recording, or without an Input."""
    if not graph.input_name:
        return _length_without_input(graph, inputs, settings)
    if settings.n_steps is not None or settings.duration_s is not None:
        raise InputError(_LENGTH_IS_GIVEN)
    return as_frames(inputs).n_steps


def _length_without_input(graph: Graph, inputs: object, settings: NetworkSettings) -> int:
    if inputs is not None:
        raise InputError(
            "simulate: the network has no Input, inputs must be None; give n_steps or duration_s"
        )
    return _checked_steps(graph, settings)


def check_plain(n_steps: object, duration_s: object, precision: object) -> None:
    """Refuse what only networks of populations take."""
    if n_steps is not None or duration_s is not None:
        raise InputError(_LENGTH_IS_GIVEN)
    if precision != "float32":
        raise InputError(
            f"simulate: only networks of populations run in another precision, got {precision!r}"
        )


def _run(graph: Graph, frames: Spikes | None, n_steps: int, settings: NetworkSettings) -> Result:
    plan = lower_network(graph, checked_precision(settings.precision), settings.n_threads)
    wanted = checked_record(graph, settings.record, frozenset(plan.nodes), n_steps)
    state = settings.state
    if state is not None and not isinstance(state, NetworkState):
        raise InputError("simulate: state must be that of a run of a network of populations")
    run = NetworkRun(plan, state, tuple(wanted.membrane), frozenset(wanted.spikes) | frozenset(wanted.rate))
    outputs = (
        tuple(n for n in graph.output_names if n in plan.parts.populations) if frames is not None else ()
    )
    kept = _Kept(graph, run, wanted, n_steps, outputs=outputs)
    while run.n_done < n_steps:
        first = run.n_done
        kept.add(run.run(frames, n_steps - first), first)
    return Result(
        outputs={name: kept.dense(name) for name in outputs},
        spikes={name: kept.spikes(name) for name in wanted.spikes},
        membranes=kept.membranes,
        counters=_counters(run, kept, frames, n_steps),
        attention=None,
        state=run.end(graph.digest),
        spike_counts={name: kept.counts[name] for name in wanted.rate},
        left_out=kept.left_out(),
        weights=run.weights(),
        n_threads=plan.n_threads,
    )


def _checked_steps(graph: Graph, settings: NetworkSettings) -> int:
    """Return the length of a run without an Input, from a number of steps or a duration."""
    n_steps, duration_s = settings.n_steps, settings.duration_s
    if (n_steps is None) == (duration_s is None):
        raise InputError(
            "simulate: a network without an Input needs n_steps or duration_s (one of them), for example duration_s=1.0"
        )
    if n_steps is None:
        n_steps = _as_steps(graph, duration_s)
    if isinstance(n_steps, bool) or not isinstance(n_steps, (int, np.integer)) or n_steps < 0:
        raise InputError(f"simulate: n_steps must be a whole number >= 0, got {n_steps!r}")
    if n_steps >= _MOST_STEPS:
        raise InputError(
            f"simulate: a run has fewer than 2**31 steps, got {n_steps}; run it in parts, each with the state of the "
            "one before"
        )
    return int(n_steps)


def _as_steps(graph: Graph, duration_s: object) -> int:
    """Return the number of steps of a duration."""
    if isinstance(duration_s, bool) or not isinstance(duration_s, (int, float, np.number)):
        raise InputError(f"simulate: duration_s must be a number, got {duration_s!r}")
    if not 0 <= duration_s < np.inf:
        raise InputError(f"simulate: duration_s must be >= 0 s and finite, got {duration_s}")
    try:
        return Clocked(graph.dt_s).steps(float(duration_s))
    except GraphError as err:
        raise InputError(f"simulate: duration_s {err}") from err


def checked_precision(precision: object) -> Precision:
    """Return a word for the arithmetic."""
    if precision == "float32":
        return "float32"
    if precision == "float64":
        return "float64"
    raise InputError(f"simulate: precision must be 'float32' or 'float64', got {precision!r}")


class _Kept:
    """What is kept of each block."""

    def __init__(
        self, graph: Graph, run: NetworkRun, wanted: Wanted, n_steps: int, *, outputs: tuple[str, ...]
    ) -> None:
        plan = run.plan
        self._graph, self._plan, self._run, self._wanted, self._n_steps = graph, plan, run, wanted, n_steps
        self._lists: dict[str, list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]] = {
            name: [] for name in (*wanted.spikes, *outputs)
        }
        self.counts = {name: np.zeros(size, np.int64) for name, size in plan.sizes.items()}
        self.n_entries = dict.fromkeys(plan.sizes, 0)
        self.membranes = {
            name: np.empty((min(n_steps, monitor.limit or n_steps), plan.sizes[name]), plan.real)
            for name, monitor in wanted.membrane.items()
        }
        self._outputs = outputs

    def add(self, block: Block, first: int) -> None:
        """Keep what is wanted of a block that begins at step `first`."""
        stop = first + block.n_steps
        for name, membranes in self.membranes.items():
            at = self._run.trace_at[name]
            room = membranes[first:stop]  # shorter, or empty, behind the limit of a monitor
            room[:] = block.trace[: len(room), at : at + self._plan.sizes[name]]
        for node, name in enumerate(self._plan.nodes):
            begin, size = self._plan.first[name], self._plan.sizes[name]
            is_own = (block.number >= begin) & (block.number < begin + size)
            index = block.number[is_own] - np.int32(begin)
            self.counts[name] += np.bincount(index, minlength=size)
            self.n_entries[name] += index.size
            if name in self._lists:
                lengths = block.start[:, node + 1] - block.start[:, node]
                step = np.repeat(np.arange(first, stop, dtype=np.int32), lengths)
                value = block.value[is_own] if block.value.size else np.ones(index.size, np.float32)
                self._lists[name].append((step, index, value.astype(np.float32)))
                self._bound(name, stop)

    def _bound(self, name: str, stop: int) -> None:
        """Leave out what a monitor has no room for, or say so."""
        monitor = self._wanted.spikes.get(name)
        if monitor is None or monitor.limit is None or self.n_entries[name] <= monitor.limit:
            return
        if monitor.overflow == "error":
            raise InputError(self._too_many(name, monitor, stop))
        if name not in self._outputs:
            n_kept = sum(step.size for step, _, _ in self._lists[name][:-1])
            last = self._lists[name].pop()
            room = slice(max(0, monitor.limit - n_kept))
            self._lists[name].append((last[0][room], last[1][room], last[2][room]))

    def _too_many(self, name: str, monitor: Monitor, stop: int) -> str:
        owner = f"{type(self._graph.nodes[name]).__name__} {name!r}"
        return (
            f"record: {owner} handed on {self.n_entries[name]} spikes in the first {stop} of {self._n_steps} steps, "
            f"its monitor keeps {monitor.limit}; raise its limit, choose overflow='count', or record 'rate'"
        )

    def _parts(self, name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        nothing = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
        step, index, value = map(np.concatenate, zip(nothing, *self._lists[name], strict=True))
        return step, index, value

    def spikes(self, name: str) -> Spikes:
        """Return the recorded spikes of a node."""
        step, index, value = self._parts(name)
        monitor = self._wanted.spikes[name]
        part = slice(monitor.limit)
        return Spikes(step[part], index[part], value[part], self._n_steps, (self._plan.sizes[name],))

    def dense(self, name: str) -> NDArray[np.float32]:
        """Return the spikes of a sink as zeros and ones."""
        step, index, _ = self._parts(name)
        dense = np.zeros((self._n_steps, self._plan.sizes[name]), np.float32)
        dense[step, index] = 1
        return dense

    def left_out(self) -> dict[str, dict[str, int]]:
        """Return what the monitors that count had no room for."""
        found: dict[str, dict[str, int]] = {}
        for name, monitor in self._wanted.spikes.items():
            if monitor.limit is not None and monitor.overflow == "count":
                found.setdefault(name, {})["spikes"] = max(0, self.n_entries[name] - monitor.limit)
        for name, monitor in self._wanted.membrane.items():
            if monitor.limit is not None and monitor.overflow == "count":
                found.setdefault(name, {})["membrane"] = self._n_steps - len(self.membranes[name])
        return found


def _counters(run: NetworkRun, kept: _Kept, frames: Spikes | None, n_steps: int) -> Counters:
    plan = run.plan
    operations = run.operations(kept.counts)
    assert sum(operations.values()) == run.n_operations, "the kernels' own count differs"
    return Counters(
        n_steps=n_steps,
        frames_skipped=0,
        events_in=0 if frames is None else len(frames),
        counts_in=0.0 if frames is None else float(frames.value.sum(dtype=np.float64)),
        spikes={name: kept.n_entries[name] for name in plan.parts.populations},
        synaptic_operations=operations,
        neuron_updates={name: n_steps * plan.sizes[name] for name in plan.parts.populations},
        active_output_fraction={},
        path_steps={},
        delayed_entries_lost={},
        input_entries={},
        products={},
        weight_bytes={},
        state_bytes={},
        pixels_skipped={},
        weight_clips=run.clips,
    )
