"""Tables of a layer's geometry: which inputs an output collects, and which outputs an input reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neuro.graph import AvgPool2d, Conv2d, CountMaxPool2d, Linear, MaxPool2d, RadixMaxPool2d, SumPool2d
from neuro.kernels.arrays import Floats, Int32s, Synapses
from neuro.lowering.layout import Layout

__all__ = ["Pool2d", "channel_last", "synapse_tables", "window_tables"]

Pool2d = SumPool2d | AvgPool2d | MaxPool2d | CountMaxPool2d | RadixMaxPool2d


@dataclass(frozen=True)
class _Axis:
    """One axis of a window: sizes, and the taps that fall inside the frame."""

    n_in: int
    n_out: int
    n_taps: int
    stride: int
    padding: int
    dilation: int

    def taps(self, out: int) -> list[tuple[int, int]]:
        """(tap, input position) of an output position, ascending."""
        first = out * self.stride - self.padding
        pairs = [(tap, first + tap * self.dilation) for tap in range(self.n_taps)]
        return [(tap, at) for tap, at in pairs if 0 <= at < self.n_in]

    def targets(self, at: int) -> list[tuple[int, int]]:
        """(tap, output position) of an input position, ascending in tap."""
        pairs = [(tap, at + self.padding - tap * self.dilation) for tap in range(self.n_taps)]
        return [
            (tap, first // self.stride)
            for tap, first in pairs
            if first % self.stride == 0 and 0 <= first // self.stride < self.n_out
        ]


@dataclass(frozen=True)
class _Channels:
    """Channels in and out, and the groups that do not see each other."""

    n_in: int
    n_out: int
    groups: int = 1


def synapse_tables(
    node: Linear | Conv2d, source: Layout, target: Layout, *, has_weights: bool = True
) -> Synapses:
    """Return the tables and, if asked for, the channel-last weights of a Linear or Conv2d."""
    channels = _Channels(source.n_channels, target.n_channels)
    weight = np.array(channel_last(node), order="C") if has_weights else np.zeros(0, np.float32)
    if isinstance(node, Linear):
        point = _Axis(1, 1, 1, 1, 0, 1)
        return _tables(point, point, channels, weight, node.bias)
    channels = _Channels(source.n_channels, target.n_channels, node.groups)
    rows, columns = (
        _Axis(
            source.shape[1 + k],
            target.shape[1 + k],
            node.kernel_size[k],
            node.stride[k],
            node.padding[k],
            node.dilation[k],
        )
        for k in (0, 1)
    )
    return _tables(rows, columns, channels, weight, node.bias)


def window_tables(node: Pool2d, source: Layout, target: Layout) -> Synapses:
    """Return the tables of a pool's window (no weights)."""
    rows, columns = (
        _Axis(
            source.shape[1 + k], target.shape[1 + k], node.kernel_size[k], node.strides[k], node.padding[k], 1
        )
        for k in (0, 1)
    )
    nothing = np.zeros(0, np.float32)
    return _tables(rows, columns, _Channels(source.n_channels, target.n_channels), nothing, nothing)


def channel_last(node: Linear | Conv2d) -> Floats:
    """Return a view: rows (tap row, tap column, group, input channel) of output channels of the input's group."""
    if isinstance(node, Linear):
        return node.weight.T
    weight = node.weight.reshape(node.groups, -1, *node.weight.shape[1:])
    return weight.transpose(3, 4, 0, 2, 1)


def _tables(
    rows: _Axis, columns: _Axis, channels: _Channels, weight: Floats, bias: Floats | None
) -> Synapses:
    n_in, n_out, groups = channels.n_in, channels.n_out, channels.groups
    line, tap_line = columns.n_in * n_in, columns.n_taps * n_in

    def row_taps(y: int) -> list[tuple[int, int]]:
        return [(at * columns.n_in, tap * tap_line - at * line) for tap, at in rows.taps(y)]

    def row_targets(y: int) -> list[tuple[int, int]]:
        return [(out * columns.n_out, tap * tap_line - y * line) for tap, out in rows.targets(y)]

    def column_targets(x: int) -> list[tuple[int, int]]:
        return [(out, (tap - x) * n_in) for tap, out in columns.targets(x)]

    return Synapses(
        rows.n_in * columns.n_in,
        n_in,
        columns.n_in,
        rows.n_out,
        columns.n_out,
        n_out,
        groups,
        rows.n_taps * columns.n_taps * n_in,
        np.concatenate([weight.reshape(-1), np.zeros(n_out // groups, np.float32)]),
        np.zeros(n_out, np.float32) if bias is None else bias.copy(),
        _row_first(rows.n_taps * columns.n_taps, n_in, n_out, groups),
        *_ragged(rows.n_out, row_taps, 2),
        *_ragged(columns.n_out, lambda x: _runs(columns, x, n_in), 3),
        *_ragged(rows.n_in, row_targets, 2),
        *_ragged(columns.n_in, column_targets, 2),
    )


def _row_first(n_taps: int, n_in: int, n_out: int, groups: int) -> Int32s:
    """First output channel of the group of each weight row; empty for one group."""
    if groups == 1:
        return np.zeros(0, np.int32)
    group = np.arange(n_in) // (n_in // groups)
    return np.tile(group * (n_out // groups), n_taps).astype(np.int32)


def _runs(axis: _Axis, out: int, n_in: int) -> list[tuple[int, int, int]]:
    """Runs of input columns (start, stop, shift from entry to weight row): one run where taps are adjacent."""
    taps = axis.taps(out)
    if taps and axis.dilation == 1:
        tap, at = taps[0]
        return [(at, taps[-1][1] + 1, (tap - at) * n_in)]
    return [(at, at + 1, (tap - at) * n_in) for tap, at in taps]


def _ragged(n: int, items: Callable[[int], Sequence[tuple[int, ...]]], width: int) -> tuple[Int32s, ...]:
    """Return the lists of 0 .. n as starts, and one array per field."""
    lists = [items(at) for at in range(n)]
    start = np.cumsum([0, *(len(found) for found in lists)], dtype=np.int32)
    flat = [item for found in lists for item in found]
    fields = np.array(flat, dtype=np.int32).reshape(-1, width)
    return (start, *(np.ascontiguousarray(fields[:, k]) for k in range(width)))
