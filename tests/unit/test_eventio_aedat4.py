"""AEDAT 4: round trips with all streams, damaged packets, and what `aedat` makes of files written here."""

from __future__ import annotations

import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventio
from eventio.companions import IMU_DTYPE, TRIGGER_DTYPE
from eventio.formats.aedat4.container import LZ4, MAGIC, ZSTD, decompress, read_header
from eventio.formats.aedat4.encoding import make_header
from eventio.formats.aedat4.flatbuffers import LayoutError

COMPRESSIONS = ["aedat4-none", "aedat4-lz4", "aedat4-zstd"]


def make_recording(n_events: int, *, seed: int = 0, n_others: int = 0) -> eventio.Recording:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(10**15, 10**15 + 10**6, n_events))
    x, y = rng.integers(0, 346, n_events), rng.integers(0, 260, n_events)
    events = eventio.make_events(t=t, x=x, y=y, p=rng.random(n_events) < 0.5)
    frames = tuple(
        eventio.Frame(
            10**15 + k, rng.integers(0, 256, shape).astype(np.uint8), (10**15 + k - 5, 10**15 + k), origin
        )
        for k, (shape, origin) in enumerate([((260, 346), (0, 0)), ((5, 7, 3), (1, 2)), ((3, 4, 4), (9, 8))])
    )
    imu = np.zeros(n_others, IMU_DTYPE)
    imu["t"] = 10**15 + np.arange(n_others)
    for name in IMU_DTYPE.names[1:]:
        imu[name] = rng.random(imu[name].shape)
    triggers = np.zeros(n_others, TRIGGER_DTYPE)
    triggers["t"], triggers["kind"] = 10**15 + 3 * np.arange(n_others), np.arange(n_others) % 10
    companions = eventio.Companions(frames if n_others else (), imu, triggers)
    return eventio.Recording(events, width=346, height=260, companions=companions)


def read_or_none(path: Path) -> eventio.Recording | None:
    """Read a recording; None where it is refused with its name."""
    try:
        return eventio.read(path)
    except eventio.EventioError as error:
        if str(path) not in str(error):
            raise
        return None


def assert_same(found: eventio.Recording, expected: eventio.Recording) -> None:
    np.testing.assert_array_equal(found.events, expected.events)
    np.testing.assert_array_equal(found.imu, expected.imu)
    np.testing.assert_array_equal(found.triggers, expected.triggers)
    assert len(found.frames) == len(expected.frames)
    for ours, theirs in zip(found.frames, expected.frames, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
        assert (ours.t_us, ours.exposure_us, ours.origin) == (theirs.t_us, theirs.exposure_us, theirs.origin)
    assert (found.width, found.height) == (expected.width, expected.height)


@pytest.mark.parametrize("format_name", COMPRESSIONS)
@pytest.mark.parametrize(("n_events", "n_others"), [(1, 0), (40, 5), (100_000, 700)])
def test_round_trip(tmp_path: Path, format_name: str, n_events: int, n_others: int) -> None:
    recording = make_recording(n_events, n_others=n_others)
    path = tmp_path / "a.aedat4"
    eventio.write(path, recording, format=format_name)
    again = eventio.read(path)
    assert_same(again, recording)
    assert not again.is_damaged
    assert again.metadata.format == "aedat4"
    with eventio.open(path) as reader:
        chunks = list(reader.chunks(n_events=30_000, start_event=n_events // 3))
        np.testing.assert_array_equal(np.concatenate(chunks), recording.events[n_events // 3 :])
        np.testing.assert_array_equal(reader.read_companions().imu, recording.imu)


@pytest.mark.parametrize("format_name", COMPRESSIONS)
def test_the_aedat_package_reads_what_is_written(tmp_path: Path, format_name: str) -> None:
    aedat = pytest.importorskip("aedat")
    recording = make_recording(50_000, n_others=300)
    path = tmp_path / "a.aedat4"
    eventio.write(path, recording, format=format_name)
    parts: dict[str, list[np.ndarray]] = {"events": [], "imus": [], "triggers": []}
    frames = []
    for packet in aedat.Decoder(str(path)):
        for name in parts.keys() & packet.keys():
            parts[name].append(packet[name])
        frames += [packet["frame"]] if "frame" in packet else []
    events, imu, triggers = (np.concatenate(arrays) for arrays in parts.values())
    for ours, theirs in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(recording.events[ours], events[theirs])
    np.testing.assert_array_equal(recording.imu["t"], imu["t"])
    np.testing.assert_array_equal(recording.imu["rotation_deg_s"][:, 1], imu["gyroscope_y"])
    np.testing.assert_array_equal(recording.imu["temperature_c"], imu["temperature"])
    np.testing.assert_array_equal(recording.triggers["kind"], triggers["source"])
    np.testing.assert_array_equal(recording.frames[0].image, frames[0]["pixels"])
    assert [frame["t"] for frame in frames] == [frame.t_us for frame in recording.frames]


@pytest.mark.parametrize("format_name", COMPRESSIONS)
def test_truncation_at_every_byte_of_a_small_file(tmp_path: Path, format_name: str) -> None:
    recording = make_recording(6, n_others=2)
    others = eventio.Companions(recording.frames[1:], recording.imu, recording.triggers)
    recording = eventio.Recording(recording.events, width=346, height=260, companions=others)
    path = tmp_path / "a.aedat4"
    eventio.write(path, recording, format=format_name)
    data = path.read_bytes()
    header = read_header(path)
    for n_bytes in [*range(1, header.start, 97), *range(header.start, header.table_position)]:
        path.write_bytes(data[:n_bytes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            cut = read_or_none(path)
        if cut is None:
            continue
        assert cut.metadata.is_truncated
        assert "at byte" in cut.metadata.warnings[0]
        np.testing.assert_array_equal(cut.events, recording.events[: len(cut)])


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=150)
def test_overwritten_bytes_give_events_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.aedat4"
    if not whole.exists():
        recording = make_recording(20, n_others=2)
        small = eventio.Companions((), recording.imu, recording.triggers)
        small = eventio.Recording(recording.events, width=346, height=260, companions=small)
        eventio.write(whole, small, format="aedat4-none")
    data = bytearray(whole.read_bytes())
    for place, value in places:
        data[min(14 + place, len(data) - 1)] = value
    path = folder / "changed.aedat4"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        found = read_or_none(path)
    if found is not None:
        assert len(found) <= 20
        assert found.x.max() < found.width


def test_packets_of_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lz4 = pytest.importorskip("lz4.frame")
    zstd = pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    monkeypatch.setattr("eventio.formats.aedat4.container.MAX_PACKET_BYTES", 1 << 20)
    bomb = bytes((1 << 20) + 1)
    for data, compression in ((lz4.compress(bomb), LZ4), (zstd.compress(bomb), ZSTD)):
        assert len(data) < 10_000
        with pytest.raises(LayoutError, match="larger than 1048576 bytes when decompressed"):
            decompress(data, compression)
        assert (
            len(decompress((lz4 if compression == LZ4 else zstd).compress(bomb[1:]), compression)) == 1 << 20
        )
        with pytest.raises(LayoutError, match=r"end early"):
            decompress(data[: len(data) // 2], compression)
        with pytest.raises(LayoutError):
            decompress(b"\0" * 40, compression)


def test_a_list_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    eventio.write(path, make_recording(3), format="aedat4-none")
    data = bytearray(path.read_bytes())
    start = read_header(path).start + 8
    struct.pack_into("<I", data, start + 28, 2**31)
    path.write_bytes(data)
    with pytest.raises(eventio.FormatError, match="holds no event before the file breaks off"):
        eventio.read(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'<dv><node name="0"><attr key="typeIdentifier">WHAT</attr></node></dv>', "known kind, only 'WHAT'"),
        (b"<dv></dv>", "known kind, only nothing"),
        (b"<!DOCTYPE a><dv></dv>", "declares entities"),
        (b"<dv>", "cannot be read"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, text: bytes, match: str) -> None:
    path = tmp_path / "a.aedat4"
    path.write_bytes(MAGIC + make_header(0, -1, text))
    with pytest.raises(eventio.FormatError, match=match) as caught:
        eventio.read(path)
    assert str(path) in str(caught.value)


def test_frames_of_ten_bits_are_not_written(tmp_path: Path) -> None:
    frame = eventio.Frame(5, np.zeros((2, 3), np.uint16))
    recording = make_recording(2)
    recording = eventio.Recording(
        recording.events, width=346, height=260, companions=eventio.Companions((frame,))
    )
    with pytest.raises(
        eventio.FormatError, match=r"frame 0 is of uint16, shape \(2, 3\); AEDAT 4 holds uint8"
    ):
        eventio.write(tmp_path / "a.aedat4", recording)
    assert not list(tmp_path.iterdir())


def test_frames_alone_are_written_and_come_back(tmp_path: Path) -> None:
    with_frames = make_recording(1, n_others=3)
    nothing = np.empty(0, eventio.EVENT_DTYPE)
    recording = eventio.Recording(nothing, width=346, height=260, companions=with_frames.companions)
    eventio.write(tmp_path / "a.aedat4", recording)
    with eventio.open(tmp_path / "a.aedat4") as reader:
        companions = reader.read_companions()
    assert companions.describe() == "3 frames, 3 inertial measurements, 3 triggers"


def test_real_companions_are_those_of_the_aedat_package(data_dir: Path) -> None:
    aedat = pytest.importorskip("aedat")
    path = data_dir / "dv_processing_tests/io/test_files/sample_data.aedat4"
    recording = eventio.read(path)
    frames, imu, triggers = [], [], []
    for packet in aedat.Decoder(str(path)):
        frames += [packet["frame"]] if "frame" in packet else []
        imu += [packet["imus"]] if "imus" in packet else []
        triggers += [packet["triggers"]] if "triggers" in packet else []
    for ours, theirs in zip(recording.frames, frames, strict=True):
        np.testing.assert_array_equal(ours.image, theirs["pixels"])
        assert ours.t_us == theirs["t"]
        assert ours.exposure_us == (theirs["exposure_begin_t"], theirs["exposure_end_t"])
    for ours_name, column, theirs_name in (
        ("acceleration_g", 0, "accelerometer_x"),
        ("rotation_deg_s", 2, "gyroscope_z"),
        ("magnetic_ut", 1, "magnetometer_y"),
    ):
        np.testing.assert_array_equal(recording.imu[ours_name][:, column], np.concatenate(imu)[theirs_name])
    np.testing.assert_array_equal(recording.triggers["t"], np.concatenate(triggers)["t"])
    np.testing.assert_array_equal(recording.triggers["kind"], np.concatenate(triggers)["source"])
