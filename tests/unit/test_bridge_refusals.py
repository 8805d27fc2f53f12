"""What a torch network holds that has no counterpart is refused by name, place and remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from analog_bridge import LayerError, UnsupportedLayerError
from analog_bridge.ingest import ingest
from tests.bridge_networks import Function, data_on_grid

IMAGE = (4, 8, 8)
SERIES = (4, 16)


def _refusing(model: nn.Module, shape: tuple[int, ...] = IMAGE) -> Callable[[], Any]:
    return lambda: ingest(model, data_on_grid(2, *shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_refusing(nn.Sequential(nn.GELU())), "'0'.*GELU is not covered; use ReLU"),
        (
            _refusing(nn.Sequential(nn.LayerNorm(8))),
            "'0'.*LayerNorm is not covered; statistics of each sample",
        ),
        (_refusing(nn.Sequential(nn.GroupNorm(2, 4))), "GroupNorm is not covered; statistics of each sample"),
        (_refusing(nn.LSTM(16, 3), SERIES), "LSTM is not covered|cannot be traced|lstm"),
        (_refusing(nn.Sequential(nn.Conv3d(4, 2, 1)), (4, 2, 8, 8)), "Conv3d is not covered"),
        (
            _refusing(nn.Sequential(nn.ReflectionPad2d(20))),
            "the model cannot be called with the example: .*Padding size should be less",
        ),
        (_refusing(nn.MaxPool2d(2, dilation=2)), "dilates its windows"),
        (
            _refusing(nn.AvgPool2d(3, 2, ceil_mode=True)),
            "ceil_mode lets windows reach past the edge; choose sizes",
        ),
        (_refusing(nn.AdaptiveMaxPool2d(3)), "which do not divide; let the size divide"),
        (
            _refusing(nn.Sequential(nn.BatchNorm2d(4, track_running_stats=False))),
            "statistics of the batch; train it",
        ),
        (
            _refusing(Function(lambda m, x: torch.tanh(x))),
            r"'tanh' \(test_bridge_refusals.py:\d+\): tanh is not covered",
        ),
        (
            _refusing(Function(lambda m, x: x.softmax(1) * 2)),
            "reads the result of softmax; use it on the output only",
        ),
        (
            _refusing(Function(lambda m, x: functional.scaled_dot_product_attention(x, x, x))),
            "the softmax of scores divides by a sum that depends on the input; use attention without it",
        ),
        (_refusing(Function(lambda m, x: x / (x + 3))), "divides by a tensor that depends on the input"),
        (
            _refusing(Function(lambda m, x: x.view(-1, 8))),
            "mixes samples of the batch; keep the batch axis first",
        ),
        (_refusing(Function(lambda m, x: x.permute(1, 0, 2, 3))), "moves the batch axis"),
        (
            _refusing(Function(lambda m, x: x - x.mean())),
            "takes the mean over the batch axis too; name the axes",
        ),
        (_refusing(Function(lambda m, x: x[0])), "indexes the batch axis"),
        (
            _refusing(Function(lambda m, x: torch.cat([x, m.b], 1), b=torch.ones(1, 4, 8, 8))),
            "joins a constant",
        ),
        (_refusing(Function(lambda m, x: x.sum(0))), "works along the batch axis"),
        (_refusing(Function(lambda m, x: 3.0)), "return tensors that depend on the input"),
        (_refusing(Function(lambda m, x: x.clamp(2.0, 1.0))), r"clamps to \[2.0, 1.0\], which is empty"),
        (_refusing(nn.Linear(5, 4)), "weight .4, 5. meets a tensor"),
        (lambda: ingest(nn.ReLU(), np.ones((2, 3), dtype=np.int64)), "must be float with a batch axis"),
        (lambda: ingest(nn.ReLU(), np.float32(1.0)), "must be float with a batch axis"),
        (lambda: ingest("model", np.ones((2, 3))), "model must be a torch.nn.Module, got str"),  # type: ignore[arg-type]
        (
            lambda: ingest(nn.Bilinear(2, 2, 2), np.ones((2, 2), dtype=np.float32)),
            "cannot be called with the example",
        ),
    ],
)
def test_what_cannot_be_taken_over_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=message):
        make()


def test_attention_is_refused_with_a_reason() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x)[0]  # type: ignore[no-any-return]

    with pytest.raises(UnsupportedLayerError, match=r"MultiheadAttention.*softmax of scores divides by"):
        ingest(Attention(), data_on_grid(2, 4, 8))


def test_weights_that_are_not_finite_are_named() -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight[1, 2] = float("nan")
    with pytest.raises(UnsupportedLayerError, match=r"Dense '0'.*weight\[1, 2\] = nan must be finite"):
        ingest(model, data_on_grid(2, 4))


def test_a_model_that_does_not_do_what_its_trace_says_is_found_out() -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    model.register_forward_hook(lambda module, args, output: output + 1)
    with pytest.raises(LayerError, match="differs from the original's by 1 on the example"):
        ingest(model, data_on_grid(2, 4))


def test_control_flow_on_data_is_refused() -> None:
    model = Function(lambda m, x: x if x.sum() > 0 else -x)
    with pytest.raises(UnsupportedLayerError, match=r"control flow depends on the data.*torch\.where"):
        ingest(model, data_on_grid(2, *IMAGE))


def test_a_wrong_trace_is_found_behind_a_softmax_too() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))
    ingest(model, data_on_grid(2, 4))
    model.register_forward_hook(lambda module, args, output: output * 0.5)
    with pytest.raises(LayerError, match="differs from the original's"):
        ingest(model, data_on_grid(2, 4))
