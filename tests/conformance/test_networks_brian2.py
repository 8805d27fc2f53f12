"""Networks of populations against Brian2 2.9.0, in float64: spike for spike where no membrane is near the threshold.

How the two clocks compare. Brian2 updates, compares, delivers and resets in a step; here what arrives is added first.
So a spike over a Brian2 delay of `d` steps acts in the same update as one over ``d + 1`` steps here, and Brian2's
``refractory`` of ``n + 1`` steps holds a membrane for as many updates as ``n`` steps here.

Not compared, with the reasons:

- LIF with update='decay', and IF: Brian2 adds a synapse's weight to v after the comparison, here before it.
- update='euler' of LIF and CubaLIF (R23): other engines' Euler steps differ in the order of current and membrane;
  compared with norse (test_engine_torch.py).
- PoissonSource: other random numbers; its distribution is tested in tests/properties/test_network_reference.py.
- STDP over synapses without delay: refused here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neuro
from neuro.graph import (
    LIF,
    AdaptiveLIF,
    CobaLIF,
    CubaLIF,
    Graph,
    Input,
    Izhikevich,
    Node,
    SparseLinear,
    Stdp,
    clocked,
)
from neuro.results import NetworkState, Result

brian2 = pytest.importorskip(
    "brian2", reason="Brian2 is not installed (pip install -c constraints.txt Brian2)"
)

pytestmark = pytest.mark.filterwarnings("ignore")

DT_S = 1e-4
N_IN, N, N_STEPS = 20, 12, 1500
NEAR = 1e-6  # no membrane may come closer to the threshold
# float64 rounding of a few thousand steps, on values around 1: 1500 steps of some ten operations of 1.1e-16 each,
# amplified by nothing (the equations decay), is below 2e-12; 60 in Izhikevich's units, whose spikes amplify
CLOSE = 1e-9


@pytest.fixture(autouse=True)
def _plain_brian() -> Any:
    brian2.start_scope()
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = DT_S * brian2.second
    return None


def random_input(seed: int, rate: float = 0.01) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).random((N_STEPS, N_IN)) < rate).astype(np.float32)


def random_synapses(seed: int, n_in: int, lo: float, hi: float, p: float = 0.5) -> tuple[Any, Any, Any]:
    """Inputs, outputs and weights (float32 values) of random synapses."""
    rng = np.random.default_rng(seed)
    into, out = np.nonzero(rng.random((n_in, N)) < p)
    return into, out, rng.uniform(lo, hi, into.size).astype(np.float32)


def ours(
    neuron: Node, frames: NDArray[np.float32], given: Any, recurrent: Any = None, **kinds: Any
) -> tuple[Result, Graph]:
    """Run the network here; ``recurrent``: (into, out, weight, Brian2 delays in steps, receptor)."""
    into, out, weight = given
    nodes: dict[str, Node] = {"in": Input(N_IN), "n": neuron}
    stdp = kinds.get("stdp")
    delay = kinds.get("delay", 0) + 1
    nodes["w"] = SparseLinear.from_coo(out, into, weight, n_out=N, n_in=N_IN, delay_s=delay * DT_S, stdp=stdp)
    edges = [("in", "w"), ("w", "n")]
    if recurrent is not None:
        r_into, r_out, r_weight, delays, receptor = recurrent
        nodes["r"] = SparseLinear.from_coo(
            r_out,
            r_into,
            r_weight,
            n_out=N,
            n_in=N,
            delay_s=(np.asarray(delays) + 1) * DT_S,
            receptor=receptor,
        )
        edges += [("n", "r"), ("r", "n")]
    graph = Graph(nodes, edges, clocked(DT_S))
    result = neuro.simulate(graph, frames, record={"n": ["spikes", "membrane"]}, precision="float64")
    return result, graph


def theirs(
    equations: dict[str, Any], frames: NDArray[np.float32], given: Any, on_pre: str, recurrent: Any = None
) -> dict[str, Any]:
    """Run the network in Brian2; returns spikes and membranes before the comparison and after the reset."""
    second = brian2.second
    group = brian2.NeuronGroup(N, dt=DT_S * second, **equations["group"])
    for name, value in equations.get("start", {}).items():
        setattr(group, name, value)
    parts: list[Any] = [group]
    if "clear" in equations:
        parts.append(group.run_regularly(equations["clear"], when="before_synapses"))
    step, index = np.nonzero(frames)
    source = brian2.SpikeGeneratorGroup(N_IN, index, step * DT_S * second)
    into, out, weight = given
    synapses = brian2.Synapses(source, group, "w : 1", on_pre=on_pre)
    synapses.connect(i=into, j=out)
    synapses.w = weight.astype(np.float64)
    parts += [source, synapses]
    if recurrent is not None:
        r_into, r_out, r_weight, delays, pre = recurrent
        back = brian2.Synapses(group, group, "w : 1", on_pre=pre)
        back.connect(i=r_into, j=r_out)
        back.w = r_weight.astype(np.float64)
        back.delay = np.asarray(delays) * DT_S * second
        parts.append(back)
    names = ["v", "not_refractory"] if "refractory" in equations["group"] else ["v"]
    before = brian2.StateMonitor(group, names, record=True, when="before_thresholds")
    after = brian2.StateMonitor(group, "v", record=True, when="end")
    spikes = brian2.SpikeMonitor(group)
    brian2.Network(*parts, before, after, spikes).run(N_STEPS * DT_S * second)
    return {
        "step": np.rint(np.asarray(spikes.t / second) / DT_S).astype(int),
        "index": np.asarray(spikes.i),
        "before": np.asarray(before.v).T,
        "is_free": np.asarray(getattr(before, names[-1])).T.astype(bool) if len(names) > 1 else slice(None),
        "after": np.asarray(after.v).T,
    }


def check_equal(
    result: Result, found: dict[str, Any], threshold: float, scale: float = 1.0, least: int = 30
) -> None:
    margin = np.abs(found["before"] - threshold)[found["is_free"]].min() / scale
    assert margin > NEAR, f"a membrane comes within {margin} of the threshold: choose another seed"
    spikes = result.spikes["n"]
    assert len(spikes) >= least, "the network should be active"
    assert sorted(zip(spikes.step.tolist(), spikes.index.tolist(), strict=True)) == sorted(
        zip(found["step"].tolist(), found["index"].tolist(), strict=True)
    )
    assert np.abs(result.membranes["n"] - found["after"]).max() / scale < CLOSE


def test_lif() -> None:
    frames, given = random_input(1, 0.05), random_synapses(2, N_IN, -10.0, 60.0)
    neuron = LIF(0.01, 1.0, v_leak=0.1, v_reset=-0.2, update="exponential", refractory_s=0.002)
    result, _ = ours(neuron, frames, given)
    group = {
        "model": "dv/dt = ((0.1 - v) + current) / (10*ms) : 1 (unless refractory)\ncurrent : 1",
        "threshold": "v > 1", "reset": "v = -0.2", "refractory": 21 * DT_S * brian2.second, "method": "exact",
    }  # fmt: skip
    equations = {"group": group, "start": {"v": 0.1}, "clear": "current = 0"}
    check_equal(result, theirs(equations, frames, given, "current += w"), 1.0)


def cuba_run(tau_inh_s: float, brian_tau_s: float) -> tuple[Result, dict[str, Any]]:
    """Two currents, recurrent inhibition with a delay for every synapse."""
    frames, given = random_input(3), random_synapses(4, N_IN, 0.2, 2.0)
    into, out, weight = random_synapses(5, N, -1.0, -0.1)
    delays = np.random.default_rng(6).integers(0, 30, into.size)
    neuron = CubaLIF(0.01, 0.004, 1.0, v_leak=0.2, tau_inh_s=tau_inh_s, update="exact", refractory_s=0.003)
    result, _ = ours(neuron, frames, given, (into, out, weight, delays, "inhibitory"))
    group = {
        "model": """dv/dt = ((0.2 - v) + exc + inh) / (10*ms) : 1 (unless refractory)
                    dexc/dt = -exc / (4*ms) : 1
                    dinh/dt = -inh / tau_inh : 1""",
        "threshold": "v > 1", "reset": "v = 0", "refractory": 31 * DT_S * brian2.second, "method": "exact",
        "namespace": {"tau_inh": brian_tau_s * brian2.second},
    }  # fmt: skip
    equations = {"group": group, "start": {"v": 0.2}}
    return result, theirs(equations, frames, given, "exc += w", (into, out, weight, delays, "inh += w"))


def test_cuba_lif_with_delays() -> None:
    check_equal(*cuba_run(0.008, 0.008), 1.0)


def test_cuba_lif_with_equal_time_constants() -> None:
    """The singular case, which Brian2's exact method cannot compute: against time constants that differ by 1e-6.

    The currents then differ by at most 1e-6 of themselves, which is below 1e-4 in the membrane, and a spike that
    is nearer to the threshold than that may move: the first 200 steps have none.
    """
    result, found = cuba_run(0.01, 0.01 * (1 + 1e-6))
    assert np.isfinite(result.membranes["n"]).all()
    assert np.abs(result.membranes["n"][:200] - found["after"][:200]).max() < 1e-4
    assert (result.spikes["n"].step < 200).sum() > 5


def test_coba_lif() -> None:
    frames, given = random_input(7), random_synapses(8, N_IN, 0.1, 1.5)
    into, out, weight = random_synapses(9, N, 0.1, 2.0)
    neuron = CobaLIF(
        0.02, 0.005, 0.01, -50.0, v_leak=-60.0, v_exc=0.0, v_inh=-80.0, v_reset=-60.0, refractory_s=0.005
    )
    delays = np.full(into.size, 9)
    result, _ = ours(neuron, frames, given, (into, out, weight, delays, "inhibitory"))
    group = {
        "model": """dv/dt = ((-60 - v) + ge * (0 - v) + gi * (-80 - v)) / (20*ms) : 1 (unless refractory)
                    dge/dt = -ge / (5*ms) : 1
                    dgi/dt = -gi / (10*ms) : 1""",
        "threshold": "v > -50", "reset": "v = -60", "refractory": 51 * DT_S * brian2.second,
        "method": "exponential_euler",
    }  # fmt: skip
    equations = {"group": group, "start": {"v": -60}}
    found = theirs(equations, frames, given, "ge += w", (into, out, weight, delays, "gi += w"))
    check_equal(result, found, -50.0, scale=10.0)


def test_adaptive_lif() -> None:
    """Adaptation current and adaptive threshold; the margin is that to the threshold of each neuron and step."""
    frames, given = random_input(10, 0.08), random_synapses(11, N_IN, 0.0, 60.0)
    neuron = AdaptiveLIF(
        0.01,
        0.1,
        0.3,
        1.0,
        tau_threshold_s=0.05,
        threshold_jump=0.2,
        v_leak=0.1,
        v_reset=0.0,
        refractory_s=0.001,
    )
    result, _ = ours(neuron, frames, given)
    group = {
        "model": """dv/dt = ((0.1 - v) + current - adapt) / (10*ms) : 1 (unless refractory)
                    dadapt/dt = -adapt / (100*ms) : 1
                    dtheta/dt = -theta / (50*ms) : 1
                    current : 1""",
        "threshold": "v > 1 + theta", "reset": "v = 0; adapt += 0.3; theta += 0.2",
        "refractory": 11 * DT_S * brian2.second, "method": "exact",
    }  # fmt: skip
    equations = {"group": group, "start": {"v": 0.1}, "clear": "current = 0"}
    found = theirs(equations, frames, given, "current += w")
    spikes = result.spikes["n"]
    assert len(spikes) > 30
    assert spikes.step.tolist() == found["step"].tolist()
    assert spikes.index.tolist() == found["index"].tolist()
    assert np.abs(result.membranes["n"] - found["after"]).max() < CLOSE


def test_izhikevich() -> None:
    frames, given = random_input(12, 0.02), random_synapses(13, N_IN, -20.0, 120.0)
    neuron = Izhikevich(0.02, 0.2, -65.0, 8.0, drive=6.0, comparison=">")
    result, _ = ours(neuron, frames, given)
    group = {
        "model": """dv/dt = (0.04 * v**2 + 5 * v + 140 - u + current + 6) / ms : 1
                    du/dt = 0.02 * (0.2 * v - u) / ms : 1
                    current : 1""",
        "threshold": "v > 30", "reset": "v = -65; u += 8", "method": "euler",
    }  # fmt: skip
    equations = {"group": group, "start": {"v": -65, "u": -13}, "clear": "current = 0"}
    found = theirs(equations, frames, given, "current += w")
    check_equal(result, found, 30.0, scale=60.0)


@pytest.mark.parametrize("delay", [0, 12, None])
def test_stdp(delay: int | None) -> None:
    """Weights and clips of pair-based STDP with axonal delays (Brian2: those of the pathway `pre`); None: one each."""
    frames, given = random_input(14, 0.03), random_synapses(15, N_IN, 0.1, 0.5)
    into, out, weight = given
    delays = np.random.default_rng(16).integers(0, 40, into.size) if delay is None else np.int64(delay)
    rule = Stdp(0.02, 0.025, a_plus=0.02, a_minus=0.021, w_max=0.5)
    neuron = CubaLIF(0.01, 0.004, 1.0, update="exact", refractory_s=0.002)
    result, graph = ours(neuron, frames, given, stdp=rule, delay=delays)
    ms = brian2.ms
    group = brian2.NeuronGroup(
        N, "dv/dt = (-v + exc) / (10*ms) : 1 (unless refractory)\ndexc/dt = -exc / (4*ms) : 1",
        threshold="v > 1", reset="v = 0", refractory=21 * DT_S * brian2.second, method="exact",
    )  # fmt: skip
    step, index = np.nonzero(frames)
    source = brian2.SpikeGeneratorGroup(N_IN, index, step * DT_S * brian2.second)
    synapses = brian2.Synapses(
        source, group,
        """w : 1
           dx/dt = -x / (20*ms) : 1 (event-driven)
           dy/dt = -y / (25*ms) : 1 (event-driven)""",
        on_pre="exc += w; x += 0.02; w = clip(w - y, 0, 0.5)",
        on_post="y += 0.021; w = clip(w + x, 0, 0.5)",
    )  # fmt: skip
    synapses.connect(i=into, j=out)
    synapses.w = weight.astype(np.float64)
    synapses.pre.delay = delays * DT_S * brian2.second
    synapses.post.order, synapses.pre.order = 0, 1  # a pair within a step: first the neuron's spike, as here
    spikes = brian2.SpikeMonitor(group)
    before = brian2.StateMonitor(group, ["v", "not_refractory"], record=True, when="before_thresholds")
    brian2.Network(group, source, synapses, spikes, before).run(N_STEPS * DT_S * brian2.second)
    is_free = np.asarray(before.not_refractory).astype(bool)
    assert np.abs(np.asarray(before.v) - 1)[is_free].min() > NEAR
    mine = result.spikes["n"]
    assert len(mine) > 30
    assert mine.step.tolist() == np.rint(np.asarray(spikes.t / ms) / (DT_S * 1e3)).astype(int).tolist()
    assert mine.index.tolist() == np.asarray(spikes.i).tolist()
    order = np.argsort(out, kind="stable")  # rows of outputs
    # what arrives in the last step and later: Brian2 has delivered it, here it is delivered in the next step
    last = neuro.simulate(graph, np.zeros((1, N_IN)), state=result.state, precision="float64")
    changed = np.asarray(synapses.w)[order]
    assert np.abs(last.weights["w"] - changed).max() < CLOSE
    assert (np.abs(changed - weight[order]) > 1e-3).mean() > 0.5
    assert result.counters.weight_clips["w"] > 0
    assert isinstance(result.state, NetworkState)


def statistics_here(network: Any) -> list[float]:
    """Rate and mean CV of the intervals of a network of `benchmarks/network_models.py`, in float32."""
    from network_graphs import as_graph, listed_spikes
    from protocol import statistics

    result = neuro.simulate(
        as_graph(network), n_steps=5000, record={"excitatory": "spikes", "inhibitory": "spikes"}
    )
    found = statistics(network, listed_spikes(network, result), 5000, from_step=1000)
    return [found["rate_hz"], found["cv"]]


def statistics_in_brian(network: Any) -> list[float]:
    """The same in Brian2."""
    from protocol import statistics

    is_current = network.kind == "current"
    membrane = (
        "(rest - v + g_exc + g_inh)" if is_current else "(rest - v + g_exc * (0 - v) + g_inh * (-80 - v))"
    )
    group = brian2.NeuronGroup(
        network.n_neurons,
        f"""dv/dt = {membrane} / (20*ms) : 1 (unless refractory)
            dg_exc/dt = -g_exc / (5*ms) : 1
            dg_inh/dt = -g_inh / (10*ms) : 1""",
        threshold="v > -50", reset="v = -60", refractory=51 * DT_S * brian2.second,
        method="exact" if is_current else "exponential_euler", namespace={"rest": network.v_rest},
    )  # fmt: skip
    group.v, group.g_exc, group.g_inh = network.v_init, network.g_exc_init, network.g_inh_init
    parts: list[Any] = [group]
    for is_inhibitory, variable in ((False, "g_exc"), (True, "g_inh")):
        chosen = (network.is_inhibitory == is_inhibitory)[network.source]
        synapses = brian2.Synapses(group, group, on_pre=f"{variable} += {network.weight[int(is_inhibitory)]}")
        synapses.connect(i=network.source[chosen], j=network.target[chosen])
        synapses.delay = (network.delay_steps[0] - 1) * DT_S * brian2.second
        parts.append(synapses)
    monitor = brian2.SpikeMonitor(group)
    brian2.Network(*parts, monitor).run(5000 * DT_S * brian2.second)
    step = np.rint(np.asarray(monitor.t / brian2.second) / DT_S).astype(np.int64)
    found = statistics(network, (step, np.asarray(monitor.i).astype(np.int64)), 5000, from_step=1000)
    return [found["rate_hz"], found["cv"]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cuba", "coba"])
def test_chaotic_networks_agree_in_rate_and_cv(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32 here, float64 there: means over the active of ten seeds lie within four standard errors."""
    benchmarks = Path(__file__).resolve().parents[2] / "benchmarks"
    for folder in (benchmarks / "peers", benchmarks):  # the scripts import each other by their plain names
        monkeypatch.syspath_prepend(str(folder))
    import network_models

    networks = [getattr(network_models, kind)(2000, seed=seed) for seed in range(10)]
    mine = np.array([statistics_here(network) for network in networks])
    other = np.array([statistics_in_brian(network) for network in networks])
    is_alive = (
        mine[:, 0] > 0
    )  # with 2,000 neurons the activity of benchmark 1 dies out for some seeds, in both
    assert is_alive.tolist() == (other[:, 0] > 0).tolist()
    assert is_alive.sum() >= 5
    mine, other = mine[is_alive], other[is_alive]
    error = np.sqrt((mine.var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / len(mine))
    assert (np.abs(mine.mean(axis=0) - other.mean(axis=0)) < 4 * error + 1e-9).all(), (mine, other)
    assert (mine.mean(axis=0) > [1.0, 0.3]).all()
