"""Spikes on their way over synapses with delays: one heap for each population that they end in.

A spike waits as one entry, however many synapses it takes: they are sorted by delay, and the entry stands where its
next arrival belongs. What arrives at one time stands in the order (number of the input, spike, storage).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.arrays import Floats, Int32s, Int64s
from neuro.kernels.events import Deltas
from neuro.kernels.events_spread import Fan
from neuro.kernels.options import PART, njit

Heap = NDArray[np.int64]

# Columns of a heap: time of the next arrival, number of the input and of the spike, next synapse, behind the last one.
TIME, RANK, SYNAPSE, STOP, N_COLUMNS = range(5)
NUMBER_BITS = 48  # of a rank: the number of the spike

# Places of a population in `places`: outputs before ``MARK`` have left; inputs from outside are known before
# ``INPUT_MARK``, and at it up to ``INPUT_NUMBER``; those of the inbox stand at ``NEXT`` up to ``LAST``; ``N_WAYS``:
# entries of its heap; ``UNTIL``, ``UNTIL_NUMBER``: how far its inputs are known; ``DUE``: when it may fire by itself;
# ``HAPPENING``: when anything may; ``CAP``: a time to stop at.
MARK, INPUT_MARK, INPUT_NUMBER, NEXT, LAST, N_WAYS, UNTIL, UNTIL_NUMBER, DUE, HAPPENING, CAP, N_PLACES = (
    range(12)
)


class Inbox(NamedTuple):
    """Events from outside by (time, number of the input), int64 both, of one population after another."""

    t: Int64s
    number: Int64s
    index: Int32s  # type: ignore[assignment]  # hides tuple.index, which no kernel needs
    value: Floats


@njit(cache=True, **PART)
def push(heap: Heap, n: int, entry: tuple[int, int, int, int]) -> None:
    """Add an entry to a heap of n."""
    t, rank = entry[0], entry[1]
    at = n
    while at > 0:
        above = (at - 1) >> 1
        if heap[above, TIME] < t or (heap[above, TIME] == t and heap[above, RANK] < rank):
            break
        for k in range(N_COLUMNS):
            heap[at, k] = heap[above, k]
        at = above
    heap[at, TIME], heap[at, RANK], heap[at, SYNAPSE], heap[at, STOP] = entry


@njit(cache=True, **PART)
def replace_first(heap: Heap, n: int, entry: tuple[int, int, int, int]) -> None:
    """Put an entry in the place of the first one of a heap of n."""
    t, rank = entry[0], entry[1]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= n:
            break
        other = below + 1
        if other < n and (
            heap[other, TIME] < heap[below, TIME]
            or (heap[other, TIME] == heap[below, TIME] and heap[other, RANK] < heap[below, RANK])
        ):
            below = other
        if t < heap[below, TIME] or (t == heap[below, TIME] and rank < heap[below, RANK]):
            break
        for k in range(N_COLUMNS):
            heap[at, k] = heap[below, k]
        at = below
    heap[at, TIME], heap[at, RANK], heap[at, SYNAPSE], heap[at, STOP] = entry


@njit(cache=True, **PART)
def drop_first(heap: Heap, n: int) -> None:
    """Take the first entry off a heap of n."""
    last = n - 1
    if last > 0:
        replace_first(heap, last, (heap[last, TIME], heap[last, RANK], heap[last, SYNAPSE], heap[last, STOP]))


@njit(cache=True, **PART)
def take_ways(heap: Heap, place: Int64s, fan: Fan, into: Deltas, n: int) -> int:
    """List what arrives together of the first spike of a heap, as far as there is room; return the new length."""
    t, k, stop = heap[0, TIME], heap[0, SYNAPSE], heap[0, STOP]
    ticks = fan.ticks[k]
    while k < stop and fan.ticks[k] == ticks and n < into.t.size:
        into.t[n] = t
        into.index[n] = fan.target[k]
        into.value[n] = fan.weight[k]
        n += 1
        k += 1
    if k < stop:
        replace_first(heap, place[N_WAYS], (t + fan.ticks[k] - ticks, heap[0, RANK], k, stop))
    else:
        drop_first(heap, place[N_WAYS])
        place[N_WAYS] -= 1
    return n


@njit(cache=True, **PART)
def take_arrivals(
    heap: Heap, place: Int64s, fan: Fan, inbox: Inbox, until: tuple[int, int], into: Deltas
) -> tuple[int, int]:
    """List what arrives at a population up to (time, number of the input), in order, as far as there is room.

    Returns the length of the list, and how many of it come from the heap.
    """
    mark, number = until
    n, n_from_outside = 0, 0
    while n < into.t.size:
        a = place[NEXT]
        is_input, is_way = a < place[LAST], place[N_WAYS] > 0
        if is_input:
            is_input = inbox.t[a] < mark or (inbox.t[a] == mark and inbox.number[a] <= number)
        if is_way:
            t, own = heap[0, TIME], heap[0, RANK] >> NUMBER_BITS
            is_way = t < mark or (t == mark and own <= number)
            if is_input and is_way:
                is_way = t < inbox.t[a] or (t == inbox.t[a] and own < inbox.number[a])
        if is_way:
            n = take_ways(heap, place, fan, into, n)
        elif is_input:
            into.t[n] = inbox.t[a]
            into.index[n] = inbox.index[a]
            into.value[n] = inbox.value[a]
            place[NEXT] = a + 1
            n += 1
            n_from_outside += 1
        else:
            break
    return n, n - n_from_outside
