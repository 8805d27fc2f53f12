"""One step of a tile of neurons, by model: take the input, update, compare.

``s``: the tile's fields, ``p``: its parameters; ``fired``: uint8, 1 for each neuron over its threshold (a count beside
float32 values would halve the lanes). ``over``: uint64, a bit for each neuron over its threshold that is not surely
held, as ``rest`` says: the steps for which each is still held, counted down on the way. Resets, jumps and refractory
periods follow in `neuro.kernels.spiking`. Every product is rounded before it is added, in the order of the stated
equations; no loop has a branch.
"""

import numpy as np

from neuro.kernels import networks as nw
from neuro.kernels.networks import TILE, Bytes, Reals, UInt64s
from neuro.kernels.options import DIVIDING, PART, njit
from neuro.kernels.vectors import (
    LANES,
    above,
    add,
    count_down,
    divide,
    load,
    multiply,
    select,
    splat,
    store,
    subtract,
    zeros,
)

U = np.uint64
A, B, C, D, E, F = (slot * TILE for slot in range(nw.OWN, nw.OWN + 6))  # a model's own parameters
SECOND, THIRD = 2 * TILE, 3 * TILE  # fields of the state
MOST = 64.0
BELOW_TINY = float(np.nextafter(np.float32(2.0**-100), np.float32(0)))
TINY = 2.0**-100  # what is smaller decays to 0: denormal numbers would be computed a hundred times slower


@njit(cache=True, **PART)
def update_if(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- v + I``."""
    zero = s.dtype.type(0)
    for j in range(TILE):
        v = s[j] + s[TILE + j]
        s[TILE + j] = zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_lif(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- v + a * ((I + v_leak) - v)``; A: a, B: v_leak."""
    zero = s.dtype.type(0)
    for j in range(TILE):
        v = s[j] + p[A + j] * ((s[TILE + j] + p[B + j]) - s[j])
        s[TILE + j] = zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_decay(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- alpha * v + I``; A: alpha."""
    zero = s.dtype.type(0)
    for j in range(TILE):
        v = p[A + j] * s[j] + s[TILE + j]
        s[TILE + j] = zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_cuba(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- v + a * ((v_leak - v) + i)``, ``i <- i - b * i``; A: a, B: v_leak, C: b."""
    for j in range(TILE):
        i = s[TILE + j]
        v = s[j] + p[A + j] * ((p[B + j] - s[j]) + i)
        s[TILE + j] = i - p[C + j] * i
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_cuba_two(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- v + a * ((v_leak - v) + (i + k))``, both currents decay as ``i - b * i``; A: a, B: v_leak, C, D: b."""
    for j in range(TILE):
        i, k = s[TILE + j], s[SECOND + j]
        v = s[j] + p[A + j] * ((p[B + j] - s[j]) + (i + k))
        s[TILE + j] = i - p[C + j] * i
        s[SECOND + j] = k - p[D + j] * k
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_exact(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- (v + a * (v_leak - v)) + c * i``, ``i <- b * i``; A: a, B: v_leak, C: b, D: c."""
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    for j in range(TILE):
        i = s[TILE + j]
        v = (s[j] + p[A + j] * (p[B + j] - s[j])) + p[D + j] * i
        s[TILE + j] = p[C + j] * i if abs(i) >= tiny else zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_exact_two(s: Reals, p: Reals, fired: Bytes) -> None:
    """As `update_exact`, then ``+ f * k`` and ``k <- e * k``; E: e, F: f."""
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    for j in range(TILE):
        i, k = s[TILE + j], s[SECOND + j]
        v = ((s[j] + p[A + j] * (p[B + j] - s[j])) + p[D + j] * i) + p[F + j] * k
        s[TILE + j] = p[C + j] * i if abs(i) >= tiny else zero
        s[SECOND + j] = p[E + j] * k if abs(k) >= tiny else zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **DIVIDING)
def update_coba(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- v + (f / g) * q(r * g)``, both conductances decay; A: v_leak, B: v_exc, C: v_inh, D: r, E, F: decays.

    q(x) = 1 - exp(-x): a polynomial of degree 8 at x / 64, then six times q <- q * (2 - q).
    """
    real = s.dtype.type
    zero, tiny = real(0), real(TINY)
    one, two, most, part = real(1), real(2), real(MOST), real(1 / 64)
    c2, c3, c4, c5 = real(-1 / 2), real(1 / 6), real(-1 / 24), real(1 / 120)
    c6, c7, c8 = real(-1 / 720), real(1 / 5040), real(-1 / 40320)
    for j in range(TILE):
        v, e, i = s[j], s[TILE + j], s[SECOND + j]
        f = ((p[A + j] - v) + e * (p[B + j] - v)) + i * (p[C + j] - v)
        g = (one + e) + i
        x = min(p[D + j] * g, most) * part
        q = x * (one + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * (c7 + x * c8)))))))
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        v = v + (f / g) * q
        s[TILE + j] = p[E + j] * e if abs(e) >= tiny else zero
        s[SECOND + j] = p[F + j] * i if abs(i) >= tiny else zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_coba_euler(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- v + a * f``, both conductances decay; A: v_leak, B: v_exc, C: v_inh, D: a, E, F: decays."""
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    for j in range(TILE):
        v, e, i = s[j], s[TILE + j], s[SECOND + j]
        f = ((p[A + j] - v) + e * (p[B + j] - v)) + i * (p[C + j] - v)
        v = v + p[D + j] * f
        s[TILE + j] = p[E + j] * e if abs(e) >= tiny else zero
        s[SECOND + j] = p[F + j] * i if abs(i) >= tiny else zero
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_adaptive(s: Reals, p: Reals, fired: Bytes) -> None:
    """``v <- (v + a * ((I + v_leak) - v)) - c * w``; w and theta decay; A: a, B: v_leak, C: c, D, E: decays."""
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    for j in range(TILE):
        w = s[SECOND + j]
        v = (s[j] + p[A + j] * ((s[TILE + j] + p[B + j]) - s[j])) - p[C + j] * w
        theta = p[E + j] * s[THIRD + j] if abs(s[THIRD + j]) >= tiny else zero
        s[TILE + j] = zero
        s[SECOND + j] = p[D + j] * w if abs(w) >= tiny else zero
        s[THIRD + j] = theta
        s[j] = v
        fired[j] = v > p[j] + theta


@njit(cache=True, **PART)
def update_izhikevich(s: Reals, p: Reals, fired: Bytes) -> None:
    """One Euler step; A: h, B: h * a, C: b, D: drive."""
    real = s.dtype.type
    zero, k2, k1, k0 = real(0), real(0.04), real(5), real(140)
    for j in range(TILE):
        v, u = s[j], s[SECOND + j]
        f = ((((k2 * v) * v + k1 * v) + k0) - u) + (s[TILE + j] + p[D + j])
        s[TILE + j] = zero
        s[SECOND + j] = u + p[B + j] * (p[C + j] * v - u)
        v = v + p[A + j] * f
        s[j] = v
        fired[j] = v > p[j]


@njit(cache=True, **PART)
def update_exact_two_alike(s: Reals, p: Reals, fired: Bytes) -> None:
    """As `update_exact_two`, for neurons with the same parameters."""
    a, b, c, d, e, f, threshold = p[A], p[B], p[C], p[D], p[E], p[F], p[0]
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    for j in range(TILE):
        i, k = s[TILE + j], s[SECOND + j]
        v = ((s[j] + a * (b - s[j])) + d * i) + f * k
        s[TILE + j] = c * i if abs(i) >= tiny else zero
        s[SECOND + j] = e * k if abs(k) >= tiny else zero
        s[j] = v
        fired[j] = v > threshold


@njit(cache=True, **PART)
def update_exact_two_wide(s: Reals, p: Reals, rest: Bytes, over: UInt64s) -> None:
    """As `update_exact_two_alike` in float32, sixteen neurons at a time (LLVM takes eight)."""
    a, b, c, d = splat(p[A]), splat(p[B]), splat(p[C]), splat(p[D])
    e, f, threshold, zero = splat(p[E]), splat(p[F]), splat(p[0]), splat(np.float32(0))
    above_tiny, under_tiny = splat(np.float32(BELOW_TINY)), splat(np.float32(-BELOW_TINY))
    for word in range(U(TILE // 64)):
        bits = U(0)
        for part in range(U(0), U(64), U(LANES)):
            o = U(64) * word + part
            v, i, k = load(s, o), load(s, o + U(TILE)), load(s, o + U(SECOND))
            v = add(add(add(v, multiply(a, subtract(b, v))), multiply(d, i)), multiply(f, k))
            store(s, o, v)
            is_kept = above(i, above_tiny) | above(under_tiny, i)
            store(s, o + U(TILE), select(is_kept, multiply(c, i), zero))
            is_kept = above(k, above_tiny) | above(under_tiny, k)
            store(s, o + U(SECOND), select(is_kept, multiply(e, k), zero))
            bits |= U(above(v, threshold)) << part
        over[word] = bits & count_down(rest, U(64) * word)


@njit(cache=True, **PART)
def update_coba_wide(s: Reals, p: Reals, rest: Bytes, over: UInt64s) -> None:
    """As `update_coba_alike` in float32, sixteen neurons at a time."""
    leak, exc, inh, rate = splat(p[A]), splat(p[B]), splat(p[C]), splat(p[D])
    fall, inh_fall, threshold, zero = splat(p[E]), splat(p[F]), splat(p[0]), splat(np.float32(0))
    above_tiny, under_tiny = splat(np.float32(BELOW_TINY)), splat(np.float32(-BELOW_TINY))
    one, two = splat(np.float32(1)), splat(np.float32(2))
    most, part_64 = splat(np.float32(MOST)), splat(np.float32(1 / 64))
    c2, c3, c4 = splat(np.float32(-1 / 2)), splat(np.float32(1 / 6)), splat(np.float32(-1 / 24))
    c5, c6 = splat(np.float32(1 / 120)), splat(np.float32(-1 / 720))
    c7, c8 = splat(np.float32(1 / 5040)), splat(np.float32(-1 / 40320))
    for word in range(U(TILE // 64)):
        bits = U(0)
        for part in range(U(0), U(64), U(LANES)):
            o = U(64) * word + part
            v, e, i = load(s, o), load(s, o + U(TILE)), load(s, o + U(SECOND))
            f = add(subtract(leak, v), multiply(e, subtract(exc, v)))
            f = add(f, multiply(i, subtract(inh, v)))
            g = add(add(one, e), i)
            x = multiply(rate, g)
            x = multiply(select(above(x, most), most, x), part_64)
            q = add(c6, multiply(x, add(c7, multiply(x, c8))))
            q = add(c3, multiply(x, add(c4, multiply(x, add(c5, multiply(x, q))))))
            q = multiply(x, add(one, multiply(x, add(c2, multiply(x, q)))))
            for _ in range(6):
                q = multiply(q, subtract(two, q))
            v = add(v, multiply(divide(f, g), q))
            store(s, o, v)
            is_kept = above(e, above_tiny) | above(under_tiny, e)
            store(s, o + U(TILE), select(is_kept, multiply(fall, e), zero))
            is_kept = above(i, above_tiny) | above(under_tiny, i)
            store(s, o + U(SECOND), select(is_kept, multiply(inh_fall, i), zero))
            bits |= U(above(v, threshold)) << part
        over[word] = bits & count_down(rest, U(64) * word)


@njit(cache=True, **DIVIDING)
def update_coba_alike(s: Reals, p: Reals, fired: Bytes) -> None:
    """As `update_coba`, for neurons with the same parameters."""
    leak, exc, inh, rate, fall, inh_fall, threshold = p[A], p[B], p[C], p[D], p[E], p[F], p[0]
    real = s.dtype.type
    zero, tiny = real(0), real(TINY)
    one, two, most, part = real(1), real(2), real(MOST), real(1 / 64)
    c2, c3, c4, c5 = real(-1 / 2), real(1 / 6), real(-1 / 24), real(1 / 120)
    c6, c7, c8 = real(-1 / 720), real(1 / 5040), real(-1 / 40320)
    for j in range(TILE):
        v, e, i = s[j], s[TILE + j], s[SECOND + j]
        f = ((leak - v) + e * (exc - v)) + i * (inh - v)
        g = (one + e) + i
        x = min(rate * g, most) * part
        q = x * (one + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * (c7 + x * c8)))))))
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        q = q * (two - q)
        v = v + (f / g) * q
        s[TILE + j] = fall * e if abs(e) >= tiny else zero
        s[SECOND + j] = inh_fall * i if abs(i) >= tiny else zero
        s[j] = v
        fired[j] = v > threshold


@njit(cache=True, **PART)
def gather_bits(fired: Bytes, rest: Bytes, over: UInt64s) -> None:
    """Write the bits of the neurons that are marked and not surely held."""
    for word in range(U(TILE // 64)):
        bits = U(0)
        for part in range(U(0), U(64), U(LANES)):
            bits |= U(zeros(fired, U(64) * word + part)) << part
        over[word] = ~bits & count_down(rest, U(64) * word)


@njit(cache=True, **PART)
def update_tile(
    model: int, is_alike: bool, s: Reals, p: Reals, rest: Bytes, fired: Bytes, over: UInt64s
) -> None:
    """One step of a tile of neurons of any model."""
    if is_alike and s.itemsize == 4 and model == nw.EXACT_TWO:
        update_exact_two_wide(s, p, rest, over)
        return
    if is_alike and s.itemsize == 4 and model == nw.COBA:
        update_coba_wide(s, p, rest, over)
        return
    if model == nw.EXACT_TWO:
        if is_alike:
            update_exact_two_alike(s, p, fired)
        else:
            update_exact_two(s, p, fired)
    elif model == nw.COBA:
        if is_alike:
            update_coba_alike(s, p, fired)
        else:
            update_coba(s, p, fired)
    elif model == nw.EXACT:
        update_exact(s, p, fired)
    elif model == nw.LIF:
        update_lif(s, p, fired)
    elif model == nw.CUBA:
        update_cuba(s, p, fired)
    elif model == nw.CUBA_TWO:
        update_cuba_two(s, p, fired)
    elif model == nw.IF:
        update_if(s, p, fired)
    elif model == nw.DECAY:
        update_decay(s, p, fired)
    elif model == nw.COBA_EULER:
        update_coba_euler(s, p, fired)
    elif model == nw.ADAPTIVE:
        update_adaptive(s, p, fired)
    else:
        update_izhikevich(s, p, fired)
    gather_bits(fired, rest, over)
