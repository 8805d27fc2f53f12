"""Boundaries of the filters, noise with labels, scores, and the perceptron's files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import eventio
from eventio import denoising
from eventio.denoising import _kernels_perceptron as perceptron_kernels

WEIGHTS = "jaer_mlpf/MLPF_2xMSEO1H20_linear_7.pb"


def make(
    t: list[int], x: list[int], y: list[int] | None = None, p: list[int] | None = None
) -> eventio.Recording:
    y = [0] * len(t) if y is None else y
    p = [1] * len(t) if p is None else p
    return eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p), width=16, height=16)


def moving_edge() -> eventio.Recording:
    """A line that moves over the sensor, one column in 10 ms."""
    x = np.repeat(np.arange(32), 32)
    y = np.tile(np.arange(32), 32)
    events = eventio.make_events(t=x * 10_000 + y * 10, x=x, y=y, p=np.ones(1024))
    return eventio.Recording(events, width=32, height=32)


def test_support_ends_at_the_window() -> None:
    recording = make([0, 10, 20], [0, 1, 2])
    assert denoising.denoise(recording, denoising.BackgroundActivity(10)).n_removed == (3,)
    assert denoising.denoise(recording, denoising.BackgroundActivity(11)).n_removed == (1,)


def test_filters_run_one_after_the_other() -> None:
    recording = make([0, 1, 2, 3], [0, 1, 1, 9])
    cleaned = denoising.denoise(recording, denoising.Refractory(5), denoising.BackgroundActivity(5))
    assert cleaned.recording.t.tolist() == [1]
    assert cleaned.n_removed == (1, 2)
    assert cleaned.recording.metadata is recording.metadata


def test_a_lamp_is_dropped_after_its_periods_and_comes_back_when_it_stops() -> None:
    t = [0, 5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 35_000, 80_000]
    recording = make(t, [3] * 9, p=[1, 0, 1, 0, 1, 0, 1, 0, 0])
    kept = denoising.Flicker(90, 110, 2).mark(recording)
    assert kept.tolist() == [True] * 6 + [False, False, True]  # rises at 10, 20 and 30 ms


def test_no_events_are_no_trouble() -> None:
    empty = eventio.Recording(np.empty(0, eventio.EVENT_DTYPE), width=3, height=3)
    weights = denoising.Perceptron(np.zeros((18, 2)), np.zeros(2), np.zeros(2), 0.0)
    every = [settings[0] for settings in denoising.filter_settings().values()]
    for one in (*every, denoising.Flicker(), denoising.HotPixels(), weights):
        assert denoising.denoise(empty, one).n_removed == (0,)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: denoising.BackgroundActivity(0), "window_us must be a whole number of at least 1 us, got 0"),
        (lambda: denoising.SpatiotemporalCorrelation(5, 9), "n_supporting must be .* at most 8, got 9"),
        (lambda: denoising.RowsAndColumns(1.5), "window_us must be"),  # type: ignore[arg-type]
        (lambda: denoising.DoubleWindow(0), "n_events must be"),
        (lambda: denoising.DoubleWindow(4, -1), "distance must be"),
        (lambda: denoising.Refractory(-1), "period_us must be"),
        (lambda: denoising.Flicker(100, 90), "lowest_hz <= highest_hz"),
        (lambda: denoising.Flicker(float("nan"), 90), "lowest_hz <= highest_hz"),
        (lambda: denoising.HotPixels(-1.0), "n_deviations must be finite and >= 0, got -1.0"),
        (lambda: denoising.HotPixels(is_hot=np.zeros((2, 2))), "is_hot must be bool"),
        (lambda: denoising.denoise(make([1], [1])), "give filters"),
        (lambda: denoising.denoise(make([1], [1]), 5), "give filters"),  # type: ignore[arg-type]
        (
            lambda: denoising.denoise(make([1], [1]), denoising.HotPixels(is_hot=np.zeros((2, 2), bool))),
            "the sensor has 16 rows",
        ),
        (lambda: denoising.NoiseModel(shot_rate_hz=-1), "shot_rate_hz must be"),
        (lambda: denoising.NoiseModel(hot_share=2), "hot_share must be at most 1"),
        (lambda: denoising.MeasuredNoise(np.zeros((3, 71)), np.zeros((3, 72))), r"shape \(n_pixels, 72\)"),
        (lambda: denoising.MeasuredNoise(np.zeros((3, 72)), -np.ones((3, 72))), "never fall"),
        (
            lambda: denoising.inject_noise(make([5, 1], [1, 1]), denoising.NoiseModel(), seed=0),
            "sorted by time",
        ),
        (
            lambda: denoising.make_noise(
                denoising.NoiseModel(shot_rate_hz=1e6), width=999, height=999, start_us=0, duration_us=10**9, seed=0
            ),
            r"more than 2\*\*31",
        ),
        (lambda: denoising.Perceptron(np.zeros((97, 2)), np.zeros(2), np.zeros(2), 0), "got 97"),
        (lambda: denoising.Perceptron(np.zeros((98, 2)), np.zeros(3), np.zeros(2), 0), "do not match"),
        (lambda: denoising.Perceptron(np.full((98, 1), np.nan), np.zeros(1), np.zeros(1), 0), "not finite"),
        (lambda: denoising.contrast_area(make([1], [1]), intervals_us=(5,)), "two increasing lengths"),
    ],
)  # fmt: skip
def test_bad_arguments(build: object, text: str) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        build()  # type: ignore[operator]


def test_noise_has_its_rates_and_labels() -> None:
    signal = moving_edge()
    model = denoising.NoiseModel(shot_rate_hz=20, leak_rate_hz=0, rate_spread=0.0)
    labelled = denoising.inject_noise(signal, model, seed=1)
    np.testing.assert_array_equal(labelled.recording.events[labelled.is_signal], signal.events)
    assert (np.diff(labelled.recording.t) >= 0).all()
    n_noise = int((~labelled.is_signal).sum())
    expected = 20 * 1024 * (signal.t[-1] - signal.t[0] + 1) / 1e6
    assert abs(n_noise - expected) < 5 * np.sqrt(expected)
    again = denoising.inject_noise(signal, model, seed=1)
    np.testing.assert_array_equal(again.recording.events, labelled.recording.events)
    other = denoising.inject_noise(signal, model, seed=2)
    assert not np.array_equal(other.recording.events, labelled.recording.events)


def test_leakage_is_on_and_nearly_regular_and_hot_pixels_are_few() -> None:
    size = {"width": 20, "height": 20, "start_us": 7, "duration_us": 20_000_000, "seed": 3}
    leak = denoising.make_noise(denoising.NoiseModel(0, 2.0, rate_spread=0.0), **size)
    assert leak["p"].all()
    intervals = np.diff(leak["t"][(leak["x"] == 4) & (leak["y"] == 9)])
    assert abs(intervals.mean() / 500_000 - 1) < 5 * 0.1 / np.sqrt(len(intervals))
    assert 0.05 < intervals.std() / 500_000 < 0.2
    hot = denoising.make_noise(denoising.NoiseModel(0, 0, hot_share=0.01, hot_rate_hz=50), **size)
    counts = np.bincount(hot["y"].astype(int) * 20 + hot["x"])
    assert (counts > 0).sum() == 4
    assert abs(counts.sum() - 4000) < 5 * np.sqrt(4000)


def test_measured_noise_has_the_measured_intervals(data_dir: Path) -> None:
    """The share of intervals in each bin of a long recording against the histogram, pixel by pixel."""
    folder = data_dir / "iebcs_noise"
    noise = denoising.MeasuredNoise.load(folder / "noise_pos_0.1lux.npy", folder / "noise_neg_0.1lux.npy")
    one = int(np.argmax(noise.on[:, -2] == np.median(noise.on[:, -2])))
    alone = denoising.MeasuredNoise(noise.on[one : one + 1], np.zeros((1, 72)))
    events = denoising.make_noise(alone, width=20, height=20, start_us=0, duration_us=100_000_000, seed=0)
    assert events["p"].all()
    order = np.lexsort((events["t"], events["x"], events["y"]))
    gaps = np.diff(events["t"][order])[np.diff(events["x"][order].astype(int) + 20 * events["y"][order]) == 0]
    bins = denoising.measured.FREQUENCIES_HZ
    found = np.histogram(1e6 / np.maximum(gaps, 1), bins)[0]
    share = np.diff(noise.on[one, :-1], prepend=0.0) / noise.on[one, -2]
    # long intervals are cut off by the end: compare those well under the duration; times are whole microseconds
    usual = (bins[:-1] > 1) & (bins[:-1] < 5_000)
    spread = np.sqrt(len(gaps) * share * (1 - share))
    assert usual.sum() == 30
    assert (
        np.abs(found - len(gaps) * share)[usual] <= 5 * spread[usual] + 0.02 * len(gaps) * share[usual] + 3
    ).all()


def test_curves_of_scores_and_settings_agree() -> None:
    labelled = denoising.inject_noise(moving_edge(), denoising.NoiseModel(5, 1), seed=0)
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, len(labelled.is_signal)) + labelled.is_signal
    exact = denoising.roc_from_scores(labelled, scores)
    from sklearn.metrics import roc_auc_score

    assert exact.area == pytest.approx(roc_auc_score(labelled.is_signal, scores), abs=1e-12)
    perfect = denoising.roc_from_scores(labelled, labelled.is_signal)
    assert perfect.area == 1.0
    assert denoising.roc_from_scores(labelled, np.zeros(len(scores))).area == 0.5

    class Threshold(denoising.Filter):
        def __init__(self, least: int) -> None:
            self.least = least

        def begin(self, width: int, height: int) -> denoising.filters.Marker:
            return lambda events: scores > self.least

    swept = denoising.measure_roc(labelled, [Threshold(k) for k in range(-1, 7)])
    assert swept.area == pytest.approx(exact.area, abs=1e-12)


def test_correlation_beats_chance_and_more_noise_is_harder() -> None:
    curves = denoising.compare_filters(
        moving_edge(),
        {"little": denoising.NoiseModel(1, 0), "much": denoising.NoiseModel(60, 0)},
        filters={"correlation": denoising.filter_settings()["correlation, 2 of 8"]},
    )
    assert [each.noise_name for each in curves] == ["little", "much"]
    assert curves[0].curve.area > curves[1].curve.area > 0.5


def test_roc_needs_both_kinds() -> None:
    signal = moving_edge()
    labelled = denoising.Labelled(signal, np.ones(len(signal), bool))
    with pytest.raises(eventio.ArgumentError, match="1024 and 0 events"):
        denoising.measure_roc(labelled, [denoising.BackgroundActivity(5)])
    mixed = denoising.inject_noise(signal, denoising.NoiseModel(5), seed=0)
    with pytest.raises(eventio.ArgumentError, match="no number"):
        denoising.roc_from_scores(mixed, np.full(len(mixed.is_signal), np.nan))


def test_contrast_falls_with_noise_and_with_missing_signal() -> None:
    """As the score promises: the clean edge scores higher than the noisy one and than a filter that keeps little."""
    signal = moving_edge()
    noisy = denoising.inject_noise(signal, denoising.NoiseModel(30, 0), seed=0).recording
    few = eventio.Recording(signal.events[::16].copy(), width=32, height=32)
    area = {name: denoising.contrast_area(each, intervals_us=(5_000, 10_000, 20_000))
            for name, each in (("clean", signal), ("noisy", noisy), ("few", few))}  # fmt: skip
    assert area["clean"] > area["noisy"]
    assert area["clean"] > area["few"]


def test_contrast_of_one_picture_by_hand() -> None:
    """Against scipy's filters, an independent implementation."""
    from scipy import ndimage

    recording = moving_edge()
    picture = np.zeros((32, 32))
    first = recording.events[recording.t < 10_000]
    picture[first["y"], first["x"]] = 255
    taps = np.exp(-0.5 * (np.arange(-2, 3) / 2) ** 2)
    smooth = ndimage.correlate(picture, np.outer(taps, taps) / taps.sum() ** 2, mode="nearest")
    slope = np.hypot(ndimage.sobel(smooth, 0, mode="nearest"), ndimage.sobel(smooth, 1, mode="nearest"))
    one = eventio.Recording(first, width=32, height=32)
    found = denoising.measure_contrast(one, interval_us=10_000)
    assert found == pytest.approx(slope.std(), rel=1e-12)  # 25 + 18 float64 operations a pixel


def test_golden_inputs_of_the_perceptron(data_dir: Path) -> None:
    """
    98 inputs of 5,000 events, computed elsewhere from the same recording: signs equal, ages within their 6-bit grid.

    There every pixel begins with an event at time 0 and no sign.
    """
    golden = np.loadtxt(data_dir / "dnd_hls" / "soft_dot_activations_predictions_4bits.txt")
    text = np.loadtxt(data_dir / "dnd_hls" / "v2e-dvs-events.txt")[: len(golden)]
    events = eventio.make_events(
        t=np.floor(text[:, 0] * 1e6).astype(int), x=text[:, 1], y=text[:, 2], p=text[:, 3]
    )
    latest, signs = np.zeros((346 + 6, 260 + 6), np.int64), np.zeros((346 + 6, 260 + 6), np.int8)
    inputs = np.empty(98, np.float32)
    for event, expected in zip(events, golden, strict=True):
        perceptron_kernels.gather(event, 64_000, latest, signs, inputs)
        np.testing.assert_array_equal(inputs[49:], expected[49:98])
        assert np.abs(inputs[:49] - expected[:49]).max() <= 1 / 64
        latest[event["x"] + 3, event["y"] + 3] = event["t"]
        signs[event["x"] + 3, event["y"] + 3] = 1 if event["p"] else -1


def test_weights_of_jaer_are_read(data_dir: Path) -> None:
    graph = denoising.Perceptron.load(data_dir / WEIGHTS)
    assert (graph.kernel.shape, graph.output.shape) == ((98, 20), (20,))
    (keras,) = (data_dir / "jaer_mlpf").rglob("*.h5")
    other = denoising.Perceptron.load(keras, tau_us=50_000, threshold=0.3)
    assert (other.kernel.shape, other.tau_us, other.threshold) == ((98, 20), 50_000, 0.3)
    with h5py.File(keras) as file:
        np.testing.assert_array_equal(other.bias, file["model_weights/fc1/fc1/bias:0"])
    assert not np.array_equal(graph.kernel, other.kernel)


def test_the_perceptron_tells_signal_from_noise(data_dir: Path) -> None:
    """Weights trained elsewhere, on real recordings: a real clip with shot noise added."""
    clip = eventio.read(data_dir / "dvs_gesture_slayer10" / "2.bs2", width=128, height=128)
    short = eventio.Recording(clip.events[:20_000].copy(), width=128, height=128)
    labelled = denoising.inject_noise(eventio.sort_by_time(short), denoising.NoiseModel(5, 0), seed=0)
    weights = denoising.Perceptron.load(data_dir / WEIGHTS)
    assert denoising.roc_from_scores(labelled, weights.score(labelled.recording)).area > 0.8


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "two dense layers"),
        (b"\x89HDF\r\n\x1a\nrubbish", "no whole HDF5 file"),
        (b"no network", "neither a Keras .h5 nor"),
        (b"\x0a\xff\xff\xff\xff\x7f", "neither a Keras .h5 nor"),
    ],
)
def test_files_without_weights_are_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "weights.pb"
    path.write_bytes(content)
    with pytest.raises(eventio.FormatError, match=text):
        denoising.Perceptron.load(path)
    with pytest.raises(eventio.MissingFileError, match="check the path"):
        denoising.Perceptron.load(tmp_path / "nowhere.pb")


def test_cut_graphs_are_refused_or_whole(data_dir: Path, tmp_path: Path) -> None:
    """A cut behind the last weight, between two nodes, loses nothing."""
    whole = (data_dir / WEIGHTS).read_bytes()
    kernel = denoising.Perceptron.load(data_dir / WEIGHTS).kernel
    path, n_refused = tmp_path / "cut.pb", 0
    for n in range(0, len(whole), 29):
        path.write_bytes(whole[:n])
        try:
            np.testing.assert_array_equal(denoising.Perceptron.load(path).kernel, kernel)
        except eventio.FormatError:
            n_refused += 1
    assert n_refused > 270


def test_damaged_weights_of_keras_are_refused_or_weights(data_dir: Path, tmp_path: Path) -> None:
    whole = next((data_dir / "jaer_mlpf").rglob("*.h5")).read_bytes()
    path, rng = tmp_path / "weights.h5", np.random.default_rng(1)
    for n_round in range(6):
        broken = bytearray(whole[: len(whole) // (1 + n_round % 2)])
        for at in rng.integers(0, len(broken), 40):
            broken[at] = int(rng.integers(256))
        path.write_bytes(broken)
        try:
            refusal = "weights.h5" * denoising.Perceptron.load(path).kernel.size
        except (eventio.FormatError, eventio.ArgumentError) as error:
            refusal = str(error)
        assert "weights.h5" in refusal


def test_pickled_noise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(eventio.FormatError, match=r"no \.npy file of numbers"):
        denoising.MeasuredNoise.load(path, path)
