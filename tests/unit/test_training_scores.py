"""Scores of frames: the equation, the start, thresholds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuro.training import threshold_for
from neuro.training.scores import WindowScores, straight_through


def test_scores_follow_the_equation() -> None:
    torch.manual_seed(0)
    scores = WindowScores(6, 2)
    frames = torch.randint(0, 4, (6, 3, 2, 5, 4)).float()
    found = scores(frames).detach().double().numpy()
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in scores.parameters())
    for sample in range(3):
        squeezed = frames[:, sample].double().numpy().reshape(6, -1).mean(1)
        hidden = np.maximum(w1 @ squeezed + b1, 0)
        expected = 1 / (1 + np.exp(-(w2 @ hidden + b2)))
        assert found[:, sample] == pytest.approx(expected, abs=8 * 2.0**-24 * 8)


@pytest.mark.parametrize("n_units", [1, 3, 6])
def test_scores_begin_by_rising_with_the_events_of_their_block(n_units: int) -> None:
    scores = WindowScores(6, n_units)
    counts = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    scores.start_from(float(counts.mean()), float(counts.std(correction=0)))
    frames = counts.reshape(6, 1, 1, 1, 1).expand(6, 1, 2, 3, 3)
    found = scores(frames).detach().flatten()
    blocks = found.reshape(n_units, -1)
    assert (blocks == blocks[:, :1]).all()
    rises = [float(blocks[k * n_units // 3, 0]) for k in range(3)]
    assert n_units == 1 or rises[0] < rises[1] < rises[2]
    assert float(found.mean()) == pytest.approx(0.5, abs=0.05)


def test_a_silent_training_set_does_not_break_the_start() -> None:
    scores = WindowScores(4, 2)
    scores.start_from(0.0, 0.0)
    assert scores(torch.zeros(4, 1, 2, 3, 3)).detach().flatten().tolist() == [0.5] * 4


def test_straight_through_is_one_with_the_gradient_of_the_score() -> None:
    scores = torch.tensor([0.1, 0.7], requires_grad=True)
    gain = straight_through(scores)
    (gain * torch.tensor([2.0, 3.0])).sum().backward()
    assert gain.tolist() == [1.0, 1.0]
    assert scores.grad is not None
    assert scores.grad.tolist() == [2.0, 3.0]


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5, 0.1, 0.001])
def test_thresholds_keep_their_share(share: float) -> None:
    scores = np.random.default_rng(0).random((50, 20)).astype(np.float32)
    kept = (scores >= threshold_for(scores, share)).mean()
    assert kept == pytest.approx(share, abs=0.001)


def test_a_weaker_start_brings_scores_nearer_to_one_half() -> None:
    frames = torch.tensor(np.random.default_rng(0).poisson(2, (6, 5, 2, 3, 3)), dtype=torch.float32)
    scores = []
    for strength in (1.0, 0.3, 0.0):
        module = WindowScores(6, 3)
        module.start_from(2.0, 0.5)
        module.weaken(strength)
        scores.append((module(frames) - 0.5).abs().mean().item())
    assert scores[0] > scores[1] > scores[2] == 0
