"""Coded neurons by hand: ties, limits, codes, pools, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neuro
from neuro.errors import GraphError, InputError
from neuro.graph import (
    LI,
    Add,
    Conv2d,
    CountMaxPool2d,
    Delay,
    Difference,
    FirstSpikeIF,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    RadixIF,
    RadixMaxPool2d,
    Readout,
    SigmaDelta,
    SignedIF,
    TemporalAttention,
    TwoPhaseIF,
    clocked,
    continuous,
)


def chain(**nodes: Any) -> Graph:
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def sent(node: Any, frames: list[float]) -> list[float]:
    """What one neuron hands on when it gets these values, a step each."""
    graph = chain(source=Input(1), neuron=node)
    output: list[float] = (
        neuro.simulate(graph, np.array(frames, np.float32)[:, np.newaxis]).output[:, 0].tolist()
    )
    return output


@pytest.mark.parametrize(("total", "count"), [(-1, 0), (0.49, 0), (0.5, 1), (2.49, 2), (2.5, 3), (9, 4)])
def test_two_phase_rounds_half_up_and_clips(total: float, count: int) -> None:
    train = sent(TwoPhaseIF(1.0, n_levels=4, v_start=0.5), [total, 0, 0, 0, 0, 0])
    assert train == [1.0] * count + [0.0] * (6 - count)


def test_two_phase_waits_for_its_window() -> None:
    assert sent(TwoPhaseIF(1.0, n_levels=2, start_step=2), [1, 1, 1, 0, 0, 0]) == [0, 0, 1, 1, 0, 0]


def test_signed_takes_back_what_was_too_much() -> None:
    assert sent(SignedIF(1.0, max_count=4, v_start=0.5), [2, 0, -2, 0, 0, 0]) == [1, 1, -1, -1, 0, 0]
    assert sent(SignedIF(1.0, max_count=1, v_start=0.5), [2, 0, -2, 0]) == [1, 0, -1, 0]
    assert sent(SignedIF(1.0, max_count=1), [-2, 0]) == [0, 0]
    assert sent(SignedIF(1.0, max_count=1, min_count=-1), [-2, 0]) == [-1, 0]


def test_signed_drive_comes_in_the_first_steps() -> None:
    assert sent(SignedIF(1.0, max_count=9, drive=1.0, drive_steps=2), [0, 0, 0, 0]) == [1, 1, 0, 0]


def test_signed_spreads_the_first_input() -> None:
    node = SignedIF(1.0, max_count=9, v_start=0.5, drive=0.25, drive_steps=4, holds_input=True)
    assert sent(node, [3, 0, 0, 0, 0]) == [1, 1, 1, 1, 0]
    assert sent(node, [0, 3, 0, 0, 0]) == [0, 1, 1, 1, 1]  # later input acts at once


def test_radix_digits() -> None:
    for count in range(8):
        digits = [float(digit) for digit in f"{count:03b}"]
        assert sent(RadixIF(1.0, n_bits=3), [count, 9, 9]) == digits
    assert sent(RadixIF(1.0, n_bits=2, start_step=2), [1, 0, 1, 0]) == [
        0,
        0,
        1,
        1,
    ]  # binary 101, clipped to 3


def test_first_spike_comes_earlier_for_more() -> None:
    for count in range(5):
        train = [0.0] * 5
        if count:
            train[min(4 - count, 3)] = 1.0
        assert sent(FirstSpikeIF(1.0, n_levels=4), [count, 0, 0, 0, 0]) == train
    assert sent(FirstSpikeIF(1.0, n_levels=4, start_step=3), [0, 1, 0, 0, 0, 0]) == [
        0,
        0,
        0,
        0,
        1,
        0,
    ]  # 3 steps


def test_sigma_delta_sends_changes() -> None:
    node = SigmaDelta(1.0, max_count=3, min_count=-1, v_start=0.5)
    assert sent(node, [2, 0, 4, -9, 3]) == [2, 0, 1, -4, 1]


def test_difference() -> None:
    assert sent(Difference(), [2, 2, 3, 0]) == [2, 0, 1, -3]


def test_the_codes_are_read_exactly() -> None:
    x = np.zeros((12, 1), np.float32)
    x[0] = 5
    for node, code, last in (
        (TwoPhaseIF(1.0, n_levels=7), "count", 6),
        (RadixIF(1.0, n_bits=3), "radix", 2),
        (FirstSpikeIF(1.0, n_levels=7), "first_spike", 6),
    ):
        out = Readout(0.25, drive_steps=1, start_step=last, code=code)  # type: ignore[arg-type]
        graph = chain(source=Input(1), neuron=node, fc=Linear([[3.0]]), out=out)
        assert neuro.simulate(graph, x).output.sum() == 15.25


def test_pools_of_codes() -> None:
    counts = np.array([[1, 3, 0, 2]], np.float32)
    x = np.zeros((8, 1, 1, 4), np.float32)
    x[0, 0] = counts
    for node, pool, weights in (
        (TwoPhaseIF(1.0, n_levels=4), MaxPool2d((1, 2)), np.ones(8)),
        (SignedIF(1.0, max_count=4), CountMaxPool2d((1, 2)), np.ones(8)),
        (RadixIF(1.0, n_bits=2), RadixMaxPool2d((1, 2), n_bits=2), np.array([2, 1, 0, 0, 0, 0, 0, 0])),
        (FirstSpikeIF(1.0, n_levels=4), CountMaxPool2d((1, 2)), np.maximum(0, 4 - np.arange(8))),
    ):
        output = neuro.simulate(chain(source=Input((1, 1, 4)), neuron=node, pool=pool), x).output
        assert np.tensordot(weights, output, 1).reshape(-1).tolist() == [3, 2], pool


def test_padding_never_wins_against_negative_counts() -> None:
    node = SignedIF(1.0, max_count=1, min_count=-3)
    x = np.zeros((4, 1, 2, 2), np.float32)
    x[0] = -2.5
    output = neuro.simulate(
        chain(source=Input((1, 2, 2)), neuron=node, pool=CountMaxPool2d(2, 1, 1)), x
    ).output
    assert output.sum(0).tolist() == [[[-3.0] * 3] * 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TwoPhaseIF(0.0, n_levels=4), r"TwoPhaseIF: threshold must be > 0, got 0\.0"),
        (lambda: TwoPhaseIF(1.0, n_levels=0), "TwoPhaseIF: n_levels must be >= 1, got 0"),
        (lambda: TwoPhaseIF(1.0, n_levels=2**17), "TwoPhaseIF: n_levels must be <= 65536"),
        (lambda: SignedIF(1.0, max_count=1, min_count=1), "SignedIF: min_count must be <= 0, got 1"),
        (lambda: SignedIF(1.0, max_count=1, holds_input=True), "SignedIF: drive_steps must be >= 1, got 0"),
        (lambda: RadixIF(1.0, n_bits=17), "RadixIF: n_bits must be <= 16, got 17"),
        (lambda: RadixMaxPool2d(2, n_bits=17), "RadixMaxPool2d: n_bits must be <= 16, got 17"),
        (
            lambda: FirstSpikeIF(1.0, n_levels=2, start_step=-1),
            "FirstSpikeIF: start_step must be >= 0, got -1",
        ),
        (lambda: SigmaDelta(np.nan, max_count=2), "SigmaDelta: threshold must be finite"),
        (lambda: Readout(code="rate"), "Readout: code must be one of 'count', 'radix', 'first_spike'"),  # type: ignore[arg-type]
        (lambda: Readout(drive_steps=3, start_step=1), r"drive_steps must be <= start_step \+ 1 = 2, got 3"),
    ],
)
def test_wrong_values_are_named(make: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()


def test_where_coded_neurons_cannot_stand() -> None:
    neuron = SignedIF(1.0, max_count=2)
    attention = TemporalAttention(np.zeros((1, 2)), [0.0], np.zeros((2, 1)), [0.0, 0.0], 0.5)
    with pytest.raises(
        GraphError, match="SignedIF 'neuron': every step carries a part of its count, but Temporal"
    ):
        chain(source=Input(1), attention=attention, neuron=neuron)
    with pytest.raises(
        GraphError, match="SignedIF 'neuron': counts steps, and continuous execution has none"
    ):
        Graph({"source": Input(1), "neuron": neuron}, [("source", "neuron")], continuous())
    with pytest.raises(
        GraphError, match="MaxPool2d 'pool': needs inputs >= 0, but SignedIF 'neuron' can be negative"
    ):
        chain(source=Input((1, 2, 2)), neuron=neuron, pool=MaxPool2d(2))
    with pytest.raises(GraphError, match=r"threshold must be a number or have shape \(3,\), got \(2,\)"):
        chain(source=Input(3), neuron=SignedIF([1.0, 2.0], max_count=2))


def test_membranes_and_rates_can_be_recorded() -> None:
    graph = chain(source=Input(1), neuron=TwoPhaseIF(1.0, n_levels=4), late=Delay(0.001), out=LI(0.1))
    result = neuro.simulate(
        graph, np.array([[2.25], [0], [0]], np.float32), record={"neuron": ["membrane", "rate"]}
    )
    assert result.membranes["neuron"][:, 0].tolist() == [1.25, 0.25, 0.25]
    assert result.spike_counts["neuron"].tolist() == [2]


def test_gates_are_refused() -> None:
    nodes = {"in": Input((1, 2, 2)), "a": Conv2d(np.ones((1, 1, 1, 1))), "n": SignedIF(1.0, max_count=1)}
    nodes |= {"b": Conv2d(np.ones((1, 1, 1, 1))), "add": Add()}
    edges = [("in", "a"), ("a", "n"), ("n", "add"), ("in", "b"), ("b", "add")]
    gate = neuro.BranchGate(join="add", branch="n", statistic="density", threshold=1.0)
    with pytest.raises(
        InputError, match="'n' carries a part of a count in every step, but a gate drops some"
    ):
        neuro.simulate(
            Graph(nodes, edges, clocked(0.001)),
            np.eye(2, dtype=np.float32).reshape(1, 1, 2, 2),
            dynamics=neuro.Dynamics(gates=(gate,)),
        )
