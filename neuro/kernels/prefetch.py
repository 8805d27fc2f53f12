"""Asking for memory before it is needed."""

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic as untyped_intrinsic

intrinsic: Any = untyped_intrinsic


@intrinsic
def prefetch(_typing: Any, array: Any, at: Any) -> Any:
    """Start to load the line of an array's entry into the cache; changes nothing else."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        word = cgutils.int32_t
        ir: Any = cgutils.ir  # type: ignore[attr-defined]
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        find: Any = cgutils.get_or_insert_function
        function = find(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, word(1), word(3), word(1)])  # to write, keep, data
        return context.get_dummy_value()

    return types.none(array, at), generate
