"""The emulated camera's bandwidth, leaks, hot pixels and noise against measurements; films and folders of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import eventio
from eventio import denoising

QUIET = eventio.DvsModel(
    threshold_spread=0.0, leak_rate_hz=0.0, shot_noise_rate_hz=0.0, refractory_us=0.0, dark_luminance=0.1
)


def step(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Light that goes from 0.2 to 1 after a tenth of the time, a picture every 50 us."""
    frames = np.full((n, 1, 1), 0.2)
    frames[n // 10 :] = 1.0
    return frames, np.arange(n) * 50


def test_the_photoreceptor_follows_a_step_as_a_filter_of_the_first_order() -> None:
    frames, times = step()
    cutoff_hz = 5.0
    recording = eventio.emulate_dvs(frames, times, model=replace(QUIET, cutoff_hz=cutoff_hz))
    start = times[len(times) // 10 - 1]
    rise = np.log(1.1 / 0.3)
    tau_us = 1e6 / (2 * np.pi * cutoff_hz)  # luminance 1 after the step
    crossings = 0.2 * np.arange(1, 1 + int(rise * (1 - np.exp(-(times[-1] - start) / tau_us)) / 0.2))
    expected = start - tau_us * np.log(1 - crossings / rise)
    assert len(recording) == len(crossings) == 6
    # straight lines between pictures of 50 us, and whole microseconds
    assert np.abs(recording.t - expected).max() <= 51
    at_once = eventio.emulate_dvs(frames, times, model=QUIET)
    assert at_once.t.max() <= times[len(times) // 10]


def test_the_dark_is_slower() -> None:
    frames, times = step()
    model = replace(QUIET, cutoff_hz=20.0)
    bright = eventio.emulate_dvs(frames, times, model=model)
    dark = eventio.emulate_dvs(frames * 0.1, times, model=replace(model, dark_luminance=0.01))
    start = times[len(times) // 10 - 1]
    n = len(dark)  # the same contrast, but the last crossing takes longer than the scene
    assert n == len(bright) - 1 == 5
    assert ((dark.t - start) > 4 * (bright.t[:n] - start)).all()


def test_times_are_not_clumped_on_pictures() -> None:
    rng = np.random.default_rng(0)
    frames = rng.random((20, 16, 16))
    times = np.arange(20) * 33_333
    recording = eventio.emulate_dvs(frames, times, model=QUIET)
    assert len(np.unique(recording.t)) > 0.9 * len(recording)
    assert np.isin(recording.t, times).mean() < 0.01


def test_hot_pixels_are_few_and_fire_at_their_rate() -> None:
    model = replace(QUIET, hot_share=0.01, hot_rate_hz=40.0, threshold_spread=0.02)
    recording = eventio.emulate_dvs(np.full((2, 20, 20), 0.5), [0, 5_000_000], model=model)
    counts = eventio.representations.count_events(recording.events, width=20, height=20)
    assert not counts[0].any()
    assert ((counts[1][counts[1] > 0] - 200.0) ** 2 <= 1).sum() == (counts[1] > 0).sum() == 4  # 5 s at 40 Hz
    assert denoising.find_hot_pixels(recording).sum() == 4
    other = eventio.emulate_dvs(
        np.full((2, 20, 20), 0.5), [0, 5_000_000], model=replace(model, pattern_seed=1)
    )
    assert not np.array_equal(counts, eventio.representations.count_events(other.events, width=20, height=20))


def test_leaks_differ_between_pixels_about_their_mean() -> None:
    model = replace(QUIET, leak_rate_hz=5.0, leak_spread=0.5)
    recording = eventio.emulate_dvs(np.full((2, 60, 60), 0.5), [0, 20_000_000], model=model)
    counts = eventio.representations.count_events(recording.events, width=60, height=60)[1] / 20
    spread = 5.0 * np.sqrt(np.exp(0.25) - 1)
    assert abs(counts.mean() - 5.0 + 0.5 / 20) < 5 * spread / 60  # the last interval is cut off
    assert abs(counts.std() / spread - 1) < 0.1


@pytest.mark.parametrize("lux", ["0.1lux", "161lux", "3klux"])
def test_noise_has_the_measured_rates(data_dir: Path, lux: str) -> None:
    """A camera that sees grey for a while, its leakage and shot noise set from the measured histograms."""
    folder = data_dir / "iebcs_noise"
    measured = denoising.MeasuredNoise.load(folder / f"noise_pos_{lux}.npy", folder / f"noise_neg_{lux}.npy")
    on_hz, off_hz = measured.rates_hz()
    assert on_hz > off_hz
    model = eventio.with_noise(replace(QUIET, pattern_seed=3), on_hz=on_hz, off_hz=off_hz, luminance=0.5)
    seconds, side = 40 / on_hz, 20
    times = np.arange(4001) * round(seconds * 1e6 / 4000)  # at most one shot-noise event between two pictures
    recording = eventio.emulate_dvs(np.full((4001, side, side), 0.5), times, model=model, seed=5)
    n_on, n = int(recording.p.sum()), len(recording)
    # Poisson counts, and at most one leakage interval of 40 for each pixel that the end cuts off
    for found, rate in ((n_on, on_hz), (n - n_on, off_hz)):
        expected = rate * times[-1] * 1e-6 * side**2
        assert abs(found - expected) <= 5 * np.sqrt(expected) + expected / 40, (lux, found, expected)
    made = denoising.make_noise(measured, width=100, height=100, start_us=0, duration_us=30_000_000, seed=0)
    for is_on, rate in ((True, on_hz), (False, off_hz)):
        assert abs((made["p"] == is_on).sum() / 300_000 - rate) < 0.1 * rate + 0.01


def images(folder: Path, *, n: int = 3, size: tuple[int, int] = (6, 4)) -> Path:
    from PIL import Image

    folder.mkdir(exist_ok=True)
    for k in range(n):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        picture[..., 1] = 80 * k
        picture[0, k] = 255
        Image.fromarray(picture).save(folder / f"{k:03d}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_folders_of_images_become_light(tmp_path: Path) -> None:
    film = eventio.read_pictures(images(tmp_path / "a"), rate_hz=100)
    assert film.frames.shape == (3, 4, 6)
    assert film.times_us.tolist() == [0, 10_000, 20_000]
    assert film.frames[2, 3, 5] == pytest.approx(0.7152 * 160 / 255, rel=1e-12)
    assert film.frames[1, 0, 1] == pytest.approx(1.0, rel=1e-12)
    squared = eventio.read_pictures(tmp_path / "a", rate_hz=100, gamma=2.0)
    assert squared.frames[2, 3, 5] == pytest.approx(0.7152 * (160 / 255) ** 2, rel=1e-12)
    small = eventio.read_pictures(tmp_path / "a", rate_hz=100, width=3, height=2, most_frames=2)
    assert small.frames.shape == (2, 2, 3)
    assert len(eventio.emulate_dvs(film.frames, film.times_us, model=QUIET)) > 20


def film_file(path: Path, *, n: int = 10) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(n):
            picture = np.full((48, 64, 3), 20 * k, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_films_keep_their_times(tmp_path: Path) -> None:
    path = film_file(tmp_path / "grey.mp4")
    film = eventio.read_film(path)
    assert film.frames.shape == (10, 48, 64)
    assert film.times_us.tolist() == [20_000 * k for k in range(10)]
    assert np.abs(film.frames.mean(axis=(1, 2)) - 20 * np.arange(10) / 255).max() < 0.03  # a lossy codec
    slow = eventio.read_film(path, width=8, height=6, slow_down=0.1, most_frames=4)
    assert (slow.frames.shape, slow.times_us.tolist()) == ((4, 6, 8), [0, 2_000, 4_000, 6_000])


@pytest.mark.parametrize(
    ("name", "text"),
    [("nowhere.mp4", "there is no such file"), ("text.mp4", "no film that FFmpeg reads")],
)
def test_what_is_no_film_is_refused(tmp_path: Path, name: str, text: str) -> None:
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("no film" * 99)
    with pytest.raises(eventio.EventioError, match=text):
        eventio.read_film(tmp_path / name)


def test_what_is_no_folder_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(eventio.MissingFileError, match="there is no such folder"):
        eventio.read_pictures(tmp_path / "nowhere", rate_hz=5)
    with pytest.raises(eventio.FormatError, match="holds 1 pictures"):
        eventio.read_pictures(images(tmp_path / "one", n=1), rate_hz=5)
    images(tmp_path / "fine")
    images(tmp_path / "mixed")
    images(tmp_path / "mixed", n=1, size=(7, 4))
    with pytest.raises(eventio.FormatError, match="picture 1 has 6x4 pixels, the first 7x4"):
        eventio.read_pictures(tmp_path / "mixed", rate_hz=5)
    (tmp_path / "mixed" / "000.png").write_bytes(b"no image")
    with pytest.raises(eventio.FormatError, match="is no image"):
        eventio.read_pictures(tmp_path / "mixed", rate_hz=5)
    for words in ({"rate_hz": 0}, {"rate_hz": 1e7}, {"rate_hz": 5, "width": 5}, {"rate_hz": 5, "gamma": 0}):
        with pytest.raises(eventio.ArgumentError):
            eventio.read_pictures(tmp_path / "fine", **words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"cutoff_hz": 0.0}, "cutoff_hz must be > 0"),
        ({"cutoff_hz": np.nan}, "cutoff_hz must be > 0"),
        ({"hot_share": 1.5}, "hot_share must be at most 1"),
        ({"hot_rate_hz": -1.0}, "hot_rate_hz must be"),
        ({"leak_spread": np.inf}, "leak_spread must be"),
    ],
)
def test_bad_cameras_are_refused(properties: dict[str, float], text: str) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        eventio.DvsModel(**properties)  # type: ignore[arg-type]
