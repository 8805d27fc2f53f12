"""Sums of weight rows, one term at a time in the order given, in registers from the first row to the last.

A sum is written once, a whole vector at a time: `current` has a pitch of whole vectors per pixel, and weights have a
spare vector behind the last row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from neuro.kernels.arrays import Floats, Int32s, Int64s
from neuro.kernels.options import PART, njit
from neuro.kernels.vectors import (
    FLOATS,
    LANES,
    Memory,
    intrinsic,
    spread,
)

__all__ = ["constant", "registers", "sum_dense", "sum_rows", "sum_scaled_rows"]

U = np.uint64
_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()


def constant(value: int) -> Any:
    """Return a 64-bit constant."""
    return ir.Constant(_I64, value)


def registers(builder: Any, first: list[Any]) -> list[Any]:
    """Return one place for each value; LLVM keeps them in registers."""
    places = []
    for value in first:
        place = cgutils.alloca_once(builder, value.type)
        builder.store(value, place)
        places.append(place)
    return places


def _float_rows(n_vectors: int, *, is_scaled: bool) -> Any:
    """Make ``rows(current, base, weight, bias, row, scale, n_rows, n_out, at)`` for `n_vectors` from channel `at`."""

    @intrinsic
    def rows(
        typing: Any,
        current: Any,
        base: Any,
        weight: Any,
        bias: Any,
        row: Any,
        scale: Any,
        n_rows: Any,
        n_out: Any,
        at: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            into, weights, biases, listed, scales = (
                Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 2, 3, 4, 5)
            )
            base, n_rows, n_out, at = (arguments[k] for k in (1, 6, 7, 8))
            offsets = [builder.add(at, constant(LANES * k)) for k in range(n_vectors)]
            sums = registers(
                builder,
                [biases.read(offset, FLOATS) for offset in offsets],
            )
            with cgutils.for_range(builder, n_rows, intp=_I64) as loop:
                number = builder.zext(listed.read(loop.index, _I32), _I64)
                first = builder.mul(number, n_out)
                if is_scaled:
                    by = spread(builder, scales.read(loop.index, _F32), FLOATS)
                for place, offset in zip(sums, offsets, strict=True):
                    term = weights.read(builder.add(first, offset), FLOATS)
                    if is_scaled:
                        term = builder.fmul(term, by)
                    builder.store(builder.fadd(builder.load(place), term), place)
            for place, offset in zip(sums, offsets, strict=True):
                into.write(builder.load(place), builder.add(base, offset))
            return context.get_dummy_value()

        return types.void(current, base, weight, bias, row, scale, n_rows, n_out, at), generate

    return rows


_rows_8, _rows_4, _rows_2, _rows_1 = (_float_rows(n, is_scaled=False) for n in (8, 4, 2, 1))
_scaled_8, _scaled_4, _scaled_2, _scaled_1 = (_float_rows(n, is_scaled=True) for n in (8, 4, 2, 1))


@njit(cache=True, forceinline=True, **PART)
def sum_rows(
    current: Floats, base: U, weight: Floats, bias: Floats, row: Int32s, n_rows: int, n_out: U
) -> None:
    """Write bias + the rows ``row[:n_rows]`` of n_out weights to ``current[base:]``; each sum is rounded."""
    at, n = U(0), np.int64(n_rows)
    while at + U(128) <= n_out:
        _rows_8(current, base, weight, bias, row, bias, n, n_out, at)
        at += U(128)
    if at + U(64) <= n_out:
        _rows_4(current, base, weight, bias, row, bias, n, n_out, at)
        at += U(64)
    if at + U(32) <= n_out:
        _rows_2(current, base, weight, bias, row, bias, n, n_out, at)
        at += U(32)
    while at < n_out:
        _rows_1(current, base, weight, bias, row, bias, n, n_out, at)
        at += U(16)


@njit(cache=True, forceinline=True, **PART)
def sum_scaled_rows(
    current: Floats,
    base: U,
    weight: Floats,
    bias: Floats,
    row: Int32s,
    scale: Floats,
    n_rows: int,
    n_out: U,
) -> None:
    """The same with a factor for each row: round the product, then add."""
    at, n = U(0), np.int64(n_rows)
    while at + U(128) <= n_out:
        _scaled_8(current, base, weight, bias, row, scale, n, n_out, at)
        at += U(128)
    if at + U(64) <= n_out:
        _scaled_4(current, base, weight, bias, row, scale, n, n_out, at)
        at += U(64)
    if at + U(32) <= n_out:
        _scaled_2(current, base, weight, bias, row, scale, n, n_out, at)
        at += U(32)
    while at < n_out:
        _scaled_1(current, base, weight, bias, row, scale, n, n_out, at)
        at += U(16)


def _dense_tile(n_pixels: int, n_vectors: int, *, is_binary: bool) -> Any:
    """Make ``tile(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)``; arguments as in `sum_dense`."""

    @intrinsic
    def tile(
        typing: Any,
        current: Any,
        base: Any,
        pitch: Any,
        weight: Any,
        bias: Any,
        x: Any,
        x_at: Any,
        steps: Any,
        n_out: Any,
        at: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            into, weights, biases, inputs, numbers = (
                Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 3, 4, 5, 7)
            )
            base, pitch, x_at, n_out, at = (arguments[k] for k in (1, 2, 6, 8, 9))
            n_r, d_r, n_c, d_c, n_k, d_pixel = (numbers.read(constant(k), _I64, align=8) for k in range(6))
            offsets = [builder.add(at, constant(LANES * k)) for k in range(n_vectors)]
            first = [biases.read(offset, FLOATS) for offset in offsets]
            sums = [registers(builder, first) for _ in range(n_pixels)]
            (row,) = registers(builder, [at])
            fma = builder.module.declare_intrinsic(
                "llvm.fma.v16f32", fnty=ir.FunctionType(FLOATS, [FLOATS] * 3)
            )
            with (
                cgutils.for_range(builder, n_r, intp=_I64) as r,
                cgutils.for_range(builder, n_c, intp=_I64) as c,
                cgutils.for_range(builder, n_k, intp=_I64) as k,
            ):
                here = builder.add(builder.mul(r.index, d_r), builder.mul(c.index, d_c))
                here = builder.add(builder.add(here, k.index), x_at)
                number = builder.load(row)
                terms = [
                    weights.read(builder.add(number, constant(LANES * j)), FLOATS) for j in range(n_vectors)
                ]
                for pixel, places in enumerate(sums):
                    where = builder.add(here, builder.mul(d_pixel, constant(pixel)))
                    value = spread(builder, inputs.read(where, _F32), FLOATS)
                    for place, term in zip(places, terms, strict=True):
                        before = builder.load(place)
                        if is_binary:  # the product is exact, so fusing it changes no bit
                            after = builder.call(fma, [term, value, before])
                        else:
                            after = builder.fadd(before, builder.fmul(term, value))
                        builder.store(after, place)
                builder.store(builder.add(number, n_out), row)
            for pixel, places in enumerate(sums):
                start = builder.add(base, builder.mul(pitch, constant(pixel)))
                for place, offset in zip(places, offsets, strict=True):
                    into.write(builder.load(place), builder.add(start, offset))
            return context.get_dummy_value()

        return types.void(current, base, pitch, weight, bias, x, x_at, steps, n_out, at), generate

    return tile


_binary_44, _binary_41, _binary_11 = (
    _dense_tile(n_pixels, n_vectors, is_binary=True) for n_pixels, n_vectors in ((4, 4), (4, 1), (1, 1))
)
_graded_44, _graded_41, _graded_11 = (
    _dense_tile(n_pixels, n_vectors, is_binary=False) for n_pixels, n_vectors in ((4, 4), (4, 1), (1, 1))
)


@njit(cache=True, **PART)
def sum_dense(
    current: Floats,
    weight: Floats,
    bias: Floats,
    x: Floats,
    start: U,
    steps: Int64s,
    sizes: tuple[int, int, int],
    is_binary: bool,
) -> None:
    """Write the currents of a row of output pixels to the front of `current`: every input times its row of weights.

    ``start``: first input of the first pixel; ``steps``: int64 (tap rows, their distance in `x`, tap columns, theirs,
    inputs of a tap, distance of two pixels); ``sizes``: output pixels of the row, pitch, output channels.
    """
    n_pixels, pitch, n_out = sizes[0], U(sizes[1]), U(sizes[2])
    if n_pixels < 4:
        for pixel in range(n_pixels):
            base, x_at = U(pixel) * pitch, start + U(pixel * steps[5])
            at = U(0)
            while at < n_out:
                if is_binary:
                    _binary_11(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)
                else:
                    _graded_11(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)
                at += U(16)
        return
    for first in range(0, n_pixels, 4):
        pixel = min(first, n_pixels - 4)  # the last four may be computed twice
        base, x_at = U(pixel) * pitch, start + U(pixel * steps[5])
        at = U(0)
        while at + U(64) <= n_out:
            if is_binary:
                _binary_44(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)
            else:
                _graded_44(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)
            at += U(64)
        while at < n_out:
            if is_binary:
                _binary_41(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)
            else:
                _graded_41(current, base, pitch, weight, bias, x, x_at, steps, n_out, at)
            at += U(16)
