"""Networks as other frameworks write them in NIR go onto the chips: read, mapped, proven, and they spike alike.

norse writes its own here. The others are built with the package nir as their exporters build them: sinabs 3.1.3,
snnTorch 1.0.0, and the form of CUBA neurons that lava-dl's networks are written in.
"""

from __future__ import annotations

import itertools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import hw
import neuro
from neuro.graph import IF, CubaLIF, Delay, Graph, Linear, read_nir
from neuro.graph.nir_loops import delayed_loops
from spikeloom.cli import cli
from tests.app_models import write_recording

nir = pytest.importorskip("nir", reason="needs nir: pip install nir")

RNG = np.random.default_rng(7)


def chain(shape: tuple[int, ...], *nodes: Any, n_out: int) -> Any:
    """Join nodes in a row, as nirtorch does."""
    named = {"input": nir.Input(input_type=np.array(shape))}
    named |= {str(k): node for k, node in enumerate(nodes)}
    named["output"] = nir.Output(output_type=np.array([n_out]))
    return nir.NIRGraph(named, list(itertools.pairwise(named)), type_check=False)


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(0.15, 0.5, shape).astype(np.float32)


def norse_network() -> tuple[Any, dict[str, float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
        norse = pytest.importorskip("norse.torch", reason="needs norse: see the Makefile")
        torch.manual_seed(1)
        cells = [
            norse.LIFBoxCell(
                norse.LIFBoxParameters(  # numbers without an axis are no file for nir 1.0.8
                    tau_mem_inv=torch.full((n,), 100.0), v_leak=torch.zeros(n), v_th=torch.full((n,), 0.02),
                    v_reset=torch.zeros(n),
                )
            )
            for n in (8, 4)
        ]  # fmt: skip
        module = norse.SequentialState(torch.nn.Linear(6, 8), cells[0], torch.nn.Linear(8, 4), cells[1])
        with torch.no_grad():
            for part in (module[0], module[2]):
                part.weight += 0.25
        return norse.to_nir(module, torch.zeros(1, 6), dt=0.001), {"dt_s": 0.001, "time_unit_s": 1000.0}


def sinabs_network() -> tuple[Any, dict[str, float]]:
    """Convolution, pool and dense layer with IAF neurons, which sinabs resets by subtraction: NIR does not say that."""
    spiking = nir.IF(r=np.ones((4, 6, 6), np.float32), v_threshold=np.ones((4, 6, 6), np.float32))
    last = nir.IF(r=np.ones(5, np.float32), v_threshold=np.ones(5, np.float32))
    conv = nir.Conv2d(
        input_shape=(6, 6), weight=weights(4, 2, 3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1,
        bias=np.zeros(4, np.float32),
    )  # fmt: skip
    pool = nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))
    flat = nir.Flatten(input_type={"input": np.array([4, 3, 3])}, start_dim=0, end_dim=-1)
    dense = nir.Affine(weights(5, 36), np.zeros(5, np.float32))
    return chain((2, 6, 6), conv, spiking, pool, flat, dense, last, n_out=5), {
        "dt_s": 0.001,
        "time_unit_s": 0.001,
    }


def leaky(n: int, beta: float, dt: float) -> Any:
    """snnTorch's Leaky: r makes up for the factor of the membrane's step."""
    tau = np.full(n, dt / (1 - beta), np.float32)
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    return nir.LIF(tau=tau, v_threshold=ones, v_leak=zeros, r=tau / np.float32(dt))


def synaptic(n: int, alpha: float, beta: float, dt: float) -> Any:
    """snnTorch's Synaptic; what is written for lava-dl's CUBA neurons has the same form."""
    tau_syn, tau_mem = np.full(n, dt / (1 - alpha)), np.full(n, dt / (1 - beta))
    return nir.CubaLIF(
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        r=tau_mem / dt,
        w_in=tau_syn / dt,
        v_threshold=np.ones(n),
        v_leak=np.zeros(n),
    )


def snntorch_network() -> tuple[Any, dict[str, float]]:
    dt = 1e-4
    nodes = (
        nir.Affine(weights(8, 6), weights(8) * 0.1),
        leaky(8, 0.9, dt),
        nir.Linear(weights(4, 8)),
        leaky(4, 0.8, dt),
    )
    return chain((6,), *nodes, n_out=4), {"dt_s": dt, "time_unit_s": 1.0}


def recurrent_network() -> tuple[Any, dict[str, float]]:
    """snnTorch's RSynaptic: a graph of its own with a loop that has no delay."""
    dt, n = 1e-4, 8
    inner = nir.NIRGraph(
        {
            "input": nir.Input(input_type=np.array([n])), "lif": synaptic(n, 0.6, 0.8, dt),
            "w_rec": nir.Affine(weights(n, n) * 0.2, np.zeros(n)), "output": nir.Output(output_type=np.array([n])),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        type_check=False,
    )  # fmt: skip
    nodes = (nir.Affine(weights(n, 6), np.zeros(n)), inner, nir.Linear(weights(4, n)), leaky(4, 0.8, dt))
    return chain((6,), *nodes, n_out=4), {"dt_s": dt, "time_unit_s": 1.0}


def lava_dl_network() -> tuple[Any, dict[str, float]]:
    dt = 1e-4
    nodes = (
        nir.Linear(weights(8, 6)),
        synaptic(8, 0.75, 0.97, dt),
        nir.Linear(weights(4, 8)),
        synaptic(4, 0.75, 0.97, dt),
    )
    return chain((6,), *nodes, n_out=4), {"dt_s": dt, "time_unit_s": 1.0}


NETWORKS = {
    "norse": norse_network, "sinabs": sinabs_network, "snntorch": snntorch_network,
    "snntorch-recurrent": recurrent_network, "lava-dl": lava_dl_network,
}  # fmt: skip


def agreement(graph: Graph, result: hw.Result, frames: np.ndarray) -> float:
    """Return the share of steps and outputs in which chip and engine agree."""
    (name,) = graph.output_names
    truth = neuro.simulate(graph, frames).output
    assert truth.sum() > 5
    return float((result.outputs[name] == truth).mean())


@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_others_is_mapped_and_spikes_alike(name: str, target: str, tmp_path: Path) -> None:
    written, timing = NETWORKS[name]()
    nir.write(tmp_path / "net.nir", written)
    graph = read_nir(tmp_path / "net.nir", fold=True, delay_loops=True, **timing)
    shape = graph.shapes[graph.input_name]
    frames = (np.random.default_rng(1).random((60, *shape)) < 0.3).astype(np.float32)
    mapping = hw.map_graph(graph, target, calibration=frames)
    assert hw.verify(mapping, frames, engines=["cores"])
    # 8 bits of weights and truncated membranes move some spikes: measured 1.00 (norse, snnTorch), 0.99, 0.94 (lava-dl)
    assert agreement(graph, hw.emulate(mapping.fixed, frames), frames) >= 0.9


def test_the_command_takes_such_files(tmp_path: Path) -> None:
    written, timing = sinabs_network()
    nir.write(tmp_path / "net.nir", written)
    write_recording(tmp_path / "recording.bin")
    options = ["--dt", str(timing["dt_s"]), "--time-unit", str(timing["time_unit_s"]), "--no-lava", "--json"]
    command = ["map", str(tmp_path / "net.nir"), "--out", str(tmp_path / "out"), *options]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["certificate"] is None
    assert hw.read_fixed(tmp_path / "out" / "mapping.json").outputs
    refused = CliRunner().invoke(cli, [*command, "--frames", "20"])
    assert refused.exit_code == 2
    assert "--frames is for recordings of networks that stand alone" in refused.output


def test_a_recording_proves_a_network_that_stands_alone(tmp_path: Path) -> None:
    conv = nir.Conv2d(
        input_shape=(34, 34), weight=weights(3, 2, 4, 4), stride=(4, 4), padding=(0, 0), dilation=(1, 1), groups=1,
        bias=np.zeros(3, np.float32),
    )  # fmt: skip
    flat = nir.Flatten(input_type={"input": np.array([3, 8, 8])}, start_dim=0, end_dim=-1)
    ones = np.ones((3, 8, 8), np.float32)
    nodes = (conv, nir.IF(r=ones, v_threshold=ones), flat, nir.Linear(weights(4, 192)), leaky(4, 0.9, 0.01))
    nir.write(tmp_path / "net.nir", chain((2, 34, 34), *nodes, n_out=4))
    write_recording(tmp_path / "recording.bin")
    command = [
        "map",
        str(tmp_path / "net.nir"),
        "--out",
        str(tmp_path / "out"),
        "--dt",
        "0.01",
        "--time-unit",
        "1",
    ]
    command += ["--recording", str(tmp_path / "recording.bin"), "--frames", "12", "--no-lava", "--json"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["certificate"]["is_equal"]
    assert answer["messages_are_measured"]


def test_a_loop_without_a_delay_gets_one_step_only_if_asked() -> None:
    written, timing = recurrent_network()
    with pytest.raises(neuro.GraphError, match="is in a cycle without a Delay"):
        read_nir(written, fold=True, **timing)
    graph = read_nir(written, fold=True, delay_loops=True, **timing)
    assert graph.nodes["1.lif.loop_delay"] == Delay(timing["dt_s"])
    assert graph.predecessors("1.w_rec") == ("1.lif.loop_delay",)
    assert isinstance(graph.nodes["1.lif"], CubaLIF)
    nodes, edges = (
        {"a": IF(), "a.loop_delay": Linear(np.eye(1))},
        [("a", "a.loop_delay"), ("a.loop_delay", "a")],
    )
    with pytest.raises(neuro.GraphError, match=r"'a\.loop_delay' of the delay behind 'a' is taken"):
        delayed_loops(nodes, edges, 0.001)
