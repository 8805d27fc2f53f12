"""Videos: rank pooling by its definition, keyframes by hand, moved features, and a codec's motion vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analog_bridge import MediaError
from analog_bridge.video import (
    CodedFrame,
    dynamic_image,
    keyframes,
    motion_events,
    motion_field,
    motion_residual,
    rank_pooling_weights,
    read_coded_frames,
    residual_events,
    scaled_to_unit,
    warp_features,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_frames", [1, 2, 5, 12])
def test_the_weights_are_one_step_of_ranking_running_means(n_frames: int) -> None:
    """d/dw of the ranking loss at w = 0: the sum over all pairs of the later running mean minus the earlier one."""
    frames = RNG.normal(size=(n_frames, 7))
    means = np.cumsum(frames, 0) / np.arange(1, n_frames + 1)[:, None]
    wanted = sum(
        (means[later] - means[earlier] for later in range(n_frames) for earlier in range(later)),
        start=np.zeros(7),
    )
    found = rank_pooling_weights(n_frames) @ frames
    assert np.abs(found - wanted).max() <= n_frames**3 * 2.0**-50 * np.abs(frames).max()


def test_a_still_clip_gives_an_empty_picture() -> None:
    still = np.ones((6, 1, 4, 4)) * RNG.integers(0, 8, (1, 4, 4))
    assert np.abs(dynamic_image(still)).max() <= 6 * 12 * 8 * 2.0**-52 + 2.0**-23
    moving = np.eye(6)[:, None, :]
    picture = dynamic_image(moving)[0]
    assert picture[0] < 0 < picture[-1]
    pixels = scaled_to_unit(picture)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert scaled_to_unit(np.zeros((2, 2))).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_keyframes_by_hand() -> None:
    clip = np.array([0.0, 0.4, 0.6, 1.0, 1.0])[:, None]
    assert keyframes(clip, threshold=0.25).tolist() == [0, 2]
    assert keyframes(clip, threshold=0.0).tolist() == [0, 1, 2, 3]
    assert keyframes(clip, threshold=9.0).tolist() == [0]


def test_features_move_by_whole_and_half_places() -> None:
    features = RNG.integers(0, 9, (2, 4, 5)).astype(np.float32)
    flow = np.zeros((2, 4, 5))
    assert np.array_equal(warp_features(features, flow), features)
    flow[1] = -1  # one column to the left in the keyframe: the picture moves right
    moved = warp_features(features, flow)
    assert np.array_equal(moved[:, :, 1:], features[:, :, :-1])
    assert not moved[:, :, 0].any()
    flow[:] = 0
    flow[0] = 0.5
    between = warp_features(features, flow)
    assert np.array_equal(between[:, :-1], (features[:, :-1] + features[:, 1:]) / 2)
    assert np.array_equal(between[:, -1], features[:, -1] / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dynamic_image(np.ones((1, 2))), "needs at least 2 frame"),
        (lambda: dynamic_image(np.full((2, 2), np.nan)), "frames must be finite"),
        (lambda: rank_pooling_weights(0), "n_frames must be >= 1"),
        (lambda: keyframes(np.ones((2, 2)), threshold=-1.0), "threshold must be >= 0"),
        (lambda: warp_features(np.ones((1, 2, 2)), np.ones((2, 2, 3))), "need a flow"),
        (lambda: warp_features(np.ones((1, 2, 2)), np.full((2, 2, 2), np.inf)), "flow must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        call()


def _frame(vectors: list[list[float]]) -> CodedFrame:
    return CodedFrame(1, False, np.zeros((32, 48), np.float32), np.array(vectors, np.float32).reshape(-1, 6))


def test_vectors_on_a_grid() -> None:
    """A block of 16 x 16 that was 4 rows lower, and half a cell that was 8 columns to the right."""
    frame = _frame([[8, 8, 4, 0, 16, 16], [24, 36, 0, 8, 16, 8]])
    field = motion_field(frame, cell=16)
    assert field.shape == (2, 2, 3)
    assert field[0].tolist() == [[0.25, 0, 0], [0, 0, 0]]
    assert field[1].tolist() == [[0, 0, 0], [0, 0, 0.25]]
    events = motion_events(frame, cell=16)
    assert np.argwhere(events).tolist() == [[0, 0, 0], [2, 1, 2]]  # up, left
    assert not motion_events(_frame([])).any()
    assert not motion_events(frame, least_pixels=9.0).any()


def test_the_residual_is_what_motion_leaves() -> None:
    """A block that moved 4 rows up and grew brighter in one pixel; a place that moves in from beyond the edge."""
    before = RNG.random((32, 48)).astype(np.float32)
    after = before.copy()
    after[0:16, 0:16] = before[4:20, 0:16]
    after[3, 5] += 0.25
    after[16:32, 32:48] = before[16:32, 47:48]  # the edge goes on
    vectors = np.array([[8, 8, 4, 0, 16, 16], [24, 40, 0, 16, 16, 16]], np.float32)
    frames = CodedFrame(1, False, after, vectors), CodedFrame(0, True, before, vectors[:0])
    residual = motion_residual(*frames)
    assert np.argwhere(residual).tolist() == [[3, 5]]
    assert residual[3, 5] == np.float32(after[3, 5] - before[7, 5])
    assert np.argwhere(residual_events(*frames)).tolist() == [[0, 3, 5]]
    darker = residual_events(CodedFrame(1, False, before, vectors[:0]), CodedFrame(0, True, after, vectors))
    assert np.array_equal(darker[1], before - after <= -0.05)
    assert np.array_equal(motion_residual(frames[1], frames[0]), before)  # a key frame
    with pytest.raises(MediaError, match=r"both frames must have one size, got \(32, 48\) and \(32, 40\)"):
        motion_residual(frames[0], CodedFrame(0, True, before[:, :40], vectors))
    with pytest.raises(MediaError, match="threshold must be > 0, got 0"):
        residual_events(*frames, threshold=0)


def test_a_moving_square_has_its_motion(tmp_path: Path) -> None:
    """A textured square moves by 2 columns a frame to the right: most vectors of its blocks point 2 columns back."""
    av = pytest.importorskip("av")
    texture = np.kron(RNG.integers(60, 200, (16, 16)), np.ones((2, 2)))
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 128, 64, "yuv420p", 4_000_000
        stream.gop_size, stream.max_b_frames = 100, 0
        for i in range(8):
            picture = np.full((64, 128, 3), 30, np.uint8)
            picture[16:48, 16 + 2 * i : 48 + 2 * i] = texture[..., None]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    frames = list(read_coded_frames(path))
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.is_key for frame in frames] == [True] + [False] * 7
    assert len(frames[0].vectors) == 0
    assert frames[0].picture.shape == (64, 128)
    for frame in frames[2:]:
        inside = frame.vectors[
            (abs(frame.vectors[:, 0] - 32) < 12) & (abs(frame.vectors[:, 1] - 32 - 2 * frame.index) < 12)
        ]
        assert len(inside) > 0
        assert (np.abs(inside[:, 2:4] - [0, -2]).max(1) <= 0.5).mean() > 0.5
        plain = np.abs(frame.picture - frames[frame.index - 1].picture).mean()
        assert np.abs(motion_residual(frame, frames[frame.index - 1])).mean() < plain / 2
        events = motion_events(frame)
        assert events[3].sum() > events[:3].sum()  # to the right


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with pytest.raises(MediaError, match="there is no such file"):
        next(read_coded_frames(tmp_path / "clip.mp4"))
    (tmp_path / "clip.mp4").write_bytes(b"nonsense" * 100)
    with pytest.raises(MediaError, match="this is not a video that can be read, or it is damaged"):
        next(read_coded_frames(tmp_path / "clip.mp4"))
