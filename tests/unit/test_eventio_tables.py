"""NumPy archives, MATLAB and HDF5 files: which arrays are the events, what others see of ours, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

import eventio
from eventio.companions import EXPOSURE_DTYPE
from tests.event_tables import NAMES, SAVERS, Save, columns, make_recording, save_h5, save_mat, save_npz


@pytest.mark.parametrize("name", NAMES)
def test_slow_and_coarse_recordings_are_read_again(tmp_path: Path, name: str) -> None:
    events = eventio.make_events(t=np.arange(20) * 10**8, x=[1] * 20, y=[2] * 20, p=[1] * 20)
    recording = eventio.Recording(events, width=1280, height=720)
    eventio.write(tmp_path / name, recording)
    np.testing.assert_array_equal(eventio.read(tmp_path / name).events, events)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_events", [1, 150_000])
def test_written_files_are_read_again(tmp_path: Path, name: str, n_events: int) -> None:
    recording = make_recording(n_events)
    eventio.write(tmp_path / name, recording)
    again = eventio.read(tmp_path / name)
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.height, again.metadata.is_size_derived) == (1280, 720, False)
    with eventio.open(tmp_path / name) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.chunks(n_events=999))), recording.events)


def read_npz(path: Path) -> dict[str, Any]:
    return dict(np.load(path, allow_pickle=False))


def read_mat(path: Path) -> dict[str, Any]:
    content = scipy.io.loadmat(path, squeeze_me=True, simplify_cells=True)
    return {**content["events"], "width": content["width"], "height": content["height"]}


def read_h5(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        found = {name: file["events"][name][()] for name in file["events"]}
        t = found["t"] + file["t_offset"][()]
        starts = file["ms_to_idx"][()]
    for ms, start in enumerate(starts[:50]):
        assert found["t"][start] >= ms * 1000
        assert start == 0 or found["t"][start - 1] < ms * 1000
    return {**found, "t": t}


@pytest.mark.parametrize(("name", "read"), list(zip(NAMES, [read_npz, read_mat, read_h5], strict=True)))
def test_other_readers_see_the_same(
    tmp_path: Path, name: str, read: Callable[[Path], dict[str, Any]]
) -> None:
    recording = make_recording()
    eventio.write(tmp_path / name, recording)
    found = read(tmp_path / name)
    for column in "txyp":
        np.testing.assert_array_equal(found[column], recording.events[column])
    assert (int(found["width"]), int(found["height"])) == (1280, 720)


@pytest.mark.parametrize(("name", "save"), SAVERS)
@pytest.mark.parametrize(
    "named",
    [
        dict(zip("txyp", ["t", "x", "y", "p"], strict=True)),
        dict(zip("txyp", ["timestamps", "xs", "ys", "polarity"], strict=True)),
        dict(zip("txyp", ["event_ts", "event_x", "event_y", "event_p"], strict=True)),
    ],
)
def test_four_arrays(tmp_path: Path, name: str, save: Save, named: dict[str, str]) -> None:
    recording = make_recording()
    arrays = {named[role]: column for role, column in columns(recording).items()}
    arrays[named["p"]] = np.where(recording.p, 1, -1).astype(np.int8)
    save(tmp_path / name, {**arrays, "calibration": np.eye(3)})
    np.testing.assert_array_equal(eventio.read(tmp_path / name).events, recording.events)


@pytest.mark.parametrize(("name", "save"), SAVERS)
@pytest.mark.parametrize("order", ["txyp", "xypt"])
@pytest.mark.parametrize("is_transposed", [False, True])
def test_one_array_of_four_columns(
    tmp_path: Path, name: str, save: Save, order: str, is_transposed: bool
) -> None:
    recording = make_recording(300, first_t=5_000_000)
    table = np.stack([recording.events[role].astype(np.float64) for role in order], axis=1)
    table[:, order.index("t")] /= 1e6
    save(
        tmp_path / name, {"events": np.ascontiguousarray(table.T) if is_transposed else table, "K": np.eye(4)}
    )
    again = eventio.read(tmp_path / name)
    np.testing.assert_array_equal(again.events, recording.events)
    assert again.metadata.conversions[0] == f"columns taken as {', '.join(order)} by their numbers"


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_one_structured_array(tmp_path: Path, name: str) -> None:
    recording = make_recording()
    fields = [("x", "<u2"), ("y", "<u2"), ("polarity", "<i2"), ("timestamp_ns", "<i8")]
    table = np.empty(len(recording), np.dtype(fields, align=True))
    table["x"], table["y"], table["polarity"] = recording.x, recording.y, recording.p
    table["timestamp_ns"] = recording.t * 1000 + 400
    dict(zip(NAMES, [save_npz, save_mat, save_h5], strict=True))[name](tmp_path / name, {"event_data": table})
    again = eventio.read(tmp_path / name)
    np.testing.assert_array_equal(again.events, recording.events)


def test_the_layouts_of_dsec_and_of_prophesee(tmp_path: Path) -> None:
    recording = make_recording(first_t=0)
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        for role, column in columns(recording).items():
            file[f"events/{role}"] = column.astype(np.uint32 if role == "t" else column.dtype)
        file["t_offset"] = np.int64(50_000_000_000)
        file["ms_to_idx"] = np.arange(10)
    again = eventio.read(tmp_path / "dsec.h5")
    np.testing.assert_array_equal(again.t, recording.t + 50_000_000_000)
    np.testing.assert_array_equal(again.events[["x", "y", "p"]], recording.events[["x", "y", "p"]])
    with h5py.File(tmp_path / "rvt.h5", "w") as file:
        for role, column in columns(recording).items():
            file[f"events/{role}"] = column
        file["events/height"], file["events/width"] = 720, 1280
    again = eventio.read(tmp_path / "rvt.h5")
    assert (again.width, again.height, again.metadata.is_size_derived) == (1280, 720, False)
    with h5py.File(tmp_path / "prophesee.hdf5", "w") as file:
        table = np.empty(len(recording), [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
        for role in "txyp":
            table[role] = recording.events[role]
        file["CD/events"] = table
        file["CD/indexes"] = np.zeros(3, [("id", "<u8"), ("ts", "<i8")])
        file["EXT_TRIGGER/events"] = np.zeros(3, [("p", "<i2"), ("t", "<i8"), ("id", "<i2")])
        file.attrs["geometry"] = "1280x720"
    again = eventio.read(tmp_path / "prophesee.hdf5")
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.metadata.is_size_derived) == (1280, False)


@pytest.mark.parametrize("filter_name", ["Blosc", "Zstd", "LZ4"])
def test_filters_of_hdf5plugin(tmp_path: Path, filter_name: str) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    recording = make_recording(50_000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for role, column in columns(recording).items():
            file.create_dataset(f"events/{role}", data=column, **getattr(hdf5plugin, filter_name)())
    np.testing.assert_array_equal(eventio.read(tmp_path / "a.h5").events, recording.events)


@pytest.mark.parametrize(
    ("number", "error", "text"),
    [
        (36559, eventio.FormatError, "events from 0 on cannot be read"),  # no piece was written
        (32999, eventio.MissingPackageError, "HDF5 filter 32999.*pip install hdf5plugin"),
    ],
)
def test_filters_that_are_missing(tmp_path: Path, number: int, error: type[Exception], text: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        table = np.zeros(100, [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((100,))
        plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
        group = file.create_group("CD")
        kind = h5py.h5t.py_create(table.dtype)
        h5py.h5d.create(group.id, b"events", kind, h5py.h5s.create_simple((100,)), plist)
    with pytest.raises(error, match=text) as caught:
        eventio.read(tmp_path / "a.h5")
    assert "a.h5" in str(caught.value)


def test_matlab_7_3_and_its_structures(tmp_path: Path) -> None:
    recording = make_recording(300)
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        for role, column in columns(recording).items():
            file[f"TD/{'ts' if role == 't' else role}"] = column[None, :]
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + bytes((0, 2)) + b"IM")
    again = eventio.read(tmp_path / "a.mat")
    np.testing.assert_array_equal(again.events, recording.events)
    assert again.metadata.format == "mat"


@pytest.mark.parametrize("shift", [0, 1])
def test_coordinates_counted_from_one_in_matlab(tmp_path: Path, shift: int) -> None:
    rng = np.random.default_rng(0)
    x, y = np.append(rng.integers(1, 128, 99), 127), np.append(rng.integers(1, 128, 99), 127)
    structure = {"x": x + shift, "y": y + shift, "ts": np.arange(100) * 10, "p": x % 2}
    scipy.io.savemat(tmp_path / "a.mat", {"TD": structure, "EM": {**structure, "p": 1 - x % 2}})
    recording = eventio.read(tmp_path / "a.mat")
    np.testing.assert_array_equal(recording.x, x)
    np.testing.assert_array_equal(recording.y, y)
    np.testing.assert_array_equal(recording.p, x % 2)
    assert ("columns and rows counted from 1 in the file" in recording.metadata.conversions) == bool(shift)
    assert recording.metadata.skipped == (("exposure events", 100),)
    exposures = recording.companions.streams["exposure events"]
    assert exposures.dtype == EXPOSURE_DTYPE
    np.testing.assert_array_equal(exposures["t"], np.arange(100) * 10)
    np.testing.assert_array_equal(exposures["x"], x)
    np.testing.assert_array_equal(exposures["y"], y)
    np.testing.assert_array_equal(exposures["is_second"], 1 - x % 2)
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (128, 128, True)


def write_atis(path: Path, *, n_exposures: int = 1000, **changes: Any) -> None:
    events = {"x": np.arange(100), "y": np.arange(100), "ts": np.arange(100) * 10, "p": np.arange(100) % 2}
    exposures = {name: np.resize(values, n_exposures) for name, values in events.items()}
    exposures["ts"] = np.arange(n_exposures)
    scipy.io.savemat(path, {"TD": events, "EM": exposures | changes})


def test_exposures_of_an_atis_are_companions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atis(tmp_path / "a.mat")
    whole = eventio.read(tmp_path / "a.mat")
    monkeypatch.setattr("eventio.array_files.ArrayFileSource.block_rows", 64)
    with eventio.open(tmp_path / "a.mat") as reader:
        companions = reader.read_companions()
        n_events = sum(map(len, reader.chunks()))
        assert reader.metadata.skipped == (("exposure events", 1000),)
    assert n_events == 100
    for found in (whole.companions, companions):
        np.testing.assert_array_equal(
            found.streams["exposure events"], whole.companions.streams["exposure events"]
        )
        assert found.counts == {"exposure events": 1000}
    assert not eventio.read(tmp_path / "a.mat", keep_companions=False).companions
    eventio.write(tmp_path / "a.es", whole)
    again = eventio.read(tmp_path / "a.es")
    assert again.companions.counts == {"exposure events": 1000}
    np.testing.assert_array_equal(again.events, whole.events)


def test_exposures_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_atis(tmp_path / "a.mat", p=np.append(np.zeros(900), np.full(100, 7)))
    with pytest.warns(
        eventio.DamagedRecordingWarning, match="exposure events from 900 on do not fit: p = 7.0"
    ):
        recording = eventio.read(tmp_path / "a.mat")
    assert len(recording) == 100
    assert recording.companions.counts == {"exposure events": 900}
    with eventio.open(tmp_path / "a.mat") as reader:
        assert sum(map(len, reader.chunks())) == 100
    assert not reader.warnings


@pytest.mark.parametrize(("name", "save"), SAVERS[::2])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"t": None}, "none of its arrays are events"),
        ({"p": np.zeros(99, bool)}, "none of its arrays are events"),
        ({"t": np.arange(100) * 10**9 + 1}, "unit of the times is not said, and us is not plausible"),
        ({"t": np.arange(100) * 1000}, "unit of the times is not said: they may be us on a grid"),
        (
            {"t": np.arange(100) / 8 + 0.001},
            "unit of the times is not said: they may be s on a grid .*, or ms",
        ),
        ({"x": np.full(100, 70_000)}, "event 0: x = 70000 is no whole number in"),
        ({"p": np.full(100, 2)}, "event 0: p = 2 is none of"),
        ({"a_t": 1, "a_x": 1, "a_y": 1, "a_p": 1}, "more than one of its arrays may be the events"),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, name: str, save: Save, changes: dict[str, Any], text: str
) -> None:
    arrays: dict[str, Any] = {role: np.arange(100) for role in "txy"} | {"p": np.arange(100) % 2}
    for key, value in changes.items():
        if value is None:
            del arrays[key]
        else:
            arrays[key] = arrays[key[-1]] if isinstance(value, int) else value
    save(tmp_path / name, arrays)
    with pytest.raises(eventio.FormatError, match=text) as caught:
        eventio.read(tmp_path / name)
    assert name in str(caught.value)


MATLAB = {"building": 115_839, "flip": 175_136, "garfield": 202_235, "stripes": 340_394}


@pytest.mark.parametrize(
    "name", ["building", *(pytest.param(n, marks=pytest.mark.slow) for n in list(MATLAB)[1:])]
)
def test_real_matlab_files(data_dir: Path, name: str) -> None:
    path = data_dir / f"event_lifetime_mat/{name}.mat"
    recording = eventio.read(path)
    assert (len(recording), recording.width, recording.height) == (MATLAB[name], 128, 128)
    table = scipy.io.loadmat(path)["events"]
    for column, role in enumerate("xy"):
        np.testing.assert_array_equal(recording.events[role], table[:, column])
    np.testing.assert_array_equal(recording.p, table[:, 2] == 1)
    np.testing.assert_array_equal(recording.t, table[:, 3])


def test_real_files(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "gorchard_atis/example_data.mat")
    assert (len(recording), recording.width, recording.height) == (242_040, 304, 240)
    assert recording.metadata.skipped == (("exposure events", 442_382),)
    table = scipy.io.loadmat(data_dir / "gorchard_atis/example_data.mat", simplify_cells=True)["EM"]
    exposures = recording.companions.streams["exposure events"]
    for field, name, origin in (("t", "ts", 0), ("x", "x", 1), ("y", "y", 1), ("is_second", "p", 0)):
        np.testing.assert_array_equal(exposures[field], table[name] - table[name].dtype.type(origin))
    assert "columns and rows counted from 1 in the file" in recording.metadata.conversions
    for name, n_events in (("poster_6dof", 30_000), ("poster_translation", 100_000)):
        recording = eventio.read(data_dir / f"pydvs_samples/{name}.npz")
        table = np.load(data_dir / f"pydvs_samples/{name}.npz", allow_pickle=False)["events"]
        assert (len(recording), recording.width, recording.height) == (n_events, 240, 180)
        np.testing.assert_array_equal(recording.t, np.rint(table[:, 0].astype(np.float64) * 1e6))
        np.testing.assert_array_equal(np.stack([recording.x, recording.y, recording.p], 1), table[:, 1:])
    recording = eventio.read(data_dir / "event_vision_library/event.hdf5")
    text = eventio.read(data_dir / "event_vision_library/event.txt")
    np.testing.assert_array_equal(recording.t, text.t)
    np.testing.assert_array_equal(recording.x, text.y)  # the file's own x and y are exchanged
    with pytest.raises(eventio.FormatError, match="none of its arrays are events"):
        eventio.read(data_dir / "dvs_sign/dvs_sign15_full.npz")
