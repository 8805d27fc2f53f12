"""Augmentation moves whole counts, and nothing but what it says."""

from __future__ import annotations

import torch

from neuro.training import Augmentation
from neuro.training.augmentation import augment

STILL = Augmentation(shift_px=0, rotation_deg=0.0, scale=0.0)


def _frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 9, (6, 4, 2, 11, 10), generator=generator, dtype=torch.uint8)


def test_nothing_asked_nothing_moved() -> None:
    frames = _frames()
    moved = augment(frames, STILL, torch.Generator().manual_seed(0))
    assert torch.equal(moved, frames)
    assert moved.data_ptr() != frames.data_ptr()


def test_a_shift_moves_all_frames_alike_and_fills_with_silence() -> None:
    frames = torch.zeros((40, 2, 2, 9, 9), dtype=torch.uint8)
    frames[:, :, :, 4, 4] = 7
    moved = augment(
        frames, Augmentation(shift_px=2, rotation_deg=0, scale=0), torch.Generator().manual_seed(0)
    )
    assert (moved.sum(dim=(3, 4)) == 7).all()
    positions = moved.flatten(3).argmax(3)
    assert (positions == positions[:, :1, :1]).all()
    places = {divmod(int(p), 9) for p in positions[:, 0, 0]}
    assert len(places) > 10
    assert all(abs(row - 4) <= 2 and abs(column - 4) <= 2 for row, column in places)


def test_rotation_turns_about_the_centre() -> None:
    frames = torch.zeros((64, 1, 1, 9, 9), dtype=torch.uint8)
    frames[:, :, :, 4, 8] = 1
    frames[:, :, :, 4, 4] = 5
    moved = augment(
        frames, Augmentation(shift_px=0, rotation_deg=90, scale=0), torch.Generator().manual_seed(1)
    )
    assert (moved[:, 0, 0, 4, 4] == 5).all()
    assert len(torch.unique(moved.flatten(1).float() @ torch.arange(81.0))) > 10


def test_counts_stay_whole_and_known() -> None:
    moved = augment(_frames(), Augmentation(), torch.Generator().manual_seed(2))
    assert moved.dtype == torch.uint8
    assert set(moved.unique().tolist()) <= set(range(9))


def test_events_and_frames_are_dropped_at_their_rates() -> None:
    frames = torch.ones((50, 20, 2, 8, 8), dtype=torch.uint8)
    events = augment(
        frames,
        Augmentation(shift_px=0, rotation_deg=0, scale=0, event_drop=0.25),
        torch.Generator().manual_seed(3),
    )
    assert abs(float(events.float().mean()) - 0.75) < 0.01
    whole = augment(
        frames,
        Augmentation(shift_px=0, rotation_deg=0, scale=0, frame_drop=0.5),
        torch.Generator().manual_seed(3),
    )
    per_frame = whole.flatten(2).float().mean(2)
    assert set(per_frame.unique().tolist()) == {0.0, 1.0}
    assert abs(float(per_frame.mean()) - 0.5) < 0.06


def test_the_generator_decides() -> None:
    frames = _frames()
    same = [augment(frames, Augmentation(), torch.Generator().manual_seed(4)) for _ in range(2)]
    other = augment(frames, Augmentation(), torch.Generator().manual_seed(6))
    assert torch.equal(*same)
    assert not torch.equal(same[0], other)
