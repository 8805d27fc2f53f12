"""Attention among the layers: scores before the synapse, and operations that drop or scale what passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph import (
    TEMPORAL,
    ChannelAttention,
    Graph,
    SpatialAttention,
    TemporalAttention,
    chain_before,
)
from neuro.kernels.arrays import SPARE, Frames
from neuro.kernels.attention import sum_channels, sum_entries, sum_windows
from neuro.lowering.deciding import Paths
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Operation
from neuro.lowering.run import Run
from neuro.lowering.scoring import NEAR, Temporal, excite, sigmoid
from neuro.lowering.signals import Signal, as_frames, n_entries
from neuro.lowering.squeezing import Doubles, squeeze_table
from neuro.results import SelectionReport

__all__ = ["Gate", "Look", "Select", "attention_operation", "attention_paths", "chains", "look_before"]

_NO_TABLE = np.zeros(0, np.float64)


@dataclass(frozen=True, eq=False)
class Look(Operation):
    """Scores of an attention on a current, from what enters the synapse before it: nothing dropped is computed.

    The mean of the current is linear in the entries: ``s[t] = (constant + sum_k table[k] * x_k[t]) / size``, with
    the table's value of an entry the sum of all that it adds to the outputs of the synapse and the pools behind it.
    Error: sums in float64, so that with N products in all ``s`` is within ``N * 2**-53 * sum |w x| / size`` of the
    exact mean before it is rounded to float32; exact where the weights are on a grid.

    Attributes
    ----------
    attention : str
        The attention.
    node : TemporalAttention or MovingAttention
        Its weights.
    table : float64, shape (size of a frame,)
        Channel-last.
    constant : float
        What the bias adds.
    size : int
        Number of entries of the current.
    """

    attention: str
    node: Temporal
    table: Doubles
    constant: float
    size: int

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Decide about a block of steps; what enters is handed on as it is."""
        frames = as_frames(inputs[0], run.kept, self.layouts[0])
        sums, totals = np.zeros(run.n_steps), np.zeros(run.n_steps)
        sum_entries(frames, self.layouts[0].n_pixels, self.table, sums, totals)
        means = ((sums + self.constant * run.kept) / self.size).astype(np.float32)
        run.decisions.decide(self.attention, self.node, means, totals)
        return frames


@dataclass(frozen=True, eq=False)
class Gate(Operation):
    """A temporal attention: on events it scores them, too; a Look has scored those on a current."""

    node: Temporal
    is_on_current: bool

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Drop or scale the frames of a block."""
        decisions = run.decisions
        if self.is_on_current and not isinstance(inputs[0], Frames):
            current = inputs[0]
            if self.node.scaling:
                current = current * decisions.gains[self.name][:, np.newaxis]
            silent = decisions.kept[self.name] == 0
            if silent.any():
                current = np.where(silent[:, np.newaxis], np.float32(0), current)
            return current
        frames = as_frames(inputs[0], run.kept, self.layouts[0])
        if not self.is_on_current:
            sums = np.zeros(run.n_steps)
            sum_entries(frames, self.layout.n_pixels, _NO_TABLE, sums, sums)
            means = sums.astype(np.float32) / np.float32(self.layout.size)
            decisions.decide(self.name, self.node, means, sums)
        kept = decisions.kept[self.name] != 0
        if kept.all() and not self.node.scaling:
            return frames
        step = np.repeat(np.arange(run.n_steps), np.diff(frames.start[:: self.layout.n_pixels]))
        gain = decisions.gains[self.name][step] if self.node.scaling else None
        return _passed(frames, kept[step], gain)


@dataclass(frozen=True, eq=False)
class Select(Operation):
    """Channel or spatial attention: scores of every frame for itself."""

    node: ChannelAttention | SpatialAttention

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Remove or scale the entries of a block."""
        frames = as_frames(inputs[0], run.kept, self.layouts[0])
        n = n_entries(frames)
        n_pixels, n_channels = self.layout.n_pixels, self.layout.n_channels
        slot = np.repeat(np.arange(run.n_steps * n_pixels), np.diff(frames.start))
        if isinstance(self.node, ChannelAttention):
            where = slot // n_pixels * n_channels + frames.index[:n] % n_channels
            scores = self._channel_scores(frames, run.n_steps)
        else:
            where, scores = slot, self._pixel_scores(frames, run.n_steps)
        is_channels = isinstance(self.node, ChannelAttention)
        is_selecting = run.decisions.selects_channels if is_channels else run.decisions.selects_pixels
        kept = scores >= np.float32(self.node.threshold) if is_selecting else np.ones(scores.size, bool)
        active = np.zeros(scores.size, bool)
        active[where] = True
        near = np.abs(scores.astype(np.float64) - self.node.threshold) < NEAR
        run.decisions.add_selection(
            self.name,
            SelectionReport(
                n_considered=int(active.sum()),
                n_kept=int((active & kept).sum()),
                n_near_threshold=int((active & near).sum()),
                entries_total=n,
                entries_kept=int(kept[where].sum()),
            ),
        )
        if kept[where].all() and not self.node.scaling:
            return frames
        return _passed(frames, kept[where], scores[where] if self.node.scaling else None)

    def _channel_scores(self, frames: Frames, n_steps: int) -> NDArray[np.float32]:
        """Return scores, flat (n_steps, channels)."""
        assert isinstance(self.node, ChannelAttention)
        sums = np.zeros((n_steps, self.layout.n_channels))
        sum_channels(frames, self.layout.n_pixels, self.layout.n_channels, sums)
        return excite(self.node, sums.astype(np.float32) / np.float32(self.layout.n_pixels)).reshape(-1)

    def _pixel_scores(self, frames: Frames, n_steps: int) -> NDArray[np.float32]:
        """Return scores, flat (n_steps, pixels); of use only where a pixel has entries."""
        assert isinstance(self.node, SpatialAttention)
        channels, rows, columns = self.layout.shape
        _, kernel_rows, kernel_columns = self.node.weight.shape
        maps = np.zeros((2, rows + kernel_rows - 1, columns + kernel_columns - 1), np.float32)
        logits = np.zeros(n_steps * rows * columns, np.float32)
        shape, bias = (channels, rows, columns), np.float32(self.node.bias)
        sum_windows(frames, n_steps, shape, self.node.weight, bias, maps, logits)
        return sigmoid(logits)


def _passed(frames: Frames, kept: NDArray[np.bool_], gain: NDArray[np.float32] | None) -> Frames:
    """Return the entries that are kept, their values times `gain`; what becomes zero is no entry."""
    n = kept.size
    value = frames.value[:n]
    if gain is not None:
        value = value * gain if value.size else gain
        kept = kept & (value != 0)
    before = np.concatenate(([0], np.cumsum(kept, dtype=np.int32))).astype(np.int32)
    index = np.empty(before[-1] + SPARE, np.int32)
    index[: before[-1]] = frames.index[:n][kept]
    values = np.empty(before[-1] + SPARE if value.size else 0, np.float32)
    if value.size:
        values[: before[-1]] = value[kept]
    return Frames(before[frames.start], index, values)


def chains(graph: Graph) -> dict[str, str]:
    """Return the attention on the current of each synapse that has one, by the name of the synapse."""
    found = {}
    for name in graph.order:
        if isinstance(graph.nodes[name], TEMPORAL) and (chain := _chain(graph, name)):
            found[chain[0]] = name
    return found


def _chain(graph: Graph, name: str) -> tuple[str, ...]:
    return chain_before(graph.nodes, {at: graph.predecessors(at) for at in graph.order}, name)


def attention_operation(graph: Graph, name: str, layouts: Mapping[str, Layout]) -> Operation:
    """Return the operation of an attention that does not stand directly behind the Input."""
    node, sources = graph.nodes[name], graph.predecessors(name)
    words = (name, sources, tuple(layouts[source] for source in sources), layouts[name])
    if isinstance(node, (ChannelAttention, SpatialAttention)):
        return Select(*words, node)
    assert isinstance(node, TEMPORAL)
    return Gate(*words, node, _chain(graph, name) != ())


def look_before(graph: Graph, name: str, layouts: Mapping[str, Layout]) -> Look:
    """Return the operation that scores an attention on a current, to run before its synapse."""
    chain, node = _chain(graph, name), graph.nodes[name]
    assert isinstance(node, TEMPORAL)
    source = graph.predecessors(chain[0])[0]
    table, constant = squeeze_table(graph, chain)
    layout = layouts[source]
    inside = np.array(table.reshape(layout.n_channels, layout.n_pixels).T, order="C").reshape(-1)
    return Look(
        f"{name}/scores", (source,), (layout,), layout, name, node, inside, constant, layouts[chain[-1]].size
    )


def attention_paths(graph: Graph) -> dict[str, Paths]:
    """Return, for each node, the temporal attentions on the paths from the Input to it (the smallest sets of them).

    What stands between an attention on a current and its synapse counts as behind the attention: it is computed for
    nothing else.
    """
    found: dict[str, frozenset[frozenset[str]]] = dict.fromkeys(graph.order, frozenset())
    found[graph.input_name] = frozenset({frozenset()})
    own = {name: {name} for name in graph.order if isinstance(graph.nodes[name], TEMPORAL)}
    for name in list(own):
        own.update({at: {name} for at in _chain(graph, name)})
    while True:
        before = dict(found)
        for name in graph.order:
            sets = {path | own.get(name, set()) for at in graph.predecessors(name) for path in found[at]}
            sets |= found[name]
            found[name] = frozenset(one for one in sets if not any(other < one for other in sets))
        if found == before:  # cycles need a second pass
            return {name: tuple(tuple(sorted(path)) for path in found[name]) for name in graph.order}


def check_blocks(graph: Graph, block_steps: int) -> int:
    """Return the steps of a block; an attention among the layers that looks ahead needs the whole window at once."""
    for name in graph.order:
        node = graph.nodes[name]
        is_inner = graph.predecessors(name) != (graph.input_name,)
        if isinstance(node, TemporalAttention) and is_inner and not node.is_causal:
            if any(
                graph.order.index(at) > graph.order.index(to)
                for to in graph.order
                for at in graph.predecessors(to)
            ):
                raise GraphError(
                    f"TemporalAttention {name!r}: scores whole windows, which a graph with a cycle cannot give it; put "
                    "it directly behind the Input, or make it causal"
                )
            return node.n_frames
    return block_steps
