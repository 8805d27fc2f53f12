"""Coded neurons in the dense reference: section 16 of ``docs/graph-spec.md`` in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import (
    CODING,
    PRODUCTS,
    CountMatrixProduct,
    CountMaxPool2d,
    CountProduct,
    Difference,
    FirstSpikeIF,
    Graph,
    RadixIF,
    RadixMaxPool2d,
    Readout,
    SigmaDelta,
    SignedIF,
    TwoPhaseIF,
)

__all__ = ["CodedNodes", "CodedState"]

Floats = NDArray[np.float32]
F = np.float32
CodedState = Mapping[str, tuple[int, Mapping[str, Any]]]


class CodedNodes:
    """The state of all nodes of section 16, and what a step does with it."""

    def __init__(self, graph: Graph, state: CodedState) -> None:
        self._graph = graph
        self._steps = {name: found[0] for name, found in state.items()}
        self._memory: dict[str, dict[str, Any]] = {name: dict(found[1]) for name, found in state.items()}
        if not state:
            for name, node in graph.nodes.items():
                if isinstance(node, CODING):
                    self._steps[name] = 0  # R150: steps count from the first of the run
                    self._memory[name] = _start(node, graph, name)

    def step(self, name: str, inputs: list[Any]) -> Floats:
        """Return the output of a node in a step."""
        node, memory, k = self._graph.nodes[name], self._memory[name], self._steps[name]
        self._steps[name] += 1
        x = inputs if isinstance(node, PRODUCTS) else inputs[0]
        y: Floats = np.asarray(_RULES[type(node)](node, memory, x, k), F)
        return y

    def membranes(self) -> dict[str, Floats]:
        """Return the membranes of all coded neurons."""
        return {name: memory["v"] for name, memory in self._memory.items() if "v" in memory}

    def state(self) -> CodedState:
        """Return what the next chunk starts from."""
        return MappingProxyType(
            {name: (self._steps[name], MappingProxyType(dict(self._memory[name]))) for name in self._memory}
        )


def _start(node: Any, graph: Graph, name: str) -> dict[str, Any]:
    shape = graph.shapes[name]
    before = graph.shapes[graph.predecessors(name)[0]]
    zeros = np.zeros(shape, F)
    if isinstance(node, PRODUCTS):
        empty = [np.zeros(graph.shapes[source], F) for source in graph.predecessors(name)]
        return {"counts": empty, "slopes": empty, "before": [zeros, zeros]}
    if isinstance(node, (CountMaxPool2d, RadixMaxPool2d)):
        return {"c": np.zeros(before, F), "m": zeros}
    if isinstance(node, Difference):
        return {"x": zeros}
    if isinstance(node, Readout):
        return {"i": zeros}
    v = zeros + F(getattr(node, "v_start", 0.0))
    return {"v": v, "n": np.zeros(shape, np.int64), "i": zeros}


def _two_phase(node: TwoPhaseIF, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R151."""
    v, threshold = memory["v"] + x, F(node.threshold)
    fires = (v >= threshold) & (node.start_step <= k < node.start_step + node.n_levels)
    memory["v"] = np.where(fires, v - threshold, v)
    return fires


def _signed(node: SignedIF, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R152."""
    n, threshold = memory["n"], F(node.threshold)
    if k == 0:
        memory["i"] = memory["i"] + F(node.drive)
        if node.holds_input:
            memory["i"], x = memory["i"] + x / F(node.drive_steps), np.zeros_like(x)
    v = memory["v"] + x
    if k < node.drive_steps:
        v = v + memory["i"]
    up = (v >= threshold) & (n < node.max_count)
    down = ~up & (v < 0) & (n > node.min_count)
    memory["v"] = np.where(up, v - threshold, np.where(down, v + threshold, v))
    memory["n"] = n + up - down
    return up.astype(F) - down.astype(F)


def _radix(node: RadixIF, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R153."""
    v, digit = memory["v"], k - node.start_step
    if digit <= 0:
        v = (v + v) + x
    if digit == 0:
        v = v + F(node.offset)
    fires = np.zeros(v.shape, bool)
    if 0 <= digit < node.n_bits:
        place = F(node.threshold) * F(2.0 ** (node.n_bits - 1 - digit))
        fires = v >= place
        v = np.where(fires, v - place, v)
    memory["v"] = v
    return fires


def _first_spike(node: FirstSpikeIF, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R154."""
    v, at = memory["v"], k - node.start_step
    if at <= 0:
        memory["i"] = memory["i"] + x
        v = v + memory["i"]
    if at == 0:
        v = v + F(node.offset)
    memory["v"] = v
    fires = np.zeros(v.shape, bool)
    if 0 <= at < node.n_levels:
        fires = (v >= F(node.threshold) * F(node.n_levels - at)) & (memory["n"] == 0)
        memory["n"] = memory["n"] + fires
    return fires


def _sigma_delta(node: SigmaDelta, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R155."""
    memory["v"] = memory["v"] + x
    count = np.clip(np.floor(memory["v"] / F(node.threshold)), node.min_count, node.max_count)
    change = count - memory["n"]
    memory["n"] = count.astype(np.int64)
    return change


def _readout(node: Readout, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R156."""
    left = node.start_step - k
    if node.code == "radix":
        y = x * F(2.0**left) if left >= 0 else np.zeros_like(x)
    elif node.code == "first_spike":
        memory["i"] = memory["i"] + x
        y = memory["i"] if left >= 0 else np.zeros_like(x)
    else:
        y = x
    return y + F(node.drive) if 0 <= left < node.drive_steps else y


def _count_pool(node: CountMaxPool2d, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R157."""
    memory["c"] = memory["c"] + x
    before, memory["m"] = memory["m"], _maxima(node, memory["c"], memory["m"].shape)
    return memory["m"] - before


def _radix_pool(node: RadixMaxPool2d, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R158."""
    if not node.start_step <= k < node.start_step + node.n_bits:
        return np.zeros(memory["m"].shape, F)
    memory["c"] = (memory["c"] + memory["c"]) + x
    before, memory["m"] = memory["m"], _maxima(node, memory["c"], memory["m"].shape)
    return memory["m"] - F(2) * before


def _maxima(node: Any, c: Floats, shape: tuple[int, ...]) -> Floats:
    (p_r, p_c), (s_r, s_c), (k_r, k_c) = node.padding, node.strides, node.kernel_size
    padded = np.pad(c, ((0, 0), (p_r, p_r), (p_c, p_c)), constant_values=-np.inf)
    largest = np.full(shape, -np.inf, F)
    for i in range(k_r):
        for j in range(k_c):
            seen = padded[:, i : i + s_r * (shape[1] - 1) + 1 : s_r, j : j + s_c * (shape[2] - 1) + 1 : s_c]
            largest = np.maximum(largest, seen)
    return largest


def _difference(node: Difference, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R159."""
    before, memory["x"] = memory["x"], x.copy()
    return x - before


def _product(node: CountProduct, memory: dict[str, Any], x: Any, k: int) -> Any:
    """R164, R165."""
    left, is_timed = node.start_step - k, node.code != "count"
    if is_timed and left < 0:
        return np.zeros_like(memory["before"][0])
    counts, slopes = memory["counts"], memory["slopes"]
    if node.code == "radix":
        counts = [c + c for c in counts]
    if node.code == "first_spike":
        memory["slopes"] = x = [i + each for i, each in zip(slopes, x, strict=True)]
    memory["counts"] = counts = [c + each for c, each in zip(counts, x, strict=True)]
    if not is_timed or left == 0:
        counts = [counts[0] + F(node.first_offset), counts[1] + F(node.second_offset)]
    p = _matrices(*counts) if isinstance(node, CountMatrixProduct) else counts[0] * counts[1]
    last, one_more = memory["before"]
    memory["before"] = [p, last]
    if node.code == "count":
        return p - last
    y = p - F(2) * last
    return y if node.code == "radix" else y + one_more


def _matrices(a: Floats, b: Floats) -> Floats:
    """R165: from 0 on, one rounded product after the other."""
    total = np.zeros((a.shape[0], a.shape[1], b.shape[2]), F)
    for k in range(a.shape[2]):
        total = total + a[:, :, k, np.newaxis] * b[:, np.newaxis, k, :]
    return total


_RULES: dict[type, Callable[[Any, dict[str, Any], Any, int], Any]] = {
    TwoPhaseIF: _two_phase,
    SignedIF: _signed,
    RadixIF: _radix,
    FirstSpikeIF: _first_spike,
    SigmaDelta: _sigma_delta,
    Readout: _readout,
    CountMaxPool2d: _count_pool,
    RadixMaxPool2d: _radix_pool,
    Difference: _difference,
    CountProduct: _product,
    CountMatrixProduct: _product,
}
