"""Neurons of one pixel, all with the same parameters, sixteen at a time: a step, or a stretch of silence.

A stretch of silence is made up for step by step, with the roundings of each, but in registers: the membranes are read
and written once however long it was. All equations are those of `neuro.kernels.populations`.
"""

from typing import Any

import numpy as np

from neuro.kernels.arrays import Bytes, Floats, Int32s, Neurons
from neuro.kernels.listing import PLACES, list_16, list_64
from neuro.kernels.options import PART, njit
from neuro.kernels.populations import DECAY
from neuro.kernels.vectors import (
    above,
    add,
    differs,
    load,
    load_lanes,
    multiply,
    select,
    splat,
    store,
    store_lanes,
    subtract,
)

U = np.uint64
_OFTEN = 16  # silent steps between two looks at whether anything still changes


@njit(cache=True, forceinline=True, **PART)
def updated(is_decay: bool, v: Any, x: Any, gain: Any, leak: Any) -> Any:
    """DECAY: gain * v + x; BOX: v + gain * ((x + leak) - v)."""
    if is_decay:
        return add(multiply(gain, v), x)
    return add(v, multiply(gain, subtract(add(x, leak), v)))


@njit(cache=True, forceinline=True, **PART)
def is_reset_silent(neurons: Neurons) -> bool:
    """Whether no neuron is still above its threshold after its reset."""
    return not neurons.is_subtracting and neurons.reset[0] <= neurons.fire_above[0]


@njit(cache=True, forceinline=True, **PART)
def step_vector(
    rule: Any, constants: Any, voltage: Floats, where: U, current: Floats, at: U
) -> tuple[Any, Any]:
    """Update, compare and reset sixteen neurons; return the bits of those that fired, and their membranes."""
    (is_decay, is_subtracting), (gain, leak, fire_above, reset) = rule, constants
    u = updated(is_decay, load(voltage, where), load(current, at), gain, leak)
    fired = above(u, fire_above)
    v = select(fired, subtract(u, reset) if is_subtracting else reset, u)
    store(voltage, where, v)
    return fired, v


@njit(cache=True, forceinline=True, **PART)
def step_64(
    is_decay: bool,
    constants: Any,
    voltage: Floats,
    where: U,
    current: Floats,
    at: U,
    index: Int32s,
    n_spikes: U,
) -> U:
    """Update, compare and reset 64 neurons to a value; list those that fired, return the length of the list."""
    rule = (is_decay, False)
    a, _ = step_vector(rule, constants, voltage, where, current, at)
    b, _ = step_vector(rule, constants, voltage, where + U(16), current, at + U(16))
    c, _ = step_vector(rule, constants, voltage, where + U(32), current, at + U(32))
    d, _ = step_vector(rule, constants, voltage, where + U(48), current, at + U(48))
    fired = U(a) | (U(b) << U(16)) | (U(c) << U(32)) | (U(d) << U(48))
    length: U = list_64(index, n_spikes, where, fired, PLACES)
    return length


@njit(cache=True, forceinline=True, **PART)
def step_pixel(
    neurons: Neurons, voltage: Floats, base: U, n: U, current: Floats, at: U, index: Int32s, n_spikes: U
) -> tuple[U, bool]:
    """Update, compare and reset n neurons from `base` with the currents from `at`; list those that fired.

    Returns the length of the list, and whether a neuron is still above its threshold.
    """
    is_decay, is_subtracting = neurons.update == DECAY, neurons.is_subtracting
    gain, leak = splat(neurons.gain[0]), splat(neurons.leak[0])
    fire_above, reset = splat(neurons.fire_above[0]), splat(neurons.reset[0])
    rule, constants = (is_decay, is_subtracting), (gain, leak, fire_above, reset)
    hot, o = np.uint32(0), U(0)
    if is_reset_silent(neurons):
        if is_decay:
            while o + U(64) <= n:
                n_spikes = step_64(True, constants, voltage, base + o, current, at + o, index, n_spikes)
                o += U(64)
        while o + U(64) <= n:
            n_spikes = step_64(False, constants, voltage, base + o, current, at + o, index, n_spikes)
            o += U(64)
    while o + U(16) <= n:
        fired, v = step_vector(rule, constants, voltage, base + o, current, at + o)
        n_spikes = list_16(index, n_spikes, base + o, fired, PLACES)
        hot |= above(v, fire_above)
        o += U(16)
    if o < n:
        lanes = np.uint32((U(1) << (n - o)) - U(1))
        u = updated(is_decay, load_lanes(voltage, base + o, lanes), load(current, at + o), gain, leak)
        fired = above(u, fire_above) & lanes
        v = select(fired, subtract(u, reset) if is_subtracting else reset, u)
        store_lanes(voltage, base + o, v, lanes)
        hot |= above(v, fire_above) & lanes
        n_spikes = list_16(index, n_spikes, base + o, fired, PLACES)
    return n_spikes, hot != 0


@njit(cache=True, forceinline=True, **PART)
def rest_pixel(
    neurons: Neurons,
    voltage: Floats,
    base: U,
    n_channels: U,
    bias: Floats,
    kept: Bytes,
    steps: tuple[int, int],
    is_steady: bool,
) -> None:
    """Update n neurons from `base` through silent steps: the bias alone, or nothing on a dropped step.

    With `is_steady` all of these steps are alike, and a membrane that did not change never will.
    """
    is_decay, n = neurons.update == DECAY, U(0)
    gain, leak, zero = splat(neurons.gain[0]), splat(neurons.leak[0]), splat(np.float32(0))
    start, stop = steps
    while n + U(64) <= n_channels:
        a, b = load(voltage, base + n), load(voltage, base + n + U(16))
        c, d = load(voltage, base + n + U(32)), load(voltage, base + n + U(48))
        p, q = load(bias, n), load(bias, n + U(16))
        r, s = load(bias, n + U(32)), load(bias, n + U(48))
        for step in range(start, stop):
            if kept[step] != 0:
                e, f = updated(is_decay, a, p, gain, leak), updated(is_decay, b, q, gain, leak)
                g, h = updated(is_decay, c, r, gain, leak), updated(is_decay, d, s, gain, leak)
            else:
                e, f = updated(is_decay, a, zero, gain, leak), updated(is_decay, b, zero, gain, leak)
                g, h = updated(is_decay, c, zero, gain, leak), updated(is_decay, d, zero, gain, leak)
            if is_steady and (step - start) % _OFTEN == 0:
                changed = differs(a, e) | differs(b, f) | differs(c, g) | differs(d, h)
                if changed == 0:
                    break
            a, b, c, d = e, f, g, h
        store(voltage, base + n, a)
        store(voltage, base + n + U(16), b)
        store(voltage, base + n + U(32), c)
        store(voltage, base + n + U(48), d)
        n += U(64)
    while n < n_channels:
        lanes = np.uint32((U(1) << min(n_channels - n, U(16))) - U(1))
        a, p = load_lanes(voltage, base + n, lanes), load(bias, n)
        for step in range(start, stop):
            e = updated(is_decay, a, p if kept[step] != 0 else zero, gain, leak)
            if is_steady and (step - start) % _OFTEN == 0 and differs(a, e) & lanes == 0:
                break
            a = e
        store_lanes(voltage, base + n, a, lanes)
        n += U(16)


@njit(cache=True, forceinline=True, **PART)
def is_above(voltage: Floats, base: U, n: U, fire_above: np.float32) -> bool:
    """Whether one of n neurons from `base` stands above its threshold: it may fire without input."""
    limit, o = splat(fire_above), U(0)
    while o < n:
        lanes = np.uint32((U(1) << min(n - o, U(16))) - U(1))
        if above(load_lanes(voltage, base + o, lanes), limit) & lanes != 0:
            return True
        o += U(16)
    return False
