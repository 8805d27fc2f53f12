"""Enlarging layers: their plain form, whole numbers and the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analog_bridge import LayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.integers import evaluate_integers
from analog_bridge.layers import (
    InputLayer,
    LayerGraph,
    MatrixProduct,
    Rearrangement,
    TransposedConvolution,
    Upsample,
)
from analog_bridge.layers.plain import plain_layers
from analog_bridge.quantization import snap_to_grid
from tests.bridge_networks import data_on_grid


def network(layer: Any, shape: tuple[int, ...]) -> LayerGraph:
    return LayerGraph((InputLayer("x", (), shape), layer), (layer.name,))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_transposed_convolution_is_a_convolution_of_spread_entries(data: st.DataObject) -> None:
    draw, pair = data.draw, st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups, n_in, n_out = draw(st.sampled_from([(1, 2, 3), (2, 4, 2), (3, 3, 6)]))
    stride, dilation, kernel = draw(pair), draw(pair), draw(pair)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    padding = tuple(draw(st.integers(0, d * (k - 1))) for d, k in zip(dilation, kernel, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weight = rng.integers(-8, 9, (n_in, n_out // groups, *kernel)) / 8
    bias = rng.integers(-8, 9, n_out) / 8
    layer = TransposedConvolution("t", ("x",), weight, bias, stride, padding, more, dilation, groups)  # type: ignore[arg-type]
    size = draw(st.tuples(st.integers(2, 4), st.integers(2, 4)))
    try:
        graph = network(layer, (n_in, *size))
    except LayerError:
        return  # nothing is left of the output
    x = data_on_grid(2, n_in, *size, seed=draw(st.integers(0, 1000)))
    wanted = evaluate(graph, x, precision="float64")["t"]
    assert np.array_equal(evaluate(plain_layers(graph), x, precision="float64")["t"], wanted)
    assert np.array_equal(evaluate_integers(graph, x)["t"].real, wanted)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("factor", [(1, 1), (2, 2), (1, 4), (3, 2), (5, 3)])
def test_enlarging_is_a_convolution_of_spread_entries(mode: Any, factor: tuple[int, int]) -> None:
    graph = network(Upsample("u", ("x",), factor, mode), (2, 3, 1))
    x = data_on_grid(3, 2, 3, 1)
    wanted = evaluate(graph, x, precision="float64")["u"]
    found = evaluate(plain_layers(graph), x, precision="float64")["u"]
    is_whole = mode == "nearest" or not any(f & (f - 1) for f in factor)
    assert np.abs(found - wanted).max() <= (0 if is_whole else 2 * 2.0**-24 * 3)  # weights k / 2 f in float32
    if is_whole:
        assert np.array_equal(evaluate_integers(graph, x)["u"].real, wanted)
    else:
        with pytest.raises(
            LayerError, match=r"enlarges bilinearly by .* not by powers of two; use snap_to_grid"
        ):
            evaluate_integers(graph, x)


@pytest.mark.parametrize(
    "layer",
    [
        Upsample("u", ("x",), (3, 2), "bilinear"),
        Upsample("u", ("x",), (4, 2), "bilinear"),
        TransposedConvolution(
            "u", ("x",), np.random.default_rng(0).normal(size=(2, 3, 3, 3)), np.ones(3), (2, 2)
        ),
    ],
)
def test_snapped_enlarging_is_computed_in_whole_numbers(layer: Any) -> None:
    snapped = snap_to_grid(network(layer, (2, 3, 3)), input_unit=0.25)
    x = data_on_grid(3, 2, 3, 3)
    whole = evaluate_integers(snapped, x)["u"].real
    assert np.array_equal(evaluate(snapped, x, precision="float64")["u"], whole)
    assert np.array_equal(evaluate(snapped, x, precision="float32")["u"], whole)
    exact = evaluate(network(layer, (2, 3, 3)), x, precision="float64")["u"]
    assert np.abs(whole - exact).max() < 0.25  # 8 bits


def test_places_and_matrix_products() -> None:
    x = InputLayer("x", (), (2, 1, 2))
    turned = Rearrangement("turned", ("x",), np.array([[[0], [-1]], [[2], [3]]]))
    product = MatrixProduct("p", ("turned", "x"))
    graph = LayerGraph((x, turned, product), ("p",))
    assert graph.shapes["p"] == (2, 2, 2)
    value = [[[[1.0, 2.0]], [[3.0, 4.0]]]]
    wanted = [[[[1, 2], [0, 0]], [[9, 12], [12, 16]]]]
    assert evaluate(graph, value)["p"].tolist() == wanted
    assert evaluate_integers(graph, value)["p"].real.tolist() == wanted
    with pytest.raises(LayerError, match=r"MatrixProduct 'q': inputs must be \(channels, M, K\) and"):
        LayerGraph((x, MatrixProduct("q", ("x", "x"))), ("q",))
    with pytest.raises(LayerError, match="Rearrangement 'r': index reaches entry 4"):
        LayerGraph((x, Rearrangement("r", ("x",), np.array([4]))), ("r",))
    with pytest.raises(LayerError, match="index must hold whole numbers >= -1"):
        Rearrangement("r", ("x",), np.array([-2]))
