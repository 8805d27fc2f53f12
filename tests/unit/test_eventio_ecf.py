"""Prophesee's codec of events in HDF5: against a slow encoder, in files, and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventio
from eventio import ecf
from tests.oracle.ecf import WAYS, Row, encode, write_file

ROWS = st.lists(
    st.tuples(
        st.integers(0, 40) | st.integers(0, 2**40),
        st.integers(0, 20) | st.integers(0, 2047),
        st.sampled_from([0, 7, 2047]) | st.integers(0, 2047),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=150,
)


@settings(max_examples=60)
@given(ROWS, st.sampled_from(WAYS), st.integers(1, 40))
def test_every_way_of_storing(rows: list[Row], way: str, repeats: int) -> None:
    ordered = sorted(rows * repeats)[:4000] if repeats > 20 else sorted(rows)
    found = ecf.unpack(encode(ordered, way))
    assert [(int(t), int(x), int(y), int(p)) for x, y, p, t in found.tolist()] == ordered


def make_events(n_events: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(5, 10**6, n_events))
    return eventio.make_events(
        t=t,
        x=rng.integers(0, 1280, n_events),
        y=rng.integers(0, 720, n_events),
        p=rng.integers(0, 2, n_events),
    )


@pytest.mark.parametrize("way", WAYS)
def test_files_of_metavision(tmp_path: Path, way: str) -> None:
    events = make_events(1000)
    path = write_file(tmp_path / "a.hdf5", events, way=way)
    recording = eventio.read(path)
    np.testing.assert_array_equal(recording.events, events)
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (1280, 720, False)
    with eventio.open(path) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.chunks(n_events=77))), events)
        part = list(reader.chunks(start_event=130, stop_event=700))
    np.testing.assert_array_equal(np.concatenate(part), events[130:700])


def test_damaged_pieces_are_refused_or_decoded() -> None:
    rng = np.random.default_rng(1)
    rows = [(int(t), int(x), int(y), int(p)) for t, x, y, p in make_events(300).tolist()]
    n_read = 0
    for way in WAYS:
        whole = encode(rows, way)
        for k in range(200):
            piece = bytearray(whole)
            for at in rng.integers(0, len(piece), k % 3):
                piece[at] = int(rng.integers(256))
            piece = piece[: int(rng.integers(len(piece) + 1))] if k % 2 else piece
            try:
                n_read += len(ecf.unpack(bytes(piece))) > 0
            except eventio.FormatError as error:
                refusal = str(error)
                assert "ECF" in refusal
    assert n_read > 100


def test_a_damaged_piece_ends_the_valid_prefix(tmp_path: Path) -> None:
    events = make_events(640)
    path = write_file(tmp_path / "a.hdf5", events)
    data = path.read_bytes()
    rows = [(int(t), int(x), int(y), int(p)) for t, x, y, p in events[384:448].tolist()]
    piece = encode(rows, "all")
    assert data.count(piece) == 1
    path.write_bytes(data.replace(piece, b"\xff" * len(piece)))
    with pytest.raises(
        eventio.FormatError, match=r"a\.hdf5: events from 0 on cannot be read: a piece of ECF promises"
    ):
        eventio.read(path)


def test_pieces_that_the_codec_left_as_they_were() -> None:
    events = np.array([(1, 2, 1, 5), (3, 4, 0, 9)], ecf.FIELDS)
    for data in (events.tobytes(), events.astype(ecf.ALIGNED).tobytes()):
        assert ecf.read_plain(data, 2).tolist() == events.tolist()
    with pytest.raises(eventio.FormatError, match="a piece of 2 events has 27 bytes"):
        ecf.read_plain(bytes(27), 2)


def test_the_last_piece_may_be_short() -> None:
    with pytest.raises(eventio.FormatError, match="has 5 bytes, fewer than 12"):
        ecf.unpack(b"12345")
    assert len(ecf.unpack(bytes(12))) == 0
