"""Converted networks equal their quantised ones, count for count; with whole numbers bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from analog_bridge.conversion import Method, convert_layers, quantise_input
from analog_bridge.evaluation import evaluate
from analog_bridge.integers import evaluate_integers
from analog_bridge.layers import LayerGraph
from tests.conversion_strategies import quantised_networks

Case = tuple[LayerGraph, np.ndarray[Any, Any]]

_UNSIGNED = ("two_phase", "first_spike", "integer")


@settings(deadline=None, max_examples=40)
@given(quantised_networks(), st.sampled_from(_UNSIGNED))
def test_whole_numbers_are_equal_bit_for_bit(case: Case, method: Method) -> None:
    layers, x = case
    conversion = convert_layers(quantise_input(layers, np.ones_like(x)), method=method, weight_bits=8)
    agreement = conversion.verify(x)
    assert agreement, agreement
    expected = evaluate(conversion.quantised, conversion.counts_of_input(x))["fc"]
    assert np.array_equal(conversion.outputs(x), expected)
    in_integers = evaluate_integers(conversion.quantised, conversion.counts_of_input(x))["fc"]
    assert np.array_equal(expected, in_integers.real)


@settings(deadline=None, max_examples=25)
@given(quantised_networks(signed=True), st.sampled_from(["signed", "sigma_delta"]))
def test_signed_whole_numbers_are_equal_bit_for_bit(case: Case, method: Method) -> None:
    layers, x = case
    conversion = convert_layers(quantise_input(layers, np.concatenate([x, -x])), method=method, weight_bits=8)
    samples = x[np.newaxis] if method == "sigma_delta" else x
    agreement = conversion.verify(samples)
    assert agreement, agreement
    assert agreement.output_difference == 0


@settings(deadline=None, max_examples=15)
@given(quantised_networks(levels=st.sampled_from([1, 3, 7])))
def test_radix_whole_numbers_are_equal_bit_for_bit(case: Case) -> None:
    layers, x = case
    conversion = convert_layers(quantise_input(layers, np.ones_like(x)), method="radix", weight_bits=8)
    agreement = conversion.verify(x)
    assert agreement, agreement
    assert agreement.output_difference == 0


@settings(deadline=None, max_examples=15)
@given(quantised_networks(), st.sampled_from(["two_phase", "signed", "first_spike"]))
def test_real_weights_agree_up_to_ties(case: Case, method: Method) -> None:
    layers, x = case
    agreement = convert_layers(layers, method=method).verify(x)
    assert agreement.n_mismatches <= 0.002 * agreement.n_compared + 2, agreement


@settings(deadline=None, max_examples=8)
@given(quantised_networks(levels=st.sampled_from([3, 7])), st.sampled_from(["two_phase", "signed", "radix"]))
def test_the_engine_and_its_reference_agree_on_converted_networks(case: Case, method: Method) -> None:
    layers, x = case
    conversion = convert_layers(layers, method=method)
    assert neuro.verify(conversion.graph, conversion.encode(x)[0])


@pytest.mark.parametrize("method", ["two_phase", "signed", "radix", "integer", "first_spike", "sigma_delta"])
def test_a_wrong_count_is_found(method: Method) -> None:
    """The comparison can fail: with another network as the truth it names the first count that differs."""
    from dataclasses import replace

    from analog_bridge.layers import Convolution, InputLayer, Quantizer, Reshape

    def net(weight: float) -> LayerGraph:
        conv = Convolution("conv", ("x",), np.full((1, 1, 1, 1), weight), np.zeros(1))
        layers = (InputLayer("x", (), (1, 2, 2)), conv, Quantizer("act", ("conv",), np.ones(1), 7))
        return quantise_input(
            LayerGraph((*layers, Reshape("out", ("act",), (4,))), ("out",)), [[[[8.0]]]], n_counts=8
        )

    x = np.array([[[[0, 0], [0, 4]]]], np.float32)
    right = convert_layers(net(1.0), method=method)
    assert right.verify(x[np.newaxis] if method == "sigma_delta" else x)
    other = convert_layers(net(1.5), method=method)
    wrong = replace(right, quantised=other.quantised, form=other.form if right.is_whole else right.form)
    agreement = wrong.verify(x[np.newaxis] if method == "sigma_delta" else x)
    assert not agreement
    assert agreement.n_mismatches == 1
    assert agreement.first is not None
    assert agreement.first.layer == "act"
    assert agreement.first.index[-2:] == (1, 1)
    assert (agreement.first.spiking, agreement.first.quantised) == (4, 6)
