"""The emulator against Lava's CPU simulator: every u, v and spike of random networks; and Lava's worker process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hw
from hw.lava import running
from tests.hw_networks import random_convolutions, random_network

KINDS = ("dense", "sparse", "delayed dense", "delayed sparse")

lava_is_missing = running.lava_version() is None
needs_lava = pytest.mark.skipif(lava_is_missing, reason="lava-nc is not installed: run make lava")


def network(seed: int) -> tuple[hw.FixedGraph, np.ndarray, None]:
    """A third are convolutions, half of the others may have loops."""
    if seed % 3 == 2:
        return (*random_convolutions(seed, graded=seed % 2 == 0), None)
    return (*random_network(seed, kinds=KINDS, loops=seed % 2 == 0), None)


def extended_network(seed: int) -> tuple[hw.FixedGraph, np.ndarray, None]:
    """What is ours in Lava's neurons: registers that differ, refractory periods, reset by subtraction, and all."""
    choice = {"arrays": seed % 2 == 0, "refractory": seed % 3 != 0, "subtracts": seed % 4 < 2}
    fixed, frames = random_network(seed, kinds=KINDS, loops=seed % 5 == 0, **choice)
    if seed % 7 == 0:
        again = {"reset_step": 3, "reset_interval": 11}
        populations = {
            n: p if p.kind == "input" else replace(p, **again) for n, p in fixed.populations.items()
        }
        fixed = hw.FixedGraph(populations, fixed.connections)
    return fixed, frames, None


def count_layers_that_differ(
    seeds: Sequence[int], make: Callable[[int], tuple[hw.FixedGraph, np.ndarray, None]] = network
) -> tuple[int, int]:
    jobs = [make(seed) for seed in seeds]
    wrong, n_layers = 0, 0
    for (fixed, frames, _), run in zip(jobs, running.simulate_all(jobs, timeout_s=1200), strict=True):
        result = hw.emulate(fixed, frames, profile="lava", record=list(run.u))
        for name, sent in run.sent.items():
            found = np.zeros_like(sent)
            train = result.trains[name]
            found[train.step, train.index] = train.value
            same = [(found, sent), (result.u[name], run.u[name]), (result.v[name], run.v[name])]
            wrong += not all(np.array_equal(a, b) for a, b in same)
            n_layers += 1
    return wrong, n_layers


@needs_lava
def test_50_random_layers_equal_lava() -> None:
    assert count_layers_that_differ(range(25)) == (0, 50)


@needs_lava
def test_neurons_that_lava_has_not_equal_its_neurons_with_ours_around_them() -> None:
    assert count_layers_that_differ(range(24), extended_network) == (0, 48)


@needs_lava
@pytest.mark.slow
def test_400_random_layers_of_such_neurons() -> None:
    assert count_layers_that_differ(range(3000, 3200), extended_network) == (0, 400)


@needs_lava
@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_2000_random_layers_equal_lava(part: int) -> None:
    assert count_layers_that_differ(range(1000 + 100 * part, 1100 + 100 * part)) == (0, 200)


@needs_lava
def test_graded_spikes_and_sigma_delta_equal_lava() -> None:
    rng = np.random.default_rng(3)
    jobs = []
    for kind in ("graded", "graded_relu", "sigma", "sigma_delta", "delta"):
        bits = {"spike_exponent": 2, "state_exponent": 1} if kind.endswith("delta") else {}
        neurons = hw.Population(
            (6,),
            kind,
            threshold=5 * 8,
            bias_mantissa=rng.integers(-9, 9, 6) * 8,
            is_cumulative=kind == "delta",
            **bits,
        )
        populations = {"in": hw.Population((4,), "input"), "out": neurons}
        synapses = hw.Connection(
            "in", "out", "dense", rng.integers(-99, 99, (6, 4)), weight_exponent=-2, is_graded=True
        )
        frames = rng.integers(-30, 30, (25, 4)) * (rng.random((25, 4)) < 0.4)
        jobs.append((hw.FixedGraph(populations, (synapses,)), frames.astype(np.float32), None))
    for (fixed, frames, _), run in zip(jobs, running.simulate_all(jobs), strict=True):
        train = hw.emulate(fixed, frames).trains["out"]
        found = np.zeros_like(run.sent["out"])
        found[train.step, train.index] = train.value
        assert found.any()
        np.testing.assert_array_equal(found, run.sent["out"], err_msg=fixed.populations["out"].kind)


@needs_lava
def test_a_worker_that_takes_too_long_is_stopped_with_all_its_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []
    original = running.subprocess.Popen

    def remembering(*args: object, **settings: object) -> object:
        process = original(*args, **settings)  # type: ignore[call-overload]
        started.append(process.pid)
        return process

    monkeypatch.setattr(running.subprocess, "Popen", remembering)
    with pytest.raises(hw.LavaTimeoutError, match=r"did not answer within 0.05 s; its worker was stopped"):
        running.simulate(*network(0)[:2], timeout_s=0.05)
    (pid,) = started
    assert not alive(pid)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


HANGING = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)
"""
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def run_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> list[int]:
    """Let the worker run something else; returns where its process number will be."""
    started: list[int] = []
    original = running.subprocess.Popen

    def other(command: list[str], **settings: object) -> object:
        process = original([command[0], "-c", code], **settings)  # type: ignore[call-overload]
        started.append(process.pid)
        return process

    monkeypatch.setattr(running.subprocess, "Popen", other)
    return started


def alive(session: int) -> list[str]:
    """Return the processes of a session that still run (dead ones may wait for their parent)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(path.parent.name)
    return found


@needs_lava
def test_a_worker_that_hangs_is_stopped_with_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = run_instead(monkeypatch, HANGING)
    with pytest.raises(hw.LavaTimeoutError, match=r"did not answer within 1.5 s; .* Give it more time"):
        running.simulate(*network(0)[:2], timeout_s=1.5)
    until = time.monotonic() + 20  # what was killed takes a moment to go
    while alive(started[0]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(started[0])


ORPHANED = """
import subprocess, sys
from hw.lava import running
from tests.conformance.test_hw_lava import HANGING, network
original = running.subprocess.Popen

def other(command, **settings):
    code = "from hw.lava.worker import end_with_parent; end_with_parent()" + chr(10)
    process = original([command[0], "-c", code + HANGING], **settings)
    print(process.pid, flush=True)
    return process

running.subprocess.Popen = other
running.simulate(*network(0)[:2], timeout_s=300)
"""


@needs_lava
def test_a_worker_ends_with_a_parent_that_is_killed() -> None:
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen([sys.executable, "-c", ORPHANED], stdout=subprocess.PIPE, cwd=root, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        session = int(parent.stdout.readline())
        until = time.monotonic() + 30
        while len(alive(session)) < 2 and time.monotonic() < until:  # the worker and what it started
            time.sleep(0.05)
        assert len(alive(session)) == 2
        parent.kill()
        parent.wait()
    until = time.monotonic() + 30
    while alive(session) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(session)


@needs_lava
def test_a_worker_that_is_killed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, KILLED)
    with pytest.raises(hw.LavaError, match="Lava's worker failed: exit code -9"):
        running.simulate(*network(0)[:2], timeout_s=30)


@needs_lava
def test_a_worker_that_leaves_no_results_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "pass")
    with pytest.raises(hw.LavaError, match="Lava's worker ended without results"):
        running.simulate(*network(0)[:2], timeout_s=30)


@needs_lava
def test_what_goes_wrong_in_the_worker_is_an_error_here(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, frames, _ = network(0)
    monkeypatch.setattr(running.pickle, "dumps", lambda jobs: b"no pickle")
    with pytest.raises(hw.LavaError, match="Lava's worker failed: "):
        running.simulate(fixed, frames)


def test_what_lava_cannot_do_is_refused() -> None:
    populations = {"in": hw.Population((2,), "input"), "out": hw.Population((2,), current_decay=0)}
    synapses = hw.Connection("in", "out", "dense", np.ones((2, 2), int), sign="excitatory")
    if lava_is_missing:
        pytest.skip("lava-nc is not installed: run make lava")
    with pytest.raises(hw.LavaError, match="population 'out': Lava cannot keep all of a current"):
        running.simulate(hw.FixedGraph(populations, (synapses,)), np.ones((3, 2)))


def test_missing_lava_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "lava_version", lambda: None)
    with pytest.raises(hw.MissingPackageError, match="make lava"):
        running.simulate(*network(0)[:2])
