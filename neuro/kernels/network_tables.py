"""Tables of synapses: from rows of outputs to runs of targets for each (input, delay) and thread."""

import numpy as np

from neuro.kernels.networks import TILE, Int32s, Int64s, Network, Reals, UInt16s, UInt32s
from neuro.kernels.options import UNCOUNTED, njit


@njit(cache=True, **UNCOUNTED)
def count_synapses(
    indptr: Int32s, indices: Int32s, group: Int32s, first: int, n_groups: int, owner: Int32s, ptr: Int64s
) -> None:
    """Count the synapses of each (thread, input, group) at ``ptr[thread, row + 1]``; a group of -1 is left out.

    ``group``: of every synapse, or of length 1 for all. ``owner``: the thread of each output.
    """
    for o in range(indptr.size - 1):
        counts = ptr[owner[o]]
        for j in range(indptr[o], indptr[o + 1]):
            g = group[j] if group.size > 1 else group[0]
            if g >= 0:
                counts[(first + indices[j]) * n_groups + g + 1] += 1


@njit(cache=True, **UNCOUNTED)
def place_synapses(
    rows: tuple[Int32s, Int32s, Int32s, Reals],
    first: int,
    n_groups: int,
    owner: Int32s,
    places: UInt32s,
    cursor: Int64s,
    target: UInt32s,
    weight: Reals,
    place_of: UInt32s,
    steps: tuple[Int32s, UInt16s],
) -> None:
    """Write target and weight of each synapse at its cursor; ``place_of``: where each went, or empty.

    ``steps``: the delay of every synapse, or of all, and where it is written (or empty).
    """
    indptr, indices, group, given = rows
    delay, delay_at = steps
    for o in range(indptr.size - 1):
        cursors, place = cursor[owner[o]], places[o]
        for j in range(indptr[o], indptr[o + 1]):
            g = group[j] if group.size > 1 else group[0]
            if g >= 0:
                row = (first + indices[j]) * n_groups + g
                at = cursors[row]
                cursors[row] = at + 1
                target[at] = place
                weight[at] = given[j]
                if delay_at.size:
                    delay_at[at] = np.uint16(delay[j] if delay.size > 1 else delay[0])
                if place_of.size:
                    place_of[j] = np.uint32(at)


@njit(cache=True, **UNCOUNTED)
def count_under_way(
    net: Network, log_start: Int64s, log_index: Int32s, n_history: int, owner: Int64s, counts: Int64s
) -> None:
    """Add to ``counts[node, owner of the target's tile]`` the synapses on which spikes of the last steps are under way.

    ``owner``: by run of `TILE` values of the state.
    """
    n_groups = net.delays.size
    for slot in range(n_history):
        age = n_history - slot
        n_late = 0
        while n_late < n_groups and net.delays[n_late] >= age:
            n_late += 1
        if n_late == 0 and net.delay.size == 0:
            continue
        for node in range(log_start.shape[1] - 1):
            for q in range(log_start[slot, node], log_start[slot, node + 1]):
                number = np.int64(log_index[q])
                for thread in range(net.ptr.shape[0]):
                    ptr = net.ptr[thread]
                    first = ptr[number * max(n_groups, 1)]
                    stop = ptr[number + 1] if net.delay.size else ptr[number * n_groups + n_late]
                    for j in range(first, stop):
                        if net.delay.size == 0 or net.delay[j] >= age:
                            counts[node, owner[net.target[j] // np.uint32(TILE)]] += 1


@njit(cache=True, **UNCOUNTED)
def count_pending(indices: Int32s, delay: Int32s, row: UInt32s, under_way: Int32s) -> int:
    """Count synapses on which spikes are under way: ``under_way[row[i] + d]`` spikes of input i in the last d steps."""
    n = 0
    if delay.size == 1:
        for j in range(indices.size):
            n += under_way[row[np.uint32(indices[j])] + np.uint32(delay[0])]
    else:
        for j in range(indices.size):
            n += under_way[row[np.uint32(indices[j])] + np.uint32(delay[j])]
    return n


@njit(cache=True, **UNCOUNTED)
def common_weights(ptr: UInt32s, weight: Reals, common: Reals) -> bool:
    """Write the weight that all synapses of each run have; False where one has several."""
    for row in range(common.size):
        first, stop = ptr[row], ptr[row + 1]
        for j in range(first, stop):
            if weight[j] != weight[first]:
                return False
        if first < stop:
            common[row] = weight[first]
    return True
