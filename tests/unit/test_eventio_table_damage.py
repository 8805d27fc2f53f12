"""NumPy archives, MATLAB and HDF5 files that are damaged, lie about their sizes, or would run code."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import eventio
from eventio import array_files
from tests.event_tables import NAMES, SAVERS, Save, columns, make_recording


@pytest.mark.parametrize(("name", "save"), SAVERS[::2])
@pytest.mark.parametrize(("column", "value"), [("x", -1), ("y", 2.5), ("t", np.nan), ("t", 1e30), ("p", 3)])
def test_a_bad_event_ends_the_valid_prefix(
    tmp_path: Path, name: str, save: Save, column: str, value: float
) -> None:
    arrays = {role: np.arange(5000.0) % 200 for role in "xyp"} | {"t": np.arange(5000.0)}
    arrays["p"] = arrays["p"] % 2
    arrays[column][4500] = value
    save(tmp_path / name, arrays)
    with pytest.warns(eventio.DamagedRecordingWarning, match=f"event 4500: {column} = "):
        recording = eventio.read(tmp_path / name)
    assert len(recording) == 4500
    assert recording.metadata.is_truncated


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    arrays = columns(make_recording(10))
    np.savez(tmp_path / "a.npz", **{**arrays, "p": np.array([Trap()] * 10)})
    assert (tmp_path / "ran").exists() is False
    with pytest.raises(eventio.FormatError, match="Python objects, which could run code and are never read"):
        eventio.read(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


def npz_with_header(path: Path, header: bytes, n_bytes: int = 64) -> None:
    good = io.BytesIO()
    np.save(good, np.arange(8))
    magic = good.getvalue()[:6] + bytes((1, 0)) + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w") as archive:
        for name in "txyp":
            archive.writestr(f"{name}.npy", magic + bytes(n_bytes))


def test_promises_that_an_archive_cannot_keep(tmp_path: Path) -> None:
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    npz_with_header(tmp_path / "a.npz", header)
    with pytest.raises(eventio.FormatError, match="promises 8000000000000 bytes of values and holds 64"):
        eventio.read(tmp_path / "a.npz")
    npz_with_header(tmp_path / "a.npz", b"__import__('os').system('x')\n")
    with pytest.raises(eventio.FormatError, match="is no array that is read"):
        eventio.read(tmp_path / "a.npz")
    header = b"{'descr': '<i8', 'fortran_order': True, 'shape': (4, 2), }\n"
    npz_with_header(tmp_path / "a.npz", header)
    with pytest.raises(eventio.FormatError, match="column by column"):
        eventio.read(tmp_path / "a.npz")


def test_an_archive_whose_sizes_are_absurd(tmp_path: Path) -> None:
    eventio.write(tmp_path / "a.npz", make_recording(10))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    at = data.index(b"PK\x01\x02")  # the central directory's first entry: raise the size before compression
    data[at + 24 : at + 28] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(eventio.FormatError, match="more than compression can save"):
        eventio.read(tmp_path / "a.npz")


def test_a_data_set_of_which_nothing_is_stored(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for role in "txyp":
            file.create_dataset(f"events/{role}", shape=(10**12,), dtype="i8", chunks=(1000,))
    with pytest.raises(eventio.FormatError, match="promises 32000000000000 bytes of events and holds 0"):
        eventio.read(tmp_path / "a.h5")


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("lacks", ["nothing", "memory", "room"])
def test_values_come_the_same_with_and_without_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lacks: str
) -> None:
    recording = make_recording(1000)
    eventio.write(tmp_path / name, recording)
    monkeypatch.setattr(array_files.ArrayFileSource, "block_rows", 64)
    if lacks == "memory":
        monkeypatch.delattr(os, "memfd_create")
    elif lacks == "room":
        monkeypatch.setattr(array_files, "MOST_SHARED_BYTES", 100)
    again = eventio.read(tmp_path / name)
    np.testing.assert_array_equal(again.events, recording.events)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_give_a_prefix_or_an_error(tmp_path: Path, name: str) -> None:
    recording = make_recording(300)
    eventio.write(tmp_path / name, recording)
    data = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    n_rounds = 60 if name == "a.npz" else 4
    for round_number in range(n_rounds):
        broken = bytearray(data)
        if round_number % 2:
            del broken[int(rng.integers(1, len(data))) :]
        else:
            for at in rng.integers(0, len(data), 5):
                broken[at] = int(rng.integers(0, 256))
        (tmp_path / name).write_bytes(broken)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            try:
                found = eventio.read(tmp_path / name)
            except eventio.EventioError as error:
                is_named = name in str(error)
            else:
                is_named = 0 < len(found) <= len(recording)
        assert is_named
