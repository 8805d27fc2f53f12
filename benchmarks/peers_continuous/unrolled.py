"""The layer for simulators without convolution: one synapse per weight, and how they are asked.

A request holds the arrays t_us, index (the input spikes), indptr, indices, weight (the unrolled convolution, CSR by
input entry) and the numbers n_in, n_out, tau_us, step_us, duration_us. Neurons: dv/dt = -v / tau, fire above 1, reset
to 0.
An answer holds t_us, index (of the output spikes), run_s, build_s and version.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Answer:
    """What a peer gave back: spikes in order of (time, neuron), seconds, and its version."""

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    run_s: float
    build_s: float
    version: str


def unrolled(weight: NDArray[np.float32], side: int) -> tuple[NDArray[np.int32], ...]:
    """Return indptr, indices and weights of a convolution with padding 1, by entry of its input."""
    n_out, n_in, n_rows, n_columns = weight.shape
    channel, row, column = np.meshgrid(*map(np.arange, (n_in, side, side)), indexing="ij")
    pre, post, value = [], [], []
    for i in range(n_rows):
        for j in range(n_columns):
            out_row, out_column = row + 1 - i, column + 1 - j
            inside = (out_row >= 0) & (out_row < side) & (out_column >= 0) & (out_column < side)
            entry = ((channel * side + row) * side + column)[inside]
            pixel = (out_row * side + out_column)[inside]
            for o in range(n_out):
                pre.append(entry)
                post.append(o * side * side + pixel)
                value.append(weight[o, channel[inside], i, j])
    pre_all, post_all, value_all = map(np.concatenate, (pre, post, value))
    order = np.lexsort((post_all, pre_all))
    indptr = np.searchsorted(pre_all[order], np.arange(n_in * side * side + 1))
    return indptr.astype(np.int32), post_all[order].astype(np.int32), value_all[order].astype(np.float32)


def ask(interpreter: Path, script: str, request: dict[str, object]) -> Answer:
    """Run a peer in its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "request.npz", Path(folder) / "answer.npz"
        np.savez(asked, **request)  # type: ignore[arg-type]
        command = [str(interpreter), str(HERE / script), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{script} failed:\n{done.stderr[-2000:]}")
        found = np.load(answered)
        order = np.lexsort((found["index"], found["t_us"]))
        return Answer(
            found["t_us"][order].astype(np.int64),
            found["index"][order].astype(np.int64),
            float(found["run_s"]),
            float(found["build_s"]),
            str(found["version"]),
        )
