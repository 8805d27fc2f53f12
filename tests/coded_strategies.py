"""Random networks of coded neurons, and frames for them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from neuro.graph import (
    Add,
    Concat,
    Conv2d,
    CountMaxPool2d,
    Delay,
    Difference,
    FirstSpikeIF,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    RadixIF,
    RadixMaxPool2d,
    Readout,
    Rearrange,
    SigmaDelta,
    SignedIF,
    SumPool2d,
    TwoPhaseIF,
    clocked,
)

KINDS = ("two_phase", "signed", "radix", "first_spike", "sigma_delta")
_CODES: dict[str, Any] = {"radix": "radix", "first_spike": "first_spike"}


def neurons(kind: str, draw: Any, channels: int, start: int) -> Any:
    """A population of a kind, with parameters per channel."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    threshold = rng.integers(1, 9, (channels, 1, 1)) / 4
    added = rng.integers(-6, 7, (channels, 1, 1)) / 8
    n = draw(st.integers(1, 5))
    if kind == "two_phase":
        return TwoPhaseIF(threshold, n_levels=n, start_step=start, v_start=added)
    if kind == "signed":
        low = draw(st.integers(-2, 0))
        holds = draw(st.booleans())
        steps = max(start, int(holds))
        return SignedIF(
            threshold,
            max_count=n,
            min_count=low,
            v_start=0.5,
            drive=added,
            drive_steps=steps,
            holds_input=holds,
        )
    if kind == "radix":
        return RadixIF(threshold, n_bits=n, start_step=start, offset=added)
    if kind == "first_spike":
        return FirstSpikeIF(threshold, n_levels=n, start_step=start, offset=added)
    return SigmaDelta(threshold, max_count=n, min_count=draw(st.integers(-2, 0)), v_start=added)


@st.composite
def coded_networks(draw: Any) -> tuple[Graph, np.ndarray[Any, Any]]:
    """A network of two populations of one kind with a pool between, and frames."""
    kind = draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    whole = draw(st.booleans())
    size, channels = draw(st.integers(3, 6)), draw(st.integers(1, 5))

    def weights(*shape: int) -> Any:
        return rng.integers(-3, 4, shape) / 2 if whole else rng.normal(size=shape)

    start, bits = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    window = draw(st.sampled_from([(2, 2, 0), (3, 2, 1), (2, 1, 1)]))
    pools: dict[str, Any] = {
        "two_phase": MaxPool2d(*window),
        "signed": CountMaxPool2d(*window),
        "radix": RadixMaxPool2d(*window, n_bits=bits, start_step=start),
        "first_spike": CountMaxPool2d(*window),
        "sigma_delta": CountMaxPool2d(*window),
    }
    nodes: dict[str, Any] = {"in": Input((2, size, size))}
    if draw(st.booleans()):
        nodes["change"] = Difference()
    nodes["conv1"] = Conv2d(weights(channels, 2, 3, 3), padding=1)
    nodes["first"] = neurons(kind, draw, channels, start)
    nodes["pool"] = pools[kind] if draw(st.booleans()) else SumPool2d(2)
    if draw(st.booleans()):
        probe = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
        shape = probe.shapes[probe.output_names[0]]
        n = int(np.prod(shape))
        nodes["places"] = Rearrange(rng.integers(-1, n, shape))
    nodes["conv2"] = Conv2d(weights(3, channels, 1, 1))
    nodes["second"] = neurons(kind, draw, 3, start + draw(st.integers(0, 3)))
    nodes["flat"] = Flatten()
    probe = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    nodes["fc"] = Linear(weights(2, probe.shapes["flat"][0]))
    steps = draw(st.integers(0, 3))
    nodes["out"] = Readout(
        [0.5, -1.0], drive_steps=steps, start_step=start + 3, code=_CODES.get(kind, "count")
    )
    frames = (rng.integers(-2, 5, (draw(st.integers(0, 8)), 2, size, size)) / 2).astype(np.float32)
    frames[rng.random(frames.shape) < draw(st.sampled_from([0.0, 0.5, 0.95]))] = 0
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001)), frames


@st.composite
def branched_coded_networks(draw: Any) -> tuple[Graph, np.ndarray[Any, Any]]:
    """A residual and a concatenation of coded neurons, perhaps delayed, perhaps without synapses before the first."""
    kind = draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    whole, channels, size = draw(st.booleans()), draw(st.sampled_from([1, 3, 8])), draw(st.integers(2, 5))

    def weights(*shape: int) -> Any:
        return rng.integers(-3, 4, shape) / 2 if whole else rng.normal(size=shape)

    start, late = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    is_spiking = kind in ("two_phase", "radix", "first_spike")
    bias = weights(channels) if draw(st.booleans()) else None
    nodes: dict[str, Any] = {
        "in": Input((channels, size, size)),
        "first": neurons(kind, draw, channels, start),
        "near": Conv2d(weights(channels, channels, 1, 1), bias),
        "far": Conv2d(weights(channels, 1, 3, 3), padding=1, groups=channels),
        "add": Add(),
        "second": neurons(kind, draw, channels, start + draw(st.integers(0, 3))),
        "cat": Concat(),
        "sum": SumPool2d(size),
        "flat": Flatten(),
        "fc": Linear(weights(3, 2 * channels)),
        "out": Readout(
            0.25, drive_steps=draw(st.integers(0, 3)), start_step=start + 3, code=_CODES.get(kind, "count")
        ),
    }
    edges = [
        ("in", "first"),
        ("first", "near"),
        ("first", "far"),
        ("near", "add"),
        ("add", "second"),
        ("cat", "sum"),
    ]
    edges += [("sum", "flat"), ("flat", "fc"), ("fc", "out"), ("second", "cat")]
    if draw(st.booleans()):
        nodes["late"] = Delay(late * 0.001)
        edges += [("far", "late"), ("late", "add")]
    else:
        edges.append(("far", "add"))
    if is_spiking and draw(st.booleans()):
        nodes["later"] = Delay(late * 0.001)
        edges += [("first", "later"), ("later", "cat")]
    else:
        edges.append(("first", "cat"))
    if draw(st.booleans()):
        nodes["conv"] = Conv2d(weights(channels, channels, 1, 1))
        edges[0] = ("in", "conv")
        edges.append(("conv", "first"))
    n_steps = draw(st.integers(0, 10))
    frames = (rng.integers(-2, 5, (n_steps, channels, size, size)) / 2).astype(np.float32)
    frames[rng.random(frames.shape) < draw(st.sampled_from([0.0, 0.5, 0.95]))] = 0
    frames[rng.random(n_steps) < draw(st.sampled_from([0.0, 0.7]))] = 0
    return Graph(nodes, edges, clocked(0.001)), frames
