"""Single layers over the density of their input, and the operations per second of their paths.

A layer is synapses and LIF neurons, run as inside a network: sparse frames in, sparse frames out. (At the front door
the output of a network also becomes a dense array, which takes longer than most of these layers.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from density_networks import DT_S, TAU_S
from machine import byte_add_rate, float_add_rate
from rich.console import Console
from rich.table import Table
from rows import Row, against_goal
from timing import best_seconds, best_seconds_of
from torch_layers import TorchLayer

import neuro
from neuro.graph import LIF, Conv2d, Graph, Input, Linear, clocked
from neuro.lowering.execution import start_run
from neuro.lowering.plan import lower
from neuro.lowering.run import Path
from neuro.lowering.signals import frames_of_entries
from neuro.running import run_recording

__all__ = ["kernel_rows", "layer_rows"]

DENSITIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
QUICK_DENSITIES = (0.001, 0.05, 0.15, 1.0)
SPARSE = 0.15  # up to here torch is the measure, above it our own best path
GRID = 2.0**-9
PATHS: tuple[Path, ...] = get_args(Path)


@dataclass(frozen=True)
class Shape:
    """A layer: input shape, outputs, kernel (0: Linear), stride, steps of a recording."""

    name: str
    shape: tuple[int, ...]
    n_outputs: int
    kernel: int = 0
    stride: int = 1
    n_steps: int = 20

    def synapse(self, *, is_byte: bool = True) -> Conv2d | Linear:
        """Draw weights: 8-bit numbers times 2^-9, or (not `is_byte`) 12-bit ones, which only float paths take."""
        rng = np.random.default_rng(0)
        window = (self.kernel, self.kernel) if self.kernel else ()
        weight = rng.normal(0, 30, (self.n_outputs, self.shape[0], *window)).round().clip(-127, 127)
        if not is_byte:
            weight = weight * 16 + rng.integers(0, 16, weight.shape)
        weight *= GRID if is_byte else GRID / 16
        if self.kernel == 0:
            return Linear(weight)
        return Conv2d(weight, stride=self.stride, padding=1)

    def frames(self, density: float) -> np.ndarray:
        """Draw frames with independent spikes."""
        rng = np.random.default_rng(round(1e6 * density))
        return (rng.random((self.n_steps, *self.shape)) < density).astype(np.float32)


SHAPES = (
    Shape("64->128 3x3 @32x32", (64, 32, 32), 128, 3, n_steps=10),
    Shape("2->64 3x3 @32x32", (2, 32, 32), 64, 3),
    Shape("128->128 4x4 s2 @16x16", (128, 16, 16), 128, 4, 2),
    Shape("256->512 3x3 @8x8", (256, 8, 8), 512, 3, n_steps=10),
    Shape("Linear 8192->256", (8192,), 256, n_steps=100),
    Shape("Linear 700->128", (700,), 128, n_steps=250),
)
QUICK_SHAPES = (SHAPES[0], SHAPES[4])


def layer_rows(is_quick: bool) -> list[Row]:
    """Compare each layer with torch at each density: time per step, ratio to the best of torch and of our paths."""
    rows = []
    with torch.inference_mode():
        for shape in QUICK_SHAPES if is_quick else SHAPES:
            rows += _sweep(shape, is_quick)
    return rows


def _graph(shape: Shape, synapse: Conv2d | Linear, threshold: float) -> Graph:
    nodes = {
        "in": Input(shape.shape, max_count=1),
        "w": synapse,
        "lif": LIF(TAU_S, threshold, update="decay"),
    }
    return Graph(nodes, [("in", "w"), ("w", "lif")], clocked(DT_S), weight_grid=GRID / 16)


def _our_run(graph: Graph, spikes: neuro.Spikes, path: Path | None) -> Callable[[], Any]:
    """Run the only layer of a graph on frames made ready, from rest."""
    plan = lower(graph)
    kept = np.ones(spikes.n_steps, np.uint8)
    frames = frames_of_entries(
        spikes.step, spikes.index.copy(), spikes.value.copy(), kept, plan.layouts[plan.source]
    )
    (layer,) = plan.layers

    def run() -> Any:
        state = start_run(None, (), path)
        state.kept = kept
        return layer.run([frames], state)

    return run


def _sweep(shape: Shape, is_quick: bool) -> list[Row]:
    table = Table(
        title=f"{shape.name}: microseconds per step (one thread, LIF neurons included on both sides)"
    )
    rows, worst = [], {}
    for density in QUICK_DENSITIES if is_quick else DENSITIES:
        synapse, frames = shape.synapse(), shape.frames(density)
        threshold = (
            2.0 * 0.06 * float(np.sqrt(max(1, frames[0].sum() / frames[0].size * synapse.weight[0].size)))
        )
        graph, spikes = _graph(shape, synapse, threshold), neuro.Spikes.from_dense(frames)
        layer = TorchLayer(synapse, threshold, frames, graph.shapes["lif"])
        theirs = layer.runs()
        is_equal = _is_equal(graph, spikes, layer)
        runs: dict[str, Callable[[], Any]] = {"engine": _our_run(graph, spikes, None)}
        runs |= {f"our {path}": _our_run(graph, spikes, path) for path in PATHS}
        runs |= theirs | {"dense folded": layer.folded()}
        times = best_seconds_of(runs, repeats=5 if is_quick else 15, budget_s=1 if is_quick else 5)
        times = {name: 1e6 * seconds / shape.n_steps for name, seconds in times.items()}
        best_torch = min(theirs, key=lambda name: times[name])
        best_own = min(times[f"our {path}"] for path in PATHS)
        ratio, own = times[best_torch] / times["engine"], best_own / times["engine"]
        _add(table, times, f"{100 * density:g}", best_torch, f"{ratio:.2f}", f"{own:.2f}")
        if density <= SPARSE:
            found = Row(f"{shape.name}, {100 * density:g} %", times["engine"], f"torch {best_torch}",
                        times[best_torch], "us/step", ratio, 0.9, is_equal)  # fmt: skip
        else:
            found = Row(f"{shape.name}, {100 * density:g} %", times["engine"], "our best path", best_own,
                        "us/step", own, 0.9, is_equal)  # fmt: skip
        key = density <= SPARSE
        if key not in worst or found.ratio < worst[key].ratio:
            worst[key] = found
        rows.append(found)
    Console(width=170).print(table)
    _print_dense_rate(shape, times)
    return list(worst.values()) if is_quick else rows


def _add(table: Table, times: dict[str, float], *cells: str) -> None:
    if not table.columns:
        for name in ("density %", *times, "best of torch", "ratio", "ratio to our best"):
            table.add_column(name, justify="right")
    names = [column.header for column in table.columns][1:-3]
    microseconds = [f"{times[name]:.1f}" if name in times else "-" for name in names]
    table.add_row(cells[0], *microseconds, *cells[1:])


def _is_equal(graph: Graph, spikes: neuro.Spikes, layer: TorchLayer) -> bool:
    """Compare the spikes of all our paths with those of dense torch."""
    theirs = torch.stack(layer.runs()["dense NCHW"]()).numpy()
    for path in (None, *PATHS):
        result = run_recording(graph, spikes, record={"lif": "spikes"}, path=path)
        if not np.array_equal(result.spikes["lif"].to_dense().reshape(theirs.shape), theirs):
            return False
    return bool(theirs.any())


def _products(shape: Shape, frames: np.ndarray) -> int:
    """Products of one dense step: those of taps inside the frame."""
    graph = _graph(shape, shape.synapse(), 1.0)
    full = neuro.Spikes.from_dense(np.ones_like(frames[:1]))
    return neuro.simulate(graph, full).counters.total_synaptic_operations


def _print_dense_rate(shape: Shape, times: dict[str, float]) -> None:
    """Print the products per second of the last density, 100 %."""
    if "our dense" in times:
        n = _products(shape, shape.frames(1.0))
        print(f"{shape.name}, dense: ours {n / times['our dense'] / 1e3:.1f} GMAC/s, torch "
              f"{n / min(v for k, v in times.items() if k.startswith('dense')) / 1e3:.1f} GMAC/s\n")  # fmt: skip


def kernel_rows(is_quick: bool) -> list[Row]:
    """Operations per second of a layer with its neurons at 5 %, and products per second of the dense path."""
    shape = SHAPES[0]
    frames = shape.frames(0.05)
    spikes = neuro.Spikes.from_dense(frames)
    rows = []
    for path, goal, is_byte in (("gather", 15.0, False), ("integer", 30.0, True), ("dense", 40.0, False)):
        if path not in PATHS:
            continue
        graph = _graph(shape, shape.synapse(is_byte=is_byte), 1.0)
        run = _our_run(graph, spikes, path)
        seconds = best_seconds(run, repeats=10 if is_quick else 60, budget_s=20)
        n = run_recording(graph, spikes, path=path).counters.total_synaptic_operations
        n = _products(shape, frames) * shape.n_steps if path == "dense" else n
        unit = "GMAC/s per core" if path == "dense" else "GSOP/s per core"
        rate = n / seconds / 1e9
        rows.append(against_goal(f"{shape.name}, {path}, neurons included", rate, goal, unit))
        probe = byte_add_rate if path == "integer" else float_add_rate
        in_l1, in_l2 = probe(32), probe(576)
        print(
            f"{path}: {rate:.1f} billion/s; adding rows with nothing else: {in_l1:.1f} (32 rows), {in_l2:.1f} "
            f"(576 rows); fractions {rate / in_l1:.2f}, {rate / in_l2:.2f}"
        )
    return rows
