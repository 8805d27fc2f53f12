"""Forms of a block of frames: every way between listed entries, per-pixel lists and dense arrays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuro.lowering.layout import Layout
from neuro.lowering.signals import (
    append,
    as_dense,
    as_frames,
    by_channel,
    cut,
    frames_of_entries,
    join,
    n_entries,
    silence,
)
from neuro.spikes import Spikes

Dense = NDArray[np.float32]


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Dense, Layout]:
    """Dense frames (n_steps, *shape), of ones or of values, and their layout."""
    shape = draw(
        st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)) | st.tuples(st.integers(1, 9))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = (draw(st.integers(0, 5)), *shape)
    dense = np.where(rng.random(size) < draw(st.sampled_from([0.0, 0.2, 1.0])), 1.0, 0.0)
    if draw(st.booleans()):
        dense *= rng.normal(size=size)
    return dense.astype(np.float32), Layout.of(shape)


def kept_steps(dense: Dense) -> NDArray[np.uint8]:
    """All steps."""
    return np.ones(len(dense), np.uint8)


def lists(dense: Dense, layout: Layout) -> tuple[NDArray[np.int32], NDArray[np.int32], Dense]:
    """Entries in (step, channel, pixel) order, writable."""
    spikes = Spikes.from_dense(dense)
    return spikes.step.copy(), spikes.index.copy(), spikes.value.copy()


@given(blocks(), st.integers(0, 31))
def test_lists_become_frames_without_dropped_steps(block: tuple[Dense, Layout], mask: int) -> None:
    dense, layout = block
    kept = np.array([(mask >> step) & 1 for step in range(len(dense))], np.uint8)
    frames = frames_of_entries(*lists(dense, layout), kept, layout)
    expected = dense * kept.reshape(-1, *(1 for _ in layout.shape))
    np.testing.assert_array_equal(layout.outside(as_dense(frames, layout, len(dense))), expected)
    assert n_entries(frames) == np.count_nonzero(expected)
    again = as_frames(layout.inside(dense), kept, layout)
    np.testing.assert_array_equal(again.start, frames.start)
    np.testing.assert_array_equal(again.index[: n_entries(again)], frames.index[: n_entries(frames)])


@given(blocks())
def test_channel_order_is_that_of_the_flat_shape(block: tuple[Dense, Layout]) -> None:
    dense, layout = block
    step, index, value = lists(dense, layout)
    frames = by_channel(frames_of_entries(step, index, value, kept_steps(dense), layout), layout, len(dense))
    n = n_entries(frames)
    np.testing.assert_array_equal(frames.index[:n], index)
    np.testing.assert_array_equal(np.repeat(np.arange(len(dense)), np.diff(frames.start)), step)
    np.testing.assert_array_equal(frames.value[:n] if frames.value.size else np.ones(n), value)


@given(blocks(), st.lists(st.integers(0, 5), max_size=3))
def test_cutting_and_appending_change_nothing(block: tuple[Dense, Layout], cuts: list[int]) -> None:
    dense, layout = block
    frames = frames_of_entries(*lists(dense, layout), kept_steps(dense), layout)
    joined = silence(0, layout)
    for start, stop in pairwise([0, *sorted(min(at, len(dense)) for at in cuts), len(dense)]):
        joined = append(joined, cut(frames, start, stop, layout.n_pixels))
    np.testing.assert_array_equal(as_dense(joined, layout, len(dense)), as_dense(frames, layout, len(dense)))


@given(blocks(), st.integers(0, 2**32 - 1))
def test_joining_is_concatenation_of_channels(block: tuple[Dense, Layout], seed: int) -> None:
    dense, layout = block
    other = (np.random.default_rng(seed).random((len(dense), 3, *layout.shape[1:])) < 0.5).astype(np.float32)
    whole, other_layout = (
        Layout.of((layout.n_channels + 3, *layout.shape[1:])),
        Layout.of((3, *layout.shape[1:])),
    )
    a = frames_of_entries(*lists(dense, layout), kept_steps(dense), layout)
    b = frames_of_entries(*lists(other, other_layout), kept_steps(dense), other_layout)
    frames = join(a, b, layout.n_channels, 3, layout.n_pixels)
    expected = np.concatenate([dense, other], axis=1)
    np.testing.assert_array_equal(whole.outside(as_dense(frames, whole, len(dense))), expected)
