"""Torch modules become layer graphs with the same values; what has no counterpart is refused by name and place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from analog_bridge import LayerError, UnsupportedLayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import ingest, ingest_exported
from analog_bridge.layers import Activation, Convolution, LayerGraph, Permutation, Product, Scale
from tests.bridge_networks import Function, answer, data_on_grid, on_grid


class Gate(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(n, 2, 1), nn.Conv2d(2, n, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = functional.adaptive_avg_pool2d(x, 1)
        scale = self.excite(functional.relu(self.squeeze(scale)))
        return x * functional.hardtanh(scale, 0.0, 1.0)


class PointNetwork(nn.Module):
    """Points (batch, points, 3), a linear map of each, the largest value over all."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(3, 8), nn.Linear(8, 6), nn.Linear(6, 4)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.second(torch.relu(self.first(points))))
        return self.head(torch.max(x, 1)[0])  # type: ignore[no-any-return]


def shuffle(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.size()
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


IMAGE = (4, 8, 8)
SERIES = (4, 16)
CASES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv": (nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU()), IMAGE),
    "conv dilated groups": (nn.Conv2d(4, 6, (3, 2), padding=(2, 0), dilation=(2, 1), groups=2), IMAGE),
    "conv same": (nn.Conv2d(4, 2, (2, 4), padding="same"), IMAGE),
    "conv valid, no bias": (nn.Conv2d(4, 2, 3, padding="valid", bias=False), IMAGE),
    "depthwise": (nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8)), IMAGE),
    "conv1d": (nn.Sequential(nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), nn.BatchNorm1d(6)), SERIES),
    "causal conv1d": (nn.Sequential(nn.ZeroPad1d((2, 0)), nn.Conv1d(4, 4, 3), nn.ReLU()), SERIES),
    "transposed": (
        nn.Sequential(
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), nn.BatchNorm2d(6)
        ),
        IMAGE,
    ),
    "transposed1d": (nn.ConvTranspose1d(4, 2, 4, stride=2, padding=1), SERIES),
    "linear": (
        nn.Sequential(nn.Flatten(), nn.Linear(256, 5), nn.BatchNorm1d(5), nn.Dropout(), nn.Identity()),
        IMAGE,
    ),
    "norm first": (nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3)), IMAGE),
    "norm before padding": (nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3, padding=1)), IMAGE),
    "relu6": (nn.ReLU6(), IMAGE),
    "leaky": (nn.LeakyReLU(0.25), IMAGE),
    "prelu": (nn.PReLU(4), IMAGE),
    "prelu one": (nn.PReLU(), IMAGE),
    "hardtanh": (nn.Hardtanh(-0.5, 1.5), IMAGE),
    "clamp above zero": (Function(lambda m, x: x.clamp(0.5, 1.0)), IMAGE),
    "clamp below zero": (Function(lambda m, x: torch.clamp(x, -1.0, -0.25)), IMAGE),
    "clamp max": (Function(lambda m, x: x.clamp(max=0.75)), IMAGE),
    "clamp min": (Function(lambda m, x: torch.clamp_min(x, -0.75)), IMAGE),
    "functional relu": (Function(lambda m, x: functional.relu(x, inplace=True).relu_()), IMAGE),
    "abs, neg": (Function(lambda m, x: -torch.abs(x)), IMAGE),
    "max pool": (nn.MaxPool2d(3, 2, 1), IMAGE),
    "max pool ceil": (nn.MaxPool2d(2, 2, ceil_mode=True), IMAGE),
    "max pool ceil, uneven": (nn.MaxPool2d(3, 2, ceil_mode=True), IMAGE),
    "max pool ceil, padded": (nn.MaxPool2d((3, 2), (3, 2), 1, ceil_mode=True), (4, 7, 6)),
    "reflect": (
        nn.Sequential(
            nn.ReflectionPad2d((1, 2, 0, 3)), nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect")
        ),
        IMAGE,
    ),
    "replicate, circular": (
        Function(
            lambda m, x: functional.pad(functional.pad(x, (1, 2), mode="replicate"), (2, 0), mode="circular")
        ),
        SERIES,
    ),
    "average pool": (nn.AvgPool2d(2, 2, 1), IMAGE),
    "average pool, padding left out": (nn.AvgPool2d(4, 4, 2, count_include_pad=False), (4, 4, 4)),
    "average pool, divisor": (nn.AvgPool2d(2, divisor_override=8), IMAGE),
    "pool1d": (nn.Sequential(nn.MaxPool1d(2), nn.AvgPool1d(4)), SERIES),
    "adaptive": (nn.Sequential(nn.AdaptiveMaxPool2d(4), nn.AdaptiveAvgPool2d((2, 1))), IMAGE),
    "adaptive, windows that overlap": (nn.AdaptiveAvgPool2d((2, 3)), (4, 2, 4)),
    "adaptive1d": (nn.Sequential(nn.AdaptiveAvgPool1d(8), nn.AdaptiveMaxPool1d(1), nn.Flatten()), SERIES),
    "global mean": (Function(lambda m, x: x.mean((2, 3))), IMAGE),
    "mean, sum, max": (Function(lambda m, x: x.mean(-1, keepdim=True).sum(1).amax(1)), IMAGE),
    "max over channels": (Function(lambda m, x: x.max(dim=1, keepdim=True).values), IMAGE),
    "maximum": (Function(lambda m, x: torch.maximum(x, x.flip(2))), IMAGE),
    "residual": (Function(lambda m, x: m.layers[0](x) + x, nn.Conv2d(4, 4, 3, padding=1)), IMAGE),
    "add, sub": (
        Function(lambda m, x: 1 - (x + m.b) - torch.add(x, x, alpha=2) / 4, b=torch.ones(4, 1, 1)),
        IMAGE,
    ),
    "constant picture": (Function(lambda m, x: x * m.b + m.b, b=torch.arange(64.0).view(1, 8, 8)), IMAGE),
    "cat": (Function(lambda m, x: torch.cat([x, m.layers[0](x)], 1), nn.Conv2d(4, 2, 1)), IMAGE),
    "cat of columns": (Function(lambda m, x: torch.cat((x, x[..., :3]), dim=-1)), IMAGE),
    "stack": (Function(lambda m, x: torch.stack([x, -x], 2).flatten(1, 2)), IMAGE),
    "shuffle": (Function(shuffle), IMAGE),
    "shuffle module": (nn.ChannelShuffle(2), IMAGE),
    "pixel shuffle": (nn.PixelShuffle(2), IMAGE),
    "split": (Function(lambda m, x: m.layers[0](x.chunk(2, 1)[0]) + x[:, 2:], nn.Conv2d(2, 2, 1)), IMAGE),
    "slices": (Function(lambda m, x: x[:, ::2, 1:-1, None, 3]), IMAGE),
    "last step": (Function(lambda m, x: m.layers[0](x)[:, :, -1], nn.Conv1d(4, 3, 3)), SERIES),
    "upsample": (nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 1)), IMAGE),
    "upsample1d": (nn.Upsample(scale_factor=2), SERIES),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "bilinear, corners": (nn.Upsample(size=(5, 9), mode="bilinear", align_corners=True), (4, 3, 5)),
    "smaller": (Function(lambda m, x: functional.interpolate(x, size=(3, 5))), IMAGE),
    "pad": (Function(lambda m, x: functional.pad(functional.pad(x, (1, 0, 0, 2)), (-1, 1))), IMAGE),
    "gate": (Gate(4), IMAGE),
    "views": (Function(lambda m, x: x.view(x.shape[0], -1, 4).permute(0, 2, 1).reshape(-1, 16, 16)), IMAGE),
    "transposed views": (Function(lambda m, x: x.transpose(1, 3).flatten(1).unflatten(1, (2, -1))), IMAGE),
    "squeeze": (
        Function(lambda m, x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(2).unsqueeze(1)),
        IMAGE,
    ),
    "expand": (Function(lambda m, x: x.amax((2, 3), keepdim=True).expand_as(x) - x), IMAGE),
    "channels last": (
        Function(lambda m, x: m.layers[0](x.permute(0, 2, 3, 1)).relu().permute(0, 3, 1, 2), nn.Linear(4, 6)),
        IMAGE,
    ),
    "matrix products": (Function(lambda m, x: (x.relu() @ x.transpose(2, 3)) @ x[:, 1:2]), IMAGE),
    "batched matrix product": (Function(lambda m, x: torch.bmm(x.transpose(1, 2), x)), SERIES),
    "constant matrix": (Function(lambda m, x: x.flatten(1) @ m.b, b=torch.ones(64, 3)), SERIES),
    "points": (PointNetwork(), (16, 3)),
}


def _equal(graph: LayerGraph, model: nn.Module, *x: np.ndarray) -> None:
    names = [layer.name for layer in graph.inputs]
    found = evaluate(graph, dict(zip(names, x, strict=True)), precision="float64")
    for name, wanted in zip(graph.outputs, answer(model, *x), strict=True):
        assert found[name].reshape(wanted.shape).tolist() == wanted.tolist()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("case", CASES)
def test_graph_and_model_are_equal_through_fx_and_through_export(case: str) -> None:
    model, shape = CASES[case]
    on_grid(model)
    x = data_on_grid(5, *shape)
    _equal(ingest(model, x[:1]), model, x)
    program = torch.export.export(model, (torch.tensor(x),), strict=False)
    _equal(ingest_exported(program), model, x)


def test_batch_norm_and_padding_are_folded_away() -> None:
    model = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    graph = ingest(on_grid(model), data_on_grid(1, *IMAGE))
    assert [type(layer).__name__ for layer in graph.layers] == ["InputLayer", "Convolution", "Activation"]
    assert graph.outputs == ("3",)
    conv = graph["1"]
    assert isinstance(conv, Convolution)
    assert conv.padding == (1, 1, 1, 1)
    assert conv.place.startswith("container.py") or conv.place == ""


def test_transposes_that_cancel_leave_no_layer() -> None:
    for case in ("points", "channels last"):
        model, shape = CASES[case]
        graph = ingest(model, data_on_grid(2, *shape))
        n_orders = sum(isinstance(layer, Permutation) for layer in graph.layers)
        assert n_orders == {"points": 1, "channels last": 0}[case]


def test_a_channel_shuffle_is_one_permutation_of_channels() -> None:
    graph = ingest(Function(shuffle), data_on_grid(1, *IMAGE))
    (order,) = [layer for layer in graph.layers if isinstance(layer, Permutation)]
    assert order.order.tolist() == [0, 2, 1, 3]
    assert graph.shapes[order.name] == IMAGE


def test_a_gate_stays_a_gate() -> None:
    graph = ingest(Gate(4), data_on_grid(1, *IMAGE))
    (product,) = [layer for layer in graph.layers if isinstance(layer, Product)]
    assert [graph.shapes[name] for name in product.inputs] == [IMAGE, (4, 1, 1)]


def test_a_shared_module_has_a_numbered_name() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.conv(self.act(self.conv(x))))  # type: ignore[no-any-return]

    model = on_grid(Shared())
    x = data_on_grid(2, *IMAGE)
    graph = ingest(model, x)
    assert [layer.name for layer in graph.layers] == ["x", "conv", "act", "conv#2", "act#2"]
    assert re.fullmatch(r"test_bridge_ingest\.py:\d+", graph["conv"].place)
    _equal(graph, model, x)


def test_several_inputs_and_outputs_keep_their_order() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)

        def forward(self, left: torch.Tensor, right: torch.Tensor, mask: Any = None) -> Any:
            joined = torch.relu(self.a(left) + self.b(right))
            return joined if mask is not None else (joined, joined * 2)

    model = on_grid(Two())
    left, right = data_on_grid(4, 3), data_on_grid(4, 2, seed=1)
    for example in ((left, right), {"left": left, "right": right}):
        graph = ingest(model, example)
        assert [layer.name for layer in graph.inputs] == ["left", "right"]
        _equal(graph, model, left, right)


def test_control_flow_on_shapes_goes_through_export() -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        for _ in range(x.shape[2] // 4):
            x = functional.max_pool2d(x, 2)
        return x if x.shape[1] > 3 else x * 2

    model = Function(forward)
    x = data_on_grid(2, *IMAGE)
    _equal(ingest(model, x), model, x)


def test_softmax_of_the_output_is_left_out_and_noted() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 3), nn.Softmax(1))
    graph = ingest(model, data_on_grid(2, *IMAGE))
    assert graph.outputs == ("1",)
    assert graph.notes == ("softmax of the output is left out: the network gives what goes into it",)


def test_a_sigmoid_gate_becomes_hard_when_asked() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sigmoid(), nn.Conv2d(4, 2, 1), nn.SiLU())
    x = data_on_grid(2, *IMAGE)
    with pytest.raises(UnsupportedLayerError, match=r"'2'.*reads the result of sigmoid; use Hardsigmoid"):
        ingest(model, x)
    graph = ingest(model, x, hard_gates=True)
    assert any("sigmoid is replaced by hardsigmoid" in note for note in graph.notes)
    hard = nn.Sequential(model[0], nn.Hardsigmoid(), model[2], nn.Hardswish())
    wanted = evaluate(ingest(hard, x), x)
    assert np.array_equal(next(iter(wanted.values())), next(iter(evaluate(graph, x).values())))
    assert any(isinstance(layer, Activation) and layer.upper == 1 for layer in graph.layers)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model.train()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ingest(model, data_on_grid(3, *IMAGE))
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_input_normalisation_goes_into_the_first_layer_where_padding_allows() -> None:
    model = Function(lambda m, x: m.layers[0]((x - 0.5) / 0.25), nn.Conv2d(4, 2, 3))
    graph = ingest(on_grid(model), data_on_grid(1, *IMAGE))
    assert not any(isinstance(layer, Scale) for layer in graph.layers)


def test_an_output_that_is_returned_twice_stays_twice() -> None:
    model = Function(lambda m, x: (x.relu(), x.relu(), x))
    y = Function(lambda m, x: [x.relu()] * 2)
    assert len(ingest(model, data_on_grid(2, 4)).outputs) == 3
    assert ingest(y, data_on_grid(2, 4)).outputs == ("relu", "relu")


def test_frames_of_a_clip_go_in_as_they_are() -> None:
    """Samples of more than three axes: the frames through one network, then convolution over time."""
    torch.manual_seed(0)
    frame = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
    over_time = nn.Conv1d(5, 4, 3, padding=1)
    x = data_on_grid(2, 6, 2, 4, 4)
    for parts in (lambda x: [x[:, t] for t in range(6)], lambda x: x.unbind(1)):
        model = on_grid(
            Function(
                lambda m, x, parts=parts: m.layers[1](
                    torch.stack([m.layers[0](each) for each in parts(x)], 2)
                ),
                frame,
                over_time,
            )
        )
        graph = ingest(model, x)
        assert graph.inputs[0].shape == (6, 2, 16)
        _equal(graph, model, x)
    with pytest.raises(LayerError, match=r"input 'x' must have shape \(n, 6, 2, 16\), got \(2, 6, 2, 4, 3\)"):
        evaluate(graph, x[..., :3])
