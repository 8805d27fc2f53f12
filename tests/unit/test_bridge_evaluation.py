"""The reference evaluation: values by hand, the half rule, and data that do not fit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from analog_bridge import LayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Concatenation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MaxPool,
    Permutation,
    Product,
    Quantizer,
    Reshape,
    Scale,
    Sum,
    TransposedConvolution,
    Upsample,
)


def _value(x: Any, *layers: Layer, precision: Any = "float32") -> np.ndarray:
    graph = LayerGraph((InputLayer("x", (), np.shape(x)), *layers), (layers[-1].name,))
    return evaluate(graph, np.asarray([x]), precision=precision)[layers[-1].name][0]


def test_a_count_takes_the_half_up_and_stays_in_its_range() -> None:
    x = [-0.5, -0.25, 0.0, 0.125, 0.25 - 2**-26, 0.25, 0.75, 0.75 - 2**-24, 1e9]
    assert _value(x, Quantizer("q", ("x",), [0.5], 3)).tolist() == [0, 0, 0, 0, 0, 0.5, 1.0, 0.5, 1.5]
    signed = _value([-0.25, -0.26, -9.0], Quantizer("q", ("x",), [0.5], 3, n_negative=1))
    assert signed.tolist() == [0.0, -0.5, -0.5]


def test_a_count_has_one_unit_per_channel() -> None:
    x = np.ones((2, 1, 2))
    assert _value(x, Quantizer("q", ("x",), [0.75, 2.0], 8)).ravel().tolist() == [0.75, 0.75, 2.0, 2.0]


def test_the_half_rule_is_exact_where_float32_is_not() -> None:
    """x / unit rounds to 1.5 in float32, but is below it."""
    unit = np.float32(0.1)
    x = np.nextafter(np.float32(unit * np.float32(1.5)), np.float32(0))
    exact = int(np.floor(np.float64(x) / np.float64(unit) + 0.5))
    assert _value([x], Quantizer("q", ("x",), [unit], 5)).tolist() == [np.float32(exact) * unit]


def test_layers_by_hand() -> None:
    assert _value([1.0, 2.0], Dense("d", ("x",), [[1, 1], [1, -1]], [0.5, 0])).tolist() == [3.5, -1]
    image = np.arange(6.0).reshape(1, 2, 3)
    shifted = Convolution("c", ("x",), np.ones((1, 1, 1, 2)), [0], padding=(0, 0, 1, 0))
    assert _value(image, shifted).tolist() == [[[0, 1, 3], [3, 7, 9]]]
    spread = TransposedConvolution("t", ("x",), np.ones((1, 1, 1, 1)), [1], stride=(1, 2))
    assert _value(image, spread).tolist() == [[[1, 1, 2, 1, 3], [4, 1, 5, 1, 6]]]
    assert _value(image, AveragePool("p", ("x",), (2, 2), (1, 1))).tolist() == [[[2, 3]]]
    left_out = AveragePool("p", ("x",), (2, 2), (2, 2), (1, 1), counts_padding=False)
    assert _value(image, left_out).tolist() == [[[0, 1.5], [3, 4.5]]]
    assert _value(-image, MaxPool("p", ("x",), (2, 2), (2, 2), (1, 1))).tolist() == [[[0, -1], [-3, -4]]]
    assert _value(image, Upsample("u", ("x",), (1, 2))).tolist() == [[[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]]
    smooth = _value(np.array([[[0.0, 4.0]]]), Upsample("u", ("x",), (1, 2), "bilinear"))
    assert smooth.tolist() == [[[0, 1, 3, 4]]]
    assert _value([-2.0, 9.0], Activation("a", ("x",), slope=0.5, upper=6.0)).tolist() == [-1, 6]
    assert _value([-2.0, 0.5], Activation("a", ("x",), lower=-1.0, upper=1.0)).tolist() == [-1, 0.5]
    assert _value([1.0, 2.0], Scale("s", ("x",), [2, 3], [1, 0])).tolist() == [3, 6]
    assert _value([1.0, 2.0, 3.0], Permutation("p", ("x",), [2, 0])).tolist() == [3, 1]
    assert _value(image, Reshape("r", ("x",), (6,)), Reshape("s", ("r",), (3, 1, 2))).shape == (3, 1, 2)
    assert _value([1.0], Sum("s", ("x", "x", "x"))).tolist() == [3]
    assert _value([1.0], Concatenation("s", ("x", "x"))).tolist() == [1, 1]
    gate = AveragePool("g", ("x",), (2, 3), (1, 1))
    assert _value(image, gate, Product("m", ("x", "g"))).tolist() == (image * 2.5).tolist()


def test_batches_and_kept_values_are_those_of_one_run() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    layers = (
        InputLayer("x", (), (3,)),
        Dense("d", ("x",), rng.integers(-3, 4, (2, 3)), [0, 0]),
        Activation("a", ("d",)),
    )
    graph = LayerGraph(layers, ("a",))
    found = evaluate(graph, x, keep=["d"], batch_size=2, precision="float64")
    assert list(found) == ["a", "d"]
    assert np.array_equal(found["d"], x.astype(np.float64) @ layers[1].weight.T)  # type: ignore[attr-defined]
    assert np.array_equal(found["a"], np.maximum(found["d"], 0))
    assert evaluate(graph, np.zeros((0, 3)))["a"].shape == (0, 2)


def test_one_row_may_be_left_out() -> None:
    graph = LayerGraph((InputLayer("x", (), (2, 1, 3)), Activation("a", ("x",))), ("a",))
    assert evaluate(graph, np.ones((4, 2, 3)))["a"].shape == (4, 2, 1, 3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((2, 4)), "input 'x' must have shape (n, 3), got (2, 4)"),
        (np.ones(3), "must have shape (n, 3), got (3,)"),
        (np.array([[0, np.nan, 1]]), "must be finite, got x[0, 1] = nan"),
        (np.array([["a", "b", "c"]]), "must hold real numbers"),
        ({"z": np.ones((2, 3))}, "x must hold x, got z"),
    ],
)
def test_data_that_do_not_fit_are_refused(x: Any, message: str) -> None:
    graph = LayerGraph((InputLayer("x", (), (3,)), Activation("a", ("x",))), ("a",))
    with pytest.raises(LayerError, match=re.escape(message)):
        evaluate(graph, x)
    two = LayerGraph((InputLayer("x", (), (3,)), InputLayer("y", (), (3,)), Sum("s", ("x", "y"))), ("s",))
    with pytest.raises(LayerError, match="the network has 2 inputs"):
        evaluate(two, np.ones((2, 3)))
    with pytest.raises(LayerError, match="as many samples as each other"):
        evaluate(two, {"x": np.ones((2, 3)), "y": np.ones((1, 3))})
    with pytest.raises(LayerError, match="no layer is called 'q'"):
        evaluate(graph, np.ones((2, 3)), keep=["q"])
