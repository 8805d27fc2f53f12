"""Coded neurons: the engine against the reference, runs in pieces, files (R150 to R162)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import neuro
from neuro.graph import CODED, Graph
from neuro.reference import evaluate
from tests.coded_strategies import coded_networks


@settings(deadline=None, max_examples=60)
@given(coded_networks())
def test_the_engine_equals_the_reference(case: tuple[Graph, np.ndarray[Any, Any]]) -> None:
    graph, frames = case
    assert neuro.verify(graph, frames)


@settings(deadline=None, max_examples=30)
@given(coded_networks(), st.integers(0, 8))
def test_a_run_may_be_split(case: tuple[Graph, np.ndarray[Any, Any]], cut: int) -> None:
    graph, frames = case
    whole = neuro.simulate(graph, frames)
    first = neuro.simulate(graph, frames[:cut])
    rest = neuro.simulate(graph, frames[cut:], state=first.state)
    assert np.array_equal(whole.output, np.concatenate([first.output, rest.output]))
    for name in whole.state.membranes:
        for ours, theirs in zip(whole.state.membranes[name], rest.state.membranes[name], strict=True):
            assert np.array_equal(ours, theirs)


@settings(deadline=None, max_examples=20)
@given(coded_networks())
def test_counts_are_those_of_the_reference(case: tuple[Graph, np.ndarray[Any, Any]]) -> None:
    graph, frames = case
    counters = neuro.simulate(graph, frames).counters
    dense = evaluate(graph, frames)
    for name, node in graph.nodes.items():
        if isinstance(node, CODED):
            assert counters.spikes[name] == np.count_nonzero(dense.values[name])
    weights = np.abs(graph.nodes["fc"].weight)  # type: ignore[attr-defined]
    assert counters.synaptic_operations["fc"] == np.count_nonzero(dense.values["flat"]) * len(weights)


@settings(deadline=None, max_examples=10)
@given(coded_networks())
def test_files_hold_coded_neurons(tmp_path_factory: Any, case: tuple[Graph, np.ndarray[Any, Any]]) -> None:
    path: Path = tmp_path_factory.mktemp("coded") / "graph.h5"
    case[0].save(path)
    assert Graph.load(path) == case[0]
