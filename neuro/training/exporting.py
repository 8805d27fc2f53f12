"""Torch and norse networks as graphs, module by module, with the same arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from neuro.errors import GraphError
from neuro.graph import Graph, Input, Node, clocked
from neuro.graph.nodes import LI, LIF, Conv2d, Flatten, Linear
from neuro.training.modules import SKIPPED, Place, is_norm, is_synapse, node_of, synapse_node, time_step
from neuro.training.network import SpikingNetwork
from neuro.training.snapping import Synapse, fold_batch_norm, snap
from neuro.training.values import largest_inputs


def export(
    module: nn.Module,
    *,
    input_shape: tuple[int, ...],
    dt_s: float | None = None,
    max_count: int | None = None,
    snap_weights: bool = False,
) -> Graph:
    """Describe a torch network with norse cells as a graph.

    Understood, nested in torch.nn.Sequential, norse's SequentialState and Lift as deep as need be: Conv2d,
    Linear, BatchNorm1d and BatchNorm2d behind them (folded: running statistics), AvgPool2d, MaxPool2d,
    Flatten, Dropout and Identity (left out), norse's LIFBoxCell, LIFCell, LIF, IAFCell, IAF, LIBoxCell.
    Steps of the neurons are the same float32 expressions. Sums of weights are equal to torch's, bit for bit,
    if they are exact, which `snap_weights` ensures by rounding weights and biases to a power-of-two grid; the
    graph's metadata then has 'largest_rounding', the largest change of a weight or bias.

    Parameters
    ----------
    module : torch.nn.Module
        The network; it is not changed. As in evaluation mode: batch norm by running statistics, no dropout.
    input_shape : tuple[int, ...]
        Shape of one frame of one sample: (channels, rows, columns) or (n,).
    dt_s : float, optional
        Time step in seconds; needed if no module has one, and must agree with those that do.
    max_count : int, optional
        Largest value of an input entry; needed for `snap_weights`.
    snap_weights : bool
        Round weights and biases to the finest grid on which every sum is exact.

    Returns
    -------
    Graph
        A clocked graph, one node per module, named after its kind and place.

    Raises
    ------
    GraphError
        A module has no counterpart (its place and a remedy are named), or time steps disagree.

    Examples
    --------
    >>> import norse.torch as norse
    >>> network = norse.SequentialState(nn.Linear(4, 2), norse.LIFBoxCell(dt=0.001))
    >>> export(network, input_shape=(4,)).order
    ('input', 'linear_0', 'lifboxcell_1')
    """
    if isinstance(module, SpikingNetwork):
        raise GraphError(
            "export: a SpikingNetwork is exported by TrainedNetwork.export, or graph_of once it is folded"
        )
    places = list(_walk(module, ()))
    if not places:
        raise GraphError("export: the module holds nothing that computes")
    nodes: dict[str, Node] = {"input": Input(input_shape, max_count)}
    synapses: dict[str, tuple[Place, nn.Module | None]] = {}
    for place, norm in _merged(places):
        if is_synapse(place.module):
            synapses[place.name] = (place, norm)
        nodes[place.name] = _node(place, norm)
    edges = list(zip(list(nodes)[:-1], list(nodes)[1:], strict=True))
    graph = Graph(nodes, edges, clocked(_time_step(places, dt_s)))
    return _snapped(graph, synapses) if snap_weights else graph


def _node(place: Place, norm: nn.Module | None) -> Node:
    try:
        if is_synapse(place.module):
            return synapse_node(place, fold_batch_norm(place.module, norm, max_input=0.0))
        return node_of(place)
    except GraphError as err:
        if str(err).startswith(place.label):
            raise
        raise GraphError(f"{place.label}: {err}") from err


def graph_of(
    network: SpikingNetwork,
    *,
    attention_threshold: float | None,
    weight_grid: float | None,
    metadata: dict[str, str | int | float] | None = None,
) -> Graph:
    """Describe a recogniser whose batch norm is folded.

    Parameters
    ----------
    network : SpikingNetwork
        Folded network.
    attention_threshold : float or None
        Threshold of the TemporalAttention node; None: no such node.
    weight_grid : float or None
        Grid of the weights, if they are on one.
    metadata : dict, optional
        Notes for the graph.

    Returns
    -------
    Graph
        Nodes 'input', 'attention', 'conv1', 'lif1', ..., 'flatten', 'linear1', ..., 'output', 'readout'.

    Raises
    ------
    GraphError
        Batch norm is not folded, or there are no scores for the threshold.
    """
    config = network.config
    if config.batch_norm:
        raise GraphError("graph_of: fold batch norm first (fold_and_snap)")
    nodes: dict[str, Node] = {"input": Input(config.input_shape, config.max_count)}
    if attention_threshold is not None:
        nodes["attention"] = _attention_node(network, attention_threshold)
    for number, layer in enumerate(network.spiking_layers):
        if number == network.n_conv:
            nodes["flatten"] = Flatten()
        if number < network.n_conv:
            name = f"conv{number + 1}"
            conv: Any = layer.synapse
            nodes[name] = Conv2d(
                _numpy(conv.weight), _numpy(conv.bias), stride=conv.stride, padding=conv.padding
            )
        else:
            nodes[f"linear{number - network.n_conv + 1}"] = _linear(layer.synapse)
        nodes[f"lif{number + 1}"] = LIF(config.tau_mem_s, config.threshold)
    if "flatten" not in nodes:
        nodes["flatten"] = Flatten()
    nodes["output"] = _linear(network.output)
    nodes["readout"] = LI(config.tau_readout_s)
    edges = list(zip(list(nodes)[:-1], list(nodes)[1:], strict=True))
    return Graph(nodes, edges, clocked(config.dt_s), weight_grid, metadata)


def _attention_node(network: SpikingNetwork, threshold: float) -> Node:
    if network.scores is None:
        raise GraphError("graph_of: attention_threshold needs a network trained with attention=True")
    return network.scores.node(threshold)


def _linear(module: nn.Conv2d | nn.Linear) -> Linear:
    return Linear(_numpy(module.weight), _numpy(module.bias))


def _numpy(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


def _walk(module: nn.Module, path: tuple[str, ...]) -> Iterator[Place]:
    """Every module that computes, in order."""
    inner = getattr(module, "lifted_module", None)
    if inner is not None:
        yield from _walk(inner, path)
    elif isinstance(module, nn.Sequential):
        for name, child in module.named_children():
            yield from _walk(child, (*path, name))
    elif not isinstance(module, SKIPPED):
        yield Place(path, module)


def _merged(places: list[Place]) -> Iterator[tuple[Place, nn.Module | None]]:
    """Pair each batch norm with the synapse in front of it."""
    for before, place in zip([None, *places], places, strict=False):
        if is_norm(place.module):
            _check_norm(place, before)
    for place, after in zip(places, [*places[1:], None], strict=True):
        if not is_norm(place.module):
            yield place, after.module if after is not None and is_norm(after.module) else None


def _check_norm(place: Place, before: Place | None) -> None:
    if before is None or not is_synapse(before.module):
        found = "nothing" if before is None else before.label
        raise GraphError(
            f"{place.label}: batch norm can only be folded into a Conv2d or Linear directly in front of it, "
            f"found {found}; reorder the modules"
        )
    if getattr(place.module, "running_mean", None) is None:
        raise GraphError(
            f"{place.label}: has no running statistics to fold; train it with track_running_stats=True"
        )


def _time_step(places: list[Place], dt_s: float | None) -> float:
    step = dt_s
    for place in places:
        own = time_step(place.module)
        if own is None:
            continue
        if step is not None and np.float32(own) != np.float32(step):
            raise GraphError(f"{place.label}: dt = {own} s, but {step} s elsewhere; one clock needs one dt")
        step = own if step is None else step
    if step is None:
        raise GraphError("export: no module has a time step; give dt_s")
    return float(step)


def _snapped(graph: Graph, synapses: dict[str, tuple[Place, nn.Module | None]]) -> Graph:
    """The same graph with weights and biases on the finest exact grid."""
    limits = largest_inputs(graph)
    exact: list[Synapse] = []
    for name, (place, norm) in synapses.items():
        folded = fold_batch_norm(place.module, norm, max_input=limits[name].largest)
        exact.append(Synapse(folded.weight, folded.bias, folded.max_input, limits[name].grid))
    grid, rounded = snap(exact)
    nodes = dict(graph.nodes)
    change = 0.0
    for (name, (place, _)), before, after in zip(synapses.items(), exact, rounded, strict=True):
        nodes[name] = synapse_node(place, after)
        change = max(
            change,
            float(np.abs(after.weight - before.weight).max()),
            float(np.abs(after.bias - before.bias).max()),
        )
    return Graph(nodes, graph.edges, graph.execution, grid, {"largest_rounding": change})
