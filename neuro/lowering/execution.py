"""Running a plan over blocks of steps, and what is left behind: state and counts."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from neuro.kernels import arrays
from neuro.kernels.arrays import Bytes, Membranes
from neuro.kernels.windows import sum_steps
from neuro.lowering.branches import open_part
from neuro.lowering.deciding import computed_steps
from neuro.lowering.layer import Layer
from neuro.lowering.operations import Operation
from neuro.lowering.plan import Plan
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import Signal, frames_of_entries, silenced
from neuro.lowering.sparse import SparseSum
from neuro.lowering.wiring import aligned
from neuro.results import Counters, State
from neuro.spikes import Spikes

__all__ = ["Counted", "count", "counted_of", "end_run", "frame_sums", "run_block", "start_run"]


def start_run(state: State | None, traced: Collection[str], path: Path | None) -> Run:
    """Return a run at rest, or where a state left off (copied: a state is never written to)."""
    run = Run(np.ones(0, np.uint8), frozenset(traced), path)
    if state is not None:
        for name, (before, current, held) in state.membranes.items():
            voltage = aligned(before.size, np.float32)
            voltage[:] = before
            run.membranes[name] = Membranes(voltage, current.copy(), held.copy())
        run.lines.update(state.lines)
        run.decisions.histories.update(state.histories)
    return run


def run_block(
    plan: Plan,
    run: Run,
    spikes: Spikes,
    start: int,
    kept: Bytes,
    *,
    nodes: Container[str] | None = None,
    known: Mapping[str, Signal] | None = None,
) -> dict[str, Signal]:
    """Run the steps start .. start + kept.size and return the output of every operation.

    With `nodes` only the operations of these nodes run; `known` are the outputs of those before them.
    """
    run.kept = kept
    signals: dict[str, Signal] = {} if known is None else dict(known)
    if known is None:
        lo, hi = np.searchsorted(spikes.step, (start, start + kept.size))
        step = spikes.step[lo:hi] - np.int32(start)
        index, value = spikes.index[lo:hi].copy(), spikes.value[lo:hi].copy()
        signals[plan.source] = frames_of_entries(step, index, value, kept, plan.layouts[plan.source])
    run.decisions.kept[plan.source] = kept
    for operation in plan.operations:
        if nodes is not None and operation.name not in nodes:
            continue
        run.kept = kept
        if plan.paths:
            run.kept = computed_steps(plan.paths[operation.name], run.decisions, kept.size)
        inputs = [
            signals[name] for name in operation.sources if name in signals
        ]  # a closing delay has none yet
        signals[operation.name] = _run_gated(operation, inputs, run, start)
    for line in plan.lines:
        if line.is_feedback:
            line.take(signals[line.sources[0]], run)
    run.kept = kept
    return signals


def _run_gated(operation: Operation, inputs: list[Signal], run: Run, start: int) -> Signal:
    """Run an operation that may lie in a branch behind a gate: silence goes in and comes out where it is closed."""
    is_open = open_part(run.branches, operation.name, start, run.n_steps) if run.branches else None
    if is_open is None:
        return operation.run(inputs, run)
    run.kept = run.kept & is_open
    silent = [silenced(one, is_open, layout) for one, layout in zip(inputs, operation.layouts, strict=False)]
    out = operation.run(silent, run)
    if any(branch.last == operation.name for branch in run.branches):
        out = silenced(out, is_open, operation.layout)
    return out


def end_run(graph_digest: str, n_steps: int, run: Run) -> State:
    """Return the state after a run; the run must not go on."""
    membranes = {name: tuple(state) for name, state in run.membranes.items()}
    for array in (array for state in membranes.values() for array in state):
        array.setflags(write=False)
    return State(
        graph_digest,
        n_steps,
        MappingProxyType(membranes),
        MappingProxyType(run.lines),
        histories=MappingProxyType(run.decisions.histories),
    )


def frame_sums(spikes: Spikes) -> NDArray[np.float64]:
    """Return the sum of the values of every frame, added in the order of the entries."""
    sums = np.empty(spikes.n_steps)
    sum_steps(spikes.step, spikes.value, sums)
    return sums


@dataclass(frozen=True, eq=False)
class Counted:
    """What was counted in a run.

    Attributes
    ----------
    n_steps, n_kept : int
        Steps run, and those of them that attention kept.
    n_events, counts : int and float
        Input entries of the kept steps, and the sum of their values.
    tallies : mapping of str to list of int
        As in `Run`; nothing for a layer that was never run.
    entries, lost : mapping of str to int
        Likewise.
    """

    n_steps: int
    n_kept: int
    n_events: int
    counts: float
    tallies: Mapping[str, list[int]]
    entries: Mapping[str, int]
    lost: Mapping[str, int] = field(default_factory=dict)

    def tally(self, name: str) -> list[int]:
        """Return the counts of a node, zeros where it was never run."""
        return self.tallies.get(name, [0] * arrays.N_TALLIES)


def counted_of(run: Run, spikes: Spikes, kept: Bytes) -> Counted:
    """Return what was counted in a finished run of the first ``kept.size`` steps."""
    n_entries = int(np.searchsorted(spikes.step, kept.size))
    stays = kept[spikes.step[:n_entries]] != 0
    return Counted(
        n_steps=kept.size,
        n_kept=int(np.count_nonzero(kept)),
        n_events=int(np.count_nonzero(stays)),
        counts=float(frame_sums(spikes)[: kept.size][kept != 0].sum()),
        tallies={name: tally.tolist() for name, tally in run.tallies.items()},
        entries=run.entries,
        lost=run.lost,
    )


def count(plan: Plan, counted: Counted) -> Counters:
    """Return the counts of a run by the nodes they belong to."""
    n_steps = counted.n_steps
    layers = [(layer, counted.tally(layer.name)) for layer in plan.layers]
    wired = [(layer, layer.synapse_name, tally) for layer, tally in layers if layer.synapse_name is not None]
    sparse = [(one, one.name, counted.tally(one.name)) for one in plan.lines if isinstance(one, SparseSum)]
    synapses: list[tuple[Operation, str, list[int]]] = [*wired, *sparse]
    neurons = [(layer, layer.neuron_name, tally) for layer, tally in layers if layer.neuron_name is not None]
    coded = {one.name: counted.tally(one.name)[arrays.SPIKES] for one in plan.coded}
    return Counters(
        n_steps=n_steps,
        frames_skipped=n_steps - counted.n_kept,
        events_in=counted.n_events,
        counts_in=counted.counts,
        spikes={name: tally[arrays.SPIKES] for layer, name, tally in neurons if layer.neurons.is_firing}
        | coded,
        synaptic_operations={name: tally[arrays.OPERATIONS] for _, name, tally in synapses},
        neuron_updates={name: n_steps * layer.layout.size for layer, name, _ in neurons}
        | {one.name: n_steps * one.layout.size for one in plan.coded},
        active_output_fraction={
            name: tally[arrays.ACTIVE]
            / max(1, sum(tally[k] for k in _PATHS.values()) * layer.layout.n_pixels)
            for layer, name, tally in synapses
        },
        path_steps={name: {path: tally[k] for path, k in _PATHS.items()} for _, name, tally in synapses},
        delayed_entries_lost={line.name: counted.lost.get(line.name, 0) for line in plan.lines},
        input_entries={name: counted.entries.get(layer.name, 0) for layer, name, _ in synapses},
        products={name: tally[arrays.PRODUCTS] for _, name, tally in synapses},
        weight_bytes={name: _weight_bytes(tally) for _, name, tally in synapses},
        state_bytes={name: _state_bytes(layer, tally) for layer, name, tally in neurons},
        pixels_skipped={
            name: n_steps * layer.layout.n_pixels - tally[arrays.VISITS] for layer, name, tally in neurons
        },
    )


_PATHS = {
    "scatter": arrays.SCATTERED,
    "gather": arrays.GATHERED,
    "dense": arrays.MULTIPLIED,
    "silent": arrays.SILENT,
}


def _weight_bytes(tally: list[int]) -> int:
    on_bytes = tally[arrays.BYTE_OPERATIONS]
    one_by_one = tally[arrays.OPERATIONS] - tally[arrays.DENSE_OPERATIONS] - on_bytes
    return 4 * (one_by_one + tally[arrays.PRODUCTS]) + on_bytes


def _state_bytes(layer: Layer, tally: list[int]) -> int:
    """Each visit of a pixel reads and writes 4 bytes for each of its state variables."""
    n_variables = 2 if layer.has_synaptic_current else 1
    return tally[arrays.VISITS] * layer.layout.n_channels * 8 * n_variables
