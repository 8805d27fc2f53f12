"""Quantisation-aware training: gradients by hand, better than calibration alone, repeatable, choosing by validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from analog_bridge import CalibrationError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest
from analog_bridge.layers import Activation, Dense, InputLayer, LayerGraph, Quantizer, Sum
from analog_bridge.quantization import calibrate, train_quantized
from analog_bridge.quantization.training import _Trainer


def _trained_digits() -> tuple[LayerGraph, np.ndarray, np.ndarray]:
    digits = load_digits()
    x, y = (digits.images[:, None] / 16).astype(np.float32), digits.target
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 24),
        nn.ReLU(),
        nn.Linear(24, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(torch.tensor(x[:1200])), torch.tensor(y[:1200]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return ingest(model, x[:1]), x, y


@pytest.fixture(scope="module")
def digits() -> tuple[LayerGraph, np.ndarray, np.ndarray]:
    return _trained_digits()


def _accuracy(layers: LayerGraph, x: np.ndarray, y: np.ndarray) -> float:
    return float((evaluate(layers, x)[layers.outputs[0]].argmax(1) == y).mean())


@pytest.mark.parametrize("rule", ["qcfs", "lsq"])
def test_gradients_are_those_of_the_rule(rule: Any) -> None:
    """With u = 1/2 and L = 3: below 0, at 0.6 (1 count), and above 1.5, each by hand."""
    graph = LayerGraph((InputLayer("x", (), (3,)), Quantizer("q", ("x",), [0.5], 3)), ("q",))
    trainer = _Trainer(graph, rule, [torch.zeros(1, 3)] * 4, False)
    x = torch.tensor([[-1.0, 0.6, 2.0]], requires_grad=True)
    found = trainer.forward(x)
    assert found.tolist() == [[0.0, 0.5, 1.5]]
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0, 0.0]]
    by_unit = 0.0 + (1 - np.float32(1.2)) + 3.0  # n - x / u within, L above
    (parameter,) = trainer.learned.values()
    expected = by_unit / 3  # qcfs: the threshold is 3 u; lsq: sqrt(3 entries * 3 levels) = 3
    assert abs(float(parameter.grad) - expected) <= 4 * 2.0**-23  # four float32 operations on values below 4


@pytest.mark.parametrize("rule", ["qcfs", "lsq"])
def test_training_recovers_what_two_levels_lose(rule: Any, digits: Any) -> None:
    layers, x, y = digits
    start = calibrate(layers, x[:1200], levels=2)
    found = train_quantized(layers, x[:1200], y[:1200], levels=2, rule=rule, epochs=8, learning_rate=3e-3)
    before, after = (_accuracy(each, x[1200:], y[1200:]) for each in (start, found.layers))
    assert after > before
    assert found.best == max(found.epochs, key=lambda e: (e.validation_accuracy, -e.validation_loss)).number
    assert len(found.epochs) == 9
    assert {type(layer) for layer in found.layers.layers} >= {Quantizer, Dense}
    units = [layer.unit for layer in found.layers.layers if isinstance(layer, Quantizer)]
    assert units != [layer.unit for layer in start.layers if isinstance(layer, Quantizer)]


def test_training_without_labels_comes_closer_to_the_original(digits: Any) -> None:
    layers, x, _ = digits
    wanted = evaluate(layers, x[1200:])[layers.outputs[0]]
    errors = []
    for each in (
        calibrate(layers, x[:1200], levels=3),
        train_quantized(layers, x[:1200], levels=3, epochs=4).layers,
    ):
        errors.append(float(((evaluate(each, x[1200:])[each.outputs[0]] - wanted) ** 2).mean()))
    assert errors[1] < errors[0]


def test_the_same_seed_gives_the_same_network(digits: Any) -> None:
    layers, x, y = digits
    runs = [train_quantized(layers, x[:300], y[:300], levels=2, epochs=2, seed=seed) for seed in (0, 0, 1)]
    assert [epoch.loss for epoch in runs[0].epochs[1:]] == [epoch.loss for epoch in runs[1].epochs[1:]]
    assert [epoch.loss for epoch in runs[0].epochs[1:]] != [epoch.loss for epoch in runs[2].epochs[1:]]
    first, second = (evaluate(run.layers, x)[layers.outputs[0]] for run in runs[:2])
    assert np.array_equal(first, second)


def test_a_network_in_counts_is_trained_as_it_is(digits: Any) -> None:
    layers, x, y = digits
    start = calibrate(layers, x[:200], levels={"1": 3, "5": 7})
    found = train_quantized(start, x[:200], y[:200], epochs=1).layers
    assert [layer.n_levels for layer in found.layers if isinstance(layer, Quantizer)] == [3, 7]


def test_a_bad_learning_rate_keeps_the_network_before_training(digits: Any) -> None:
    layers, x, y = digits
    found = train_quantized(layers, x[:300], y[:300], epochs=1, learning_rate=30.0)
    assert found.best == 0
    start = calibrate(layers, x[:300][np.random.default_rng(0).permutation(300)[30:]])
    assert np.array_equal(*(evaluate(each, x)[each.outputs[0]] for each in (start, found.layers)))


def test_an_interrupt_keeps_the_best_epoch(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, x, y = digits
    calls = iter([1.0])

    def epoch(*args: Any) -> float:
        for value in calls:
            return value
        raise KeyboardInterrupt

    monkeypatch.setattr(_Trainer, "_epoch", epoch)
    found = train_quantized(layers, x[:100], y[:100], epochs=5, progress=True)
    assert found.is_interrupted
    assert len(found.epochs) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 2)), "y": [0]}, "needs at least 2 samples, got 1"),
        ({"x": np.zeros((4, 3))}, r"must have shape \(n, 2\), got \(4, 3\)"),
        ({"y": [0, 1, 0]}, r"y must hold one whole number per sample, \(4,\)"),
        ({"y": [0.0, 1.0, 0.0, 1.0]}, "y must hold one whole number per sample"),
        ({"y": [0, 1, 0, 2]}, r"y must lie within 0\.\.1, the network's outputs; got 0\.\.2"),
        ({"rule": "lsq+"}, r"rule must be one of qcfs, lsq, got 'lsq\+'"),
        ({"epochs": 0}, "epochs and batch_size must be >= 1, got 0 and 64"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0"),
        ({"validation_part": 1.0}, "validation_part must lie between 0 and 1"),
    ],
)
def test_what_cannot_train_is_refused(change: dict[str, Any], message: str) -> None:
    layers = (InputLayer("x", (), (2,)), Activation("a", ("x",)))
    options = {"x": np.ones((4, 2)), "y": [0, 1, 0, 1]} | change
    with pytest.raises(CalibrationError, match=message):
        train_quantized(LayerGraph(layers, ("a",)), options.pop("x"), options.pop("y"), **options)


def test_a_loss_that_is_not_finite_is_named() -> None:
    layers = (InputLayer("x", (), (2,)), Dense("d", ("x",), np.full((2, 2), 1e30), [0, 0]))
    with pytest.raises(CalibrationError, match="the loss is not finite; use a smaller learning_rate"):
        train_quantized(LayerGraph(layers, ("d",)), np.full((4, 2), 1e30), [0, 1, 0, 1])


def test_several_inputs_are_refused() -> None:
    layers = (InputLayer("x", (), (2,)), InputLayer("z", (), (2,)), Sum("s", ("x", "z")))
    with pytest.raises(CalibrationError, match="has 2 inputs; only one is covered"):
        train_quantized(LayerGraph(layers, ("s",)), np.ones((4, 2)))
