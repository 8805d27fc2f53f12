"""Conversions between the forms of a block of frames: listed entries, per-pixel lists, dense arrays.

``into`` is always a `Frames` with room for all entries; its ``value`` is empty when all entries are 1.0.
"""

import numpy as np

from neuro.kernels.arrays import Bytes, Floats, Frames, Int32s
from neuro.kernels.options import PART, UNCOUNTED, njit

U = np.uint64


@njit(cache=True, **PART)
def sort_step(
    index: Int32s, value: Floats, entries: tuple[int, int], layout: tuple[int, int], slot: int, into: Frames
) -> None:
    """Bring the entries of a step, in (channel, pixel) order, into lists for its pixels, the first at `slot`.

    ``entries``: where they stand. ``layout``: pixels and channels. ``into.start[slot]`` is set. Without ``into.value``
    the values are not read.
    """
    (lo, hi), (n_pixels, n_channels) = entries, layout
    start, total = into.start[slot : slot + n_pixels + 1], into.start[slot]
    start[1:] = 0
    first, last = 0, n_pixels
    for j in range(U(lo), U(hi)):  # start[pixel + 1] counts the entries of a pixel,
        while index[j] >= last:
            first, last = last, last + n_pixels
        start[U(index[j] - first + 1)] += 1
    for pixel in range(U(1), U(n_pixels + 1)):  # then it is the place of its next entry, and its end at last
        n_entries = start[pixel]
        start[pixel] = total
        total += n_entries
    first, last, channel = 0, n_pixels, 0
    for j in range(U(lo), U(hi)):
        while index[j] >= last:
            first, last, channel = last, last + n_pixels, channel + 1
        pixel = index[j] - first
        at = U(start[U(pixel + 1)])
        into.index[at] = pixel * n_channels + channel
        if into.value.size > 0:
            into.value[at] = value[j]
        start[U(pixel + 1)] = at + U(1)


@njit(cache=True, **UNCOUNTED)
def sort_by_pixel(
    step: Int32s, index: Int32s, value: Floats, kept: Bytes, n_pixels: int, n_channels: int, into: Frames
) -> None:
    """Bring entries listed in (step, channel, pixel) order into per-pixel lists, leaving out dropped steps."""
    into.start[0] = 0
    stop = np.int64(0)  # were it 0, `sort_step` would be compiled twice
    for k in range(kept.size):
        begin, slot = stop, k * n_pixels
        while stop < step.size and step[stop] == k:
            stop += 1
        if kept[k] != 0:
            sort_step(index, value, (begin, stop), (n_pixels, n_channels), slot, into)
        else:
            into.start[slot + 1 : slot + n_pixels + 1] = into.start[slot]


@njit(cache=True, **UNCOUNTED)
def sort_by_channel(
    frames: Frames, steps: tuple[int, int], n_pixels: int, n_channels: int, count: Int32s, into: Frames
) -> None:
    """Bring per-pixel lists into (channel, pixel) order: one list of ``channel * n_pixels + pixel`` per step.

    ``steps``: the first and the end. ``count``: int32, shape (n_channels + 1,), scratch. ``into.start``: shape
    (n_steps + 1,).
    """
    start, index, value = frames.start, frames.index, frames.value
    into.start[steps[0]] = start[steps[0] * n_pixels]
    for step in range(steps[0], steps[1]):
        first, last = start[step * n_pixels], start[(step + 1) * n_pixels]
        into.start[step + 1] = last
        count[:] = 0
        base = 0
        for k in range(U(first), U(last)):
            while index[k] >= base + n_channels:
                base += n_channels
            count[U(index[k] - base + 1)] += 1
        for channel in range(n_channels):
            count[channel + 1] += count[channel]
        base, pixel = 0, 0
        for k in range(U(first), U(last)):
            while index[k] >= base + n_channels:
                base, pixel = base + n_channels, pixel + 1
            channel = index[k] - base
            at = U(first + count[U(channel)])
            count[U(channel)] += 1
            into.index[at] = channel * n_pixels + pixel
            if value.size > 0:
                into.value[at] = value[k]


@njit(cache=True, **UNCOUNTED)
def list_nonzero(dense: Floats, kept: Bytes, n_channels: int, into: Frames) -> None:
    """List the non-zero entries of dense frames, shape (n_steps, n_pixels * n_channels), on kept steps."""
    n, slot = 0, 0
    into.start[0] = 0
    for step in range(dense.shape[0]):
        for base in range(0, dense.shape[1], n_channels):
            if kept[step] != 0:
                for k in range(base, base + n_channels):
                    if dense[step, k] != 0:
                        into.index[n] = k
                        into.value[n] = dense[step, k]
                        n += 1
            slot += 1
            into.start[slot] = n


@njit(cache=True, **UNCOUNTED)
def write_dense(frames: Frames, n_pixels: int, dense: Floats) -> None:
    """Write listed entries into dense frames of zeros."""
    for step in range(dense.shape[0]):
        for k in range(frames.start[step * n_pixels], frames.start[(step + 1) * n_pixels]):
            dense[step, frames.index[k]] = frames.value[k] if frames.value.size > 0 else np.float32(1)


@njit(cache=True, **UNCOUNTED)
def join_channels(
    a: Frames, b: Frames, a_channels: int, b_channels: int, n_pixels: int, into: Frames
) -> None:
    """Join two blocks of frames along the channels, those of `a` first."""
    n = 0
    into.start[0] = 0
    n_channels = a_channels + b_channels
    for slot in range(into.start.size - 1):
        base = (slot % n_pixels) * n_channels
        for k in range(a.start[slot], a.start[slot + 1]):
            into.index[n] = base + a.index[k] % a_channels
            if into.value.size > 0:
                into.value[n] = a.value[k] if a.value.size > 0 else np.float32(1)
            n += 1
        for k in range(b.start[slot], b.start[slot + 1]):
            into.index[n] = base + a_channels + b.index[k] % b_channels
            if into.value.size > 0:
                into.value[n] = b.value[k] if b.value.size > 0 else np.float32(1)
            n += 1
        into.start[slot + 1] = n


@njit(cache=True, **UNCOUNTED)
def join_strips(
    start: Int32s, index: Int32s, first_pixel: int, n_steps: int, into: Frames, is_filling: bool
) -> None:
    """Put a strip of pixels into whole frames: its counts into ``into.start[1:]``, or (`is_filling`) its entries."""
    n_pixels, n_all = (start.size - 1) // n_steps, (into.start.size - 1) // n_steps
    for step in range(n_steps):
        slot, to = step * n_pixels, step * n_all + first_pixel
        if not is_filling:
            for k in range(n_pixels):
                into.start[to + k + 1] = start[slot + k + 1] - start[slot + k]
        else:
            lo, at = start[slot], into.start[to]
            for k in range(start[slot + n_pixels] - lo):
                into.index[at + k] = index[lo + k]
