"""
An emulated event camera: images with times in, events out.

Each pixel holds the log intensity of its last event and fires when the present one lies a threshold above (ON) or
below (OFF) it; its reset switch then stays closed for the refractory period, after which it holds the log intensity
of that moment. The switch leaks, which lowers the held value and makes ON events without any change of the image,
faster in some pixels and very fast in hot ones; shot noise adds events of either polarity, more in the dark. The
photoreceptor follows the light with a delay, the longer the darker.

Source: Lichtsteiner, Posch, Delbruck, "A 128x128 120 dB 15 us latency asynchronous temporal contrast vision
sensor", IEEE JSSC 43(2), 2008 (pixel, reset, refractory period, mismatch, leak); Hu, Liu, Delbruck, "v2e:
from video frames to realistic DVS events", CVPRW 2021 (normally distributed thresholds, leak rate, shot noise
that falls to a quarter from dark to bright, bandwidth in proportion to the light). We differ: intensity is a straight
line in log units between frames, so that times are not tied to frames; the photoreceptor is a filter of the first
order that is exact for steps at the frames, and hot pixels are leaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_number, check_seed
from eventio.errors import ArgumentError
from eventio.recording import EVENT_DTYPE, Metadata, Recording, check_size
from eventio.transforms import _kernels_emulator as kernels

SMALLEST_THRESHOLD = 0.01
US_PER_S = 1e6


@dataclass(frozen=True, slots=True)
class DvsModel:
    """
    The properties of an emulated event camera.

    Attributes
    ----------
    on_threshold, off_threshold : float
        Mean change of the natural logarithm of intensity that makes an event, > 0.
    threshold_spread : float
        Standard deviation of the thresholds between pixels, in the same unit, >= 0; no threshold is under
        0.01.
    refractory_us : float
        How long a pixel rests after an event, in microseconds, >= 0.
    leak_rate_hz : float
        ON events per second that a pixel of mean threshold makes by leakage, >= 0.
    shot_noise_rate_hz : float
        Noise events per second of a dark pixel, both polarities together, >= 0; a bright one has a quarter.
        At most one of them falls between two frames.
    dark_luminance : float
        Luminance that stands for dark current and stray light, added to the image's, > 0.
    pattern_seed : int
        Seed of the thresholds, the fixed pattern of one sensor, >= 0.
    cutoff_hz : float
        Cutoff frequency of the photoreceptor at luminance 1, > 0, in proportion to luminance + dark_luminance; inf:
        it follows at once. Frames must come fast beside it to show its delay.
    leak_spread : float
        Standard deviation of the natural logarithm of the pixels' leak rates (log-normal, mean leak_rate_hz), >= 0.
    hot_share : float
        Share of pixels that are hot, 0 to 1.
    hot_rate_hz : float
        ON events per second that a hot pixel makes by leakage, >= 0.

    Raises
    ------
    ArgumentError
        A value is out of its range.
    """

    on_threshold: float = 0.2
    off_threshold: float = 0.2
    threshold_spread: float = 0.03
    refractory_us: float = 500.0
    leak_rate_hz: float = 0.1
    shot_noise_rate_hz: float = 1.0
    dark_luminance: float = 0.1
    pattern_seed: int = 0
    cutoff_hz: float = math.inf
    leak_spread: float = 0.0
    hot_share: float = 0.0
    hot_rate_hz: float = 100.0

    def __post_init__(self) -> None:
        for name in ("on_threshold", "off_threshold", "dark_luminance"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ArgumentError(f"{name} must be finite and > 0, got {value!r}")
        for name in (
            "threshold_spread", "refractory_us", "leak_rate_hz", "shot_noise_rate_hz", "leak_spread", "hot_share",
            "hot_rate_hz",
        ):  # fmt: skip
            check_number(name, getattr(self, name))
        if self.hot_share > 1:
            raise ArgumentError(f"hot_share must be at most 1, got {self.hot_share!r}")
        if not self.cutoff_hz > 0:
            raise ArgumentError(f"cutoff_hz must be > 0 (inf: no filter), got {self.cutoff_hz!r}")
        check_seed("pattern_seed", self.pattern_seed)


def emulate_dvs(
    frames: npt.ArrayLike, times_us: npt.ArrayLike, *, model: DvsModel | None = None, seed: int = 0
) -> Recording:
    """
    Show images to an emulated event camera.

    Parameters
    ----------
    frames : array_like
        Luminance in 0..1, shape (n_frames, height, width), at least two frames.
    times_us : array_like
        Time of each frame in whole microseconds, shape (n_frames,), strictly increasing, >= 0.
    model : DvsModel, optional
        The camera; one with the default properties when not given.
    seed : int
        Seed of the shot noise, >= 0. The same arguments give the same events.

    Returns
    -------
    Recording
        The events sorted by time, then row, then column; none is possible.

    Raises
    ------
    ArgumentError
        The shapes do not match, a luminance is not in 0..1, or the times do not increase.

    Examples
    --------
    >>> frames = [[[0.1, 0.5]], [[0.1, 1.0]]]
    >>> quiet = DvsModel(threshold_spread=0.0, leak_rate_hz=0.0, shot_noise_rate_hz=0.0)
    >>> recording = emulate_dvs(frames, [0, 10_000], model=quiet)
    >>> recording.x.tolist(), recording.p.tolist(), recording.t[0].item()
    ([1, 1], [True, True], 3299)
    """
    model = model or DvsModel()
    check_seed("seed", seed)
    luminance, times = check_frames(frames, times_us)
    n_frames, height, width = luminance.shape
    flat = luminance.reshape(n_frames, height * width)
    scene = kernels.Scene(flat, receive(flat, times, model), times)
    pixels = make_pixels(width, height, model)
    noise = kernels.Noise(model.shot_noise_rate_hz / US_PER_S, seed)
    room = 4096
    while True:
        events = np.empty(room, EVENT_DTYPE)
        n = kernels.emulate(scene, pixels, noise, width, events)
        if n >= 0:
            break
        room *= 4
    events = events[:n]
    events = events[np.lexsort((events["x"], events["y"], events["t"]))]
    return Recording(events, width=width, height=height, metadata=Metadata(format="emulated"))


def with_noise(model: DvsModel, *, on_hz: float, off_hz: float, luminance: float = 0.5) -> DvsModel:
    """
    Set leakage and shot noise so that a still scene gives the rates that a real sensor showed.

    OFF events come from shot noise alone, which makes as many ON events; leakage makes the others. A shot-noise
    event closes the reset switch and so begins the leak's interval anew: with s shot-noise events per second, a
    leak of rate r makes s / (exp(s / r) - 1) events, which is solved for r.

    Parameters
    ----------
    model : DvsModel
        The camera.
    on_hz, off_hz : float
        Events per second and pixel, on_hz >= off_hz >= 0 (`eventio.denoising.MeasuredNoise.rates_hz`).
    luminance : float
        Light of the still scene, 0 to 1.

    Returns
    -------
    DvsModel
        The same camera with that noise.

    Raises
    ------
    ArgumentError
        A number is out of its range.

    Examples
    --------
    >>> noisy = with_noise(DvsModel(), on_hz=2.0, off_hz=1.0, luminance=0.0)
    >>> noisy.shot_noise_rate_hz, round(noisy.leak_rate_hz, 3)
    (2.0, 1.82)
    """
    check_number("off_hz", off_hz)
    check_number("on_hz", on_hz, least=float(off_hz))
    check_number("luminance", luminance)
    if luminance > 1:
        raise ArgumentError(f"luminance must be in 0..1, got {luminance!r}")
    shot, leak = 2.0 * off_hz, on_hz - off_hz
    if shot > 0 and leak > 0:
        leak = shot / math.log1p(shot / leak)
    bright_share = 1.0 - (1.0 - kernels.BRIGHT_NOISE_SHARE) * luminance
    return replace(model, leak_rate_hz=leak, shot_noise_rate_hz=shot / bright_share)


def receive(
    luminance: npt.NDArray[np.float64], times_us: npt.NDArray[np.int64], model: DvsModel
) -> npt.NDArray[np.float64]:
    """
    Turn light into the photoreceptors' log intensity.

    With x the logarithm of luminance + dark_luminance, the output y goes from frame to frame by
    y += (x - y) * (1 - exp(-2 pi * cutoff * dt)), the cutoff in proportion to the later frame's light.

    Parameters
    ----------
    luminance : ndarray
        float64, shape (n_frames, n_pixels), in 0..1.
    times_us : ndarray
        int64, shape (n_frames,), time of each frame in microseconds.
    model : DvsModel
        The camera.

    Returns
    -------
    ndarray
        float64, shape (n_frames, n_pixels).
    """
    light = luminance + model.dark_luminance
    log_intensity = np.log(light)
    if math.isinf(model.cutoff_hz):
        return log_intensity
    per_us = 2 * math.pi * model.cutoff_hz / (1 + model.dark_luminance) / US_PER_S
    for k in range(1, len(log_intensity)):
        share = -np.expm1(-per_us * light[k] * float(times_us[k] - times_us[k - 1]))
        before = log_intensity[k - 1]
        log_intensity[k] = before + (log_intensity[k] - before) * share
    return log_intensity


def make_pixels(width: int, height: int, model: DvsModel) -> kernels.Pixels:
    """
    Draw the fixed pattern of a sensor.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.
    model : DvsModel
        Its properties.

    Returns
    -------
    Pixels
        Thresholds and leak of each pixel, row after row.
    """
    rng = np.random.default_rng(model.pattern_seed)
    draws = rng.standard_normal((2, height * width))
    means = np.array([[model.on_threshold], [model.off_threshold]])
    thresholds = np.maximum(means + model.threshold_spread * draws, SMALLEST_THRESHOLD)
    leak = np.full(height * width, model.leak_rate_hz * model.on_threshold / US_PER_S)
    if model.leak_spread > 0:
        spread = model.leak_spread
        leak *= np.exp(spread * rng.standard_normal(height * width) - spread * spread / 2)
    hot = rng.permutation(height * width)[: round(model.hot_share * height * width)]
    leak[hot] = model.hot_rate_hz * thresholds[0, hot] / US_PER_S
    return kernels.Pixels(thresholds[0], thresholds[1], leak, float(model.refractory_us))


def check_frames(
    frames: npt.ArrayLike, times_us: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """
    Check images and their times.

    Parameters
    ----------
    frames, times_us : array_like
        As in `emulate_dvs`.

    Returns
    -------
    tuple of ndarray
        Luminance as float64 and times as int64.

    Raises
    ------
    ArgumentError
        As `emulate_dvs`.
    """
    luminance = np.ascontiguousarray(frames, np.float64)
    if luminance.ndim != 3 or luminance.shape[0] < 2:
        raise ArgumentError(f"frames must have shape (n_frames >= 2, height, width), got {luminance.shape}")
    check_size(luminance.shape[2], luminance.shape[1])
    given = np.asarray(times_us)
    with np.errstate(invalid="ignore"):  # NaN: refused in the next line
        times = given.astype(np.int64)
    if times.shape != luminance.shape[:1] or not np.array_equal(times, given):
        raise ArgumentError(
            f"times_us must hold {len(luminance)} whole microseconds, one for each frame, got {given.dtype}, "
            f"shape {given.shape}"
        )
    if times[0] < 0 or (np.diff(times) <= 0).any():
        raise ArgumentError("times_us must be >= 0 and strictly increasing")
    is_bad = ~((luminance >= 0) & (luminance <= 1))
    if is_bad.any():
        place = tuple(int(i) for i in np.argwhere(is_bad)[0])
        raise ArgumentError(f"luminance must be in 0..1, got frames{list(place)} = {luminance[place]}")
    return luminance, times
