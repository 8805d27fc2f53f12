"""Whole recordings of the gesture topology: the engine against the strongest form of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from density_networks import N_STEPS, GestureNetwork, gesture_network, recording
from numpy.typing import NDArray
from rows import Row
from timing import best_seconds_of
from torch_density import Form, TorchGesture, forms

import neuro

__all__ = ["network_rows"]

DENSITIES = (0.01, 0.05, 0.176)
GOALS = {  # (folded, type): goal by density
    (False, torch.float32): (10.0, 6.0, 2.1),
    (True, torch.float32): (6.0, 3.5, 1.2),
    (True, torch.bfloat16): (None, 3.0, None),
    (False, torch.bfloat16): (None, None, None),
}


def network_rows(is_quick: bool) -> list[Row]:
    """Compare spikes of all layers, then time per recording of 60 steps."""
    networks = [gesture_network(density) for density in DENSITIES]
    strongest = {key: _strongest(networks[1], *key, is_quick) for key in GOALS}
    rows = []
    for k, network in enumerate(networks):
        frames = [recording(network.density, seed) for seed in range(2 if is_quick else 4)]
        spikes = [neuro.Spikes.from_dense(one) for one in frames]
        n_different = {
            key: sum(_differences(network, form, f, s) for f, s in zip(frames, spikes, strict=True))
            for key, form in strongest.items()
        }
        graph = network.graph()
        runs: dict[Any, Callable[[], Any]] = {
            "engine": lambda g=graph, s=spikes: [neuro.simulate(g, x) for x in s]
        }
        for key, form in strongest.items():
            for has_neurons in (True, False):
                runs[key, has_neurons] = _torch_run(network, form, frames, has_neurons=has_neurons)
        times = best_seconds_of(runs, repeats=5 if is_quick else 25, budget_s=8 if is_quick else 60)
        times = {name: 1e3 * seconds / len(frames) for name, seconds in times.items()}
        _report(network, graph, spikes[0], times["engine"])
        for key, form in strongest.items():
            alone = times[key, False]
            print(
                f"  torch {form}: {times[key, True]:.2f} ms per recording, {alone:.2f} without neurons "
                f"({alone / times['engine']:.2f} x); {n_different[key]} spikes differ from the engine's"
            )
            goal = GOALS[key][k]
            if goal is not None:
                is_equal = n_different[False, torch.float32] == n_different[True, torch.float32] == 0
                claim = f"gesture topology, {100 * network.density:g} %, {N_STEPS} steps"
                ours, theirs = times["engine"], times[key, True]
                rows.append(
                    Row(claim, ours, f"torch {form}", theirs, "ms/recording", theirs / ours, goal, is_equal)
                )
    return rows


def _strongest(network: GestureNetwork, is_folded: bool, dtype: torch.dtype, is_quick: bool) -> Form:
    """Time all forms on one recording; torch's time does not depend on the density."""
    frames = [recording(network.density, 0)]
    candidates = list(forms(is_folded=is_folded, dtype=dtype, is_compiled=not is_quick))
    runs = {form: _torch_run(network, form, frames) for form in candidates}
    times = best_seconds_of(runs, repeats=3 if is_quick else 15, budget_s=2 if is_quick else 15)  # type: ignore[arg-type]
    for form, seconds in times.items():
        print(f"torch {form}: {1e3 * seconds:.2f} ms per recording")
    return min(candidates, key=lambda form: times[form])  # type: ignore[index]


def _torch_run(
    network: GestureNetwork, form: Form, frames: Sequence[NDArray[np.float32]], *, has_neurons: bool = True
) -> Callable[[], Any]:
    module = TorchGesture(network, form, has_neurons=has_neurons)
    ready = [module.prepare(one) for one in frames]
    return lambda: [module.run(x) for x in ready]


def _differences(
    network: GestureNetwork, form: Form, frames: NDArray[np.float32], spikes: neuro.Spikes
) -> int:
    """Entries in which the spikes of any layer differ between engine and torch."""
    names = [f"lif{k}" for k in range(1, len(network.layers) + 1)]
    result = neuro.simulate(network.graph(), spikes, record=dict.fromkeys(names, "spikes"))
    module = TorchGesture(network, form)
    theirs = module.run(module.prepare(frames), record=True)
    return sum(
        int((result.spikes[name].to_dense() != x.float().numpy()).sum())
        for name, x in zip(names, theirs, strict=True)
    )


def _report(network: GestureNetwork, graph: neuro.graph.Graph, spikes: neuro.Spikes, ours: float) -> None:
    names = [f"lif{k}" for k in range(1, len(network.layers) + 1)]
    result = neuro.simulate(graph, spikes, record=dict.fromkeys(names, "spikes"))
    found = [len(result.spikes[n]) / (N_STEPS * np.prod(graph.shapes[n])) for n in names]
    operations = result.counters.total_synaptic_operations
    paths = {
        name: ", ".join(f"{path} {n}" for path, n in steps.items() if n)
        for name, steps in result.counters.path_steps.items()
    }
    print(
        f"density {100 * network.density:g} %: engine {ours:.3f} ms per recording, {operations / 1e6:.1f} million "
        f"operations, {operations / ours / 1e6:.1f} billion/s; layers fire "
        f"{', '.join(f'{100 * x:.2f}' for x in found)} %; paths {paths}"
    )
