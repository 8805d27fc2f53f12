"""A row of the table of a coded graph: which place holds what, and how a row of each kind runs a block of steps.

A row stands for an operation of the plan, or for a step between two: frames written dense, or dense values listed.
Rows of synapses hold what rows of chains hold (`neuro.kernels.chain_rows`); the others the arrays named here.
"""

import numpy as np

from neuro.kernels.accumulation import (
    count_operations,
    gather_row,
    multiply_row,
    scatter_row,
    spread_frame,
)
from neuro.kernels.addresses import FIRST, bytes_at, floats_at, int32s_at, int64s_at, words_at
from neuro.kernels.arrays import (
    DENSE_FROM,
    DENSE_OPERATIONS,
    GATHERED,
    MULTIPLIED,
    N_IN_PIXELS,
    OPERATIONS,
    OUT_CHANNELS,
    OUT_COLUMNS,
    OUT_ROWS,
    PITCH,
    SCATTER_UNDER,
    SCATTERED,
    USES_BYTES,
    VISITS,
    Block,
    Bytes,
    Floats,
    Frames,
    Int64s,
    Synapses,
    Wiring,
    Work,
)
from neuro.kernels.chain_rows import (
    HAS_BIAS,
    IN,
    KIND,
    N_CHANNELS,
    N_PIXELS,
    ORDERS,
    OUT,
    TRACE,
    WIRING,
    block_at,
    wiring_at,
    work_at,
)
from neuro.kernels.coding import (
    Population,
    pool_counts,
    send_changes,
    send_first_spike,
    send_radix,
    send_signed,
    send_two_phase,
)
from neuro.kernels.frames import join_channels, sort_by_channel
from neuro.kernels.options import INLINED, PART, njit
from neuro.kernels.pooling import pool

# Kinds of rows; `INPUT`, `FLATTEN` and `LAYER` of chains come first.
TWO_PHASE, SIGNED, RADIX, FIRST_SPIKE, CHANGES = range(3, 8)
COUNT_POOL, POOL, SUM, JOIN, READOUT, SPREAD, LIST, DIFFERENCE, DELAY, DENSE_DELAY, REARRANGE, PRODUCT = (
    range(8, 20)
)

# Numbers of a row: its sources, and for `JOIN` their channels. `IS_VALUED`: how it is known whether entries are 1;
# `NEEDS_ZEROS`: a dense output is read also in steps that hold nothing.
SOURCE, OTHER, IS_VALUED, NEEDS_ZEROS = 11, 3, 4, 9
ALL_ONE, AS_SOURCE, ANY_VALUE = range(3)

# Arrays of a row that is no layer: dense input, a second input (frames, dense), parameters, state, window, scratch.
SECOND, CURRENTS, ADDEND, THRESHOLD, ADDED, VOLTAGE, CURRENT, SENT = 6, 9, 10, 11, 12, 13, 14, 15
WINDOW, SCRATCH, PARAMETERS, AREA = 16, 23, 24, 25
HELD = 26  # of a delay: the steps that are on their way, as frames or dense
FIRED = 26  # of coded neurons: marks of those that fire, and the same as words
BUSY_IN, BUSY_OTHER, BUSY = 30, 31, 35  # which steps of dense inputs and of a dense output hold anything
SECOND_VALUES = FIRST + 2 * SECOND + 5
COUNT, RADIX_CODE, FIRST_SPIKE_CODE = range(3)  # what a readout reads


@njit(cache=True, **INLINED)
def frames_at(row: Int64s, place: int) -> Frames:
    """Return the frames that stand at a place."""
    return Frames(int32s_at(row, place), int32s_at(row, place + 1), floats_at(row, place + 2))


@njit(cache=True, **INLINED)
def dense_at(row: Int64s, place: int, n_steps: int) -> Floats:
    """Return dense values of a block, shape (n_steps, size)."""
    size = row[N_PIXELS] * row[N_CHANNELS]
    found: Floats = floats_at(row, place)[: n_steps * size].reshape((n_steps, size))
    return found


@njit(cache=True, **INLINED)
def population_at(row: Int64s) -> Population:
    """Return the coded neurons of a row."""
    return Population(
        row[N_CHANNELS],
        floats_at(row, THRESHOLD),
        floats_at(row, ADDED),
        floats_at(row, VOLTAGE),
        floats_at(row, CURRENT),
        int32s_at(row, SENT),
        floats_at(row, SCRATCH),
        bytes_at(row, FIRED),
        words_at(row, FIRED + 1),
    )


@njit(cache=True, **INLINED)
def window_at(row: Int64s) -> Synapses:
    """Return the window of the pool of a row; what no pool reads is left out."""
    numbers, nothing, none = int64s_at(row, PARAMETERS), floats_at(row, THRESHOLD), int32s_at(row, SENT)
    return Synapses(
        numbers[8],
        numbers[9],
        numbers[10],
        numbers[11],
        numbers[12],
        numbers[9],
        1,
        0,
        nothing,
        nothing,
        none,
        int32s_at(row, WINDOW),
        int32s_at(row, WINDOW + 1),
        none,
        int32s_at(row, WINDOW + 2),
        int32s_at(row, WINDOW + 3),
        int32s_at(row, WINDOW + 4),
        none,
        none,
        none,
        none,
        none,
        none,
        none,
    )


@njit(cache=True, **PART)
def send_at(row: Int64s, first: int, n_steps: int) -> int:
    """Run the coded neurons of a row; return the number of entries."""
    numbers, into, cells = int64s_at(row, PARAMETERS), frames_at(row, OUT), population_at(row)
    currents, kind, n = dense_at(row, CURRENTS, n_steps), row[KIND], 0
    busy, no_trace = bytes_at(row, BUSY_IN), floats_at(row, AREA)[:0].reshape((0, 0))
    if kind == TWO_PHASE:
        n = send_two_phase(currents, busy, cells, first, numbers[0], numbers[1], into, no_trace)
    elif kind == SIGNED:
        limits = (numbers[0], numbers[1] != 0, numbers[2], numbers[3])
        n = send_signed(currents, busy, cells, first, *limits, into, no_trace)
    elif kind == RADIX:
        n = send_radix(currents, busy, cells, first, numbers[0], numbers[1], into, no_trace)
    elif kind == FIRST_SPIKE:
        n = send_first_spike(currents, busy, cells, first, numbers[0], numbers[1], into, no_trace)
    else:
        n = send_changes(currents, busy, cells, numbers[0], numbers[1], into, no_trace)
    return int(n)


@njit(cache=True, **PART)
def pool_at(row: Int64s, first: int, n_steps: int) -> None:
    """Run the pool of a row."""
    numbers, frames, window = int64s_at(row, PARAMETERS), frames_at(row, IN), window_at(row)
    start = int32s_at(row, OUT)[: n_steps * row[N_PIXELS] + 1]
    into = Frames(start, int32s_at(row, OUT + 1), floats_at(row, OUT + 2))
    if row[KIND] == POOL:
        pool(frames, n_steps, window, numbers[0], floats_at(row, AREA)[0], floats_at(row, SCRATCH), into)
    else:
        is_radix = numbers[2] == 2
        start = numbers[0] - first if is_radix else 0
        steps = (start, start + numbers[1] if is_radix else n_steps)
        counts, before, largest = floats_at(row, VOLTAGE), floats_at(row, CURRENT), floats_at(row, SCRATCH)
        pool_counts(frames, window, np.float32(numbers[2]), steps, counts, before, largest, into)


@njit(cache=True, **PART)
def read_at(row: Int64s, first: int, n_steps: int) -> None:
    """R156: what each step adds to the result."""
    numbers, currents = int64s_at(row, PARAMETERS), dense_at(row, CURRENTS, n_steps)
    out = dense_at(row, TRACE, n_steps)
    bytes_at(row, BUSY)[:n_steps] = 1
    v, drive, code = floats_at(row, VOLTAGE), floats_at(row, ADDED), numbers[0]
    busy = bytes_at(row, BUSY_IN)
    for step in range(n_steps):
        left = numbers[1] - (first + step)
        weight = np.float32(1)
        if code == RADIX_CODE:
            weight = np.float32(2.0**left) if left >= 0 else np.float32(0)
        for o in range(drive.size):
            x = currents[step, o] if busy[step] != 0 else np.float32(0)
            if code == FIRST_SPIKE_CODE:
                v[o] = v[o] + x
                x = v[o] if left >= 0 else np.float32(0)
            elif code == RADIX_CODE:
                x = x * weight
            out[step, o] = x + drive[o] if 0 <= left < numbers[2] else x


@njit(cache=True, **PART)
def spread_at(row: Int64s, n_steps: int) -> None:
    """Write the frames of a row dense."""
    frames, dense, n_pixels = frames_at(row, IN), dense_at(row, TRACE, n_steps), row[N_PIXELS]
    busy = bytes_at(row, BUSY)
    for step in range(n_steps):
        lo, hi = frames.start[step * n_pixels], frames.start[(step + 1) * n_pixels]
        busy[step] = hi > lo
        if hi == lo:
            continue
        for o in range(dense.shape[1]):
            dense[step, o] = 0
        for k in range(lo, hi):
            dense[step, frames.index[k]] = frames.value[k] if frames.value.size > 0 else np.float32(1)


@njit(cache=True, **PART)
def list_at(row: Int64s, n_steps: int) -> None:
    """List what is not zero of the dense values of a row; of a `DIFFERENCE`, of their changes from step to step."""
    dense, into, n_channels = dense_at(row, CURRENTS, n_steps), frames_at(row, OUT), row[N_CHANNELS]
    before, is_change, n, slot = floats_at(row, VOLTAGE), row[KIND] == DIFFERENCE, 0, 0
    into.start[0] = 0
    for step in range(n_steps):
        for base in range(0, dense.shape[1], n_channels):
            for o in range(base, base + n_channels):
                value = dense[step, o]
                if is_change:
                    value = value - before[o]
                    before[o] = dense[step, o]
                if value != 0:
                    into.index[n] = o
                    if into.value.size > 0:
                        into.value[n] = value
                    n += 1
            slot += 1
            into.start[slot] = n


@njit(cache=True, **PART)
def rearrange_at(row: Int64s, n_steps: int) -> None:
    """Put dense entries at other places; a place of -1 is silent."""
    size, place, out = int64s_at(row, PARAMETERS)[0], int32s_at(row, SENT), dense_at(row, TRACE, n_steps)
    currents, is_busy, busy = floats_at(row, CURRENTS), bytes_at(row, BUSY_IN), bytes_at(row, BUSY)
    for step in range(n_steps):
        busy[step] = is_busy[step]
        if is_busy[step] != 0:
            for o in range(place.size):
                out[step, o] = currents[step * size + place[o]] if place[o] >= 0 else np.float32(0)


@njit(cache=True, **PART)
def copy_steps(frames: Frames, first: int, end: int, into: Frames, slot: int) -> None:
    """Copy the lists of the slots `first` to `end` of frames whose entries are all 1 to others, from a slot on."""
    n, shift = into.start[slot], 0
    for k in range(first, end):
        for j in range(frames.start[k], frames.start[k + 1]):
            into.index[n + shift] = frames.index[j]
            shift += 1
        into.start[slot + k - first + 1] = n + shift


@njit(cache=True, **PART)
def delay_at(row: Int64s, n_steps: int) -> None:
    """Hand on what is held, then the first of what comes; hold the last."""
    frames, into, held = frames_at(row, IN), frames_at(row, OUT), frames_at(row, HELD)
    n_pixels, n_late = row[N_PIXELS], int64s_at(row, PARAMETERS)[0]
    n_old = min(n_late, n_steps)
    into.start[0] = 0
    copy_steps(held, 0, n_old * n_pixels, into, 0)
    copy_steps(frames, 0, (n_steps - n_old) * n_pixels, into, n_old * n_pixels)
    n_kept = (n_late - n_old) * n_pixels  # these move to the front, where they do no harm to those behind
    copy_steps(held, n_old * n_pixels, n_late * n_pixels, held, 0)
    copy_steps(frames, (n_steps - n_old) * n_pixels, n_steps * n_pixels, held, n_kept)


@njit(cache=True, **PART)
def delay_dense_at(row: Int64s, n_steps: int) -> None:
    """Delay dense values."""
    currents, out, held = floats_at(row, CURRENTS), floats_at(row, TRACE), floats_at(row, HELD)
    n_in, n_held = n_steps * row[N_PIXELS] * row[N_CHANNELS], held.size
    bytes_at(row, BUSY)[:n_steps] = 1
    n_old = min(n_in, n_held)
    for k in range(n_old):
        out[k] = held[k]
    for k in range(n_in - n_old):
        out[n_old + k] = currents[k]
    for k in range(n_held - n_old):
        held[k] = held[n_old + k]
    for k in range(n_old):
        held[n_held - n_old + k] = currents[n_in - n_old + k]


@njit(cache=True, **PART)
def add_at(row: Int64s, n_steps: int) -> None:
    """Add two dense inputs, each 0 in steps that hold nothing of it."""
    a, b, out = (
        dense_at(row, CURRENTS, n_steps),
        dense_at(row, ADDEND, n_steps),
        dense_at(row, TRACE, n_steps),
    )
    a_busy, b_busy, busy = bytes_at(row, BUSY_IN), bytes_at(row, BUSY_OTHER), bytes_at(row, BUSY)
    for step in range(n_steps):
        busy[step] = a_busy[step] | b_busy[step]
        if a_busy[step] != 0 and b_busy[step] != 0:
            for o in range(out.shape[1]):
                out[step, o] = a[step, o] + b[step, o]
        elif busy[step] != 0:
            only = a[step] if a_busy[step] != 0 else b[step]
            for o in range(out.shape[1]):
                out[step, o] = only[o] + np.float32(0)


@njit(cache=True, **PART)
def write_zeros(row: Int64s, n_steps: int) -> None:
    """Write the steps that hold nothing, for those that read all of them."""
    out, busy = dense_at(row, TRACE, n_steps), bytes_at(row, BUSY)
    for step in range(n_steps):
        if busy[step] == 0:
            busy[step] = 1
            for o in range(out.shape[1]):
                out[step, o] = 0


@njit(cache=True, **PART)
def join_at(row: Int64s, n_steps: int) -> None:
    """Join two inputs along the channels."""
    start, numbers = int32s_at(row, OUT)[: n_steps * row[N_PIXELS] + 1], int64s_at(row, PARAMETERS)
    into = Frames(start, int32s_at(row, OUT + 1), floats_at(row, OUT + 2))
    a, b = frames_at(row, IN), frames_at(row, SECOND)
    join_channels(a, b, numbers[0], numbers[1], row[N_PIXELS], into)


@njit(cache=True, **PART)
def flatten_at(row: Int64s, n_steps: int) -> None:
    """Flatten: the numbers of the row are those of its input."""
    frames, into, scratch = frames_at(row, IN), frames_at(row, OUT), int32s_at(row, SENT)
    sort_by_channel(frames, (0, n_steps), row[N_PIXELS], row[N_CHANNELS], scratch, into)


@njit(cache=True, **INLINED)
def sum_step(frames: Frames, wiring: Wiring, work: Work, block: Block, orders: Int64s, step: int) -> None:
    """Write the currents of a step of a synapse dense, and count as `neuro.kernels.layers.run_step` does."""
    numbers, tally = wiring.numbers, block.tally
    first, n_columns = step * numbers[N_IN_PIXELS], numbers[OUT_COLUMNS]
    n_out, pitch, rows = numbers[OUT_CHANNELS], numbers[PITCH], (0, numbers[OUT_ROWS])
    n_entries = frames.start[first + numbers[N_IN_PIXELS]] - frames.start[first]
    is_dense = n_entries >= orders[DENSE_FROM]
    is_scatter = not is_dense and n_entries < orders[SCATTER_UNDER]
    tally[SCATTERED if is_scatter else MULTIPLIED if is_dense else GATHERED] += 1
    if is_dense:
        spread_frame(frames, first, wiring, work)
        n_operations = count_operations(frames, first, rows, wiring)
        tally[OPERATIONS] += n_operations
        tally[DENSE_OPERATIONS] += n_operations
    for y in range(rows[1]):
        if is_dense:
            multiply_row(frames, y, wiring, work, block)
        elif is_scatter:
            scatter_row(frames, first, y, True, wiring, work, block)
        else:
            gather_row(frames, first, y, True, orders[USES_BYTES] != 0, wiring, work, block)
        for x in range(n_columns):
            at = (y * n_columns + x) * n_out
            for o in range(n_out):
                block.trace[step, at + o] = work.current[x * pitch + o]
        tally[VISITS] += n_columns


@njit(cache=True, **PART)
def sum_at(row: Int64s, kept: Bytes) -> None:
    """Run the synapse of a row over a block; steps without input are passed over where they give nothing."""
    frames, wiring, work, orders = frames_at(row, IN), wiring_at(row), work_at(row), int64s_at(row, ORDERS)
    block, busy, n_in = block_at(row, kept), bytes_at(row, BUSY), int64s_at(row, WIRING)[N_IN_PIXELS]
    is_steady = row[HAS_BIAS] != 0 or orders[SCATTER_UNDER] <= 0 or orders[DENSE_FROM] <= 0
    block.tally[:] = 0
    for step in range(kept.size):
        busy[step] = is_steady or frames.start[step * n_in] != frames.start[(step + 1) * n_in]
        if busy[step] != 0:
            sum_step(frames, wiring, work, block, orders, step)
        else:
            block.tally[SCATTERED] += 1
            block.tally[VISITS] += row[N_PIXELS]
