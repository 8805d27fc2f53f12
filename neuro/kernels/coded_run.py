"""A recording through a graph of coded neurons in one call: row after row over blocks of steps, and the exit rule.

Row 0 of the table is the Input; each other row takes what one or two rows before it hand on (`coded_rows`).
Every list has room for all entries of the longest block, so that a call never comes back for more. A block ends where
the exit rule is asked.
"""

import numpy as np

from neuro.kernels.addresses import bytes_at, floats_at, int32s_at, int64s_at
from neuro.kernels.arrays import (
    SPIKES,
    VISITS,
    Bytes,
    Floats,
    Frames,
    Int32s,
    Int64s,
)
from neuro.kernels.certainty import add_steps
from neuro.kernels.chain_rows import (
    ENDS,
    FLATTEN,
    GRADED,
    IN_VALUES,
    IS_GRADED,
    KIND,
    LAYER,
    N_CHANNELS,
    N_PIXELS,
    OUT,
    OUT_ENTRIES,
    OUT_VALUES,
    TRACE,
)
from neuro.kernels.chains import (
    AT,
    BLOCK_DONE,
    FINISHED,
    IS_ENDED,
    IS_WATCHED,
    IS_WRONG,
    N_EVENTS,
    ROOM,
    STATUS,
    Doubles,
    end_block,
    has_any,
    is_over,
    look,
    next_stop,
)
from neuro.kernels.coded_products import product_at
from neuro.kernels.coded_rows import (
    ANY_VALUE,
    AS_SOURCE,
    BUSY,
    CHANGES,
    DELAY,
    DENSE_DELAY,
    IS_VALUED,
    JOIN,
    NEEDS_ZEROS,
    OTHER,
    POOL,
    PRODUCT,
    READOUT,
    REARRANGE,
    SECOND_VALUES,
    SOURCE,
    SPREAD,
    SUM,
    add_at,
    delay_at,
    delay_dense_at,
    flatten_at,
    join_at,
    list_at,
    pool_at,
    read_at,
    rearrange_at,
    send_at,
    spread_at,
    sum_at,
    write_zeros,
)
from neuro.kernels.options import INLINED, PART, UNCOUNTED, njit
from neuro.kernels.windows import list_frames

BEHIND = (
    ROOM  # the number of a run that chains keep for something else: steps before its first, in earlier runs
)


@njit(cache=True, **PART)
def mark_values(table: Int64s, is_graded: bool) -> None:
    """Say for a block which rows hand on values, and let their readers see them; others hand on ones."""
    table[0, IS_GRADED] = is_graded
    table[0, OUT_VALUES] = table[0, OUT_ENTRIES] if is_graded else 0
    for k in range(1, table.shape[0]):
        row = table[k]
        source, kind = table[row[SOURCE]], row[KIND]
        row[IN_VALUES] = source[OUT_ENTRIES] if source[IS_GRADED] != 0 else 0
        valued = source[IS_GRADED]
        if kind == JOIN:
            other = table[row[OTHER]]
            row[SECOND_VALUES] = other[OUT_ENTRIES] if other[IS_GRADED] != 0 else 0
            valued |= other[IS_GRADED]
        if row[IS_VALUED] == AS_SOURCE:
            row[IS_GRADED] = valued
            row[OUT_VALUES] = row[OUT_ENTRIES] if valued != 0 else 0
        else:
            row[IS_GRADED] = row[IS_VALUED] == ANY_VALUE


@njit(cache=True, **INLINED)
def run_row(row: Int64s, first: int, n_steps: int) -> int:
    """Run a row that is no layer; return the number of spikes of coded neurons."""
    kind, n = row[KIND], 0
    if kind == FLATTEN:
        flatten_at(row, n_steps)
    elif kind <= CHANGES:
        n = send_at(row, first, n_steps)
    elif kind <= POOL:
        pool_at(row, first, n_steps)
    elif kind == SUM:
        add_at(row, n_steps)
    elif kind == JOIN:
        join_at(row, n_steps)
    elif kind == READOUT:
        read_at(row, first, n_steps)
    elif kind == SPREAD:
        spread_at(row, n_steps)
    elif kind == DELAY:
        delay_at(row, n_steps)
    elif kind == REARRANGE:
        rearrange_at(row, n_steps)
    elif kind == DENSE_DELAY:
        delay_dense_at(row, n_steps)
    elif kind == PRODUCT:
        product_at(row, first, n_steps)
    else:
        list_at(row, n_steps)
    return int(n)


@njit(cache=True, **INLINED)
def run_block(table: Int64s, first: int, kept: Bytes, is_watched: bool, totals: Int64s) -> None:
    """Run all rows over a block of steps, and count."""
    n_steps = kept.size
    for k in range(1, table.shape[0]):
        row = table[k]
        if row[KIND] == LAYER:
            sum_at(row, kept)
        else:
            n = run_row(row, first, n_steps)
            if row[KIND] <= CHANGES:
                totals[k, SPIKES] += n
                totals[k, VISITS] += n_steps * row[N_PIXELS]
        if bytes_at(row, BUSY).size > 0 and (is_watched or row[NEEDS_ZEROS] != 0):
            write_zeros(row, n_steps)
    end_block(table, n_steps, totals)


@njit(cache=True, **PART)
def put_out(row: Int64s, n_steps: int, output: Floats) -> None:
    """Write what a row hands on in a block in the graph's layout, shape (n_steps, n_outputs)."""
    n_pixels, n_channels, dense = row[N_PIXELS], row[N_CHANNELS], floats_at(row, TRACE)
    start, index, value = int32s_at(row, OUT), int32s_at(row, OUT + 1), floats_at(row, OUT + 2)
    for step in range(n_steps):
        if dense.size > 0:
            at = step * n_pixels * n_channels
            for pixel in range(n_pixels):
                for channel in range(n_channels):
                    output[step, channel * n_pixels + pixel] = dense[at]
                    at += 1
        else:
            output[step, :] = 0
            for k in range(start[step * n_pixels], start[(step + 1) * n_pixels]):
                pixel = index[k] // n_channels
                place = (index[k] - pixel * n_channels) * n_pixels + pixel
                output[step, place] = value[k] if row[IS_GRADED] != 0 else np.float32(1)


@njit(cache=True, **UNCOUNTED)
def run_coded(
    step: Int32s,
    index: Int32s,
    value: Floats,
    table: Int64s,
    numbers: Int64s,
    reals: Doubles,
    output: Floats,
    sums: Doubles,
    total: Doubles,
    scores: Floats,
    kept: Bytes,
    totals: Int64s,
) -> int:
    """Run a recording from where it stands to its end, or (with `IS_WATCHED`) through a block.

    Arguments and what is returned are those of `neuro.kernels.chains.run_chain`, where nothing drops frames and no row
    needs room; membranes stand in arrays of the table.
    """
    n_steps = sums.size
    if numbers[STATUS] == FINISHED and not look(step, value, table, numbers, reals, sums, scores, kept):
        return IS_WRONG
    ends, is_graded = int64s_at(table[0], ENDS), bytes_at(table[0], GRADED)
    layout = (table[0, N_PIXELS], table[0, N_CHANNELS])
    ended = n_steps == 0 or numbers[STATUS] == IS_ENDED
    while not ended:
        at, stop = numbers[AT], next_stop(numbers, n_steps)
        mark_values(table, has_any(is_graded[at:stop], 1))
        frames = Frames(int32s_at(table[0], OUT), int32s_at(table[0], OUT + 1), floats_at(table[0], OUT + 2))
        list_frames(index, value, ends, (at, at, stop), kept, layout, frames)
        run_block(table, numbers[BEHIND] + at, kept[at:stop], numbers[IS_WATCHED] != 0, totals)
        put_out(table[-1], stop - at, output[at:stop])
        add_steps(output[at:stop], total)
        ended = stop == n_steps
        ended |= is_over(numbers, reals, total, stop, n_steps)
        numbers[AT] = stop
        if numbers[IS_WATCHED] != 0:
            numbers[STATUS] = IS_ENDED if ended else BLOCK_DONE
            return BLOCK_DONE
    numbers[N_EVENTS] = ends[numbers[AT]]
    numbers[STATUS] = FINISHED
    return FINISHED
