"""Conversions between the forms of a block of frames: listed entries, per-pixel lists, dense arrays.

``into`` is always a `Frames` with room for all entries; its ``value`` is empty when all entries are 1.0.
"""

import numpy as np

from neuro.kernels.arrays import Bytes, Floats, Frames, Int32s
from neuro.kernels.options import UNCOUNTED, njit


@njit(cache=True, **UNCOUNTED)
def sort_by_pixel(
    step: Int32s, index: Int32s, value: Floats, kept: Bytes, n_pixels: int, n_channels: int, into: Frames
) -> None:
    """Bring entries listed in (step, channel, pixel) order into per-pixel lists, leaving out dropped steps."""
    start = into.start
    n_slots = start.size - 1
    start[:] = 0
    previous, channel = -1, 0
    for j in range(step.size):  # count the entries of slot s in start[s + 2]
        if step[j] != previous:
            previous, channel = step[j], 0
        while index[j] >= (channel + 1) * n_pixels:
            channel += 1
        slot = previous * n_pixels + index[j] - channel * n_pixels + 2
        if kept[previous] != 0 and slot <= n_slots:
            start[slot] += 1
    total = 0
    for slot in range(start.size):
        total += start[slot]
        start[slot] = total
    previous, channel = -1, 0
    for j in range(step.size):  # start[s + 1] is the place of the next entry of slot s, and its end at last
        if step[j] != previous:
            previous, channel = step[j], 0
        while index[j] >= (channel + 1) * n_pixels:
            channel += 1
        if kept[previous] != 0:
            pixel = index[j] - channel * n_pixels
            slot = previous * n_pixels + pixel + 1
            at = start[slot]
            into.index[at] = pixel * n_channels + channel
            if value.size > 0:
                into.value[at] = value[j]
            start[slot] = at + 1


@njit(cache=True, **UNCOUNTED)
def sort_by_channel(
    frames: Frames, n_steps: int, n_pixels: int, n_channels: int, count: Int32s, into: Frames
) -> None:
    """Bring per-pixel lists into (channel, pixel) order: one list of ``channel * n_pixels + pixel`` per step.

    ``count``: int32, shape (n_channels + 1,), scratch. ``into.start``: shape (n_steps + 1,).
    """
    start, index, value = frames.start, frames.index, frames.value
    into.start[0] = 0
    for step in range(n_steps):
        first, last = start[step * n_pixels], start[(step + 1) * n_pixels]
        into.start[step + 1] = last
        count[:] = 0
        base = 0
        for k in range(first, last):
            while index[k] >= base + n_channels:
                base += n_channels
            count[index[k] - base + 1] += 1
        for channel in range(n_channels):
            count[channel + 1] += count[channel]
        pixel = 0
        for k in range(first, last):
            while index[k] >= (pixel + 1) * n_channels:
                pixel += 1
            channel = index[k] - pixel * n_channels
            at = first + count[channel]
            count[channel] += 1
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
