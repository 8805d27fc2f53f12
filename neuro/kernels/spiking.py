"""What follows the update of a tile: refractory neurons are put back, the others fire, are reset and listed."""

import numpy as np

from neuro.kernels import networks as nw
from neuro.kernels.models import update_tile
from neuro.kernels.networks import TILE, Live, Network, Reals
from neuro.kernels.options import INLINED, UNCOUNTED, njit

U = np.uint64


@njit(cache=True, **INLINED)
def fire_tile(
    population: nw.Int64s, tile: int, thread: int, step: int, s: Reals, p: Reals, live: Live, n: int
) -> int:
    """Reset and list the neurons of a tile that are over the threshold and not held; return the new number listed."""
    first = population[nw.FIRST] + tile * TILE
    n_lanes = min(TILE, population[nw.SIZE] - tile * TILE)
    n_hold, model = population[nw.N_HOLD], population[nw.MODEL]
    fired, words, found = live.fired[thread], live.fired_words[thread], live.found[thread]
    word = next_fired(words, 0)
    while word < TILE // 8:
        for j in range(8 * word, min(8 * word + 8, n_lanes)):
            if not fired[j] or (n_hold > nw.MOST_REST and live.last[first + j] + n_hold >= step):
                continue
            reset = p[nw.RESET * TILE + j]
            s[j] = s[j] - reset if population[nw.IS_SUBTRACTING] else reset
            if model >= nw.ADAPTIVE:
                s[2 * TILE + j] += p[nw.JUMP * TILE + j]
                if model == nw.ADAPTIVE:
                    s[3 * TILE + j] += p[nw.SECOND_JUMP * TILE + j]
            if n_hold:
                live.held[first + j] = s[j]
                live.rest[(population[nw.TILE_LO] + tile) * TILE + j] = min(n_hold, nw.MOST_REST)
            if n_hold > nw.MOST_REST:
                live.last[first + j] = step
            found[n] = first + j
            n += 1
        word = next_fired(words, word + 1)
    return n


@njit(cache=True, **UNCOUNTED)
def next_fired(words: nw.UInt64s, word: int) -> int:
    """Return the place of the next eight neurons of which one is over the threshold: most have none."""
    at = U(word)
    while at < U(words.size) and words[at] == 0:
        at += U(1)
    return int(at)


@njit(cache=True, **UNCOUNTED)
def count_down(rest: nw.Bytes) -> None:
    """A step of a tile has passed."""
    for j in range(TILE):
        rest[j] -= rest[j] != 0


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


@njit(cache=True, **UNCOUNTED)
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
    for tile in range(lo, hi):
        at, par_at = population[nw.STATE] + tile * size, population[nw.PAR] + tile * par_step
        s, p = state[at : at + size], par[par_at : par_at + width]
        rest_at = (population[nw.TILE_LO] + tile) * TILE
        rest = live.rest[rest_at : rest_at + TILE]
        is_over = update_tile(model, is_alike, s, p, rest, live.fired[thread], live.fired_words[thread])
        if population[nw.N_HOLD]:
            count_down(rest)
        if is_over:
            n = fire_tile(population, tile, thread, step, s, p, live, n)
    if population[
        nw.N_HOLD
    ]:  # what a membrane does while it is held is seen in traces and by Izhikevich's u only
        start = slot - population[nw.N_HOLD]
        is_seen = population[nw.TRACE] >= 0 or model == nw.IZHIKEVICH
        stop = slot if is_seen else min(start + 1, slot)
        hold_back(population, net.sources.shape[0] + row, lo, hi, start, stop, live)
    return n


@njit(cache=True, **UNCOUNTED)
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
