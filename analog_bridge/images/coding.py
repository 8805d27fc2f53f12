"""Pixels as spikes: by their number, by the time of one, or by the digits of a binary number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import MediaError

__all__ = ["rate_code", "latency_code", "radix_code", "radix_weights"]

Spikes = NDArray[np.float32]


def rate_code(pixels: ArrayLike, n_steps: int, *, seed: int | None = None) -> Spikes:
    """Spike in a part of the steps that is the pixel's value.

    Without a seed a pixel p gives ``n = floor(p n_steps + 1/2)`` spikes, as evenly spaced as they can be: one in step t
    if ``floor((t + 1) n / n_steps) > floor(t n / n_steps)``. With a seed every step spikes with probability p.

    Parameters
    ----------
    pixels : array
        Values from 0 to 1.
    n_steps : int
        Steps, >= 1.
    seed : int, optional
        Of random spikes.

    Returns
    -------
    float32 array, shape ``(n_steps, *shape)``
        0 or 1.

    Raises
    ------
    MediaError
        A value outside 0..1, or `n_steps` below 1.

    Examples
    --------
    >>> rate_code([0.5, 1.0], 4)[:, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    values = _checked(pixels, n_steps)
    if seed is not None:
        return (np.random.default_rng(seed).random((n_steps, *values.shape)) < values).astype(np.float32)
    n = np.floor(values * n_steps + 0.5).astype(np.int64)
    t = np.arange(n_steps + 1).reshape(-1, *[1] * values.ndim)
    return np.diff(t * n // n_steps, axis=0).astype(np.float32)


def latency_code(pixels: ArrayLike, n_steps: int) -> Spikes:
    """Spike once, the sooner the brighter: in step ``n_steps - n``, ``n = floor(p n_steps + 1/2)``; never if n is 0.

    Parameters
    ----------
    pixels : array
        Values from 0 to 1.
    n_steps : int
        Steps, >= 1.

    Returns
    -------
    float32 array, shape ``(n_steps, *shape)``
        0 or 1.

    Raises
    ------
    MediaError
        A value outside 0..1, or `n_steps` below 1.

    Examples
    --------
    >>> latency_code([1.0, 0.25, 0.0], 4).argmax(0).tolist()
    [0, 3, 0]
    """
    values = _checked(pixels, n_steps)
    n = np.floor(values * n_steps + 0.5).astype(np.int64)
    t = np.arange(n_steps).reshape(-1, *[1] * values.ndim)
    return (t == n_steps - n).astype(np.float32)


def radix_code(pixels: ArrayLike, n_steps: int) -> Spikes:
    """Spike the binary digits of ``floor(p (2**n_steps - 1) + 1/2)``, the most significant first.

    Parameters
    ----------
    pixels : array
        Values from 0 to 1.
    n_steps : int
        Steps, which are digits, 1 to 24.

    Returns
    -------
    float32 array, shape ``(n_steps, *shape)``
        0 or 1; ``radix_weights(n_steps) @ spikes / (2**n_steps - 1)`` is the pixel, to half a step.

    Raises
    ------
    MediaError
        A value outside 0..1, or `n_steps` out of range.

    Examples
    --------
    >>> radix_code([5 / 7], 3).ravel().tolist()
    [1.0, 0.0, 1.0]
    """
    values = _checked(pixels, n_steps)
    if n_steps > 24:
        raise MediaError(f"radix_code: n_steps must be at most 24, got {n_steps}")
    n = np.floor(values * (2**n_steps - 1) + 0.5).astype(np.int64)
    digit = np.arange(n_steps - 1, -1, -1).reshape(-1, *[1] * values.ndim)
    return ((n >> digit) & 1).astype(np.float32)


def radix_weights(n_steps: int) -> NDArray[np.float32]:
    """Return what a spike in each step of `radix_code` is worth: ``2**(n_steps - 1 - t)``.

    Parameters
    ----------
    n_steps : int
        Steps.

    Returns
    -------
    float32 array, shape (n_steps,)
        The weights.
    """
    return (2.0 ** np.arange(n_steps - 1, -1, -1)).astype(np.float32)


def _checked(pixels: ArrayLike, n_steps: int) -> NDArray[np.float64]:
    values = np.asarray(pixels, dtype=np.float64)
    if not isinstance(n_steps, int | np.integer) or n_steps < 1:
        raise MediaError(f"n_steps must be a whole number >= 1, got {n_steps!r}")
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        place = ", ".join(str(i) for i in np.argwhere(wrong)[0])
        raise MediaError(
            f"pixels[{place}] = {values[wrong][0]} lies outside 0..1; divide by the largest value"
        )
    return values
