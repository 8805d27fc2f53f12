"""Many steps of a part of a network in one call: what arrives, what the neurons do with it, what they send."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw._kernels_neurons import (
    BIAS,
    N_REGISTERS,
    N_STATE,
    THRESHOLD,
    Bytes,
    Integers,
    U,
    V,
    step_difference,
    step_graded,
    step_held_tile,
    step_tile,
)
from hw._kernels_synapses import (
    BOUND,
    DENSE,
    DOWN,
    GRADED,
    KIND,
    LAG,
    SOURCE,
    SPARSE,
    TILE,
    WRAPS,
    Int32s,
    Int64s,
    Log,
    Wiring,
    add_dense,
    add_shifted,
    add_sparse,
    add_taps,
    add_wrapped,
    is_too_large,
)
from neuro.kernels.options import PART, UNCOUNTED, njit

# columns of the table of blocks
POPULATION, PLACE, SIZE, TILE_FIRST, PAR, PAR_STEP, PART_FIRST, PART_LAST = 0, 1, 2, 3, 4, 5, 6, 7
RESET_STEP, RESET_INTERVAL, RULES, SUBTRACTS, IS_FIRST, RECORD, PAR_LAST, MODE = 8, 9, 10, 11, 12, 13, 14, 15
N_BLOCK = 20  # five columns of mode
LAVA, LAVA_HELD, UNBOUNDED, GRADED_BOTH, GRADED_UP, DIFFERENCES = 0, 1, 2, 3, 4, 5
WRAPPED, SATURATED, WRAPPED_SUMS, OPERATIONS = 0, 1, 2, 3  # columns of the counts


class Net(NamedTuple):
    """What does not change: blocks of neurons, in order; their synapses; registers by tile; neurons' numbers."""

    blocks: Int64s
    wiring: Wiring
    registers: Int32s
    numbers: Int32s


class Live(NamedTuple):
    """What changes. `position` is (spikes listed, number of the part whose values were too large, or -1)."""

    state: Integers
    resting: Bytes
    touched: Bytes
    sdn: Int32s
    row: Int32s
    sums: Int32s
    fired: Bytes
    words: NDArray[np.uint64]
    counts: Int64s
    position: Int64s
    u: Integers
    v: Integers


@njit(cache=True, **PART)
def bring(net: Net, live: Live, log: Log, block: Int64s, step: int) -> bool:
    """Add what arrives at a block to ``live.row``, marking its tiles; returns whether values were small enough."""
    n_tiles = (block[SIZE] + TILE - 1) // TILE
    touched, counts = live.touched[:n_tiles], live.counts[block[POPULATION]]
    is_whole = False
    for k in range(block[PART_FIRST], block[PART_LAST]):
        part = net.wiring.parts[k]
        t = step - part[LAG]
        if t < 0:
            continue
        first, last = log.begin[part[SOURCE], t], log.end[part[SOURCE], t]
        if first == last:
            continue
        if part[GRADED] != 0 and is_too_large(log, part[BOUND], first, last):
            live.position[1] = k
            return False
        is_apart = part[DOWN] != 0 or part[WRAPS] != 0
        row = live.sums if is_apart else live.row
        if part[KIND] == DENSE:
            counts[OPERATIONS] += add_dense(row, net.wiring, part, log, first, last)
            is_whole = True
        elif part[KIND] == SPARSE:
            counts[OPERATIONS] += add_sparse(row, touched, net.wiring, part, log, first, last)
        else:
            counts[OPERATIONS] += add_taps(row, touched, net.wiring, part, log, first, last)
        if is_apart:
            n = n_tiles * TILE
            if part[DOWN] != 0:
                add_shifted(live.row[:n], live.sums[:n], part[DOWN])
            else:
                counts[WRAPPED_SUMS] += add_wrapped(live.row[:n], live.sums[:n])
    if is_whole:
        touched[:] = 1
    return True


@njit(cache=True, **PART)
def reset(net: Net, live: Live, block: Int64s) -> None:
    """Set u, v and what is held to 0."""
    n_tiles = (block[SIZE] + TILE - 1) // TILE
    first = block[TILE_FIRST]
    live.state[first * N_STATE * TILE : (first + n_tiles) * N_STATE * TILE] = 0
    live.resting[first : first + n_tiles] = 0


@njit(cache=True, **PART)
def update(net: Net, live: Live, log: Log, block: Int64s) -> None:
    """Take a step of the tiles of a block that have input or do not rest, and list what fires."""
    n_tiles, n, counts = (
        (block[SIZE] + TILE - 1) // TILE,
        live.position[0],
        live.counts[block[POPULATION]],
    )
    rules, subtracts, numbers = block[RULES], block[SUBTRACTS] != 0, net.numbers[block[PLACE] :]
    for tile in range(n_tiles):
        number = block[TILE_FIRST] + tile
        if live.touched[tile] == 0 and live.resting[number] != 0:
            continue
        s = live.state[number * N_STATE * TILE : (number + 1) * N_STATE * TILE]
        par = block[PAR] + tile * block[PAR_STEP] if tile < n_tiles - 1 else block[PAR_LAST]
        p = net.registers[par : par + N_REGISTERS * TILE]
        a = live.row[tile * TILE : (tile + 1) * TILE]
        if rules == LAVA:
            fires, rests = step_tile(s, p, a, live.fired, subtracts, counts)
            live.resting[number] = rests and live.touched[tile] == 0
        else:
            fires = step_held_tile(s, p, a, live.fired, subtracts, counts, rules == LAVA_HELD)
        if live.touched[tile] != 0:
            a[:] = 0
            live.touched[tile] = 0
        if fires:
            for word in range(TILE // 8):
                if live.words[word] == 0:
                    continue
                for i in range(8 * word, 8 * word + 8):
                    if live.fired[i] != 0:
                        log.neuron[n] = numbers[tile * TILE + i]
                        log.value[n] = 1
                        n += 1
    live.position[0] = n


@njit(cache=True, **PART)
def update_graded(net: Net, live: Live, log: Log, block: Int64s) -> None:
    """Take a step of neurons with graded spikes."""
    n, rules, place = live.position[0], block[RULES], block[PLACE]
    n_tiles = (block[SIZE] + TILE - 1) // TILE
    for i in range(block[SIZE]):
        tile = i // TILE
        at = block[PAR] + tile * block[PAR_STEP] if tile < n_tiles - 1 else block[PAR_LAST]
        at += i % TILE
        threshold, x = net.registers[at + THRESHOLD] >> 6, np.int64(live.row[i])
        if rules == DIFFERENCES:
            bias = net.registers[at + BIAS]
            x = step_difference(x, live.sdn[place + i], threshold, bias, block[MODE:])
        else:
            x = step_graded(x, threshold, rules == GRADED_UP)
        if x != 0:
            log.neuron[n] = net.numbers[place + i]
            log.value[n] = x
            n += 1
        live.row[i] = 0
    live.touched[:n_tiles] = 0
    live.position[0] = n


@njit(cache=True, **PART)
def record(net: Net, live: Live, block: Int64s, step: int) -> None:
    """Copy u and v of a block into this step's row of the record."""
    base, place = block[TILE_FIRST] * N_STATE * TILE, block[PLACE]
    for i in range(block[SIZE]):
        at = base + i // TILE * N_STATE * TILE + i % TILE
        column = block[RECORD] + net.numbers[place + i]
        live.u[step, column] = live.state[at + U]
        live.v[step, column] = live.state[at + V]


@njit(cache=True, **UNCOUNTED)
def run_steps(net: Net, live: Live, log: Log, first: int, last: int, room: int) -> int:
    """Run all blocks for the steps first .. last; returns the step that was reached.

    Runs until `log` may have no room for the `room` spikes of a step, or values of spikes are too large.
    """
    for step in range(first, last):
        if live.position[0] + room > log.neuron.size:
            return step
        for k in range(net.blocks.shape[0]):
            block = net.blocks[k]
            population, interval, offset = block[POPULATION], block[RESET_INTERVAL], block[RESET_STEP]
            if block[IS_FIRST] != 0:
                log.begin[population, step] = live.position[0]
            if not bring(net, live, log, block, step):
                return step
            if step == offset or (interval > 0 and step % interval == offset % interval):
                reset(net, live, block)
            if block[RULES] >= GRADED_BOTH:
                update_graded(net, live, log, block)
            else:
                update(net, live, log, block)
            log.end[population, step] = live.position[0]
            if block[RECORD] >= 0:
                record(net, live, block, step)
    return last
