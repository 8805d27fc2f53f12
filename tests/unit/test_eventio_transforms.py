"""Boundaries of the transforms, and the emulated camera against a slow pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import eventio
from tests.oracle.event_transforms import emulate_pixel

SILENT = eventio.DvsModel(threshold_spread=0.0, leak_rate_hz=0.0, shot_noise_rate_hz=0.0, refractory_us=0.0)


def make(
    t: list[int], x: list[int], y: list[int] | None = None, p: list[int] | None = None
) -> eventio.Recording:
    y = [0] * len(t) if y is None else y
    p = [1] * len(t) if p is None else p
    return eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p), width=16, height=16)


def test_bins_begin_at_the_first_event_and_are_half_open() -> None:
    events = make([100, 109, 110, 119, 120], [0, 0, 0, 1, 0]).events
    binned = eventio.bin_events(events, width=16, height=16, bin_us=10, n_frames=2)
    assert binned.step.tolist() == [0, 1, 1]
    assert binned.index.tolist() == [256, 256, 257]
    assert binned.count.tolist() == [2.0, 1.0, 1.0]
    assert (binned.n_beyond, binned.n_before, binned.shape) == (1, 0, (2, 16, 16))
    assert (binned.step.dtype, binned.index.dtype, binned.count.dtype) == (np.int32, np.int32, np.float32)


def test_bins_from_a_given_start_count_what_lies_before() -> None:
    events = make([5, 99, 100, 101], [0, 0, 0, 0]).events
    binned = eventio.bin_events(events, width=16, height=16, bin_us=1, n_frames=1, start_us=100)
    assert (binned.count.tolist(), binned.n_before, binned.n_beyond) == ([1.0], 2, 1)


def test_no_events_give_no_counts() -> None:
    events = np.empty(0, eventio.EVENT_DTYPE)
    assert len(eventio.bin_events(events, width=3, height=2, bin_us=5, n_frames=4).step) == 0
    frames = eventio.to_frames(events, width=3, height=2, bin_us=5, n_frames=4)
    assert frames.shape == (4, 2, 2, 3)
    assert frames.dtype == np.uint16
    assert not frames.any()


def test_frames_that_overflow_are_refused() -> None:
    events = make([0] * 65536, [0] * 65536).events
    with pytest.raises(eventio.ArgumentError, match="65536 events in one frame"):
        eventio.to_frames(events, width=16, height=16, bin_us=1, n_frames=1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bin_us": 0}, "bin_us must be"),
        ({"bin_us": 0.5}, "bin_us must be"),
        ({"n_frames": 0}, "n_frames must be"),
        ({"width": 1}, "outside the 1x16 sensor"),
        ({"bin_us": 2**60, "n_frames": 2**10}, "exceeds"),
        ({"width": 65536, "height": 65536}, "more than can be numbered"),
    ],
)
def test_bad_arguments_of_bins(change: dict[str, int], text: str) -> None:
    arguments = {"width": 16, "height": 16, "bin_us": 10, "n_frames": 2} | change
    with pytest.raises(eventio.EventioError, match=text):
        eventio.bin_events(make([1], [1]).events, **arguments)


def test_the_filter_keeps_under_the_window_and_not_at_it() -> None:
    kept = eventio.filter_background_activity(make([0, 10, 20], [0, 1, 2]), window_us=10)
    assert kept.t.tolist() == []
    kept = eventio.filter_background_activity(make([0, 10, 20], [0, 1, 2]), window_us=11)
    assert kept.t.tolist() == [10, 20]


def test_a_pixel_does_not_support_itself_but_dropped_events_support_others() -> None:
    kept = eventio.filter_background_activity(make([0, 1, 2], [0, 0, 1], p=[0, 1, 0]), window_us=5)
    assert kept.t.tolist() == [2]


def test_the_filter_reaches_diagonals_and_the_sensors_edges() -> None:
    kept = eventio.filter_background_activity(
        make([0, 1, 2, 3], [15, 14, 0, 15], [15, 14, 0, 13]), window_us=5
    )
    assert kept.t.tolist() == [1, 3]


def test_the_filter_keeps_the_metadata_and_takes_no_event() -> None:
    empty = eventio.Recording(np.empty(0, eventio.EVENT_DTYPE), width=3, height=3)
    assert len(eventio.filter_background_activity(empty, window_us=1)) == 0
    recording = make([1], [1])
    assert eventio.filter_background_activity(recording, window_us=1).metadata is recording.metadata


@pytest.mark.parametrize("window_us", [0, -1, 1.5])
def test_bad_windows_are_refused(window_us: float) -> None:
    with pytest.raises(eventio.ArgumentError, match="window_us"):
        eventio.filter_background_activity(make([1], [1]), window_us=window_us)


def test_a_step_of_log_intensity_gives_one_event_per_threshold() -> None:
    dark = SILENT.dark_luminance
    frames = np.full((3, 1, 2), 0.3)
    frames[1:, 0, 0] = (0.3 + dark) * np.exp(3.5 * SILENT.on_threshold) - dark
    frames[2, 0, 0] = (0.3 + dark) * np.exp(0.4 * SILENT.on_threshold) - dark
    recording = eventio.emulate_dvs(frames, [1000, 2000, 3000], model=SILENT)
    assert recording.x.tolist() == [0] * 5
    assert recording.p.tolist() == [True, True, True, False, False]
    # crossings lie where the straight line in log units meets 1, 2 and 3 thresholds of the rise of 3.5 ...
    assert recording.t[:3].tolist() == [1000 + int(1000 * k / 3.5) for k in (1, 2, 3)]
    # ... and 2 and 1 thresholds of the fall from 3.5 to 0.4
    assert recording.t[3:].tolist() == [2000 + int(1000 * (3.5 - k) / 3.1) for k in (2, 1)]


@pytest.mark.parametrize("refractory_us", [0.0, 150.0, 2500.0])
def test_pixels_follow_the_slow_pixel(refractory_us: float) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.integers(200, 1500, 40))
    frames = rng.random((40, 3, 4))
    model = eventio.DvsModel(
        shot_noise_rate_hz=0.0, leak_rate_hz=300.0, refractory_us=refractory_us, threshold_spread=0.05
    )
    recording = eventio.emulate_dvs(frames, times, model=model)
    draws = np.random.default_rng(0).standard_normal((2, 12))
    thresholds = np.maximum(0.2 + 0.05 * draws, 0.01)
    log_intensity = np.log(frames.reshape(40, 12) + model.dark_luminance)
    for pixel in range(12):
        expected = emulate_pixel(
            log_intensity[:, pixel].tolist(),
            times.tolist(),
            on_threshold=thresholds[0, pixel],
            off_threshold=thresholds[1, pixel],
            leak_per_us=300.0 * 0.2 / 1e6,
            refractory_us=refractory_us,
        )
        events = recording.events[(recording.x == pixel % 4) & (recording.y == pixel // 4)]
        assert events["p"].tolist() == [p for _, p in expected]
        # the slow pixel rounds differently: a time may lie on the other side of a whole microsecond
        assert np.abs(events["t"] - [t for t, _ in expected]).max(initial=0) <= 1


def test_leakage_makes_on_events_at_its_rate() -> None:
    frames = np.full((2, 10, 10), 0.5)
    model = eventio.DvsModel(threshold_spread=0.0, leak_rate_hz=5.0, shot_noise_rate_hz=0.0)
    recording = eventio.emulate_dvs(frames, [0, 10_000_000], model=model)
    # each event is followed by a rest of 0.5 ms, in which the held value does not leak away
    assert len(recording) == 100 * int(10.0 / (0.2 + 0.0005))
    assert recording.p.all()


def test_shot_noise_has_its_rate_both_polarities_and_a_quarter_in_the_light() -> None:
    times = np.arange(2001) * 1000
    model = eventio.DvsModel(leak_rate_hz=0.0, shot_noise_rate_hz=5.0, threshold_spread=0.0)
    counts = []
    for luminance in (0.0, 1.0):
        recording = eventio.emulate_dvs(np.full((2001, 20, 20), luminance), times, model=model, seed=1)
        expected = 2.0 * 400 * 5.0 * (1.0 if luminance == 0.0 else 0.25)
        assert abs(len(recording) - expected) < 5 * np.sqrt(expected)
        assert abs(int(recording.p.sum()) - len(recording) / 2) < 5 * np.sqrt(len(recording) / 4)
        counts.append(len(recording))
    assert counts[0] > 3 * counts[1]


def test_the_emulator_is_reproducible_and_its_seeds_matter() -> None:
    frames = np.random.default_rng(0).random((30, 8, 8))
    times = np.arange(30) * 1000
    noisy = eventio.DvsModel(shot_noise_rate_hz=50.0)
    first = eventio.emulate_dvs(frames, times, model=noisy, seed=4)
    again = eventio.emulate_dvs(frames, times, model=noisy, seed=4)
    np.testing.assert_array_equal(first.events, again.events)
    assert not np.array_equal(first.events, eventio.emulate_dvs(frames, times, model=noisy, seed=5).events)
    other = eventio.emulate_dvs(frames, times, model=replace(noisy, pattern_seed=1), seed=4)
    assert not np.array_equal(first.events, other.events)
    order = np.lexsort((first.x, first.y, first.t))
    assert (order == np.arange(len(first))).all()


def test_room_for_events_grows() -> None:
    frames = np.zeros((50, 30, 30))
    frames[1::2] = 1.0
    recording = eventio.emulate_dvs(frames, np.arange(50) * 1000, model=SILENT)
    assert len(recording) > 4 * 4096


@pytest.mark.parametrize(
    ("frames", "times", "text"),
    [
        (np.zeros((1, 2, 2)), [0], "n_frames >= 2"),
        (np.zeros((2, 4)), [0, 1], "n_frames >= 2"),
        (np.zeros((2, 2, 2)), [0], "one for each frame"),
        (np.zeros((2, 2, 2)), [0, 0.5], "whole microseconds"),
        (np.zeros((2, 2, 2)), [1, 1], "strictly increasing"),
        (np.zeros((2, 2, 2)), [-1, 1], ">= 0"),
        (np.full((2, 2, 2), 1.5), [0, 1], r"frames\[0, 0, 0\] = 1.5"),
        (np.full((2, 2, 2), np.nan), [0, 1], r"frames\[0, 0, 0\] = nan"),
    ],
)
def test_bad_scenes_are_refused(frames: np.ndarray, times: list[float], text: str) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        eventio.emulate_dvs(frames, times)


@pytest.mark.parametrize(
    "properties",
    [{"on_threshold": 0.0}, {"off_threshold": np.nan}, {"refractory_us": -1.0}, {"pattern_seed": -1}],
)
def test_bad_cameras_are_refused(properties: dict[str, float]) -> None:
    (name,) = properties
    with pytest.raises(eventio.ArgumentError, match=name):
        eventio.DvsModel(**properties)
    with pytest.raises(eventio.ArgumentError, match="seed"):
        eventio.emulate_dvs(np.zeros((2, 2, 2)), [0, 1], seed=-1)
