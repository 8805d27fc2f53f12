"""Bits of numbers, by one instruction of the processor each."""

from typing import Any

from numba import types
from numba.extending import intrinsic


def _lowest_bit(typing: Any, value: Any) -> Any:
    """Return the place of the lowest bit set in a uint32, 0 to 31, as int64; 32 where none is."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        place = builder.cttz(arguments[0], context.get_constant(types.boolean, False))
        return builder.zext(place, context.get_value_type(types.int64))

    return types.int64(types.uint32), generate


def _highest_bit(typing: Any, value: Any) -> Any:
    """Return the place of the highest bit set in a uint32, 0 to 31, as int64; -1 where none is."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        n_zeros = builder.ctlz(arguments[0], context.get_constant(types.boolean, False))
        wide = builder.zext(n_zeros, context.get_value_type(types.int64))
        return builder.sub(context.get_constant(types.int64, 31), wide)

    return types.int64(types.uint32), generate


def _count_bits(typing: Any, value: Any) -> Any:
    """Return how many bits of a uint32 are set, as int64."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        return builder.zext(builder.ctpop(arguments[0]), context.get_value_type(types.int64))

    return types.int64(types.uint32), generate


def _swap_bytes(typing: Any, value: Any) -> Any:
    """Return a uint32 with its four bytes in the other order, as int64."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        return builder.zext(builder.bswap(arguments[0]), context.get_value_type(types.int64))

    return types.int64(types.uint32), generate


lowest_bit: Any = intrinsic(_lowest_bit)
highest_bit: Any = intrinsic(_highest_bit)
count_bits: Any = intrinsic(_count_bits)
swap_bytes: Any = intrinsic(_swap_bytes)
