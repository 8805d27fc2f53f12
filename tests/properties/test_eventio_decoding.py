"""Decoders against the slow readers, and round trips through every format that is written."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventio
from eventio.format_table import find_by_name
from tests.oracle.event_formats import decode_evt2, decode_evt3, decode_nmnist

EVT2_NAMES = {"external triggers": "a", "other words": "e", "continued words": "f"}
EVT3_NAMES = {
    "padding words": "9",
    "external triggers": "a",
    "other words": "e",
    "events before the first time": "waiting",
    "events before the first row": "rowless",
    "events before the first base of a vector": "baseless",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("eventio") / "recording.raw"


def read_source(path: Path, name: str) -> tuple[list[tuple[int, int, int, bool]], dict[str, int]]:
    source = find_by_name(name).open_source(path)
    blocks = [event for block in source.blocks() for event in block.tolist()]
    return blocks, source.findings.skipped


@given(st.binary(max_size=400))
def test_40_bit_words_decode_as_in_the_slow_reader(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    events, _ = read_source(place, "nmnist")
    assert events == decode_nmnist(data)


def mixed_words(
    kinds: list[int], payload_bits: int, values: st.SearchStrategy[int]
) -> st.SearchStrategy[int]:
    return st.builds(lambda kind, value: (kind << payload_bits) | value, st.sampled_from(kinds), values)


EVT2_WORDS = st.lists(
    mixed_words([0, 1, 1, 8, 8, 10, 14, 15], 28, st.integers(0, 2**28 - 1)) | st.integers(0, 2**32 - 1),
    max_size=120,
)
EVT3_WORDS = st.lists(
    mixed_words(
        [0, 2, 2, 3, 4, 4, 5, 6, 6, 8, 9, 10, 14],
        12,
        st.integers(0, 4095) | st.integers(0, 3) | st.integers(4092, 4095),
    )
    | st.integers(0, 2**16 - 1),
    max_size=250,
)


@given(EVT2_WORDS)
def test_evt2_words_decode_as_in_the_slow_reader(place: Path, words: list[int]) -> None:
    place.write_bytes(b"% evt 2.0\n% end\n" + np.array(words, "<u4").tobytes())
    events, skipped = read_source(place, "evt2")
    expected, expected_skipped = decode_evt2(words)
    assert events == expected
    assert sum(skipped.values()) == sum(expected_skipped.values())
    for name, key in EVT2_NAMES.items():
        assert skipped.get(name, 0) == expected_skipped[key]


@given(EVT3_WORDS)
@settings(max_examples=80)
def test_evt3_words_decode_as_in_the_slow_reader(place: Path, words: list[int]) -> None:
    place.write_bytes(b"% evt 3.0\n% end\n" + np.array(words, "<u2").tobytes())
    events, skipped = read_source(place, "evt3")
    expected, expected_skipped = decode_evt3(words)
    assert events == expected
    assert sum(skipped.values()) == sum(expected_skipped.values())
    for name, key in EVT3_NAMES.items():
        assert skipped.get(name, 0) == expected_skipped[key]
    assert skipped.get("continued words", 0) == expected_skipped["7"] + expected_skipped["f"]


def recordings(max_time_us: int, side: int, *, is_sorted: bool) -> st.SearchStrategy[eventio.Recording]:
    """Random recordings with runs of equal times and rows, as vectors have them."""
    event = st.tuples(
        st.integers(0, max_time_us) | st.integers(0, 50),
        st.integers(0, side - 1) | st.integers(0, min(side - 1, 40)),
        st.integers(0, side - 1) | st.integers(0, 1),
        st.booleans(),
    )

    def build(rows: list[tuple[int, int, int, bool]]) -> eventio.Recording:
        rows = sorted(rows) if is_sorted else rows
        t, x, y, p = zip(*rows, strict=True)
        return eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p), width=side, height=side)

    return st.lists(event, min_size=1, max_size=60).map(build)


def read_back(path: Path, recording: eventio.Recording, name: str) -> eventio.Recording:
    eventio.write(path, recording, format=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        return eventio.read(path, format=name)


@given(recordings(2**23 - 1, 240, is_sorted=False))
def test_40_bit_round_trip(place: Path, recording: eventio.Recording) -> None:
    again = read_back(place, recording, "nmnist")
    np.testing.assert_array_equal(again.events, recording.events)
    assert again.metadata.n_backward_steps == int((np.diff(recording.t) < 0).sum())


@given(recordings(2**32, 2048, is_sorted=False))
def test_evt2_round_trip(place: Path, recording: eventio.Recording) -> None:
    again = read_back(place, recording, "evt2")
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.height) == (2048, 2048)


@given(recordings(2**34 - 1, 2048, is_sorted=True) | recordings(2**23 - 1, 64, is_sorted=False))
def test_evt3_round_trip(place: Path, recording: eventio.Recording) -> None:
    again = read_back(place, recording, "evt3")
    np.testing.assert_array_equal(again.events, recording.events)


@given(
    rows=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 33)), min_size=1, max_size=200),
    n_events=st.integers(1, 250),
    name=st.sampled_from(["nmnist", "evt2", "evt3"]),
)
def test_chunks_joined_are_the_recording(
    place: Path, rows: list[tuple[int, int]], n_events: int, name: str
) -> None:
    t, x = zip(*rows, strict=True)
    events = eventio.make_events(t=t, x=x, y=x, p=[True] * len(x))
    eventio.write(place, eventio.Recording(events, width=34, height=34), format=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        whole = eventio.read(place, format=name)
        with eventio.open(place, format=name) as reader:
            chunks = list(reader.chunks(n_events=n_events))
            assert [len(chunk) for chunk in chunks[:-1]] == [n_events] * (len(chunks) - 1)
            np.testing.assert_array_equal(np.concatenate(chunks), whole.events)
            assert (reader.width, reader.height) == (whole.width, whole.height)
            assert reader.metadata == whole.metadata


def test_blocks_that_end_within_a_vector_lose_nothing(tmp_path: Path) -> None:
    words = [0x8000, 0x6000, 0x0001] + [0x3000, 0x4FFF, 0x4FFF, 0x50FF] * 12_000
    path = tmp_path / "dense.raw"
    path.write_bytes(b"% evt 3.0\n% geometry 1280x720\n% end\n" + np.array(words, "<u2").tobytes())
    recording = eventio.read(path)
    assert len(recording) == 32 * 12_000
    assert Counter(recording.x.tolist()) == Counter(dict.fromkeys(range(32), 12_000))
