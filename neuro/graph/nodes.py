"""All node types in one place."""

from __future__ import annotations

from neuro.graph.attention import MovingAttention, TemporalAttention
from neuro.graph.attention_selection import ChannelAttention, SpatialAttention
from neuro.graph.coded import FirstSpikeIF, RadixIF, SigmaDelta, SignedIF, TwoPhaseIF
from neuro.graph.decoding import (
    CountMatrixProduct,
    CountMaxPool2d,
    CountProduct,
    Difference,
    RadixMaxPool2d,
    Readout,
)
from neuro.graph.neurons import IF, LI, LIF, CubaLIF
from neuro.graph.node import Node
from neuro.graph.pooling import AvgPool2d, MaxPool2d, SumPool2d
from neuro.graph.populations import AdaptiveLIF, CobaLIF, Izhikevich
from neuro.graph.rearranging import Rearrange
from neuro.graph.sources import PoissonSource
from neuro.graph.sparse import SparseLinear
from neuro.graph.structure import Add, Concat, Delay, Flatten, Input
from neuro.graph.synapses import Conv2d, Linear

__all__ = [
    "Node",
    "Input",
    "Linear",
    "Conv2d",
    "SumPool2d",
    "AvgPool2d",
    "MaxPool2d",
    "Flatten",
    "Rearrange",
    "Add",
    "Concat",
    "Delay",
    "IF",
    "LIF",
    "CubaLIF",
    "LI",
    "CobaLIF",
    "AdaptiveLIF",
    "Izhikevich",
    "SparseLinear",
    "PoissonSource",
    "TemporalAttention",
    "MovingAttention",
    "ChannelAttention",
    "SpatialAttention",
    "TwoPhaseIF",
    "SignedIF",
    "RadixIF",
    "FirstSpikeIF",
    "SigmaDelta",
    "CountMaxPool2d",
    "RadixMaxPool2d",
    "CountProduct",
    "CountMatrixProduct",
    "Difference",
    "Readout",
    "NODE_TYPES",
    "SPIKING",
    "NEURONS",
    "SYNAPSES",
    "POOLS",
    "TEMPORAL",
    "SELECTIONS",
    "ATTENTIONS",
    "POPULATIONS",
    "CODED",
    "PRODUCTS",
    "CODING",
]

SYNAPSES = (Linear, Conv2d)
POOLS = (SumPool2d, AvgPool2d, MaxPool2d)
CODED = (TwoPhaseIF, SignedIF, RadixIF, FirstSpikeIF, SigmaDelta)  # neurons that send whole counts
PRODUCTS = (CountProduct, CountMatrixProduct)
CODING = (*CODED, CountMaxPool2d, RadixMaxPool2d, *PRODUCTS, Difference, Readout)  # all nodes of section 16
POPULATIONS = (CobaLIF, AdaptiveLIF, Izhikevich)  # they run in networks of populations only
SPIKING = (IF, LIF, CubaLIF)
NEURONS = (IF, LIF, CubaLIF, LI)
TEMPORAL = (TemporalAttention, MovingAttention)
SELECTIONS = (ChannelAttention, SpatialAttention)
ATTENTIONS = (*TEMPORAL, *SELECTIONS)

NODE_TYPES: dict[str, type[Node]] = {
    node_type.__name__: node_type
    for node_type in (
        Input,
        *SYNAPSES,
        *POOLS,
        Flatten,
        Rearrange,
        Add,
        Concat,
        Delay,
        *NEURONS,
        *ATTENTIONS,
        *POPULATIONS,
        SparseLinear,
        PoissonSource,
        *CODING,
    )
}
