"""All peers on all networks, once: a table and a JSON file. `engine_networks.py` sets the engine beside them.

Every simulator runs the same synapses from the same state; its spikes of the first 100 ms are compared with those of
the plain NumPy run, one by one. (NEST's conductance-based neurons and Brian2's 'euler' solve the equations otherwise.)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from launch import ask, is_there
from protocol import NetworkModel, Request, Spikes
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from network_models import coba, cuba, microcircuit
from rows import machine

COMPARED_STEPS = 1000
COLUMNS = ("network", "peer", "precision", "threads", "run_s", "processor_s", "build_s", "compile_s", "cold_s",
           "rate_hz", "cv", "equal")  # fmt: skip


def requests(
    network: NetworkModel, threads: Sequence[int], *, n_steps: int, n_runs: int
) -> Iterator[tuple[str, Request]]:
    """What to ask of whom."""
    for n_threads in threads:
        yield "NEST", Request("", n_steps, n_threads=n_threads)
    if network.poisson_weight:
        return
    for precision in ("float64", "float32"):
        yield "Brian2", Request("", n_steps, precision=precision, n_runs=n_runs)
        yield "brainevent", Request("", n_steps, precision=precision, n_runs=n_runs)
    if network.kind == "conductance":
        yield "Brian2", Request("", n_steps, method="euler", n_runs=n_runs)
    for n_threads in threads:
        if n_threads > 1:
            yield "Brian2", Request("", n_steps, n_threads=n_threads, n_runs=n_runs)


def is_equal(spikes: Spikes, expected: Spikes) -> bool:
    """Whether the spikes of the first steps are the same."""
    heads = [[array[part[0] < COMPARED_STEPS] for array in part] for part in (spikes, expected)]
    return all(a.size == b.size and bool((a == b).all()) for a, b in zip(*heads, strict=True))


def main() -> None:
    """Run what is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the networks of 4,000 neurons, 200 ms")
    parser.add_argument("--json", type=Path, help="write the answers to this file")
    parser.add_argument("--scale", type=float, default=0.2, help="of the microcircuit")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="of NEST, and of Brian2 above 1")
    parser.add_argument("--steps", type=int, help="instead of 1 s (200 ms)")
    parser.add_argument("--only", nargs="+", help="networks whose names begin so")
    arguments = parser.parse_args()
    builders: list[Callable[[], NetworkModel]] = [cuba, coba]
    if not arguments.quick:
        builders += [lambda: cuba(100_000), lambda: coba(100_000), lambda: microcircuit(arguments.scale)]
    n_steps = arguments.steps or (2_000 if arguments.quick else 10_000)
    answers: list[dict[str, Any]] = []
    for build in builders:
        network = build()
        if arguments.only and not network.name.startswith(tuple(arguments.only)):
            continue
        _, expected = ask("NumPy", network, Request("", COMPARED_STEPS))
        for peer, request in requests(
            network, arguments.threads, n_steps=n_steps, n_runs=3 if network.n_neurons < 10_000 else 1
        ):
            if not is_there(peer):
                print(f"{peer} is not installed", file=sys.stderr)
                continue
            answer, spikes = ask(peer, network, request)
            answer["equal"] = not network.poisson_weight and is_equal(spikes, expected)
            answer["method"] = request.method
            answers.append(answer)
            print(
                {name: answer.get(name) for name in ("network", "peer", "run_s", "cold_s")}, file=sys.stderr
            )
    _show(answers)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "answers": answers}, indent=1) + "\n")


def _show(answers: list[dict[str, Any]]) -> None:
    table = Table(title=machine())
    for name in COLUMNS:
        table.add_column(name)
    for answer in answers:
        shown = {
            **answer,
            "threads": answer["n_threads"],
            "peer": f"{answer['peer']} {answer['version']} {answer['method']}",
        }
        cells = [shown[name] for name in COLUMNS]
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
