"""A row of the table of a chain: which place holds what, and what a layer's kernels take, read from there."""

from neuro.kernels.addresses import (
    FIRST,
    bytes_at,
    floats_at,
    int32s_at,
    int64s_at,
    signed_at,
    words_at,
)
from neuro.kernels.arrays import Block, Bytes, Int64s, Membranes, Neurons, Wiring, Work
from neuro.kernels.options import INLINED, njit

# Numbers in the first places of a row. `STATE`: where its membranes begin in the state of a run; `HAS_BIAS`.
KIND, N_PIXELS, N_CHANNELS, UPDATE, IS_UNIFORM, IS_FIRING, IS_SUBTRACTING, N_HELD, IS_GRADED = range(9)
STATE, HAS_BIAS = 9, 10
INPUT, FLATTEN, LAYER = range(3)

# Arrays of a row: what it takes, what it hands on; then of a layer those of `Wiring`, `Neurons`, `Membranes`, `Work`.
IN, OUT, WIRING, NEURONS, MEMBRANES, WORK = 0, 3, 6, 13, 18, 21
TRACE, ORDERS, TALLY, REST, N_ARRAYS = 32, 33, 34, 35, 36
# Arrays of the row of the Input: those of the attention and scratch; of a Flatten: scratch.
ENDS, GRADED, WEIGHTS, HIDDEN, WINDOW, RATES = 6, 7, 8, 12, 13, 14
COUNT = 6
N_COLUMNS = FIRST + 2 * N_ARRAYS
IN_VALUES, OUT_ENTRIES, OUT_VALUES = (
    FIRST + 2 * IN + 5,
    FIRST + 2 * OUT + 3,
    FIRST + 2 * OUT + 5,
)  # sizes of these


@njit(cache=True, **INLINED)
def wiring_at(row: Int64s) -> Wiring:
    """Return the wiring of the layer of a row."""
    return Wiring(
        int64s_at(row, WIRING),
        int32s_at(row, WIRING + 1),
        floats_at(row, WIRING + 2),
        signed_at(row, WIRING + 3),
        floats_at(row, WIRING + 4),
        floats_at(row, WIRING + 5),
        int32s_at(row, WIRING + 6),
    )


@njit(cache=True, **INLINED)
def neurons_at(row: Int64s) -> Neurons:
    """Return the neurons of the layer of a row."""
    return Neurons(
        row[UPDATE],
        row[IS_UNIFORM] != 0,
        row[IS_FIRING] != 0,
        row[IS_SUBTRACTING] != 0,
        row[N_HELD],
        floats_at(row, NEURONS),
        floats_at(row, NEURONS + 1),
        floats_at(row, NEURONS + 2),
        floats_at(row, NEURONS + 3),
        floats_at(row, NEURONS + 4),
    )


@njit(cache=True, **INLINED)
def membranes_at(row: Int64s) -> Membranes:
    """Return the membranes of the layer of a row."""
    voltage, current = floats_at(row, MEMBRANES), floats_at(row, MEMBRANES + 1)
    return Membranes(voltage, current, int32s_at(row, MEMBRANES + 2))


@njit(cache=True, **INLINED)
def work_at(row: Int64s) -> Work:
    """Return the scratch of the layer of a row."""
    return Work(
        floats_at(row, WORK),
        int32s_at(row, WORK + 1),
        floats_at(row, WORK + 2),
        floats_at(row, WORK + 3),
        bytes_at(row, WORK + 4),
        bytes_at(row, WORK + 5),
        bytes_at(row, WORK + 6),
        int32s_at(row, WORK + 7),
        bytes_at(row, WORK + 8),
        words_at(row, WORK + 9),
    )


@njit(cache=True, **INLINED)
def block_at(row: Int64s, kept: Bytes) -> Block:
    """Return the block that the layer of a row works on."""
    n, trace = row[N_PIXELS] * row[N_CHANNELS], floats_at(row, TRACE)
    return Block(
        0,
        row[N_PIXELS],
        row[N_CHANNELS],
        kept,
        int32s_at(row, OUT),
        int32s_at(row, OUT + 1),
        trace.reshape((trace.size // max(n, 1), n)),
        int64s_at(row, TALLY),
    )
