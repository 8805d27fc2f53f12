"""Prophesee .dat files by hand, against the slow reader, and a real one."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio.format_table import find_by_name
from tests.oracle.event_formats import decode_dat

HEAD = b"% Data file containing CD events.\n% Version 2\n% Height 480\n% Width 640\n"
KIND = bytes((12, 8))


def event(t: int, x: int, y: int, p: int) -> bytes:
    return np.array([t, x | y << 14 | p << 28], "<u4").tobytes()


def save(folder: Path, data: bytes) -> Path:
    path = folder / "a.dat"
    path.write_bytes(data)
    return path


def test_by_hand(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + KIND + event(7, 639, 479, 1) + event(8, 0, 5, 0))
    recording = eventio.read(path)
    assert recording.events.tolist() == [(7, 639, 479, True), (8, 0, 5, False)]
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (640, 480, False)
    assert recording.metadata.format == "dat"
    assert recording.metadata.conversions == ()


@pytest.mark.parametrize("kind", [bytes((0, 8)), bytes((12, 8))])
def test_a_header_without_size(tmp_path: Path, kind: bytes) -> None:
    path = save(tmp_path, b"% Data file containing Event2d events.\n" + kind + event(1, 120, 99, 1))
    recording = eventio.read(path)
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (304, 240, True)


def test_wraps_and_unknown_bits_are_noted(tmp_path: Path) -> None:
    data = event(2**32 - 1, 1, 1, 1) + event(4, 1, 1, 2) + event(2**32 - 1, 1, 1, 0) + event(5, 1, 1, 0)
    with pytest.warns(eventio.DamagedRecordingWarning, match="backwards at 1 of 4"):
        recording = eventio.read(save(tmp_path, HEAD + KIND + data))
    assert recording.t.tolist() == [2**32 - 1, 2**32 + 4, 2**32 - 1, 2**32 + 5]
    assert recording.metadata.conversions == (
        f"1 overflows of the file's clock, each adding {2**32} us to later times",
        "unknown bits 29 to 31 of 1 events left out",
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            HEAD + bytes((14, 8)) + bytes(8),
            r"byte 71 says events of kind 14 \(external triggers\) with 8 bytes",
        ),
        (HEAD + bytes((12, 16)) + bytes(16), "with 16 bytes"),
        (HEAD.replace(b"Version 2", b"Version 1") + KIND, "version '1', and only 2 is read"),
        (HEAD.replace(b"640", b"x") + KIND, "width and height as 'x' and '480'"),
        (HEAD.replace(b"640", b"16385") + KIND, "'16385'"),
        (HEAD, "holds no event before the file breaks off"),
        (HEAD + b"\x0c", "holds no event before the file breaks off"),
        (HEAD + KIND, "holds no event; record"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, text: str) -> None:
    path = save(tmp_path, data)
    with pytest.raises(eventio.FormatError, match=text) as caught:
        eventio.read(path)
    assert str(path) in str(caught.value)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    data = HEAD + KIND + b"".join(event(100 + i, i, i, 1) for i in range(5))
    start = len(HEAD) + 2
    for n_bytes in range(1, len(data)):
        path = save(tmp_path, data[:n_bytes])
        n_events, rest = divmod(max(0, n_bytes - start), 8)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if n_events == 0:
                with pytest.raises(eventio.FormatError, match=r"a\.dat: "):
                    eventio.read(path)
                continue
            recording = eventio.read(path)
        assert recording.t.tolist() == list(range(100, 100 + n_events))
        assert recording.metadata.is_truncated == (rest > 0)
        assert [f"at byte {n_bytes - rest}" in str(each.message) for each in caught] == [True] * (rest > 0)


NUMBER = st.integers(0, 2**32 - 1) | st.integers(0, 9) | st.integers(2**32 - 9, 2**32 - 1)


@given(st.lists(st.tuples(NUMBER, NUMBER), max_size=40))
def test_words_decode_as_in_the_slow_reader(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "words.dat"
    data = np.array(words, "<u4").tobytes()
    path.write_bytes(HEAD + KIND + data)
    blocks = find_by_name("dat").open_source(path).blocks()
    assert [row for block in blocks for row in block.tolist()] == decode_dat(data)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**31), st.integers(0, 345), st.integers(0, 259), st.booleans()), min_size=1
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, bool]]) -> None:
    path = tmp_path_factory.getbasetemp() / "again.dat"
    t, x, y, p = zip(*rows, strict=True)
    recording = eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p), width=346, height=260)
    eventio.write(path, recording)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        again = eventio.read(path)
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.height) == (346, 260)


@pytest.mark.parametrize(
    ("t", "side", "text"),
    [
        ([2**32], 2, "event 0: t = 4294967296 does not fit"),
        ([-1], 2, "t = -1"),
        ([2**31 + 1, 0], 2, "event 1: time steps from .* to t = 0 us"),
        ([1], 16385, "16385x16385 sensor"),
    ],
)
def test_what_is_not_written(tmp_path: Path, t: list[int], side: int, text: str) -> None:
    events = eventio.make_events(t=t, x=[0] * len(t), y=[0] * len(t), p=[1] * len(t))
    with pytest.raises(eventio.FormatError, match=text):
        eventio.write(tmp_path / "a.dat", eventio.Recording(events, width=side, height=side))


def test_a_recording_of_n_cars(data_dir: Path) -> None:
    path = data_dir / "loris_samples/NCARS_obj_004397_td.dat"
    recording = eventio.read(path)
    assert len(recording) == 4_407
    data = path.read_bytes()
    start = data.rindex(b"% Date")
    start = data.index(b"\n", start) + 3
    assert recording.events.tolist() == decode_dat(data[start:])
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (120, 100, True)
    assert not recording.is_damaged
