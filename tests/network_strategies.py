"""Random networks of populations for hypothesis: small, with every node type, and active."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import strategies as st

from neuro.graph import (
    IF,
    LIF,
    AdaptiveLIF,
    CobaLIF,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Izhikevich,
    Linear,
    Node,
    PoissonSource,
    SparseLinear,
    Stdp,
    clocked,
)
from neuro.lowering import network_synapses
from neuro.lowering import networks as lowering
from neuro.spikes import Spikes

DT_S = 0.001
KINDS = (
    "IF",
    "LIF",
    "decay",
    "euler",
    "cuba",
    "cuba two",
    "exact",
    "exact two",
    "coba",
    "coba euler",
    "adaptive",
    "izh",
)
TWO = {"cuba two", "exact two", "coba", "coba euler"}


def population(kind: str, n: int, rng: np.random.Generator, *, is_alike: bool) -> Node:
    """A population of `n` neurons; numbers for parameters, or arrays."""

    def drawn(lo: float, hi: float) -> Any:
        return float(rng.uniform(lo, hi)) if is_alike else rng.uniform(lo, hi, n).astype(np.float32)

    common: dict[str, Any] = {"refractory_s": int(rng.integers(0, 4)) * DT_S}
    if kind != "adaptive":
        common["comparison"] = str(rng.choice([">", ">="]))
    if kind == "izh":
        return Izhikevich(
            drawn(0.02, 0.1), drawn(0.2, 0.25), -65.0, drawn(2.0, 8.0), drive=drawn(0.0, 12.0), **common
        )
    if kind.startswith("coba"):
        update = "euler" if kind.endswith("euler") else "exponential"
        return CobaLIF(
            drawn(0.01, 0.03), drawn(0.003, 0.006), drawn(0.005, 0.02), -0.05, v_leak=-0.06, v_exc=drawn(-0.01, 0.0),
            v_inh=-0.08, v_reset=-0.06, v_start=drawn(-0.06, -0.05), update=update, **common,
        )  # fmt: skip
    if kind == "adaptive":
        jumps = {"threshold_jump": drawn(0.0, 0.2), "tau_threshold_s": drawn(0.02, 0.2)}
        return AdaptiveLIF(drawn(0.005, 0.02), drawn(0.02, 0.2), drawn(0.0, 0.5), 0.2, **jumps, **common)
    common["reset"] = str(rng.choice(["value", "subtract", "clamp"]))
    if kind == "IF":
        return IF(drawn(0.5, 2.0), **common)
    if kind in {"LIF", "decay", "euler"}:
        update = {"LIF": "exponential"}.get(kind, kind)
        leak = {} if kind == "decay" else {"v_leak": drawn(0.0, 0.1)}
        return LIF(
            drawn(0.005, 0.02), drawn(0.1, 0.3), update=update, v_start=drawn(0.0, 0.2), **leak, **common
        )
    update = "exact" if kind.startswith("exact") else str(rng.choice(["euler", "exponential"]))
    taus = {"tau_inh_s": drawn(0.004, 0.01)} if kind in TWO else {}
    return CubaLIF(drawn(0.005, 0.02), drawn(0.003, 0.01), drawn(0.1, 0.3), update=update, **taus, **common)


def synapses(
    n_out: int, n_in: int, rng: np.random.Generator, *, least: int, receptor: str, plastic: bool
) -> SparseLinear:
    """Random synapses, some pairs connected twice, delays of at least `least` steps."""
    n = int(rng.integers(0, min(400, max(2, n_out * n_in // 2))))
    out, into = rng.integers(0, n_out, n), rng.integers(0, n_in, n)
    weight = rng.uniform(0.0 if plastic else -0.3, 0.6, n)
    delay: Any = int(rng.integers(least, 5)) * DT_S
    if n and rng.random() < 0.5:
        delay = rng.integers(least, rng.choice([6, 40]), n) * DT_S
    stdp = Stdp(0.01, 0.02, float(rng.uniform(0, 0.3)), float(rng.uniform(0, 0.3)), 0.6) if plastic else None
    if rng.random() < 0.2:
        weight[:] = 0.25  # rows of one weight take a path of their own
    return SparseLinear.from_coo(
        out, into, weight, n_out=n_out, n_in=n_in, delay_s=delay, receptor=receptor, stdp=stdp
    )


def networks() -> st.SearchStrategy[tuple[Graph, Spikes | None, int]]:
    """Networks, their frames (where they have an Input) and the number of steps."""
    kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)
    return st.builds(network, st.integers(0, 2**32 - 1), st.integers(0, 30), kinds, st.booleans())


def network(seed: int, n_steps: int, kinds: list[str], has_input: bool) -> tuple[Graph, Spikes | None, int]:
    """A network drawn from a seed."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    names, sizes = [], {}
    for kind in kinds:
        name = f"{rng.choice(list('abxyz'))}{len(names)}"
        names.append(name)
        sizes[name] = int(rng.choice([1, 3, 8, 300]))
        nodes[name] = population(kind, sizes[name], rng, is_alike=bool(rng.random() < 0.5))
    sources = ["noise"] if rng.random() < 0.8 or not has_input else []
    sizes["noise"], sizes["in"] = int(rng.integers(1, 6)), 4
    if sources:
        is_even = rng.random() < 0.5
        rate = 300.0 if is_even else rng.uniform(20, 3000, sizes["noise"]).astype(np.float32)
        nodes["noise"] = PoissonSource(rate, sizes["noise"], int(rng.integers(0, 99)), weight=0.5)
    if has_input:
        sources.append("in")
        nodes["in"] = Input(4)
    for target, kind in zip(names, kinds, strict=True):
        for source in (*sources, *names):
            if rng.random() < 0.7:
                is_earlier = source in sources or names.index(source) < names.index(target)
                receptor = str(rng.choice(["excitatory", "inhibitory"])) if kind in TWO else "excitatory"
                name = f"{source}-{target}"
                plastic = bool(rng.random() < 0.3) and source not in sources
                least = 0 if is_earlier and not plastic else 1
                nodes[name] = synapses(
                    sizes[target], sizes[source], rng, least=least, receptor=receptor, plastic=plastic
                )
                before = source
                if rng.random() < 0.2:
                    before = f"late {name}"
                    nodes[before] = Delay(int(rng.integers(1, 4)) * DT_S)
                    edges.append((source, before))
                edges += [(before, name), (name, target)]
        if sizes[target] > 3 and rng.random() < 0.5 and "noise" in nodes:
            direct = f"direct {target}"
            nodes[direct] = PoissonSource(200.0, sizes[target], len(nodes), weight=0.4)
            edges.append((direct, target))
        _give_size(nodes, edges, target, sizes)
    frames = None
    if has_input:
        dense = rng.random((n_steps, 4)) * (rng.random((n_steps, 4)) < 0.3)
        frames = Spikes.from_dense(dense)
        if not any(source == "in" for source, _ in edges):
            nodes["all"] = Linear(rng.uniform(0, 0.5, (sizes[names[0]], 4)))
            edges += [("in", "all"), ("all", names[0])]
    if "noise" in nodes and not any(source == "noise" for source, _ in edges):
        nodes["some"] = synapses(
            sizes[names[0]], sizes["noise"], rng, least=0, receptor="excitatory", plastic=False
        )
        edges += [("noise", "some"), ("some", names[0])]
    return Graph(nodes, edges, clocked(DT_S)), frames, n_steps


def _give_size(
    nodes: dict[str, Node], edges: list[tuple[str, str]], target: str, sizes: dict[str, int]
) -> None:
    """A population without inputs gets a source that says its size."""
    if not any(end == target for _, end in edges):
        name = f"direct {target}"
        nodes[name] = PoissonSource(100.0, sizes[target], len(nodes), weight=0.3)
        edges.append((name, target))


@contextmanager
def enough_for_threads() -> Iterator[None]:
    """Let any network take as many threads as are asked for."""
    with mock.patch.multiple(lowering, LEAST_NS=1e-9, most_threads=lambda: 64):
        yield


@contextmanager
def delivering(by: str) -> Iterator[None]:
    """Deliver by 'lists', or by a 'ring' where that is possible (without plastic synapses), whatever is faster."""
    always, never = {"SPIKE_NS": -1e9, "RING_NS": -1e9}, {"SPIKE_NS": 1e9, "RING_NS": 1e9}
    lowering._lowered.cache_clear()
    try:
        with mock.patch.multiple(network_synapses, **(always if by == "ring" else never)):
            yield
    finally:
        lowering._lowered.cache_clear()
