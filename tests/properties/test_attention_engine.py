"""Attention of every kind, anywhere in a network: the engine, the dense reference and the dense mean agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuro
from neuro import reference
from neuro.graph import ATTENTIONS, SYNAPSES, TEMPORAL, Graph, chain_before, fold_pooling
from neuro.kernels.windows import sigmoid
from neuro.reference_attention import _sigmoid, dense_scores
from tests.attention_strategies import attended_runs

Run = tuple[Graph, NDArray[np.float32]]
FEW = settings(max_examples=60)


@FEW
@given(attended_runs(), st.booleans())
def test_the_engine_equals_the_reference_with_the_same_masks(run: Run, use_attention: bool) -> None:
    graph, frames = run
    assert neuro.verify(graph, frames, use_attention=use_attention)


@FEW
@given(attended_runs(on_grid=True))
def test_scores_before_the_synapse_equal_those_of_the_dense_mean(run: Run) -> None:
    """On a grid every sum is exact, so the scores agree bit for bit."""
    graph, frames = run
    result = neuro.simulate(graph, frames)
    dense = reference.evaluate(graph, frames, attention=result.attentions)
    graph = fold_pooling(graph)  # as engine and reference compute it
    before = {name: graph.predecessors(name) for name in graph.order}
    for name, report in result.attentions.items():
        if chain_before(graph.nodes, before, name) and not _is_exact(graph, name, before):
            continue
        np.testing.assert_array_equal(report.scores, dense_scores(graph, name, dense.values), err_msg=name)


def _is_exact(graph: Graph, name: str, before: dict[str, tuple[str, ...]]) -> bool:
    """Whether what the chain before an attention takes is on a grid: not scaled, not divided by 3."""
    above, frontier = set(), [name]
    while frontier:
        at = frontier.pop()
        above.add(at)
        frontier += [source for source in before[at] if source not in above]
    nodes = [graph.nodes[at] for at in above - {name}]
    if any(isinstance(node, ATTENTIONS) and node.scaling for node in nodes):
        return False
    areas = [node.kernel_size for node in nodes if type(node).__name__ == "AvgPool2d"]
    return all(rows * columns in {1, 2, 4} for rows, columns in areas)


@FEW
@given(attended_runs(causal=True), st.data())
def test_causal_attention_decides_the_same_in_any_chunks(run: Run, data: st.DataObject) -> None:
    graph, frames = run
    whole = neuro.simulate(graph, frames)
    stops = data.draw(st.lists(st.integers(0, len(frames)), max_size=3).map(sorted))
    parts, state = [], None
    for start, stop in zip([0, *stops], [*stops, len(frames)], strict=True):
        parts.append(neuro.simulate(graph, frames[start:stop], state=state))
        state = parts[-1].state
    for name, output in whole.outputs.items():
        np.testing.assert_array_equal(np.concatenate([part.outputs[name] for part in parts]), output)
    for name, report in whole.attentions.items():
        for field in ("scores", "kept"):
            chunks = [getattr(part.attentions[name], field) for part in parts]
            np.testing.assert_array_equal(np.concatenate(chunks), getattr(report, field))
        assert sum(part.attentions[name].events_kept for part in parts) == report.events_kept
    for name, selection in whole.selections.items():
        counts = [part.selections[name].entries_kept for part in parts if name in part.selections]
        assert sum(counts) == selection.entries_kept


@FEW
@given(attended_runs())
def test_without_dropping_a_network_is_the_one_without_attention(run: Run) -> None:
    graph, frames = run
    nodes = {
        name: replace(node, scaling=False) if isinstance(node, ATTENTIONS) else node
        for name, node in graph.nodes.items()
    }
    graph = Graph(nodes, graph.edges, graph.execution)
    plain = {name: node for name, node in nodes.items() if not isinstance(node, ATTENTIONS)}
    edges = [(_past(graph, source), target) for source, target in graph.edges if target in plain]
    without = neuro.simulate(Graph(plain, edges, graph.execution), frames)
    result = neuro.simulate(graph, frames, use_attention=False)
    for name, output in without.outputs.items():
        if name in result.outputs:
            np.testing.assert_array_equal(result.outputs[name], output)
    assert result.counters.synaptic_operations == without.counters.synaptic_operations


def _past(graph: Graph, name: str) -> str:
    while isinstance(graph.nodes[name], ATTENTIONS):
        name = graph.predecessors(name)[0]
    return name


@FEW
@given(attended_runs())
def test_a_dropped_frame_never_reaches_the_synapse(run: Run) -> None:
    """With every temporal threshold out of reach nothing is added up behind the attention."""
    graph, frames = run
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node, TEMPORAL):
            low = {"bias_2": np.full_like(node.bias_2, -90.0), "weight_2": np.zeros_like(node.weight_2)}
            low["bias_2"] = low["bias_2"] if low["bias_2"].shape else float(low["bias_2"])
            nodes[name] = replace(node, **low, threshold=1.0)
    graph = Graph(nodes, graph.edges, graph.execution)
    result = neuro.simulate(graph, frames)
    before = {name: graph.predecessors(name) for name in graph.order}
    for name, report in result.attentions.items():
        assert report.is_all_dropped
        for at in chain_before(graph.nodes, before, name):
            assert result.counters.synaptic_operations.get(at, 0) == 0
        for at in graph.successors(name):
            if isinstance(graph.nodes[at], SYNAPSES):
                assert result.counters.synaptic_operations[at] == 0
                assert sum(result.counters.path_steps[at].values()) == 0


def test_scores_far_below_zero_are_those_of_the_reference() -> None:
    logits = np.linspace(-40, 40, 20_001, dtype=np.float32)
    scores = np.empty_like(logits)
    sigmoid(logits, scores)
    np.testing.assert_array_equal(scores, _sigmoid(logits))
