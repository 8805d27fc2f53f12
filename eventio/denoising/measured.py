"""Noise of real pixels: how long they waited between their events in the dark and in the light."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eventio.errors import ArgumentError, FileAccessError, FormatError, MissingFileError

US_PER_S = 1e6
FREQUENCIES_HZ = np.outer(10.0 ** np.arange(-3, 5), np.arange(1, 10)).ravel()
"""Lower edges of the 72 bins of measured noise: 0.001, 0.002, ... 0.009, 0.01, ... 90,000 events per second."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class MeasuredNoise:
    """
    Intervals between the noise events of real pixels.

    Attributes
    ----------
    on, off : ndarray
        float64, shape (n_pixels, 72): for each measured pixel and polarity, how many intervals had a frequency (1
        over the interval) in bins 0 to k of `FREQUENCIES_HZ`. The last column is not used. A pixel without
        intervals is silent.
    """

    on: Floats
    off: Floats

    def __post_init__(self) -> None:
        for name in ("on", "off"):
            counts = np.asarray(getattr(self, name), np.float64)
            if counts.ndim != 2 or counts.shape[0] < 1 or counts.shape[1] != len(FREQUENCIES_HZ):
                raise ArgumentError(
                    f"measured noise: {name} must have shape (n_pixels, 72), got {counts.shape}"
                )
            rises = np.diff(counts[:, :-1], axis=1, prepend=0.0)
            if not (np.isfinite(counts).all() and (rises >= 0).all()):
                raise ArgumentError(f"measured noise: {name} must hold cumulative counts, which never fall")
            object.__setattr__(self, name, counts)

    def rates_hz(self) -> tuple[float, float]:
        """
        Give the mean rates of the measured pixels.

        Returns
        -------
        tuple of (float, float)
            ON and OFF events per second and pixel: intervals over the sum of their lengths, each taken as long as
            the middle of its bin says, silent pixels included.
        """
        middle_us = US_PER_S * np.log(FREQUENCIES_HZ[1:] / FREQUENCIES_HZ[:-1]) / np.diff(FREQUENCIES_HZ)
        found = []
        for counts in (self.on, self.off):
            intervals = np.diff(counts[:, :-1], axis=1, prepend=0.0)
            length_us = intervals @ middle_us
            rates = np.divide(
                intervals.sum(axis=1), length_us, out=np.zeros(len(counts)), where=length_us > 0
            )
            found.append(float(rates.mean()) * US_PER_S)
        return found[0], found[1]

    @classmethod
    def load(cls, on: str | os.PathLike[str], off: str | os.PathLike[str]) -> MeasuredNoise:
        """
        Read two `.npy` files in the layout of the IEBCS noise measurements.

        Parameters
        ----------
        on, off : str or path-like
            Cumulative counts, shape (..., 72).

        Returns
        -------
        MeasuredNoise
            With the pixels in one row.

        Raises
        ------
        MissingFileError, FileAccessError
            A file does not exist or cannot be read.
        FormatError
            A file is no array of numbers.
        ArgumentError
            The numbers are no cumulative counts.
        """
        arrays = [read_counts(Path(path)) for path in (on, off)]
        return cls(*(each.reshape(-1, each.shape[-1]) for each in arrays))


def read_counts(path: Path) -> Floats:
    """
    Read an array of numbers from an `.npy` file; pickled objects are refused.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    ndarray
        float64, at least one dimension.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        As `MeasuredNoise.load`.
    """
    try:
        counts = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: there is no such file; check the path") from error
    except (ValueError, EOFError) as error:
        raise FormatError(f"{path}: is no .npy file of numbers ({error})") from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not isinstance(counts, np.ndarray) or counts.ndim < 1 or counts.dtype.kind not in "fiu":
        raise FormatError(f"{path}: is no .npy file of numbers")
    return counts.astype(np.float64)
