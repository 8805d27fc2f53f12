"""What travels between nodes within a block of steps: listed entries, or a dense array."""

from __future__ import annotations

import numpy as np

from neuro.kernels.arrays import SPARE, Bytes, Floats, Frames, Int32s
from neuro.kernels.frames import join_channels, list_nonzero, sort_by_channel, sort_by_pixel, write_dense
from neuro.lowering.layout import Layout

__all__ = [
    "Signal",
    "new_frames",
    "n_entries",
    "frames_of_entries",
    "as_frames",
    "as_dense",
    "by_channel",
    "join",
    "cut",
    "append",
    "silence",
    "silenced",
]

Signal = Frames | Floats  # dense: float32, shape (n_steps, layout.size), channel-last


def new_frames(n_slots: int, capacity: int, is_graded: bool) -> Frames:
    """Return room for a block of frames."""
    value = np.empty(capacity + SPARE if is_graded else 0, np.float32)
    return Frames(np.empty(n_slots + 1, np.int32), np.empty(capacity + SPARE, np.int32), value)


def n_entries(frames: Frames) -> int:
    """Return the number of entries listed."""
    return int(frames.start[-1])


def frames_of_entries(step: Int32s, index: Int32s, value: Floats, kept: Bytes, layout: Layout) -> Frames:
    """Bring entries in (step, channel, pixel) order into per-pixel lists, leaving out dropped steps."""
    if (value == 1).all():
        value = value[:0]
    into = new_frames(kept.size * layout.n_pixels, step.size, value.size > 0)
    sort_by_pixel(step, index, value, kept, layout.n_pixels, layout.n_channels, into)
    return into


def as_frames(signal: Signal, kept: Bytes, layout: Layout) -> Frames:
    """Return the non-zero entries of a signal (a dense one is silent on dropped steps)."""
    if isinstance(signal, Frames):
        return signal
    into = new_frames(kept.size * layout.n_pixels, int(np.count_nonzero(signal)), True)
    list_nonzero(signal, kept, layout.n_channels, into)
    return into


def as_dense(signal: Signal, layout: Layout, n_steps: int) -> Floats:
    """Return a signal as a dense array; a dense one is returned itself."""
    if not isinstance(signal, Frames):
        return signal
    dense = np.zeros((n_steps, layout.size), np.float32)
    write_dense(signal, layout.n_pixels, dense)
    return dense


def by_channel(frames: Frames, layout: Layout, n_steps: int) -> Frames:
    """Return per-pixel lists as one list per step in the order (channel, pixel), that of the flat shape."""
    if layout.n_pixels == 1:
        return frames
    into = new_frames(n_steps, n_entries(frames), frames.value.size > 0)
    count = np.empty(layout.n_channels + 1, np.int32)
    sort_by_channel(frames, (0, n_steps), layout.n_pixels, layout.n_channels, count, into)
    return into


def join(a: Frames, b: Frames, a_channels: int, b_channels: int, n_pixels: int) -> Frames:
    """Return two blocks of frames joined along the channels."""
    is_graded = a.value.size > 0 or b.value.size > 0
    into = new_frames(a.start.size - 1, n_entries(a) + n_entries(b), is_graded)
    join_channels(a, b, a_channels, b_channels, n_pixels, into)
    return into


def silence(n_steps: int, layout: Layout) -> Frames:
    """Return frames without entries."""
    frames = new_frames(n_steps * layout.n_pixels, 0, False)
    frames.start[:] = 0
    return frames


def cut(frames: Frames, start: int, stop: int, n_pixels: int) -> Frames:
    """Return the steps start .. stop of a block of frames, as a copy."""
    slots = frames.start[start * n_pixels : stop * n_pixels + 1]
    first, last = int(slots[0]), int(slots[-1])
    into = new_frames(slots.size - 1, last - first, frames.value.size > 0)
    np.subtract(slots, np.int32(first), out=into.start)
    into.index[: last - first] = frames.index[first:last]
    if frames.value.size:
        into.value[: last - first] = frames.value[first:last]
    return into


def append(a: Frames, b: Frames) -> Frames:
    """Return the steps of `a`, then those of `b`."""
    n_a, n_b = n_entries(a), n_entries(b)
    into = new_frames(a.start.size + b.start.size - 2, n_a + n_b, a.value.size + b.value.size > 0)
    into.start[: a.start.size] = a.start
    np.add(b.start[1:], np.int32(n_a), out=into.start[a.start.size :])
    for frames, part in ((a, slice(0, n_a)), (b, slice(n_a, n_a + n_b))):
        n = n_entries(frames)
        into.index[part] = frames.index[:n]
        if into.value.size:
            into.value[part] = frames.value[:n] if frames.value.size else 1
    return into


def silenced(signal: Signal, kept: Bytes, layout: Layout) -> Signal:
    """Return a signal without what it holds in steps that are not kept."""
    if kept.all():
        return signal
    if not isinstance(signal, Frames):
        return np.where(kept[:, np.newaxis] != 0, signal, np.float32(0))
    n = n_entries(signal)
    counts = np.diff(signal.start)
    counts[np.repeat(kept == 0, layout.n_pixels)] = 0
    stays = np.repeat(kept != 0, np.diff(signal.start[:: layout.n_pixels]))
    into = new_frames(counts.size, int(counts.sum()), signal.value.size > 0)
    into.start[0] = 0
    np.cumsum(counts, out=into.start[1:])
    n_left = int(into.start[-1])
    into.index[:n_left] = signal.index[:n][stays]
    if signal.value.size:
        into.value[:n_left] = signal.value[:n][stays]
    return into
