"""Memory that dropped recordings leave: used again when nothing looks at it, and never before."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import eventio
from eventio import memory
from eventio.memory import MemoryKeeper

MIB = 1 << 20


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_memory_is_used_again_when_the_last_view_is_gone() -> None:
    keeper = MemoryKeeper(64 * MIB)
    first = keeper.give(8 * MIB)
    first[:] = 1
    at, view = address(first), first[100:].view(np.uint16)[::2]
    del first
    second = keeper.give(8 * MIB)
    second[:] = 2
    assert address(second) != at
    assert (view == 257).all()
    del view
    assert keeper.kept_bytes() == 8 * MIB
    assert address(keeper.give(8 * MIB)) == at


def test_memory_says_whether_it_was_used() -> None:
    eventio.release_memory()
    n_events = memory.LEAST_KEPT_BYTES // 13 + 1
    first = memory.make_room(n_events)
    assert not memory.was_used(first[10:])
    del first
    assert memory.was_used(memory.make_room(n_events)["t"][::2])
    assert not memory.was_used(memory.make_room(10))


@pytest.mark.parametrize(("n_bytes", "is_reused"), [(8 * MIB + 1, False), (6 * MIB, True), (5 * MIB, False)])
def test_only_memory_of_about_the_size_is_used(n_bytes: int, is_reused: bool) -> None:
    keeper = MemoryKeeper(64 * MIB)
    at = address(keeper.give(8 * MIB))
    again = keeper.give(n_bytes)
    assert again.size == n_bytes
    assert (address(again) == at) == is_reused
    del again
    assert keeper.kept_bytes() == 8 * MIB + (0 if is_reused else n_bytes)


def test_the_smallest_that_fits_is_used_and_comes_back_whole() -> None:
    keeper = MemoryKeeper(64 * MIB)
    large, small = keeper.give(9 * MIB), keeper.give(8 * MIB)
    at = address(small)
    del large, small
    used = keeper.give(7 * MIB)
    assert address(used) == at
    del used
    assert keeper.kept_bytes() == 17 * MIB


def test_the_oldest_memory_is_let_go() -> None:
    keeper = MemoryKeeper(20 * MIB)
    parts = [keeper.give(8 * MIB) for _ in range(3)]
    places = [address(part) for part in parts]
    for _ in range(3):
        parts.pop(0)
    assert keeper.kept_bytes() == 16 * MIB
    assert {address(part) for part in (keeper.give(8 * MIB), keeper.give(8 * MIB))} <= set(places[1:])
    too_large = keeper.give(21 * MIB)
    del too_large
    assert keeper.kept_bytes() <= 16 * MIB
    assert keeper.release() <= 16 * MIB
    assert keeper.kept_bytes() == 0


def test_threads_never_share_memory() -> None:
    keeper = MemoryKeeper(8 * MIB)
    wrong: list[int] = []

    def work(me: int) -> None:
        for _ in range(300):
            part = keeper.give(1 * MIB)
            part[:: MIB // 8] = me
            if (part[:: MIB // 8] != me).any():
                wrong.append(me)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert 0 < keeper.kept_bytes() <= 8 * MIB


def test_a_recording_keeps_its_events_while_others_are_read(tmp_path: Path) -> None:
    n_events = 400_000  # above the size from which memory is kept
    assert n_events * eventio.EVENT_DTYPE.itemsize > memory.LEAST_KEPT_BYTES
    rng = np.random.default_rng(0)
    paths = []
    for name in ("a.raw", "b.raw"):
        t = np.sort(rng.integers(0, 10**6, n_events))
        x, y, p = rng.integers(0, 640, n_events), rng.integers(0, 480, n_events), rng.integers(0, 2, n_events)
        recording = eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p.astype(bool)), 640, 480)
        paths.append(tmp_path / name)
        eventio.write(paths[-1], recording, format="evt2")
    eventio.release_memory()
    a = eventio.read(paths[0])
    part, expected = a.events["x"][1000:5000], a.x[1000:5000].copy()
    del a
    b = eventio.read(paths[1])
    assert (part == expected).all()
    copied = b.events.copy()
    del b, part
    assert eventio.release_memory() > 0 == eventio.release_memory()
    for _ in range(2):  # into fresh memory, and into that of the first
        assert (eventio.read(paths[1]).events == copied).all()
