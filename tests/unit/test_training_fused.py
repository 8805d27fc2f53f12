"""The fused neurons equal norse's cells: spikes, gradients, dropped frames, layouts, threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neuro.training import ConvLayer, NetworkConfig, SpikingNetwork
from neuro.training.fused import fused_lif
from neuro.training.network import SpikingLayer
from neuro.training.surrogate import stepped_lif

T, B = 9, 5


def _layer(alpha: float = 1.0) -> SpikingLayer:
    config = NetworkConfig(surrogate_alpha=alpha, tau_mem_s=0.037)
    return SpikingLayer(nn.Linear(2, 2), nn.Identity(), config)


def _stepped(layer: SpikingLayer, current: torch.Tensor) -> torch.Tensor:
    state = None
    spikes = []
    for frame in current:
        fired, state = layer.cell(frame, state)
        spikes.append(fired)
    return torch.stack(spikes)


def _full_slot() -> np.ndarray:
    return np.arange(T * B, dtype=np.int32).reshape(T, B)


def test_fused_neurons_equal_norse_cell_bit_for_bit_forward_and_backward() -> None:
    torch.manual_seed(1)
    layer = _layer(alpha=1.0)  # norse 1.1.0 does not use its alpha: its slope is that of alpha = 1
    stepped = (3 * torch.randn(T, B, 4, 3, 2)).requires_grad_()
    fused = stepped.detach().clone().requires_grad_()
    weight = torch.randn(T, B, 4, 3, 2)
    expected = _stepped(layer, stepped)
    found = fused_lif(fused.flatten(0, 1), _full_slot(), layer.neuron).unflatten(0, (T, B))
    expected.backward(weight)
    found.backward(weight)
    assert 0.05 < float(expected.detach().mean()) < 0.5
    assert torch.equal(expected, found)
    assert stepped.grad is not None
    assert fused.grad is not None
    assert torch.equal(stepped.grad, fused.grad)


def test_surrogate_alpha_sharpens_the_gradient() -> None:
    current = torch.full((T * B, 1), 0.5)
    gradients = []
    for alpha in (1.0, 10.0):
        leaf = current.clone().requires_grad_()
        fused_lif(leaf, _full_slot(), _layer(alpha).neuron).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad.abs().sum().item())
    assert gradients[1] < 0.2 * gradients[0]


def test_ties_do_not_fire_and_the_next_float_does() -> None:
    step = np.float32(0.5)
    neuron = _layer().neuron._replace(step=step)
    current = torch.tensor([[2.0, float(np.nextafter(np.float32(2), np.float32(3)))]])
    spikes = fused_lif(current, np.zeros((1, 1), np.int32), neuron)
    assert spikes.tolist() == [[0.0, 1.0]]


def test_channels_last_and_threads_change_nothing() -> None:
    torch.manual_seed(2)
    neuron = _layer().neuron
    current = 3 * torch.randn(T * B, 4, 3, 5)
    last = current.to(memory_format=torch.channels_last)
    expected = fused_lif(current, _full_slot(), neuron)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found = fused_lif(last, _full_slot(), neuron)
    finally:
        torch.set_num_threads(before)
    assert found.stride() == last.stride()
    assert torch.equal(expected, found)


@pytest.mark.parametrize("attention", [True, False])
def test_fast_path_equals_norse_path_with_dropped_frames(attention: bool) -> None:
    torch.manual_seed(3)
    config = NetworkConfig(
        input_shape=(2, 9, 8), n_frames=T, conv=(ConvLayer(4),), hidden=(6,), n_classes=3,
        attention=attention, batch_norm=False, threshold=0.1,
    )  # fmt: skip
    network = SpikingNetwork(config).eval()
    with torch.no_grad():
        for layer in network.spiking_layers:
            layer.synapse.weight.copy_(torch.round(layer.synapse.weight * 2**12) / 2**11)
        frames = torch.randint(0, 3, (T, B, 2, 9, 8)).float()
        for kept in (None, torch.rand(T, B) > 0.4, torch.zeros(T, B, dtype=torch.bool)):
            recorded: dict[str, torch.Tensor] = {}
            slow = network(frames, kept=kept, recorded=recorded)
            fast = network.forward_fast(frames, kept=kept)
            bound = 2.0**-20 * float(slow.abs().max() + 1)  # the last bits of the readout's sums
            assert float((slow - fast).abs().max()) <= bound
            if kept is not None:
                assert not any(spikes[~kept].any() for spikes in recorded.values())
            else:
                assert all(spikes.any() for spikes in recorded.values())


def test_gradient_flows_past_a_dropped_frame() -> None:
    neuron = _layer().neuron._replace(step=np.float32(0.5))
    slot = np.array([[0], [-1], [1]], dtype=np.int32)
    current = torch.tensor([[1.0], [1.0]], requires_grad=True)
    spikes = fused_lif(current, slot, neuron)
    spikes[1].sum().backward()
    # membrane 0.5, decays to 0.25, ends at 0.625: slope 1 / (0.375 + 1)**2, half of it per step; the first
    # frame's spike would also reset its membrane 0.5, with slope 1 / (0.5 + 1)**2
    slope = 1 / 1.375**2
    through = 0.25 * slope
    expected = [0.5 * (through - through * 0.5 / 1.5**2), 0.5 * slope]
    assert current.grad is not None
    assert current.grad.flatten().tolist() == pytest.approx(expected, rel=1e-6)


def _by_torch(
    norm: nn.Module, layer: SpikingLayer, gain: torch.Tensor, current: torch.Tensor
) -> torch.Tensor:
    drive = norm(current * gain.reshape(-1, *(1,) * (current.dim() - 1)))
    return _stepped(layer, drive.unflatten(0, (T, B)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(3, 4, 5), (6,)])
def test_fused_batch_norm_equals_torch(shape: tuple[int, ...], training: bool) -> None:
    torch.manual_seed(8)
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    layer = _layer()
    norms = [kind(shape[0]).double(), kind(shape[0])]
    leaves = []
    for norm in norms:
        norm.train(training)
        generator = torch.Generator().manual_seed(9)
        with torch.no_grad():
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(shape[0], generator=generator))
        current = 2 * torch.randn(T * B, *shape, generator=generator)
        gain = 0.5 + torch.rand(T * B, generator=generator)
        leaves.append([x.to(norm.weight.dtype).requires_grad_() for x in (current, gain)])
    weight = torch.randn(T * B, *shape)
    # double precision as the reference; a spike may differ where its membrane is within rounding of the threshold
    expected = _by_torch(norms[0], layer, leaves[0][1], leaves[0][0]).flatten(0, 1)
    found = fused_lif(leaves[1][0], _full_slot(), layer.neuron, gain=leaves[1][1], norm=norms[1])
    assert torch.equal(expected, found.double())
    expected.backward(weight.double())
    found.backward(weight)
    pairs = [(a.grad, b.grad) for a, b in zip(leaves[0], leaves[1], strict=True)]
    pairs += [(norms[0].weight.grad, norms[1].weight.grad), (norms[0].bias.grad, norms[1].bias.grad)]
    pairs += [(norms[0].running_mean, norms[1].running_mean), (norms[0].running_var, norms[1].running_var)]
    for reference, value in pairs:
        assert reference is not None
        assert value is not None
        # sums of at most T*B*20 float32 terms, each good to a few times 2**-24 of the largest
        bound = T * B * 20 * 4 * 2.0**-24 * float(reference.abs().max())
        assert float((reference - value.double()).abs().max()) <= bound


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_torch_operations_equal_fused_neurons_in_a_whole_network(alpha: float) -> None:
    config = NetworkConfig(
        input_shape=(2, 9, 8), n_frames=T, conv=(ConvLayer(4),), hidden=(6,), n_classes=3, surrogate_alpha=alpha,
        attention_reduction=3,
    )  # fmt: skip
    torch.manual_seed(10)
    frames = torch.randint(0, 3, (T, B, 2, 9, 8)).float()
    kept = torch.rand(T, B) > 0.3
    results = []
    for fused in (True, False):
        torch.manual_seed(11)
        network = SpikingNetwork(config).train()
        network.fused = fused
        assert network.scores is not None
        scores = network.scores(frames)
        for mask, gain in ((None, scores), (kept, None)):
            network.forward_fast(frames, gain=gain, kept=mask).square().sum().backward()
        results.append({name: parameter.grad for name, parameter in network.named_parameters()})
    for name, expected in results[1].items():
        found = results[0][name]
        assert expected is not None, name
        assert found is not None
        # at most 2**13 float32 terms per sum, three layers deep
        bound = 3 * 2.0**13 * 2.0**-24 * float(expected.abs().max()) + 1e-12
        assert float((expected - found).abs().max()) <= bound, name


def test_torch_operations_have_norses_gradient() -> None:
    torch.manual_seed(12)
    layer = _layer(alpha=1.0)
    stepped = (3 * torch.randn(T, B, 6)).requires_grad_()
    ours = stepped.detach().clone().requires_grad_()
    weight = torch.randn(T, B, 6)
    _stepped(layer, stepped).backward(weight)
    spikes = stepped_lif(ours, torch.ones(T, B), layer.neuron)
    spikes.backward(weight)
    assert stepped.grad is not None
    assert ours.grad is not None
    assert torch.equal(stepped.grad, ours.grad)
