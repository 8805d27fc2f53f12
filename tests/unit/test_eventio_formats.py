"""Each format by hand-written words: the cases that random ones miss."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import eventio

OLD_HEADER = b"% Date 2020-09-25 07:48:29\n% evt 3.0\n% plugin_name hal_plugin_gen41_evk3\n% system_ID 48\n"
NEW_HEADER = b"% evt 3.0\n% format EVT3;height=480;width=640\n% geometry 640x480\n% end\n"


def write_words(path: Path, words: list[int], header: bytes = NEW_HEADER, dtype: str = "<u2") -> Path:
    path.write_bytes(header + np.array(words, dtype).tobytes())
    return path


def as_tuples(recording: eventio.Recording) -> list[tuple[int, int, int, bool]]:
    return recording.events.tolist()


def test_40_bit_words_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "two.bin"
    path.write_bytes(bytes([3, 7, 0x80 | 0x01, 0x02, 0x03]) + bytes([33, 0, 0x7F, 0xFF, 0xFF]))
    recording = eventio.read(path)
    assert as_tuples(recording) == [(0x010203, 3, 7, True), (0x7FFFFF, 33, 0, False)]
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (34, 34, True)
    assert path.read_bytes() == b"".join(eventio.format_table.find_by_name("nmnist").encode(recording))


def test_a_40_bit_word_in_row_240_adds_time(tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(bytes([1, 1, 0, 0, 9]) + bytes([0, 240, 0, 0, 0]) * 2 + bytes([2, 2, 0, 0, 1]))
    recording = eventio.read(path)
    assert recording.t.tolist() == [9, 2 * 8192 + 1]
    assert recording.metadata.skipped == (("time overflow words", 2),)


@pytest.mark.parametrize(
    ("x", "y", "size"),
    [
        (33, 33, (34, 34)),
        (34, 0, (240, 180)),
        (0, 34, (240, 180)),
        (239, 179, (240, 180)),
        (0, 180, (304, 240)),
        (255, 239, (304, 240)),
    ],
)
def test_headerless_files_get_the_smallest_usual_sensor(
    tmp_path: Path, x: int, y: int, size: tuple[int, int]
) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(bytes([x, y, 0, 0, 1]))
    recording = eventio.read(path)
    assert (recording.width, recording.height) == size
    assert recording.metadata.is_size_derived
    with eventio.open(path) as reader:
        assert (reader.width, reader.height, reader.is_size_derived) == (*size, True)
    larger = eventio.read(path, width=300, height=250)
    assert (larger.width, larger.height, larger.metadata.is_size_derived) == (300, 250, False)


def test_evt2_by_hand(tmp_path: Path) -> None:
    words = [0x1_0000000, 0x8_0000005, 0x1_0000000 | 63 << 22 | 639 << 11 | 479, 0xA_0000000, 0x0_0000801]
    path = write_words(tmp_path / "a.raw", words, b"% evt 2.0\n% geometry 640x480\n% end\n", "<u4")
    with pytest.warns(eventio.DamagedRecordingWarning, match="backwards at 1 of 2"):
        recording = eventio.read(path)
    assert as_tuples(recording) == [(5 * 64 + 63, 639, 479, True), (5 * 64, 1, 1, False)]
    assert recording.metadata.skipped == (("external triggers", 1), ("events before the first time", 1))
    assert recording.metadata.n_backward_steps == 1


def test_evt2_time_wraps_after_28_upper_bits(tmp_path: Path) -> None:
    words = [0x8_FFFFFFF, 0x0_0000000, 0x8_0000000, 0x0_0000000]
    path = write_words(tmp_path / "a.raw", words, b"% evt 2.0\n% geometry 640x480\n% end\n", "<u4")
    assert eventio.read(path).t.tolist() == [(2**28 - 1) * 64, 2**34]


def test_evt3_by_hand(tmp_path: Path) -> None:
    words = [0x8001, 0x6002, 0x0003, 0x2804, 0x2005, 0x380A, 0x4801, 0x5081, 0x4001]
    recording = eventio.read(write_words(tmp_path / "a.raw", words))
    t = 4096 + 2
    assert as_tuples(recording) == [
        (t, 4, 3, True),
        (t, 5, 3, False),
        (t, 10, 3, True),
        (t, 21, 3, True),
        (t, 22, 3, True),
        (t, 29, 3, True),
        (t, 30, 3, True),
    ]


def test_evt3_vectors_need_not_end_with_8_bits(tmp_path: Path) -> None:
    words = [0x8000, 0x6000, 0x0000, 0x3000, 0x4001, 0x4001, 0x3064, 0x4001, 0x5001]
    assert eventio.read(write_words(tmp_path / "a.raw", words)).x.tolist() == [0, 12, 100, 112]


def test_evt3_time_low_that_steps_back_is_no_wrap(tmp_path: Path) -> None:
    words = [0x8001, 0x6064, 0x0000, 0x2001, 0x605A, 0x2002, 0x8002, 0x6000, 0x2003]
    with pytest.warns(eventio.DamagedRecordingWarning, match=r"backwards at 1 of 3 events, first at event 1"):
        recording = eventio.read(write_words(tmp_path / "a.raw", words))
    assert recording.t.tolist() == [4096 + 100, 4096 + 90, 8192]
    assert recording.is_damaged
    assert eventio.sort_by_time(recording).x.tolist() == [2, 1, 3]
    assert not eventio.sort_by_time(recording).is_damaged


def test_evt3_time_high_wraps_every_24_bits_and_may_repeat(tmp_path: Path) -> None:
    words = [0x8FFF, 0x6FFF, 0x0000, 0x2001, 0x8FFF, 0x2002, 0x8000, 0x2003, 0x6001, 0x2004]
    recording = eventio.read(write_words(tmp_path / "a.raw", words))
    assert recording.t.tolist() == [2**24 - 1, 2**24 - 1, 2**24, 2**24 + 1]


def test_evt3_time_high_that_falls_by_half_its_range_is_no_wrap(tmp_path: Path) -> None:
    words = [0x8801, 0x0000, 0x2001, 0x8001, 0x2002, 0x8802, 0x2003, 0x8001, 0x2004]
    with pytest.warns(eventio.DamagedRecordingWarning, match="backwards at 1 of 4"):
        recording = eventio.read(write_words(tmp_path / "a.raw", words))
    assert (recording.t >> 12).tolist() == [0x801, 0x001, 0x802, 0x1001]


def test_evt3_other_words_are_skipped_and_counted(tmp_path: Path) -> None:
    words = [
        0x2001,
        0x8000,
        0x2001,
        0x0000,
        0x4003,
        0xA001,
        0x9999,
        0x9999,
        0x7000,
        0xF000,
        0xE000,
        0x1000,
        0x2001,
    ]
    recording = eventio.read(write_words(tmp_path / "a.raw", words))
    assert len(recording) == 1
    assert dict(recording.metadata.skipped) == {
        "events before the first time": 1,
        "events before the first row": 1,
        "events before the first base of a vector": 2,
        "external triggers": 1,
        "padding words": 2,
        "continued words": 2,
        "other words": 1,
        "unknown words": 1,
    }
    assert recording.metadata.n_skipped == 11
    assert not recording.is_damaged


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (OLD_HEADER, (1280, 720)),
        (NEW_HEADER, (640, 480)),
        (b"% evt 3.0\r\n% geometry 346x260\r\n% end\r\n", (346, 260)),
        (b"% format EVT3;height=320;width=320\n% end\n", (320, 320)),
        (b"% evt 3.0\n% plugin_name hal_plugin_gen3_fx3\n", (640, 480)),
        (b"% evt 3.0\n% sensor_name IMX636\n% end\n", (1280, 720)),
    ],
)
def test_both_styles_of_header(tmp_path: Path, header: bytes, size: tuple[int, int]) -> None:
    recording = eventio.read(write_words(tmp_path / "a.raw", [0x8000, 0x0000, 0x2001], header))
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (*size, False)


def test_a_header_without_size_or_sensor_gives_a_derived_size(tmp_path: Path) -> None:
    recording = eventio.read(write_words(tmp_path / "a.raw", [0x8000, 0x0000, 0x2280], b"% evt 3.0\n"))
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (1280, 720, True)


@pytest.mark.parametrize("end", [b"% end\n", b""])
def test_data_may_begin_like_a_header_line(tmp_path: Path, end: bytes) -> None:
    words = [0x0025, 0x8000, 0x0025, 0x2001]
    recording = eventio.read(write_words(tmp_path / "a.raw", words, b"% evt 3.0\n% geometry 64x64\n" + end))
    assert as_tuples(recording) == [(0, 1, 0x25, False)]


def test_writer_uses_vectors(tmp_path: Path) -> None:
    events = eventio.make_events(t=[7] * 20, x=range(3, 23), y=[1] * 20, p=[True] * 20)
    path = tmp_path / "a.raw"
    eventio.write(path, eventio.Recording(events, width=64, height=64))
    header_bytes = path.read_bytes().index(b"% end\n") + 6
    assert path.stat().st_size - header_bytes == 2 * 7
    np.testing.assert_array_equal(eventio.read(path).events, events)


@pytest.mark.parametrize("start", [0, 2**24 - 1, 2**24, 5 * 2**24 + 17, 2**34 - 10])
def test_evt3_times_of_any_size_come_back(tmp_path: Path, start: int) -> None:
    t = [start, start + 1, start + 9]
    recording = eventio.Recording(
        eventio.make_events(t=t, x=[1] * 3, y=[1] * 3, p=[True] * 3), width=2, height=2
    )
    eventio.write(tmp_path / "a.raw", recording)
    assert eventio.read(tmp_path / "a.raw").t.tolist() == t


def test_events_of_a_recording_are_views_and_read_only() -> None:
    events = eventio.make_events(t=[1], x=[2], y=[3], p=[False])
    recording = eventio.Recording(events, width=4, height=4)
    events["x"] = 0
    assert recording.x.tolist() == [2]
    assert np.shares_memory(recording.t, recording.events)
    with pytest.raises(ValueError, match="read-only"):
        recording.x[0] = 1
    assert recording.events.dtype == eventio.EVENT_DTYPE
    assert eventio.EVENT_DTYPE.itemsize == 13


@pytest.mark.parametrize("name", ["nmnist", "evt2", "evt3"])
def test_chunks_need_memory_for_a_few_blocks_only(tmp_path: Path, name: str) -> None:
    n = 1_500_000
    events = np.zeros(n, eventio.EVENT_DTYPE)
    events["t"] = np.arange(n)
    path = tmp_path / "long.raw"
    eventio.write(path, eventio.Recording(events, width=34, height=34), format=name)
    tracemalloc.start()
    with eventio.open(path, format=name) as reader:
        n_read = sum(len(chunk) for chunk in reader.chunks(n_events=1000))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_read == n
    assert peak_bytes < 0.6 * events.nbytes
