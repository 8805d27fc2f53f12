"""Fewer points, and points as pictures: sampling, matching, voxels, skeletons."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import MediaError
from analog_bridge.points._kernels import choose_farthest

__all__ = [
    "farthest_points",
    "random_points",
    "match_points",
    "voxel_spikes",
    "skeleton_channels",
    "normalised_cloud",
]


def farthest_points(points: ArrayLike, n: int, *, start: int = 0) -> NDArray[np.int64]:
    """Choose points greedily, each the farthest from all chosen before it.

    Parameters
    ----------
    points : array, shape (m, d)
        A cloud.
    n : int
        How many, 1 to m.
    start : int
        The first point.

    Returns
    -------
    int64 array, shape (n,)
        Indices in the order of choice; no point twice; of equally far points the first.

    Raises
    ------
    MediaError
        Another shape, a value that is not finite, or `n` or `start` out of range.

    Examples
    --------
    >>> farthest_points([[0.0, 0], [1, 0], [9, 0], [5, 0]], 3)
    array([0, 2, 3])
    """
    cloud = _cloud("farthest_points", points)
    _check_number("farthest_points", n, len(cloud))
    if not 0 <= start < len(cloud):
        raise MediaError(f"farthest_points: start must be 0 to {len(cloud) - 1}, got {start}")
    chosen = np.empty(n, np.int64)
    choose_farthest(cloud, int(start), np.full(len(cloud), np.inf), chosen)
    return chosen


def random_points(points: ArrayLike, n: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Choose points at random, each at most once.

    Parameters
    ----------
    points : array, shape (m, d)
        A cloud.
    n : int
        How many, 1 to m.
    seed : int
        Of the choice.

    Returns
    -------
    int64 array, shape (n,)
        Indices.
    """
    cloud = _cloud("random_points", points)
    _check_number("random_points", n, len(cloud))
    return np.random.default_rng(seed).permutation(len(cloud))[:n]


def match_points(generated: ArrayLike, points: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return the points of a cloud that stand for generated ones.

    Each generated point takes its nearest point of the cloud; where several take the same one, the set is completed by
    the farthest points from those taken (as S-NET does).

    Parameters
    ----------
    generated : array, shape (k, d)
        Points that a sampler made.
    points : array, shape (m, d)
        The cloud.
    n : int
        How many to return, at most m.

    Returns
    -------
    int64 array, shape (n,)
        Indices, no point twice.

    Raises
    ------
    MediaError
        Shapes do not fit, or `n` is out of range.
    """
    made, cloud = _cloud("match_points", generated), _cloud("match_points", points)
    _check_number("match_points", n, len(cloud))
    if made.shape[1] != cloud.shape[1]:
        raise MediaError(
            f"match_points: generated {made.shape} and points {cloud.shape} differ in their last axis"
        )
    nearest = ((made[:, None] - cloud[None]) ** 2).sum(2).argmin(1)
    chosen = list(dict.fromkeys(int(i) for i in nearest))[:n]
    distance = ((cloud[:, None] - cloud[chosen][None]) ** 2).sum(2).min(1)
    distance[chosen] = -1.0
    others = np.empty(n - len(chosen), np.int64)
    choose_farthest(cloud, int(distance.argmax()), distance, others)
    return np.concatenate([np.array(chosen, np.int64), others])


def normalised_cloud(points: ArrayLike) -> NDArray[np.float32]:
    """Return a cloud around 0 whose farthest point has distance 1.

    Parameters
    ----------
    points : array, shape (m, d)
        A cloud; one that is a single place becomes zeros.

    Returns
    -------
    float32 array, shape (m, d)
        The cloud, moved and scaled.
    """
    cloud = _cloud("normalised_cloud", points)
    centred = cloud - cloud.mean(0)
    radius = np.sqrt((centred**2).sum(1)).max()
    return (centred / radius if radius > 0 else centred).astype(np.float32)


def voxel_spikes(
    points: ArrayLike, n_cells: int, *, low: float = -1.0, high: float = 1.0
) -> NDArray[np.float32]:
    """Return a grid that spikes where there is a point: depth as channels.

    Parameters
    ----------
    points : array, shape (m, 3)
        A cloud of x, y, z.
    n_cells : int
        Cells along each axis, >= 1.
    low, high : float
        Range of the grid along each axis; a point at `high` falls into the last cell.

    Returns
    -------
    float32 array, shape (n_cells, n_cells, n_cells)
        0 or 1 at (z, y, x).

    Raises
    ------
    MediaError
        Another shape, or a point outside the range.

    Examples
    --------
    >>> voxel_spikes([[-1.0, 1.0, 0.0]], 2).nonzero()
    (array([1]), array([1]), array([0]))
    """
    cloud = _cloud("voxel_spikes", points)
    if cloud.shape[1] != 3:
        raise MediaError(f"voxel_spikes: points must be (m, 3), got {cloud.shape}")
    if n_cells < 1 or not low < high:
        raise MediaError(f"voxel_spikes: n_cells must be >= 1 and low < high, got {n_cells}, {low}, {high}")
    outside = (cloud < low) | (cloud > high)
    if outside.any():
        place = np.argwhere(outside)[0]
        raise MediaError(
            f"voxel_spikes: points[{place[0]}, {place[1]}] = {cloud[tuple(place)]} lies outside {low}..{high}; use "
            "normalised_cloud"
        )
    cell = np.minimum(((cloud - low) / (high - low) * n_cells).astype(np.int64), n_cells - 1)
    grid = np.zeros((n_cells,) * 3, np.float32)
    grid[cell[:, 2], cell[:, 1], cell[:, 0]] = 1
    return grid


def skeleton_channels(joints: ArrayLike, *, with_motion: bool = False) -> NDArray[np.float32]:
    """Return a sequence of skeletons as a picture: coordinates as channels, time as rows, joints as columns.

    Parameters
    ----------
    joints : array, shape (n_frames, n_joints, d)
        Coordinates of each joint.
    with_motion : bool
        Add the change from each frame to the next as d more channels (0 in the last frame).

    Returns
    -------
    float32 array, shape (d or 2 d, n_frames, n_joints)
        Input of a two-dimensional network.

    Raises
    ------
    MediaError
        Another shape or a value that is not finite.
    """
    values = np.asarray(joints, dtype=np.float32)
    if values.ndim != 3 or 0 in values.shape:
        raise MediaError(f"skeleton_channels: joints must be (n_frames, n_joints, d), got {values.shape}")
    if not np.isfinite(values).all():
        raise MediaError("skeleton_channels: joints must be finite; fill in those that were not seen")
    if with_motion:
        motion = np.diff(values, axis=0, append=values[-1:])
        values = np.concatenate([values, motion], axis=2)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _cloud(owner: str, points: ArrayLike) -> NDArray[np.float64]:
    cloud = np.ascontiguousarray(points, dtype=np.float64)
    if cloud.ndim != 2 or 0 in cloud.shape:
        raise MediaError(f"{owner}: points must be (m, d), at least one, got {cloud.shape}")
    if not np.isfinite(cloud).all():
        place = np.argwhere(~np.isfinite(cloud))[0]
        raise MediaError(f"{owner}: points[{place[0]}, {place[1]}] is not finite")
    return cloud


def _check_number(owner: str, n: int, n_points: int) -> None:
    if not isinstance(n, int | np.integer) or not 1 <= n <= n_points:
        raise MediaError(f"{owner}: n must be a whole number from 1 to {n_points}, the points; got {n!r}")
