"""From a NIR graph to a Graph, or an error that says what is missing or cannot be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.execution import Clocked
from neuro.graph.fields import as_float
from neuro.graph.graph import Graph
from neuro.graph.neurons import Update
from neuro.graph.nir_folding import fold_into_inputs, fold_into_outputs
from neuro.graph.nir_loops import delayed_loops
from neuro.graph.nir_nodes import NirNodes, Timing, plain_text, plain_value
from neuro.graph.nodes import SYNAPSES, Add, Node

__all__ = ["from_nir"]


@dataclass
class _Draft:
    """Nodes and edges on the way from NIR to a Graph; a Scale waits as its factor."""

    nodes: dict[str, Node] = field(default_factory=dict)
    scales: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def before(self, name: str) -> list[str]:
        return [source for source, target in self.edges if target == name]

    def after(self, name: str) -> list[str]:
        return [target for source, target in self.edges if source == name]


def from_nir(
    nir_graph: Any,
    *,
    dt_s: float | None,
    time_unit_s: float | None,
    update: Update,
    fold: bool,
    delay_loops: bool,
) -> Graph:
    """Return a NIR graph as a clocked Graph; see :func:`neuro.graph.nir_exchange.read_nir`."""
    metadata = _metadata(nir_graph)
    timing = _timing(metadata, dt_s, time_unit_s)
    nir_nodes, edges = _flattened(nir_graph, "")
    reader = NirNodes(timing=timing, update=update)
    draft = _Draft(edges=edges)
    factors: dict[str, NDArray[np.float64]] = {}
    for name, nir_node in nir_nodes.items():
        kind = type(nir_node).__name__
        if kind == "Output":
            draft.outputs[name] = nir_node
        elif kind == "Scale":
            draft.scales[name] = np.asarray(nir_node.scale, dtype=np.float64)
        else:
            draft.nodes[name], factor = reader.read(name, nir_node)
            if not np.allclose(factor, 1.0, rtol=1e-6, atol=0.0):
                factors[name] = factor
    _name_sums(draft, nir_nodes)
    _fold(draft, factors, fold=fold)
    if delay_loops:
        draft.nodes, draft.edges = delayed_loops(draft.nodes, draft.edges, timing.dt_s)
    notes = metadata.get("notes")
    return Graph(
        draft.nodes,
        draft.edges,
        Clocked(timing.dt_s),
        weight_grid=metadata.get("weight_grid"),
        metadata=dict(notes) if isinstance(notes, Mapping) else None,
    )


def _metadata(nir_graph: Any) -> dict[str, Any]:
    metadata = getattr(nir_graph, "metadata", None)
    return (
        {str(key): plain_value(value) for key, value in metadata.items()}
        if isinstance(metadata, dict)
        else {}
    )


def _timing(metadata: Mapping[str, Any], dt_s: float | None, time_unit_s: float | None) -> Timing:
    noted = metadata.get("time_unit_s")
    if time_unit_s is None and noted is None:
        raise GraphError(
            "NIR: the file does not say its unit of time; pass time_unit_s=1.0 if its time constants are in "
            "seconds, or time_unit_s=1e-3 if they are in milliseconds"
        )
    unit = as_float("NIR", "time_unit_s", noted if time_unit_s is None else time_unit_s)
    if noted is not None and unit != as_float("NIR", "time_unit_s", noted):
        raise GraphError(f"NIR: the file says time_unit_s = {noted}, got {unit}; leave time_unit_s out")
    if unit <= 0:
        raise GraphError(f"NIR: time_unit_s must be > 0, got {unit}")
    step = metadata.get("dt_s") if dt_s is None else dt_s
    if step is None:
        raise GraphError(
            "NIR: the file does not say its time step; pass dt_s, the length of a step in seconds"
        )
    return Timing(time_unit_s=unit, dt_s=Clocked(step).dt_s)


def _flattened(nir_graph: Any, prefix: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return nodes and edges with nested graphs replaced by their content, named ``outer.inner``."""
    nodes: dict[str, Any] = {}
    entries: dict[str, list[str]] = {}
    exits: dict[str, list[str]] = {}
    edges: list[tuple[str, str]] = []
    for key, node in nir_graph.nodes.items():
        name = prefix + plain_text(key).replace("/", ".")
        if type(node).__name__ != "NIRGraph":
            nodes[name] = node
            continue
        inner, inner_edges = _flattened(node, name + ".")
        gates = {
            kind: [inner_name for inner_name, item in inner.items() if type(item).__name__ == kind]
            for kind in ("Input", "Output")
        }
        if any(len(names) != 1 for names in gates.values()):
            raise GraphError(
                f"NIR: the nested graph {name!r} must have one Input and one Output to be flattened"
            )
        way_in, way_out = gates["Input"][0], gates["Output"][0]
        entries[name] = [target for source, target in inner_edges if source == way_in]
        exits[name] = [source for source, target in inner_edges if target == way_out]
        if way_out in entries[name]:
            raise GraphError(
                f"NIR: the nested graph {name!r} hands its input through; it cannot be flattened"
            )
        nodes.update({k: item for k, item in inner.items() if k not in (way_in, way_out)})
        edges += [edge for edge in inner_edges if way_in not in edge and way_out not in edge]
    for start, stop in nir_graph.edges:
        source, target = (prefix + plain_text(end).replace("/", ".") for end in (start, stop))
        edges += [(s, t) for s in exits.get(source, [source]) for t in entries.get(target, [target])]
    return nodes, edges


def _name_sums(draft: _Draft, nir_nodes: Mapping[str, Any]) -> None:
    """Put an Add where several edges meet, and take the Outputs off: sinks are outputs."""
    for name in [*draft.nodes, *draft.scales, *draft.outputs]:
        before = draft.before(name)
        if name in draft.scales and (draft.scales[name] == 1).all() and len(before) > 1:
            draft.nodes[name] = Add()
            del draft.scales[name]
        elif len(before) > 1:
            noted = (getattr(nir_nodes[name], "metadata", None) or {}).get("sum")
            sum_name = plain_text(noted) if noted is not None else f"{name}_sum"
            if sum_name in nir_nodes or sum_name in draft.nodes:
                raise GraphError(
                    f"NIR: the name {sum_name!r} of the sum before {name!r} is taken; rename the node"
                )
            draft.nodes[sum_name] = Add()
            draft.edges = [(source, sum_name if target == name else target) for source, target in draft.edges]
            draft.edges.append((sum_name, name))
    for name in draft.outputs:
        for source in draft.before(name):
            if len(draft.after(source)) > 1:
                raise GraphError(
                    f"NIR: Output {name!r} taps {source!r}, which also feeds other nodes; here outputs are the nodes "
                    "without successors, record the membrane or spikes of the node instead"
                )
        if draft.after(name):
            raise GraphError(f"NIR: Output {name!r} must not feed other nodes")
        draft.edges = [edge for edge in draft.edges if edge[1] != name]


def _fold(draft: _Draft, factors: Mapping[str, NDArray[np.float64]], *, fold: bool) -> None:
    for name, factor in factors.items():
        owner = f"NIR {type(draft.nodes[name]).__name__} {name!r}"
        if not fold:
            raise GraphError(
                f"{owner}: its input has the gain {factor.reshape(-1)[0]:.6g} (r, or w_in * dt / tau_syn), here it is "
                "1; pass fold=True to multiply it into the weights before it"
            )
        _fold_before(draft, owner, draft.before(name)[0], factor)
    for name, factor in list(draft.scales.items()):
        owner = f"NIR Scale {name!r}"
        source, after = _only(owner, draft.before(name)), draft.after(name)
        if not (factor == 1).all():
            if not fold:
                raise GraphError(
                    f"{owner}: has no node here; pass fold=True to multiply it into the weights beside it"
                )
            if isinstance(draft.nodes.get(source), SYNAPSES):
                _check_private(draft, owner, source)
                draft.nodes[source] = fold_into_outputs(owner, draft.nodes[source], factor)
            else:
                for target in after:
                    draft.nodes[target] = fold_into_inputs(owner, draft.nodes.get(target), factor)
                if not after:
                    raise GraphError(f"{owner}: there is no weight beside it into which it could be folded")
        draft.edges = [edge for edge in draft.edges if edge[1] != name]
        draft.edges = [(source if start == name else start, stop) for start, stop in draft.edges]
        del draft.scales[name]


def _fold_before(draft: _Draft, owner: str, source: str, factor: NDArray[np.float64]) -> None:
    """Multiply a factor into a synapse, or into all that a sum adds up."""
    _check_private(draft, owner, source)
    if isinstance(draft.nodes.get(source), Add):
        for before in draft.before(source):
            _fold_before(draft, owner, before, factor)
    else:
        draft.nodes[source] = fold_into_outputs(owner, draft.nodes.get(source), factor)


def _only(owner: str, before: list[str]) -> str:
    if len(before) != 1:
        raise GraphError(f"{owner}: needs exactly one input, got {len(before)}")
    return before[0]


def _check_private(draft: _Draft, owner: str, source: str) -> None:
    if len(draft.after(source)) != 1:
        raise GraphError(
            f"{owner}: cannot be folded into {source!r}, which also feeds {draft.after(source)[1:]}"
        )
