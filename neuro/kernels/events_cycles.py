"""Populations that reach each other over synapses with delays: many waves through their cycles in one call.

In a wave every population takes what is certain to arrive: up to the shortest delay after the next thing that can
happen anywhere. The populations are those of `events` and `events_timed`, one after another in the same arrays. All
parts are taken in by their callers: passing them the arrays took a fifth of the time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Int32s, Int64s, Synapses
from neuro.kernels.arrivals import (
    CAP,
    DUE,
    HAPPENING,
    INPUT_MARK,
    INPUT_NUMBER,
    LAST,
    MARK,
    N_WAYS,
    NEXT,
    NUMBER_BITS,
    TIME,
    UNTIL,
    UNTIL_NUMBER,
    Inbox,
    drop_first,
    push,
    take_arrivals,
)
from neuro.kernels.crossings import Timing
from neuro.kernels.events import Deltas, Dynamics, Pixels, integrate
from neuro.kernels.events_spread import Fan
from neuro.kernels.events_timed import NEVER, Timed, integrate_timed, sweep
from neuro.kernels.options import PART, UNCOUNTED, njit

# Columns of `Cells.numbers`: kind, flags, ticks; first neuron and the one behind the last; the same of parameters.
(
    IS_JUMP,
    IS_UNIFORM,
    IS_SUBTRACTING,
    HAS_CURRENT,
    CAN_CROSS,
    REFRACTORY,
    FIRST,
    BEHIND,
    PARAMETER,
    PARAMETERS,
) = range(10)
RATE, RATES, COARSE, COARSES, FINE, N_NUMBERS = range(10, 16)
_N_FINE = 1024

# Columns of `Links.table`: population and number of its input, delays, where the inputs' synapses begin in `fan.start`;
# the delay before the synapses, and whether products are counted: those of a node to several populations are the same.
TARGET, INPUT, LEAST, MOST, BASE, DELAY, IS_COUNTED, N_LINK_NUMBERS = range(8)

# Places in `now`: what goes on ..
STAGE, POPULATION, IS_MOVING, N_ARRIVED, N_DONE, N_OUT, N_SPIKES, N_WAITING = range(8)
# .. and its limits: events on their way, work of a call, the longest wave and where this one ends by it, the end, the
# last time; the link over which a spike would go beyond that, and when.
MOST_WAITING, BUDGET, LONGEST, UPTO, END, LATEST, LATE_LINK, LATE_TIME, N_NOW = range(8, 17)

ARRIVING, REACHING, LEAVING, BETWEEN = range(4)  # stages of a wave
IDLE, NO_ROOM, PAUSE, TOO_LATE, TOO_MANY = range(5)  # why a call ends: `run_waves`
EVERY_INPUT = 2**40
_WAVE_WORK = 16  # of a wave, in events
_LOOKS = 64  # neurons that may fire by themselves, looked at in the time of an event


class Cells(NamedTuple):
    """Populations, their state, and ``tally``: int64, shape (n_populations, 6), as the kernel of each has it."""

    numbers: NDArray[np.int64]
    dynamics: Dynamics
    timing: Timing
    pixels: Pixels
    timed: Timed
    tally: NDArray[np.int64]


class Links(NamedTuple):
    """Synapses between populations: those that leave p are the links ``first[p]`` up to ``first[p + 1]``.

    ``fan``: synapses of all links, without weights of 0, by input and then by delay. ``n_products``: int64, how many an
    input has with those of 0; ``operations``: int64, shape (n_links,), products so far.
    """

    first: Int64s
    table: NDArray[np.int64]
    fan: Fan
    n_products: Int64s
    operations: Int64s


class Work(NamedTuple):
    """Room: a heap for each population, and lists of what arrives, is fired without a cause, is caused, and leaves.

    ``order``: a heap for as many as `own`; ``out``: spikes of all populations; ``who``: the population of each.
    """

    heaps: NDArray[np.int64]
    arriving: Deltas
    own: Deltas
    order: NDArray[np.int64]
    caused: Deltas
    out: Deltas
    who: Int32s


@njit(cache=True, forceinline=True, **PART)
def dynamics_of(cells: Cells, p: int) -> Dynamics:
    """Return the parameters of one population that jumps."""
    row, every = cells.numbers[p], cells.dynamics
    first, behind = row[PARAMETER], row[PARAMETERS]
    return Dynamics(
        row[IS_UNIFORM] != 0,
        row[IS_SUBTRACTING] != 0,
        every.rate[row[RATE] : row[RATES]],
        every.coarse[row[COARSE] : row[COARSES]],
        every.fine[row[FINE] : row[FINE] + _N_FINE],
        every.rest[first:behind],
        every.fire_above[first:behind],
        every.reset[first:behind],
    )


@njit(cache=True, forceinline=True, **PART)
def timing_of(cells: Cells, p: int) -> Timing:
    """Return the parameters of one population with times of its own."""
    row, every = cells.numbers[p], cells.timing
    first, behind = row[PARAMETER], row[PARAMETERS]
    return Timing(
        row[IS_UNIFORM] != 0,
        row[IS_SUBTRACTING] != 0,
        False,
        row[HAS_CURRENT] != 0,
        row[CAN_CROSS] != 0,
        row[REFRACTORY],
        every.decay[first:behind],
        every.current_decay[first:behind],
        every.gain_peak[first:behind],
        every.rest[first:behind],
        every.fire_above[first:behind],
        every.reset[first:behind],
    )


@njit(cache=True, forceinline=True, **PART)
def reach(cells: Cells, synapses: Synapses, work: Work, now: Int64s, p: int, limit: int) -> bool:
    """Let what arrived reach a population, and let it fire up to a time; tell whether there was room for all."""
    row, tally, n = cells.numbers[p], cells.tally[p], now[N_ARRIVED]
    first, behind = row[FIRST], row[BEHIND]
    arriving = work.arriving
    events = Deltas(arriving.t[:n], arriving.index[:n], arriving.value[:n])
    if row[IS_JUMP] != 0:
        pixels = Pixels(cells.pixels.voltage[first:behind], cells.pixels.last[first:behind])
        integrate(events, 0, synapses, dynamics_of(cells, p), pixels, work.caused, tally)
        return True
    timing, every = timing_of(cells, p), cells.timed
    state = Timed(
        every.voltage[first:behind],
        every.current[first:behind],
        every.since[first:behind],
        every.due[first:behind],
        every.pixel_due[first:behind],
    )
    now[N_DONE] = integrate_timed(events, now[N_DONE], synapses, timing, state, work.own, work.caused, tally)
    if now[N_DONE] < n:
        return False
    return not timing.can_cross or sweep(timing, state, 1, limit, work.own, tally)


@njit(cache=True, forceinline=True, **PART)
def send(links: Links, work: Work, places: NDArray[np.int64], now: Int64s, p: int, t: int, o: int) -> bool:
    """List a spike, and send it over the population's links; tell whether it arrives before the last time."""
    n = now[N_OUT]
    work.out.t[n] = t
    work.out.index[n] = o
    work.who[n] = p
    now[N_OUT] = n + 1
    fan, end = links.fan, now[END]
    for link in range(links.first[p], links.first[p + 1]):
        row = links.table[link]
        at, target = row[BASE] + o, row[TARGET]
        if t < end - row[DELAY]:
            links.operations[link] += links.n_products[at] * row[IS_COUNTED]
        first, stop = fan.start[at], fan.start[at + 1]
        if end == NEVER:
            if stop > first and t > now[LATEST] - row[MOST]:
                now[LATE_LINK], now[LATE_TIME] = link, t
                return False
        elif t >= end - row[MOST]:
            while stop > first and fan.ticks[stop - 1] >= end - t:
                stop -= 1
        if stop > first:
            rank = (row[INPUT] << NUMBER_BITS) + now[N_SPIKES]
            push(work.heaps[target], places[target, N_WAYS], (t + fan.ticks[first], rank, first, stop))
            places[target, N_WAYS] += 1
            now[N_WAITING] += stop - first
    now[N_SPIKES] += 1
    return True


@njit(cache=True, forceinline=True, **PART)
def leave(cells: Cells, links: Links, work: Work, places: NDArray[np.int64], now: Int64s, p: int) -> int:
    """Send what a population fired, if there is room: spikes of its own before what is caused at the same time."""
    tally, is_jump = cells.tally[p], cells.numbers[p, IS_JUMP] != 0
    n_own, n_caused = (np.int64(0) if is_jump else tally[0]), tally[0 if is_jump else 1]
    n = n_own + n_caused
    if now[N_OUT] + n > work.who.size:
        return NO_ROOM
    n_most = n * (links.first[p + 1] - links.first[p])
    for link in range(links.first[p], links.first[p + 1]):
        if places[links.table[link, TARGET], N_WAYS] + n_most > work.heaps.shape[1]:
            return NO_ROOM
    for j in range(n_own):
        push(work.order, j, (work.own.t[j], np.int64(work.own.index[j]), np.int64(0), np.int64(0)))
    c = 0
    while n_own > 0 or c < n_caused:
        if n_own > 0 and (c == n_caused or work.order[0, 0] <= work.caused.t[c]):
            t, o = work.order[0, 0], work.order[0, 1]
            drop_first(work.order, n_own)
            n_own -= 1
        else:
            t, o = work.caused.t[c], np.int64(work.caused.index[c])
            c += 1
        if not send(links, work, places, now, p, t, o):
            return TOO_LATE
    if not is_jump:
        tally[0] = 0
        tally[1] = 0
        tally[5] += n
    return IDLE


@njit(cache=True, forceinline=True, **PART)
def restrain(place: Int64s, mark: int, number: int) -> None:
    """Let a wave take no more of a population's inputs than what is before (time, number of the input), and that."""
    if mark < place[UNTIL] or (mark == place[UNTIL] and number < place[UNTIL_NUMBER]):
        place[UNTIL], place[UNTIL_NUMBER] = mark, number


@njit(cache=True, forceinline=True, **PART)
def look(links: Links, places: NDArray[np.int64], p: int, is_back: bool) -> None:
    """Say how far the inputs are known that come from p: to it and those before it, or to those behind it."""
    known = max(places[p, MARK], places[p, HAPPENING])
    for link in range(links.first[p], links.first[p + 1]):
        row = links.table[link]
        if (row[TARGET] <= p) == is_back:
            restrain(places[row[TARGET]], NEVER if known == NEVER else known + row[LEAST], row[INPUT])


@njit(cache=True, forceinline=True, **PART)
def find_first(cells: Cells, inbox: Inbox, work: Work, place: Int64s, p: int) -> int:
    """Return the next time at which a population takes an event that it knows, or fires by itself."""
    first = inbox.t[place[NEXT]] if place[NEXT] < place[LAST] else NEVER
    if place[N_WAYS] > 0:
        first = min(first, work.heaps[p, 0, TIME])
    due, row = NEVER, cells.numbers[p]
    if row[CAN_CROSS] != 0:
        for o in range(row[FIRST], row[BEHIND]):
            due = min(due, cells.timed.pixel_due[o])
    place[DUE] = due
    return min(first, due)


@njit(cache=True, forceinline=True, **PART)
def spread_first(links: Links, places: NDArray[np.int64], now: Int64s) -> None:
    """Let what happens at one population make something happen at others, as late as the delays say."""
    is_changing = True
    while is_changing:
        is_changing = False
        for p in range(places.shape[0]):
            if places[p, HAPPENING] >= now[END]:
                places[p, HAPPENING] = NEVER
                continue
            for link in range(links.first[p], links.first[p + 1]):
                target, t = links.table[link, TARGET], places[p, HAPPENING] + links.table[link, LEAST]
                if t < places[target, HAPPENING] and t < now[END]:
                    places[target, HAPPENING] = t
                    is_changing |= target < p


@njit(cache=True, forceinline=True, **PART)
def begin_wave(
    cells: Cells, links: Links, inbox: Inbox, work: Work, places: NDArray[np.int64], now: Int64s
) -> None:
    """Find the next time at which anything can happen, and how far the inputs of each population are known."""
    first, outside = NEVER, NEVER
    for p in range(places.shape[0]):
        place = places[p]
        one = find_first(cells, inbox, work, place, p)
        first, outside = min(first, one), min(outside, place[INPUT_MARK])
        place[HAPPENING] = min(one, place[INPUT_MARK])
        place[UNTIL], place[UNTIL_NUMBER] = place[INPUT_MARK], place[INPUT_NUMBER]
    is_long = first < outside and first < NEVER - now[LONGEST]
    now[UPTO] = first + now[LONGEST] if is_long else NEVER
    spread_first(links, places, now)
    for p in range(places.shape[0]):
        look(links, places, p, True)
        if cells.numbers[p, CAN_CROSS] != 0:
            now[BUDGET] -= (cells.numbers[p, BEHIND] - cells.numbers[p, FIRST]) // _LOOKS
    now[STAGE], now[POPULATION], now[IS_MOVING] = ARRIVING, 0, 0


@njit(cache=True, forceinline=True, **PART)
def take_part(
    cells: Cells,
    synapses: Synapses,
    links: Links,
    inbox: Inbox,
    work: Work,
    places: NDArray[np.int64],
    now: Int64s,
    p: int,
) -> int:
    """Bring a population as far as its inputs are known; NO_ROOM or TOO_LATE where that stopped."""
    place = places[p]
    mark, number = place[UNTIL], place[UNTIL_NUMBER]
    upto = min(now[UPTO], place[CAP])
    if mark > upto:
        mark, number = upto, np.int64(EVERY_INPUT)
    last = min(mark, now[END] - 1)
    is_more = True
    while is_more:
        if now[STAGE] == ARRIVING:
            n, n_waited = take_arrivals(work.heaps[p], place, links.fan, inbox, (mark, number), work.arriving)
            if n == 0 and place[DUE] > last:
                break
            now[N_ARRIVED], now[N_DONE], now[IS_MOVING] = n, 0, 1
            now[N_WAITING] -= n_waited
            now[BUDGET] -= n
            now[STAGE] = REACHING
        n = now[N_ARRIVED]
        is_more = n == work.arriving.t.size
        if now[STAGE] == REACHING:
            if not reach(cells, synapses, work, now, p, work.arriving.t[n - 1] if is_more else last):
                return NO_ROOM
            now[STAGE] = LEAVING
        status: int = leave(cells, links, work, places, now, p)
        if status != IDLE:
            return status
        now[STAGE] = ARRIVING
        if is_more:
            place[DUE] = 0  # what arrived may have set it to any time
    if mark > place[MARK]:
        place[MARK] = mark
        now[IS_MOVING] = 1
    look(links, places, p, False)
    return IDLE


@njit(cache=True, **UNCOUNTED)
def run_waves(
    cells: Cells,
    synapses: Synapses,
    links: Links,
    inbox: Inbox,
    work: Work,
    places: NDArray[np.int64],
    now: Int64s,
) -> int:
    """Run waves until nothing moves (IDLE), a list is full (NO_ROOM), or ``now[BUDGET]`` is used up (PAUSE).

    The next call goes on where this one stopped. ``synapses``: from each of so many entries to its own neuron as the
    largest population has. TOO_LATE: a spike would arrive after the last time; TOO_MANY: more events are on their way
    than ``now[MOST_WAITING]``.
    """
    while True:
        if now[STAGE] == BETWEEN:
            if now[BUDGET] <= 0:
                return PAUSE
            if now[N_WAITING] > now[MOST_WAITING]:
                return TOO_MANY
            begin_wave(cells, links, inbox, work, places, now)
            now[BUDGET] -= _WAVE_WORK
        for p in range(now[POPULATION], places.shape[0]):
            now[POPULATION] = p
            status: int = take_part(cells, synapses, links, inbox, work, places, now, p)
            if status != IDLE:
                return status
        now[STAGE] = BETWEEN
        if now[IS_MOVING] == 0:
            return IDLE
