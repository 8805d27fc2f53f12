"""What blocks take and send, counted synapse by synapse from lists: slow, and without any sharing of code."""

from __future__ import annotations

import math

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


def synapse_memory(mapping: hw.Mapping) -> list[tuple[int, int, int]]:
    """Count input axons, words of memory (states too) and neurons of each core, without convolutions."""
    fixed, target = mapping.fixed, mapping.target
    found = [(0, 0, 0)] * mapping.n_cores
    for block in mapping.partition.blocks:
        members = set(block.neurons.tolist())
        axons, words = 0, -(-len(members) * target["state_bits"] // 64)
        for k, connection in enumerate(fixed.connections):
            if connection.target != block.population:
                continue
            table = synapse_table(fixed, k)
            each: dict[int, int] = {}
            for row, column in zip(table.rows.tolist(), table.columns.tolist(), strict=True):
                if row in members:
                    each[column] = each.get(column, 0) + 1
            bits = connection.weight_bits + (connection.sign == "mixed" and connection.weight_bits < 8)
            bits += int(connection.longest_delay).bit_length()
            axons += len(each)
            words += sum(_shortest(n, len(members), bits, target) for n in each.values())
        before = found[block.core]
        found[block.core] = before[0] + axons, before[1] + words, before[2] + len(members)
    return found


def _shortest(n: int, n_targets: int, bits: int, target: hw.Target) -> int:
    """Return the words of one axon: all weights in a row, numbered ones, or ones with the distance to the next."""
    index = target["index_bits"]
    words = []
    for count, each, header in (
        (n_targets, bits, 10 + index),
        (n, bits + index, 10),
        (n, bits + 4, 10 + index),
    ):
        used = math.ceil(count / target["synapses_per_entry"]) * header + count * each
        full = math.ceil(used / 64)
        words.append(full + (1 if used % 64 == 0 or used % 64 > 58 else 0))
    return min(words)
