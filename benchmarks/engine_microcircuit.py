"""The whole microcircuit of Potjans and Diesmann (2014): 77,169 neurons, 0.3 billion synapses, 9 GB of memory.

It is built projection by projection (`network_models.microcircuit_projections`): one list of all synapses for every
simulator would not fit beside the simulators. So there is no peer here: after the first 200 ms the rates of the
populations are compared with the published ones (the whole network only, smaller ones fire less). Smaller scales
are compared with NEST by `engine_networks.py`, and a hundredth of the network with plain NumPy by `neuro.verify` here.
Times are wall times of one run.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rows import Row, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from network_models import (
    MICROCIRCUIT,
    POPULATIONS,
    RATES_HZ,
    microcircuit_populations,
    microcircuit_projections,
)

import neuro
from neuro.graph import CubaLIF, Graph, Node, PoissonSource, SparseLinear, clocked
from neuro.results import Result, State

NAMES = [name.replace("/", "+") for name in POPULATIONS]  # a node's name holds no slash
TRANSIENT_STEPS = 2_000
RATE_MARGIN = 0.15  # of the published rate, or of 1 Hz where that is lower: they are rounded to 0.1 Hz
VERIFIED = (0.01, 100)  # scale, steps


def build(scale: float, *, seed: int = 0) -> Graph:
    """Return the network as a graph."""
    sizes, poisson_hz, drive, weight = microcircuit_populations(scale)
    model, dt_s = MICROCIRCUIT, MICROCIRCUIT["dt_ms"] * 1e-3
    rng = np.random.default_rng(seed)
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    taus_s = [1e-3 * model[f"tau_{name}_ms"] for name in ("mem", "exc", "inh")]
    for number, (name, size) in enumerate(zip(NAMES, sizes.tolist(), strict=True)):
        nodes[name] = CubaLIF(
            taus_s[0], taus_s[1], model["threshold"], tau_inh_s=taus_s[2], update="exact",
            v_leak=model["v_rest"] + float(drive[number]), v_reset=model["v_reset"],
            v_start=rng.normal(-58.0, 10.0, size).astype(np.float32), refractory_s=model["refractory_steps"] * dt_s,
        )  # fmt: skip
        nodes[f"input of {name}"] = PoissonSource(
            float(poisson_hz[number]), size, 1000 + number, weight=weight
        )
        edges.append((f"input of {name}", name))
    for projection in microcircuit_projections(scale, seed=seed):
        pre, post = NAMES[projection.pre], NAMES[projection.post]
        nodes[f"{pre} to {post}"] = SparseLinear(
            projection.weight,
            projection.source,
            projection.indptr,
            int(sizes[projection.pre]),
            delay_s=projection.delay_steps * np.float32(dt_s),
            receptor="inhibitory" if projection.pre % 2 else "excitatory",
        )
        edges += [(pre, f"{pre} to {post}"), (f"{pre} to {post}", post)]
    return Graph(nodes, edges, clocked(dt_s))


def run(graph: Graph, n_steps: int, n_threads: int, state: State | None = None) -> Result:
    """Run some steps and count the spikes of each population."""
    return neuro.simulate(
        graph, n_steps=n_steps, n_threads=n_threads, state=state, record=dict.fromkeys(NAMES, "rate")
    )


def rows(graph: Graph, scale: float, n_steps: int, threads: list[int]) -> Iterator[Row]:
    """Times slower than real time, by threads."""
    is_equal = neuro.verify(build(VERIFIED[0]), n_steps=VERIFIED[1]).is_equal
    duration_s = n_steps * MICROCIRCUIT["dt_ms"] * 1e-3
    sizes = microcircuit_populations(scale)[0]
    for n_threads in threads:
        start = time.perf_counter()
        before = run(graph, TRANSIENT_STEPS, n_threads)  # lowers the graph, too
        clocks = time.perf_counter(), time.process_time()
        result = run(graph, n_steps, n_threads, before.state)
        wall_s, processor_s = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
        rates = [result.spike_counts[n].sum() / s / duration_s for n, s in zip(NAMES, sizes, strict=True)]
        pairs = list(zip(rates, RATES_HZ, strict=True))
        is_alike = scale < 1 or all(
            abs(rate - known) <= RATE_MARGIN * max(known, 1.0) for rate, known in pairs
        )
        n = result.counters.total_synaptic_operations
        memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{n_threads} threads ({result.n_threads} taken): {' '.join(f'{rate:.2f}' for rate in rates)} Hz; "
              f"{n / 1e6:.0f} M synaptic operations, wall {wall_s:.2f} s, processor {processor_s:.2f} s; lowering and "
              f"the first {TRANSIENT_STEPS} steps {clocks[0] - start:.1f} s; most memory {memory_gb:.1f} GB",
              file=sys.stderr)  # fmt: skip
        claim = f"microcircuit-{scale:g}, {n_threads} threads, float32: times real time"
        yield Row(
            claim, wall_s / duration_s, "real time", 1.0, "x", duration_s / wall_s, 0.0, is_equal and is_alike
        )


def main() -> None:
    """Measure, print the table, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the network, 0.5 s")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--threads", type=int, nargs="+", default=list(range(1, (os.cpu_count() or 1) + 1)))
    arguments = parser.parse_args()
    scale, n_steps = (0.1, 5_000) if arguments.quick else (1.0, 10_000)
    start = time.perf_counter()
    graph = build(scale)
    n_synapses = sum(node.n_synapses for node in graph.nodes.values() if isinstance(node, SparseLinear))
    print(f"{n_synapses} synapses drawn in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    show(
        list(rows(graph, scale, n_steps, arguments.threads)),
        title="Whole microcircuit",
        json_path=arguments.json,
    )


if __name__ == "__main__":
    main()
