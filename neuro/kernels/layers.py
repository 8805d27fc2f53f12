"""One call per layer and block of steps: synapses and neurons together, or neurons alone."""

from numba import njit

from neuro.kernels.accumulation import gather_rows, scatter_frame
from neuro.kernels.arrays import Block, Floats, Frames, Membranes, Neurons, Synapses, Work
from neuro.kernels.options import UNCOUNTED
from neuro.kernels.populations import PASS, emit, step_neurons


@njit(cache=True, **UNCOUNTED)
def finish(
    neurons: Neurons, membranes: Membranes, work: Work, offset: int, lo: int, n: int, step: int, block: Block
) -> None:
    """Step n neurons from lo with the currents at `offset`, keep the trace where asked for, emit the spikes."""
    current = work.current[offset : offset + n]
    is_kept = block.kept[step] != 0
    if not is_kept:
        current[:] = 0
    if neurons.update != PASS:
        step_neurons(neurons, lo, membranes, current, work.fired[:n], is_kept)
    if block.trace.size > 0:
        seen = current if neurons.update == PASS else membranes.voltage[lo : lo + n]
        trace = block.trace[step, lo : lo + n]
        for o in range(n):
            trace[o] = seen[o]
    if neurons.is_firing:
        emit(work, step, lo, n, block, is_kept)


@njit(cache=True, **UNCOUNTED)
def run_synapses(
    frames: Frames,
    synapses: Synapses,
    neurons: Neurons,
    membranes: Membranes,
    work: Work,
    block: Block,
    rows_at_once: int,
    scatter_under: int,
) -> None:
    """Run a block of steps of a layer: currents by scatter or gather, then the neurons.

    A step with fewer than `scatter_under` active inputs is scattered. `rows_at_once` output rows are gathered,
    then stepped while their currents are in the cache.
    """
    width = synapses.out_columns * synapses.out_channels
    block.start[0] = 0
    for step in range(block.kept.size):
        first = step * synapses.n_in_pixels
        is_kept = block.kept[step] != 0
        n_entries = frames.start[first + synapses.n_in_pixels] - frames.start[first]
        is_scatter = is_kept and n_entries < scatter_under
        if is_scatter:
            scatter_frame(frames, first, synapses, work, block)
        if is_kept:
            block.tally[3 if is_scatter else 4] += 1
        for row in range(0, synapses.out_rows, rows_at_once):
            stop = min(row + rows_at_once, synapses.out_rows)
            if is_kept and not is_scatter:
                gather_rows(frames, first, synapses, row, stop, work, block)
            offset = row * width if is_scatter else 0
            finish(neurons, membranes, work, offset, row * width, (stop - row) * width, step, block)


@njit(cache=True, **UNCOUNTED)
def run_neurons(currents: Floats, neurons: Neurons, membranes: Membranes, work: Work, block: Block) -> None:
    """Run a block of steps of a population on its dense input currents, shape (n_steps, n_neurons)."""
    n = currents.shape[1]
    block.start[0] = 0
    for step in range(block.kept.size):
        for o in range(n):
            work.current[o] = currents[step, o]
        finish(neurons, membranes, work, 0, 0, n, step, block)
