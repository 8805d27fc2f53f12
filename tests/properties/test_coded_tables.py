"""Coded networks run in one call against the same graphs run block after block: bits, counters, reports and states."""

from __future__ import annotations

import dataclasses
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import running
from neuro.dynamics import Dynamics
from neuro.graph import Graph
from neuro.lowering.coded_tables import CodedTape, coded_table_of
from neuro.lowering.plan import lower
from neuro.lowering.signals import as_dense
from neuro.running import run_recording
from tests.coded_strategies import branched_coded_networks, coded_networks
from tests.properties.test_chains import equal_results, everything
from tests.properties.test_dynamics import RULES

Case = tuple[Graph, NDArray[Any]]

NETWORKS = coded_networks() | branched_coded_networks()
PATHS = st.sampled_from([None, "scatter", "gather", "integer", "dense"])


@settings(deadline=None, max_examples=60)
@given(NETWORKS, PATHS, st.booleans())
def test_a_table_equals_its_blocks(case: Case, path: running.Path | None, is_recorded: bool) -> None:
    graph, frames = case
    assert coded_table_of(lower(graph)) is not None
    record = everything(graph) if is_recorded else None
    words = {"record": record, "path": path, "dynamics": Dynamics()}
    in_one = run_recording(graph, frames, **words)
    equal_results(in_one, run_recording(graph, frames, in_blocks=True, **words))


@settings(deadline=None, max_examples=40)
@given(NETWORKS, RULES, st.integers(1, 4), st.booleans())
def test_a_table_ends_where_its_blocks_end(
    case: Case, rule: neuro.ExitRule, block_steps: int, is_recorded: bool
) -> None:
    graph, frames = case
    plan = dataclasses.replace(lower(graph), block_steps=block_steps)
    words = {
        "record": everything(graph) if is_recorded else None,
        "dynamics": Dynamics(early_exit=rule),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "lower", lambda _: plan)
        in_one = run_recording(graph, frames, **words)
        in_blocks = run_recording(graph, frames, in_blocks=True, **words)
    equal_results(in_one, in_blocks)


@settings(deadline=None, max_examples=30)
@given(NETWORKS, st.lists(st.integers(0, 8), max_size=2), st.integers(1, 3))
def test_a_table_goes_on_from_a_state(case: Case, cuts: list[int], block_steps: int) -> None:
    graph, frames = case
    bounds = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    plan = dataclasses.replace(lower(graph), block_steps=block_steps)
    in_one = in_blocks = None
    for start, stop in pairwise(bounds):
        part = frames[start:stop]
        states = [None if one is None else one.state for one in (in_one, in_blocks)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "lower", lambda _: plan)
            in_one = run_recording(graph, part, record=everything(graph), state=states[0])
        in_blocks = run_recording(graph, part, record=everything(graph), state=states[1], in_blocks=True)
        equal_results(in_one, in_blocks, counters=False)
        for name, line in in_blocks.state.lines.items():
            if len(part):
                assert (
                    _dense(line, graph, name).tobytes()
                    == _dense(in_one.state.lines[name], graph, name).tobytes()
                )


def _dense(line: Any, graph: Graph, name: str) -> NDArray[Any]:
    """What is on its way, as an array."""

    layout = lower(graph).layouts[name]
    found: NDArray[Any] = as_dense(line, layout, graph.delay_steps(name)) + np.float32(0)
    return found


@settings(deadline=None, max_examples=15)
@given(NETWORKS, st.integers(1, 2))
def test_a_batch_equals_its_recordings(case: Case, n_threads: int) -> None:
    """Recordings one after the other find nothing of each other, in whatever thread they run."""
    graph, frames = case
    batch = [frames, frames[:1], np.concatenate([frames, frames]), frames * 0, frames]
    for one, result in zip(batch, neuro.simulate(graph, batch, n_threads=n_threads), strict=True):
        equal_results(result, run_recording(graph, one, in_blocks=True))


@settings(deadline=None, max_examples=30)
@given(branched_coded_networks())
def test_a_table_equals_the_reference(case: Case) -> None:
    graph, frames = case
    assert neuro.verify(graph, frames)


@settings(deadline=None, max_examples=30)
@given(NETWORKS)
def test_threads_share_nothing_that_is_written(case: Case) -> None:
    """What the memories of two threads have in common stays as it was while one of them runs."""
    graph, frames = case
    table = coded_table_of(lower(graph))
    assume(table is not None)
    assert table is not None
    tapes: list[CodedTape] = []

    def work() -> None:
        tapes.append(table.tape(None))

    other = threading.Thread(target=work)
    other.start()
    other.join()
    neuro.simulate(graph, frames)  # reserves the memory of this thread
    mine, theirs = table.tape(None), tapes[0]
    common = [array for key, array in mine._arrays.items() if shared(array, theirs._arrays.get(key))]
    before = [array.copy() for array in common]
    neuro.simulate(graph, np.concatenate([frames, frames + 1]))
    for array, was in zip(common, before, strict=True):
        assert array.tobytes() == was.tobytes()
    for k, row in enumerate(table.rows, 1):
        for place in row.scratch:
            assert not shared(mine._arrays[k, place], theirs._arrays[k, place])


def shared(one: NDArray[Any], other: NDArray[Any] | None) -> bool:
    """Whether two arrays have memory in common."""
    return other is not None and np.shares_memory(one, other)
