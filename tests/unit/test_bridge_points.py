"""Points: sampling by its rule, voxels and skeletons, and networks over points that are taken over exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analog_bridge import MediaError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest
from analog_bridge.points import (
    farthest_points,
    match_points,
    normalised_cloud,
    random_points,
    skeleton_channels,
    voxel_spikes,
)
from analog_bridge.points.networks import PointNetwork, PointSampler, folded, sample_points, train_sampler
from tests.bridge_networks import answer, data_on_grid, on_grid

RNG = np.random.default_rng(0)


@given(st.integers(0, 1000), st.integers(1, 12))
def test_each_point_is_the_farthest_from_those_before(seed: int, n: int) -> None:
    points = np.random.default_rng(seed).integers(-4, 5, (12, 3)).astype(float)
    chosen = farthest_points(points, n, start=seed % 12)
    assert chosen[0] == seed % 12
    assert len(set(chosen.tolist())) == n
    for i in range(1, n):
        distance = ((points[:, None] - points[chosen[:i]][None]) ** 2).sum(2).min(1)
        left = [j for j in range(12) if j not in chosen[:i]]
        assert chosen[i] == max(left, key=lambda j: (distance[j], -j))


def test_matching_takes_the_nearest_and_completes_the_set() -> None:
    points = np.array([[0.0, 0], [1, 0], [2, 0], [10, 0]])
    assert match_points([[0.1, 0], [0.2, 0], [1.9, 0]], points, 3).tolist() == [0, 2, 3]
    assert match_points([[9.0, 0], [0.2, 0]], points, 2).tolist() == [3, 0]
    assert sorted(match_points([[0.0, 0]], points, 4).tolist()) == [0, 1, 2, 3]


def test_random_points_follow_the_seed() -> None:
    points = RNG.normal(size=(50, 3))
    assert np.array_equal(random_points(points, 20, seed=1), random_points(points, 20, seed=1))
    assert len(set(random_points(points, 50).tolist())) == 50


def test_a_cloud_fits_the_unit_ball() -> None:
    cloud = normalised_cloud(RNG.normal(5, 3, (100, 3)))
    assert np.abs(cloud.mean(0)).max() <= 100 * 2.0**-23
    assert abs(np.sqrt((cloud.astype(float) ** 2).sum(1)).max() - 1) <= 2.0**-22
    assert not normalised_cloud(np.ones((4, 3))).any()


def test_voxels_and_their_edges() -> None:
    grid = voxel_spikes([[-1, -1, -1], [1, 1, 1], [0, -0.001, 0.5]], 4)
    assert np.argwhere(grid).tolist() == [[0, 0, 0], [3, 1, 2], [3, 3, 3]]
    with pytest.raises(
        MediaError, match=r"points\[0, 2\] = 1\.5 lies outside -1\.0\.\.1\.0; use normalised_cloud"
    ):
        voxel_spikes([[0, 0, 1.5]], 4)


def test_skeletons_as_pictures() -> None:
    joints = np.arange(12.0).reshape(2, 3, 2)
    found = skeleton_channels(joints, with_motion=True)
    assert found.shape == (4, 2, 3)
    assert found[0].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert found[2].tolist() == [[6, 6, 6], [0, 0, 0]]
    assert np.array_equal(skeleton_channels(joints), found[:2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: farthest_points(np.ones(3), 1),
            r"farthest_points: points must be \(m, d\), at least one, got \(3,\)",
        ),
        (
            lambda: farthest_points(np.ones((3, 2)), 4),
            "n must be a whole number from 1 to 3, the points; got 4",
        ),
        (lambda: farthest_points(np.ones((3, 2)), 1, start=3), "start must be 0 to 2, got 3"),
        (lambda: farthest_points([[np.nan, 0]], 1), r"points\[0, 0\] is not finite"),
        (lambda: match_points(np.ones((2, 3)), np.ones((2, 2)), 1), "differ in their last axis"),
        (lambda: voxel_spikes(np.ones((2, 2)), 4), r"points must be \(m, 3\)"),
        (lambda: voxel_spikes(np.ones((2, 3)), 0), "n_cells must be >= 1"),
        (lambda: skeleton_channels(np.ones((2, 3))), r"joints must be \(n_frames, n_joints, d\)"),
        (lambda: skeleton_channels(np.full((1, 1, 1), np.nan)), "fill in those that were not seen"),
        (lambda: train_sampler(PointNetwork(2), np.ones((4, 2, 9)), np.zeros(4, int), 4), "clouds must be"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        call()


def test_a_network_over_points_is_taken_over_exactly() -> None:
    model = on_grid(PointNetwork(4, widths=(4, 6), hidden=5))
    x = data_on_grid(3, 3, 16)
    graph = ingest(model, x)
    assert evaluate(graph, x, precision="float64")[graph.outputs[0]].tolist() == answer(model, x)[0].tolist()


@pytest.mark.parametrize(
    "make", [lambda: PointNetwork(4, widths=(4, 6), hidden=5), lambda: PointSampler(3, every=2)]
)
def test_a_folded_network_gives_the_same(make: Any) -> None:
    """On a grid without rounding: bit by bit, for one cloud and for several."""
    model = on_grid(make()).float()
    for n in (1, 3):
        x = torch.as_tensor(data_on_grid(n, 3, 16)).float()
        with torch.no_grad():
            assert torch.equal(folded(model)(x), model.eval()(x))
            assert torch.equal(folded(folded(model))(x), model(x))
    assert isinstance(model.features, torch.nn.Sequential)  # what was given is as it was


def test_a_learned_sampler_keeps_what_a_network_needs() -> None:
    """Lines and planes: 4 made points are recognised in nine of ten cases, and the network stays as it is."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    clouds = rng.uniform(-1, 1, (120, 3, 64)).astype(np.float32)
    clouds[labels == 0, 1:] *= 0.02
    clouds[labels == 1, 2:] *= 0.02
    torch.manual_seed(0)
    network = PointNetwork(2, widths=(8, 16), hidden=8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network(torch.tensor(clouds)), torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    sampler = train_sampler(network, clouds[:80], labels[:80], 4, epochs=15, learning_rate=5e-3)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()
    made = sample_points(sampler, clouds[80:])
    assert made.shape == (40, 3, 4)
    with torch.no_grad():
        right = (network(torch.tensor(made)).argmax(1).numpy() == labels[80:]).mean()
    assert right >= 0.9
    again = train_sampler(network, clouds[:80], labels[:80], 4, epochs=15, learning_rate=5e-3)
    assert np.array_equal(sample_points(again, clouds[80:]), made)
