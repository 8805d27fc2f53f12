"""The slow, obvious engine: every step, every node, every tap, read straight off the equations.

Shares no code with the engine but the graph. All values are float32 arrays in (channel, row, column)
order; a sum adds one rounded product at a time, in the stated order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    SumPool2d,
    TemporalAttention,
    fold_pooling,
)

Array = NDArray[np.float32]
F = np.float32


@dataclass
class OracleResult:
    """Values of every node in every step, and the counts."""

    values: dict[str, Array] = field(default_factory=dict)
    membranes: dict[str, Array] = field(default_factory=dict)
    spikes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    synaptic_operations: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    input_entries: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    active_outputs: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def simulate_densely(
    graph: Graph,
    frames: Array,
    kept: NDArray[np.bool_] | None = None,
    closed: dict[str, NDArray[np.bool_]] | None = None,
) -> OracleResult:
    """Run a clocked graph on dense frames, shape (n_steps, *shape); `kept` marks the steps that are computed.

    ``closed``: by node of a branch that is skipped, the steps in which it is.
    """
    graph = fold_pooling(graph)
    n_steps = len(frames)
    engine = _Engine(graph, frames, np.ones(n_steps, bool) if kept is None else kept)
    engine.closed = {} if closed is None else closed
    for step in range(n_steps):
        for name in graph.order:
            engine.values[name].append(engine.run_node(name, step))
            if "v" in engine.state[name]:
                engine.membranes[name].append(engine.state[name]["v"].copy())
    result = engine.result
    for name, shape in graph.shapes.items():
        result.values[name] = np.array(engine.values[name], F).reshape(n_steps, *shape)
        if "v" in engine.state[name]:
            result.membranes[name] = np.array(engine.membranes[name], F).reshape(n_steps, *shape)
    return result


def _rest(graph: Graph, name: str) -> dict[str, Array]:
    node = graph.nodes[name]
    if not isinstance(node, (IF, LIF, CubaLIF, LI)):
        return {}
    leak = 0.0 if isinstance(node, IF) else node.v_leak
    return {"v": np.broadcast_to(F(leak), graph.shapes[name]).copy(), "i": np.zeros(graph.shapes[name], F)}


class _Engine:
    """Values of every node so far, and the state of neurons."""

    def __init__(self, graph: Graph, frames: Array, kept: NDArray[np.bool_]) -> None:
        self.graph, self.frames, self.kept = graph, frames, kept
        self.state = {name: _rest(graph, name) for name in graph.nodes}
        self.values: dict[str, list[Array]] = {name: [] for name in graph.nodes}
        self.membranes: dict[str, list[Array]] = {name: [] for name in graph.nodes}
        self.result = OracleResult()
        self.closed: dict[str, NDArray[np.bool_]] = {}

    def run_node(self, name: str, step: int) -> Array:
        """Compute one node in one step; only a Delay looks at other steps."""
        graph, node = self.graph, self.graph.nodes[name]
        is_kept = bool(self.kept[step]) and not self._is_closed(name, step)
        nothing = np.zeros(graph.shapes[name], F)
        if isinstance(node, Input):
            return self.frames[step].astype(F)
        if isinstance(node, Delay):
            return self._delay(name, step, nothing)
        inputs = [
            np.zeros(graph.shapes[source], F) if self._is_closed(source, step) else self.values[source][step]
            for source in graph.predecessors(name)
        ]
        if isinstance(node, (IF, LIF, CubaLIF, LI)):
            fired = _neuron(node, self.state[name], inputs[0] if is_kept else nothing, graph.dt_s, is_kept)
            if isinstance(node, LI):
                return self.state[name]["v"].copy()
            self.result.spikes[name] += int(fired.sum())
            return fired.astype(F)
        if not is_kept:
            return nothing
        if isinstance(node, Linear):
            return _linear(name, node, inputs[0], self.result)
        if isinstance(node, Conv2d):
            return _conv2d(name, node, inputs[0], nothing.shape, self.result)
        return _reshaping(node, inputs, nothing)

    def _is_closed(self, name: str, step: int) -> bool:
        return name in self.closed and bool(self.closed[name][step])

    def _delay(self, name: str, step: int, nothing: Array) -> Array:
        source, n_delay = self.graph.predecessors(name)[0], self.graph.delay_steps(name)
        arrived = self.values[source][step - n_delay] if step >= n_delay else nothing
        if step >= n_delay and self._is_closed(name, step - n_delay):
            arrived = nothing
        if self.kept[step] and not self._is_closed(name, step):
            return arrived
        self.result.lost[name] += int(np.count_nonzero(arrived))
        return nothing


def _reshaping(node: Any, inputs: list[Array], nothing: Array) -> Array:
    if isinstance(node, TemporalAttention):
        return inputs[0]
    if isinstance(node, (SumPool2d, AvgPool2d, MaxPool2d)):
        return _pool(node, inputs[0], nothing)
    if isinstance(node, Flatten):
        return inputs[0].reshape(-1)
    if isinstance(node, Concat):
        return np.concatenate(inputs)
    assert isinstance(node, Add)
    total = inputs[0]
    for value in inputs[1:]:
        total = total + value
    return total


def _linear(name: str, node: Linear, x: Array, result: OracleResult) -> Array:
    n_out = node.weight.shape[0]
    result.input_entries[name] += int(np.count_nonzero(x))
    total = np.zeros(n_out, F) if node.bias is None else node.bias.copy()
    n = 0
    for i in range(x.size):
        if x[i] != 0:
            product = node.weight[:, i] * x[i]
            total = total + product
            n += n_out
    result.synaptic_operations[name] += n
    result.active_outputs[name] += int(n > 0)
    return total


def _conv2d(name: str, node: Conv2d, x: Array, shape: tuple[int, ...], result: OracleResult) -> Array:
    n_out, n_rows, n_columns = shape
    group_in, group_out = node.weight.shape[1], n_out // node.groups
    result.input_entries[name] += int(np.count_nonzero(x))
    total = np.zeros(shape, F)
    if node.bias is not None:
        total += node.bias[:, None, None]
    for row in range(n_rows):
        for column in range(n_columns):
            n_pixel = 0
            for i in range(node.kernel_size[0]):
                for j in range(node.kernel_size[1]):
                    y = row * node.stride[0] - node.padding[0] + i * node.dilation[0]
                    z = column * node.stride[1] - node.padding[1] + j * node.dilation[1]
                    if not (0 <= y < x.shape[1] and 0 <= z < x.shape[2]):
                        continue
                    for channel in np.flatnonzero(x[:, y, z]):
                        group, k = divmod(int(channel), group_in)
                        outs = slice(group * group_out, (group + 1) * group_out)
                        product = node.weight[outs, k, i, j] * x[channel, y, z]
                        total[outs, row, column] = total[outs, row, column] + product
                        n_pixel += group_out
            result.synaptic_operations[name] += n_pixel
            result.active_outputs[name] += int(n_pixel > 0)
    return total


def _pool(node: SumPool2d | AvgPool2d | MaxPool2d, x: Array, nothing: Array) -> Array:
    total = nothing
    for row in range(total.shape[1]):
        for column in range(total.shape[2]):
            for i in range(node.kernel_size[0]):
                for j in range(node.kernel_size[1]):
                    y, z = (
                        row * node.strides[0] - node.padding[0] + i,
                        column * node.strides[1] - node.padding[1] + j,
                    )
                    if not (0 <= y < x.shape[1] and 0 <= z < x.shape[2]):
                        continue
                    if isinstance(node, MaxPool2d):
                        total[:, row, column] = np.maximum(total[:, row, column], x[:, y, z])
                    else:
                        total[:, row, column] = total[:, row, column] + x[:, y, z]
    if isinstance(node, AvgPool2d):
        total = total / F(node.kernel_size[0] * node.kernel_size[1])
    return total


def _factor(update: str, tau_s: Any, dt_s: float) -> Any:
    tau = np.float64(tau_s)
    if update == "euler":
        return F(dt_s) * F(1 / tau)
    if update == "exponential":
        return F(1 - np.exp(-dt_s / tau))
    return F(np.exp(-dt_s / tau))


def _neuron(
    node: IF | LIF | CubaLIF | LI, state: dict[str, Array], current: Array, dt_s: float, is_kept: bool
) -> NDArray[np.bool_]:
    v = state["v"]
    if isinstance(node, IF):
        v = v + current
    elif isinstance(node, CubaLIF):
        a, b = _factor(node.update, node.tau_mem_s, dt_s), _factor(node.update, node.tau_syn_s, dt_s)
        jumped = state["i"] + current
        v = v + a * ((F(node.v_leak) - v) + jumped)
        state["i"] = jumped - b * jumped
    else:
        a = _factor(node.update, node.tau_mem_s, dt_s)
        if node.update == "decay":
            v = a * v + current
        elif isinstance(node, LI):
            v = v + a * ((F(node.v_leak) - v) + current)
        else:
            v = v + a * ((current + F(node.v_leak)) - v)
    fired = np.zeros(v.shape, bool)
    if is_kept and not isinstance(node, LI):
        threshold = F(node.threshold)
        fired = v > threshold if node.comparison == ">" else v >= threshold
        after = {"value": F(node.v_reset), "subtract": v - threshold, "clamp": threshold}[node.reset]
        v = np.where(fired, after, v)
    assert v.dtype == np.float32
    state["v"] = v
    return fired
