"""Counts, bytes and energies by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neuro
from neuro.costs import (
    ENERGY_MODELS,
    Arithmetic,
    LemaireModel,
    LoihiModel,
    Memory,
    Work,
    conventional_work,
    energy_table,
    sizes,
    spiking_work,
)
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    SumPool2d,
    clocked,
)
from tests.oracle.dense_engine import simulate_densely


def chain(*nodes: Any) -> Graph:
    names = [f"n{k}" for k in range(len(nodes))]
    return Graph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), clocked(0.001))


def small() -> Graph:
    """A convolution with a bias, and a readout."""
    return chain(
        Input((1, 3, 3)),
        Conv2d(np.ones((2, 1, 3, 3)), np.ones(2), padding=1),
        LIF(0.01, 0.5),
        Flatten(),
        Linear(np.ones((3, 18))),
        LI(0.01),
    )


def run(graph: Graph, frames: np.ndarray) -> Work:
    return spiking_work(graph, neuro.simulate(graph, frames.astype(np.float32)).counters)


def test_the_work_of_a_small_network() -> None:
    frames = np.zeros((2, 1, 3, 3))
    frames[0, 0, 1, 1] = 3.0  # the centre: 9 taps, 2 output channels
    frames[1, 0, 0, 0] = 1.0  # a corner: 4 taps
    graph = small()
    result = neuro.simulate(graph, frames.astype(np.float32))
    n_spikes = result.counters.spikes["n2"]
    assert n_spikes > 0
    conv, fc = spiking_work(graph, result.counters).layers
    assert (conv.name, conv.multiply_accumulates, conv.accumulates) == ("n1", (9 + 4) * 2, 0)
    assert (conv.bias_additions, conv.updates, conv.leaks, conv.inputs_read) == (2 * 18, 2 * 18, 2 * 18, 2)
    assert conv.outputs_written == n_spikes
    assert (fc.multiply_accumulates, fc.accumulates) == (0, 3 * n_spikes)
    assert (fc.bias_additions, fc.updates, fc.outputs_written) == (0, 6, 6)
    assert conv.weight_bytes == 4 * (26 + 36)
    assert conv.state_bytes == 2 * 4 * 36
    assert conv.activation_bytes == 4 * (2 + n_spikes)


def test_the_dense_operations_are_those_of_full_frames() -> None:
    """Executed operations of the slow oracle on frames without a zero."""
    graph = chain(
        Input((4, 5, 6)),
        Conv2d(np.ones((6, 2, 2, 3)), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        IF(1e9),
    )
    oracle = simulate_densely(graph, np.ones((1, 4, 5, 6), np.float32))
    assert sizes(graph)[0]["n1"].dense_operations == oracle.synaptic_operations["n1"]


def test_states_and_leaks_of_the_neuron_models() -> None:
    for node, n_states, leaks in (
        (IF(1.0), 1, 0),
        (LIF(0.1, 1.0), 1, 1),
        (CubaLIF(0.1, 0.1, 1.0), 2, 2),
        (LI(0.1), 1, 1),
    ):
        (layer,) = run(chain(Input(2), Linear(np.eye(2)), node), np.ones((3, 2))).layers
        assert (layer.n_states, layer.leaks) == (n_states, leaks * 6)
        assert layer.state_bytes == 2 * 4 * n_states * 6


def test_products_with_graded_inputs_are_multiplied() -> None:
    fc = Linear(np.ones((2, 4)))
    spiking = (Conv2d(np.ones((1, 1, 1, 1))), IF(0.5))
    for before, is_binary in (
        ((Input((1, 2, 2), max_count=1), Flatten()), True),
        ((Input((1, 2, 2), max_count=2), Flatten()), False),
        ((Input((1, 2, 2)), *spiking, Flatten(), Delay(0.001)), True),
        ((Input((1, 2, 2)), *spiking, AvgPool2d((1, 1)), Flatten()), False),
        ((Input((1, 2, 2)), *spiking, SumPool2d((1, 1)), Flatten()), False),
    ):
        layer = run(chain(*before, fc, LI(0.1)), np.ones((3, 1, 2, 2))).layers[-1]
        assert layer.products > 0
        assert (layer.accumulates > 0, layer.multiply_accumulates > 0) == (is_binary, not is_binary)


def test_what_is_not_priced_is_named() -> None:
    nodes = {
        "in": Input(2),
        "a": Linear(np.eye(2)),
        "b": Linear(np.eye(2)),
        "sum": Add(),
        "out": LIF(0.1, 0.5),
    }
    edges = [("in", "a"), ("in", "b"), ("a", "sum"), ("b", "sum"), ("sum", "out")]
    work = run(Graph(nodes, edges, clocked(0.001)), np.ones((3, 2)))
    assert [layer.name for layer in work.layers] == ["a", "b", "out"]
    assert work.unpriced == ("sum",)
    assert [layer.updates for layer in work.layers] == [0, 0, 6]
    assert all("sum" in energy.unpriced for model in ENERGY_MODELS if (energy := model.energy(work)))


def test_a_population_behind_a_synapse_with_two_successors_is_counted() -> None:
    nodes = {"in": Input(2), "fc": Linear(np.eye(2)), "a": IF(0.5), "b": LI(0.1)}
    edges = [("in", "fc"), ("fc", "a"), ("fc", "b")]
    work = run(Graph(nodes, edges, clocked(0.001)), np.ones((3, 2)))
    assert {layer.name: layer.updates for layer in work.layers} == {"fc": 0, "a": 6, "b": 6}


@pytest.mark.parametrize(("n_steps", "bits"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4), (20, 5)])
def test_the_quantised_network_matches_the_bits(n_steps: int, bits: int) -> None:
    conv, fc = conventional_work(small(), n_steps=n_steps).layers
    assert conv.activation_bits == fc.activation_bits == bits
    assert conv.multiply_accumulates == 49 * 2  # 3x3 taps on 3x3 pixels, less those in the padding
    assert fc.multiply_accumulates == 54
    assert (conv.inputs_read, conv.outputs_written, conv.bias_additions) == (9, 18, 18)
    assert conv.state_bytes == 0
    assert conv.activation_bytes == 27 * bits / 8


def test_energies_are_counts_times_prices() -> None:
    graph, frames = small(), np.zeros((2, 1, 3, 3))
    frames[0, 0, 1, 1], frames[1, 0, 0, 0] = 3.0, 1.0
    work = run(graph, frames)
    conv = work.layers[0]
    spikes = conv.outputs_written
    adds = 26 + 36 + 36 + spikes + 3 * spikes + 6 + 6
    multiplications = 26 + 36 + 6
    found = Arithmetic("x", "y", add_pj=1.0, multiply_pj=10.0).energy(work)
    assert found.parts_pj == {"additions": adds, "multiplications": 10 * multiplications}
    memory = Memory("x", "y", add_pj=0.0, multiply_pj=0.0).energy(work)
    moved = work.total("weight_bytes") + work.total("state_bytes") + work.total("activation_bytes")
    assert memory.total_pj == pytest.approx(moved * 10 / 8, rel=1e-12)  # all fits in 8 KB
    loihi = LoihiModel("x", "y", synaptic_pj=1, active_pj=100, inactive_pj=10, spike_pj=1000).energy(work)
    assert loihi is not None
    n_active = spikes + 6
    assert loihi.parts_pj == {
        "synaptic operations": 26 + 3 * spikes,
        "neuron updates": 100 * n_active + 10 * (42 - n_active),
        "spikes": 1000 * n_active,
    }
    lemaire = LemaireModel("x", "y", add_pj=0, multiply_pj=0, slope_pj=0, base_pj=1, queue_values=1).energy(
        work
    )
    assert lemaire.parts_pj == {
        "operations": 0,
        "weights": 26 + 36 + 3 * spikes,
        "potentials": 2 * (26 + 36 + 3 * spikes + 6),
        "activations": 2 + spikes + spikes + 6,
        "addressing": 0,
    }


def test_memory_is_priced_by_its_size() -> None:
    model = Memory("x", "y", add_pj=0.0, multiply_pj=0.0)
    for n_inputs, price in ((1000, 10), (4000, 20), (100_000, 100), (300_000, 1300)):
        work = conventional_work(chain(Input(n_inputs), Linear(np.ones((2, n_inputs))), LI(0.1)), n_steps=1)
        assert model.energy(work).parts_pj["weights"] == pytest.approx(
            2 * n_inputs * 4 * price / 8, rel=1e-12
        )


def test_a_chip_for_spikes_says_nothing_of_conventional_networks() -> None:
    table = dict(energy_table([conventional_work(small(), n_steps=8)]))
    assert table["Loihi 1, dynamic part"] == (None,)
    assert all(value[0] is not None for name, value in table.items() if "Loihi" not in name)
    assert all(
        model.source and any(year in model.source for year in ("2014", "2018", "2022"))
        for model in ENERGY_MODELS
    )


def test_networks_without_a_counterpart_are_refused() -> None:
    nodes = {"in": Input(2), "sum": Add(), "out": IF(1.0), "back": Delay(0.001), "end": LI(0.1)}
    edges = [("in", "sum"), ("back", "sum"), ("sum", "out"), ("out", "back"), ("out", "end")]
    with pytest.raises(neuro.InputError, match="cycle"):
        conventional_work(Graph(nodes, edges, clocked(0.001)), n_steps=3)
    with pytest.raises(neuro.InputError, match="n_steps must be >= 1, got 0"):
        conventional_work(small(), n_steps=0)
