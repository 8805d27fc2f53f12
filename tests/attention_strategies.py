"""Hypothesis strategies: small networks with attention of every kind, before and behind their synapses."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuro.graph import (
    Add,
    AvgPool2d,
    ChannelAttention,
    Concat,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MovingAttention,
    Node,
    SpatialAttention,
    SumPool2d,
    TemporalAttention,
    clocked,
)
from tests.strategies import SEEDS, _bias, _Build, _Stream, _weights, convolutions, readouts, spiking_neurons

THRESHOLDS = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])


@st.composite
def temporal_attentions(
    draw: st.DrawFn, n_frames: int, *, causal: bool | None = None, scaling: bool | None = None
) -> TemporalAttention | MovingAttention:
    """Draw a TemporalAttention (causal or not, or either) or a MovingAttention."""
    causal = draw(st.booleans()) if causal is None else causal
    scaling = draw(st.booleans()) if scaling is None else scaling
    rng = np.random.default_rng(draw(SEEDS))
    hidden, threshold = draw(st.integers(1, 3)), draw(THRESHOLDS)
    if causal and draw(st.booleans()):
        rates = rng.choice([0.125, 0.3, 1.0], 2)
        weights = (rng.normal(0, 2, (hidden, 2)), rng.normal(0, 1, hidden), rng.normal(0, 2, hidden))
        return MovingAttention(
            rates, rng.normal(0, 0.1, 2), *weights, float(rng.normal()), threshold, scaling
        )
    weight_1, weight_2 = rng.normal(0, 1, (hidden, n_frames)), rng.normal(0, 2, (n_frames, hidden))
    if causal:
        last = np.sort(rng.integers(0, n_frames, hidden))
        weight_1[np.arange(n_frames) > last[:, np.newaxis]] = 0
        weight_2.T[np.arange(n_frames) < last[:, np.newaxis]] = 0
    bias_1, bias_2 = rng.normal(0, 0.5, hidden), rng.normal(0, 1, n_frames)
    return TemporalAttention(weight_1, bias_1, weight_2, bias_2, threshold, scaling)


@st.composite
def selections(draw: st.DrawFn, shape: tuple[int, ...]) -> ChannelAttention | SpatialAttention:
    """Draw channel or spatial attention for an input shape."""
    rng = np.random.default_rng(draw(SEEDS))
    threshold, scaling = draw(THRESHOLDS), draw(st.booleans())
    if len(shape) == 3 and draw(st.booleans()):
        weight = rng.normal(0, 1, (2, draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 3, 5]))))
        return SpatialAttention(weight, float(rng.normal()), threshold, scaling)
    hidden, channels = draw(st.integers(1, 2)), shape[0]
    weights = (rng.normal(0, 4, (hidden, channels)), rng.normal(0, 0.5, hidden))
    return ChannelAttention(
        *weights, rng.normal(0, 3, (channels, hidden)), rng.normal(0, 1, channels), threshold, scaling
    )


def _on_events(draw: st.DrawFn, build: _Build, n_frames: int, causal: bool | None) -> None:
    stream = build.streams[-1]
    if draw(st.booleans()):
        node: Node = draw(temporal_attentions(n_frames, causal=causal))
    else:
        node = draw(selections(stream.shape))
    build.add(node, [stream], is_non_negative=stream.is_non_negative)


def _layer(draw: st.DrawFn, build: _Build, n_frames: int, causal: bool | None) -> None:
    """Append a synapse, perhaps a pool, perhaps attention before or behind, neurons, perhaps a side path."""
    first = build.streams[-1]
    for _ in range(draw(st.integers(0, 2))):
        _on_events(draw, build, n_frames, causal)
    stream = build.streams[-1]
    if len(stream.shape) == 3 and draw(st.integers(0, 3)) == 0:
        stream = build.add(Flatten(), [stream], is_non_negative=stream.is_non_negative)
    if len(stream.shape) == 3:
        node: Node = draw(convolutions(stream.shape, on_grid=build.on_grid))
    else:
        weight = _weights(draw, (draw(st.integers(1, 6)), stream.shape[0]), on_grid=build.on_grid)
        node = Linear(weight, _bias(draw, len(weight), on_grid=build.on_grid))
    stream = build.add(node, [stream], is_non_negative=False)
    if len(stream.shape) == 3 and draw(st.booleans()):
        kernel = tuple(draw(st.integers(1, min(2, n))) for n in stream.shape[1:])
        pool = draw(st.sampled_from([SumPool2d, AvgPool2d]))
        stream = build.add(pool(kernel, draw(st.sampled_from([None, 1]))), [stream], is_non_negative=False)
    if draw(st.booleans()):
        node = draw(temporal_attentions(n_frames, causal=causal))
        stream = build.add(node, [stream], is_non_negative=False)
    neurons = draw(spiking_neurons(stream.shape, build.dt_s))
    stream = build.add(neurons, [stream], is_non_negative=True)
    if first.name != "input" and len(first.shape) == 3 == len(stream.shape) and draw(st.booleans()):
        if first.shape == stream.shape and draw(st.booleans()):
            build.add(Add(), [first, stream], is_non_negative=True)
        elif first.shape[1:] == stream.shape[1:]:
            build.add(Concat(), [first, stream], is_non_negative=True)
    elif draw(st.integers(0, 3)) == 0:
        delay_s = draw(st.integers(0, 2)) * build.dt_s
        build.add(Delay(delay_s), [stream], is_non_negative=True)


@st.composite
def attended_graphs(
    draw: st.DrawFn, *, n_frames: int, causal: bool | None = None, on_grid: bool = False
) -> Graph:
    """Draw a network whose attention (causal, or not, or either) fits windows of `n_frames` frames."""
    build = _Build(dt_s=0.01, on_grid=on_grid)
    side = st.integers(1, 6)
    shape = draw(st.tuples(st.integers(1, 3), side, side) | st.tuples(st.integers(1, 9)))
    build.nodes["input"] = Input(shape, max_count=3)
    build.streams.append(_Stream("input", shape, True))
    for _ in range(draw(st.integers(1, 3))):
        _layer(draw, build, n_frames, causal)
    stream = build.streams[-1]
    if draw(st.booleans()):
        if len(stream.shape) == 3:
            stream = build.add(Flatten(), [stream], is_non_negative=True)
        weight = _weights(draw, (3, stream.shape[0]), on_grid=on_grid)
        stream = build.add(Linear(weight), [stream], is_non_negative=False)
        if draw(st.booleans()):
            node = draw(temporal_attentions(n_frames, causal=causal))
            stream = build.add(node, [stream], is_non_negative=False)
        build.add(draw(readouts(stream.shape, build.dt_s)), [stream], is_non_negative=False)
    return Graph(build.nodes, build.edges, clocked(build.dt_s))


@st.composite
def attended_runs(
    draw: st.DrawFn, *, causal: bool | None = None, on_grid: bool = False
) -> tuple[Graph, NDArray[np.float32]]:
    """Draw a network with attention and a window of counts for it, some frames empty."""
    n_frames = draw(st.integers(2, 6))
    graph = draw(attended_graphs(n_frames=n_frames, causal=causal, on_grid=on_grid))
    rng = np.random.default_rng(draw(SEEDS))
    shape = (n_frames, *graph.shapes["input"])
    counts = rng.integers(1, 4, shape) * (rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.4, 1.0])))
    counts[rng.random(n_frames) < 0.2] = 0
    return graph, counts.astype(np.float32)
