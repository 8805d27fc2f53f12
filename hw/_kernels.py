"""Integer kernels of the emulator: synapses add what spikes bring, neurons take a step.

Neurons are laid out channel-last, so that what a spike adds lies side by side. Every sum is exact: the caller has
checked that none can leave int32.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuro.kernels.options import UNCOUNTED

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Integers = NDArray[np.signedinteger]

LIMIT = 1 << 23  # the registers of u and v have 23 bits and a sign
CHUNK = 512  # neurons updated together before their spikes are listed


class Train(NamedTuple):
    """Spikes of a population by step: entries ``start[t] .. start[t + 1]`` of neuron and value."""

    start: Int64s
    neuron: Int32s
    value: Int32s


class Taps(NamedTuple):
    """Geometry of a convolution: numbers[0..11], and weights [in / groups, rows, columns, out]."""

    numbers: Int64s
    weights: Int16s


class Registers(NamedTuple):
    """What a neuron keeps of u and v in 4096ths, its bias, threshold (of v) and refractory period."""

    keep_u: Int32s
    keep_v: Int32s
    bias: Int32s
    threshold: Int32s
    hold: Int32s


class Membranes(NamedTuple):
    """State of a population: u, v, and the steps for which v is still held."""

    u: Integers
    v: Integers
    held: Int32s


@njit(cache=True, **UNCOUNTED)
def add_dense(a: Int32s, weights: Int16s, train: Train, first: int, lag: int) -> int:
    """Add to ``a[k]`` what arrives at step ``first + k``; weights are [in, out]. Returns the additions."""
    n_steps, n = a.shape
    count = 0
    for k in range(n_steps):
        t = first + k - lag
        if 0 <= t < train.start.size - 1:
            for e in range(train.start[t], train.start[t + 1]):
                j, x = train.neuron[e], train.value[e]
                if x == 1:
                    for i in range(n):
                        a[k, i] += np.int32(weights[j, i])
                else:
                    for i in range(n):
                        a[k, i] += np.int32(weights[j, i]) * x
                count += n
    return count


@njit(cache=True, **UNCOUNTED)
def add_sparse(
    a: Int32s, column_start: Int64s, rows: Int32s, weights: Int16s, train: Train, first: int, lag: int
) -> int:
    """Add to ``a[k]`` what arrives at step ``first + k``; weights are stored column by column."""
    count = 0
    for k in range(a.shape[0]):
        t = first + k - lag
        if 0 <= t < train.start.size - 1:
            for e in range(train.start[t], train.start[t + 1]):
                j, x = train.neuron[e], train.value[e]
                for s in range(column_start[j], column_start[j + 1]):
                    a[k, rows[s]] += np.int32(weights[s]) * x
                count += column_start[j + 1] - column_start[j]
    return count


@njit(cache=True, **UNCOUNTED)
def add_taps(row: Int32s, taps: Taps, j: int, x: int) -> int:
    """Add what a spike of value `x` of neuron `j` brings to all pixels that see it."""
    g = taps.numbers
    in_channels, in_columns, out_channels, out_rows, out_columns = g[0], g[1], g[2], g[3], g[4]
    per_in, per_out = taps.weights.shape[0], taps.weights.shape[3]
    channel, pixel = j % in_channels, j // in_channels
    y, x_in = pixel // in_columns, pixel % in_columns
    group, within = channel // per_in, channel % per_in
    count = 0
    for i in range(taps.weights.shape[1]):
        up = y + g[7] - i * g[9]
        if up < 0 or up % g[5] != 0 or up // g[5] >= out_rows:
            continue
        for m in range(taps.weights.shape[2]):
            left = x_in + g[8] - m * g[10]
            if left < 0 or left % g[6] != 0 or left // g[6] >= out_columns:
                continue
            base = ((up // g[5]) * out_columns + left // g[6]) * out_channels + group * per_out
            for c in range(per_out):
                row[base + c] += np.int32(taps.weights[within, i, m, c]) * np.int32(x)
            count += per_out
    return count


@njit(cache=True, **UNCOUNTED)
def add_convolution(a: Int32s, taps: Taps, train: Train, first: int, lag: int) -> int:
    """Add to ``a[k]`` what arrives at step ``first + k`` through a convolution."""
    count = 0
    for k in range(a.shape[0]):
        t = first + k - lag
        if 0 <= t < train.start.size - 1:
            for e in range(train.start[t], train.start[t + 1]):
                count += add_taps(a[k], taps, train.neuron[e], train.value[e])
    return count


@njit(cache=True, **UNCOUNTED)
def add_shifted(a: Int32s, sums: Int32s, down: int) -> None:
    """Add sums that are first divided by ``2^down``, rounded to minus infinity."""
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            a[k, i] += sums[k, i] >> np.int32(down)


@njit(cache=True, **UNCOUNTED)
def add_wrapped(a: Int32s, sums: Int32s) -> int:
    """Add sums that wrap around at 24 bits, as those of convolutions do; returns how many did."""
    count = 0
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            x = sums[k, i]
            wrapped = ((x + np.int32(LIMIT)) & np.int32(2 * LIMIT - 1)) - np.int32(LIMIT)
            count += x != wrapped
            a[k, i] += wrapped
    return count


@njit(cache=True, inline="always", **UNCOUNTED)
def decayed(x, keep):  # type: ignore[no-untyped-def]
    """Return ``sign(x) * (|x| * keep >> 12)`` without leaving the integer type of `x`, for ``keep <= 4096``."""
    size = abs(x)
    kept = (size >> 12) * keep + (((size & 4095) * keep) >> 12)
    return kept if x >= 0 else -kept


@njit(cache=True, **UNCOUNTED)
def list_spikes(
    state: Membranes, registers: Registers, first: int, last: int, found: Int32s, n_found: int
) -> int:
    """List and reset the neurons of a range that fire; returns how many are listed now."""
    v = state.v
    for i in range(first, last):
        if v[i] > registers.threshold[i] and (registers.hold[i] == 0 or state.held[i] == 0):
            v[i] = 0
            state.held[i] = registers.hold[i]
            found[n_found] = i
            n_found += 1
        elif registers.hold[i] != 0 and state.held[i] > 0:
            state.held[i] -= 1
    return n_found


@njit(cache=True, **UNCOUNTED)
def step_lava(
    a: Int32s, state: Membranes, registers: Registers, first: int, last: int, counts: Int64s
) -> bool:
    """Take a step with Lava's rules: u wraps once, v saturates. Returns whether some neuron may fire."""
    u, v, limit, two = state.u, state.v, np.int32(LIMIT), np.int32(2 * LIMIT)
    wrapped, saturated, over = np.int32(0), np.int32(0), np.int32(0)
    for i in range(first, last):
        x = decayed(u[i], registers.keep_u[i]) + (a[i] << np.int32(6))
        y = x - two if x > limit else x
        y = y + two if y <= -limit else y
        wrapped += np.int32(y != x)
        u[i] = y
        w = decayed(v[i], registers.keep_v[i]) + y + registers.bias[i]
        z = min(max(w, np.int32(1) - limit), limit - np.int32(1))
        saturated += np.int32(z != w)
        over |= np.int32(z > registers.threshold[i])
        v[i] = z
    counts[0] += wrapped
    counts[1] += saturated
    return bool(over != 0)


@njit(cache=True, **UNCOUNTED)
def step_held(
    a: Int32s, state: Membranes, registers: Registers, first: int, last: int, counts: Int64s, bounded: bool
) -> bool:
    """Take a step where membranes may be held after a spike, and registers may have no bounds (int64)."""
    u, v, limit = state.u, state.v, LIMIT
    for i in range(first, last):
        x = decayed(np.int64(u[i]), np.int64(registers.keep_u[i])) + (np.int64(a[i]) << 6)
        beyond = x > limit or x <= -limit
        if bounded and beyond:
            x = x - 2 * limit if x > limit else x
            x = x + 2 * limit if x <= -limit else x
        counts[0] += beyond
        u[i] = x
        if registers.hold[i] == 0 or state.held[i] == 0:
            w = decayed(np.int64(v[i]), np.int64(registers.keep_v[i])) + x + registers.bias[i]
            z = min(max(w, 1 - limit), limit - 1)
            counts[1] += z != w
            v[i] = z if bounded else w
    return True


@njit(cache=True, **UNCOUNTED)
def run_neurons(
    a: Int32s,
    state: Membranes,
    registers: Registers,
    timing: Int64s,
    start: Int64s,
    found: Int32s,
    records: tuple[Integers, Integers],
    counts: Int64s,
) -> None:
    """Take a step for each row of `a`, list spikes in `found` with `start`, and record u and v where there is room.

    `timing` is (first step, reset step, reset interval, whether some membrane may be held, whether registers wrap and
    saturate); `counts` takes the wrapped u and the saturated v.
    """
    n_steps, n = a.shape
    n_found = 0
    start[0] = 0
    u_record, v_record = records
    for k in range(n_steps):
        step = timing[0] + k
        if step == timing[1] or (timing[2] > 0 and step % timing[2] == timing[1] % timing[2]):
            for i in range(n):
                state.u[i] = 0
                state.v[i] = 0
                state.held[i] = 0
        for first in range(0, n, CHUNK):
            last = min(first + CHUNK, n)
            if timing[3] != 0 or timing[4] == 0:
                may_fire = step_held(a[k], state, registers, first, last, counts, timing[4] != 0)
            else:
                may_fire = step_lava(a[k], state, registers, first, last, counts)
            if may_fire:
                n_found = list_spikes(state, registers, first, last, found, n_found)
        start[k + 1] = n_found
        if u_record.size:
            for i in range(n):
                u_record[k, i] = state.u[i]
        if v_record.size:
            for i in range(n):
                v_record[k, i] = state.v[i]


@njit(cache=True, **UNCOUNTED)
def run_graded(
    a: Int32s, v: Int32s, threshold: Int32s, only_positive: bool, start: Int64s, found: Int32s, values: Int32s
) -> None:
    """Hand on what arrives where it is beyond the threshold (both ways, or upwards only)."""
    n_found = 0
    start[0] = 0
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            x = v[i] + a[k, i]
            if x > threshold[i] or (not only_positive and x < -threshold[i]):
                found[n_found] = i
                values[n_found] = x
                n_found += x != 0
            v[i] = 0
        start[k + 1] = n_found


@njit(cache=True, **UNCOUNTED)
def run_differences(
    a: Int32s,
    state: Int32s,
    threshold: Int32s,
    bias: Int32s,
    mode: Int64s,
    start: Int64s,
    found: Int32s,
    values: Int32s,
) -> None:
    """Hand on sums and differences: sigma, delta and sigma-delta neurons.

    `state` has the rows sum, last activity, residue and error; `mode` is (whether to sum, whether to send differences,
    shift up of what arrives, shift down of what is sent, whether errors add up).
    """
    n_found = 0
    start[0] = 0
    for k in range(a.shape[0]):
        for i in range(a.shape[1]):
            x = np.int64(a[k, i]) << mode[2]
            if mode[0] != 0:
                x += state[0, i]
                state[0, i] = x
            sent = x
            if mode[1] != 0:
                act = max(x + bias[i], 0) if mode[0] != 0 else x
                delta = act - state[1, i] + state[2, i]
                judged = delta
                if mode[4] != 0:
                    state[3, i] += delta
                    judged = np.int64(state[3, i])
                sent = delta if abs(judged) >= threshold[i] else 0
                if sent != 0:
                    state[3, i] = 0
                state[2, i] = delta - sent
                state[1, i] = act
                sent = sent >> mode[3]
            if sent != 0:
                found[n_found] = i
                values[n_found] = sent
                n_found += 1
        start[k + 1] = n_found


@njit(cache=True, **UNCOUNTED)
def _way(
    start: Int64s,
    other: Int64s,
    weight: NDArray[np.float64],
    x: Int64s,
    y: Int64s,
    place_of: Int64s,
    core: int,
) -> float:
    """Return the length of the ways of a core's messages."""
    total = 0.0
    here = place_of[core]
    for e in range(start[core], start[core + 1]):
        there = place_of[other[e]]
        total += weight[e] * (abs(x[here] - x[there]) + abs(y[here] - y[there]))
    return total


@njit(cache=True, **UNCOUNTED)
def improve_by_swaps(
    start: Int64s,
    other: Int64s,
    weight: NDArray[np.float64],
    x: Int64s,
    y: Int64s,
    place_of: Int64s,
    core_at: Int64s,
    pairs: Int64s,
) -> float:
    """Move cores to places, exchanging what is there, where that shortens the ways; returns what was gained."""
    gained = 0.0
    for k in range(pairs.shape[1]):
        core, place = pairs[0, k], pairs[1, k]
        partner, home = core_at[place], place_of[core]
        if partner == core:
            continue
        before = _way(start, other, weight, x, y, place_of, core)
        if partner >= 0:
            before += _way(start, other, weight, x, y, place_of, partner)
            place_of[partner] = home
        place_of[core] = place
        after = _way(start, other, weight, x, y, place_of, core)
        if partner >= 0:
            after += _way(start, other, weight, x, y, place_of, partner)
        if after < before - 1e-9:
            core_at[place], core_at[home] = core, partner
            gained += before - after
        else:
            place_of[core] = home
            if partner >= 0:
                place_of[partner] = place
    return gained
