"""The kernels once more with bounds checks, in an interpreter and a kernel cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import numpy as np
from numba.core import config
assert config.BOUNDSCHECK == 1
from neuro.graph import *
from neuro.lowering.coded_tables import coded_table_of
from neuro.lowering.plan import lower
from neuro.running import run_recording

rng = np.random.default_rng(0)
nodes = {
    "in": Input((2, 7, 6)),
    "conv": Conv2d(rng.integers(-40, 60, (8, 2, 3, 3)) / 64, stride=2, padding=1),
    "lif": LIF(0.003, 0.5),
    "depthwise": Conv2d(rng.normal(0.2, 0.5, (16, 1, 2, 2)), dilation=(2, 1), padding=1, groups=8),
    "cuba": CubaLIF(0.004, 0.003, 0.2),
    "max": MaxPool2d(2),
    "sum": SumPool2d(2, 1, 1),
    "flat_max": Flatten(),
    "flat_sum": Flatten(),
    "both": Concat(),
}
edges = [("in", "conv"), ("conv", "lif"), ("lif", "depthwise"), ("depthwise", "cuba"), ("cuba", "max"), ("max", "sum")]
edges += [("max", "flat_max"), ("sum", "flat_sum"), ("flat_max", "both"), ("flat_sum", "both")]
n_in = Graph(nodes, edges, clocked(0.001)).shapes["both"][0]
nodes |= {
    "fc": Linear(rng.normal(0, 0.3, (11, n_in))),
    "join": Add(),
    "if": IF(0.5),
    "delay": Delay(0.002),
    "back": Linear(np.eye(11)),
    "li": LI(0.01),
}
edges += [("both", "fc"), ("fc", "join"), ("back", "join"), ("join", "if")]
edges += [("if", "delay"), ("delay", "back"), ("if", "li")]
graph = Graph(nodes, edges, clocked(0.001))
for density in (0.0, 0.1, 1.0):
    for graded in (1, 3):
        frames = np.where(rng.random((5, 2, 7, 6)) < density, rng.integers(1, graded + 1, (5, 2, 7, 6)), 0)
        for path in ("scatter", "gather", "dense", "integer"):
            for kinds in ("spikes", ["spikes", "membrane"]):
                record = {"lif": kinds, "max": "spikes"}
                result = run_recording(graph, frames, record=record, path=path, n_threads=2)
print(result.counters.total_synaptic_operations)

import neuro

scores = TemporalAttention(rng.normal(0, 1, (2, 9)), [0, 0.1], rng.normal(0, 2, (9, 2)), np.zeros(9), 0.5)
moving = MovingAttention([0.5, 1], [0, 0], rng.normal(0, 2, (2, 2)), [0, 0], [1, -1], 0.1, 0.4)
for attention in (scores, moving):  # layers one behind the other, in one call
    nodes = {"in": Input((2, 7, 6), max_count=3), "attention": attention}
    nodes |= {"conv": Conv2d(rng.normal(0.4, 1, (8, 2, 3, 3)), padding=1), "lif": LIF(0.003, 0.1)}
    nodes |= {"depthwise": Conv2d(rng.normal(0.4, 1, (16, 1, 2, 2)), groups=8), "cuba": CubaLIF(0.004, 0.003, 0.2)}
    nodes |= {"flat": Flatten(), "fc": Linear(rng.normal(0, 1, (3, 480))), "li": LI(0.01)}
    chain = Graph(nodes, list(zip(nodes, list(nodes)[1:])), clocked(0.001))
    for density in (0.0, 0.1, 1.0):
        frames = np.where(rng.random((9, 2, 7, 6)) < density, rng.integers(1, 4, (9, 2, 7, 6)), 0)
        for path in ("scatter", "gather", "dense", "integer"):
            for rule in (None, neuro.ExitRule(0.9, first_step=2, check_every=3)):
                dynamics = neuro.Dynamics(early_exit=rule)
                run_recording(chain, frames, record={"lif": "spikes"}, path=path, dynamics=dynamics)

coded = (  # branches of coded neurons, in one call
    (lambda k: TwoPhaseIF(0.5, n_levels=3, start_step=k), MaxPool2d(3, 2, 1), "count"),
    (lambda k: SignedIF(0.5, max_count=3, drive=0.1, drive_steps=2), CountMaxPool2d(3, 2, 1), "count"),
    (lambda k: RadixIF(0.5, n_bits=2, start_step=k), RadixMaxPool2d(3, 2, 1, n_bits=2, start_step=1), "radix"),
    (lambda k: FirstSpikeIF(0.5, n_levels=3, start_step=k), CountMaxPool2d(3, 2, 1), "first_spike"),
    (lambda k: SigmaDelta(0.5, max_count=3), CountMaxPool2d(3, 2, 1), "count"),
)
for make, pool, code in coded:
    nodes = {"in": Input((2, 7, 6)), "change": Difference(), "a": Conv2d(rng.normal(0.3, 1, (5, 2, 3, 3)), padding=1)}
    nodes |= {"first": make(1), "pool": pool, "late": Delay(0.002), "b": Conv2d(rng.normal(0, 1, (5, 5, 1, 1)))}
    nodes |= {"later": Delay(0.001), "add": Add(), "second": make(2), "both": Concat(), "sum": SumPool2d(2, 2, 1)}
    nodes |= {"flat": Flatten(), "fc": Linear(rng.normal(0, 1, (3, 60))), "out": Readout(0.5, start_step=4, code=code)}
    edges = [("in", "change"), ("change", "a"), ("a", "first"), ("first", "pool"), ("pool", "b"), ("b", "add")]
    edges += [("b", "later"), ("later", "add"), ("add", "second"), ("pool", "both"), ("both", "sum")]
    edges += [("sum", "flat"), ("flat", "fc"), ("fc", "out")]
    if code == "radix":
        edges += [("second", "late"), ("late", "both")]
    else:
        del nodes["late"]
        edges.append(("second", "both"))
    graph = Graph(nodes, edges, clocked(0.001))
    for density in (0.0, 0.3, 1.0):
        frames = np.where(rng.random((7, 2, 7, 6)) < density, rng.integers(1, 4, (7, 2, 7, 6)), 0)
        for path in ("scatter", "gather", "dense", "integer"):
            for rule in (None, neuro.ExitRule(0.9, first_step=2, check_every=3)):
                words = {"record": {"pool": "spikes"}, "dynamics": neuro.Dynamics(early_exit=rule)}
                run_recording(graph, frames, path=path, **words)
    assert coded_table_of(lower(graph)) is not None

forms = (
    (CountProduct, (3, 2, 2), (3, 2, 2)), (CountProduct, (3, 2, 2), (3, 1, 1)),
    (CountMatrixProduct, (3, 2, 4), (3, 4, 3)),
)
for make, code in ((coded[0][0], "count"), (coded[2][0], "radix"), (coded[3][0], "first_spike")):
    for kind, first, second in forms:  # products of counts, and entries at other places
        n, m = np.prod(first), np.prod(second)
        places = np.arange(n + m)
        nodes = {"in": Input(int(n + m)), "a": Rearrange(places[:n].reshape(first))}
        nodes |= {"b": Rearrange(places[n:].reshape(second)), "first": make(0), "second": make(0)}
        nodes |= {"product": kind(0.5, code=code, start_step=2), "out": Readout(start_step=2, code=code)}
        edges = [("in", "a"), ("in", "b"), ("a", "first"), ("b", "second")]
        edges += [("first", "product"), ("second", "product"), ("product", "out")]
        graph = Graph(nodes, edges, clocked(0.001))
        frames = np.where(rng.random((7, n + m)) < 0.3, rng.integers(1, 4, (7, n + m)), 0)
        frames[3] = 0
        for record in (None, {"product": "spikes"}):
            run_recording(graph, frames, record=record)
        assert coded_table_of(lower(graph)) is not None

two = TwoPhaseIF(1.0, n_levels=3)  # the smallest tables
for line in ([two], [two, Delay(0.002), Linear(np.ones((2, 3))), Readout()], [SigmaDelta(1.0, max_count=3)]):
    nodes = {"in": Input(3), "fc": Linear(np.ones((3, 3)))} | {str(k): node for k, node in enumerate(line)}
    graph = Graph(nodes, list(zip(nodes, list(nodes)[1:])), clocked(0.001))
    for frames in (np.ones((2, 3)), np.zeros((0, 3)), np.ones((9, 3))):
        run_recording(graph, frames)

nodes = {
    "in": Input((2, 7, 6)),
    "conv": Conv2d(rng.normal(0.3, 0.5, (8, 2, 3, 3)), stride=2, padding=1),
    "lif": LIF(0.003, 0.5, reset="subtract"),
    "depthwise": Conv2d(rng.normal(0.3, 0.5, (16, 1, 2, 2)), dilation=(2, 1), padding=1, groups=8),
    "each": LIF(rng.uniform(1e-3, 1e-2, (16, 1, 1)), 0.2),
    "sum": SumPool2d(2, 1, 1),
    "avg": AvgPool2d(2, 1, 1),
    "both": Concat(),
    "delay": Delay(0.002),
    "flat": Flatten(),
}
edges = [("in", "conv"), ("conv", "lif"), ("lif", "depthwise"), ("depthwise", "each"), ("each", "sum"), ("each", "avg")]
edges += [("sum", "both"), ("avg", "both"), ("both", "delay"), ("delay", "flat")]
n_in = Graph(nodes, edges, continuous()).shapes["flat"][0]
nodes |= {"fc": Linear(rng.normal(0.1, 0.3, (11, n_in))), "if": IF(0.5)}
edges += [("flat", "fc"), ("fc", "if")]
t_us = np.cumsum(rng.choice([0, 3, 900, 10**8], 60))
events = neuro.Events(t_us, rng.integers(0, 84, 60), np.ones(60), (2, 7, 6))
counters = neuro.simulate(Graph(nodes, edges, continuous()), events).counters
assert min(counters.spikes.values()) > 0, counters

nodes = {
    "in": Input((2, 7, 6)),
    "conv": Conv2d(rng.normal(0.3, 0.5, (8, 2, 3, 3)), np.linspace(0, 0.8, 8), stride=2, padding=1),
    "driven": LIF(0.003, 0.5, refractory_s=2e-4),
    "depthwise": Conv2d(rng.normal(2, 1, (16, 1, 2, 2)), dilation=(2, 1), padding=1, groups=8),
    "cuba": CubaLIF(rng.uniform(1e-3, 1e-2, (16, 1, 1)), 2e-3, 0.2),
    "join": Add(),
    "if": IF(0.5, refractory_s=1e-4),
    "back": Delay(0.002),
    "flat": Flatten(),
}
edges = [("in", "conv"), ("conv", "driven"), ("driven", "depthwise"), ("depthwise", "cuba"), ("cuba", "join")]
edges += [("back", "join"), ("join", "if"), ("if", "back"), ("if", "flat")]
n_in = Graph(nodes, edges, continuous()).shapes["flat"][0]
nodes |= {"fc": Linear(rng.normal(0.1, 0.3, (11, n_in))), "li": LI(0.01)}
edges += [("flat", "fc"), ("fc", "li")]
t_us = np.cumsum(rng.choice([0, 3, 400], 60))
events = neuro.Events(t_us, rng.integers(0, 84, 60), np.ones(60), (2, 7, 6), duration_us=int(t_us[-1]) + 3000)
counters = neuro.simulate(Graph(nodes, edges, continuous()), events).counters
assert min(counters.spikes[name] for name in ("driven", "cuba", "if")) > 0, counters

sparse = lambda n_out, n_in, least: SparseLinear.from_coo(
    rng.integers(0, n_out, 90), rng.integers(0, n_in, 90), rng.normal(0.4, 0.5, 90), n_out=n_out, n_in=n_in,
    delay_s=rng.integers(least, 5, 90) * 1e-3,
)
nodes = {
    "in": Input((2, 7, 6)), "a": Conv2d(rng.normal(0.3, 0.5, (4, 1, 2, 3)), padding=1, groups=2),
    "late": Delay(0.001), "b": Conv2d(rng.normal(0.3, 0.5, (4, 2, 2, 3)), [0.1] * 4, padding=1), "add": Add(),
    "lif": LIF(0.003, 0.5), "max": MaxPool2d(3, 2, 1), "flat": Flatten(),
}
edges = [("in", "a"), ("a", "late"), ("in", "b"), ("late", "add"), ("b", "add"), ("add", "lif"), ("lif", "max")]
edges += [("max", "flat")]
n_in = Graph(nodes, edges, continuous()).shapes["flat"][0]
nodes |= {"w": sparse(11, n_in, 0), "r": sparse(11, 11, 1)}
nodes |= {"each": LIF(rng.uniform(1e-3, 1e-2, 11), 0.5, refractory_s=2e-3)}
edges += [("flat", "w"), ("w", "each"), ("r", "each"), ("each", "r")]
times = range(0, int(t_us[-1]), 5000)
record = {name: neuro.Monitor("membrane", times_us=times) for name in ("lif", "each")}
counters = neuro.simulate(Graph(nodes, edges, continuous()), events, record=record).counters
assert min(counters.spikes.values()) > 0, counters
for density in (0.0, 0.2, 1.0):
    frames = (rng.random((30, 2, 7, 6)) < density).astype(np.float32)
    found = neuro.simulate(Graph(nodes, edges, clocked(0.001)), frames)
    assert (found.counters.synaptic_operations["w"] > 0) == (density > 0)

n = 2**12  # so many membranes that lines are asked for ahead
nodes = {"in": Input((1, 64, 64)), "conv": Conv2d(np.ones((64, 1, 3, 3)), padding=1), "lif": LIF(0.01, 1.5)}
edges = [("in", "conv"), ("conv", "lif")]
events = neuro.Events(np.arange(n), rng.permutation(n), np.ones(n), (1, 64, 64))
assert neuro.simulate(Graph(nodes, edges, continuous()), events).counters.spikes["lif"] > 0
"""


def test_no_kernel_reads_or_writes_outside_its_arrays(tmp_path: Path) -> None:
    environment = dict(os.environ, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
