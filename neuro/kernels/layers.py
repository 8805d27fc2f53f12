"""One call per layer and block of steps: synapses and neurons together, or neurons alone.

Three modes. EACH: all neurons are updated in every step, with parameters of their own, or because their membranes
are wanted. EAGER: the same with one set of parameters, because silence may make a neuron fire. LAZY: a pixel is
touched when it has input, and what it missed is made up for then; a step without input costs nothing.
"""

import numpy as np

from neuro.kernels.accumulation import (
    count_operations,
    gather_row,
    has_input,
    multiply_row,
    scatter_row,
    spread_frame,
)
from neuro.kernels.arrays import (
    ALL_FROM,
    DENSE_FROM,
    DENSE_OPERATIONS,
    EACH,
    EAGER,
    GATHERED,
    IS_STEADY,
    LAZY,
    MODE,
    MULTIPLIED,
    N_HOT,
    N_IN_PIXELS,
    OPERATIONS,
    OUT_CHANNELS,
    OUT_COLUMNS,
    PITCH,
    ROW_START,
    ROW_STOP,
    SCATTER_UNDER,
    SCATTERED,
    SILENT,
    SPARE,
    SPIKES,
    USES_BYTES,
    VISITS,
    Block,
    Floats,
    Frames,
    Int64s,
    Membranes,
    Neurons,
    Wiring,
    Work,
)
from neuro.kernels.options import PART, UNCOUNTED, njit
from neuro.kernels.pixels import is_above, is_reset_silent, rest_pixel, step_pixel
from neuro.kernels.populations import PASS, emit, step_neurons

U = np.uint64


@njit(cache=True, **PART)
def finish(
    neurons: Neurons, membranes: Membranes, work: Work, lo: int, n: int, step: int, block: Block
) -> None:
    """Step n neurons from lo with the currents in front, keep the trace where asked for, emit the spikes."""
    current = work.current[:n]
    is_kept = block.kept[step] != 0
    if not is_kept:
        current[:] = 0
    if neurons.update != PASS:
        step_neurons(neurons, lo, membranes, current, work.fired[:n], is_kept)
    if block.trace.size > 0:
        seen = current if neurons.update == PASS else membranes.voltage[lo : lo + n]
        trace = block.trace[step, lo : lo + n]
        for o in range(n):
            trace[o] = seen[o]
    if neurons.is_firing:
        emit(work, step, lo, n, block, is_kept)
    block.tally[VISITS] += n // block.n_channels


@njit(cache=True, **PART)
def close_gaps(current: Floats, n_columns: int, n_channels: int, pitch: int) -> None:
    """Move the currents of the pixels of a row together."""
    for x in range(1, n_columns):
        to, source = x * n_channels, x * pitch
        for o in range(n_channels):
            current[to + o] = current[source + o]


@njit(cache=True, forceinline=True, **PART)
def is_up_to_date(work: Work, first: int, n: int, step: int) -> bool:
    """Whether n pixels have all steps before this one behind them, and none of them is hot."""
    behind, hot = 0, 0
    for pixel in range(U(first), U(first + n)):
        behind |= work.done[pixel] ^ step
        hot |= work.hot[pixel]
    return behind == 0 and hot == 0


@njit(cache=True, forceinline=True, **PART)
def step_row(
    neurons: Neurons,
    voltage: Floats,
    wiring: Wiring,
    work: Work,
    block: Block,
    orders: Int64s,
    place: tuple[int, int, bool],
) -> int:
    """Step the pixels of an output row that have input, or may fire without; bring them up to date before.

    ``place``: row, step, and whether all pixels are stepped. Returns the change in the number of hot pixels.
    """
    numbers, (y, step, wants_all) = wiring.numbers, place
    n_columns, n, pitch = numbers[OUT_COLUMNS], U(numbers[OUT_CHANNELS]), U(numbers[PITCH])
    is_lazy, is_steady = orders[MODE] == LAZY, orders[IS_STEADY] != 0
    n_spikes, n_visits, n_hot = U(block.tally[SPIKES]), 0, 0
    slot = step * block.n_pixels + y * n_columns - block.first_pixel + 1
    if wants_all and is_reset_silent(neurons) and is_up_to_date(work, y * n_columns, n_columns, step):
        base, at = U(y * n_columns) * n, U(0)
        for x in range(n_columns):
            n_spikes, _ = step_pixel(neurons, voltage, base, n, work.current, at, block.index, n_spikes)
            block.start[slot + x] = n_spikes
            base, at = base + n, at + pitch
        work.done[y * n_columns : (y + 1) * n_columns] = step + 1
        block.tally[SPIKES] = n_spikes
        block.tally[VISITS] += n_columns
        return 0
    for x in range(n_columns):
        pixel = y * n_columns + x
        base, at = U(pixel) * n, U(x) * pitch
        if wants_all or work.touched[pixel] != 0 or work.hot[pixel] != 0:
            if is_lazy and work.done[pixel] < step:
                silence = (work.done[pixel], step)
                rest_pixel(neurons, voltage, base, n, wiring.bias, block.kept, silence, is_steady)
            n_spikes, is_hot = step_pixel(neurons, voltage, base, n, work.current, at, block.index, n_spikes)
            n_hot += int(is_hot) - int(work.hot[pixel])
            work.hot[pixel] = is_hot
            work.done[pixel] = step + 1
            n_visits += 1
        block.start[slot] = n_spikes
        slot += 1
    block.tally[SPIKES] = n_spikes
    block.tally[VISITS] += n_visits
    return n_hot


@njit(cache=True, **PART)
def rest_pixels(
    neurons: Neurons, voltage: Floats, wiring: Wiring, work: Work, block: Block, orders: Int64s, stop: int
) -> None:
    """Bring all pixels up to the step `stop`, in silence."""
    n, is_steady = U(wiring.numbers[OUT_CHANNELS]), orders[IS_STEADY] != 0
    for pixel in range(block.first_pixel, block.first_pixel + block.n_pixels):
        if work.done[pixel] < stop:
            silence = (work.done[pixel], stop)
            rest_pixel(neurons, voltage, U(pixel) * n, n, wiring.bias, block.kept, silence, is_steady)
            work.done[pixel] = stop
            block.tally[VISITS] += 1


@njit(cache=True, **PART)
def start_block(
    neurons: Neurons, voltage: Floats, wiring: Wiring, work: Work, block: Block, orders: Int64s
) -> int:
    """Prepare the first step: no pixel has missed anything; return the number of hot pixels."""
    block.start[0] = 0
    if orders[MODE] != LAZY:
        return 0
    n, n_hot = U(wiring.numbers[OUT_CHANNELS]), 0
    for pixel in range(block.first_pixel, block.first_pixel + block.n_pixels):
        is_hot = is_above(voltage, U(pixel) * n, n, neurons.fire_above[0])
        work.done[pixel], work.hot[pixel] = 0, is_hot
        n_hot += is_hot
    return n_hot


@njit(cache=True, forceinline=True, **PART)
def pass_over(block: Block, slot: int, n: int) -> None:
    """List no spikes for n pixels from a slot on."""
    n_spikes = block.tally[SPIKES]
    for k in range(slot + 1, slot + n + 1):
        block.start[k] = n_spikes


@njit(cache=True, **PART)
def run_step(
    frames: Frames,
    wiring: Wiring,
    neurons: Neurons,
    membranes: Membranes,
    work: Work,
    block: Block,
    orders: Int64s,
    place: tuple[int, int],
) -> int:
    """Run a step of a layer, ``place[0]``, with ``place[1]`` hot pixels; return their new number."""
    (step, n_hot), numbers, mode = place, wiring.numbers, orders[MODE]
    n_columns, is_kept = numbers[OUT_COLUMNS], block.kept[step] != 0
    first, n_in = step * numbers[N_IN_PIXELS], numbers[N_IN_PIXELS]
    n_entries = frames.start[first + n_in] - frames.start[first]
    if mode == LAZY and (not is_kept or (n_entries == 0 and n_hot == 0)):
        pass_over(block, step * block.n_pixels, block.n_pixels)
        block.tally[SILENT] += is_kept
        return n_hot
    rows, uses_bytes = (orders[ROW_START], orders[ROW_STOP]), orders[USES_BYTES] != 0
    is_dense = is_kept and n_entries >= orders[DENSE_FROM]
    is_scatter = is_kept and not is_dense and n_entries < orders[SCATTER_UNDER]
    if is_kept:
        block.tally[SCATTERED if is_scatter else MULTIPLIED if is_dense else GATHERED] += 1
    if is_dense:
        spread_frame(frames, first, wiring, work)
        n_operations = count_operations(frames, first, rows, wiring)
        block.tally[OPERATIONS] += n_operations
        block.tally[DENSE_OPERATIONS] += n_operations
    wants_all = mode != LAZY or n_entries >= orders[ALL_FROM]
    n_before = n_hot
    for y in range(rows[0], rows[1]):
        if is_dense:
            multiply_row(frames, y, wiring, work, block)
        elif is_kept:
            if not wants_all and n_before == 0 and not has_input(frames, first, y, wiring):
                pass_over(block, step * block.n_pixels + y * n_columns - block.first_pixel, n_columns)
                continue
            if is_scatter:
                scatter_row(frames, first, y, wants_all, wiring, work, block)
            else:
                gather_row(frames, first, y, wants_all, uses_bytes, wiring, work, block)
        if mode == EACH:
            n = n_columns * numbers[OUT_CHANNELS]
            close_gaps(work.current, n_columns, numbers[OUT_CHANNELS], numbers[PITCH])
            finish(neurons, membranes, work, y * n, n, step, block)
        elif is_kept:
            n_hot += step_row(neurons, membranes.voltage, wiring, work, block, orders, (y, step, wants_all))
    return n_hot


@njit(cache=True, **PART)
def settle(
    neurons: Neurons, voltage: Floats, wiring: Wiring, work: Work, block: Block, orders: Int64s, stop: int
) -> None:
    """Bring the membranes of a layer up to the step `stop` of a block."""
    if orders[MODE] == LAZY:
        rest_pixels(neurons, voltage, wiring, work, block, orders, stop)


@njit(cache=True, **UNCOUNTED)
def run_steps(
    frames: Frames,
    wiring: Wiring,
    neurons: Neurons,
    membranes: Membranes,
    work: Work,
    block: Block,
    orders: Int64s,
    steps: tuple[int, int, bool],
) -> int:
    """Run the steps ``steps[0]`` to ``steps[1]`` of a block; return the step reached: the end, or one without room.

    Lazy pixels are left behind: at the end they are brought up to date if ``steps[2]``, else `settle` does it later.

    ``orders``: int64, shape (N_ORDERS,): output rows ``ROW_START`` to ``ROW_STOP``; a step with at least ``DENSE_FROM``
    active inputs is multiplied, one with fewer than ``SCATTER_UNDER`` scattered, others gathered (``USES_BYTES``: int8
    weights); from ``ALL_FROM`` on no pixel is left alone; ``MODE``; ``IS_STEADY``: all silent steps of the block are
    alike.
    """
    first_step, stop, is_settled = steps
    most = block.n_pixels * block.n_channels
    if first_step == 0:
        block.tally[N_HOT] = start_block(neurons, membranes.voltage, wiring, work, block, orders)
    for step in range(first_step, stop):
        if neurons.is_firing and block.tally[SPIKES] + most + SPARE > block.index.size:
            return step
        if orders[MODE] == EAGER and block.kept[step] == 0:
            work.done[block.first_pixel : block.first_pixel + block.n_pixels] = step
            rest_pixels(neurons, membranes.voltage, wiring, work, block, orders, step + 1)
            pass_over(block, step * block.n_pixels, block.n_pixels)
        else:
            place = (step, block.tally[N_HOT])
            block.tally[N_HOT] = run_step(frames, wiring, neurons, membranes, work, block, orders, place)
    if is_settled:
        settle(neurons, membranes.voltage, wiring, work, block, orders, stop)
    return stop


@njit(cache=True, **UNCOUNTED)
def run_neurons(currents: Floats, neurons: Neurons, membranes: Membranes, work: Work, block: Block) -> None:
    """Run a block of steps of a population on its dense input currents, shape (n_steps, n_neurons)."""
    n = currents.shape[1]
    block.start[0] = 0
    for step in range(block.kept.size):
        for o in range(n):
            work.current[o] = currents[step, o]
        finish(neurons, membranes, work, 0, n, step, block)
