"""Running networks in Lava's simulator from here: in a fresh interpreter, with a time-out, always stopped."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.errors import LavaError, LavaTimeoutError, MissingPackageError
from hw.fixed import GRADED_KINDS, FixedGraph
from hw.inputs import checked_inputs

__all__ = ["LavaRun", "simulate", "simulate_all", "lava_version", "unsupported", "extensions"]

_INSTALL = "make lava, or: pip install networkx asteval; pip install --no-deps --ignore-requires-python lava-nc==0.10.0"


@dataclass(frozen=True, eq=False)
class LavaRun:
    """What Lava's simulator computed.

    Attributes
    ----------
    sent : mapping of str to int32 array, shape (n_steps, n)
        What each population handed on in each step of the chip, neurons in the order of its shape.
    u, v : mapping of str to int32 array, shape (n_steps, n)
        Registers after each step.
    """

    sent: Mapping[str, NDArray[np.int32]]
    u: Mapping[str, NDArray[np.int32]]
    v: Mapping[str, NDArray[np.int32]]


def lava_version() -> str | None:
    """Return the version of lava-nc, or None where it is not installed."""
    try:
        return importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        return None


def unsupported(fixed: FixedGraph) -> str:
    """Say what Lava's fixed-point models cannot do in a network; '' if they can do all of it."""
    for name, population in fixed.populations.items():
        if population.kind == "input":
            continue
        values = np.atleast_1d(population.threshold)
        if population.kind in GRADED_KINDS and (values != values[0]).any():
            return f"population {name!r}: Lava has one threshold for all neurons with graded spikes"
        if not np.all(np.asarray(population.current_decay) > 0):
            return f"population {name!r}: Lava cannot keep all of a current"
        if population.reset_interval and population.reset_step < 0:
            return f"population {name!r}: a reset interval needs a reset step"
        bits = population.spike_exponent + population.state_exponent
        if population.kind in GRADED_KINDS and (
            np.any(population.register("threshold") % (1 << bits)) or np.any(population.bias % (1 << bits))
        ):
            return f"population {name!r}: threshold and bias must be multiples of 2^{bits}"
    for connection in fixed.connections:
        if connection.kind == "sparse":
            assert connection.rows is not None
            assert connection.columns is not None
            delays = np.broadcast_to(connection.delay, connection.weights.shape)
            ends = np.stack([connection.rows, connection.columns, delays])
            if np.unique(ends, axis=1).shape[1] < ends.shape[1]:
                return f"connection {connection.name}: Lava has one synapse for each pair and delay"
        if connection.kind == "conv" and connection.longest_delay:
            return f"connection {connection.name}: Lava has no convolution with a delay"
    return ""


def extensions(fixed: FixedGraph) -> tuple[str, ...]:
    """Say what of a network is ours in Lava's neurons, because Lava has it in no fixed-point model.

    Parameters
    ----------
    fixed : FixedGraph
        The network.

    Returns
    -------
    tuple of str
        By population: registers that differ between neurons, refractory periods, reset by subtraction. Synapses, their
        delays and the update of u and v are Lava's own.
    """
    found = []
    for name, population in fixed.populations.items():
        if population.kind not in ("lif", "readout"):
            continue
        differing = [
            register
            for register in ("current_decay", "membrane_decay", "threshold")
            if np.unique(getattr(population, register)).size > 1
        ]
        if differing:
            found.append(
                f"population {name!r}: Lava's neuron takes one {' and one '.join(differing)}, it was given one for each"
            )
        if np.any(population.refractory_steps):
            found.append(
                f"population {name!r}: Lava's neuron has no refractory period, it is held by spikeloom"
            )
        if np.any(population.subtraction):
            found.append(f"population {name!r}: Lava's neuron resets to 0, spikeloom subtracts instead")
    return tuple(found)


def simulate(
    fixed: FixedGraph, spikes: Any, *, kept: NDArray[np.bool_] | None = None, timeout_s: float = 120.0
) -> LavaRun:
    """Run a network in Lava's CPU simulator, with its fixed-point models.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    spikes : neuro.Spikes or array
        The recording.
    kept : bool, shape (n_steps,), optional
        Steps that the host hands on.
    timeout_s : float
        After this time the worker and all its processes are stopped.

    Returns
    -------
    LavaRun
        All registers and spikes of ``n_steps + fixed.depth`` steps.

    Raises
    ------
    MissingPackageError
        If lava-nc is not installed.
    LavaError
        If Lava cannot do the network, or fails.
    LavaTimeoutError
        If it takes too long.
    """
    return simulate_all([(fixed, spikes, kept)], timeout_s=timeout_s)[0]


def simulate_all(
    jobs: Sequence[tuple[FixedGraph, Any, NDArray[np.bool_] | None]], *, timeout_s: float = 120.0
) -> list[LavaRun]:
    """Run several networks one after another in one worker, see :func:`simulate`."""
    if lava_version() is None:
        raise MissingPackageError(f"Lava's simulator needs lava-nc: {_INSTALL}")
    described = []
    for k, (fixed, spikes, kept) in enumerate(jobs):
        reason = unsupported(fixed)
        if reason:
            raise LavaError(f"Lava cannot run this network: {reason}")
        n_steps, inputs = checked_inputs(fixed, spikes, kept, None)
        described.append(
            {
                "place": f"job{k}",
                "fixed": {
                    "populations": dict(fixed.populations), "connections": fixed.connections,
                    "input_name": fixed.input_name, "gate_name": fixed.gate_name, "depths": dict(fixed.depths),
                },
                "inputs": inputs,
                "n_steps": n_steps + fixed.depth,
            }
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="hw-lava-") as name:
        folder = Path(name)
        (folder / "jobs.pickle").write_bytes(pickle.dumps(described))
        _run_worker(folder, timeout_s)
        return [_read(fixed, folder / f"job{k}") for k, (fixed, _, _) in enumerate(jobs)]


def _run_worker(folder: Path, timeout_s: float) -> None:
    """Start a fresh interpreter in a session of its own, so that all it starts can be stopped.

    It ends with us, too: its input is a pipe that nobody writes to, and that breaks when this process is gone.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-m", "hw.lava.worker", str(folder)]
    with (folder / "log").open("w") as log:
        worker = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
        try:
            code = worker.wait(timeout_s)
        except subprocess.TimeoutExpired as err:
            raise LavaTimeoutError(
                f"Lava did not answer within {timeout_s:g} s; its worker was stopped. "
                "Give it more time or a smaller network"
            ) from err
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()
    _check_answer(folder, code)


def _check_answer(folder: Path, code: int) -> None:
    """Raise what went wrong in the worker."""
    error = folder / "error"
    if not code and not error.exists():
        return
    text = error.read_text() if error.exists() else (folder / "log").read_text()
    last = text.strip().splitlines()[-1] if text.strip() else f"exit code {code}"
    raise LavaError(f"Lava's worker failed: {last}") from RuntimeError(text)


def _read(fixed: FixedGraph, place: Path) -> LavaRun:
    from hw.lava.building import place_whc

    if not (place / "done").exists():
        raise LavaError("Lava's worker ended without results")
    sent, u, v = {}, {}, {}
    for k, (name, population) in enumerate(fixed.populations.items()):
        if population.kind == "input":
            continue
        order = place_whc(population.shape)
        parts = [
            np.load(place / f"population{k}.{part}.npy")[:, order]
            for part in range(3)
            if (place / f"population{k}.{part}.npy").exists()
        ]
        sent[name] = parts[-1]
        if len(parts) == 3:
            u[name], v[name] = parts[0], parts[1]
    return LavaRun(sent, u, v)
