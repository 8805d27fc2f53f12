"""Transforms against the slow ones, and their laws."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import eventio
from tests.oracle.event_transforms import count_in_bins, keep_supported

ROWS = st.lists(
    st.tuples(
        st.integers(0, 60) | st.integers(0, 2**40), st.integers(0, 6), st.integers(0, 4), st.booleans()
    ),
    max_size=80,
)


def make(rows: list[tuple[int, int, int, bool]]) -> eventio.Recording:
    t, x, y, p = zip(*rows, strict=True) if rows else ((), (), (), ())
    events = np.empty(len(rows), eventio.EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return eventio.Recording(events, width=7, height=5)


@given(ROWS, st.integers(1, 40))
def test_the_filter_keeps_what_the_slow_filter_keeps(
    rows: list[tuple[int, int, int, bool]], window_us: int
) -> None:
    recording = make(rows)
    kept = eventio.filter_background_activity(recording, window_us=window_us)
    expected = [row for row, is_kept in zip(rows, keep_supported(rows, window_us), strict=True) if is_kept]
    assert kept.events.tolist() == expected


@given(ROWS, st.integers(1, 40), st.integers(0, 2**40))
def test_the_filter_does_not_see_a_shift_of_time(
    rows: list[tuple[int, int, int, bool]], window_us: int, shift_us: int
) -> None:
    later = make([(t + shift_us, x, y, p) for t, x, y, p in rows])
    kept = eventio.filter_background_activity(make(rows), window_us=window_us)
    kept_later = eventio.filter_background_activity(later, window_us=window_us)
    np.testing.assert_array_equal(kept_later.t - shift_us, kept.t)


@given(ROWS, st.integers(1, 20), st.integers(1, 6), st.integers(0, 40) | st.none())
def test_bins_hold_what_the_slow_bins_hold(
    rows: list[tuple[int, int, int, bool]], bin_us: int, n_frames: int, start_us: int | None
) -> None:
    events = make(rows).events
    arguments = {"width": 7, "height": 5, "bin_us": bin_us, "n_frames": n_frames, "start_us": start_us}
    binned = eventio.bin_events(events, **arguments)
    start = start_us if start_us is not None else (rows[0][0] if rows else 0)
    counts, n_before, n_beyond = count_in_bins(rows, start_us=start, bin_us=bin_us, n_frames=n_frames)
    dense = np.zeros((n_frames, 2, 5, 7))
    for place, count in counts.items():
        dense[place] = count
    found = np.zeros((n_frames, 70), np.float32)
    found[binned.step, binned.index] = binned.count
    np.testing.assert_array_equal(found.reshape(dense.shape), dense)
    np.testing.assert_array_equal(eventio.to_frames(events, **arguments), dense)
    assert (binned.n_before, binned.n_beyond) == (n_before, n_beyond)
    assert binned.count.sum() + n_before + n_beyond == len(rows)
    keys = binned.step.astype(np.int64) * 70 + binned.index
    assert (np.diff(keys) > 0).all()


@given(ROWS)
def test_sorting_keeps_events_and_the_order_of_equal_times(rows: list[tuple[int, int, int, bool]]) -> None:
    assert eventio.sort_by_time(make(rows)).events.tolist() == sorted(rows, key=lambda row: row[0])
