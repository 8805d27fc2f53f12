"""A mapping as plain data: cores, blocks, axons, memory, routes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hw.blocks import RESOURCES
from hw.mapping import FORMAT, VERSION, Mapping, ranges
from hw.network_files import network_document
from hw.partitioning import Block

__all__ = ["document_text", "mapping_document"]


def mapping_document(mapping: Mapping) -> dict[str, Any]:
    """Return a mapping as JSON can hold it."""
    partition, placement, target = mapping.partition, mapping.placement, mapping.target
    cores: list[dict[str, Any]] = [
        {
            "chip": int(placement.chip[k]),
            "tile": [int(placement.column[k]), int(placement.row[k])],
            "core": int(placement.slot[k]),
            "used": usage.values,
            "blocks": [],
        }
        for k, usage in enumerate(partition.cores)
    ]
    for block in partition.blocks:
        cores[block.core]["blocks"].append(_block(mapping, block))
    n = partition.n_cores
    routes = [
        ["host" if i == n else int(i), int(j), float(mapping.messages[i, j])]
        for i, j in zip(*np.nonzero(mapping.messages), strict=True)
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "target": {"name": target.name, "limits": {name: target[name] for name in target.limits}},
        "network": network_document(mapping.fixed),
        "cores_needed_at_least": mapping.bound,
        "sequential_split": {
            "cores": mapping.sequential_cores,
            "messages_per_step": mapping.sequential_messages,
        },
        "messages_per_step": mapping.messages_per_step,
        "messages_are_measured": mapping.is_measured,
        "resources": list(RESOURCES),
        "cores": cores,
        "routes": routes,
    }


def _block(mapping: Mapping, block: Block) -> dict[str, Any]:
    """Return which neurons a block holds, and the axons that reach them."""
    layer = mapping.partition.layers[block.population]
    axons = []
    for reach in layer.reaches(block.units):
        unit = "pixels" if len(mapping.fixed.populations[reach.source].shape) == 3 else "neurons"
        axons.append(
            {"from": reach.source, unit: ranges(reach.units), "axons": reach.axons, "words": reach.words}
        )
    whole = layer.by_pixel and layer.n_groups == 1
    members = {"pixels": ranges(block.units)} if whole else {"neurons": ranges(np.sort(block.neurons))}
    return {"population": block.population, **members, "axons": axons}


def document_text(document: dict[str, Any]) -> str:
    """Return a mapping's plain data as JSON: a line for each entry, and for each core and route.

    Examples
    --------
    >>> print(document_text({"version": 2, "routes": [[0, 1, 2.5], [1, 0, 3.0]]}), end="")
    {
    "version": 2,
    "routes": [
    [0, 1, 2.5],
    [1, 0, 3.0]
    ]
    }
    """
    lines = []
    for key, value in document.items():
        text = json.dumps(value)
        if isinstance(value, list) and value and isinstance(value[0], list | dict):
            text = "[\n" + ",\n".join(json.dumps(entry) for entry in value) + "\n]"
        lines.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
