"""Measuring what the paths cost on this machine, once: a fraction of a second, kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import binding

from neuro.graph import LIF, Conv2d
from neuro.kernels import arrays
from neuro.kernels.arrays import Frames
from neuro.kernels.sources import kernels_digest
from neuro.lowering.costs import Cost, Costs, Shape, Thresholds, all_from
from neuro.lowering.keeping import cache_folder, write_whole
from neuro.lowering.layer import Layer
from neuro.lowering.layout import Layout
from neuro.lowering.parameters import lower_neurons, resting_voltage
from neuro.lowering.run import Path, Run
from neuro.lowering.signals import as_frames
from neuro.lowering.wiring import wire

__all__ = ["machine_costs", "measured_costs"]

_SIDE, _N_STEPS, _N_RUNS = 16, 16, 5
_FORMAT = 3


@lru_cache(maxsize=1)
def machine_costs() -> Costs:
    """Return the costs on this machine: from the cache folder, or measured now.

    Returns
    -------
    Costs
        They decide which path a step takes, never what comes out.

    Notes
    -----
    The file ``engine-costs.json`` lies in the folder named by SPIKELOOM_CACHE, or in the user's cache folder. Where it
    cannot be written, each process measures for itself.
    """
    path = cache_folder() / "engine-costs.json"
    key = _key()
    with suppress(OSError, ValueError, KeyError, TypeError):  # none yet, or of another processor or version
        known = json.loads(path.read_text())[key]
        return Costs(**{name: Cost(**values) for name, values in known.items()})
    costs = measured_costs(time.thread_time)  # the time of others on a busy machine does not count
    write_whole(path, json.dumps({key: asdict(costs)}, indent=1).encode())
    return costs


def measured_costs(clock: Callable[[], float]) -> Costs:
    """Measure all paths on small convolutions and fit the costs.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds.

    Returns
    -------
    Costs
        Non-negative least squares of the relative errors.
    """
    cases = [
        (32, 16, 0.001),
        (32, 16, 0.02),
        (32, 16, 0.2),
        (32, 128, 0.001),
        (32, 128, 0.02),
        (32, 128, 0.2),
    ]
    cases += [(2, 64, 0.004), (2, 64, 0.02), (2, 64, 0.1), (2, 64, 0.5), (2, 16, 0.02), (2, 16, 0.2)]
    layers = [(_layer(n_in, n_out), _frames(n_in, density)) for n_in, n_out, density in cases]
    fits: dict[str, Cost] = {}
    paths: tuple[Path, ...] = ("scatter", "gather", "integer", "dense")
    for path in paths:
        rows, times = [], []
        for (layer, shape), (frames, n_active) in layers:
            n_terms = shape.n_pixels * shape.n_inputs if path == "dense" else n_active * shape.n_taps
            seconds, n_visits = _run(layer, frames, path, clock)
            counts = np.array([shape.n_pixels, n_terms, n_visits / _N_STEPS])
            rows.append([*counts, *(counts * shape.n_vectors), 1])
            times.append(1e9 * seconds / _N_STEPS)
        fits[path] = _fitted(np.array(rows, float), np.array(times))
    return Costs(**fits)


def _fitted(rows: Any, times: Any) -> Cost:
    from scipy.optimize import nnls

    weights = 1 / times[:, np.newaxis]
    values, _ = nnls(rows * weights, np.ones(len(times)))
    pixel, term, visit, pixel_vector, term_vector, visit_vector, _ = (
        values.tolist()
    )  # a call costs all the same
    return Cost(pixel, pixel_vector, term, max(term_vector, 1e-3), visit, visit_vector)


def _layer(n_in: int, n_out: int) -> tuple[Layer, Shape]:
    before, layout = Layout.of((n_in, _SIDE, _SIDE)), Layout.of((n_out, _SIDE, _SIDE))
    shape = Shape(layout.n_pixels, n_out, 9 * n_in, 9.0)
    rng = np.random.default_rng(0)
    weight = (rng.integers(-9, 9, (n_out, n_in, 3, 3)) / 64).astype(np.float32)
    node = Conv2d(weight, padding=(1, 1))
    lif = LIF(0.01, 1.0)
    wiring = wire(node, before, layout)
    neurons, rest = lower_neurons(lif, layout, 0.001), resting_voltage(lif, layout)
    nothing = Thresholds(0, 0, all_from(shape))
    layer = Layer(
        "lif", ("in",), (before,), layout, "conv", "lif", wiring, neurons, rest, False, True, nothing
    )
    return layer, shape


def _frames(n_in: int, density: float) -> tuple[Frames, float]:
    layout = Layout.of((n_in, _SIDE, _SIDE))
    spikes = np.random.default_rng(1).random((_N_STEPS, layout.size)) < density
    frames = as_frames(spikes.astype(np.float32), np.ones(_N_STEPS, np.uint8), layout)
    return frames._replace(value=frames.value[:0]), float(spikes.sum()) / _N_STEPS


def _run(layer: Layer, frames: Frames, path: Path, clock: Callable[[], float]) -> tuple[float, int]:
    """Return the seconds of the fastest of several runs, and the pixels stepped in one."""
    best = np.inf
    run = Run(np.ones(_N_STEPS, np.uint8), path=path)
    for _ in range(_N_RUNS + 1):  # the first one may compile
        start = clock()
        layer.run([frames], run)
        best = min(best, clock() - start)
    return float(best), int(run.tallies[layer.name][arrays.VISITS]) // (_N_RUNS + 1)


def _key() -> str:
    """The processor, numba, and the sources of the kernels."""
    state = f"{_FORMAT} {binding.get_host_cpu_name()} {numba.__version__} {kernels_digest()}"
    return hashlib.sha256(state.encode()).hexdigest()
