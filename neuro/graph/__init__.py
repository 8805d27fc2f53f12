"""What a network is: node types, Graph, shapes, files and NIR exchange."""

from __future__ import annotations

from neuro.graph.execution import Clocked, Continuous, Execution, clocked, continuous
from neuro.graph.files import read_graph, write_graph
from neuro.graph.folding import fold_pooling
from neuro.graph.graph import Graph
from neuro.graph.nir_exchange import read_nir, to_nir, write_nir
from neuro.graph.nodes import (
    IF,
    LI,
    LIF,
    NEURONS,
    NODE_TYPES,
    POOLS,
    SPIKING,
    SYNAPSES,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Node,
    SumPool2d,
    TemporalAttention,
)
from neuro.graph.storage import check_format, opened_file, replaced_file

__all__ = [
    "Graph",
    "fold_pooling",
    "write_graph",
    "read_graph",
    "replaced_file",
    "opened_file",
    "check_format",
    "read_nir",
    "write_nir",
    "to_nir",
    "Clocked",
    "Continuous",
    "Execution",
    "clocked",
    "continuous",
    "Node",
    "Input",
    "Linear",
    "Conv2d",
    "SumPool2d",
    "AvgPool2d",
    "MaxPool2d",
    "Flatten",
    "Add",
    "Concat",
    "Delay",
    "IF",
    "LIF",
    "CubaLIF",
    "LI",
    "TemporalAttention",
    "NODE_TYPES",
    "SYNAPSES",
    "POOLS",
    "SPIKING",
    "NEURONS",
]
