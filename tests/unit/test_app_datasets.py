"""What DATASET stands for: every published layout, its parts, what is read of its files, and folders that are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

import eventio
from eventio.datasets import SampleCache
from spikeloom import DamagedRecordingError, DamagePolicy, Encoding, UserError, evaluate
from spikeloom.datasets import evaluation_part, has_test_part, training_parts
from spikeloom.frame_sets import Loading, choose_encoding, load_frames
from spikeloom.layouts import LAYOUTS, recognise_layout
from spikeloom.recordings import excerpts, windows
from tests.app_models import random_events, small_recognizer, write_folder

GESTURES = "class,startTime_usec,endTime_usec\n"


def write(path: Path, *, seed: int, format: str, side: int = 30, start_us: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    events = random_events(60, side=side, seed=seed, start_us=start_us)
    eventio.write(path, eventio.Recording(events, width=side, height=side), format=format)
    return path


def labelled(root: Path, labels: Sequence[str], files: tuple[int, str, str], *, side: int = 30) -> None:
    n, suffix, format = files
    for position, label in enumerate(labels):
        for k in range(n):
            write(root / label / f"r{k}{suffix}", seed=10 * position + k, format=format, side=side)


def nmnist(root: Path) -> None:
    labelled(root / "Train", ["0", "1"], (3, ".bin", "nmnist"))
    labelled(root / "Test", ["0", "1"], (1, ".bin", "nmnist"))


def ncaltech101(root: Path) -> None:
    labelled(root / "Caltech101", ["ant", "bass"], (4, ".bin", "nmnist"))


def ncars(root: Path) -> None:
    for part, n in (("n-cars_train", 3), ("n-cars_test", 1)):
        labelled(root / part, ["background", "cars"], (n, ".dat", "dat"))


def cifar10_dvs(root: Path) -> None:
    labelled(root, eventio.datasets.published.CIFAR10_CLASSES, (4, ".aedat", "aedat2-dvs128"), side=128)


def gesture(root: Path) -> None:
    for part, users in (("train", ("01", "02")), ("test", ("24",))):
        for user in users:
            events = random_events(400, side=128, seed=int(user), duration_us=400_000)
            path = root / f"user{user}_led.aedat"
            path.parent.mkdir(parents=True, exist_ok=True)
            eventio.write(path, eventio.Recording(events, width=128, height=128), format="aedat3")
            lines = "1,0,100000\n2,100000,250000\n1,250000,300000\n"
            path.with_name(f"{path.stem}_labels.csv").write_text(GESTURES + lines)
        names = "\n".join(f"user{user}_led.aedat" for user in users)
        (root / f"trials_to_{part}.txt").write_text(names)


def dvs_sign(root: Path) -> None:
    for part, n in (("train", 3), ("test", 1)):
        labelled(root / part, ["0", "2", "10"], (n, ".csv", "csv"), side=128)


def asl_dvs(root: Path) -> None:
    labelled(root, eventio.datasets.published.LETTERS, (4, ".mat", "mat"), side=180)


def words(path: Path, n: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(n)
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (n,), dtype=h5py.vlen_dtype(kind))
        for k in range(n):
            file["spikes/times"][k] = np.sort(rng.random(20)).astype(np.float16)
            file["spikes/units"][k] = rng.integers(0, 700, 20).astype(np.uint16)
        file["labels"] = np.arange(n) % 2
        file["extra/keys"] = np.array([b"eins", b"zwei"])


def shd(root: Path) -> None:
    words(root / "shd_train.h5", 8)
    words(root / "shd_test.h5", 3)


def ssc(root: Path) -> None:
    for part, n in (("train", 8), ("valid", 4), ("test", 3)):
        words(root / f"ssc_{part}.h5", n)


#: Writer, recordings to train and validate with, test recordings, classes, sensor.
SETS: dict[str, tuple[Callable[[Path], None], tuple[int, int, int], int, tuple[int, int]]] = {
    "nmnist": (nmnist, (4, 2, 2), 2, (34, 34)),
    "ncaltech101": (ncaltech101, (4, 2, 2), 2, (240, 180)),
    "ncars": (ncars, (4, 2, 2), 2, (120, 100)),
    "cifar10_dvs": (cifar10_dvs, (20, 10, 10), 10, (128, 128)),
    "dvs_gesture": (gesture, (4, 2, 3), 2, (128, 128)),
    "dvs_sign": (dvs_sign, (6, 3, 3), 3, (128, 128)),
    "asl_dvs": (asl_dvs, (48, 24, 24), 24, (240, 180)),
    "shd": (shd, (6, 2, 3), 2, (700, 1)),
    "ssc": (ssc, (8, 4, 3), 2, (700, 1)),
}


def test_every_layout_is_tested() -> None:
    assert set(SETS) == {layout.name for layout in LAYOUTS}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    for name, (make, *_) in SETS.items():
        make(root / name)
    return root


@pytest.mark.parametrize("name", SETS)
def test_a_layout_by_name_and_by_its_folder(sets: Path, name: str) -> None:
    _, sizes, n_classes, sensor = SETS[name]
    for dataset, data in ((name, sets / name), (str(sets / name), None)):
        parts = (*training_parts(dataset, data=data, seed=1), evaluation_part(dataset, data=data))
        assert tuple(len(part) for part in parts) == sizes
        assert {(part.width, part.height) for part in parts} == {sensor}
        assert {len(part.class_names) for part in parts} == {n_classes}
        seen = [excerpt for part in parts for excerpt in excerpts(part)]
        assert len(set(seen)) == len(seen)
        assert has_test_part(dataset, data=data)


@pytest.mark.parametrize("name", SETS)
def test_its_recordings_become_frames_alike_from_the_cache(sets: Path, name: str, tmp_path: Path) -> None:
    training, _ = training_parts(name, data=sets / name, seed=0)
    training = eventio.datasets.Collection(
        name, training.class_names, training.samples[:3], training.width, training.height
    )
    plain = load_frames(training, Encoding(*SETS[name][3], 4, 100_000))
    cache = SampleCache(tmp_path)
    for n_made in (3, 3):
        kept = load_frames(training, Encoding(*SETS[name][3], 4, 100_000), loading=Loading(cache=cache))
        assert cache.n_made == n_made
        assert np.array_equal(plain.frames[:], kept.frames[:])
        assert plain.frames.dtype == kept.frames.dtype
        assert np.array_equal(plain.owners, kept.owners)
        assert np.array_equal(plain.labels, kept.labels)
    counted = plain.frames[:].reshape(len(plain.frames), -1).sum(axis=1, dtype=np.int64)
    expected = [len(training.read(k)) for k in range(3)]
    assert np.bincount(plain.owners, weights=counted).tolist() == expected


def test_a_gesture_is_the_part_of_its_annotation(sets: Path) -> None:
    part = evaluation_part("dvs-gesture", data=sets / "dvs_gesture")
    times = [
        np.concatenate([w.events["t"] for w in windows(e, width=128, height=128, window_us=50_000)])
        for e in excerpts(part)
    ]
    ends = [(0, 100_000), (100_000, 250_000), (250_000, 300_000)]
    assert all(low <= t[0] and t[-1] < high for t, (low, high) in zip(times, ends, strict=True))
    whole = eventio.read(part.samples[0].path)
    assert sum(len(t) for t in times) == int((whole.t < 300_000).sum())
    encoding = choose_encoding(part, bin_us=15_000, filter_window_us=0)
    assert encoding.n_frames == 10  # the longest annotation, 150 ms


def test_gestures_and_words_are_evaluated_one_by_one(sets: Path) -> None:
    for name, sensor in (("dvs_gesture", (128, 128)), ("shd", (700, 1))):
        part = evaluation_part(name, data=sets / name)
        recognizer = small_recognizer(width=sensor[0], height=sensor[1], class_names=part.class_names)
        found = evaluate(recognizer, part)
        assert [d.events for d in found.decisions] == [len(part.read(k)) for k in range(3)]
        assert found.labels == part.labels


def test_the_drawn_test_part_is_the_same_for_every_seed(sets: Path) -> None:
    data = sets / "cifar10_dvs"
    test = {sample.path for sample in evaluation_part("cifar10_dvs", data=data).samples}
    for seed in (0, 1):
        parts = training_parts("cifar10_dvs", data=data, seed=seed)
        assert not test & {sample.path for part in parts for sample in part.samples}


def test_a_window_stays_when_the_filter_leaves_nothing_of_it(tmp_path: Path) -> None:
    events = eventio.make_events(t=[0, 150_000, 150_001], x=[0, 5, 6], y=[0, 5, 5], p=[1, 1, 1])
    eventio.write(tmp_path / "a.bin", eventio.Recording(events, width=34, height=34))
    one = eventio.datasets.Collection("one", ("a",), (eventio.datasets.Sample(tmp_path / "a.bin", 0),))
    found = load_frames(one, Encoding(34, 34, 1, 100_000, filter_window_us=1000))
    assert found.frames[:].sum(axis=(1, 2, 3, 4)).tolist() == [0, 1]
    assert found.owners.tolist() == [0, 0]


def test_damage_is_refused_from_the_cache_too(sets: Path, tmp_path: Path) -> None:
    for k, label in enumerate(("ant", "bass")):
        path = write(tmp_path / "Caltech101" / label / "r.bin", seed=k, format="nmnist")
        path.write_bytes(path.read_bytes()[:-2])
    part = eventio.datasets.ncaltech101(tmp_path)
    encoding = Encoding(34, 34, 4, 100_000)
    cache = SampleCache(tmp_path / "cache")
    for loading in (Loading(), Loading(cache=cache), Loading(cache=cache)):
        with pytest.raises(DamagedRecordingError, match=r"r\.bin: damaged recording"):
            load_frames(part, encoding, loading=loading)
    with pytest.warns(eventio.DamagedRecordingWarning, match="used the valid beginning only"):
        load_frames(part, encoding, loading=Loading(DamagePolicy(allow_damaged=True), cache))
    assert cache.n_made == 0


def test_a_folder_of_ones_own_has_no_layout(tmp_path: Path) -> None:
    write_folder(tmp_path / "own")
    assert recognise_layout(tmp_path / "own") is None
    assert not has_test_part(str(tmp_path / "own"), data=None)


@pytest.mark.parametrize("names", [(), ("train/cup/a.bin", "test/cup/a.bin"), ("a/b/c/d.bin",)])
def test_other_folders_are_refused_with_what_they_hold(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write(tmp_path / name, seed=0, format="nmnist")
    first = "train" if len(names) == 2 else "a" if names else "nothing"
    with pytest.raises(
        UserError, match=rf"not recognised as a data set; it holds {first}|it holds test"
    ) as error:
        training_parts(str(tmp_path), data=None, seed=0)
    for layout in LAYOUTS:
        assert layout.holds in str(error.value)


def test_names_want_their_folder(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"shd: say where the recordings are, --data DIR; DIR holds shd_train\.h5"
    ):
        evaluation_part("shd", data=None)
    with pytest.raises(eventio.MissingFileError, match=r"shd_test\.h5: there is no such file"):
        evaluation_part("shd", data=tmp_path)
