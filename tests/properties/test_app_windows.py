"""Laws of windows: nothing is lost, nothing moves, chunks do not matter."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import eventio
from spikeloom.recordings import windows

TIMES = st.lists(st.integers(-1000, 5000), min_size=1, max_size=60).map(sorted)


@given(times=TIMES, window_us=st.integers(1, 700), chunk_events=st.integers(1, 70))
def test_windows_partition_the_recording(times: list[int], window_us: int, chunk_events: int) -> None:
    n = len(times)
    events = eventio.make_events(t=times, x=np.arange(n), y=[0] * n, p=[True] * n)
    recording = eventio.Recording(events, width=64, height=1)
    found = list(windows(recording, width=64, height=1, window_us=window_us, chunk_events=chunk_events))
    assert np.array_equal(np.concatenate([w.events for w in found]), events)
    for w in found:
        assert w.start_us == times[0] + w.index * window_us
        assert len(w.events) > 0
        assert w.start_us <= w.events["t"][0]
        assert w.events["t"][-1] < w.start_us + window_us
    assert [w.index for w in found] == sorted({w.index for w in found})
