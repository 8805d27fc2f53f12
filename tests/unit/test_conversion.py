"""Conversion by hand: codes, layers that are refused, the file, the report, the early exit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analog_bridge.conversion import Method, convert_layers, quantise_input
from analog_bridge.errors import ConversionError
from analog_bridge.evaluation import evaluate
from analog_bridge.layers import (
    Activation,
    AveragePool,
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
)
from neuro.graph import Conv2d, Linear, SumPool2d


def graph(*layers: Layer) -> LayerGraph:
    return LayerGraph(layers, (layers[-1].name,))


def dense(name: str, source: str, weight: Any, bias: Any = None) -> Dense:
    weight = np.asarray(weight, np.float32)
    return Dense(name, (source,), weight, np.zeros(len(weight)) if bias is None else bias)


def small(levels: int = 7, unit: Any = (0.5,), n_negative: int = 0) -> LayerGraph:
    """Two inputs, two counted activations, one output."""
    return graph(
        InputLayer("x", (), (2,)),
        dense("first", "x", [[1.0, -1.0], [0.5, 0.25]], np.array([0.25, 0.0])),
        Quantizer("act", ("first",), np.asarray(unit), levels, n_negative),
        dense("last", "act", [[1.0, 2.0]], np.array([-0.5])),
    )


@pytest.mark.parametrize("method", ["signed", "two_phase", "radix", "first_spike"])
def test_a_network_by_hand(method: Method) -> None:
    # first = (1.25, 1.5): counts floor(1.25 / 0.5 + 0.5) = 3 and 3, so 1.5 + 2 * 1.5 - 0.5
    conversion = convert_layers(small(), method=method)
    assert conversion.outputs([[2.0, 1.0]]).tolist() == [[4.0]]
    assert conversion.counts([[2.0, 1.0]])["act"][0].tolist() == [3.0, 3.0]


def test_a_unit_for_each_channel_and_negative_counts() -> None:
    layers = small(unit=(0.5, 0.25), n_negative=2)
    conversion = convert_layers(layers, method="signed")
    x = np.array([[2.0, 1.0], [-2.0, 1.0], [0.0, 0.0]], np.float32)
    assert conversion.counts(x)["act"].tolist() == [[3, 5], [-2, -2], [1, 0]]
    assert np.array_equal(conversion.outputs(x), evaluate(layers, x)["last"])


def test_sigma_delta_gives_a_result_for_each_frame() -> None:
    conversion = convert_layers(small(), method="sigma_delta")
    clip = np.array([[[2.0, 1.0], [2.0, 1.0], [0.0, 0.0]]], np.float32)
    assert conversion.outputs(clip)[0, :, 0].tolist() == evaluate(small(), clip[0])["last"][:, 0].tolist()
    (result,) = conversion.run(clip)
    assert result.counters.spikes["act"] == 2 + 2  # the second frame changes nothing
    assert conversion.predict(clip).shape == (1, 3)


def test_rate_coding_approaches_the_activation() -> None:
    few, many = (
        convert_layers(small(), method="rate", n_steps=n).outputs([[1.0, 1.0]])[0, 0] for n in (8, 512)
    )
    exact = 0.25 + 2 * 0.75 - 0.5
    assert abs(many - exact) <= 0.02 < abs(few - exact)


def test_rate_coding_of_whole_numbers_approaches_it_too() -> None:
    """Biases are on the grid of their weights, as thresholds are."""
    layers = quantise_input(small(unit=(0.5, 0.25)), [[1.0, 1.0]])
    found = convert_layers(layers, method="rate", weight_bits=8, n_steps=512)
    exact = 0.25 + 2 * 0.75 - 0.5  # rates are not rounded to counts
    assert abs(found.outputs([[1.0, 1.0]])[0, 0] - exact) <= 0.02


def test_the_longest_path_sets_the_steps() -> None:
    assert [convert_layers(small(), method=m).n_steps for m in ("two_phase", "radix", "first_spike")] == [
        7,
        3,
        7,
    ]


def test_branches_of_different_length_end_together_in_radix() -> None:
    layers = graph(
        InputLayer("x", (), (1,)),
        Quantizer("a", ("x",), np.ones(1), 7),
        dense("b1", "a", [[1.0]]),
        Quantizer("b", ("b1",), np.ones(1), 7),
        dense("c1", "b", [[0.5]]),
        Quantizer("c", ("c1",), np.ones(1), 7),
        Sum("sum", ("c", "a")),
        Quantizer("d", ("sum",), np.ones(1), 15),
        dense("out", "d", [[1.0]]),
    )
    x = np.arange(8.0, dtype=np.float32)[:, np.newaxis]
    for method in ("radix", "first_spike", "two_phase", "signed"):
        found = convert_layers(layers, method=method)  # type: ignore[arg-type]
        assert found.outputs(x)[:, 0].tolist() == [n + (n + 1) // 2 for n in range(8)], method


def test_a_sum_of_a_layer_with_itself() -> None:
    layers = graph(
        InputLayer("x", (), (1,)),
        dense("a1", "x", [[1.0]]),
        Quantizer("a", ("a1",), np.ones(1), 7),
        Sum("twice", ("a", "a")),
    )
    assert convert_layers(layers, method="two_phase").outputs([[3.0]]).tolist() == [[6.0]]


def test_pools_that_stand_before_an_activation_move_behind_it() -> None:
    conv = Convolution("conv", ("x",), np.full((1, 1, 1, 1), 1.0), np.zeros(1))
    layers = graph(
        InputLayer("x", (), (1, 2, 2)),
        conv,
        MaxPool("pool", ("conv",), (2, 2), (2, 2)),
        Quantizer("act", ("pool",), np.ones(1), 7),
        Reshape("flat", ("act",), (1,)),
    )
    conversion = convert_layers(layers, method="signed")
    x = np.array([[[[1, 5], [2, 0]]], [[[-1, -1], [-1, -1]]]], np.float32)
    assert conversion.outputs(x)[:, 0].tolist() == [5, 0]
    assert conversion.verify(x)
    assert conversion.verify(x).by_layer == {"act": 0}


def test_average_pools_are_sums_that_weights_take_up() -> None:
    layers = graph(
        InputLayer("x", (), (1, 2, 2)),
        Convolution("conv", ("x",), np.full((1, 1, 1, 1), 1.0), np.zeros(1)),
        Quantizer("act", ("conv",), np.ones(1), 7),
        AveragePool("mean", ("act",), (2, 2), (1, 1)),
        Reshape("flat", ("mean",), (1,)),
        dense("out", "flat", [[2.0]]),
    )
    conversion = convert_layers(layers, method="two_phase")
    assert isinstance(conversion.graph.nodes["mean"], SumPool2d)
    assert conversion.outputs(np.array([[[[1, 2], [3, 4]]]])).tolist() == [[5.0]]


def test_padding_that_is_not_even_and_a_shuffle() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 2, 2, 3)).astype(np.float32)
    conv = Convolution(
        "conv", ("mix",), weight, np.zeros(3), padding=(1, 0, 0, 2), dilation=(1, 2), stride=(1, 2)
    )
    layers = graph(
        InputLayer("x", (), (2, 4, 7)),
        Quantizer("act", ("x",), np.ones(1), 7),
        Scale("norm", ("act",), np.array([1.0, 2.0]), np.array([0.5, 0.0])),
        Permutation("mix", ("norm",), np.array([1, 0])),
        conv,
    )
    x = rng.integers(0, 7, (2, 2, 4, 7)).astype(np.float32)
    found = convert_layers(layers, method="two_phase")
    assert np.allclose(found.outputs(x), evaluate(layers, x)["conv"], rtol=0, atol=1e-4)
    assert any(
        isinstance(node, Conv2d) and node.weight.shape[2:] == (3, 7) for node in found.graph.nodes.values()
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Activation("relu", ("x",)),), "Activation 'relu': is not quantised"),
        (
            (
                Convolution("c", ("x",), np.ones((1, 1, 1, 1)), np.zeros(1)),
                MaxPool("pool", ("c",), (2, 2), (2, 2)),
            ),
            "MaxPool 'pool': takes the maximum of sums",
        ),
    ],
)
def test_what_has_no_spiking_form_is_named(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert_layers(graph(InputLayer("x", (), (1, 2, 2)), *layers), method="two_phase")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "fast"}, "convert: method must be one of signed, two_phase"),
        ({"method": "radix", "n_steps": 9}, "n_steps has no meaning for method='radix'"),
        ({"method": "two_phase", "drive_steps": 4}, "drive_steps has no meaning for method='two_phase'"),
        ({"method": "signed", "drive_steps": 3}, "drive_steps must be a power of two, got 3"),
        ({"method": "signed", "n_steps": 0}, "n_steps must be a whole number >= 1, got 0"),
        ({"method": "signed", "n_steps": 2, "drive_steps": 4}, "n_steps must be >= drive_steps = 4"),
        ({"method": "integer"}, "whole numbers need a quantised input; call quantise_input"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert_layers(small(), **arguments)


def test_limits_of_codes_are_named() -> None:
    with pytest.raises(
        ConversionError, match=r"Quantizer 'act': has 6 levels, method='radix' needs 2\*\*bits - 1"
    ):
        convert_layers(small(levels=6), method="radix")
    with pytest.raises(
        ConversionError, match="Quantizer 'act': counts from -2 on, but the code 'two_phase' has no neg"
    ):
        convert_layers(small(n_negative=2), method="two_phase")
    product = graph(InputLayer("x", (), (1,)), Product("gate", ("x", "x")))
    with pytest.raises(
        ConversionError, match="Product 'gate': multiplies two activations, and the product of"
    ):
        convert_layers(product, method="rate")


def test_several_inputs_are_given_by_name() -> None:
    two = LayerGraph((InputLayer("a", (), (1,)), InputLayer("b", (), (1,)), Sum("s", ("a", "b"))), ("s",))
    conversion = convert_layers(two)
    x = {"a": np.array([[1.0], [2.0]]), "b": np.array([[0.5], [0.25]])}
    assert conversion.outputs(x).tolist() == [[1.5], [2.25]]
    assert conversion.input_shape == (2,)
    assert conversion.outputs([[1.0, 0.5]]).tolist() == [[1.5]]  # in one line
    with pytest.raises(ConversionError, match="samples must hold a, b, got a"):
        conversion.outputs({"a": [[1.0]]})
    with pytest.raises(ConversionError, match=r"samples of 'b' must have shape \(n, 1\), got \(1, 2\)"):
        conversion.outputs({"a": [[1.0]], "b": [[1.0, 2.0]]})
    with pytest.raises(ConversionError, match="must have as many samples as each other"):
        conversion.outputs({"a": [[1.0]], "b": [[1.0], [2.0]]})
    with pytest.raises(
        ConversionError, match="the network has 2 inputs; give samples as a dict by name: a, b"
    ):
        quantise_input(two, [[1.0]])
    with pytest.raises(ConversionError, match="samples lack the input 'b'; they hold a"):
        quantise_input(two, {"a": [[1.0]]})
    whole = convert_layers(quantise_input(two, x, n_counts=16), method="integer")
    assert whole.outputs(x).tolist() == [[1.5], [2.25]]


def test_several_outputs_are_given_by_name() -> None:
    layers = (*small().layers, dense("other", "act", [[0.0, 1.0]]))
    conversion = convert_layers(LayerGraph(layers, ("last", "other")), method="two_phase")
    found = conversion.all_outputs([[2.0, 1.0]])
    assert {name: value.tolist() for name, value in found.items()} == {"last": [[4.0]], "other": [[1.5]]}
    assert conversion.verify([[2.0, 1.0]]).output_difference == 0


def test_a_gate_by_hand() -> None:
    layers = graph(
        InputLayer("x", (), (2, 1, 2)),
        Quantizer("act", ("x",), np.array([0.5]), 7),
        AveragePool("mean", ("act",), (1, 2), (1, 2)),
        Convolution("fc", ("mean",), np.eye(2).reshape(2, 2, 1, 1), np.array([0.5, 0.0])),
        Quantizer("gate", ("fc",), np.array([0.25, 0.5]), 3),
        Product("product", ("act", "gate")),
    )
    x = np.array([[[[1.0, 0.0]], [[2.0, 3.0]]]], np.float32)  # means 0.5, 2.5; gates 0.75, 1.5
    for method in ("two_phase", "signed", "first_spike", "radix", "sigma_delta"):
        found = convert_layers(layers, method=method)  # type: ignore[arg-type]
        assert found.outputs(x).reshape(2, 2).tolist() == [[0.75, 0], [3, 4.5]], method
        assert found.verify(x)


def test_weights_that_would_be_rounded_are_refused() -> None:
    layers = quantise_input(small(levels=65535), [[1.0, 1.0]], n_counts=2**26)
    with pytest.raises(ConversionError, match=r"its sums may reach .* units, they must stay below 2\*\*24"):
        convert_layers(layers, method="signed", weight_bits=16)
    with pytest.raises(ConversionError, match="weight_bits must be a whole number from 2 to 16, got 1"):
        convert_layers(layers, method="signed", weight_bits=1)


def test_the_grid_is_recorded_where_it_can_be_given() -> None:
    layers = quantise_input(small(), [[1.0, 1.0]])
    whole = convert_layers(layers, method="two_phase", weight_bits=4).graph
    assert whole.weight_grid == min(
        2.0
        ** int(np.log2(np.abs(node.weight[node.weight != 0]).min()))  # weights are 1, 2 or 4 times their grid
        for node in whole.nodes.values()
        if isinstance(node, Linear)
    )
    assert convert_layers(small(), method="two_phase").graph.weight_grid is None
    signed = quantise_input(small(), [[1.0, -1.0]])  # a negative input has no bound from 0 on
    assert convert_layers(signed, method="integer").graph.weight_grid is None


def test_quantise_input_covers_the_data_once() -> None:
    layers = quantise_input(small(), np.array([[0.9, -0.1]]))
    coding = layers.layers[1]
    assert isinstance(coding, Quantizer)
    assert (float(coding.unit[0]), coding.n_levels, coding.n_negative) == (2.0**-9, 461, 51)
    assert quantise_input(layers, [[5.0, 5.0]]) is layers
    with pytest.raises(ConversionError, match="samples must be finite and not all zero"):
        quantise_input(small(), np.zeros((3, 2)))


def test_signed_spikes_under_way_are_waited_for() -> None:
    conversion = convert_layers(small(levels=7), method="signed", drive_steps=1, n_steps=1)
    assert conversion.outputs([[2.0, 1.0]]).tolist() == [[4.0]]  # three spikes, one a step


def test_a_disagreement_says_where() -> None:
    conversion = convert_layers(small(), method="two_phase")
    other = replace(conversion, quantised=small(unit=(0.25,)))
    agreement = other.verify(np.array([[0.0, 0.0], [2.0, 1.0]], np.float32))
    assert not agreement
    assert len(agreement.mismatches) == agreement.n_mismatches == 2
    assert [one.sample for one in agreement.mismatches] == [1, 1]
    assert agreement.mismatches[1].index == (1,)
    many = other.verify(np.tile(np.array([[2.0, 1.0]], np.float32), (80, 1)))
    assert (many.n_mismatches, len(many.mismatches), many.mismatches[-1].sample) == (160, 100, 49)
    assert str(agreement.first) == (
        "sample 1, layer 'act', neuron (0): count 3 in the spiking network, 5 in the quantised one"
    )
