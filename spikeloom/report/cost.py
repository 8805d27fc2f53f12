"""What the layers of a network did, against what computing everything would take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import neuro.graph
from spikeloom.evaluation import Evaluation


@dataclass(frozen=True)
class LayerCost:
    """Work of one layer over all recordings.

    Attributes
    ----------
    name : str
        Name of the node.
    kind : str
        Its type.
    operations : int
        Accumulations executed with attention.
    operations_without_attention : int
        Accumulations executed with every frame.
    dense_operations : int
        Multiplications and additions of a computation of every frame that does not look at zeros.
    """

    name: str
    kind: str
    operations: int
    operations_without_attention: int
    dense_operations: int


def layer_costs(graph: neuro.graph.Graph, evaluation: Evaluation) -> list[LayerCost]:
    """List the work of every layer with weights, from the input side to the output side.

    Parameters
    ----------
    graph : neuro.graph.Graph
        The network.
    evaluation : Evaluation
        Its run over a collection.

    Returns
    -------
    list of LayerCost
        One per layer that executed or could have executed accumulations.
    """
    with_attention = evaluation.layer_operations()
    without = evaluation.layer_operations(attention=False)
    n_frames = int(evaluation.total("frames_total"))
    return [
        LayerCost(
            name=name,
            kind=type(graph.nodes[name]).__name__,
            operations=with_attention.get(name, 0),
            operations_without_attention=without.get(name, 0),
            dense_operations=n_frames * dense_operations(graph, name),
        )
        for name in graph.order
        if name in without
    ]


def dense_operations(graph: neuro.graph.Graph, name: str) -> int:
    """Count the multiply-accumulates of one step of a layer computed densely.

    Parameters
    ----------
    graph : neuro.graph.Graph
        The network.
    name : str
        Name of a node.

    Returns
    -------
    int
        ``n_outputs * inputs per output``; 0 for nodes without weights or windows.
    """
    node = graph.nodes[name]
    n_outputs = int(np.prod(graph.shapes[name]))
    if isinstance(node, neuro.graph.Linear | neuro.graph.Conv2d):
        return n_outputs * int(np.prod(node.weight.shape[1:]))
    if isinstance(node, neuro.graph.SumPool2d | neuro.graph.AvgPool2d | neuro.graph.MaxPool2d):
        return n_outputs * int(np.prod(node.kernel_size))
    return 0
