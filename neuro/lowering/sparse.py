"""Sparse synapses in a layered graph: a SparseLinear with its delays as one operation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuro.errors import GraphError
from neuro.graph import NEURONS, Graph, SparseLinear
from neuro.graph.networks import is_mixed
from neuro.graph.shapes import label
from neuro.kernels import arrays
from neuro.kernels.arrays import Frames
from neuro.kernels.sparse import SparseRuns, sum_sparse
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Operation
from neuro.lowering.run import Run
from neuro.lowering.signals import Signal, append, as_frames, cut, n_entries, silence

__all__ = ["SparseSum", "check_mixed", "sparse_sum"]


@dataclass(frozen=True, eq=False)
class SparseSum(Operation):
    """A SparseLinear. One that closes a cycle runs first and takes its input when the block is done.

    Attributes
    ----------
    runs : SparseRuns
        Its synapses.
    n_before : int
        Steps that are kept: the longest delay.
    least : int
        The shortest delay.
    is_feedback : bool
        Whether it closes a cycle.
    """

    runs: SparseRuns
    n_before: int
    least: int
    is_feedback: bool

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Compute the currents of a block; what arrives in a dropped step is lost and counted."""
        before = run.lines.get(self.name)
        if before is None:
            before = silence(self.n_before, self.layouts[0])
        assert isinstance(before, Frames)
        frames = before
        if not self.is_feedback:
            now = as_frames(inputs[0], run.kept, self.layouts[0])
            self._count_entries(now, run)
            frames = append(before, now) if self.n_before else now
        out = np.zeros((run.n_steps, self.layout.size), np.float32)
        counts = np.zeros(3, np.int64)
        sum_sparse(frames, self.n_before, run.kept, self.runs, self.layouts[0].size, out, counts)
        tally = np.zeros(arrays.N_TALLIES, np.int64)
        tally[[arrays.OPERATIONS, arrays.ACTIVE, arrays.SCATTERED]] = counts[0], counts[1], counts[1]
        tally[arrays.SILENT] = int(np.count_nonzero(run.kept)) - counts[1]
        run.add_tally(self.name, tally)
        run.lost[self.name] = run.lost.get(self.name, 0) + int(counts[2])
        if self.n_before:
            run.lines[self.name] = cut(frames, run.n_steps, _length(frames), self.layouts[0].n_pixels)
        return out

    def take(self, signal: Signal, run: Run) -> None:
        """Take the input of the block (of one that closes a cycle)."""
        now = as_frames(signal, run.kept, self.layouts[0])
        self._count_entries(now, run)
        line = run.lines[self.name]
        assert isinstance(line, Frames)
        run.lines[self.name] = append(line, now)

    def _count_entries(self, frames: Frames, run: Run) -> None:
        run.entries[self.name] = run.entries.get(self.name, 0) + n_entries(frames)


def _length(frames: Frames) -> int:
    return frames.start.size - 1


def sparse_sum(graph: Graph, name: str, layouts: dict[str, Layout], *, is_feedback: bool) -> SparseSum:
    """Return the operation of a SparseLinear; a GraphError where layered graphs do not compute it."""
    node, (source,) = graph.nodes[name], graph.predecessors(name)
    assert isinstance(node, SparseLinear)
    if node.stdp is not None:
        raise GraphError(
            f"{label(name, node)}: stdp is computed in networks of populations only, and this graph has layers; leave "
            "it out"
        )
    steps = np.rint(np.asarray(node.delay_s, np.float64) / graph.dt_s).astype(np.int64)
    steps = np.broadcast_to(steps, node.indices.shape)
    delays = np.unique(steps)[::-1].copy()
    rank = np.searchsorted(-delays, -steps)
    group = rank * node.n_in + node.indices
    order = np.argsort(group, kind="stable")
    rows = np.repeat(np.arange(node.n_out, dtype=np.int32), np.diff(node.indptr))
    counts = np.bincount(group, minlength=delays.size * node.n_in)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    runs = SparseRuns(delays, start, rows[order], node.weight[order].copy())
    if not delays.size:  # without synapses
        delays = np.rint(np.atleast_1d(node.delay_s) / graph.dt_s).astype(np.int64)[:1]
        start = np.zeros(delays.size * node.n_in + 1, np.int64)
    most, least = int(delays.max(initial=0)), int(delays.min(initial=2**31 - 1))
    return SparseSum(name, (source,), (layouts[source],), layouts[name], runs, most, least, is_feedback)


def check_mixed(graph: Graph) -> None:
    """Refuse what only networks of populations may be: without an Input, or with neurons that nothing reaches."""
    if not is_mixed(graph.nodes):
        return
    if not graph.input_name:
        raise GraphError(
            "Graph: a graph with layers needs an Input; add one, or keep to what a network of populations has"
        )
    for name, node in graph.nodes.items():
        if isinstance(node, NEURONS) and not graph.predecessors(name):
            raise GraphError(
                f"{label(name, node)}: has no input, which a graph with layers needs; add an edge or remove it"
            )
