"""Continuous execution: input events per second and core on a 2 -> 32, 3 x 3 layer at 128 x 128, with spikes.

The same layer on a small map is compared with the plain-Python oracle first. Time is that of the processor, not of
the wall, so that other programs count less; the best of several runs through the front door.

Peers get the layer on a smaller map, with the convolution unrolled to one synapse per weight and the same events, at
most one for each neuron in a millisecond, which is their step: then simulators with a clock compute the same network.
NEST (`make nest`) has precise times and a refractory period of a step, so it is compared with the same period here;
brainevent (`make peers`) and Brian2 have none. Their time is that of the loop alone, ours holds everything.

A recurrent network, whose waves a cycle makes short, follows in `continuous_cycles.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from continuous_cycles import compare_cycles
from rows import Row, against_goal, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers_continuous"))

from unrolled import ask, unrolled

import neuro
from neuro.graph import LIF, Conv2d, CubaLIF, Graph, Input, continuous
from neuro.reference_events import evaluate_events

ROOT = Path(__file__).resolve().parents[1]
GOAL = 5e6
GOAL_PEER = 10.0
TAU_MEM_S = 0.02
STEP_US = 1000  # of the peers
AGREEMENT = 0.999  # share of spikes (time, neuron) in common; single and double precision differ in a few
RATE_HZ = 6.1  # events per second and input pixel, as on the large map


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
    oracle, result = evaluate_events(graph, events), neuro.simulate(graph, events)
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


def sparse_recording(side: int, duration_s: float, rng: np.random.Generator) -> neuro.Events:
    """Events on whole steps; those of one step lie on a grid of every third row and column, so no neuron gets two."""
    n_steps = int(duration_s * 1e6) // STEP_US
    n = round(RATE_HZ * side * side * STEP_US * 1e-6)
    times, index = [], []
    for k in range(1, n_steps):  # NEST takes no spike at 0
        rows, columns = np.meshgrid(*(np.arange(rng.integers(3), side, 3) for _ in range(2)), indexing="ij")
        pixel = rng.choice((rows * side + columns).ravel(), n, replace=False)
        times.append(np.full(n, k * STEP_US))
        index.append(rng.integers(0, 2, n) * side * side + pixel)
    size = n * (n_steps - 1)
    return neuro.Events(np.concatenate(times), np.concatenate(index), np.ones(size), (2, side, side))


PEERS = {
    "NEST": ("run_nest.py", ROOT / ".venv-nest" / "bin" / "python", "make nest"),
    "brainevent": ("run_brainevent.py", ROOT / ".venv-peers" / "bin" / "python", "make peers"),
    "Brian2 C++": ("run_brian.py", Path(sys.executable), "make peers"),
}


def compare(peer: str, side: int, duration_s: float, n_runs: int) -> Row | None:
    """One peer on the same events; None, with the reason printed, where it cannot be asked."""
    script, interpreter, remedy = PEERS[peer]
    if not interpreter.is_file():
        print(f"{peer}: not compared, {interpreter} is missing: {remedy}")
        return None
    rng = np.random.default_rng(1)
    weight = (rng.random((32, 2, 3, 3)) * 0.35).astype(np.float32)
    events = sparse_recording(side, duration_s, rng)
    indptr, indices, weights = unrolled(weight, side)
    try:
        answer = ask(
            interpreter,
            script,
            {
                "t_us": events.t_us, "index": events.index, "indptr": indptr, "indices": indices, "weight": weights,
                "n_in": 2 * side * side, "n_out": 32 * side * side, "tau_us": TAU_MEM_S * 1e6, "step_us": STEP_US,
                "duration_us": int(duration_s * 1e6),
            },
        )  # fmt: skip
    except RuntimeError as err:
        print(f"{peer}: not compared: {err}")
        return None
    neurons = LIF(TAU_MEM_S, 1.0, refractory_s=STEP_US * 1e-6 if peer == "NEST" else 0.0)
    nodes = {"events": Input((2, side, side)), "conv": Conv2d(weight, padding=1), "lif": neurons}
    graph = Graph(nodes, [("events", "conv"), ("conv", "lif")], continuous())
    seconds, result = measure(graph, events, n_runs)
    ours = set(zip(result.output.t_us.tolist(), result.output.index.tolist(), strict=True))
    theirs = set(zip(answer.t_us.tolist(), answer.index.tolist(), strict=True))
    agreement = len(ours & theirs) / max(len(ours | theirs), 1)
    print(
        f"{peer} {answer.version}: {len(ours & theirs):,} spikes of {len(ours | theirs):,} in common, run "
        f"{answer.run_s:.3f} s after {answer.build_s:.1f} s for building and compiling; ours {seconds:.4f} s in all"
    )
    claim = f"the layer at {side}x{side}, {len(events):,} events" + (
        ", refractory 1 ms" if peer == "NEST" else ""
    )
    speed, other = len(events) / seconds / 1e6, len(events) / answer.run_s / 1e6
    unit = "million events/s per core"
    return Row(claim, speed, peer, other, unit, speed / other, GOAL_PEER, agreement >= AGREEMENT)


def show_other_neurons(n: int, n_runs: int) -> None:
    """Print the speed of layers whose neurons have times of their own."""
    rng = np.random.default_rng(2)
    events = recording(128, n, n / 1e5, rng)
    events = neuro.Events(events.t_us, events.index, events.value, events.shape, duration_us=n * 10)
    weight = rng.random((32, 2, 3, 3)) * 0.35
    kinds = {
        "refractory 1 ms": (LIF(TAU_MEM_S, 1.0, refractory_s=1e-3), None, 1),
        "driven": (LIF(TAU_MEM_S, 1.0), np.full(32, 1.02), 1),
        "exponential currents": (CubaLIF(TAU_MEM_S, 0.005, 1.0), None, 4),
    }
    for kind, (neurons, bias, scale) in kinds.items():
        conv = Conv2d(weight * scale, bias, padding=1)
        nodes = {"events": Input((2, 128, 128)), "conv": conv, "lif": neurons}
        graph = Graph(nodes, [("events", "conv"), ("conv", "lif")], continuous())
        seconds, result = measure(graph, events, n_runs)
        n_spikes = result.counters.spikes["lif"]
        print(
            f"{kind}: {n / seconds / 1e6:.3f} million events/s, {n_spikes / seconds / 1e6:.3f} million spikes/s "
            f"({n:,} events, {n_spikes:,} spikes)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events and runs")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="whom to compare with"
    )
    parser.add_argument("--side", type=int, default=32, help="rows and columns of the map that peers get")
    arguments = parser.parse_args()
    if arguments.quick and "Brian2 C++" in arguments.peers:
        arguments.peers.remove("Brian2 C++")  # compiles for a minute
    rng = np.random.default_rng(0)
    if not is_equal_to_oracle(rng):
        raise SystemExit("the engine and the oracle differ")
    n, n_runs = (200_000, 10) if arguments.quick else (1_000_000, 20)
    seconds, result = measure(layer(128, rng), recording(128, n, n / 1e5, rng), n_runs)
    n_spikes = result.counters.spikes["lif"]
    claim = f"continuous, 2 -> 32, 3x3, 128x128, {n:,} events, {n_spikes:,} spikes"
    operations = result.counters.total_synaptic_operations
    rows: list[Row] = [against_goal(claim, n / seconds / 1e6, GOAL / 1e6, "million events/s per core")]
    side, duration_s = (16, 0.2) if arguments.quick else (arguments.side, 0.5)
    for peer in arguments.peers:
        row = compare(peer, side, duration_s, n_runs)
        rows += [] if row is None else [row]
    has_nest = "NEST" in arguments.peers and PEERS["NEST"][1].is_file()
    rows += compare_cycles(is_quick=arguments.quick, has_nest=has_nest)
    show_other_neurons(20_000 if arguments.quick else 100_000, 3)
    show(rows, title="Continuous execution", json_path=arguments.json)
    print(
        f"{operations / seconds / 1e9:.2f} billion synaptic operations/s, {n_spikes / n:.2f} spikes per event"
    )


if __name__ == "__main__":
    main()
