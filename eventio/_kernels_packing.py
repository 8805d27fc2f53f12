"""
Events written by few stores.

An event is given as its time and `rest`, which is `x | y << 16 | p << 32`. Written alone, its 16 bytes reach three
bytes into the next event, which therefore is written later or is spare room. Where the processor moves single bytes
as it likes (`PERMUTES_BYTES`), eight events are put together in registers; 64 events are 13 lines of its cache, and
written whole from the beginning of a line on they take the least time. They go past the cache, unless the system
has yet to fill the memory with zeros: those are in the cache.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import config as untyped_config
from numba.extending import intrinsic

from eventio._kernels import UNCOUNTED
from eventio._kernels_bits import count_bits, lowest_bit
from eventio._kernels_lanes import N_LANES, Lanes, address_of

EVENT_BYTES = 13
LINE_BYTES = 64
N_LINE_EVENTS = 64
"""Events after which one begins at a line of the cache again."""
LINE_STEP = 5
"""EVENT_BYTES * LINE_STEP is one more than a line."""
AHEAD = 384
"""How many events before its turn memory is brought into the cache: 4 KiB at least, which is how far processors look
ahead by themselves, and often they do not. It saved a tenth of the time of reading, a third of that of filters."""
config: Any = untyped_config
_tuple_of: Any = types.UniTuple
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_PAIR, _LINE = ir.VectorType(_I64, 2), ir.VectorType(_I8, LINE_BYTES)
_LONGS, _EIGHT_WORDS = ir.VectorType(_I64, N_LANES), ir.VectorType(_I32, N_LANES)


Sources = list[tuple[int, int, bool]]
"""Of each byte of an event: in which of a group's values it is, at which byte of a lane, or of the whole value."""
_PAIRED: Sources = [(byte // 8, byte % 8, True) for byte in range(EVENT_BYTES)]
"""Of events given as time and `rest`."""
_MARKED: Sources = [
    (0, 5, True),
    *((0, k // 2 * 8 + 6 + k % 2, False) for k in range(1, 8)),
    *((0, k, True) for k in range(5)),
]
"""Of `rest | lowest byte of time << 40`, with the other bytes of time in the bytes 6 and 7 of the first four lanes."""
_TIMED: Sources = [
    *((0, k, True) for k in range(4)),
    *((1, k // 2 * 8 + 6 + k % 2, False) for k in range(4)),
    *((1, k, True) for k in range(5)),
]
"""Of pairs of time (32 bits) and anything, and `rest` with the four upper bytes of time in the first two lanes."""


def _permutes_bytes() -> bool:
    """Say whether the processor that kernels are made for moves single bytes of 64 as it likes (AVX512-VBMI)."""
    if config.CPU_FEATURES is not None:
        return "+avx512vbmi" in config.CPU_FEATURES.split(",")
    return config.CPU_NAME is None and bool(binding.get_host_cpu_features().get("avx512vbmi", False))


PERMUTES_BYTES = _permutes_bytes()


def _pick(builder: Any, values: list[Any], places: list[int]) -> Any:
    """Give a line whose bytes come from places of one or two values, each of 64 bytes."""
    both = [builder.bitcast(value, _LINE) for value in (*values, values[0])[:2]]
    return builder.shuffle_vector(*both, ir.Constant(ir.VectorType(_I32, LINE_BYTES), places))


def _line(builder: Any, groups: list[list[Any]], number: int, sources: Sources) -> Any:
    """Give a line of the packed events of groups of eight; what lies behind them is anything."""
    places: dict[int, list[int]] = {}
    mine: list[int] = []
    for k in range(LINE_BYTES):
        event, byte = divmod(number * LINE_BYTES + k, EVENT_BYTES)
        group, lane = min(event // N_LANES, len(groups) - 1), event % N_LANES
        value, at, is_of_lane = sources[byte]
        mine.append(group)
        places.setdefault(group, [0] * LINE_BYTES)[k] = value * LINE_BYTES + at + lane * 8 * is_of_lane
    first, last = min(places), max(places)
    line = _pick(builder, groups[first], places[first])
    if first == last:
        return line
    other = _pick(builder, groups[last], places[last])
    return _pick(builder, [line, other], [k + LINE_BYTES * (mine[k] == last) for k in range(LINE_BYTES)])


def _store(builder: Any, value: Any, address: Any, offset: int) -> None:
    place = builder.gep(address, [ir.Constant(_I64, offset)])
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=1)


def _store_past(builder: Any, line: Any, address: Any, offset: int) -> None:
    """Write a line of the cache, at its beginning, past the cache."""
    place = builder.gep(address, [ir.Constant(_I64, offset)])
    store = builder.store(line, builder.bitcast(place, _LINE.as_pointer()), align=LINE_BYTES)
    store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_I32, 1)]))


def _fetch(builder: Any, address: Any, *, is_written: bool) -> None:
    """Have a line brought into the cache; of an address where no memory is nothing comes."""
    kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
    fetch = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
    builder.call(fetch, [address, *(ir.Constant(_I32, value) for value in (int(is_written), 3, 1))])


def _prepare(builder: Any, address: Any, n_lines: int) -> None:
    """Have the lines brought into the cache that will be written some time after those at an address."""
    for number in range(n_lines):
        place = builder.gep(address, [ir.Constant(_I64, EVENT_BYTES * AHEAD + number * LINE_BYTES)])
        _fetch(builder, place, is_written=True)


def _store_eight(builder: Any, address: Any, t: Any, rest: Any) -> None:
    """Write eight events."""
    if not PERMUTES_BYTES:
        for k in range(N_LANES):
            both = builder.shuffle_vector(t, rest, ir.Constant(ir.VectorType(_I32, 2), [k, N_LANES + k]))
            _store(builder, both, address, k * EVENT_BYTES)
        return
    _store(builder, _line(builder, [[t, rest]], 0, _PAIRED), address, 0)
    flags = ir.VectorType(ir.IntType(1), LINE_BYTES)
    kind = ir.FunctionType(ir.VoidType(), [_LINE, _LINE.as_pointer(), _I32, flags])
    store = builder.module.declare_intrinsic("llvm.masked.store.v64i8.p0", fnty=kind)
    place = builder.bitcast(builder.gep(address, [ir.Constant(_I64, LINE_BYTES)]), _LINE.as_pointer())
    is_event = ir.Constant(flags, [k < N_LANES * EVENT_BYTES - LINE_BYTES for k in range(LINE_BYTES)])
    builder.call(store, [_line(builder, [[t, rest]], 1, _PAIRED), place, ir.Constant(_I32, 1), is_event])


def _put_eight(typing: Any, events: Any, at: Any, t: Any, rest: Any) -> Any:
    """Write eight events of a packed array from place `at` on; one more has to be spare."""
    del typing, at, t, rest

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        events, at, t, rest = arguments
        address = address_of(context, builder, signature.args[0], events, at, (EVENT_BYTES, N_LANES + 1, 1))
        _prepare(builder, address, 2)
        _store_eight(builder, address, t, rest)
        return context.get_dummy_value()

    return types.void(events, types.int64, Lanes, Lanes), generate


def _put_lines(sources: Sources, note: str) -> Any:
    """Define how 64 events are written."""

    def put_lines(typing: Any, events: Any, at: Any, values: Any, is_past: Any) -> Any:
        del typing, at, values, is_past
        n_values = 1 + max(value for value, _, _ in sources)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            events, at, values, is_past = arguments
            sizes = (EVENT_BYTES, N_LINE_EVENTS, 1)
            address = address_of(context, builder, signature.args[0], events, at, sizes)
            each = [builder.extract_value(values, k) for k in range(n_values * N_LINE_EVENTS // N_LANES)]
            groups = [each[k : k + n_values] for k in range(0, len(each), n_values)]
            lines = [_line(builder, groups, number, sources) for number in range(EVENT_BYTES)]
            with builder.if_else(builder.icmp_signed("!=", is_past, ir.Constant(_I64, 0))) as (past, through):
                with past:
                    for number, line in enumerate(lines):
                        _store_past(builder, line, address, number * LINE_BYTES)
                with through:
                    _prepare(builder, address, EVENT_BYTES)
                    for number, line in enumerate(lines):
                        _store(builder, line, address, number * LINE_BYTES)
            return context.get_dummy_value()

        many = _tuple_of(Lanes, n_values * N_LINE_EVENTS // N_LANES)
        return types.void(events, types.int64, many, types.int64), generate

    put_lines.__doc__ = note
    return intrinsic(put_lines)


def pick_bytes(offsets: tuple[int, ...]) -> Any:
    """Define how the bytes of lanes are made from bits of them, 8 from each offset on, around the end."""

    def pick(typing: Any, value: Any) -> Any:
        del typing, value

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            if not PERMUTES_BYTES:  # never run
                return arguments[0]
            kind = ir.FunctionType(_LINE, [_LINE, _LINE])
            name = "llvm.x86.avx512.pmultishift.qb.512"
            shift = builder.module.declare_intrinsic(name, fnty=kind)
            given = builder.bitcast(arguments[0], _LINE)
            picked = builder.call(shift, [ir.Constant(_LINE, list(offsets) * N_LANES), given])
            return builder.bitcast(picked, _LONGS)

        return Lanes(Lanes), generate

    pick.__doc__ = f"Give lanes whose bytes begin at the bits {offsets} of each lane."
    return intrinsic(pick)


def _greatest(typing: Any, one: Any, other: Any) -> Any:
    """Give the greater of each two numbers of 16 bits, four in a lane."""
    del typing, one, other

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        numbers = ir.VectorType(ir.IntType(16), 4 * N_LANES)
        greatest = builder.module.declare_intrinsic(
            "llvm.umax.v32i16", fnty=ir.FunctionType(numbers, [numbers, numbers])
        )
        both = [builder.bitcast(value, numbers) for value in arguments]
        return builder.bitcast(builder.call(greatest, both), _LONGS)

    return Lanes(Lanes, Lanes), generate


def _join_greatest(typing: Any, value: Any) -> Any:
    """Give the greatest of the lowest 16 bits of all lanes, and of the 16 above them where they are."""
    del typing, value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        short = ir.IntType(16)
        many, few = ir.VectorType(short, 4 * N_LANES), ir.VectorType(short, N_LANES)
        reduce = builder.module.declare_intrinsic(
            "llvm.vector.reduce.umax.v8i16", fnty=ir.FunctionType(short, [few])
        )
        numbers = builder.bitcast(arguments[0], many)
        places = [list(range(k, 4 * N_LANES, 4)) for k in (0, 1)]
        low, high = (
            builder.zext(
                builder.call(
                    reduce, [builder.shuffle_vector(numbers, numbers, ir.Constant(_EIGHT_WORDS, each))]
                ),
                _I64,
            )
            for each in places
        )
        return builder.or_(low, builder.shl(high, ir.Constant(_I64, 16)))

    return types.int64(Lanes), generate


def _mark_time(places: dict[int, int]) -> Any:
    """Define where in lanes the bytes of a time go."""

    def mark_time(typing: Any, t: Any) -> Any:
        del typing, t

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            nothing = ir.Constant(_LONGS, None)
            given = builder.insert_element(nothing, arguments[0], ir.Constant(_I32, 0))
            source = [places.get(k, LINE_BYTES) for k in range(LINE_BYTES)]
            return builder.bitcast(_pick(builder, [given, nothing], source), _LONGS)

        return Lanes(types.int64), generate

    mark_time.__doc__ = (
        f"Give lanes with the bytes {sorted(set(places.values()))} of a time where nothing else is."
    )
    return intrinsic(mark_time)


def _events_to_line(typing: Any, events: Any, at: Any) -> Any:
    """Return how many events from place `at` of a packed array on one begins at a line of the cache, 0 to 63."""
    del typing, at

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sizes = (EVENT_BYTES, 0, 1)
        address = address_of(context, builder, signature.args[0], arguments[0], arguments[1], sizes)
        number = builder.mul(builder.ptrtoint(address, _I64), ir.Constant(_I64, -LINE_STEP))
        return builder.and_(number, ir.Constant(_I64, LINE_BYTES - 1))

    return types.int64(events, types.int64), generate


def _prefetch(note: str, *, is_written: bool) -> Any:
    def prefetch(typing: Any, events: Any, at: Any) -> Any:
        del typing, at

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            first = builder.bitcast(array.data, _I8.as_pointer())
            place = builder.gep(first, [builder.mul(arguments[1], ir.Constant(_I64, EVENT_BYTES))])
            _fetch(builder, place, is_written=is_written)
            return context.get_dummy_value()

        return types.void(events, types.int64), generate

    prefetch.__doc__ = note
    return intrinsic(prefetch)


def _put(typing: Any, events: Any, at: Any, t: Any, rest: Any) -> Any:
    """Write one event of a packed array at place `at`; one more has to be spare."""
    del typing, at, t, rest

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        events, at, t, rest = arguments
        address = address_of(context, builder, signature.args[0], events, at, (EVENT_BYTES, 2, 1))
        for value, offset in ((t, 0), (rest, 8)):
            _store(builder, value, address, offset)
        return context.get_dummy_value()

    return types.void(events, types.int64, types.int64, types.int64), generate


put_eight: Any = intrinsic(_put_eight)
put_marked: Any = _put_lines(
    _MARKED,
    "Write 64 events, eight at a time in lanes as `_MARKED` says, from place `at` on, at which a line begins.",
)
put_timed: Any = _put_lines(
    _TIMED, "Do the same with two lanes for each eight, as `_TIMED` says: the time's, and the rest's."
)
mark_time: Any = _mark_time(
    {lane * 8 + 5: 0 for lane in range(N_LANES)} | {k // 2 * 8 + 6 + k % 2: k for k in range(1, 8)}
)
mark_upper_time: Any = _mark_time({k // 2 * 8 + 6 + k % 2: 4 + k for k in range(4)})
greatest: Any = intrinsic(_greatest)
join_greatest: Any = intrinsic(_join_greatest)
events_to_line: Any = intrinsic(_events_to_line)
put: Any = intrinsic(_put)
prefetch: Any = _prefetch(
    "Have an event of a packed array, which may lie behind its end, brought into the cache.", is_written=False
)
prefetch_room: Any = _prefetch("Do the same with what will be written.", is_written=True)


@numba.njit(cache=True, **UNCOUNTED)
def put_four(events: Any, at: int, t: Any, rest: Any, bits: Any) -> Any:
    """Write an event for each of the lowest four bits; return the next place and the other bits."""
    for k in range(4):
        put(events, at + k, t, rest + lowest_bit(bits))
        bits &= bits - np.uint32(1)
    return at + 4, bits


@numba.njit(cache=True, **UNCOUNTED)
def put_row(events: Any, at: int, t: Any, rest: Any, bits: Any, n_first: int) -> Any:
    """
    Write an event for each bit of a uint32 at place `at` on, its column higher by the bit's place; return the next.

    The first n_first, a multiple of four, are written without a question, then four at a time, so that few decisions
    are taken; as many more have to be spare.
    """
    prefetch_room(events, at + AHEAD)
    stop = at + count_bits(bits)
    for _ in range(n_first // 4):
        at, bits = put_four(events, at, t, rest, bits)
    while at < stop:
        at, bits = put_four(events, at, t, rest, bits)
    return stop
