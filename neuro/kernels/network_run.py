"""The steps of a network of populations, in one call: sources, delivery, update, plasticity, log.

In a step: sources are listed; threads add what arrives to their own neurons (direct edges first, then the oldest
spikes first) and depress plastic synapses; traces move; then, stage by stage, threads update their neurons, list who
fired and potentiate; the lists are joined in ascending order, and spikes over synapses without delay are delivered.
"""

from neuro.kernels import networks as nw
from neuro.kernels.delivery import deliver, deliver_now, drive, list_sources
from neuro.kernels.networks import Frames, Live, Network
from neuro.kernels.options import INLINED, UNCOUNTED, njit
from neuro.kernels.plasticity import depress, move_traces, potentiate
from neuro.kernels.ring import empty, fill, has_pages
from neuro.kernels.spiking import hold_all, step_population, trace_population


@njit(cache=True, **INLINED)
def take_in(net: Network, live: Live, frames: Frames, thread: int, k: int, slot: int, n_listed: int) -> None:
    """Add what arrives in a step to a thread's neurons, and depress its plastic synapses."""
    if net.drives.shape[0]:
        drive(net, live, frames, thread, k)
    if net.delay.size:
        fill(net, live, thread, slot - 1)
        empty(live, thread, True)
    else:
        deliver(net, live, thread, slot)
    if net.zero_ptr.shape[1] > 1 and net.sources.shape[0]:
        deliver_now(net, live, thread, live.log_start[slot, 0], n_listed)
    if net.plastic.shape[0]:
        depress(net, live, thread, slot)


@njit(cache=True, **INLINED)
def run_stage(net: Network, live: Live, frames: Frames, thread: int, k: int, slot: int, stage: int) -> None:
    """Update a thread's neurons of a stage and list who fired, population by population."""
    n = 0
    for row in range(net.populations.shape[0]):
        if net.populations[row, nw.STAGE] == stage:
            n_before = n
            n = step_population(net, live, row, thread, frames.first_step + k, slot, n)
            if frames.trace.size:
                trace_population(net, live, row, thread, frames.trace[k])
            if net.plastic.shape[0] and n > n_before:
                potentiate(net, live, thread, n_before, n)
        live.n_found[thread, row + 1] = n


@njit(cache=True, **INLINED)
def join(net: Network, live: Live, slot: int, stage: int, n: int) -> int:
    """Join the threads' lists of a stage in the log, population by population; return its length."""
    n_sources = net.sources.shape[0]
    is_graded = live.log_value.size > 0
    for row in range(net.populations.shape[0]):
        if net.populations[row, nw.STAGE] == stage:
            live.log_start[slot, n_sources + row] = n
            for thread in range(net.bounds.size - 1):
                for q in range(live.n_found[thread, row], live.n_found[thread, row + 1]):
                    live.log_index[n] = live.found[thread, q]
                    if is_graded:
                        live.log_value[n] = live.state.dtype.type(1)
                    n += 1
    return n


@njit(cache=True, **UNCOUNTED)
def run_alone(net: Network, live: Live, frames: Frames, n_stages: int, n_history: int, n: int) -> int:
    """Run steps with one thread until the log is full or the block ends; return the number of steps."""
    n_steps = frames.start.size - 1
    n_nodes = live.log_start.shape[1] - 1
    room = live.log_index.size - live.found.shape[1]
    for k in range(n_steps):
        slot = n_history + k
        n_inputs = frames.start[k + 1] - frames.start[k]
        if n + n_inputs > room or (net.delay.size and not has_pages(net, live, slot - 1)):
            hold_all(net, live, slot)
            return k
        if net.sources.shape[0]:
            n = list_sources(net, live, frames, k, slot, n)
        take_in(net, live, frames, 0, k, slot, n)
        if net.plastic.shape[0]:
            move_traces(net, live, slot)
        for stage in range(n_stages):
            n_before = n
            run_stage(net, live, frames, 0, k, slot, stage)
            n = join(net, live, slot, stage, n)
            if net.zero_ptr.shape[1] > 1:
                deliver_now(net, live, 0, n_before, n)
        live.log_start[slot, n_nodes] = n
        live.log_start[slot + 1, 0] = n
    hold_all(net, live, n_history + n_steps)
    return n_steps
