"""AEDAT 2.0 by hand, against the slow reader, and real files against what is known of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio.format_table import find_by_name
from tests.oracle.event_formats import decode_aedat2

HEAD = b"#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n"
DVS128 = HEAD + b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
DAVIS240 = HEAD + b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"
NAMES = {
    "external inputs": "external",
    "frame (APS) words": "aps",
    "inertial (IMU) words": "imu",
    "unknown words": "unknown",
}


def pairs(*words: tuple[int, int]) -> bytes:
    return np.array(words, ">u4").tobytes()


def save(folder: Path, data: bytes, name: str = "a.aedat") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_dvs128_by_hand(tmp_path: Path) -> None:
    data = pairs((5 << 8 | 3 << 1 | 0, 7), (127 << 8 | 0 << 1 | 1, 9), (0x8000, 10), (0x10000, 11))
    recording = eventio.read(save(tmp_path, DVS128 + data))
    assert recording.events.tolist() == [(7, 124, 122, True), (9, 127, 0, False)]
    assert (recording.width, recording.height) == (128, 128)
    assert recording.metadata.format == "aedat2"
    assert recording.metadata.skipped == (("external inputs", 1), ("unknown words", 1))
    assert recording.metadata.conversions == ("x mirrored and y counted from the top, as pixels of a dvs128",)


def test_davis_by_hand(tmp_path: Path) -> None:
    bit31 = 1 << 31
    data = pairs(
        (179 << 22 | 0 << 12 | 1 << 11, 5),
        (bit31 | 12, 6),
        (bit31 | 1 << 10, 6),
        (bit31 | 3 << 10, 6),
        (bit31 | 2 << 10, 6),
        (1 << 10, 6),
        (0 << 22 | 239 << 12 | 0x21A, 8),
    )
    recording = eventio.read(save(tmp_path, DAVIS240 + data))
    assert recording.events.tolist() == [(5, 239, 0, True), (8, 0, 179, False)]
    assert dict(recording.metadata.skipped) == {
        "external inputs": 1,
        "frame (APS) words": 2,
        "inertial (IMU) words": 1,
        "unknown words": 1,
    }


def test_times_are_unsigned_and_wrap(tmp_path: Path) -> None:
    data = pairs((0, 2**31 + 5), (0, 2**32 - 1), (0, 3), (0, 2**32 - 2), (0, 4))
    with pytest.warns(eventio.DamagedRecordingWarning, match="backwards at 1 of 5"):
        recording = eventio.read(save(tmp_path, DVS128 + data))
    assert recording.t.tolist() == [2**31 + 5, 2**32 - 1, 2**32 + 3, 2**32 - 2, 2**32 + 4]
    assert recording.metadata.conversions[1].startswith("1 overflows of the file's clock")


@pytest.mark.parametrize("first", [b"#\x00\n\x00", b"#A0a"])
def test_data_may_begin_like_a_header_line(tmp_path: Path, first: bytes) -> None:
    data = first + pairs((1,)) + pairs((5 << 22, 2))
    path = save(tmp_path, HEAD + data)
    assert len(eventio.read(path, format="aedat2-davis346")) == 2
    with_end = save(tmp_path, HEAD + b"#End Of ASCII Header\r\n" + b"#A0\n" + bytes([0, 0, 0, 9]), "b.aedat")
    assert eventio.read(with_end, format="aedat2-davis346").events.tolist() == [
        (9, 345 - 19, 259 - 141, False)
    ]


@pytest.mark.parametrize(
    ("chip", "size"),
    [
        ("eu.seebetter.ini.chips.davis.Davis346B", (346, 260)),
        ("eu.seebetter.ini.chips.davis.Davis640", (640, 480)),
        ("ch.unizh.ini.jaer.chip.retina.eDVS128", (128, 128)),
        ("eu.seebetter.ini.chips.sbret10.SBret10", (240, 180)),
    ],
)
def test_the_header_names_the_chip(tmp_path: Path, chip: str, size: tuple[int, int]) -> None:
    recording = eventio.read(save(tmp_path, HEAD + f"# AEChip: {chip}\r\n".encode() + pairs((2, 1))))
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (*size, False)


@pytest.mark.parametrize(
    ("chip", "text"),
    [
        ("ch.unizh.ini.jaer.chip.stereopsis.DVS128andCochleaAMS1b", "DVS128andCochleaAMS1b', which is not"),
        ("a.b.C", "names the chip 'a.b.C', which is not understood.*format='aedat2-dvs128'"),
    ],
)
def test_chips_that_are_refused(tmp_path: Path, chip: str, text: str) -> None:
    path = save(tmp_path, HEAD + f"# AEChip: {chip}\r\n".encode() + pairs((2, 1)))
    for read in (eventio.read, eventio.open):
        with pytest.raises(eventio.FormatError, match=text) as caught:
            read(path)
        assert str(path) in str(caught.value)
    assert len(eventio.read(path, format="aedat2-dvs128")) == 1


def test_events_outside_the_chip_are_refused_by_the_file_s_numbers(tmp_path: Path) -> None:
    path = save(tmp_path, DAVIS240 + pairs((200 << 22 | 5 << 12, 1)))
    with pytest.raises(eventio.OutOfSensorError, match="y = 200, outside the 240x180"):
        eventio.read(path)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    data = DVS128 + pairs(*((i << 1, 100 + i) for i in range(6)))
    for n_bytes in range(1, len(data)):
        path = save(tmp_path, data[:n_bytes])
        n_data = n_bytes - len(DVS128)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if n_data < 8:
                with pytest.raises(eventio.FormatError, match=r"a\.aedat: "):
                    eventio.read(path)
                continue
            recording = eventio.read(path)
        assert recording.t.tolist() == list(range(100, 100 + n_data // 8))
        assert recording.metadata.is_truncated == (n_data % 8 > 0)
        assert len(caught) == (n_data % 8 > 0)
        if caught:
            text = f"{n_data % 8} of its 8 bytes, at byte {n_bytes - n_data % 8}"
            assert text in str(caught[0].message)


ADDRESS = st.integers(0, 2**32 - 1) | st.integers(0, 2**16)
TIME = st.integers(0, 9) | st.integers(2**32 - 9, 2**32 - 1) | st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(ADDRESS, TIME), max_size=40), st.sampled_from(["dvs128", "davis240", "davis346"]))
def test_words_decode_as_in_the_slow_reader(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[int, int]], chip: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "words.aedat"
    data = pairs(*words)
    path.write_bytes(HEAD + b"#End Of ASCII Header\r\n" + data)
    source = find_by_name(f"aedat2-{chip}").open_source(path)
    assert source.width is not None
    assert source.height is not None
    found = [event for block in source.blocks() for event in block.tolist()]
    expected, skipped = decode_aedat2(data, source.width, source.height, is_davis=chip != "dvs128")
    assert found == expected
    assert source.findings.skipped == {name: skipped[key] for name, key in NAMES.items() if skipped[key]}


@pytest.mark.parametrize("size", [(128, 128), (240, 180), (346, 260), (640, 480)])
def test_round_trip(tmp_path: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, size[0], 500), rng.integers(0, size[1], 500)
    x[:2], y[:2] = (0, size[0] - 1), (size[1] - 1, 0)
    t = np.sort(rng.integers(0, 2**32, 500))
    recording = eventio.Recording(
        eventio.make_events(t=t, x=x, y=y, p=rng.random(500) < 0.5), width=size[0], height=size[1]
    )
    eventio.write(tmp_path / "a.aedat", recording)
    again = eventio.read(tmp_path / "a.aedat")
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.height) == size


@pytest.mark.parametrize(
    ("t", "side", "format_name", "text"),
    [
        ([1], 34, None, "a 34x34 sensor is none of the chips.*128x128, 240x180"),
        ([1], 128, "aedat2-davis346", "is no davis346"),
        ([2**32], 128, None, "event 0: t = 4294967296 does not fit AEDAT 2"),
        ([-1], 128, None, "t = -1 does not fit"),
        ([0, 2**31 + 1], 128, None, "event 1: time steps from 0 to t = 2147483649"),
    ],
)
def test_what_is_not_written(
    tmp_path: Path, t: list[int], side: int, format_name: str | None, text: str
) -> None:
    events = eventio.make_events(t=t, x=[0] * len(t), y=[0] * len(t), p=[1] * len(t))
    with pytest.raises(eventio.FormatError, match=text):
        eventio.write(
            tmp_path / "a.aedat", eventio.Recording(events, width=side, height=side), format=format_name
        )
    assert not list(tmp_path.iterdir())


def test_the_golden_pair_of_aedat_and_text(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "dnd_hls/moving-dot-1-pixel.aedat", format="aedat2-davis346")
    text = np.loadtxt(data_dir / "dnd_hls/v2e-dvs-events.txt")
    assert len(recording) == len(text) == 46_924
    np.testing.assert_array_equal(recording.t, np.floor(text[:, 0] * 1e6))
    for column, name in ((1, "x"), (2, "y"), (3, "p")):
        np.testing.assert_array_equal(recording.events[name], text[:, column])


def test_words_of_other_kinds_in_a_davis_recording(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "pyaedattools/IMU_rotDisk.aedat")
    assert (len(recording), recording.metadata.skipped) == (374_296, (("inertial (IMU) words", 51_688),))


@pytest.mark.parametrize(
    ("name", "n_events"), [("Caneca", 351_217), ("Tesoura", 143_655), ("Caixa", 201_523)]
)
def test_recordings_of_a_dvs128(data_dir: Path, name: str, n_events: int) -> None:
    path = data_dir / f"dvs128_objects/{name}.aedat"
    recording = eventio.read(path)
    data = path.read_bytes()
    expected, _ = decode_aedat2(
        data[data.index(b"#End Of ASCII Header\r\n") + 22 :][:80_000], 128, 128, is_davis=False
    )
    assert len(recording) == n_events
    assert recording.events[: len(expected)].tolist() == expected
    assert not recording.is_damaged


def test_a_recording_whose_header_names_no_chip(data_dir: Path) -> None:
    path = data_dir / "jaer_jspikestack/MovingDarkBox.aedat"
    recording = eventio.read(path, format="aedat2-dvs128")
    assert (len(recording), recording.metadata.skipped, recording.is_damaged) == (489_834, (), False)
    assert recording.t[-1] - recording.t[0] == 986_269_729 - 946_459_683
