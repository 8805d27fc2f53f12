"""How a simulator of another project is asked and answers: a request and a result in JSON, networks and spikes as .npz.

Every runner is a script called as ``PYTHON run_PEER.py request.json result.json`` by the interpreter that has the
peer. This module needs NumPy only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from network_models import NetworkModel

__all__ = ["NetworkModel", "Request", "Answer", "Spikes", "serve", "statistics"]

Spikes = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes
    ----------
    network : str
        File written by `NetworkModel.save`.
    n_steps : int
        Steps to simulate.
    n_threads : int
        Threads that the simulator may use.
    precision : {'float64', 'float32'}
        Of state and weights, where the simulator has a choice.
    method : str
        Integration of conductance-based neurons where there is a choice; '' for the best match.
    n_runs : int
        Times to run from the start, where a simulator can without compiling again; the fastest counts.
    seed : int
        Seed of Poisson sources.
    spikes : str
        File to write the spikes to (arrays step, index), or ''.
    """

    network: str
    n_steps: int
    n_threads: int = 1
    precision: str = "float64"
    method: str = ""
    n_runs: int = 1
    seed: int = 1
    spikes: str = ""


@dataclass(frozen=True)
class Answer:
    """What a runner measured.

    Attributes
    ----------
    peer, version, precision : str
        Who answers.
    run_s : float
        Seconds of wall time of the simulation alone: fastest run, network built and compiled.
    processor_s : float or None
        Processor time of the same, where the runner can tell; it hardly depends on what else the machine does.
    build_s, compile_s : float
        Seconds for building the network, and for generating and compiling code.
    spikes : tuple of two int64 arrays
        Step and neuron of each spike, ascending.
    """

    peer: str
    version: str
    precision: str
    run_s: float
    processor_s: float | None
    build_s: float
    compile_s: float
    spikes: Spikes
    more: dict[str, Any] = field(default_factory=dict)


def statistics(network: NetworkModel, spikes: Spikes, n_steps: int, *, from_step: int = 0) -> dict[str, Any]:
    """Compute mean rates in Hz and the mean coefficient of variation of the intervals (neurons with 3 or more)."""
    step, index = (array[spikes[0] >= from_step] for array in spikes)
    duration_s = (n_steps - from_step) * network.dt_ms * 1e-3
    counts = np.bincount(index, minlength=network.n_neurons)
    sizes = np.bincount(network.population)
    rates = np.bincount(network.population, counts) / sizes / duration_s
    order = np.lexsort((step, index))
    interval = np.diff(step[order])[np.diff(index[order]) == 0].astype(np.float64)
    owner = index[order][1:][np.diff(index[order]) == 0]
    n = np.bincount(owner, minlength=network.n_neurons)
    safe = np.maximum(n, 1)
    mean = np.bincount(owner, interval, network.n_neurons) / safe
    square = np.bincount(owner, interval**2, network.n_neurons) / safe
    with_intervals = n >= 3
    deviation = np.sqrt(np.maximum(square - mean**2, 0))[with_intervals]
    cv = float((deviation / mean[with_intervals]).mean()) if with_intervals.any() else float("nan")
    names = network.population_names.tolist()
    return {
        "n_spikes": int(step.size),
        "rate_hz": float(counts.mean() / duration_s),
        "rates_hz": dict(zip(names, rates.tolist(), strict=True)),
        "cv": cv,
    }


def serve(run: Callable[[NetworkModel, Request], Answer]) -> None:
    """Answer the request named on the command line."""
    request_path, result_path = map(Path, sys.argv[1:3])
    request = Request(**json.loads(request_path.read_text()))
    start = time.perf_counter()
    network = NetworkModel.load(Path(request.network))
    load_s = time.perf_counter() - start
    answer = run(network, request)
    order = np.lexsort((answer.spikes[1], answer.spikes[0]))
    spikes = (answer.spikes[0][order].astype(np.int64), answer.spikes[1][order].astype(np.int64))
    if request.spikes:
        np.savez(request.spikes, step=spikes[0], index=spikes[1])
    document = {
        **{name: value for name, value in asdict(answer).items() if name != "spikes"},
        "load_s": load_s,
        "network": network.name,
        "n_threads": request.n_threads,
        "n_steps": request.n_steps,
        **statistics(network, spikes, request.n_steps),
    }
    result_path.write_text(json.dumps(document, indent=1) + "\n")
