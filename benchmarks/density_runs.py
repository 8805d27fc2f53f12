"""What a run costs besides its kernels: the first call, compilation, memory; and threads over recordings."""

from __future__ import annotations

import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from density_networks import gesture_network, recording
from numba.core import event
from rows import Row, against_goal

import neuro
from neuro.graph import Graph
from neuro.lowering.plan import lower

__all__ = ["run_rows", "thread_rows"]

ROOT = Path(__file__).resolve().parents[1]
FIRST_CALL = """
import json, sys, time
start = time.perf_counter()
import numpy as np
import neuro
from neuro.graph import Graph
imported, used = time.perf_counter(), time.process_time()
graph = Graph.load(sys.argv[1])
spikes = neuro.Spikes.from_dense(np.load(sys.argv[2]))
ready = time.perf_counter()
neuro.simulate(graph, spikes)
first, used_first = time.perf_counter(), time.process_time() - used
neuro.simulate(graph, spikes)
print(json.dumps([imported - start, first - ready, used_first, time.perf_counter() - first]))
"""


def run_rows(is_quick: bool) -> list[Row]:
    """Measure the first call, count compilations, weigh the arrays of a run."""
    graph = gesture_network(0.05).graph()
    frames = recording(0.05, 0)
    spikes = neuro.Spikes.from_dense(frames)
    neuro.simulate(graph, spikes)  # fills the kernel cache
    return [_first_call(graph, frames, 2 if is_quick else 5), *_compilations(frames), *_memory(frames)]


def _first_call(graph: Graph, frames: np.ndarray, n_runs: int) -> Row:
    """Time the first call of fresh interpreters whose kernels are cached."""
    with tempfile.TemporaryDirectory() as folder:
        graph_path, frames_path = Path(folder) / "graph.h5", Path(folder) / "frames.npy"
        graph.save(graph_path)
        np.save(frames_path, frames)
        command = [sys.executable, "-c", FIRST_CALL, str(graph_path), str(frames_path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        found = []
        for _ in range(n_runs):
            text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(text))
    import_s, first_s, used_s, second_s = min(found, key=lambda times: times[1])
    print(
        f"fresh interpreter: import {import_s:.2f} s, first call {first_s:.3f} s (processor time, model read: "
        f"{used_s:.3f} s), second {1e3 * second_s:.1f} ms"
    )
    return against_goal("first call after import, kernels cached", first_s, 1.0, "s", less_is_better=True)


def _compilations(frames: np.ndarray) -> list[Row]:
    """Count what numba compiles for a network of the same kinds of layers but other weights and density."""
    other = gesture_network(0.02, seed=1).graph()
    spikes = neuro.Spikes.from_dense(frames)
    with event.install_recorder("numba:compile") as recorder:
        start = time.perf_counter()
        neuro.simulate(other, spikes)
        seconds = time.perf_counter() - start
    n = sum(1 for _, one in recorder.buffer if one.is_start)
    print(f"another network of the same kinds of layers: {n} compilations, first call {1e3 * seconds:.1f} ms")
    return [Row("compilations for another network of the same layers", n, "goal", 0, "kernels",
                1.0 if n == 0 else 0.0, 1.0, True)]  # fmt: skip


def _memory(frames: np.ndarray) -> list[Row]:
    """Weigh what lowering and one run allocate at most against weights, state and one dense bin of all nodes."""
    spikes = neuro.Spikes.from_dense(frames)
    rows = []
    for name, graph in (
        ("pools as nodes", gesture_network(0.05).graph()),
        ("composite kernels", gesture_network(0.05).graph(is_composite=True)),
    ):
        neuro.simulate(graph, spikes)
        lower.cache_clear()
        gc.collect()
        tracemalloc.start()
        lower(graph)
        lowered = tracemalloc.get_traced_memory()[0]
        neuro.simulate(graph, spikes)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        needed = lowered + _state_and_bin(graph)
        print(
            f"{name}: lowering holds {lowered / 1e6:.2f} MB, a run reaches {peak / 1e6:.2f} MB, lowered weights + "
            f"state + one bin are {needed / 1e6:.2f} MB: {peak / needed:.2f} times"
        )
        claim = f"arrays of a run over weights, state and a bin, {name}"
        rows.append(against_goal(claim, peak / needed, 2.0, "times", less_is_better=True))
    return rows


def _state_and_bin(graph: Graph) -> int:
    """Bytes of all membranes, and of one step of all nodes as dense float32."""
    neurons = [math.prod(graph.shapes[name]) for name in graph.order if name.startswith("lif")]
    nodes = [math.prod(shape) for shape in graph.shapes.values()]
    return 4 * (sum(neurons) + sum(nodes))


def thread_rows(is_quick: bool) -> list[Row]:
    """Run a batch of recordings with one thread and with two, wall time; results must have the same bits."""
    graph = gesture_network(0.05).graph()
    batch = [neuro.Spikes.from_dense(recording(0.05, seed)) for seed in range(4 if is_quick else 16)]
    record = {f"lif{k}": "spikes" for k in range(1, 6)}
    one, two = (neuro.simulate(graph, batch, record=record, n_threads=n) for n in (1, 2))
    is_equal = all(
        np.array_equal(a.spikes[name].to_dense(), b.spikes[name].to_dense())
        for a, b in zip(one, two, strict=True)
        for name in record
    )
    best = {1: float("inf"), 2: float("inf")}
    for _ in range(3 if is_quick else 10):
        for n, before in best.items():
            start = time.perf_counter()
            neuro.simulate(graph, batch, n_threads=n)
            best[n] = min(before, time.perf_counter() - start)
    ours, theirs = (1e3 * best[n] / len(batch) for n in (2, 1))
    claim = f"batch of {len(batch)} recordings, 2 threads"
    return [Row(claim, ours, "1 thread", theirs, "ms/recording (wall)", theirs / ours, 1.0, is_equal)]
