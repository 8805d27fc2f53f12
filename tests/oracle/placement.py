"""What blocks take and send, counted synapse by synapse from lists: slow, and without any sharing of code."""

from __future__ import annotations

import numpy as np

import hw
from hw.synapse_tables import synapse_table


def messages(mapping: hw.Mapping, trains: list[hw.Result]) -> dict[tuple[int, int], float]:
    """Count spikes times destination cores, one by one, without those that stay in a core."""
    fixed = mapping.fixed
    core = {}
    for block in mapping.partition.blocks:
        for neuron in block.neurons.tolist():
            core[block.population, neuron] = block.core
    found: dict[tuple[int, int], float] = {}
    n_steps = sum(result.n_steps + fixed.depth for result in trains)
    for k, connection in enumerate(fixed.connections):
        table = synapse_table(fixed, k)
        goals: dict[int, set[int]] = {}
        for row, column in zip(table.rows.tolist(), table.columns.tolist(), strict=True):
            goals.setdefault(column, set()).add(core[connection.target, row])
        for result in trains:
            train = result.trains[connection.source]
            for neuron in train.index.tolist():
                here = core.get((connection.source, neuron), -1)
                for goal in goals.get(neuron, ()):
                    if goal != here:
                        found[here, goal] = found.get((here, goal), 0.0) + 1 / n_steps
    return found


def operations(mapping: hw.Mapping, trains: list[hw.Result]) -> np.ndarray:
    """Count synapses that spikes read, by core and step of the chip, shape (n_cores, n_steps) of the first run."""
    fixed, result = mapping.fixed, trains[0]
    found = np.zeros((mapping.n_cores, result.n_steps + fixed.depth))
    core = {}
    for block in mapping.partition.blocks:
        for neuron in block.neurons.tolist():
            core[block.population, neuron] = block.core
    for k, connection in enumerate(fixed.connections):
        table = synapse_table(fixed, k)
        into: dict[int, list[int]] = {}
        for row, column in zip(table.rows.tolist(), table.columns.tolist(), strict=True):
            into.setdefault(column, []).append(core[connection.target, row])
        train = result.trains[connection.source]
        for step, neuron in zip(train.step.tolist(), train.index.tolist(), strict=True):
            for goal in into.get(neuron, ()):
                found[goal, step] += 1
    return found


def output_axons(mapping: hw.Mapping) -> list[int]:
    """Count the entries of each core: one for each neuron, or two for each pixel, and block that hears it."""
    fixed, target = mapping.fixed, mapping.target
    found = [0] * mapping.n_cores
    entries = set()
    core = {}
    for block in mapping.partition.blocks:
        for neuron in block.neurons.tolist():
            core[block.population, neuron] = block.core
    for k, connection in enumerate(fixed.connections):
        shape = fixed.populations[connection.source].shape
        shares = connection.kind == "conv" and shape[0] > 1 and target["population_axons"] > 0
        n_pixels = shape[-1] * shape[-2] if len(shape) == 3 else 1
        table = synapse_table(fixed, k)
        for row, column in zip(table.rows.tolist(), table.columns.tolist(), strict=True):
            here = core.get((connection.source, column))
            if here is not None:
                place = column % n_pixels if shares else column
                entries.add((k, here, core[connection.target, row], place, 2 if shares else 1))
    for _, here, _, _, slots in entries:
        found[here] += slots
    return found
