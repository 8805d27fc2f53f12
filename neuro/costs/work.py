"""The work of a run, layer by layer: products, updates, values read and written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from neuro.costs.geometry import NeuronSize, SynapseSize, sizes
from neuro.errors import InputError
from neuro.graph import (
    CODED,
    IF,
    NEURONS,
    PRODUCTS,
    SPIKING,
    SYNAPSES,
    Add,
    AvgPool2d,
    Conv2d,
    CubaLIF,
    Difference,
    FirstSpikeIF,
    Graph,
    Input,
    RadixIF,
    Readout,
    SignedIF,
    SparseLinear,
    SumPool2d,
    TwoPhaseIF,
)
from neuro.results import Counters

__all__ = ["LayerWork", "Work", "conventional_work", "spiking_work"]

_FLOAT32_BITS = 32
_ONES = (TwoPhaseIF, SignedIF, RadixIF, FirstSpikeIF)  # a SigmaDelta hands on any change of its count


@dataclass(frozen=True)
class LayerWork:
    """What a synapse and the neurons (or the rectifier) behind it did.

    Attributes
    ----------
    name : str
        The synapse, or the neurons where no synapse stands directly before them.
    is_spiking : bool
        Whether its neurons keep a state.
    is_linear : bool
        Whether the synapse is a Linear.
    accumulates : int
        Products with an input of 1, which are the weight itself: only added.
    multiply_accumulates : int
        Products with a graded input: multiplied and added.
    bias_additions : int
        Outputs that began at a bias, over all computed steps.
    updates : int
        Neuron updates: each reads and writes the neuron's state once.
    leaks : int
        Multiply-accumulates of these updates: one for a membrane that leaks, two for a CubaLIF, none for an IF.
    n_states : int
        Values kept for each neuron.
    inputs_read : int
        Input entries that the synapse read: once each.
    outputs_written : int
        Spikes or activations handed on; membranes for a readout.
    size : SynapseSize
        Fan-out and stored weights; zeros where there is no synapse.
    n_neurons : int
        Neurons or output activations.
    activation_bits, weight_bits, state_bits : int
        Bits of an input or output value (of the address of a spike), a weight and a state.
    """

    name: str
    is_spiking: bool
    is_linear: bool
    accumulates: int
    multiply_accumulates: int
    bias_additions: int
    updates: int
    leaks: int
    n_states: int
    inputs_read: int
    outputs_written: int
    size: SynapseSize
    n_neurons: int
    activation_bits: int = _FLOAT32_BITS
    weight_bits: int = _FLOAT32_BITS
    state_bits: int = _FLOAT32_BITS

    @property
    def products(self) -> int:
        """Products added, whether multiplied or not: the synaptic operations."""
        return self.accumulates + self.multiply_accumulates

    @property
    def weight_bytes(self) -> float:
        """Bytes of weights and biases moved: one weight for each product, one bias for each bias addition."""
        return (self.products + self.bias_additions) * self.weight_bits / 8

    @property
    def state_bytes(self) -> float:
        """Bytes of neuron state moved: each update reads and writes each value once."""
        return 2 * self.updates * self.n_states * self.state_bits / 8

    @property
    def activation_bytes(self) -> float:
        """Bytes of inputs read and outputs written, once each."""
        return (self.inputs_read + self.outputs_written) * self.activation_bits / 8


@dataclass(frozen=True)
class Work:
    """What a network did for one recording (or the sum over several).

    Attributes
    ----------
    name : str
        What ran.
    layers : tuple of LayerWork
        From the input to the outputs.
    unpriced : tuple of str
        Nodes whose additions are counted nowhere: sum and average pools, Add.
    """

    name: str
    layers: tuple[LayerWork, ...]
    unpriced: tuple[str, ...] = ()

    def total(self, count: str) -> float:
        """Return the sum of a count over all layers.

        Parameters
        ----------
        count : str
            Name of an attribute of `LayerWork`, such as 'products' or 'weight_bytes'.

        Returns
        -------
        float
            The sum.
        """
        return math.fsum(getattr(layer, count) for layer in self.layers)

    @property
    def bytes_moved(self) -> float:
        """Bytes of weights, states and activations."""
        return sum(self.total(name) for name in ("weight_bytes", "state_bytes", "activation_bytes"))


def spiking_work(graph: Graph, counters: Counters, *, name: str = "spiking") -> Work:
    """Return the work of a clocked run from its exact counts.

    Parameters
    ----------
    graph : Graph
        The graph that ran.
    counters : Counters
        ``Result.counters``.
    name : str
        What to call it.

    Returns
    -------
    Work
        One layer per synapse and per population that has no synapse of its own before it.

    Examples
    --------
    >>> import numpy as np
    >>> import neuro
    >>> from neuro.graph import LIF, Linear, clocked
    >>> graph = Graph({"in": Input(2, max_count=1), "fc": Linear([[1.0, 0.0]]), "out": LIF(0.1, 1.0)},
    ...               [("in", "fc"), ("fc", "out")], clocked(dt_s=0.001))
    >>> work = spiking_work(graph, neuro.simulate(graph, np.ones((4, 2))).counters)
    >>> work.total("accumulates"), work.total("weight_bytes"), work.total("state_bytes")
    (8.0, 32.0, 32.0)
    """
    synapses, neurons = sizes(graph)
    layers = []
    for node in graph.order:
        if node in synapses:
            after = graph.successors(node)
            population = after[0] if len(after) == 1 and after[0] in neurons else None
            layers.append(_spiking_layer(graph, counters, synapse=node, population=population))
        elif node in neurons and not _has_own_synapse(graph, node):
            layers.append(_spiking_layer(graph, counters, synapse=None, population=node))
    return Work(name, tuple(layers), _unpriced(graph))


def _has_own_synapse(graph: Graph, population: str) -> bool:
    (source,) = graph.predecessors(population)
    return isinstance(graph.nodes[source], (*SYNAPSES, SparseLinear)) and len(graph.successors(source)) == 1


def _spiking_layer(
    graph: Graph, counters: Counters, *, synapse: str | None, population: str | None
) -> LayerWork:
    synapses, neurons = sizes(graph)
    size = SynapseSize(0, 0, 0, 0, 0, 0, 0) if synapse is None else synapses[synapse]
    cells = NeuronSize(0, 0) if population is None else neurons[population]
    products = biases = entries = 0
    if synapse is not None:
        products, entries = counters.synaptic_operations[synapse], counters.input_entries[synapse]
        computed = sum(counters.path_steps[synapse].values())
        biases = computed * size.n_outputs if size.n_biases else 0
    is_binary = synapse is not None and _is_binary(graph, graph.predecessors(synapse)[0])
    updates = 0 if population is None else counters.neuron_updates[population]
    written = updates if population is None else counters.spikes.get(population, updates)
    name = synapse if synapse is not None else population
    assert name is not None
    return LayerWork(
        name=name,
        is_spiking=True,
        is_linear=synapse is not None and not isinstance(graph.nodes[synapse], Conv2d),
        accumulates=products if is_binary else 0,
        multiply_accumulates=0 if is_binary else products,
        bias_additions=biases,
        updates=updates,
        leaks=0 if population is None else updates * _leaks(graph, population),
        n_states=cells.n_states,
        inputs_read=entries,
        outputs_written=written,
        size=size,
        n_neurons=cells.n_neurons,
    )


def conventional_work(graph: Graph, *, n_steps: int, weight_bits: int = 32, name: str = "quantised") -> Work:
    """Return the work of a conventional network of the same topology, computed once on the sum of the frames.

    Synapses are the same; in place of each population stands a rectifier whose output has
    ``ceil(log2(n_steps + 1))`` bits, as many values as a neuron has spike counts in `n_steps` steps. It skips no
    zeros: every product with a tap inside the frame is computed (a multiply-accumulate), every input is read
    once by each layer, every output written once.

    Parameters
    ----------
    graph : Graph
        A feed-forward spiking network.
    n_steps : int
        Steps of a whole run of it, at least 1.
    weight_bits : int
        Bits of a weight; 32 for the same weights.
    name : str
        What to call it.

    Returns
    -------
    Work
        To compare with `spiking_work`: counted the same way.

    Raises
    ------
    InputError
        If `n_steps` or `weight_bits` is below 1, or the graph has a cycle (a recurrent network has no counterpart).

    Notes
    -----
    Source: the comparison is that of Yan, Bai and Wong, "Reconsidering the energy efficiency of spiking neural
    networks", arXiv:2409.08290, which matches the bits of the activations to the number of steps; the counts are ours.

    Examples
    --------
    >>> from neuro.graph import LIF, Linear, clocked
    >>> graph = Graph({"in": Input(2), "fc": Linear([[1.0, 0.0]]), "out": LIF(0.1, 1.0)},
    ...               [("in", "fc"), ("fc", "out")], clocked(dt_s=0.001))
    >>> work = conventional_work(graph, n_steps=20)
    >>> work.total("multiply_accumulates"), work.layers[0].activation_bits
    (2.0, 5)
    """
    for label, value in (("n_steps", n_steps), ("weight_bits", weight_bits)):
        if value < 1:
            raise InputError(f"conventional_work: {label} must be >= 1, got {value}")
    position = {node: k for k, node in enumerate(graph.order)}
    for node in graph.order:
        for source in graph.predecessors(node):
            if position[source] >= position[node]:
                raise InputError(
                    f"conventional_work: the graph has a cycle through {node!r}, a recurrent network has no "
                    "conventional counterpart"
                )
    bits = n_steps.bit_length()  # ceil(log2(n + 1))
    synapses, _ = sizes(graph)
    layers = [
        LayerWork(
            name=node,
            is_spiking=False,
            is_linear=not isinstance(graph.nodes[node], Conv2d),
            accumulates=0,
            multiply_accumulates=size.dense_operations,
            bias_additions=size.n_outputs if size.n_biases else 0,
            updates=0,
            leaks=0,
            n_states=0,
            inputs_read=size.n_inputs,
            outputs_written=size.n_outputs,
            size=size,
            n_neurons=size.n_outputs,
            activation_bits=bits,
            weight_bits=weight_bits,
        )
        for node, size in synapses.items()
    ]
    return Work(name, tuple(layers), _unpriced(graph))


def _leaks(graph: Graph, population: str) -> int:
    node = graph.nodes[population]
    if isinstance(node, (IF, *CODED)):
        return 0
    return 2 if isinstance(node, CubaLIF) else 1


def _is_binary(graph: Graph, name: str) -> bool:
    """Whether a node hands on nothing but zeros, ones and minus ones: no product is needed."""
    node = graph.nodes[name]
    if isinstance(node, Input):
        return node.max_count == 1
    if isinstance(node, (*NEURONS, *CODED)):
        return isinstance(node, (*SPIKING, *_ONES))
    if isinstance(node, (*PRODUCTS, Difference, Readout)):
        return False
    if isinstance(node, (*SYNAPSES, SparseLinear, Add, SumPool2d, AvgPool2d)) or getattr(
        node, "scaling", False
    ):
        return False
    return all(_is_binary(graph, source) for source in graph.predecessors(name))


def _unpriced(graph: Graph) -> tuple[str, ...]:
    kinds = (Add, SumPool2d, AvgPool2d, *PRODUCTS)
    return tuple(name for name in graph.order if isinstance(graph.nodes[name], kinds))
