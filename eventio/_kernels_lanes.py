"""
Eight int64 side by side as one value.

`Lanes` take +, -, &, |, << and >> (which shifts zeros in) with other lanes or with a number, lane by lane: a formula
of a kernel serves one word or eight.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import config as untyped_config
from numba.core.typing import templates as untyped_templates
from numba.extending import intrinsic, models, register_model
from numba.extending import lower_builtin as untyped_lower_builtin

N_LANES = 8
config: Any = untyped_config
_tuple_of: Any = types.UniTuple
templates: Any = untyped_templates
lower_builtin: Any = untyped_lower_builtin
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_LONGS, _WORDS = ir.VectorType(_I64, N_LANES), ir.VectorType(_I32, N_LANES)


class _LanesType(types.Type):
    """The numba type of `Lanes`."""

    def __init__(self) -> None:
        super().__init__(name="int64x8")


Lanes: Any = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _LONGS)  # type: ignore[no-untyped-call]


def _spread(builder: Any, value: Any) -> Any:
    """Give a vector with one value in all lanes."""
    nothing = ir.Constant(_LONGS, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_WORDS, None))


def _define(operation: Any, instruction: str) -> None:
    """Let numba know an operator between lanes and lanes, or lanes and a number."""

    class Typing(templates.AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            del kws
            if len(args) != 2 or not isinstance(args[0], _LanesType):
                return None
            if isinstance(args[1], _LanesType):
                return templates.signature(Lanes, Lanes, Lanes)
            return (
                templates.signature(Lanes, Lanes, types.int64) if isinstance(args[1], types.Integer) else None
            )

    def of_lanes(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return getattr(builder, instruction)(*arguments)

    def of_number(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return getattr(builder, instruction)(arguments[0], _spread(builder, arguments[1]))

    templates.infer_global(operation)(Typing)
    lower_builtin(operation, Lanes, Lanes)(of_lanes)
    lower_builtin(operation, Lanes, types.int64)(of_number)


for _operation, _instruction in (
    (operator.add, "add"),
    (operator.sub, "sub"),
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.lshift, "shl"),
    (operator.rshift, "lshr"),
):
    _define(_operation, _instruction)


def address_of(
    context: Any, builder: Any, kind: Any, array: Any, at: Any, sizes: tuple[int, int, int]
) -> Any:
    """Give the address of an item; sizes are its bytes, how many items are touched, and the parts of an item."""
    n_bytes, n_touched, n_parts = sizes
    found = context.make_array(kind)(context, builder, array)
    if config.BOUNDSCHECK:
        end = builder.mul(builder.add(at, ir.Constant(_I64, n_touched)), ir.Constant(_I64, n_parts))
        with builder.if_then(builder.icmp_unsigned(">", end, found.nitems), likely=False):
            trap = builder.module.declare_intrinsic("llvm.trap", fnty=ir.FunctionType(ir.VoidType(), []))
            builder.call(trap, [])
    first = builder.bitcast(found.data, _I8.as_pointer())
    return builder.gep(first, [builder.mul(at, ir.Constant(_I64, n_bytes))])


def _spread_number(typing: Any, value: Any) -> Any:
    """Give a number in all lanes."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return _spread(builder, arguments[0])

    return Lanes(types.int64), generate


def _load_words(typing: Any, words: Any, at: Any) -> Any:
    """Read eight words from place `at` of an array of uint32, shape (n,), as numbers >= 0."""
    del typing, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], arguments[0], arguments[1], (4, N_LANES, 1))
        return builder.zext(builder.load(builder.bitcast(address, _WORDS.as_pointer()), align=1), _LONGS)

    return Lanes(words, types.int64), generate


def _load_pairs(typing: Any, words: Any, at: Any) -> Any:
    """Read eight pairs from place `at` of an array of uint32, shape (n, 2): `first | second << 32`."""
    del typing, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], arguments[0], arguments[1], (8, N_LANES, 2))
        return builder.load(builder.bitcast(address, _LONGS.as_pointer()), align=1)

    return Lanes(words, types.int64), generate


def _swap_lanes(typing: Any, value: Any) -> Any:
    """Give the eight bytes of each lane in the other order."""
    del typing, value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        kind = ir.FunctionType(_LONGS, [_LONGS])
        swap = builder.module.declare_intrinsic("llvm.bswap.v8i64", fnty=kind)
        return builder.call(swap, arguments)

    return Lanes(Lanes), generate


def _join(name: str, note: str) -> Any:
    def join(typing: Any, value: Any) -> Any:
        del typing, value

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            kind = ir.FunctionType(_I64, [_LONGS])
            reduce = builder.module.declare_intrinsic(f"llvm.vector.reduce.{name}.v8i64", fnty=kind)
            return builder.call(reduce, arguments)

        return types.int64(Lanes), generate

    join.__doc__ = note
    return intrinsic(join)


def _load_sixteen(builder: Any, address: Any, offset: int) -> Any:
    """Read 16 words from a byte on."""
    kind = ir.VectorType(_I32, 2 * N_LANES)
    place = builder.gep(address, [ir.Constant(_I64, offset)])
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=1)


def _fill_sixteen(value: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, 2 * N_LANES), [value] * (2 * N_LANES))


def _rise_by_bits(typing: Any, words: Any, at: Any) -> Any:
    """
    Whether 64 words (uint32, shape (n,)) from place `at` on are less than 2**29 and their bits 22 to 27 never fall.

    Neither from the word before.
    """
    del typing, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], arguments[0], arguments[1], (4, 64, 1))
        odd = ir.Constant(ir.VectorType(ir.IntType(1), 2 * N_LANES), None)
        shift, below = _fill_sixteen(4), _fill_sixteen((1 << 26) - 1)
        for k in range(0, 4 * 64, 64):
            word, before = _load_sixteen(builder, address, k), _load_sixteen(builder, address, k - 4)
            odd = builder.or_(odd, builder.icmp_unsigned(">=", word, _fill_sixteen(1 << 29)))
            most = builder.or_(builder.shl(word, shift), below)
            odd = builder.or_(odd, builder.icmp_unsigned("<", most, builder.shl(before, shift)))
        flags = builder.bitcast(odd, ir.IntType(2 * N_LANES))
        return builder.icmp_unsigned("==", flags, ir.Constant(flags.type, 0))

    return types.boolean(words, types.int64), generate


def _rise_in_pairs(typing: Any, words: Any, at: Any) -> Any:
    """
    Whether the first of 64 pairs (uint32, shape (n, 2)) from place `at` on never falls, nor rises by 2**31 or more.

    Neither from the one before.
    """
    del typing, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = address_of(context, builder, signature.args[0], arguments[0], arguments[1], (8, 64, 2))
        odd = ir.Constant(ir.VectorType(ir.IntType(1), 2 * N_LANES), None)
        for k in range(0, 8 * 64, 64):
            pair, before = _load_sixteen(builder, address, k), _load_sixteen(builder, address, k - 8)
            step = builder.sub(pair, before)
            odd = builder.or_(odd, builder.icmp_unsigned("<", pair, before))
            odd = builder.or_(odd, builder.icmp_signed("<", step, _fill_sixteen(0)))
        flags = builder.bitcast(odd, ir.IntType(2 * N_LANES))
        firsts = builder.and_(flags, ir.Constant(flags.type, 0x5555))
        return builder.icmp_unsigned("==", firsts, ir.Constant(flags.type, 0))

    return types.boolean(words, types.int64), generate


def _near_eight(typing: Any, points: Any, at: Any, centre: Any, reach: Any) -> Any:
    """
    Say which of eight points from place `at` on lie near a centre, as bits 0 to 7, and which are too old, as 8 to 15.

    points are int64, shape (n, 2): t and, in the lower half, `x | y << 16`; centre is (t, x, y), reach (speed, limit)
    in float64: near is dx * dx + dy * dy + dt * dt <= limit, added from the left, too old dt * dt > limit, where dt
    is times speed.
    """
    del typing, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        points, at, centre, reach = arguments
        numbers = ir.VectorType(ir.DoubleType(), N_LANES)
        nothing, first = ir.Constant(numbers, ir.Undefined), ir.Constant(_I32, 0)

        def part(group: Any, k: int) -> Any:
            return builder.extract_value(group, k)

        def wide(value: Any) -> Any:
            one = builder.insert_element(nothing, value, first)
            return builder.shuffle_vector(one, nothing, ir.Constant(_WORDS, None))

        pairs = ir.VectorType(_I64, 2 * N_LANES)
        source = address_of(context, builder, signature.args[0], points, at, (16, N_LANES, 2))
        read = builder.load(builder.bitcast(source, pairs.as_pointer()), align=8)
        t, xy = (
            builder.shuffle_vector(read, read, ir.Constant(_WORDS, list(range(k, 2 * N_LANES, 2))))
            for k in (0, 1)
        )
        xy = builder.and_(xy, _spread(builder, ir.Constant(_I64, 0xFFFFFFFF)))
        x = builder.and_(xy, _spread(builder, ir.Constant(_I64, 0xFFFF)))
        y = builder.lshr(xy, _spread(builder, ir.Constant(_I64, 16)))
        dt, dx, dy = (
            builder.sitofp(builder.sub(_spread(builder, part(centre, k)), value), numbers)
            for k, value in enumerate((t, x, y))
        )
        dt = builder.fmul(dt, wide(part(reach, 0)))
        age, limit = builder.fmul(dt, dt), wide(part(reach, 1))
        far = builder.fadd(builder.fadd(builder.fmul(dx, dx), builder.fmul(dy, dy)), age)
        bits = [
            builder.zext(builder.bitcast(builder.fcmp_ordered(sign, value, limit), _I8), _I64)
            for sign, value in (("<=", far), (">", age))
        ]
        return builder.or_(bits[0], builder.shl(bits[1], ir.Constant(_I64, 8)))

    whole, real = _tuple_of(types.int64, 3), _tuple_of(types.float64, 2)
    return types.int64(points, types.int64, whole, real), generate


spread: Any = intrinsic(_spread_number)
load_words: Any = intrinsic(_load_words)
load_pairs: Any = intrinsic(_load_pairs)
swap_lanes: Any = intrinsic(_swap_lanes)
join_or: Any = _join("or", "Give the OR of all lanes.")
join_and: Any = _join("and", "Give the AND of all lanes.")
near_eight: Any = intrinsic(_near_eight)
rise_by_bits: Any = intrinsic(_rise_by_bits)
rise_in_pairs: Any = intrinsic(_rise_in_pairs)
