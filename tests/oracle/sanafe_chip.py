"""A mapped network in SANA-FE's model of Loihi: the same neurons on the same cores. SANA-FE is GPL: for tests only."""

from __future__ import annotations

from typing import Any

import numpy as np

import hw
from hw.synapse_tables import synapse_table


def simulate(mapping: hw.Mapping, n_steps: int) -> dict[str, Any]:
    """Run a network without input: integrating neurons with a bias, no current from step to step.

    Returns SANA-FE's results, and under 'trains' the spikes as pairs (step, number of the neuron) by population.
    """
    import sanafe

    fixed = mapping.fixed
    architecture, network = sanafe.load_loihi(), sanafe.Network()
    groups = {}
    for name, population in fixed.populations.items():
        if population.kind == "input":
            continue
        assert int(np.min(population.current_decay)) == 4096
        assert int(np.max(population.membrane_decay)) == 0
        group = network.create_neuron_group(
            name, population.size, soma_hw_name="loihi_lif", default_synapse_hw_name="loihi_dense_synapse",
            log_spikes=True,
        )  # fmt: skip
        thresholds, biases = population.register("threshold"), population.bias / 64
        for neuron, threshold, bias in zip(group, thresholds.tolist(), biases.tolist(), strict=True):
            neuron.set_attributes(
                model_attributes={
                    "threshold": threshold, "bias": bias, "leak_decay": 1.0, "reset": 0.0, "reset_mode": "hard",
                }
            )  # fmt: skip
        groups[name] = group
    for k, connection in enumerate(fixed.connections):
        if connection.source in groups:
            table = synapse_table(fixed, k)
            pairs = list(zip(table.columns.tolist(), table.rows.tolist(), strict=True))
            weights = table.weights.astype(float).tolist()
            groups[connection.source].connect_neurons_sparse(
                groups[connection.target], {"weight": weights}, pairs
            )
    place = mapping.placement
    for block in mapping.partition.blocks:
        tile = int(place.column[block.core]) * 4 + int(place.row[block.core])
        core = architecture.tiles[tile].cores[int(place.slot[block.core])]
        neurons = list(groups[block.population])
        for neuron in block.neurons.tolist():
            neurons[neuron].map_to_core(core)
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    found = chip.sim(n_steps, perf_trace=True, spike_trace=True)
    trains: dict[str, list[tuple[int, int]]] = {name: [] for name in groups}
    for step, fired in enumerate(found["spike_trace"]):
        for address in fired:
            name, _, number = str(address).rpartition(".")
            trains[name].append((step, int(number)))
    found["trains"] = {name: sorted(pairs) for name, pairs in trains.items()}
    return dict(found)
