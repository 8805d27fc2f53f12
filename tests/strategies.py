"""Hypothesis strategies: random small networks and inputs that fit them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuro.errors import GraphError
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
    Node,
    SumPool2d,
    TemporalAttention,
    clocked,
)

DT_S = (0.001, 0.01, 0.0375, 1.0)
GRID = 2.0**-6

RESETS = st.sampled_from(["value", "subtract", "clamp"])
COMPARISONS = st.sampled_from([">", ">="])
UPDATES = st.sampled_from(["euler", "exponential", "decay"])
NIR_UPDATES = st.sampled_from(["euler", "exponential"])
SEEDS = st.integers(0, 2**32 - 1)


@dataclass
class _Stream:
    """An output that a next node may take."""

    name: str
    shape: tuple[int, ...]
    is_non_negative: bool


@dataclass
class _Build:
    dt_s: float
    on_grid: bool
    sayable_by_nir: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    streams: list[_Stream] = field(default_factory=list)

    def add(self, node: Node, sources: list[_Stream], *, is_non_negative: bool) -> _Stream:
        """Append a node and find the shape of its output by building the graph so far."""
        name = f"n{len(self.nodes)}_{type(node).__name__.lower()}"
        nodes = {**self.nodes, name: node}
        edges = [*self.edges, *((source.name, name) for source in sources)]
        shape = Graph(nodes, edges, clocked(self.dt_s)).shapes[name]
        self.nodes, self.edges = nodes, edges
        stream = _Stream(name, shape, is_non_negative)
        self.streams.append(stream)
        return stream


def _weights(draw: st.DrawFn, shape: tuple[int, ...], *, on_grid: bool) -> NDArray[np.float32]:
    """Random weights: on a grid (ties with thresholds are likely) or with full mantissas; some are zero."""
    rng = np.random.default_rng(draw(SEEDS))
    weights = rng.integers(-48, 64, shape) * GRID if on_grid else rng.normal(0.1, 0.6, shape)
    weights[rng.random(shape) < 0.1] = 0.0
    return weights.astype(np.float32)


def _bias(draw: st.DrawFn, n_out: int, *, on_grid: bool) -> NDArray[np.float32] | None:
    return _weights(draw, (n_out,), on_grid=on_grid) if draw(st.booleans()) else None


def _parameter(
    draw: st.DrawFn, shape: tuple[int, ...], low: float, high: float
) -> float | NDArray[np.float32]:
    """One number, one per channel, or one per neuron; eighths of the range, so that values repeat."""
    step = (high - low) / 8
    kind = draw(st.sampled_from(["number", "channel", "neuron"]))
    if kind == "number":
        return low + step * draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(SEEDS))
    size = (shape[0], 1, 1) if kind == "channel" and len(shape) == 3 else shape
    return (low + step * rng.integers(0, 9, size)).astype(np.float32)


@st.composite
def spiking_neurons(
    draw: st.DrawFn, shape: tuple[int, ...], dt_s: float, *, sayable_by_nir: bool = False
) -> Node:
    """Draw an IF, LIF or CubaLIF with any reset, comparison, update and parameter shapes."""
    reset, comparison = ("value", ">") if sayable_by_nir else (draw(RESETS), draw(COMPARISONS))
    threshold = _parameter(draw, shape, 0.25, 2.25)
    v_reset = _parameter(draw, shape, -0.5, 0.5) if reset == "value" and draw(st.booleans()) else 0.0
    kind = draw(st.sampled_from(["IF", "LIF", "CubaLIF"]))
    if kind == "IF":
        return IF(threshold, v_reset, reset=reset, comparison=comparison)
    tau_mem_s = _parameter(draw, shape, dt_s, 9 * dt_s)
    update = draw(UPDATES if kind == "LIF" and not sayable_by_nir else NIR_UPDATES)
    v_leak = _parameter(draw, shape, -0.5, 0.5) if update != "decay" and draw(st.booleans()) else 0.0
    words = {"update": update, "reset": reset, "comparison": comparison}
    if kind == "LIF":
        return LIF(tau_mem_s, threshold, v_leak=v_leak, v_reset=v_reset, **words)
    tau_syn_s = _parameter(draw, shape, dt_s, 5 * dt_s)
    return CubaLIF(tau_mem_s, tau_syn_s, threshold, v_leak=v_leak, v_reset=v_reset, **words)


@st.composite
def readouts(draw: st.DrawFn, shape: tuple[int, ...], dt_s: float, *, sayable_by_nir: bool = False) -> LI:
    """Draw a leaky integrator."""
    update = draw(NIR_UPDATES if sayable_by_nir else UPDATES)
    v_leak = _parameter(draw, shape, -0.5, 0.5) if update != "decay" and draw(st.booleans()) else 0.0
    return LI(_parameter(draw, shape, dt_s, 9 * dt_s), v_leak=v_leak, update=update)


@st.composite
def convolutions(draw: st.DrawFn, shape: tuple[int, ...], *, on_grid: bool = False) -> Conv2d:
    """Draw a convolution with stride, padding, dilation and groups that fits an input shape."""
    channels, *size = shape
    groups = draw(st.sampled_from([n for n in (1, 2, 3, 4) if channels % n == 0]))
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    kernel = tuple(
        draw(st.integers(1, max(1, min(4, (n + 2 * p - 1) // d + 1))))
        for n, p, d in zip(size, padding, dilation, strict=True)
    )
    n_out = groups * draw(st.integers(1, 3))
    weight = _weights(draw, (n_out, channels // groups, *kernel), on_grid=on_grid)
    bias = _bias(draw, n_out, on_grid=on_grid)
    return Conv2d(weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


@st.composite
def pools(draw: st.DrawFn, stream: _Stream, *, sayable_by_nir: bool = False) -> Node:
    """Draw a pooling node that fits an input shape; MaxPool2d only where inputs cannot be negative."""
    kinds = [SumPool2d, AvgPool2d, *([MaxPool2d] if stream.is_non_negative and not sayable_by_nir else [])]
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in stream.shape[1:])
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    stride = draw(st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return draw(st.sampled_from(kinds))(kernel, stride, padding)


def _partners(build: _Build, stream: _Stream, *, same_channels: bool) -> list[_Stream]:
    start = 0 if same_channels else 1
    return [
        other
        for other in build.streams
        if other.name != stream.name
        and len(other.shape) == len(stream.shape)
        and other.shape[start:] == stream.shape[start:]
    ]


def _grow_synapse(draw: st.DrawFn, build: _Build, stream: _Stream) -> None:
    if len(stream.shape) == 3:
        node: Node = draw(convolutions(stream.shape, on_grid=build.on_grid))
    else:
        n_out = draw(st.integers(1, 6))
        weight = _weights(draw, (n_out, stream.shape[0]), on_grid=build.on_grid)
        node = Linear(weight, _bias(draw, n_out, on_grid=build.on_grid))
    build.add(node, [stream], is_non_negative=False)


def _grow_residual(draw: st.DrawFn, build: _Build, stream: _Stream) -> None:
    """Make a path of the same shape around a stream, so that an Add has something to add."""
    if len(stream.shape) == 3:
        channels = stream.shape[0]
        weight = _weights(draw, (channels, channels, 3, 3), on_grid=build.on_grid)
        side = build.add(Conv2d(weight, padding=1), [stream], is_non_negative=False)
    else:
        side = build.add(Delay(draw(st.integers(0, 3)) * build.dt_s), [stream], is_non_negative=False)
    order = [stream, side] if draw(st.booleans()) else [side, stream]
    build.add(Add(), order, is_non_negative=False)


def _grow(draw: st.DrawFn, build: _Build) -> None:
    """Append one node (or a residual path) to a stream, most often to the latest."""
    stream = build.streams[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(build.streams))
    kinds = ["synapse", "synapse", "neuron", "neuron", "delay", "residual"]
    if len(stream.shape) == 3:
        kinds += ["pool", "flatten"]
    same, joinable = (_partners(build, stream, same_channels=flag) for flag in (True, False))
    kinds += ["add"] * bool(same) + ["concat"] * (bool(joinable) and not build.sayable_by_nir)
    kind = draw(st.sampled_from(kinds))
    if kind == "synapse":
        _grow_synapse(draw, build, stream)
    elif kind == "neuron":
        node = draw(spiking_neurons(stream.shape, build.dt_s, sayable_by_nir=build.sayable_by_nir))
        build.add(node, [stream], is_non_negative=True)
    elif kind == "delay":
        delay_s = draw(st.integers(0, 3)) * build.dt_s
        build.add(Delay(delay_s), [stream], is_non_negative=stream.is_non_negative)
    elif kind == "residual":
        _grow_residual(draw, build, stream)
    elif kind == "pool":
        build.add(
            draw(pools(stream, sayable_by_nir=build.sayable_by_nir)),
            [stream],
            is_non_negative=stream.is_non_negative,
        )
    elif kind == "flatten":
        build.add(Flatten(), [stream], is_non_negative=stream.is_non_negative)
    else:
        partner = draw(st.sampled_from(same if kind == "add" else joinable))
        both = stream.is_non_negative and partner.is_non_negative
        build.add(Add() if kind == "add" else Concat(), [stream, partner], is_non_negative=both)


def _close(draw: st.DrawFn, build: _Build) -> None:
    """Join what is open to one sink, and end in a neuron, a readout or neither."""
    sources = {source for source, _ in build.edges}
    sinks = [stream for stream in build.streams if stream.name not in sources]
    if len(sinks) > 1 and not build.sayable_by_nir:
        flat = [
            build.add(Flatten(), [sink], is_non_negative=False) if len(sink.shape) == 3 else sink
            for sink in sinks
        ]
        sinks = [build.add(Concat(), flat, is_non_negative=False)]
    if len(sinks) > 1:  # without Concat: several outputs
        return
    sink = sinks[0]
    ending = draw(st.sampled_from(["readout", "neuron", "as it is"]))
    if ending == "as it is" and len(build.nodes) > 1:
        return
    _grow_synapse(draw, build, sink)
    sink = build.streams[-1]
    if ending == "readout":
        node = draw(readouts(sink.shape, build.dt_s, sayable_by_nir=build.sayable_by_nir))
        build.add(node, [sink], is_non_negative=False)
    else:
        node = draw(spiking_neurons(sink.shape, build.dt_s, sayable_by_nir=build.sayable_by_nir))
        build.add(node, [sink], is_non_negative=True)


@st.composite
def attentions(draw: st.DrawFn, n_frames: int) -> TemporalAttention:
    """Draw temporal attention over a window of `n_frames` frames that drops some of them."""
    hidden = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(SEEDS))
    weight_1, weight_2 = rng.normal(0, 1, (hidden, n_frames)), rng.normal(0, 2, (n_frames, hidden))
    bias_1, bias_2 = rng.normal(0, 0.5, hidden), rng.normal(0, 1, n_frames)
    threshold = draw(st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
    return TemporalAttention(weight_1, bias_1, weight_2, bias_2, threshold)


@st.composite
def graphs(
    draw: st.DrawFn,
    *,
    attention: bool | None = None,
    on_grid: bool | None = None,
    max_growth: int = 6,
    sayable_by_nir: bool = False,
) -> Graph:
    """Draw a small feed-forward clocked graph with one sink; every node type can occur.

    `attention`: with TemporalAttention (window of 2 to 6 frames), without, or either (None).
    `sayable_by_nir`: only what `to_nir` can write (with `attention=False`); then there may be several sinks.
    `on_grid`: weights on a power-of-two grid, with `weight_grid` set where the bound holds; or either (None).
    """
    on_grid = draw(st.booleans()) if on_grid is None else on_grid
    attention = draw(st.integers(0, 3)) == 0 if attention is None else attention
    build = _Build(dt_s=draw(st.sampled_from(DT_S)), on_grid=on_grid, sayable_by_nir=sayable_by_nir)
    side = st.integers(1, 8)
    shape = draw(st.tuples(st.integers(1, 4), side, side) | st.tuples(st.integers(1, 12)))
    max_count = draw(st.sampled_from([1, 3, 15])) if on_grid or draw(st.booleans()) else None
    build.nodes["input"] = Input(shape, max_count)
    build.streams.append(_Stream("input", shape, max_count is not None))
    if attention:
        build.add(
            draw(attentions(draw(st.integers(2, 6)))), build.streams[:], is_non_negative=max_count is not None
        )
        build.streams = build.streams[1:]
    for _ in range(draw(st.integers(0, max_growth))):
        _grow(draw, build)
    _close(draw, build)
    if on_grid:
        try:
            return Graph(build.nodes, build.edges, clocked(build.dt_s), weight_grid=GRID)
        except GraphError:
            pass  # sums too large, or a value off the grid: the same graph without the promise
    return Graph(build.nodes, build.edges, clocked(build.dt_s))


@st.composite
def dense_inputs(draw: st.DrawFn, graph: Graph, *, max_steps: int = 7) -> NDArray[np.float32]:
    """Draw float32 frames (n_steps, *shape) for a graph: sparse, some empty; counts if it has max_count."""
    node = graph.nodes[graph.input_name]
    windows = [n.n_frames for n in graph.nodes.values() if isinstance(n, TemporalAttention)]
    n_steps = windows[0] if windows else draw(st.integers(0, max_steps))
    rng = np.random.default_rng(draw(SEEDS))
    shape = (n_steps, *node.shape)
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 1.0]))
    if node.max_count is not None:
        values = rng.integers(1, node.max_count + 1, shape).astype(np.float32)
    elif any(isinstance(n, MaxPool2d) for n in graph.nodes.values()) or draw(st.booleans()):
        values = draw(st.sampled_from([np.ones, lambda s: rng.random(s) * 3]))(shape)
    else:
        values = rng.normal(0, 1, shape)
    values = np.where(rng.random(shape) < density, values, 0.0)
    values[rng.random(n_steps) < 0.2] = 0.0
    return values.astype(np.float32)


@st.composite
def runs(draw: st.DrawFn, attention: bool | None = None) -> tuple[Graph, NDArray[np.float32]]:
    """Draw a graph and frames for it."""
    graph = draw(graphs(attention=attention))
    return graph, draw(dense_inputs(graph))


@st.composite
def recurrent_runs(draw: st.DrawFn) -> tuple[Graph, NDArray[np.float32]]:
    """Draw a layer that hears itself through delays: its spikes, or the membranes of a readout behind it."""
    n, dt_s = draw(st.integers(1, 9)), 0.001
    rng = np.random.default_rng(draw(SEEDS))
    nodes = {
        "in": Input(3),
        "fc": Linear(rng.normal(0.3, 0.7, (n, 3))),
        "sum": Add(),
        "hidden": draw(spiking_neurons((n,), dt_s)),
        "delay": Delay(draw(st.integers(1, 4)) * dt_s),
        "back": Linear(rng.normal(0, 0.7, (n, n)), rng.normal(0, 0.1, n)),
        "out": Linear(rng.normal(0, 1, (2, n))),
        "readout": draw(readouts((2,), dt_s)),
    }
    edges = [("in", "fc"), ("fc", "sum"), ("back", "sum"), ("sum", "hidden"), ("hidden", "delay")]
    edges += [("delay", "back"), ("hidden", "out"), ("out", "readout")]
    if draw(st.booleans()):
        nodes |= {"slow": Delay(draw(st.integers(1, 4)) * dt_s), "far": Linear(rng.normal(0, 0.7, (n, 2)))}
        nodes["end"] = Delay(draw(st.integers(0, 1)) * dt_s)
        edges += [("readout", "slow"), ("slow", "far"), ("far", "sum"), ("readout", "end")]
    if draw(st.booleans()):
        n_frames = draw(st.integers(2, 9))
        weights = (
            rng.normal(0, 1, (2, n_frames)),
            rng.normal(0, 1, 2),
            rng.normal(0, 2, (n_frames, 2)),
            np.zeros(n_frames),
        )
        nodes["attention"] = TemporalAttention(*weights, threshold=0.5)
        edges = [("in", "attention"), ("attention", "fc"), *edges[1:]]
    else:
        n_frames = draw(st.integers(0, 9))
    frames = np.where(rng.random((n_frames, 3)) < 0.5, rng.integers(1, 3, (n_frames, 3)), 0)
    return Graph(nodes, edges, clocked(dt_s)), frames.astype(np.float32)


@st.composite
def wide_runs(draw: st.DrawFn) -> tuple[Graph, NDArray[np.float32]]:
    """Draw layers wide and dense enough for every branch of the kernels: full words, eight rows at a time, groups."""
    rng = np.random.default_rng(draw(SEEDS))
    channels, groups = draw(st.sampled_from([(2, 1), (8, 1), (12, 2), (16, 4), (16, 16)]))
    hidden = (
        draw(st.sampled_from([8, 16, 40, 13])) if groups == 1 else draw(st.sampled_from([1, 2])) * channels
    )
    dilation = draw(st.integers(1, 2))
    nodes = {
        "in": Input((channels, 6, 7)),
        "conv": Conv2d(
            rng.normal(0.05, 0.5, (hidden, channels // groups, 3, 2)),
            rng.normal(0, 0.1, hidden) if draw(st.booleans()) else None,
            stride=draw(st.integers(1, 2)),
            padding=1,
            dilation=dilation,
            groups=groups,
        ),
    }
    update, reset = draw(st.sampled_from(["euler", "decay"])), draw(st.sampled_from(["value", "subtract"]))
    nodes["lif"] = LIF(0.003, 0.5, update=update, reset=reset)
    nodes["flat"] = Flatten()
    chain = list(pairwise(["in", "conv", "lif", "flat", "fc", "cuba", "li"]))
    shape = Graph({k: nodes[k] for k in ("in", "conv")}, chain[:1], clocked(0.001)).shapes["conv"]
    nodes["fc"] = Linear(rng.normal(0, 0.3, (16, int(np.prod(shape)))))
    nodes["cuba"] = CubaLIF(0.004, 0.003, 0.3)
    nodes["li"] = LI(0.01)
    density = draw(st.sampled_from([0.02, 0.2, 0.7, 1.0]))
    frames = np.where(rng.random((4, channels, 6, 7)) < density, 1.0, 0.0)
    if draw(st.booleans()):
        frames *= rng.integers(1, 4, frames.shape)
    return Graph(nodes, chain, clocked(0.001)), frames.astype(np.float32)
