"""`neuro.stream` on clocked graphs: whatever the pieces, the rows of one call on all frames."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from neuro.errors import InputError
from neuro.graph import (
    LI,
    LIF,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    MovingAttention,
    TemporalAttention,
    clocked,
    continuous,
)

SHAPE = (2, 5, 5)
DT_US = 1_000
N_STEPS = 22
BEFORE = np.tril(np.ones((N_STEPS, N_STEPS)), -1)
ATTENTION: dict[str, list[neuro.graph.Node]] = {
    "none": [],
    "moving": [MovingAttention([0.5], [0.0], [[1.0]], [0.0], [30.0], -2.0, threshold=0.5)],
    "causal": [
        TemporalAttention(
            100 * np.eye(N_STEPS) + BEFORE,
            np.zeros(N_STEPS),
            np.eye(N_STEPS) - 0.02 * BEFORE,
            np.full(N_STEPS, -4.0),
            threshold=0.5,
        )
    ],
}


def network(*attention: neuro.graph.Node, dt_s: float = DT_US / 1e6) -> Graph:
    rng = np.random.default_rng(3)
    nodes = [
        Input(SHAPE),
        *attention,
        Conv2d(rng.normal(0, 0.6, (4, 2, 3, 3)), padding=1),
        LIF(0.01),
        Flatten(),
        Linear(rng.normal(0, 0.5, (3, 100))),
        LI(0.02),
    ]
    names = [f"n{k}" for k in range(len(nodes))]
    return Graph(dict(zip(names, nodes, strict=True)), list(itertools.pairwise(names)), clocked(dt_s))


def some_events(seed: int, n: int, *, most_us: int = 20_000) -> neuro.Events:
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(0, most_us, n))
    return neuro.Events(t_us, rng.integers(0, 50, n), np.ones(n), SHAPE)


def frames_of(events: neuro.Events, n_steps: int) -> np.ndarray:
    frames = np.zeros((n_steps, 50), np.float32)
    np.add.at(frames, (events.t_us // DT_US, events.index), events.value)
    return frames.reshape(n_steps, *SHAPE)


def part(events: neuro.Events, start: int, stop: int) -> neuro.Events:
    return neuro.Events(events.t_us[start:stop], events.index[start:stop], events.value[start:stop], SHAPE)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 80),
    cuts=st.lists(st.integers(0, 80), max_size=5),
    attends=st.sampled_from(list(ATTENTION)),
)
def test_every_cutting_gives_the_rows_of_one_call(seed: int, n: int, cuts: list[int], attends: str) -> None:
    graph = network(*ATTENTION[attends])
    events = some_events(seed, n)
    run = neuro.stream(graph)
    bounds = [0, *sorted(min(cut, n) for cut in cuts), n]
    rows = [run.feed(part(events, a, b)) for a, b in itertools.pairwise(bounds)]
    rows += [run.advance(21_001), run.finish()]
    found = np.concatenate(rows)
    expected = neuro.simulate(graph, frames_of(events, N_STEPS))
    np.testing.assert_array_equal(found, expected.output)
    assert run.synaptic_operations == expected.counters.synaptic_operations
    if attends != "none":
        assert expected.attention is not None
        np.testing.assert_array_equal(run.kept, expected.attention.kept)


def test_rows_come_when_a_step_is_complete() -> None:
    run = neuro.stream(network())
    assert run.feed(neuro.Events([0, 999], [1, 1], [1, 1], SHAPE)).shape == (0, 3)
    assert run.feed(neuro.Events([3_000], [1], [1], SHAPE)).shape == (3, 3)
    assert run.advance(3_999).shape == (0, 3)
    assert run.advance(4_000).shape == (1, 3)
    assert run.finish().shape == (0, 3)
    assert run.n_steps == 4


def test_what_is_refused() -> None:
    looks_ahead = TemporalAttention(np.ones((6, 6)), np.zeros(6), np.eye(6), np.zeros(6), threshold=0.5)
    with pytest.raises(neuro.InputError, match="scores a frame by those after it"):
        neuro.stream(network(looks_ahead))
    with pytest.raises(neuro.InputError, match="whole number of microseconds"):
        neuro.stream(network(dt_s=1.5e-6))
    with pytest.raises(neuro.InputError, match="are for continuous graphs"):
        neuro.stream(network(), duration_us=3)
    run = neuro.stream(network())
    run.feed(neuro.Events([5_000], [1], [1], SHAPE))
    with pytest.raises(neuro.InputError, match="must not go back in time"):
        run.feed(neuro.Events([4_000], [1], [1], SHAPE))
    with pytest.raises(neuro.InputError, match="cannot advance"):
        run.advance(10)
    with pytest.raises(neuro.InputError, match="shape"):
        run.feed(neuro.Events([6_000], [1], [1], (50,)))
    run.finish()
    with pytest.raises(neuro.InputError, match="is finished"):
        run.advance(9_000)
    with pytest.raises(neuro.InputError, match=r"use neuro\.stream"):
        neuro.FrameStream(
            Graph(
                {"in": Input(1), "fc": Linear([[1.0]]), "lif": LIF(0.01)},
                [("in", "fc"), ("fc", "lif")],
                continuous(),
            )
        )


@pytest.mark.parametrize("attends", ["moving", "causal"])
def test_frames_are_dropped_as_they_come(attends: str) -> None:
    run = neuro.stream(network(*ATTENTION[attends]))
    assert isinstance(run, neuro.FrameStream)
    run.feed(some_events(1, 60))
    run.advance(N_STEPS * DT_US)
    assert 0 < run.kept.sum() < N_STEPS == run.n_steps


def test_a_long_silence_is_run_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    events = some_events(1, 60)
    whole, pieces = neuro.stream(network()), neuro.stream(network())
    expected = [whole.feed(events), whole.advance(70_000)]
    monkeypatch.setattr("neuro.frame_streaming._PIECE_STEPS", 7)
    found = [pieces.feed(events), pieces.advance(70_000)]
    assert len(expected[1]) > 40
    assert [rows.tobytes() for rows in found] == [rows.tobytes() for rows in expected]
    assert pieces.kept.tolist() == whole.kept.tolist()
    assert pieces.synaptic_operations == whole.synaptic_operations


def test_the_memory_of_a_silence_is_bounded() -> None:
    stream = neuro.stream(network())
    stream.feed(some_events(1, 60))
    stream.advance(100_000)  # compiled, and what is kept once is there
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    rows = stream.advance(200_000_000)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert len(rows) == 199_900
    assert peak < 4 * rows.nbytes  # seven times at once


def test_a_silence_that_fills_the_memory_is_refused() -> None:
    stream = neuro.stream(network())
    with pytest.raises(
        InputError, match=r"stream: cannot advance to 100000000000000 us at once, .* at most \d+ us at a time"
    ):
        stream.advance(10**14)
    late = neuro.Events([10**14], [0], [1.0], SHAPE)
    with pytest.raises(InputError, match="stream: cannot feed to 100000000000000 us at once"):
        stream.feed(late)
    assert len(stream.advance(5_000)) == 5  # nothing was taken
