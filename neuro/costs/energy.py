"""Energy of a run's work under named models, each number with its public source."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from neuro.costs.work import LayerWork, Work

__all__ = [
    "ENERGY_MODELS",
    "Arithmetic",
    "Energy",
    "EnergyModel",
    "LemaireModel",
    "LoihiModel",
    "Memory",
    "energy_table",
]


@dataclass(frozen=True)
class Energy:
    """Energy of one recording under one model.

    Attributes
    ----------
    model : str
        Name of the model.
    parts_pj : mapping of str to float
        Energy of each part in picojoules.
    unpriced : tuple of str
        What the model has no price for.
    """

    model: str
    parts_pj: Mapping[str, float]
    unpriced: tuple[str, ...]

    @property
    def total_pj(self) -> float:
        """Sum of the parts in picojoules."""
        return math.fsum(self.parts_pj.values())


@dataclass(frozen=True)
class EnergyModel(ABC):
    """Prices of operations, and which operations a network needs.

    Attributes
    ----------
    name : str
        Short name.
    source : str
        Where the numbers were published.
    """

    name: str
    source: str

    @abstractmethod
    def energy(self, work: Work) -> Energy | None:
        """Return the energy of the work; None where the model does not apply to such a network.

        Parameters
        ----------
        work : Work
            Counts of a run.

        Returns
        -------
        Energy or None
            By part.
        """


def _operations(layer: LayerWork) -> tuple[int, int]:
    """Multiplications and additions: of products, biases, leaks, and a subtraction for each reset."""
    multiplications = layer.multiply_accumulates + layer.leaks
    resets = layer.outputs_written if layer.is_spiking else 0
    return multiplications, layer.products + layer.bias_additions + layer.leaks + resets


@dataclass(frozen=True)
class Arithmetic(EnergyModel):
    """Additions and multiplications only, as most papers count: memory is free, which flatters everybody.

    Attributes
    ----------
    add_pj, multiply_pj : float
        Price of an operation in picojoules.
    """

    add_pj: float
    multiply_pj: float

    def energy(self, work: Work) -> Energy:
        """Return the energy of the arithmetic.

        Parameters
        ----------
        work : Work
            Counts of a run.

        Returns
        -------
        Energy
            Parts 'additions' and 'multiplications'.
        """
        counts = [_operations(layer) for layer in work.layers]
        return Energy(
            self.name,
            {
                "additions": self.add_pj * sum(adds for _, adds in counts),
                "multiplications": self.multiply_pj * sum(products for products, _ in counts),
            },
            ("memory", "control", *work.unpriced),
        )


@dataclass(frozen=True)
class Memory(Arithmetic):
    """Arithmetic, and every byte moved, priced by the size of the memory that it lies in.

    Bytes are those of `LayerWork`: a weight for each product, a state read and written for each update, inputs and
    outputs once each. Each of the three lies in a memory of its own, as small as the table allows.
    """

    #: (Bytes, picojoules for 64 bits): caches of 8 KB, 32 KB and 1 MB, then DRAM (the lower of 1.3 to 2.6 nJ).
    ACCESS_PJ: ClassVar[tuple[tuple[float, float], ...]] = (
        (8 * 1024, 10.0),
        (32 * 1024, 20.0),
        (1024 * 1024, 100.0),
        (math.inf, 1300.0),
    )

    def energy(self, work: Work) -> Energy:
        """Return the energy of arithmetic and memory.

        Parameters
        ----------
        work : Work
            Counts of a run.

        Returns
        -------
        Energy
            Parts 'additions', 'multiplications', 'weights', 'states' and 'activations'.
        """
        arithmetic = super().energy(work)
        parts = dict(arithmetic.parts_pj) | {"weights": 0.0, "states": 0.0, "activations": 0.0}
        for layer in work.layers:
            held = (layer.size.n_weights + layer.size.n_biases) * layer.weight_bits / 8
            parts["weights"] += layer.weight_bytes * self._per_byte(held)
            states = layer.n_neurons * layer.n_states * layer.state_bits / 8
            parts["states"] += layer.state_bytes * self._per_byte(states)
            activations = (layer.size.n_inputs + layer.n_neurons) * layer.activation_bits / 8
            parts["activations"] += layer.activation_bytes * self._per_byte(activations)
        return Energy(self.name, parts, ("control", *work.unpriced))

    def _per_byte(self, held_bytes: float) -> float:
        return next(price for size, price in self.ACCESS_PJ if held_bytes <= size) / 8


@dataclass(frozen=True)
class LemaireModel(EnergyModel):
    """The analytical model of Lemaire et al.: operations, memory and addressing of a digital 45 nm circuit.

    A spiking layer reads each input event, and for each of its products a weight and a potential, which it writes
    back; each step also reads and writes the potential of every output. A conventional convolution reads an input
    and a weight for each product, a dense layer each input once. An access costs
    ``slope_pj * values * bits + base_pj``, with the number of values stored in that memory. Where the article
    estimates products from spike rates, the counted ones stand; events of a spiking layer lie in a queue of
    `queue_values` values. A state is read as often as it is written.

    Attributes
    ----------
    add_pj, multiply_pj : float
        Integer operations of 32 bits.
    slope_pj, base_pj : float
        Price of an access to a static memory.
    queue_values : int
        Length of the queues between spiking layers.
    """

    add_pj: float
    multiply_pj: float
    slope_pj: float
    base_pj: float
    queue_values: int

    def energy(self, work: Work) -> Energy:
        """Return the energy of operations, memory and addressing.

        Parameters
        ----------
        work : Work
            Counts of a run.

        Returns
        -------
        Energy
            Parts 'operations', 'weights', 'potentials', 'activations' and 'addressing'.
        """
        parts = dict.fromkeys(("operations", "weights", "potentials", "activations", "addressing"), 0.0)
        for layer in work.layers:
            for name, value in self._layer(layer).items():
                parts[name] += value
        return Energy(self.name, parts, ("control", *work.unpriced))

    def _layer(self, layer: LayerWork) -> dict[str, float]:
        multiplications, additions = _operations(layer)
        size = layer.size
        weight = self._access(size.n_weights + size.n_biases, layer.weight_bits)
        potential = self._access(layer.n_neurons * max(1, layer.n_states), layer.state_bits)
        potentials = layer.products + layer.updates if layer.is_spiking else 0
        if layer.is_spiking:
            moved = layer.inputs_read + layer.outputs_written
            activations = moved * self._access(self.queue_values, layer.activation_bits)
        else:
            reads = layer.inputs_read if layer.is_linear else layer.products
            activations = reads * self._access(size.n_inputs, layer.activation_bits)
            activations += layer.outputs_written * self._access(layer.n_neurons, layer.activation_bits)
        return {
            "operations": self.multiply_pj * multiplications + self.add_pj * additions,
            "weights": (layer.products + layer.bias_additions) * weight,
            "potentials": 2 * potentials * potential,
            "activations": activations,
            "addressing": self._addressing(layer),
        }

    def _access(self, values: int, bits: int) -> float:
        return self.slope_pj * values * bits + self.base_pj

    def _addressing(self, layer: LayerWork) -> float:
        """Finding the outputs of an event: two products and an addition for each tap; otherwise counting up."""
        if layer.is_linear or not layer.is_spiking:
            return self.add_pj * (layer.inputs_read if not layer.is_spiking else layer.products)
        group = max(1, layer.size.n_outputs // max(1, layer.size.n_pixels))
        return 2 * layer.inputs_read * (self.multiply_pj + self.add_pj) + self.add_pj * layer.products / group


@dataclass(frozen=True)
class LoihiModel(EnergyModel):
    """Published prices of a neuromorphic chip, without its static power; it says nothing of conventional networks.

    Attributes
    ----------
    synaptic_pj : float
        A synaptic operation.
    active_pj, inactive_pj : float
        The update of a neuron that fires, and of one that does not.
    spike_pj : float
        A spike within a tile.
    """

    synaptic_pj: float
    active_pj: float
    inactive_pj: float
    spike_pj: float

    def energy(self, work: Work) -> Energy | None:
        """Return the energy of synaptic operations, updates and spikes.

        Parameters
        ----------
        work : Work
            Counts of a run.

        Returns
        -------
        Energy or None
            None for a conventional network.
        """
        if not all(layer.is_spiking for layer in work.layers):
            return None
        spikes = sum(min(layer.outputs_written, layer.updates) for layer in work.layers)
        updates = sum(layer.updates for layer in work.layers)
        return Energy(
            self.name,
            {
                "synaptic operations": self.synaptic_pj * work.total("products"),
                "neuron updates": self.active_pj * spikes + self.inactive_pj * (updates - spikes),
                "spikes": self.spike_pj * spikes,
            },
            ("static power", "synchronisation", "hops between tiles", *work.unpriced),
        )


_HOROWITZ = (
    "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, fig. 1.1.9 (45 nm)"
)

ENERGY_MODELS: tuple[EnergyModel, ...] = (
    Arithmetic("45 nm float32, arithmetic only", _HOROWITZ, add_pj=0.9, multiply_pj=3.7),
    Arithmetic("45 nm int32 sums, int8 products, arithmetic only", _HOROWITZ, add_pj=0.1, multiply_pj=0.2),
    Memory("45 nm float32 with memory", _HOROWITZ, add_pj=0.9, multiply_pj=3.7),
    LemaireModel(
        "Lemaire 2022, 45 nm int32",
        "E. Lemaire et al., An analytical estimation of spiking neural networks energy efficiency, ICONIP 2022, "
        "eqs. 1 to 17; operations as Horowitz 2014; access price of the authors' published tool (Qualia)",
        add_pj=0.1,
        multiply_pj=3.1,
        slope_pj=1.09e-5,
        base_pj=13.2,
        queue_values=1024,
    ),
    LoihiModel(
        "Loihi 1, dynamic part",
        "M. Davies et al., Loihi: a neuromorphic manycore processor with on-chip learning, IEEE Micro 38(1), 2018, "
        "table 2 (pre-silicon simulation, 0.75 V)",
        synaptic_pj=23.6,
        active_pj=81.0,
        inactive_pj=52.0,
        spike_pj=1.7,
    ),
)


def energy_table(
    works: Sequence[Work], *, models: Sequence[EnergyModel] = ENERGY_MODELS
) -> list[tuple[str, tuple[float | None, ...]]]:
    """Put the energy of several networks side by side.

    Parameters
    ----------
    works : sequence of Work
        For example a spiking run, the same run with dynamics, and the quantised conventional network.
    models : sequence of EnergyModel
        The models.

    Returns
    -------
    list of (str, tuple of float or None)
        For each model its name and the energies in picojoules, in the order of `works`; None where the model
        does not apply.
    """
    table = []
    for model in models:
        energies = [model.energy(work) for work in works]
        table.append((model.name, tuple(None if found is None else found.total_pj for found in energies)))
    return table
