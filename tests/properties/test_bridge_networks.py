"""Random networks: taken over exactly, and exact in whole numbers once they are in counts and on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from analog_bridge import CalibrationError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest
from analog_bridge.integers import evaluate_integers
from analog_bridge.layers import LayerGraph, Quantizer
from analog_bridge.quantization import calibrate, snap_to_grid
from tests.bridge_networks import answer, data_on_grid, on_grid, random_networks

Network = tuple[nn.Module, tuple[int, int, int]]


@given(random_networks(), st.integers(0, 100))
def test_a_random_network_is_taken_over_bit_for_bit(network: Network, seed: int) -> None:
    model, shape = network
    on_grid(model, seed)
    x = data_on_grid(3, *shape, seed=seed)
    graph = ingest(model, x)
    (wanted,) = answer(model, x)
    (found,) = evaluate(graph, x, precision="float64").values()
    assert found.tolist() == wanted.tolist()


def _in_counts(
    network: Network, seed: int, per_channel: bool, n_levels: int
) -> tuple[LayerGraph, np.ndarray]:
    model, shape = network
    graph = ingest(on_grid(model, seed), data_on_grid(1, *shape))
    x = data_on_grid(6, *shape, seed=seed)
    try:
        return calibrate(graph, x, levels=n_levels, per_channel=per_channel), x
    except CalibrationError as err:
        assume("is dead" not in str(err))
        raise


@settings(max_examples=25)
@given(random_networks(), st.integers(0, 100), st.booleans(), st.integers(1, 15), st.integers(1, 4))
def test_whole_numbers_and_floats_agree_bit_for_bit(
    network: Network, seed: int, per_channel: bool, n_levels: int, unit_bits: int
) -> None:
    quantised, x = _in_counts(network, seed, per_channel, n_levels)
    snapped = snap_to_grid(quantised, per_channel=per_channel, unit_bits=unit_bits)
    names = [layer.name for layer in snapped.layers]
    whole = evaluate_integers(snapped, x, keep=names)
    double = evaluate(snapped, x, keep=names, precision="float64")
    for layer in snapped.layers:
        assert np.array_equal(whole[layer.name].real, double[layer.name])
        if isinstance(layer, Quantizer):  # a value is a count, in its range, times the unit
            unit = layer.unit.reshape(-1, *[1] * (double[layer.name].ndim - 2)).astype(np.float64)
            n = double[layer.name] / unit
            assert np.array_equal(n, np.round(n))
            assert n.min() >= -layer.n_negative
            assert n.max() <= layer.n_levels


@pytest.mark.parametrize("seed", range(3))
def test_a_prefix_of_the_batch_gives_a_prefix_of_the_result(seed: int) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    graph = ingest(on_grid(model, seed), data_on_grid(1, 2, 4, 4))
    x = data_on_grid(7, 2, 4, 4)
    whole, part = (evaluate(graph, each, batch_size=3)[graph.outputs[0]] for each in (x, x[:4]))
    assert np.array_equal(whole[:4], part)
