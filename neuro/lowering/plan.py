"""Lowering: a graph becomes a list of operations on flat arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from neuro.errors import InputError
from neuro.graph import (
    ATTENTIONS,
    CODED,
    CODING,
    LI,
    NEURONS,
    PRODUCTS,
    SYNAPSES,
    TEMPORAL,
    Add,
    AvgPool2d,
    Clocked,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Readout,
    Rearrange,
    SparseLinear,
    SumPool2d,
    fold_pooling,
)
from neuro.graph.networks import refuse_populations
from neuro.kernels.arrays import Wiring
from neuro.kernels.pooling import MAXIMUM, SUM
from neuro.lowering.attending import attention_operation, attention_paths, chains, check_blocks, look_before
from neuro.lowering.calibration import machine_costs
from neuro.lowering.coding import Coded, coded_operation
from neuro.lowering.costs import Shape, Thresholds
from neuro.lowering.deciding import Paths
from neuro.lowering.layer import Layer
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Flat, Join, Line, Operation, Pool, Sum
from neuro.lowering.parameters import is_silence_safe, lower_neurons, no_neurons, resting_voltage
from neuro.lowering.products import product_operation
from neuro.lowering.rearranging import rearranged
from neuro.lowering.scoring import Temporal
from neuro.lowering.sparse import SparseSum, check_mixed, sparse_sum
from neuro.lowering.tables import window_tables
from neuro.lowering.wiring import dense_size, has_bytes, wire

__all__ = ["Plan", "lower"]

_BLOCK_ENTRIES = 2**22  # largest dense array of a block: 16 MB


@dataclass(frozen=True, eq=False)
class Plan:
    """What runs, in order.

    Attributes
    ----------
    operations : tuple of Operation
        Without the Input and the attention.
    layers, lines, coded : tuple of Layer, of Line and SparseSum, of Coded
        Those of the operations that compute synapses and neurons, those that hold what is on its way, coded neurons.
    layouts : dict of str to Layout
        The layout of every node.
    source : str
        The node whose output the first operations take: the attention where there is one, else the Input.
    attention : TemporalAttention, MovingAttention or None
        The node directly behind the Input that drops or scales frames.
    paths : dict of str to Paths
        For each operation, the attentions that drop its steps; empty if only the one behind the Input does.
    events : frozenset of str
        Nodes whose output is made of spikes or counts (not of currents or membranes).
    max_pool : str or None
        A MaxPool2d that sees entries of the Input (they must not be negative).
    block_steps : int
        Most steps computed at once.
    """

    operations: tuple[Operation, ...]
    layers: tuple[Layer, ...]
    lines: tuple[Line | SparseSum, ...]
    coded: tuple[Coded, ...]
    layouts: dict[str, Layout]
    source: str
    attention: Temporal | None
    paths: dict[str, Paths]
    events: frozenset[str]
    max_pool: str | None
    block_steps: int


@lru_cache(maxsize=16)
def lower(graph: Graph) -> Plan:
    """Return the plan of a clocked graph.

    Parameters
    ----------
    graph : Graph
        A clocked graph.

    Returns
    -------
    Plan
        The same object for equal graphs, while it is cached.

    Raises
    ------
    InputError
        If the graph runs in continuous time.
    """
    if not isinstance(graph.execution, Clocked):
        raise InputError(
            "simulate: the graph's execution is continuous, not clocked; it cannot run in steps "
            "(build the graph with execution=clocked(dt_s))"
        )
    refuse_populations(graph.nodes, "the engine of layered graphs (compare with neuro.reference_networks)")
    check_mixed(graph)
    graph = fold_pooling(graph)
    layouts = {name: Layout.of(shape) for name, shape in graph.shapes.items()}
    fused = {name for name in graph.order if _is_fused(graph, name)}
    operations: list[Operation] = []
    attention, source = None, graph.input_name
    seen: set[str] = set()
    looks = chains(graph)
    for name in graph.order:
        node = graph.nodes[name]
        if name in looks:
            operations.append(look_before(graph, looks[name], layouts))
        if isinstance(node, TEMPORAL) and graph.predecessors(name) == (graph.input_name,):
            attention, source = node, name
        elif isinstance(node, ATTENTIONS):
            operations.append(attention_operation(graph, name, layouts))
        elif not isinstance(node, Input) and name not in fused:
            if len(graph.predecessors(name)) > 1 and isinstance(node, NEURONS):
                operations.append(_joined(graph, name, layouts))
            operations.append(_operation(graph, name, layouts, fused, seen))
        seen.add(name)
    return Plan(
        tuple(operations),
        tuple(operation for operation in operations if isinstance(operation, Layer)),
        tuple(operation for operation in operations if isinstance(operation, (Line, SparseSum))),
        tuple(operation for operation in operations if isinstance(operation, Coded)),
        layouts,
        source,
        attention,
        _paths(graph, operations),
        _event_nodes(graph),
        _max_pool_of_input(graph),
        check_blocks(graph, _block_steps(operations, layouts)),
    )


def _joined(graph: Graph, name: str, layouts: dict[str, Layout]) -> Operation:
    """The sum of what several inputs hand to neurons, under a name that no node has."""
    sources = graph.predecessors(name)
    return Sum(f"{name}/inputs", sources, tuple(layouts[source] for source in sources), layouts[name])


def _paths(graph: Graph, operations: list[Operation]) -> dict[str, Paths]:
    """The attentions before each operation, where there is one among the layers."""
    inner = any(
        isinstance(node, TEMPORAL) and graph.predecessors(name) != (graph.input_name,)
        for name, node in graph.nodes.items()
    )
    if not inner:
        return {}
    paths = attention_paths(graph)
    own = {name for name, node in graph.nodes.items() if not isinstance(node, TEMPORAL)}
    own |= {f"{name}/inputs" for name in own}
    return {  # a temporal attention itself sees what is left before it
        one.name: paths[one.name.split("/")[0] if one.name in own else one.sources[0]] for one in operations
    }


def _is_fused(graph: Graph, name: str) -> bool:
    """Whether a synapse is computed together with the neurons behind it."""
    after = graph.successors(name)
    return (
        isinstance(graph.nodes[name], SYNAPSES)
        and len(after) == 1
        and isinstance(graph.nodes[after[0]], NEURONS)
        and len(graph.predecessors(after[0])) == 1
    )


def _block_steps(operations: list[Operation], layouts: dict[str, Layout]) -> int:
    n_steps = max(1, _BLOCK_ENTRIES // max(layout.size for layout in layouts.values()))
    cycles = [one.n_steps for one in operations if isinstance(one, Line) and one.is_feedback]
    cycles += [one.least for one in operations if isinstance(one, SparseSum) and one.is_feedback]
    return min([n_steps, *cycles])


def _event_nodes(graph: Graph) -> frozenset[str]:
    """Nodes that hand on spikes or counts only."""
    found = {
        name
        for name in graph.order
        if not isinstance(graph.nodes[name], (*SYNAPSES, SparseLinear, LI, Readout))
    }
    while True:
        wrong = {
            name
            for name in found
            if not isinstance(graph.nodes[name], (*NEURONS, *CODED))
            and any(source not in found for source in graph.predecessors(name))
        }
        if not wrong:
            return frozenset(found)
        found -= wrong


def _max_pool_of_input(graph: Graph) -> str | None:
    """A MaxPool2d that the Input reaches without neurons or weights between them."""
    seen: set[str] = set()
    frontier = [graph.input_name]
    while frontier:
        name = frontier.pop()
        if isinstance(graph.nodes[name], MaxPool2d):
            return name
        seen.add(name)
        passed_on = (after for after in graph.successors(name) if after not in seen)
        frontier += [
            after
            for after in passed_on
            if not isinstance(graph.nodes[after], (*NEURONS, *SYNAPSES, SparseLinear, *CODING))
        ]
    return None


def _operation(
    graph: Graph, name: str, layouts: dict[str, Layout], fused: set[str], seen: set[str]
) -> Operation:
    node = graph.nodes[name]
    sources = graph.predecessors(name)
    layout = layouts[name]
    if isinstance(node, (*NEURONS, *SYNAPSES)):
        return _layer(graph, name, layouts, fused)
    if isinstance(node, PRODUCTS):
        return product_operation(graph, name, layouts)
    if isinstance(node, CODING):
        return coded_operation(graph, name, layouts)
    ins = tuple(layouts[source] for source in sources)
    if isinstance(node, (SumPool2d, AvgPool2d, MaxPool2d)):
        kind = MAXIMUM if isinstance(node, MaxPool2d) else SUM
        area = node.kernel_size[0] * node.kernel_size[1] if isinstance(node, AvgPool2d) else 1
        return Pool(name, sources, ins, layout, window_tables(node, ins[0], layout), kind, np.float32(area))
    if isinstance(node, Flatten):
        return Flat(name, sources, ins, layout)
    if isinstance(node, Rearrange):
        return rearranged(name, sources, ins[0], layout, node)
    if isinstance(node, SparseLinear):
        return sparse_sum(graph, name, layouts, is_feedback=sources[0] not in seen)
    if isinstance(node, Add):
        return Sum(name, sources, ins, layout)
    if isinstance(node, Concat):
        return Join(name, sources, ins, layout)
    assert isinstance(node, Delay)
    return Line(name, sources, ins, layout, graph.delay_steps(name), sources[0] not in seen)


def _layer(graph: Graph, name: str, layouts: dict[str, Layout], fused: set[str]) -> Layer:
    node, layout = graph.nodes[name], layouts[name]
    synapse: Linear | Conv2d | None = None
    synapse_name = neuron_name = None
    neurons, rest = no_neurons(), np.zeros(0, np.float32)
    source = name
    if isinstance(node, NEURONS):
        neuron_name = name
        neurons, rest = lower_neurons(node, layout, graph.dt_s), resting_voltage(node, layout)
        sources = graph.predecessors(name)
        source = sources[0] if len(sources) == 1 else f"{name}/inputs"
    if isinstance(node, SYNAPSES) or source in fused:
        synapse_name = source
        found = graph.nodes[source]
        assert isinstance(found, (Linear, Conv2d))
        synapse, source = found, graph.predecessors(source)[0]
    before = layouts.get(source, layout)
    wiring = None if synapse is None else wire(synapse, before, layout)
    return Layer(
        name,
        (source,),
        (before,),
        layout,
        synapse_name,
        neuron_name,
        wiring,
        neurons,
        rest,
        isinstance(node, CubaLIF),
        wiring is not None and is_silence_safe(neurons, wiring.bias),
        _thresholds(synapse, before, layout, wiring),
    )


def _thresholds(
    synapse: Linear | Conv2d | None, before: Layout, layout: Layout, wiring: Wiring | None
) -> Thresholds:
    if wiring is None:
        return Thresholds(0, 0, 0)  # of no use without a synapse
    n_taps = n_kernel = 1.0
    if isinstance(synapse, Conv2d):
        n_kernel = math.prod(synapse.kernel_size)
        n_taps = n_kernel / math.prod(synapse.stride)
    shape = Shape(layout.n_pixels, layout.n_channels, int(n_kernel * before.n_channels), max(1.0, n_taps))
    has_dense = dense_size(wiring) > 0
    return machine_costs().thresholds(shape, has_bytes=has_bytes(wiring), has_dense=has_dense)
