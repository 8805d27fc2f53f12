"""Integer kernels of neurons: a step of a tile of them, without a branch, and of neurons with graded spikes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw._kernels_synapses import LIMIT, TILE, Int32s, Int64s
from neuro.kernels.options import INLINED, PART, njit

Integers = NDArray[np.signedinteger]
Bytes = NDArray[np.uint8]

N_STATE, N_REGISTERS = 3, 6  # u, v, held; and what follows
U, V, HELD = 0, TILE, 2 * TILE
KEEP_U, KEEP_V, BIAS, THRESHOLD, HOLD, SUBTRACT = (k * TILE for k in range(N_REGISTERS))


# Numba's integers grow to int64 with every operation; in 32 bits vectors hold twice as many.
N32 = np.int32


@njit(cache=True, **INLINED)
def decayed(x: Any, keep: Any) -> Any:
    """Return ``sign(x) * (|x| * keep >> 12)`` without leaving the integer type of `x`, for ``keep <= 4096``."""
    size = abs(x)
    kept = (size >> 12) * keep + (((size & 4095) * keep) >> 12)
    return kept if x >= 0 else -kept


@njit(cache=True, **INLINED)
def decayed_32(x: Any, keep: Any) -> Any:
    """Return the same in 32 bits."""
    size = N32(abs(x))
    kept = N32(N32(N32(size >> N32(12)) * keep) + N32(N32(N32(size & N32(4095)) * keep) >> N32(12)))
    return kept if x >= 0 else N32(-kept)


@njit(cache=True, forceinline=True, **PART)
def step_tile(
    s: Int32s, p: Int32s, a: Int32s, fired: Bytes, subtracts: bool, counts: Int64s
) -> tuple[bool, bool]:
    """Take a step with Lava's rules: u wraps once, v saturates. Returns whether one fires, and whether all rest.

    `counts` takes the wrapped u and the saturated v. A tile rests if nothing changed: it stays so until input comes.
    """
    limit, two, mask = N32(LIMIT), N32(2 * LIMIT), N32(-1 if subtracts else 0)
    low, high = N32(1 - LIMIT), N32(LIMIT - 1)
    wrapped, saturated, moved, over = N32(0), N32(0), N32(0), N32(0)
    for i in range(TILE):
        u, v = N32(s[U + i]), N32(s[V + i])
        x = N32(decayed_32(u, p[KEEP_U + i]) + N32(a[i] << N32(6)))
        y = N32(x - two) if x > limit else x
        y = N32(y + two) if y <= N32(-limit) else y
        wrapped = N32(wrapped + N32(y != x))
        w = N32(N32(decayed_32(v, p[KEEP_V + i]) + y) + p[BIAS + i])
        z = N32(min(N32(max(w, low)), high))
        saturated = N32(saturated + N32(z != w))
        fires = z > p[THRESHOLD + i]
        z = N32(N32(z - p[SUBTRACT + i]) & mask) if fires else z
        moved = N32(moved | N32(N32(y ^ u) | N32(z ^ v)))
        over = N32(over | N32(fires))
        fired[i] = fires
        s[U + i] = y
        s[V + i] = z
    counts[0] += wrapped
    counts[1] += saturated
    return over != 0, (moved | over | wrapped | saturated) == 0


@njit(cache=True, **PART)
def step_held_tile(
    s: Integers, p: Int32s, a: Int32s, fired: Bytes, subtracts: bool, counts: Int64s, bounded: bool
) -> bool:
    """Take a step where membranes may be held after a spike, or registers have no bounds (int64)."""
    limit = np.int64(LIMIT)
    low, high = (1 - limit, limit - 1) if bounded else (np.int64(-(2**62)), np.int64(2**62))
    two, mask = 2 * limit if bounded else np.int64(0), np.int64(-1 if subtracts else 0)
    wrapped, saturated, over = np.int64(0), np.int64(0), np.int64(0)
    for i in range(TILE):
        v, held = np.int64(s[V + i]), np.int64(s[HELD + i])
        x = decayed(np.int64(s[U + i]), np.int64(p[KEEP_U + i])) + (np.int64(a[i]) << 6)
        y = x - two if x > limit else x
        y = y + two if y <= -limit else y
        wrapped += np.int64(x > limit or x <= -limit)
        w = decayed(v, np.int64(p[KEEP_V + i])) + y + np.int64(p[BIAS + i])
        z = min(max(w, low), high)
        is_free = held == 0
        saturated += np.int64(is_free and (w <= -limit or w >= limit))
        fires = is_free and z > p[THRESHOLD + i]
        z = (z - p[SUBTRACT + i]) & mask if fires else z
        over |= np.int64(fires)
        fired[i] = fires
        s[U + i] = y
        s[V + i] = z if is_free else v
        s[HELD + i] = np.int64(p[HOLD + i]) if fires else max(held - 1, np.int64(0))
    counts[0] += wrapped
    counts[1] += saturated
    return bool(over != 0)


@njit(cache=True, **PART)
def step_graded(x: int, threshold: int, only_positive: bool) -> int:
    """Hand on what arrives where it is beyond the threshold (both ways, or upwards only)."""
    return x if x > threshold or (not only_positive and x < -threshold) else 0


@njit(cache=True, **PART)
def step_difference(x: int, sdn: Int32s, threshold: int, bias: int, mode: Int64s) -> int:
    """Hand on a sum or a difference: what sigma, delta and sigma-delta neurons send.

    `sdn` is the sum, the last activity, the residue and the error; `mode` is (whether to sum, whether to send
    differences, shift up of what arrives, shift down of what is sent, whether errors add up).
    """
    x = np.int64(x) << mode[2]
    if mode[0] != 0:
        x += sdn[0]
        sdn[0] = x
    if mode[1] == 0:
        return x
    act = max(x + bias, 0) if mode[0] != 0 else x
    delta = act - sdn[1] + sdn[2]
    judged = delta
    if mode[4] != 0:
        sdn[3] += delta
        judged = np.int64(sdn[3])
    sent = delta if abs(judged) >= threshold else 0
    if sent != 0:
        sdn[3] = 0
    sdn[2] = delta - sent
    sdn[1] = act
    return int(sent >> mode[3])
