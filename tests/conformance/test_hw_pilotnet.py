"""PilotNet of lava-dl, whose traces were compared with hardware: every u, v and spike of its layers."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hw
import neuro

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SPIKELOOM_LAVA_DL", ROOT / "build" / "lava-dl"))
INSIDE = "tests/lava/lib/dl/netx/gts/pilotnet_lif/"
TRACES = ("conv-0", "conv-1", "conv-2", "conv-3", "conv-4", "fc-0", "fc-1", "fc-2")


@pytest.fixture(scope="module")
def wheel() -> zipfile.ZipFile:
    found = sorted(FOLDER.glob("lava_dl-*.whl"))
    if not found:
        pytest.skip(f"no wheel of lava-dl in {FOLDER}: make lava fetches it")
    return zipfile.ZipFile(found[-1])


def trace(wheel: zipfile.ZipFile, name: str) -> np.ndarray:
    """(column, row, channel, step) as (step, channel, row, column)."""
    array = np.load(io.BytesIO(wheel.read(f"{INSIDE}{name}.npy")))
    return np.ascontiguousarray(array.transpose(*reversed(range(array.ndim))))


def test_eight_layers_equal_the_golden_traces(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    path = tmp_path / "network.net"
    path.write_bytes(wheel.read(f"{INSIDE}network.net"))
    read = hw.read_net(path)
    names = [name for name in read.populations if name not in ("input", "layer0", "layer10")]
    # the traces begin with the spikes of the input layer; u and v are reset every 17 steps, a layer after the other
    populations = {"layer0": hw.Population(read.populations["layer0"].shape, "input")}
    for k, name in enumerate(names):
        populations[name] = replace(read.populations[name], reset_step=k + 1, reset_interval=17)
    connections = tuple(c for c in read.connections if c.target in names)
    fixed = hw.FixedGraph(populations, connections, "lava", "layer0")
    spikes = neuro.Spikes.from_dense(trace(wheel, "input"))
    result = hw.emulate(fixed, spikes, record=names)
    n_spikes = 0
    for name, key in zip(names, TRACES, strict=True):
        fired = trace(wheel, key).reshape(24, -1)
        train = result.trains[name]
        there = train.step < 24
        found = np.zeros_like(fired)
        found[train.step[there], train.index[there]] = True
        np.testing.assert_array_equal(found, fired, err_msg=name)
        np.testing.assert_array_equal(
            result.u[name][:24], trace(wheel, f"{key}-u").reshape(24, -1), err_msg=name
        )
        golden = trace(wheel, f"{key}-v").reshape(24, -1)
        # in the step of a spike the chip's register holds the refractory counter
        assert (result.v[name][:24] == golden)[~fired].all(), name
        assert (golden[fired] == 128).all()
        n_spikes += int(fired.sum())
    assert n_spikes > 100_000
