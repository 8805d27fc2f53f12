"""Closed forms between events: the membrane after n ticks, and the first tick at which it fires. Double precision.

With elapsed ticks n, decays m = -1e-6 / tau_mem_s and s = -1e-6 / tau_syn_s per tick::

    v(n) = (rest + (v - rest) * exp(n m)) + i * gain(n)
    gain(n) = (-expm1(-n |m - s|) / |m - s| * -m) * exp(n max(m, s)), or (n * -m) * exp(n m) where m = s

The gain has no difference of nearly equal numbers, so that equal and nearly equal time constants need no care.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.options import PART, UNCOUNTED, njit

Doubles = NDArray[np.float64]

FAR = 2**61  # ticks: no crossing is looked for behind
_FAR = float(FAR)

U = np.uint64


class Timing(NamedTuple):
    """Neurons that may fire between events, hold still after a spike, or are read out; one value, or one each.

    Arrays float64, of shape (1,) when `is_uniform`, else (n_neurons,). ``decay``, ``current_decay``: minus the
    inverse time constants per tick; ``gain_peak``: not less than ``gain(n)`` for any n. ``fire_above`` and
    ``reset`` as in `Neurons`. ``refractory``: ticks.
    """

    is_uniform: bool
    is_subtracting: bool
    is_readout: bool
    has_current: bool
    can_cross: bool
    refractory: int
    decay: Doubles
    current_decay: Doubles
    gain_peak: Doubles
    rest: Doubles
    fire_above: Doubles
    reset: Doubles


@njit(cache=True, forceinline=True, **UNCOUNTED)
def gain_after(mem: float, syn: float, n: int) -> float:
    """Return what a current of 1 adds to the membrane within n ticks."""
    apart = abs(mem - syn)
    share = n * -mem if apart == 0 else -math.expm1(-apart * n) / apart * -mem
    return share * math.exp(n * max(mem, syn))


@njit(cache=True, **UNCOUNTED)
def membrane_after(timing: Timing, own: U, v: float, i: float, n: int) -> float:
    """Return the membrane n ticks after it was v, with the current i."""
    rest, mem = timing.rest[own], timing.decay[own]
    u: float = rest + (v - rest) * math.exp(n * mem)
    if timing.has_current and i != 0:
        u += i * gain_after(mem, timing.current_decay[own], n)
    return u


@njit(cache=True, **PART)
def search(timing: Timing, own: U, v: float, i: float, bracket: tuple[int, int], guess: float) -> int:
    """Return the first tick in (low, high] that fires, for a membrane that rises there.

    ``low`` does not fire; ``high`` does, or is FAR, which is then returned where no tick before fires. The guess
    costs time if it is bad, and nothing else.
    """
    low, high = bracket
    above = timing.fire_above[own]
    n = int(min(max(guess, low + 1.0), high - 1.0)) if high - low > 1 else high
    step = 1
    if n < high and membrane_after(timing, own, v, i, n) > above:
        high = n
        while high - low > 1:
            n = max(high - step, low + 1)
            if not membrane_after(timing, own, v, i, n) > above:
                low = n
                break
            high = n
            step *= 2
    elif n < high:
        low = n
        while high - low > 1:
            n = min(low + step, high - 1)
            if membrane_after(timing, own, v, i, n) > above:
                high = n
                break
            low = n
            step *= 2
    while high - low > 1:
        n = low + (high - low) // 2
        if membrane_after(timing, own, v, i, n) > above:
            high = n
        else:
            low = n
    return high


@njit(cache=True, **PART)
def newton_guess(timing: Timing, own: U, v: float, i: float, low: float, high: float) -> float:
    """Return about where a rising membrane reaches its threshold: Newton's steps, kept inside the bracket."""
    rest, mem, above = timing.rest[own], timing.decay[own], timing.fire_above[own]
    syn = timing.current_decay[own]
    x = low
    for _ in range(30):
        u = rest + (v - rest) * math.exp(x * mem) + i * gain_after(mem, syn, x)
        slope = -mem * (rest - u + i * math.exp(x * syn))
        if slope <= 0:
            return x
        ahead: float = min(max(x + (above - u) / slope, low), high)
        if abs(ahead - x) < 0.25:
            return ahead
        x = ahead
    return x


@njit(cache=True, **PART)
def relaxation_crossing(timing: Timing, own: U, v: float) -> int:
    """Return the first tick that fires as v goes to a resting value that fires; FAR if there is none before."""
    rest, mem, above = timing.rest[own], timing.decay[own], timing.fire_above[own]
    if membrane_after(timing, own, v, 0.0, 1) > above:
        return 1
    guess = math.ceil(math.log((rest - above) / (rest - v)) / mem)
    found: int = search(timing, own, v, 0.0, (1, FAR), guess)
    return found


@njit(cache=True, forceinline=True, **PART)
def is_hopeless(timing: Timing, own: U, v: float, i: float) -> bool:
    """Tell whether the largest sum of what decays and what the current can add stays clearly under the threshold."""
    rest, above = timing.rest[own], timing.fire_above[own]
    most = max(v - rest, 0.0) + max(i, 0.0) * timing.gain_peak[own]
    found: bool = rest + most * (1 + 1e-9) < above - 1e-9 * abs(rest)
    return found


@njit(cache=True, **UNCOUNTED)
def current_crossing(timing: Timing, own: U, v: float, i: float) -> int:
    """Return the first tick that fires with the current i; FAR if there is none before.

    The membrane has at most one turning point, at g log1p(y) / y / -s ticks with g = (i - (v - rest)) / i and
    y = (m / s - 1) g: it rises up to it (i > 0), or falls up to it and then rises to rest (i < 0).
    """
    rest, above, a = timing.rest[own], timing.fire_above[own], v - timing.rest[own]
    mem, syn = timing.decay[own], timing.current_decay[own]
    is_driven = rest > above
    if not is_driven and rest + (max(a, 0.0) + max(i, 0.0) * timing.gain_peak[own]) * (
        1 + 1e-9
    ) < above - 1e-9 * abs(rest):
        return FAR
    if membrane_after(timing, own, v, i, 1) > above:
        return 1
    g = (i - a) / i
    y = (mem / syn - 1) * g
    has_turn = g > 0 and y > -1
    turn = _FAR
    if has_turn:
        turn = min(g * (math.log1p(y) / y if y != 0 else 1.0) / -syn, _FAR)
    low, high = 1, FAR
    if i > 0 and g <= 0:
        return FAR
    if i > 0 and turn < _FAR:
        high = int(turn)
        if high < 1:
            return FAR
        if high == 1 or not membrane_after(timing, own, v, i, high) > above:
            return high + 1 if membrane_after(timing, own, v, i, high + 1) > above else FAR
    else:
        if not is_driven:
            return FAR
        if i < 0 and g > 0:
            if turn == _FAR:
                return FAR
            low = max(1, int(turn))
    guess = newton_guess(timing, own, v, i, float(low), float(high))
    found: int = search(timing, own, v, i, (low, high), guess)
    return found


@njit(cache=True, forceinline=True, **UNCOUNTED)
def next_crossing(timing: Timing, own: U, v: float, i: float) -> int:
    """Return the ticks from now to the first that fires if nothing comes before; FAR for never."""
    n: int = FAR
    if timing.has_current and i != 0:
        n = current_crossing(timing, own, v, i)
    elif timing.rest[own] > timing.fire_above[own]:
        n = relaxation_crossing(timing, own, v)
    elif timing.has_current and membrane_after(timing, own, v, 0.0, 1) > timing.fire_above[own]:
        n = 1  # left above its threshold
    return n


@njit(cache=True, forceinline=True, **UNCOUNTED)
def crossing_bound(timing: Timing, own: U, v: float, i: float) -> int:
    """Return a number of ticks, at least 1, before which there is no crossing: quickly, FAR where there is none.

    A membrane that relaxes to rest, or rises with its current, rises never faster than at the beginning.
    """
    n: int = FAR
    rest, above = timing.rest[own], timing.fire_above[own]
    slope = (rest - v + i) * -timing.decay[own]
    if timing.has_current and (i < 0 or slope <= 0):
        n = next_crossing(timing, own, v, i)
    elif v > above:
        n = 1
    elif i > 0 and is_hopeless(timing, own, v, i):
        n = FAR
    elif i > 0 or rest > above:
        x = (above - v) / slope * (1 - 1e-9) - 1
        n = int(min(max(x, 1.0), _FAR))
    return n
