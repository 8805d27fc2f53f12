"""The emulated digits and folders of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import eventio
from eventio.datasets import handwritten
from eventio.datasets.saccades import make_projection, make_saccade_path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def held_out(cache: Path) -> eventio.datasets.Collection:
    return eventio.datasets.digits("test", cache_dir=cache)


def test_the_parts_are_stratified_and_disjoint() -> None:
    from sklearn.datasets import load_digits

    labels = load_digits().target
    for seed in (0, 1):
        parts = handwritten.split_indices(labels, seed)
        assert {name: len(part) for name, part in parts.items()} == {
            "train": 1077,
            "validation": 360,
            "test": 360,
        }
        assert sorted(index for part in parts.values() for index in part) == list(range(1797))
        for part in parts.values():
            shares = np.bincount(labels[part], minlength=10) / len(part)
            assert np.abs(shares - np.bincount(labels) / 1797).max() < 0.005
    assert handwritten.split_indices(labels, 0) != handwritten.split_indices(labels, 1)


def test_only_the_recordings_of_the_part_are_made(cache: Path, held_out: eventio.datasets.Collection) -> None:
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(sample.path for sample in held_out.samples)
    assert len(files) == len(held_out) == 360
    assert (held_out.width, held_out.height) == (34, 34)
    assert held_out.class_names == tuple("0123456789")


def test_only_missing_recordings_are_made_again_and_alike(
    cache: Path, held_out: eventio.datasets.Collection
) -> None:
    victim, damaged = held_out.samples[5].path, held_out.samples[7].path
    before, whole = victim.read_bytes(), damaged.read_bytes()
    victim.unlink()
    damaged.write_bytes(whole[:-1])
    calls: list[tuple[int, int]] = []
    again = eventio.datasets.digits("test", cache_dir=cache, on_progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]
    assert again == held_out
    assert victim.read_bytes() == before
    assert damaged.read_bytes() == whole


def test_an_interrupted_run_leaves_whole_recordings_only(tmp_path: Path) -> None:
    def interrupt(n_done: int, n_all: int) -> None:
        if n_done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventio.datasets.digits("test", cache_dir=tmp_path, on_progress=interrupt)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        assert not eventio.read(path).is_damaged


def test_recordings_look_like_those_of_the_real_sensor(held_out: eventio.datasets.Collection) -> None:
    recordings = [eventio.read(sample.path) for sample in held_out.samples[:40]]
    counts = np.array([len(recording) for recording in recordings])
    assert ((counts > 1500) & (counts < 5000)).all()
    for recording in recordings:
        assert (recording.width, recording.height, recording.is_damaged) == (34, 34, False)
        assert 0.4 < recording.p.mean() < 0.6
        assert 280_000 < recording.t[-1] <= 300_000
    rate = np.histogram(np.concatenate([recording.t for recording in recordings]), np.arange(31) * 10_000)[0]
    lulls, peaks = rate[[0, 9, 10, 19, 20, 29]], rate[[4, 5, 14, 15, 24, 25]]
    assert lulls.max() < 0.2 * peaks.min()


def test_the_cache_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path))
    assert handwritten.find_cache_dir(None) == tmp_path
    assert handwritten.find_cache_dir("here") == Path("here")
    monkeypatch.delenv("SPIKELOOM_CACHE")
    assert handwritten.find_cache_dir(None).name == "spikeloom"


def test_an_unknown_part_and_an_unwritable_cache(tmp_path: Path) -> None:
    with pytest.raises(eventio.ArgumentError, match="train, validation, test, got 'all'"):
        eventio.datasets.digits("all", cache_dir=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(eventio.FileAccessError, match="SPIKELOOM_CACHE"):
        eventio.datasets.digits("test", cache_dir=tmp_path / "file")


def test_the_digit_fills_the_sensor_and_stays_on_it() -> None:
    _, shifts = make_saccade_path()
    for axis in (0, 1):
        shown = make_projection(shifts[:, axis], n_cells=8, n_pixels=34, cell_pixels=3.2)
        assert set((shown.sum(2) >= 0.5).sum(1)) <= {25, 26}
        # every cell is seen whole: its brightest pixel is nearly as bright as the cell
        assert shown.max(1).min() > 0.84


def make_folder(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(5))
    return root


def test_a_folder_is_a_collection(tmp_path: Path) -> None:
    make_folder(tmp_path, ["b/2.bin", "b/1.bin", "a/x.bin", ".git/x.bin", "a/.hidden", "README.txt"])
    collection = eventio.datasets.folder(tmp_path, name="mine")
    assert collection.name == "mine"
    assert collection.class_names == ("a", "b")
    found = [(sample.path.relative_to(tmp_path).as_posix(), sample.label) for sample in collection.samples]
    assert found == [("a/x.bin", 0), ("b/1.bin", 1), ("b/2.bin", 1)]
    assert (collection.width, collection.labels, len(collection)) == (None, (0, 1, 1), 3)
    assert eventio.datasets.folder(tmp_path).name == tmp_path.name


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["readme.txt"], "holds no class folder"),
        (["a/1.bin", "2.bin"], r"2\.bin: this recording lies in no class folder"),
        (["Train/0/1.bin", "Test/0/1.bin"], "is a folder where a recording should be"),
        (["a/.hidden"], "this class folder holds no recording"),
    ],
)
def test_folders_of_another_form(tmp_path: Path, names: list[str], text: str) -> None:
    with pytest.raises(eventio.FormatError, match=text):
        eventio.datasets.folder(make_folder(tmp_path, names))


def test_a_missing_folder_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(eventio.MissingFileError, match="no such folder"):
        eventio.datasets.folder(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(eventio.FileAccessError, match="is a file"):
        eventio.datasets.folder(tmp_path / "file")


def test_labels_name_classes() -> None:
    sample = eventio.datasets.Sample(path=Path("a"), label=2)
    with pytest.raises(eventio.ArgumentError, match="label 2 names none of the 2 classes"):
        eventio.datasets.Collection(name="c", class_names=("a", "b"), samples=(sample,))
