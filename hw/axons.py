"""Axons and the synapses behind them: what of a source a block hears, in how many words of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.fixed import Connection
from hw.targets import Target

__all__ = ["Reach", "Kinds", "axon_words", "stored_synapses", "kinds_of", "channel_fans"]

Ints = NDArray[np.int64]
_BITS = 60


@dataclass(frozen=True, eq=False)
class Reach:
    """What of a source a block hears through one connection.

    Attributes
    ----------
    source : str
        The population.
    units : int64 array
        Its units (pixels, or neurons of a flat population) with a synapse in the block.
    axons : int
        Axons that this takes.
    words : int
        64-bit words of synapses.
    axon_words : int
        The most words of one axon.
    """

    source: str
    units: Ints
    axons: int
    words: int
    axon_words: int


@dataclass(frozen=True, eq=False)
class Kinds:
    """Pixels of a source that a set of target pixels hears through a kernel.

    Attributes
    ----------
    pixels : int64 array, shape (n,)
        Those that are heard, ascending.
    taps : int64 array, shape (n,)
        Target pixels that hear each one.
    distinct : int64 array
        The same for one pixel of each kind: pixels of a kind are heard through the same taps and share a list.
    """

    pixels: Ints
    taps: Ints
    distinct: Ints


def kinds_of(connection: Connection, shape: tuple[int, ...], out_columns: int, pixels: Ints) -> Kinds:
    """Find the pixels that some target pixels hear, and how many kinds of them there are.

    Parameters
    ----------
    connection : Connection
        A convolution.
    shape : tuple of int
        Of its source.
    out_columns : int
        Columns of its target.
    pixels : int64 array
        Target pixels.

    Returns
    -------
    Kinds
        What they hear.
    """
    rows, columns = pixels // out_columns, pixels % out_columns
    row, column = (np.arange(part.min(), part.max() + 1) for part in (rows, columns))
    is_small = max(connection.weights.shape[2:]) <= _BITS
    if is_small and row.size * column.size == pixels.size:  # a rectangle: rows and columns can be told apart
        y, y_mask, y_taps = _axis(connection, 0, shape[1], row)
        x, x_mask, x_taps = _axis(connection, 1, shape[2], column)
        first_y, first_x = (np.unique(mask, return_index=True)[1] for mask in (y_mask, x_mask))
        heard = (y[:, None] * shape[2] + x).reshape(-1)
        return Kinds(
            heard,
            np.outer(y_taps, x_taps).reshape(-1),
            np.outer(y_taps[first_y], x_taps[first_x]).reshape(-1),
        )
    return _any_kinds(connection, shape, rows, columns)


def _axis(connection: Connection, axis: int, size: int, positions: Ints) -> tuple[Ints, Ints, Ints]:
    """Return heard positions along an axis, the taps through which each is heard as bits, and their number."""
    n_taps = connection.weights.shape[2 + axis]
    stride, padding, dilation = (
        x[axis] for x in (connection.stride, connection.padding, connection.dilation)
    )
    mask, taps = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for i in range(n_taps):
        place = positions * stride - padding + i * dilation
        place = place[(place >= 0) & (place < size)]
        mask[place] |= 1 << i
        taps[place] += 1
    heard = np.flatnonzero(taps)
    return heard, mask[heard], taps[heard]


def _any_kinds(connection: Connection, shape: tuple[int, ...], rows: Ints, columns: Ints) -> Kinds:
    n_rows, n_columns = connection.weights.shape[2:]
    n_pixels = shape[1] * shape[2]
    masks = np.zeros((-(-n_rows * n_columns // _BITS), n_pixels), np.int64)
    taps = np.zeros(n_pixels, np.int64)
    for tap in range(n_rows * n_columns):
        i, m = divmod(tap, n_columns)
        y = rows * connection.stride[0] - connection.padding[0] + i * connection.dilation[0]
        x = columns * connection.stride[1] - connection.padding[1] + m * connection.dilation[1]
        inside = (y >= 0) & (y < shape[1]) & (x >= 0) & (x < shape[2])
        place = y[inside] * shape[2] + x[inside]
        masks[tap // _BITS, place] |= 1 << tap % _BITS
        taps[place] += 1
    pixels = np.flatnonzero(taps)
    found = masks[0, pixels] if len(masks) == 1 else masks[:, pixels].T
    _, first = np.unique(found, return_index=True, axis=None if found.ndim == 1 else 0)
    return Kinds(pixels, taps[pixels], taps[pixels][first])


def channel_fans(connection: Connection, n_sources: int, start: int, stop: int) -> list[tuple[int, int, int]]:
    """Return the channels of a source that some channels of a convolution hear.

    Parameters
    ----------
    connection : Connection
        A convolution.
    n_sources : int
        Channels of its source.
    start, stop : int
        Channels of its target.

    Returns
    -------
    list of (int, int, int)
        First and last (exclusive) channel of the source, and the number of target channels that hear each of them.

    Examples
    --------
    >>> kernel = np.ones((4, 1, 3, 3), np.int16)
    >>> channel_fans(Connection("a", "b", "conv", kernel, groups=2), 2, 1, 4)
    [(0, 1, 1), (1, 2, 2)]
    """
    per_out, per_in = connection.weights.shape[0] // connection.groups, n_sources // connection.groups
    found = []
    for group in range(start // per_out, -(-stop // per_out)):
        heard_by = min(stop, (group + 1) * per_out) - max(start, group * per_out)
        found.append((group * per_in, (group + 1) * per_in, heard_by))
    return found


def axon_words(n_synapses: Ints, n_targets: int, bits: int, target: Target) -> Ints:
    """Return the 64-bit words of axons' synapses in the shortest encoding.

    Headers have 10 bits (4 for the format, 6 for the count) for at most 60 synapses. 'dense' lists a weight for each of
    the targets (headers also say where they begin), 'sparse' a number with each weight, 'run length' 4 bits of
    distance. A last word without room for the end mark costs one more.

    Parameters
    ----------
    n_synapses : int64 array
        Of each axon.
    n_targets : int
        Neurons of the block; 0: the synapses lie side by side (a kernel).
    bits : int
        Of a weight and its delay.
    target : Target
        The chip.

    Returns
    -------
    int64 array
        Words of each axon.

    Examples
    --------
    >>> from hw import loihi1
    >>> axon_words(np.array([3, 60]), 64, 8, loihi1).tolist()
    [1, 9]
    """
    return np.asarray(np.minimum.reduce(_encodings(n_synapses, n_targets, bits, target)), np.int64)


def stored_synapses(n_synapses: Ints, n_targets: int, bits: int, target: Target) -> Ints:
    """Return the synapses that each axon reads: where only 'dense' is the shortest, those of weight 0, too.

    Parameters
    ----------
    n_synapses : int64 array
        Of each axon.
    n_targets : int
        Neurons of the block.
    bits : int
        Of a weight and its delay.
    target : Target
        The chip.

    Returns
    -------
    int64 array
        Synapses of each axon.
    """
    found = np.asarray(n_synapses, np.int64)
    words = _encodings(found, n_targets, bits, target)
    return np.where(words[0] < np.minimum.reduce(words[1:]), np.maximum(found, n_targets), found)


def _encodings(n_synapses: Ints, n_targets: int, bits: int, target: Target) -> list[Ints]:
    """Return the words of each axon in each encoding, worked out once for each number of synapses."""
    n = np.asarray(n_synapses, np.int64)
    if n.size > (most := int(n.max(initial=0))) + 1:
        return [words[n] for words in _encodings(np.arange(most + 1), n_targets, bits, target)]
    index, per_entry = target["index_bits"], target["synapses_per_entry"]

    def words(count: Any, each: int, header: int) -> Ints:
        total = -(-count // per_entry) * header + count * each
        rest = total % 64
        return np.asarray(-(-total // 64) + ((rest == 0) | (rest >= 59)), np.int64)

    side_by_side = words(np.full_like(n, n_targets) if n_targets else n, bits, 10 + index)
    if not n_targets:
        return [side_by_side]
    return [side_by_side, words(n, bits + index, 10), words(n, bits + 4, 10 + index)]
