"""
A picture seen by a camera that makes three small saccades, as when N-MNIST was recorded.

The picture's path over the sensor is an isosceles triangle, one side in each 100 ms; along a side it speeds
up and slows down smoothly (minimum jerk), with a short rest at the corners.

Source: Orchard, Jayawant, Cohen, Thakor, Front. Neurosci. 9:437, 2015, section 2 (the path, 3 x 100 ms);
Flash, Hogan, J. Neurosci. 5(7), 1985 (minimum jerk). We differ: the speed profile is minimum jerk in place of
the measured one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CORNERS_PIXELS = np.array([[-3.0, -3.0], [0.0, 3.0], [3.0, -3.0], [-3.0, -3.0]])
SACCADE_MS = 100
MOVING_MS = 90


def make_saccade_path(*, frame_ms: int = 1) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """
    Give the picture's place over the sensor from frame to frame.

    Parameters
    ----------
    frame_ms : int
        Time between frames in milliseconds, a divisor of 100.

    Returns
    -------
    tuple of ndarray
        Times in microseconds, int64, shape (n_frames,); shifts (x, y) in pixels, float64, shape (n_frames,
        2).

    Examples
    --------
    >>> times_us, shifts = make_saccade_path()
    >>> times_us[-1].item(), shifts[[0, 100, 200, 300]].tolist()
    (300000, [[-3.0, -3.0], [0.0, 3.0], [3.0, -3.0], [-3.0, -3.0]])
    """
    times_ms = np.arange(0, 3 * SACCADE_MS + 1, frame_ms)
    saccade = np.minimum(times_ms // SACCADE_MS, 2)
    rest_ms = (SACCADE_MS - MOVING_MS) / 2
    part = np.clip((times_ms - saccade * SACCADE_MS - rest_ms) / MOVING_MS, 0.0, 1.0)[:, None]
    smooth = part**3 * (10 - 15 * part + 6 * part**2)
    shifts = CORNERS_PIXELS[saccade] + smooth * (CORNERS_PIXELS[saccade + 1] - CORNERS_PIXELS[saccade])
    return times_ms.astype(np.int64) * 1000, shifts


def make_projection(
    shifts: npt.NDArray[np.float64], *, n_cells: int, n_pixels: int, cell_pixels: float
) -> npt.NDArray[np.float64]:
    """
    Give the matrices that show a picture's rows or columns, shifted, on a sensor's.

    Cells are joined by straight lines; outside the picture it is dark.

    Parameters
    ----------
    shifts : ndarray
        Float64, shape (n_frames,), in pixels; 0 centres the picture.
    n_cells : int
        Cells of the picture along this side.
    n_pixels : int
        Pixels of the sensor along this side.
    cell_pixels : float
        Pixels for each cell, > 0.

    Returns
    -------
    ndarray
        Float64, shape (n_frames, n_pixels, n_cells), each value in 0..1.

    Examples
    --------
    >>> make_projection(np.zeros(1), n_cells=1, n_pixels=3, cell_pixels=2.0)[0, :, 0].tolist()
    [0.5, 1.0, 0.5]
    """
    centred = np.arange(n_pixels) - (n_pixels - 1) / 2
    cells = (centred[None, :] - shifts[:, None]) / cell_pixels + (n_cells - 1) / 2
    return np.maximum(0.0, 1.0 - np.abs(cells[:, :, None] - np.arange(n_cells)))
