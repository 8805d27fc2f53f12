"""A recurrent network in continuous execution: what its waves cost, and NEST's neurons with precise times on it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rows import Row, against_goal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers_continuous"))

from unrolled import ask

import neuro
from neuro.graph import LIF, Delay, Graph, Input, SparseLinear, continuous
from neuro.reference_events import evaluate_events

NEST = Path(__file__).resolve().parents[1] / ".venv-nest" / "bin" / "python"
TAU_US, REFRACTORY_US, STEP_US = 20_000, 2_000, 100
MOST_DELAY_US = 1_500
GOAL_WAVE_MS = 0.03

Spike = tuple[int, int]  # time, neuron
Spikes = set[Spike]


@dataclass(frozen=True)
class Network:
    """Neurons, synapses between random pairs (a fifth of the neurons inhibit), and input spikes for each neuron."""

    n: int
    pre: np.ndarray
    post: np.ndarray
    weight: np.ndarray
    delay_us: np.ndarray
    events: neuro.Events

    @property
    def graph(self) -> Graph:
        """The network here."""
        ring = SparseLinear.from_coo(
            self.post, self.pre, self.weight, n_out=self.n, n_in=self.n, delay_s=self.delay_us * 1e-6
        )
        neurons = LIF(TAU_US * 1e-6, refractory_s=REFRACTORY_US * 1e-6)
        nodes = {"in": Input(self.n), "neurons": neurons, "ring": ring, "out": Delay(0.0)}
        edges = [("in", "neurons"), ("ring", "neurons"), ("neurons", "ring"), ("neurons", "out")]
        return Graph(nodes, edges, continuous())


def network(n: int, n_synapses: int, *, rate_hz: float, weight_in: float, duration_us: int) -> Network:
    """A random network; input spikes are Poisson, at whole microseconds."""
    rng = np.random.default_rng(0)
    pre, post = rng.integers(0, n, n * n_synapses), np.repeat(np.arange(n), n_synapses)
    weight = (np.where(pre < 0.8 * n, 0.02, -0.08) * rng.uniform(0.5, 1.5, pre.size)).astype(np.float32)
    delay_us = rng.integers(1, MOST_DELAY_US // STEP_US + 1, pre.size) * STEP_US
    size = rng.poisson(n * rate_hz * duration_us * 1e-6)
    t_us, index = np.sort(rng.integers(1, duration_us, size)), rng.integers(0, n, size)
    value = np.full(size, weight_in, np.float32)
    events = neuro.Events(t_us, index, value, (n,), duration_us=duration_us)
    return Network(n, pre, post, weight, delay_us, events)


def is_equal_to_oracle() -> bool:
    """Compare every spike and count on a small network."""
    small = network(20, 5, rate_hz=60, weight_in=0.9, duration_us=100_000)
    oracle, result = evaluate_events(small.graph, small.events), neuro.simulate(small.graph, small.events)
    output = result.output
    found = list(zip(output.t_us.tolist(), output.index.tolist(), output.value.tolist(), strict=True))
    counts = result.counters.synaptic_operations["ring"] == oracle.synaptic_operations["ring"]
    return found == oracle.left["neurons"] and counts and len(found) > 0


def compare_cycles(*, is_quick: bool, has_nest: bool) -> list[Row]:
    """Measure the network with few and with many input spikes."""
    if not is_equal_to_oracle():
        raise SystemExit("the engine and the oracle differ on a recurrent network")
    rows: list[Row] = []
    duration_us = 200_000 if is_quick else 1_000_000
    for rate_hz, weight_in in ((20.0, 0.9), (200.0, 0.3)):
        one = network(1000, 50, rate_hz=rate_hz, weight_in=weight_in, duration_us=duration_us)
        rows += _measured(one, n_runs=3 if is_quick else 5, has_nest=has_nest)
    return rows


def _measured(one: Network, *, n_runs: int, has_nest: bool) -> list[Row]:
    graph, seconds = one.graph, np.inf
    result = neuro.simulate(graph, one.events)
    for _ in range(n_runs):
        start = time.thread_time()
        result = neuro.simulate(graph, one.events)
        seconds = min(seconds, time.thread_time() - start)
    duration_us = int(one.events.duration_us or 0)
    n_spikes = result.counters.spikes["neurons"]
    claim = f"1,000 LIF x 50 synapses of 0.1 to 1.5 ms, {duration_us * 1e-6:g} s, {n_spikes:,} spikes"
    wave_ms = 1e3 * seconds / (duration_us / STEP_US)
    print(f"{claim}: {seconds:.4f} s in all, {wave_ms:.5f} ms for each {STEP_US} us")
    rows = [against_goal(f"{claim}: a wave of 0.1 ms", wave_ms, GOAL_WAVE_MS, "ms", less_is_better=True)]
    if not has_nest:
        return rows
    answer = ask(
        NEST,
        "run_nest_cycle.py",
        {
            "t_us": one.events.t_us, "index": one.events.index, "weight_in": float(one.events.value[0]), "pre": one.pre,
            "post": one.post, "weight": one.weight, "delay_us": one.delay_us, "n": one.n, "tau_us": TAU_US,
            "refractory_us": REFRACTORY_US, "step_us": STEP_US, "duration_us": duration_us,
        },
    )  # fmt: skip
    ours = set(zip(result.output.t_us.tolist(), result.output.index.tolist(), strict=True))
    theirs = set(zip(answer.t_us.tolist(), answer.index.tolist(), strict=True))
    print(
        f"NEST {answer.version}: {len(theirs):,} spikes, {_agreement(one, ours, theirs)}; run {answer.run_s:.3f} s "
        f"after {answer.build_s:.1f} s for building"
    )
    peer = f"NEST {answer.version} (iaf_psc_delta_ps)"
    ratio, is_same = answer.run_s / seconds, _first_difference(one, ours, theirs) is None
    rows.append(Row(claim, seconds, peer, answer.run_s, "s", ratio, 1.0, is_same))
    return rows


def _first_difference(one: Network, ours: Spikes, theirs: Spikes) -> Spike | None:
    """Return the first spike on one side only, unless simultaneous events decide about it.

    NEST adds up what reaches a neuron at one time, here one event acts after another: a neuron may fire before the
    inhibition of the same microsecond. From then on the networks differ.
    """
    for t, i in sorted(ours ^ theirs)[:1]:
        synapses = np.flatnonzero(one.post == i)
        arrivals = [
            1
            for j, delay_us in zip(one.pre[synapses].tolist(), one.delay_us[synapses].tolist(), strict=True)
            if (t - delay_us, j) in ours & theirs
        ]
        n = len(arrivals) + int(((one.events.t_us == t) & (one.events.index == i)).sum())
        return None if n > 1 else (t, i)
    return None


def _agreement(one: Network, ours: Spikes, theirs: Spikes) -> str:
    """Say how far both go together."""
    if ours == theirs:
        return "all equal"
    t, i = min(ours ^ theirs)
    n = sum(one[0] < t for one in ours)
    where = f"the first {n:,} equal, up to {t} us"
    if _first_difference(one, ours, theirs) is None:
        return f"{where}, when several events reach neuron {i} in the same microsecond"
    return where
