"""Training in the application: frames, encoding, threshold, temperature, the command and its interruption."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import eventio
import spikeloom.commands.train
import spikeloom.training
from eventio.datasets import Collection, Sample
from spikeloom import DamagedRecordingError, DamagePolicy, Encoding, Recognizer, UserError
from spikeloom.calibration import ThresholdPoint, choose_threshold, fit_temperature
from spikeloom.cli import cli
from spikeloom.datasets import training_parts
from spikeloom.frame_sets import MOST_FRAMES, FrameSet, Loading, choose_encoding, load_frames
from spikeloom.training import Progress, TrainingResult, train_recognizer
from tests.app_models import SIDE, random_events, write_folder, write_recording, write_unordered

pytest.importorskip("norse.torch", reason="training needs torch and norse")

from neuro.training import ConvLayer, NetworkConfig

TINY = NetworkConfig(conv=(ConvLayer(2, 3, 4, 1),), hidden=(), dropout=0.0)


def tiny_training(folder: Path, **options: object) -> TrainingResult:
    training, validation = training_parts(str(folder), data=None, seed=3)
    return train_recognizer(
        training, validation, seed=3, epochs=2, threads=1, bin_us=20_000, network=TINY, **options
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("training") / "set", per_class=6)


@pytest.fixture(scope="module")
def result(folder: Path) -> TrainingResult:
    return tiny_training(folder)


def test_the_recogniser_fits_the_recordings(result: TrainingResult) -> None:
    recognizer = result.recognizer
    assert recognizer.encoding == Encoding(SIDE, SIDE, 4, 20_000, spikeloom.training.DEFAULT_FILTER_WINDOW_US)
    assert (recognizer.class_names, recognizer.seed, recognizer.dataset) == (("0", "1", "2"), 3, "set")
    assert recognizer.graph.dt_s == 0.02
    assert recognizer.graph.weight_grid == result.trained.weight_grid
    assert recognizer.attention is not None
    assert recognizer.attention.threshold == result.chosen.threshold


def test_the_engine_decides_as_torch(result: TrainingResult, folder: Path) -> None:
    recognizer = result.recognizer
    for path in sorted(folder.rglob("*.bin")):
        (run,) = recognizer.run_windows(path)
        torch_run = result.trained.run(
            recognizer.encoding.frames(run.window)[np.newaxis].astype(np.uint8),
            threshold=result.chosen.threshold,
        )
        assert run.result.attention is not None
        assert np.array_equal(run.result.attention.kept, torch_run.kept[0])
        assert np.array_equal(run.result.output.reshape(4, 3), torch_run.readout[0])


def test_the_same_seed_gives_the_same_model(result: TrainingResult, folder: Path) -> None:
    assert tiny_training(folder).recognizer == result.recognizer


def test_a_network_without_attention_is_trained_too(folder: Path) -> None:
    training, validation = training_parts(str(folder), data=None, seed=0)
    plain = train_recognizer(
        training, validation, seed=0, epochs=1, bin_us=20_000, network=replace(TINY, attention=False)
    )
    assert plain.recognizer.attention is None
    assert [point.frames_kept for point in plain.curve] == [1.0]


def test_progress_is_reported(folder: Path) -> None:
    loaded: list[tuple[int, int]] = []
    epochs: list[int] = []
    progress = Progress(
        loaded=lambda done, n: loaded.append((done, n)), epoch=lambda report: epochs.append(report.epoch)
    )
    tiny_training(folder, progress=progress)
    assert loaded == [(n, 18) for n in range(1, 19)]
    assert epochs == [1, 2]


def test_classes_must_agree(folder: Path) -> None:
    training, validation = training_parts(str(folder), data=None, seed=0)
    other = Collection("other", ("a", "b", "c"), validation.samples, SIDE, SIDE)
    with pytest.raises(UserError, match="other: its classes differ"):
        train_recognizer(training, other, seed=0, epochs=1)


def test_damaged_recordings_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, labels=("0", "1"))
    write_unordered(tmp_path / "1" / "x.bin")
    with pytest.raises(DamagedRecordingError, match=r"x\.bin: time runs backwards"):
        tiny_training(tmp_path)
    tiny_training(tmp_path, loading=Loading(DamagePolicy(sort=True)))


def test_the_window_covers_the_longest_recording(tmp_path: Path) -> None:
    def encoding_for(times: list[int], bin_us: int) -> Encoding:
        n = len(times)
        events = eventio.make_events(t=times, x=[33] * n, y=[33] * n, p=[True] * n)
        eventio.write(tmp_path / "a.bin", eventio.Recording(events, width=SIDE, height=SIDE))
        one = Collection("one", ("a",), (Sample(tmp_path / "a.bin", 0),))
        return choose_encoding(one, bin_us=bin_us, filter_window_us=0)

    assert encoding_for([500, 1499], 100).n_frames == 10
    assert encoding_for([500, 1500], 100).n_frames == 11
    assert encoding_for([500], 100).n_frames == 1
    assert encoding_for([0, 8_000_000], 10_000).n_frames == MOST_FRAMES
    assert (encoding_for([0], 100).width, encoding_for([0], 100).height) == (SIDE, SIDE)


def test_long_recordings_give_several_entries_summed_by_recording(tmp_path: Path) -> None:
    samples = tuple(
        Sample(write_recording(tmp_path / f"{n}.bin", seed=n, duration_us=(n + 1) * 50_000), n % 2)
        for n in range(3)
    )
    collection = Collection("long", ("a", "b"), samples, SIDE, SIDE)
    loaded = load_frames(collection, Encoding(SIDE, SIDE, 5, 10_000))
    assert loaded.owners.tolist() == [0, 1, 1, 2, 2, 2]
    assert loaded.labels.tolist() == [0, 1, 1, 0, 0, 0]
    assert loaded.recording_labels.tolist() == [0, 1, 0]
    assert loaded.frames.dtype == np.uint8
    sums = loaded.sum_by_recording(loaded.frames[:].sum(axis=(1, 2, 3, 4), dtype=np.int64))
    assert sums.tolist() == [600, 600, 600]


def test_large_counts_are_kept_in_a_wider_type(tmp_path: Path) -> None:
    events = random_events(600)
    events["x"][1:] = events["y"][1:] = 2
    eventio.write(tmp_path / "hot.bin", eventio.Recording(events, width=SIDE, height=SIDE))
    collection = Collection("hot", ("a",), (Sample(tmp_path / "hot.bin", 0),), SIDE, SIDE)
    loaded = load_frames(collection, Encoding(SIDE, SIDE, 1, 100_000))
    assert loaded.frames.dtype == np.float32
    assert loaded.frames[:].max() > 255
    assert loaded.frames[:].sum() == 600


def test_one_recording_is_in_memory_while_they_are_read(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.bin", duration_us=500_000)
    few, many = (
        Collection("same", ("a",), tuple(Sample(path, 0) for _ in range(n)), 240, 180) for n in (2, 40)
    )
    encoding = Encoding(240, 180, 10, 10_000)
    load_frames(few, encoding)  # compiled and imported before memory is watched
    peaks = []
    for collection in (few, many):
        tracemalloc.start()
        frames = load_frames(collection, encoding).frames
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert frames.shape == (200, 10, 2, 180, 240)  # 173 MB when dense
    assert peaks[1] < peaks[0] + 200_000
    one = frames[:1].nbytes
    assert one == 864_000


def curve_of(*values: tuple[float, float, float]) -> list[ThresholdPoint]:
    return [ThresholdPoint(t, kept, 0.9, np.full(4, certainty), 1.0) for t, kept, certainty in values]


def test_the_threshold_drops_most_within_the_budget() -> None:
    values = [(0.0, 1.0, 0.980), (0.2, 0.8, 0.985), (0.5, 0.5, 0.975), (0.6, 0.4, 0.9749), (0.9, 0.1, 0.5)]
    curve = curve_of(*values)
    assert choose_threshold(curve, budget=0.005).threshold == 0.5
    assert choose_threshold(curve, budget=0.0).threshold == 0.2
    assert choose_threshold(curve, budget=1.0).threshold == 0.9
    lucky = curve_of(*values, (0.95, 0.05, 0.99))
    assert choose_threshold(lucky, budget=0.005).threshold == 0.5
    equal = curve_of((0.0, 1.0, 0.9), (0.3, 0.6, 0.9), (0.2, 0.6, 0.91))
    assert choose_threshold(equal, budget=0.005).threshold == 0.2


def test_one_standard_error_is_allowed_for() -> None:
    whole = ThresholdPoint(0.0, 1.0, 1.0, np.array([0.9, 0.9, 0.9, 0.9]), 1.0)
    noisy = ThresholdPoint(0.4, 0.5, 1.0, np.array([0.95, 0.95, 0.95, 0.71]), 1.0)  # loss 0.01, error 0.052
    steady = ThresholdPoint(0.4, 0.5, 1.0, np.array([0.89, 0.89, 0.89, 0.89]), 1.0)  # loss 0.01, error 0
    assert choose_threshold([whole, noisy], budget=0.0).threshold == 0.4
    assert choose_threshold([whole, steady], budget=0.0).threshold == 0.0


def test_the_temperature_is_finite_when_every_answer_is_right() -> None:
    logits = np.eye(3)[np.arange(30) % 3]
    confidence = np.exp(1 / fit_temperature(logits, np.arange(30) % 3))
    assert confidence / (confidence + 2) == pytest.approx(1 - 1 / 32, rel=1e-3)


def test_the_temperature_recovers_a_known_one() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 30, (20_000, 4))
    shares = np.exp(logits / 7.0)
    shares /= shares.sum(axis=1, keepdims=True)
    labels = (rng.random((20_000, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(7.0, rel=0.05)
    assert fit_temperature(np.zeros((5, 3)), np.zeros(5, np.int64)) == 1.0
    perfect = fit_temperature(np.eye(3) * 10, np.arange(3))
    assert np.isfinite(perfect)
    assert perfect > 0


def run_training(folder: Path, out: Path, *options: str) -> object:
    arguments = [
        "train",
        str(folder),
        "--out",
        str(out),
        "--epochs",
        "3",
        "--threads",
        "1",
        "--bin-us",
        "20000",
    ]
    return CliRunner().invoke(cli, [*arguments, *options])


@pytest.fixture
def tiny_config(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(*arguments: object, **options: object) -> TrainingResult:
        return train_recognizer(*arguments, **options, network=TINY)  # type: ignore[arg-type]

    monkeypatch.setattr(spikeloom.training, "train_recognizer", small)


@pytest.mark.usefixtures("tiny_config")
def test_the_command_writes_a_model_and_nothing_else(tmp_path: Path, folder: Path) -> None:
    done = run_training(folder, tmp_path / "m.h5")
    assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
    assert "validation accuracy" in done.stdout  # type: ignore[attr-defined]
    assert done.stderr.count("epoch") == 3  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]
    Recognizer.load(tmp_path / "m.h5")


@pytest.mark.usefixtures("tiny_config")
def test_an_interrupted_training_resumes_to_the_same_model(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_training(folder, tmp_path / "whole.h5").exit_code == 0  # type: ignore[attr-defined]
    say = spikeloom.commands.train.say_epoch

    def interrupted(report: object) -> None:
        if report.epoch == 2:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    monkeypatch.setattr(spikeloom.commands.train, "say_epoch", interrupted)
    stopped = run_training(folder, tmp_path / "m.h5")
    assert stopped.exit_code == 130  # type: ignore[attr-defined]
    assert "--resume" in stopped.stderr  # type: ignore[attr-defined]
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "m.h5.checkpoint"}
    monkeypatch.setattr(spikeloom.commands.train, "say_epoch", say)
    resumed = run_training(folder, tmp_path / "m.h5", "--resume")
    assert resumed.exit_code == 0  # type: ignore[attr-defined]
    assert resumed.stderr.count("epoch") == 1  # type: ignore[attr-defined]
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "m.h5"}
    assert Recognizer.load(tmp_path / "m.h5") == Recognizer.load(tmp_path / "whole.h5")


@pytest.mark.usefixtures("tiny_config")
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "m.h5.checkpoint").write_bytes(b"not a checkpoint")
    done = run_training(folder, tmp_path / "m.h5", "--resume")
    assert done.exit_code == 2  # type: ignore[attr-defined]
    assert "m.h5.checkpoint" in done.stderr  # type: ignore[attr-defined]
    assert {path.name for path in tmp_path.iterdir()} == {"m.h5.checkpoint"}


def test_frame_sets_sum_single_entries_as_they_are() -> None:
    one = FrameSet(np.zeros((2, 1), np.uint8), np.array([1, 0]), np.array([0, 1]))
    assert one.sum_by_recording(np.array([[1.5], [2.5]])).tolist() == [[1.5], [2.5]]


def test_recordings_of_different_sensors_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", labels=("a", "b"))
    for name, side in (("1.raw", SIDE), ("2.raw", 64)):
        eventio.write(folder / "a" / name, eventio.Recording(random_events(), width=side, height=side))
    collection = eventio.datasets.folder(folder)
    with pytest.raises(
        UserError,
        match=r"2\.raw: recorded by a 64x64 sensor, other recordings of set by a 34x34 one; train on",
    ):
        choose_encoding(collection, bin_us=10_000, filter_window_us=0)
    (folder / "a" / "2.raw").unlink()
    encoding = choose_encoding(eventio.datasets.folder(folder), bin_us=10_000, filter_window_us=0)
    assert (encoding.width, encoding.height) == (SIDE, SIDE)
    write = random_events(side=50)
    eventio.write(folder / "b" / "wide.bin", eventio.Recording(write, width=50, height=50))
    with pytest.raises(UserError, match=r"wide\.bin: recorded by a 240x180 sensor, other recordings"):
        choose_encoding(eventio.datasets.folder(folder), bin_us=10_000, filter_window_us=0)


def test_a_validation_recording_may_reach_further(tmp_path: Path) -> None:
    parts = []
    for name, side in (("a.bin", 30), ("b.bin", 60)):
        eventio.write(tmp_path / name, eventio.Recording(random_events(side=side), width=side, height=side))
        parts.append(Collection(name, ("a",), (Sample(tmp_path / name, 0),)))
    alone = choose_encoding(parts[0], bin_us=10_000, filter_window_us=0)
    both = choose_encoding(parts[0], bin_us=10_000, filter_window_us=0, validation=parts[1])
    assert (alone.width, alone.height, both.width, both.height) == (34, 34, 240, 180)


def test_a_single_class_cannot_be_learned(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", labels=("cup",))
    with pytest.raises(UserError, match=r"set: 'cup' is the only class, but training needs at least 2"):
        training_parts(str(folder), data=None, seed=0)


def test_a_device_is_tried_before_recordings_are_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", labels=("a", "b"))
    write_unordered(folder / "a" / "0.bin")
    arguments = ["train", str(folder), "--out", str(tmp_path / "m.h5"), "--device", "nonsense"]
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 2
    assert "device 'nonsense' cannot be used here" in found.stderr
