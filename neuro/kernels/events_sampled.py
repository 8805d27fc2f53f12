"""Membranes at a time in continuous execution, in closed form, without changing them."""

import math

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Floats
from neuro.kernels.crossings import Timing, membrane_after
from neuro.kernels.events import Dynamics, Pixels, decay_factor
from neuro.kernels.events_timed import Timed
from neuro.kernels.options import UNCOUNTED, njit

Doubles = NDArray[np.float64]

U = np.uint64


@njit(cache=True, **UNCOUNTED)
def sample_jumps(dynamics: Dynamics, pixels: Pixels, n: int, t: int, out: Floats) -> None:
    """Write the membranes of pixels of n neurons at time t, which is not before their last updates."""
    rate, voltage = dynamics.rate, pixels.voltage
    for pixel in range(pixels.last.size):
        elapsed = t - pixels.last[pixel]
        factor = decay_factor(dynamics, elapsed)
        high, low = elapsed >> 10 << 10, elapsed & 1023
        for o in range(pixel * n, (pixel + 1) * n):
            if rate.size > 1:
                factor = np.float32(math.exp(high * rate[o]) * math.exp(low * rate[o]))
            rest = dynamics.rest[0] if dynamics.is_uniform else dynamics.rest[o]
            out[o] = voltage[o] if factor == 1 else rest + (voltage[o] - rest) * factor


@njit(cache=True, **UNCOUNTED)
def sample_timed(timing: Timing, state: Timed, t: int, out: Doubles) -> None:
    """Write the membranes of neurons with times of their own at time t; those that are held stand still."""
    for o in range(state.voltage.size):
        own = U(0) if timing.is_uniform else U(o)
        n = t - state.since[o]
        i = state.current[o] if timing.has_current else 0.0
        out[o] = membrane_after(timing, own, state.voltage[o], i, n) if n > 0 else state.voltage[o]
