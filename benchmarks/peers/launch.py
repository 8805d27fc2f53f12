"""Asking a simulator of another project: files in a temporary folder, its own interpreter, one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from protocol import NetworkModel, Request, Spikes

__all__ = ["PEERS", "ask", "is_there"]

ROOT = Path(__file__).resolve().parents[2]

PEERS = {  # peer: interpreter, runner, what installs it
    "NumPy": (".venv", "run_numpy.py", "make setup"),
    "NEST": (".venv-nest", "run_nest.py", "make nest"),
    "Brian2": (".venv", "run_brian2.py", "make setup"),
    "brainevent": (".venv-peers", "run_brainevent.py", "make peers"),
}
_PACKAGES = {"NumPy": "numpy", "NEST": "nest", "Brian2": "brian2", "brainevent": "brainevent"}


def is_there(peer: str) -> bool:
    """Whether the peer is installed in its environment."""
    interpreter = _interpreter(peer)
    if not interpreter.exists():
        return False
    found = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return subprocess.run([str(interpreter), "-c", found, _PACKAGES[peer]], check=False).returncode == 0


def ask(peer: str, network: NetworkModel, request: Request) -> tuple[dict[str, Any], Spikes]:
    """Run a network in another simulator.

    Parameters
    ----------
    peer : str
        A key of `PEERS`.
    network : NetworkModel
        The network; ``request.network`` is filled in.
    request : Request
        How to run it.

    Returns
    -------
    dict
        What the runner wrote (see `protocol.serve`), and 'cold_s': seconds of wall time from the start of its
        process to its end, the reading of the network (also 'load_s') included.
    tuple of two int64 arrays
        Step and neuron of each spike.

    Raises
    ------
    RuntimeError
        If the peer is not installed or fails; the message ends with its last lines.
    """
    if not is_there(peer):
        raise RuntimeError(f"{peer} is not installed in {PEERS[peer][0]}: {PEERS[peer][2]}")
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            name: Path(folder) / name for name in ("network.npz", "request.json", "result.json", "spikes.npz")
        }
        network.save(paths["network.npz"])
        full = replace(request, network=str(paths["network.npz"]), spikes=str(paths["spikes.npz"]))
        paths["request.json"].write_text(json.dumps(asdict(full)))
        runner = ROOT / "benchmarks" / "peers" / PEERS[peer][1]
        command = [
            str(_interpreter(peer)),
            str(runner),
            str(paths["request.json"]),
            str(paths["result.json"]),
        ]
        start = time.perf_counter()
        done = subprocess.run(
            command, env=_environment(request.n_threads), check=False, capture_output=True, text=True
        )
        cold_s = time.perf_counter() - start
        if done.returncode != 0:
            raise RuntimeError(f"{peer} failed on {network.name}:\n{done.stderr[-2000:]}")
        result = json.loads(paths["result.json"].read_text())
        with np.load(paths["spikes.npz"]) as arrays:
            spikes = arrays["step"], arrays["index"]
    return {**result, "cold_s": cold_s}, spikes


def _interpreter(peer: str) -> Path:
    return ROOT / PEERS[peer][0] / "bin" / "python"


def _environment(n_threads: int) -> dict[str, str]:
    """As many threads as are asked for, whatever library starts them."""
    one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(n_threads),
        "NUMBA_NUM_THREADS": str(n_threads),
        "OPENBLAS_NUM_THREADS": str(n_threads),
        **({"XLA_FLAGS": one} if n_threads == 1 else {}),
    }
