"""Exit rules, their calibration, the report and the door, by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neuro
from neuro.dynamics import (
    Dynamics,
    DynamicsReport,
    ExitRule,
    calibrate_exit,
    exit_steps,
    fit_exit_temperature,
    running_certainty,
    tabulate,
)
from neuro.graph import (
    IF,
    LI,
    LIF,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    TemporalAttention,
    clocked,
    continuous,
)


def classifier(attention: TemporalAttention | None = None) -> Graph:
    """Two inputs, each shifts one of two outputs of a readout by its count (decay of 1: a plain sum)."""
    nodes: dict[str, Any] = {"in": Input(2, max_count=9)}
    if attention is not None:
        nodes["attention"] = attention
    nodes |= {"fc": Linear(np.eye(2)), "out": LI(1e9, update="decay")}
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def dropping(kept: list[int]) -> TemporalAttention:
    """Attention that keeps the frames with a 1, whatever comes."""
    n = len(kept)
    bias = [9.0 if keep else -9.0 for keep in kept]
    return TemporalAttention(np.zeros((1, n)), [0.0], np.zeros((n, 1)), bias, 0.5)


def test_measures_of_known_readouts() -> None:
    outputs = np.log(np.array([[8.0, 1.0, 1.0]])).astype(np.float64)
    assert running_certainty(outputs, ExitRule(0, "confidence"))[0] == pytest.approx(0.8, abs=1e-15)
    assert running_certainty(outputs, ExitRule(0, "gap"))[0] == pytest.approx(7 / 9, abs=1e-15)
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.1)) / math.log(3)
    assert running_certainty(outputs, ExitRule(0, "entropy"))[0] == pytest.approx(1 - entropy, abs=1e-15)
    even = np.zeros((1, 4))
    assert [float(running_certainty(even, ExitRule(0, m))[0]) for m in neuro.dynamics.MEASURES] == [
        0.25,
        0.0,
        0.0,
    ]


def test_the_mean_and_the_sum_of_the_steps() -> None:
    outputs = np.array([[0.0, 2.0], [0.0, 0.0]])
    by_mean = running_certainty(outputs, ExitRule(0, "gap", readout="mean"))
    by_sum = running_certainty(outputs, ExitRule(0, "gap", readout="sum"))
    assert by_mean.tolist() == [math.tanh(1.0), math.tanh(0.5)]
    assert by_sum.tolist() == [math.tanh(1.0), math.tanh(1.0)]


def test_a_tie_with_the_threshold_ends_the_run() -> None:
    frames = np.array([[1, 0], [1, 0], [0, 0]], np.float32)
    exact = math.tanh(0.5)
    for threshold, steps in ((exact, 1), (math.nextafter(exact, 2), 3)):
        rule = ExitRule(threshold, readout="sum", check_every=9)
        result = neuro.simulate(classifier(), frames, dynamics=Dynamics(early_exit=rule))
        assert result.counters.n_steps == steps
        assert result.dynamics is not None
        assert result.dynamics.n_near_threshold == 1


def test_the_rule_is_asked_only_where_it_says() -> None:
    frames = np.ones((9, 2), np.float32) * [3, 0]
    for first, every, steps in ((1, 1, 1), (4, 2, 4), (9, 1, 9), (20, 1, 9)):
        rule = ExitRule(0.0, first_step=first, check_every=every)
        result = neuro.simulate(classifier(), frames, dynamics=Dynamics(early_exit=rule))
        assert result.counters.n_steps == steps == len(result.output)
        assert result.dynamics is not None
        assert result.dynamics.exit_step == (steps if steps < 9 else None)


def test_no_step_behind_the_exit_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuro import running

    seen: list[tuple[int, int]] = []
    run_block = running.run_block

    def spying(plan: Any, run: Any, spikes: Any, start: int, kept: Any) -> Any:
        seen.append((start, start + len(kept)))
        return run_block(plan, run, spikes, start, kept)

    monkeypatch.setattr(running, "run_block", spying)
    frames = np.ones((20, 2), np.float32) * [3, 0]
    rule = ExitRule(0.9, readout="sum", temperature=2.0, first_step=2, check_every=3)
    in_one_call, in_blocks = (
        running.run_recording(classifier(), frames, dynamics=Dynamics(early_exit=rule), in_blocks=in_blocks)
        for in_blocks in (False, True)
    )
    assert seen == [(0, 2)]
    for result in (in_one_call, in_blocks):
        assert result.counters.synaptic_operations == {"fc": 4}
        assert sum(result.counters.path_steps["fc"].values()) == 2
        assert len(result.output) == 2


def test_all_frames_dropped_is_the_readout_at_rest_and_flagged() -> None:
    frames = np.ones((3, 2), np.float32)
    graph = classifier(dropping([0, 0, 0]))
    for rule in (None, ExitRule(0.5)):
        result = neuro.simulate(graph, frames, dynamics=Dynamics(early_exit=rule))
        assert result.dynamics is not None
        assert result.dynamics.is_all_dropped
        assert "at rest" in str(result.dynamics)
        assert result.output.tolist() == [[0.0, 0.0]] * 3
        assert result.dynamics.fractions.events == 0
        assert result.counters.synaptic_operations == {"fc": 0}


def test_the_report_counts_what_was_computed() -> None:
    frames = np.array([[2, 0], [1, 1], [0, 3], [0, 0]], np.float32)
    rule = ExitRule(0.99, readout="sum", first_step=3)
    result = neuro.simulate(
        classifier(dropping([1, 0, 1, 1])), frames, dynamics=Dynamics(early_exit=rule, compare=True)
    )
    report = result.dynamics
    assert report is not None
    assert (report.n_frames, report.n_steps, report.n_computed, report.exit_step) == (4, 4, 3, None)
    assert (report.events_total, report.events_computed) == (7.0, 5.0)
    assert (report.synaptic_operations, report.spike_driven_operations) == (4, 4)
    assert (report.synaptic_operations_without, report.spike_driven_operations_without) == (8, 8)
    assert report.dense_operations == 4 * 4
    found = report.fractions
    assert (found.steps, found.frames, found.layers, found.events) == (1.0, 0.75, 1.0, 5 / 7)
    assert (found.active_pixels, found.channels, found.pixels) == (2 / 3, 1, 1)  # the last frame is empty
    assert found.synaptic_operations == 4 / 16


def test_fan_out_and_dense_operations_of_a_convolution() -> None:
    nodes = {
        "in": Input((2, 5, 4)),
        "conv": Conv2d(np.ones((6, 1, 3, 2)), stride=(2, 1), padding=(1, 0), groups=2),
        "hidden": LIF(0.01, 1.0),
        "flat": Flatten(),
        "fc": Linear(np.ones((3, 54))),
        "out": LI(0.01),
    }
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    frames = np.ones((2, 2, 5, 4), np.float32)
    result = neuro.simulate(graph, frames, dynamics=Dynamics())
    report = result.dynamics
    assert report is not None
    n_spikes = result.counters.spikes["hidden"]
    assert report.spike_driven_operations == 2 * 40 * (3 * 2 * 3) + n_spikes * 3
    assert report.synaptic_operations == result.counters.synaptic_operations["conv"] + n_spikes * 3
    # every entry is active, so the executed operations of the convolution are the dense ones
    assert report.dense_operations == result.counters.synaptic_operations["conv"] + 2 * 54 * 3


def test_a_batch_as_a_table() -> None:
    frames = [np.ones((4, 2), np.float32) * [3, 0], np.zeros((4, 2), np.float32)]
    rule = ExitRule(0.9, readout="sum")
    results = neuro.simulate(classifier(), frames, dynamics=Dynamics(early_exit=rule))
    reports = [result.dynamics for result in results]
    assert all(isinstance(report, DynamicsReport) for report in reports)
    table = tabulate([report for report in reports if report is not None])
    assert dict(zip(table.columns, table.mean, strict=True))["steps"] == (0.25 + 1) / 2
    assert str(table).splitlines()[0].split()[:3] == ["recording", "steps", "frames"]
    assert len(str(table).splitlines()) == 4
    with pytest.raises(ValueError, match="at least one recording"):
        tabulate([])


def readouts(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Outputs that grow more and more right with time."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    outputs = rng.normal(0, 0.7, (n, 12, 3))
    outputs[np.arange(n), :, labels] += np.linspace(0, 2, 12)
    return outputs, labels


@pytest.mark.parametrize("measure", neuro.dynamics.MEASURES)
@pytest.mark.parametrize("allowed_loss", [0.0, 0.02, 0.1])
def test_calibration_keeps_the_allowed_loss(measure: Any, allowed_loss: float) -> None:
    outputs, labels = readouts()
    found = calibrate_exit(outputs, labels, allowed_loss=allowed_loss, measure=measure)
    steps = exit_steps(outputs, found.rule)
    total = np.cumsum(outputs, axis=1)
    accuracy = (total[np.arange(60), steps - 1].argmax(1) == labels).mean()
    assert found.chosen.accuracy == accuracy
    assert found.accuracy_without - accuracy <= allowed_loss + 1e-12
    assert found.chosen.mean_steps == steps.mean()
    assert steps.mean() < 12 or allowed_loss == 0
    assert [point.threshold for point in found.curve] == sorted(
        (point.threshold for point in found.curve), reverse=True
    )
    assert "60 validation recordings" in str(found)


def test_calibration_never_trusts_a_point_behind_a_bad_one() -> None:
    # The recording that is right at once would let threshold 0 pass; the threshold before it is wrong.
    wrong_early = [[1.0, 0.0], [0.0, 9.0]]
    right_early = [[0.0, 0.1], [0.0, 0.1]]
    found = calibrate_exit(
        np.array([wrong_early, right_early]), [1, 1], allowed_loss=0.0, temperature=1.0, measure="gap"
    )
    assert found.chosen.mean_steps == 2


def test_the_fitted_temperature_spreads_the_gap() -> None:
    outputs, _ = readouts(n=61)
    heat = fit_exit_temperature(outputs)
    end = running_certainty(outputs, ExitRule(0, temperature=heat))[:, -1]
    assert np.median(end) == pytest.approx(math.tanh(2), abs=1e-12)
    assert fit_exit_temperature(np.zeros((2, 3, 4))) == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.5}, "threshold must be from 0 to 1, got 1.5"),
        ({"threshold": -0.1}, "threshold must be from 0 to 1, got -0.1"),
        ({"threshold": math.nan}, "threshold must be from 0 to 1, got nan"),
        ({"measure": "guess"}, "measure must be one of confidence, entropy, gap, got 'guess'"),
        ({"readout": "last"}, "readout must be 'mean' or 'sum', got 'last'"),
        ({"temperature": 0.0}, "temperature must be finite and > 0, got 0.0"),
        ({"first_step": 0}, "first_step must be a whole number >= 1, got 0"),
        ({"check_every": 2.5}, "check_every must be a whole number >= 1, got 2.5"),
    ],
)
def test_rules_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(neuro.InputError, match=f"ExitRule: {message}"):
        ExitRule(**{"threshold": 0.5} | changes)


def test_rules_that_do_not_fit_are_refused() -> None:
    frames = np.ones((3, 2), np.float32)
    rule = Dynamics(early_exit=ExitRule(0.5))
    state = neuro.simulate(classifier(), frames).state
    with pytest.raises(neuro.InputError, match="state must be None"):
        neuro.simulate(classifier(), frames, dynamics=rule, state=state)
    one = Graph(
        {"in": Input(2), "fc": Linear([[1.0, 1.0]]), "out": LI(0.01)},
        [("in", "fc"), ("fc", "out")],
        clocked(0.001),
    )
    with pytest.raises(neuro.InputError, match="'out' has only 1"):
        neuro.simulate(one, frames, dynamics=rule)
    two = Graph({"in": Input(2), "a": IF(1.0), "b": IF(2.0)}, [("in", "a"), ("in", "b")], clocked(0.001))
    with pytest.raises(neuro.InputError, match="2 sinks"):
        neuro.simulate(two, frames, dynamics=rule)
    events = Graph({"in": Input(2), "out": IF(1.0)}, [("in", "out")], continuous())
    with pytest.raises(neuro.InputError, match="a continuous graph has none"):
        neuro.simulate(events, neuro.Events([], [], [], (2,)), dynamics=rule)  # type: ignore[call-overload]
    with pytest.raises(neuro.InputError, match=r"must be a neuro\.Dynamics"):
        neuro.simulate(classifier(), frames, dynamics=0.5)  # type: ignore[call-overload]
    with pytest.raises(neuro.InputError, match=r"early_exit must be a neuro\.ExitRule"):
        Dynamics(early_exit=0.5)  # type: ignore[arg-type]
    with pytest.raises(neuro.InputError, match="attention must be True or False"):
        Dynamics(attention=0.5)  # type: ignore[arg-type]


def test_calibration_refuses_what_does_not_fit() -> None:
    outputs, labels = readouts()
    for arguments, message in (
        ((outputs[0], labels), "shape \\(recordings, steps, outputs\\)"),
        ((outputs[:0], labels[:0]), "at least one recording"),
        ((outputs, labels[:5]), "labels of shape \\(5,\\)"),
        ((outputs, labels + 1), "labels must be from 0 to 2"),
    ):
        with pytest.raises(neuro.InputError, match=message):
            calibrate_exit(*arguments)
    with pytest.raises(neuro.InputError, match=r"allowed_loss must be from 0 to 1, got 1\.5"):
        calibrate_exit(outputs, labels, allowed_loss=1.5)


def test_attention_of_dynamics_and_of_simulate_both_have_a_say() -> None:
    frames = np.ones((2, 2), np.float32)
    graph = classifier(dropping([1, 0]))
    for use_attention, attention, skipped in ((True, True, 1), (True, False, 0), (False, True, 0)):
        result = neuro.simulate(
            graph, frames, use_attention=use_attention, dynamics=Dynamics(attention=attention)
        )
        assert result.counters.frames_skipped == skipped


def test_attention_that_scores_whole_windows_among_the_layers_refuses_an_early_exit() -> None:
    node = TemporalAttention(np.ones((1, 3)), [0.0], np.ones((3, 1)), np.zeros(3), 0.5)
    nodes = {
        "in": Input(2),
        "fc": Linear(np.eye(2)),
        "lif": LIF(0.01, 0.5),
        "inner": node,
        "out": Linear(np.eye(2)),
        "read": LI(0.1),
    }
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    with pytest.raises(
        neuro.InputError, match="TemporalAttention 'inner' among the layers scores whole windows"
    ):
        neuro.simulate(graph, np.ones((3, 2), np.float32), dynamics=Dynamics(early_exit=ExitRule(0.5)))
