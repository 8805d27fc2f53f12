"""Sixteen float32 side by side as one value, for kernels that cannot wait for LLVM to find them.

A `Vector` lives in a register (one on AVX-512, two on AVX2, four on NEON). All arithmetic is rounded lane by
lane, nothing is contracted or reordered. Arrays are read and written at any element, without bounds checks: the
caller keeps 16 places from the last offset, or names the lanes that are meant.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import config as untyped_config
from numba.extending import intrinsic as untyped_intrinsic
from numba.extending import models, register_model

__all__ = [
    "LANES",
    "above",
    "add",
    "copy_shifted",
    "count_down",
    "differs",
    "divide",
    "load",
    "load_lanes",
    "lowest_bit",
    "multiply",
    "reaches",
    "select",
    "splat",
    "store",
    "store_counts",
    "store_lanes",
    "subtract",
    "zeros",
]

LANES = 16
intrinsic: Any = untyped_intrinsic
config: Any = untyped_config
FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)


class _VectorType(types.Type):
    """The numba type of a `Vector`."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


Vector = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, FLOATS)


class Memory:
    """The elements of an array, for intrinsics that read and write several at once.

    With ``NUMBA_BOUNDSCHECK=1`` an access outside the array ends the program.
    """

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any) -> None:
        found = context.make_array(array_type)(context, builder, array)
        self._builder, self._data, self._n_items = builder, found.data, found.nitems

    def at(self, offset: Any, kind: Any, *, n_used: int | None = None) -> Any:
        """Return the address of a vector (or of a number) that begins at an element."""
        if config.BOUNDSCHECK:
            n_items = n_used if n_used is not None else getattr(kind, "count", 1)
            end = self._builder.add(offset, ir.Constant(offset.type, n_items))
            with self._builder.if_then(self._builder.icmp_unsigned(">", end, self._n_items), likely=False):
                trap = self._builder.module.declare_intrinsic(
                    "llvm.trap", fnty=ir.FunctionType(ir.VoidType(), [])
                )
                self._builder.call(trap, [])
        return self._builder.bitcast(self._builder.gep(self._data, [offset]), kind.as_pointer())

    def read(self, offset: Any, kind: Any, *, align: int = 4) -> Any:
        """Return a vector (or a number) from memory."""
        return self._builder.load(self.at(offset, kind), align=align)

    def write(self, value: Any, offset: Any, *, align: int = 4) -> None:
        """Write a vector to memory."""
        self._builder.store(value, self.at(offset, value.type), align=align)


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """Return a vector with one value in all lanes."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, kind.count), None)
    return builder.shuffle_vector(first, nothing, zeros)


def _lanes(builder: Any, bits: Any) -> Any:
    return builder.bitcast(builder.trunc(bits, _I16), _BITS)


def _as_bits(builder: Any, lanes: Any) -> Any:
    return builder.zext(builder.bitcast(lanes, _I16), _I32)


@intrinsic
def load(typing: Any, array: Any, at: Any) -> Any:
    """Read 16 floats from element `at` (uint64)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return Memory(context, builder, signature.args[0], arguments[0]).read(arguments[1], FLOATS)

    return Vector(array, at), generate


@intrinsic
def store(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write 16 floats from element `at` (uint64) on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        Memory(context, builder, signature.args[0], arguments[0]).write(arguments[2], arguments[1])
        return context.get_dummy_value()

    return types.void(array, at, vector), generate


@intrinsic
def load_lanes(typing: Any, array: Any, at: Any, bits: Any) -> Any:
    """Read the lanes whose bit is set (uint32), 0 in the others; nothing else is touched."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = Memory(context, builder, signature.args[0], arguments[0])
        address = memory.at(arguments[1], FLOATS, n_used=1)
        kinds = [FLOATS.as_pointer(), _I32, _BITS, FLOATS]
        function = builder.module.declare_intrinsic(
            "llvm.masked.load.v16f32.p0", fnty=ir.FunctionType(FLOATS, kinds)
        )
        lanes = _lanes(builder, arguments[2])
        return builder.call(function, [address, ir.Constant(_I32, 4), lanes, ir.Constant(FLOATS, None)])

    return Vector(array, at, bits), generate


@intrinsic
def store_lanes(typing: Any, array: Any, at: Any, vector: Any, bits: Any) -> Any:
    """Write the lanes whose bit is set (uint32)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = Memory(context, builder, signature.args[0], arguments[0])
        address = memory.at(arguments[1], FLOATS, n_used=1)
        kinds = [FLOATS, FLOATS.as_pointer(), _I32, _BITS]
        function = builder.module.declare_intrinsic(
            "llvm.masked.store.v16f32.p0", fnty=ir.FunctionType(ir.VoidType(), kinds)
        )
        builder.call(function, [arguments[2], address, ir.Constant(_I32, 4), _lanes(builder, arguments[3])])
        return context.get_dummy_value()

    return types.void(array, at, vector, bits), generate


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """Return a float32 in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return spread(builder, arguments[0], FLOATS)

    return Vector(types.float32), generate


def _binary(instruction: str) -> Any:
    @intrinsic
    def operation(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments)

        return Vector(Vector, Vector), generate

    return operation


add, subtract, multiply, divide = _binary("fadd"), _binary("fsub"), _binary("fmul"), _binary("fdiv")


@intrinsic
def above(typing: Any, a: Any, b: Any) -> Any:
    """Return a bit (of a uint32) for each lane with a > b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _as_bits(builder, builder.fcmp_ordered(">", *arguments))

    return types.uint32(Vector, Vector), generate


@intrinsic
def differs(typing: Any, a: Any, b: Any) -> Any:
    """Return a bit (of a uint32) for each lane with a != b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _as_bits(builder, builder.fcmp_unordered("!=", *arguments))

    return types.uint32(Vector, Vector), generate


@intrinsic
def zeros(typing: Any, array: Any, at: Any) -> Any:
    """Return a bit (of a uint32) for each of 16 bytes from element `at` (uint64) that is 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = Memory(context, builder, signature.args[0], arguments[0])
        found = memory.read(arguments[1], _BYTES, align=1)
        return _as_bits(builder, builder.icmp_unsigned("==", found, ir.Constant(_BYTES, None)))

    return types.uint32(array, at), generate


@intrinsic
def count_down(typing: Any, array: Any, at: Any) -> Any:
    """Return a bit (of a uint64) for each of 64 bytes from element `at` (uint64) that is 0; take 1 from the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), 64)
        memory = Memory(context, builder, signature.args[0], arguments[0])
        found = memory.read(arguments[1], kind, align=1)
        kinds = ir.FunctionType(kind, [kind, kind])
        less = builder.module.declare_intrinsic("llvm.usub.sat.v64i8", fnty=kinds)
        memory.write(builder.call(less, [found, ir.Constant(kind, [1] * 64)]), arguments[1], align=1)
        return builder.bitcast(builder.icmp_unsigned("==", found, ir.Constant(kind, None)), _I64)

    return types.uint64(array, at), generate


@intrinsic
def reaches(typing: Any, array: Any, at: Any, least: Any, least_at: Any) -> Any:
    """Return a bit (of a uint32) for each of 16 uint32 that is not smaller than another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, limits = (
            Memory(context, builder, signature.args[k], arguments[k]).read(arguments[k + 1], _INTS)
            for k in (0, 2)
        )
        return _as_bits(builder, builder.icmp_unsigned(">=", values, limits))

    return types.uint32(array, at, least, least_at), generate


@intrinsic
def store_counts(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write 16 floats that are whole numbers >= 0 as uint32 from element `at` (uint64) on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counts = builder.fptoui(arguments[2], _INTS)
        Memory(context, builder, signature.args[0], arguments[0]).write(counts, arguments[1])
        return context.get_dummy_value()

    return types.void(array, at, vector), generate


@intrinsic
def lowest_bit(typing: Any, bits: Any) -> Any:
    """Return the place of the lowest bit that is set in a uint64 other than 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def select(typing: Any, bits: Any, a: Any, b: Any) -> Any:
    """Return `a` in the lanes whose bit is set, `b` in the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(_lanes(builder, arguments[0]), arguments[1], arguments[2])

    return Vector(types.uint32, Vector, Vector), generate


@intrinsic
def copy_shifted(typing: Any, row: Any, to: Any, index: Any, source: Any, shift: Any) -> Any:
    """Write ``index[source + k] + shift`` (int32) to ``row[to + k]`` for sixteen k."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, listed = (Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 2))
        by = spread(builder, builder.trunc(arguments[4], _I32), _INTS)
        into.write(builder.add(listed.read(arguments[3], _INTS), by), arguments[1])
        return context.get_dummy_value()

    return types.void(row, types.uint64, index, types.uint64, types.int64), generate
