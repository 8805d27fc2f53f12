"""
Noise put into clean recordings, with a label per event.

Shot noise comes at random times and in both polarities, leakage in nearly regular ON events, hot pixels at high
rates; measured noise follows the intervals that real pixels showed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_number, check_seed, check_sorted, check_whole
from eventio.errors import ArgumentError, FileAccessError, FormatError, MissingFileError
from eventio.recording import EVENT_DTYPE, EventArray, Recording, check_size, seal

US_PER_S = 1e6
LEAK_JITTER = 0.1
MOST_EVENTS = 1 << 31
FREQUENCIES_HZ = np.outer(10.0 ** np.arange(-3, 5), np.arange(1, 10)).ravel()
"""Lower edges of the 72 bins of measured noise: 0.001, 0.002, ... 0.009, 0.01, ... 90,000 events per second."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """
    How much noise a sensor makes.

    Attributes
    ----------
    shot_rate_hz : float
        Shot-noise events per second and pixel, both polarities together, mean over pixels, >= 0.
    leak_rate_hz : float
        ON events per second and pixel by leakage, mean over pixels, >= 0; intervals vary by a tenth.
    hot_share : float
        Share of pixels that are hot, 0 to 1.
    hot_rate_hz : float
        Events per second of a hot pixel, >= 0.
    rate_spread : float
        Standard deviation of the natural logarithm of the pixels' rates (log-normal, as measured sensors show), >= 0.
    """

    shot_rate_hz: float = 1.0
    leak_rate_hz: float = 0.1
    hot_share: float = 0.0
    hot_rate_hz: float = 100.0
    rate_spread: float = 0.5

    def __post_init__(self) -> None:
        for name in ("shot_rate_hz", "leak_rate_hz", "hot_share", "hot_rate_hz", "rate_spread"):
            check_number(f"noise: {name}", getattr(self, name))
        if self.hot_share > 1:
            raise ArgumentError(f"noise: hot_share must be at most 1, got {self.hot_share!r}")


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


@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """
    A recording that says which events are signal.

    Attributes
    ----------
    recording : Recording
        Signal and noise, sorted by time; at equal times signal comes first.
    is_signal : ndarray
        bool, shape (n_events,).
    """

    recording: Recording
    is_signal: npt.NDArray[np.bool_]


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


def inject_noise(recording: Recording, noise: NoiseModel | MeasuredNoise, *, seed: int) -> Labelled:
    """
    Mix a recording with noise of its whole duration.

    Parameters
    ----------
    recording : Recording
        The signal, sorted by time.
    noise : NoiseModel or MeasuredNoise
        What to add.
    seed : int
        Seed of pixels and times, >= 0; the same arguments give the same events.

    Returns
    -------
    Labelled
        Signal and noise with their labels.

    Raises
    ------
    ArgumentError
        The recording is empty or not sorted by time, or the noise would be more than 2**31 events.
    """
    check_sorted(recording)
    first, last = int(recording.t[0]), int(recording.t[-1])
    size = {"width": recording.width, "height": recording.height}
    added = make_noise(noise, **size, start_us=first, duration_us=last - first + 1, seed=seed)
    both = np.concatenate([recording.events, added])
    order = np.argsort(both["t"], kind="stable")
    mixed = replace(recording, events=seal(both[order]))
    return Labelled(mixed, order < len(recording))


def make_noise(
    noise: NoiseModel | MeasuredNoise, *, width: int, height: int, start_us: int, duration_us: int, seed: int
) -> EventArray:
    """
    Make the events of a sensor that sees nothing.

    Parameters
    ----------
    noise : NoiseModel or MeasuredNoise
        How much noise it makes.
    width, height : int
        Size of the sensor in pixels.
    start_us, duration_us : int
        When it is looked at, in microseconds.
    seed : int
        Seed of pixels and times, >= 0.

    Returns
    -------
    ndarray
        Of EVENT_DTYPE, sorted by time, then row, then column.

    Raises
    ------
    ArgumentError
        A number is out of its range, or the noise would be more than 2**31 events.
    """
    check_size(width, height)
    check_seed("seed", seed)
    check_whole("duration_us", duration_us, unit=" us")
    rng = np.random.default_rng(seed)
    make = make_modelled if isinstance(noise, NoiseModel) else make_measured
    parts = make(noise, width * height, float(duration_us), rng)  # type: ignore[arg-type]
    events = np.empty(sum(len(times) for _, times, _ in parts), EVENT_DTYPE)
    pixel = np.concatenate([pixels for pixels, _, _ in parts])
    events["t"] = np.concatenate([times for _, times, _ in parts]).astype(np.int64) + start_us
    events["y"], events["x"] = np.divmod(pixel, width)
    events["p"] = np.concatenate([signs for _, _, signs in parts])
    ordered: EventArray = events[np.lexsort((events["p"], events["x"], events["y"], events["t"]))]
    return ordered


Draw = Callable[[npt.NDArray[np.int64]], Floats]
Part = tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.bool_]]


def make_modelled(
    noise: NoiseModel, n_pixels: int, duration_us: float, rng: np.random.Generator
) -> list[Part]:
    """
    Draw shot noise, leakage and hot pixels.

    Parameters
    ----------
    noise : NoiseModel
        How much of each.
    n_pixels : int
        Pixels of the sensor.
    duration_us : float
        How long, in microseconds.
    rng : Generator
        Where the numbers come from.

    Returns
    -------
    list of tuple
        Pixels, times from 0 on in microseconds, and polarities.
    """
    spread = noise.rate_spread

    def rates(mean_hz: float) -> Floats:
        return mean_hz * np.exp(spread * rng.standard_normal(n_pixels) - spread * spread / 2)

    shot = rates(noise.shot_rate_hz)
    hot = rng.permutation(n_pixels)[: round(noise.hot_share * n_pixels)]
    shot[hot] += noise.hot_rate_hz
    check_amount(float(shot.sum() + noise.leak_rate_hz * n_pixels) * duration_us / US_PER_S)
    pixels = np.repeat(np.arange(n_pixels), rng.poisson(shot * duration_us / US_PER_S))
    parts = [(pixels, rng.uniform(0, duration_us, len(pixels)), rng.random(len(pixels)) < 0.5)]
    if noise.leak_rate_hz > 0:
        periods_us = US_PER_S / np.maximum(rates(noise.leak_rate_hz), 1e-9)

        def draw(some: npt.NDArray[np.int64]) -> Floats:
            jitter = np.maximum(1 + LEAK_JITTER * rng.standard_normal(len(some)), LEAK_JITTER)
            intervals: Floats = periods_us[some] * jitter
            return intervals

        parts.append(renew(np.arange(n_pixels), draw, duration_us, rng, is_on=True))
    return parts


def make_measured(
    noise: MeasuredNoise, n_pixels: int, duration_us: float, rng: np.random.Generator
) -> list[Part]:
    """
    Draw intervals as they were measured; each pixel takes after a measured one, for each polarity.

    Parameters
    ----------
    noise : MeasuredNoise
        The intervals.
    n_pixels, duration_us, rng : int, float, Generator
        As in `make_modelled`.

    Returns
    -------
    list of tuple
        As `make_modelled`.
    """
    widths = np.diff(FREQUENCIES_HZ)
    parts = []
    for counts, is_on in ((noise.off, False), (noise.on, True)):
        model = rng.integers(0, len(counts), n_pixels)
        totals = counts[model, -2]
        noisy = np.flatnonzero(totals > 0)

        def draw(
            some: npt.NDArray[np.int64],
            counts: Floats = counts,
            model: npt.NDArray[np.int64] = model,
            totals: Floats = totals,
        ) -> Floats:
            chosen = rng.random(len(some)) * totals[some]
            bins = (counts[model[some], :-1] <= chosen[:, None]).sum(axis=1)
            frequency_hz = FREQUENCIES_HZ[bins] + widths[bins] * rng.random(len(some))
            intervals: Floats = US_PER_S / frequency_hz
            return intervals

        parts.append(renew(noisy, draw, duration_us, rng, is_on=is_on))
    return parts


def renew(
    pixels: npt.NDArray[np.int64], draw: Draw, duration_us: float, rng: np.random.Generator, *, is_on: bool
) -> Part:
    """
    Let pixels fire one interval after the other, from a random point of the first on.

    Parameters
    ----------
    pixels : ndarray
        int64, the pixels that fire.
    draw : callable
        Gives an interval in microseconds for each of some pixels.
    duration_us : float
        How long, in microseconds.
    rng : Generator
        Where the numbers come from.
    is_on : bool
        Polarity of the events.

    Returns
    -------
    tuple of ndarray
        Pixels, times and polarities.
    """
    now = draw(pixels) * rng.random(len(pixels))
    found_pixels, found_times, n = [], [], 0
    while True:
        is_in = now < duration_us
        pixels, now = pixels[is_in], now[is_in]
        if not len(pixels):
            break
        n += len(pixels)
        check_amount(n)
        found_pixels.append(pixels)
        found_times.append(now)
        now = now + draw(pixels)
    joined = np.concatenate(found_pixels) if found_pixels else np.empty(0, np.int64)
    times = np.concatenate(found_times) if found_times else np.empty(0)
    return joined, times, np.full(len(joined), is_on)


def check_amount(n_events: float) -> None:
    """
    Refuse to make more events than memory holds.

    Parameters
    ----------
    n_events : float
        How many are expected.

    Raises
    ------
    ArgumentError
        More than 2**31.
    """
    if n_events > MOST_EVENTS:
        raise ArgumentError(
            f"noise: about {n_events:.3g} events would be made, more than 2**31; lower the rates or the duration"
        )
