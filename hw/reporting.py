"""A mapping for people: a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from hw.agreement import LayerReport
from hw.mapping import Mapping

__all__ = ["text_table", "rows"]


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
            f"{cost.step_time_s * 1e6:.3g} us (busiest core and barrier; slowest step "
            f"{cost.slowest_step_time_s * 1e6:.3g} us), {cost.step_energy_j * 1e9:.4g} nJ",
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
