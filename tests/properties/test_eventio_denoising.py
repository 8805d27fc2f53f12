"""Filters against the slow ones, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventio
from eventio import denoising
from tests.oracle import event_transforms as oracle

Rows = list[tuple[int, int, int, bool]]
ROWS = st.lists(
    st.tuples(
        st.integers(0, 60) | st.integers(-(2**62), 2**62),
        st.integers(0, 6),
        st.integers(0, 4),
        st.booleans(),
    ),
    max_size=60,
)
BUSY = st.lists(  # few pixels, many events
    st.tuples(st.integers(0, 300), st.integers(0, 2), st.integers(0, 1), st.booleans()), max_size=120
).map(sorted)


def make(rows: Rows, *, width: int = 7, height: int = 5) -> eventio.Recording:
    t, x, y, p = zip(*rows, strict=True) if rows else ((), (), (), ())
    events = np.empty(len(rows), eventio.EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return eventio.Recording(events, width=width, height=height)


def check(rows: Rows, one: denoising.Filter, expected: list[bool]) -> None:
    """The mark, the events kept and the count agree with the oracle."""
    recording = make(rows)
    np.testing.assert_array_equal(one.mark(recording), np.array(expected, bool))
    cleaned = denoising.denoise(recording, one)
    assert cleaned.recording.events.tolist() == [
        row for row, stays in zip(rows, expected, strict=True) if stays
    ]
    assert cleaned.n_removed == (expected.count(False),)


@given(ROWS, st.integers(1, 40) | st.just(2**62), st.integers(1, 8))
def test_correlation(rows: Rows, window_us: int, n_supporting: int) -> None:
    counts = oracle.count_supporting(rows, window_us)
    expected = [count >= n_supporting for count in counts]
    check(rows, denoising.SpatiotemporalCorrelation(window_us, n_supporting), expected)
    check(rows, denoising.BackgroundActivity(window_us), [count >= 1 for count in counts])


@given(ROWS | BUSY, st.integers(1, 40) | st.just(2**62))
def test_refractory(rows: Rows, period_us: int) -> None:
    check(rows, denoising.Refractory(period_us), oracle.keep_rested(rows, period_us))


@given(ROWS, st.integers(1, 40))
def test_rows_and_columns(rows: Rows, window_us: int) -> None:
    check(rows, denoising.RowsAndColumns(window_us), oracle.keep_in_line(rows, window_us))


@given(ROWS, st.integers(1, 5), st.integers(0, 6), st.integers(1, 4))
def test_double_window(rows: Rows, n_events: int, distance: int, n_supporting: int) -> None:
    expected = oracle.keep_in_windows(rows, n_events, distance, n_supporting)
    check(rows, denoising.DoubleWindow(n_events, distance, n_supporting), expected)


@given(
    ROWS | BUSY, st.integers(1, 3), st.sampled_from([(1e6 / 40, 1e6 / 4), (1e6 / 12, 1e6 / 8), (1.0, 5e5)])
)
def test_flicker(rows: Rows, n_periods: int, band_hz: tuple[float, float]) -> None:
    one = denoising.Flicker(*band_hz, n_periods)
    check(rows, one, oracle.keep_steady(rows, *one.periods_us, n_periods))


@given(BUSY, st.integers(0, 3), st.integers(0, 4))
def test_hot_pixels(rows: Rows, n_deviations: int, times_around: int) -> None:
    words = {"n_deviations": n_deviations, "times_around": times_around}
    expected = oracle.keep_cool(rows, width=7, height=5, **words)
    is_hot = np.zeros((5, 7), bool)
    for (_, x, y, _), stays in zip(rows, expected, strict=True):
        is_hot[y, x] = not stays
    recording = make(rows)
    np.testing.assert_array_equal(denoising.find_hot_pixels(recording, **words), is_hot)
    check(rows, denoising.HotPixels(**words), expected)
    check(rows, denoising.HotPixels(is_hot=is_hot), expected)


@given(ROWS | BUSY, st.sampled_from([1, 3, 5]), st.sampled_from([1, 16, 64]), st.integers(0, 9))
def test_perceptron(rows: Rows, side: int, tau_us: int, seed: int) -> None:
    """Ages are multiples of 1/tau, a power of two, and so all sums are exact."""
    rng = np.random.default_rng(seed)
    n_inputs, n_hidden = 2 * side * side, 3
    kernel = rng.integers(-8, 9, (n_inputs, n_hidden)) / 8
    bias, output = rng.integers(-8, 9, (2, n_hidden)) / 8
    one = denoising.Perceptron(kernel, bias, output, 0.25, tau_us=tau_us)
    inputs = np.array(oracle.perceptron_inputs(rows, side, tau_us)).reshape(-1, n_inputs)
    expected = np.maximum(inputs @ kernel + bias, 0) @ output + 0.25
    np.testing.assert_array_equal(one.score(make(rows)), expected)
    check(rows, one, (expected > 0).tolist())


@given(ROWS, st.integers(0, 2**40))
@pytest.mark.parametrize(
    "one",
    [
        denoising.SpatiotemporalCorrelation(20, 2),
        denoising.RowsAndColumns(20),
        denoising.DoubleWindow(3, 2),
        denoising.Refractory(20),
        denoising.Flicker(1e4, 1e5, 1),
        denoising.HotPixels(is_hot=np.eye(5, 7, dtype=bool)),
        denoising.Perceptron(np.ones((18, 2)), np.zeros(2), np.ones(2), -3.0, tau_us=16),
    ],
)
def test_filters_are_causal_and_go_on_from_chunk_to_chunk(
    one: denoising.Filter, rows: Rows, cut: int
) -> None:
    """What comes later changes nothing, and where a stream is cut neither."""
    n = cut % (len(rows) + 1)
    whole = make(rows)
    expected = one.mark(whole)
    np.testing.assert_array_equal(one.mark(make(rows[:n])), expected[:n])
    mark = one.begin(whole.width, whole.height)
    parts = [mark(whole.events[:n]), mark(whole.events[n : n + 3]), mark(whole.events[n + 3 :])]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(
                [0, 1, 5, 40, -5, 2**31 - 41, 2**31 - 1, 2**31, 2**31 + 1, 2**40, -(2**31), -(2**33)]
            ),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=40,
    ),
    window_us=st.sampled_from([1, 6, 41, 2**31 - 2, 2**31 - 1, 2**31, 2**40]),
    n_supporting=st.integers(1, 3),
    start_us=st.sampled_from([0, -(2**31), 2**62 - 50, -(2**62)]),
)
@settings(max_examples=150)
def test_times_that_leave_the_small_map_change_nothing(
    steps: list[tuple[int, int, int]], window_us: int, n_supporting: int, start_us: int
) -> None:
    t = start_us + np.cumsum([step for step, _, _ in steps])
    x, y = [x for _, x, _ in steps], [y for _, _, y in steps]
    events = eventio.make_events(t=t, x=x, y=y, p=[True] * len(t))
    recording = eventio.Recording(events, width=3, height=3)
    one = denoising.SpatiotemporalCorrelation(window_us, n_supporting)
    expected = [count >= n_supporting for count in oracle.count_supporting(events.tolist(), window_us)]
    assert one.mark(recording).tolist() == expected
    np.testing.assert_array_equal(one.keep(recording), events[expected])
