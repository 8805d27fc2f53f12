"""Connections as the kernels take them: one delay each, weights as the chip cuts them, channel-last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw._kernels import (
    LIMIT,
    Taps,
    Train,
    add_convolution,
    add_dense,
    add_shifted,
    add_sparse,
    add_wrapped,
)
from hw.errors import QuantizationError
from hw.fixed import Connection, Population
from hw.weights import cut_weights

__all__ = ["Synapses", "lower_connection", "channel_last", "expand_convolution"]

Int32s = NDArray[np.int32]
_MOST = 2**24  # sums stay below this: shifted by 6 bits and added to a register they fit into int32


@dataclass(frozen=True, eq=False)
class Synapses:
    """A connection, or the part of one that has one delay.

    Attributes
    ----------
    source : str
        The population whose spikes it takes.
    lag : int
        Steps from a spike to its effect: 1 and the delay.
    weights : Taps, array or (column starts, rows, weights)
        Convolution, dense [in, out], or sparse by column.
    down : int
        Bits by which sums are shifted down.
    wraps : bool
        Whether sums wrap at 24 bits.
    is_graded : bool
        Whether values multiply.
    bound : int
        The largest sum of magnitudes at one neuron.
    """

    source: str
    lag: int
    weights: Taps | NDArray[np.int16] | tuple[NDArray[np.int64], Int32s, NDArray[np.int16]]
    down: int
    wraps: bool
    is_graded: bool
    bound: int

    def add(self, a: Int32s, sums: Int32s, train: Train, first: int) -> tuple[int, int]:
        """Add what arrives in the steps from `first` on; returns additions and sums that wrapped."""
        target = a
        if self.down or self.wraps:
            target = sums[: a.shape[0]]
            target[:] = 0
        if isinstance(self.weights, Taps):
            n = add_convolution(target, self.weights, train, first, self.lag)
        elif isinstance(self.weights, tuple):
            n = add_sparse(target, *self.weights, train, first, self.lag)
        else:
            n = add_dense(target, self.weights, train, first, self.lag)
        n_wrapped = 0
        if self.wraps:
            n_wrapped = add_wrapped(a, target)
        elif self.down:
            add_shifted(a, target, self.down)
        return int(n), int(n_wrapped)


def channel_last(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the place inside, channel-last, of each neuron in the order of its shape.

    Examples
    --------
    >>> channel_last((2, 1, 3)).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    n_pixels = int(np.prod(shape[1:], dtype=np.int64))
    return (np.arange(n_pixels) * shape[0] + np.arange(shape[0])[:, None]).reshape(-1)


def lower_connection(
    connection: Connection, source: Population, target: Population, profile: str
) -> Iterator[Synapses]:
    """Yield the parts of a connection, one for each delay, as the kernels take them.

    Parameters
    ----------
    connection : Connection
        What to lower.
    source, target : Population
        Its ends.
    profile : {'lava', 'loihi1'}
        Rules for low bits and exponents.

    Yields
    ------
    Synapses
        Without those that have no weight left.

    Raises
    ------
    QuantizationError
        If sums can leave the range that the registers can take in one step.
    """
    cut = cut_weights(
        connection.weights,
        weight_bits=connection.weight_bits,
        sign=connection.sign,
        weight_exponent=connection.weight_exponent,
        profile=profile,
    )
    down = 0
    if profile == "lava":
        down = max(0, -connection.weight_exponent)
        cut = cut << max(0, connection.weight_exponent)
    if np.abs(cut).max(initial=0) > np.iinfo(np.int16).max + 1:
        raise QuantizationError(f"Connection {connection.name}: weights with their exponent must fit 16 bits")
    if connection.kind == "conv":
        bound = int(np.abs(cut).sum(axis=(1, 2, 3), dtype=np.int64).max(initial=0))
        _check_bound(connection, bound)
        taps = _taps(connection, source, target, cut)
        wraps = profile == "lava" and (connection.is_graded or bound >= LIMIT)
        assert isinstance(connection.delay, int)
        yield Synapses(connection.source, 1 + connection.delay, taps, 0, wraps, connection.is_graded, bound)
        return
    for delay in np.unique(connection.delay):
        part = cut if isinstance(connection.delay, int) else np.where(connection.delay == delay, cut, 0)
        if connection.kind == "dense":
            weights, bound = _dense(part, source, target)
        else:
            weights, bound = _sparse(connection, part, source, target)
        _check_bound(connection, bound)
        yield Synapses(connection.source, 1 + int(delay), weights, down, False, connection.is_graded, bound)


def _check_bound(connection: Connection, bound: int) -> None:
    if bound > _MOST:
        raise QuantizationError(
            f"Connection {connection.name}: the weights of one neuron add up to {bound}, at most {_MOST} can arrive in "
            "one step; lower the exponent or the number of inputs"
        )


def _dense(
    part: Int32s, source: Population, target: Population
) -> tuple[NDArray[np.int16] | tuple[NDArray[np.int64], Int32s, NDArray[np.int16]], int]:
    bound = int(np.abs(part).sum(axis=1, dtype=np.int64).max(initial=0))
    weights = np.zeros((source.size, target.size), np.int16)
    columns, rows = channel_last(source.shape), channel_last(target.shape)
    weights[columns[:, None], rows[None, :]] = part.T
    return weights, bound


def _sparse(
    connection: Connection, part: Int32s, source: Population, target: Population
) -> tuple[tuple[NDArray[np.int64], Int32s, NDArray[np.int16]], int]:
    assert connection.rows is not None
    assert connection.columns is not None
    there = part != 0
    rows = channel_last(target.shape)[connection.rows[there]]
    columns = channel_last(source.shape)[connection.columns[there]]
    data = part[there]
    order = np.lexsort((rows, columns))
    start = np.zeros(source.size + 1, np.int64)
    np.cumsum(np.bincount(columns, minlength=source.size), out=start[1:])
    totals = np.bincount(rows, np.abs(data), minlength=target.size)
    return (start, rows[order].astype(np.int32), data[order].astype(np.int16)), int(totals.max(initial=0))


def _taps(connection: Connection, source: Population, target: Population, cut: Int32s) -> Taps:
    per_out = connection.weights.shape[0] // connection.groups
    # [group, out, in, rows, columns] -> rows of weights for one input channel of one group
    grouped = cut.reshape(connection.groups, per_out, *cut.shape[1:])
    weights = np.ascontiguousarray(np.moveaxis(grouped, 1, -1))  # [group, in, rows, columns, out]
    numbers = np.array(
        [
            source.shape[0], source.shape[2], *target.shape,
            *connection.stride, *connection.padding, *connection.dilation,
        ],
        np.int64,
    )  # fmt: skip
    if connection.groups == 1:
        return Taps(numbers, weights[0].astype(np.int16))
    # several groups: each input channel has rows of its own, zero where another group's outputs lie
    full = np.zeros((source.shape[0], *cut.shape[2:], target.shape[0]), np.int16)
    per_in = cut.shape[1]
    for group in range(connection.groups):
        full[group * per_in : (group + 1) * per_in, ..., group * per_out : (group + 1) * per_out] = weights[
            group
        ]
    return Taps(numbers, full)


def expand_convolution(
    connection: Connection, source: Population, target: Population
) -> tuple[Int32s, Int32s, Int32s]:
    """Return a convolution as target neuron, source neuron and place of the weight of each synapse.

    Parameters
    ----------
    connection : Connection
        A convolution.
    source, target : Population
        Its ends.

    Returns
    -------
    tuple of three int32 arrays, shape (n_synapses,)
        Rows, columns and positions in ``weights.reshape(-1)``.
    """
    out, per_in, n_rows, n_columns = connection.weights.shape
    per_out = out // connection.groups
    (_, height, width), (_, out_height, out_width) = source.shape, target.shape
    rows: list[Int32s] = []
    columns: list[Int32s] = []
    places: list[Int32s] = []
    r, c = np.meshgrid(np.arange(out_height), np.arange(out_width), indexing="ij")
    channels = np.arange(out)
    for i in range(n_rows):
        for m in range(n_columns):
            y = r * connection.stride[0] - connection.padding[0] + i * connection.dilation[0]
            x = c * connection.stride[1] - connection.padding[1] + m * connection.dilation[1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            target_pixel = (r * out_width + c)[inside]
            source_pixel = (y * width + x)[inside]
            for k in range(per_in):
                channel = channels // per_out * per_in + k
                rows.append((channels[:, None] * (out_height * out_width) + target_pixel).reshape(-1))
                columns.append((channel[:, None] * (height * width) + source_pixel).reshape(-1))
                place = ((channels * per_in + k) * n_rows + i) * n_columns + m
                places.append(np.repeat(place, target_pixel.size))
    return (
        np.concatenate(rows).astype(np.int32),
        np.concatenate(columns).astype(np.int32),
        np.concatenate(places).astype(np.int32),
    )
