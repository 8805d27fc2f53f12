"""What a network is: node types, Graph, shapes, files and NIR exchange."""

from __future__ import annotations

from neuro.graph.execution import Clocked, Continuous, Execution, clocked, continuous
from neuro.graph.graph import Graph
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

__all__ = [
    "Graph",
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
