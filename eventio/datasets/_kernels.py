"""Kernel of stored frames."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(cache=True, nogil=True)
def fill_frames(
    frames: npt.NDArray[Any],
    starts: npt.NDArray[np.int64],
    places: npt.NDArray[Any],
    counts: npt.NDArray[np.uint8],
    chosen: npt.NDArray[np.int64],
) -> None:
    """
    Add the counts of the chosen samples to frames of zeros, shape (n_chosen, n_frames, size of a frame).

    starts (n_samples * n_frames + 1,) says where the entries of each frame begin; places lie within the frame.
    """
    n_frames = frames.shape[1]
    for k in range(chosen.shape[0]):
        for step in range(n_frames):
            frame = frames[k, step]
            number = chosen[k] * n_frames + step
            for i in range(starts[number], starts[number + 1]):
                frame[places[i]] += counts[i]
