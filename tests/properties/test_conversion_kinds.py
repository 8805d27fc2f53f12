"""Each kind of layer, by each method: end to end through convert and verify, or refused with a remedy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from analog_bridge import BridgeError
from analog_bridge.conversion import convert
from tests.conversion_kinds import BEGIN, DOCUMENT, END, KINDS, METHODS, Kind, table


@lru_cache(maxsize=2)
def case(kind: Kind) -> tuple[Any, Any, list[np.ndarray]]:
    """A trained-looking network, an example of its arguments, and samples that are multiples of 1/16."""
    model = kind.make().eval()
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        if isinstance(getattr(module, "bias", None), torch.nn.Parameter):
            torch.nn.init.uniform_(module.bias, 0.0, 0.5)  # type: ignore[arg-type]
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    samples = [(rng.integers(-8, 17, (16, *shape)) / 16).astype(np.float32) for shape in kind.shapes]
    example = tuple(torch.zeros(1, *shape) for shape in kind.shapes)
    return model, example if len(example) > 1 else example[0], samples


def converted(kind: Kind, method: Any) -> tuple[Any, Any]:
    model, example, samples = case(kind)
    names = ["x", "y"][: len(samples)]
    data: Any = dict(zip(names, samples, strict=True)) if len(samples) > 1 else samples[0]
    found = convert(model, example, calibration=data, method=method, levels=7, weight_bits=8)
    few: Any = {name: value[:4] for name, value in data.items()} if len(samples) > 1 else data[:4]
    if method == "sigma_delta":
        few = {k: v[np.newaxis] for k, v in few.items()} if isinstance(few, dict) else few[np.newaxis]
    return found, few


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_kind_by_a_method(kind: Kind, method: str) -> None:
    if kind.outcome(method) == "refused":
        with pytest.raises(BridgeError) as caught:
            converted(kind, method)
        assert kind.refused.get(method, kind.refused.get("*", "")) in str(caught.value)
        return
    conversion, x = converted(kind, method)
    agreement = conversion.verify(x)
    assert agreement.n_compared > 0
    if method == "rate":
        assert np.isfinite(conversion.outputs(x)).all()
    else:
        assert agreement, agreement
        assert agreement.output_difference == 0


def test_the_table_of_the_documentation_is_this_one() -> None:
    text = DOCUMENT.read_text()
    assert text.split(BEGIN)[1].split(END)[0].strip() == table(), "run python tests/conversion_kinds.py"
