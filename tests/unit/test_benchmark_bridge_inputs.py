"""The benchmark of inputs: its clouds are of the kinds it says, and its networks are trained from the seed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from bridge_inputs import accuracy, cloud, clouds, digits, fit, perceptron


def test_clouds_are_turned_stretched_and_normalised() -> None:
    rng = np.random.default_rng(0)
    for kind in range(8):
        points = cloud(kind, rng)
        assert points.shape == (1024, 3)
        assert np.abs(points.mean(0)).max() <= 2.0**-20
        assert abs(np.sqrt((points**2).sum(1)).max() - 1) <= 2.0**-20
    square = cloud(5, rng)
    assert np.linalg.svd(square - square.mean(0), compute_uv=False)[2] < 2.0  # flat but for the noise
    again, kinds = clouds(9, 3)
    assert np.array_equal(again, clouds(9, 3)[0])
    assert kinds.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0]


def test_the_network_of_the_digits_learns_and_is_repeatable() -> None:
    x, x_test, y, y_test = digits(0)
    first, second = (fit(perceptron(64, 0), x, y, epochs=4) for _ in range(2))
    assert accuracy(first, x_test, y_test) > 80
    assert accuracy(first, x_test, y_test) == accuracy(second, x_test, y_test)
