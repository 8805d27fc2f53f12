"""Lists of the bits that are set, without a branch for each: whether a neuron fires cannot be predicted.

Whole vectors are written, so that a list needs `SPARE` places behind its last entry. How the gaps between the bits are
closed depends on the processor: those of 64 bits at once, of 16, or of 8 with a table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types

from neuro.kernels.vectors import LANES, Memory, config, intrinsic, spread

__all__ = ["CLOSES_16", "CLOSES_64", "PLACES", "list_16", "list_64"]

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_INTS = ir.VectorType(_I32, LANES)

PLACES = np.zeros((256, 8), np.int8)  # the numbers of the bits that are set in a byte, ascending
for _byte in range(256):
    _set = [_bit for _bit in range(8) if _byte >> _bit & 1]
    PLACES[_byte, : len(_set)] = _set


def _has(feature: str) -> bool:
    """Whether the processor that is compiled for has a feature; one that is named is taken for a plain one."""
    is_host = config.CPU_NAME in {None, "", "host"}
    return is_host and bool(binding.get_host_cpu_features().get(feature, False))


CLOSES_16, CLOSES_64 = _has("avx512f"), _has("avx512vbmi2")


def _counted(builder: Any, bits: Any) -> Any:
    """Return how many bits are set, as 64 bits."""
    count = builder.module.declare_intrinsic(
        f"llvm.ctpop.i{bits.type.width}", fnty=ir.FunctionType(bits.type, [bits.type])
    )
    found = builder.call(count, [bits])
    return found if bits.type == _I64 else builder.zext(found, _I64)


def _packed(builder: Any, bits: Any, kind: Any) -> Any:
    """Return the numbers of the bits that are set, side by side at the front of a vector with a lane for each bit."""
    mask = ir.VectorType(ir.IntType(1), kind.count)
    name = f"llvm.experimental.vector.compress.v{kind.count}i{kind.element.width}"
    compress = builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind, mask, kind]))
    numbers = ir.Constant(kind, list(range(kind.count)))
    lanes = builder.bitcast(builder.trunc(bits, ir.IntType(kind.count)) if kind.count < 64 else bits, mask)
    return builder.call(compress, [numbers, lanes, ir.Constant(kind, None)])


def _write(builder: Any, memory: Memory, n: Any, first: Any, numbers: Any) -> None:
    """Write ``first + numbers`` to the list from place n on."""
    kind = ir.VectorType(_I32, numbers.type.count)
    wide = numbers if numbers.type == kind else builder.zext(numbers, kind)
    memory.write(builder.add(wide, spread(builder, builder.trunc(first, _I32), kind)), n)


def _list_16(builder: Any, memory: Memory, table: Memory, n: Any, first: Any, bits: Any) -> Any:
    """List 16 bits (of 32); return the new length."""
    if CLOSES_16:
        _write(builder, memory, n, first, _packed(builder, bits, _INTS))
        return builder.add(n, _counted(builder, bits))
    for half in range(2):
        byte = builder.and_(builder.lshr(bits, ir.Constant(_I32, 8 * half)), ir.Constant(_I32, 255))
        at = builder.shl(builder.zext(byte, _I64), ir.Constant(_I64, 3))
        numbers = table.read(at, ir.VectorType(_I8, 8), align=8)
        _write(builder, memory, n, builder.add(first, ir.Constant(_I64, 8 * half)), numbers)
        n = builder.add(n, _counted(builder, byte))
    return n


def _list_64(builder: Any, memory: Memory, n: Any, first: Any, bits: Any) -> Any:
    """List 64 bits; return the new length. Seldom are more than sixteen of them set."""
    packed, count = _packed(builder, bits, ir.VectorType(_I8, 64)), _counted(builder, bits)
    parts = [ir.Constant(_INTS, [LANES * k + lane for lane in range(LANES)]) for k in range(4)]
    _write(builder, memory, n, first, builder.shuffle_vector(packed, packed, parts[0]))
    with builder.if_then(builder.icmp_unsigned(">", count, ir.Constant(_I64, LANES)), likely=False):
        for k, part in enumerate(parts[1:], 1):
            place = builder.add(n, ir.Constant(_I64, LANES * k))
            _write(builder, memory, place, first, builder.shuffle_vector(packed, packed, part))
    return builder.add(n, count)


@intrinsic
def list_16(typing: Any, index: Any, n: Any, first: Any, bits: Any, places: Any) -> Any:
    """Write ``first + k`` for each bit k (of 16) that is set to ``index[n:]``; return the new n.

    ``places``: `PLACES`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory, table = (Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 4))
        return _list_16(builder, memory, table, *arguments[1:4])

    return types.uint64(index, types.uint64, types.uint64, types.uint32, places), generate


@intrinsic
def list_64(typing: Any, index: Any, n: Any, first: Any, bits: Any, places: Any) -> Any:
    """Write ``first + k`` for each bit k of 64 (uint64) that is set to ``index[n:]``; return the new n.

    Up to ``index[n + 63]`` anything may be written. ``places``: `PLACES`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory, table = (Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 4))
        n, first, bits = arguments[1:4]
        if CLOSES_64:
            return _list_64(builder, memory, n, first, bits)
        for lowest in range(0, 64, LANES):
            some = builder.and_(builder.lshr(bits, ir.Constant(_I64, lowest)), ir.Constant(_I64, 0xFFFF))
            start = builder.add(first, ir.Constant(_I64, lowest))
            n = _list_16(builder, memory, table, n, start, builder.trunc(some, _I32))
        return n

    return types.uint64(index, types.uint64, types.uint64, types.uint64, places), generate
