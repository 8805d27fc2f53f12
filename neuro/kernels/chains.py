"""A whole recording in one call: scores, layer after layer over blocks of steps, and the exit rule.

A chain is a table with a row for each operation. Row 0 is the Input with the attention behind it; each other row takes
what the one before it hands on. What a row holds is named in `neuro.kernels.chain_rows`.
"""

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.addresses import (
    bytes_at,
    floats_at,
    int32s_at,
    int64s_at,
)
from neuro.kernels.arrays import (
    IS_STEADY,
    N_IN_PIXELS,
    N_TALLIES,
    SPARE,
    Bytes,
    Floats,
    Frames,
    Int32s,
    Int64s,
)
from neuro.kernels.certainty import NEAR, add_steps, certainty
from neuro.kernels.chain_rows import (
    COUNT,
    ENDS,
    FLATTEN,
    GRADED,
    HAS_BIAS,
    HIDDEN,
    IN,
    IN_VALUES,
    IS_FIRING,
    IS_GRADED,
    KIND,
    LAYER,
    MEMBRANES,
    N_CHANNELS,
    N_PIXELS,
    ORDERS,
    OUT,
    OUT_ENTRIES,
    OUT_VALUES,
    RATES,
    REST,
    STATE,
    TALLY,
    TRACE,
    WEIGHTS,
    WINDOW,
    WIRING,
    block_at,
    membranes_at,
    neurons_at,
    wiring_at,
    work_at,
)
from neuro.kernels.frames import sort_by_channel
from neuro.kernels.layers import run_steps, settle
from neuro.kernels.options import INLINED, PART, UNCOUNTED, njit
from neuro.kernels.windows import (
    average_frames,
    copy,
    decide,
    list_frames,
    look_over,
    score_moving,
    score_window,
)

Doubles = NDArray[np.float64]

# Numbers of a run. From `AT` on: where it stands, or why it came back.
LONGEST, ATTENTION, FIRST_CHECK, CHECK_EVERY, MEASURE, IS_MEAN, HAS_STATE, IS_WATCHED = range(8)
STATUS, AT, ROW, STEP, ROOM, N_NEAR, N_EVENTS, N_NUMBERS = range(8, 16)
NO_ATTENTION, WINDOWED, MOVING = range(3)
FINISHED, IS_WRONG, NEEDS_ROOM, BLOCK_DONE, IS_ENDED = range(5)
# Reals of a run: limits, and what the exit rule saw.
MOST, LEAST_SCORE, LEAST_CERTAINTY, TEMPERATURE, CERTAINTY, N_REALS = range(6)


@njit(cache=True, **PART)
def score(row: Int64s, numbers: Int64s, sums: Doubles, means: Floats, scores: Floats) -> None:
    """Score the frames of a recording by the sums of their values; `means` begins with those of frames before."""
    average_frames(sums, row[N_PIXELS] * row[N_CHANNELS], means)
    weights = (
        floats_at(row, WEIGHTS),
        floats_at(row, WEIGHTS + 1),
        floats_at(row, WEIGHTS + 2),
        floats_at(row, WEIGHTS + 3),
    )
    if numbers[ATTENTION] == WINDOWED:
        score_window(means, weights, floats_at(row, WINDOW), floats_at(row, HIDDEN), scores)
    else:
        average = floats_at(row, WINDOW)
        score_moving(means, weights, floats_at(row, RATES), average, floats_at(row, HIDDEN), scores)


@njit(cache=True, **INLINED)
def run_layer_at(row: Int64s, kept: Bytes, steps: tuple[int, int]) -> int:
    """Run steps of the layer of a row; return the step reached."""
    frames = Frames(int32s_at(row, IN), int32s_at(row, IN + 1), floats_at(row, IN + 2))
    layer = (frames, wiring_at(row), neurons_at(row), membranes_at(row), work_at(row), block_at(row, kept))
    return int(run_steps(*layer, int64s_at(row, ORDERS), (steps[0], steps[1], False)))


@njit(cache=True, **PART)
def settle_rows(table: Int64s, kept: Bytes, stop: int) -> None:
    """Bring the membranes of all layers up to a step of the block that has been run."""
    for k in range(1, table.shape[0]):
        row = table[k]
        if row[KIND] == LAYER:
            orders, voltage = int64s_at(row, ORDERS), floats_at(row, MEMBRANES)
            settle(neurons_at(row), voltage, wiring_at(row), work_at(row), block_at(row, kept), orders, stop)


@njit(cache=True, **PART)
def flatten_at(row: Int64s, steps: tuple[int, int]) -> bool:
    """Run steps of a Flatten; return whether there was room."""
    frames = Frames(int32s_at(row, IN), int32s_at(row, IN + 1), floats_at(row, IN + 2))
    into = Frames(int32s_at(row, OUT), int32s_at(row, OUT + 1), floats_at(row, OUT + 2))
    if frames.start[steps[1] * row[N_PIXELS]] + SPARE > into.index.size:
        return False
    sort_by_channel(frames, steps, row[N_PIXELS], row[N_CHANNELS], int32s_at(row, COUNT), into)
    return True


@njit(cache=True, **PART)
def put_out(row: Int64s, first: int, steps: tuple[int, int], output: Floats) -> None:
    """Write what the last row hands on in steps of a block, whose first step is `first`, in the graph's layout."""
    n_pixels, n_channels = row[N_PIXELS], row[N_CHANNELS]
    start, index, trace = int32s_at(row, OUT), int32s_at(row, OUT + 1), floats_at(row, TRACE)
    for step in range(steps[0], steps[1]):
        into = output[first + step]
        if row[IS_FIRING] != 0:
            into[:] = 0
            for k in range(start[step * n_pixels], start[(step + 1) * n_pixels]):
                pixel = index[k] // n_channels
                into[(index[k] - pixel * n_channels) * n_pixels + pixel] = 1
        else:
            at = step * n_pixels * n_channels
            for pixel in range(n_pixels):
                for channel in range(n_channels):
                    into[channel * n_pixels + pixel] = trace[at]
                    at += 1


@njit(cache=True, **PART)
def start_chain(table: Int64s, has_state: bool, state: Floats) -> None:
    """Put all membranes to rest, or where a run left off."""
    for k in range(1, table.shape[0]):
        if table[k, KIND] == LAYER:
            voltage, current = floats_at(table[k], MEMBRANES), floats_at(table[k], MEMBRANES + 1)
            at = table[k, STATE]
            if has_state:
                copy(state[at : at + voltage.size], voltage)
                copy(state[at + voltage.size : at + voltage.size + current.size], current)
            else:
                copy(floats_at(table[k], REST), voltage)
                current[:] = 0


@njit(cache=True, **PART)
def end_chain(table: Int64s, state: Floats) -> None:
    """Copy the membranes, then the synaptic currents, of all layers."""
    for k in range(1, table.shape[0]):
        if table[k, KIND] == LAYER:
            at = table[k, STATE]
            for place in (MEMBRANES, MEMBRANES + 1):
                values = floats_at(table[k], place)
                copy(values, state[at : at + values.size])
                at += values.size


@njit(cache=True, **PART)
def start_block(table: Int64s, is_graded: bool, is_any_dropped: bool) -> None:
    """Begin a block of steps: nothing counted, and values only where the entries of the Input are not all 1."""
    for k in range(table.shape[0]):
        row = table[k]
        if row[IS_GRADED] != 0:
            if k > 0:
                row[IN_VALUES] = table[k - 1, OUT_VALUES]
            if row[KIND] != LAYER:
                row[OUT_VALUES] = row[OUT_ENTRIES] if is_graded else 0
        if row[KIND] == LAYER:
            int64s_at(row, TALLY)[:] = 0
            int64s_at(row, ORDERS)[IS_STEADY] = row[HAS_BIAS] == 0 or not is_any_dropped


@njit(cache=True, **PART)
def end_block(table: Int64s, n_steps: int, totals: Int64s) -> None:
    """Add the counts of a block to those of the run; the last of each are the entries that came in."""
    for k in range(1, table.shape[0]):
        if table[k, KIND] == LAYER:
            tally = int64s_at(table[k], TALLY)
            for t in range(N_TALLIES):
                totals[k, t] += tally[t]
            n_in = int64s_at(table[k], WIRING)[N_IN_PIXELS]
            totals[k, N_TALLIES] += int32s_at(table[k], IN)[n_steps * n_in]


@njit(cache=True, **PART)
def has_any(flags: Bytes, value: int) -> bool:
    """Whether one of the flags is `value`."""
    for flag in flags:  # noqa: SIM110 - numba has no generators
        if flag == value:
            return True
    return False


@njit(cache=True, **INLINED)
def run_rows(table: Int64s, numbers: Int64s, kept: Bytes, steps: tuple[int, int]) -> bool:
    """Run steps of a block through all rows, from where the run stands; return False where room is needed."""
    while numbers[ROW] < table.shape[0]:
        row = table[numbers[ROW]]
        if row[KIND] == FLATTEN:
            done = steps[1] if flatten_at(row, steps) else steps[0]
        else:
            done = run_layer_at(row, kept, (max(steps[0], numbers[STEP]), steps[1]))
        if done < steps[1]:
            numbers[STEP] = done
            break
        numbers[ROW] += 1
        numbers[STEP] = 0
    return bool(numbers[ROW] == table.shape[0])


@njit(cache=True, **PART)
def look(
    step: Int32s,
    value: Floats,
    table: Int64s,
    numbers: Int64s,
    reals: Doubles,
    sums: Doubles,
    scores: Floats,
    kept: Bytes,
) -> bool:
    """Look the recording over and decide which frames are kept; return False if it holds what it must not."""
    ends, is_graded = int64s_at(table[0], ENDS), bytes_at(table[0], GRADED)
    if not look_over(step, value, reals[MOST], ends, sums, is_graded):
        return False
    kept[:] = 1
    if numbers[ATTENTION] != NO_ATTENTION:
        score(table[0], numbers, sums, scores[0], scores[1])
        decide(scores[1, scores.shape[1] - sums.size :], sums, reals[LEAST_SCORE], True, kept)
    return True


@njit(cache=True, **PART)
def is_over(numbers: Int64s, reals: Doubles, total: Doubles, stop: int, n_steps: int) -> bool:
    """Ask the exit rule after `stop` steps, if it is to be asked then: is the readout sure enough."""
    since = stop - numbers[FIRST_CHECK]
    if numbers[CHECK_EVERY] == 0 or stop >= n_steps or since < 0 or since % numbers[CHECK_EVERY] != 0:
        return False
    n = stop if numbers[IS_MEAN] != 0 else 1
    sure = certainty(total, 1.0 / (reals[TEMPERATURE] * n), numbers[MEASURE])
    reals[CERTAINTY] = sure
    numbers[N_NEAR] += abs(sure - reals[LEAST_CERTAINTY]) < NEAR
    return bool(sure >= reals[LEAST_CERTAINTY])


@njit(cache=True, **PART)
def next_stop(numbers: Int64s, n_steps: int) -> int:
    """Return where the steps end that begin at ``numbers[AT]``: with the block, or where the rule is asked."""
    at, stop = numbers[AT], n_steps
    stop = min(stop, at - at % numbers[LONGEST] + numbers[LONGEST])
    if numbers[CHECK_EVERY] > 0:
        check, every = numbers[FIRST_CHECK], numbers[CHECK_EVERY]
        if at >= check:
            check += ((at - check) // every + 1) * every
        stop = min(stop, check)
    return int(stop)


@njit(cache=True, **PART)
def list_input(
    index: Int32s,
    value: Floats,
    table: Int64s,
    numbers: Int64s,
    kept: Bytes,
    steps: tuple[int, int, int, int],
) -> bool:
    """List the frames of steps for the first row, and begin the block if they do; return False where room is needed.

    ``steps``: the first of the block, the first and the end of those to list, the end of the block.
    """
    first, at, stop, last = steps
    row, ends, is_graded = table[0], int64s_at(table[0], ENDS), bytes_at(table[0], GRADED)
    n_most = ends[last] - ends[first] + SPARE
    if n_most > int32s_at(row, OUT + 1).size:
        numbers[STATUS], numbers[ROOM] = NEEDS_ROOM, n_most
        return False
    if at == first:
        start_block(table, has_any(is_graded[first:last], 1), has_any(kept[first:last], 0))
    frames = Frames(int32s_at(row, OUT), int32s_at(row, OUT + 1), floats_at(row, OUT + 2))
    list_frames(index, value, ends, (first, at, stop), kept, (row[N_PIXELS], row[N_CHANNELS]), frames)
    numbers[ROW] = 1
    return True


@njit(cache=True, **UNCOUNTED)
def run_chain(
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
    state: Floats,
) -> int:
    """Run a recording from where it stands: to its end, or until a row needs more room (``numbers[ROW]``).

    ``step``, ``index``, ``value``: as in `neuro.Spikes`. ``table``: int64, shape (n_rows, N_COLUMNS). ``numbers``:
    int64, shape (N_NUMBERS,); ``reals``: float64, shape (N_REALS,). Written: ``output``, shape (n_steps, n_outputs);
    ``sums``, shape (n_steps,), of the values; ``total``, shape (n_outputs,), of the outputs; ``scores``, shape (2,
    n_steps): means and scores (if there is attention; one that looks back over a window finds the means of frames
    before in front); ``kept``; ``totals``: int64, shape (n_rows, N_TALLIES + 1);
    ``state``: all membranes and currents (read first with `HAS_STATE`). Returns the status: finished; the recording
    holds what it must not; a row needs room; or (with `IS_WATCHED`) a block is done, up to ``numbers[AT]``.
    """
    n_steps = sums.size
    if numbers[STATUS] == FINISHED:
        if not look(step, value, table, numbers, reals, sums, scores, kept):
            return IS_WRONG
        start_chain(table, numbers[HAS_STATE] != 0, state)
    ended = n_steps == 0 or numbers[STATUS] == IS_ENDED
    while not ended:
        at, stop = numbers[AT], next_stop(numbers, n_steps)
        first = at - at % numbers[LONGEST]
        last = min(n_steps, first + numbers[LONGEST])
        inside = kept[first:last]
        if numbers[ROW] == 0 and not list_input(index, value, table, numbers, kept, (first, at, stop, last)):
            return NEEDS_ROOM
        if not run_rows(table, numbers, inside, (at - first, stop - first)):
            numbers[STATUS] = NEEDS_ROOM
            return NEEDS_ROOM
        put_out(table[-1], first, (at - first, stop - first), output)
        add_steps(output[at:stop], total)
        ended = stop == n_steps
        ended |= is_over(numbers, reals, total, stop, n_steps)
        if ended or stop == last:
            settle_rows(table, inside, stop - first)
            end_block(table, stop - first, totals)
        numbers[AT], numbers[ROW] = stop, 0
        if numbers[IS_WATCHED] != 0 and (ended or stop == last):
            numbers[STATUS] = IS_ENDED if ended else BLOCK_DONE
            return BLOCK_DONE
    ends = int64s_at(table[0], ENDS)
    for k in range(numbers[AT]):
        if kept[k] != 0:
            numbers[N_EVENTS] += ends[k + 1] - ends[k]
    end_chain(table, state)
    numbers[STATUS] = FINISHED
    return FINISHED
