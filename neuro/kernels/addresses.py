"""Arrays by their address, for kernels that run what was prepared in a table: unpacking objects takes longer.

A row of a table holds numbers in its first `FIRST` places, then the address and the size of arrays; array k stands
at ``FIRST + 2 * k``. Whoever writes an address keeps the array alive and in its place. Reading past the end is found as
in any other array.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as untyped_intrinsic

__all__ = ["FIRST", "bytes_at", "floats_at", "int32s_at", "int64s_at", "signed_at", "words_at"]

FIRST = 12
intrinsic: Any = untyped_intrinsic
_I64 = ir.IntType(64)


def _reader(dtype: Any) -> Any:
    """Make ``array_at(row, k)`` for arrays of a kind."""
    kind = types.Array(dtype, 1, "C")

    @intrinsic
    def array_at(typing: Any, row: Any, k: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            from numba.np import arrayobj as untyped  # a part of the compiler, which only compiling needs

            arrayobj: Any = untyped
            row_array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.add(builder.shl(arguments[1], ir.Constant(_I64, 1)), ir.Constant(_I64, FIRST))
            one = ir.Constant(_I64, 1)
            address = builder.load(builder.gep(row_array.data, [place]))
            size = builder.load(builder.gep(row_array.data, [builder.add(place, one)]))
            array = context.make_array(kind)(context, builder)
            width = context.get_constant(types.intp, dtype.bitwidth // 8)
            arrayobj.populate_array(
                array,
                data=builder.inttoptr(address, array.data.type),
                shape=[size],
                strides=[width],
                itemsize=width,
                meminfo=None,
            )
            return array._getvalue()

        return kind(row, types.int64), generate

    return array_at


floats_at = _reader(types.float32)
int32s_at = _reader(types.int32)
int64s_at = _reader(types.int64)
bytes_at = _reader(types.uint8)
signed_at = _reader(types.int8)
words_at = _reader(types.uint64)
