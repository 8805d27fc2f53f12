"""From a torch module to spikes, a file, a report and an early exit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

import neuro
from analog_bridge.conversion import Method, convert
from analog_bridge.converted import ConvertedNetwork
from analog_bridge.errors import CalibrationError, ConversionError
from analog_bridge.measurement import measure_conversion
from analog_bridge.quantization import calibrate
from neuro.graph import CODED, Graph
from tests.bridge_networks import Function

METHODS: tuple[Method, ...] = get_args(Method)


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    ).eval()


SAMPLES = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_convert_takes_a_module_all_the_way(method: Method) -> None:
    conversion = convert(module(), torch.zeros(1, 1, 8, 8), calibration=SAMPLES, method=method, levels=7)
    samples = SAMPLES[np.newaxis, :5] if method == "sigma_delta" else SAMPLES[:5]
    agreement = conversion.verify(samples)
    assert bool(agreement) is (method != "rate")
    assert conversion.original is not None
    assert conversion.graph.metadata["conversion.method"] == conversion.method
    assert sum(isinstance(node, CODED) for node in conversion.graph.nodes.values()) == 2 * (method != "rate")


def test_thresholds_may_be_balanced() -> None:
    units = []
    for thresholds in ("squared_error", "balanced"):
        options: Any = {"levels": 3, "calibration": SAMPLES, "thresholds": thresholds}
        found: Any = convert(module(), torch.zeros(1, 1, 8, 8), **options)
        options = {"levels": 3, "per_channel": True, "method": thresholds}
        wanted: Any = calibrate(found.original, SAMPLES, **options)
        assert np.array_equal(found.quantised_layers["1"].unit, wanted["1"].unit)
        units.append(wanted["1"].unit)
    assert not np.array_equal(*units)


def test_bad_calibration_data_are_named() -> None:
    example = torch.zeros(1, 1, 8, 8)
    with pytest.raises(CalibrationError, match="must have shape"):
        convert(module(), example, calibration=np.zeros((3, 1, 9, 9), np.float32))
    with pytest.raises(CalibrationError, match="must be finite"):
        convert(module(), example, calibration=np.full((3, 1, 8, 8), np.nan, np.float32))
    with pytest.raises(CalibrationError, match="empty"):
        convert(module(), example, calibration=SAMPLES[:0])
    with pytest.raises(ConversionError, match="needs an example of what the module is called with"):
        convert(module(), calibration=SAMPLES)


@pytest.mark.parametrize("method", ["signed", "integer", "radix"])
def test_a_file_of_the_graph_is_enough(tmp_path: Path, method: Method) -> None:
    conversion = convert(module(), torch.zeros(1, 1, 8, 8), calibration=SAMPLES, method=method, levels=7)
    conversion.save(tmp_path / "net.h5")
    loaded = ConvertedNetwork.load(tmp_path / "net.h5")
    assert np.array_equal(loaded.outputs(SAMPLES[:4]), conversion.outputs(SAMPLES[:4]))
    assert (loaded.guarantee, loaded.n_steps) == (conversion.guarantee, conversion.n_steps)
    assert (loaded.graph.weight_grid is not None) is (method == "integer")
    plain = Graph(dict(conversion.graph.nodes), conversion.graph.edges, conversion.graph.execution)
    with pytest.raises(ConversionError, match="it was not made by"):
        ConvertedNetwork(plain)
    with pytest.raises(ConversionError, match=r"samples must be finite numbers of shape \(n, 1, 8, 8\)"):
        loaded.outputs(np.zeros((2, 1, 8, 9)))


def test_the_report_counts_what_was_run() -> None:
    conversion = convert(module(), torch.zeros(1, 1, 8, 8), calibration=SAMPLES, levels=8)
    y = np.zeros(10, np.int64)
    report = measure_conversion(conversion, SAMPLES[:10], y)
    results = conversion.run(SAMPLES[:10])
    assert report.synaptic_operations == sum(one.counters.total_synaptic_operations for one in results) / 10
    assert (
        report.accuracy_over_time[-1]
        == report.accuracy_spiking
        == (conversion.predict(SAMPLES[:10]) == 0).mean()
    )
    assert report.agreement
    assert report.n_parameters == 4 * 9 + 4 + 4 * 36 + 4 + 3 * 16 + 3
    assert report.layer_errors.keys() == {"1", "4"}
    assert all(0 < error < 0.2 for error in report.layer_errors.values())
    assert report.last_settling_step <= report.n_steps
    assert set(report.energy_pj) == {model.name for model in neuro.costs.ENERGY_MODELS}
    assert "counts that differ" in str(report)
    assert conversion.report(SAMPLES[:10], y) == report
    with pytest.raises(ConversionError, match="y must hold one class for each of the 10 samples"):
        measure_conversion(conversion, SAMPLES[:10], y[:3])


def test_an_early_exit_keeps_the_decisions_it_was_chosen_on() -> None:
    conversion = convert(module(), torch.zeros(1, 1, 8, 8), calibration=SAMPLES, levels=8)
    rule = conversion.calibrate_exit(SAMPLES).rule
    ended = conversion.run(SAMPLES, dynamics=neuro.Dynamics(early_exit=rule))
    whole = [conversion.over_time(one)[-1].argmax() for one in conversion.run(SAMPLES)]
    assert [conversion.over_time(one)[-1].argmax() for one in ended] == whole
    assert all(one.counters.n_steps >= conversion.drive_steps // 2 for one in ended)
    budget = conversion.calibrate_exit(SAMPLES, mean_steps=6.0, first_step=2)
    assert budget.chosen.mean_steps <= 6.0
    with pytest.raises(
        ConversionError, match="no threshold runs at most 1 steps in the mean, the fewest are 4"
    ):
        conversion.calibrate_exit(SAMPLES, mean_steps=1.0)
    with pytest.raises(ConversionError, match="cannot be read before its end; use method='signed'"):
        convert(
            module(), torch.zeros(1, 1, 8, 8), calibration=SAMPLES, method="radix", levels=7
        ).calibrate_exit(SAMPLES)


def test_clips_of_frames_are_converted_as_they_are() -> None:
    """2-D convolutions of each frame, then a 1-D one over time; samples (frames, channels, rows, columns)."""
    torch.manual_seed(0)
    frame = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), nn.ReLU())
    clip = Function(
        lambda m, x: m.layers[1](torch.stack([m.layers[0](each) for each in x.unbind(1)], 2)),
        frame,
        nn.Sequential(nn.Conv1d(4, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(15, 3)),
    ).eval()
    x: Any = np.random.default_rng(0).random((20, 5, 2, 4, 4), np.float32)
    conversion = convert(clip, torch.zeros(1, 5, 2, 4, 4), calibration=x, method="integer")
    assert conversion.verify(x).n_mismatches == 0
    assert np.array_equal(conversion.outputs(x[:3]), conversion.outputs(x[:3].reshape(3, 5, 2, 16)))
    assert measure_conversion(conversion, x).n_samples == 20
