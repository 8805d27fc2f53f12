"""Event Stream files by hand, against the slow reader, and real ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio.format_table import find_by_name
from tests.oracle.event_formats import decode_es


def head(kind: int, width: int = 320, height: int = 240) -> bytes:
    return b"Event Stream" + bytes((2, 0, 0, kind)) + np.array([width, height], "<u2").tobytes()


def event(first: int, x: int, y: int) -> bytes:
    return bytes((first,)) + np.array([x, y], "<u2").tobytes()


def save(folder: Path, data: bytes) -> Path:
    path = folder / "a.es"
    path.write_bytes(data)
    return path


def test_dvs_by_hand(tmp_path: Path) -> None:
    data = event(5 << 1 | 1, 319, 239) + b"\xff\xff\xfe" + event(126 << 1, 0, 0)
    recording = eventio.read(save(tmp_path, head(1) + data))
    assert recording.events.tolist() == [(5, 319, 0, True), (5 + 254 + 126, 0, 239, False)]
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (320, 240, False)
    assert recording.metadata.skipped == (("padding bytes", 1),)
    assert recording.metadata.conversions == ("y counted from the top",)


def test_atis_by_hand(tmp_path: Path) -> None:
    data = event(5 << 2 | 2, 1, 2) + b"\xfd\xff\xfc" + event(1 << 2 | 1, 3, 3) + event(62 << 2, 4, 239)
    recording = eventio.read(save(tmp_path, head(2) + data))
    assert recording.events.tolist() == [(5, 1, 237, True), (5 + 63 + 189 + 1 + 62, 4, 0, False)]
    assert dict(recording.metadata.skipped) == {"padding bytes": 1, "exposure events": 1}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            head(0)[:16] + bytes(8),
            "holds no event, only 4 generic events; eventio.open.path..read_companions",
        ),
        (head(4) + bytes(9), "holds no event before the file breaks off, only 1 colour events"),
        (head(9) + bytes(9), "kind 9, unknown events"),
        (head(1).replace(b"\x02\x00\x00", b"\x01\x02\x03") + bytes(9), "say Event Stream 1.2.3, and only 2"),
        (head(1, width=0) + bytes(9), "sensor of 0x240 pixels"),
        (head(1)[:13], "breaks off at byte 13 within the header"),
        (head(1)[:18], "breaks off at byte 18 within the header"),
        (head(1), "holds no event; record"),
        (head(1) + b"\xff" * 9, "holds no event; record"),
        (head(1) + b"\x01" * 4, "holds no event before the file breaks off"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, text: str) -> None:
    path = save(tmp_path, data)
    with pytest.raises(eventio.FormatError, match=text) as caught:
        eventio.read(path)
    assert str(path) in str(caught.value)


def test_events_outside_the_sensor(tmp_path: Path) -> None:
    for x, y in ((320, 0), (0, 240)):
        path = save(tmp_path, head(1) + event(3, x, y))
        with pytest.raises(
            eventio.OutOfSensorError, match=f"x = {x}, y = {y if y else 239}, outside the 320x240"
        ):
            eventio.read(path)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    data = head(1) + b"".join(event(3 << 1, i, i) + b"\xff" for i in range(5))
    for n_bytes in range(1, len(data)):
        path = save(tmp_path, data[:n_bytes])
        n_events = (max(0, n_bytes - 20) + 1) // 6
        rest = (n_bytes - 20) % 6 if n_bytes > 20 else 0
        rest = 0 if rest == 5 else rest
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if n_events == 0:
                with pytest.raises(eventio.FormatError, match=r"a\.es: "):
                    eventio.read(path)
                continue
            recording = eventio.read(path)
        assert recording.t.tolist() == [3 + 130 * i for i in range(n_events)]
        assert recording.metadata.is_truncated == (rest > 0)
        assert [f"at byte {n_bytes - rest}" in str(each.message) for each in caught] == [True] * (rest > 0)


BYTE = st.integers(0, 255) | st.sampled_from([0, 1, 252, 253, 254, 255])


@given(st.lists(BYTE, max_size=120), st.booleans())
def test_bytes_decode_as_in_the_slow_reader(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], is_atis: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.es"
    path.write_bytes(head(2 if is_atis else 1) + bytes(numbers))
    source = find_by_name("es").open_source(path)
    found = [row for block in source.blocks() for row in block.tolist()]
    expected, skipped, rest = decode_es(bytes(numbers), 240, is_atis=is_atis)
    assert found == expected
    assert source.findings.skipped == skipped
    assert (source.findings.truncation is not None) == (rest > 0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3000) | st.integers(0, 3),
            st.integers(0, 345),
            st.integers(0, 259),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, bool]]) -> None:
    path = tmp_path_factory.getbasetemp() / "again.es"
    steps, x, y, p = zip(*rows, strict=True)
    events = eventio.make_events(t=np.cumsum(steps), x=x, y=y, p=p)
    eventio.write(path, eventio.Recording(events, width=346, height=260))
    again = eventio.read(path)
    np.testing.assert_array_equal(again.events, events)
    assert (again.width, again.height) == (346, 260)


@pytest.mark.parametrize("name", ["es", "dat"])
def test_many_blocks_come_back(tmp_path: Path, name: str) -> None:
    n = 300_000
    t = np.cumsum(np.arange(n) % 200)
    events = eventio.make_events(t=t, x=np.arange(n) % 640, y=np.arange(n) % 480, p=np.arange(n) % 3 == 0)
    path = tmp_path / f"a.{name}"
    eventio.write(path, eventio.Recording(events, width=640, height=480))
    np.testing.assert_array_equal(eventio.read(path).events, events)


@pytest.mark.parametrize(
    ("t", "side", "text"),
    [
        ([2**36], 2, "event 0: t = 68719476736 does not fit"),
        ([-1], 2, "t = -1"),
        ([5, 4], 2, "event 1: t = 4 .* never stepping back"),
        ([1], 65536, "65536x65536 sensor"),
    ],
)
def test_what_is_not_written(tmp_path: Path, t: list[int], side: int, text: str) -> None:
    events = eventio.make_events(t=t, x=[0] * len(t), y=[0] * len(t), p=[1] * len(t))
    with pytest.raises(eventio.FormatError, match=text):
        eventio.write(tmp_path / "a.es", eventio.Recording(events, width=side, height=side))


@pytest.mark.parametrize(
    ("name", "n_events", "size"),
    [("faery_samples/dvs.es", 473_225, (320, 240)), ("cpphots_samples/trcl0.es", 2_628, (30, 32))],
)
def test_real_recordings(
    data_dir: Path, tmp_path: Path, name: str, n_events: int, size: tuple[int, int]
) -> None:
    path = data_dir / name
    recording = eventio.read(path)
    assert len(recording) == n_events
    assert (recording.width, recording.height) == size
    data = path.read_bytes()
    part = data[20:100_020]
    expected, _, _ = decode_es(part, size[1], is_atis=False)
    assert recording.events[: len(expected)].tolist() == expected
    eventio.write(tmp_path / "again.es", recording)
    np.testing.assert_array_equal(eventio.read(tmp_path / "again.es").events, recording.events)
