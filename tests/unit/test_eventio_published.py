"""Published collections from local folders: layouts, labels, splits, refusals; the cache under several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import eventio
from eventio import datasets

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, *, k: int = 0, format: str = "nmnist", side: int = 34) -> Path:
    """A small recording whose first event lies at (k, 1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    events = eventio.make_events(t=[5, 90, 4000], x=[k, 2, 3], y=[1, 2, 3], p=[1, 0, 1])
    eventio.write(path, eventio.Recording(events, width=side, height=side), format=format)
    return path


def test_nmnist_has_two_parts_and_ten_digits(tmp_path: Path) -> None:
    for part, label in (("Train", "3"), ("Train", "0"), ("Test", "9")):
        write(tmp_path / part / label / "1.bin", k=int(label))
    train = datasets.nmnist(tmp_path, "train")
    assert (train.labels, train.class_names, train.width) == ((0, 3), tuple("0123456789"), 34)
    assert train.read(1).x[0] == 3
    assert datasets.nmnist(tmp_path, "test").labels == (9,)


def test_nmnist_of_the_real_files(data_dir: Path) -> None:
    assert len(datasets.nmnist(data_dir / "nmnist_subset", "train")) == 904
    test = datasets.nmnist(data_dir / "nmnist_subset", "test")
    assert len(test) == 100
    assert len(test.read(0)) > 1000


def test_ncaltech101_with_and_without_its_inner_folder(tmp_path: Path) -> None:
    write(tmp_path / "Caltech101" / "ant" / "image_0001.bin")
    write(tmp_path / "Caltech101" / "bass" / "image_0001.bin")
    for root in (tmp_path, tmp_path / "Caltech101"):
        found = datasets.ncaltech101(root)
        assert (found.class_names, found.labels) == (("ant", "bass"), (0, 1))
        assert found.read(0).metadata.is_size_derived


def test_ncars_by_either_name(tmp_path: Path) -> None:
    write(tmp_path / "n-cars_train" / "cars" / "obj_1_td.dat", format="dat")
    write(tmp_path / "test" / "background" / "obj_2_td.dat", format="dat")
    assert datasets.ncars(tmp_path, "train").labels == (1,)
    found = datasets.ncars(tmp_path, "test")
    assert (found.labels, found.read(0).width, found.read(0).height) == ((0,), 120, 100)


def test_ncars_of_a_real_file(data_dir: Path, tmp_path: Path) -> None:
    place = tmp_path / "n-cars_test" / "cars"
    place.mkdir(parents=True)
    (place / "obj_004397_td.dat").symlink_to(data_dir / "loris_samples" / "NCARS_obj_004397_td.dat")
    assert len(datasets.ncars(tmp_path, "test").read(0)) == 4407


def test_cifar10_dvs_reads_files_without_a_chip(tmp_path: Path) -> None:
    write(tmp_path / "frog" / "cifar10_frog_0.aedat", format="aedat2-dvs128", side=128)
    found = datasets.cifar10_dvs(tmp_path)
    assert found.class_names[found.labels[0]] == "frog"
    assert (found.read(0).x.tolist(), found.read(0).width) == ([0, 2, 3], 128)


def test_dvs_sign_counts_gestures_as_numbers(tmp_path: Path) -> None:
    for label in ("0", "10", "2"):
        write(tmp_path / "train" / label / "0.csv", k=int(label), format="csv", side=128)
    found = datasets.dvs_sign(tmp_path, "train")
    assert (found.class_names, found.labels) == (("0", "2", "10"), (0, 1, 2))
    assert [int(found.read(k).x[0]) for k in range(3)] == [0, 2, 10]


def test_asl_dvs_is_turned(tmp_path: Path) -> None:
    write(tmp_path / "b" / "b_0001.mat", format="mat", side=180)
    found = datasets.asl_dvs(tmp_path)
    assert found.class_names[found.labels[0]] == "b"
    assert (found.read(0).y.tolist(), found.read(0).height) == ([178, 177, 176], 180)


def gesture_folder(
    root: Path, *, labels: str = "class,startTime_usec,endTime_usec\n2,0,91\n11,90,5000\n"
) -> Path:
    root.mkdir(exist_ok=True)
    write(root / "user01_led.aedat", format="aedat2-dvs128", side=128)
    (root / "user01_led_labels.csv").write_text(labels)
    (root / "trials_to_train.txt").write_text("user01_led.aedat\n\n")
    (root / "trials_to_test.txt").write_text("user24_led.aedat\n")
    return root


def test_gestures_are_parts_of_recordings(tmp_path: Path) -> None:
    found = datasets.dvs_gesture(gesture_folder(tmp_path), "train")
    assert (found.labels, len(found.class_names)) == ((1, 10), 11)
    samples = [datasets.Sample(each.path, each.label, "aedat2-dvs128", each.start_us, each.stop_us)
               for each in found.samples]  # fmt: skip
    parts = [datasets.read_sample(each, width=128, height=128).t.tolist() for each in samples]
    assert parts == [[5, 90], [90, 4000]]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("", "must begin with the line class,startTime_usec,endTime_usec"),
        ("class,startTime_usec,endTime_usec\n12,0,5\n", r"line 2 must hold a class in 1\.\.11"),
        ("class,startTime_usec,endTime_usec\n1,5,5\n", "line 2 must hold a class"),
        ("class,startTime_usec,endTime_usec\n1,x,5\n", "line 2 must hold three whole numbers"),
    ],
)
def test_bad_annotations(tmp_path: Path, labels: str, text: str) -> None:
    with pytest.raises(eventio.FormatError, match=text):
        datasets.dvs_gesture(gesture_folder(tmp_path, labels=labels), "train")


def words(path: Path, *, units: int = 699, n_labels: int = 3) -> Path:
    with h5py.File(path, "w") as file:
        kinds = {"times": h5py.vlen_dtype(np.float16), "units": h5py.vlen_dtype(np.uint16)}
        for name, kind in kinds.items():
            file.create_dataset(f"spikes/{name}", (3,), dtype=kind)
        for k in range(3):
            file["spikes/times"][k] = np.array([0.25, 0.5], np.float16)[: k + 1]
            file["spikes/units"][k] = np.array([k, units], np.uint16)[: k + 1]
        file["labels"] = np.arange(n_labels)[::-1]
        file["extra/keys"] = np.array([b"null", b"eins", b"zwei"])
    return path


def test_spoken_words(tmp_path: Path) -> None:
    words(tmp_path / "shd_train.h5")
    words(tmp_path / "ssc_valid.h5")
    found = datasets.shd(tmp_path, "train")
    assert (found.labels, found.class_names) == ((2, 1, 0), ("null", "eins", "zwei"))
    word = found.read(1)
    assert (word.t.tolist(), word.x.tolist(), word.width, word.height) == (
        [250_000, 500_000],
        [1, 699],
        700,
        1,
    )
    assert datasets.ssc(tmp_path, "validation").read(0).t.tolist() == [250_000]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda root: datasets.nmnist(root, "all"), eventio.ArgumentError, "one of train, test"),
        (lambda root: datasets.nmnist(root, "train"), eventio.MissingFileError, "holds no folder Train"),
        (lambda root: datasets.ncars(root, "test"), eventio.MissingFileError, "n-cars_test or test"),
        (lambda root: datasets.dvs_gesture(root, "train"), eventio.MissingFileError, "trials_to_train.txt"),
        (
            lambda root: datasets.dvs_gesture(gesture_folder(root), "test"),
            eventio.MissingFileError,
            "user24_led.aedat: is named in trials_to_test.txt",
        ),
        (lambda root: datasets.shd(root, "train"), eventio.MissingFileError, "gunzip"),
        (lambda root: datasets.cifar10_dvs(write(root / "cow" / "a.bin").parents[1]), eventio.FormatError,
         "is no class of cifar10-dvs; its folders are airplane"),
        (lambda root: datasets.shd(words(root / "shd_test.h5", units=700).parent, "test").read(1),
         eventio.FormatError, "word 1 has channel 700"),
        (lambda root: datasets.shd(words(root / "shd_test.h5", n_labels=2).parent, "test"),
         eventio.FormatError, "must be as many"),
        (lambda root: datasets.shd((root / "shd_test.h5").write_text("no") and root, "test"),
         eventio.FormatError, "no file of spikes"),
        (lambda root: datasets.read_sample(datasets.Sample(write(root / "a.bin"), 0, stop_us=2)),
         eventio.FormatError, "holds no event from"),
        (lambda root: datasets.recording_from_tonic(np.zeros((3, 4)), (3, 3, 2)), eventio.ArgumentError,
         "fields t, x, y and p"),
    ],
)  # fmt: skip
def test_bad_folders(
    tmp_path: Path, call: Callable[[Path], object], kind: type[eventio.EventioError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        call(tmp_path)


def read_all(collection: datasets.Collection) -> int:
    return sum(len(collection.read(k)) for k in range(len(collection)))


@pytest.mark.parametrize("n_rounds", [8, pytest.param(120, marks=pytest.mark.slow)])
def test_damaged_words_are_refused_or_read(tmp_path: Path, n_rounds: int) -> None:
    # the library itself crashes or never returns on some of these, and so it runs in a process of its own
    path = words(tmp_path / "shd_train.h5")
    data = path.read_bytes()
    rng = np.random.default_rng(3)
    for number in range(n_rounds):
        broken = bytearray(data)
        if number % 3 == 0:
            del broken[int(rng.integers(1, len(data))) :]
        for at in rng.integers(0, len(broken), 8):
            broken[at] = int(rng.integers(256))
        path.write_bytes(broken)
        try:
            refusal = "shd_train.h5" * (read_all(datasets.shd(tmp_path, "train")) >= 0)
        except eventio.EventioError as error:
            refusal = str(error)
        assert "shd_train.h5" in refusal


def test_a_changed_file_of_words_is_read_anew(tmp_path: Path) -> None:
    words(tmp_path / "shd_train.h5", units=699)
    assert datasets.shd(tmp_path, "train").read(1).x.tolist() == [1, 699]
    words(tmp_path / "shd_train.h5", units=42)
    assert datasets.shd(tmp_path, "train").read(1).x.tolist() == [1, 42]


def test_samples_of_tonic() -> None:
    kind = [("x", "i2"), ("y", "i2"), ("p", "?"), ("t", "f8")]
    events = np.array([(1, 2, True, 0.5), (3, 0, False, 1.25)], kind)
    found = datasets.recording_from_tonic(events, (4, 3, 2), unit_us=1e6)
    assert found.events.tolist() == [(500_000, 1, 2, True), (1_250_000, 3, 0, False)]
    spoken = np.array([(7, 600, 1)], [("t", "i8"), ("x", "i8"), ("p", "i8")])
    assert datasets.recording_from_tonic(spoken, (700, 1, 1)).events.tolist() == [(7, 600, 0, True)]


def some(tmp_path: Path, n: int = 3) -> datasets.Collection:
    samples = tuple(datasets.Sample(write(tmp_path / f"{k}.bin", k=k), 0) for k in range(n))
    return datasets.Collection("some", ("a",), samples, 34, 34)


def columns(recording: eventio.Recording) -> np.ndarray:
    return recording.x.astype(np.float32)


def test_the_cache_knows_content_part_and_parameters(tmp_path: Path) -> None:
    collection = some(tmp_path)
    cache = datasets.SampleCache(tmp_path / "cache")

    def get(k: int = 0, name: str = "x", **parameters: object) -> list[float]:
        return cache.get(collection, k, name, columns, parameters=parameters).tolist()  # type: ignore[no-any-return]

    assert [get(), get(), get(1), get(1)] == [[0, 2, 3], [0, 2, 3], [1, 2, 3], [1, 2, 3]]
    assert cache.n_made == 2
    get(name="other")
    get(a=1)
    get(a=[1, None, "b", 0.5])
    assert cache.n_made == 5
    write(tmp_path / "0.bin", k=9)  # the same name and size, other events
    os.utime(tmp_path / "0.bin", ns=(1, 1))
    assert get() == [9, 2, 3]
    write(tmp_path / "0.bin", k=0)
    assert get() == [0, 2, 3]
    assert cache.n_made == 6  # found again by its content


def test_damaged_entries_are_made_again(tmp_path: Path) -> None:
    collection, cache = some(tmp_path), datasets.SampleCache(tmp_path / "cache")
    cache.get(collection, 0, "x", columns)
    (entry,) = (tmp_path / "cache").rglob("*.npy")
    for content in (b"", entry.read_bytes()[:-1], b"rubbish"):
        entry.write_bytes(content)
        assert cache.get(collection, 0, "x", columns).tolist() == [0, 2, 3]
    assert cache.n_made == 4


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    collection, cache = some(tmp_path), datasets.SampleCache(tmp_path / "cache")
    with pytest.raises(eventio.ArgumentError, match="parameters must be"):
        cache.get(collection, 0, "x", columns, parameters={"a": object()})
    with pytest.raises(eventio.ArgumentError, match="array of numbers"):
        cache.get(collection, 0, "x", lambda recording: np.array([recording], dtype=object))
    with pytest.raises(eventio.ArgumentError, match=r"0\.\.2, got 3"):
        cache.get(collection, 3, "x", columns)
    (tmp_path / "file").write_text("")
    with pytest.raises(eventio.FileAccessError, match="cannot be made"):
        datasets.SampleCache(tmp_path / "file" / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


WORKER = """
import sys
from pathlib import Path
import numpy as np
from eventio.datasets import Collection, Sample, SampleCache
root = Path(sys.argv[1])
samples = tuple(Sample(root / f"{k}.bin", 0) for k in range(12))
cache = SampleCache(root / "cache")
for turn in range(3):
    for k in range(12):
        found = cache.get(Collection("some", ("a",), samples, 34, 34), k, "x", lambda r: np.repeat(r.x, 20_000))
        assert found.shape == (60_000,) and found[0] == k, (k, found[:3])
print(cache.n_made)
"""


def test_processes_share_a_cache(tmp_path: Path) -> None:
    some(tmp_path, 12)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, tmp_path], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for _ in range(3)
    ]  # fmt: skip
    made = [int(process.communicate(timeout=300)[0]) for process in running]
    assert all(process.returncode == 0 for process in running)
    assert sum(made) >= 12
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(left) == 12
    assert all(path.suffix == ".npy" for path in left)
