"""A mapping for people: a table for the terminal, and a page with the mesh."""

from __future__ import annotations

import html
from collections.abc import Iterator

import numpy as np

from hw.agreement import LayerReport
from hw.blocks import RESOURCES
from hw.mapping import Mapping

__all__ = ["text_table", "html_page", "rows"]

_SHOWN = ("compartments", "synaptic_words", "input_axons")


def rows(mapping: Mapping) -> Iterator[tuple[str, str]]:
    """Yield names and values of a mapping, one pair per line of a table."""
    fixed, bound = mapping.fixed, mapping.bound
    tightest = max(bound, key=lambda name: bound[name])
    yield "target", f"{mapping.target.name}, rules of {fixed.profile}"
    n_populations = sum(p.kind != "input" for p in fixed.populations.values())
    n_neurons = sum(p.size for p in fixed.populations.values() if p.kind != "input")
    yield "network", f"{n_neurons:,} neurons in {n_populations} populations, {fixed.depth} steps of lag"
    yield (
        "cores",
        f"{mapping.n_cores} on {mapping.placement.n_chips} chips (at least {bound[tightest]}, by {tightest})",
    )
    yield "cores, split population by population", f"{mapping.sequential_cores}"
    basis = "measured" if mapping.is_measured else "if every neuron fires"
    yield "messages between cores per step", f"{mapping.messages_per_step:,.1f} ({basis})"
    yield "the same, split population by population", f"{mapping.sequential_messages:,.1f}"
    placement = mapping.placement
    hops = placement.hops_by_column + placement.hops_by_row
    yield "hops per step", f"{hops:,.1f}; {placement.chip_crossings:,.1f} between chips"
    for cost in mapping.costs:
        yield (
            f"{cost.table.name}: step",
            f"{cost.step_time_s * 1e6:.3g} us (core {cost.busiest_core} and barrier), "
            f"{cost.step_energy_j * 1e9:.4g} nJ",
        )
        yield (
            f"{cost.table.name}: recording of {mapping.n_steps:.4g} steps",
            f"{cost.inference_time_s * 1e6:.4g} us, {cost.inference_energy_j * 1e6:.4g} uJ",
        )
        yield f"{cost.table.name}: not priced", ", ".join(cost.unpriced)
    if not mapping.costs:
        yield "energy", f"no prices are published for {mapping.target.name}; bring a table of your own (TOML)"
    if fixed.report is not None:
        for layer in fixed.report.layers:
            yield f"quantisation: {layer.name}", _layer(layer)
    for note in fixed.notes:
        yield "note", note


def _layer(layer: LayerReport) -> str:
    parts = [
        f"weights {layer.weight_error:.2%}, decays {layer.decay_error:.2%}, threshold {layer.threshold_error:.2%}"
    ]
    if layer.membrane_error is not None:
        parts.append(f"membrane {layer.membrane_error:.2%}")
    if layer.spike_agreement is not None:
        parts.append(
            f"spikes agree {layer.spike_agreement:.2%} alone, {layer.network_agreement:.2%} in the network"
        )
    parts.append(
        f"{layer.vanished} of {layer.weights} weights vanish, {layer.clipped} clipped, {layer.overflows} overflows"
    )
    return "; ".join(parts)


def text_table(mapping: Mapping) -> str:
    """Return the table for a terminal."""
    pairs = list(rows(mapping))
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in pairs)


def html_page(mapping: Mapping) -> str:
    """Return a page that needs nothing else: the table, the mesh of each chip, the cores."""
    table = "".join(f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows(mapping))
    maps = "".join(
        _mesh(mapping, chip, name) for chip in np.unique(mapping.placement.chip)[:8] for name in _SHOWN
    )
    cores = "".join(_core_row(mapping, core) for core in range(min(mapping.n_cores, 1000)))
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in RESOURCES)
    return _PAGE.format(
        title=html.escape(f"{mapping.target.name}: {mapping.n_cores} cores"),
        table=table,
        maps=maps,
        head=head,
        cores=cores,
    )


def _mesh(mapping: Mapping, chip: int, resource: str) -> str:
    """Draw a chip: tiles of the mesh with their cores, dark where a resource is used up."""
    target, placement = mapping.target, mapping.placement
    per_tile, columns = target["cores_per_tile"], target["mesh_columns"]
    n_rows = -(-target["cores_per_chip"] // (per_tile * columns))
    side = int(np.ceil(np.sqrt(per_tile)))
    cell, gap = 16, 6
    tile = side * cell + gap
    parts = []
    for row in range(n_rows):
        for column in range(columns):
            for slot in range(per_tile):
                if (row * columns + column) * per_tile + slot < target["cores_per_chip"]:
                    x, y = column * tile + slot % side * cell, row * tile + slot // side * cell
                    parts.append(
                        f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" class="free"/>'
                    )
    for core in np.flatnonzero(placement.chip == chip):
        share = mapping.partition.cores[core].values[resource] / target[resource]
        slot = int(placement.slot[core])
        x = int(placement.column[core]) * tile + slot % side * cell
        y = int(placement.row[core]) * tile + slot // side * cell
        populations = ", ".join(b.population for b in mapping.partition.blocks if b.core == core)
        label = html.escape(f"core {core}: {populations}; {resource.replace('_', ' ')} {share:.0%}")
        colour = f"hsl(215,70%,{90 - 60 * share:.0f}%)"
        parts.append(
            f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{colour}">'
            f"<title>{label}</title></rect>"
        )
    size = f'width="{columns * tile}" height="{n_rows * tile}"'
    caption = html.escape(f"chip {chip}: {resource.replace('_', ' ')}")
    drawing = f'<svg {size} role="img" aria-label="{caption}">{"".join(parts)}</svg>'
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def _core_row(mapping: Mapping, core: int) -> str:
    usage, placement = mapping.partition.cores[core], mapping.placement
    blocks = ", ".join(
        f"{b.population} ({b.neurons.size})" for b in mapping.partition.blocks if b.core == core
    )
    place = (
        f"{placement.chip[core]} / {placement.column[core]}, {placement.row[core]} / {placement.slot[core]}"
    )
    cells = "".join(f"<td>{usage.values[name]}</td>" for name in RESOURCES)
    traffic = f"<td>{mapping.messages[:, core].sum():.1f}</td><td>{mapping.messages[core].sum():.1f}</td>"
    return f"<tr><td>{core}</td><td>{place}</td><td>{html.escape(blocks)}</td>{cells}{traffic}</tr>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b2430}}
table{{border-collapse:collapse;margin:1rem 0}}
th,td{{text-align:left;padding:.2rem .7rem;border-bottom:1px solid #dde3ea}}
th{{font-weight:600}}figure{{display:inline-block;margin:.5rem 1rem}}figcaption{{font-size:.85rem}}.free{{fill:#eef1f5}}
</style></head><body><h1>{title}</h1><table>{table}</table><h2>Mesh</h2>{maps}
<h2>Cores</h2><table><tr><th>core</th><th>chip / tile / core</th><th>blocks (neurons)</th>{head}<th>messages in</th>
<th>messages out</th></tr>{cores}</table></body></html>
"""
