"""Parts of recordings: by number, by time, and from kept places on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio import seeking
from eventio.reader import Reader
from eventio.recording import EventArray
from eventio.source import Findings

TIMES = [3, 3, 7, 5, 12, 30, 29, 31, 44]


class SlowSource:
    """Events of given times in blocks of three, with places to go on from; what it hands over is counted."""

    def __init__(self, times: list[int]) -> None:
        self.path = Path("slow")
        self.width: int | None = 4
        self.height: int | None = 4
        self.usual_sizes = ((4, 4),)
        self.findings = Findings()
        self.events = eventio.make_events(
            t=times, x=np.arange(len(times)) % 4, y=[0] * len(times), p=[1] * len(times)
        )
        self.n_given = 0
        self._next = 0

    def blocks(self) -> Iterator[EventArray]:
        return self.blocks_from(0)

    def checkpoint(self) -> int:
        return self._next

    def blocks_from(self, checkpoint: int) -> Iterator[EventArray]:
        for start in range(checkpoint, len(self.events), 3):
            self._next = start + 3
            block = self.events[start : start + 3].copy()
            self.n_given += len(block)
            yield block
            block["t"] = -1  # good until the next only


def expected_part(
    events: EventArray, start_event: int, stop_event: int | None, start_us: int | None, stop_us: int | None
) -> EventArray:
    """The same, event by event."""
    given: list[int] = []
    for i in range(len(events)):
        t = int(events["t"][i])
        if not given and (i < start_event or (start_us is not None and t < start_us)):
            if stop_event is not None and i >= stop_event:
                break
            continue
        if (stop_event is not None and i >= stop_event) or (stop_us is not None and t >= stop_us):
            break
        given.append(i)
    return events[given]


@pytest.mark.filterwarnings("ignore::eventio.DamagedRecordingWarning")
@given(
    times=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    parts=st.lists(
        st.tuples(
            st.integers(0, 32),
            st.none() | st.integers(0, 32),
            st.none() | st.integers(0, 62),
            st.none() | st.integers(0, 62),
        ),
        min_size=1,
        max_size=4,
    ),
    n_events=st.integers(1, 9),
)
def test_parts_are_those_found_event_by_event(
    times: list[int], parts: list[tuple[int, int | None, int | None, int | None]], n_events: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeking, "PLACE_EVENTS", 4)
        source = SlowSource(times)
        reader = Reader(source, "slow", None, None)
        for start_event, stop_event, start_us, stop_us in parts:
            chunks = list(
                reader.chunks(
                    n_events=n_events,
                    start_event=start_event,
                    stop_event=stop_event,
                    start_us=start_us,
                    stop_us=stop_us,
                )
            )
            wanted = expected_part(source.events, start_event, stop_event, start_us, stop_us)
            assert [event for chunk in chunks for event in chunk.tolist()] == wanted.tolist()
            assert all(len(chunk) == n_events for chunk in chunks[:-1])


def test_a_second_jump_reads_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeking, "PLACE_EVENTS", 6)
    source = SlowSource(list(range(300)))
    reader = Reader(source, "slow", None, None)
    n_given = []
    for arguments in ({"start_event": 290}, {"start_event": 290}, {"start_us": 290}):
        source.n_given = 0
        part = np.concatenate(list(reader.chunks(**arguments)))
        assert part["t"].tolist() == list(range(290, 300))
        n_given.append(source.n_given)
    assert n_given == [300, 12, 12]


def test_a_later_start_never_goes_past_a_place_with_late_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeking, "PLACE_EVENTS", 3)
    source = SlowSource([0, 50, 1, 2, 3, 4, 60, 61, 62])
    reader = Reader(source, "slow", None, None)
    with pytest.warns(eventio.DamagedRecordingWarning):
        list(reader.chunks())
    with pytest.warns(eventio.DamagedRecordingWarning):
        chunks = list(reader.chunks(start_us=40))
    assert np.concatenate(chunks)["t"].tolist() == [50, 1, 2, 3, 4, 60, 61, 62]


@pytest.mark.filterwarnings("ignore::eventio.DamagedRecordingWarning")
@pytest.mark.parametrize(
    ("arguments", "windows"),
    [
        ({"duration_us": 10}, [[3, 3, 7, 5, 12], [30, 29, 31], [44]]),
        ({"duration_us": 100}, [TIMES]),
        ({"duration_us": 10, "start_us": 0}, [[3, 3, 7, 5], [12], [30, 29, 31], [44]]),
        ({"duration_us": 10, "start_us": 6, "stop_us": 31}, [[7, 5, 12], [30, 29]]),
        ({"duration_us": 1, "start_event": 7}, [[31], [44]]),
    ],
)
def test_windows_by_hand(arguments: dict[str, int], windows: list[list[int]]) -> None:
    reader = Reader(SlowSource(TIMES), "slow", None, None)
    assert [chunk["t"].tolist() for chunk in reader.chunks(**arguments)] == windows


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n_events": 0}, "n_events must be at least 1, got 0"),
        ({"duration_us": 0}, "duration_us must be at least 1, got 0"),
        ({"n_events": 1, "duration_us": 1}, "give n_events or duration_us, not both"),
        ({"start_event": -1}, "start_event counts from 0 at the start of the file, got -1"),
    ],
)
def test_chunks_that_make_no_sense(arguments: dict[str, int], text: str) -> None:
    reader = Reader(SlowSource(TIMES), "slow", None, None)
    with pytest.raises(eventio.ArgumentError, match=text):
        list(reader.chunks(**arguments))


def test_a_part_may_be_empty() -> None:
    reader = Reader(SlowSource(TIMES), "slow", None, None)
    assert list(reader.chunks(start_us=1000)) == []
    assert list(reader.chunks(start_event=5, stop_event=5)) == []


def test_a_source_without_companions_has_none() -> None:
    companions = Reader(SlowSource(TIMES), "slow", None, None).read_companions()
    assert not companions
    assert companions.describe() == "nothing"
