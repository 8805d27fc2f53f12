"""Videos with less to compute: one picture for a clip, keyframes, features moved from the last keyframe."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import MediaError

__all__ = ["rank_pooling_weights", "dynamic_image", "keyframes", "warp_features", "scaled_to_unit"]


def rank_pooling_weights(n_frames: int) -> NDArray[np.float64]:
    """Return the weights of approximate rank pooling.

    ``a[t] = 2 (T - t + 1) - (T + 1) (H[T] - H[t - 1])`` for t = 1..T, with the harmonic numbers ``H[t]``: one step of
    ranking the running means of the frames by time.

    Source: Bilen and others, "Dynamic image networks for action recognition", 2016.

    Parameters
    ----------
    n_frames : int
        T, >= 1.

    Returns
    -------
    float64 array, shape (n_frames,)
        They add up to 0.

    Examples
    --------
    >>> rank_pooling_weights(2)
    array([-0.5,  0.5])
    """
    if n_frames < 1:
        raise MediaError(f"rank_pooling_weights: n_frames must be >= 1, got {n_frames}")
    t = np.arange(1, n_frames + 1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / t)])
    found: NDArray[np.float64] = 2.0 * (n_frames - t + 1) - (n_frames + 1) * (
        harmonic[n_frames] - harmonic[t - 1]
    )
    return found


def dynamic_image(frames: ArrayLike) -> NDArray[np.float32]:
    """Return one picture that shows how a clip changes over time: its frames, weighted by `rank_pooling_weights`.

    What stays the same cancels; what moves is dark where it was and bright where it is.

    Parameters
    ----------
    frames : array, shape (n_frames, ...)
        At least two frames.

    Returns
    -------
    float32 array, shape (...)
        The picture, signed; `scaled_to_unit` makes pixels of it.

    Raises
    ------
    MediaError
        Fewer than two frames or a value that is not finite.
    """
    clip = _clip("dynamic_image", frames, least=2)
    return np.tensordot(rank_pooling_weights(len(clip)), clip, 1).astype(np.float32)


def scaled_to_unit(picture: ArrayLike) -> NDArray[np.float32]:
    """Return a signed picture as pixels: ``1/2 + picture / (2 largest absolute value)``.

    Parameters
    ----------
    picture : array
        A signed picture; one of zeros becomes 1/2.

    Returns
    -------
    float32 array
        Values from 0 to 1.
    """
    values = np.asarray(picture, dtype=np.float64)
    largest = np.abs(values).max(initial=0.0)
    return (0.5 + (values / (2 * largest) if largest > 0 else 0 * values)).astype(np.float32)


def keyframes(frames: ArrayLike, *, threshold: float) -> NDArray[np.int64]:
    """Choose the frames that differ enough from the last one chosen.

    The energy of a change is the mean squared difference of the pixels. The first frame is chosen; after it each whose
    difference from the last chosen one has an energy above the threshold.

    Parameters
    ----------
    frames : array, shape (n_frames, ...)
        At least one frame.
    threshold : float
        Energy, >= 0; 0 chooses every frame that is not equal to the last one chosen.

    Returns
    -------
    int64 array
        Indices, ascending.

    Raises
    ------
    MediaError
        No frames, a value that is not finite, or a threshold below 0.

    Examples
    --------
    >>> keyframes([[0.0], [0.1], [1.0], [1.1]], threshold=0.25)
    array([0, 2])
    """
    clip = _clip("keyframes", frames, least=1)
    if not threshold >= 0:
        raise MediaError(f"keyframes: threshold must be >= 0, got {threshold}")
    chosen = [0]
    for i in range(1, len(clip)):
        if float(((clip[i] - clip[chosen[-1]]) ** 2).mean()) > threshold:
            chosen.append(i)
    return np.array(chosen, dtype=np.int64)


def warp_features(features: ArrayLike, flow: ArrayLike) -> NDArray[np.float32]:
    """Return features of a keyframe, moved to where they are in a later frame (deep feature flow).

    ``y[c, r, q] = x[c, r + flow[0, r, q], q + flow[1, r, q]]``, bilinear between places; what lies outside is 0.

    Parameters
    ----------
    features : array, shape (C, rows, columns)
        Of the keyframe.
    flow : array, shape (2, rows, columns)
        For each place of the later frame, how many rows and columns away it was in the keyframe.

    Returns
    -------
    float32 array, shape (C, rows, columns)
        The moved features.

    Raises
    ------
    MediaError
        Shapes do not fit or a flow that is not finite.
    """
    x, move = np.asarray(features, dtype=np.float64), np.asarray(flow, dtype=np.float64)
    if x.ndim != 3 or move.shape != (2, *x.shape[1:]):
        raise MediaError(
            f"warp_features: features (C, rows, columns) need a flow (2, rows, columns), got {x.shape}, {move.shape}"
        )
    if not np.isfinite(move).all():
        raise MediaError("warp_features: flow must be finite")
    rows, columns = x.shape[1:]
    row, column = np.mgrid[0:rows, 0:columns] + move
    top, left = np.floor(row), np.floor(column)
    found = np.zeros_like(x)
    for down in (0, 1):
        for across in (0, 1):
            r, q = top + down, left + across
            part = (1 - np.abs(row - r)) * (1 - np.abs(column - q))
            inside = (r >= 0) & (r < rows) & (q >= 0) & (q < columns)
            r, q = np.where(inside, r, 0).astype(np.int64), np.where(inside, q, 0).astype(np.int64)
            found += x[:, r, q] * np.where(inside, part, 0.0)
    return found.astype(np.float32)


def _clip(owner: str, frames: ArrayLike, *, least: int) -> NDArray[np.float64]:
    clip = np.asarray(frames, dtype=np.float64)
    if clip.ndim < 1 or len(clip) < least:
        raise MediaError(f"{owner}: needs at least {least} frame(s), got an array of {clip.shape}")
    if not np.isfinite(clip).all():
        raise MediaError(f"{owner}: frames must be finite")
    return clip
