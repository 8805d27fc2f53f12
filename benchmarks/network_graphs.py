"""The networks of `network_models` as graphs of `neuro`: the same synapses, delays, states and sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from network_models import NetworkModel
from numpy.typing import NDArray

from neuro.graph import CobaLIF, CubaLIF, Graph, Node, PoissonSource, SparseLinear, clocked
from neuro.results import Result

__all__ = ["as_graph", "listed_spikes"]


def as_graph(network: NetworkModel, *, seed: int = 1) -> Graph:
    """Return a network as a graph: a population for each of its populations, a SparseLinear for each pair."""
    dt_s = network.dt_ms * 1e-3
    bounds = np.concatenate([[0], np.cumsum(np.bincount(network.population))])
    names = network.population_names.tolist()
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    for number, name in enumerate(names):
        part = slice(int(bounds[number]), int(bounds[number + 1]))
        nodes[_plain(name)] = _population(network, part)
        if network.poisson_weight:
            n, rate = (
                part.stop - part.start,
                _common(np.broadcast_to(network.poisson_hz, network.n_neurons)[part]),
            )
            source = PoissonSource(rate, n, seed * 1000 + number, weight=network.poisson_weight)
            nodes[f"input of {_plain(name)}"] = source
            edges.append((f"input of {_plain(name)}", _plain(name)))
    for pre in range(len(names)):
        for post, synapses in _synapses(network, bounds, pre, dt_s):
            name = f"{_plain(names[pre])} to {_plain(names[post])}"
            nodes[name] = synapses
            edges += [(_plain(names[pre]), name), (name, _plain(names[post]))]
    return Graph(nodes, edges, clocked(dt_s))


def _plain(name: str) -> str:
    return name.replace("/", "+")  # a node's name holds no slash


def _common(values: NDArray[Any]) -> Any:
    """One number where all are equal."""
    return float(values[0]) if (values == values[0]).all() else values.astype(np.float32)


def _population(network: NetworkModel, part: slice) -> Node:
    common: dict[str, Any] = {
        "v_leak": _common(np.broadcast_to(network.v_rest + network.drive, network.n_neurons)[part]),
        "v_reset": network.v_reset,
        "v_start": network.v_init[part].astype(np.float32),
        "refractory_s": network.refractory_steps * network.dt_ms * 1e-3,
    }
    taus = [tau * 1e-3 for tau in (network.tau_mem_ms, network.tau_exc_ms, network.tau_inh_ms)]
    if network.kind == "current":
        return CubaLIF(taus[0], taus[1], network.threshold, tau_inh_s=taus[2], update="exact", **common)
    return CobaLIF(
        *taus,
        network.threshold,
        v_exc=network.e_exc,
        v_inh=network.e_inh,
        g_exc_start=network.g_exc_init[part].astype(np.float32),
        g_inh_start=network.g_inh_init[part].astype(np.float32),
        **common,
    )


def _synapses(
    network: NetworkModel, bounds: NDArray[Any], pre: int, dt_s: float
) -> list[tuple[int, SparseLinear]]:
    """The synapses from a population to each that it reaches."""
    first, stop = int(bounds[pre]), int(bounds[pre + 1])
    part = slice(int(network.start[first]), int(network.start[stop]))
    target = network.target[part]
    source = np.repeat(np.arange(stop - first, dtype=np.int32), np.diff(network.start[first : stop + 1]))
    is_inhibitory = bool(network.is_inhibitory[first])
    weight: Any = network.weight[part] if network.weight.size > 2 else network.weight[int(is_inhibitory)]
    delay: Any = network.delay_steps[part] if network.delay_steps.size > 1 else network.delay_steps[0]
    owner = network.population[target]
    found = []
    for post in range(bounds.size - 1):
        chosen = np.flatnonzero(owner == post)
        if chosen.size == 0:
            continue
        n_post = int(bounds[post + 1] - bounds[post])
        synapses = SparseLinear.from_coo(
            target[chosen] - int(bounds[post]),
            source[chosen],
            weight[chosen] if np.ndim(weight) else float(weight),
            n_out=n_post,
            n_in=stop - first,
            delay_s=delay[chosen] * dt_s if np.ndim(delay) else float(delay) * dt_s,
            receptor="inhibitory" if is_inhibitory else "excitatory",
        )
        found.append((post, synapses))
    return found


def listed_spikes(network: NetworkModel, result: Result) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return step and neuron of every spike, ascending, numbered as in the network."""
    bounds = np.concatenate([[0], np.cumsum(np.bincount(network.population))])
    parts = [
        (result.spikes[_plain(n)], int(b))
        for n, b in zip(network.population_names.tolist(), bounds, strict=False)
    ]
    step = np.concatenate([spikes.step for spikes, _ in parts]).astype(np.int64)
    index = np.concatenate([spikes.index + first for spikes, first in parts]).astype(np.int64)
    order = np.lexsort((index, step))
    return step[order], index[order]
