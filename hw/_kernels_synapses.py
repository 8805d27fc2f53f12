"""Integer kernels of synapses: a step's spikes add their weights to what arrives at a block of neurons.

Neurons are laid out channel-last, so that what a spike adds lies side by side. All weights of a network lie in one
array, and rows of them are padded with zeros to whole vectors. Every sum is exact: the caller has checked that none
can leave int32.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numpy.typing import NDArray

from neuro.kernels.options import PART, njit
from neuro.kernels.vectors import Memory, intrinsic, spread

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

LIMIT = 1 << 23  # the registers of u and v have 23 bits and a sign
MOST = 1 << 24  # a part's sums stay below this
TILE = 64  # neurons that are updated together
LANES = 16
DENSE, SPARSE, TAPS = 0, 1, 2

# columns of the table of parts
SOURCE, LAG, KIND, WEIGHTS, STARTS, ROWS, PITCH, N_OUT = 0, 1, 2, 3, 4, 5, 6, 7
DOWN, WRAPS, GRADED, BOUND, CHANNELS, COLUMNS = 8, 9, 10, 11, 12, 13
N_COLUMNS = 14


class Wiring(NamedTuple):
    """The synapses of a network: a row of `parts` for each connection and delay, the arrays of all end to end.

    Dense weights are [in, PITCH]. Sparse ones lie source by source from `starts`, with their targets in `rows`. Those
    of convolutions are [in, rows, columns, PITCH]; for each row and each column of the input, `starts` leads to pairs
    in `rows` of what to add to the place of the weight and of the target; those of the channels come first.
    """

    parts: Int64s
    weights: Int16s
    starts: Int64s
    rows: Int32s


class Log(NamedTuple):
    """Spikes of all populations: those of population p in step t are the entries ``begin[p, t] .. end[p, t]``."""

    begin: Int64s
    end: Int64s
    neuron: Int32s
    value: Int32s


_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)


def _read(builder: Any, memory: Any, at: Any, lanes: int) -> Any:
    words = memory.read(at, ir.VectorType(_I16, lanes), align=2)
    return builder.sext(words, ir.VectorType(_I32, lanes))


def _piece(lanes: int) -> Any:
    """Make ``add(a, at, weights, from, x)``: some weights times x are added to neighbours."""

    @intrinsic
    def add(typing: Any, a: Any, at: Any, weights: Any, place: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            into, weight = (Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 2))
            kind = ir.VectorType(_I32, lanes)
            term = builder.mul(
                _read(builder, weight, arguments[3], lanes), spread(builder, arguments[4], kind)
            )
            into.write(builder.add(into.read(arguments[1], kind), term), arguments[1])
            return context.get_dummy_value()

        return types.void(a, types.int64, weights, types.int64, types.int32), generate

    return add


_add_8, _add_16 = _piece(8), _piece(16)


def _rows(n_vectors: int, *, is_graded: bool) -> Any:
    """Make ``rows(a, at, weights, base, pitch, neuron, value, first, last)``: sums in registers over all spikes."""

    @intrinsic
    def rows(
        typing: Any,
        a: Any,
        at: Any,
        weights: Any,
        base: Any,
        pitch: Any,
        neuron: Any,
        value: Any,
        first: Any,
        last: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            into, weight, neurons, values = (
                Memory(context, builder, signature.args[k], arguments[k]) for k in (0, 2, 5, 6)
            )
            _, at, _, base, pitch, _, _, first, last = arguments
            kind = ir.VectorType(_I32, LANES)
            offsets = [builder.add(at, ir.Constant(_I64, LANES * k)) for k in range(n_vectors)]
            sums = []
            for offset in offsets:
                sums.append(cgutils.alloca_once(builder, kind))
                builder.store(into.read(offset, kind), sums[-1])
            with cgutils.for_range_slice(builder, first, last, ir.Constant(_I64, 1), _I64) as (e, _):
                number = builder.zext(neurons.read(e, _I32), _I64)
                row = builder.add(base, builder.mul(number, pitch))
                by = spread(builder, values.read(e, _I32), kind) if is_graded else None
                for total, offset in zip(sums, offsets, strict=True):
                    term = _read(builder, weight, builder.add(row, offset), LANES)
                    if is_graded:
                        term = builder.mul(term, by)
                    builder.store(builder.add(builder.load(total), term), total)
            for total, offset in zip(sums, offsets, strict=True):
                into.write(builder.load(total), offset)
            return context.get_dummy_value()

        integer = types.int64
        kinds = (a, integer, weights, integer, integer, neuron, value, integer, integer)
        return types.void(*kinds), generate

    return rows


_rows_8, _rows_1 = (_rows(n, is_graded=False) for n in (8, 1))
_graded_8, _graded_1 = (_rows(n, is_graded=True) for n in (8, 1))


@njit(cache=True, **PART)
def add_dense(a: Int32s, wiring: Wiring, part: Int64s, log: Log, first: int, last: int) -> int:
    """Add the rows of the spikes first .. last; returns the additions."""
    at, pitch, base = 0, part[PITCH], part[WEIGHTS]
    while at + 8 * LANES <= pitch:
        if part[GRADED] != 0:
            _graded_8(a, at, wiring.weights, base, pitch, log.neuron, log.value, first, last)
        else:
            _rows_8(a, at, wiring.weights, base, pitch, log.neuron, log.value, first, last)
        at += 8 * LANES
    while at < pitch:
        if part[GRADED] != 0:
            _graded_1(a, at, wiring.weights, base, pitch, log.neuron, log.value, first, last)
        else:
            _rows_1(a, at, wiring.weights, base, pitch, log.neuron, log.value, first, last)
        at += LANES
    return int((last - first) * part[N_OUT])


@njit(cache=True, **PART)
def add_sparse(
    a: Int32s, touched: NDArray[np.uint8], wiring: Wiring, part: Int64s, log: Log, first: int, last: int
) -> int:
    """Add the synapses of the spikes first .. last; returns the additions."""
    count = 0
    n_starts, rows, weights = part[STARTS], wiring.rows[part[ROWS] :], wiring.weights[part[WEIGHTS] :]
    for e in range(first, last):
        j = n_starts + log.neuron[e]
        x = log.value[e] if part[GRADED] != 0 else np.int32(1)
        start, stop = wiring.starts[j], wiring.starts[j + 1]
        for s in range(start, stop):
            i = rows[s]
            a[i] += np.int32(weights[s]) * x
            touched[i // TILE] = 1
        count += stop - start
    return int(count)


@njit(cache=True, **PART)
def add_taps(
    a: Int32s, touched: NDArray[np.uint8], wiring: Wiring, part: Int64s, log: Log, first: int, last: int
) -> int:
    """Add what the spikes first .. last bring to all pixels that see them; returns the additions."""
    count, per_out, pitch = 0, part[N_OUT], part[PITCH]
    channels, columns = np.uint32(part[CHANNELS]), np.uint32(part[COLUMNS])
    starts, rows = wiring.starts[part[STARTS] :], wiring.rows[part[ROWS] :]
    for e in range(first, last):
        j = np.uint32(log.neuron[e])
        x = log.value[e] if part[GRADED] != 0 else np.int32(1)
        pixel = j // channels
        channel = np.int64(j - pixel * channels)
        row = pixel // columns
        column = np.int64(pixel - row * columns)
        base, out = part[WEIGHTS] + rows[2 * channel], rows[2 * channel + 1]
        after = np.int64(row) + columns  # the rows of the input follow its columns
        for m in range(starts[column], starts[column + 1]):
            place, at = base + rows[2 * m], np.int64(out) + rows[2 * m + 1]
            for i in range(starts[after + 1], starts[after + 2]):
                w, o = place + rows[2 * i], at + rows[2 * i + 1]
                if pitch == 8:
                    _add_8(a, o, wiring.weights, w, x)
                else:
                    for c in range(0, pitch, LANES):
                        _add_16(a, o + c, wiring.weights, w + c, x)
                touched[o // TILE] = 1
                touched[(o + per_out - 1) // TILE] = 1
                count += per_out
    return int(count)


@njit(cache=True, **PART)
def add_shifted(a: Int32s, sums: Int32s, down: int) -> None:
    """Add sums that are first divided by ``2^down``, rounded to minus infinity, and clear them."""
    for i in range(a.size):
        a[i] += sums[i] >> np.int32(down)
        sums[i] = 0


@njit(cache=True, **PART)
def add_wrapped(a: Int32s, sums: Int32s) -> int:
    """Add sums that wrap around at 24 bits, as those of convolutions do, and clear them; returns how many did."""
    count = 0
    for i in range(a.size):
        x = sums[i]
        wrapped = ((x + np.int32(LIMIT)) & np.int32(2 * LIMIT - 1)) - np.int32(LIMIT)
        count += x != wrapped
        a[i] += wrapped
        sums[i] = 0
    return count


@njit(cache=True, **PART)
def is_too_large(log: Log, bound: int, first: int, last: int) -> bool:
    """Return whether values of spikes may bring more than the registers take in a step."""
    largest = np.int64(0)
    for e in range(first, last):
        largest = max(largest, abs(np.int64(log.value[e])))
    return bool(largest * bound > MOST)
