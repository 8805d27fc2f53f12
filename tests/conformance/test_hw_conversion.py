"""Converted networks on the chips: those of plain rates go through, those of codes are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import hw
from analog_bridge.conversion import Method, convert_layers, quantise_input
from analog_bridge.layers import Dense, InputLayer, LayerGraph, Quantizer
from neuro.graph import Linear
from spikeloom.cli import cli


def layers(seed: int = 0) -> LayerGraph:
    """Four inputs, nine counted activations, three outputs."""
    rng = np.random.default_rng(seed)
    first, last = rng.normal(0, 0.5, (9, 4)), rng.normal(0, 0.5, (3, 9))
    parts = (
        InputLayer("x", (), (4,)),
        Dense("first", ("x",), first.astype(np.float32), np.full(9, 0.125)),
        Quantizer("act", ("first",), np.full(1, 0.25), 7),
        Dense("last", ("act",), last.astype(np.float32), np.zeros(3)),
    )
    return LayerGraph(parts, ("last",))


def test_a_network_of_rates_decides_on_the_chip_as_before(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).random((12, 4)).astype(np.float32)
    conversion = convert_layers(quantise_input(layers(), samples), method="rate", weight_bits=8, n_steps=64)
    trains = conversion.encode(samples)
    mapping = hw.map_graph(conversion.graph, "loihi2", calibration=trains[:4])
    assert hw.verify(mapping, trains[4], engines=["cores"])
    engine = np.stack([result.output.sum(axis=0) for result in conversion.run(samples)])
    (name,) = conversion.graph.output_names
    chip = np.stack([hw.emulate(mapping.fixed, train).outputs[name].sum(axis=0) for train in trains])
    assert np.ptp(engine) > 1
    # a neuron of the chip may have a spike more or less at the end, which moves an output by its weight; measured: 0
    last = conversion.graph.nodes["last"]
    assert isinstance(last, Linear)
    assert np.abs(engine - chip).max() <= np.abs(last.weight).sum(axis=1).max()
    assert (engine.argmax(axis=1) == chip.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("method", "neuron"),
    [("two_phase", "TwoPhaseIF"), ("signed", "SignedIF"), ("radix", "RadixIF"), ("first_spike", "FirstSpikeIF"),
     ("sigma_delta", "SigmaDelta")],
)  # fmt: skip
def test_a_network_of_codes_is_refused_by_its_neuron(method: Method, neuron: str, tmp_path: Path) -> None:
    conversion = convert_layers(layers(), method=method)
    conversion.graph.save(tmp_path / "net.h5")
    result = CliRunner().invoke(cli, ["map", str(tmp_path / "net.h5"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert f"{neuron} 'act'" in result.output
    assert "convert with method='rate' for loihi2, or train with LIF" in result.output
    assert not (tmp_path / "out").exists()
