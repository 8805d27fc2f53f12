"""Whole numbers: the integer evaluation equals the float one bit for bit, and the grid is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from analog_bridge import CalibrationError, LayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest
from analog_bridge.integers import Integers, as_integers, evaluate_integers
from analog_bridge.layers import (
    Activation,
    AveragePool,
    Convolution,
    Dense,
    InputLayer,
    LayerGraph,
    Product,
    Quantizer,
    Upsample,
)
from analog_bridge.quantization import calibrate, snap_to_grid
from tests.bridge_networks import ResidualNetwork, data_on_grid


@pytest.mark.parametrize(
    ("values", "integers", "exponent"),
    [
        ([0.75, -1.5], [3, -6], -2),
        ([3.0, 0.0], [3, 0], 0),
        ([0.75, -1.0], [3, -4], -2),
        ([0.0], [0], 0),
        ([2.0**40, 1.0], [2**40, 1], 0),
    ],
)
def test_real_numbers_as_whole_ones(values: list[float], integers: list[int], exponent: int) -> None:
    found = as_integers(values)
    assert found.real.tolist() == values
    assert (found.values.tolist(), found.exponent) == (integers, exponent)


def test_what_does_not_share_a_grid_is_refused() -> None:
    with pytest.raises(LayerError, match=r"do not share a grid of 53 bits; use snap_to_grid"):
        as_integers([2.0**40, 2.0**-20])


@pytest.mark.parametrize("unit_bits", [1, 3])
@pytest.mark.parametrize("per_channel", [False, True])
def test_integers_and_floats_agree_bit_for_bit(unit_bits: int, per_channel: bool) -> None:
    """A network with residual, depthwise, concat, pooling, gate and leaky layers; the value of every layer.

    A product of counts has twice the bits: sums behind it pass 2**24, so that float32 is compared before it only.
    """
    graph = ingest(ResidualNetwork(seed=1), data_on_grid(2, 2, 8, 8))
    rng = np.random.default_rng(0)
    x = (rng.integers(0, 257, (12, 2, 8, 8)) / 256).astype(np.float32)
    quantised = calibrate(graph, x, levels=7, per_channel=per_channel)
    snapped = snap_to_grid(quantised, per_channel=per_channel, unit_bits=unit_bits)
    names = [layer.name for layer in snapped.layers]
    whole = evaluate_integers(snapped, x, keep=names)
    double = evaluate(snapped, x, keep=names, precision="float64")
    single = evaluate(snapped, x, keep=names)
    assert set(whole) == set(names)
    (product,) = [i for i, layer in enumerate(snapped.layers) if isinstance(layer, Product)]
    for place, name in enumerate(names):
        assert np.array_equal(whole[name].real, double[name])
        if place <= product:
            assert np.array_equal(whole[name].real, single[name].astype(np.float64))
    n_active = sum(
        int((whole[each.name].values != 0).sum()) for each in snapped.layers if isinstance(each, Quantizer)
    )
    assert n_active > 100


def test_rounding_is_within_what_the_bits_say() -> None:
    graph = ingest(ResidualNetwork(seed=2), data_on_grid(2, 2, 8, 8))
    quantised = calibrate(graph, data_on_grid(20, 2, 8, 8), levels=7)
    snapped = snap_to_grid(quantised, weight_bits=8, unit_bits=3)
    for before, after in zip(quantised.layers, snapped.layers, strict=True):
        if isinstance(before, Quantizer):
            assert isinstance(after, Quantizer)
            assert (np.abs(after.unit / before.unit - 1) <= 1 / 8).all()
            assert (as_integers(after.unit).values < 2**3).all()
        if isinstance(before, Convolution):
            assert isinstance(after, Convolution)
            for old, new in zip(before.weight, after.weight, strict=True):
                assert np.abs(as_integers(new).values).max() <= 127
                assert ((new - old) ** 2).sum() <= old.size * (
                    np.abs(old).max() / 127
                ) ** 2  # half of a coarse step
        if isinstance(before, InputLayer):
            assert isinstance(after, InputLayer)
            assert after.unit == 2**-8


def test_an_average_of_nine_becomes_a_convolution() -> None:
    graph = LayerGraph((InputLayer("x", (), (1, 3, 3)), AveragePool("p", ("x",), (3, 3), (3, 3))), ("p",))
    with pytest.raises(LayerError, match=r"takes the mean of 9 values.*use snap_to_grid"):
        evaluate_integers(graph, np.ones((1, 1, 3, 3)))
    snapped = snap_to_grid(graph)
    assert isinstance(snapped["p"], Convolution)
    value = evaluate_integers(snapped, np.ones((1, 1, 3, 3)))["p"].real
    assert (
        abs(value.item() - 1) <= 9 * 2**-11
    )  # each of nine weights in [64, 127] * 2**-10 is off by half a step


def test_sums_that_could_be_inexact_are_refused() -> None:
    wide = Dense("d", ("x",), np.full((1, 4), 2.0**20 - 1), [0.0])
    graph = LayerGraph((InputLayer("x", (), (4,)), wide), ("d",))
    assert evaluate_integers(graph, np.full((1, 4), 1.0))["d"] == Integers(np.array([[4 * (2**20 - 1)]]), 0)
    with pytest.raises(
        LayerError, match=r"Dense 'd': a sum could reach .*, more than 2\*\*53; use fewer bits"
    ):
        evaluate_integers(graph, np.full((1, 4), 2.0**32 - 1, dtype=np.float64))


def test_data_off_the_grid_are_refused() -> None:
    graph = LayerGraph((InputLayer("x", (), (1,), unit=0.25), Activation("a", ("x",))), ("a",))
    with pytest.raises(LayerError, match=r"data are not multiples of its unit 0\.25; round them"):
        evaluate_integers(graph, [[0.3]])


def test_activations_in_whole_numbers() -> None:
    def value(layer: Activation, x: float) -> float:
        graph = LayerGraph((InputLayer("x", (), (1,)), layer), ("a",))
        return float(evaluate_integers(graph, [[x]])["a"].real.item())

    assert value(Activation("a", ("x",), slope=0.25), -3.0) == -0.75
    assert value(Activation("a", ("x",), slope=0.25, upper=2.5), 3.0) == 2.5
    assert value(Activation("a", ("x",), lower=-0.5, upper=1.0), -3.0) == -0.5
    assert value(Activation("a", ("x",)), 0.125) == 0.125


def test_what_has_no_form_on_a_grid_is_named() -> None:
    graph = ingest(nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU()), data_on_grid(1, 2, 4, 4))
    with pytest.raises(
        CalibrationError, match=r"Activation '1'.*has no form in whole numbers; calibrate first"
    ):
        snap_to_grid(graph)
    smooth = LayerGraph((InputLayer("x", (), (1, 2, 2)), Upsample("u", ("x",), (3, 2), "bilinear")), ("u",))
    with pytest.raises(LayerError, match=r"enlarges bilinearly by \(3, 2\)"):
        evaluate_integers(smooth, np.ones((1, 1, 2, 2)))
    for options in ({"weight_bits": 1}, {"unit_bits": 9}, {"input_unit": 0.3}):
        with pytest.raises(CalibrationError, match=r"snap_to_grid: .* must be"):
            snap_to_grid(graph, **options)  # type: ignore[arg-type]


def test_products_of_counts_are_exact() -> None:
    layers = (
        InputLayer("x", (), (2, 2, 2), unit=0.25),
        AveragePool("g", ("x",), (2, 2), (2, 2)),
        Product("p", ("x", "g")),
    )
    graph = LayerGraph(layers, ("p",))
    x = data_on_grid(3, 2, 2, 2)
    assert np.array_equal(evaluate_integers(graph, x)["p"].real, evaluate(graph, x, precision="float64")["p"])
