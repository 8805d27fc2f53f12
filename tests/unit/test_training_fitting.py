"""Training: it learns, it repeats itself bit for bit, it resumes, it refuses, it leaves torch as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import neuro.training.frames
from neuro.errors import InputError, ModelFileError
from neuro.training import (
    Augmentation,
    ConvLayer,
    EpochReport,
    NetworkConfig,
    Recipe,
    TrainedNetwork,
    threshold_for,
    train,
)
from neuro.training.checkpoints import fingerprint
from neuro.training.epochs import _losses

CONFIG = NetworkConfig(
    input_shape=(2, 8, 8),
    n_classes=3,
    n_frames=6,
    conv=(ConvLayer(4),),
    hidden=(8,),
    attention_reduction=2,
    dropout=0.1,
    max_count=9,
)
RECIPE = Recipe(
    batch_size=16,
    learning_rate=0.02,
    hard_fraction=0.4,
    least_kept=0.3,
    keep_all=0.25,
    augmentation=Augmentation(shift_px=1, rotation_deg=5),
)


def _bars(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Recordings of a class-dependent bar in noise; the frames in the middle have most events."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    frames = (random.random((n, 6, 2, 8, 8)) < 0.03).astype(np.uint8)
    for k, label in enumerate(labels):
        position = 1 + random.integers(6)
        for t, rate in enumerate((0.1, 0.3, 0.9, 0.9, 0.3, 0.1)):
            bar = (random.random(8) < rate) * random.integers(1, 4, 8)
            if label == 0:
                frames[k, t, 1, position] += bar.astype(np.uint8)
            elif label == 1:
                frames[k, t, 1, :, position] += bar.astype(np.uint8)
            else:
                frames[k, t, 0, np.arange(8), np.arange(8)] += bar.astype(np.uint8)
    return frames, labels


TRAIN = _bars(90, 0)
VALIDATION = _bars(45, 1)
TEST = _bars(60, 2)


def _train(
    config: NetworkConfig = CONFIG,
    *,
    epochs: int = 3,
    seed: int = 0,
    device: str = "cpu",
    resume: Path | None = None,
    on_progress: Callable[[EpochReport], None] | None = None,
) -> TrainedNetwork:
    return train(
        *TRAIN, *VALIDATION, config=config, epochs=epochs, seed=seed, recipe=RECIPE, threads=1,
        device=device, resume=resume, on_progress=on_progress,
    )  # fmt: skip


def _weights(trained: TrainedNetwork) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in trained.network.state_dict().items()}


def _timeless(trained: TrainedNetwork) -> list[EpochReport]:
    return [
        replace(report, seconds=0.0, mean_score=round(report.mean_score, 6)) for report in trained.history
    ]


@pytest.fixture(scope="module")
def learned() -> TrainedNetwork:
    return _train(epochs=14)


def test_it_learns_and_keeps_its_accuracy_without_the_quiet_frames(learned: TrainedNetwork) -> None:
    frames, labels = TEST
    every = learned.run(frames)
    assert (every.logits.argmax(1) == labels).mean() >= 0.9
    assert every.kept.all()
    assert every.scores is not None
    threshold = threshold_for(every.scores, 0.6)
    some = learned.run(frames, threshold=threshold)
    assert some.kept.mean() == pytest.approx(0.6, abs=0.01)
    assert (some.logits.argmax(1) == labels).mean() >= 0.85


def test_the_best_epoch_is_the_first_of_highest_accuracy_then_lowest_loss(learned: TrainedNetwork) -> None:
    hard = [report for report in learned.history if report.phase == "hard"]
    assert [report.phase for report in learned.history] == ["soft"] * 8 + ["hard"] * 6
    best = max(hard, key=lambda report: (report.validation_accuracy, -report.validation_loss))
    assert learned.best_epoch == best.epoch
    assert learned.validation_accuracy == best.validation_accuracy
    assert abs(learned.snapped_validation_accuracy - learned.validation_accuracy) <= 2 / 45


def test_weights_lie_on_the_grid_and_sums_stay_exact(learned: TrainedNetwork) -> None:
    grid = learned.weight_grid
    assert np.log2(grid) == np.round(np.log2(grid))
    for k, layer in enumerate(
        [*(layer.synapse for layer in learned.network.spiking_layers), learned.network.output]
    ):
        weight, bias = layer.weight.double(), layer.bias.double()
        assert torch.equal(torch.round(weight / grid) * grid, weight)
        assert torch.equal(torch.round(bias / grid) * grid, bias)
        largest = CONFIG.max_count if k == 0 else 1
        assert float((weight.abs().flatten(1).sum(1) * largest + bias.abs()).max()) < 2**24 * grid


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    first, second, other = _train(), _train(), _train(seed=1)
    assert _weights(first) == _weights(second)
    assert _timeless(first) == _timeless(second)
    assert _weights(first) != _weights(other)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_an_interrupted_training_resumes_to_the_same_bits(tmp_path: Path, stop: int) -> None:
    expected = _train()
    path = tmp_path / "checkpoint.pt"

    def interrupt(report: EpochReport) -> None:
        if report.epoch == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(resume=path, on_progress=interrupt)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    reported: list[int] = []
    resumed = _train(resume=path, on_progress=lambda report: reported.append(report.epoch))
    assert reported == list(range(stop + 1, 4))
    assert _weights(resumed) == _weights(expected)
    assert _timeless(resumed) == _timeless(expected)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    _train(epochs=1, resume=path)
    with pytest.raises(
        InputError, match=r"checkpoint\.pt belongs to a training with other data, settings, seed"
    ):
        _train(epochs=1, seed=5, resume=path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04broken"])
def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"not a training checkpoint or is damaged; delete it"):
        _train(epochs=1, resume=path)
    whole = tmp_path / "whole.pt"
    _train(epochs=1, resume=whole)
    path.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match=r"not a training checkpoint or is damaged; delete it"):
        _train(epochs=1, resume=path)
    path.write_text("hello")
    with pytest.raises(ModelFileError, match=r"not a training checkpoint or is damaged; delete it"):
        _train(epochs=1, resume=path)
    torch.save({"format": "something else"}, path)
    with pytest.raises(ModelFileError, match=r"not a training checkpoint of this version"):
        _train(epochs=1, resume=path)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder .*missing does not exist; create it first"):
        _train(resume=tmp_path / "missing" / "checkpoint.pt")
    with pytest.raises(InputError, match=r"cannot be written there"):
        _train(resume=tmp_path)


@pytest.mark.parametrize("device", ["nonsense", "cuda:77", "meta"])
def test_a_device_that_cannot_be_used_is_named(device: str) -> None:
    with pytest.raises(InputError, match=rf"device '{device}' cannot be used here \(.*\); use 'cpu'"):
        _train(epochs=1, device=device)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_named(seed: int) -> None:
    with pytest.raises(InputError, match=rf"seed must be from 0 to 9223372036854775807, got {seed}"):
        _train(epochs=1, seed=seed)


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    threads = torch.get_num_threads()
    _train(epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_attention_nothing_is_scored_or_dropped() -> None:
    trained = _train(replace(CONFIG, attention=False), epochs=2)
    run = trained.run(TEST[0], threshold=0.9)
    assert run.scores is None
    assert run.kept.all()
    assert [report.phase for report in trained.history] == ["plain", "plain"]
    assert all(np.isnan(report.mean_score) for report in trained.history)


def test_batches_do_not_change_a_run(learned: TrainedNetwork) -> None:
    whole = learned.run(TEST[0], threshold=0.5, record_spikes=True)
    parts = learned.run(TEST[0], threshold=0.5, record_spikes=True, batch_size=7)
    assert np.array_equal(whole.kept, parts.kept)
    assert all(np.array_equal(whole.spikes[name], parts.spikes[name]) for name in ("lif1", "lif2"))
    assert np.array_equal(whole.readout, parts.readout)


def test_scores_at_the_threshold_are_counted(learned: TrainedNetwork) -> None:
    scores = learned.run(TEST[0]).scores
    assert scores is not None
    threshold = float(scores[0, 0])
    run = learned.run(TEST[0], threshold=threshold)
    assert run.n_near_threshold >= 1
    assert run.n_near_threshold == int((np.abs(scores.astype(np.float64) - threshold) < 1e-6).sum())


def _with(frames: np.ndarray, position: tuple[int, ...], value: float) -> np.ndarray:
    changed = frames.astype(np.float32)
    changed[position] = value
    return changed


@pytest.mark.parametrize(
    ("frames", "labels", "text"),
    [
        (
            TRAIN[0][:, :5],
            TRAIN[1],
            r"training: frames must have shape \(n, 6, 2, 8, 8\), got \(90, 5, 2, 8, 8\)",
        ),
        (TRAIN[0][:0], TRAIN[1][:0], r"training: frames must have shape"),
        (TRAIN[0].astype(np.int64), TRAIN[1], r"training: frames must be uint8 or float32, got int64"),
        (_with(TRAIN[0], (3, 1, 0, 2, 2), np.nan), TRAIN[1], r"frames\[3, 1, 0, 2, 2\] = nan is not a count"),
        (_with(TRAIN[0], (3, 1, 0, 2, 2), 0.5), TRAIN[1], r"frames\[3, 1, 0, 2, 2\] = 0.5 is not a count"),
        (
            _with(TRAIN[0], (3, 1, 0, 2, 2), 10),
            TRAIN[1],
            r"count of 10.0, the largest allowed is max_count = 9",
        ),
        (TRAIN[0], TRAIN[1][:-1], r"training labels must be 90 integers, got int64 of shape \(89,\)"),
        (TRAIN[0], TRAIN[1] + 0.5, r"training labels must be 90 integers, got float64"),
        (
            TRAIN[0],
            np.where(np.arange(90) == 4, 3, TRAIN[1]),
            r"training labels\[4\] = 3: must lie within 0\.\.2",
        ),
    ],
)
def test_wrong_data_are_named(frames: np.ndarray, labels: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=text):
        train(frames, labels, *VALIDATION, config=CONFIG, epochs=1, seed=0)


def test_no_epochs_are_refused() -> None:
    with pytest.raises(InputError, match=r"epochs must be >= 1, got 0"):
        _train(epochs=0)


def test_read_only_and_strided_frames_are_taken() -> None:
    frames = TRAIN[0].copy()
    frames.setflags(write=False)
    trained = train(
        frames, TRAIN[1], VALIDATION[0][::-1], VALIDATION[1][::-1], config=CONFIG, epochs=1, seed=0
    )
    reversed_run = trained.run(frames[::-1])
    assert np.array_equal(reversed_run.readout[::-1], trained.run(TRAIN[0]).readout)


class Watched:
    """Recordings that are dense by index only, and note how many at a time."""

    def __init__(self, frames: np.ndarray) -> None:
        self._frames = frames
        self.shape, self.dtype = frames.shape, frames.dtype
        self.most = 0

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        part = self._frames[chosen]
        self.most = max(self.most, len(part))
        return part


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_recordings_that_are_dense_by_index_train_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    monkeypatch.setattr(neuro.training.frames, "PART_SIZE", 16)
    frames, validation = TRAIN[0].astype(dtype), VALIDATION[0].astype(dtype)
    learned, checked = Watched(frames), Watched(validation)
    words = {"config": CONFIG, "epochs": 3, "seed": 0, "recipe": RECIPE, "threads": 1}
    dense = train(frames, TRAIN[1], validation, VALIDATION[1], **words)
    found = train(learned, TRAIN[1], checked, VALIDATION[1], **words, resume=tmp_path / "checkpoint.pt")
    assert _weights(found) == _weights(dense)
    assert _timeless(found) == _timeless(dense)
    run = found.run(checked, batch_size=16)
    assert np.array_equal(run.readout, dense.run(validation, batch_size=16).readout)
    assert (learned.most, checked.most) == (16, 16)


def test_data_are_told_apart_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = TRAIN[0]
    whole = fingerprint((frames, TRAIN[1]), ())
    monkeypatch.setattr(neuro.training.frames, "PART_SIZE", 7)
    assert fingerprint((Watched(frames), TRAIN[1]), ()) == whole
    other = frames.copy()
    other[-1, -1, -1, -1, -1] += 1
    assert fingerprint((Watched(other), TRAIN[1]), ()) != whole


def test_a_wrong_count_is_found_in_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuro.training.frames, "PART_SIZE", 7)
    frames = _with(TRAIN[0], (30, 1, 0, 2, 2), 0.5)
    with pytest.raises(InputError, match=r"training: frames\[30, 1, 0, 2, 2\] = 0.5 is not a count"):
        train(Watched(frames), TRAIN[1], *VALIDATION, config=CONFIG, epochs=1, seed=0)


def test_a_loss_at_every_step_trains_another_network() -> None:
    frames, labels = _bars(30, 1)

    def weights(every_step_weight: float) -> bytes:
        recipe = replace(RECIPE, every_step_weight=every_step_weight)
        trained = train(frames, labels, frames, labels, config=CONFIG, epochs=3, seed=0, recipe=recipe)
        return trained.network.output.weight.detach().numpy().tobytes()

    assert weights(0.8) != weights(0.0)
    assert weights(0.8) == weights(0.8)


def test_the_losses_are_the_stated_ones() -> None:
    membranes = torch.tensor(np.random.default_rng(0).normal(0, 1, (4, 5, 3)), dtype=torch.float32)
    labels = torch.tensor([0, 1, 2, 0, 1])
    recipe = replace(RECIPE, every_step_weight=0.25, label_smoothing=0.0)
    logits, loss, total = _losses(membranes, labels, recipe=recipe)
    running = membranes.double().cumsum(0)
    negative = -torch.log_softmax(running, 2)[:, torch.arange(5), labels]
    # float32 sums of 4 values below 8 and a mean of 20 logarithms: below 64 roundings of values below 8
    bound = 64 * 8 * 2.0**-24
    assert abs(loss.item() - negative[-1].mean().item()) < bound
    assert abs(total.item() - (0.75 * negative[-1].mean() + 0.25 * negative.mean()).item()) < bound
    assert torch.equal(logits, torch.cumsum(membranes, 0)[-1])
    plain = _losses(membranes, labels, recipe=replace(recipe, every_step_weight=0.0))
    assert torch.equal(plain[1], plain[2])


def test_scores_weighted_by_events_let_fewer_events_through() -> None:
    frames, labels = _bars(90, 1)

    def events_under_high_scores(by_events: bool) -> float:
        recipe = replace(RECIPE, by_events=by_events, mean_score=0.2, score_weight=20.0)
        trained = train(frames, labels, frames, labels, config=CONFIG, epochs=4, seed=0, recipe=recipe)
        scores = trained.run(frames).scores
        assert scores is not None
        events = frames.sum(axis=(2, 3, 4))
        return float((scores * events).sum() / events.sum())

    assert events_under_high_scores(True) < events_under_high_scores(False)
