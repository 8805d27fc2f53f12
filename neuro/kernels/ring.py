"""The ring of buckets: synapses that spikes are under way on, one bucket for each step to come.

Where a spike meets another delay at nearly every synapse, looking for it once for every delay takes longer than adding
it. Here each thread puts (target, weight) of all synapses of a spike into the buckets of the steps they arrive in, one
step after the spike, and empties one bucket a step. Buckets fill in the order of time, then of the log: the order in
which terms are added (R126). A bucket is a chain of pages, of as many as it needs; pages that were emptied are
used again, the last first. Where too few are left for a step, its kernel stops before it and asks for more.
"""

import numpy as np

from neuro.kernels.delivery import ask_for
from neuro.kernels.networks import N_FREE, NOW, PAGE, WANTED, Int32s, Live, Network
from neuro.kernels.options import PART, UNCOUNTED, njit

U = np.uint64


@njit(cache=True, **PART)
def has_pages(net: Network, live: Live, slot: int) -> bool:
    """Tell whether all threads have pages for the spikes of a slot of the log; if not, ask for them."""
    first, last = live.log_start[slot, 0], live.log_start[slot, live.log_start.shape[1] - 1]
    has_all = True
    for thread in range(net.ptr.shape[0]):
        ptr, at = net.ptr[thread], live.ring.at[thread]
        n = 0
        for q in range(first, last):
            row = U(live.log_index[q])
            n += int(ptr[row + U(1)]) - int(ptr[row])
        at[WANTED] = n // PAGE + min(n, live.ring.first.shape[1])
        has_all = has_all and at[WANTED] <= at[N_FREE]
    return has_all


@njit(cache=True, **PART)
def fill(net: Network, live: Live, thread: int, slot: int) -> None:
    """Put the synapses of the spikes of a slot, the one before the present step, into their buckets."""
    ring, ptr = live.ring, net.ptr[thread]
    target, weight, end, free = ring.target[thread], ring.weight[thread], ring.end[thread], ring.free[thread]
    mask, n_free = U(end.size - 1), ring.at[thread, N_FREE]
    before, width = U(ring.at[thread, NOW]) - U(1), U(weight.itemsize) // U(2)
    is_graded = live.log_value.size > 0
    last = U(live.log_start[slot, live.log_start.shape[1] - 1])
    for q in range(U(live.log_start[slot, 0]), last):
        row = U(live.log_index[q])
        if q + U(2) < last:
            later = U(live.log_index[q + U(2)])
            ask_for(net.target, U(ptr[later]), U(ptr[later + U(1)]))
            ask_for(live.weight, U(ptr[later]), U(ptr[later + U(1)]))
            ask_for(net.delay, U(ptr[later]), U(ptr[later + U(1)]))
        value = live.log_value[q] if is_graded else live.state.dtype.type(1)
        for j in range(U(ptr[row]), U(ptr[row + U(1)])):
            bucket = (before + U(net.delay[j])) & mask
            place = U(end[bucket])
            if place % U(PAGE) == 0:  # the bucket is empty, or its last page is full
                n_free -= 1
                place = add_page(ring.first[thread], ring.following[thread], bucket, place, free[U(n_free)])
            target[place * width] = net.target[j]
            weight[U(2) * place + U(1)] = live.weight[j] * value if is_graded else live.weight[j]
            end[bucket] = place + U(1)
    ring.at[thread, N_FREE] = n_free


@njit(cache=True, **PART)
def add_page(first: Int32s, following: Int32s, bucket: U, end: U, page: int) -> U:
    """Append a page to a bucket that ends with a whole page, or is empty; return where it begins."""
    if first[bucket] < 0:
        first[bucket] = page
    else:
        following[end // U(PAGE) - U(1)] = page
    following[U(page)] = -1
    return U(page) * U(PAGE)


@njit(cache=True, **PART)
def empty(live: Live, thread: int, is_added: bool) -> None:
    """Add (or not) what is in the bucket of this step, free its pages, and go on to the next bucket."""
    ring, state = live.ring, live.state
    target, weight, free, at = ring.target[thread], ring.weight[thread], ring.free[thread], ring.at[thread]
    bucket, n_free, width = U(at[NOW]), at[N_FREE], U(weight.itemsize) // U(2)
    page, n = np.int64(ring.first[thread, bucket]), 0
    while page >= 0:
        following = np.int64(ring.following[thread, page])
        if following >= 0:
            ask_for(weight, U(2 * PAGE) * U(following), U(2 * PAGE) * U(following + 1))
        start = U(page) * U(PAGE)
        stop = start + U(PAGE) if following >= 0 else U(ring.end[thread, bucket])
        if is_added:
            for place in range(start, stop):
                state[target[place * width]] += weight[U(2) * place + U(1)]
            n += int(stop) - int(start)
        free[n_free] = page
        n_free += 1
        page = following
    ring.first[thread, bucket], ring.end[thread, bucket] = -1, 0
    at[N_FREE], at[NOW] = n_free, np.int64(bucket + U(1)) % ring.end.shape[1]
    live.operations[thread, 0] += n


@njit(cache=True, **UNCOUNTED)
def refill(net: Network, live: Live, slot: int, n_history: int) -> int:
    """Fill the ring of a run that goes on with the spikes of the slots before it, from one slot on.

    What arrived before is dropped. Returns the slot that pages are missing for, or `n_history`.
    """
    while slot < n_history:
        if not has_pages(net, live, slot - 1):
            break
        for thread in range(net.ptr.shape[0]):
            fill(net, live, thread, slot - 1)
            empty(live, thread, False)
        slot += 1
    return slot
