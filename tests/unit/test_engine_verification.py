"""`neuro.verify`: equal where the engine is right, and the first wrong value named where it is not."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import verification
from neuro.graph import (
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    SparseLinear,
    TemporalAttention,
    clocked,
    continuous,
)
from neuro.running import run_recording
from tests.strategies import recurrent_runs, runs, wide_runs

Tamper = Callable[[neuro.Result], neuro.Result]


def network(*, attention: TemporalAttention | None = None) -> Graph:
    """A convolution with a delay behind it and a readout."""
    rng = np.random.default_rng(0)
    nodes: dict[str, Any] = {"in": Input((2, 4, 4))} | ({} if attention is None else {"attention": attention})
    nodes |= {
        "conv": Conv2d(rng.normal(0.2, 0.3, (3, 2, 3, 3)), padding=1),
        "hidden": LIF(0.003, 0.3),
        "delay": Delay(0.002),
        "flat": Flatten(),
        "fc": Linear(rng.normal(0, 0.3, (2, 48))),
        "readout": LI(0.01),
    }
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


FRAMES = (np.random.default_rng(1).random((9, 2, 4, 4)) < 0.3).astype(np.float32)


def tampered(monkeypatch: pytest.MonkeyPatch, path: str, tamper: Tamper, *, call: int = 0) -> None:
    """Let a path of the engine return something else, from its `call`-th run on."""
    n_calls: Counter[str] = Counter()

    def run(*args: Any, **words: Any) -> neuro.Result:
        result = run_recording(*args, **words)
        is_traced = any("membrane" in kinds for kinds in words["record"].values())
        name = "traced" if is_traced else words["path"] or "automatic"
        n_calls[name] += 1
        return tamper(result) if name == path and n_calls[path] > call else result

    monkeypatch.setattr(verification, "run_recording", run)


def with_changed(kind: str, name: str, change: Callable[[NDArray[np.float32]], None]) -> Tamper:
    """Change a copy of what was recorded."""

    def tamper(result: neuro.Result) -> neuro.Result:
        recorded = getattr(result, kind)
        array = recorded[name].to_dense() if kind == "spikes" else recorded[name].copy()
        change(array)
        value = neuro.Spikes.from_dense(array) if kind == "spikes" else array
        return dataclasses.replace(result, **{kind: {**recorded, name: value}})

    return tamper


@settings(max_examples=25)
@given(runs() | recurrent_runs() | wide_runs(), st.booleans(), st.sampled_from([1, 50, 2**23]))
def test_the_engine_is_verified_on_random_graphs(
    run: tuple[Graph, NDArray[np.float32]], use_attention: bool, chunk_entries: int
) -> None:
    graph, frames = run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "_CHUNK_ENTRIES", chunk_entries)
        found = neuro.verify(graph, frames, use_attention=use_attention)
    assert found, found
    assert found.n_steps_compared == found.n_steps == len(frames)
    assert found.n_spikes == sum(
        neuro.simulate(graph, frames, use_attention=use_attention).counters.spikes.values()
    )


def test_what_was_compared_is_counted() -> None:
    found = neuro.verify(network(), neuro.Spikes.from_dense(FRAMES))
    counters = neuro.simulate(network(), FRAMES).counters
    per_step = 32 + 3 * 48 + 48 + 2 + 2  # spikes of in, hidden, delay and flat, membranes, outputs
    assert found.is_equal
    assert repr(found) == (
        "Verification(equal: 5 engine paths (automatic, scatter, gather, dense, traced) x reference, 9 steps, "
        f"{counters.spikes['hidden']} spikes, {9 * per_step} values)"
    )


def test_frames_that_attention_drops_are_compared() -> None:
    attention = TemporalAttention(np.zeros((1, 9)), [0.0], np.zeros((9, 1)), [1.0, -1.0, -1.0] * 3, 0.5)
    graph = network(attention=attention)
    assert neuro.verify(graph, FRAMES).n_steps_dropped == 6
    assert "9 steps (6 dropped)" in repr(neuro.verify(graph, FRAMES))
    assert neuro.verify(graph, FRAMES, use_attention=False).n_steps_dropped == 0


def test_the_first_divergence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    membranes = neuro.simulate(graph, FRAMES, record={"hidden": "membrane"}).membranes["hidden"]
    where = 3, *np.argwhere(membranes[3])[5].tolist()  # a neuron that did not just fire
    right = membranes[where]
    wrong = np.nextafter(right, np.float32(9))

    def change(array: NDArray[np.float32]) -> None:
        array[where] = wrong
        array[3, 2, 3, 3] = array[4, 0, 0, 0] = 7

    tampered(monkeypatch, "traced", with_changed("membranes", "hidden", change))
    found = neuro.verify(graph, FRAMES)
    assert not found
    assert found.divergence == neuro.Divergence(
        3, "hidden", "membrane", where[1:], float(wrong), float(right), "traced"
    )
    assert repr(found) == (
        "Verification(NOT equal: 5 engine paths (automatic, scatter, gather, dense, traced) x reference; first "
        f"divergence: step 3, node 'hidden', neuron {where[1:]}: membrane {wrong!s} in the engine (path traced), "
        f"{right!s} in the reference)"
    )


@pytest.mark.parametrize("path", ["automatic", "scatter", "gather", "dense"])
def test_membranes_at_the_end_are_compared_on_every_path(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def disturb(result: neuro.Result) -> neuro.Result:
        voltage, *others = result.state.membranes["hidden"]
        changed = {**result.state.membranes, "hidden": (voltage + np.float32(1), *others)}
        return dataclasses.replace(result, state=dataclasses.replace(result.state, membranes=changed))

    tampered(monkeypatch, path, disturb)
    found = neuro.verify(network(), FRAMES).divergence
    assert found is not None
    assert (found.step, found.node, found.quantity, found.path) == (8, "hidden", "membrane", path)


def flip(step: int) -> Callable[[NDArray[np.float32]], None]:
    """Turn the first entry of a step from 0 to 1 or from 1 to 0."""

    def change(array: NDArray[np.float32]) -> None:
        entry = (step, *(0,) * (array.ndim - 1))
        array[entry] = 1 - array[entry]

    return change


def test_the_order_is_step_then_node_then_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    late_first_node = with_changed("spikes", "hidden", flip(5))
    early_last_node = with_changed("outputs", "readout", flip(4))
    tampered(monkeypatch, "gather", lambda result: early_last_node(late_first_node(result)))
    first = neuro.verify(graph, FRAMES).divergence
    assert first is not None
    assert (first.step, first.node, first.quantity) == (4, "readout", "output")

    same_step = with_changed("outputs", "readout", flip(5))
    tampered(monkeypatch, "gather", lambda result: same_step(late_first_node(result)))
    first = neuro.verify(graph, FRAMES).divergence
    assert first is not None
    assert (first.step, first.node, first.quantity, first.index) == (5, "hidden", "spikes", (0, 0, 0))


def test_a_divergence_in_a_later_chunk_has_the_step_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_CHUNK_ENTRIES", 500)  # two steps of 228 values
    tampered(monkeypatch, "scatter", with_changed("outputs", "readout", flip(1)), call=2)
    found = neuro.verify(network(), FRAMES)
    assert found.divergence is not None
    assert (found.divergence.step, found.n_steps_compared) == (5, 6)


def test_not_a_number_equals_itself() -> None:
    rows = [[3e38, 3e38], [-3e38, -3e38]]
    nodes = {"in": Input(2), "a": Linear(rows), "b": Linear([[1.0, 1.0]]), "out": LI(0.01)}
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    assert np.isnan(neuro.simulate(graph, np.ones((2, 2))).output).all()
    assert neuro.verify(graph, np.ones((2, 2)))


def test_what_overflows_is_infinite_without_a_warning() -> None:
    """Warnings are errors in these tests."""
    big: Any = {"in": Input(1), "a": Linear([[3e38]]), "b": Linear([[3e38]])}
    edges = [("in", "a"), ("in", "b")]
    layers = Graph(
        big | {"sum": Add(), "n": LIF(0.01)},
        [*edges, ("a", "sum"), ("b", "sum"), ("sum", "n")],
        clocked(0.001),
    )
    assert neuro.verify(layers, np.ones((3, 1)))
    network = big | {"w": SparseLinear([3e38], [0], [0, 1], 1), "n": LIF(0.01)}
    edges = [("in", "w"), ("in", "a"), ("in", "b"), ("w", "n"), ("a", "n"), ("b", "n")]
    assert neuro.verify(Graph(network, edges, clocked(0.001)), np.ones((3, 1)))
    free = Graph(
        {"in": Input(1), "a": Linear([[3e38]]), "n": LIF(0.01, 3.2e38)},
        [("in", "a"), ("a", "n")],
        continuous(),
    )
    assert neuro.verify(free, neuro.Events([1, 1, 2], [0, 0, 0], [1, 1, 3e38], (1,)))


def test_verify_names_what_it_cannot_run() -> None:
    with pytest.raises(neuro.InputError, match="takes one recording, got a list"):
        neuro.verify(network(), [FRAMES])  # type: ignore[arg-type]
    with pytest.raises(neuro.InputError, match="needs an array of shape"):
        neuro.verify(network(), FRAMES[0])
    for ask in (neuro.simulate, neuro.verify, neuro.stream):
        with pytest.raises(
            neuro.InputError, match=rf"{ask.__name__}: graph must be a neuro\.graph\.Graph, got int"
        ):
            ask(3)  # type: ignore[operator]
    attention = TemporalAttention(np.ones((1, 4)), [0.0], np.ones((4, 1)), np.zeros(4), 0.5)
    with pytest.raises(neuro.InputError, match="scores a whole window of 4 frames, got 9"):
        neuro.verify(network(attention=attention), FRAMES)
    free = Graph({"in": Input(1), "lif": LIF(0.01)}, [("in", "lif")], continuous())
    with pytest.raises(neuro.InputError, match="execution is continuous"):
        neuro.verify(free, np.ones((1, 1)))
