"""Delivery of spikes: each thread adds to its own neurons, the oldest spikes first, in order of the numbers."""

from typing import Any

import numpy as np

from neuro.kernels import networks as nw
from neuro.kernels.networks import RUN, RUNS, TILE, Frames, Live, Network
from neuro.kernels.options import INLINED, PART, njit
from neuro.kernels.poisson import count_tile, draw
from neuro.kernels.prefetch import prefetch

U = np.uint64
LINE_TARGETS, AHEAD = 16, 128


@njit(cache=True, **PART)
def deliver_row(weight: nw.Reals, target: nw.UInt32s, value: nw.Reals, state: nw.Reals) -> None:
    """Add a run of synapses, times the value of the entry (an array of one; empty for 1)."""
    if value.size:
        x = value[0]
        for j in range(weight.size):
            state[target[j]] += weight[j] * x
    else:
        for j in range(weight.size):
            state[target[j]] += weight[j]


@njit(cache=True, **PART)
def deliver_constant(weight: float, target: nw.UInt32s, state: nw.Reals) -> None:
    """Add one weight at all targets."""
    for j in range(target.size):
        state[target[j]] += weight


@njit(cache=True, **PART)
def ask_for(array: Any, first: Any, stop: Any) -> None:
    """Start to load a run of an array: its first lines, the others follow as they are read."""
    for j in range(first, min(stop, first + U(AHEAD)), U(LINE_TARGETS)):
        prefetch(array, j)


@njit(cache=True, **INLINED)
def deliver(net: Network, live: Live, thread: int, slot: int) -> None:
    """Deliver what arrives in this step over delays of at least one step.

    Runs of synapses are listed, and their targets and weights asked for; a full list is delivered.
    """
    n_delays, n_nodes = net.delays.size, live.log_start.shape[1] - 1
    ptr, row_weight = net.ptr[thread], net.row_weight[thread]
    runs, is_weighted = live.runs[thread], row_weight.size > 0
    n = n_runs = 0
    for group in range(n_delays):
        before = slot - net.delays[group]
        if before < 0:
            continue
        end = U(live.log_start[before, n_nodes])
        for q in range(U(live.log_start[before, 0]), end):
            row = U(live.log_index[q]) * U(n_delays) + U(group)
            if q + U(4) < end:
                later = U(live.log_index[q + U(4)]) * U(n_delays) + U(group)
                prefetch(ptr, later)
                if is_weighted:
                    prefetch(row_weight, later)
            first, stop = ptr[row], ptr[row + U(1)]
            if first == stop:
                continue
            n += int(stop) - int(first)
            ask_for(net.target, U(first), U(stop))
            if not is_weighted:
                ask_for(live.weight, U(first), U(stop))
            at = U(n_runs) * U(RUN)
            runs[at], runs[at + U(1)], runs[at + U(2)], runs[at + U(3)] = first, stop, q, row
            n_runs += 1
            if n_runs == RUNS:
                deliver_runs(
                    runs[: n_runs * RUN], net.target, row_weight, live.weight, live.log_value, live.state
                )
                n_runs = 0
    deliver_runs(runs[: n_runs * RUN], net.target, row_weight, live.weight, live.log_value, live.state)
    live.operations[thread, 0] += n


@njit(cache=True, **PART)
def deliver_runs(
    runs: nw.UInt64s,
    target: nw.UInt32s,
    row_weight: nw.Reals,
    weight: nw.Reals,
    log_value: nw.Reals,
    state: nw.Reals,
) -> None:
    """Add the synapses of the listed runs: first, stop, entry of the log, row."""
    is_graded = log_value.size > 0
    for at in range(U(0), U(runs.size), U(RUN)):
        first, stop, q, row = runs[at], runs[at + U(1)], runs[at + U(2)], runs[at + U(3)]
        value = log_value[q : q + U(is_graded)]
        if row_weight.size:
            constant = row_weight[row] * value[0] if is_graded else row_weight[row]
            deliver_constant(constant, target[first:stop], state)
        else:
            deliver_row(weight[first:stop], target[first:stop], value, state)


@njit(cache=True, **PART)
def deliver_now(net: Network, live: Live, thread: int, start: int, stop: int) -> None:
    """Deliver entries start .. stop of the log over synapses without delay."""
    ptr, is_graded = net.zero_ptr[thread], live.log_value.size > 0
    n = 0
    for q in range(U(start), U(stop)):
        row = U(live.log_index[q])
        n += int(ptr[row + U(1)]) - int(ptr[row])
        first, stop = ptr[row], ptr[row + U(1)]
        value = live.log_value[q : q + U(is_graded)]
        deliver_row(live.weight[first:stop], net.target[first:stop], value, live.state)
    live.operations[thread, 0] += n


@njit(cache=True, **PART)
def drive(net: Network, live: Live, frames: Frames, thread: int, k: int) -> None:
    """Add what comes from sources straight into populations, in the order of the edges."""
    for edge in range(net.drives.shape[0]):
        source, population = net.sources[net.drives[edge, 0]], net.populations[net.drives[edge, 1]]
        lo = max(0, net.bounds[thread] - population[nw.TILE_LO])
        hi = min((population[nw.SIZE] + TILE - 1) // TILE, net.bounds[thread + 1] - population[nw.TILE_LO])
        size = population[nw.N_FIELDS] * TILE
        if source[nw.KIND] == nw.INPUT:
            for q in range(frames.start[k], frames.start[k + 1]):
                o = np.int64(frames.index[q])
                own = o // TILE
                if lo <= own < hi:
                    live.state[population[nw.STATE] + own * size + TILE + (o - own * TILE)] += frames.value[q]
            continue
        counts, scale = live.counts[thread], net.scale[net.drives[edge, 0]]
        for tile in range(lo, hi):
            if not draw_counts(net, live, net.drives[edge, 0], tile, frames.n_before + k, thread):
                continue
            at = population[nw.STATE] + tile * size + TILE
            into = live.state[at : at + TILE]
            for j in range(TILE):
                into[j] += scale * into.dtype.type(counts[j])


@njit(cache=True, **PART)
def draw_counts(net: Network, live: Live, row: int, tile: int, step: int, thread: int) -> bool:
    """Draw the counts of a tile of a Poisson source into the thread's scratch; return whether there is an event."""
    source, counts = net.sources[row], live.counts[thread]
    draw(net.key[row], step, tile, live.words[thread])
    at = source[nw.TABLE] + tile * source[nw.TABLE_STEP]
    table = net.table[at : at + source[nw.N_TABLE] * TILE]
    return bool(count_tile(live.random[thread], table, counts))


@njit(cache=True, **PART)
def list_sources(net: Network, live: Live, frames: Frames, k: int, slot: int, n: int) -> int:
    """Write the entries of the listed sources into the log; return the number of entries in it."""
    for row in range(net.sources.shape[0]):
        source = net.sources[row]
        live.log_start[slot, row] = n
        if not frames.is_listed[row]:
            continue
        first, size = source[2], source[1]
        if source[nw.KIND] == nw.INPUT:
            for q in range(frames.start[k], frames.start[k + 1]):
                live.log_index[n] = first + frames.index[q]
                live.log_value[n] = frames.value[q]
                n += 1
            continue
        counts, scale = live.counts[0], net.scale[row]
        for tile in range((size + TILE - 1) // TILE):
            if not draw_counts(net, live, row, tile, frames.n_before + k, 0):
                continue
            for j in range(min(TILE, size - tile * TILE)):
                if counts[j]:
                    live.log_index[n] = first + tile * TILE + j
                    live.log_value[n] = scale * live.state.dtype.type(counts[j])
                    n += 1
    return n
