"""Frames kept on disk as places and counts: dense ones equal what was put in, and nothing else is in memory."""

from __future__ import annotations

import errno
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventio
from eventio.datasets import FrameWriter, StoredFrames


def stored(frames: np.ndarray, *, at_once: int = 1) -> StoredFrames:
    """Store dense frames, several samples at once."""
    with FrameWriter(frames.shape[1:]) as writer:
        for start in range(0, len(frames), at_once):
            part = frames[start : start + at_once]
            flat = part.reshape(-1)
            entry = np.flatnonzero(flat)
            frame, place = np.divmod(entry, writer.size)
            writer.append(frame=frame, place=place, count=flat[entry], n_samples=len(part))
        return writer.finish()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 4), st.integers(1, 3), st.just(2), st.integers(1, 3), st.integers(1, 3)),
    largest=st.sampled_from([1, 255, 256, 1021, 2**24]),
    at_once=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_dense_frames_are_those_put_in(shape: tuple[int, ...], largest: int, at_once: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    kinds = random.choice([0, 1, 254, 255, 256, 510, 511, largest], shape)
    frames = np.minimum(kinds, largest).astype(np.int64)
    found = stored(frames, at_once=at_once)
    assert found.shape == shape == found[:].shape
    assert found.dtype == found[:].dtype == (np.uint8 if frames.max(initial=0) <= 255 else np.float32)
    assert np.array_equal(found[:], frames)
    chosen = random.integers(0, shape[0], 5 if shape[0] else 0)
    assert np.array_equal(found[chosen], frames[chosen])
    assert np.array_equal(found[1:3], frames[1:3])
    assert np.array_equal(found[::-2], frames[::-2])


def test_large_frames_take_wider_places() -> None:
    frames = np.zeros((2, 1, 2, 129, 256), np.uint8)
    frames[0, 0, 1, 128, 255] = 7
    frames[1, 0, 0, 0, 0] = 3
    found = stored(frames)
    assert found.places.dtype == np.uint32
    assert np.array_equal(found[:], frames)
    assert stored(frames[:, :, :, :128]).places.dtype == np.uint16


def test_zeros_are_left_out_and_samples_of_them_stay() -> None:
    with FrameWriter((2, 1, 1, 3)) as writer:
        for count in (0, 4):
            writer.append(frame=np.array([1]), place=np.array([2]), count=np.array([count]))
        frames = writer.finish()
    assert (len(frames), len(frames.counts)) == (2, 1)
    assert frames[:].reshape(2, 6).tolist() == [[0] * 6, [0] * 5 + [4]]


@pytest.mark.parametrize(
    ("frame", "place", "count", "message"),
    [
        ([2], [0], [1], "frame must be from 0 to 1, got 2 to 2"),
        ([0], [6], [1], "place must be from 0 to 5, got 6 to 6"),
        ([0], [-1], [1], "place must be from 0 to 5, got -1 to -1"),
        ([0], [0], [2**24 + 1], "count must be from 0 to 16777216, got 16777217 to 16777217"),
        ([0, 0], [3, 3], [1, 1], "sorted by frame and place, none twice"),
        ([1, 0], [0, 0], [1, 1], "sorted by frame and place, none twice"),
    ],
)
def test_entries_elsewhere_are_refused(
    frame: list[int], place: list[int], count: list[int], message: str
) -> None:
    with FrameWriter((2, 1, 2, 3)) as writer, pytest.raises(eventio.ArgumentError, match=message):
        writer.append(frame=np.array(frame), place=np.array(place), count=np.array(count))


@pytest.mark.parametrize("chosen", [np.array([2]), np.array([-1]), np.zeros((1, 1), np.int64)])
def test_other_samples_are_refused(chosen: np.ndarray) -> None:
    frames = stored(np.ones((2, 1, 1, 1, 1), np.uint8))
    with pytest.raises(eventio.ArgumentError, match="sample numbers must be from 0 to 1"):
        frames[chosen]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(eventio.FileAccessError, match=r"nowhere: cannot be written .*check that the folder"):
        FrameWriter((1, 1), folder=tmp_path / "nowhere")


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, content: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    with FrameWriter((1, 4), folder=tmp_path) as writer:
        writer._counts.close()
        monkeypatch.setattr(writer, "_counts", Full())
        with pytest.raises(
            eventio.FileAccessError, match=r"do not fit on the disk \(No space left .* 3 bytes"
        ):
            writer.append(frame=np.array([0]), place=np.array([1]), count=np.array([1]))


def test_nothing_is_left_behind_and_memory_holds_what_is_asked_for(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sample = np.sort(random.choice(16 * 2 * 128 * 128, 20_000, replace=False))
    frame, place = np.divmod(sample, 2 * 128 * 128)
    stored(np.ones((1, 1, 1, 1, 1), np.uint8))[:]  # compiled before memory is watched
    tracemalloc.start()
    with FrameWriter((16, 2, 128, 128), folder=tmp_path) as writer:
        for _ in range(200):  # 105 MB when dense
            writer.append(frame=frame, place=place, count=np.ones(len(sample), np.uint8))
        frames = writer.finish()
    _, in_writing = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    total = sum(int(frames[k : k + 4].sum()) for k in range(0, 200, 4))
    _, in_reading = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 200 * 20_000
    assert in_writing < 3_000_000  # one sample at a time, and where each frame begins
    assert in_reading - before < 4 * 16 * 2 * 128 * 128 * 2  # four dense samples, and half as much again
    assert not list(tmp_path.iterdir())
