"""A mapping as a page that needs nothing else: mesh, traffic, time, energy, quantisation, proof, cores."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw.blocks import RESOURCES
from hw.costs import Cost
from hw.mapping import Mapping
from hw.mesh_drawing import Shade, colour, draw_bars, draw_chip, link_loads
from hw.reporting import rows
from hw.targets import TERMS

if TYPE_CHECKING:
    from hw.proof import Certificate

__all__ = ["html_page"]

_MOST_CHIPS = 16
_MOST_CORES = 2000
_MOST_BARS = 200


def html_page(mapping: Mapping, certificate: Certificate | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    mapping : Mapping
        What is shown.
    certificate : Certificate, optional
        The proof, if there is one.

    Returns
    -------
    str
        HTML with its drawings inside.
    """
    title = f"{mapping.n_cores} cores of {mapping.target.name}"
    sections = [
        ("", _cards(mapping, certificate)),
        ("Mesh", _mesh(mapping)),
        ("Time of a step", _time(mapping)),
        ("Energy", _energy(mapping)),
        ("What quantisation costs", _quantisation(mapping)),
        ("Proof", _proof(certificate)),
        ("In words", _table(("", ""), rows(mapping))),
        ("Cores", _cores(mapping)),
    ]
    body = "".join(
        f"<section>{f'<h2>{name}</h2>' if name else ''}{content}</section>" for name, content in sections
    )
    return _PAGE.replace("TITLE", html.escape(title)).replace("BODY", body)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    inside = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{inside}</tbody></table></div>"


def _cards(mapping: Mapping, certificate: Certificate | None) -> str:
    bound = max(mapping.bound.values())
    basis = "measured" if mapping.is_measured else "if every neuron fires"
    cards = [
        (f"{mapping.n_cores}", "cores", f"at least {bound}; split one by one {mapping.sequential_cores}"),
        (f"{mapping.placement.n_chips}", "chips", f"{mapping.placement.n_tiles} tiles in use"),
        (
            f"{mapping.messages_per_step:,.0f}", "messages between cores per step",
            f"{basis}; split one by one {mapping.sequential_messages:,.0f}",
        ),
    ]  # fmt: skip
    for cost in mapping.costs:
        cards.append(
            (
                f"{cost.step_time_s * 1e6:.3g} µs", f"a step by {cost.table.name}",
                f"{cost.inference_time_s * 1e6:,.4g} µs and {cost.inference_energy_j * 1e6:.4g} µJ a recording",
            )
        )  # fmt: skip
    verdict = "none" if certificate is None else "equal" if certificate else "DIFFERENT"
    cards.append((verdict, "proof", "see below" if certificate else "verify with a recording"))
    return "<div class='cards'>" + "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span><small>{html.escape(more)}</small></div>"
        for value, name, more in cards
    ) + "</div>"  # fmt: skip


def _shades(mapping: Mapping) -> list[Shade]:
    """Return what colours the meshes: the tightest limit, memory, neurons, axons, time, messages."""
    target, cores = mapping.target, mapping.partition.cores
    names: dict[int, list[str]] = {}
    for block in mapping.partition.blocks:
        names.setdefault(block.core, []).append(block.population)
    who = [", ".join(names.get(core, [])) for core in range(mapping.n_cores)]
    shares = {
        name: np.array([usage.values[name] / target[name] for usage in cores])
        for name in ("compartments", "synaptic_words", "input_axons", "output_axons")
    }
    together = np.stack(list(shares.values()))
    tightest = together.argmax(axis=0)
    found = [
        Shade(
            "the limit that is used most", together.max(axis=0),
            [f"{who[k]}; {list(shares)[t].replace('_', ' ')} {together[t, k]:.0%}" for k, t in enumerate(tightest)],
        )
    ]  # fmt: skip
    for name, share in shares.items():
        shown = name.replace("_", " ")
        found.append(Shade(shown, share, [f"{who[k]}; {shown} {x:.0%}" for k, x in enumerate(share)]))
    sent = mapping.messages[:-1].sum(axis=1) + mapping.messages.sum(axis=0)
    found.append(_relative("messages in and out", sent, who, "messages/step"))
    if mapping.costs:
        busy = mapping.costs[-1]
        found.append(_relative(f"time busy by {busy.table.name}", busy.busy_s * 1e6, who, "µs/step"))
    return found


def _relative(title: str, values: np.ndarray, who: list[str], unit: str) -> Shade:
    most = float(values.max(initial=0.0)) or 1.0
    labels = [f"{who[k]}; {value:,.4g} {unit}" for k, value in enumerate(values.tolist())]
    return Shade(f"{title} (darkest {most:,.3g} {unit})", values / most, labels)


def _mesh(mapping: Mapping) -> str:
    chips = np.unique(mapping.placement.chip).tolist()
    links, shades = link_loads(mapping), _shades(mapping)
    several = len(chips) > 1
    parts = []
    for chip in chips[:_MOST_CHIPS]:
        figures = "".join(
            draw_chip(mapping, chip, shade, links) for shade in (shades[:1] if several else shades)
        )
        parts.append(figures)
    scale = "".join(f'<i style="background:{colour(k / 10)}"></i>' for k in range(11))
    legend = (
        f'<p class="legend">0 % {scale} 100 % of a limit. White squares are free cores; lines between tiles are as '
        f"wide as they carry messages (widest {max(links.values(), default=0.0):,.0f} a step). "
    )
    if several:
        across = f"{mapping.placement.chip_crossings:,.1f}"
        legend += f"Between the {len(chips)} chips pass {across} messages times chips a step. "
    if len(chips) > _MOST_CHIPS:
        legend += f"Shown are {_MOST_CHIPS} of {len(chips)} chips. "
    return legend + "</p><div class='figures'>" + "".join(parts) + "</div>"


def _time(mapping: Mapping) -> str:
    if not mapping.costs:
        return f"<p>No times are published for {html.escape(mapping.target.name)}.</p>"
    parts = []
    for cost in mapping.costs:
        barrier = cost.table.barrier_time_s(mapping.placement.n_tiles) or 0.0
        parts.append(
            f"<p><b>{html.escape(cost.table.name)}</b>: {cost.step_time_s * 1e6:.4g} µs a step on average, the "
            f"slowest {cost.slowest_step_time_s * 1e6:.4g} µs: the core that is busiest in the step, and "
            f"{barrier * 1e6:.3g} µs of barrier. Core {cost.busiest_core} has the most to do.</p>"
        )
        order = np.argsort(-cost.busy_s)[:_MOST_BARS]
        labels = [f"core {core}" for core in order]
        parts.append(
            draw_bars(
                f"time that each core is busy in a step, by {cost.table.name}",
                cost.busy_s[order] * 1e6,
                labels,
                "µs",
            )
        )
    return "".join(parts)


def _energy(mapping: Mapping) -> str:
    if not mapping.costs:
        return (
            f"<p>No price per operation is published for {html.escape(mapping.target.name)}: no energy is given. A "
            "table of your own (TOML) brings it.</p>"
        )
    head = ["operation", "per step"]
    for cost in mapping.costs:
        head += [f"{cost.table.name}: pJ each", "nJ a step"]
    lines = [[meaning, *_priced(mapping.costs, term)] for term, meaning in TERMS.items()]
    total = ["together", ""]
    for cost in mapping.costs:
        total += ["", f"{cost.step_energy_j * 1e9:,.1f}"]
    notes = "".join(
        f"<p><b>{html.escape(cost.table.name)}</b> ({html.escape(cost.table.grade)}; {html.escape(cost.table.source)}) "
        f"does not price: {html.escape(', '.join(cost.unpriced))}.</p>"
        for cost in mapping.costs
    )
    return _table(head, [*lines, total]) + notes


def _priced(costs: Sequence[Cost], term: str) -> list[str]:
    cells = [f"{costs[0].counts.get(term, 0.0):,.1f}"]
    for cost in costs:
        if term in cost.table.energy_j:
            price = cost.table.energy_j[term]
            cells += [f"{price * 1e12:.4g}", f"{price * cost.counts.get(term, 0.0) * 1e9:,.1f}"]
        else:
            cells += ["not priced", ""]
    return cells


def _quantisation(mapping: Mapping) -> str:
    report = mapping.fixed.report
    if report is None:
        return "<p>The network came in whole numbers.</p>"
    head = (
        "layer", "weights", "decays", "threshold", "membrane", "spikes agree alone", "in the network", "vanished",
        "clipped", "overflows",
    )  # fmt: skip

    def shown(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.2%}"

    lines = [
        (
            layer.name, f"{layer.weight_error:.2%}", f"{layer.decay_error:.2%}", f"{layer.threshold_error:.2%}",
            shown(layer.membrane_error), shown(layer.spike_agreement), shown(layer.network_agreement),
            f"{layer.vanished} of {layer.weights}", f"{layer.clipped}", f"{layer.overflows}",
        )
        for layer in report.layers
    ]  # fmt: skip
    return _table(head, lines)


def _proof(certificate: Certificate | None) -> str:
    if certificate is None:
        return "<p>None: hw.verify compares core by core, and with Lava, on a recording.</p>"
    lines = [("verdict", "equal in all values" if certificate else f"different: {certificate.difference}")]
    lines += [
        (engine, f"{version}; {certificate.n_values.get(engine, 0):,} values compared")
        if engine in certificate.n_values
        else (engine, version)
        for engine, version in certificate.engines.items()
    ]
    lines += [(engine, f"not run: {reason}") for engine, reason in certificate.skipped.items()]
    size = f"{certificate.n_steps} steps, {certificate.n_spikes:,} spikes"
    lines += [
        ("recording", f"{size}, SHA-256 {certificate.input_digest}"),
        ("network", f"SHA-256 {certificate.network_digest}"),
    ]
    return _table(("", ""), lines)


def _cores(mapping: Mapping) -> str:
    head = ["core", "chip / tile / core", "blocks (neurons)", *(name.replace("_", " ") for name in RESOURCES)]
    head += ["messages in", "messages out"]
    names: dict[int, list[str]] = {}
    for block in mapping.partition.blocks:
        names.setdefault(block.core, []).append(f"{block.population} ({block.neurons.size})")
    received, sent = mapping.messages.sum(axis=0), mapping.messages[:-1].sum(axis=1)
    lines = []
    for core, usage in enumerate(mapping.partition.cores[:_MOST_CORES]):
        place = mapping.placement
        where = f"{place.chip[core]} / {place.column[core]}, {place.row[core]} / {place.slot[core]}"
        used = [f"{usage.values[name]:,}" for name in RESOURCES]
        lines.append(
            [
                f"{core}",
                where,
                ", ".join(names.get(core, [])),
                *used,
                f"{received[core]:,.1f}",
                f"{sent[core]:,.1f}",
            ]
        )
    limits = ["limit", "", "", *(f"{mapping.target[name]:,}" for name in RESOURCES), "", ""]
    more = ""
    if mapping.n_cores > _MOST_CORES:
        more = f"<p>Shown are {_MOST_CORES} of {mapping.n_cores} cores.</p>"
    return _table(head, [limits, *lines]) + more


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>TITLE</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1.2rem;color:#1b2430;background:#fff}
h1{font-size:1.7rem;margin:.2rem 0 1rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:2px solid #e3e8ef}
.cards{display:flex;flex-wrap:wrap;gap:.8rem}
.cards div{flex:1 1 13rem;border:1px solid #dde3ea;border-radius:.5rem;padding:.7rem .9rem;background:#f8fafc}
.cards b{display:block;font-size:1.5rem;line-height:1.2}.cards span{display:block}.cards small{color:#5b6776}
.wide{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #e6ebf1;vertical-align:top}th{font-weight:600}
.figures{display:flex;flex-wrap:wrap;gap:1.2rem 2rem}figure{margin:0 0 .6rem}figcaption{font-size:.85rem;color:#3c4858}
.legend i{display:inline-block;width:1.1rem;height:.8rem;vertical-align:-1px}
</style></head><body><h1>TITLE</h1>BODY</body></html>
"""
