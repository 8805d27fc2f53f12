"""The learned voxel grid: sums by hand, gradients, shape of the kernel, batches."""

from __future__ import annotations

import numpy as np
import pytest

import eventio

torch = pytest.importorskip("torch")
learned = pytest.importorskip("eventio.representations.learned")

EVENTS = eventio.make_events(t=[0, 30, 30, 100], x=[0, 2, 2, 1], y=[0, 1, 1, 0], p=[0, 1, 1, 0])


@pytest.fixture(scope="module")
def grid() -> learned.LearnedVoxelGrid:
    return learned.LearnedVoxelGrid(width=3, height=2, n_bins=4, seed=1)


def test_each_event_adds_its_time_and_kernel_to_each_bin(grid: learned.LearnedVoxelGrid) -> None:
    with torch.no_grad():
        found = grid([EVENTS])[0].view(2, 4, 2, 3).numpy()
        expected = np.zeros((2, 4, 2, 3))
        for t, x, y, p in EVENTS.tolist():
            for b in range(4):
                lag = torch.tensor([[np.float32(t / 100) - np.float32(b / 3)]])
                expected[int(p), b, y, x] += t / 100 * float(grid.kernel(lag))
    # three float32 layers of at most 30 terms, in two orders
    np.testing.assert_allclose(found, expected, atol=100 * 2.0**-23)


def test_the_kernel_begins_near_the_triangle_and_learns(grid: learned.LearnedVoxelGrid) -> None:
    lag = torch.linspace(-1, 1, 101)[:, None]
    triangle = torch.clamp(1 - 3 * lag.abs(), min=0)
    with torch.no_grad():
        assert float(((grid.kernel(lag) - triangle) ** 2).mean()) < 0.01
    grid([EVENTS]).square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in grid.parameters()
    )


def test_batches_and_seeds(grid: learned.LearnedVoxelGrid) -> None:
    with torch.no_grad():
        both = grid([EVENTS, EVENTS[:0]])
        assert both.shape == (2, 8, 2, 3)
        assert torch.equal(both[0], grid([EVENTS])[0])
        assert not both[1].any()
        again = learned.LearnedVoxelGrid(width=3, height=2, n_bins=4, seed=1)
        assert torch.equal(again([EVENTS]), grid([EVENTS]))


def test_bad_grids_are_refused(grid: learned.LearnedVoxelGrid) -> None:
    with pytest.raises(eventio.ArgumentError, match="n_bins must be"):
        learned.LearnedVoxelGrid(width=3, height=2, n_bins=1)
    with pytest.raises(eventio.OutOfSensorError, match="outside the 3x2 sensor"):
        grid([eventio.make_events(t=[0], x=[3], y=[0], p=[1])])
