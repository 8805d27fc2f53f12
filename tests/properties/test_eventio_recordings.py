"""Transforms of whole recordings: against plain Python, and their laws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio

Rows = list[tuple[int, int, int, bool]]
ROWS = st.lists(
    st.tuples(st.integers(-50, 200), st.integers(0, 8), st.integers(0, 5), st.booleans()), max_size=50
)
SEEDS = st.integers(0, 2**40)


def make(rows: Rows) -> eventio.Recording:
    events = np.empty(len(rows), eventio.EVENT_DTYPE)
    for k, row in enumerate(rows):
        events[k] = row
    return eventio.Recording(events, width=9, height=6)


def rows_of(recording: eventio.Recording) -> Rows:
    return recording.events.tolist()


@given(ROWS, st.integers(0, 4), st.integers(0, 3), st.integers(1, 5), st.integers(1, 3))
def test_crop(rows: Rows, x: int, y: int, width: int, height: int) -> None:
    part = eventio.crop(make(rows), x=x, y=y, width=width, height=height)
    expected = [(t, a - x, b - y, p) for t, a, b, p in rows if x <= a < x + width and y <= b < y + height]
    assert rows_of(part) == expected
    assert (part.width, part.height) == (width, height)


@given(ROWS, st.integers(1, 12))
def test_downsample(rows: Rows, factor: int) -> None:
    small = eventio.downsample(make(rows), factor)
    assert rows_of(small) == [(t, x // factor, y // factor, p) for t, x, y, p in rows]
    assert (small.width, small.height) == (-(-9 // factor), -(-6 // factor))


@given(ROWS, st.booleans(), st.booleans(), st.integers(-5, 5))
def test_flips_and_turns_go_back(rows: Rows, left_right: bool, up_down: bool, quarters: int) -> None:
    recording = make(rows)
    once = eventio.flip(recording, left_right=left_right, up_down=up_down)
    assert rows_of(eventio.flip(once, left_right=left_right, up_down=up_down)) == rows
    both = eventio.flip(recording, left_right=True, up_down=True)
    assert rows_of(both) == rows_of(eventio.turn(recording, 2))
    back = eventio.turn(eventio.turn(recording, quarters), -quarters)
    assert rows_of(back) == rows
    assert (back.width, back.height) == (9, 6)
    turned = eventio.turn(recording, 1)
    assert rows_of(turned) == [(t, 5 - y, x, p) for t, x, y, p in rows]


@given(ROWS)
def test_rotations_by_half_circles_are_turns(rows: Rows) -> None:
    recording = make(rows)
    assert rows_of(eventio.rotate(recording, 180)) == rows_of(eventio.turn(recording, 2))
    assert rows_of(eventio.rotate(recording, 0)) == rows
    assert rows_of(eventio.rotate(recording, -360)) == rows
    assert len(eventio.rotate(recording, 33)) <= len(rows)


@given(ROWS, st.integers(-60, 210), st.integers(0, 100), st.integers(0, 50), st.integers(0, 50))
def test_slices(rows: Rows, start_us: int, length_us: int, a: int, b: int) -> None:
    recording = make(rows)
    part = eventio.slice_time(recording, start_us, start_us + length_us)
    assert rows_of(part) == [row for row in rows if start_us <= row[0] < start_us + length_us]
    start, stop = sorted((a % (len(rows) + 1), b % (len(rows) + 1)))
    assert rows_of(eventio.slice_events(recording, start, stop)) == rows[start:stop]
    assert rows_of(eventio.merge_polarities(recording)) == [(t, x, y, True) for t, x, y, _ in rows]


@given(ROWS, st.integers(1, 4))
def test_decimate(rows: Rows, n: int) -> None:
    counts: Counter[tuple[int, int]] = Counter()
    expected = []
    for row in rows:
        counts[row[1:3]] += 1
        if counts[row[1:3]] % n == 0:
            expected.append(row)
    assert rows_of(eventio.decimate(make(rows), n)) == expected


@given(ROWS, st.floats(0, 1), SEEDS)
def test_drops_keep_order_and_say_no_new_event(rows: Rows, share: float, seed: int) -> None:
    recording = make(rows)
    for drop in (eventio.drop_events, eventio.drop_period, eventio.drop_area):
        kept = drop(recording, share, seed=seed)
        rest = iter(rows)
        assert all(any(row == other for other in rest) for row in rows_of(kept))  # a subsequence
        assert rows_of(drop(recording, share, seed=seed)) == rows_of(kept)
        assert rows_of(drop(recording, 0.0, seed=seed)) == rows
        assert not len(drop(recording, 1.0, seed=seed))
    assert len(eventio.drop_events(recording, share, seed=seed)) == len(rows) - round(share * len(rows))


@given(ROWS, SEEDS)
def test_jitter_moves_and_sorts(rows: Rows, seed: int) -> None:
    recording = make(rows)
    assert rows_of(eventio.jitter(recording, seed=seed)) == rows
    in_time = eventio.jitter(recording, seed=seed, time_us=10.0)
    assert len(in_time) == len(rows)
    assert (np.diff(in_time.t) >= 0).all()
    assert Counter(row[1:] for row in rows_of(in_time)) == Counter(row[1:] for row in rows)
    in_place = eventio.jitter(recording, seed=seed, pixels=2.0)
    assert len(in_place) <= len(rows)
    assert rows_of(eventio.jitter(recording, seed=seed, pixels=2.0)) == rows_of(in_place)


def test_jitter_has_its_spread() -> None:
    n = 20_000
    events = eventio.make_events(t=[10**6] * n, x=[50] * n, y=[50] * n, p=[1] * n)
    recording = eventio.Recording(events, width=101, height=101)
    moved = eventio.jitter(recording, seed=1, pixels=3.0, time_us=40.0)
    assert len(moved) == n
    for values, middle, spread in ((moved.x, 50, 3.0), (moved.y, 50, 3.0), (moved.t, 10**6, 40.0)):
        shifts = values.astype(float) - middle
        assert abs(shifts.mean()) < 5 * spread / np.sqrt(n)
        expected = np.sqrt(spread**2 + 1 / 12)  # and rounding
        assert abs(shifts.std() - expected) < 5 * spread / np.sqrt(2 * n)


RECORDING = make([(0, 1, 2, True), (5, 8, 5, False)])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: eventio.crop(RECORDING, x=5, y=0, width=5, height=2), r"x must be a whole number in 0\.\.4"),
        (lambda: eventio.crop(RECORDING, x=0, y=-1, width=5, height=2), "y must be"),
        (lambda: eventio.crop(RECORDING, x=0, y=0, width=0, height=2), "width must be"),
        (lambda: eventio.downsample(RECORDING, 0), "factor must be"),
        (lambda: eventio.turn(RECORDING, 0.5), "quarters must be"),
        (lambda: eventio.rotate(RECORDING, float("inf")), "degrees must be"),
        (lambda: eventio.slice_time(RECORDING, 5, 4), "stop_us must not lie before"),
        (lambda: eventio.slice_time(RECORDING, 0.5, 4), "start_us must be"),
        (lambda: eventio.slice_events(RECORDING, 0, 3), "stop <= 2"),
        (lambda: eventio.decimate(RECORDING, 0), "n must be"),
        (lambda: eventio.jitter(RECORDING, seed=0, pixels=-1), "pixels must be"),
        (lambda: eventio.jitter(RECORDING, seed=-1), "seed must be"),
        (lambda: eventio.drop_events(RECORDING, 1.5, seed=0), "share must be at most 1"),
        (lambda: eventio.drop_area(RECORDING, float("nan"), seed=0), "share must be"),
        (lambda: eventio.drop_period(RECORDING, 0.5, seed=1.5), "seed must be"),
    ],
)
def test_bad_arguments(call: object, text: str) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        call()  # type: ignore[operator]
