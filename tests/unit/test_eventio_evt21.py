"""EVT 2.1 by hand, against the slow reader, and real recordings through the writer."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio.format_table import find_by_name
from tests.oracle.event_formats import decode_evt21

ORDERS = ("little", "legacy")


def head(order: str | None) -> bytes:
    option = f";endianness={order}" if order else ""
    return f"% evt 2.1\n% format EVT21;height=480;width=640{option}\n% end\n".encode()


def pack(words: list[int], order: str) -> bytes:
    array = np.array(words, "<u8")
    return array.tobytes() if order == "little" else np.roll(array.view("<u4").reshape(-1, 2), 1, 1).tobytes()


def save(folder: Path, data: bytes) -> Path:
    path = folder / "a.raw"
    path.write_bytes(data)
    return path


def time_high(high: int) -> int:
    return 8 << 60 | high << 32


def pixels(p: int, low: int, x: int, y: int, mask: int) -> int:
    return p << 60 | low << 54 | x << 43 | y << 32 | mask


WORDS = [time_high(5), pixels(1, 63, 608, 479, 1 << 31 | 1), pixels(0, 0, 32, 7, 0b110)]
EVENTS = [(383, 608, 479, True), (383, 639, 479, True), (320, 33, 7, False), (320, 34, 7, False)]


def test_the_halves_of_a_word_in_both_orders() -> None:
    assert pack([0x0102030405060708], "little").hex() == "0807060504030201"
    assert pack([0x0102030405060708], "legacy").hex() == "0403020108070605"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("is_said", [True, False])
def test_by_hand_in_both_byte_orders(tmp_path: Path, order: str, is_said: bool) -> None:
    path = save(tmp_path, head(order if is_said else None) + pack(WORDS, order))
    with pytest.warns(eventio.DamagedRecordingWarning, match="backwards at 1 of 4"):
        recording = eventio.read(path)
    assert recording.events.tolist() == EVENTS
    assert recording.metadata.format == "evt21"
    note = (f"byte order {order!r}, by the look of the words",)
    assert recording.metadata.conversions == (() if is_said else note)


def test_the_order_may_be_said(tmp_path: Path) -> None:
    path = save(tmp_path, head("little") + pack(WORDS, "legacy"))
    with pytest.warns(eventio.DamagedRecordingWarning, match="backwards"):
        assert eventio.read(path, format="evt21-legacy").events.tolist() == EVENTS


def test_other_words_and_wraps(tmp_path: Path) -> None:
    words = [
        pixels(1, 0, 0, 0, 0b101),
        time_high(2**28 - 1),
        pixels(1, 63, 0, 0, 1),
        0xA << 60,
        0xE << 60,
        0xF << 60,
        0x3 << 60,
        time_high(0),
        pixels(1, 1, 0, 0, 1),
    ]
    recording = eventio.read(save(tmp_path, head("little") + pack(words, "little")))
    assert recording.t.tolist() == [2**34 - 1, 2**34 + 1]
    assert dict(recording.metadata.skipped) == {
        "external triggers": 1,
        "other words": 1,
        "continued words": 1,
        "unknown words": 1,
        "events before the first time": 2,
    }
    assert recording.metadata.conversions == (
        f"1 overflows of the file's clock, each adding {2**34} us to later times",
    )


def test_a_vector_that_leaves_the_sensor(tmp_path: Path) -> None:
    path = save(tmp_path, head("little") + pack([time_high(0), pixels(1, 0, 639, 0, 3)], "little"))
    with pytest.raises(eventio.OutOfSensorError, match="x = 640, y = 0, outside the 640x480"):
        eventio.read(path)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    data = head("legacy")
    words = [time_high(0), *(pixels(1, i, 32 * i, i, 0b11) for i in range(4))]
    whole = data + pack(words, "legacy")
    for n_bytes in range(1, len(whole)):
        path = save(tmp_path, whole[:n_bytes])
        n_words, rest = divmod(max(0, n_bytes - len(data)), 8)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if n_words < 2:
                with pytest.raises(eventio.FormatError, match=r"a\.raw: "):
                    eventio.read(path)
                continue
            recording = eventio.read(path)
        assert recording.t.tolist() == [i // 2 for i in range(2 * n_words - 2)]
        assert recording.metadata.is_truncated == (rest > 0)
        assert [f"at byte {n_bytes - rest}" in str(each.message) for each in caught] == [True] * (rest > 0)


WORD = st.integers(0, 2**64 - 1) | st.builds(
    lambda kind, low: kind << 60 | low,
    st.sampled_from([0, 1, 1, 8, 8, 10, 14, 15]),
    st.integers(0, 2**60 - 1),
)


@given(st.lists(WORD, max_size=60), st.sampled_from(ORDERS))
def test_words_decode_as_in_the_slow_reader(
    tmp_path_factory: pytest.TempPathFactory, words: list[int], order: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "words.raw"
    path.write_bytes(head(order) + pack(words, order))
    source = find_by_name("evt21").open_source(path)
    found = [row for block in source.blocks() for row in block.tolist()]
    expected, skipped = decode_evt21(words)
    assert found == expected
    assert sum(source.findings.skipped.values()) == sum(skipped.values())
    for name, key in (("external triggers", "a"), ("events before the first time", "waiting")):
        assert source.findings.skipped.get(name, 0) == skipped[key]


ROW = st.tuples(
    st.integers(0, 2**33) | st.integers(0, 2), st.integers(0, 40), st.integers(0, 1), st.booleans()
)


@given(st.lists(ROW, min_size=1, max_size=60), st.sampled_from(["evt21", "evt21-legacy"]), st.booleans())
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, int, bool]],
    name: str,
    is_sorted: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "again.raw"
    t, x, y, p = zip(*(sorted(rows) if is_sorted else rows), strict=True)
    events = eventio.make_events(t=t, x=x, y=y, p=p)
    eventio.write(path, eventio.Recording(events, width=64, height=2), format=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        again = eventio.read(path)
    np.testing.assert_array_equal(again.events, events)
    assert (again.width, again.height, again.metadata.format) == (64, 2, "evt21")
    assert (
        f"\n% endianness {'legacy' if name.endswith('legacy') else 'little'}\n".encode() in path.read_bytes()
    )


def test_the_writer_uses_vectors(tmp_path: Path) -> None:
    events = eventio.make_events(t=[7] * 64, x=range(64), y=[1] * 64, p=[True] * 64)
    path = tmp_path / "a.raw"
    eventio.write(path, eventio.Recording(events, width=64, height=64), format="evt21")
    data = path.read_bytes()
    assert len(data) - data.index(b"% end\n") - 6 == 3 * 8


def test_dense_words_over_many_blocks(tmp_path: Path) -> None:
    n = 400_000
    events = eventio.make_events(
        t=np.arange(n) // 640, x=np.arange(n) % 640, y=np.arange(n) // 640 % 480, p=[True] * n
    )
    path = tmp_path / "a.raw"
    eventio.write(path, eventio.Recording(events, width=640, height=480), format="evt21")
    np.testing.assert_array_equal(eventio.read(path).events, events)


@pytest.mark.parametrize(
    ("t", "side", "text"),
    [
        ([2**34], 2, "event 0: t = 17179869184 does not fit"),
        ([-1], 2, "t = -1"),
        ([2**34 - 1, 0], 2, "event 1: time steps from .* to t = 0 us"),
        ([1], 2049, "2049x2049 sensor"),
    ],
)
def test_what_is_not_written(tmp_path: Path, t: list[int], side: int, text: str) -> None:
    events = eventio.make_events(t=t, x=[0] * len(t), y=[0] * len(t), p=[1] * len(t))
    with pytest.raises(eventio.FormatError, match=text):
        eventio.write(tmp_path / "a.raw", eventio.Recording(events, width=side, height=side), format="evt21")


@pytest.mark.parametrize("name", ["evt21", "evt21-legacy"])
def test_a_real_recording_survives(data_dir: Path, tmp_path: Path, name: str) -> None:
    recording = eventio.read(data_dir / "expelliarmus_samples/evt3_sample.raw")
    eventio.write(tmp_path / "a.raw", recording, format=name)
    np.testing.assert_array_equal(eventio.read(tmp_path / "a.raw").events, recording.events)
