"""Nodes: what they hold, what they refuse, and how they say it (R3, R4, R5, R30)."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest

from neuro.errors import GraphError, NeuroError
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Node,
    SumPool2d,
    TemporalAttention,
)

ONES = np.ones((2, 2), dtype=np.float32)


def attention(**changes: object) -> TemporalAttention:
    values = {
        "weight_1": np.ones((2, 4)),
        "bias_1": np.zeros(2),
        "weight_2": np.ones((4, 2)),
        "bias_2": np.zeros(4),
        "threshold": 0.5,
    }
    return TemporalAttention(**{**values, **changes})


def every_node() -> list[Node]:
    return [
        Input((2, 4, 4), 3),
        Linear(ONES, np.zeros(2)),
        Conv2d(np.ones((2, 2, 3, 3)), np.zeros(2), stride=2, padding=1, dilation=(1, 2), groups=2),
        SumPool2d(2),
        AvgPool2d(2, 1, 1),
        MaxPool2d((1, 2)),
        Flatten(),
        Add(),
        Concat(),
        Delay(0.5),
        IF(1.0),
        LIF(0.01, np.ones((2, 1, 1)), update="exponential", reset="subtract", comparison=">="),
        CubaLIF(0.01, 0.005),
        LI(0.02, update="decay"),
        attention(),
    ]


@pytest.mark.parametrize("node", every_node(), ids=lambda node: type(node).__name__)
def test_nodes_are_values(node: Node) -> None:
    for twin in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert twin == node
        assert hash(twin) == hash(node)
        assert twin is not node
    assert node != Input(99)
    assert node != "a node"
    assert repr(node).startswith(type(node).__name__ + "(")
    with pytest.raises(AttributeError):
        node.threshold = 3  # type: ignore[attr-defined]


def test_arrays_are_read_only_float32_copies() -> None:
    weight = np.ones((2, 2))
    node = Linear(weight)
    weight[0, 0] = 5
    assert node.weight.dtype == np.float32
    assert node.weight[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        node.weight[0, 0] = 2
    assert not pickle.loads(pickle.dumps(node)).weight.flags.writeable


def test_negative_zero_is_zero() -> None:
    assert Linear([[-0.0]]) == Linear([[0.0]])
    assert hash(IF(v_reset=-0.0)) == hash(IF(v_reset=0.0))
    assert not np.signbit(Linear([[-0.0]]).weight).any()


def test_values_decide_equality() -> None:
    assert LIF(0.01) == LIF(0.01)
    assert LIF(0.01) != LIF(0.011)
    assert LIF(0.01) != LIF(0.01, comparison=">=")
    assert Linear(ONES) != Linear(ONES, np.zeros(2))
    assert IF(np.ones(2)) != IF(1.0)
    assert SumPool2d(2) != AvgPool2d(2)


def test_numpy_numbers_are_numbers() -> None:
    assert LIF(np.float64(0.01), np.float32(1)) == LIF(0.01, 1.0)
    assert IF(np.array(2.0)) == IF(2)
    assert Input(np.array([2, 3, 3])) == Input((2, 3, 3))
    assert SumPool2d(np.int64(2)) == SumPool2d((2, 2), (2, 2), (0, 0))


REFUSED = [
    (lambda: LIF(0.0), "LIF: tau_mem_s must be > 0 s, got 0.0"),
    (lambda: LIF([0.1, 0.2, 0.3, -0.01]), "LIF: tau_mem_s must be > 0 s, got tau_mem_s[3] = -0.01"),
    (lambda: LIF(1e-50), "LIF: tau_mem_s must be > 0 s"),
    (lambda: LIF(1e-40), "LIF: tau_mem_s is too small"),
    (lambda: LIF(float("nan")), "LIF: tau_mem_s must be finite in float32, got nan"),
    (lambda: LIF("fast"), "LIF: tau_mem_s must be a number, got 'fast'"),
    (lambda: LIF(True), "LIF: tau_mem_s must be a number, got True"),
    (lambda: LIF(None), "LIF: tau_mem_s must be a number, got None"),
    (lambda: LIF(0.1, 1e39), "LIF: threshold must be finite in float32, got 1e+39"),
    (lambda: LIF(0.1, 1j), "LIF: threshold must be a"),
    (
        lambda: LIF(0.1, update="fast"),
        "LIF: update must be one of 'euler', 'exponential', 'decay', got 'fast'",
    ),
    (lambda: LIF(0.1, update="decay", v_leak=0.1), "LIF: v_leak must be 0 with update='decay', got 0.1"),
    (lambda: LI(0.1, update="decay", v_leak=[0.0, 0.1]), "LI: v_leak must be 0 with update='decay'"),
    (lambda: LIF(0.1, reset="soft"), "LIF: reset must be one of 'value', 'subtract', 'clamp', got 'soft'"),
    (lambda: LIF(0.1, comparison="=="), "LIF: comparison must be one of '>', '>=', got '=='"),
    (lambda: IF(1.0, 0.5, reset="clamp"), "IF: v_reset has no meaning with reset='clamp', leave it at 0"),
    (lambda: IF([1.0, 0.0], reset="subtract"), "IF: threshold must be > 0, got threshold[1] = 0.0"),
    (lambda: CubaLIF(0.1, 0.0), "CubaLIF: tau_syn_s must be > 0 s, got 0.0"),
    (lambda: CubaLIF(0.1, 0.1, update="decay"), "CubaLIF: update must be one of 'euler', 'exponential'"),
    (lambda: Linear([1.0]), "Linear: weight must have 2 axes, got shape (1,)"),
    (lambda: Linear(np.zeros((0, 2))), "Linear: weight must not be empty, got shape (0, 2)"),
    (lambda: Linear([[1.0, 2.0], [3.0]]), "Linear: weight must be an array of real numbers"),
    (lambda: Linear([["a"]]), "Linear: weight must hold real numbers, got <U1"),
    (lambda: Linear([[1.0, np.nan]]), "Linear: weight must be finite in float32, got weight[0, 1] = nan"),
    (lambda: Linear([[1.0, 1e39]]), "Linear: weight must be finite in float32, got weight[0, 1] = 1e+39"),
    (lambda: Linear(ONES, [1.0]), "Linear: bias must have shape (2,) as the weight's outputs, got (1,)"),
    (lambda: Linear(ONES, [1.0, np.inf]), "Linear: bias must be finite in float32, got bias[1] = inf"),
    (
        lambda: Conv2d(np.ones((3, 1, 1, 1)), groups=2),
        "Conv2d: groups must divide the 3 output channels, got 2",
    ),
    (lambda: Conv2d(np.ones((1, 1, 1, 1)), stride=0), "Conv2d: stride must be >= 1, got 0"),
    (
        lambda: Conv2d(np.ones((1, 1, 1, 1)), padding="same"),
        "Conv2d: padding must be a whole number or a pair",
    ),
    (
        lambda: Conv2d(np.ones((1, 1, 1, 1)), padding=(1, 2, 3)),
        "Conv2d: padding must be a whole number or a pair",
    ),
    (
        lambda: Conv2d(np.ones((1, 1, 1, 1)), dilation=1.5),
        "Conv2d: dilation must be a whole number or a pair",
    ),
    (
        lambda: SumPool2d(2, padding=2),
        "SumPool2d: padding must be at most half of kernel_size = (2, 2), got (2, 2)",
    ),
    (lambda: MaxPool2d((2, True)), "MaxPool2d: kernel_size must be a whole number, got True"),
    (lambda: Input((2, 0, 3)), "Input: shape must be >= 1, got 0"),
    (lambda: Input((2, 3)), "Input: shape must be (channels, rows, columns) or (n,), got (2, 3)"),
    (lambda: Input((2**12, 2**12, 2**12)), "the limit is 2**31 - 1"),
    (lambda: Input(3, 0), "Input: max_count must be >= 1, got 0"),
    (lambda: Input(3, 1.5), "Input: max_count must be a whole number, got 1.5"),
    (lambda: Delay(-1), "Delay: delay_s must be >= 0 s, got -1.0"),
    (lambda: Delay(np.ones(2)), "Delay: delay_s must be a single number, got shape (2,)"),
    (lambda: attention(threshold=1.5), "TemporalAttention: threshold must be from 0 to 1, got 1.5"),
    (
        lambda: attention(bias_2=np.zeros(3)),
        "TemporalAttention: bias_2 must have shape (4,) to fit weight_1 (2, 4)",
    ),
    (lambda: attention(weight_2=np.ones((2, 4))), "TemporalAttention: weight_2 must have shape (4, 2)"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_wrong_values_are_named(make, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)) as caught:
        make()
    assert isinstance(caught.value, NeuroError)
    assert isinstance(caught.value, ValueError)


def test_attention_counts_its_frames() -> None:
    assert attention().n_frames == 4
    assert attention(threshold=0) == attention(threshold=0.0)
    assert attention().n_parameters == 22
