"""The arrays of a network of populations, and how tiles, columns and fields are numbered.

Neurons stand in tiles of `TILE`; the state of a tile is a run of fields of `TILE` values each, so that a loop over a
field is one over whole vectors and the compiler sees that fields do not overlap. Field 0 is the membrane; synapses
add to field 1 (excitatory, or the only one) and 2 (inhibitory). Parameters stand in tiles too, one tile for all
where they are numbers. All real arrays of a network have one type, float32 or float64.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[Any]
Bytes = NDArray[np.uint8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
UInt16s = NDArray[np.uint16]
UInt32s = NDArray[np.uint32]
UInt64s = NDArray[np.uint64]

TILE, GROUP = 256, 16  # neurons of a tile; tiles that are updated before those of them that fired are listed
IF, LIF, DECAY, CUBA, CUBA_TWO, EXACT, EXACT_TWO, COBA, COBA_EULER, ADAPTIVE, IZHIKEVICH = range(11)

# columns of `Network.populations`
MODEL, SIZE, FIRST, STATE, N_FIELDS, PAR, PAR_STEP, N_HOLD, IS_SUBTRACTING, STAGE, TILE_LO, TRACE = range(12)
# columns of `Network.sources`: kind, number of entries, first number, table of thresholds, its step, its length
KIND, _, _, TABLE, TABLE_STEP, N_TABLE = range(6)
INPUT, POISSON = 0, 1
# columns of `Network.plastic`: the node that the synapses come from, its first number, the population, the delay in
# steps, and the places of its traces x and y
PRE_NODE, PRE_FIRST, POST, DELAY, TRACE_X, TRACE_Y, N_PRE, N_POST, PRE_ROW, POST_ROW = range(10)

# fields of the parameters that every model has
THRESHOLD, RESET, JUMP, SECOND_JUMP, OWN = range(5)
N_PARAMETERS = OWN + 6
MOST_REST = 255

RUN, RUNS = 4, 32  # numbers of a listed run of synapses, and how many are listed before they are delivered
PAGE = 128  # synapses in a page of the ring
NOW, N_FREE, WANTED = range(3)  # places in `Ring.at`
LINE = 8  # int64 in a cache line: numbers that different threads write stand a line apart
# Places in `shared`, in lines: the phase; the job (code, step of the block, entries of the log before and now); how
# much work to do alone after the next stall, and still; then for each part in which phase it was claimed, and done.
PHASE, JOB, LONELY, PARTS = 0, LINE, 2 * LINE, 3 * LINE
ALONE = (
    2**22
)  # synapses and neurons that the leader does alone after the first stall, then four times as many


def shared_size(n_parts: int) -> int:
    """Return the length of `shared`."""
    return PARTS + 2 * LINE * n_parts


class Network(NamedTuple):
    """What does not change while a network runs.

    Numbers: sources (an Input, Poisson sources), then populations, each with consecutive numbers for its entries.
    ``bounds``: int64, shape (n_threads + 1,), the tiles that each thread owns. ``delays``: the delays of at
    least one step that occur, descending. ``ptr``: uint32, shape (n_threads, n_numbers * n_delays + 1): where in
    ``target`` the synapses of (number, delay) into a thread's neurons begin; ``zero_ptr`` likewise for those without
    delay, or shape (n_threads, 1). ``target``: places in the state. ``drives``: int64, shape (n, 2), source and
    population of each direct edge, in order. ``table``: uint32, thresholds of Poisson counts; ``scale`` their weights.
    ``row_weight``: where all synapses of each (number, delay) have one weight, that weight (weights need not be read);
    else of shape (n_threads, 0). ``delay``: empty; or the delay of each synapse in steps, then a ring delivers:
    ``delays`` and ``row_weight`` are empty, and ``ptr``, shape (n_threads, n_numbers + 1), says where the synapses of
    each number begin.
    """

    populations: Int64s
    sources: Int64s
    bounds: Int64s
    par: Reals
    delays: Int64s
    ptr: UInt32s
    row_weight: Reals
    zero_ptr: UInt32s
    target: UInt32s
    delay: UInt16s
    drives: Int64s
    table: UInt32s
    key: UInt64s
    scale: Reals
    plastic: Int64s
    rule: Reals
    pre_ptr: UInt32s
    pre_place: UInt32s
    pre_post: UInt32s
    post_ptr: UInt32s
    post_place: UInt32s
    post_pre: UInt32s


class Ring(NamedTuple):
    """Synapses that spikes are under way on, by thread; see `neuro.kernels.ring`.

    ``target``, ``weight``: pages one after another. ``following``: the next page of the same bucket, or -1. ``first``,
    ``end``: of each bucket, the first page (-1: none) and the place after the last synapse. ``free``: pages to be had;
    ``at``: the bucket of this step, how many pages are free, and how many are asked for.
    """

    target: UInt32s
    weight: Reals
    following: Int32s
    first: Int32s
    end: UInt32s
    free: Int32s
    at: Int64s


class Live(NamedTuple):
    """What changes while a network runs.

    ``held``: what the membrane of each neuron is held at; ``rest``: for how many steps the neuron of each lane is held,
    counted to `MOST_REST`; ``last``: the steps of the last spikes, of use where neurons are held for longer. The log
    lists what every node handed on: row ``s`` of ``log_start`` says where in ``log_index`` (and ``log_value``, empty
    where all are 1) each node's entries of slot `s` begin; the first slots are the steps before the block. ``found``:
    what each thread fired in this step, ``n_found`` its number by population. ``clips``: by (thread, plastic synapses);
    ``operations``: by thread, each in a cache line of its own.
    """

    state: Reals
    weight: Reals
    held: Reals
    last: Int64s
    rest: Bytes
    log_start: Int64s
    log_index: Int32s
    log_value: Reals
    found: Int32s
    n_found: Int64s
    fired: Bytes
    over: UInt64s
    counts: UInt32s
    words: UInt64s
    random: UInt32s
    x: Reals
    y: Reals
    clips: Int64s
    operations: Int64s
    runs: UInt64s
    ring: Ring


class Frames(NamedTuple):
    """A block of steps: the entries of the Input by step, where membranes go, which sources are listed."""

    first_step: int
    n_before: int
    start: Int64s
    index: Int32s  # type: ignore[assignment]  # hides tuple.index, which no kernel needs
    value: Reals
    trace: Reals
    is_listed: Bytes
