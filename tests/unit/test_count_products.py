"""Products of counts by hand, and at random against the reference (R164, R165)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from neuro import running
from neuro.graph import (
    CountMatrixProduct,
    CountProduct,
    FirstSpikeIF,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    RadixIF,
    Readout,
    Rearrange,
    SignedIF,
    TwoPhaseIF,
    clocked,
)
from neuro.graph.nir_exchange import to_nir
from neuro.lowering.coded_tables import coded_table_of
from neuro.lowering.plan import lower
from neuro.running import run_recording
from tests.properties.test_chains import equal_results, everything

Code = Any


def part(start: int, shape: tuple[int, ...]) -> Rearrange:
    """A part of the input in a shape of its own."""
    return Rearrange(start + np.arange(int(np.prod(shape))).reshape(shape))


def two(neurons: Any, product: Any, first: tuple[int, ...], second: tuple[int, ...], code: Code) -> Graph:
    """Two populations, their product, and a readout."""
    n = int(np.prod(first))
    nodes = {
        "in": Input(n + int(np.prod(second))),
        "a": part(0, first),
        "b": part(n, second),
        "first": neurons,
        "second": neurons,
        "product": product,
        "out": Readout(code=code, start_step=product.start_step),
    }
    edges = [("in", "a"), ("in", "b"), ("a", "first"), ("b", "second")]
    edges += [("first", "product"), ("second", "product"), ("product", "out")]
    return Graph(nodes, edges, clocked(0.001))


@pytest.mark.parametrize(
    ("neurons", "code", "last"),
    [
        (TwoPhaseIF(1.0, n_levels=7), "count", 0),
        (SignedIF(1.0, max_count=7, min_count=-3), "count", 0),
        (RadixIF(1.0, n_bits=3), "radix", 2),
        (FirstSpikeIF(1.0, n_levels=7), "first_spike", 6),
    ],
)
def test_the_product_is_that_of_the_counts(neurons: Any, code: Code, last: int) -> None:
    product = CountProduct(0.5, -1.0, code=code, start_step=last)
    graph = two(neurons, product, (2, 1, 2), (2, 1, 1), code)
    x = np.zeros((12, 6), np.float32)
    x[0] = [1, 2, 3, 7, 5, 0]
    found = neuro.simulate(graph, x).output.sum(axis=0)
    gate = np.array([4.0, -1.0]).reshape(2, 1, 1)
    assert found.tolist() == (gate * (0.5 + x[0, :4].reshape(2, 1, 2))).tolist()


@pytest.mark.parametrize("code", ["count", "radix", "first_spike"])
def test_matrices_are_multiplied_channel_by_channel(code: Code) -> None:
    neurons = {
        "count": TwoPhaseIF(1.0, n_levels=7),
        "radix": RadixIF(1.0, n_bits=3),
        "first_spike": FirstSpikeIF(1.0, n_levels=7),
    }[code]
    last = {"count": 0, "radix": 2, "first_spike": 6}[code]
    a, b = (2, 3, 4), (2, 4, 2)
    graph = two(neurons, CountMatrixProduct(code=code, start_step=last), a, b, code)
    x = np.zeros((12, 40), np.float32)
    x[0] = np.random.default_rng(0).integers(0, 8, 40)
    found = neuro.simulate(graph, x).output.sum(axis=0)
    assert found.tolist() == (x[0, :24].reshape(a) @ x[0, 24:].reshape(b)).tolist()


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["count", "radix", "first_spike"]),
    st.booleans(),
    st.integers(0, 4),
    st.integers(0, 7),
    st.integers(0, 7),
    st.integers(0, 2**32 - 1),
)
def test_the_engine_equals_the_reference_and_runs_split(  # noqa: PLR0917
    code: Code, is_matrix: bool, last: int, n_steps: int, cut: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first, second = ((3, 2, 4), (3, 4, 3)) if is_matrix else ((3, 2, 2), (3, 1, 1))
    kind = CountMatrixProduct if is_matrix else CountProduct
    offsets = rng.normal(size=(3, 1, 1)), rng.normal(size=second)
    graph = two(SignedIF(0.7, max_count=3), kind(*offsets, code=code, start_step=last), first, second, code)
    frames = rng.normal(size=(n_steps, graph.shapes["in"][0])).astype(np.float32)
    assert neuro.verify(graph, frames)
    whole, begun = neuro.simulate(graph, frames), neuro.simulate(graph, frames[:cut])
    rest = neuro.simulate(graph, frames[cut:], state=begun.state)
    assert np.array_equal(whole.output, np.concatenate([begun.output, rest.output]))


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["count", "radix", "first_spike"]),
    st.sampled_from(["matrix", "same", "broadcast", "square"]),
    st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(0, 7), st.integers(1, 4)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_one_call_equals_blocks(
    code: Code, form: str, sizes: tuple[int, int, int, int], is_recorded: bool, seed: int
) -> None:
    """With silent steps, in blocks of any length, cut anywhere: bits, reports and states."""
    rng, (last, n_steps, cut, block_steps) = np.random.default_rng(seed), sizes
    first, second = {
        "matrix": ((2, 3, 4), (2, 4, 2)), "same": ((3, 2, 2), (3, 2, 2)), "broadcast": ((3, 2, 2), (3, 1, 1)),
        "square": ((2, 2, 2), (2, 2, 2)),
    }[form]  # fmt: skip
    kind = CountMatrixProduct if form == "matrix" else CountProduct
    product = kind(rng.normal(size=(first[0], 1, 1)), rng.normal(size=second), code=code, start_step=last)
    graph = two(SignedIF(0.7, max_count=3), product, first, second, code)
    if form == "square":  # both populations read one input, and synapses read the product
        nodes = {**graph.nodes, "in": Input(first), "flat": part(0, (8,))}
        nodes |= {"linear": Linear(rng.normal(size=(3, 8)))}
        edges = [("in", "first"), ("in", "second"), ("first", "product"), ("second", "product")]
        edges += [("product", "flat"), ("flat", "linear"), ("linear", "out")]
        del nodes["a"], nodes["b"]
        graph = Graph(nodes, edges, clocked(0.001))
    assert coded_table_of(lower(graph)) is not None
    shape = graph.shapes["in"]
    frames = rng.normal(size=(n_steps, *shape)).astype(np.float32)
    frames[rng.random(n_steps) < 0.5] = 0
    plan = dataclasses.replace(lower(graph), block_steps=block_steps)
    record = everything(graph) if is_recorded else None
    in_one = in_blocks = None
    for piece in (frames[:cut], frames[cut:]):
        states = [None if one is None else one.state for one in (in_one, in_blocks)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "lower", lambda _: plan)
            in_one = run_recording(graph, piece, record=record, state=states[0])
        in_blocks = run_recording(graph, piece, record=record, state=states[1], in_blocks=True)
        equal_results(in_one, in_blocks)


def test_files_hold_products_and_places(tmp_path: Path) -> None:
    product = CountProduct(np.ones((2, 1, 1)), code="radix", start_step=2)
    graph = two(RadixIF(1.0, n_bits=3), product, (2, 1, 2), (2, 1, 1), "radix")
    graph.save(tmp_path / "graph.h5")
    assert Graph.load(tmp_path / "graph.h5") == graph


def test_nir_cannot_say_products_nor_places() -> None:
    graph = two(TwoPhaseIF(1.0, n_levels=7), CountProduct(), (2, 1, 2), (2, 1, 1), "count")
    with pytest.raises(neuro.GraphError, match="Rearrange 'a': NIR cannot say Rearrange"):
        to_nir(graph)


@pytest.mark.parametrize(
    ("product", "first", "second", "message"),
    [
        (
            CountProduct(),
            (2, 1, 2),
            (2, 2, 1),
            r"the shape of the first, or \(C, 1, 1\), got \(2, 1, 2\) and",
        ),
        (CountMatrixProduct(), (2, 1, 2), (2, 1, 2), r"inputs must be \(C, M, K\) and \(C, K, N\), got"),
        (
            CountProduct(np.ones((3, 1, 1))),
            (2, 1, 2),
            (2, 1, 2),
            r"first_offset must be a number or have shape",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named(product: Any, first: Any, second: Any, message: str) -> None:
    with pytest.raises(neuro.GraphError, match=message):
        two(TwoPhaseIF(1.0, n_levels=7), product, first, second, "count")


def test_a_product_needs_two_inputs_and_no_maximum_behind_it() -> None:
    nodes = {"in": Input((1, 2, 2)), "n": TwoPhaseIF(1.0, n_levels=1), "product": CountProduct()}
    with pytest.raises(neuro.GraphError, match="CountProduct 'product': needs exactly two inputs, got 1"):
        Graph(nodes, [("in", "n"), ("n", "product")], clocked(0.001))
    nodes |= {"m": TwoPhaseIF(1.0, n_levels=1), "pool": MaxPool2d(2)}
    edges = [("in", "n"), ("in", "m"), ("n", "product"), ("m", "product"), ("product", "pool")]
    with pytest.raises(
        neuro.GraphError, match="needs inputs >= 0, but CountProduct 'product' can be negative"
    ):
        Graph(nodes, edges, clocked(0.001))
    with pytest.raises(neuro.GraphError, match="CountProduct: code must be one of"):
        CountProduct(code="rate")  # type: ignore[arg-type]
