"""The random graphs of the other property tests: do they reach what they promise to reach?"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings

from neuro.graph import CODING, NODE_TYPES, Graph
from tests.attention_strategies import attended_graphs
from tests.strategies import dense_inputs, graphs

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(graphs())
def test_graphs_are_clocked_with_one_sink(graph: Graph) -> None:
    assert len(graph.output_names) == 1
    assert graph.dt_s > 0
    assert set(graph.order) == set(graph.nodes) == set(graph.shapes)


@SETTINGS
@given(graphs().flatmap(lambda graph: dense_inputs(graph).map(lambda frames: (graph, frames))))
def test_inputs_fit_the_graph(pair) -> None:
    graph, frames = pair
    assert frames.dtype == "float32"
    assert frames.shape[1:] == graph.shapes[graph.input_name]


def test_every_node_type_and_grid_occurs() -> None:
    seen: set[str] = set()

    @settings(SETTINGS, max_examples=900, derandomize=True, database=None, phases=[Phase.generate])
    @given(graphs() | attended_graphs(n_frames=3))
    def collect(graph: Graph) -> None:
        seen.update(type(node).__name__ for node in graph.nodes.values())
        seen.update(["weight_grid"] if graph.weight_grid else [])

    collect()
    elsewhere = {  # network_strategies, mixed_strategies; tests of coded neurons
        "SparseLinear",
        "Rearrange",
        "PoissonSource",
        "CobaLIF",
        "AdaptiveLIF",
        "Izhikevich",
        *(node_type.__name__ for node_type in CODING),
    }
    assert seen == {*NODE_TYPES, "weight_grid"} - elsewhere
