"""Folding equals batch norm; rounded weights make every sum exact, on the finest grid that does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neuro.errors import InputError
from neuro.training.snapping import Synapse, fold_batch_norm, snap


def _trained_norm(size: int, seed: int) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(size).eval()
    with torch.no_grad():
        for tensor, low in (
            (norm.weight, 0.5),
            (norm.bias, -1.0),
            (norm.running_mean, -1.0),
            (norm.running_var, 0.1),
        ):
            assert tensor is not None
            tensor.copy_(low + torch.rand(size, generator=generator))
    return norm


@pytest.mark.parametrize("bias", [True, False])
def test_folded_weights_compute_what_batch_norm_did(bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 5, 3, 2, 1, bias=bias)
    norm = _trained_norm(5, 1)
    folded = fold_batch_norm(conv, norm, max_input=4.0)
    frames = torch.randint(0, 5, (3, 2, 9, 9)).double()
    with torch.no_grad():
        expected = norm.double()(conv.double()(frames))
        found = nn.functional.conv2d(
            frames, torch.from_numpy(folded.weight), torch.from_numpy(folded.bias), stride=2, padding=1
        )
    assert float((expected - found).abs().max()) < 1e-12  # both in float64, sums of 18 terms below 100


def test_without_batch_norm_only_the_bias_is_filled_in() -> None:
    linear = nn.Linear(3, 2, bias=False)
    folded = fold_batch_norm(linear, None, max_input=1.0)
    assert np.array_equal(folded.weight, linear.weight.detach().double().numpy())
    assert folded.bias.tolist() == [0.0, 0.0]


@given(seed=st.integers(0, 2**20), largest=st.sampled_from([1.0, 15.0, 255.0]), size=st.integers(-12, 8))
def test_sums_on_the_grid_are_exact_in_any_order_and_a_finer_grid_breaks_the_bound(
    seed: int, largest: float, size: int
) -> None:
    random = np.random.default_rng(seed)
    weight = random.normal(0, 2.0**size, (4, 3, 3, 3))
    bias = random.normal(0, 2.0**size, 4)
    grid, (snapped,) = snap([Synapse(weight, bias, largest)])
    reach = np.abs(snapped.weight).reshape(4, -1).sum(1) * largest + np.abs(snapped.bias)
    assert (reach < 2**24 * grid).all()
    assert np.abs(snapped.weight - weight).max() <= grid / 2
    finer = grid / 2
    rounded = np.round(weight / finer) * finer
    reach = np.abs(rounded).reshape(4, -1).sum(1) * largest + np.abs(np.round(bias / finer) * finer)
    assert (reach >= 2**24 * finer).any()
    frames = torch.from_numpy(random.integers(0, largest, (2, 3, 8, 8), endpoint=True).astype(np.float64))
    exact = nn.functional.conv2d(frames, torch.from_numpy(snapped.weight), torch.from_numpy(snapped.bias))
    single = nn.functional.conv2d(
        frames.float(), torch.from_numpy(snapped.weight).float(), torch.from_numpy(snapped.bias).float()
    )
    assert torch.equal(exact, single.double())


def test_one_grid_serves_all_layers_and_finer_inputs_coarsen_it() -> None:
    small = Synapse(np.array([[0.01]]), np.array([0.0]), 1.0)
    large = Synapse(np.array([[1.0]]), np.array([0.0]), 255.0)
    assert snap([small, large])[0] == snap([large])[0] == 2.0**-16
    pooled = Synapse(np.array([[1.0]]), np.array([0.0]), 255.0, input_grid=0.25)
    assert snap([pooled])[0] == 2.0**-14


def test_silent_layers_and_broken_weights() -> None:
    grid, (snapped,) = snap([Synapse(np.zeros((2, 2)), np.zeros(2), 255.0)])
    assert grid > 0
    assert not snapped.weight.any()
    with pytest.raises(InputError, match=r"weights are not finite"):
        snap([Synapse(np.array([[np.nan]]), np.zeros(1), 1.0)])
