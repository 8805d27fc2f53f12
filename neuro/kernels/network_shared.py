"""The steps of a network of populations by several threads, that share the parts of each step.

The neurons are cut into parts (``Network.bounds``). One thread, number 0, leads: it publishes a job, does the parts
that nobody else has claimed, waits for those that somebody has, and does alone what is to be done in order. The others
help. A part gives the same bits whoever does it, so results do not depend on how many help, or when.
"""

import numpy as np

from neuro.kernels.delivery import deliver_now, list_sources
from neuro.kernels.network_run import join, run_stage, take_in
from neuro.kernels.networks import JOB, LINE, LONELY, PARTS, PHASE, TILE, Frames, Int64s, Live, Network
from neuro.kernels.options import INLINED, UNCOUNTED, njit
from neuro.kernels.plasticity import move_traces
from neuro.kernels.ring import has_pages
from neuro.kernels.sharing import claim, publish, see, wait_for
from neuro.kernels.spiking import hold_all

STOP, BEGIN, BOTH, TAKE_IN, STAGE, NOW = (
    -4,
    -3,
    -2,
    -1,
    0,
    2**20,
)  # codes of jobs; those of stages and NOW count stages
PATIENCE, PER_WORK = (
    22_000,
    4,
)  # looks after which the leader takes a helper for interrupted, and more for own work
LEAVE = 40_000  # looks after which a helper goes home


@njit(cache=True, **INLINED)
def next_job(
    net: Network, live: Live, frames: Frames, job: tuple[int, int, int, int], n_stages: int, n_history: int
) -> tuple[int, int, int, int]:
    """Do what follows a job in order; return the next: code, step of the block, entries of the log before and now."""
    code, k, n_before, n = job
    is_now = net.zero_ptr.shape[1] > 1
    n_nodes = live.log_start.shape[1] - 1
    if code == TAKE_IN:
        move_traces(net, live, n_history + k)
        return STAGE, k, n, n
    if code != BEGIN:
        stage = 0 if code == BOTH else code - NOW if code >= NOW else code
        if code < NOW:
            n_before = n
            n = join(net, live, n_history + k, stage, n)
            if is_now:
                return NOW + stage, k, n_before, n
        if stage + 1 < n_stages:
            return stage + 1, k, n, n
        live.log_start[n_history + k, n_nodes] = n
        live.log_start[n_history + k + 1, 0] = n
        k += 1
    room = live.log_index.size - live.found.shape[1]
    if k == frames.start.size - 1 or n + frames.start[k + 1] - frames.start[k] > room:
        return STOP, k, n, n
    if net.delay.size and not has_pages(net, live, n_history + k - 1):
        return STOP, k, n, n
    if net.sources.shape[0]:
        n = list_sources(net, live, frames, k, n_history + k, n)
    is_split = net.plastic.shape[0] > 0 or n_stages > 1 or is_now
    return TAKE_IN if is_split else BOTH, k, n, n


@njit(cache=True, **INLINED)
def work_of(net: Network, live: Live, part: int, operations: int) -> int:
    """Return what a job took of a part: the synapses since `operations` and the neurons, each about a nanosecond."""
    n_tiles: int = net.bounds[part + 1] - net.bounds[part]
    return int(live.operations[part, 0]) - operations + n_tiles * TILE


@njit(cache=True, **INLINED)
def do_part(
    net: Network, live: Live, frames: Frames, part: int, job: tuple[int, int, int, int], n_history: int
) -> None:
    """Do one part of a job."""
    code, k, n_before, n = job
    if code >= NOW:
        deliver_now(net, live, part, n_before, n)
        return
    if code < STAGE:
        take_in(net, live, frames, part, k, n_history + k, n)
    if code != TAKE_IN:
        run_stage(net, live, frames, part, k, n_history + k, max(code, 0))


@njit(cache=True, **UNCOUNTED)
def run_shared(
    net: Network, live: Live, frames: Frames, shared: Int64s, me: int, n_stages: int, n_history: int, n: int
) -> int:
    """As `run_alone`, by the leader (``me == 0``) and those who help it; return the number of steps (of the leader)."""
    n_parts = net.bounds.size - 1
    phase = see(shared, PHASE) if me == 0 else np.int64(0)
    job = (BEGIN, 0, n, n)
    while True:
        is_alone = False
        if me == 0:
            job = next_job(net, live, frames, job, n_stages, n_history)
            is_alone = shared[LONELY + 1] > 0
            if not is_alone or job[0] == STOP:
                shared[JOB], shared[JOB + 1], shared[JOB + 2], shared[JOB + 3] = job
                phase += 1
                publish(shared, PHASE, phase)
        else:
            wait_for(shared, PHASE, phase + 1, LEAVE)
            if see(shared, PHASE) == phase:
                return 0
            phase = see(shared, PHASE)
            job = (shared[JOB], shared[JOB + 1], shared[JOB + 2], shared[JOB + 3])
        if job[0] == STOP:
            break
        work = 0
        for other in range(n_parts):
            part = (me + other) % n_parts
            at = PARTS + 2 * LINE * part
            if is_alone or claim(shared, at, phase - 1, phase):
                before = live.operations[part, 0]
                do_part(net, live, frames, part, job, n_history)
                work += work_of(net, live, part, before)
                if not is_alone:
                    publish(shared, at + LINE, phase)
        if me == 0:
            n_looks = 0
            if is_alone:
                shared[LONELY + 1] -= work
            else:
                for part in range(n_parts):
                    n_looks += wait_for(shared, PARTS + 2 * LINE * part + LINE, phase, 2**62)
            if n_looks > PATIENCE + PER_WORK * work:
                shared[LONELY + 1] = shared[LONELY]
                shared[LONELY] *= 4
    if me == 0:
        hold_all(net, live, n_history + job[1])
    return job[1]
