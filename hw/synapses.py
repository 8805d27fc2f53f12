"""Connections as the kernels take them: one delay each, weights as the chip cuts them, channel-last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw._kernels_synapses import DENSE, LANES, LIMIT, MOST, SPARSE, TAPS, Int16s, Int32s, Int64s
from hw.errors import QuantizationError
from hw.fixed import Connection, Population
from hw.weights import cut_weights

__all__ = ["Synapses", "lower_connection", "channel_last", "expand_convolution", "sparse_synapses"]

_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Synapses:
    """A connection, or the part of one that has one delay, as the kernels read it.

    Attributes
    ----------
    source : str
        The population whose spikes it takes.
    lag : int
        Steps from a spike to its effect: 1 and the delay.
    kind : int
        DENSE, SPARSE or TAPS of the kernels.
    weights : int16 array
        Flat; dense and taps in rows of `pitch`.
    starts, rows : int64 and int32 array
        Sparse: where each source's synapses begin, and their targets. Taps: the pairs of places by channel, column and
        row of the input.
    pitch, n_out : int
        Weights in a row, and how many of them are not there to fill it.
    map_size : tuple of int
        Taps: channels and columns of the input.
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
    kind: int
    weights: Int16s
    starts: Int64s = field(default_factory=lambda: _NOTHING)
    rows: Int32s = field(default_factory=lambda: _NOTHING.astype(np.int32))
    pitch: int = 0
    n_out: int = 0
    map_size: tuple[int, int] = (1, 1)
    down: int = 0
    wraps: bool = False
    is_graded: bool = False
    bound: int = 0


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
        wraps = profile == "lava" and (connection.is_graded or bound >= LIMIT)
        assert isinstance(connection.delay, int)
        taps = _taps(connection, source, target, cut)
        yield replace(taps, wraps=wraps, is_graded=connection.is_graded, bound=bound)
        return
    for delay in np.unique(connection.delay):
        part = cut if isinstance(connection.delay, int) else np.where(connection.delay == delay, cut, 0)
        lower = _dense if connection.kind == "dense" else _sparse
        synapses = lower(connection, part, source, target)
        _check_bound(connection, synapses.bound)
        yield replace(synapses, lag=1 + int(delay), down=down, is_graded=connection.is_graded)


def _check_bound(connection: Connection, bound: int) -> None:
    if bound > MOST:
        raise QuantizationError(
            f"Connection {connection.name}: the weights of one neuron add up to {bound}, at most {MOST} can arrive in "
            "one step; lower the exponent or the number of inputs"
        )


def _dense(connection: Connection, part: Int32s, source: Population, target: Population) -> Synapses:
    bound = int(np.abs(part).sum(axis=1, dtype=np.int64).max(initial=0))
    pitch = -(-target.size // LANES) * LANES
    weights = np.zeros((source.size, pitch), np.int16)
    columns, rows = channel_last(source.shape), channel_last(target.shape)
    weights[columns[:, None], rows[None, :]] = part.T
    return Synapses(
        connection.source, 1, DENSE, weights.reshape(-1), pitch=pitch, n_out=target.size, bound=bound
    )


def _sparse(connection: Connection, part: Int32s, source: Population, target: Population) -> Synapses:
    assert connection.rows is not None
    assert connection.columns is not None
    there = part != 0
    rows = channel_last(target.shape)[connection.rows[there]]
    columns = channel_last(source.shape)[connection.columns[there]]
    return sparse_synapses(connection.source, rows, columns, part[there], source.size)


def sparse_synapses(
    source: str, rows: NDArray[Any], columns: NDArray[Any], weights: NDArray[Any], n_source: int
) -> Synapses:
    """Return synapses listed one by one in the order of their sources.

    Parameters
    ----------
    source : str
        The population whose spikes they take.
    rows, columns, weights : int arrays, shape (n,)
        Target and source neuron, channel-last, and what is added.
    n_source : int
        Neurons of the source.

    Returns
    -------
    Synapses
        With a lag of 1.
    """
    order = np.lexsort((rows, columns))
    start = np.zeros(n_source + 1, np.int64)
    np.cumsum(np.bincount(columns, minlength=n_source), out=start[1:])
    bound = int(np.bincount(rows, np.abs(weights)).max(initial=0)) if rows.size else 0
    return Synapses(
        source, 1, SPARSE, weights[order].astype(np.int16), start, rows[order].astype(np.int32), bound=bound
    )


def _taps(connection: Connection, source: Population, target: Population, cut: Int32s) -> Synapses:
    n_out, per_in, n_rows, n_columns = cut.shape
    per_out = n_out // connection.groups
    pitch = 8 if per_out <= 8 else -(-per_out // LANES) * LANES
    grouped = cut.reshape(connection.groups, per_out, per_in, n_rows, n_columns)
    weights = np.zeros((connection.groups * per_in, n_rows, n_columns, pitch), np.int16)
    weights[..., :per_out] = grouped.transpose(0, 2, 3, 4, 1).reshape(*weights.shape[:3], per_out)
    channel = np.arange(len(weights))
    pairs = [np.stack([channel * (n_rows * n_columns * pitch), channel // per_in * per_out], axis=1)]
    starts = []
    scales = ((1, pitch, n_out), (0, n_columns * pitch, n_out * target.shape[2]))
    for axis, weight_step, target_step in scales:  # columns, then rows
        size, n_taps, out = source.shape[1 + axis], cut.shape[2 + axis], target.shape[1 + axis]
        place, tap = np.indices((size, n_taps)).reshape(2, -1)
        at = place + connection.padding[axis] - tap * connection.dilation[axis]
        sees = (at >= 0) & (at % connection.stride[axis] == 0) & (at // connection.stride[axis] < out)
        first = sum(len(found) for found in pairs)
        starts.append(first + np.concatenate([[0], np.cumsum(np.bincount(place[sees], minlength=size))]))
        found = np.stack([tap * weight_step, at // connection.stride[axis] * target_step], axis=1)
        pairs.append(found[sees])
    return Synapses(
        connection.source, 1 + int(connection.longest_delay), TAPS, weights.reshape(-1),
        np.concatenate(starts).astype(np.int64), np.concatenate(pairs).astype(np.int32).reshape(-1),
        pitch, per_out, (source.shape[0], source.shape[2]),
    )  # fmt: skip


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
