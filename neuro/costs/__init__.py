"""What a run costs: operations, bytes moved, energy under named models, beside a quantised conventional network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuro.front import on_demand

if TYPE_CHECKING:
    from neuro.costs.counting import spike_driven_operations
    from neuro.costs.energy import (
        ENERGY_MODELS,
        Arithmetic,
        Energy,
        EnergyModel,
        LemaireModel,
        LoihiModel,
        Memory,
        energy_table,
    )
    from neuro.costs.geometry import NeuronSize, SynapseSize, sizes
    from neuro.costs.work import LayerWork, Work, conventional_work, spiking_work

__all__ = [
    "spike_driven_operations",
    "sizes",
    "SynapseSize",
    "NeuronSize",
    "Work",
    "LayerWork",
    "spiking_work",
    "conventional_work",
    "ENERGY_MODELS",
    "EnergyModel",
    "Energy",
    "Arithmetic",
    "Memory",
    "LemaireModel",
    "LoihiModel",
    "energy_table",
]

__getattr__ = on_demand(
    __name__,
    {
        "neuro.costs.counting": ("spike_driven_operations",),
        "neuro.costs.energy": (
            "ENERGY_MODELS",
            "Arithmetic",
            "Energy",
            "EnergyModel",
            "LemaireModel",
            "LoihiModel",
            "Memory",
            "energy_table",
        ),
        "neuro.costs.geometry": ("NeuronSize", "SynapseSize", "sizes"),
        "neuro.costs.work": ("LayerWork", "Work", "conventional_work", "spiking_work"),
    },
)
