"""Recordings cut into windows: boundaries, gaps, chunks, damage, sensor size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import eventio
from spikeloom import DamagedRecordingError, DamagePolicy, Encoding, UserError
from spikeloom.recordings import Window, windows
from tests.app_models import (
    SIDE,
    random_events,
    random_recording,
    write_recording,
    write_truncated,
    write_unordered,
)

ALLOW = DamagePolicy(allow_damaged=True)
SORT = DamagePolicy(sort=True)


def recording_at(times: list[int]) -> eventio.Recording:
    n = len(times)
    events = eventio.make_events(t=times, x=[1] * n, y=[2] * n, p=[True] * n)
    return eventio.Recording(events, width=SIDE, height=SIDE)


def cut(recording: object, window_us: int = 100, **options: object) -> list[Window]:
    return list(windows(recording, width=SIDE, height=SIDE, window_us=window_us, **options))  # type: ignore[arg-type]


def test_an_event_at_the_boundary_belongs_to_the_next_window() -> None:
    found = cut(recording_at([7, 106, 107, 206, 207]))
    assert [(w.index, w.start_us, w.events["t"].tolist()) for w in found] == [
        (0, 7, [7, 106]),
        (1, 107, [107, 206]),
        (2, 207, [207]),
    ]


def test_empty_windows_are_left_out_but_counted() -> None:
    found = cut(recording_at([0, 10**12 + 5]))
    assert [(w.index, w.start_us) for w in found] == [(0, 0), (10**10, 10**12)]


def test_negative_times_are_times() -> None:
    found = cut(recording_at([-150, -51, -50, 0]))
    assert [(w.index, w.start_us, len(w.events)) for w in found] == [(0, -150, 2), (1, -50, 2)]


@pytest.mark.parametrize("chunk_events", [1, 2, 3, 5, 7, 599, 600, 601])
def test_windows_do_not_depend_on_the_chunks(tmp_path: Path, chunk_events: int) -> None:
    path = write_recording(tmp_path / "a.bin", duration_us=500_000)
    whole = cut(path, 30_000)
    found = cut(path, 30_000, chunk_events=chunk_events)
    assert [w.index for w in found] == [w.index for w in whole]
    assert all(np.array_equal(a.events, b.events) for a, b in zip(found, whole, strict=True))
    assert np.array_equal(np.concatenate([w.events for w in found]), eventio.read(path).events)


def test_backward_time_is_refused_with_its_position(tmp_path: Path) -> None:
    path = write_unordered(tmp_path / "back.bin")
    with pytest.raises(DamagedRecordingError, match=r"back\.bin: time runs backwards at event 400, .*--sort"):
        cut(path, 10_000)


@pytest.mark.parametrize("chunk_events", [1, 399, 400, 401, 1000])
def test_the_prefix_before_backward_time_can_be_used(tmp_path: Path, chunk_events: int) -> None:
    path = write_unordered(tmp_path / "back.bin")
    with pytest.warns(eventio.DamagedRecordingWarning, match="used the first 400 events only"):
        found = cut(path, 10_000, damage=ALLOW, chunk_events=chunk_events)
    assert sum(len(w.events) for w in found) == 400


@pytest.mark.parametrize("chunk_events", [7, 1000])
def test_sorting_is_stable_and_keeps_every_event(tmp_path: Path, chunk_events: int) -> None:
    path = write_unordered(tmp_path / "back.bin")
    found = np.concatenate([w.events for w in cut(path, 10_000, damage=SORT, chunk_events=chunk_events)])
    with pytest.warns(eventio.DamagedRecordingWarning):
        events = eventio.read(path).events
    assert np.array_equal(found, events[np.argsort(events["t"], kind="stable")])


def test_a_truncated_file_is_refused_or_cut(tmp_path: Path) -> None:
    path = write_truncated(tmp_path / "cut.bin")
    with pytest.raises(
        DamagedRecordingError, match=r"cut\.bin: damaged recording \(truncated: .*--allow-damaged"
    ):
        cut(path, 10_000)
    with pytest.raises(DamagedRecordingError, match="--allow-damaged"):
        cut(path, 10_000, damage=SORT)
    with pytest.warns(eventio.DamagedRecordingWarning, match="valid beginning"):
        found = cut(path, 10_000, damage=ALLOW)
    assert sum(len(w.events) for w in found) == 599


def test_another_sensor_is_refused() -> None:
    big = eventio.Recording(random_events(side=50), width=50, height=50)
    with pytest.raises(UserError, match=r"recorded by a 50x50 sensor, but the model was made for 34x34"):
        cut(big)
    small = eventio.Recording(random_events(side=20), width=20, height=20)
    with pytest.raises(UserError, match=r"20x20 sensor"):
        cut(small)


def test_a_derived_size_may_be_smaller_but_not_larger(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "derived.bin")
    wide = list(windows(path, width=64, height=48, window_us=10_000))
    assert sum(len(w.events) for w in wide) == 600
    with pytest.raises(UserError, match="34x34 sensor, but the model was made for 32x32"):
        list(windows(path, width=32, height=32, window_us=10_000))


def test_frames_and_spikes_hold_the_same_counts() -> None:
    encoding = Encoding(SIDE, SIDE, n_frames=8, bin_us=10_000)
    (window,) = cut(random_recording(5000), encoding.window_us)
    dense = encoding.frames(window)
    assert dense.sum() == 5000
    assert np.array_equal(encoding.spikes(window).to_dense(), dense.astype(np.float32))


def test_the_filter_removes_lonely_events() -> None:
    encoding = Encoding(SIDE, SIDE, n_frames=1, bin_us=100, filter_window_us=50)
    events = eventio.make_events(t=[0, 5, 60], x=[3, 4, 30], y=[3, 3, 30], p=[True] * 3)
    spikes = encoding.spikes(Window(0, 0, events))
    assert spikes.value.sum() < 3
    assert Encoding(SIDE, SIDE, n_frames=1, bin_us=100).spikes(Window(0, 0, events)).value.sum() == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be >= 1, got 0"),
        ({"bin_us": 0}, "bin_us must be >= 1, got 0"),
        ({"filter_window_us": -1}, "filter_window_us must be >= 0 us, got -1"),
    ],
)
def test_an_impossible_encoding_is_refused(options: dict[str, int], message: str) -> None:
    values = {"width": 34, "height": 34, "n_frames": 1, "bin_us": 1} | options
    with pytest.raises(UserError, match=message):
        Encoding(**values)
