"""Layer graphs refuse what is wrong, by name, place and value, and know their shapes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from analog_bridge import LayerError
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

IMAGE = InputLayer("x", (), (2, 6, 5))
VECTOR = InputLayer("x", (), (4,))


def _shape_of(layer: Layer, *inputs: Layer) -> tuple[int, ...]:
    return LayerGraph((*inputs, layer), (layer.name,)).shapes[layer.name]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Convolution("y", ("x",), np.ones((3, 2, 3, 2)), np.zeros(3)), (3, 4, 4)),
        (
            Convolution(
                "y",
                ("x",),
                np.ones((4, 1, 3, 1)),
                np.zeros(4),
                stride=(2, 1),
                padding=(1, 2, 0, 1),
                dilation=(2, 1),
                groups=2,
            ),
            (4, 3, 6),
        ),
        (
            TransposedConvolution(
                "y",
                ("x",),
                np.ones((2, 3, 3, 3)),
                np.zeros(3),
                stride=(2, 2),
                padding=(1, 0),
                output_padding=(1, 0),
            ),
            (3, 12, 11),
        ),
        (AveragePool("y", ("x",), (2, 2), (2, 2)), (2, 3, 2)),
        (MaxPool("y", ("x",), (3, 3), (2, 2), padding=(1, 1)), (2, 3, 3)),
        (Upsample("y", ("x",), (2, 3)), (2, 12, 15)),
        (Scale("y", ("x",), [1, 2], [0, 0]), (2, 6, 5)),
        (Activation("y", ("x",)), (2, 6, 5)),
        (Quantizer("y", ("x",), [0.5, 0.25], 4), (2, 6, 5)),
        (Reshape("y", ("x",), (60,)), (60,)),
        (Permutation("y", ("x",), [1, 0, 0]), (3, 6, 5)),
        (Sum("y", ("x", "x")), (2, 6, 5)),
        (Product("y", ("x", "x")), (2, 6, 5)),
        (Concatenation("y", ("x", "x")), (4, 6, 5)),
    ],
)
def test_shapes_follow_the_layer(layer: Layer, shape: tuple[int, ...]) -> None:
    assert _shape_of(layer, IMAGE) == shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Dense("fc", ("x",), np.full((2, 4), np.nan), np.zeros(2), place="net.py:3"),
            "Dense 'fc' (net.py:3): weight[0, 0] = nan must be finite",
        ),
        (
            lambda: Dense("fc", ("x",), np.ones((2, 4)), np.zeros(3)),
            "Dense 'fc': bias must have shape (2,), got (3,)",
        ),
        (
            lambda: Dense("fc", ("x",), np.full((1, 1), 1e300), np.zeros(1)),
            "weight[0, 0] = 1e+300 is too large for float32",
        ),
        (
            lambda: Dense("fc", ("x",), np.ones((2, 4, 1)), np.zeros(2)),
            "weight must have 2 axes, got (2, 4, 1)",
        ),
        (lambda: Dense("", ("x",), np.ones((2, 4)), np.zeros(2)), "needs a name"),
        (lambda: Dense("fc", "x", np.ones((2, 4)), np.zeros(2)), "inputs must be a tuple of names, got 'x'"),
        (
            lambda: Convolution("c", ("x",), np.ones((3, 1, 3, 3)), np.zeros(3), groups=2),
            "groups = 2 must divide the 3 channels",
        ),
        (
            lambda: Convolution("c", ("x",), np.ones((3, 1, 3, 3)), np.zeros(3), stride=(0, 1)),
            "stride must be 2 whole numbers >= 1, got (0, 1)",
        ),
        (
            lambda: MaxPool("p", ("x",), (2, 2), (2, 2), padding=(2, 0)),
            "padding (2, 0) must be at most half of the kernel (2, 2)",
        ),
        (lambda: Quantizer("q", ("x",), [0.0], 4), "unit[0] = 0.0 must be > 0"),
        (lambda: Quantizer("q", ("x",), [1.0], 0), "n_levels must be a whole number >= 1, got 0"),
        (lambda: Activation("a", ("x",), lower=0.5), "lower must be finite and <= 0, got 0.5"),
        (lambda: Activation("a", ("x",), slope=0.1, lower=-1.0), "lower 0 with a slope"),
        (
            lambda: Upsample("u", ("x",), (2, 2), "cubic"),
            "mode must be one of nearest, bilinear, got 'cubic'",
        ),  # type: ignore[arg-type]
        (lambda: Permutation("p", ("x",), [-1, 0]), "order must hold whole numbers >= 0"),
        (lambda: InputLayer("x", (), (2, 3)), "shape must be (n,) or (channels, rows, columns)"),
        (lambda: InputLayer("x", (), (2,), unit=0.3), "unit must be a power of two, or None, got 0.3"),
    ],
)
def test_a_wrong_value_is_named(make: Any, message: str) -> None:
    with pytest.raises(LayerError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("layers", "outputs", "message"),
    [
        ((VECTOR, Activation("x", ("x",))), ("x",), "Activation 'x': the name occurs twice"),
        ((VECTOR, Activation("a", ("b",))), ("a",), "reads 'b', which is not the name of a layer"),
        (
            (VECTOR, Activation("a", ("b",)), Activation("b", ("x",))),
            ("a",),
            "reads 'b', which comes behind it",
        ),
        ((VECTOR,), ("y",), "output 'y' is not the name of a layer"),
        ((VECTOR,), (), "has no outputs"),
        ((), ("x",), "has no InputLayer"),
        (
            (VECTOR, Dense("fc", ("x",), np.ones((2, 3)), np.zeros(2))),
            ("fc",),
            "weight (2, 3) needs an input of (3,), got (4,)",
        ),
        ((VECTOR, MaxPool("p", ("x",), (2, 2), (2, 2))), ("p",), "put a Reshape before it, got (4,)"),
        (
            (IMAGE, MaxPool("p", ("x",), (7, 2), (2, 2))),
            ("p",),
            "the window of 7 x 2 is larger than the padded input of 6 x 5",
        ),
        ((IMAGE, Scale("s", ("x",), [1], [1])), ("s",), "needs 1 channels, got (2, 6, 5)"),
        ((IMAGE, Quantizer("q", ("x",), [1, 1, 1], 3)), ("q",), "needs 3 channels"),
        ((IMAGE, Permutation("p", ("x",), [2])), ("p",), "order reaches entry 2"),
        ((IMAGE, Sum("s", ("x",))), ("s",), "takes at least 2 input(s), got 1"),
        ((IMAGE, Product("s", ("x", "x", "x"))), ("s",), "takes 2 input(s), got 3"),
        ((IMAGE, Reshape("r", ("x",), (59,))), ("r",), "shape (59,) holds 59 values, got (2, 6, 5)"),
        ((IMAGE, Reshape("r", ("x",), (60,)), Sum("s", ("x", "r"))), ("s",), "inputs must have one shape"),
    ],
)
def test_a_wrong_graph_is_named(layers: tuple[Layer, ...], outputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(LayerError, match=re.escape(message)):
        LayerGraph(layers, outputs)


def test_values_are_copied_and_read_only() -> None:
    weight = np.ones((2, 4))
    layer = Dense("fc", ("x",), weight, np.zeros(2))
    weight[:] = 7
    assert layer.weight.dtype == np.float32
    assert (layer.weight == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0, 0] = 3


def test_a_graph_knows_its_readers() -> None:
    graph = LayerGraph((VECTOR, Activation("a", ("x",)), Sum("s", ("a", "a"))), ("s",))
    assert graph.consumers == {"x": ("a",), "a": ("s",), "s": ()}
    assert graph["a"] is graph.layers[1]
    with pytest.raises(LayerError, match="no layer is called 'b'; there are x, a, s"):
        graph["b"]
