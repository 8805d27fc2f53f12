"""Pictures as coefficients: 8 x 8 cosine transform (as in JPEG) and Haar wavelets, with coefficients as channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import MediaError

__all__ = [
    "ZIGZAG",
    "block_dct",
    "inverse_block_dct",
    "dct_channels",
    "varying_coefficients",
    "haar",
    "inverse_haar",
]

N = 8


def _zigzag() -> NDArray[np.int64]:
    """Return the flat places of a block in JPEG's order, from low to high frequencies."""
    places = [(row, column) for row in range(N) for column in range(N)]
    places.sort(key=lambda p: (p[0] + p[1], p[0] if (p[0] + p[1]) % 2 else p[1]))
    return np.array([row * N + column for row, column in places])


def _cosines() -> NDArray[np.float64]:
    k, x = np.mgrid[0:N, 0:N]
    found: NDArray[np.float64] = np.cos((2 * x + 1) * k * np.pi / (2 * N)) * np.where(
        k == 0, N**-0.5, (2 / N) ** 0.5
    )
    return found


ZIGZAG = _zigzag()
_COSINES = _cosines()


def block_dct(picture: ArrayLike) -> NDArray[np.float64]:
    """Return the orthonormal cosine transform of each block of 8 x 8 pixels.

    Parameters
    ----------
    picture : array, shape (..., rows, columns)
        Rows and columns divisible by 8.

    Returns
    -------
    float64 array, shape (..., rows / 8, columns / 8, 8, 8)
        Coefficients: vertical frequency, then horizontal.

    Raises
    ------
    MediaError
        Rows or columns are not divisible by 8.
    """
    values = np.asarray(picture, dtype=np.float64)
    if values.ndim < 2 or values.shape[-2] % N or values.shape[-1] % N or 0 in values.shape:
        raise MediaError(
            f"block_dct: rows and columns must be multiples of 8, got {values.shape}; pad or crop"
        )
    rows, columns = values.shape[-2] // N, values.shape[-1] // N
    blocks = values.reshape(*values.shape[:-2], rows, N, columns, N).swapaxes(-3, -2)
    found: NDArray[np.float64] = _COSINES @ blocks @ _COSINES.T
    return found


def inverse_block_dct(coefficients: ArrayLike) -> NDArray[np.float64]:
    """Return the picture of which `block_dct` gives these coefficients.

    Parameters
    ----------
    coefficients : array, shape (..., rows / 8, columns / 8, 8, 8)
        As `block_dct` returns them.

    Returns
    -------
    float64 array, shape (..., rows, columns)
        The picture.
    """
    values = np.asarray(coefficients, dtype=np.float64)
    if values.ndim < 4 or values.shape[-2:] != (N, N):
        raise MediaError(
            f"inverse_block_dct: coefficients must be (..., rows, columns, 8, 8), got {values.shape}"
        )
    blocks = (_COSINES.T @ values @ _COSINES).swapaxes(-3, -2)
    rows, columns = values.shape[-4], values.shape[-3]
    return blocks.reshape(*values.shape[:-4], rows * N, columns * N)


def dct_channels(coefficients: ArrayLike, kept: int | Sequence[int]) -> NDArray[np.float32]:
    """Return some frequencies of every block as channels.

    Parameters
    ----------
    coefficients : array, shape (..., rows / 8, columns / 8, 8, 8)
        As `block_dct` returns them.
    kept : int or sequence of int
        Places in JPEG's zigzag order, from 0 (the mean) to 63; a number: so many of the lowest frequencies.

    Returns
    -------
    float32 array, shape (..., len(kept), rows / 8, columns / 8)
        Input of a network, 64 / len(kept) times fewer entries than pixels.

    Raises
    ------
    MediaError
        Another shape, or `kept` out of range.
    """
    values = np.asarray(coefficients)
    if values.ndim < 4 or values.shape[-2:] != (N, N):
        raise MediaError(f"dct_channels: coefficients must be (..., rows, columns, 8, 8), got {values.shape}")
    places = list(range(kept)) if isinstance(kept, int | np.integer) else [int(place) for place in kept]
    if not places or min(places) < 0 or max(places) >= N * N:
        raise MediaError(f"dct_channels: kept must be 1 to 64, or places from 0 to 63, got {kept}")
    flat = values.reshape(*values.shape[:-2], N * N)[..., ZIGZAG[places]]
    return np.moveaxis(flat, -1, -3).astype(np.float32)


def varying_coefficients(coefficients: ArrayLike, n_kept: int) -> list[int]:
    """Return the places of the frequencies that differ most between blocks, for `dct_channels`.

    Parameters
    ----------
    coefficients : array, shape (..., 8, 8)
        Of training pictures, as `block_dct` returns them.
    n_kept : int
        How many, 1 to 64.

    Returns
    -------
    list of int
        Places in JPEG's zigzag order, ascending: those of the largest variance; of equals the lower frequency.

    Raises
    ------
    MediaError
        Another shape, or `n_kept` out of range.
    """
    values = np.asarray(coefficients, dtype=np.float64)
    if values.ndim < 2 or values.shape[-2:] != (N, N) or values.size == 0:
        raise MediaError(f"varying_coefficients: coefficients must be (..., 8, 8), got {values.shape}")
    if not 1 <= n_kept <= N * N:
        raise MediaError(f"varying_coefficients: n_kept must be 1 to 64, got {n_kept}")
    variance = values.reshape(-1, N * N)[:, ZIGZAG].var(0)
    return sorted(int(place) for place in np.argsort(-variance, kind="stable")[:n_kept])


def haar(picture: ArrayLike) -> NDArray[np.float32]:
    """Return the mean of each 2 x 2 block and its differences across, down and diagonal, as channels.

    For a block ((a, b), (c, d)): ``(a + b + c + d) / 4``, ``(a - b + c - d) / 4``, ``(a + b - c - d) / 4`` and
    ``(a - b - c + d) / 4``, without rounding for pixels of few bits.
    Applied to the first channels again it is the next scale.

    Parameters
    ----------
    picture : array, shape (..., C, rows, columns)
        Rows and columns even.

    Returns
    -------
    float32 array, shape (..., 4 C, rows / 2, columns / 2)
        All means, then all differences across, down and diagonal.

    Raises
    ------
    MediaError
        Rows or columns are odd.

    Examples
    --------
    >>> haar([[[1, 3], [1, 3]]]).ravel().tolist()
    [2.0, -1.0, 0.0, 0.0]
    """
    x = np.asarray(picture, dtype=np.float32)
    if x.ndim < 3 or x.shape[-2] % 2 or x.shape[-1] % 2:
        raise MediaError(
            f"haar: needs (..., channels, rows, columns) with even sides, got {x.shape}; pad or crop"
        )
    a, b, c, d = (x[..., i::2, j::2] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    return np.concatenate([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], axis=-3) / np.float32(
        4
    )


def inverse_haar(channels: ArrayLike) -> NDArray[np.float32]:
    """Return the picture of which `haar` gives these channels.

    Parameters
    ----------
    channels : array, shape (..., 4 C, rows / 2, columns / 2)
        As `haar` returns them.

    Returns
    -------
    float32 array, shape (..., C, rows, columns)
        The picture.
    """
    x = np.asarray(channels, dtype=np.float32)
    if x.ndim < 3 or x.shape[-3] % 4:
        raise MediaError(f"inverse_haar: needs (..., 4 C, rows, columns), got {x.shape}")
    mean, across, down, diagonal = np.split(x, 4, axis=-3)
    found = np.empty((*mean.shape[:-2], 2 * x.shape[-2], 2 * x.shape[-1]), np.float32)
    found[..., 0::2, 0::2] = mean + across + down + diagonal
    found[..., 0::2, 1::2] = mean - across + down - diagonal
    found[..., 1::2, 0::2] = mean + across - down - diagonal
    found[..., 1::2, 1::2] = mean - across - down + diagonal
    return found
