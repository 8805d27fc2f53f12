"""Kernel of the emulated event camera."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

NEVER: float = float(np.inf)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
TO_UNIT = 1.0 / (1 << 53)
BRIGHT_NOISE_SHARE = 0.25


class Pixels(NamedTuple):
    """What sets one pixel apart from another: float64, shape (n_pixels,) each, leak in log units per us."""

    on_threshold: npt.NDArray[np.float64]
    off_threshold: npt.NDArray[np.float64]
    leak_per_us: npt.NDArray[np.float64]
    refractory_us: float


class Scene(NamedTuple):
    """Luminance in 0..1 and its logarithm, float64, shape (n_frames, n_pixels), and the frames' times."""

    luminance: npt.NDArray[np.float64]
    log_intensity: npt.NDArray[np.float64]
    times_us: npt.NDArray[np.int64]


class Noise(NamedTuple):
    """Shot noise of a pixel in the dark (events per us) and the seed of its times."""

    rate_per_us: float
    seed: int


@numba.njit(cache=True)
def draw_unit(seed: Any, counter: Any) -> float:
    """Return number `counter` of the stream `seed`, in [0, 1) (splitmix64)."""
    z = np.uint64(seed) + (np.uint64(counter) + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    z ^= z >> np.uint64(31)
    return np.float64(z >> np.uint64(11)) * TO_UNIT


@numba.njit(cache=True)
def draw_noise(
    noise: Noise, counter: int, start_us: float, stop_us: float, luminance: float
) -> tuple[float, bool]:
    """Return the time of this interval's noise event (NEVER: none) and whether it is ON."""
    probability = noise.rate_per_us * (1.0 - (1.0 - BRIGHT_NOISE_SHARE) * luminance) * (stop_us - start_us)
    draw = draw_unit(noise.seed, 2 * counter)
    if draw >= probability:
        return NEVER, False
    return start_us + (stop_us - start_us) * draw_unit(noise.seed, 2 * counter + 1), draw < 0.5 * probability


@numba.njit(cache=True)
def find_crossing(
    signal: float, slope: float, reference: float, on_threshold: float, off_threshold: float
) -> float:
    """Return the time until signal + slope * time leaves reference - off .. reference + on (NEVER: it does not)."""
    if slope > 0.0:
        return max(0.0, (reference + on_threshold - signal) / slope)
    if slope < 0.0:
        return max(0.0, (reference - off_threshold - signal) / slope)
    return NEVER


@numba.njit(cache=True)
def emulate(scene: Scene, pixels: Pixels, noise: Noise, width: int, events: Any) -> int:
    """
    Write the events of every pixel, pixel after pixel; return their number, or -1 when the room is too small.

    log_frames and luminance have shape (n_frames, n_pixels); between frames the log intensity is a straight
    line.
    """
    n = 0
    log_frames, times_us = scene.log_intensity, scene.times_us
    n_frames, n_pixels = log_frames.shape
    for pixel in range(n_pixels):
        leak = pixels.leak_per_us[pixel]
        on, off = pixels.on_threshold[pixel], pixels.off_threshold[pixel]
        reference = log_frames[0, pixel]
        reset_us = NEVER
        for frame in range(n_frames - 1):
            start, stop = float(times_us[frame]), float(times_us[frame + 1])
            signal = log_frames[frame, pixel] + leak * (start - times_us[0])
            slope = (log_frames[frame + 1, pixel] - log_frames[frame, pixel]) / (stop - start) + leak
            noise_us, is_noise_on = draw_noise(
                noise, frame * n_pixels + pixel, start, stop, scene.luminance[frame, pixel]
            )
            now: float = start
            while True:
                if reset_us != NEVER:
                    if reset_us > stop:
                        break
                    now = reset_us
                    reset_us = NEVER
                    reference = signal + slope * (now - start)
                crossing_us = now + find_crossing(signal + slope * (now - start), slope, reference, on, off)
                is_noise = now <= noise_us < crossing_us
                event_us = noise_us if is_noise else crossing_us
                if event_us > stop:
                    break
                if n == events.shape[0]:
                    return -1
                event = events[n]
                event.t = np.int64(event_us)
                event.x = pixel % width
                event.y = pixel // width
                event.p = is_noise_on if is_noise else slope > 0.0
                n += 1
                noise_us = NEVER if is_noise else noise_us
                reset_us = event_us + pixels.refractory_us
    return n
