"""Graphs of coded neurons as tables: what becomes one, what is kept of it, what it compiles."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise
from typing import Any

import numpy as np

import neuro
from neuro.graph import (
    Conv2d,
    Delay,
    Graph,
    Input,
    Linear,
    Readout,
    SigmaDelta,
    SignedIF,
    TwoPhaseIF,
    clocked,
)
from neuro.kernels.coded_run import run_coded
from neuro.lowering.coded_tables import coded_table_of
from neuro.lowering.plan import lower


def line(*nodes: Any) -> Graph:
    """Nodes one behind the other."""
    named = {f"{type(node).__name__} {k}": node for k, node in enumerate(nodes)}
    return Graph(named, list(pairwise(named)), clocked(0.001))


def test_what_a_table_is() -> None:
    two = TwoPhaseIF(1.0, n_levels=3)
    assert coded_table_of(lower(line(Input(3), Linear(np.ones((3, 3))), two))) is not None
    assert (
        coded_table_of(lower(line(Input(3), two, Delay(0.002), Linear(np.ones((2, 3))), Readout())))
        is not None
    )
    changes = SigmaDelta(1.0, max_count=3)
    for other in (
        line(Input(3), Linear(np.ones((2, 3)))),  # no coded neurons
        line(Input(3), changes, Delay(0.002), Linear(np.ones((2, 3)))),  # a delay of values
        Graph(
            {"in": Input(3), "a": two, "b": Linear(np.ones((2, 3))), "c": Linear(np.ones((2, 3)))},
            [("in", "a"), ("a", "b"), ("a", "c")],
            clocked(0.001),
        ),  # two outputs
    ):
        assert coded_table_of(lower(other)) is None
        neuro.simulate(other, np.ones((2, 3)))


def test_another_network_needs_no_compiling() -> None:
    neuro.simulate(line(Input(3), Linear(np.ones((3, 3))), TwoPhaseIF(1.0, n_levels=3)), np.ones((4, 3)))
    signatures = set(run_coded.signatures)
    frames = np.ones((4, 1, 5, 5))
    conv = Conv2d(np.ones((4, 1, 3, 3)))
    neuro.simulate(line(Input((1, 5, 5)), conv, SignedIF(1.0, max_count=3)), frames * 2.5)
    assert set(run_coded.signatures) == signatures


def test_scratch_ends_with_the_table() -> None:
    graph = line(Input(3), Linear(np.eye(3) * 7), TwoPhaseIF(1.5, n_levels=3))
    neuro.simulate(graph, np.ones((4, 3)))
    table = coded_table_of(lower(graph))
    assert table is not None
    tape = weakref.ref(table.tape(None))
    coded_table_of.cache_clear()
    del table
    gc.collect()
    assert tape() is None


def test_a_settled_network_costs_no_sums() -> None:
    """Steps in which nothing comes are passed over, and counted all the same."""
    graph = line(Input(3), Linear(np.eye(3)), SignedIF(1.0, max_count=3), Linear(np.eye(3)), Readout())
    frames = np.zeros((50, 3))
    frames[0] = 2
    counters = neuro.simulate(graph, frames).counters
    assert counters.total_synaptic_operations == 9 + 6 * 3
    assert counters.path_steps["Linear 1"]["scatter"] == 50
    assert neuro.simulate(graph, frames).output.sum(axis=0).tolist() == [2, 2, 2]
