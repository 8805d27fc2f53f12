"""Evaluating a collection: labels by name, totals, confusions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eventio.datasets import Collection, Sample
from spikeloom import UserError, evaluate
from spikeloom.datasets import evaluation_part, split, training_parts
from spikeloom.report.page import wilson_interval
from tests.app_models import SIDE, small_recognizer, write_folder, write_recording


def test_totals_confusion_and_progress(tmp_path: Path) -> None:
    recognizer = small_recognizer()
    collection = evaluation_part(str(write_folder(tmp_path / "set")), data=None)
    calls: list[tuple[int, int]] = []
    evaluation = evaluate(recognizer, collection, on_progress=lambda done, n: calls.append((done, n)))
    alone = [recognizer.recognize(sample.path) for sample in collection.samples]
    names = [collection.class_names[sample.label] for sample in collection.samples]
    assert calls == [(n, 9) for n in range(1, 10)]
    assert [d.label for d in evaluation.decisions] == [d.label for d in alone]
    assert evaluation.accuracy == np.mean([d.label == name for d, name in zip(alone, names, strict=True)])
    assert evaluation.frames_kept == sum(d.frames_kept for d in alone) / (9 * 8)
    assert evaluation.events_kept == sum(d.events_kept for d in alone) / (9 * 600)
    assert evaluation.synaptic_operations == sum(d.synaptic_operations for d in alone)
    assert evaluation.confusion.sum() == 9
    assert evaluation.confusion.trace() == round(9 * evaluation.accuracy)
    assert evaluation.confusion[:3].sum() == 9
    found = evaluation.to_json()
    assert {
        "accuracy",
        "recordings",
        "frames_kept",
        "events_kept",
        "synaptic_operations",
        "synaptic_operations_without_attention",
        "seconds_per_recording",
    } <= set(found)


def test_labels_go_by_name_not_by_position(tmp_path: Path) -> None:
    recognizer = small_recognizer()
    path = write_recording(tmp_path / "a.bin")
    label = recognizer.recognize(path).label
    collection = Collection("one", (label,), (Sample(path, 0),), SIDE, SIDE)
    assert evaluate(recognizer, collection).accuracy == 1.0


def test_an_empty_collection_is_refused() -> None:
    with pytest.raises(UserError, match="holds no recordings"):
        evaluate(small_recognizer(), Collection("none", ("0",), (), SIDE, SIDE))


def test_the_split_is_stratified_complete_and_follows_the_seed() -> None:
    samples = tuple(Sample(Path(f"{n}"), n % 3) for n in range(300))
    whole = Collection("toy", ("a", "b", "c"), samples, SIDE, SIDE)
    first, second = split(whole, share=0.11, seed=1)
    assert [sum(s.label == k for s in second.samples) for k in range(3)] == [11, 11, 11]
    assert set(first.samples) | set(second.samples) == set(samples)
    assert not set(first.samples) & set(second.samples)
    assert split(whole, share=0.11, seed=1)[1] == second
    assert split(whole, share=0.11, seed=2)[1] != second


def test_nmnist_trains_on_train_only(tmp_path: Path) -> None:
    write_folder(tmp_path / "Train", per_class=5)
    write_folder(tmp_path / "Test", per_class=2)
    training, validation = training_parts("nmnist", data=tmp_path, seed=0)
    seen = [sample.path for sample in training.samples + validation.samples]
    assert len(seen) == 15
    assert all(path.is_relative_to(tmp_path / "Train") for path in seen)
    assert (training.width, training.height) == (34, 34)
    assert len(validation.samples) == 3


def test_a_class_with_one_recording_cannot_be_split(tmp_path: Path) -> None:
    write_folder(tmp_path, per_class=1, labels=("a", "b"))
    with pytest.raises(UserError, match=r"class 'a' has too few recordings \(1\); training needs at least 2"):
        training_parts(str(tmp_path), data=None, seed=0)


def test_the_interval_of_a_proportion_stays_inside() -> None:
    assert wilson_interval(0, 10)[0] == pytest.approx(0.0, abs=1e-15)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0, abs=1e-15)
