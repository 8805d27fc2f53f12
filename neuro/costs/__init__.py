"""What a run costs: operations, bytes moved, energy under named models, beside a quantised conventional network."""

from __future__ import annotations

from neuro.costs.counting import spike_driven_operations
from neuro.costs.geometry import NeuronSize, SynapseSize, sizes

__all__ = ["spike_driven_operations", "sizes", "SynapseSize", "NeuronSize"]
