"""Runs long enough to be written line by line of the processor's cache, and files longer than a piece."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import eventio
from eventio import _kernels as common
from eventio import _kernels_files, word_pieces
from eventio.format_table import find_by_name
from eventio.formats.aedat2 import _kernels as aedat2
from eventio.formats.aedat2.companions import OTHER_DTYPE
from eventio.formats.dat import _kernels as dat
from eventio.formats.evt2 import _kernels as evt2
from eventio.recording import EVENT_DTYPE, PLACED_DTYPE
from tests.generic_processor import check_on_generic_processor
from tests.oracle.event_formats import decode_aedat2, decode_dat, decode_evt2
from tests.properties.test_eventio_rows import FORMATS, check_reading

N = 300
SPARE = 80
TIME_US = 0x0123456789ABCDEF & ~63
"""Of the lines' first events: no two bytes are the same."""


def make_words(name: str, rng: np.random.Generator) -> npt.NDArray[np.uint32]:
    """One run of events in order of time."""
    if name == "evt2":
        t, place = np.sort(rng.integers(0, 64, N)), rng.integers(0, 1 << 22, N)
        return (rng.integers(0, 2, N) << 28 | t << 22 | place).astype("<u4")
    t = np.sort(rng.integers(0, 1 << 31, N))
    most = 1 << (29 if name == "dat" else 15)
    columns = [t, rng.integers(0, most, N)]
    if name == "dat":
        return np.stack(columns, axis=1).astype("<u4")
    return np.stack(columns[::-1], axis=1).astype(">u4").view("<u4")


def begin(name: str, width: int, height: int) -> npt.NDArray[np.int64]:
    """A decoder's state within a recording."""
    module: Any = {"evt2": evt2, "dat": dat, "aedat2": aedat2}[name]
    state = np.zeros(module.N_STATE, np.int64)
    state[[common.PREVIOUS_T, common.INSIDE]] = common.NEVER, -1
    state[common.LIMIT] = common.find_limit(width, height)
    if name == "evt2":
        state[evt2.HIGH], state[evt2.BASE] = TIME_US >> 6 & (1 << 28) - 1, TIME_US >> 34 << 34
    elif name == "dat":
        state[dat.RAW_T], state[dat.BASE] = -1, TIME_US >> 32 << 32
    else:
        state[[aedat2.RAW_T, aedat2.WIDTH, aedat2.HEIGHT]] = -1, 128, 128
    return state


def decode(
    name: str, words: npt.NDArray[np.uint32], state: npt.NDArray[np.int64], room: npt.NDArray[Any]
) -> int:
    """Write the events of words to room, as often as it takes; return their number."""
    placed, n, used = room.view(PLACED_DTYPE), 0, 0
    triggers = np.empty(8, eventio.companions.TRIGGER_DTYPE)
    if name == "dat":
        return int(dat.decode(words, state, placed))
    while used < len(words):
        if name == "evt2":
            n_words, n_events, _ = evt2.decode(words[used:], state, placed[n:], triggers)
        else:
            others = np.empty(0, OTHER_DTYPE)
            n_words, n_events, _ = aedat2.decode(words[used:], aedat2.DVS128, state, placed[n:], others)
        if not n_words:
            break
        used, n = used + n_words, n + n_events
    return n


def expect(name: str, words: npt.NDArray[np.uint32]) -> list[Any]:
    """Decode by the slow reader."""
    if name == "evt2":
        head = [0x80000000 | (TIME_US >> 6 & (1 << 28) - 1)]
        events, _ = decode_evt2(head + words.tolist())
        base = TIME_US >> 34 << 34
        return [(base + t, x, y, p) for t, x, y, p in events]
    if name == "dat":
        base = TIME_US >> 32 << 32
        return [(base + t, x, y, p) for t, x, y, p in decode_dat(words.tobytes())]
    return decode_aedat2(words.tobytes(), 128, 128, is_davis=False)[0]


def check(
    name: str, words: npt.NDArray[np.uint32], shift: int, size: tuple[int, int] = (16384, 16384)
) -> None:
    """Compare with the slow reader: events, what is seen of them, and that nothing else is written."""
    expected = expect(name, words)
    steps = np.diff([event[0] for event in expected])
    is_inside = all(x < size[0] and y < size[1] for _, x, y, _ in expected)
    for is_used in (0, 1):  # memory that is written through the cache, or past it
        room = np.frombuffer(b"\xa5" * (13 * (N + SPARE)), EVENT_DTYPE).copy()
        state = begin(name, *size)
        state[common.IS_USED] = is_used
        n = decode(name, words, state, room[shift : shift + len(expected) + 1])
        assert room[shift : shift + n].tolist() == expected
        assert set(room[:shift].tobytes() + room[shift + n + 1 :].tobytes()) <= {0xA5}
        assert (state[common.LATE] < 0) == bool((steps < 0).any())
        assert (int(state[common.INSIDE]) & common.HIGH_BITS == common.HIGH_BITS) == is_inside


@pytest.mark.parametrize("name", ["evt2", "dat", "aedat2"])
def test_a_run_decodes_wherever_in_a_line_it_begins(name: str) -> None:
    rng = np.random.default_rng(3)
    for shift in range(65):
        check(name, make_words(name, rng), shift)


@pytest.mark.parametrize("name", ["evt2", "dat", "aedat2"])
def test_one_odd_word_in_a_run_is_seen_wherever_it_is(name: str) -> None:
    rng = np.random.default_rng(4)
    for at in range(1, 200):
        words = make_words(name, rng)
        late = words.copy()
        late[at] = late[0]
        check(name, late, at % 7)
        if name == "evt2":
            for kind in (0x2, 0x4, 0x8, 0xA, 0xE):  # whose lower bits are an event's
                other = words.copy()
                other[at] = int(other[at]) & 0xFFFFFFF | kind << 28
                check(name, other, at % 5)
        elif name == "dat":
            other = words.copy()
            other[at, 1] |= 0xE0000000
            check(name, other, at % 5)
            leap = words.copy()  # behind an overflow a leap by half the clock's range goes back before it
            leap[:, 0] //= 4
            leap[0, 0] = (1 << 32) - 1
            leap[max(at, 2) :, 0] += np.uint32(3 << 30)
            check(name, leap, at % 5)
        else:
            other = words.copy()
            other[at, 0] = np.uint32(0x8000).byteswap()
            check(name, other, at % 5)


@pytest.mark.parametrize("name", ["evt2", "dat", "aedat2"])
def test_one_outlying_event_in_a_run_is_seen_wherever_it_is(name: str) -> None:
    rng = np.random.default_rng(5)
    for at in range(200):
        for axis in (0, 1):
            words = make_words(name, rng)
            size = [100, 100]
            if name == "evt2":
                words &= np.uint32(~np.uint32(0x3FFFFF))
                words[at] |= np.uint32((100, 99)[axis] << 11 | (99, 100)[axis])
            elif name == "dat":
                words[:, 1] = 0
                words[at, 1] = (100, 99)[axis] | (99, 100)[axis] << 14
            else:
                words[:, 0] = np.uint32(127 << 8 | 127 << 1).byteswap()
                words[at, 0] = np.uint32(
                    (127 - (99, 100)[axis]) << 8 | (127 - (100, 99)[axis]) << 1
                ).byteswap()
            check(name, words, at % 3, (size[0], size[1]))
            size[axis] = 101
            check(name, words, at % 3, (size[0], size[1]))


def test_words_with_unknown_bits_are_counted_once(tmp_path: Path) -> None:
    words = make_words("dat", np.random.default_rng(6))
    words[::3, 1] |= 0x80000000
    path = tmp_path / "odd.dat"
    path.write_bytes(FORMATS["dat"][0] + words.tobytes())
    notes = eventio.read(path, width=16384, height=16384).metadata.conversions
    assert [note for note in notes if "unknown bits" in note] == [
        f"unknown bits 29 to 31 of {len(words[::3])} events left out"
    ]


@pytest.mark.parametrize("reads_in_kernel", [True, False])
@pytest.mark.parametrize("name", [*FORMATS, "nmnist", "es"])
def test_words_that_lie_across_pieces_are_read(
    name: str, reads_in_kernel: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pieces(word_pieces.FilePieces):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if not reads_in_kernel:  # as where a system has no such function
                self.kernel.state[_kernels_files.DESCRIPTOR] = -1

    monkeypatch.setattr("eventio.word_source.FilePieces", Pieces)
    rng = np.random.default_rng(7)
    path = tmp_path / "pieces.raw"
    if name in ("nmnist", "es"):
        t, x = np.sort(rng.integers(0, 20_000, 400)), rng.integers(0, 34, 400)
        recording = eventio.Recording(eventio.make_events(t=t, x=x, y=x, p=x > 9), width=34, height=34)
        eventio.write(path, recording, format=name)
        expected = recording.events.tolist()
    else:
        head, make, slow = FORMATS[name]
        data = make(rng, 500, 0.002)
        path.write_bytes(head + data)
        expected = slow(data)
    for piece_bytes in (16, 23, 64, 1000):
        source: Any = find_by_name(name).open_source(path)
        source.layout = replace(source.layout, piece_bytes=piece_bytes)
        assert [event for block in source.blocks() for event in block.tolist()] == expected
        assert source.findings.truncation is None


@pytest.mark.filterwarnings("ignore::eventio.DamagedRecordingWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_late_or_outside_is_seen_in_whatever_piece_it_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pieces(word_pieces.FilePieces):
        def __init__(self, file: Any, layout: word_pieces.Layout, *arguments: Any) -> None:
            super().__init__(file, replace(layout, piece_bytes=200), *arguments)

    monkeypatch.setattr("eventio.word_source.FilePieces", Pieces)
    path = tmp_path / "pieces.raw"
    head, make, slow = FORMATS[name]
    data = make(np.random.default_rng(8), 2_000, 0.001)
    path.write_bytes(head + data)
    check_reading(path, name, slow(data))


def test_a_file_cut_while_it_is_read_gives_the_events_before(tmp_path: Path) -> None:
    path = tmp_path / "cut.dat"
    words = np.tile(np.array([[5, 3]], "<u4"), (200_000, 1))
    path.write_bytes(FORMATS["dat"][0] + words.tobytes())
    start = len(FORMATS["dat"][0])
    source: Any = find_by_name("dat").open_source(path)
    n_events = 0
    for block in source.blocks():
        n_events += len(block)
        if path.stat().st_size > start + 8 * 150_000 + 3:
            os.truncate(path, start + 8 * 150_000 + 3)
    assert n_events == 150_000
    assert "at byte" in source.findings.truncation


def test_a_file_that_cannot_be_read_on_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(word_pieces.FilePieces):
        def _read(self) -> int:
            if self.position > 100:
                raise OSError(5, "Input/output error")
            n_read = super()._read()
            self.kernel.state[_kernels_files.DESCRIPTOR] = -1
            return n_read

    monkeypatch.setattr("eventio.word_source.FilePieces", Broken)
    path = tmp_path / "broken.dat"
    path.write_bytes(FORMATS["dat"][0] + bytes(8 * 20_000))
    with pytest.raises(eventio.FileAccessError, match=r"broken\.dat: cannot be read \(Input/output error\)"):
        eventio.read(path)


def test_processors_that_do_not_move_single_bytes_decode_the_same(tmp_path: Path) -> None:
    script = (
        "from tests.properties import test_eventio_lines as tests; from eventio import _kernels_packing as kernels; "
        "assert not kernels.PERMUTES_BYTES; "
        "[tests.test_a_run_decodes_wherever_in_a_line_it_begins(name) for name in ('evt2', 'dat', 'aedat2')]"
    )
    check_on_generic_processor(script, tmp_path)
