"""Threads that share work without locks: numbers that several threads read and write, and giving way.

Threads may be interrupted at any point, and their cores may be busy with something else. So nobody is waited for
that has not begun: parts of the work are claimed one by one, and the thread that leads does what nobody has claimed.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic as untyped_intrinsic

from neuro.kernels.options import INLINED, njit
from neuro.kernels.vectors import Memory

__all__ = ["claim", "give_way", "publish", "see", "wait_for"]

SPINS = 20_000  # looks (some 20 us) before a waiting thread gives way
intrinsic: Any = untyped_intrinsic
cgutils: Any = untyped_cgutils
_I64 = ir.IntType(64)
_YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"


@intrinsic
def see(typing: Any, array: Any, at: Any) -> Any:
    """Return an int64 that another thread may write, and see all that it wrote before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = Memory(context, builder, signature.args[0], arguments[0]).at(arguments[1], _I64)
        return builder.load_atomic(address, "acquire", 8)

    return types.int64(array, types.uint64), generate


@intrinsic
def publish(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Write an int64; who sees it also sees all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = Memory(context, builder, signature.args[0], arguments[0]).at(arguments[1], _I64)
        builder.store_atomic(arguments[2], address, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.int64), generate


@intrinsic
def claim(typing: Any, array: Any, at: Any, expected: Any, value: Any) -> Any:
    """Write an int64 where it is as expected, as one operation; return whether it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = Memory(context, builder, signature.args[0], arguments[0]).at(arguments[1], _I64)
        pair = builder.cmpxchg(address, arguments[2], arguments[3], "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(array, types.uint64, types.int64, types.int64), generate


@intrinsic
def give_way(typing: Any) -> Any:
    """Let another thread have the core."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@njit(cache=True, **INLINED)
def wait_for(array: Any, at: int, least: int, most_looks: int) -> int:
    """Look until a number is at least as large as asked, or too often; return how often."""
    n = 0
    while see(array, at) < least and n < most_looks:
        n += 1
        if n > SPINS:
            give_way()
    return n
