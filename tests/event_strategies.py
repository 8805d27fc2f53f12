"""Hypothesis strategies: random small continuous networks and events that fit them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from neuro import Events
from neuro.errors import GraphError
from neuro.graph import (
    IF,
    LI,
    LIF,
    NEURONS,
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
    SparseLinear,
    continuous,
)
from tests.strategies import COMPARISONS, RESETS, SEEDS, _parameter, _Stream, _weights, convolutions, pools

Shape = tuple[int, ...]


@dataclass
class _Build:
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    streams: list[tuple[str, Shape]] = field(default_factory=list)
    is_timed: bool = False

    def add(self, node: Node, *sources: str, is_stream: bool = True) -> tuple[str, Shape]:
        name = f"n{len(self.nodes)}_{type(node).__name__.lower()}"
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        shape = Graph(self.nodes, self.edges, continuous()).shapes[name]
        if is_stream:
            self.streams.append((name, shape))
        return name, shape


@st.composite
def event_neurons(draw: st.DrawFn, shape: Shape, *, is_silent: bool = True) -> Node:
    """Draw an IF or LIF that rests under its threshold, with any reset, comparison and parameter shapes."""
    reset, comparison = draw(RESETS), draw(COMPARISONS)
    threshold = _parameter(draw, shape, 0.5, 2.5)
    v_reset = _parameter(draw, shape, -0.5, 0.25) if reset == "value" and draw(st.booleans()) else 0.0
    if is_silent and draw(st.booleans()):
        return IF(threshold, v_reset, reset=reset, comparison=comparison)
    tau_mem_s = _parameter(draw, shape, 20e-6, 2020e-6)
    v_leak = _parameter(draw, shape, -0.5, 0.25) if draw(st.booleans()) else 0.0
    return LIF(tau_mem_s, threshold, v_leak=v_leak, v_reset=v_reset, reset=reset, comparison=comparison)


@st.composite
def timed_neurons(draw: st.DrawFn, shape: Shape, *, is_silent: bool = True) -> Node:
    """Draw neurons with times of their own: driven above their threshold, refractory, with currents."""
    reset, comparison = draw(RESETS), draw(COMPARISONS)
    threshold = _parameter(draw, shape, 0.5, 2.5)
    v_reset = _parameter(draw, shape, -0.5, 0.25) if reset == "value" and draw(st.booleans()) else 0.0
    held = st.sampled_from([30e-6, 150e-6])  # a clamped neuron may fire in every microsecond
    refractory_s = draw(held if reset == "clamp" else st.sampled_from([0.0, 1e-6]) | held)
    words = {"v_reset": v_reset, "reset": reset, "comparison": comparison, "refractory_s": refractory_s}
    kind = draw(st.sampled_from(["refractory", "driven", "current", "current"]))
    if kind == "refractory" and is_silent:
        return IF(threshold, **words)
    tau_mem_s = _parameter(draw, shape, 30e-6, 500e-6)
    words["v_leak"] = _parameter(draw, shape, -0.5, 2.8 if kind == "driven" else 0.25)
    if kind != "current":
        return LIF(tau_mem_s, threshold, **words)
    is_singular = draw(st.integers(0, 3)) == 0
    return CubaLIF(
        tau_mem_s, tau_mem_s if is_singular else _parameter(draw, shape, 30e-6, 500e-6), threshold, **words
    )


def _neurons(draw: st.DrawFn, build: _Build, shape: Shape, *, is_silent: bool = True) -> Node:
    is_timed = build.is_timed and draw(st.integers(0, 3)) > 0
    return draw((timed_neurons if is_timed else event_neurons)(shape, is_silent=is_silent))


def _grow_population(draw: st.DrawFn, build: _Build, source: str, shape: Shape) -> None:
    has_bias = draw(st.booleans())
    rng = np.random.default_rng(draw(SEEDS))
    if draw(st.integers(0, 4)) == 0:
        build.add(_neurons(draw, build, shape), source)
        return
    if len(shape) == 3:
        drawn = draw(convolutions(shape))
        words = {key: getattr(drawn, key) for key in ("stride", "padding", "dilation", "groups")}
        bias = rng.uniform(-0.3, 0.2, drawn.out_channels) if has_bias else None
        node: Node = Conv2d(np.abs(drawn.weight) * draw(st.sampled_from([0.5, 1.5])), bias, **words)
    else:
        n_out = draw(st.integers(1, 6))
        bias = rng.uniform(-0.3, 0.2, n_out) if has_bias else None
        node = Linear(_weights(draw, (n_out, shape[0]), on_grid=False) + 0.3, bias)
    name, shape = build.add(node, source, is_stream=False)
    build.add(_neurons(draw, build, shape, is_silent=not has_bias), name)


def _grow_loop(draw: st.DrawFn, build: _Build, source: str, shape: Shape) -> None:
    """Neurons whose spikes come back after a while, too weak together to multiply."""
    n = len(build.nodes)
    join, fire, back, out = (f"n{n}_{word}" for word in ("join", "fire", "back", "out"))
    delay = Delay(draw(st.sampled_from([1, 2, 9, 60])) * 1e-6)
    neurons = _neurons(draw, build, shape)
    if neurons.reset == "clamp":  # type: ignore[attr-defined]
        neurons = replace(neurons, refractory_s=2e-6)
    build.nodes |= {join: Add(), fire: neurons, back: delay, out: Delay(0)}
    build.edges += [*draw(st.permutations([(source, join), (back, join)])), (fire, back), (fire, out)]
    if len(shape) == 1:
        weight = _weights(draw, (shape[0], shape[0]), on_grid=False)
        weight *= 0.2 / np.maximum(np.maximum(weight, 0).sum(axis=0), 0.2)
        build.nodes[f"n{n}_weights"] = Linear(weight)
        build.edges += [(join, f"n{n}_weights"), (f"n{n}_weights", fire)]
    else:
        build.edges.append((join, fire))
    build.streams.append((out, shape))


def _is_non_negative(build: _Build, source: str) -> bool:
    nodes = build.nodes | {"largest": MaxPool2d(1)}
    try:
        Graph(nodes, [*build.edges, (source, "largest")], continuous())
    except GraphError:
        return False
    return True


def _sparse(
    draw: st.DrawFn, n_in: int, n_out: int, *, least_us: int = 0, most: float = 1.5, is_one: bool = False
) -> SparseLinear:
    """Synapses between random pairs, some pairs several times, with one delay or one each."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(least_us, 3 * n_out + least_us))
    delays_us = least_us + rng.choice([0, 1, 2, 8, 60, 300], n)
    delay_s = float(least_us) * 1e-6 if is_one or draw(st.integers(0, 2)) == 0 else delays_us * 1e-6
    weight = rng.choice([-0.4, 0.0, 0.3, 0.7, 1.0], n) * most
    rows, columns = rng.integers(0, n_out, n), rng.integers(0, n_in, n)
    return SparseLinear.from_coo(rows, columns, weight, n_out=n_out, n_in=n_in, delay_s=delay_s)


def _synapse(draw: st.DrawFn, shape: Shape, n_out: int) -> Node:
    """Something between an input and a current of (n_out,) or (n_out, rows, columns)."""
    bias = np.random.default_rng(draw(SEEDS)).uniform(-0.1, 0.05, n_out) if draw(st.booleans()) else None
    if len(shape) == 3:
        weight = _weights(draw, (n_out, shape[0], 3, 3), on_grid=False) + 0.2
        return Conv2d(weight, bias, padding=1)
    if draw(st.booleans()):
        return _sparse(draw, shape[0], n_out)
    return Linear(_weights(draw, (n_out, shape[0]), on_grid=False) + 0.2, bias)


def _grow_currents(draw: st.DrawFn, build: _Build, source: str, shape: Shape) -> None:
    """Two synapses whose currents are joined, and perhaps delayed, pooled or flattened, before the neurons."""
    n_out = draw(st.integers(1, 4))
    names = [build.add(_synapse(draw, shape, n_out), source, is_stream=False)[0] for _ in range(2)]
    if draw(st.integers(0, 3)) == 0:
        names[0], _ = build.add(Delay(draw(st.sampled_from([0, 3, 50])) * 1e-6), names[0], is_stream=False)
    join = draw(st.sampled_from([Add, Concat]))
    name, shape = build.add(join(), *draw(st.permutations(names)), is_stream=False)
    if len(shape) == 3 and draw(st.booleans()):
        pool = AvgPool2d(min(2, *shape[1:]), 1, draw(st.integers(0, min(shape[1:]) > 1)))
        name, shape = build.add(draw(st.sampled_from([pool, Flatten()])), name, is_stream=False)
    build.add(_neurons(draw, build, shape, is_silent=False), name)


def _grow_network(draw: st.DrawFn, build: _Build, source: str, shape: Shape) -> None:
    """A population that several synapses end in, perhaps one of its own: too weak to multiply spikes."""
    n = len(build.nodes)
    n_out = draw(st.integers(1, 6))
    neurons = _neurons(draw, build, (n_out,))
    if neurons.reset == "clamp":  # type: ignore[attr-defined]
        neurons = replace(neurons, refractory_s=2e-6)
    fire, first, second, out = (f"n{n}_{word}" for word in ("fire", "first", "second", "out"))
    build.nodes |= {fire: neurons, first: _sparse(draw, shape[0], n_out), out: Delay(0)}
    is_recurrent = build.is_timed and draw(st.booleans())
    if is_recurrent:
        build.nodes[second] = _sparse(draw, n_out, n_out, least_us=draw(st.integers(1, 9)), most=0.1)
    else:
        build.nodes[second] = Linear(_weights(draw, (n_out, shape[0]), on_grid=False))
    build.edges += [(source, first), (fire if is_recurrent else source, second)]
    build.edges += [*draw(st.permutations([(first, fire), (second, fire)])), (fire, out)]
    build.streams.append((out, (n_out,)))


def _grow(draw: st.DrawFn, build: _Build) -> None:
    source, shape = build.streams[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(build.streams))
    partners = [s for s in build.streams if s[0] != source and s[1][1:] == shape[1:]]
    same = [s for s in partners if s[1] == shape]
    kinds = ["population"] * 5 + ["delay", "residual"] + ["pool", "pool", "flatten"] * (len(shape) == 3)
    kinds += ["loop"] * 2 * build.is_timed + ["currents"] * 3 + ["network"] * 3 * (len(shape) == 1)
    kinds += ["concat", "concat"] * bool(partners) + ["add"] * bool(same)
    kind = draw(st.sampled_from(kinds))
    if kind == "population":
        _grow_population(draw, build, source, shape)
    elif kind in _GROWERS:
        _GROWERS[kind](draw, build, source, shape)
    elif kind == "delay":
        build.add(Delay(draw(st.sampled_from([0, 1, 2, 7, 40, 5000])) * 1e-6), source)
    elif kind == "residual":
        side, _ = build.add(Delay(draw(st.integers(0, 3)) * 1e-6), source)
        build.add(Add(), *draw(st.permutations([source, side])))
    elif kind == "pool":
        build.add(draw(pools(_Stream(source, shape, _is_non_negative(build, source)))), source)
    elif kind == "flatten":
        build.add(Flatten(), source)
    else:
        partner = draw(st.sampled_from(partners if kind == "concat" else same))
        build.add(Concat() if kind == "concat" else Add(), *draw(st.permutations([source, partner[0]])))


_GROWERS = {"loop": _grow_loop, "currents": _grow_currents, "network": _grow_network}


def fitting(graph: Graph, events: Events) -> Events:
    """The events, without signs if a MaxPool2d may see them."""
    if not any(isinstance(node, MaxPool2d) for node in graph.nodes.values()):
        return events
    value = np.abs(events.value)
    return Events(events.t_us, events.index, value, events.shape, duration_us=events.duration_us)


@st.composite
def membrane_times(draw: st.DrawFn, graph: Graph, end_us: int) -> dict[str, tuple[int, ...]]:
    """Times for some nodes with membranes, before an end; some coincide with what happens."""
    rng = np.random.default_rng(draw(SEEDS))
    names = [name for name, node in graph.nodes.items() if isinstance(node, NEURONS) and draw(st.booleans())]
    return {
        name: tuple(np.unique(rng.integers(0, end_us, draw(st.integers(1, 6)))).tolist()) for name in names
    }


@st.composite
def event_graphs(draw: st.DrawFn, *, max_growth: int = 5, one_sink: bool = False) -> Graph:
    """Draw a small feed-forward continuous graph; every supported node type can occur."""
    build = _Build()
    side = st.integers(1, 7)
    shape = draw(st.tuples(st.integers(1, 3), side, side) | st.tuples(st.integers(1, 8)))
    build.nodes["input"] = Input(shape)
    build.streams.append(("input", shape))
    for _ in range(draw(st.integers(1, max_growth))):
        _grow(draw, build)
    sources = {source for source, _ in build.edges}
    sinks = [stream for stream in build.streams if stream[0] not in sources]
    if one_sink and len(sinks) > 1:
        flat = [build.add(Flatten(), name)[0] if len(shape) == 3 else name for name, shape in sinks]
        build.add(Concat(), *flat)
    return Graph(build.nodes, build.edges, continuous())


@st.composite
def timed_graphs(draw: st.DrawFn, *, max_growth: int = 3) -> Graph:
    """Draw a small continuous graph with one sink: neurons with times of their own, cycles, perhaps a readout."""
    build = _Build(is_timed=True)
    side = st.integers(1, 4)
    shape = draw(st.tuples(st.integers(1, 2), side, side) | st.tuples(st.integers(1, 6)))
    build.nodes["input"] = Input(shape)
    build.streams.append(("input", shape))
    for _ in range(draw(st.integers(1, max_growth))):
        _grow(draw, build)
    sources = {source for source, _ in build.edges}
    sinks = [stream for stream in build.streams if stream[0] not in sources]
    flat = [build.add(Flatten(), name)[0] if len(shape) == 3 else name for name, shape in sinks]
    name, shape = build.add(Concat(), *flat) if len(flat) > 1 else (flat[0], build.streams[-1][1])
    if draw(st.booleans()):
        shape = Graph(build.nodes, build.edges, continuous()).shapes[name]
        build.add(LI(_parameter(draw, shape, 30e-6, 500e-6), draw(st.sampled_from([0.0, 0.25]))), name)
    return Graph(build.nodes, build.edges, continuous())


@st.composite
def timed_events(draw: st.DrawFn, shape: Shape) -> Events:
    """Draw a few events within a fraction of a millisecond, and how long that lasts."""
    n = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(SEEDS))
    t_us = np.cumsum(rng.choice([0, 0, 1, 2, 7, 30, 60], n))
    size = int(np.prod(shape))
    index = rng.integers(0, min(size, draw(st.sampled_from([1, 4, 10**6]))), n)
    value = np.ones(n) if draw(st.booleans()) else rng.choice([-0.7, 0.3, 1.0, 3.0], n)
    last = int(t_us[-1]) if n else 0
    return Events(t_us, index, value, shape, duration_us=last + draw(st.sampled_from([1, 2, 100, 300])))


@st.composite
def event_lists(draw: st.DrawFn, shape: Shape, *, max_events: int = 40) -> Events:
    """Draw events: bursts of simultaneous ones, short gaps and far-apart ones; some repeat an entry."""
    n = draw(st.integers(0, max_events))
    rng = np.random.default_rng(draw(SEEDS))
    gaps = rng.choice([0, 0, 1, 2, 5, 100, 1023, 1024, 3000, 10**7, 2**40], n, p=np.full(11, 1 / 11))
    t_us = np.cumsum(gaps) + draw(st.sampled_from([0, 1, 10**15]))
    size = int(np.prod(shape))
    index = rng.integers(0, min(size, draw(st.sampled_from([1, 4, 10**6]))), n)
    value = np.ones(n) if draw(st.booleans()) else rng.choice([-0.7, 0.3, 1.0, 2.0], n)
    return Events(t_us, index, value, shape)
