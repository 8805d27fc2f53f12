"""Running a plan over blocks of steps, and what is left behind: state and counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np

from neuro.kernels.arrays import Bytes, Floats, Membranes
from neuro.lowering.deciding import computed_steps
from neuro.lowering.plan import Plan
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import Signal, frames_of_entries
from neuro.results import Counters, State
from neuro.spikes import Spikes

__all__ = ["start_run", "run_block", "end_run", "count"]


def start_run(state: State | None, traced: Collection[str], path: Path | None) -> Run:
    """Return a run at rest, or where a state left off (copied: a state is never written to)."""
    run = Run(np.ones(0, np.uint8), frozenset(traced), path)
    if state is not None:
        for name, (voltage, current) in state.membranes.items():
            run.membranes[name] = Membranes(voltage.copy(), current.copy())
        run.lines.update(state.lines)
        run.decisions.histories.update(state.histories)
    return run


def run_block(plan: Plan, run: Run, spikes: Spikes, start: int, kept: Bytes) -> dict[str, Signal]:
    """Run the steps start .. start + kept.size and return the output of every operation."""
    run.kept = kept
    lo, hi = np.searchsorted(spikes.step, (start, start + kept.size))
    step = spikes.step[lo:hi] - np.int32(start)
    index, value = spikes.index[lo:hi].copy(), spikes.value[lo:hi].copy()
    signals: dict[str, Signal] = {
        plan.source: frames_of_entries(step, index, value, kept, plan.layouts[plan.source])
    }
    run.decisions.kept[plan.source] = kept
    for operation in plan.operations:
        if plan.paths:
            run.kept = computed_steps(plan.paths[operation.name], run.decisions, kept.size)
        inputs = [
            signals[name] for name in operation.sources if name in signals
        ]  # a closing delay has none yet
        signals[operation.name] = operation.run(inputs, run)
    for line in plan.lines:
        if line.is_feedback:
            line.take(signals[line.sources[0]], run)
    run.kept = kept
    return signals


def end_run(graph_digest: str, n_steps: int, run: Run) -> State:
    """Return the state after a run; the run must not go on."""
    membranes: dict[str, tuple[Floats, Floats]] = {}
    for name, (voltage, current) in run.membranes.items():
        voltage.setflags(write=False)
        current.setflags(write=False)
        membranes[name] = (voltage, current)
    return State(
        graph_digest,
        n_steps,
        MappingProxyType(membranes),
        MappingProxyType(run.lines),
        MappingProxyType(run.decisions.histories),
    )


def count(plan: Plan, run: Run, spikes: Spikes, kept: Bytes) -> Counters:
    """Return the counts of a finished run."""
    n_kept = int(np.count_nonzero(kept))
    value = spikes.value if n_kept == kept.size else spikes.value[kept[spikes.step] != 0]
    emitted: dict[str, int] = {}
    operations: dict[str, int] = {}
    updates: dict[str, int] = {}
    fractions: dict[str, float] = {}
    paths: dict[str, Mapping[str, int]] = {}
    for layer in plan.layers:
        n_spikes, n_synaptic, n_active, n_scatter, n_gather = map(
            int, run.tallies.get(layer.name, np.zeros(5))
        )
        if layer.neuron_name is not None:
            updates[layer.neuron_name] = kept.size * layer.layout.size
            if layer.neurons.is_firing:
                emitted[layer.neuron_name] = n_spikes
        if layer.synapse_name is not None:
            operations[layer.synapse_name] = n_synaptic
            fractions[layer.synapse_name] = n_active / max(1, (n_scatter + n_gather) * layer.layout.n_pixels)
            paths[layer.synapse_name] = {"scatter": n_scatter, "gather": n_gather}
    return Counters(
        n_steps=kept.size,
        frames_skipped=kept.size - n_kept,
        events_in=value.size,
        counts_in=float(value.sum(dtype=np.float64)),
        spikes=emitted,
        synaptic_operations=operations,
        neuron_updates=updates,
        active_output_fraction=fractions,
        path_steps=paths,
        delayed_entries_lost={line.name: run.lost.get(line.name, 0) for line in plan.lines},
    )
