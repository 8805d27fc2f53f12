"""Continuous execution: input events per second and core on a 2 -> 32, 3 x 3 layer at 128 x 128, with spikes.

The same layer on a small map is compared with the plain-Python oracle first. Time is that of the processor, not of
the wall, so that other programs count less; the best of several runs through the front door.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from rows import Row, against_goal, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import neuro
from neuro.graph import LIF, Conv2d, Graph, Input, continuous
from tests.oracle.event_engine import simulate_events

GOAL = 5e6
TAU_MEM_S = 0.02


def layer(side: int, rng: np.random.Generator) -> Graph:
    """A convolution of 2 to 32 channels with neurons that fire about once per two events."""
    weight = rng.random((32, 2, 3, 3)) * 0.35
    nodes = {
        "events": Input((2, side, side)),
        "conv": Conv2d(weight, padding=1),
        "lif": LIF(TAU_MEM_S, 1.0, reset="subtract"),
    }
    return Graph(nodes, [("events", "conv"), ("conv", "lif")], continuous())


def recording(side: int, n: int, duration_s: float, rng: np.random.Generator) -> neuro.Events:
    """Events uniform over the map and in time."""
    size = 2 * side * side
    t_us = np.sort(rng.integers(0, int(duration_s * 1e6), n))
    return neuro.Events(t_us, rng.integers(0, size, n), np.ones(n), (2, side, side))


def is_equal_to_oracle(rng: np.random.Generator) -> bool:
    """Compare every spike and count on a small map."""
    graph, events = layer(6, rng), recording(6, 150, 0.2, rng)
    listed = list(zip(events.t_us.tolist(), events.index.tolist(), events.value.tolist(), strict=True))
    oracle, result = simulate_events(graph, listed), neuro.simulate(graph, events)
    output = result.output
    found = list(zip(output.t_us.tolist(), output.index.tolist(), output.value.tolist(), strict=True))
    counts = result.counters.synaptic_operations["conv"] == oracle.synaptic_operations["conv"]
    return found == oracle.left["lif"] and counts and len(found) > 0


def measure(graph: Graph, events: neuro.Events, n_runs: int) -> tuple[float, neuro.EventResult]:
    """Seconds of the fastest of several runs."""
    result = neuro.simulate(graph, events)
    best = float("inf")
    for _ in range(n_runs):
        start = time.thread_time()
        result = neuro.simulate(graph, events)
        best = min(best, time.thread_time() - start)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events and runs")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    if not is_equal_to_oracle(rng):
        raise SystemExit("the engine and the oracle differ")
    n, n_runs = (200_000, 10) if arguments.quick else (1_000_000, 20)
    seconds, result = measure(layer(128, rng), recording(128, n, n / 1e5, rng), n_runs)
    n_spikes = result.counters.spikes["lif"]
    claim = f"continuous, 2 -> 32, 3x3, 128x128, {n:,} events, {n_spikes:,} spikes"
    operations = result.counters.total_synaptic_operations
    rows: list[Row] = [against_goal(claim, n / seconds / 1e6, GOAL / 1e6, "million events/s per core")]
    show(rows, title="Continuous execution", json_path=arguments.json)
    print(
        f"{operations / seconds / 1e9:.2f} billion synaptic operations/s, {n_spikes / n:.2f} spikes per event"
    )


if __name__ == "__main__":
    main()
