"""Samples are chosen by the rule that is stated: farthest first, least certain, nearest to the middle of a cluster."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analog_bridge import CalibrationError
from analog_bridge.selection import clusters, core_set, select, uncertain

RNG = np.random.default_rng(0)


def _radius(points: np.ndarray, chosen: Any) -> float:
    return float(np.sqrt(((points[:, None] - points[list(chosen)][None]) ** 2).sum(2)).min(1).max())


@given(st.integers(0, 1000), st.integers(1, 4))
def test_a_core_set_covers_within_twice_the_best_radius(seed: int, n: int) -> None:
    points = np.random.default_rng(seed).normal(size=(9, 2))
    chosen = core_set(n, points, seed=seed)
    assert len(set(chosen.tolist())) == n
    best = min(_radius(points, each) for each in combinations(range(9), n))
    assert _radius(points, chosen) <= 2 * best * (1 + 2.0**-40)


def test_equal_samples_are_chosen_once() -> None:
    points = np.zeros((5, 2))
    for choose in (core_set, clusters):
        assert sorted(choose(5, points).tolist()) == [0, 1, 2, 3, 4]


def test_the_least_certain_come_first() -> None:
    probabilities = [[0.5, 0.5, 0.0], [0.9, 0.05, 0.05], [0.4, 0.35, 0.25], [0.5, 0.5, 0.0]]
    assert uncertain(3, probabilities).tolist() == [0, 3, 2]


def test_one_sample_per_cluster() -> None:
    middles = np.array([[0, 0], [10, 0], [0, 10]])
    points = (middles[:, None] + RNG.normal(size=(3, 20, 2))).reshape(60, 2)
    chosen = clusters(3, points)
    assert (chosen // 20).tolist() == [0, 1, 2]
    for group, index in enumerate(chosen):
        members = points[group * 20 : group * 20 + 20]
        distance = ((members - members.mean(0)) ** 2).sum(1)
        assert distance.argmin() == index % 20


def test_too_few_uncertain_samples_fall_back_to_the_core_set() -> None:
    points, probabilities = RNG.normal(size=(40, 3)), RNG.dirichlet(np.ones(4), 40)
    with pytest.warns(
        UserWarning, match="9 of 40 samples are too few to choose by uncertainty; core_set is used"
    ):
        few = select(9, points, method="uncertain", probabilities=probabilities)
    assert few.tolist() == sorted(core_set(9, points).tolist())
    enough = select(10, points, method="uncertain", probabilities=probabilities)
    assert enough.tolist() == sorted(uncertain(10, probabilities).tolist())


@pytest.mark.parametrize("method", ["core_set", "clusters", "uncertain"])
def test_every_class_keeps_its_share(method: Any) -> None:
    labels = np.repeat([0, 1, 2], [30, 15, 5])
    options = {"probabilities": RNG.dirichlet(np.ones(3), 50), "labels": labels}
    chosen = select(20, RNG.normal(size=(50, 2, 2)), method=method, **options)
    assert np.bincount(labels[chosen]).tolist() == [12, 6, 2]
    assert chosen.tolist() == sorted(set(chosen.tolist()))


@pytest.mark.parametrize(
    ("n", "features", "options", "message"),
    [
        (0, np.ones((3, 2)), {}, "n must be a whole number from 1 to 3, the samples; got 0"),
        (4, np.ones((3, 2)), {}, "n must be a whole number from 1 to 3, the samples; got 4"),
        (1, np.ones((0, 2)), {}, "features are empty"),
        (1, [[np.inf, 0.0]], {}, r"features\[0, 0\] is not finite"),
        (
            1,
            np.ones((3, 2)),
            {"method": "best"},
            "method must be core_set, uncertain or clusters, got 'best'",
        ),
        (1, np.ones((3, 2)), {"method": "uncertain"}, "needs probabilities"),
        (3, np.ones((3, 2)), {"method": "uncertain", "probabilities": np.ones((3, 1))}, "classes >= 2"),
        (1, np.ones((3, 2)), {"labels": [0, 1]}, r"labels must be \(3,\)"),
    ],
)
def test_what_cannot_be_chosen_is_refused(n: int, features: Any, options: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        select(n, features, **options)
