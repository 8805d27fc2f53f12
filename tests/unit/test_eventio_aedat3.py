"""AEDAT 3.1 by hand-made packets, round trips, damage, and an independent reader."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventio

HEAD = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: now\r\n#!END-HEADER\r\n"


def packet(kind: int, events: list[bytes], overflows: int = 0) -> bytes:
    n, size = len(events), len(events[0])
    return struct.pack("<hhiiiiii", kind, 1, size, 4, overflows, n, n, n) + b"".join(events)


def polarity(t: int, x: int, y: int, p: int, valid: int = 1) -> bytes:
    return struct.pack("<Ii", x << 17 | y << 2 | p << 1 | valid, t)


def save(folder: Path, data: bytes) -> Path:
    path = folder / "a.aedat"
    path.write_bytes(data)
    return path


def test_events_by_hand(tmp_path: Path) -> None:
    data = packet(1, [polarity(5, 239, 0, 1), polarity(6, 1, 179, 0, 0), polarity(7, 0, 179, 0)])
    data += packet(1, [polarity(3, 2, 3, 1)], overflows=2)
    recording = eventio.read(save(tmp_path, HEAD + data))
    assert recording.events.tolist() == [(5, 239, 0, True), (7, 0, 179, False), (2 * 2**31 + 3, 2, 3, True)]
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (240, 180, False)
    assert recording.metadata.skipped == (("invalid events", 1),)
    assert recording.metadata.format == "aedat3"


def test_a_packet_may_be_empty(tmp_path: Path) -> None:
    empty = struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 0, 0, 0)
    path = save(tmp_path, HEAD + empty + packet(1, [polarity(5, 2, 3, 1)]) + empty)
    assert eventio.read(path).events.tolist() == [(5, 2, 3, True)]


def test_companions_by_hand(tmp_path: Path) -> None:
    special = [struct.pack("<Ii", kind << 1 | 1, 10 + kind) for kind in (0, 1, 2, 3, 4, 5)]
    imu6 = struct.pack("<Ii7f", 1, 20, 1, 2, 3, 4, 5, 6, 7)
    imu9 = struct.pack("<Ii10f", 1, 21, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    image = np.arange(6, dtype="<u2")
    frame = struct.pack("<I8i", 1 << 1 | 1, 1, 9, 3, 8, 3, 2, 4, 5) + image.tobytes()
    bad = struct.pack("<I8i", 1 << 1 | 1, 1, 9, 3, 8, 300, 200, 0, 0) + image.tobytes()
    data = packet(0, special) + packet(3, [imu6]) + packet(4, [imu9]) + packet(2, [frame, bad])
    data += packet(1, [polarity(5, 1, 1, 1)]) + packet(9, [bytes(12)])
    recording = eventio.read(save(tmp_path, HEAD + data))
    assert recording.triggers.tolist() == [(11, 0, 0), (12, 0, 1), (13, 0, 2), (14, 0, 3)]
    assert recording.imu["t"].tolist() == [20, 21]
    assert recording.imu["rotation_deg_s"].tolist() == [[4, 5, 6]] * 2
    assert recording.imu["temperature_c"].tolist() == [7, 7]
    assert np.isnan(recording.imu["magnetic_ut"][0]).all()
    assert recording.imu["magnetic_ut"][1].tolist() == [8, 9, 10]
    (kept,) = recording.frames
    assert kept.image.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (kept.t_us, kept.exposure_us, kept.origin) == (8, (3, 8), (4, 5))
    assert dict(recording.metadata.skipped) == {
        "special events": 6,
        "inertial measurements": 2,
        "frames": 2,
        "unknown events": 1,
    }


TIMES = st.integers(0, 2**33) | st.integers(2**31 - 5, 2**31 + 5)


@given(
    st.lists(
        st.tuples(TIMES, st.integers(0, 239), st.integers(0, 179), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, bool]]) -> None:
    path = tmp_path_factory.getbasetemp() / "again.aedat"
    t, x, y, p = zip(*rows, strict=True)
    events = eventio.make_events(t=t, x=x, y=y, p=p)
    eventio.write(path, eventio.Recording(events, width=240, height=180), format="aedat3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        again = eventio.read(path)
    np.testing.assert_array_equal(again.events, events)
    assert (again.width, again.height) == (240, 180)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    data = HEAD + packet(1, [polarity(k, k, k, 1) for k in range(3)]) + packet(1, [polarity(9, 9, 9, 1)])
    for n_bytes in range(11, len(data)):
        path = save(tmp_path, data[:n_bytes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            if n_bytes < len(HEAD) + 52:
                with pytest.raises(eventio.FormatError, match=r"a\.aedat: "):
                    eventio.read(path)
                continue
            recording = eventio.read(path)
        assert recording.t.tolist() == [0, 1, 2]
        assert recording.metadata.is_truncated == (n_bytes > len(HEAD) + 52)


@given(st.binary(min_size=1, max_size=120))
@settings(max_examples=60)
def test_random_packets(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.aedat"
    path.write_bytes(HEAD + packet(1, [polarity(1, 1, 1, 1)]) + data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        assert eventio.read(path).events[0].tolist() == (1, 1, 1, True)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (HEAD.replace(b"3.1", b"3.0"), "only 3.1 is read"),
        (HEAD.replace(b"RAW", b"Serial-TS"), "of format 'serial-ts', and only 'RAW'"),
        (HEAD[:-16], "does not end with '#!END-HEADER'"),
        (HEAD + struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 2**31 - 1, 2**31 - 1, 0), "holds no event before"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, text: str) -> None:
    path = save(tmp_path, data)
    with pytest.raises(eventio.FormatError, match=text) as caught:
        eventio.read(path)
    assert str(path) in str(caught.value)
