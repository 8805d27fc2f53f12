"""Networks with attention in every layer: published sizes, neurons, training, and the graph they become."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import neuro
from neuro.graph import LIF, ChannelAttention, SpatialAttention, TemporalAttention
from neuro.training import (
    PUBLISHED,
    AttentionStack,
    StackConfig,
    StackLayer,
    StackRecipe,
    TrainedStack,
    train_stack,
)

T = 6
SMALL = StackConfig(
    (2, 8, 8), (StackLayer(4, 3, 2), StackLayer(6, 3), StackLayer(8), StackLayer(2)), n_frames=T, reduction=2
)


def recordings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes: events of the left or of the right half, in the frames 1 to 3 only."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    frames = np.zeros((n, T, 2, 8, 8), np.uint8)
    for k, label in enumerate(labels):
        half = slice(4 * label, 4 * label + 4)
        frames[k, 1:4, :, :, half] = rng.integers(0, 3, (3, 2, 8, 4))
    return frames, labels


def fit(config: StackConfig, **recipe: float) -> TrainedStack:
    """Train for a few epochs."""
    return train_stack(
        *recordings(48, 0),
        *recordings(16, 1),
        config=config,
        epochs=6,
        seed=0,
        threads=1,
        recipe=StackRecipe(batch_size=8, learning_rate=1e-2, **recipe),
    )


@pytest.mark.parametrize(
    ("name", "network", "scores"),
    [("gesture", 2_324_065, 2_115), ("cifar10dvs", 2_097_918, 364), ("shd", 109_372, 156)],
)
def test_published_networks_have_the_published_sizes(name: str, network: int, scores: int) -> None:
    """Parameters of the network and of its temporal attention, as counted in the public code."""
    sizes = {key: value.numel() for key, value in AttentionStack(PUBLISHED[name]).named_parameters()}
    found = sum(size for key, size in sizes.items() if ".scores." in key)
    assert (sum(sizes.values()) - found, found) == (network, scores)


@pytest.mark.parametrize("reading", ["paper", "code"])
def test_a_trained_stack_equals_its_graph(reading: str) -> None:
    """Spikes of every layer in torch and in the engine, with the engine's scores (the last bits may differ)."""
    trained = fit(replace(SMALL, reading=reading))
    assert trained.validation_accuracy > 0.9
    frames, labels = recordings(12, 2)
    graph = trained.export(threshold=0.45)
    assert graph.weight_grid == trained.weight_grid
    lif = graph.nodes["lif1"]
    assert isinstance(lif, LIF)
    assert lif.reset == ("clamp" if reading == "code" else "value")
    record = {name: "spikes" for name in graph.nodes if name.startswith("lif")}
    correct = n_dropped = 0
    for k in range(len(frames)):
        result = neuro.simulate(graph, frames[k].astype(np.float32), record=record)
        scores = {
            number: torch.from_numpy(report.scores.copy())[:, None]
            for number, report in enumerate(result.attentions.values())
        }
        recorded: dict[str, torch.Tensor] = {}
        batch = torch.from_numpy(frames[k : k + 1]).transpose(0, 1).float()
        trained.network(batch, thresholds=(0.45, 0.0), scores=scores, recorded=recorded)
        for name in record:
            np.testing.assert_array_equal(
                result.spikes[name].to_dense(), recorded[name][:, 0].numpy(), err_msg=name
            )
        n_dropped += sum(T - report.n_kept for report in result.attentions.values())
        correct += int(result.output.sum(0).argmax() == labels[k])
        assert neuro.verify(graph, frames[k].astype(np.float32))
    assert n_dropped > 0
    assert correct >= 8


def test_scores_in_torch_and_in_the_engine_agree() -> None:
    """The engine computes the scores before the convolution, torch from its output: bound of float32 sums."""
    trained = fit(replace(SMALL, reading="code"))
    frames, _ = recordings(4, 3)
    run = trained.run(frames)
    for k in range(len(frames)):
        result = neuro.simulate(trained.export(), frames[k].astype(np.float32))
        reports = list(result.attentions.values())
        np.testing.assert_allclose(run.scores["scores1"][k], reports[0].scores, atol=1e-5)


def test_channel_and_spatial_attention_are_trained_and_masked() -> None:
    config = replace(SMALL, reading="none", channels=True, pixels=True)
    trained = fit(config)
    assert trained.weight_grid is None
    graph = trained.export(entry_threshold=0.5)
    assert isinstance(graph.nodes["channels1"], ChannelAttention)
    assert isinstance(graph.nodes["pixels2"], SpatialAttention)
    frames, labels = recordings(12, 4)
    masked = [neuro.simulate(graph, sample.astype(np.float32)) for sample in frames]
    whole = [neuro.simulate(graph, sample.astype(np.float32), use_attention=False) for sample in frames]
    report = masked[0].selections["pixels1"] + masked[0].selections["channels1"]
    assert 0 < report.entries_kept < report.entries_total
    n_masked, n_whole = (sum(r.counters.total_synaptic_operations for r in runs) for runs in (masked, whole))
    assert n_masked < n_whole
    soft = np.array([result.output.sum(0).argmax() for result in whole])
    assert (soft == labels).mean() > 0.9
    assert neuro.verify(graph, frames[0].astype(np.float32))
    in_torch = trained.run(frames, entry_threshold=0.5)
    assert in_torch.counts.shape == (12, 2)


def test_a_penalty_on_the_spike_rate_presses_it_down() -> None:
    config = replace(SMALL, reading="none")
    free, pressed = fit(config), fit(config, rate_penalty=1.0, target_rate=0.01)
    assert pressed.history[-1].spike_rate < 0.7 * free.history[-1].spike_rate


def test_the_clamped_neuron_is_that_of_the_public_code() -> None:
    """u = h + I; x = [u > 0.3]; h = 0.3 (x 0.3 + (1 - x) u), by hand over five steps."""
    currents = np.array([0.2, 0.2, 0.5, 0.1, 0.3], np.float32)
    h, expected = np.float32(0), []
    for current in currents:
        u = h + current
        fires = u > np.float32(0.3)
        h = np.float32(0.3) * (np.float32(0.3) if fires else u)
        expected.append(float(fires))
    config = StackConfig((1,), (StackLayer(1),), n_frames=5, reading="code", attended="input")
    layer = AttentionStack(config).eval().attentive_layers[0]
    found = layer._fire(torch.from_numpy(currents).reshape(5, 1, 1), torch.ones(5, 1))
    assert found.flatten().tolist() == expected == [0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StackLayer(0), "size and pool must be >= 1"),
        (lambda: StackLayer(4, 2), "kernel must be odd, or None, got 2"),
        (lambda: StackLayer(4, None, 2), "a full connection has no pool"),
        (lambda: replace(SMALL, reading="soft"), "reading must be 'paper', 'code' or 'none', got 'soft'"),
        (lambda: replace(SMALL, alpha=1.0), "alpha must lie between 0 and 1"),
        (lambda: replace(SMALL, layers=(StackLayer(4, 3),)), "the last layer must be a full connection"),
        (lambda: replace(SMALL, input_shape=(9,)), r"layers\[0\] is a convolution behind a full connection"),
        (lambda: StackRecipe(factor=1.0), "factor between 0 and 1"),
        (lambda: StackRecipe(rate_penalty=-1.0), "rate_penalty must be a finite number >= 0, got -1.0"),
    ],
)
def test_wrong_values_are_named(make, message: str) -> None:
    with pytest.raises(neuro.InputError, match=message):
        make()


def test_wrong_recordings_are_named() -> None:
    frames, labels = recordings(8, 0)
    words = {"config": SMALL, "epochs": 1, "seed": 0}
    with pytest.raises(
        neuro.InputError, match=r"training: frames must have shape \(n, 6, 2, 8, 8\), got \(8, 5,"
    ):
        train_stack(frames[:, :5], labels, frames, labels, **words)
    with pytest.raises(neuro.InputError, match=r"validation labels\[2\] = 2: must lie within 0\.\.1 "):
        train_stack(frames, labels, frames, np.array([0, 1, 2, 0, 0, 0, 0, 0]), **words)
    with pytest.raises(neuro.InputError, match=r"training: frames\[.*\] = .*5 is not a count"):
        train_stack(frames * np.float32(0.5), labels, frames, labels, **words)


def test_the_number_of_frames_is_that_of_the_training() -> None:
    graph = fit(replace(SMALL, reading="code", attended="input")).export()
    assert sum(isinstance(node, TemporalAttention) for node in graph.nodes.values()) == 1
    with pytest.raises(
        neuro.InputError, match=r"scores a whole window of 6 frames, got 5; pass whole windows$"
    ):
        neuro.simulate(graph, recordings(1, 0)[0][0][:5].astype(np.float32))
