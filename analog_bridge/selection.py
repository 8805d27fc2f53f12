"""Which samples to calibrate or train on: spread out (core-set), uncertain, or one per cluster."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import CalibrationError

__all__ = ["select", "core_set", "uncertain", "clusters", "SelectionMethod"]

SelectionMethod = Literal["core_set", "uncertain", "clusters"]

# below this part of the samples, choosing the uncertain ones picks the odd ones and loses to a random choice
SMALLEST_UNCERTAIN_PART = 0.25


def select(
    n: int,
    features: ArrayLike,
    *,
    method: SelectionMethod = "core_set",
    probabilities: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Choose samples by one of three methods.

    The rule where too few are asked for: 'uncertain' with less than a quarter of the samples takes 'core_set' instead,
    with a warning, because the least certain samples alone do not show what is common.

    Parameters
    ----------
    n : int
        How many, 1 to all.
    features : array, shape (samples, ...)
        What tells samples apart: the data, or better the values of a late layer.
    method : {'core_set', 'uncertain', 'clusters'}
        `core_set`, `uncertain` or `clusters`.
    probabilities : array, shape (samples, classes), optional
        Needed for 'uncertain'.
    labels : int array, shape (samples,), optional
        Classes; where given, every class keeps its share.
    seed : int
        Of the first sample, or of the clustering.

    Returns
    -------
    int64 array, shape (n,)
        Indices, ascending.

    Raises
    ------
    CalibrationError
        `n` is out of range, arrays do not fit, or a value is not finite.
    """
    points = _points(features)
    _check_number(n, len(points))
    if method not in {"core_set", "uncertain", "clusters"}:
        raise CalibrationError(f"select: method must be core_set, uncertain or clusters, got {method!r}")
    if method == "uncertain":
        if probabilities is None:
            raise CalibrationError("select: method 'uncertain' needs probabilities, (samples, classes)")
        if n < SMALLEST_UNCERTAIN_PART * len(points):
            warnings.warn(
                f"select: {n} of {len(points)} samples are too few to choose by uncertainty; core_set is used instead",
                stacklevel=2,
            )
            method = "core_set"
    found = []
    for rows, share in _shares(n, len(points), labels):
        if method == "uncertain":
            part = uncertain(share, np.asarray(probabilities)[rows])
        elif method == "clusters":
            part = clusters(share, points[rows], seed=seed)
        else:
            part = core_set(share, points[rows], seed=seed)
        found.append(rows[part])
    return np.sort(np.concatenate(found))


def core_set(n: int, features: ArrayLike, *, seed: int = 0) -> NDArray[np.int64]:
    """Choose samples greedily, each the farthest from those chosen (k-center).

    Every sample is then within twice the smallest possible distance of a chosen one.

    Parameters
    ----------
    n : int
        How many.
    features : array, shape (samples, ...)
        Where the samples lie; distances are Euclidean.
    seed : int
        Of the first sample.

    Returns
    -------
    int64 array, shape (n,)
        Indices in the order in which they were chosen; of equally far samples the first.

    Raises
    ------
    CalibrationError
        `n` is out of range or a value is not finite.

    Examples
    --------
    >>> sorted(int(i) for i in core_set(2, [[0.0], [0.1], [1.0], [10.0]], seed=1))[-1]
    3
    """
    points = _points(features)
    _check_number(n, len(points))
    chosen = np.empty(n, np.int64)
    chosen[0] = np.random.default_rng(seed).integers(len(points))
    distance = np.full(len(points), np.inf)
    for i in range(1, n):
        last = chosen[i - 1]
        distance = np.minimum(distance, ((points - points[last]) ** 2).sum(1))
        distance[last] = -1.0  # never chosen again, also where several samples are equal
        chosen[i] = int(distance.argmax())
    return chosen


def uncertain(n: int, probabilities: ArrayLike) -> NDArray[np.int64]:
    """Choose the samples whose two most probable classes are closest (smallest margin).

    Parameters
    ----------
    n : int
        How many.
    probabilities : array, shape (samples, classes)
        Of a network, or the mean of several (an ensemble); at least two classes.

    Returns
    -------
    int64 array, shape (n,)
        Indices, the least certain first; of equals the first.

    Raises
    ------
    CalibrationError
        `n` is out of range or the array has another shape.

    Examples
    --------
    >>> uncertain(1, [[0.9, 0.1], [0.6, 0.4]])
    array([1])
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise CalibrationError(
            f"uncertain: probabilities must be (samples, classes >= 2), got {values.shape}"
        )
    _check_finite("probabilities", values)
    _check_number(n, len(values))
    best = np.partition(values, -2, axis=1)
    return np.argsort(best[:, -1] - best[:, -2], kind="stable")[:n]


def clusters(n: int, features: ArrayLike, *, seed: int = 0) -> NDArray[np.int64]:
    """Choose the sample that is nearest to the middle of each of `n` clusters (k-means of scikit-learn).

    Parameters
    ----------
    n : int
        How many. Where samples coincide so that there are fewer clusters, the farthest others are added.
    features : array, shape (samples, ...)
        Where the samples lie.
    seed : int
        Of the first middles.

    Returns
    -------
    int64 array, shape (n,)
        Indices, ascending.

    Raises
    ------
    CalibrationError
        `n` is out of range or a value is not finite.
    """
    from sklearn.cluster import KMeans

    points = _points(features)
    _check_number(n, len(points))
    n_distinct = len(np.unique(points, axis=0))
    model = KMeans(min(n, n_distinct), random_state=seed, n_init=1).fit(points)
    found: list[int] = []
    for label, middle in enumerate(model.cluster_centers_):
        members = np.flatnonzero(model.labels_ == label)
        if len(members):
            found.append(int(members[((points[members] - middle) ** 2).sum(1).argmin()]))
    others = [int(i) for i in core_set(len(points), points, seed=seed) if int(i) not in set(found)]
    return np.sort(np.array((found + others)[:n], dtype=np.int64))


def _points(features: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(features, dtype=np.float64)
    if values.ndim < 1 or len(values) == 0:
        raise CalibrationError("select: features are empty; give at least one sample")
    _check_finite("features", values)
    return values.reshape(len(values), -1)


def _check_finite(name: str, values: NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        place = ", ".join(str(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise CalibrationError(f"select: {name}[{place}] is not finite")


def _check_number(n: int, n_samples: int) -> None:
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or not 1 <= n <= n_samples:
        raise CalibrationError(
            f"select: n must be a whole number from 1 to {n_samples}, the samples; got {n!r}"
        )


def _shares(n: int, n_samples: int, labels: ArrayLike | None) -> list[tuple[NDArray[np.int64], int]]:
    """Return the samples of each class and how many of them to take: its share, rounded by largest remainder."""
    if labels is None:
        return [(np.arange(n_samples), n)]
    classes = np.asarray(labels)
    if classes.shape != (n_samples,):
        raise CalibrationError(f"select: labels must be ({n_samples},), one per sample, got {classes.shape}")
    names, counts = np.unique(classes, return_counts=True)
    exact = n * counts / n_samples
    share = np.floor(exact).astype(np.int64)
    rest = np.argsort(share - exact, kind="stable")[: n - int(share.sum())]
    share[rest] += 1
    return [
        (np.flatnonzero(classes == name), int(part)) for name, part in zip(names, share, strict=True) if part
    ]
