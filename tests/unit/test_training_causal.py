"""Causal scores in training: no later frame counts, the graph decides as torch does, and shares of events."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neuro
from neuro.graph import MovingAttention, TemporalAttention
from neuro.training import ConvLayer, NetworkConfig, Recipe, TrainedNetwork, threshold_for, train
from neuro.training.scores import CausalScores, MovingScores, WindowScores

T = 6


def recordings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, told apart by the half in which the events lie; some frames are busy, some are not."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    frames = np.zeros((n, T, 2, 8, 8), np.uint8)
    for k, label in enumerate(labels):
        half = slice(4 * label, 4 * label + 4)
        frames[k, :, :, :, half] = rng.random((T, 2, 8, 4)) < rng.random((T, 1, 1, 1)) * 0.5
    return frames, labels


def fit(form: str, **recipe: float) -> TrainedNetwork:
    """Train a small network for a few epochs."""
    config = NetworkConfig(
        input_shape=(2, 8, 8),
        n_classes=2,
        n_frames=T,
        conv=(ConvLayer(4),),
        hidden=(8,),
        dt_s=0.01,
        tau_mem_s=0.02,
        threshold=0.2,
        attention_form=form,
    )
    words = {"batch_size": 8, "by_events": True, "every_step_weight": 0.5, **recipe}
    parts = (*recordings(40, 0), *recordings(12, 1))
    return train(*parts, config=config, epochs=4, seed=0, threads=1, recipe=Recipe(**words))


@pytest.mark.parametrize("form", ["causal", "moving"])
def test_a_trained_causal_network_equals_its_graph_in_any_chunks(form: str) -> None:
    trained = fit(form)
    frames, _ = recordings(10, 2)
    threshold = threshold_for(trained.run(frames).scores, 0.6) - 1e-4
    graph = trained.export(attention_threshold=threshold)
    assert isinstance(graph.nodes["attention"], MovingAttention if form == "moving" else TemporalAttention)
    in_torch = trained.run(frames, threshold=threshold)
    assert 0 < in_torch.kept.sum() < in_torch.kept.size
    assert trained.history[-1].spike_rate > 0.01
    assert in_torch.n_near_threshold == 0
    for k, recording in enumerate(frames.astype(np.float32)):
        whole = neuro.simulate(graph, recording)
        np.testing.assert_array_equal(whole.attention.kept, in_torch.kept[k])
        np.testing.assert_array_equal(whole.output, in_torch.readout[k])
        state, outputs = None, []
        for start, stop in ((0, 1), (1, 4), (4, T)):
            part = neuro.simulate(graph, recording[start:stop], state=state)
            outputs.append(part.output)
            state = part.state
        np.testing.assert_array_equal(np.concatenate(outputs), whole.output)


@pytest.mark.parametrize("make", [lambda: CausalScores(T), MovingScores])
def test_no_later_frame_changes_a_score(make) -> None:
    torch.manual_seed(0)
    scores = make()
    scores.start_from(0.5, 0.2)
    squeezed = torch.rand(T, 3)
    other = squeezed.clone()
    other[4:] += 1.0
    before, after = scores.score(squeezed), scores.score(other)
    assert torch.equal(before[:4], after[:4])
    assert not torch.equal(before[4:], after[4:])
    window = WindowScores(T, 3)
    assert not torch.equal(window.score(squeezed)[:4], window.score(other)[:4])


def test_the_first_scores_follow_the_events() -> None:
    for scores in (CausalScores(T), MovingScores()):
        scores.start_from(0.5, 0.1)
        found = scores.score(torch.tensor([0.3, 0.5, 0.7, 0.3, 0.7, 0.5]).unsqueeze(1))
        assert found[2] > found[0]
        assert found[4] > found[3]


def test_a_penalty_on_the_spike_rate_presses_it_down() -> None:
    free, pressed = fit("moving"), fit("moving", rate_penalty=1.0, target_rate=0.01)
    assert pressed.history[-1].spike_rate < 0.8 * free.history[-1].spike_rate


def test_wrong_settings_are_named() -> None:
    with pytest.raises(
        neuro.InputError, match="attention_form must be one of 'window', 'causal', 'moving', got 'past'"
    ):
        NetworkConfig(attention_form="past")
    with pytest.raises(neuro.InputError, match="rate_penalty must be a finite number >= 0, got -1"):
        Recipe(rate_penalty=-1)
    with pytest.raises(neuro.InputError, match=r"target_rate must lie within 0\.\.1, got 2"):
        Recipe(target_rate=2)
