"""Users' torch and norse networks become graphs, or the module that cannot is named."""

from __future__ import annotations

import norse.torch as norse
import numpy as np
import pytest
import torch
from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters
from torch import nn

from neuro.errors import GraphError
from neuro.graph import IF, LI, LIF, AvgPool2d, Conv2d, CubaLIF, Flatten, Linear, MaxPool2d
from neuro.training import NetworkConfig, SpikingNetwork, export, graph_of


def _network() -> nn.Module:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(2, 4, 3, padding="same"), nn.BatchNorm2d(4), norse.LIFBoxCell())
    return norse.SequentialState(
        features, nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3, bias=False), LIBoxCell()
    )


def test_a_network_becomes_a_chain_of_nodes_named_after_kind_and_place() -> None:
    graph = export(_network(), input_shape=(2, 8, 8))
    assert graph.order == (
        "input", "conv2d_0_0", "lifboxcell_0_2", "maxpool2d_1", "flatten_3", "linear_4", "liboxcell_5",
    )  # fmt: skip
    assert graph.dt_s == 0.001
    assert graph.shapes["conv2d_0_0"] == (4, 8, 8)
    assert graph.weight_grid is None
    lif, readout = graph.nodes["lifboxcell_0_2"], graph.nodes["liboxcell_5"]
    assert isinstance(lif, LIF)
    assert isinstance(readout, LI)
    assert (lif.tau_mem_s, lif.threshold, lif.update, lif.reset, lif.comparison) == (
        0.01,
        1.0,
        "euler",
        "value",
        ">",
    )


def test_batch_norm_is_folded_and_rounding_is_reported() -> None:
    network = _network()
    plain = export(network, input_shape=(2, 8, 8)).nodes["conv2d_0_0"]
    snapped = export(network, input_shape=(2, 8, 8), max_count=20, snap_weights=True)
    conv = snapped.nodes["conv2d_0_0"]
    assert isinstance(plain, Conv2d)
    assert isinstance(conv, Conv2d)
    assert snapped.weight_grid is not None
    change = np.abs(conv.weight.astype(float) - plain.weight.astype(float)).max()
    largest = snapped.metadata["largest_rounding"]
    assert isinstance(largest, float)
    assert 0 < change <= largest + 1e-7 <= snapped.weight_grid / 2 + 2e-7
    assert (conv.padding, conv.stride) == ((1, 1), (1, 1))
    assert np.allclose(plain.weight, network[0][0].weight.detach().numpy() / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_every_neuron_keeps_its_constants() -> None:
    lif = norse.LIFCell(
        norse.LIFParameters(
            tau_mem_inv=torch.tensor(300.0), tau_syn_inv=torch.tensor(70.0), v_th=torch.tensor(0.7),
            v_leak=torch.tensor(0.1), v_reset=torch.tensor(-0.2),
        ),
        dt=0.002,
    )  # fmt: skip
    box = norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=norse.reset_subtract), dt=0.002)
    integrate = norse.IAFCell(norse.IAFParameters(v_th=torch.tensor(2.0)))
    readout = LIBoxCell(LIBoxParameters(tau_mem_inv=torch.tensor(50.0), v_leak=torch.tensor(0.25)), dt=0.002)
    graph = export(norse.SequentialState(lif, box, integrate, readout), input_shape=(5,))
    cuba, leaky, perfect, last = (graph.nodes[name] for name in graph.order[1:])
    assert isinstance(cuba, CubaLIF)
    assert isinstance(leaky, LIF)
    assert isinstance(perfect, IF)
    assert isinstance(last, LI)
    assert np.float32(1 / cuba.tau_mem_s) == 300
    assert np.float32(1 / cuba.tau_syn_s) == 70
    assert np.float32(cuba.threshold) == np.float32(0.7)
    assert np.float32(cuba.v_leak) == np.float32(0.1)
    assert np.float32(cuba.v_reset) == np.float32(-0.2)
    assert leaky.reset == "subtract"
    assert (perfect.threshold, perfect.reset) == (2.0, "value")
    assert (np.float32(1 / last.tau_mem_s), last.v_leak) == (50, 0.25)
    assert graph.dt_s == 0.002


def test_time_constants_per_neuron_are_inverted_exactly_or_refused() -> None:
    tau = np.linspace(0.005, 0.05, 7).astype(np.float32)
    inverse = torch.from_numpy((1 / tau.astype(np.float64)).astype(np.float32))
    cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=inverse))
    node = export(norse.SequentialState(cell), input_shape=(7,)).nodes["lifboxcell_0"]
    assert isinstance(node, LIF)
    back = (1 / np.asarray(node.tau_mem_s, np.float64)).astype(np.float32)
    assert np.array_equal(back, inverse.numpy())
    dense = np.nextafter(np.float32(1.9), np.float32(2)) + np.arange(400, dtype=np.float32) * 2**-23
    cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.from_numpy(dense)))
    with pytest.raises(
        GraphError, match=r"module '0' \(LIFBoxCell\): tau_mem_inv.*not the inverse of any float32"
    ):
        export(norse.SequentialState(cell), input_shape=(400,))


def test_lifted_and_timed_modules_count_as_their_inner_ones() -> None:
    network = norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 3, 3)), norse.LIF(), nn.Flatten(2), nn.Linear(12, 2)
    )
    graph = export(network, input_shape=(2, 4, 4))
    kinds = [type(graph.nodes[name]) for name in graph.order[1:]]
    assert kinds == [Conv2d, CubaLIF, Flatten, Linear]


def test_pools_keep_their_geometry() -> None:
    network = nn.Sequential(nn.AvgPool2d(2, stride=1, padding=1), norse.LIFBoxCell(), nn.MaxPool2d((2, 3)))
    graph = export(network, input_shape=(1, 6, 6))
    average, most = graph.nodes["avgpool2d_0"], graph.nodes["maxpool2d_2"]
    assert isinstance(average, AvgPool2d)
    assert isinstance(most, MaxPool2d)
    assert (average.kernel_size, average.stride, average.padding) == ((2, 2), (1, 1), (1, 1))
    assert (most.kernel_size, most.stride) == ((2, 3), (2, 3))


LINEAR = nn.Linear(4, 4)
CELL = norse.LIFBoxCell()


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            nn.Sequential(LINEAR, nn.Sequential(nn.ReLU())),
            r"module '1\.0' \(ReLU\): has no counterpart.*LIFBoxCell",
        ),
        (nn.Sequential(LINEAR, norse.LICell()), r"module '1' \(LICell\): has no counterpart"),
        (
            nn.Sequential(CELL, nn.BatchNorm1d(4)),
            r"module '1' \(BatchNorm1d\): .*directly in front of it, found module",
        ),
        (
            nn.Sequential(nn.BatchNorm1d(4), CELL),
            r"module '0' \(BatchNorm1d\): .*directly in front of it, found nothing",
        ),
        (nn.Sequential(LINEAR), r"no module has a time step; give dt_s"),
        (nn.Sequential(nn.Dropout()), r"holds nothing that computes"),
        (
            nn.Sequential(CELL, norse.LIFBoxCell(dt=0.002)),
            r"module '1' \(LIFBoxCell\): dt = 0.002 s, but 0.001 s",
        ),
        (
            nn.Sequential(norse.IAFCell(norse.IAFParameters(v_reset=torch.tensor(-1.0))), CELL),
            r"module '0' \(IAFCell\): norse starts at v_reset = -1.0",
        ),
        (
            nn.Sequential(norse.LIFCell(norse.LIFParameters(method="adjoint"))),
            r"method 'adjoint' is another step; use method='super'",
        ),
        (
            nn.Sequential(norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=lambda z, v, r, t: v))),
            r"reset_method must be norse's reset_value or reset_subtract",
        ),
        (
            nn.Sequential(LINEAR, nn.BatchNorm1d(4, track_running_stats=False), CELL),
            r"module '1' \(BatchNorm1d\): has no running statistics",
        ),
    ],
)
def test_what_a_graph_cannot_say_is_named_with_its_place(network: nn.Module, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        export(network, input_shape=(4,))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.AvgPool2d(2, ceil_mode=True), r"module '0' \(AvgPool2d\): needs ceil_mode=False"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), r"count_include_pad=True"),
        (nn.MaxPool2d(2, dilation=2), r"module '0' \(MaxPool2d\): .*dilation=1"),
        (
            nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
            r"padding_mode must be 'zeros', got 'reflect'",
        ),
        (nn.Conv2d(2, 3, 2, padding="same"), r"padding 'same' with kernel \(2, 2\) is not symmetric"),
        (nn.Flatten(0), r"module '0' \(Flatten\): must flatten all but the batch"),
    ],
)
def test_geometry_that_a_graph_cannot_say_is_named(module: nn.Module, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        export(nn.Sequential(module, norse.LIFBoxCell()), input_shape=(2, 6, 6))


def test_rounding_needs_counts_and_inputs_on_a_grid() -> None:
    linear = nn.Sequential(nn.Linear(4, 2), norse.LIFBoxCell())
    with pytest.raises(GraphError, match=r"snap_weights needs max_count"):
        export(linear, input_shape=(4,), snap_weights=True)
    thirds = nn.Sequential(nn.AvgPool2d(3), nn.Conv2d(1, 2, 1), norse.LIFBoxCell())
    with pytest.raises(
        GraphError, match=r"node 'conv2d_1': its inputs, from 'avgpool2d_0', are neither counts nor"
    ):
        export(thirds, input_shape=(1, 6, 6), max_count=5, snap_weights=True)
    halves = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 1), norse.LIFBoxCell())
    graph = export(halves, input_shape=(1, 6, 6), max_count=5, snap_weights=True)
    assert graph.weight_grid is not None


def test_recognisers_have_their_own_way_out() -> None:
    config = NetworkConfig(input_shape=(2, 6, 6), conv=(), hidden=(4,), attention=False)
    with pytest.raises(GraphError, match=r"a SpikingNetwork is exported by TrainedNetwork\.export"):
        export(SpikingNetwork(config), input_shape=(2, 6, 6))
    with pytest.raises(GraphError, match=r"fold batch norm first"):
        graph_of(SpikingNetwork(config), attention_threshold=None, weight_grid=None)


def test_weights_that_are_not_finite_name_the_module() -> None:
    network = norse.SequentialState(nn.Linear(4, 3), norse.LIFBoxCell())
    with torch.no_grad():
        network[0].weight[1, 2] = float("nan")
    with pytest.raises(GraphError, match=r"module '0' \(Linear\): .*got weight\[1, 2\] = nan"):
        export(network, input_shape=(4,))
