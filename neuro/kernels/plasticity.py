"""Pair-based STDP: what arriving spikes and the neurons' own spikes do to weights and traces."""

import numpy as np

from neuro.kernels import networks as nw
from neuro.kernels.networks import Live, Network
from neuro.kernels.options import PART, njit

U = np.uint64
DECAY_X, DECAY_Y, A_PLUS, A_MINUS, W_MAX = range(5)


@njit(cache=True, **PART)
def depress(net: Network, live: Live, thread: int, slot: int) -> None:
    """Spikes that arrive: ``w <- w - y`` for each of their synapses into a thread's neurons, clipped at 0."""
    zero = live.state.dtype.type(0)
    for row in range(net.plastic.shape[0]):
        synapses, node = net.plastic[row], net.plastic[row, nw.PRE_NODE]
        before = slot - synapses[nw.DELAY]
        if before < 0:
            continue
        ptr = net.pre_ptr[thread]
        for q in range(live.log_start[before, node], live.log_start[before, node + 1]):
            i = synapses[nw.PRE_ROW] + live.log_index[q] - synapses[nw.PRE_FIRST]
            for j in range(U(ptr[i]), U(ptr[i + 1])):
                place = net.pre_place[j]
                w = live.weight[place] - live.y[net.pre_post[j]]
                live.clips[thread, row] += w < zero
                live.weight[place] = max(w, zero)


@njit(cache=True, **PART)
def potentiate(net: Network, live: Live, thread: int, n_before: int, n: int) -> None:
    """Neurons that fired, entries n_before .. n of a thread's list: ``w <- w + x``, clipped at w_max; y jumps."""
    for row in range(net.plastic.shape[0]):
        synapses = net.plastic[row]
        first = net.populations[synapses[nw.POST], nw.FIRST]
        w_max, a_minus = net.rule[row, W_MAX], net.rule[row, A_MINUS]
        for q in range(n_before, n):
            o = np.int64(live.found[thread, q]) - first
            if not 0 <= o < synapses[nw.N_POST]:
                continue
            i = synapses[nw.POST_ROW] + o
            for j in range(U(net.post_ptr[i]), U(net.post_ptr[i + 1])):
                place = net.post_place[j]
                w = live.weight[place] + live.x[net.post_pre[j]]
                live.clips[thread, row] += w > w_max
                live.weight[place] = min(w, w_max)
            live.y[synapses[nw.TRACE_Y] + o] += a_minus


@njit(cache=True, **PART)
def move_traces(net: Network, live: Live, slot: int) -> None:
    """Traces of inputs jump where spikes arrive; then all traces decay by one step."""
    for row in range(net.plastic.shape[0]):
        synapses, node = net.plastic[row], net.plastic[row, nw.PRE_NODE]
        x = live.x[synapses[nw.TRACE_X] : synapses[nw.TRACE_X] + synapses[nw.N_PRE]]
        y = live.y[synapses[nw.TRACE_Y] : synapses[nw.TRACE_Y] + synapses[nw.N_POST]]
        before = slot - synapses[nw.DELAY]
        if before >= 0:
            for q in range(live.log_start[before, node], live.log_start[before, node + 1]):
                x[U(live.log_index[q] - synapses[nw.PRE_FIRST])] += net.rule[row, A_PLUS]
        decay_x, decay_y = net.rule[row, DECAY_X], net.rule[row, DECAY_Y]
        for i in range(x.size):
            x[i] = x[i] * decay_x
        for o in range(y.size):
            y[o] = y[o] * decay_y
