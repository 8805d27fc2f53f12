"""Pools of spikes folded into the convolution behind them, against the two nodes: same spikes, other work."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from rows import Row
from timing import best_seconds_of

import neuro
from neuro.graph import LIF, AvgPool2d, Conv2d, Graph, Input, clocked, fold_spike_pooling

__all__ = ["pool_rows"]

GRID = 2.0**-10
SHAPES = ((128, 128, 32, 20), (16, 32, 34, 60))  # channels in and out, rows, steps
DENSITIES = (0.005, 0.05, 0.3)


def pool_rows(is_quick: bool) -> list[Row]:
    """Measure an average pool of 2 x 2 before a 3 x 3 convolution and neurons, at three densities of spikes."""
    return [
        _row(shape, density, 3 if is_quick else 15)
        for shape in SHAPES[is_quick:]
        for density in (DENSITIES[1:2] if is_quick else DENSITIES)
    ]


def _row(shape: tuple[int, int, int, int], density: float, repeats: int) -> Row:
    c_in, c_out, side, n_steps = shape
    rng = np.random.default_rng(0)
    nodes: dict[str, Any] = {
        "in": Input((c_in, side, side), 1),
        "pool": AvgPool2d(2),
        "conv": Conv2d(rng.integers(-24, 41, (c_out, c_in, 3, 3)) * GRID, padding=1),
        "lif": LIF(0.01, 8 * GRID * 9 * c_in * density),  # about what the membranes reach on average
    }
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001), weight_grid=GRID)
    folded = fold_spike_pooling(graph)
    frames = neuro.Spikes.from_dense(rng.random((n_steps, c_in, side, side)) < density)
    apart, together = neuro.simulate(graph, frames), neuro.simulate(folded, frames)
    times = best_seconds_of(
        {
            "folded": lambda: neuro.simulate(folded, frames),
            "two nodes": lambda: neuro.simulate(graph, frames),
        },
        repeats=repeats,
    )
    ours, theirs = (1e3 * times[name] / n_steps for name in ("folded", "two nodes"))
    more = together.counters.total_synaptic_operations / apart.counters.total_synaptic_operations
    claim = f"pool of spikes folded, {c_in} -> {c_out} at {side}x{side}, {density:.1%}, {more:.2f} x the operations"
    is_equal = apart.output.tobytes() == together.output.tobytes() and bool(apart.output.any())
    return Row(claim, ours, "two nodes", theirs, "ms/step", theirs / ours, 1.0, is_equal)
