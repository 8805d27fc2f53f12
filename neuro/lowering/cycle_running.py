"""Running a cycle of populations: its state, what it is given, and what leaves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import LATEST_US
from neuro.kernels.arrays import Int64s
from neuro.kernels.arrivals import (
    CAP,
    INPUT_MARK,
    INPUT_NUMBER,
    LAST,
    MARK,
    N_COLUMNS,
    N_PLACES,
    N_WAYS,
    NEXT,
    NUMBER_BITS,
    RANK,
    STOP,
    SYNAPSE,
    TIME,
    UNTIL,
    Inbox,
)
from neuro.kernels.events import Deltas, Pixels
from neuro.kernels.events_cycles import (
    BEHIND,
    BETWEEN,
    BUDGET,
    END,
    EVERY_INPUT,
    FIRST,
    IDLE,
    INPUT,
    IS_COUNTED,
    LATE_LINK,
    LATE_TIME,
    LATEST,
    LONGEST,
    MOST_WAITING,
    N_NOW,
    N_OUT,
    NO_ROOM,
    POPULATION,
    STAGE,
    TARGET,
    TOO_LATE,
    TOO_MANY,
    UPTO,
    Cells,
    Links,
    Work,
    run_waves,
)
from neuro.kernels.events_timed import Timed
from neuro.lowering import spreading
from neuro.lowering.cycles import Cycle
from neuro.lowering.event_run import (
    FOREVER,
    Batch,
    EventRun,
    TooManySpikesError,
    gathered,
    no_events,
    selected,
)
from neuro.lowering.flow import JumpPopulation
from neuro.lowering.permitted import LONGEST as LONGEST_TICKS
from neuro.lowering.spreading import SparseSpread, Spread
from neuro.lowering.timed import TimedPopulation

__all__ = ["is_behind", "run_cycle"]

_PIECE = 2**12  # events that a population takes at once
_PIECE_GROWN = 2**17  # about as many events as a piece of them may become at one node behind
_OUT = 8  # pieces of spikes that leave together
_WORK = 2**18  # events and (sixteenths of) waves of one call: some milliseconds
_OWN = 2**10  # spikes that neurons fire by themselves in a wave, to begin with
_WAYS = 2**6  # spikes on their way, to begin with


@dataclass(eq=False)
class _Running:
    """What a cycle keeps: see `neuro.kernels.events_cycles`."""

    cells: Cells
    links: Links
    inbox: Inbox
    work: Work
    places: NDArray[np.int64]
    now: Int64s
    is_behind: bool = False


def is_behind(cycle: Cycle, run: EventRun) -> bool:
    """Whether a cycle could go on with what it has."""
    one: _Running = run.own[cycle.name]
    return one.is_behind


def run_cycle(
    cycle: Cycle, batches: Mapping[str, Batch], run: EventRun, shown: Collection[str], growth: int
) -> dict[str, Batch]:
    """Take new events, go on for a while, and return the spikes of each population.

    `shown` names the synapses whose events are wanted elsewhere: their products are counted there. One event becomes
    at most `growth` behind the cycle.
    """
    if cycle.name not in run.own:
        run.own[cycle.name] = _started(cycle, run, shown, growth)
    one: _Running = run.own[cycle.name]
    _take(cycle, one, batches)
    one.now[BUDGET] = _WORK
    tables = cycle.tables
    while True:
        _set_caps(cycle, one, run)
        status = run_waves(one.cells, tables.synapses, one.links, one.inbox, one.work, one.places, one.now)
        if status != IDLE or not _sample(cycle, one, run):
            break
    found = _left(cycle, one, run)
    if status == NO_ROOM:
        _make_room(cycle, one, run)
    elif status == TOO_LATE:
        _refuse_late(cycle, one)
    elif status == TOO_MANY:
        _check_waiting(cycle, one, run)
    one.is_behind = status != IDLE
    return found


def _take(cycle: Cycle, one: _Running, batches: Mapping[str, Batch]) -> None:
    """Put what comes from outside into the inbox, behind what is left of it, in order."""
    for place, entries in zip(one.places, cycle.entries, strict=True):
        marks = [(batches[source].mark, number) for source, number in entries]
        place[INPUT_MARK], place[INPUT_NUMBER] = min(marks, default=(FOREVER, EVERY_INPUT))
    if not any(batches[source].events.t.size for source in cycle.sources):
        return
    parts: list[Deltas] = []
    numbers: list[NDArray[np.int64]] = []
    n = 0
    for place, entries in zip(one.places, cycle.entries, strict=True):
        left, inbox = slice(place[NEXT], place[LAST]), one.inbox
        mine = [Deltas(inbox.t[left], inbox.index[left], inbox.value[left])]
        mine += [batches[source].events for source, _ in entries]
        sizes = [batches[source].events.t.size for source, _ in entries]
        events = gathered(mine)
        which = np.concatenate(
            [inbox.number[left], np.repeat([k for _, k in entries], sizes).astype(np.int64)]
        )
        if len(entries) > 1:
            order = np.lexsort((which, events.t))
            events, which = selected(events, order), which[order]
        place[NEXT], place[LAST] = n, n + which.size
        n += which.size
        parts.append(events)
        numbers.append(which)
    events = gathered(parts)
    one.inbox = Inbox(events.t, np.concatenate(numbers), events.index, events.value)


def _set_caps(cycle: Cycle, one: _Running, run: EventRun) -> None:
    """Let populations whose membranes are asked for stop at the next such time."""
    for place, population in zip(one.places, cycle.populations, strict=True):
        samples = run.samples.get(population.name)
        is_asked = samples is not None and len(samples.found) < samples.times.size
        place[CAP] = samples.times[len(samples.found)] if is_asked and samples else FOREVER


def _sample(cycle: Cycle, one: _Running, run: EventRun) -> bool:
    """Take the membranes of populations at such a time behind all that happens then; tell whether there are any."""
    is_any = False
    for place, population in zip(one.places, cycle.populations, strict=True):
        if place[CAP] != FOREVER and place[CAP] <= one.now[UPTO] and place[UNTIL] > place[CAP]:
            membranes = population.membranes(int(place[CAP]), run)
            run.samples[population.name].found.append(population.layout.outside(membranes[np.newaxis])[0])
            is_any = True
    return is_any


def _left(cycle: Cycle, one: _Running, run: EventRun) -> dict[str, Batch]:
    """Empty the list of spikes, and count them."""
    n = int(one.now[N_OUT])
    one.now[N_OUT] = 0
    out, who = one.work.out, one.work.who[:n]
    found: dict[str, Batch] = {}
    refused: list[TooManySpikesError] = []
    for p, population in enumerate(cycle.populations):
        which = slice(n) if len(cycle.populations) == 1 else np.flatnonzero(who == p)
        t, index = out.t[which].copy(), out.index[which].copy()
        mark = int(one.places[p, MARK])
        if t.size:
            mark = max(mark, int(t[-1]))
        found[population.name] = Batch(Deltas(t, index, np.ones(t.size, np.float32)), mark)
        try:
            population.count("fired too often in one call", t.size, t, run)
        except TooManySpikesError as err:
            refused.append(err)
    if refused:
        raise min(refused, key=lambda err: err.t)
    return found


def _make_room(cycle: Cycle, one: _Running, run: EventRun) -> None:
    """Let the lists grow that are too short for what a population is about to hand on."""
    p, work = int(one.now[POPULATION]), one.work
    population, tally = cycle.populations[p], one.cells.tally[p]
    n_own, n_caused = (
        int(n) for n in ((0, tally[0]) if isinstance(population, JumpPopulation) else tally[:2])
    )
    n = n_own + n_caused
    if run.counted.get(population.name, 0) + n > run.limit:
        times = np.concatenate([work.own.t[:n_own], work.caused.t[:n_caused]])
        population.count("fired too often in one call", n, times, run)
    if n_own == work.own.t.size:
        work = work._replace(own=_doubled(work.own), order=np.concatenate([work.order, work.order]))
    if n > work.who.size:
        out = _events(2 * n)._replace(value=np.zeros(0, np.float32))
        work = work._replace(out=out, who=np.empty(2 * n, np.int32))
    tables = cycle.tables
    most = int(one.places[:, N_WAYS].max()) + n * int(np.diff(tables.first).max())
    if most > work.heaps.shape[1]:
        heaps = np.empty((len(cycle.populations), 2 * most, N_COLUMNS), np.int64)
        heaps[:, : work.heaps.shape[1]] = work.heaps
        work = work._replace(heaps=heaps)
    one.work = work


def _refuse_late(cycle: Cycle, one: _Running) -> None:
    way, t = cycle.ways[one.now[LATE_LINK]], int(one.now[LATE_TIME])
    kind = "SparseLinear" if isinstance(way.synapse, SparseSpread) else "Delay"
    name = way.synapse.name if isinstance(way.synapse, SparseSpread) else way.delays[-1].name
    raise InputError(
        f"{kind} {name!r}: an event at {t} us would leave it after 2**62 us; let the times of a recording begin "
        "near 0"
    )


def _check_waiting(cycle: Cycle, one: _Running, run: EventRun) -> None:
    """Refuse more events on their way than a synapse may hold; else let there be some more."""
    limit, tables = max(run.limit, spreading._AT_ONCE), cycle.tables
    for way, row in zip(cycle.ways, tables.table, strict=True):
        heap = one.work.heaps[row[TARGET], : one.places[row[TARGET], N_WAYS]]
        mine = heap[heap[:, RANK] >> NUMBER_BITS == row[INPUT]]
        is_holding = isinstance(way.synapse, SparseSpread)
        if way.synapse and is_holding and (mine[:, STOP] - mine[:, SYNAPSE]).sum() > limit:
            first = int(mine[:, TIME].min())
            raise TooManySpikesError(way.synapse.name, "holds too many spikes on their way", first)
    one.now[MOST_WAITING] *= 2


def _started(cycle: Cycle, run: EventRun, shown: Collection[str], growth: int) -> _Running:
    """Begin at rest; what populations keep elsewhere becomes parts of the cycle's arrays."""
    tables = cycle.tables
    cells = _cells(cycle, run)
    operations = np.zeros(len(tables.table), np.int64)
    for k, way in enumerate(cycle.ways):
        if way.synapse and way.synapse.name not in shown and tables.table[k, IS_COUNTED]:
            run.tallies[way.synapse.name] = operations[k : k + 1]
    spreads = (one for one in cycle.between if isinstance(one, Spread) and one.name in shown)
    most = max([growth, *(one.most for one in spreads)])
    n = max(1, min(_PIECE, _PIECE_GROWN // most))
    work = Work(
        np.empty((len(cycle.populations), _WAYS, N_COLUMNS), np.int64),
        _events(n),
        _events(_OWN)._replace(value=np.zeros(0, np.float32)),
        np.empty((_OWN, N_COLUMNS), np.int64),
        _events(n + 1),
        _events(_OUT * n)._replace(value=np.zeros(0, np.float32)),
        np.empty(_OUT * n, np.int32),
    )
    now = np.zeros(N_NOW, np.int64)
    now[STAGE], now[END], now[LATEST] = BETWEEN, run.end, LATEST_US
    now[MOST_WAITING] = max(run.limit, spreading._AT_ONCE)
    windows = [one.window for one in cycle.populations if isinstance(one, TimedPopulation)]
    now[LONGEST] = min([LONGEST_TICKS, *windows])
    links = Links(tables.first, tables.table, tables.fan, tables.n_products, operations)
    nothing = no_events()
    inbox = Inbox(nothing.t, np.zeros(0, np.int64), nothing.index, nothing.value)
    return _Running(cells, links, inbox, work, np.zeros((len(cycle.populations), N_PLACES), np.int64), now)


def _cells(cycle: Cycle, run: EventRun) -> Cells:
    tables = cycle.tables
    n = int(tables.numbers[-1, BEHIND])
    pixels = Pixels(np.zeros(n, np.float32), np.zeros(n, np.int64))
    whole, doubles = np.zeros((3, n), np.int64), np.zeros((2, n))
    timed = Timed(doubles[0], doubles[1], whole[0], whole[1], whole[2])
    tally = np.zeros((len(cycle.populations), 6), np.int64)
    for row, counts, population in zip(tables.numbers, tally, cycle.populations, strict=True):
        part = slice(row[FIRST], row[BEHIND])
        if isinstance(population, JumpPopulation):
            population.start(run)
            run.pixels[population.name] = _moved(run.pixels[population.name], pixels, part)
            counts[:4] = run.tallies[population.name]
            run.tallies[population.name] = counts[:4]
        else:
            assert isinstance(population, TimedPopulation)
            one = population.started(run)
            one.state = _moved(one.state, timed, part)
            counts[:] = one.tally
            one.tally = counts
    return Cells(tables.numbers, tables.dynamics, tables.timing, pixels, timed, tally)


def _moved(own: Any, whole: Any, part: slice) -> Any:
    """Copy the fields of a state into parts of larger ones, and return these parts."""
    for before, after in zip(own, whole, strict=True):
        if before.size:
            after[part] = before
    return type(own)(*(field[part] for field in whole))


def _events(n: int) -> Deltas:
    return Deltas(np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.float32))


def _doubled(room: Deltas) -> Deltas:
    return Deltas(*(np.concatenate([field, field]) for field in room))
