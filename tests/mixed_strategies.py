"""Random layered graphs with sparse synapses among their nodes, for hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuro.graph import ATTENTIONS, NEURONS, Flatten, Graph, Input, Linear, SparseLinear
from neuro.graph.networks import is_mixed
from tests.strategies import SEEDS, recurrent_runs, runs


def _sparse(draw: st.DrawFn, n_in: int, n_out: int, dt_s: float, *, least: int = 0) -> SparseLinear:
    """Some pairs, some of them several times, with one delay or one each."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(0, 3 * n_out))
    delay_s = (least + rng.integers(0, 4, n)) * dt_s if n and draw(st.booleans()) else least * dt_s
    weight = rng.normal(0.2, 0.6, n)
    rows, columns = rng.integers(0, n_out, n), rng.integers(0, n_in, n)
    return SparseLinear.from_coo(rows, columns, weight, n_out=n_out, n_in=n_in, delay_s=delay_s)


@st.composite
def mixed_runs(draw: st.DrawFn) -> tuple[Graph, NDArray[np.float32]]:
    """Draw a graph and frames for it: some Linear became sparse, neurons got more inputs, a cycle its own delays."""
    graph, frames = draw(runs() | recurrent_runs())
    nodes, edges, dt_s = dict(graph.nodes), list(graph.edges), graph.dt_s
    for name, node in graph.nodes.items():
        if isinstance(node, Linear) and draw(st.booleans()):
            nodes[name] = _sparse(draw, node.weight.shape[1], node.weight.shape[0], dt_s)
    if "back" in nodes and draw(st.booleans()):  # the cycle of `recurrent_runs`, without its Delay
        n = graph.shapes["hidden"][0]
        nodes["back"] = _sparse(draw, n, n, dt_s, least=draw(st.integers(1, 3)))
        del nodes["delay"]
        edges = [edge for edge in edges if "delay" not in edge] + [("hidden", "back")]
    flat = [name for name in graph.order if len(graph.shapes[name]) == 1 and name in nodes]
    if any(isinstance(node, ATTENTIONS) for node in nodes.values()):
        flat = [name for name in flat if name != graph.input_name]  # attention is alone behind it
    takers = [
        name
        for name in flat
        if isinstance(nodes[name], NEURONS)
        and all(isinstance(nodes[a], (Input, Linear, SparseLinear)) for a, b in edges if b == name)
    ]
    if takers and (draw(st.booleans()) or not any(isinstance(n, SparseLinear) for n in nodes.values())):
        taker = draw(st.sampled_from(takers))
        source = draw(st.sampled_from(flat[: flat.index(taker)] or [taker]))
        least = int(source == taker)
        nodes["extra"] = _sparse(draw, graph.shapes[source][0], graph.shapes[taker][0], dt_s, least=least)
        edges += [(source, "extra"), ("extra", taker)]
    if any(isinstance(node, SparseLinear) for node in nodes.values()) and not is_mixed(nodes):
        nodes["flat"] = Flatten()
        edges.append((graph.output_names[0], "flat"))
    return Graph(nodes, edges, graph.execution), frames
