"""Networks of populations against Brian2 (C++), NEST and brainevent: COBA, CUBA (with one delay and with 200) and the
cortical microcircuit.

Every simulator runs the same synapses from the same state. First the spikes of 100 ms in float64 are compared with
those of plain NumPy, one by one; in float32 the networks are chaotic, and population rates and the variation of
intervals are compared. Times are of the simulation alone, the fastest of several: processor time of the whole call
here, the peers' own measure there. A cold start is a new process from its start to the result, compilation included
there, kernels and bytecode from their caches here (the first start ever compiles the kernels for about 15 s).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row, against_goal, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from launch import ask, is_there
from network_graphs import as_graph, listed_spikes
from network_models import NetworkModel, coba, cuba, microcircuit, scattered
from protocol import Request, statistics

import neuro

ROOT = Path(__file__).resolve().parents[1]
COMPARED_STEPS = 1000
COLD_RUNS = 3  # on both sides; the fastest counts
LARGE = 10_000  # neurons: cold starts are those of smaller networks
PEERS = ("Brian2", "brainevent", "NEST")
RATE_MARGIN = 0.1  # rates of one second of a chaotic network differ by some percent between seeds


@dataclass(frozen=True)
class Measured:
    """One run here: seconds of wall and processor time, its spikes and statistics, the threads taken."""

    wall_s: float
    processor_s: float
    spikes: tuple[Any, Any]
    statistics: dict[str, Any]
    operations: int
    n_threads: int


def measure(
    network: NetworkModel, precision: Any, n_steps: int, *, n_runs: int, n_threads: int = 1
) -> Measured:
    """Run a network here; the fastest of several runs, without recording, and one run that records its spikes."""
    graph = as_graph(network)
    names = [name for name, node in graph.nodes.items() if hasattr(node, "refractory_s")]
    result = neuro.simulate(
        graph,
        n_steps=n_steps,
        precision=precision,
        n_threads=n_threads,
        record=dict.fromkeys(names, "spikes"),
    )
    best = [float("inf")] * 2
    for _ in range(n_runs):
        clocks = time.perf_counter(), time.process_time()
        neuro.simulate(graph, n_steps=n_steps, precision=precision, n_threads=n_threads)
        best = [
            min(a, b - c)
            for a, b, c in zip(best, (time.perf_counter(), time.process_time()), clocks, strict=True)
        ]
    spikes = listed_spikes(network, result)
    operations = result.counters.total_synaptic_operations
    found = statistics(network, spikes, n_steps)
    return Measured(*best, spikes, found, operations, result.n_threads)


def is_equal_to_numpy(network: NetworkModel) -> bool:
    """Compare every spike of the first steps in float64 with plain NumPy's."""
    _, expected = ask("NumPy", network, Request("", COMPARED_STEPS))
    found = measure(network, "float64", COMPARED_STEPS, n_runs=0).spikes
    return all(a.size == b.size and bool((a == b).all()) for a, b in zip(found, expected, strict=True))


def cold_start_s(network: NetworkModel, n_steps: int) -> float:
    """Seconds from the start of a process to its end: the fastest of several after one that fills the caches."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path\nimport neuro\n"
        "from network_graphs import as_graph\nfrom network_models import NetworkModel\n"
        "network = NetworkModel.load(Path(sys.argv[3]))\n"
        "neuro.simulate(as_graph(network), n_steps=int(sys.argv[4]), precision='float64')\n"
    )
    best = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        network.save(path)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder
        arguments = [str(ROOT), str(ROOT / "benchmarks"), str(path), str(n_steps)]
        for run in range(COLD_RUNS + 1):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program, *arguments], env=environment, check=True)
            best = min(best, time.perf_counter() - start) if run else best
    return best


def can_run(peer: str, network: NetworkModel) -> bool:
    """Whether a peer is installed and runs a network: NEST has sources, NEST and Brian2 a delay for every synapse."""
    has_all = peer == "NEST" or not network.poisson_weight
    return has_all and (peer != "brainevent" or network.delay_steps.size == 1) and is_there(peer)


def cold_rows(network: NetworkModel, n_steps: int, is_equal: bool) -> Iterator[Row]:
    """Cold starts against each peer: 20 times faster than those that compile, faster than NEST, which does not."""
    ours = cold_start_s(network, n_steps)
    for peer in PEERS:
        if can_run(peer, network):
            request = Request("", n_steps, n_runs=1)
            theirs = min(float(ask(peer, network, request)[0]["cold_s"]) for _ in range(COLD_RUNS))
            goal = 1.0 if peer == "NEST" else 20.0
            yield Row(f"{network.name}, cold start", ours, peer, theirs, "s", theirs / ours, goal, is_equal)


def seconds(answer: dict[str, Any]) -> float:
    """How long a peer ran: processor time where it can tell, which hardly depends on what else the machine does."""
    return float(answer["run_s"] if answer["processor_s"] is None else answer["processor_s"])


def asked(
    network: NetworkModel, n_steps: int, n_runs: int, peers: Sequence[str] = PEERS
) -> Iterator[dict[str, Any]]:
    """The peers' answers, those that are installed, with one thread."""
    for peer in peers:
        if not can_run(peer, network):
            continue
        for precision in ("float64", "float32") if peer != "NEST" else ("float64",):
            try:
                answer, _ = ask(peer, network, Request("", n_steps, precision=precision, n_runs=n_runs))
            except RuntimeError as err:
                print(err, file=sys.stderr)
                continue
            yield answer


def is_alike(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether population rates and the variation of intervals agree within `RATE_MARGIN`."""
    pairs = [(ours["rates_hz"][name], rate) for name, rate in theirs["rates_hz"].items()] + [
        (ours["cv"], theirs["cv"])
    ]
    return all(abs(a - b) <= RATE_MARGIN * max(abs(b), 0.5) for a, b in pairs)


def balanced_rows(network: NetworkModel, n_steps: int, n_runs: int, peers: Sequence[str]) -> Iterator[Row]:
    """Rows of a network of Brette et al.: same precision, float32, cold start, share of the machine."""
    is_equal = is_equal_to_numpy(network)
    ours = {word: measure(network, word, n_steps, n_runs=n_runs) for word in ("float64", "float32")}
    answers = list(asked(network, n_steps, n_runs, peers))
    for precision, goal in (("float64", 1.5), ("float32", 1.5)):
        same = [answer for answer in answers if answer["precision"] == precision]
        if same:
            best = min(same, key=seconds)
            ratio = seconds(best) / ours[precision].processor_s
            equal = is_equal if precision == "float64" else is_alike(ours[precision].statistics, best)
            yield Row(
                f"{network.name}, {precision}", ours[precision].processor_s, best["peer"], seconds(best), "s",
                ratio, goal, equal,
            )  # fmt: skip
    if answers:
        best = min(answers, key=seconds)
        ratio = seconds(best) / ours["float32"].processor_s
        alike = is_alike(ours["float32"].statistics, best)
        claim = f"{network.name}, float32 against any precision"
        yield Row(claim, ours["float32"].processor_s, best["peer"], seconds(best), "s", ratio, 3.0, alike)
    for answer in answers:
        print(f"{network.name}: {answer['peer']}, {answer['precision']}: {seconds(answer):.4g} s, built in "
              f"{answer['build_s']:.3g} s", file=sys.stderr)  # fmt: skip
    if network.n_neurons < LARGE:
        yield from cold_rows(network, n_steps, is_equal)
    for precision, measured in ours.items():
        size = 4 if precision == "float32" else 8
        moved = 6 * size * network.n_neurons * n_steps  # membrane and two currents, read and written
        rate = moved / measured.processor_s / 1e9
        yield against_goal(
            f"{network.name}, {precision}: state moved (copy: {copy_rate():.0f} GB/s)",
            rate,
            copy_rate(),
            "GB/s",
        )


def copy_rate() -> float:
    """Bytes read and written per second, in 1e9, by a copy of 64 KiB in the caches."""
    a, b = np.zeros(8192), np.ones(8192)
    best = float("inf")
    for _ in range(20):
        start = time.thread_time()
        for _ in range(1000):
            np.copyto(a, b)
        best = min(best, time.thread_time() - start)
    return 2 * a.nbytes * 1000 / best / 1e9


def microcircuit_rows(scale: float, n_steps: int) -> Iterator[Row]:
    """Rows of the microcircuit: times slower than real time by threads, population rates against NEST's.

    One thread on both sides: processor time; several: wall time, which needs an idle machine.
    """
    network = microcircuit(scale)
    duration_s = n_steps * network.dt_ms * 1e-3
    answers = list(asked(network, n_steps, 1))
    for n_threads in range(1, (os.cpu_count() or 1) + 1):
        ours = measure(network, "float32", n_steps, n_runs=1, n_threads=n_threads)
        factor = (ours.processor_s if n_threads == 1 else ours.wall_s) / duration_s
        rates = ", ".join(f"{name} {rate:.2f}" for name, rate in ours.statistics["rates_hz"].items())
        print(f"{network.name}, {n_threads} threads ({ours.n_threads} taken): {rates} Hz; wall {ours.wall_s:.3g} s, "
              f"processor {ours.processor_s:.3g} s; {ours.operations / ours.wall_s / 1e6:.0f} M synaptic "
              f"operations per second", file=sys.stderr)  # fmt: skip
        for answer in answers:
            print(f"NEST: {json.dumps(answer['rates_hz'])}", file=sys.stderr)
            theirs = seconds(answer) / duration_s
            claim = f"{network.name}, {n_threads} threads, float32: times real time"
            yield Row(claim, factor, f"{answer['peer']}, 1 thread", theirs, "x", theirs / factor, 1.0,
                      is_alike(ours.statistics, answer))  # fmt: skip
        if not answers:
            yield against_goal(
                f"{network.name}, {n_threads} threads: times real time", factor, 1.0, "x", less_is_better=True
            )


def main() -> None:
    """Measure, print the table, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the networks of 4,000 neurons, 200 ms")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--scale", type=float, default=0.1, help="of the microcircuit")
    parser.add_argument(
        "--only", nargs="+", default=["cuba", "coba", "scattered", "microcircuit"], help="networks"
    )
    parser.add_argument("--small", action="store_true", help="the networks of 4,000 neurons only, 1 s")
    parser.add_argument("--large", action="store_true", help="the networks of 100,000 neurons only")
    parser.add_argument(
        "--peers", nargs="*", default=PEERS, choices=PEERS, help="whom to compare COBA and CUBA with"
    )
    arguments = parser.parse_args()
    rows: list[Row] = []
    n_steps, n_runs = (2_000, 3) if arguments.quick else (10_000, 5)
    sizes = (
        (100_000,)
        if arguments.large
        else (4_000,)
        if arguments.quick or arguments.small
        else (4_000, 100_000)
    )
    builds = {"cuba": cuba, "coba": coba, "scattered": lambda size: scattered(cuba(size))}
    for name, build in builds.items():
        if name in arguments.only:
            for size in sizes:
                rows += balanced_rows(build(size), n_steps, n_runs if size < LARGE else 3, arguments.peers)
    if "microcircuit" in arguments.only and not arguments.large and not arguments.small:
        rows += microcircuit_rows(0.02 if arguments.quick else arguments.scale, n_steps)
    show(rows, title="Networks of populations", json_path=arguments.json)


if __name__ == "__main__":
    main()
