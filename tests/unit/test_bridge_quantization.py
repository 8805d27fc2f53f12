"""Thresholds fit the data, biases are corrected, and data that cannot calibrate are refused by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analog_bridge import CalibrationError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest
from analog_bridge.layers import Activation, InputLayer, LayerGraph, MaxPool, Quantizer
from analog_bridge.quantization import Histogram, calibrate, split_leaky, threshold_of
from tests.bridge_networks import ResidualNetwork, data_on_grid

RNG = np.random.default_rng(0)


def _rms(x: np.ndarray, threshold: float, n_levels: int) -> float:
    unit = threshold / n_levels
    return float(np.sqrt(np.mean((np.clip(np.floor(x / unit + 0.5), 0, n_levels) * unit - x) ** 2)))


@pytest.mark.parametrize("n_levels", [1, 3, 8, 16])
@pytest.mark.parametrize("draw", [RNG.exponential, RNG.uniform, lambda size: np.abs(RNG.standard_t(2, size))])
def test_the_threshold_has_the_least_squared_error(n_levels: int, draw: Any) -> None:
    """A bin moves a value by at most half its width d, and the error of a value by as much: 2 d between two choices."""
    x = draw(size=5000)
    histogram = Histogram.empty(np.array([x.max()]))
    histogram.add(x[None])
    found = _rms(x, threshold_of(histogram, 0, n_levels, "squared_error"), n_levels)
    best = min(_rms(x, t, n_levels) for t in np.geomspace(0.02, 1, 96) * x.max())
    assert found <= best + 2 * x.max() / (2 * 2048)


def test_the_balanced_threshold_balances() -> None:
    x = RNG.exponential(size=20000)
    histogram = Histogram.empty(np.array([x.max()]))
    histogram.add(x[None])
    t = threshold_of(histogram, 0, 8, "balanced")
    middle, counts = histogram.centres(0), histogram.counts[0]
    left = 2 * np.maximum(middle - t, 0) @ counts / counts.sum()
    right = t / (6 * 64)
    slope = 2 * (counts[middle > t].sum() / counts.sum()) + 1 / (6 * 64)
    assert abs(left - right) <= slope * x.max() * 2.0**-40 * 4  # forty halvings of the interval


def test_every_activation_becomes_a_quantizer() -> None:
    graph = ingest(ResidualNetwork(), data_on_grid(1, 2, 8, 8))
    before = [layer.weight.copy() for layer in graph.layers if hasattr(layer, "weight")]
    x = data_on_grid(30, 2, 8, 8)
    found = calibrate(graph, x, levels=8)
    assert not any(isinstance(layer, Activation) for layer in found.layers)
    quantizers = {layer.name: layer for layer in found.layers if isinstance(layer, Quantizer)}
    assert set(quantizers) == {
        "stem.2",
        "inner.1",
        "act",
        "depthwise.1.positive",
        "depthwise.1.negative",
        "gate.2",
    }
    assert quantizers["act"].unit[0] * 8 <= 6
    assert quantizers["gate.2"].unit[0] * 8 <= 1
    assert all(each.unit.shape == (1,) and each.n_negative == 0 for each in quantizers.values())
    after = [layer.weight for layer in graph.layers if hasattr(layer, "weight")]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    again = calibrate(graph, x, levels=8)
    assert all(
        np.array_equal(again[name].unit, each.unit)  # type: ignore[attr-defined]
        for name, each in quantizers.items()
    )
    channels = calibrate(graph, x, levels=8, per_channel=True)
    assert channels["stem.2"].unit.shape == (6,)  # type: ignore[attr-defined]


def test_more_levels_are_closer() -> None:
    graph = ingest(ResidualNetwork(), data_on_grid(1, 2, 8, 8))
    x = RNG.normal(size=(200, 2, 8, 8)).astype(np.float32)
    wanted = evaluate(graph, x)[graph.outputs[0]]
    errors = []
    for n_levels in (2, 8, 32, 128):
        found = calibrate(graph, x[:100], levels=n_levels)
        errors.append(float(np.abs(evaluate(found, x[100:])[graph.outputs[0]] - wanted[100:]).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 8


@pytest.mark.parametrize("method", ["squared_error", "balanced"])
def test_corrected_biases_keep_the_mean_of_every_channel(method: Any) -> None:
    graph = ingest(ResidualNetwork(), data_on_grid(1, 2, 8, 8))
    x = RNG.normal(size=(64, 2, 8, 8)).astype(np.float32)
    names = [layer.name for layer in graph.layers if hasattr(layer, "weight")]
    exact = evaluate(graph, x, keep=names, precision="float64")
    found = evaluate(calibrate(graph, x, levels=4, method=method), x, keep=names, precision="float64")
    plain = evaluate(
        calibrate(graph, x, levels=4, method=method, correct_bias=False), x, keep=names, precision="float64"
    )
    moved = 0.0
    for name in names:
        axes = (0, *range(2, exact[name].ndim))
        error = np.abs(exact[name].mean(axes) - found[name].mean(axes)).max()
        # float32 values before the means, and a bias rounded to float32: a few units in the last place of the largest
        assert error <= 2.0**-18 * np.abs(exact[name]).max()
        moved = max(moved, float(np.abs(exact[name].mean(axes) - plain[name].mean(axes)).max()))
    assert moved > 1e-3


def test_levels_go_by_name() -> None:
    graph = ingest(ResidualNetwork(), data_on_grid(1, 2, 8, 8))
    levels = {"stem.2": 3, "inner.1": 4, "act": 5, "depthwise.1": 6, "gate.2": 7}
    found = calibrate(graph, data_on_grid(20, 2, 8, 8), levels=levels)
    assert [layer.n_levels for layer in found.layers if isinstance(layer, Quantizer)] == [3, 4, 5, 6, 6, 7]


def test_a_threshold_fits_what_a_max_pooling_leaves() -> None:
    """Of each window only the largest value, 4, is read: it is worth one count of eight, exactly."""
    x = np.tile(np.array([[0.3, 1.1], [4.0, 2.9]], np.float32), (5, 1, 4, 4))
    layers = (InputLayer("x", (), (1, 8, 8)), Activation("a", ("x",)), MaxPool("p", ("a",), (2, 2), (2, 2)))
    found = calibrate(LayerGraph(layers, ("p",)), x, levels=1)["a"]
    assert isinstance(found, Quantizer)
    assert abs(found.unit[0] - 4) <= 4 * 2 / 2048
    whole = calibrate(LayerGraph(layers, ("p", "a")), x, levels=1)["a"]
    assert isinstance(whole, Quantizer)
    assert whole.unit[0] < 3.9


def test_signed_activations_have_negative_counts() -> None:
    layers = (InputLayer("x", (), (3,)), Activation("a", ("x",), lower=-1.0, upper=1.0))
    found = calibrate(LayerGraph(layers, ("a",)), np.linspace(-2, 2, 300).reshape(100, 3), levels=4)["a"]
    assert isinstance(found, Quantizer)
    assert (found.n_levels, found.n_negative) == (4, 4)
    assert found.unit[0] <= 0.25


def test_a_leaky_activation_in_two_halves_is_the_same() -> None:
    graph = ingest(nn.LeakyReLU(0.25), data_on_grid(1, 3))
    x = data_on_grid(50, 3)
    split = split_leaky(graph)
    assert [type(layer).__name__ for layer in split.layers] == [
        "InputLayer",
        "Activation",
        "Scale",
        "Activation",
        "Scale",
        "Sum",
    ]
    assert np.array_equal(*(evaluate(each, x)[graph.outputs[0]] for each in (graph, split)))


def test_one_dead_channel_takes_the_unit_of_the_largest() -> None:
    layers = (InputLayer("x", (), (2,)), Activation("a", ("x",)))
    x = np.array([[1.0, -1.0], [2.0, -2.0]])
    found = calibrate(LayerGraph(layers, ("a",)), x, levels=2, per_channel=True)["a"]
    assert isinstance(found, Quantizer)
    assert found.unit[0] == found.unit[1]


def _graph() -> LayerGraph:
    torch.manual_seed(0)
    return ingest(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), data_on_grid(1, 3))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((0, 3)), {}, "calibrate: data are empty; give at least one sample"),
        (np.zeros((5, 4)), {}, r"calibrate: input 'input' must have shape \(n, 3\), got \(5, 4\)"),
        (np.full((5, 3), np.nan), {}, r"calibrate: input 'input' must be finite, got input\[0, 0\] = nan"),
        (np.ones((5, 3)), {"levels": 0}, "levels of '1' must be a whole number >= 1, got 0"),
        (np.ones((5, 3)), {"levels": 1.5}, "must be a whole number >= 1, got 1.5"),
        (np.ones((5, 3)), {"levels": {"2": 3, "1": 3}}, "levels name '2'; the activations are 1"),
        (np.ones((5, 3)), {"levels": {}}, "levels are missing for 1"),
        (
            np.ones((5, 3)),
            {"method": "balance"},
            "method must be one of squared_error, balanced, got 'balance'",
        ),
        (np.ones((5, 3)), {"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ],
)
def test_what_cannot_calibrate_is_refused(data: Any, options: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        calibrate(_graph(), data, **options)


def test_a_dead_layer_is_named() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    nn.init.constant_(model[0].bias, -100.0)
    with pytest.raises(CalibrationError, match=r"Activation '1'.*is dead: no value is above 0.*retrain"):
        calibrate(ingest(model, data_on_grid(2, 3)), data_on_grid(20, 3))


def test_values_that_overflow_are_named() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    nn.init.constant_(model[0].weight, 1e30)
    with pytest.raises(
        CalibrationError, match=r"Dense '0'.*gives values that are not finite.*are the data scaled"
    ):
        calibrate(ingest(model, data_on_grid(2, 3)), np.full((5, 3), 1e30))


def test_too_many_samples_are_refused_before_the_memory_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analog_bridge.quantization.calibration._MOST_BYTES", 100 * (4 + 4) * 4 * 2)
    calibrate(_graph(), np.ones((100, 3)))
    with pytest.raises(
        CalibrationError, match=r"101 samples need .* GiB between layers, over .*; give at most 100"
    ):
        calibrate(_graph(), np.ones((101, 3)))


def test_progress_is_shown_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    calibrate(_graph(), data_on_grid(20, 3), progress=True)
    calibrate(_graph(), data_on_grid(20, 3))
    assert capsys.readouterr().err == ""
