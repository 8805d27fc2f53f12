"""Hypothesis strategies: small continuous networks of populations that reach each other over delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import reject
from hypothesis import strategies as st

from neuro.errors import GraphError
from neuro.graph import Add, Concat, Delay, Graph, Input, Linear, Node, SparseLinear, continuous
from tests.event_strategies import _sparse, event_neurons, timed_neurons
from tests.strategies import _weights


@dataclass
class _Network:
    """`n_in` inputs, and populations p0, p1, .. of `size` neurons; the weights between them are at most `most`."""

    draw: st.DrawFn
    n_in: int
    size: int
    most: float
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def end(self, p: int) -> str:
        """What takes the inputs of a population."""
        return f"add{p}" if f"add{p}" in self.nodes else f"p{p}"

    def add(self, name: str, node: Node, source: str) -> str:
        """Add a node behind another."""
        self.nodes[name] = node
        self.edges.append((source, name))
        return name


@st.composite
def cyclic_graphs(draw: st.DrawFn) -> Graph:
    """Draw a network whose cycles have a kernel, with ways in and out; one sink."""
    n, size, n_in = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    build = _Network(draw, n_in, size, draw(st.sampled_from([0.1, 0.5, 1.0])))
    build.nodes["input"] = Input(n_in)
    pairs = st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3)
    ways = [(p, (p + 1) % n) for p in range(n)] + draw(pairs)
    entered = [0] + [p for p in range(1, n) if draw(st.booleans())]
    for p in range(n):
        neurons = draw((timed_neurons if draw(st.booleans()) else event_neurons)((size,)))
        if neurons.reset == "clamp":  # type: ignore[attr-defined]
            neurons = replace(neurons, refractory_s=2e-6)
        build.nodes[f"p{p}"] = neurons
        n_inputs = [q for _, q in ways].count(p) + (p in entered)
        if n_inputs > 1 and draw(st.booleans()):
            build.nodes[f"add{p}"] = Add()
            build.edges.append((f"add{p}", f"p{p}"))
    for k, (p, q) in enumerate(ways):
        is_alone = q not in entered and [target for _, target in ways].count(q) == 1
        last = _grow_way(build, k, (p, q), is_alone=is_alone, is_back=q <= p or k >= n)
        if p in entered and q < p and last.startswith("w") and draw(st.booleans()):
            build.edges.append((last, build.end(p)))
    for p in entered:
        _grow_entries(build, p)
    return _with_sinks(build, n)


def _grow_way(build: _Network, k: int, way: tuple[int, int], *, is_alone: bool, is_back: bool) -> str:
    """Lead from one population to another, and return the last node; what leads back must delay."""
    draw, size, end = build.draw, build.size, build.end(way[1])
    kinds = ["sparse", "delayed sparse"]
    if end.startswith("add"):
        kinds += ["delay", "delayed linear"]  # neurons with several inputs of their own take synapses only
    else:
        kinds.append("delay" if is_alone else "delayed linear")
    kind = draw(st.sampled_from(kinds))
    name = f"p{way[0]}"
    if kind != "sparse":
        for j in range(draw(st.integers(1, 2))):
            name = build.add(f"d{k}_{j}", Delay(draw(st.sampled_from([1, 2, 9, 40])) * 1e-6), name)
    if kind == "delayed linear":
        weight = _weights(draw, (size, size), on_grid=False) * build.most
        name = build.add(f"w{k}", Linear(weight), name)
    elif kind != "delay":
        least = draw(st.integers(1, 9)) if is_back and kind == "sparse" else draw(st.integers(0, 2))
        name = build.add(f"w{k}", _sparse(draw, size, size, least_us=least, most=build.most), name)
    build.edges.append((name, end))
    return name


def _grow_entries(build: _Network, p: int) -> None:
    """Lead from the Input into a population, once or twice."""
    draw, end = build.draw, build.end(p)
    for k in range(draw(st.integers(1, 2))):
        is_direct = k == 0 and build.n_in == build.size and draw(st.booleans())
        name = "input"
        if not is_direct:
            dense = Linear(_weights(draw, (build.size, build.n_in), on_grid=False) + 0.3)
            node = _sparse(draw, build.n_in, build.size) if draw(st.booleans()) else dense
            name = build.add(f"in{p}_{k}", node, name)
        build.edges.append((name, end))


def _with_sinks(build: _Network, n: int) -> Graph:
    """Let every population hand its spikes out, and perhaps something between them what it hands on."""
    draw: Callable[..., str] = build.draw
    outs = [build.add(f"out{p}", Delay(0), f"p{p}") for p in range(n)]
    between = sorted(name for name in build.nodes if name[0] in "dw" or name.startswith("add"))
    seen = draw(st.sampled_from(["", *between]))
    if seen:
        outs.append(build.add("seen", build.draw(event_neurons((build.size,))), seen))
    if len(outs) > 1:
        build.nodes["all"] = Concat()
        build.edges += [(out, "all") for out in outs]
    try:
        return Graph(build.nodes, build.draw(st.permutations(build.edges)), continuous())
    except GraphError as err:
        is_sparse = any(isinstance(node, SparseLinear) for node in build.nodes.values())
        if is_sparse and "its shape cannot be inferred" not in str(err):
            raise
        reject()  # entered behind a Delay, or several inputs of neurons without a SparseLinear anywhere
