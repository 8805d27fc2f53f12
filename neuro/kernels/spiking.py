"""What follows the update of a tile: refractory neurons are put back, the others fire, are reset and listed."""

import numpy as np

from neuro.kernels import networks as nw
from neuro.kernels.models import update_tile
from neuro.kernels.networks import GROUP, TILE, Live, Network, Reals
from neuro.kernels.options import INLINED, PART, njit
from neuro.kernels.vectors import lowest_bit

U = np.uint64


@njit(cache=True, **PART)
def summarize(over: nw.UInt64s, n_lanes: int) -> U:
    """Return a bit for each word in which a neuron is over the threshold; lanes after `n_lanes` are none."""
    n_words, n_more = U(n_lanes + 63) // U(64), U(n_lanes) % U(64)
    if n_more != 0:
        over[n_words - U(1)] &= (U(1) << n_more) - U(1)
    bits = U(0)
    for word in range(n_words):
        bits |= U(over[word] != 0) << word
    return bits


@njit(cache=True, **INLINED)
def fire_group(
    population: nw.Int64s,
    first_tile: int,
    n_lanes: int,
    thread: int,
    step: int,
    par: Reals,
    live: Live,
    n: int,
) -> int:
    """Reset and list the neurons of a group that are over the threshold and not held; return the new number listed."""
    n_hold, size = population[nw.N_HOLD], population[nw.N_FIELDS] * TILE
    over, found = live.over[thread], live.found[thread]
    words = summarize(over, n_lanes)
    while words != 0:
        word = lowest_bit(words)
        words &= words - U(1)
        bits = over[word]
        while bits != 0:
            place = U(64) * word + lowest_bit(bits)
            bits &= bits - U(1)
            number = population[nw.FIRST] + first_tile * TILE + np.int64(place)
            if n_hold > nw.MOST_REST and live.last[number] + n_hold >= step:
                continue
            tile, lane = first_tile + np.int64(place // U(TILE)), place % U(TILE)
            at = U(population[nw.STATE] + tile * size) + lane
            fire(population, at, U(population[nw.PAR] + tile * population[nw.PAR_STEP]) + lane, par, live)
            if n_hold:
                live.held[number] = live.state[at]
                live.rest[U((population[nw.TILE_LO] + tile) * TILE) + lane] = min(n_hold, nw.MOST_REST)
            if n_hold > nw.MOST_REST:
                live.last[number] = step
            found[n] = number
            n += 1
    return n


@njit(cache=True, **INLINED)
def fire(population: nw.Int64s, at: U, par_at: U, par: Reals, live: Live) -> None:
    """Reset the neuron at a place of the state, whose parameters begin at another, and add its jumps."""
    model, reset = population[nw.MODEL], par[par_at + U(nw.RESET * TILE)]
    live.state[at] = live.state[at] - reset if population[nw.IS_SUBTRACTING] else reset
    if model >= nw.ADAPTIVE:
        live.state[at + U(2 * TILE)] += par[par_at + U(nw.JUMP * TILE)]
        if model == nw.ADAPTIVE:
            live.state[at + U(3 * TILE)] += par[par_at + U(nw.SECOND_JUMP * TILE)]


@njit(cache=True, **INLINED)
def hold_back(population: nw.Int64s, node: int, lo: int, hi: int, start: int, stop: int, live: Live) -> None:
    """Put the membranes in the tiles lo .. hi of neurons that fired in the slots start .. stop back to their hold."""
    first, base, skip = population[nw.FIRST], population[nw.STATE], (population[nw.N_FIELDS] - 1) * TILE
    for before in range(max(0, start), stop):
        for q in range(live.log_start[before, node], live.log_start[before, node + 1]):
            o = np.int64(live.log_index[q]) - first
            tile = o // TILE
            if lo <= tile < hi:
                live.state[U(base + tile * skip + o)] = live.held[U(first + o)]


@njit(cache=True, **PART)
def hold_all(net: Network, live: Live, slot: int) -> None:
    """Put the membranes of all neurons that are still held in `slot` back to what they are held at."""
    for row in range(net.populations.shape[0]):
        population = net.populations[row]
        node, n_tiles = net.sources.shape[0] + row, (population[nw.SIZE] + TILE - 1) // TILE
        hold_back(population, node, 0, n_tiles, slot - population[nw.N_HOLD], slot, live)


@njit(cache=True, **INLINED)
def step_population(net: Network, live: Live, row: int, thread: int, step: int, slot: int, n: int) -> int:
    """Run one step of the tiles of a population that a thread owns; return the new number listed."""
    population = net.populations[row]
    n_tiles = (population[nw.SIZE] + TILE - 1) // TILE
    lo = max(0, net.bounds[thread] - population[nw.TILE_LO])
    hi = min(n_tiles, net.bounds[thread + 1] - population[nw.TILE_LO])
    if lo >= hi:
        return n
    size, width = population[nw.N_FIELDS] * TILE, nw.N_PARAMETERS * TILE
    model, par_step = population[nw.MODEL], population[nw.PAR_STEP]
    is_alike = par_step == 0
    state, par = live.state, net.par
    for first in range(lo, hi, GROUP):
        n_group = min(GROUP, hi - first)
        for tile in range(first, first + n_group):
            at, par_at = population[nw.STATE] + tile * size, population[nw.PAR] + tile * par_step
            s, p = state[at : at + size], par[par_at : par_at + width]
            rest_at = (population[nw.TILE_LO] + tile) * TILE
            rest = live.rest[rest_at : rest_at + TILE]
            place = (tile - first) * (TILE // 64)
            over = live.over[thread, place : place + TILE // 64]
            update_tile(model, is_alike, s, p, rest, live.fired[thread], over)
        n_lanes = min(n_group * TILE, population[nw.SIZE] - first * TILE)
        n = fire_group(population, first, n_lanes, thread, step, par, live, n)
    if population[nw.N_HOLD]:  # what a held membrane does is seen in traces and by Izhikevich's u only
        start = slot - population[nw.N_HOLD]
        is_seen = population[nw.TRACE] >= 0 or model == nw.IZHIKEVICH
        stop = slot if is_seen else min(start + 1, slot)
        hold_back(population, net.sources.shape[0] + row, lo, hi, start, stop, live)
    return n


@njit(cache=True, **PART)
def trace_population(net: Network, live: Live, row: int, thread: int, trace: Reals) -> None:
    """Copy the membranes of a thread's tiles of a population into this step's row of the trace."""
    population = net.populations[row]
    if population[nw.TRACE] < 0:
        return
    size, n = population[nw.N_FIELDS] * TILE, population[nw.SIZE]
    lo = max(0, net.bounds[thread] - population[nw.TILE_LO])
    hi = min((n + TILE - 1) // TILE, net.bounds[thread + 1] - population[nw.TILE_LO])
    for tile in range(lo, hi):
        at, into = population[nw.STATE] + tile * size, population[nw.TRACE] + tile * TILE
        for j in range(min(TILE, n - tile * TILE)):
            trace[into + j] = live.state[at + j]
