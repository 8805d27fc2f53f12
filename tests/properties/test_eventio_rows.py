"""Long runs of events, which decoders take eight at a time, with all that ends such a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import eventio
from eventio.buffer import EventBuffer
from eventio.format_table import find_by_name
from tests.oracle.event_formats import decode_aedat2, decode_dat, decode_evt2, decode_evt3, decode_evt21


def disturb(words: npt.NDArray[Any], rng: np.random.Generator, share: float) -> npt.NDArray[Any]:
    """Give some bytes other values."""
    raw = words.view(np.uint8).copy()
    raw[rng.random(len(raw)) < share] = rng.integers(0, 256)
    return raw.view(words.dtype)


def rising(rng: np.random.Generator, n: int, most: int) -> npt.NDArray[np.int64]:
    """Give times that rise, but for a few."""
    t = np.sort(rng.integers(0, most, n))
    t[rng.random(n) < 0.01] = rng.integers(0, most)
    return t


def evt2(rng: np.random.Generator, n: int, share: float) -> bytes:
    runs = (
        rng.integers(0, 64, (n // 40 + 1, 1)) + np.arange(40) // 8
    )  # narrow: a word of another kind may fit in
    t = runs.clip(0, 63).ravel()[:n]
    words = (rng.integers(0, 2, n) << 28 | t << 22 | rng.integers(0, 1 << 22, n)).astype("<u4")
    highs = np.sort(
        rng.integers(0, 1 << 28, len(words[::40]))
    )  # all bits, those that are an event's time, too
    words[::40] = 0x80000000 | highs
    is_other = rng.random(n) < 0.01
    words[is_other] = rng.choice([0xA, 0xE, 0xF], is_other.sum()) << 28 | rng.integers(
        0, 1 << 28, is_other.sum()
    )
    return disturb(words, rng, share).tobytes()


def dat(rng: np.random.Generator, n: int, share: float) -> bytes:
    t = rising(rng, n, 1 << 32)
    words = np.stack([t, rng.integers(0, 1 << 29, n)], axis=1).astype("<u4")
    return disturb(words.ravel(), rng, share).tobytes()


def aedat2(rng: np.random.Generator, n: int, share: float) -> bytes:
    t = rising(rng, n, 1 << 32)
    words = np.stack([rng.integers(0, 1 << 15, n), t], axis=1).astype(">u4")
    return disturb(words.ravel(), rng, share).tobytes()


def evt3(rng: np.random.Generator, n: int, share: float) -> bytes:
    kinds = rng.choice([0, 2, 2, 2, 3, 4, 4, 5, 6, 8], n)
    words = (kinds << 12 | rng.integers(0, 1 << 12, n)).astype("<u2")
    words[:2] = 0x8000, 0x0001
    return disturb(words, rng, share).tobytes()


def evt21(rng: np.random.Generator, n: int, share: float) -> bytes:
    kinds = rng.choice([0, 1, 1, 8], n, p=[0.4, 0.3, 0.25, 0.05])
    masks = rng.integers(0, 1 << 32, n) & rng.integers(0, 1 << 32, n) & rng.integers(0, 1 << 32, n)
    masks[rng.random(n) < 0.1] = 0xFFFFFFFF
    words = (kinds << 60 | rng.integers(0, 1 << 28, n) << 32 | masks).astype("<u8")
    return disturb(words, rng, share).tobytes()


def words_of(data: bytes, dtype: str) -> list[int]:
    numbers: list[int] = np.frombuffer(data, dtype).tolist()
    return numbers


FORMATS: dict[str, tuple[bytes, Callable[..., bytes], Callable[[bytes], list[Any]]]] = {
    "evt2": (b"% evt 2.0\n% end\n", evt2, lambda data: decode_evt2(words_of(data, "<u4"))[0]),
    "evt3": (b"% evt 3.0\n% end\n", evt3, lambda data: decode_evt3(words_of(data, "<u2"))[0]),
    "evt21": (
        b"% evt 2.1\n% endianness little\n% end\n", evt21,
        lambda data: decode_evt21(words_of(data, "<u8"))[0],
    ),
    "dat": (b"% Data file containing CD events\n\x0c\x08", dat, decode_dat),
    "aedat2-dvs128": (b"#!AER-DAT2.0\r\n", aedat2, lambda data: decode_aedat2(data, 128, 128, is_davis=False)[0]),
}  # fmt: skip


def check_reading(path: Path, name: str, expected: list[Any]) -> None:
    """Read the events into one array, with the smallest sensor that holds them and with smaller ones."""
    width = max(event[1] for event in expected) + 1
    height = max(event[2] for event in expected) + 1
    recording = eventio.read(path, format=name, width=width, height=height)
    assert recording.events.tolist() == expected
    steps = np.diff([event[0] for event in expected])
    assert recording.metadata.n_backward_steps == int((steps < 0).sum())
    for smaller in ((width - 1, height), (width, height - 1)):
        if min(smaller) >= 1:
            with pytest.raises(eventio.OutOfSensorError):
                eventio.read(path, format=name, width=smaller[0], height=smaller[1])


@pytest.mark.filterwarnings("ignore::eventio.DamagedRecordingWarning")
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02])
@pytest.mark.parametrize("name", FORMATS)
def test_long_runs_decode_as_in_the_slow_reader(tmp_path: Path, name: str, share: float) -> None:
    head, make, decode = FORMATS[name]
    rng = np.random.default_rng([len(name), int(share * 1000)])
    path = tmp_path / "runs.raw"
    for n in (3_000, 12, 13, 21):
        data = make(rng, n, share)
        path.write_bytes(head + data)
        expected = decode(data)
        source = find_by_name(name).open_source(path)
        assert [event for block in source.blocks() for event in block.tolist()] == expected
        if not expected:
            continue
        check_reading(path, name, expected)


@pytest.mark.parametrize("name", FORMATS)
def test_one_late_or_outlying_event_in_a_run_is_seen_wherever_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / "one.raw"
    size = (128, 128) if name.startswith("aedat2") else (640, 480)
    for at in range(1, 40):
        t, x = np.arange(100, 140), np.full(40, 3)
        t[at] = 50
        events = eventio.make_events(t=t, x=x, y=x, p=x > 2)
        eventio.write(path, eventio.Recording(events, width=size[0], height=size[1]), format=name)
        with pytest.warns(eventio.DamagedRecordingWarning, match=f"first at event {at} "):
            assert eventio.read(path, format=name).metadata.n_backward_steps == 1
        t, x[at] = np.arange(100, 140), 100
        events = eventio.make_events(t=t, x=x, y=x, p=x > 2)
        eventio.write(path, eventio.Recording(events, width=size[0], height=size[1]), format=name)
        with pytest.raises(eventio.OutOfSensorError, match=f"event {at} "):
            eventio.read(path, format=name, width=100, height=size[1])


@pytest.mark.parametrize("name", ["evt3", "evt21"])
def test_a_file_with_more_events_than_its_samples_promise_is_read_whole(tmp_path: Path, name: str) -> None:
    n = 600_000
    if name == "evt3":
        words = np.full(n, 0x6000, np.uint16)
        words[:3] = 0x8000, 0x0001, 0x3000
        words[20_000:30_000] = 0x4FFF
        expected = 12 * 10_000
    else:
        words = np.full(n, 0x8 << 60, np.uint64)
        words[20_000:30_000] = 0xFFFFFFFF
        expected = 32 * 10_000
    path = tmp_path / "dense.raw"
    head = b"% evt 3.0\n% end\n" if name == "evt3" else b"% evt 2.1\n% endianness little\n% end\n"
    path.write_bytes(head + words.tobytes())
    source = find_by_name(name).open_source(path)
    assert source.expect_events() < expected  # type: ignore[attr-defined]
    recording = eventio.read(path, width=2**16, height=2048)
    assert len(recording) == expected
    blocks = [block.copy() for block in find_by_name(name).open_source(path).blocks()]
    np.testing.assert_array_equal(np.concatenate(blocks), recording.events)


def test_a_buffer_keeps_what_is_in_it_when_it_grows() -> None:
    buffer = EventBuffer(4)
    some = eventio.make_events(t=[1, 2, 3], x=[1, 2, 3], y=[0] * 3, p=[True] * 3)
    buffer.room(3)[:3] = some
    first = buffer.take(3)
    assert len(buffer.room(1)) == 1
    assert len(buffer.room(100)) >= 100
    buffer.append(some)
    np.testing.assert_array_equal(buffer.finish(), np.concatenate([some, some]))
    np.testing.assert_array_equal(first, some)
