"""Chains: which graphs are, room that grows, results put together when asked, memory that ends with the chain."""

from __future__ import annotations

import dataclasses
import gc
import threading
import weakref
from itertools import pairwise

import numpy as np
import pytest

import neuro
from neuro.dynamics import Dynamics, ExitRule
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    MovingAttention,
    Node,
    TemporalAttention,
    clocked,
)
from neuro.kernels.chains import run_chain
from neuro.lowering.chains import chain_of
from neuro.lowering.plan import lower
from neuro.running import run_recording
from tests.properties.test_chains import equal_results, equal_states

RNG = np.random.default_rng(0)
CONV = Conv2d(RNG.normal(0.2, 1, (4, 2, 3, 3)), padding=(1, 1))
ALWAYS_SURE = ExitRule(0.0, first_step=2, check_every=2)


def line(*nodes: Node) -> Graph:
    """One node behind the other."""
    named = {f"n{k}": node for k, node in enumerate(nodes)}
    return Graph(named, list(pairwise(named)), clocked(0.001))


def recogniser(threshold: float = 0.25) -> Graph:
    """A convolution and a readout."""
    return line(
        Input((2, 5, 5), max_count=9),
        CONV,
        LIF(0.003, threshold),
        Flatten(),
        Linear(RNG.normal(0, 1, (3, 100))),
        LI(0.005),
    )


def counts(n_steps: int, density: float = 1.0, *, seed: int = 0) -> np.ndarray:
    """Frames of counts."""
    rng = np.random.default_rng(seed)
    return (rng.integers(1, 9, (n_steps, 2, 5, 5)) * (rng.random((n_steps, 2, 5, 5)) < density)).astype(
        np.float32
    )


def test_what_a_chain_is() -> None:
    moving = MovingAttention([1.0], [0.0], [[1.0]], [0.0], [1.0], 0.0, 0.5)
    scaling = dataclasses.replace(moving, scaling=True)
    readout = (Flatten(), Linear(np.ones((2, 100))), LI(0.01))
    head = (Input((2, 5, 5)), CONV, IF(1.0))
    assert chain_of(lower(line(*head))) is not None
    assert chain_of(lower(line(*head, *readout))) is not None
    assert chain_of(lower(line(Input((2, 5, 5)), moving, CONV, CubaLIF(0.01, 0.01), *readout))) is not None
    for other in (
        line(Input((2, 5, 5)), scaling, CONV, IF(1.0)),  # values times scores
        line(*head, moving, Flatten(), Linear(np.ones((2, 100))), IF(1.0)),  # attention among the layers
        line(*head, MaxPool2d(2), Flatten(), Linear(np.ones((2, 16)))),
        line(Input((2, 5, 5)), CONV, IF(1.0, refractory_s=0.002)),
        line(Input(3), IF(1.0)),  # neurons without a synapse
        line(Input(3), Linear(np.ones((3, 3))), IF(1.0), Delay(0.002), Linear(np.ones((2, 3)))),
        Graph(
            {"in": Input(2), "a": Linear(np.ones((2, 2))), "if": IF(1.0), "sum": Add()},
            [("in", "a"), ("a", "if"), ("if", "sum"), ("in", "sum")],
            clocked(0.001),
        ),
    ):
        assert chain_of(lower(other)) is None
        neuro.simulate(other, np.ones((2, *other.shapes[other.input_name])))


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("value", [1.0, 3.0])
def test_room_for_spikes_grows_in_a_run(density: float, value: float) -> None:
    """A new thread has no room yet; every neuron fires in every step, more than room is made for at first."""
    frames = (counts(40, density) > 0).astype(np.float32) * np.float32(value)
    for graph in (
        recogniser(threshold=1e-3),
        line(Input((2, 5, 5)), Flatten(), Linear(np.ones((60, 50))), IF(0.01), Linear(np.ones((2, 60)))),
    ):
        found: list[neuro.Result] = []
        thread = threading.Thread(target=lambda f=found, g=graph: f.append(neuro.simulate(g, frames)))
        thread.start()
        thread.join()
        equal_results(found[0], run_recording(graph, frames, in_blocks=True))


def test_a_long_recording_after_a_short_one_and_before_one_of_no_steps() -> None:
    graph = recogniser()
    for n_steps in (3, 50, 1, 0, 50):
        frames = counts(n_steps, 0.3, seed=n_steps)
        equal_results(neuro.simulate(graph, frames), run_recording(graph, frames, in_blocks=True))


def test_parts_of_a_result_are_put_together_when_asked_for() -> None:
    graph, frames = recogniser(), counts(6)
    result = neuro.simulate(graph, frames, dynamics=Dynamics(early_exit=ALWAYS_SURE))
    assert not {"counters", "state", "dynamics"} & set(vars(result))
    counters = result.counters
    assert result.counters is counters
    assert counters.n_steps == 2 == result.state.n_steps
    assert counters == neuro.simulate(graph, frames[:2]).counters
    assert result.dynamics is not None
    assert result.dynamics.exit_step == 2
    assert result.attention is None
    assert (result.spikes, result.weights, result.n_threads) == ({}, {}, 1)
    with pytest.raises(AttributeError, match="'Result' object has no attribute 'countres'"):
        result.countres  # noqa: B018
    assert dataclasses.replace(result, attention=None).counters == counters
    assert "2 steps" in repr(result)


def test_another_network_needs_no_compiling() -> None:
    neuro.simulate(recogniser(), counts(3))
    signatures = set(run_chain.signatures)
    neuro.simulate(line(Input((2, 5, 5)), CONV, CubaLIF(0.01, 0.02)), counts(4) - 4)
    attention = TemporalAttention(np.ones((1, 4)), [0.0], np.ones((4, 1)), np.zeros(4), 0.5)
    graph = line(Input(2, max_count=9), attention, Linear([[1.0, 2.0], [0.5, 1.0]]), LI(0.01))
    neuro.simulate(graph, np.ones((4, 2)), dynamics=Dynamics(early_exit=ALWAYS_SURE))
    assert set(run_chain.signatures) == signatures


def test_scratch_ends_with_the_chain() -> None:
    graph = line(Input(3), Linear(RNG.normal(0, 1, (2, 3))), IF(1.0))
    neuro.simulate(graph, np.ones((4, 3)))
    chain = chain_of(lower(graph))
    assert chain is not None
    tape = weakref.ref(chain.tape(None))
    assert tape() is not None
    chain_of.cache_clear()
    del chain
    gc.collect()
    assert tape() is None


def test_what_the_input_does_not_allow_is_named_and_nothing_is_left_of_it() -> None:
    graph, good = recogniser(), counts(5, 0.5)
    expected = neuro.simulate(graph, good)
    for value, text in ((10, "got 10 in step 3"), (2.5, "got 2.5 in step 3"), (-1, "got -1 in step 3")):
        wrong = good.copy()
        wrong[3, 1, 2, 2] = value
        with pytest.raises(neuro.InputError, match=rf"whole numbers from 0 to max_count = 9, {text}"):
            neuro.simulate(graph, [good, wrong])
        equal_results(neuro.simulate(graph, good), expected)


@pytest.mark.parametrize("first_step", [2, 3, 5, 7])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_pixels_that_wait_are_made_up_for_when_a_run_ends_early(first_step: int, every: int) -> None:
    rng = np.random.default_rng(first_step)
    graph = line(
        Input((2, 14, 14)),
        Conv2d(rng.normal(0.4, 1, (4, 2, 3, 3)), rng.normal(0, 0.02, 4), padding=(1, 1)),
        LIF(0.004, 0.5),
        Conv2d(rng.normal(0.2, 1, (4, 4, 3, 3)), rng.normal(0, 0.02, 4)),
        LIF(0.004, 0.6),
        Flatten(),
        Linear(rng.normal(0, 1, (3, 576))),
        LI(0.005),
    )
    frames = (rng.random((9, 2, 14, 14)) < 0.01).astype(np.float32)
    rule = ExitRule(0.6, first_step=first_step, check_every=every, temperature=0.05)
    ended = neuro.simulate(graph, frames, dynamics=Dynamics(early_exit=rule))
    n_steps = ended.counters.n_steps
    first = run_recording(graph, frames[:n_steps], in_blocks=True)
    assert sum(first.counters.pixels_skipped.values()) > 0
    assert ended.counters == first.counters
    assert ended.output.tobytes() == first.output.tobytes()
    equal_states(ended.state, first.state)
    in_blocks = run_recording(graph, frames, dynamics=Dynamics(early_exit=rule), in_blocks=True)
    equal_states(ended.state, in_blocks.state)
    assert n_steps == in_blocks.counters.n_steps
