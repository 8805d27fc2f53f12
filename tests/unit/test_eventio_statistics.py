"""Statistics of recordings: against plain Python, in chunks of any size; oddities, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio.statistics import Statistics, sparkline

ROWS = st.lists(
    st.tuples(
        st.integers(-20, 40) | st.integers(0, 2**50), st.integers(0, 3), st.integers(0, 2), st.booleans()
    ),
    min_size=1,
    max_size=60,
)


def make(rows: list[tuple[int, int, int, bool]]) -> np.ndarray:
    events = np.empty(len(rows), eventio.EVENT_DTYPE)
    for k, row in enumerate(rows):
        events[k] = row
    return events


@given(ROWS, st.integers(1, 9))
def test_sums_in_chunks(rows: list[tuple[int, int, int, bool]], size: int) -> None:
    found = Statistics(width=4, height=3)
    for start in range(0, len(rows), size):
        found.add(make(rows[start : start + size]))
    assert (found.n_events, found.n_on) == (len(rows), sum(p for *_, p in rows))
    assert (found.first_us, found.last_us) == (rows[0][0], rows[-1][0])
    pairs = list(itertools.pairwise(rows))
    assert found.n_duplicates == sum(a == b for a, b in pairs)
    assert found.longest_gap_us[0] == max([0, *(b[0] - a[0] for a, b in pairs)])
    for p in (False, True):
        for y in range(3):
            for x in range(4):
                assert found.counts[int(p), y, x] == sum(row[1:] == (x, y, p) for row in rows)
    bin_us, counts = found.events_over_time
    since = [max(t - rows[0][0], 0) for t, *_ in rows]
    assert bin_us == 1 or max(since) // (bin_us // 2) >= 64  # as fine as 64 bins allow
    assert counts.tolist() == np.bincount([t // bin_us for t in since]).tolist()


def even(n: int = 4000, **fields: object) -> np.ndarray:
    """Events spread evenly over a 20x20 sensor and 4 ms."""
    columns = {"t": np.arange(n), "x": np.arange(n) % 20, "y": np.arange(n) // 20 % 20, "p": np.arange(n) % 2}
    return eventio.make_events(**(columns | fields))


HOT = np.where(np.arange(4000) % 2 == 0, 3, np.arange(4000) % 20)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (even(t=np.zeros(4000, int)), "clumped: 4000 events share"),
        (even(p=np.ones(4000)), "all events are ON"),
        (even(p=np.zeros(4000)), "all events are OFF"),
        (
            even(x=HOT, y=np.where(np.arange(4000) % 2 == 0, 7, 2)),
            r"1 hot pixel, .* pixel, \(3, 7\), has 50.00% of",
        ),
        (even(t=np.arange(4000) + 9000 * (np.arange(4000) > 50)), r"no event for 0.009 s from 50 us on"),
        (even(x=np.arange(4000) % 4, y=np.zeros(4000)), "touch 4 of 20 columns and 1 of 20 rows"),
        (np.repeat(even(), 2), "4,000 events repeat the one before"),
    ],
)
def test_oddities(events: np.ndarray, text: str) -> None:
    found = Statistics(width=20, height=20)
    found.add(events)
    with pytest.raises(ValueError, match=text):
        raise ValueError("\n".join(found.find_oddities()))


def test_a_usual_recording_is_not_odd_and_few_events_never_are() -> None:
    found = Statistics(width=20, height=20)
    found.add(even())
    assert found.find_oddities() == ()
    few = Statistics(width=20, height=20)
    few.add(even(p=np.ones(4000))[:999])
    assert few.find_oddities() == ()


def test_busiest_pixels_and_rates() -> None:
    found = Statistics(width=4, height=3)
    assert (found.rate_hz, found.busiest_pixels(), found.events_over_time[1].tolist()) == (0.0, [], [])
    found.add(eventio.make_events(t=[0, 5, 500_000], x=[1, 1, 0], y=[2, 2, 0], p=[1, 0, 1]))
    assert found.busiest_pixels() == [(1, 2, 2), (0, 0, 1)]
    assert found.rate_hz == 6.0
    with pytest.raises(eventio.OutOfSensorError, match="event 3 "):
        found.add(eventio.make_events(t=[0], x=[4], y=[0], p=[1]))


def test_sparklines() -> None:
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "  "
    assert sparkline([1, 1000]) == "▁█"
