"""How much there is to compute in a graph: fan-outs, dense operations, sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from neuro.errors import GraphError
from neuro.graph import CODED, NEURONS, SYNAPSES, Conv2d, CubaLIF, FirstSpikeIF, Graph, Linear, SparseLinear
from neuro.graph.networks import needs_populations

__all__ = ["NeuronSize", "SynapseSize", "sizes"]


@dataclass(frozen=True)
class SynapseSize:
    """Numbers of a Linear, Conv2d or SparseLinear.

    Attributes
    ----------
    n_inputs, n_outputs : int
        Entries of a frame before and behind it.
    n_pixels : int
        Output pixels (1 where there is no map).
    fan_out : int
        Nominal fan-out of an input entry: ``rows * columns * out / groups``, or ``out`` (R36). That of a SparseLinear
        differs from entry to entry: the mean, rounded up.
    dense_operations : int
        Products of a step in which no entry is zero: (tap inside the frame, input channel, output channel), or the
        synapses of a SparseLinear.
    n_weights, n_biases : int
        Stored weights and biases.
    """

    n_inputs: int
    n_outputs: int
    n_pixels: int
    fan_out: int
    dense_operations: int
    n_weights: int
    n_biases: int


@dataclass(frozen=True)
class NeuronSize:
    """Numbers of a population.

    Attributes
    ----------
    n_neurons : int
        Neurons.
    n_states : int
        Values kept for each: the membrane, and the current of a CubaLIF or FirstSpikeIF.
    """

    n_neurons: int
    n_states: int


@lru_cache(maxsize=16)
def sizes(graph: Graph) -> tuple[dict[str, SynapseSize], dict[str, NeuronSize]]:
    """Return the numbers of all synapses and of all neurons, by node.

    Parameters
    ----------
    graph : Graph
        Any graph.

    Returns
    -------
    tuple of dict
        Kept for equal graphs; not to be changed.

    Raises
    ------
    GraphError
        If it runs as a network of populations.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import IF, Input, clocked
    >>> nodes = {"in": Input((1, 3, 3)), "conv": Conv2d(np.ones((2, 1, 3, 3)), padding=1), "out": IF(1.0)}
    >>> synapses, _ = sizes(Graph(nodes, [("in", "conv"), ("conv", "out")], clocked(0.001)))
    >>> synapses["conv"].fan_out, synapses["conv"].dense_operations  # 9 * 9 * 2 less what lies in the padding
    (18, 98)
    """
    if needs_populations(graph.nodes):
        raise GraphError(
            "Graph: costs are counted for layers, this graph runs as a network of populations; its operations are in "
            "Result.counters.synaptic_operations"
        )
    synapses: dict[str, SynapseSize] = {}
    neurons: dict[str, NeuronSize] = {}
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, SYNAPSES):
            assert isinstance(node, (Linear, Conv2d))
            synapses[name] = _synapse(node, graph.shapes[graph.predecessors(name)[0]], graph.shapes[name])
        elif isinstance(node, SparseLinear):
            fan_out = -(-node.n_synapses // node.n_in)
            synapses[name] = SynapseSize(
                node.n_in, node.n_out, 1, fan_out, node.n_synapses, node.n_synapses, 0
            )
        elif isinstance(node, (*NEURONS, *CODED)):
            n_states = 2 if isinstance(node, (CubaLIF, FirstSpikeIF)) else 1
            neurons[name] = NeuronSize(math.prod(graph.shapes[name]), n_states)
    return synapses, neurons


def _synapse(node: Linear | Conv2d, before: tuple[int, ...], behind: tuple[int, ...]) -> SynapseSize:
    n_in, n_out = math.prod(before), math.prod(behind)
    fan_out, dense = n_out, n_in * n_out
    if isinstance(node, Conv2d):
        out_of_group = node.weight.shape[0] // node.groups
        fan_out = node.kernel_size[0] * node.kernel_size[1] * out_of_group
        taps = math.prod(
            _taps_inside(
                before[1 + k],
                behind[1 + k],
                n_taps=node.kernel_size[k],
                stride=node.stride[k],
                padding=node.padding[k],
                dilation=node.dilation[k],
            )
            for k in (0, 1)
        )
        dense = taps * before[0] * out_of_group
    n_biases = 0 if node.bias is None else node.bias.size
    return SynapseSize(n_in, n_out, math.prod(behind[1:]), fan_out, dense, node.weight.size, n_biases)


def _taps_inside(n_in: int, n_out: int, *, n_taps: int, stride: int, padding: int, dilation: int) -> int:
    """Pairs (output position, tap) of one axis that lie inside the frame."""
    return sum(
        0 <= out * stride - padding + tap * dilation < n_in for out in range(n_out) for tap in range(n_taps)
    )
