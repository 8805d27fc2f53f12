"""From a Graph to registers: exact where it can be, refused where the chip cannot, reported in between."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import hw
import neuro
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
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Node,
    Readout,
    SumPool2d,
    TemporalAttention,
    clocked,
    continuous,
)  # fmt: skip

RNG = np.random.default_rng(7)
LINE = Linear(np.ones((3, 3)))


@pytest.fixture(autouse=True)
def same_numbers_in_any_order() -> None:
    RNG.bit_generator.state = np.random.default_rng(7).bit_generator.state


def chain(*nodes: Node, execution: Any = None) -> Graph:
    names = [f"n{k}" for k in range(len(nodes))]
    edges = list(pairwise(names))
    return Graph(dict(zip(names, nodes, strict=True)), edges, execution or clocked(0.001))


def frames(*shape: int, density: float = 0.3) -> np.ndarray:
    return (RNG.random(shape) < density).astype(np.float32)


def equal_spikes(graph: Graph, recording: np.ndarray, name: str, target: str = "loihi2") -> None:
    """The chip's spikes are those of the engine: possible where weights are whole and nothing leaks."""
    fixed = hw.quantize(graph, target)
    truth = neuro.simulate(graph, recording, record={name: "spikes"}).spikes[name]
    found = hw.emulate(fixed, recording).spikes(name)
    assert len(truth) > 20
    np.testing.assert_array_equal(found.to_dense(), truth.to_dense())


EIGHTHS = {"threshold": 1.0}


@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
@pytest.mark.parametrize("comparison", [">", ">="])
def test_whole_numbers_without_leak_are_exact(target: str, comparison: Any) -> None:
    weights = [RNG.integers(-20, 40, (n, m)) / 64 for n, m in ((12, 9), (7, 12))]
    fire = IF(1.0, comparison=comparison)
    graph = chain(Input(9, max_count=1), Linear(weights[0]), fire, Linear(weights[1]), fire)
    equal_spikes(graph, frames(60, 9), "n4", target)


@pytest.mark.parametrize("comparison", [">", ">="])
def test_whole_numbers_with_reset_by_subtraction_are_exact(comparison: Any) -> None:
    weights = [RNG.integers(-20, 40, (n, m)) / 64 for n, m in ((12, 9), (7, 12))]
    fire = IF(1.0, reset="subtract", comparison=comparison)
    bias = RNG.integers(-8, 8, 12) / 64
    graph = chain(Input(9, max_count=1), Linear(weights[0], bias), fire, Linear(weights[1]), fire)
    equal_spikes(graph, frames(60, 9), "n4")
    with pytest.raises(hw.UnsupportedNodeError, match="IF 'n2': loihi1's neuron resets to a value"):
        hw.quantize(graph, "loihi1")


def test_the_host_computes_readouts() -> None:
    weights = [RNG.integers(-20, 40, (n, m)) / 64 for n, m in ((12, 9), (4, 12))]
    fire = IF(1.0, reset="subtract", comparison=">=")
    line = Linear(weights[1], RNG.integers(-8, 8, 4) / 64)
    graph = chain(Input(9, max_count=1), Linear(weights[0]), fire, line, Readout())
    fixed, recording = hw.quantize(graph, "loihi2"), frames(40, 9)
    assert set(fixed.populations) == {"n0", "n2"}
    assert "the host computes 'n3', 'n4' from the spikes of 'n2', in float32" in fixed.notes
    assert fixed.source_digest == graph.digest
    outputs, truth = hw.emulate(fixed, recording).outputs, neuro.simulate(graph, recording).output
    assert list(outputs) == ["n4"]
    assert np.abs(truth).max() > 1
    np.testing.assert_array_equal(outputs["n4"], truth)


def test_readouts_of_several_populations_are_refused() -> None:
    nodes: dict[str, Node] = {
        "in": Input(3),
        "a": IF(),
        "line": LINE,
        "b": IF(),
        "sum": Add(),
        "out": Readout(),
    }
    edges = [("in", "a"), ("in", "line"), ("line", "b"), ("a", "sum"), ("b", "sum"), ("sum", "out")]
    with pytest.raises(hw.UnsupportedNodeError, match=r"Readout 'out': the host reads .* those of 'a', 'b'"):
        hw.quantize(Graph(nodes, edges, clocked(0.001)), "loihi2")
    with pytest.raises(hw.UnsupportedNodeError, match=r"Readout 'n2': the host reads .* those of 'n0'"):
        hw.quantize(chain(Input(3), LINE, Readout()), "loihi2")


def test_convolutions_pools_and_branches_are_exact() -> None:
    kernel = RNG.integers(-12, 24, (4, 2, 3, 3)) / 64
    nodes: dict[str, Node] = {
        "in": Input((2, 8, 8), max_count=1),
        "conv": Conv2d(kernel, padding=1),
        "a": IF(),
        "pool": SumPool2d(2),
        "again": Conv2d(RNG.integers(-8, 16, (3, 4, 3, 3)) / 64, padding=1, stride=2),
        "b": IF(),
        "flat_a": Flatten(),
        "flat_b": Flatten(),
        "line_a": Linear(RNG.integers(-4, 8, (5, 256)) / 64),
        "line_b": Linear(RNG.integers(-16, 40, (5, 12)) / 64),
        "sum": Add(),
        "out": IF(),
    }
    edges = [
        ("in", "conv"), ("conv", "a"), ("a", "pool"), ("pool", "again"), ("again", "b"), ("b", "flat_b"),
        ("flat_b", "line_b"), ("a", "flat_a"), ("flat_a", "line_a"), ("line_a", "sum"), ("line_b", "sum"),
        ("sum", "out"),
    ]  # fmt: skip
    graph = Graph(nodes, edges, clocked(0.001))
    fixed = hw.quantize(graph, "loihi2")
    assert {c.kind for c in fixed.connections if c.target != "out"} == {"conv"}
    assert any("delayed by 1 more steps" in note for note in fixed.notes)  # a -> out waits for a -> b -> out
    assert dict(fixed.depths) == {"in": 0, "a": 1, "b": 2, "out": 3}
    recording = frames(40, 2, 8, 8, density=0.2)
    for name in ("a", "b", "out"):
        equal_spikes(graph, recording, name)


def test_a_pool_that_leaves_out_a_row_becomes_synapses() -> None:
    graph = chain(
        Input((1, 5, 5), max_count=1),
        IF(0.5),
        AvgPool2d(2),
        Conv2d(np.full((1, 1, 2, 2), 0.5), padding=1),
        IF(0.25),
    )
    assert hw.quantize(graph, "loihi2").connections[1].kind == "sparse"
    equal_spikes(graph, frames(50, 1, 5, 5), "n4")


def test_concatenated_channels() -> None:
    nodes: dict[str, Node] = {
        "in": Input((1, 4, 4), max_count=1), "one": Conv2d(np.ones((2, 1, 1, 1))), "a": IF(1.5),
        "two": Conv2d(np.full((1, 1, 1, 1), 0.75)), "b": IF(1.0), "join": Concat(),
        "mix": Conv2d(RNG.integers(-8, 32, (2, 3, 3, 3)) / 64), "out": IF(0.5),
    }  # fmt: skip
    edges = [
        ("in", "one"),
        ("one", "a"),
        ("in", "two"),
        ("two", "b"),
        ("a", "join"),
        ("b", "join"),
        ("join", "mix"),
        ("mix", "out"),
    ]
    graph = Graph(nodes, edges, clocked(0.001))
    assert [c.kind for c in hw.quantize(graph, "loihi2").connections] == ["conv"] * 4
    equal_spikes(graph, frames(60, 1, 4, 4, density=0.5), "out")


def test_a_loop_needs_a_delay_as_long_as_its_connections() -> None:
    def looped(delay_s: float) -> Graph:
        nodes: dict[str, Node] = {
            "in": Input(4, max_count=1), "fc": Linear(RNG.integers(0, 40, (6, 4)) / 64), "sum": Add(), "a": IF(),
            "next": Linear(RNG.integers(0, 30, (6, 6)) / 64), "b": IF(),
            "back": Linear(RNG.integers(-30, 20, (6, 6)) / 64), "wait": Delay(delay_s),
            "end": Linear(np.eye(6)),
            "out": IF(),
        }  # fmt: skip
        edges = [
            ("in", "fc"), ("fc", "sum"), ("sum", "a"), ("a", "next"), ("next", "b"), ("b", "wait"), ("wait", "back"),
            ("back", "sum"),
            ("b", "end"),
            ("end", "out"),
        ]  # fmt: skip
        return Graph(nodes, edges, clocked(0.001))

    with pytest.raises(
        hw.UnsupportedNodeError, match="Delay of at least as many steps as it has connections"
    ):
        hw.quantize(looped(0.001), "loihi2")
    equal_spikes(looped(0.003), frames(80, 4), "b")


def test_refractory_periods_are_kept() -> None:
    graph = chain(Input(5, max_count=1), Linear(RNG.integers(0, 40, (6, 5)) / 64), IF(refractory_s=0.002))
    equal_spikes(graph, frames(80, 5), "n2")


@pytest.mark.parametrize(
    "neuron",
    [
        LIF(0.01),
        LIF(0.02, update="exponential", v_leak=0.2, v_reset=0.2),
        LIF(0.008, update="decay"),
        CubaLIF(0.02, 0.005),
        LIF(0.02, v_leak=0.2, reset="subtract"),
    ],
    ids=["euler", "exponential", "decay", "current", "subtract"],
)
def test_leaks_agree_on_almost_all_spikes(neuron: Any) -> None:
    gain = 1.0 if neuron.__class__ is LIF and neuron.update == "decay" else 8.0
    graph = chain(
        Input(20, max_count=1), Linear(RNG.normal(0.1, 0.3, (30, 20)) * gain, np.full(30, 0.05)), neuron
    )
    recordings = [frames(60, 20) for _ in range(2)]
    report = hw.quantize(graph, "loihi2", calibration=recordings).report
    assert report is not None
    (layer,) = report.layers
    assert layer.overflows == 0
    assert layer.spike_agreement is not None
    assert layer.spike_agreement > 0.9
    assert 0 < layer.weight_error < 0.02


def test_fewer_bits_agree_less() -> None:
    graph = chain(Input(30, max_count=1), Linear(RNG.normal(0.05, 0.4, (40, 30)) * 5), LIF(0.01))
    recording = frames(80, 30)
    found = [hw.quantize(graph, "loihi2", calibration=recording, weight_bits=b).report for b in (8, 5, 3)]
    agreement = [report.spike_agreement for report in found if report is not None]
    assert agreement == sorted(agreement, reverse=True)


def test_dropped_frames_are_silent_on_the_chip_biases_included() -> None:
    attention = TemporalAttention(np.eye(6), np.zeros(6), np.eye(6), np.zeros(6), threshold=0.72)
    graph = chain(
        Input(8, max_count=255),
        attention,
        Linear(RNG.normal(0.2, 0.5, (9, 8)) * 4, np.full(9, 0.4)),
        LIF(0.01),
        Linear(np.ones((2, 9))),
        LI(0.02),
    )
    recording = frames(6, 8, density=0.9) * RNG.integers(0, 3, (6, 1)).astype(np.float32)
    fixed = hw.quantize(graph, "loihi2", calibration=recording)
    truth = neuro.simulate(graph, recording, record={"n3": "spikes"})
    assert truth.attention is not None
    assert 0 < truth.attention.n_kept < 6
    result = hw.emulate(fixed, recording, kept=hw.kept_steps(graph, neuro.Spikes.from_dense(recording)))
    assert len(truth.spikes["n3"]) > 0
    np.testing.assert_array_equal(result.spikes("n3").step, truth.spikes["n3"].step)
    assert fixed.gate_name
    assert set(result.outputs) == {"n5"}
    assert np.abs(result.outputs["n5"] - truth.output).max() < 0.05 * np.abs(truth.output).max()


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((Input(3), LINE, LIF(0.01, reset="clamp")), "reset='clamp'"),
        ((Input(3), LINE, LIF(0.01, v_reset=0.5)), "v_reset must equal v_leak = 0"),
        ((Input(3), LINE, LIF(0.01, -0.5)), "fires at rest"),
        ((Input(3), LINE, LIF(0.0007)), "dt_s is larger than tau_mem_s"),
        (
            (Input(3), LINE, LIF(0.01, v_leak=np.array([0.0, 0.1, 0.2]), v_reset=0.1)),
            "v_leak must be one number",
        ),
        ((Input(3), LINE, IF(refractory_s=0.1)), "refractory period of 100 steps, loihi2 has 63"),
        ((Input((1, 4, 4), max_count=1), MaxPool2d(2), IF()), "MaxPool2d 'n1': .*AvgPool2d"),
        ((Input(3), LINE), "Linear 'n1': a chip hands on spikes or membranes"),
        ((Input(3), IF(), Delay(0.1), LINE, IF()), "needs a delay of 98 steps, loihi2 has 62"),
        ((Input(3), Linear(np.zeros((2, 3))), IF()), "all weights are 0"),
        (
            (Input(3), LINE, LIF(0.01, refractory_s=0.0, update="euler"), LI(0.1), LI(0.1)),
            "its membrane is no spike",
        ),
    ],
)
def test_what_the_chip_cannot_do_is_refused_with_a_remedy(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises((hw.UnsupportedNodeError, hw.QuantizationError), match=message):
        hw.quantize(chain(*nodes), "loihi2")


def test_weights_that_vanish_beside_others_are_refused() -> None:
    nodes: dict[str, Node] = {
        "in": Input(3), "large": LINE, "small": Linear(np.full((3, 3), 1e-5)), "sum": Add(), "out": IF(),
    }  # fmt: skip
    edges = [("in", "large"), ("in", "small"), ("large", "sum"), ("small", "sum"), ("sum", "out")]
    with pytest.raises(
        hw.QuantizationError, match="in -> out: all weights vanish in 8 bits beside the others"
    ):
        hw.quantize(Graph(nodes, edges, clocked(0.001)), "loihi1")


def test_wrong_names_are_refused() -> None:
    with pytest.raises(TypeError, match="bias"):
        hw.Population((2,), bias=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="bits"):
        hw.Connection("in", "out", "dense", np.ones((2, 2), int), bits=4)  # type: ignore[call-arg]


def test_continuous_networks_are_refused() -> None:
    with pytest.raises(hw.UnsupportedNodeError, match="clocked"):
        hw.quantize(chain(Input(3), LINE, IF(), execution=continuous()), "loihi2")


def test_different_time_constants_are_noted() -> None:
    graph = chain(Input(3, max_count=1), LINE, LIF(np.array([0.01, 0.02, 0.02]), np.array([1.0, 2.0, 3.0])))
    fixed = hw.quantize(graph, "loihi2")
    assert any("parameters differ between its 3 neurons" in note for note in fixed.notes)
    assert fixed.populations["n2"].configurations().tolist() in ([0, 1, 1], [1, 0, 0])


def test_fractions_are_refused_when_they_arrive() -> None:
    fixed = hw.quantize(chain(Input(3), LINE, IF()), "loihi2")
    with pytest.raises(
        neuro.InputError, match=r"takes whole numbers below 2\^24, got 0.5 in step 0 at index 1"
    ):
        hw.emulate(fixed, np.array([[0, 0.5, 1]]))


def test_wrong_registers_are_named() -> None:
    with pytest.raises(hw.QuantizationError, match="threshold must be 0 to 131071, got 200000"):
        hw.Population((3,), threshold=200000)
    with pytest.raises(hw.QuantizationError, match="excitatory weights must be 0 to 255, got -1 to 1"):
        hw.Connection("a", "b", "dense", np.array([[-1, 1]]), sign="excitatory")
    population = hw.Population((3,))
    with pytest.raises(hw.QuantizationError, match="one number or 3"):
        replace(population, bias_mantissa=np.arange(4))
