"""Sparse synapses of a layered graph: currents from the entries of a step and of those before it."""

from typing import NamedTuple

from neuro.kernels.arrays import Bytes, Floats, Frames, Int32s, Int64s
from neuro.kernels.options import UNCOUNTED, njit


class SparseRuns(NamedTuple):
    """Synapses by delay, the longest first, then by input, then as they are stored.

    ``delays``: int64, descending, in steps; those of delay k and input i stand at ``start[k * n_in + i]`` up to the
    next start. ``target``: int32, ``weight``: float32, shape (n_synapses,).
    """

    delays: Int64s
    start: Int64s
    target: Int32s
    weight: Floats


@njit(cache=True, **UNCOUNTED)
def sum_sparse(
    frames: Frames, n_before: int, kept: Bytes, runs: SparseRuns, n_in: int, out: Floats, tally: Int64s
) -> None:
    """Add what arrives in each step of a block to its currents, which are zeros before.

    ``frames``: `n_before` steps before the block, then its own as far as they are known. ``out``: float32, shape
    (n_steps, n_out). ``tally``: int64, shape (3,): operations, steps that have some, and operations lost in steps
    that are not kept (all plus).
    """
    for step in range(kept.size):
        n = 0
        for k in range(runs.delays.size):
            if kept[step] == 0 and runs.delays[k] == 0:
                continue  # what does not arrive later is not lost
            slot = n_before + step - runs.delays[k]
            for q in range(frames.start[slot], frames.start[slot + 1]):
                run = k * n_in + frames.index[q]
                first, stop = runs.start[run], runs.start[run + 1]
                n += stop - first
                if kept[step] == 0:
                    continue
                if frames.value.size > 0:
                    x = frames.value[q]
                    for j in range(first, stop):
                        out[step, runs.target[j]] += runs.weight[j] * x
                else:
                    for j in range(first, stop):
                        out[step, runs.target[j]] += runs.weight[j]
        if kept[step] != 0:
            tally[0] += n
            tally[1] += n > 0
        else:
            tally[2] += n
