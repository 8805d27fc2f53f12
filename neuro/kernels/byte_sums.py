"""Sums of weight rows that are bytes, with two additions for a pair of channels and no widening of each byte.

A word of 16 bits holds the bytes of two channels. Whole words are added, and their upper bytes alone; what the lower
bytes add up to is the difference. So that no borrow is lost, lower bytes are stored 128 too high.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from neuro.kernels.arrays import Floats, Int32s
from neuro.kernels.options import PART, njit
from neuro.kernels.sums import constant, registers
from neuro.kernels.vectors import FLOATS, LANES, Memory, intrinsic, spread

__all__ = ["AT_ONCE", "sum_bytes"]

U = np.uint64
_I8, _I16, _I32, _I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_INTS = ir.VectorType(_I32, LANES)
_MOST = 256  # rows of bytes whose sums 16 bits hold
AT_ONCE, _SHIFT = 2, 1  # rows added in a turn: whether the last turn is whole cannot be predicted


def _byte_rows(n_words: int, width: int) -> Any:
    """Make ``rows(current, base, weight, bias, factor, row, n_rows, pitch, at)`` for words of `width` pairs."""
    kind = ir.VectorType(_I16, width)
    n_sums = max(1, 2 * width // LANES)

    @intrinsic
    def rows(
        typing: Any,
        current: Any,
        base: Any,
        weight: Any,
        bias: Any,
        factor: Any,
        row: Any,
        n_rows: Any,
        pitch: Any,
        at: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            into, weights, biases, listed = (
                Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 2, 3, 5)
            )
            base, factor, n_rows, pitch, at = (arguments[k] for k in (1, 4, 6, 7, 8))
            sums = registers(builder, [ir.Constant(_INTS, None)] * (n_sums * n_words))
            n_parts = builder.lshr(builder.add(n_rows, constant(_MOST - 1)), constant(8))
            with cgutils.for_range(builder, n_parts, intp=_I64) as part:
                first = builder.shl(part.index, constant(8))
                left = builder.sub(n_rows, first)
                is_last = builder.icmp_unsigned("<", left, constant(_MOST))
                n = builder.select(is_last, left, constant(_MOST))
                n_turns = builder.lshr(builder.add(n, constant(AT_ONCE - 1)), constant(_SHIFT))
                words = _added(builder, listed, weights, (first, n_turns, pitch, at), [kind] * n_words)
                for place, values in zip(sums, words, strict=True):
                    builder.store(builder.add(builder.load(place), builder.sext(values, _INTS)), place)
            by = spread(builder, factor, FLOATS)
            for k, place in enumerate(sums):
                offset = builder.add(at, constant(LANES * k))
                scaled = builder.fmul(by, builder.sitofp(builder.load(place), FLOATS))
                into.write(builder.fadd(biases.read(offset, FLOATS), scaled), builder.add(base, offset))
            return context.get_dummy_value()

        return types.void(current, base, weight, bias, factor, row, n_rows, pitch, at), generate

    return rows


def _added(
    builder: Any, listed: Memory, weights: Memory, steps: tuple[Any, ...], kinds: Sequence[Any]
) -> list[Any]:
    """Add up to `_MOST` rows; return the sums of all channels, sixteen at a time.

    ``steps``: the first row of the list, how many times `AT_ONCE`, pitch, and the first byte of a row.
    """
    first, n_turns, pitch, at = steps
    wholes, uppers = (registers(builder, [ir.Constant(kind, None) for kind in kinds]) for _ in range(2))
    with cgutils.for_range(builder, n_turns, intp=_I64) as loop:
        place = builder.add(first, builder.shl(loop.index, constant(_SHIFT)))
        for k in range(AT_ONCE):
            number = builder.zext(listed.read(builder.add(place, constant(k)), _I32), _I64)
            start = builder.add(builder.mul(number, pitch), at)
            for whole, upper, kind in zip(wholes, uppers, kinds, strict=True):
                pairs = ir.VectorType(_I8, 2 * kind.count)
                word = builder.bitcast(weights.read(start, pairs, align=LANES), kind)
                builder.store(builder.add(builder.load(whole), word), whole)
                above = builder.ashr(word, ir.Constant(kind, [8] * kind.count))
                builder.store(builder.add(builder.load(upper), above), upper)
                start = builder.add(start, constant(pairs.count))
    excess = builder.trunc(builder.shl(n_turns, constant(7 + _SHIFT)), _I16)  # 128 for each row
    found = []
    for whole, upper, kind in zip(wholes, uppers, kinds, strict=True):
        above = builder.load(upper)
        below = builder.sub(builder.load(whole), builder.shl(above, ir.Constant(kind, [8] * kind.count)))
        found += _split(builder, builder.sub(below, spread(builder, excess, kind)), above)
    return found


def _split(builder: Any, below: Any, above: Any) -> list[Any]:
    """Return the values of two vectors, one behind the other, sixteen at a time."""
    width = below.type.count
    found = []
    for first in range(0, 2 * width, LANES):
        places = ir.Constant(ir.VectorType(_I32, LANES), list(range(first, first + LANES)))
        found.append(builder.shuffle_vector(below, above, places))
    return found


_bytes_128, _bytes_64, _bytes_32, _bytes_16 = (
    _byte_rows(*shape) for shape in ((2, 32), (1, 32), (1, 16), (1, 8))
)


@njit(cache=True, forceinline=True, **PART)
def sum_bytes(
    current: Floats,
    base: U,
    weight: Any,
    bias: Floats,
    factor: np.float32,
    row: Int32s,
    n_rows: int,
    pitch: U,
) -> None:
    """Write bias + factor * the sum of rows of bytes to ``current[base:]``; exact where the caller made sure of it.

    ``weight``: as `Wiring.weight_bytes`. Behind ``row[:n_rows]`` the number of the row of zeros stands three times.
    """
    at, n = U(0), np.int64(n_rows)
    while at + U(128) <= pitch:
        _bytes_128(current, base, weight, bias, factor, row, n, pitch, at)
        at += U(128)
    if at + U(64) <= pitch:
        _bytes_64(current, base, weight, bias, factor, row, n, pitch, at)
        at += U(64)
    if at + U(32) <= pitch:
        _bytes_32(current, base, weight, bias, factor, row, n, pitch, at)
        at += U(32)
    if at < pitch:
        _bytes_16(current, base, weight, bias, factor, row, n, pitch, at)
